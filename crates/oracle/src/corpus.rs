//! The corpus in `fixtures/grammar`: small programs with the verdicts of real Nix.
//!
//! `ok/` and `broken/` hold generated programs, chosen so that every pair of productions and every
//! kind of fault occurs; `verdicts.tsv` says what Nix says of them. `corners.tsv` holds programs of
//! one line that somebody wrote because they are odd; each stands, escaped, before its verdict.
//! `printed.tsv` holds what Nix prints of those that it accepts: the whole meaning of their text.
//! `known.tsv` names the programs on which we are known to differ, with the reason. Without a Nix
//! at hand, the recorded verdicts still guard the parser.

use std::collections::BTreeSet;

use fastrand::Rng;

use cim_nix_base::Error;

use crate::generate::{Generated, Pair, Style, generate};
use crate::mutate::mutate;
use crate::printed::normalize;
use crate::verdicts::{self, escape, unescape};
use crate::{Fault, Nix, Verdict};

/// A program of the corpus.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fixture {
    /// Its path in the corpus, such as `ok/001.nix`.
    pub name: String,
    /// Its text.
    pub text: String,
    /// What Nix says of it.
    pub verdict: Verdict,
}

/// How many programs are drawn for each of the two kinds.
const N_DRAWN: usize = 4000;

/// How many of a kind are kept at most.
const MOST: usize = 180;

/// Where the programs of `printed.tsv` are said to lie, so deep that `..` leads to no other place.
const ROOT: &str = "/root";
const FOLDER: &str = "/root/a/b/c/d";

/// Longer programs are left out: a fixture should be read in one look.
const LONGEST: usize = 600;

/// Draws the corpus.
///
/// Errors: those of [`Nix::judge_texts`].
pub fn draw(nix: &Nix, seed: u64) -> Result<Vec<Fixture>, Error> {
    let mut rng = Rng::with_seed(seed);
    let mut fixtures = draw_valid(nix, &mut rng)?;
    fixtures.extend(draw_broken(nix, &mut rng)?);
    Ok(fixtures)
}

fn draw_valid(nix: &Nix, rng: &mut Rng) -> Result<Vec<Fixture>, Error> {
    let mut drawn: Vec<Generated> =
        (0..N_DRAWN).map(|_| program(rng, 0)).filter(is_short).collect();
    let texts: Vec<&str> = drawn.iter().map(|program| program.text.as_str()).collect();
    let mut verdicts = nix.judge_texts(&texts)?.into_iter();
    drawn.retain(|_| verdicts.next().is_some_and(|verdict| verdict.is_ok()));
    let chosen = cover(&drawn, |program| program.pairs.clone());
    let fixture = |(idx, program): (usize, &Generated)| Fixture {
        name: format!("ok/{idx:03}.nix"),
        text: program.text.clone(),
        verdict: Verdict::Ok,
    };
    Ok(chosen.into_iter().enumerate().map(fixture).collect())
}

fn draw_broken(nix: &Nix, rng: &mut Rng) -> Result<Vec<Fixture>, Error> {
    let drawn: Vec<(&'static str, Generated)> =
        (0..N_DRAWN).filter_map(|_| broken(rng)).filter(|(_, text)| is_short(text)).collect();
    let texts: Vec<&str> = drawn.iter().map(|(_, program)| program.text.as_str()).collect();
    let judged: Vec<(&'static str, Generated, Verdict)> = drawn
        .iter()
        .zip(nix.judge_texts(&texts)?)
        .filter(|(_, verdict)| verdict.fault().is_some_and(|fault| fault != Fault::Other))
        .map(|((class, program), verdict)| (*class, program.clone(), verdict))
        .collect();
    let (syntax, names): (Vec<_>, Vec<_>) =
        judged.into_iter().partition(|(_, _, verdict)| verdict.fault() == Some(Fault::Syntax));
    let chosen: Vec<&(&str, Generated, Verdict)> = [&syntax, &names]
        .into_iter()
        .flat_map(|judged| cover(judged, |(class, text, verdict)| features(class, text, verdict)))
        .collect();
    let fixture = |(idx, (class, program, verdict)): (usize, &(&str, Generated, Verdict))| {
        let (text, verdict) = (program.text.clone(), verdict.clone());
        Fixture { name: format!("broken/{idx:03}-{class}.nix"), text, verdict }
    };
    Ok(chosen.into_iter().enumerate().map(fixture).collect())
}

fn program(rng: &mut Rng, unbound_percent: u8) -> Generated {
    let size = rng.u32(2..40);
    generate(rng, Style { size, unbound_percent })
}

/// A program with an unbound name, or a mutated one.
fn broken(rng: &mut Rng) -> Option<(&'static str, Generated)> {
    if rng.u8(0..5) == 0 {
        return Some(("unbound", program(rng, 50)));
    }
    let whole = program(rng, 0);
    let mutation = mutate(&whole.text, rng)?;
    let text = String::from_utf8(mutation.text).ok()?;
    Some((mutation.class, Generated { text, pairs: whole.pairs }))
}

fn is_short(program: &Generated) -> bool {
    program.text.len() <= LONGEST
}

/// What a broken program shows: the message of a syntax error; for other faults, in what they are.
fn features(class: &'static str, program: &Generated, verdict: &Verdict) -> BTreeSet<String> {
    let Verdict::Error { message, .. } = verdict else { return BTreeSet::new() };
    let fault = Fault::of(message);
    let word = fault.word();
    let mut features = BTreeSet::from([format!("{class}: {word}")]);
    if fault == Fault::Syntax {
        features.insert(message.clone());
    } else {
        let inside = |(outer, inner): &Pair| format!("{word} in {outer} > {inner}");
        let names = |(_, inner): &&Pair| fault != Fault::Undefined || *inner == "unbound";
        features.extend(program.pairs.iter().filter(names).map(inside));
    }
    features
}

/// Chooses, again and again, the program with the most features that no chosen one has; of equals
/// the first.
fn cover<T, F: Ord>(all: &[T], features: impl Fn(&T) -> BTreeSet<F>) -> Vec<&T> {
    let features: Vec<BTreeSet<F>> = all.iter().map(features).collect();
    let (mut chosen, mut seen) = (Vec::new(), BTreeSet::new());
    while chosen.len() < MOST {
        let gain = |idx: &usize| features[*idx].iter().filter(|&f| !seen.contains(f)).count();
        let best = (0..all.len()).rev().max_by_key(|idx| gain(idx));
        let Some(best) = best.filter(|best| gain(best) > 0) else { break };
        seen.extend(&features[best]);
        chosen.push(&all[best]);
    }
    chosen
}

/// Judges the programs of `corners.tsv` anew; comments and order stay.
///
/// Errors: those of [`Nix::judge_texts`]; a line whose first field is no escaped program.
pub fn record_corners(nix: &Nix, corners: &str) -> Result<String, Error> {
    let programs = corners_of(corners)?;
    let mut verdicts = nix.judge_texts(&programs)?.into_iter();
    let mut programs = programs.iter();
    let mut out = String::new();
    for line in corners.lines() {
        if line.starts_with('#') {
            out += &format!("{line}\n");
        } else if let (Some(program), Some(verdict)) = (programs.next(), verdicts.next()) {
            out += &verdicts::render([(escape_corner(program).as_str(), &verdict)]);
        }
    }
    Ok(out)
}

/// Lets Nix print the `accepted` programs: what `printed.tsv` holds.
///
/// Errors: Nix cannot be started, or does not print what it accepted.
pub fn record_printed(nix: &Nix, accepted: &[(String, String)]) -> Result<String, Error> {
    let folder = tempfile::Builder::new().prefix("oracle-").tempdir();
    let folder = folder.and_then(|folder| Ok((folder.path().canonicalize()?, folder)));
    let (root, _keep) = folder.map_err(unwritable)?;
    let inner = root.join(FOLDER.trim_start_matches(ROOT).trim_start_matches('/'));
    std::fs::create_dir_all(&inner).map_err(unwritable)?;
    let mut out = String::new();
    for (idx, (name, text)) in accepted.iter().enumerate() {
        let path = inner.join(format!("{idx}.nix"));
        std::fs::write(&path, text).map_err(unwritable)?;
        let printed = nix.print_files(&[path])?.and_then(|mut lines| lines.pop());
        let printed = printed.ok_or_else(|| Error::outside(format!("Nix prints no `{name}`")))?;
        let printed = normalize(&printed.replace(&*root.to_string_lossy(), ROOT));
        out += &format!("{name}\t{}\n", escape(printed.as_bytes()));
    }
    Ok(out)
}

fn unwritable(cause: std::io::Error) -> Error {
    Error::outside("cannot write programs for Nix to a temporary folder").because(cause)
}

/// The accepted programs of both kinds with their names, save those that are no plain text.
///
/// Errors: a line of `corners` of another form.
pub fn accepted(fixtures: &[Fixture], corners: &str) -> Result<Vec<(String, String)>, Error> {
    let ok = fixtures.iter().filter(|fixture| fixture.verdict.is_ok());
    let mut all: Vec<(String, String)> =
        ok.map(|fixture| (fixture.name.clone(), fixture.text.clone())).collect();
    for ((name, verdict), text) in verdicts::read(corners)?.into_iter().zip(corners_of(corners)?) {
        let text = String::from_utf8(text).ok().filter(|text| !text.contains('\0'));
        all.extend(text.filter(|_| verdict.is_ok()).map(|text| (name, text)));
    }
    Ok(all)
}

/// The programs of `corners.tsv`.
///
/// Errors: a line whose first field is no escaped program.
pub fn corners_of(corners: &str) -> Result<Vec<Vec<u8>>, Error> {
    let lines = corners.lines().filter(|line| !line.starts_with('#'));
    let program = |line: &str| {
        let field = line.split('\t').next().unwrap_or_default();
        unescape(field).ok_or_else(|| Error::user(format!("`{field}` is no escaped program")))
    };
    lines.map(program).collect()
}

/// A comment would look like one of the file's own.
fn escape_corner(program: &[u8]) -> String {
    let line = escape(program);
    line.strip_prefix('#').map_or(line.clone(), |rest| format!("\\x23{rest}"))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use cim_nix_semantics::print::Places;

    use crate::printed::print;
    use crate::{Difference, Ours, compare};

    fn fixtures() -> PathBuf {
        [env!("CARGO_MANIFEST_DIR"), "..", "..", "fixtures", "grammar"].iter().collect()
    }

    fn read(name: &str) -> Vec<u8> {
        std::fs::read(fixtures().join(name)).unwrap()
    }

    /// Asserts that we differ from the recorded verdicts in the programs of `known.tsv` alone.
    fn assert_agreement<'v>(judged: impl Iterator<Item = (&'v str, &'v Verdict, Vec<u8>)>) {
        let known = String::from_utf8(read("known.tsv")).unwrap();
        let known: BTreeSet<&str> =
            known.lines().filter_map(|line| line.split('\t').next()).collect();
        let mut wrong = Vec::new();
        for (name, verdict, text) in judged {
            let ours = Ours::judge(&text);
            let difference = compare(verdict, &ours, &text).err();
            if difference.is_some() != known.contains(name) {
                let words = difference.map_or("is known to differ, but agrees", Difference::words);
                let ours = ours.summary();
                wrong.push(format!("{name}: {words}\n  Nix: {verdict}\n  we:  {ours}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn generated_programs_are_judged_as_nix_judges_them() {
        let recorded = verdicts::read(&String::from_utf8(read("verdicts.tsv")).unwrap()).unwrap();
        assert!(recorded.len() > 200, "the corpus is too small: {}", recorded.len());
        let judged = recorded.iter().map(|(name, verdict)| (name.as_str(), verdict, read(name)));
        assert_agreement(judged);
    }

    #[test]
    fn corners_are_judged_as_nix_judges_them() {
        let corners = String::from_utf8(read("corners.tsv")).unwrap();
        let recorded = verdicts::read(&corners).unwrap();
        assert!(recorded.len() > 2000, "corners are missing: {}", recorded.len());
        let programs = corners_of(&corners).unwrap().into_iter();
        let judged = recorded.iter().zip(programs);
        assert_agreement(judged.map(|((name, verdict), text)| (name.as_str(), verdict, text)));
    }

    #[test]
    fn accepted_programs_mean_what_nix_makes_of_them() {
        let printed = String::from_utf8(read("printed.tsv")).unwrap();
        let places = Places { folder: Path::new(FOLDER), home: Nix::HOME };
        let mut wrong = Vec::new();
        for line in printed.lines() {
            let (name, theirs) = line.split_once('\t').unwrap();
            let text = match name.ends_with(".nix") && fixtures().join(name).is_file() {
                true => read(name),
                false => unescape(name).unwrap(),
            };
            let ours = print(&String::from_utf8(text).unwrap(), places).unwrap_or_default();
            let ours = escape(normalize(&ours).as_bytes());
            if ours != theirs {
                wrong.push(format!("{name}\n  Nix: {theirs}\n  we:  {ours}"));
            }
        }
        assert!(printed.lines().count() > 1000);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn every_fixture_has_a_verdict() {
        let recorded = verdicts::read(&String::from_utf8(read("verdicts.tsv")).unwrap()).unwrap();
        let known: BTreeSet<String> = recorded.into_iter().map(|(name, _)| name).collect();
        for folder in ["ok", "broken"] {
            for entry in std::fs::read_dir(fixtures().join(folder)).unwrap() {
                let name = format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy());
                assert!(known.contains(&name), "{name} has no verdict");
            }
        }
    }

    #[test]
    fn a_cover_is_small() {
        let all = [vec![1, 2], vec![2], vec![3], vec![1, 2, 3, 4], vec![5]];
        let chosen = cover(&all, |features| features.iter().copied().collect());
        assert_eq!(chosen, [&all[3], &all[4]]);
    }

    #[test]
    fn a_comment_alone_is_no_comment_of_the_file() {
        let line = escape_corner(b"# c\n");
        assert_eq!(line, "\\x23 c\\n");
        assert_eq!(corners_of(&line).unwrap(), [b"# c\n"]);
    }
}
