//! Edits to a project, as data.
//!
//! A [`ChangeSet`] says what should happen to which file and what is expected to be there now. It
//! never touches a disk: `vfs` applies it (all or nothing), editors turn it into their own edit
//! type, and people read it as a unified diff.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{ContentHash, Error, TextRange};

/// Replaces the bytes of `range` by `text`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TextEdit {
    /// What is replaced; empty for an insertion.
    pub range: TextRange,
    /// What stands there afterwards; empty for a removal.
    pub text: String,
}

impl TextEdit {
    /// Replaces `range` by `text`.
    #[must_use]
    pub fn replace(range: TextRange, text: impl Into<String>) -> Self {
        Self { range, text: text.into() }
    }

    /// Inserts `text` at `at`.
    #[must_use]
    pub fn insert(at: u32, text: impl Into<String>) -> Self {
        Self { range: TextRange::empty(at), text: text.into() }
    }

    /// Removes `range`.
    #[must_use]
    pub fn remove(range: TextRange) -> Self {
        Self { range, text: String::new() }
    }
}

/// Applies `edits`, which must be sorted by range and free of overlap, to `text`.
///
/// Errors: an edit that overlaps its predecessor, lies outside `text` or cuts a character.
pub fn apply_edits(text: &str, edits: &[TextEdit]) -> Result<String, Error> {
    let grown: usize = edits.iter().map(|edit| edit.text.len()).sum();
    let mut out = String::with_capacity(text.len() + grown);
    let mut done = 0;
    for edit in edits {
        let range = edit.range.as_usize();
        if range.start < done {
            return Err(Error::bug(format!("edits overlap at byte {}", range.start)));
        }
        let (Some(kept), Some(_)) = (text.get(done..range.start), text.get(range.clone())) else {
            return Err(Error::bug(format!("edit {:?} does not fit the text", edit.range)));
        };
        out.push_str(kept);
        out.push_str(&edit.text);
        done = range.end;
    }
    out.push_str(&text[done..]);
    Ok(out)
}

/// Permission bits of a file (the lower twelve of a Unix mode).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileMode(pub u32);

/// What happens to one path.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "op")]
pub enum Op {
    /// A new file; refused when the path exists.
    Create {
        /// Its bytes.
        content: String,
        /// Its mode; the process's default where absent.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        mode: Option<FileMode>,
    },
    /// New content for an existing file, whose mode is kept.
    Write {
        /// Hash of what must be there now.
        expected: ContentHash,
        /// What stands there afterwards.
        content: String,
    },
    /// The file moves to `to`, where nothing may be.
    Rename {
        /// Hash of what must be there now.
        expected: ContentHash,
        /// Where it goes, relative to the same root.
        to: PathBuf,
    },
    /// The file's permission bits change.
    SetMode {
        /// Hash of what must be there now.
        expected: ContentHash,
        /// The mode before.
        from: FileMode,
        /// The mode afterwards.
        to: FileMode,
    },
    /// The file goes away.
    Remove {
        /// Hash of what must be there now.
        expected: ContentHash,
    },
}

/// One path and what happens to it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Change {
    /// Path relative to the root that the change set is applied to; never absolute, never with `..`.
    pub path: PathBuf,
    /// What happens.
    #[serde(flatten)]
    pub op: Op,
}

/// Edits to a project with a title. A path occurs at most once.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ChangeSet {
    /// What the whole does, imperative, one line.
    pub title: String,
    /// Changes in the order in which they are shown; they are applied together.
    pub changes: Vec<Change>,
}

impl ChangeSet {
    /// An empty change set.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), changes: Vec::new() }
    }

    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Adds new content for `path`, whose present text is `before`. Nothing is added when the edits
    /// leave the text as it was.
    ///
    /// Errors: those of [`apply_edits`].
    pub fn edit(
        &mut self,
        path: impl Into<PathBuf>,
        before: &str,
        edits: &[TextEdit],
    ) -> Result<(), Error> {
        let content = apply_edits(before, edits)?;
        if content != before {
            let expected = ContentHash::of(before.as_bytes());
            self.push(path, Op::Write { expected, content });
        }
        Ok(())
    }

    /// Adds a new file.
    pub fn create(&mut self, path: impl Into<PathBuf>, content: impl Into<String>) {
        self.push(path, Op::Create { content: content.into(), mode: None });
    }

    /// Adds any change.
    pub fn push(&mut self, path: impl Into<PathBuf>, op: Op) {
        self.changes.push(Change { path: path.into(), op });
    }

    /// Renders the set as a unified diff that `git apply` and `patch -p1` read.
    ///
    /// `read` gives the present text of a path; a path that it does not know counts as empty.
    #[must_use]
    pub fn unified_diff(&self, mut read: impl FnMut(&Path) -> Option<String>) -> String {
        let mut out = String::new();
        for Change { path, op } in &self.changes {
            let shown = path.display();
            let before = || read(path).unwrap_or_default();
            match op {
                Op::Create { content, mode } => {
                    let mode = mode.map_or(0o644, |mode| mode.0);
                    let _ = writeln!(out, "diff --git a/{shown} b/{shown}");
                    let _ = writeln!(out, "new file mode 100{mode:o}");
                    out.push_str(&unified_diff("/dev/null", &format!("b/{shown}"), "", content));
                }
                Op::Write { content, .. } => {
                    let (a, b) = (format!("a/{shown}"), format!("b/{shown}"));
                    out.push_str(&unified_diff(&a, &b, &{ before }(), content));
                }
                Op::Rename { to, .. } => {
                    let to = to.display();
                    let _ = writeln!(out, "diff --git a/{shown} b/{to}");
                    let _ = writeln!(out, "similarity index 100%");
                    let _ = writeln!(out, "rename from {shown}\nrename to {to}");
                }
                Op::SetMode { from, to, .. } => {
                    let _ = writeln!(out, "diff --git a/{shown} b/{shown}");
                    let _ = writeln!(out, "old mode 100{:o}\nnew mode 100{:o}", from.0, to.0);
                }
                Op::Remove { .. } => {
                    let _ = writeln!(out, "diff --git a/{shown} b/{shown}");
                    let _ = writeln!(out, "deleted file mode 100644");
                    let a = format!("a/{shown}");
                    out.push_str(&unified_diff(&a, "/dev/null", &{ before }(), ""));
                }
            }
        }
        out
    }
}

/// A unified diff of two texts with three lines of context; empty when they are equal.
#[must_use]
pub fn unified_diff(from: &str, to: &str, before: &str, after: &str) -> String {
    if before == after {
        return String::new();
    }
    similar::TextDiff::from_lines(before, after)
        .unified_diff()
        .context_radius(3)
        .header(from, to)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_apply_in_order() {
        let edits = [
            TextEdit::insert(0, ">"),
            TextEdit::replace(TextRange::new(1, 2), "X"),
            TextEdit::remove(TextRange::new(2, 3)),
        ];
        assert_eq!(apply_edits("abcd", &edits).unwrap(), ">aXd");
    }

    #[test]
    fn overlapping_and_stray_edits_are_refused() {
        let overlap =
            [TextEdit::remove(TextRange::new(0, 2)), TextEdit::remove(TextRange::new(1, 3))];
        assert!(apply_edits("abcd", &overlap).is_err());
        assert!(apply_edits("abcd", &[TextEdit::insert(9, "x")]).is_err());
        assert!(apply_edits("λ", &[TextEdit::insert(1, "x")]).is_err());
    }

    #[test]
    fn diff_shows_every_kind_of_change() {
        let mut set = ChangeSet::new("show");
        set.edit("a.nix", "1\n", &[TextEdit::replace(TextRange::new(0, 1), "2")]).unwrap();
        set.edit("same.nix", "1\n", &[]).unwrap();
        set.create("new.nix", "{ }\n");
        let expected = ContentHash::of(b"1\n");
        set.push("gone.nix", Op::Remove { expected });
        set.push("old.nix", Op::Rename { expected, to: "moved.nix".into() });
        let (from, to) = (FileMode(0o644), FileMode(0o755));
        set.push("run.nix", Op::SetMode { expected, from, to });
        let want = "\
--- a/a.nix
+++ b/a.nix
@@ -1 +1 @@
-1
+2
diff --git a/new.nix b/new.nix
new file mode 100644
--- /dev/null
+++ b/new.nix
@@ -0,0 +1 @@
+{ }
diff --git a/gone.nix b/gone.nix
deleted file mode 100644
--- a/gone.nix
+++ /dev/null
@@ -1 +0,0 @@
-1
diff --git a/old.nix b/moved.nix
similarity index 100%
rename from old.nix
rename to moved.nix
diff --git a/run.nix b/run.nix
old mode 100644
new mode 100755
";
        assert_eq!(set.unified_diff(|_| Some("1\n".to_owned())), want);
    }

    #[test]
    fn survives_json() {
        let mut set = ChangeSet::new("round trip");
        set.edit("a.nix", "1", &[TextEdit::insert(1, "2")]).unwrap();
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(serde_json::from_str::<ChangeSet>(&json).unwrap(), set);
    }
}
