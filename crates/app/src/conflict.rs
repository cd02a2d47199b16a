//! Conflicts: what somebody else did to a file, beside what we wanted.

use std::fmt::Write as _;

use cim_nix_base::{Change, ChangeSet, ContentHash, Error, Op, unified_diff};

use crate::App;

/// A file of a change set that is not what the set expects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Conflict {
    /// The file, relative to the project's folder.
    pub path: String,
    /// What the change was made for; `None` if that is not known any more.
    pub base: Option<String>,
    /// What is there; `None` if nothing is.
    pub theirs: Option<String>,
    /// What the change would have made of it; `None` if it would have removed or moved it.
    pub ours: Option<String>,
}

impl Conflict {
    /// Two diffs from the common base: what others did, and what the change would have done.
    #[must_use]
    pub fn render(&self) -> String {
        let Self { path, base, theirs, ours } = self;
        let mut out = String::new();
        let (Some(base), Some(theirs)) = (base, theirs) else {
            let _ = match theirs {
                None => writeln!(out, "`{path}` is gone"),
                Some(_) => writeln!(
                    out,
                    "`{path}` is other than expected, and what was expected is not known"
                ),
            };
            return out;
        };
        let _ = writeln!(out, "`{path}` was changed by others:");
        out.push_str(&unified_diff("as recorded", "on disk", base, theirs));
        if let Some(ours) = ours {
            let _ = writeln!(out, "and this is what would have been done:");
            out.push_str(&unified_diff("as recorded", "wanted", base, ours));
        }
        out
    }
}

impl App<'_> {
    /// The files of `set` that are not what it expects.
    ///
    /// Errors: a file or a blob cannot be read.
    pub fn conflicts(&self, set: &ChangeSet) -> Result<Vec<Conflict>, Error> {
        let mut conflicts = Vec::new();
        for Change { path, op } in &set.changes {
            let theirs = self.files.read(path)?;
            let (expected, ours) = match op {
                Op::Create { content, .. } => (None, Some(content.clone())),
                Op::Write { expected, content } => (Some(*expected), Some(content.clone())),
                Op::Rename { expected, .. }
                | Op::SetMode { expected, .. }
                | Op::Remove { expected } => (Some(*expected), None),
            };
            let found = theirs.as_ref().map(|text| ContentHash::of(text.as_bytes()));
            if found == expected {
                continue;
            }
            let base = match expected {
                Some(hash) => self.text(hash)?,
                None => Some(String::new()),
            };
            conflicts.push(Conflict { path: path.display().to_string(), base, theirs, ours });
        }
        Ok(conflicts)
    }

    /// The text with a hash, if the store has it.
    pub(crate) fn text(&self, hash: ContentHash) -> Result<Option<String>, Error> {
        let bytes = self.store.blob(hash)?;
        Ok(bytes.and_then(|bytes| String::from_utf8(bytes).ok()))
    }

    /// Adds to the error of a conflict what others did.
    pub(crate) fn explain(&self, error: Error, set: &ChangeSet) -> Error {
        // The conflict is what counts; that it cannot be shown is no reason to hide it.
        let conflicts = self.conflicts(set).unwrap_or_default();
        conflicts.iter().fold(error, |error, conflict| error.hint(conflict.render().trim_end()))
    }
}
