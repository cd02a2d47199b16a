//! Taking one step back: from whatever an interrupted change left of a file to what it was.
//!
//! Nothing is remembered between calls. Each step looks at the file and at its temporary, and what
//! it finds decides: so it may be repeated, and interrupted, as often as need be. The decisions
//! hold because the mark `staged` is set only when every temporary is complete: a temporary that
//! is not the new content is what was displaced by it.

use cim_nix_base::{ContentHash, Error, FileMode};

use crate::disk::{Disk, Found, Owner, Style, Syncing};
use crate::journal::{Action, Intent, Journal, Kept, PreImage};
use crate::path::RelPath;
use crate::plan::cannot;

/// Reverts the steps of one intent.
pub(crate) struct Undo<'a> {
    disk: &'a Disk<'a>,
    journal: &'a Journal<'a>,
    intent: &'a Intent,
    /// Versions of files that somebody edited since, for the reader to choose from.
    pub(crate) kept: Vec<Kept>,
    pub(crate) warnings: Vec<String>,
}

impl<'a> Undo<'a> {
    pub(crate) fn new(disk: &'a Disk<'a>, journal: &'a Journal<'a>, intent: &'a Intent) -> Self {
        Self { disk, journal, intent, kept: Vec::new(), warnings: Vec::new() }
    }

    /// Takes back a step that may have been done. Needs the journal to be staged.
    pub(crate) fn revert(&mut self, index: usize) -> Result<(), Error> {
        match &self.intent.steps[index].action {
            Action::Create { after } => self.create(index, *after),
            Action::Write { before, after } => self.write(index, before, *after),
            Action::Rename { before, to } => self.rename(index, before, to),
            Action::SetMode { from, to, .. } => self.set_mode(index, *from, *to),
            Action::Remove { before } => self.remove(index, before),
        }
    }

    /// Removes what staging made for a step that was not done.
    pub(crate) fn unstage(&self, index: usize) -> Result<(), Error> {
        match &self.intent.steps[index].action {
            Action::Create { .. } | Action::Write { .. } => {
                self.unlink(index, &self.intent.temporary(index))
            }
            _ => Ok(()),
        }
    }

    fn create(&mut self, index: usize, after: ContentHash) -> Result<(), Error> {
        let (path, temporary) = self.places(index);
        let staged = self.look(index, &temporary)?;
        let found = self.look(index, path)?;
        // Where creating is linking and unlinking, one file may have both names.
        let is_linked = self.disk.is_same_file(path, &temporary);
        match staged {
            _ if staged.is(after) && is_linked => {
                self.unlink(index, path)?;
                return self.unlink(index, &temporary);
            }
            _ if staged.is(after) => return self.unlink(index, &temporary),
            Found::Nothing if found.is_nothing() => return Ok(()),
            Found::Nothing if found.is(after) => {
                // Taken aside first: an edit in this moment is seen and given back.
                self.move_new(index, path, &temporary)?;
                if self.look(index, &temporary)?.is(after) {
                    return self.unlink(index, &temporary);
                }
                self.move_new(index, &temporary, path)?;
            }
            Found::Nothing => {}
            _ if is_linked => self.unlink(index, &temporary)?,
            _ if found.is_nothing() => self.move_new(index, &temporary, path)?,
            // Taken aside with an edit, and made anew in that moment.
            Found::File(seen) => {
                self.keep(index, &seen.bytes, seen.owner)?;
                self.unlink(index, &temporary)?;
            }
            Found::Other => {}
        }
        self.warnings.push(format!("`{path}` is new and was edited since; it stays"));
        Ok(())
    }

    fn write(&mut self, index: usize, before: &PreImage, after: ContentHash) -> Result<(), Error> {
        let (path, temporary) = self.places(index);
        let displaced = self.look(index, &temporary)?;
        let found = self.look(index, path)?;
        if displaced.is(after) {
            self.unlink(index, &temporary)?;
        } else if displaced.is_nothing() {
            if found.is(after) {
                self.restore(index, before)?;
            } else if !found.is(before.hash) {
                self.keep_pre_image(index, before)?;
            }
        } else if found.is(after) {
            self.swap_back(index, before, after)?;
        } else if displaced.is(before.hash) && found.is(before.hash) {
            self.unlink(index, &temporary)?;
        } else {
            self.keep_found(index, before, displaced, &temporary)?;
        }
        self.unlink(index, &self.intent.restored(index))
    }

    fn swap_back(
        &mut self,
        index: usize,
        before: &PreImage,
        after: ContentHash,
    ) -> Result<(), Error> {
        let (path, temporary) = self.places(index);
        let io = |error| cannot("restore", path, error);
        if !self.disk.exchange(&temporary, path).map_err(io)? {
            return self.disk.replace(&temporary, path).map_err(io);
        }
        if self.look(index, &temporary)?.is(after) {
            return self.unlink(index, &temporary);
        }
        // Somebody edited the file in this moment: that version stays.
        self.disk.exchange(&temporary, path).map_err(io)?;
        let displaced = self.look(index, &temporary)?;
        self.keep_found(index, before, displaced, &temporary)
    }

    /// Writes the former content from the journal, for want of the displaced file.
    fn restore(&self, index: usize, before: &PreImage) -> Result<(), Error> {
        let path = &self.intent.steps[index].path;
        let restored = self.intent.restored(index);
        let bytes = self.journal.pre_image(before)?;
        self.unlink(index, &restored)?;
        self.disk
            .stage(&restored, &bytes, &Style::Like(before.owner, path), Syncing::Each)
            .and_then(|_| self.disk.replace(&restored, path))
            .map_err(|error| cannot("restore", path, error))
    }

    fn rename(&mut self, index: usize, before: &PreImage, to: &RelPath) -> Result<(), Error> {
        let path = &self.intent.steps[index].path;
        let (old, new) = (self.look(index, path)?, self.look(index, to)?);
        if old.is_nothing() && new.is_nothing() {
            self.keep_pre_image(index, before)
        } else if old.is_nothing() {
            if !new.is(before.hash) {
                self.warnings.push(format!("`{to}` was edited since; it is `{path}` again"));
            }
            self.move_new(index, to, path)
        } else if self.disk.is_same_file(path, to) {
            self.unlink(index, to)
        } else if new.is(before.hash) && !old.is(before.hash) {
            self.keep_found(index, before, new, to)
        } else {
            Ok(())
        }
    }

    fn set_mode(&self, index: usize, from: FileMode, to: FileMode) -> Result<(), Error> {
        let path = &self.intent.steps[index].path;
        let mode = self.disk.mode(path).map_err(|error| cannot("restore", path, error))?;
        if mode != Some(to.0) {
            return Ok(());
        }
        let changed = self.disk.change_mode(path, from.0);
        changed.map_err(|error| cannot("restore the mode of", path, error))
    }

    fn remove(&mut self, index: usize, before: &PreImage) -> Result<(), Error> {
        let (path, temporary) = self.places(index);
        let displaced = self.look(index, &temporary)?;
        let found = self.look(index, path)?;
        match (displaced.is_nothing(), found.is_nothing()) {
            (true, false) => Ok(()),
            // Somebody removed the file, or the temporary. The journal alone still has the text.
            (true, true) => self.keep_pre_image(index, before),
            (false, true) => self.move_new(index, &temporary, path),
            (false, false)
                if self.disk.is_same_file(path, &temporary)
                    || (found.is(before.hash) && displaced.is(before.hash)) =>
            {
                self.unlink(index, &temporary)
            }
            (false, false) => self.keep_found(index, before, displaced, &temporary),
        }
    }

    /// Keeps what is at `place`, which nobody knows what to do with, and removes it there.
    fn keep_found(
        &mut self,
        index: usize,
        before: &PreImage,
        found: Found,
        place: &RelPath,
    ) -> Result<(), Error> {
        if let Found::File(seen) = found {
            self.keep(index, &seen.bytes, seen.owner)?;
            return self.unlink(index, place);
        }
        self.warnings.push(format!("`{place}` is what another program put in place of a file"));
        self.keep_pre_image(index, before)
    }

    fn keep_pre_image(&mut self, index: usize, before: &PreImage) -> Result<(), Error> {
        let bytes = self.journal.pre_image(before)?;
        self.keep(index, &bytes, before.owner)
    }

    fn keep(&mut self, index: usize, bytes: &[u8], owner: Owner) -> Result<(), Error> {
        let path = self.intent.steps[index].path.clone();
        let shown = path.name().to_string_lossy();
        // A name may be as long as the file system allows, without room for the number.
        let name = if shown.len() < 200 { format!("{index}-{shown}") } else { index.to_string() };
        self.journal.keep(&name, bytes, owner.mode)?;
        self.kept.push(Kept { path, name });
        Ok(())
    }

    fn places(&self, index: usize) -> (&'a RelPath, RelPath) {
        (&self.intent.steps[index].path, self.intent.temporary(index))
    }

    fn look(&self, index: usize, place: &RelPath) -> Result<Found, Error> {
        let path = &self.intent.steps[index].path;
        self.disk.look(place).map_err(|error| cannot("restore", path, error))
    }

    fn unlink(&self, index: usize, place: &RelPath) -> Result<(), Error> {
        let path = &self.intent.steps[index].path;
        self.disk.unlink(place).map_err(|error| cannot("restore", path, error))
    }

    fn move_new(&self, index: usize, from: &RelPath, to: &RelPath) -> Result<(), Error> {
        let path = &self.intent.steps[index].path;
        self.disk.move_new(from, to).map_err(|error| cannot("restore", path, error))
    }
}
