//! Asks real Nix about many expressions.
//!
//! A process start costs more than most expressions. So one `nix repl` gets the whole batch, goes
//! on behind failures and shows their reports; then one `nix-instantiate --eval --strict` prints
//! the values of those that have one. What differs from ours afterwards is asked again in a process
//! of its own, since in a shared one the names that it has met decide about some orders.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use cim_nix_base::Error;

use super::answer::{Answer, Failure, Outcome};
use super::world::{self, FEATURES, FOLDER, HOME, ROOT, VARIABLES};

/// How often Nix has called each builtin.
pub type Calls = BTreeMap<String, u64>;

/// Settings with which nothing waits for the network.
const NO_NETWORK: &str = "warn-dirty = false\nflake-registry =\nsubstitute = false\n\
    download-attempts = 1\nconnect-timeout = 1\nfallback = false";

/// How long a batch may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A real Nix.
pub struct Judge {
    /// `nix-instantiate`.
    program: PathBuf,
    /// `nix`, beside it.
    repl: PathBuf,
    /// The calls that were counted so far.
    pub calls: Calls,
}

impl Judge {
    /// The Nix whose `nix-instantiate` this is; `nix` must lie beside it.
    ///
    /// Errors: it does not.
    pub fn new(program: PathBuf) -> Result<Self, Error> {
        let repl = program.with_file_name("nix");
        if !repl.exists() {
            return Err(Error::user(format!("there is no {}", repl.display()))
                .hint("name the `nix-instantiate` that `cargo xtask oracle` prints"));
        }
        Ok(Self { program, repl, calls: Calls::new() })
    }

    fn command(program: &Path) -> Command {
        let mut command = Command::new(program);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().envs(VARIABLES.iter().copied()).env("PATH", path);
        command
            .env("HOME", HOME)
            .env("TERM", "dumb")
            .env("NIX_REMOTE", "dummy://?read-only=false")
            .env("NIX_PATH", format!("w={FOLDER}"))
            .env("NIX_CONFIG", format!("experimental-features = {FEATURES}\n{NO_NETWORK}"))
            .env("NIX_USER_CONF_FILES", "")
            .env("NIX_SHOW_STATS", "1")
            .env("NIX_COUNT_CALLS", "1")
            .current_dir(ROOT)
            .stdin(Stdio::null());
        command
    }

    /// The answers to the expressions in some slots.
    ///
    /// Errors: Nix cannot be started.
    pub fn answers(&mut self, slots: &[usize]) -> Result<Vec<Answer>, Error> {
        let mut answers = Vec::with_capacity(slots.len());
        while answers.len() < slots.len() {
            let rest = &slots[answers.len()..];
            answers.extend(self.reports(rest)?);
        }
        let is_good = |answer: &Answer| matches!(answer.outcome, Outcome::Value(_));
        let good: Vec<usize> = (0..slots.len()).filter(|&at| is_good(&answers[at])).collect();
        let good_slots: Vec<usize> = good.iter().map(|&at| slots[at]).collect();
        for (at, outcome) in good.into_iter().zip(self.values(&good_slots)?) {
            answers[at].outcome = outcome;
        }
        Ok(answers)
    }

    /// Failures, and values that are not known yet, of the first or all of some slots.
    fn reports(&mut self, slots: &[usize]) -> Result<Vec<Answer>, Error> {
        let own = |name: &str| Path::new(ROOT).join(format!("{name}-{}", std::process::id()));
        let (input, said) = (own("input"), own("said"));
        let lines = slots.iter().map(|&slot| {
            let path = world::path_of(slot);
            let value = format!("builtins.deepSeq (import {}) 0", path.display());
            format!("builtins.trace \"{MARK}{slot}\" (builtins.seq ({value}) 0)\n")
        });
        let end = format!("builtins.trace \"{MARK}end\" 0\n");
        let text: String = lines.chain([end]).collect();
        let failed = |error| Error::outside(format!("cannot work in {ROOT}")).because(error);
        fs::write(&input, text).map_err(failed)?;
        let stderr = File::create(&said).map_err(failed)?;
        let stdin = File::open(&input).map_err(failed)?;
        let mut child = Self::command(&self.repl)
            .arg("repl")
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .map_err(|error| unstartable(&self.repl, error))?;
        let start = Instant::now();
        let ended = loop {
            match child.try_wait().map_err(failed)? {
                Some(status) => break format!("Nix ended with {status}"),
                None if start.elapsed() > PATIENCE => {
                    child.kill().and_then(|()| child.wait()).map_err(failed)?;
                    break "Nix took too long".to_owned();
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        let bytes = fs::read(&said).map_err(failed)?;
        fs::remove_file(&said).and_then(|()| fs::remove_file(&input)).map_err(failed)?;
        let said = String::from_utf8_lossy(&bytes).into_owned();
        let mark = format!("trace: {MARK}");
        let mut blocks = said.split(mark.as_str()).skip(1);
        let mut answers = Vec::new();
        for _ in slots {
            let Some(block) = blocks.next() else { break };
            answers.push(read_block(block.split_once('\n').map_or("", |(_, rest)| rest)));
        }
        match blocks.next() {
            Some(end) => self.count(end, slots.len()),
            None => {
                // The last one to begin did not end.
                answers.pop();
                answers.push(Answer { outcome: Outcome::Lost(ended), notes: String::new() });
            }
        }
        Ok(answers)
    }

    /// Reads the table of calls; what asking took is left out.
    fn count(&mut self, statistics: &str, n: usize) {
        let Some((_, calls)) = statistics.split_once("\"primops\": {") else { return };
        for line in calls.lines().map_while(|line| (line.trim() != "},").then_some(line)) {
            let Some((name, count)) = line.trim().trim_end_matches(',').split_once(": ") else {
                continue;
            };
            let name = name.trim_matches('"').trim_start_matches("__");
            let own = match name {
                "trace" => n as u64 + 1,
                "seq" | "deepSeq" | "import" => n as u64,
                _ => 0,
            };
            let count = count.parse::<u64>().unwrap_or(0).saturating_sub(own);
            *self.calls.entry(name.to_owned()).or_default() += count;
        }
    }

    /// The values of expressions that have one.
    fn values(&self, slots: &[usize]) -> Result<Vec<Outcome>, Error> {
        let mut outcomes: Vec<Outcome> = Vec::with_capacity(slots.len());
        while outcomes.len() < slots.len() {
            let rest = &slots[outcomes.len()..];
            let output = self.instantiate(rest)?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            outcomes.extend(text.lines().map(|line| Outcome::Value(line.to_owned())));
            if outcomes.len() < slots.len() {
                outcomes.push(self.answer_alone(slots[outcomes.len()])?.outcome);
            }
        }
        Ok(outcomes)
    }

    fn instantiate(&self, slots: &[usize]) -> Result<Output, Error> {
        let mut command = Self::command(&self.program);
        command.args(["--eval", "--strict"]).args(slots.iter().map(|&slot| world::path_of(slot)));
        command.output().map_err(|error| unstartable(&self.program, error))
    }

    /// The answer to one expression, from a process that saw no other one.
    ///
    /// Errors: Nix cannot be started.
    pub fn answer_alone(&self, slot: usize) -> Result<Answer, Error> {
        let mut command = Self::command(&self.program);
        command.env_remove("NIX_SHOW_STATS").args(["--eval", "--strict"]);
        command.arg(world::path_of(slot));
        let output = command.output().map_err(|error| unstartable(&self.program, error))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let mut answer = read_block(&said);
        if output.status.success() {
            let text = String::from_utf8_lossy(&output.stdout);
            answer.outcome = Outcome::Value(text.strip_suffix('\n').unwrap_or(&text).to_owned());
        } else if !matches!(answer.outcome, Outcome::Failure(_)) {
            answer.outcome = Outcome::Lost(format!("Nix ended with {}", output.status));
        }
        Ok(answer)
    }
}

/// Stands before what belongs to one expression.
const MARK: &str = "@@";

fn unstartable(program: &Path, error: std::io::Error) -> Error {
    Error::outside(format!("cannot start `{}`", program.display())).because(error)
}

/// What was said of one expression: notes, and maybe the report of an error.
fn read_block(block: &str) -> Answer {
    let starts_error = |line: &str| line == "error:" || line.starts_with("error: ");
    let mut at = 0;
    for line in block.split_inclusive('\n') {
        if starts_error(line.trim_end()) {
            break;
        }
        at += line.len();
    }
    let (notes, report) = block.split_at(at);
    let outcome = match Failure::read(report) {
        Some(failure) => Outcome::Failure(failure),
        None => Outcome::Value(String::new()),
    };
    Answer { outcome, notes: notes.to_owned() }
}
