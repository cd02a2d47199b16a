//! Reads files safely and applies a [`ChangeSet`] to a project, all or nothing.
//!
//! Reading ([`read`], [`list_dir`], [`kind`]) never hangs on a pipe, never allocates for a file
//! above the caller's limit and says in its answer what was found instead of text. Finding files
//! and deciding what they mean is left to `project`; making change sets is left to whoever knows
//! Nix. This crate knows bytes, paths and hashes only.
//!
//! # How a change set is applied
//!
//! [`apply`] makes a set of changes as one step: after it, and after a kill or a power cut at any
//! moment followed by [`recover`], either every file of the set is new or every file is old.
//!
//! 1. Take the project lock, `lock` in the state folder.
//! 2. Resolve every path inside the root, read what is there and compare its hash with the one the
//!    change set expects.
//! 3. Write the journal, the folder `open`: `intent.json` says what will happen, `pre-images` holds
//!    the former bytes. It is filled under another name, synced and renamed, so it is whole or
//!    absent.
//! 4. Write every new content to a temporary beside its target, with the mode, owner, access list
//!    and user attributes of the original, and sync it. Then mark the journal `staged`.
//! 5. Swap each temporary with its target in one system call (`renameat2` with `EXCHANGE`, or
//!    `NOREPLACE` where nothing may be). What was displaced is hashed: if another program changed
//!    the file after step 2, its bytes are swapped back, the whole set is rolled back, and the
//!    caller gets a [`Conflict`](cim_nix_base::ErrorKind::Conflict).
//! 6. Hash everything displaced once more, sync the folders, mark the journal `committed`.
//! 7. Remove what was displaced, sync, close the journal.
//!
//! A set of more than a few dozen files is synced by whole file systems rather than file by file:
//! the order stays the same, and thousands of files take seconds instead of minutes.
//!
//! [`recover`] reads the marks: a committed journal is finished, any other is reverted. Where a
//! file matches neither what the change expected nor what it wrote, somebody edited it after the
//! interruption: it stays as it is, its former content is kept beside the journal, the rest is
//! reverted, and the error names both places until the reader has chosen one.
//!
//! # What is kept and what is not
//!
//! * A path that is a symlink stays one: its target is edited, as long as the target lies inside
//!   the root. Renaming and removing a symlink is refused.
//! * Mode, owner, POSIX access list and `user.*` attributes of an edited file are kept; line
//!   endings are bytes like any other.
//! * A hard link is broken: the edited name gets a new file, other names keep the former content.
//!   Writing in place would keep the link but could not be atomic. [`Applied::warnings`] says so.
//! * A program that holds a file open and writes to it in place after step 6 writes to the former
//!   file. What it wrote before the file is removed is noticed, kept and reported in the warnings.
//! * On file systems without `EXCHANGE` (some network and FUSE ones) the swap is a hash check
//!   followed by a rename: an edit that falls between the two calls is lost. Nothing else weakens.
//! * The lock and the journal are per state folder. Two roots, one inside the other, have two; the
//!   hashes still tell one's changes from the other's.
//!
//! ```
//! use cim_nix_base::{ChangeSet, TextEdit, TextRange};
//!
//! let folder = tempfile::tempdir()?;
//! let (root, state) = (folder.path().join("project"), folder.path().join("state"));
//! std::fs::create_dir(&root)?;
//! std::fs::write(root.join("a.nix"), "{ x = 1; }\n")?;
//!
//! let mut set = ChangeSet::new("raise x");
//! set.edit("a.nix", "{ x = 1; }\n", &[TextEdit::replace(TextRange::new(6, 7), "2")])?;
//! let applied = cim_nix_vfs::apply(&root, &state, &set)?;
//!
//! assert_eq!(applied.changed, [std::path::Path::new("a.nix")]);
//! assert_eq!(std::fs::read_to_string(root.join("a.nix"))?, "{ x = 2; }\n");
//! // The hash that the set expects is gone, so a second attempt changes nothing.
//! assert!(cim_nix_vfs::apply(&root, &state, &set).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`ChangeSet`]: cim_nix_base::ChangeSet

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "this crate is the adapter for files")]

mod apply;
mod confined;
mod disk;
mod eval_io;
mod files;
mod journal;
mod path;
mod plan;
mod probe;
mod read;
mod recover;
mod revert;
#[cfg(test)]
mod testing;
mod within;

pub use apply::{Applied, apply, apply_recorded};
pub use confined::{Admits, Confined, Failed};
pub use eval_io::DiskIo;
pub use files::DiskFiles;
pub use journal::journal_dir;
pub use read::{Content, DirItem, FileKind, SOURCE_LIMIT, kind, list_dir, read};
pub use recover::{Interrupted, Recovered, recover, recover_recorded};
pub use within::{is_within, settled};
