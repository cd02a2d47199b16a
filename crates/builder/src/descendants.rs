//! All processes that a process has started, as far as the system tells.
//!
//! Nix gives each builder a session of its own, so a signal to the group of `nix` does not reach
//! it. Who ends `nix` by force has to know the others beforehand: afterwards they are nobody's
//! children.

use std::collections::BTreeMap;
use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// A process among others: its number may be given to another one later, its start tells them apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Process {
    parent: u32,
    group: u32,
    session: u32,
    start: u64,
}

/// A process and what it has started so far.
#[derive(Debug)]
pub struct Family {
    root: u32,
    /// When each member was started.
    members: BTreeMap<u32, u64>,
}

impl Family {
    /// The process `root`, which has started nothing yet.
    #[must_use]
    pub fn new(root: u32) -> Self {
        Self { root, members: BTreeMap::new() }
    }

    /// Who is known to belong to it, but for the root.
    pub fn members(&self) -> impl Iterator<Item = u32> {
        self.members.keys().copied()
    }

    /// Looks who belongs to it now. Who once belonged to it stays.
    ///
    /// Where there is no `/proc`, nobody is found.
    pub fn look(&mut self) {
        let all = processes();
        loop {
            let is_member = |id: &u32| *id == self.root || self.members.contains_key(id);
            let is_new = |(id, process): &(&u32, &Process)| {
                let belongs = [process.parent, process.group, process.session];
                !is_member(id) && belongs.iter().any(is_member)
            };
            let new: Vec<(u32, u64)> =
                all.iter().filter(is_new).map(|(&id, process)| (id, process.start)).collect();
            if new.is_empty() {
                return;
            }
            self.members.extend(new);
        }
    }

    /// Ends all members that are still there, but for the root.
    pub fn kill(&mut self) {
        // Who is started while the others are ended is found by the next look.
        for _ in 0..16 {
            self.look();
            let all = processes();
            let is_left = |(id, start): &(&u32, &u64)| {
                all.get(id).is_some_and(|process| process.start == **start)
            };
            let left: Vec<u32> = self.members.iter().filter(is_left).map(|(&id, _)| id).collect();
            if left.is_empty() {
                return;
            }
            for id in left {
                if let Some(id) = i32::try_from(id).ok().and_then(Pid::from_raw) {
                    // It may have ended by itself.
                    let _ = kill_process(id, Signal::KILL);
                }
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
}

/// All living processes of the system.
fn processes() -> BTreeMap<u32, Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers
        .filter_map(|id: u32| {
            let text = fs::read(format!("/proc/{id}/stat")).ok()?;
            Some((id, parse(&String::from_utf8_lossy(&text))?))
        })
        .collect()
}

/// Reads `/proc/N/stat`; nothing for a process that has ended and is only waited for.
fn parse(text: &str) -> Option<Process> {
    // The program's name stands in parentheses and may have any character in it.
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let id = |index: usize| u32::try_from(number(index)?).ok();
    Some(Process { parent: id(1)?, group: id(2)?, session: id(3)?, start: number(19)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_of_a_process_is_read_behind_any_name() {
        let text = "2591 (a) b (c) S 2590 2500 2400 0 -1 4194560 137 0 0 0 0 0 0 0 20 0 1 0 11105 \
                    2957312 219";
        let want = Process { parent: 2590, group: 2500, session: 2400, start: 11105 };
        assert_eq!(parse(text), Some(want));
        assert_eq!(parse(&text.replace(") S", ") Z")), None);
        assert_eq!(parse(""), None);
        assert_eq!(parse("1 (a) S -1"), None);
    }
}
