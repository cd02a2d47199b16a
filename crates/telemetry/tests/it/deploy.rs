//! What operators are given, below `deploy/`: it names nothing that is not there, and the programs
//! that will read it accept it. Each program that judges is shown something broken, too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cim_nix_service::metrics::{Kind, Metric};
use cim_nix_telemetry::declared;

mod kubernetes;
mod metrics;
mod units;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The program that judges: named by a variable, or found on `PATH`. Its absence is a failure in CI,
/// and told elsewhere.
fn judge(variable: &str, program: &str) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Some(path.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(program)).find(|it| it.is_file());
    if found.is_none() {
        let why = format!("there is no `{program}`; `{variable}` names one");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
        eprintln!("skipped: {why}");
    }
    found
}

/// Files in a folder of their own, which is removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("cim-nix-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn text(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

#[track_caller]
fn accepts(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
}

#[track_caller]
fn refuses(command: &mut Command, because: &str) {
    let output = command.output().unwrap();
    let said = text(&output);
    assert!(!output.status.success(), "accepted:\n{said}");
    assert!(said.contains(because), "{said}");
}

/// Names of our metrics in a text of PromQL, with the labels that are asked for or grouped by.
fn unknown_names(promql: &str) -> Vec<String> {
    let known: BTreeMap<&str, &Metric> = declared().map(|metric| (metric.name, metric)).collect();
    let recorded = |name: &str| name.starts_with("cim_nix:");
    let mut wrong = Vec::new();
    for name in names(promql) {
        if !recorded(&name) && metric_of(&known, &name).is_none() {
            wrong.push(name);
        }
    }
    wrong
}

/// Words that look like metrics.
fn names(promql: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    let words = promql.split(|c| !is_part(c));
    let ours = |word: &&str| {
        ["cim_nix_", "cim_nix:", "process_"].iter().any(|head| word.starts_with(head))
    };
    words.filter(ours).map(str::to_owned).collect()
}

/// The metric that a series belongs to: histograms have several.
fn metric_of<'m>(known: &BTreeMap<&str, &'m Metric>, series: &str) -> Option<&'m Metric> {
    if let Some(metric) = known.get(series) {
        return (!matches!(metric.kind, Kind::Histogram(_))).then_some(metric);
    }
    let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| series.strip_suffix(end))?;
    known.get(base).copied().filter(|metric| matches!(metric.kind, Kind::Histogram(_)))
}
