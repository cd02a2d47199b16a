//! A tree of files in memory, for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use crate::{EntryKind, Files, Problem};

/// How many links a path may lead through; Linux has the same bound.
const MAX_LINKS: usize = 40;

/// Files, folders and symbolic links in memory. Relative paths are taken from `/`.
#[derive(Clone, Default, Debug)]
pub struct MemoryFiles {
    nodes: BTreeMap<PathBuf, Node>,
    denied: BTreeSet<PathBuf>,
}

#[derive(Clone, Debug)]
enum Node {
    File(Vec<u8>),
    Folder,
    Link(PathBuf),
    Other,
}

impl MemoryFiles {
    /// An empty root folder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads several files from one text: a line `//- /path` starts a file, `//- /path/` makes an
    /// empty folder and `//- /path -> target` a symbolic link.
    #[must_use]
    pub fn fixture(text: &str) -> Self {
        let mut files = Self::new();
        for section in text.split("//- ").skip(1) {
            let (head, body) = section.split_once('\n').unwrap_or((section, ""));
            if let Some((path, target)) = head.split_once(" -> ") {
                files = files.link(path, target);
            } else if let Some(path) = head.strip_suffix('/') {
                files.insert(path.as_ref(), Node::Folder);
            } else {
                files = files.file(head, body);
            }
        }
        files
    }

    /// Adds a file and the folders above it.
    #[must_use]
    pub fn file(mut self, path: impl AsRef<Path>, content: impl Into<Vec<u8>>) -> Self {
        self.insert(path.as_ref(), Node::File(content.into()));
        self
    }

    /// Adds a symbolic link and the folders above it.
    #[must_use]
    pub fn link(mut self, path: impl AsRef<Path>, target: impl Into<PathBuf>) -> Self {
        self.insert(path.as_ref(), Node::Link(target.into()));
        self
    }

    /// Adds a pipe.
    #[must_use]
    pub fn pipe(mut self, path: impl AsRef<Path>) -> Self {
        self.insert(path.as_ref(), Node::Other);
        self
    }

    /// Forbids reading the file or listing the folder at `path`.
    #[must_use]
    pub fn deny(mut self, path: impl AsRef<Path>) -> Self {
        self.denied.insert(absolute(path.as_ref()));
        self
    }

    fn insert(&mut self, path: &Path, node: Node) {
        let path = absolute(path);
        for folder in path.ancestors().skip(1) {
            self.nodes.entry(folder.to_owned()).or_insert(Node::Folder);
        }
        self.nodes.insert(path, node);
    }

    /// Follows every link in `path` except, unless `last` says so, in its last component.
    fn resolve(&self, path: &Path, last: bool) -> Result<PathBuf, Problem> {
        let mut done = PathBuf::from("/");
        let mut rest: Vec<OsString> = names(path).rev().collect();
        let mut n_links = 0;
        while let Some(name) = rest.pop() {
            if name == ".." {
                done.pop();
                continue;
            }
            done.push(&name);
            match self.nodes.get(&done) {
                None => return Err(Problem::Missing),
                Some(Node::Link(target)) if last || !rest.is_empty() => {
                    n_links += 1;
                    if n_links > MAX_LINKS {
                        return Err(Problem::LinkLoop);
                    }
                    done.pop();
                    if target.is_absolute() {
                        done = PathBuf::from("/");
                    }
                    rest.extend(names(target).rev());
                }
                Some(Node::File(_)) if !rest.is_empty() => return Err(Problem::NotAFolder),
                Some(_) => {}
            }
        }
        Ok(done)
    }
}

impl Files for MemoryFiles {
    fn read(&self, path: &Path, max_bytes: u64) -> Result<String, Problem> {
        let path = self.resolve(path, true)?;
        if self.denied.contains(&path) {
            return Err(Problem::Denied);
        }
        match self.nodes.get(&path) {
            Some(Node::File(bytes)) if bytes.len() as u64 > max_bytes => {
                Err(Problem::TooLarge { size: bytes.len() as u64 })
            }
            Some(Node::File(bytes)) => String::from_utf8(bytes.clone())
                .map_err(|error| Problem::NotUtf8 { offset: error.utf8_error().valid_up_to() }),
            Some(_) => Err(Problem::NotAFile),
            None => Err(Problem::Missing),
        }
    }

    fn kind(&self, path: &Path) -> Result<EntryKind, Problem> {
        let path = self.resolve(path, false)?;
        self.nodes.get(&path).map(kind_of).ok_or(Problem::Missing)
    }

    fn real_path(&self, path: &Path) -> Result<PathBuf, Problem> {
        self.resolve(path, true)
    }

    fn list(&self, folder: &Path, visit: &mut dyn FnMut(&OsStr, EntryKind)) -> Result<(), Problem> {
        let folder = self.resolve(folder, true)?;
        if self.denied.contains(&folder) {
            return Err(Problem::Denied);
        }
        if !matches!(self.nodes.get(&folder), Some(Node::Folder)) {
            return Err(Problem::NotAFolder);
        }
        for (path, node) in self.nodes.range(folder.clone()..) {
            if !path.starts_with(&folder) {
                break;
            }
            if path.parent() == Some(&folder)
                && let Some(name) = path.file_name()
            {
                visit(name, kind_of(node));
            }
        }
        Ok(())
    }
}

fn kind_of(node: &Node) -> EntryKind {
    match node {
        Node::File(_) => EntryKind::File,
        Node::Folder => EntryKind::Folder,
        Node::Link(_) => EntryKind::Link,
        Node::Other => EntryKind::Other,
    }
}

fn absolute(path: &Path) -> PathBuf {
    Path::new("/").join(path)
}

/// The names in `path`; `..` is kept, since it may stand behind a link.
fn names(path: &Path) -> impl DoubleEndedIterator<Item = OsString> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> MemoryFiles {
        MemoryFiles::fixture(
            "\
//- /a/b.nix
1
//- /a/empty/
//- /c -> a
//- /d -> c/b.nix
//- /loop -> loop
//- /up -> a/../a/b.nix
",
        )
    }

    #[test]
    fn reads_through_links() {
        let files = sample();
        for path in ["/a/b.nix", "/c/b.nix", "/d", "/up", "a/../d"] {
            assert_eq!(files.read(path.as_ref(), 9).as_deref(), Ok("1\n"), "{path}");
            assert_eq!(files.real_path(path.as_ref()).as_deref(), Ok("/a/b.nix".as_ref()));
        }
        assert_eq!(files.kind("/c".as_ref()), Ok(EntryKind::Link));
        assert_eq!(files.kind("/c/empty".as_ref()), Ok(EntryKind::Folder));
    }

    #[test]
    fn says_why_it_cannot() {
        let files = sample().file("/bad", [b'x', 0xff]).pipe("/pipe").deny("/a/b.nix");
        let read = |path: &str| files.read(path.as_ref(), 9).expect_err("cannot be read");
        assert_eq!(read("/d"), Problem::Denied);
        assert_eq!(read("/loop"), Problem::LinkLoop);
        assert_eq!(read("/nothing"), Problem::Missing);
        assert_eq!(read("/a"), Problem::NotAFile);
        assert_eq!(read("/pipe"), Problem::NotAFile);
        assert_eq!(read("/a/b.nix/c"), Problem::NotAFolder);
        assert_eq!(read("/bad"), Problem::NotUtf8 { offset: 1 });
        assert_eq!(files.read("/bad".as_ref(), 1), Err(Problem::TooLarge { size: 2 }));
    }

    #[test]
    fn lists_children_only() {
        let mut seen = Vec::new();
        let root = sample().list("/".as_ref(), &mut |name, _| seen.push(name.to_owned()));
        assert_eq!((root, seen), (Ok(()), ["a", "c", "d", "loop", "up"].map(Into::into).to_vec()));
    }
}
