//! Ids of events that follow from the command: whoever runs a command twice gets the same ones, and
//! no store takes an id twice.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use cim_domain_nix::{Command, MessageId, Timestamp, Uuid};
use cim_nix_app::World;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

/// The id of the `nth` message that `cause` brings about: of version 7 with the time of the cause
/// where that has one, so that ids sort by time; of version 8 otherwise.
pub(crate) fn derived(cause: &MessageId, nth: u32) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(b"cim-nix event\0");
    match cause {
        MessageId::Uuid(id) => hash.update(id.as_bytes()),
        MessageId::Cid(text) => hash.update(text.as_bytes()),
    }
    hash.update(nth.to_be_bytes());
    let hash = hash.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    let version = match cause.uuid().filter(|id| id.get_version_num() == 7) {
        Some(cause) => {
            bytes[..6].copy_from_slice(&cause.as_bytes()[..6]);
            0x70
        }
        None => 0x80,
    };
    bytes[6] = (bytes[6] & 0x0f) | version;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    Uuid::from_bytes(bytes)
}

/// What a command says, whichever message says it: to tell a message that comes again from another
/// one with its id.
pub(crate) fn digest(command: &Command) -> String {
    let text = command.to_json().unwrap_or_default();
    // By name; what the fields hold is written in one order, and need not be looked into.
    let fields: BTreeMap<&str, &RawValue> = serde_json::from_str(&text).unwrap_or_default();
    let mut hash = Sha256::new();
    hash.update(command.command_type());
    for (name, value) in fields.iter().filter(|(name, _)| **name != "identity") {
        for part in [name, value.get()] {
            // Lengths keep the parts apart.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    let mut digest = String::with_capacity(24);
    for byte in &hash.finalize()[..12] {
        let _ = write!(digest, "{byte:02x}");
    }
    digest
}

/// What the origin of an event has the digest of its command under.
pub(crate) const DIGEST: &str = "request";

/// The world as commands of a service see it.
pub(crate) struct Served<'w> {
    pub(crate) world: Box<dyn World + 'w>,
    pub(crate) digest: String,
    pub(crate) via: &'static str,
    pub(crate) trace: Option<String>,
}

impl World for Served<'_> {
    fn now(&self) -> Timestamp {
        self.world.now()
    }

    fn new_id(&self) -> Uuid {
        self.world.new_id()
    }

    fn event_id(&self, cause: &MessageId, nth: u32) -> Uuid {
        derived(cause, nth)
    }

    fn origin(&self) -> BTreeMap<String, String> {
        let mut origin = self.world.origin();
        origin.insert(DIGEST.to_owned(), self.digest.clone());
        origin.insert("via".to_owned(), self.via.to_owned());
        if let Some(trace) = &self.trace {
            origin.insert("trace".to_owned(), trace.clone());
        }
        origin
    }

    fn process(&self) -> String {
        self.world.process()
    }

    fn is_running(&self, process: &str) -> bool {
        self.world.is_running(process)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_of_what_a_command_says_and_not_of_its_message() {
        let read = |id: u32, name: &str, url: &str| {
            let id = format!("0198f7a2-7c00-7000-8000-{id:012}");
            let identity = serde_json::json!({
                "message_id": id, "correlation_id": id, "causation_id": id,
            });
            let body = serde_json::json!({
                "identity": identity, "path": "/p", "name": name, "url": url,
            });
            let command = Command::read("AddFlakeInput", &body.to_string()).expect("fits");
            digest(&command)
        };
        let one = read(1, "a", "github:o/r");
        assert_eq!((one.len(), &one), (24, &read(2, "a", "github:o/r")));
        for (name, url) in [("b", "github:o/r"), ("a", "github:o/s"), ("agithub:", "o/r")] {
            assert_ne!(one, read(1, name, url), "{name} {url}");
        }
    }

    #[test]
    fn ids_follow_from_the_command() {
        let cause: MessageId = "0198f7a2-7c00-7000-8000-000000000001".parse().expect("an id");
        let one = derived(&cause, 1);
        assert_eq!(one, derived(&cause, 1));
        assert_ne!(one, derived(&cause, 2));
        assert_eq!(
            (one.get_version_num(), &one.as_bytes()[..6]),
            (7, &[1, 0x98, 0xf7, 0xa2, 0x7c, 0][..])
        );
        let foreign: MessageId =
            "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy".parse().expect("an id");
        assert_eq!(derived(&foreign, 1).get_version_num(), 8);
    }
}
