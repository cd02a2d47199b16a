//! Garbage collection: what nobody refers to any more goes, maybe old generations first.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use cim_nix_base::Error;

use crate::command::Invocation;
use crate::nix::{Control, Nix, deadline};
use crate::outcome::Outcome;
use crate::programs::Tool;
use crate::progress::Progress;
use crate::text::LogTail;

/// Which generations of profiles are deleted first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Old {
    /// None.
    Keep,
    /// Those that have not been current for so many days.
    OlderThan {
        /// The days.
        days: u32,
    },
    /// All but the current ones.
    All,
}

/// A garbage collection that is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Collect {
    /// Which generations are deleted first, of all profiles that Nix knows.
    pub old: Old,
    /// The most time for it.
    pub time_limit: Option<Duration>,
}

/// A path that has gone, or would go.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DeadPath {
    /// The path.
    pub path: String,
    /// Bytes of its archive; nothing for what was never whole, and if Nix would not tell.
    pub nar_size: Option<u64>,
}

/// A generation that was deleted, or would be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeadGeneration {
    /// The profile.
    pub profile: String,
    /// The number of the generation.
    pub number: u64,
}

/// What happened, or would.
#[derive(Clone, PartialEq, Debug)]
pub struct GarbageRecord {
    /// How it ended.
    pub outcome: Outcome,
    /// What was removed, before it ended in whatever way. In a rehearsal: what is dead now, without
    /// what would be dead once old generations are deleted.
    pub removed: Vec<DeadPath>,
    /// Bytes that Nix says it freed on the disk, as exact as it says; nothing in a rehearsal, and
    /// if it did not come to an end.
    pub freed_bytes: Option<u64>,
    /// Bytes of the archives of what was removed: exact, but not what a disk needs for it.
    pub nar_bytes: u64,
    /// Generations that were deleted.
    pub generations: Vec<DeadGeneration>,
    /// How long it took.
    pub duration: Duration,
    /// The end of what was said.
    pub log: LogTail,
    /// What was run.
    pub invocations: Vec<Invocation>,
}

impl GarbageRecord {
    /// Bytes that Nix says it freed, or else those of the archives.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.freed_bytes.unwrap_or(self.nar_bytes)
    }
}

impl Nix {
    /// What [`Self::collect_garbage`] would run.
    ///
    /// Errors: a program is missing.
    pub fn plan_collect(&self, request: &Collect) -> Result<Invocation, Error> {
        let json_log = ["--log-format", "internal-json"];
        match request.old {
            Old::Keep => Ok(self.tool(Tool::NixStore, &["--gc"])?.args(json_log)),
            Old::OlderThan { days } => {
                let invocation = self.tool(Tool::NixCollectGarbage, &json_log)?;
                Ok(invocation.arg("--delete-older-than").arg(format!("{days}d")))
            }
            Old::All => Ok(self.tool(Tool::NixCollectGarbage, &json_log)?.arg("--delete-old")),
        }
    }

    /// Collects garbage.
    ///
    /// Errors: a program is missing or cannot be started. What fails on the way is a record.
    pub fn collect_garbage(
        &self,
        request: &Collect,
        control: &mut Control<'_>,
    ) -> Result<GarbageRecord, Error> {
        let start = Instant::now();
        let invocation = self.plan_collect(request)?;
        // Afterwards nobody knows how large they were.
        let sizes = self.sizes();
        let mut heap = Heap::default();
        let until = deadline(request.time_limit);
        let done =
            self.call_with(&invocation, until, control, &mut |progress| heap.note(progress))?;
        let lines = done.output.lines().chain(done.log.lines.iter().map(String::as_str));
        let freed_bytes = lines.rev().find_map(freed);
        let removed: Vec<DeadPath> =
            heap.paths.into_iter().map(|path| with_size(path, &sizes)).collect();
        Ok(GarbageRecord {
            outcome: Outcome::of(done.ended, || done.reason()),
            nar_bytes: removed.iter().filter_map(|dead| dead.nar_size).sum(),
            removed,
            freed_bytes,
            generations: heap.generations,
            duration: start.elapsed(),
            log: done.log,
            invocations: vec![invocation],
        })
    }

    /// What is dead now, and which generations would be deleted. Nothing is removed.
    ///
    /// Errors: a program is missing or cannot be started.
    pub fn rehearse_collection(
        &self,
        request: &Collect,
        control: &mut Control<'_>,
    ) -> Result<GarbageRecord, Error> {
        let start = Instant::now();
        let until = deadline(request.time_limit);
        let mut heap = Heap::default();
        let mut invocations = Vec::new();
        if request.old != Old::Keep {
            let rehearsal = self.plan_collect(request)?.arg("--dry-run");
            let done =
                self.call_with(&rehearsal, until, control, &mut |progress| heap.note(progress))?;
            invocations.push(rehearsal);
            if !done.ended.is_success() {
                let outcome = Outcome::of(done.ended, || done.reason());
                return Ok(rehearsed(outcome, Vec::new(), heap, start, done.log, invocations));
            }
        }
        let words = ["--gc", "--print-dead", "--log-format", "internal-json"];
        let dead = self.tool(Tool::NixStore, &words)?;
        let done = self.call(&dead, until, control)?;
        invocations.push(dead);
        let sizes = self.sizes();
        let paths = done.output.lines().filter(|line| line.starts_with('/'));
        let removed = paths.map(|path| with_size(path.to_owned(), &sizes)).collect();
        let outcome = Outcome::of(done.ended, || done.reason());
        Ok(rehearsed(outcome, removed, heap, start, done.log, invocations))
    }

    /// Bytes of the archives of all paths of the store; nothing if Nix will not tell.
    fn sizes(&self) -> HashMap<String, u64> {
        let Ok(invocation) = self.tool(Tool::Nix, &["path-info", "--all", "--size"]) else {
            return HashMap::new();
        };
        let answer = self.ask(&invocation, "ask for the sizes of all paths").unwrap_or_default();
        let size = |line: &str| {
            let mut words = line.split_whitespace();
            let path = words.next()?.to_owned();
            Some((path, words.next()?.parse().ok()?))
        };
        answer.lines().filter_map(size).collect()
    }
}

fn with_size(path: String, sizes: &HashMap<String, u64>) -> DeadPath {
    DeadPath { nar_size: sizes.get(&path).copied(), path }
}

fn rehearsed(
    outcome: Outcome,
    removed: Vec<DeadPath>,
    heap: Heap,
    start: Instant,
    log: LogTail,
    invocations: Vec<Invocation>,
) -> GarbageRecord {
    GarbageRecord {
        outcome,
        nar_bytes: removed.iter().filter_map(|dead| dead.nar_size).sum(),
        removed,
        freed_bytes: None,
        generations: heap.generations,
        duration: start.elapsed(),
        log,
        invocations,
    }
}

/// What goes, as it is told.
#[derive(Default)]
struct Heap {
    paths: Vec<String>,
    generations: Vec<DeadGeneration>,
    /// The profile whose generations are told now.
    profile: String,
}

impl Heap {
    fn note(&mut self, progress: &Progress) {
        let text = match progress {
            Progress::Deleting { path } => return self.paths.push(path.clone()),
            Progress::Message { text, .. } | Progress::Log { line: text, .. } => text,
            _ => return,
        };
        if let Some(profile) = text.strip_prefix("removing old generations of profile ") {
            profile.trim_matches(['\'', '"']).clone_into(&mut self.profile);
        }
        let number = ["removing profile version ", "would remove profile version "]
            .iter()
            .find_map(|words| text.strip_prefix(words)?.trim().parse().ok());
        if let Some(number) = number {
            let profile = self.profile.clone();
            self.generations.push(DeadGeneration { profile, number });
        }
    }
}

/// The bytes in `11 store paths deleted, 2.0 KiB freed`.
fn freed(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once(" store paths deleted, ")?;
    let (number, unit) = rest.strip_suffix(" freed")?.split_once(' ')?;
    let number: f64 = number.parse().ok()?;
    let power = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
        .iter()
        .position(|name| *name == unit || (*name == "B" && unit == "bytes"))?;
    let bytes = number * 1024_f64.powi(i32::try_from(power).ok()?);
    // What is negative or beyond all disks becomes the nearest number.
    Some(bytes.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freed_bytes_are_read_in_any_unit() {
        assert_eq!(freed("11 store paths deleted, 0.00 MiB freed"), Some(0));
        assert_eq!(freed("1 store paths deleted, 1.50 MiB freed"), Some(1_572_864));
        assert_eq!(freed("11 store paths deleted, 2.0 KiB freed"), Some(2048));
        assert_eq!(freed("11 store paths deleted, -0.50 MiB freed"), Some(0));
        assert_eq!(freed("11 store paths deleted, much freed"), None);
        assert_eq!(freed("deleting garbage..."), None);
    }

    #[test]
    fn generations_are_those_of_the_profile_that_was_named_last() {
        let mut heap = Heap::default();
        for text in [
            "removing old generations of profile /a/p",
            "removing profile version 1",
            "removing old generations of profile '/a/q'",
            "would remove profile version 12",
            "removing profile version x",
        ] {
            let (derivation, line) = (None, text.to_owned());
            heap.note(&Progress::Log { derivation, line });
        }
        let shown: Vec<String> = heap
            .generations
            .iter()
            .map(|dead| format!("{} {}", dead.profile, dead.number))
            .collect();
        assert_eq!(shown, ["/a/p 1", "/a/q 12"]);
    }
}
