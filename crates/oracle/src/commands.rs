//! The commands of the program.

mod contest;
mod evaluations;
mod files;
mod flake_edits;
mod imports;
mod locks;
mod printed;
mod trees;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use cim_nix_base::Error;
use cim_nix_oracle::generate::{Style, generate};
use cim_nix_oracle::{Nix, Ours, Statistics, compare, corpus, mutate, verdicts};

use crate::args::Args;
use contest::Program;
use files::{corpus_files, corpus_root, write};

/// What a command has to say.
pub(crate) struct Report {
    /// Printed on standard output.
    pub(crate) text: String,
    /// Whether all judges agree; decides the exit code.
    pub(crate) agrees: bool,
}

const USAGE: &str = "\
usage: cim-nix-oracle COMMAND [--OPTION VALUE]...
  verdicts --nix NIX_INSTANTIATE --corpus DIR --out FILE [--jobs N]
      record what real Nix says of every .nix file below DIR
  check --corpus DIR --verdicts FILE
      compare our verdict on every .nix file below DIR with what `verdicts` recorded
  mutations --nix NIX_INSTANTIATE --corpus DIR [--count N] [--seed N] [--class NAME] [--jobs N]
      mutate random files below DIR and compare our verdict with Nix's
  generate --nix NIX_INSTANTIATE [--count N] [--seed N] [--jobs N]
      the same for programs from the grammar, half of them mutated
  corpus --nix NIX_INSTANTIATE --out DIR [--seed N] [--jobs N]
      draw the programs of DIR anew and record what Nix says of them and of DIR/corners.tsv
  print --nix NIX_INSTANTIATE --corpus DIR
      compare what Nix prints of every .nix file below DIR with what our IR says
  imports --nix NIX_INSTANTIATE --corpus DIR --entries DIR
      evaluate the programs below the second DIR, to which the first is `<corpus>`, and check that
      our import graph has an edge to every file that Nix evaluates
  evaluate --nix NIX_INSTANTIATE [--count N] [--seed N]
      compare what random expressions are worth to Nix and to our evaluator, and count what was in
      them; `nix` must lie beside NIX_INSTANTIATE
  evaluate --nix NIX_INSTANTIATE --record FILE [--old-nix NIX_INSTANTIATE] [--count N] [--seed N]
      record what Nix says of them, and where Nix 2.8.0 agrees
  locks --ours CIM_NIX --nix NIX [--old-nix NIX] [--scenes DIR [--record yes]] [--count N] [--seed N]
      let both lock the flakes of the scenes in DIR, or of random ones, compare the lock files byte
      for byte and let each read the other's; and record them
  flake-edits --nix NIX_INSTANTIATE --corpus DIR [--inputs DIR] [--jobs N] [--keep DIR]
      make every edit of the inputs of every flake.nix below the first DIR, and compare what Nix
      says of it before and after; flakes below the second DIR stand for inputs of their names
  rnix --corpus DIR [--nix NIX_INSTANTIATE]
      compare our tree of every .nix file below DIR with rnix's, and rebuild each text; Nix judges
      where only one of the two finds a file valid
";

/// Runs the command that the arguments name.
///
/// Errors: wrong arguments, files that cannot be read or written, a Nix that does not start.
pub(crate) fn run(mut raw: impl Iterator<Item = OsString>) -> Result<Report, Error> {
    let command = raw.next().map(|arg| arg.to_string_lossy().into_owned());
    match command.as_deref() {
        Some("verdicts") => record_verdicts(&Args::read(raw, &["nix", "corpus", "out", "jobs"])?),
        Some("check") => check(&Args::read(raw, &["corpus", "verdicts"])?),
        Some("mutations") => {
            let known = ["nix", "corpus", "count", "seed", "class", "jobs", "keep"];
            mutations(&Args::read(raw, &known)?)
        }
        Some("generate") => generated(&Args::read(raw, &["nix", "count", "seed", "jobs", "keep"])?),
        Some("evaluate") => {
            let args = Args::read(raw, &["nix", "count", "seed", "record", "old-nix"])?;
            if args.text("record").is_some() {
                evaluations::record(&args)
            } else {
                evaluations::run(&args)
            }
        }
        Some("corpus") => record_corpus(&Args::read(raw, &["nix", "out", "seed", "jobs"])?),
        Some("print") => printed::run(&Args::read(raw, &["nix", "corpus"])?),
        Some("imports") => imports::run(&Args::read(raw, &["nix", "corpus", "entries"])?),
        Some("locks") => {
            let known = ["ours", "nix", "old-nix", "scenes", "record", "count", "seed"];
            locks::run(&Args::read(raw, &known)?)
        }
        Some("flake-edits") => {
            flake_edits::run(&Args::read(raw, &["nix", "corpus", "inputs", "jobs", "keep"])?)
        }
        Some("rnix") => trees::run(&Args::read(raw, &["corpus", "nix"])?),
        None | Some("--help" | "help") => Ok(Report { text: USAGE.to_owned(), agrees: true }),
        Some(other) => {
            Err(Error::user(format!("there is no command `{other}`")).hint(USAGE.trim_end()))
        }
    }
}

fn nix(args: &Args) -> Result<Nix, Error> {
    let jobs = args.number("jobs", 2)?;
    Ok(Nix::new(args.path("nix")?).jobs(usize::try_from(jobs).unwrap_or(2)))
}

/// Compares with recorded verdicts.
fn check(args: &Args) -> Result<Report, Error> {
    let root = corpus_root(args)?;
    let recorded = String::from_utf8_lossy(&files::read(&args.path("verdicts")?)?).into_owned();
    let mut statistics = Statistics::default();
    let mut text = String::new();
    for (name, verdict) in verdicts::read(&recorded)? {
        let bytes = files::read(&root.join(&name))?;
        let ours = Ours::judge(&bytes);
        let outcome = compare(&verdict, &ours, &bytes);
        if let Err(difference) = outcome {
            let (words, ours) = (difference.words(), ours.summary());
            text += &format!("{name}: {words}\n  Nix: {verdict}\n  we:  {ours}\n");
        }
        statistics.add("file", &verdict, &ours, outcome);
    }
    let agrees = text.is_empty();
    Ok(Report { text: text + &statistics.table(), agrees })
}

/// Compares on mutations of random files.
fn mutations(args: &Args) -> Result<Report, Error> {
    let paths = corpus_files(&corpus_root(args)?)?;
    let seed = args.number("seed", 1)?;
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut draw = || {
        let path = paths.get(rng.usize(..paths.len().max(1)))?;
        let text = files::read_text(path)?;
        let mutation = mutate::mutate(&text, &mut rng)?;
        Some(Program { class: mutation.class, text: mutation.text, origin: path.clone() })
    };
    let wanted = args.text("class");
    let fits = |program: &Program| wanted.is_none_or(|class| program.class == class);
    let programs = std::iter::from_fn(|| Some(draw())).flatten().filter(fits);
    let n_wanted = usize::try_from(args.number("count", 5000)?).unwrap_or(usize::MAX);
    contest::run(&nix(args)?, programs.take(n_wanted), args.text("keep").map(Path::new))
}

/// Compares on programs from the grammar: valid ones, ones with unbound names, mutated ones.
fn generated(args: &Args) -> Result<Report, Error> {
    let mut rng = fastrand::Rng::with_seed(args.number("seed", 1)?);
    let programs = std::iter::repeat_with(move || {
        let unbound_percent = [0, 0, 10, 40][rng.usize(..4)];
        let style = Style { size: rng.u32(3..60), unbound_percent };
        let text = generate(&mut rng, style).text;
        let class = if unbound_percent == 0 { "generated" } else { "generated, unbound" };
        let (class, text) = match mutate::mutate(&text, &mut rng) {
            Some(mutation) if rng.bool() => ("generated, mutated", mutation.text),
            _ => (class, text.into_bytes()),
        };
        Program { class, text, origin: PathBuf::from("the grammar") }
    });
    let n_wanted = usize::try_from(args.number("count", 5000)?).unwrap_or(usize::MAX);
    contest::run(&nix(args)?, programs.take(n_wanted), args.text("keep").map(Path::new))
}

fn record_corpus(args: &Args) -> Result<Report, Error> {
    let (nix, out) = (nix(args)?, args.path("out")?);
    let corners = out.join("corners.tsv");
    let recorded = corpus::record_corners(&nix, &String::from_utf8_lossy(&files::read(&corners)?))?;
    write(&corners, recorded.as_bytes())?;
    let fixtures = corpus::draw(&nix, args.number("seed", 1)?)?;
    for folder in ["ok", "broken"] {
        files::remove_nix_files(&out.join(folder))?;
    }
    for fixture in &fixtures {
        write(&out.join(&fixture.name), fixture.text.as_bytes())?;
    }
    let rows = fixtures.iter().map(|fixture| (fixture.name.as_str(), &fixture.verdict));
    write(&out.join("verdicts.tsv"), verdicts::render(rows).as_bytes())?;
    let accepted = corpus::accepted(&fixtures, &recorded)?;
    let printed = corpus::record_printed(&nix, &accepted)?;
    write(&out.join("printed.tsv"), printed.as_bytes())?;
    let text = format!("{} programs, judged by {}\n", fixtures.len(), nix.version()?);
    Ok(Report { text, agrees: true })
}

fn record_verdicts(args: &Args) -> Result<Report, Error> {
    let (root, out) = (corpus_root(args)?, args.path("out")?);
    let paths = corpus_files(&root)?;
    let verdicts = nix(args)?.judge_files(&paths)?;
    let names: Vec<String> = paths.iter().map(|path| name_below(&root, path)).collect();
    let rows = names.iter().map(String::as_str).zip(&verdicts);
    write(&out, verdicts::render(rows).as_bytes())?;
    let n_ok = verdicts.iter().filter(|verdict| verdict.is_ok()).count();
    let text = format!("{n_ok} accepted, {} refused\n", verdicts.len() - n_ok);
    Ok(Report { text, agrees: true })
}

fn name_below(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}
