//! From targets as they are written to files.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::path::Path;
use std::sync::Arc;

use super::{Destination, Folder, ImportEdge, Lack, Missing, Outside, suggest};
use crate::{
    EntryKind, FileId, Files, Problem, Reference, ReferenceKind, Snapshot, Summary, Target,
};

/// Numbers things as they are met.
pub(super) struct Numbered<T> {
    pub(super) items: Vec<T>,
    numbers: HashMap<T, u32>,
}

impl<T: Clone + Eq + Hash> Numbered<T> {
    fn new() -> Self {
        Self { items: Vec::new(), numbers: HashMap::new() }
    }

    fn number(&mut self, item: T) -> u32 {
        match self.numbers.entry(item) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                let number = self.items.len() as u32;
                self.items.push(new.key().clone());
                *new.insert(number)
            }
        }
    }
}

pub(super) struct Resolver<'a> {
    snapshot: &'a Snapshot,
    files: &'a dyn Files,
    by_path: HashMap<&'a str, FileId>,
    /// What `files` said about paths that the snapshot does not know.
    asked: HashMap<String, Seen>,
    siblings: HashMap<String, Arc<[String]>>,
    pub(super) edges: Vec<ImportEdge>,
    pub(super) folders: Numbered<Folder>,
    pub(super) outside: Numbered<Outside>,
    pub(super) missing: Vec<Missing>,
}

/// What stands at a path, links followed.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Seen {
    File(FileId),
    /// A folder without a `default.nix`; its path without links.
    Folder(Arc<str>),
    /// A file that the snapshot does not hold.
    Outside(Arc<Path>),
    Missing(Lack),
    /// The system did not say.
    Unknown,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, files: &'a dyn Files) -> Self {
        let paths = snapshot.files().iter().enumerate();
        Self {
            snapshot,
            files,
            // A path that is no UTF-8 can be written in no Nix file.
            by_path: paths
                .filter_map(|(at, file)| Some((file.path.to_str()?, FileId(at as u32))))
                .collect(),
            asked: HashMap::new(),
            siblings: HashMap::new(),
            edges: Vec::new(),
            folders: Numbered::new(),
            outside: Numbered::new(),
            missing: Vec::new(),
        }
    }

    /// Adds the edges that leave `file`.
    pub(super) fn file(&mut self, file: FileId, summary: &Summary) {
        let path = &self.snapshot.files()[file.index()].path;
        let Some(folder) = path.parent().and_then(Path::to_str) else { return };
        for (at, reference) in summary.references.iter().enumerate() {
            let place = Place { file, at: at as u32, reference };
            match &reference.target {
                Target::Flake(inner) => {
                    if let Some(folder) = self.flake_folder(folder) {
                        self.target(place, folder, inner);
                    }
                }
                target => self.target(place, folder, target),
            }
        }
    }

    /// Adds the edges of a reference to `target`, as seen from `folder`.
    fn target(&mut self, place: Place<'_>, folder: &str, target: &Target) {
        match target {
            Target::Search(text) => {
                let to = self.outside.number(Outside::Search(text.clone()));
                self.edge(place, place.reference.kind, Destination::Outside(to));
            }
            Target::Below { prefix, suffix } => {
                if let Some(prefix) = join(folder, prefix) {
                    self.folder(place, place.reference.kind, prefix, suffix);
                }
            }
            Target::Path(target) => {
                if let Some(path) = join(folder, target) {
                    self.path(place, path);
                }
            }
            // It is told apart above, and holds no other.
            Target::Flake(_) => {}
        }
    }

    /// The nearest folder that holds a flake, from `folder` upwards.
    fn flake_folder<'p>(&self, folder: &'p str) -> Option<&'p str> {
        let above = std::iter::successors(Some(folder), |folder| {
            folder.rsplit_once('/').map(|(above, _)| above)
        });
        above.into_iter().find(|folder| self.by_path.contains_key(&*format!("{folder}/flake.nix")))
    }

    fn edge(&mut self, place: Place<'_>, kind: ReferenceKind, to: Destination) {
        self.edges.push(ImportEdge { from: place.file, reference: place.at, kind, to });
    }

    /// Adds an edge to the files that begin with `prefix`, if there are any.
    fn folder(&mut self, place: Place<'_>, kind: ReferenceKind, prefix: String, suffix: &str) {
        // `/. + path` can be anywhere, which says nothing about this project.
        if !Path::new(&prefix).starts_with(self.snapshot.root()) {
            return;
        }
        let begins = |at: usize| bytes(&self.snapshot.files()[at].path);
        let n_files = self.snapshot.files().len();
        let first = partition(0, n_files, |at| begins(at) < prefix.as_bytes());
        let end = partition(first, n_files, |at| begins(at).starts_with(prefix.as_bytes()));
        if first == end {
            return;
        }
        let (first, end) = (FileId(first as u32), FileId(end as u32));
        let folder = Folder { prefix: prefix.into(), suffix: suffix.into(), first, end };
        let to = self.folders.number(folder);
        self.edge(place, kind, Destination::Folder(to));
    }

    fn path(&mut self, place: Place<'_>, path: String) {
        let Place { file, at, reference } = place;
        let kind = reference.kind;
        let is_named = kind == ReferenceKind::Path || kind == ReferenceKind::Directory;
        let found = self.find(&path, !is_named || path.ends_with(".nix"));
        if let Seen::Folder(_) | Seen::File(_) = found
            && is_named
            && !path.ends_with(".nix")
        {
            // Whoever is handed a folder may look for any file in it.
            let real = match &found {
                Seen::Folder(real) => format!("{real}/"),
                _ => format!("{path}/"),
            };
            self.folder(place, kind, real, "");
        }
        match found {
            // `src = ./.` in a `default.nix` means the folder.
            Seen::File(to) if to == file && is_named => {}
            Seen::File(to) => {
                let kind = if is_named { ReferenceKind::Path } else { kind };
                self.edge(place, kind, Destination::File(to));
            }
            Seen::Outside(path) => {
                let to = self.outside.number(Outside::File(path));
                self.edge(place, kind, Destination::Outside(to));
            }
            Seen::Folder(_) if !is_named => self.missing(file, at, reference, path, Lack::Default),
            Seen::Missing(lack) => self.missing(file, at, reference, path, lack),
            Seen::Folder(_) | Seen::Unknown => {}
        }
    }

    fn missing(&mut self, from: FileId, at: u32, reference: &Reference, path: String, what: Lack) {
        if !reference.is_required || reference.is_guarded {
            return;
        }
        if what == Lack::Case
            && let Some(to) = self.other_case(&path)
        {
            let edge = ImportEdge { from, reference: at, kind: reference.kind, to };
            self.edges.push(edge);
        }
        let Target::Path(written) = &reference.target else { return };
        let siblings = self.siblings(&path);
        let suggestion = suggest::nearest(written, &siblings);
        let path: Arc<Path> = Path::new(&path).into();
        self.missing.push(Missing { from, reference: at, path, what, suggestion });
    }

    /// What is at `path`. The disk is asked only if `asks`, and never outside the project.
    fn find(&mut self, path: &str, asks: bool) -> Seen {
        if let Some(&file) = self.by_path.get(path) {
            return Seen::File(file);
        }
        if let Some(&file) = self.by_path.get(&*format!("{path}/default.nix")) {
            return Seen::File(file);
        }
        if !Path::new(path).starts_with(self.snapshot.root()) {
            return Seen::Unknown;
        }
        if !path.ends_with(".nix") && self.holds_files(path) {
            // Only an ignored `default.nix` could still be there.
            return match asks && self.files.kind(&Path::new(path).join("default.nix")).is_ok() {
                true => Seen::Outside(Path::new(path).join("default.nix").into()),
                false => Seen::Folder(path.into()),
            };
        }
        if !asks {
            return Seen::Unknown;
        }
        if let Some(seen) = self.asked.get(path) {
            return seen.clone();
        }
        let seen = self.ask(Path::new(path));
        self.asked.insert(path.to_owned(), seen.clone());
        seen
    }

    fn holds_files(&self, folder: &str) -> bool {
        let files = self.snapshot.files();
        let prefix = format!("{folder}/");
        let at = files.partition_point(|file| bytes(&file.path) < prefix.as_bytes());
        files.get(at).is_some_and(|file| bytes(&file.path).starts_with(prefix.as_bytes()))
    }

    fn ask(&self, path: &Path) -> Seen {
        let real = match self.files.real_path(path) {
            Ok(real) => real,
            Err(Problem::Missing | Problem::NotAFolder) => return Seen::Missing(Lack::Path),
            Err(_) => return Seen::Unknown,
        };
        if differs_in_case(&real, path) && self.files.kind(path) != Ok(EntryKind::Link) {
            return Seen::Missing(Lack::Case);
        }
        let default = real.join("default.nix");
        for candidate in [&real, &default] {
            if let Some(file) = self.snapshot.find(candidate) {
                return Seen::File(file);
            }
        }
        match self.files.kind(&real) {
            Ok(EntryKind::Folder) => match self.files.kind(&default) {
                Ok(_) => Seen::Outside(default.into()),
                Err(Problem::Missing) => {
                    real.to_str().map_or(Seen::Unknown, |real| Seen::Folder(real.into()))
                }
                Err(_) => Seen::Unknown,
            },
            Ok(_) => Seen::Outside(real.into()),
            Err(_) => Seen::Unknown,
        }
    }

    /// The file that a system without capitals finds at `path`.
    fn other_case(&self, path: &str) -> Option<Destination> {
        let real = self.files.real_path(Path::new(path)).ok()?;
        let found =
            self.snapshot.find(&real).or_else(|| self.snapshot.find(&real.join("default.nix")));
        found.map(Destination::File)
    }

    /// The names in the folder that `path` should stand in; those of folders end in a slash.
    fn siblings(&mut self, path: &str) -> Arc<[String]> {
        let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
        if let Some(known) = self.siblings.get(folder) {
            return known.clone();
        }
        let mut names = Vec::new();
        // What can be listed is enough for a suggestion.
        let _ = self.files.list(Path::new(folder), &mut |name, kind| {
            let slash = if kind == EntryKind::Folder { "/" } else { "" };
            names.extend(name.to_str().map(|name| format!("{name}{slash}")));
        });
        names.sort_unstable();
        let names: Arc<[String]> = names.into();
        self.siblings.insert(folder.to_owned(), names.clone());
        names
    }
}

#[derive(Clone, Copy)]
struct Place<'a> {
    file: FileId,
    at: u32,
    reference: &'a Reference,
}

/// `target`, which begins with names or `..`, as seen from `folder`; `None` above the root.
fn join(folder: &str, target: &str) -> Option<String> {
    if target.starts_with('/') {
        return Some(target.to_owned());
    }
    let (mut folder, mut rest) = (folder, target);
    if rest == "." {
        return Some(folder.to_owned());
    }
    while let Some(below) = rest.strip_prefix("..") {
        rest = match below.strip_prefix('/') {
            Some(below) => below,
            None if below.is_empty() => "",
            None => break,
        };
        let (above, _) = folder.rsplit_once('/')?;
        folder = above;
        if below.is_empty() {
            return Some(if folder.is_empty() { "/" } else { folder }.to_owned());
        }
    }
    let mut path = String::with_capacity(folder.len() + 1 + rest.len());
    path.push_str(folder.trim_end_matches('/'));
    path.push('/');
    path.push_str(rest);
    Some(path)
}

fn differs_in_case(one: &Path, other: &Path) -> bool {
    let (one, other) = (bytes(one), bytes(other));
    one != other && one.eq_ignore_ascii_case(other)
}

/// The first of `from..to` for which `is_before` does not hold.
fn partition(from: usize, to: usize, is_before: impl Fn(usize) -> bool) -> usize {
    let (mut from, mut to) = (from, to);
    while from < to {
        let middle = from + (to - from) / 2;
        match is_before(middle) {
            true => from = middle + 1,
            false => to = middle,
        }
    }
    from
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_joined_to_folders() {
        let cases = [
            ("/p/a", "b.nix", Some("/p/a/b.nix")),
            ("/p/a", ".", Some("/p/a")),
            ("/p/a", "..", Some("/p")),
            ("/p/a", "../..", Some("/")),
            ("/p/a", "../../..", None),
            ("/p/a", "../b/c", Some("/p/b/c")),
            ("/p/a", "..b", Some("/p/a/..b")),
            ("/p/a", "", Some("/p/a/")),
            ("/p/a", "../", Some("/p/")),
            ("/", "b", Some("/b")),
            ("/p", "/etc", Some("/etc")),
        ];
        for (folder, target, want) in cases {
            assert_eq!(join(folder, target).as_deref(), want, "{folder} {target}");
        }
    }
}
