//! The files of a project at one moment, shared.

use std::path::Path;
use std::sync::Arc;

/// A file that belongs to a project.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SourceFile {
    /// Its absolute path, free of symbolic links.
    pub path: Arc<Path>,
    /// Whether it was asked for by name rather than met in a folder.
    pub is_named: bool,
}

/// The place of a file in its [`Snapshot`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FileId(pub u32);

impl FileId {
    /// The place as an index into [`Snapshot::files`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The files of a project at one moment, in the order of their paths' bytes. Immutable; a clone
/// shares the list.
#[derive(Clone, Debug)]
pub struct Snapshot {
    root: Arc<Path>,
    files: Arc<[SourceFile]>,
}

impl Snapshot {
    /// Shares `files` as the project that lives at `root`. A path that occurs twice is kept once.
    #[must_use]
    pub fn new(root: impl AsRef<Path>, mut files: Vec<SourceFile>) -> Self {
        sort(&mut files);
        Self { root: root.as_ref().into(), files: files.into() }
    }

    /// The project's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// All files, sorted; a [`FileId`] is an index into them.
    #[must_use]
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The file at exactly `path`, which must be written as discovery writes paths. Cost: a binary
    /// search.
    #[must_use]
    pub fn find(&self, path: &Path) -> Option<FileId> {
        let found = self.files.binary_search_by(|file| bytes(&file.path).cmp(bytes(path)));
        found.ok().map(|at| FileId(at as u32))
    }

    /// `path` as seen from the project's folder; whole where it lies outside.
    #[must_use]
    pub fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

/// Sorts by the bytes of the path, which is several times faster than by its components, and joins
/// what was found twice.
pub(crate) fn sort(files: &mut Vec<SourceFile>) {
    files.sort_unstable_by(|a, b| bytes(&a.path).cmp(bytes(&b.path)));
    files.dedup_by(|later, kept| {
        let is_same = bytes(&later.path) == bytes(&kept.path);
        kept.is_named |= is_same && later.is_named;
        is_same
    });
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, is_named: bool) -> SourceFile {
        SourceFile { path: Path::new(path).into(), is_named }
    }

    #[test]
    fn finds_by_path_and_keeps_each_once() {
        let files = ["/p/b.nix", "/p/a/c.nix", "/p/a.nix", "/q.nix", "/p/b.nix"];
        let mut files: Vec<_> = files.iter().map(|path| file(path, false)).collect();
        files[4].is_named = true;
        let snapshot = Snapshot::new("/p", files);
        let relative: Vec<_> =
            snapshot.files().iter().map(|file| snapshot.relative(&file.path)).collect();
        assert_eq!(relative, ["a.nix", "a/c.nix", "b.nix", "/q.nix"].map(Path::new));
        let found = snapshot.find(Path::new("/p/b.nix"));
        assert_eq!(found, Some(FileId(2)));
        assert!(snapshot.files()[2].is_named);
        assert_eq!(snapshot.find(Path::new("/p/none.nix")), None);
    }

    #[test]
    fn clones_share() {
        let snapshot = Snapshot::new("/", vec![file("/a.nix", true)]);
        assert!(std::ptr::eq(snapshot.files(), snapshot.clone().files()));
    }
}
