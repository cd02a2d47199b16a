//! Clock and ids of this machine, and who uses it.

use std::collections::BTreeMap;
use std::fs;
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use cim_domain_nix::{Timestamp, Uuid};
use cim_nix_app::World;

/// This machine, for what somebody does with a program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Machine {
    actor: String,
    program: String,
}

impl Machine {
    /// For what `actor` does with `program`, such as `cim-nix 1.2.3`.
    pub fn new(actor: impl Into<String>, program: impl Into<String>) -> Self {
        Self { actor: actor.into(), program: program.into() }
    }

    /// Who runs this process, where nobody says otherwise.
    #[must_use]
    pub fn user() -> String {
        format!("uid {}", rustix::process::getuid().as_raw())
    }
}

/// The present moment.
fn now() -> Timestamp {
    let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
    };
    Timestamp::from_micros(micros)
}

/// An id that nobody has used, of version 7.
#[must_use]
pub fn new_id() -> Uuid {
    now().new_id()
}

impl World for Machine {
    fn now(&self) -> Timestamp {
        now()
    }

    fn new_id(&self) -> Uuid {
        new_id()
    }

    fn origin(&self) -> BTreeMap<String, String> {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        BTreeMap::from([
            ("actor".to_owned(), self.actor.clone()),
            ("host".to_owned(), host),
            ("program".to_owned(), self.program.clone()),
        ])
    }

    fn process(&self) -> String {
        static PROCESS: OnceLock<String> = OnceLock::new();
        PROCESS.get_or_init(|| describe(std::process::id())).clone()
    }

    fn is_running(&self, process: &str) -> bool {
        let id = process.split(' ').next().and_then(|id| id.parse().ok());
        id.is_some_and(|id| describe(id) == process)
    }
}

/// A process by its number, when it began, and which run of the machine that was: numbers are used
/// again.
fn describe(id: u32) -> String {
    let began = fs::read_to_string(format!("/proc/{id}/stat")).ok().and_then(|stat| {
        // The name may hold anything, so what counts begins behind its last parenthesis.
        let rest = stat.rsplit_once(')')?.1;
        rest.split_whitespace().nth(19).map(str::to_owned)
    });
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    match began {
        Some(began) => format!("{id} {began} {}", boot.trim()),
        None => format!("{id} gone"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_while_it_runs() {
        let machine = Machine::new("ada", "test 1");
        let me = machine.process();
        assert!(machine.is_running(&me), "{me}");
        assert!(!machine.is_running("0 nothing"));
        assert!(!machine.is_running(""));
        assert_eq!(machine.origin()["actor"], "ada");
        assert_eq!(machine.origin()["program"], "test 1");
        assert_ne!(machine.new_id(), machine.new_id());
    }
}
