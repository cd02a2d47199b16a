//! Lets real Nix and our front end judge the same programs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use cim_nix_base::Error;
use cim_nix_oracle::{Difference, Nix, Ours, Statistics, compare, shrink, verdicts::escape};

use super::Report;
use super::files::write;

/// A program to judge.
pub(super) struct Program {
    /// How it was made, for the statistics.
    pub(super) class: &'static str,
    pub(super) text: Vec<u8>,
    /// The file it was made from.
    pub(super) origin: PathBuf,
}

/// How many programs are judged at a time.
const ROUND: usize = 512;

/// How many differences are made small and printed.
const MOST_PRINTED: usize = 30;

/// How many candidates Nix is asked about while one difference is made small.
const SHRINK_BUDGET: usize = 1500;

/// Judges all `programs`; writes those that differ to `keep`.
pub(super) fn run(
    nix: &Nix,
    programs: impl Iterator<Item = Program>,
    keep: Option<&Path>,
) -> Result<Report, Error> {
    let mut contest = Contest { nix, keep, statistics: Statistics::default(), n_differ: 0 };
    let mut programs = programs.peekable();
    while programs.peek().is_some() {
        let round: Vec<Program> = programs.by_ref().take(ROUND).collect();
        contest.judge(&round)?;
    }
    let Contest { statistics, n_differ, .. } = contest;
    let mut text = statistics.table();
    let _ = writeln!(text, "{n_differ} differences");
    Ok(Report { text, agrees: n_differ == 0 })
}

struct Contest<'c> {
    nix: &'c Nix,
    keep: Option<&'c Path>,
    statistics: Statistics,
    n_differ: usize,
}

impl Contest<'_> {
    fn judge(&mut self, round: &[Program]) -> Result<(), Error> {
        let texts: Vec<&[u8]> = round.iter().map(|program| &*program.text).collect();
        let verdicts = self.nix.judge_texts(&texts)?;
        for (program, verdict) in round.iter().zip(&verdicts) {
            let ours = Ours::judge(&program.text);
            let outcome = compare(verdict, &ours, &program.text);
            self.statistics.add(program.class, verdict, &ours, outcome);
            if let Err(difference) = outcome {
                self.n_differ += 1;
                self.keep(program)?;
                if self.n_differ <= MOST_PRINTED {
                    self.explain(program, difference)?;
                }
            }
        }
        Ok(())
    }

    fn keep(&self, program: &Program) -> Result<(), Error> {
        let Some(folder) = self.keep else { return Ok(()) };
        write(&folder.join(format!("{}-{}.nix", self.n_differ, program.class)), &program.text)
    }

    /// Prints a difference with the smallest program that shows it.
    fn explain(&self, program: &Program, difference: Difference) -> Result<(), Error> {
        let differs = |candidates: &[Vec<u8>]| self.differ(candidates, difference);
        let small = shrink(&program.text, SHRINK_BUDGET, differs)?;
        let verdict = self.nix.judge_text(&small)?;
        let ours = Ours::judge(&small);
        println!("{} ({}, from {})", difference.words(), program.class, program.origin.display());
        println!("  program: {}", excerpt(&small));
        println!("  Nix:     {verdict}");
        println!("  we:      {}", ours.summary());
        Ok(())
    }

    /// Which of `candidates` still show the difference. Nix is asked only where our own verdict
    /// allows it.
    fn differ(&self, candidates: &[Vec<u8>], difference: Difference) -> Result<Vec<bool>, Error> {
        let ours: Vec<Ours> = candidates.iter().map(|text| Ours::judge(text)).collect();
        let is_open = |ours: &Ours| match difference {
            Difference::WeAccept => ours.is_ok(),
            Difference::OtherVariable => ours.first_undefined.is_some(),
            _ => !ours.is_ok(),
        };
        let open: Vec<&Vec<u8>> = candidates
            .iter()
            .zip(&ours)
            .filter_map(|(text, o)| is_open(o).then_some(text))
            .collect();
        let mut verdicts = self.nix.judge_texts(&open)?.into_iter();
        let answers = candidates.iter().zip(&ours).map(|(text, ours)| {
            let verdict = if is_open(ours) { verdicts.next() } else { None };
            verdict.is_some_and(|verdict| compare(&verdict, ours, text) == Err(difference))
        });
        Ok(answers.collect())
    }
}

/// The program on one line; the middle of a long one is left out.
fn excerpt(text: &[u8]) -> String {
    const MOST: usize = 1500;
    if text.len() <= MOST {
        return escape(text);
    }
    let (head, tail) = (&text[..MOST / 2], &text[text.len() - MOST / 2..]);
    format!("{} [... {} bytes ...] {}", escape(head), text.len() - MOST, escape(tail))
}
