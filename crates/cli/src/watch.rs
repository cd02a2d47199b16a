//! Noticing that files change, by looking again and again.
//!
//! Looking costs one listing a folder and one system call a file, works on every file system and
//! needs no watch per folder, of which large projects have more than a system grants. The pause
//! between looks grows with their cost.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How soon a change is noticed where looking is cheap.
const PACE: Duration = Duration::from_millis(300);
/// A pause is this many times as long as the look before it.
const RATIO: u32 = 12;
/// No pause is longer.
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// Editors and `git checkout` write files one after another: they are given this long.
const SETTLE: Duration = Duration::from_millis(60);
/// But not for ever.
const MAX_SETTLE: u32 = 20;

/// What tells one version of a file from another without reading it; `None` where nothing is.
type Stamp = Option<(i64, i64, u64, u64)>;

/// The files of a project with their versions, sorted by path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Versions(Vec<(PathBuf, Stamp)>);

impl Versions {
    /// Looks at `paths` now.
    pub(crate) fn of(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let stamp = |meta: Metadata| (meta.mtime(), meta.mtime_nsec(), meta.size(), meta.ino());
        let look = |path: PathBuf| {
            let found = path.metadata().ok().map(stamp);
            (path, found)
        };
        let mut all: Vec<_> = paths.into_iter().map(look).collect();
        all.sort();
        Self(all)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The paths that are new, gone or changed in `later`, sorted.
    pub(crate) fn changes<'v>(&'v self, later: &'v Self) -> Vec<&'v Path> {
        let differs = |one: &Self, entry: &(PathBuf, Stamp)| one.0.binary_search(entry).is_err();
        let gone = self.0.iter().filter(|entry| differs(later, entry));
        let new = later.0.iter().filter(|entry| differs(self, entry));
        let mut paths: Vec<&Path> = gone.chain(new).map(|(path, _)| &**path).collect();
        paths.sort();
        paths.dedup();
        paths
    }
}

/// Waits until `look` answers something other than `before` and then the same twice in a row.
pub(crate) fn wait_for_change(before: &Versions, look: impl Fn() -> Versions) -> Versions {
    let mut pause = PACE;
    loop {
        sleep(pause);
        let start = Instant::now();
        let now = look();
        if now != *before {
            return settle(now, look);
        }
        pause = (start.elapsed() * RATIO).clamp(PACE, MAX_PAUSE);
    }
}

fn settle(mut now: Versions, look: impl Fn() -> Versions) -> Versions {
    for _ in 0..MAX_SETTLE {
        sleep(SETTLE);
        let next = look();
        if next == now {
            break;
        }
        now = next;
    }
    now
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn versions(files: &[(&str, i64)]) -> Versions {
        let entry = |(path, time): &(&str, i64)| (PathBuf::from(path), Some((*time, 0, 0, 0)));
        Versions(files.iter().map(entry).collect())
    }

    #[test]
    fn new_gone_and_changed_files_are_told() {
        let before = versions(&[("a", 1), ("b", 1), ("c", 1)]);
        let after = versions(&[("a", 1), ("b", 2), ("d", 1)]);
        assert_eq!(before.changes(&after), ["b", "c", "d"].map(Path::new));
        assert!(before.changes(&before).is_empty());
    }

    #[test]
    fn a_change_is_awaited_until_it_settles() {
        let looks = Cell::new(0);
        let look = || {
            looks.set(looks.get() + 1);
            // Nothing, then three versions in a row, the last of which stays.
            versions(&[("a", [1, 2, 3, 4, 4][looks.get().min(5) - 1])])
        };
        let found = wait_for_change(&versions(&[("a", 1)]), look);
        assert_eq!((found, looks.get()), (versions(&[("a", 4)]), 5));
    }

    #[test]
    fn files_of_the_disk_have_versions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let look = || Versions::of([path.clone()]);
        let nothing = look();
        std::fs::write(&path, "1").unwrap();
        let one = look();
        std::fs::write(&path, "22").unwrap();
        assert_eq!(nothing.changes(&one), [path.as_path()]);
        assert_eq!(one.changes(&look()), [path.as_path()]);
        assert_eq!(one.len(), 1);
    }
}
