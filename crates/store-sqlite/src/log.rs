//! Gives the log its length before it is needed.
//!
//! A flush of a file that became longer has to write its length as well, which is a second write to
//! the disk and a wait for it. SQLite lets the log grow with each commit until it begins anew, and a
//! new log with the first program that opens the store. So whoever goes on writing gets zeros behind
//! the log: what is no part of it has no valid sum, and SQLite stops there as it does at the end of
//! the file. A program that writes a few events and ends pays nothing.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Commits that made the log longer before it gets more than it needs.
const PATIENCE: u32 = 8;
/// It gets as much again as it has, and at most this.
const MOST_MORE: u64 = 2 << 20;
/// What is written at once.
const BLOCK: usize = 64 << 10;

pub(crate) struct Log {
    path: PathBuf,
    /// Where it begins anew, about.
    most: u64,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// SQLite removes it when the last one closes the store, so it is the same until then.
    file: Option<File>,
    len: u64,
    n_grown: u32,
}

impl Log {
    /// The log of the store at `path`, which is taken over at `most` bytes.
    pub(crate) fn of(path: &Path, most: u64) -> Self {
        let mut name = path.as_os_str().to_owned();
        name.push("-wal");
        Self { path: name.into(), most, seen: Mutex::default() }
    }

    /// Makes it longer if it is growing. Only for who may write: then nobody else does.
    pub(crate) fn prepare(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Without it events are stored all the same.
        let _ = self.look(&mut seen);
    }

    fn look(&self, seen: &mut Seen) -> io::Result<()> {
        let mut file = match seen.file.take() {
            Some(file) => file,
            None => OpenOptions::new().write(true).open(&self.path)?,
        };
        // Asking for the metadata would be noted: the next write then changes the time of the file,
        // and the next flush writes it, which takes a third longer.
        let len = file.seek(SeekFrom::End(0))?;
        let has_grown = len > seen.len;
        seen.len = len;
        seen.n_grown += u32::from(has_grown);
        let wanted = (len + len.min(MOST_MORE)).min(self.most);
        if has_grown && seen.n_grown > PATIENCE && wanted > len {
            fill(&file, len, wanted)?;
            seen.len = wanted;
        }
        seen.file = Some(file);
        Ok(())
    }
}

fn fill(file: &File, from: u64, to: u64) -> io::Result<()> {
    let filled = (from..to).step_by(BLOCK).try_for_each(|at| {
        let len = (to - at).min(BLOCK as u64) as usize;
        file.write_all_at(&[0; BLOCK][..len], at)
    });
    if filled.is_err() {
        // What is left of the disk is for events.
        file.set_len(from)?;
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_ahead_of_who_goes_on_writing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let log = Log::of(&path, 100_000);
        let file = File::create(folder.path().join("s.db-wal")).unwrap();
        let mut lens = Vec::new();
        for n in 1..=14 {
            // A page with each commit.
            file.write_all_at(&[1; 4_096], (n - 1) * 4_096).unwrap();
            log.prepare();
            lens.push(file.metadata().unwrap().len() / 4_096);
        }
        assert_eq!(lens, [1, 2, 3, 4, 5, 6, 7, 8, 18, 18, 18, 18, 18, 18]);
        // What was written stays.
        let bytes = std::fs::read(folder.path().join("s.db-wal")).unwrap();
        assert_eq!(bytes.iter().filter(|byte| **byte == 1).count(), 14 * 4_096);
        // It began anew, or another program made a new one.
        file.set_len(0).unwrap();
        log.prepare();
        assert_eq!(file.metadata().unwrap().len(), 0);
        file.set_len(60_000).unwrap();
        log.prepare();
        assert_eq!(file.metadata().unwrap().len(), 100_000);
    }
}
