//! Runs the steps and sums up: the one command behind the CI.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::Result;
use crate::repo::{self, Repo};
use crate::steps::{self, Counts, Run, STEPS, Step, Verdict};

/// Runs the named steps, or all of them, each to its end whatever became of the one before.
///
/// Fails if a step failed, or was skipped where nobody would notice (`CI=true`). The summary says
/// so itself, since its count of tests is to be the last line of all.
/// Errors: there is no step of a given name; nothing has run.
pub(crate) fn run(repo: Repo, names: &[&str]) -> Result<ExitCode> {
    let wanted = select(names)?;
    let run = Run::new(repo);
    let mut records = Vec::new();
    for step in wanted {
        println!("\n=== {}: {}", step.name, step.proves);
        let start = Instant::now();
        let verdict = (step.run)(&run);
        let record = Record { name: step.name, verdict, took: start.elapsed() };
        println!("{}", record.line());
        records.push(record);
    }
    let summary = Summary::of(&records, repo::is_ci());
    print!("\n{}", summary.text);
    Ok(if summary.is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn select(names: &[&str]) -> Result<Vec<&'static Step>> {
    if names.is_empty() {
        return Ok(STEPS.iter().collect());
    }
    let unknown = names.iter().find(|name| STEPS.iter().all(|step| step.name != **name));
    match unknown {
        Some(name) => Err(format!("there is no step `{name}`; the steps are:\n{}", steps::list())),
        None => Ok(STEPS.iter().filter(|step| names.contains(&step.name)).collect()),
    }
}

/// A step that has run.
struct Record {
    name: &'static str,
    verdict: Verdict,
    took: Duration,
}

impl Record {
    fn line(&self) -> String {
        let (word, note) = match &self.verdict {
            Verdict::Passed(_) => ("ok", ""),
            Verdict::Failed(message, _) => ("FAILED", message.as_str()),
            Verdict::Skipped(reason) => ("skipped", reason.as_str()),
        };
        let line = format!("{:<10} {word:<8}{:>7.1} s  {note}", self.name, self.took.as_secs_f64());
        line.trim_end().to_owned()
    }

    fn counts(&self) -> Counts {
        match self.verdict {
            Verdict::Passed(counts) | Verdict::Failed(_, counts) => counts,
            Verdict::Skipped(_) => Counts::default(),
        }
    }
}

/// What is printed at the end, and what follows from it.
struct Summary {
    text: String,
    is_good: bool,
}

impl Summary {
    fn of(records: &[Record], is_ci: bool) -> Self {
        let mut lines: Vec<String> = records.iter().map(Record::line).collect();
        let named = |wanted: fn(&Verdict) -> bool| {
            let names = records.iter().filter(|record| wanted(&record.verdict));
            names.map(|record| record.name).collect::<Vec<_>>().join(", ")
        };
        let failed = named(|verdict| matches!(verdict, Verdict::Failed(..)));
        let skipped = named(|verdict| matches!(verdict, Verdict::Skipped(_)));
        if !failed.is_empty() {
            lines.push(format!("these steps failed: {failed}"));
        }
        let skip_counts = is_ci && !skipped.is_empty();
        if skip_counts {
            lines.push(format!("these steps were skipped, a failure with CI=true: {skipped}"));
        }
        let total = records.iter().map(Record::counts).fold(Counts::default(), Counts::plus);
        if total != Counts::default() {
            let Counts { passed, failed, skipped } = total;
            lines.push(format!("{passed} passed, {failed} failed, {skipped} skipped"));
        }
        let text = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
        Self { text, is_good: failed.is_empty() && !skip_counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &'static str, verdict: Verdict) -> Record {
        Record { name, verdict, took: Duration::from_millis(1_250) }
    }

    fn counts(passed: usize, failed: usize) -> Counts {
        Counts { passed, failed, skipped: 0 }
    }

    #[test]
    fn the_last_line_counts_the_tests_of_all_steps() {
        let records = [
            record("fmt", Verdict::Passed(Counts::default())),
            record("spelling", Verdict::Skipped("there is no pip".to_owned())),
            record("tests", Verdict::Failed("1 test failed".to_owned(), counts(9, 1))),
            record("doctests", Verdict::Passed(counts(3, 0))),
        ];
        let summary = Summary::of(&records, false);
        assert_eq!(
            summary.text,
            "fmt        ok          1.2 s\n\
             spelling   skipped     1.2 s  there is no pip\n\
             tests      FAILED      1.2 s  1 test failed\n\
             doctests   ok          1.2 s\n\
             these steps failed: tests\n\
             12 passed, 1 failed, 0 skipped\n"
        );
        assert!(!summary.is_good);
    }

    #[test]
    fn a_skip_fails_only_in_ci() {
        let records = [record("oracle", Verdict::Skipped("no apt".to_owned()))];
        assert!(Summary::of(&records, false).is_good);
        let in_ci = Summary::of(&records, true);
        assert!(!in_ci.is_good);
        assert!(in_ci.text.ends_with("a failure with CI=true: oracle\n"), "{}", in_ci.text);
    }

    #[test]
    fn steps_run_in_their_order_however_they_are_named() {
        let names: Vec<&str> =
            select(&["tests", "fmt"]).unwrap().iter().map(|step| step.name).collect();
        assert_eq!(names, ["fmt", "tests"]);
        assert!(select(&["fnt"]).err().unwrap().starts_with("there is no step `fnt`"));
    }
}
