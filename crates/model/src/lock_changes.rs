//! How two lock files differ, input by input, and how that is told to people.

use std::fmt;

use serde_json::{Value, json};

use crate::lock_file::{Edge, InputPath, LockFile, show_input_path};
use crate::{FlakeRef, date_digits};

/// What one input was and what it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LockChange {
    /// The input, told from the flake.
    pub path: InputPath,
    /// What it was; nothing if it is new.
    pub old: Option<InputState>,
    /// What it is; nothing if it is gone.
    pub new: Option<InputState>,
}

/// What an input is in a lock file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InputState {
    /// A source of its own, in this version.
    Locked(FlakeRef),
    /// The same as another input.
    Follows(InputPath),
}

impl InputState {
    fn of(file: &LockFile, edge: &Edge) -> Option<Self> {
        match edge {
            Edge::Node(id) => {
                let mut locked = file.input(*id)?.locked.clone();
                // No lock file says that it is all there is to know.
                locked.remove("__final");
                Some(Self::Locked(locked))
            }
            Edge::Follows(path) => Some(Self::Follows(path.clone())),
        }
    }

    /// The version as a URL; nothing of what follows another input.
    #[must_use]
    pub fn url(&self) -> Option<String> {
        self.locked().map(FlakeRef::to_string)
    }

    /// The commit, where there is one.
    #[must_use]
    pub fn rev(&self) -> Option<&str> {
        self.locked()?.text("rev")
    }

    /// When it was changed, in seconds since 1970.
    #[must_use]
    pub fn last_modified(&self) -> Option<u64> {
        self.locked()?.number("lastModified")
    }

    /// The same as `YYYY-MM-DD`.
    #[must_use]
    pub fn date(&self) -> Option<String> {
        let digits = date_digits(self.last_modified()?);
        let part = |range: std::ops::Range<usize>| digits.get(range).unwrap_or("?");
        Some(format!("{}-{}-{}", part(0..4), part(4..6), part(6..8)))
    }

    fn locked(&self) -> Option<&FlakeRef> {
        match self {
            Self::Locked(locked) => Some(locked),
            Self::Follows(_) => None,
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Follows(path) => json!({ "follows": show_input_path(path) }),
            Self::Locked(locked) => json!({
                "url": locked.to_string(),
                "locked": locked.to_json(),
                "date": self.date(),
            }),
        }
    }
}

impl fmt::Display for InputState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Follows(path) => write!(f, "follows '{}'", show_input_path(path)),
            Self::Locked(locked) => {
                write!(f, "'{locked}'")?;
                self.date().map_or(Ok(()), |date| write!(f, " ({date})"))
            }
        }
    }
}

impl LockChange {
    /// What happened to the input: `added`, `updated` or `removed`.
    #[must_use]
    pub fn verb(&self) -> &'static str {
        match (&self.old, &self.new) {
            (None, _) => "added",
            (Some(_), Some(_)) => "updated",
            (Some(_), None) => "removed",
        }
    }

    /// The change as JSON: the input, what happened to it, and what it was and is.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "input": show_input_path(&self.path),
            "change": self.verb(),
            "old": self.old.as_ref().map(InputState::to_json),
            "new": self.new.as_ref().map(InputState::to_json),
        })
    }
}

/// As Nix tells it, with a line feed at the end.
impl fmt::Display for LockChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = show_input_path(&self.path);
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => {
                writeln!(f, "• Updated input '{name}':\n    {old}\n  → {new}")
            }
            (None, Some(new)) => writeln!(f, "• Added input '{name}':\n    {new}"),
            (_, None) => writeln!(f, "• Removed input '{name}'"),
        }
    }
}

impl LockFile {
    /// What a newer lock file has other than this one, by input.
    #[must_use]
    pub fn changed_inputs(&self, newer: &Self) -> Vec<LockChange> {
        let mut changes = self.touched_inputs(newer);
        changes.retain(|change| change.old != change.new);
        changes
    }

    /// What Nix tells of a newer lock file; empty if nothing. Now and then it tells of an input that
    /// is what it was: one at a relative path that was locked anew.
    #[must_use]
    pub fn changes(&self, newer: &Self) -> String {
        self.touched_inputs(newer).iter().map(LockChange::to_string).collect()
    }

    fn touched_inputs(&self, newer: &Self) -> Vec<LockChange> {
        let (old, new) = (self.all_inputs(), newer.all_inputs());
        let mut paths: Vec<&InputPath> = old.keys().chain(new.keys()).collect();
        paths.sort_unstable();
        paths.dedup();
        let is_same = |path: &InputPath| match (old.get(path), new.get(path)) {
            (Some(Edge::Node(one)), Some(Edge::Node(other))) => {
                self.input(*one).map(|input| &input.locked)
                    == newer.input(*other).map(|input| &input.locked)
            }
            (one, other) => one == other,
        };
        paths.retain(|path| !is_same(path));
        let change = |path: &InputPath| LockChange {
            path: path.clone(),
            old: old.get(path).and_then(|edge| InputState::of(self, edge)),
            new: new.get(path).and_then(|edge| InputState::of(newer, edge)),
        };
        paths.into_iter().map(change).collect()
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn lock(nodes: &str) -> LockFile {
        let text = format!(r#"{{"version":7,"root":"root","nodes":{{{nodes}}}}}"#);
        LockFile::parse(&text, "flake.lock", &mut |_| {}).unwrap()
    }

    fn node(name: &str, rev: char, seconds: u64) -> String {
        let rev = rev.to_string().repeat(40);
        format!(
            r#""{name}":{{"locked":{{"type":"github","owner":"o","repo":"{name}","rev":"{rev}","narHash":"sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","lastModified":{seconds}}},"original":{{"type":"github","owner":"o","repo":"{name}"}}}}"#
        )
    }

    #[test]
    fn changes_are_told_input_by_input() {
        let old = lock(&format!(
            r#""root":{{"inputs":{{"a":"a","b":"b","c":["a"]}}}},{},{}"#,
            node("a", '1', 1_700_000_000),
            node("b", '2', 1_700_000_000)
        ));
        let new = lock(&format!(
            r#""root":{{"inputs":{{"a":"a","c":"c","d":["a"]}}}},{},{}"#,
            node("a", '3', 1_704_164_645),
            node("c", '4', 1_704_164_645)
        ));
        let changes = old.changed_inputs(&new);
        let told: String =
            changes.iter().map(|change| format!("{}: {change}", change.verb())).collect();
        expect![[r#"
            updated: • Updated input 'a':
                'github:o/a/1111111111111111111111111111111111111111?narHash=sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D' (2023-11-14)
              → 'github:o/a/3333333333333333333333333333333333333333?narHash=sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D' (2024-01-02)
            removed: • Removed input 'b'
            updated: • Updated input 'c':
                follows 'a'
              → 'github:o/c/4444444444444444444444444444444444444444?narHash=sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D' (2024-01-02)
            added: • Added input 'd':
                follows 'a'
        "#]]
        .assert_eq(&told);
        assert_eq!(changes[0].new.as_ref().unwrap().rev().unwrap(), "3".repeat(40));
        expect![[r#"{"change":"added","input":"d","new":{"follows":"a"},"old":null}"#]]
            .assert_eq(&changes[3].to_json().to_string());
        assert_eq!(old.changed_inputs(&old), []);
    }
}
