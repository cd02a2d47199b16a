//! Where the repository is and which files belong to it.
//!
//! A file belongs to it if Git tracks it, or would after `git add .`: what is ignored is nobody's
//! business here.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::process;

/// The checked-out repository that holds this crate.
pub(crate) struct Repo {
    root: PathBuf,
}

impl Repo {
    /// Finds the repository from the place of this crate in it.
    ///
    /// The place is read when the program runs: a program built in one clone and found again
    /// through a shared target folder must not work on that other clone.
    pub(crate) fn open() -> Result<Self> {
        let manifest_dir = std::env::var_os("CARGO_MANIFEST_DIR")
            .ok_or("cannot find the repository: start this program as `cargo xtask`")?;
        let root = Path::new(&manifest_dir)
            .ancestors()
            .nth(2)
            .ok_or("cannot find the repository above `crates/xtask`")?;
        Ok(Self { root: root.to_owned() })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the absolute path of a file given relative to the root.
    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// Returns the folder that build output goes to.
    pub(crate) fn target_dir(&self) -> PathBuf {
        let asked = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        self.root.join(asked.unwrap_or_else(|| PathBuf::from("target")))
    }

    /// Lists the files of the repository, relative to the root, sorted.
    pub(crate) fn files(&self) -> Result<Vec<String>> {
        let mut list = Command::new("git");
        list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let listed = process::output(list.current_dir(&self.root))?;
        let mut files: Vec<String> = listed.split_terminator('\0').map(ToOwned::to_owned).collect();
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// Returns a command for the Cargo that started this program.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.current_dir(&self.root);
        cargo
    }
}

/// Says whether this run must prove everything: nobody reads a hint in a CI log.
pub(crate) fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}
