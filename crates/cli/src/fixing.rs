//! Writing files that were computed: all of a run or none, as a command of the domain whose event can
//! be looked up and undone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cim_domain_nix::command::{FixProject, FormatProject};
use cim_domain_nix::{Command, Evidence, FileChange};
use cim_nix_app::{Mode, Proposal};
use cim_nix_base::{ChangeSet, Error, Op};
use cim_nix_vfs::{Recovered, journal_dir};

use crate::checking::FixedFile;
use crate::output::number;
use crate::recording::{self, Recorder, new_identity, state_home};
use crate::scope::shown;
use crate::terminal::note;

/// The project whose files are written.
pub(crate) struct Target {
    root: PathBuf,
    state: PathBuf,
    is_recorded: bool,
}

/// What files are written for.
pub(crate) enum Purpose {
    /// Findings are mended.
    Fix {
        /// The rules that were asked for.
        select: Vec<String>,
        /// Whether fixes were wanted that may change what code means.
        unsafe_fixes: bool,
        /// How often each rule mended something.
        fixes: BTreeMap<String, u64>,
    },
    /// Files are laid out anew.
    Format {
        /// By what.
        formatter: String,
    },
}

impl Target {
    /// `is_recorded` says whether an event tells of what is written.
    ///
    /// Errors: the folder is gone, or there is no place for the journal.
    pub(crate) fn new(root: PathBuf, is_recorded: bool) -> Result<Self, Error> {
        let state = journal_dir(&state_home()?, &root)?;
        Ok(Self { root, state, is_recorded })
    }

    /// Finishes or reverts what an earlier run was interrupted in.
    pub(crate) fn recover(&self) -> Result<(), Error> {
        // Whether a change that was to be recorded was made is known to the store. It costs nothing
        // to ask it only where something was interrupted.
        if self.state.join("open").exists()
            && let Some(recorder) = Recorder::open_existing(&self.root)?
        {
            recording::tell(&recorder.app().recover_files()?);
            return Ok(());
        }
        let (interrupted, what) = match cim_nix_vfs::recover(&self.root, &self.state)? {
            Recovered::Nothing => return Ok(()),
            Recovered::Reverted(interrupted) => (interrupted, "reverted"),
            Recovered::Finished(interrupted) => (interrupted, "finished"),
        };
        let files = number(interrupted.files.len(), "file");
        note(format_args!(
            "note: an earlier run was interrupted while it wrote {files}; {what} it"
        ));
        for warning in interrupted.warnings {
            note(format_args!("note: {warning}"));
        }
        Ok(())
    }

    /// Writes `files`, all or none; `title` says what for.
    ///
    /// Errors: nothing has changed. A conflict names the file that somebody else changed meanwhile.
    pub(crate) fn write<'f>(
        &self,
        title: &str,
        files: impl Iterator<Item = &'f FixedFile>,
        purpose: Purpose,
    ) -> Result<(), Error> {
        let mut set = ChangeSet::new(title);
        for file in files {
            let Ok(path) = file.path.strip_prefix(&self.root) else {
                let (path, root) = (shown(&file.path), shown(&self.root));
                return Err(Error::bug(format!("`{path}` is outside of the project `{root}`")));
            };
            set.push(path, Op::Write { expected: file.before, content: file.text.clone() });
        }
        if set.is_empty() {
            return Ok(());
        }
        let is_nameable = set.changes.iter().all(|change| change.path.to_str().is_some());
        if !self.is_recorded || !is_nameable {
            if self.is_recorded {
                note("note: a file's name is not UTF-8, so this change is not recorded");
            }
            return self.apply(&set);
        }
        let recorder = Recorder::open(&self.root)?;
        let (command, proposal) = purpose.command(recorder.root(), set)?;
        let outcome = recorder.app().change(&command, proposal, Mode::Apply)?;
        outcome.notes.iter().for_each(|text| note(format_args!("note: {text}")));
        Ok(())
    }

    /// Makes a change that nobody records, all of it or none.
    ///
    /// Errors: nothing has changed. A conflict names the file that somebody else changed meanwhile.
    pub(crate) fn apply(&self, set: &ChangeSet) -> Result<(), Error> {
        let applied = cim_nix_vfs::apply(&self.root, &self.state, set)?;
        for warning in applied.warnings {
            note(format_args!("note: {warning}"));
        }
        Ok(())
    }
}

/// What was found out, given the changes as events write them.
type FoundOut = Box<dyn Fn(Vec<FileChange>) -> Evidence>;

impl Purpose {
    fn command(self, root: &Path, set: ChangeSet) -> Result<(Command, Proposal<'static>), Error> {
        let path = recording::text_of(root)?;
        let identity = new_identity();
        let (command, evidence): (Command, FoundOut) = match self {
            Self::Fix { select, unsafe_fixes, fixes } => (
                FixProject { path, select, unsafe_fixes, identity }.into(),
                Box::new(move |changes| Evidence::Fixed { fixes: fixes.clone(), changes }),
            ),
            Self::Format { formatter } => (
                FormatProject { path, formatter: Some(formatter.clone()), identity }.into(),
                Box::new(move |changes| Evidence::Formatted {
                    formatter: formatter.clone(),
                    changes,
                }),
            ),
        };
        Ok((command, Proposal { set, evidence, notes: Vec::new() }))
    }
}
