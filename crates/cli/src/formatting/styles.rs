//! Which configuration file says how a file is formatted: the nearest in its folder or above it,
//! unless the arguments name one or want none.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use cim_nix_base::Error;
use cim_nix_project::{Excludes, SourceFile};

use crate::config::{self, Config};

/// The configuration files of a run, and which folders they speak of.
#[derive(Debug)]
pub(crate) struct Styles {
    /// That of the run comes first.
    all: Vec<Style>,
    /// Positions in `all` by folder; `None` for folders without a file in them or above them.
    by_folder: HashMap<PathBuf, Option<usize>>,
    /// Whether that of the run holds for all files.
    is_alone: bool,
}

#[derive(Debug)]
struct Style {
    config: Config,
    excludes: Excludes,
}

impl Style {
    fn new(config: Config) -> Result<Self, Error> {
        let patterns = config.format.exclude.iter().map(String::as_str);
        let excludes = Excludes::new(&config.folder, patterns)?;
        Ok(Self { config, excludes })
    }
}

impl Styles {
    /// `own` is the configuration of the run.
    ///
    /// Errors: a pattern in it can match nothing.
    pub(crate) fn new(own: Config, is_alone: bool) -> Result<Self, Error> {
        let is_file = own.folder.join(config::FILE_NAME).is_file();
        let by_folder = HashMap::from([(own.folder.clone(), is_file.then_some(0))]);
        Ok(Self { all: vec![Style::new(own)?], by_folder, is_alone })
    }

    /// The configuration of the run.
    pub(crate) fn own(&self) -> &Config {
        &self.all[0].config
    }

    /// What holds in `folder`: that of the run where no file speaks of it.
    ///
    /// Errors: the file cannot be read or says something that it must not.
    pub(crate) fn of(&mut self, folder: &Path) -> Result<&Config, Error> {
        let at = self.find(folder)?.unwrap_or(0);
        Ok(&self.all[at].config)
    }

    /// Drops those of `files` that the nearest configuration file leaves out, and adds to `roots` the
    /// folders of those that hold for some of them and for none of the roots.
    ///
    /// Errors: as for [`Self::of`].
    /// Cost: one look a folder.
    pub(crate) fn apply(
        &mut self,
        files: &mut Vec<SourceFile>,
        roots: &mut Vec<PathBuf>,
    ) -> Result<(), Error> {
        if self.is_alone {
            return Ok(());
        }
        let mut last = PathBuf::new();
        for folder in files.iter().filter_map(|file| file.path.parent()) {
            if folder == last {
                continue;
            }
            folder.clone_into(&mut last);
            let Some(at) = self.find(folder)? else { continue };
            let home = &self.all[at].config.folder;
            if !roots.iter().any(|root| root.starts_with(home) && folder.starts_with(root)) {
                roots.push(home.clone());
            }
        }
        files.retain(|file| file.is_named || !self.leave_out(&file.path));
        Ok(())
    }

    fn leave_out(&self, file: &Path) -> bool {
        let at = file.parent().and_then(|folder| self.by_folder.get(folder)).copied().flatten();
        at.is_some_and(|at| self.all[at].excludes.cover(file))
    }

    fn find(&mut self, folder: &Path) -> Result<Option<usize>, Error> {
        if self.is_alone {
            return Ok(None);
        }
        let mut passed = Vec::new();
        let mut found = None;
        for at in folder.ancestors() {
            if let Some(known) = self.by_folder.get(at) {
                found = *known;
                break;
            }
            passed.push(at.to_path_buf());
            let path = at.join(config::FILE_NAME);
            if path.is_file() {
                self.all.push(Style::new(config::read(&path)?)?);
                found = Some(self.all.len() - 1);
                break;
            }
        }
        self.by_folder.extend(passed.into_iter().map(|at| (at, found)));
        Ok(found)
    }
}
