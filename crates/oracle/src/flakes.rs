//! Edits of `flake.nix` beside real Nix.
//!
//! Nix is asked what a flake declares and which outputs it gives, before and after an edit. Inputs
//! are stubs, so nothing is fetched, and a flake may fail; then it must fail in the same way
//! afterwards. What the inputs should be after an edit is computed here, from Nix's answer.

mod outputs;
mod trials;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cim_nix_base::Error;
use serde_json::{Map, Value};

use outputs::Probe;
pub use trials::Trial;

/// How long one evaluation may take.
const DEADLINE: Duration = Duration::from_secs(60);

/// The expression that calls a flake.
const CALL: &str = include_str!("flakes/call.nix");

/// What Nix says of a flake; where it fails, the last line of what it says, without places.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlakeAnswer {
    /// The value of `inputs`.
    pub inputs: Result<Value, String>,
    /// The names of the outputs, called with stubs.
    pub names: Result<Vec<String>, String>,
}

impl fmt::Display for FlakeAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.names {
            Ok(names) => write!(f, "gives {}", names.join(" "))?,
            Err(message) => write!(f, "fails with {message}")?,
        }
        match &self.inputs {
            Ok(inputs) => write!(f, ", from {inputs}"),
            Err(message) => write!(f, ", from inputs that fail with {message}"),
        }
    }
}

/// Asks Nix about flakes.
#[derive(Clone, Debug)]
pub struct FlakeJudge {
    nix: PathBuf,
    real: Option<PathBuf>,
    call: std::sync::Arc<tempfile::TempDir>,
}

impl FlakeJudge {
    /// A judge that asks the `nix-instantiate` at `nix`. Flakes below `real` stand for inputs of
    /// their names.
    ///
    /// Errors: the temporary folder cannot be written.
    pub fn new(nix: impl Into<PathBuf>, real: Option<PathBuf>) -> Result<Self, Error> {
        let call = tempfile::tempdir().map_err(unwritable)?;
        std::fs::write(call.path().join("call.nix"), CALL).map_err(unwritable)?;
        Ok(Self { nix: nix.into(), real, call: std::sync::Arc::new(call) })
    }

    /// What the flake in `folder` declares and gives.
    ///
    /// Errors: Nix cannot be started.
    pub fn ask(&self, folder: &Path) -> Result<FlakeAnswer, Error> {
        self.ask_one(folder, &Variant::of(folder))
    }

    /// Judges edits of the flake in `folder` by the texts after them. One process looks at all,
    /// where none fails.
    ///
    /// Errors: Nix cannot be started, or the texts not be written into the folder.
    pub fn judge(
        &self,
        folder: &Path,
        before: &FlakeAnswer,
        edited: &[(String, FlakeChange)],
    ) -> Result<Vec<FlakeOutcome>, Error> {
        let (of_outputs, of_inputs): (Vec<_>, Vec<_>) =
            edited.iter().enumerate().partition(|(_, (_, change))| change.is_of_outputs());
        let mut outcomes: Vec<Option<FlakeOutcome>> = vec![None; edited.len()];
        let edits: Vec<_> = of_inputs.iter().map(|(_, edit)| (*edit).clone()).collect();
        let judged = self.judge_inputs(folder, before, &edits)?;
        for ((at, _), outcome) in of_inputs.iter().zip(judged) {
            outcomes[*at] = Some(outcome);
        }
        let edits: Vec<_> = of_outputs.iter().map(|(_, edit)| (*edit).clone()).collect();
        let judged = self.judge_outputs(folder, before, &edits)?;
        for ((at, _), outcome) in of_outputs.iter().zip(judged) {
            outcomes[*at] = Some(outcome);
        }
        Ok(outcomes.into_iter().flatten().collect())
    }

    /// Judges edits of inputs.
    fn judge_inputs(
        &self,
        folder: &Path,
        before: &FlakeAnswer,
        edited: &[(String, FlakeChange)],
    ) -> Result<Vec<FlakeOutcome>, Error> {
        let mut variants = Vec::with_capacity(edited.len());
        for (at, (text, change)) in edited.iter().enumerate() {
            let file = folder.join(format!(".flake-{at}.nix"));
            std::fs::write(&file, text).map_err(unwritable)?;
            let alias = match change {
                FlakeChange::Renamed(old, new) => Some((new.clone(), old.clone())),
                _ => None,
            };
            variants.push(Variant { file, alias, probe: None });
        }
        let together = match &before.names {
            Ok(_) => self.evaluate(folder, &variants, "")?.ok(),
            Err(_) => None,
        };
        for variant in &variants {
            std::fs::remove_file(&variant.file).map_err(unwritable)?;
        }
        let mut outcomes = Vec::with_capacity(edited.len());
        for (at, (text, change)) in edited.iter().enumerate() {
            if let Some(answer) = together.as_ref().and_then(|all| all.get(at)) {
                let outcome = change.judge(before, &given(answer));
                if !matches!(outcome, FlakeOutcome::Different(_)) {
                    outcomes.push(outcome);
                    continue;
                }
            }
            // A flake may read its own folder, so that only one text lies there.
            let variant = &variants[at];
            std::fs::write(&variant.file, text).map_err(unwritable)?;
            outcomes.push(change.judge(before, &self.ask_one(folder, variant)?));
            std::fs::remove_file(&variant.file).map_err(unwritable)?;
        }
        Ok(outcomes)
    }

    fn ask_one(&self, folder: &Path, variant: &Variant) -> Result<FlakeAnswer, Error> {
        let one = std::slice::from_ref(variant);
        let first = |all: Vec<Value>| all.into_iter().next().unwrap_or_default();
        Ok(match self.evaluate(folder, one, "")?.map(first) {
            Ok(value) => given(&value),
            Err(failure) => FlakeAnswer {
                inputs: self.evaluate(folder, one, ".inputs")?.map(first),
                names: Err(failure),
            },
        })
    }

    /// Calls flakes, and takes a part of each answer.
    fn evaluate(
        &self,
        folder: &Path,
        variants: &[Variant],
        part: &str,
    ) -> Result<Result<Vec<Value>, String>, Error> {
        let call = nix_path(&self.call.path().join("call.nix"));
        let real = self.real.as_ref().map_or("null".to_owned(), |path| nix_path(path));
        let mut expression = format!("let call = import {call}; in [");
        for Variant { file, alias, probe } in variants {
            let probe = probe.as_ref().map_or("null".to_owned(), Probe::to_nix);
            let alias =
                alias.as_ref().map_or(String::new(), |(n, o)| format!("\"{n}\" = \"{o}\";"));
            expression.push_str(&format!(
                " (call {{ file = {}; folder = {}; real = {real}; aliases = {{ {alias} }}; probe = {probe}; }}){part}",
                nix_path(file),
                nix_path(folder),
            ));
        }
        expression.push_str(" ]");
        let mut child = Command::new(&self.nix)
            .args(["--eval", "--strict", "--json", "-E", &expression])
            .env("NIX_REMOTE", "dummy://")
            .env("NIX_CONFIG", "extra-experimental-features = nix-command flakes pipe-operators")
            .env("NIX_PATH", "")
            .env("NO_COLOR", "1")
            .env("HOME", self.call.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|cause| {
                Error::outside(format!("cannot run `{}`", self.nix.display())).because(cause)
            })?;
        let (out, err) = (reader(child.stdout.take()), reader(child.stderr.take()));
        let start = Instant::now();
        let status = loop {
            match child.try_wait().map_err(unwritable)? {
                Some(status) => break Some(status),
                None if start.elapsed() > DEADLINE => {
                    // It may have ended by itself just now.
                    let _ = child.kill();
                    let _ = child.wait();
                    break None;
                }
                None => std::thread::sleep(Duration::from_millis(4)),
            }
        };
        let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
        match status {
            None => Ok(Err("it takes too long".to_owned())),
            Some(status) if status.success() => {
                Ok(serde_json::from_str(&out).map_err(|error| error.to_string()))
            }
            Some(_) => Ok(Err(failure(&err))),
        }
    }
}

/// A text that stands for the flake in a folder.
struct Variant {
    file: PathBuf,
    /// The input of the first name gets what the second would get.
    alias: Option<(String, String)>,
    /// What is asked of the outputs.
    probe: Option<Probe>,
}

impl Variant {
    fn of(folder: &Path) -> Self {
        Self { file: folder.join("flake.nix"), alias: None, probe: None }
    }
}

fn given(value: &Value) -> FlakeAnswer {
    let names = value["names"].as_array().into_iter().flatten();
    let names = names.filter_map(|name| Some(name.as_str()?.to_owned())).collect();
    FlakeAnswer { inputs: Ok(value["inputs"].clone()), names: Ok(names) }
}

fn reader(from: Option<impl std::io::Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What could not be read is missing in the answer, which then differs.
        let _ = from.map(|mut from| from.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn unwritable(cause: std::io::Error) -> Error {
    Error::outside("cannot ask Nix about a flake").because(cause)
}

/// A path as an expression.
fn nix_path(path: &Path) -> String {
    let text = path.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"");
    format!("(/. + \"{}\")", text.replace("${", "\\${"))
}

/// The last error that Nix tells, on one line and without places.
fn failure(said: &str) -> String {
    let last = said.rfind("error: ").map_or(said, |at| &said[at..]);
    let is_message = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("at ");
    let lines: Vec<&str> = last.lines().map(str::trim).take_while(is_message).collect();
    let message = lines.join(" ");
    let mut out = String::new();
    for word in message.split(' ') {
        // Files are named with the line and column.
        let is_place = word.contains('/') && word.rsplit(':').next().is_some_and(is_number);
        out.push_str(if is_place { "…" } else { word });
        out.push(' ');
    }
    out.trim_end().to_owned()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What an edit is meant to change.
#[derive(Clone, Debug)]
pub enum FlakeChange {
    /// The inputs have one more.
    Added(String, Value),
    /// An input is gone, and what followed it.
    Removed(String),
    /// An input has another name, the second.
    Renamed(String, String),
    /// An input has another URL.
    Retargeted(String, String),
    /// An input follows another one; the names that lead to both.
    Follows(Vec<String>, String),
    /// The outputs have one attribute more.
    Output {
        /// The names that lead to it, the system left out if it is there for each.
        path: Vec<String>,
        /// Whether it is there for each system.
        for_each: bool,
    },
    /// What is there for each system is there for one more.
    System(String),
}

/// How two answers compare.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FlakeOutcome {
    /// The same outputs, and the inputs that were asked for.
    Same,
    /// The same failure, twice.
    SameFailure,
    /// The flake gives its inputs as outputs, so that its outputs change as they do.
    Mirrored,
    /// The same outputs; the new one lies where evaluation fails for want of real inputs, before and
    /// after.
    Unseen,
    /// Something else, and what.
    Different(String),
}

impl FlakeChange {
    /// Compares what Nix says before and after the edit.
    #[must_use]
    pub fn judge(&self, before: &FlakeAnswer, after: &FlakeAnswer) -> FlakeOutcome {
        let inputs = match (&before.inputs, &after.inputs) {
            (Ok(old), Ok(new)) => {
                let mut wanted = old.clone();
                self.make(&mut wanted);
                let (wanted, new) = (normal(&wanted), normal(new));
                (wanted != new).then(|| format!("wanted the inputs {wanted}, got {new}"))
            }
            _ => Some(format!("{before}; then it {after}")),
        };
        if let Some(difference) = inputs {
            return FlakeOutcome::Different(difference);
        }
        // A failure may tell the name of an input.
        let told = |message: &String| match self {
            Self::Renamed(old, new) => message.replace(new, old),
            _ => message.clone(),
        };
        match (&before.names, &after.names) {
            (Ok(old), Ok(new)) if self.given(old) == *new => FlakeOutcome::Same,
            (Ok(old), Ok(new)) if !self.is_of_outputs() && self.mirrored(old) == *new => {
                FlakeOutcome::Mirrored
            }
            (Err(old), Err(new)) if *old == told(new) => FlakeOutcome::SameFailure,
            _ => FlakeOutcome::Different(format!("{before}; then it {after}")),
        }
    }

    /// Whether it is about what the flake gives.
    fn is_of_outputs(&self) -> bool {
        matches!(self, Self::Output { .. } | Self::System(_))
    }

    /// The names of the outputs after the change.
    fn given(&self, names: &[String]) -> Vec<String> {
        let mut names = names.to_vec();
        if let Self::Output { path, .. } = self
            && let Some(first) = path.first()
            && !names.contains(first)
        {
            names.push(first.clone());
            names.sort();
        }
        names
    }

    /// The names of outputs that are the inputs, after the change.
    fn mirrored(&self, names: &[String]) -> Vec<String> {
        let mut names = names.to_vec();
        match self {
            Self::Added(name, _) => names.push(name.clone()),
            Self::Removed(name) => names.retain(|other| other != name),
            Self::Renamed(old, new) => {
                names.retain(|other| other != old);
                names.push(new.clone());
            }
            _ => {}
        }
        names.sort();
        names
    }

    /// Makes the change of the declared inputs.
    fn make(&self, inputs: &mut Value) {
        if !inputs.is_object() {
            *inputs = Value::Object(Map::new());
        }
        let Value::Object(all) = inputs else { return };
        match self {
            Self::Added(name, input) => {
                all.insert(name.clone(), input.clone());
            }
            Self::Removed(name) => {
                all.remove(name);
                for input in all.values_mut() {
                    refollow(input, name, None);
                }
            }
            Self::Renamed(old, new) => {
                if let Some(input) = all.remove(old) {
                    all.insert(new.clone(), input);
                }
                for input in all.values_mut() {
                    refollow(input, old, Some(new));
                }
            }
            Self::Retargeted(name, url) => {
                if let Some(Value::Object(input)) = all.get_mut(name) {
                    input.retain(|attr, _| matches!(attr.as_str(), "inputs" | "flake"));
                    input.insert("url".to_owned(), Value::String(url.clone()));
                }
            }
            Self::Follows(path, target) => {
                let mut at = all;
                for (depth, name) in path.iter().enumerate() {
                    if depth > 0 {
                        let inner = at.entry("inputs").or_insert_with(|| Value::Object(Map::new()));
                        let Value::Object(inner) = inner else { return };
                        at = inner;
                    }
                    let next = at.entry(name).or_insert_with(|| Value::Object(Map::new()));
                    let Value::Object(next) = next else { return };
                    at = next;
                }
                at.retain(|attr, _| matches!(attr.as_str(), "inputs" | "flake"));
                at.insert("follows".to_owned(), Value::String(target.clone()));
            }
            Self::Output { .. } | Self::System(_) => {}
        }
    }
}

/// Lets what follows `old` follow `new`, or nothing.
fn refollow(input: &mut Value, old: &str, new: Option<&String>) {
    let Value::Object(input) = input else { return };
    if let Some(Value::String(path)) = input.get("follows").cloned() {
        let mut names = path.split('/').filter(|name| !name.is_empty());
        if names.next() == Some(old) {
            let rest: Vec<&str> = names.collect();
            match new {
                Some(new) => {
                    let path = std::iter::once(new.as_str()).chain(rest).collect::<Vec<_>>();
                    input.insert("follows".to_owned(), Value::String(path.join("/")));
                }
                None => {
                    input.remove("follows");
                }
            }
        }
    }
    if let Some(Value::Object(inner)) = input.get_mut("inputs") {
        for input in inner.values_mut() {
            refollow(input, old, new);
        }
    }
}

/// Inputs without the empty sets in them, which say nothing.
fn normal(value: &Value) -> Value {
    let Value::Object(all) = value else { return value.clone() };
    let inner = all.iter().map(|(name, value)| (name.clone(), normal(value)));
    let is_said =
        |(_, value): &(String, Value)| value.as_object().is_none_or(|all| !all.is_empty());
    Value::Object(inner.filter(is_said).collect())
}

/// A copy of a folder made of links, in which files can lie beside those of the folder. What lies
/// above it, up to `root`, is there, too. Its `flake.nix` is a file, since Nix follows links to where
/// relative paths mean something else.
///
/// Errors: a folder cannot be read, or the copy cannot be written.
pub fn linked(root: &Path, folder: &Path, to: &Path) -> Result<PathBuf, Error> {
    let (mut source, mut target) = (root.to_owned(), to.to_owned());
    let below = folder.strip_prefix(root).unwrap_or(Path::new(""));
    std::fs::create_dir_all(&target).map_err(unwritable)?;
    for name in below.components() {
        link_all(&source, &target, name.as_os_str())?;
        source.push(name);
        target.push(name);
        std::fs::create_dir(&target).map_err(unwritable)?;
    }
    link_all(&source, &target, "flake.nix".as_ref())?;
    std::fs::copy(source.join("flake.nix"), target.join("flake.nix")).map_err(unwritable)?;
    Ok(target)
}

fn link_all(from: &Path, to: &Path, except: &std::ffi::OsStr) -> Result<(), Error> {
    for entry in std::fs::read_dir(from).map_err(unwritable)? {
        let name = entry.map_err(unwritable)?.file_name();
        if name != *except {
            std::os::unix::fs::symlink(from.join(&name), to.join(&name)).map_err(unwritable)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
