//! Copies between stores, such as to a binary cache and back.
//!
//! What a record says was copied has been asked for at the destination afterwards: programs say
//! that a path is copied before the store has accepted it.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cim_nix_base::Error;

use crate::command::Invocation;
use crate::info::{PathInfo, Scope, name_of};
use crate::nix::{Control, Nix, checked, deadline};
use crate::outcome::Outcome;
use crate::programs::Tool;
use crate::progress::{Level, Progress};
use crate::text::LogTail;

/// A copy that is asked for. It takes along all that the paths refer to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Copy {
    /// The paths.
    pub paths: Vec<String>,
    /// The store that they come from, as a URL: `file:///a/b`, `https://...`, `ssh://...`; nothing
    /// for the store that is set.
    pub from: Option<String>,
    /// The store that they go to; nothing for the store that is set.
    pub to: Option<String>,
    /// The file with the secret key that signs what goes to a binary cache.
    pub secret_key: Option<PathBuf>,
    /// Whether the destination wants signatures of keys that it trusts, if it is a store with a
    /// database. Binary caches take anything.
    pub checks_signatures: bool,
    /// The most time for all of it.
    pub time_limit: Option<Duration>,
}

impl Copy {
    /// A copy from the store that is set to the one at a URL.
    #[must_use]
    pub fn to(paths: Vec<String>, to: impl Into<String>) -> Self {
        let (from, to) = (None, Some(to.into()));
        Self { paths, from, to, secret_key: None, checks_signatures: true, time_limit: None }
    }

    /// A copy from the store at a URL to the one that is set.
    #[must_use]
    pub fn from(paths: Vec<String>, from: impl Into<String>) -> Self {
        let (from, to) = (Some(from.into()), None);
        Self { paths, from, to, secret_key: None, checks_signatures: true, time_limit: None }
    }
}

/// What happened.
#[derive(Clone, PartialEq, Debug)]
pub struct CopyRecord {
    /// How it ended.
    pub outcome: Outcome,
    /// What was copied, as the destination knows it.
    pub copied: Vec<PathInfo>,
    /// How many paths were there already.
    pub n_present: u64,
    /// Paths that are not there, or of which that cannot be told; none if all went well.
    pub missing: Vec<String>,
    /// Paths of which the destination knows another hash, size or references than the source.
    pub different: Vec<String>,
    /// Bytes of the archives of what was copied.
    pub nar_bytes: u64,
    /// Bytes of these as the destination keeps them, if it is a binary cache.
    pub compressed_bytes: Option<u64>,
    /// How long it took.
    pub duration: Duration,
    /// The end of what was said.
    pub log: LogTail,
    /// What was run.
    pub invocation: Invocation,
}

/// What `nix store verify` found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verification {
    /// Whether everything is as it should be.
    pub outcome: Outcome,
    /// Paths whose files do not have the hash that the store knows.
    pub corrupted: Vec<String>,
    /// Paths without a signature of a key that is trusted.
    pub untrusted: Vec<String>,
}

/// Asks a destination about so many paths at once: a command line has an end.
const BATCH: usize = 1000;

const CLOSURE: Scope = Scope { recursive: true, closure_size: false };
const PATHS: Scope = Scope { recursive: false, closure_size: false };

impl Nix {
    /// What [`Self::copy`] would run.
    ///
    /// Errors: `nix` is missing, or the request makes no sense.
    pub fn plan_copy(&self, request: &Copy) -> Result<Invocation, Error> {
        if request.paths.is_empty() {
            return Err(Error::user("no path is to be copied"));
        }
        let words = ["copy", "--log-format", "internal-json"];
        let mut invocation = self.tool(Tool::Nix, &words)?;
        match (&request.from, &request.to) {
            (None, None) => {
                let message = "a copy needs another store to come from or to go to";
                return Err(Error::user(message).hint("such as `file:///var/cache/nix`"));
            }
            (from, to) => {
                if let Some(from) = from {
                    checked(from, "the store")?;
                    invocation = invocation.args(["--from", from]);
                }
                if let Some(to) = to {
                    checked(to, "the store")?;
                    invocation = invocation.args(["--to", &self.signing(to, request)?]);
                }
            }
        }
        if request.secret_key.is_some() && request.to.is_none() {
            return Err(Error::user("only what goes to a binary cache is signed on the way"));
        }
        if !request.checks_signatures {
            invocation = invocation.arg("--no-check-sigs");
        }
        for path in &request.paths {
            checked(path, "the path")?;
        }
        Ok(invocation.args(&request.paths))
    }

    /// Copies paths with all that they refer to, or finds that they are there already.
    ///
    /// Idempotent: what is there is not copied again.
    /// Errors: `nix` is missing, the request makes no sense, or the source lacks a path.
    pub fn copy(&self, request: &Copy, control: &mut Control<'_>) -> Result<CopyRecord, Error> {
        let start = Instant::now();
        let until = deadline(request.time_limit);
        let invocation = self.plan_copy(request)?;
        let mut record = CopyRecord {
            outcome: Outcome::Cancelled,
            copied: Vec::new(),
            n_present: 0,
            missing: Vec::new(),
            different: Vec::new(),
            nar_bytes: 0,
            compressed_bytes: None,
            duration: Duration::ZERO,
            log: LogTail::default(),
            invocation,
        };
        let from = request.from.as_deref();
        let sources = match self.infos(from, &request.paths, CLOSURE, until, control)? {
            Ok(sources) => sources.into_iter().filter_map(|(_, info)| info).collect::<Vec<_>>(),
            Err(outcome) => {
                record.missing.clone_from(&request.paths);
                return Ok(CopyRecord { outcome, duration: start.elapsed(), ..record });
            }
        };
        if let Some(path) = request.paths.iter().find(|path| !has(&sources, path)) {
            let store = name_of(from);
            return Err(Error::user(format!("the store {store} has no path `{path}`")));
        }
        let mut told = BTreeSet::new();
        let done = self.call_with(&record.invocation, until, control, &mut |progress| {
            if let Progress::Copying { path, .. } = progress {
                told.insert(path.clone());
            }
        })?;
        record.outcome = Outcome::of(done.ended, || done.reason());
        if let Err(error) = self.compare(request, &sources, &told, &mut record) {
            record.missing = sources.into_iter().map(|info| info.path).collect();
            // Why it failed is known if the program has said so.
            if record.outcome.is_done() {
                record.outcome = Outcome::Failed { code: None, reason: error.chain() };
            }
        }
        record.log = done.log;
        record.duration = start.elapsed();
        Ok(record)
    }

    /// Whether the files of paths, and of all that they refer to, have the hashes that the store
    /// knows, and if `trust` is asked for, a signature of a key that is trusted.
    ///
    /// Cost: reads every file.
    /// Errors: `nix` is missing, or a word is no path.
    pub fn verify(
        &self,
        store: Option<&str>,
        paths: &[String],
        trust: bool,
        control: &mut Control<'_>,
    ) -> Result<Verification, Error> {
        let words = ["store", "verify", "--recursive", "--log-format", "internal-json"];
        let mut invocation = self.tool(Tool::Nix, &words)?;
        if let Some(store) = store {
            checked(store, "the store")?;
            invocation = invocation.args(["--store", store]);
        }
        if !trust {
            invocation = invocation.arg("--no-trust");
        }
        for path in paths {
            checked(path, "the path")?;
        }
        let (mut corrupted, mut untrusted) = (Vec::new(), Vec::new());
        let mut note = |progress: &Progress| {
            let Progress::Message { level: Level::Error, text } = progress else { return };
            let Some((path, rest)) =
                text.strip_prefix("path '").and_then(|text| text.split_once('\''))
            else {
                return;
            };
            match rest.trim_start() {
                rest if rest.starts_with("is untrusted") => untrusted.push(path.to_owned()),
                rest if rest.starts_with("was modified") => corrupted.push(path.to_owned()),
                _ => {}
            }
        };
        let done = self.call_with(&invocation.args(paths), None, control, &mut note)?;
        let outcome = Outcome::of(done.ended, || done.reason());
        Ok(Verification { outcome, corrupted, untrusted })
    }

    /// The destination with the key that signs.
    fn signing(&self, to: &str, request: &Copy) -> Result<String, Error> {
        let Some(key) = &request.secret_key else { return Ok(to.to_owned()) };
        let key = self.path_argument(key);
        if !key.is_file() {
            let message = format!("there is no file `{}` with a secret key", key.display());
            return Err(Error::user(message)
                .hint("`nix-store --generate-binary-cache-key NAME SECRET PUBLIC` makes one"));
        }
        let sign = if to.contains('?') { '&' } else { '?' };
        Ok(format!("{to}{sign}secret-key={}", percent_encoded(&key.to_string_lossy())))
    }

    /// Asks the destination what is there now.
    fn compare(
        &self,
        request: &Copy,
        sources: &[PathInfo],
        told: &BTreeSet<String>,
        record: &mut CopyRecord,
    ) -> Result<(), Error> {
        let paths: Vec<String> = sources.iter().map(|info| info.path.clone()).collect();
        let mut there = HashMap::new();
        for batch in paths.chunks(BATCH) {
            // What is true is asked for even after a cancellation.
            for (path, info) in self.query_info(request.to.as_deref(), batch, PATHS)? {
                there.insert(path, info);
            }
        }
        for source in sources {
            let Some(Some(info)) = there.remove(&source.path) else {
                record.missing.push(source.path.clone());
                continue;
            };
            if !is_equal(source, &info) {
                record.different.push(source.path.clone());
            }
            if !told.contains(&source.path) {
                record.n_present += 1;
                continue;
            }
            record.nar_bytes += info.nar_size;
            if let Some(size) = info.download_size {
                *record.compressed_bytes.get_or_insert(0) += size;
            }
            record.copied.push(info);
        }
        let is_whole = record.missing.is_empty() && record.different.is_empty();
        if record.outcome.is_done() && !is_whole {
            let first = record.missing.iter().chain(&record.different).next();
            let path = first.map_or("", String::as_str);
            let reason = format!("the destination does not have `{path}` as the source has it");
            record.outcome = Outcome::Failed { code: None, reason };
        }
        Ok(())
    }
}

fn has(infos: &[PathInfo], path: &str) -> bool {
    infos.iter().any(|info| info.path == path)
}

/// Whether two stores know the same of a path.
fn is_equal(one: &PathInfo, other: &PathInfo) -> bool {
    let sorted = |info: &PathInfo| info.references.iter().cloned().collect::<BTreeSet<_>>();
    one.nar_hash == other.nar_hash && one.nar_size == other.nar_size && sorted(one) == sorted(other)
}

/// A path as the value of a parameter in a URL.
fn percent_encoded(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_any_name_is_a_parameter() {
        assert_eq!(percent_encoded("/a b/k&y=ü-1.sec"), "/a%20b/k%26y%3D%C3%BC-1.sec");
    }
}
