//! `flake.lock` in whatever state it is.

use std::collections::{HashMap, HashSet};

use cim_nix_model::{InputPath, LockFile};
use serde_json::Value;

/// How many sources a lock file may hold to be looked at. People's have a few dozens, and what is
/// told of each input takes its whole path.
pub const MAX_NODES: usize = 5_000;

/// The lock file of a flake.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Lock {
    /// Nobody looked for one.
    #[default]
    Unknown,
    /// There is none.
    Absent,
    /// Nix refuses it, or it is more than is looked at; and why.
    Refused(String),
    /// It holds an input whose source can change: these are told by [`unfixed`].
    Unfixed(Vec<Unfixed>),
    /// It can be used.
    Read(LockFile),
}

/// A source in a lock file that can change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unfixed {
    /// The inputs that lead to it.
    pub path: InputPath,
    /// What it lacks: `narHash` or `rev`.
    pub lacks: &'static str,
}

impl Lock {
    /// Reads the text of a lock file.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match LockFile::parse(text, "flake.lock", &mut |_| {}) {
            Ok(file) if file.len() > MAX_NODES => Self::Refused(format!(
                "flake.lock holds {} sources, more than are looked at ({MAX_NODES})",
                file.len()
            )),
            Ok(file) => Self::Read(file),
            Err(error) => {
                let unfixed = unfixed(text);
                let message = error.to_string();
                match message.starts_with("Lock file contains unlocked input")
                    && !unfixed.is_empty()
                {
                    true => Self::Unfixed(unfixed),
                    false => Self::Refused(message),
                }
            }
        }
    }

    /// The lock file, if it can be used.
    #[must_use]
    pub fn file(&self) -> Option<&LockFile> {
        match self {
            Self::Read(file) => Some(file),
            _ => None,
        }
    }
}

/// The sources of a lock file that lack what fixes their content, by the first way to each. Nothing
/// for what is no lock file at all. Sources at relative paths need nothing: they lie in others.
///
/// Cost: linear in the text, and in the length of the ways to what is found.
#[must_use]
pub fn unfixed(text: &str) -> Vec<Unfixed> {
    let Ok(json) = serde_json::from_str::<Value>(text) else { return Vec::new() };
    let (Some(root), Some(nodes)) =
        (json.get("root").and_then(Value::as_str), json.get("nodes").and_then(Value::as_object))
    else {
        return Vec::new();
    };
    // By what node and under what name each was met first.
    let mut came: HashMap<&str, (&str, &str)> = HashMap::new();
    let mut seen = HashSet::from([root]);
    let mut queue = std::collections::VecDeque::from([root]);
    let mut found = Vec::new();
    while let Some(key) = queue.pop_front() {
        let Some(node) = nodes.get(key) else { continue };
        if key != root
            && let Some(lacks) = lacks(node)
        {
            let mut path = Vec::new();
            let mut at = key;
            while let Some((above, name)) = came.get(at) {
                path.push((*name).to_owned());
                at = above;
            }
            path.reverse();
            found.push(Unfixed { path, lacks });
        }
        let inputs = node.get("inputs").and_then(Value::as_object);
        for (name, target) in inputs.into_iter().flatten() {
            let Some(target) = target.as_str() else { continue };
            if seen.insert(target) {
                came.insert(target, (key, name));
                queue.push_back(target);
            }
        }
    }
    found
}

/// What a node lacks to be fixed.
fn lacks(node: &Value) -> Option<&'static str> {
    let locked = node.get("locked")?.as_object()?;
    // Lock files of version 5 have parts of it beside it.
    let info = node.get("info").and_then(Value::as_object);
    let text = |name: &str| {
        let value = locked.get(name).or_else(|| info?.get(name));
        value.and_then(Value::as_str).filter(|text| !text.is_empty())
    };
    let kind = text("type")?;
    if kind == "path" && text("path").is_some_and(|path| !path.starts_with('/')) {
        return None;
    }
    if matches!(kind, "github" | "gitlab" | "sourcehut" | "git" | "hg") && text("rev").is_none() {
        return Some("rev");
    }
    text("narHash").is_none().then_some("narHash")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        match Lock::parse(text) {
            Lock::Refused(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn whatever_is_no_lock_file_is_refused_with_a_reason() {
        for text in ["", "{", "null", "[]", "7", "{\"version\":4}", "{\"version\":\"7\"}"] {
            assert!(!refused(text).is_empty(), "{text}");
        }
        let deep = format!("{{\"version\":7,\"nodes\":{}", "[".repeat(1_000_000));
        assert!(refused(&deep).starts_with("Could not parse"));
        let nodes = |inputs: &str| {
            format!("{{\"version\":7,\"root\":\"r\",\"nodes\":{{\"r\":{{\"inputs\":{inputs}}}}}}}")
        };
        assert_eq!(refused(&nodes("{\"a\":\"x\"}")), "lock file references missing node 'x'");
        assert!(refused(&nodes("{\"a\":[1]}")).contains("neither a name nor a path"));
        assert_eq!(unfixed(&nodes("{\"a\":\"a\"}")), []);
    }

    #[test]
    fn all_versions_are_read() {
        let node = "\"locked\":{\"type\":\"github\",\"owner\":\"o\",\"repo\":\"a\",\"rev\":\"5a48e3c2e435e95103d56590188cfed7b70e108c\"},\"info\":{\"lastModified\":1,\"narHash\":\"sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"},\"original\":{\"type\":\"github\",\"owner\":\"o\",\"repo\":\"a\"}";
        for version in 5..=7 {
            let text = format!(
                "{{\"version\":{version},\"root\":\"r\",\"nodes\":{{\"r\":{{\"inputs\":{{\"a\":\"a\"}}}},\"a\":{{{node}}}}}}}"
            );
            assert!(Lock::parse(&text).file().is_some(), "{version}");
            assert_eq!(unfixed(&text), []);
        }
    }
}
