//! Files and sources, but only some of them, for code that nobody vouches for.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use cim_nix_eval::{Fetched, FileKind, Io};
use cim_nix_model::{FlakeRef, References, Registries, Registry, TreeWriter};

use crate::within::{is_within, settled};

/// Says whether a source may be fetched, or why not.
pub type Admits = Box<dyn Fn(&FlakeRef) -> Result<(), String>>;

/// Is told which source could not be fetched, and why.
pub type Failed = Box<dyn Fn(&FlakeRef, &str)>;

/// What another [`Io`] has, within bounds: files below some folders, sources that are admitted, no
/// variables of the environment.
///
/// A path outside is refused in the same words whether or not something is there.
pub struct Confined<I> {
    below: I,
    bounds: Option<Bounds>,
}

struct Bounds {
    folders: Vec<PathBuf>,
    admits: Admits,
    failed: Failed,
    /// Where folders lead to.
    settled: RefCell<HashMap<PathBuf, Option<PathBuf>>>,
}

impl<I: Io> Confined<I> {
    /// Only files in `folders`, which are absolute and without links, and sources that are admitted.
    pub fn new(below: I, folders: Vec<PathBuf>, admits: Admits, failed: Failed) -> Self {
        let bounds = Bounds { folders, admits, failed, settled: RefCell::default() };
        Self { below, bounds: Some(bounds) }
    }

    /// Everything, for code that somebody runs for himself.
    pub fn open(below: I) -> Self {
        Self { below, bounds: None }
    }

    /// Errors: the path is outside, or its last name is a link that leads there.
    fn check(&self, path: &Path) -> io::Result<()> {
        let Some(bounds) = &self.bounds else { return Ok(()) };
        bounds.check_folder(path)?;
        let folders = bounds.folders.iter().map(PathBuf::as_path);
        // Links are rare, and what is none was looked at with its folder.
        match self.below.link_kind(path) {
            Ok(FileKind::Symlink) if !is_within(path, folders) => Err(forbidden(path)),
            _ => Ok(()),
        }
    }

    /// Errors: the path is outside, as it is written or because of a link to a folder of it.
    fn check_folder(&self, path: &Path) -> io::Result<()> {
        self.bounds.as_ref().map_or(Ok(()), |bounds| bounds.check_folder(path))
    }

    /// Whether one of the folders lies below a path, so that who walks down to it passes there.
    fn is_above(&self, path: &Path) -> bool {
        let is_below = |bounds: &Bounds| bounds.folders.iter().any(|it| it.starts_with(path));
        self.bounds.as_ref().is_some_and(is_below)
    }
}

impl Bounds {
    fn is_in(&self, path: &Path) -> bool {
        self.folders.iter().any(|folder| path.starts_with(folder))
    }

    /// Errors: the path is outside, as it is written or because of a link to a folder of it.
    fn check_folder(&self, path: &Path) -> io::Result<()> {
        if !self.is_in(path)
            || path.components().any(|part| part == std::path::Component::ParentDir)
        {
            return Err(forbidden(path));
        }
        if self.folders.iter().any(|folder| folder == path) {
            return Ok(());
        }
        let folder = path.parent().unwrap_or(path);
        let mut known = self.settled.borrow_mut();
        let leads_to = match known.get(folder) {
            Some(leads_to) => leads_to,
            None => known.entry(folder.to_owned()).or_insert_with(|| settled(folder)),
        };
        match leads_to {
            Some(folder) if self.is_in(folder) => Ok(()),
            _ => Err(forbidden(path)),
        }
    }
}

fn forbidden(path: &Path) -> io::Error {
    let message =
        format!("access to path '{}' is forbidden: it is outside of the project", path.display());
    io::Error::new(io::ErrorKind::PermissionDenied, message)
}

impl<I: Io> Io for Confined<I> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.check(path)?;
        self.below.read(path)
    }

    fn read_within(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        self.check(path)?;
        self.below.read_within(path, limit)
    }

    fn read_for_archive(&self, path: &Path, buffer: &mut Vec<u8>) -> io::Result<(bool, usize)> {
        self.check_folder(path)?;
        self.below.read_for_archive(path, buffer)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(Vec<u8>, FileKind)>> {
        self.check(path)?;
        self.below.list(path)
    }

    fn link_kind(&self, path: &Path) -> io::Result<FileKind> {
        if self.is_above(path) {
            return Ok(FileKind::Directory);
        }
        self.check_folder(path)?;
        self.below.link_kind(path)
    }

    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        if self.is_above(path) {
            return Ok(FileKind::Directory);
        }
        self.check(path)?;
        self.below.kind(path)
    }

    fn link_target(&self, path: &Path) -> io::Result<PathBuf> {
        self.check_folder(path)?;
        self.below.link_target(path)
    }

    fn is_executable(&self, path: &Path) -> io::Result<bool> {
        self.check_folder(path)?;
        self.below.is_executable(path)
    }

    fn add_text(&self, path: &str, text: &[u8], references: &References) -> io::Result<()> {
        self.below.add_text(path, text, references)
    }

    fn add_tree(
        &self,
        path: &str,
        write: &mut dyn FnMut(&mut dyn TreeWriter) -> io::Result<()>,
    ) -> io::Result<()> {
        self.below.add_tree(path, write)
    }

    fn build(&self, derivation: &str, output: &str) -> Result<String, String> {
        self.below.build(derivation, output)
    }

    fn fetch(&self, source: &FlakeRef) -> Result<Fetched, String> {
        let Some(bounds) = &self.bounds else { return self.below.fetch(source) };
        (bounds.admits)(source)?;
        self.below.fetch(source).inspect_err(|why| (bounds.failed)(source, why))
    }

    fn registry(&self, number: usize, registries: Registries) -> Option<Result<Registry, String>> {
        self.below.registry(number, registries)
    }

    fn variable(&self, name: &str) -> Option<String> {
        if self.bounds.is_some() { None } else { self.below.variable(name) }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::DiskIo;

    #[test]
    fn nothing_outside_is_seen() {
        let scene = tempfile::tempdir().unwrap();
        let top = scene.path().canonicalize().unwrap();
        let root = top.join("root");
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::create_dir_all(top.join("other")).unwrap();
        fs::write(root.join("sub/a"), "in").unwrap();
        fs::write(top.join("other/a"), "out").unwrap();
        for (target, name) in [
            ("sub/a", "good"),
            ("../other/a", "bad"),
            ("../other", "folder"),
            ("/etc/nothing-there", "dangling"),
        ] {
            symlink(target, root.join(name)).unwrap();
        }
        let admits = Box::new(|source: &FlakeRef| Err(format!("no {}", source.kind())));
        let io = Confined::new(DiskIo::default(), vec![root.clone()], admits, Box::new(|_, _| {}));
        let read = |path: &Path| match io.read(path) {
            Ok(bytes) => String::from_utf8(bytes).unwrap(),
            Err(error) => format!("{:?}", error.kind()),
        };
        let refused = "PermissionDenied";
        for (path, want) in [
            ("sub/a", "in"),
            ("good", "in"),
            ("none", "NotFound"),
            ("bad", refused),
            ("folder/a", refused),
            ("dangling", refused),
            ("sub/../../other/a", refused),
            ("/etc/passwd", refused),
            ("/etc/nothing-there", refused),
        ] {
            let path = root.join(path);
            assert_eq!(read(&path), want, "{}", path.display());
            assert_eq!(io.read_within(&path, 99).is_ok(), want == "in");
            assert_eq!(io.kind(&path).is_ok(), want == "in", "{}", path.display());
        }
        // A link itself is part of the project, wherever it leads.
        assert_eq!(io.link_kind(&root.join("bad")).unwrap(), FileKind::Symlink);
        assert_eq!(io.link_target(&root.join("bad")).unwrap(), Path::new("../other/a"));
        assert!(io.link_kind(&root.join("folder/a")).is_err());
        assert!(io.list(&root).is_ok());
        assert!(io.list(&root.join("folder")).is_err());
        assert!(io.list(&top).is_err());
        // Who walks down from the top passes folders that it must not look into.
        assert_eq!(io.kind(&top).unwrap(), FileKind::Directory);
        assert_eq!(io.link_kind(Path::new("/")).unwrap(), FileKind::Directory);
        assert!(io.link_kind(&top.join("other")).is_err());
        assert_eq!(io.variable("PATH"), None);
        let source = FlakeRef::parse("path:/etc").unwrap();
        assert_eq!(io.fetch(&source).unwrap_err(), "no path");
    }

    #[test]
    fn a_refusal_says_the_same_of_what_is_there_and_what_is_not() {
        let admits = Box::new(|_: &FlakeRef| Ok(()));
        let io = Confined::new(
            DiskIo::default(),
            vec!["/nowhere/root".into()],
            admits,
            Box::new(|_, _| {}),
        );
        let said = |path: &str| io.read(Path::new(path)).unwrap_err().to_string();
        assert_eq!(
            said("/etc/passwd").replace("/etc/passwd", "P"),
            said("/etc/none").replace("/etc/none", "P"),
        );
    }
}
