//! What an event says of files.

use cim_nix_base::{Change, ChangeSet, ContentHash, FileMode, Op};
use serde::{Deserialize, Serialize};

/// What happened to one file: hashes only, the bytes are blobs of the store.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FileChange {
    /// The file, relative to the project's folder.
    pub path: String,
    /// What was there; absent for a new file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Hash>"))]
    pub before: Option<ContentHash>,
    /// What is there; absent for a removed file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Hash>"))]
    pub after: Option<ContentHash>,
    /// Where it went to, for a rename; `before` and `after` are equal then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Its permission bits before and after, where they changed or are needed to make it again.
    #[serde(default, skip_serializing_if = "Modes::is_empty")]
    pub mode: Modes,
}

/// Permission bits before and after a change, as far as they are known.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Modes {
    /// Before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u32>,
    /// After.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u32>,
}

impl Modes {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.before.is_none() && self.after.is_none()
    }
}

/// A path of a change set that cannot be written down as text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnspeakablePath(pub String);

impl std::fmt::Display for UnspeakablePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` is not UTF-8, and events name files as text", self.0)
    }
}

impl std::error::Error for UnspeakablePath {}

/// What `set` does, file by file, in its order.
///
/// `mode` gives the present permission bits of a path; removing a file is undone with them.
///
/// Errors: a path is not UTF-8.
pub fn file_changes(
    set: &ChangeSet,
    mut mode: impl FnMut(&std::path::Path) -> Option<FileMode>,
) -> Result<Vec<FileChange>, UnspeakablePath> {
    let text = |path: &std::path::Path| match path.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(UnspeakablePath(path.display().to_string())),
    };
    let mut changes = Vec::with_capacity(set.changes.len());
    for Change { path, op } in &set.changes {
        let mut change = FileChange {
            path: text(path)?,
            before: None,
            after: None,
            to: None,
            mode: Modes::default(),
        };
        match op {
            Op::Create { content, mode } => {
                change.after = Some(ContentHash::of(content.as_bytes()));
                change.mode.after = mode.map(|mode| mode.0);
            }
            Op::Write { expected, content } => {
                change.before = Some(*expected);
                change.after = Some(ContentHash::of(content.as_bytes()));
            }
            Op::Rename { expected, to } => {
                change.before = Some(*expected);
                change.after = Some(*expected);
                change.to = Some(text(to)?);
            }
            Op::SetMode { expected, from, to } => {
                change.before = Some(*expected);
                change.after = Some(*expected);
                change.mode = Modes { before: Some(from.0), after: Some(to.0) };
            }
            Op::Remove { expected } => {
                change.before = Some(*expected);
                change.mode.before = mode(path).map(|mode| mode.0);
            }
        }
        changes.push(change);
    }
    Ok(changes)
}

/// Whether an event may speak of a file: below the project's folder, and nothing of Git's or of the
/// store's own. Events are made so, but a store may hold what somebody else wrote.
#[must_use]
pub fn is_project_path(path: &str) -> bool {
    let is_own = |part: &str| part.eq_ignore_ascii_case(".git") || part == ".cim-nix";
    !path.is_empty()
        && !path.contains('\0')
        && path.split('/').all(|part| !matches!(part, "" | "." | "..") && !is_own(part))
}

/// Why changes cannot be taken back.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Irrevocable {
    /// The former bytes with this hash are not there, or are no text.
    Missing(ContentHash),
    /// The path leads out of the project, or to what is not its code.
    Path(String),
}

impl std::fmt::Display for Irrevocable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(hash) => {
                write!(f, "the former bytes with the hash {hash} are not in the store")
            }
            Self::Path(path) => {
                let shown: String = path.chars().take(100).collect();
                write!(
                    f,
                    "the event names `{}`, which is no file of the project",
                    shown.escape_debug()
                )
            }
        }
    }
}

impl std::error::Error for Irrevocable {}

/// Permission bits that a change may give: reading, writing and running, nothing that lends rights.
const PLAIN_MODE: u32 = 0o777;

/// The change set that takes `changes` back.
///
/// `blob` gives the bytes with a hash, as text. Bits that lend rights (setuid and the like) are left
/// out of modes.
///
/// Errors: bytes are not there, or a path is none of the project.
pub fn reverted(
    title: &str,
    changes: &[FileChange],
    mut blob: impl FnMut(ContentHash) -> Option<String>,
) -> Result<ChangeSet, Irrevocable> {
    let mut set = ChangeSet::new(title);
    for change in changes.iter().rev() {
        let FileChange { path, before, after, to, mode } = change;
        for path in std::iter::once(path).chain(to) {
            if !is_project_path(path) {
                return Err(Irrevocable::Path(path.clone()));
            }
        }
        match (before, after, to) {
            (Some(hash), Some(_), Some(to)) => {
                set.push(to, Op::Rename { expected: *hash, to: path.into() });
            }
            (Some(before), Some(after), None) if before == after => {
                let (Some(from), Some(to)) = (mode.after, mode.before) else { continue };
                let (from, to) = (FileMode(from), FileMode(to & PLAIN_MODE));
                set.push(path, Op::SetMode { expected: *after, from, to });
            }
            (Some(before), Some(after), None) => {
                let content = blob(*before).ok_or(Irrevocable::Missing(*before))?;
                set.push(path, Op::Write { expected: *after, content });
            }
            (None, Some(after), _) => set.push(path, Op::Remove { expected: *after }),
            (Some(before), None, _) => {
                let content = blob(*before).ok_or(Irrevocable::Missing(*before))?;
                set.push(
                    path,
                    Op::Create {
                        content,
                        mode: mode.before.map(|mode| FileMode(mode & PLAIN_MODE)),
                    },
                );
            }
            (None, None, _) => {}
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(text: &str) -> ContentHash {
        ContentHash::of(text.as_bytes())
    }

    #[test]
    fn a_change_taken_back_is_its_mirror() {
        let mut set = ChangeSet::new("many things");
        set.create("new.nix", "{ }\n");
        set.push("a.nix", Op::Write { expected: hash("1"), content: "2".into() });
        set.push("b.nix", Op::Rename { expected: hash("b"), to: "c.nix".into() });
        set.push(
            "d.nix",
            Op::SetMode { expected: hash("d"), from: FileMode(0o644), to: FileMode(0o755) },
        );
        set.push("e.nix", Op::Remove { expected: hash("e") });
        let changes = file_changes(&set, |_| Some(FileMode(0o600))).expect("all UTF-8");
        let texts = ["1", "2", "b", "d", "e", "{ }\n"];
        let find = |wanted| texts.iter().find(|text| hash(text) == wanted).map(ToString::to_string);
        let back = reverted("back", &changes, find).expect("all there");
        let mut forth =
            reverted("many things", &file_changes(&back, |_| None).expect("UTF-8"), find)
                .expect("all there");
        // What was created without a mode is created again without one.
        assert_eq!(forth, set);
        forth.changes.clear();
        assert!(forth.is_empty());
    }

    #[test]
    fn says_which_bytes_are_missing() {
        let mut set = ChangeSet::new("x");
        set.push("a.nix", Op::Write { expected: hash("1"), content: "2".into() });
        let changes = file_changes(&set, |_| None).expect("UTF-8");
        assert_eq!(reverted("back", &changes, |_| None), Err(Irrevocable::Missing(hash("1"))));
    }

    #[test]
    fn leaves_alone_what_is_none_of_the_project() {
        let paths = [
            "../a",
            "/etc/passwd",
            ".git/hooks/pre-commit",
            "a/.GIT/config",
            ".cim-nix/x",
            "",
            "a//b",
        ];
        for path in paths {
            let change = FileChange {
                path: path.to_owned(),
                before: Some(hash("1")),
                after: None,
                to: None,
                mode: Modes { before: Some(0o4777), after: None },
            };
            let back = reverted("back", &[change], |_| Some("1".to_owned()));
            assert_eq!(back, Err(Irrevocable::Path(path.to_owned())));
        }
    }

    #[test]
    fn lends_no_rights() {
        let change = FileChange {
            path: "run.sh".to_owned(),
            before: Some(hash("1")),
            after: None,
            to: None,
            mode: Modes { before: Some(0o4777), after: None },
        };
        let back =
            reverted("back", &[change], |_| Some("1".to_owned())).expect("a file of a project");
        let Op::Create { mode, .. } = &back.changes[0].op else { panic!("it is made again") };
        assert_eq!(*mode, Some(FileMode(0o777)));
    }
}
