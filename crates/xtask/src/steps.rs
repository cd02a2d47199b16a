//! The steps of `cargo xtask test`, cheap to dear.
//!
//! A step runs to its end and says how it went; what follows from that for the whole run is decided
//! in `test`.

use std::process::Command;

use crate::Result;
use crate::oracle::{self, Oracle};
use crate::process::{self, Transcript};
use crate::repo::{self, Repo};
use crate::tools::{CARGO_DENY, NEXTEST, TYPOS};
use crate::{broker, codegen, operators, readers, tidy};

/// Something that must hold before a change goes in.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    /// What a failure of this step means, turned round: what it proves.
    pub(crate) proves: &'static str,
    pub(crate) run: fn(&Run) -> Verdict,
}

/// What the steps of one run share.
pub(crate) struct Run {
    pub(crate) repo: Repo,
    /// The judge of the differential tests; the first step that asks for it obtains it.
    oracle: std::cell::OnceCell<Result<Oracle>>,
    /// Where the programs are that read reports.
    readers: std::cell::OnceCell<Result<std::path::PathBuf>>,
    /// A NATS server and its clients.
    broker: std::cell::OnceCell<Result<broker::Broker>>,
    /// What operators check with, as variables for tests.
    operators: std::cell::OnceCell<Result<Vec<(&'static str, std::ffi::OsString)>>>,
}

/// How a step went.
pub(crate) enum Verdict {
    Passed(Counts),
    Failed(String, Counts),
    /// Could not run, and why.
    Skipped(String),
}

/// How many tests of each outcome a test runner reported.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Counts {
    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

pub(crate) const STEPS: &[Step] = &[
    Step { name: "fmt", proves: "rustfmt would change nothing", run: fmt },
    Step { name: "tidy", proves: "sizes, arrows, names and lists are as agreed", run: tidy_up },
    Step { name: "spelling", proves: "no word is misspelt in a known way", run: spelling },
    Step { name: "deny", proves: "dependencies have allowed licences and sources", run: deny },
    Step { name: "clippy", proves: "no lint has a finding", run: clippy },
    Step { name: "codegen", proves: "generated files are up to date", run: generated },
    Step { name: "oracle", proves: "a current Nix is here and reads our flake.nix", run: judge },
    Step { name: "readers", proves: "programs that read reports are here", run: reading },
    Step { name: "broker", proves: "a NATS server and clients by others are here", run: brokers },
    Step { name: "operators", proves: "what operators check with is here", run: operating },
    Step { name: "tests", proves: "unit, integration and differential tests pass", run: all_tests },
    Step {
        name: "library",
        proves: "the domain is a library for programs of others",
        run: library,
    },
    Step { name: "doctests", proves: "the examples in the documentation run", run: doctests },
    Step { name: "docs", proves: "the documentation builds without a dead link", run: docs },
];

/// Returns one line per step: its name and what it proves.
pub(crate) fn list() -> String {
    STEPS.iter().map(|step| format!("  {:<10}{}\n", step.name, step.proves)).collect()
}

impl Run {
    pub(crate) fn new(repo: Repo) -> Self {
        let (oracle, readers, broker, operators) = Default::default();
        Self { repo, oracle, readers, broker, operators }
    }

    fn oracle(&self) -> &Result<Oracle> {
        self.oracle.get_or_init(|| oracle::obtain(&self.repo))
    }

    fn readers(&self) -> &Result<std::path::PathBuf> {
        self.readers.get_or_init(|| readers::obtain(&self.repo))
    }

    fn broker(&self) -> &Result<broker::Broker> {
        self.broker.get_or_init(|| broker::obtain(&self.repo))
    }

    fn operators(&self) -> &Result<Vec<(&'static str, std::ffi::OsString)>> {
        self.operators.get_or_init(|| operators::obtain(&self.repo))
    }

    /// Returns a Cargo command that refuses to touch the lock file where that would be overlooked.
    fn cargo(&self, command: &str) -> Command {
        let mut cargo = self.repo.cargo();
        cargo.arg(command);
        if repo::is_ci() {
            cargo.arg("--locked");
        }
        cargo
    }
}

impl Verdict {
    fn of(result: Result<()>) -> Self {
        match result {
            Ok(()) => Self::Passed(Counts::default()),
            Err(message) => Self::Failed(message, Counts::default()),
        }
    }
}

fn fmt(run: &Run) -> Verdict {
    Verdict::of(process::run(run.repo.cargo().args(["fmt", "--all", "--check"])))
}

fn tidy_up(run: &Run) -> Verdict {
    Verdict::of(tidy::run(&run.repo))
}

fn spelling(run: &Run) -> Verdict {
    match TYPOS.obtain(&run.repo) {
        Ok(typos) => {
            let mut typos = Command::new(typos);
            Verdict::of(process::run(
                typos.args(["--format", "brief"]).current_dir(run.repo.root()),
            ))
        }
        Err(reason) => Verdict::Skipped(reason),
    }
}

fn deny(run: &Run) -> Verdict {
    match CARGO_DENY.obtain(&run.repo) {
        Ok(deny) => {
            let mut deny = Command::new(deny);
            // Advisories are left out: they change without a change of ours, and need the network.
            deny.args(["--log-level", "warn", "check", "bans", "licenses", "sources"]);
            Verdict::of(process::run(deny.current_dir(run.repo.root())))
        }
        Err(reason) => Verdict::Skipped(reason),
    }
}

fn clippy(run: &Run) -> Verdict {
    let mut clippy = run.cargo("clippy");
    clippy.args(["--workspace", "--all-targets", "--", "-D", "warnings"]);
    Verdict::of(process::run(&mut clippy))
}

fn generated(run: &Run) -> Verdict {
    Verdict::of(codegen::check(&run.repo))
}

fn judge(run: &Run) -> Verdict {
    match run.oracle() {
        Ok(oracle) => {
            println!("the judge is {} ({})", oracle.version, oracle.path.display());
            let mut parse = Command::new(&oracle.path);
            parse.arg("--parse").arg(run.repo.path("flake.nix")).env("NIX_REMOTE", "dummy://");
            Verdict::of(process::quiet(&mut parse).map(drop))
        }
        Err(reason) => Verdict::Skipped(reason.clone()),
    }
}

fn reading(run: &Run) -> Verdict {
    match run.readers() {
        Ok(_) => Verdict::Passed(Counts::default()),
        Err(reason) => Verdict::Skipped(reason.clone()),
    }
}

fn brokers(run: &Run) -> Verdict {
    match run.broker() {
        Ok(_) => Verdict::Passed(Counts::default()),
        Err(reason) => Verdict::Skipped(reason.clone()),
    }
}

fn operating(run: &Run) -> Verdict {
    match run.operators() {
        Ok(_) => Verdict::Passed(Counts::default()),
        Err(reason) => Verdict::Skipped(reason.clone()),
    }
}

/// Runs the tests with nextest, or with Cargo's own runner where nextest cannot be had.
///
/// Without a judge the differential tests pass without a comparison; that they did is the business
/// of the steps `oracle`, `readers`, `broker` and `operators`, which are then skipped.
fn all_tests(run: &Run) -> Verdict {
    let mut command = match NEXTEST.obtain(&run.repo) {
        Ok(nextest) => {
            let mut command = Command::new(nextest);
            command.args(["nextest", "run", "--workspace", "--no-tests=fail"]);
            command
        }
        Err(reason) => {
            println!("running the tests with `cargo test`: {reason}");
            let mut command = run.repo.cargo();
            command.args(["test", "--workspace", "--all-targets", "--no-fail-fast"]);
            command
        }
    };
    if repo::is_ci() {
        command.arg("--locked");
    }
    match run.oracle() {
        Ok(oracle) => {
            command.env(oracle::VARIABLE, &oracle.path);
        }
        Err(reason) => println!("nothing is compared with real Nix: {reason}"),
    }
    match run.readers() {
        Ok(folder) => {
            command.env(readers::VARIABLE, folder);
        }
        Err(reason) => println!("no reader is shown our reports: {reason}"),
    }
    match run.broker() {
        Ok(broker) => {
            command.env(broker::SERVER, &broker.server);
            command.env(broker::PYTHON, &broker.python);
            command.env(broker::SCHEMATHESIS, &broker.schemathesis);
        }
        Err(reason) => println!("no NATS server is asked: {reason}"),
    }
    match run.operators() {
        Ok(variables) => {
            command.envs(variables.iter().map(|(name, value)| (name, value)));
        }
        Err(reason) => println!("what is below `deploy/` is shown to no judge: {reason}"),
    }
    counted(command.current_dir(run.repo.root()))
}

fn doctests(run: &Run) -> Verdict {
    counted(run.cargo("test").args(["--workspace", "--doc"]))
}

/// Builds a program outside of the workspace that uses the domain alone, and shows it a message.
fn library(run: &Run) -> Verdict {
    Verdict::of(read_a_message(&run.repo))
}

fn read_a_message(repo: &Repo) -> Result<()> {
    let folder = repo.path("examples/domain-library");
    let cannot = |what: &str, error: std::io::Error| format!("cannot {what}: {error}");
    // The versions that everything else was tested with.
    std::fs::copy(repo.path("Cargo.lock"), folder.join("Cargo.lock"))
        .map_err(|error| cannot("copy Cargo.lock", error))?;
    let message = "crates/domain/fixtures/wire/events/FlakeInputAdded.minimal.json";
    let message = std::fs::File::open(repo.path(message))
        .map_err(|error| cannot(&format!("read {message}"), error))?;
    let mut cargo = repo.cargo();
    cargo.args(["run", "--quiet", "--manifest-path"]).arg(folder.join("Cargo.toml"));
    cargo.arg("--target-dir").arg(repo.target_dir().join("library"));
    cargo.args(["--", "nix.event.flake.input_added"]).stdin(message);
    let said = process::output(&mut cargo)?;
    print!("{said}");
    match said.starts_with("FlakeInputAdded: about flake-") {
        true => Ok(()),
        false => Err(format!("the message was read as `{}`", said.trim())),
    }
}

fn docs(run: &Run) -> Verdict {
    // Private items are left out: among them, a public page may link to what no reader will see.
    let mut doc = run.cargo("doc");
    doc.args(["--workspace", "--no-deps"]);
    Verdict::of(process::run(doc.env("RUSTDOCFLAGS", "-D warnings")))
}

fn counted(command: &mut Command) -> Verdict {
    match process::transcript(command) {
        Ok(Transcript { result, text }) => {
            let counts = count(&text);
            match result {
                Ok(()) => Verdict::Passed(counts),
                Err(message) => Verdict::Failed(message, counts),
            }
        }
        Err(message) => Verdict::Failed(message, Counts::default()),
    }
}

/// Reads the closing line of nextest, or adds up those of Cargo's runner, one per program.
///
/// Nextest shows the output of a failed test, which has a closing line of its own.
fn count(transcript: &str) -> Counts {
    let lines: Vec<String> = transcript.lines().map(without_colours).collect();
    let closing = |start: &str| {
        let closing = lines.iter().filter(|line| line.trim_start().starts_with(start));
        closing.map(|line| count_line(line)).reduce(Counts::plus)
    };
    closing("Summary [").or_else(|| closing("test result: ")).unwrap_or_default()
}

/// Reads each number that stands before the name of an outcome.
fn count_line(line: &str) -> Counts {
    let words: Vec<&str> =
        line.split_whitespace().map(|word| word.trim_matches([',', ';', ':', '('])).collect();
    let mut counts = Counts::default();
    for pair in words.windows(2) {
        let Ok(number) = pair[0].parse::<usize>() else { continue };
        match pair[1] {
            "passed" => counts.passed += number,
            "failed" | "timed" => counts.failed += number,
            "skipped" | "ignored" => counts.skipped += number,
            _ => {}
        }
    }
    counts
}

/// Drops the escape sequences that a runner colours its lines with.
fn without_colours(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut pieces = line.split("\u{1b}[");
    plain.extend(pieces.next());
    for piece in pieces {
        plain.push_str(piece.split_once('m').map_or(piece, |(_, rest)| rest));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(transcript: &str, passed: usize, failed: usize, skipped: usize) {
        assert_eq!(count(transcript), Counts { passed, failed, skipped });
    }

    #[test]
    fn reads_the_closing_line_of_nextest() {
        check("     Summary [   0.015s] 19 tests run: 19 passed, 0 skipped", 19, 0, 0);
        check(
            "     Summary [   1.2s] 9 tests run: 6 passed (1 slow), 3 failed, 2 skipped",
            6,
            3,
            2,
        );
        check(
            "     Summary [   9.9s] 3 tests run: 1 passed, 1 failed, 1 timed out, 0 skipped",
            1,
            2,
            0,
        );
    }

    #[test]
    fn adds_up_the_closing_lines_of_cargo() {
        let one = "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s\n";
        let other =
            "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n";
        check(&format!("{one}{other}"), 3, 1, 1);
    }

    #[test]
    fn looks_through_colours() {
        check(
            "\u{1b}[32;1m     Summary\u{1b}[0m [ 0.1s] \u{1b}[1m4\u{1b}[0m tests run: \u{1b}[1m4\u{1b}[0m passed, 0 skipped",
            4,
            0,
            0,
        );
    }

    #[test]
    fn ignores_what_tests_print() {
        check("a test says: 7 passed, 8 failed", 0, 0, 0);
        let shown = "test result: FAILED. 0 passed; 1 failed; 0 ignored\n";
        check(
            &format!("{shown}     Summary [ 1s] 2 tests run: 1 passed, 1 failed\n{shown}"),
            1,
            1,
            0,
        );
    }

    #[test]
    fn names_are_unique_and_fit_the_table() {
        for (position, step) in STEPS.iter().enumerate() {
            assert!(STEPS[..position].iter().all(|earlier| earlier.name != step.name));
            assert!(step.name.len() < 10, "{}", step.name);
        }
    }
}
