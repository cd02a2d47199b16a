//! An earlier report as the baseline.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use cim_nix_base::{Code, Error};
use serde::Deserialize;

use crate::scope::{here, shown};

/// What an earlier run found.
#[derive(Debug)]
pub(crate) struct ReportFile {
    /// By file and fingerprint.
    findings: HashMap<(PathBuf, String), Code>,
}

#[derive(Deserialize)]
struct Report {
    version: u32,
    findings: Vec<Finding>,
}

#[derive(Deserialize)]
struct Finding {
    path: PathBuf,
    code: String,
    fingerprint: String,
}

/// Whether the first line is a finding or a summary of its own.
fn is_lines(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let first: Option<serde_json::Value> =
        lines.next().and_then(|line| serde_json::from_slice(line).ok());
    let is_part = |value: serde_json::Value| {
        value.get("findings").is_none()
            && ["fingerprint", "summary"].iter().any(|key| value.get(key).is_some())
    };
    first.is_some_and(is_part)
}

impl ReportFile {
    /// Reads what `cim-nix check --format json` wrote from the same folder.
    ///
    /// Errors: it is no such report.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let name = shown(&here().join(path));
        let bytes = fs::read(path)
            .map_err(|error| Error::user(format!("cannot read `{name}`")).because(error))?;
        let hint = "write one with `cim-nix check --format json --output FILE.json`";
        let report: Report = serde_json::from_slice(&bytes).map_err(|error| {
            if is_lines(&bytes) {
                return Error::user(format!("`{name}` is JSON lines, which are no baseline"))
                    .hint(hint);
            }
            Error::user(format!("`{name}` is no report of cim-nix")).because(error).hint(hint)
        })?;
        if report.version != 1 {
            let version = report.version;
            return Err(Error::user(format!("`{name}` is of the unknown version {version}")));
        }
        let key = |found: Finding| {
            // A rule that is no more finds nothing, either.
            let code = cim_nix_analysis::find(&found.code)?.code;
            Some(((here().join(found.path), found.fingerprint), code))
        };
        Ok(Self { findings: report.findings.into_iter().filter_map(key).collect() })
    }

    /// Whether the report has this finding; it then has it no more.
    pub(super) fn take(&mut self, path: &Path, print: &str) -> bool {
        self.findings.remove(&(path.to_path_buf(), print.to_owned())).is_some()
    }

    /// The rules of what was not taken, in order.
    pub(super) fn left(self) -> impl Iterator<Item = Code> {
        let sorted: BTreeMap<(PathBuf, String), Code> = self.findings.into_iter().collect();
        sorted.into_values()
    }
}
