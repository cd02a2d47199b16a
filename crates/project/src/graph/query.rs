//! What the graph answers beyond single edges.
//!
//! A path to a folder that is merely named (`src = ./.`) is no way to the files in it here; one
//! that is listed, or completed at run time, is.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use cim_nix_base::{Edge, Graph, GraphNode};

use super::{Destination, Folder, ImportEdge, ImportGraph, Outside};
use crate::{FileId, ReferenceKind};

/// The edge from a folder to a file in it.
const DIRECTORY: &str = ReferenceKind::Directory.name();

/// Folders by their places, each with its node and the nodes and files that pick from it.
pub(super) type Pickers = BTreeMap<u32, (u32, Vec<(u32, FileId)>)>;

impl Folder {
    /// Whether a path that is completed at run time may lead to the file `id` at `path`.
    #[must_use]
    pub fn may_open(&self, id: FileId, path: &Path) -> bool {
        if id < self.first || id >= self.end {
            return false;
        }
        let path = path.as_os_str().as_encoded_bytes();
        let rest = path.get(self.prefix.len()..).unwrap_or_default();
        let ends_with = |rest: &[u8]| rest.ends_with(self.suffix.as_bytes());
        ends_with(rest) || rest.strip_suffix(b"/default.nix").is_some_and(ends_with)
    }

    /// The files that begin with its prefix.
    fn files(&self) -> impl Iterator<Item = FileId> + use<> {
        (self.first.0..self.end.0).map(FileId)
    }
}

impl ImportEdge {
    /// Whether whoever follows the edge opens a file: a folder that is only named is none.
    #[must_use]
    pub fn is_way(&self) -> bool {
        match self.to {
            Destination::File(_) | Destination::Outside(_) => true,
            Destination::Folder(_) => self.kind != ReferenceKind::Path,
        }
    }
}

impl ImportGraph {
    fn path(&self, file: FileId) -> &Path {
        &self.snapshot.files()[file.index()].path
    }

    fn folder_opens(&self, folder: u32, file: FileId) -> bool {
        self.folders[folder as usize].may_open(file, self.path(file))
    }

    /// The files that a path which is completed at run time may lead to.
    pub(super) fn opened(&self, folder: u32) -> impl Iterator<Item = FileId> + '_ {
        let files = self.folders[folder as usize].files();
        files.filter(move |file| self.folder_opens(folder, *file))
    }

    fn is_everything(&self, folder: u32) -> bool {
        let Folder { first, end, suffix, .. } = &self.folders[folder as usize];
        suffix.is_empty() && (end.0 - first.0) as usize == self.snapshot.files().len()
    }

    /// The edges by which `from` may open `to`, the most exact kind first: the file itself, then
    /// folders that it is picked from, then folders that are only named.
    #[must_use]
    pub fn edges_between(&self, from: FileId, to: FileId) -> Vec<ImportEdge> {
        let leads_there = |edge: &&ImportEdge| match edge.to {
            Destination::File(file) => file == to,
            Destination::Folder(folder) => self.folder_opens(folder, to),
            Destination::Outside(_) => false,
        };
        let mut edges: Vec<ImportEdge> =
            self.edges_from(from).iter().filter(leads_there).copied().collect();
        edges.sort_by_key(|edge| (matches!(edge.to, Destination::Folder(_)), edge.kind));
        edges
    }

    /// The edges of other files that lead to `file`, by the files that they leave. Cost: linear in
    /// the number of edges.
    #[must_use]
    pub fn importers(&self, file: FileId) -> Vec<ImportEdge> {
        let leads_here = |edge: &&ImportEdge| {
            edge.from != file
                && match edge.to {
                    Destination::File(to) => to == file,
                    Destination::Folder(folder) => edge.is_way() && self.folder_opens(folder, file),
                    Destination::Outside(_) => false,
                }
        };
        self.edges.iter().filter(leads_here).copied().collect()
    }

    /// All files that the evaluation of `from` may open, itself included, sorted.
    #[must_use]
    pub fn reach(&self, from: &[FileId]) -> Vec<FileId> {
        let mut is_reached = vec![false; self.snapshot.files().len()];
        let mut is_open = vec![false; self.folders.len()];
        let mut todo = from.to_vec();
        while let Some(file) = todo.pop() {
            if std::mem::replace(&mut is_reached[file.index()], true) {
                continue;
            }
            for edge in self.edges_from(file).iter().filter(|edge| edge.is_way()) {
                match edge.to {
                    Destination::File(to) => todo.push(to),
                    Destination::Folder(at) => {
                        if !std::mem::replace(&mut is_open[at as usize], true) {
                            let files = self.folders[at as usize].files();
                            todo.extend(files.filter(|file| self.folder_opens(at, *file)));
                        }
                    }
                    Destination::Outside(_) => {}
                }
            }
        }
        marked(&is_reached)
    }

    /// All files whose evaluation may open one of `files`, these included, sorted.
    #[must_use]
    pub fn dependents(&self, files: &[FileId]) -> Vec<FileId> {
        let ways = || self.edges.iter().filter(|edge| edge.is_way());
        let mut into_file: Vec<(FileId, FileId)> = Vec::new();
        let mut into_folder = vec![Vec::new(); self.folders.len()];
        for edge in ways() {
            match edge.to {
                Destination::File(to) => into_file.push((to, edge.from)),
                Destination::Folder(at) => into_folder[at as usize].push(edge.from),
                Destination::Outside(_) => {}
            }
        }
        into_file.sort_unstable();
        let mut is_found = vec![false; self.snapshot.files().len()];
        let mut todo = files.to_vec();
        while let Some(file) = todo.pop() {
            if std::mem::replace(&mut is_found[file.index()], true) {
                continue;
            }
            let first = into_file.partition_point(|(to, _)| *to < file);
            let own = into_file[first..].iter().take_while(|(to, _)| *to == file);
            todo.extend(own.map(|(_, from)| *from));
            for (at, from) in into_folder.iter_mut().enumerate() {
                if !from.is_empty() && self.folder_opens(at as u32, file) {
                    todo.append(from);
                }
            }
        }
        marked(&is_found)
    }

    /// The files that no other file leads to, sorted: what people evaluate, and what nobody needs.
    #[must_use]
    pub fn roots(&self) -> Vec<FileId> {
        let mut is_root = vec![true; self.snapshot.files().len()];
        for edge in self.edges.iter().filter(|edge| edge.is_way()) {
            match edge.to {
                Destination::File(to) if to != edge.from => is_root[to.index()] = false,
                // Who may open anything says nothing.
                Destination::Folder(at) if !self.is_everything(at) => {
                    for file in self.folders[at as usize].files() {
                        if file != edge.from && self.folder_opens(at, file) {
                            is_root[file.index()] = false;
                        }
                    }
                }
                _ => {}
            }
        }
        marked(&is_root)
    }

    /// The graph of `files` and what they refer to, for printing. Names are relative to the
    /// project's folder; `kind_of` says what sort of file one is.
    ///
    /// Shape: besides files there are nodes of the kinds `folder` (with a slash or a star at its
    /// end, for what is picked at run time), `outside` and `search-path`. Folders lead to the files
    /// that may be picked from them, unless that is any file at all; those that are only named are
    /// left out.
    #[must_use]
    pub fn to_graph(&self, files: &[FileId], kind_of: impl Fn(FileId) -> String) -> Graph {
        let mut graph = Graph::default();
        let mut numbers = vec![u32::MAX; self.snapshot.files().len()];
        let mut others = HashMap::new();
        let mut pickers: Pickers = BTreeMap::new();
        let mut queue: std::collections::VecDeque<FileId> = files.iter().copied().collect();
        let add = |graph: &mut Graph, name: String, kind: String| {
            graph.nodes.push(GraphNode { name, kind, ..GraphNode::default() });
            graph.nodes.len() as u32 - 1
        };
        for &file in files {
            if numbers[file.index()] == u32::MAX {
                numbers[file.index()] = add(&mut graph, self.shown(self.path(file)), kind_of(file));
            }
        }
        while let Some(from) = queue.pop_front() {
            for edge in self.edges_from(from).iter().filter(|edge| edge.is_way()) {
                let to = match edge.to {
                    Destination::File(to) => {
                        let number = &mut numbers[to.index()];
                        if *number == u32::MAX {
                            *number = add(&mut graph, self.shown(self.path(to)), kind_of(to));
                        }
                        *number
                    }
                    other => *others.entry(other).or_insert_with(|| {
                        let (name, kind) = self.describe(other);
                        add(&mut graph, name, kind.to_owned())
                    }),
                };
                if let Destination::Folder(at) = edge.to {
                    let known = pickers.entry(at).or_insert_with(|| (to, Vec::new()));
                    known.1.push((numbers[from.index()], from));
                }
                let from = numbers[from.index()];
                graph.edges.push(Edge { from, to, kind: edge.kind.name(), name: String::new() });
            }
        }
        for (at, (node, pickers)) in pickers {
            if self.is_everything(at) {
                continue;
            }
            for file in self.opened(at) {
                let number = &mut numbers[file.index()];
                if *number == u32::MAX {
                    *number = add(&mut graph, self.shown(self.path(file)), kind_of(file));
                }
                self.pick(at, file, (node, &pickers), *number, &mut graph.edges);
            }
        }
        graph.normalise();
        graph
    }

    /// Adds an edge from the node of a folder, which the files `pickers` pick from, to one that may
    /// be picked. A file that picks from its own folder surely does not pick itself: those outside
    /// lead to it directly.
    pub(super) fn pick(
        &self,
        folder: u32,
        picked: FileId,
        (node, pickers): (u32, &[(u32, FileId)]),
        to: u32,
        edges: &mut Vec<Edge>,
    ) {
        let mut add = |from| edges.push(Edge { from, to, kind: DIRECTORY, name: String::new() });
        if pickers.iter().all(|(_, file)| *file != picked) {
            return add(node);
        }
        let outside = pickers.iter().filter(|(_, file)| !self.folder_opens(folder, *file));
        outside.for_each(|(from, _)| add(*from));
    }

    fn shown(&self, path: &Path) -> String {
        self.snapshot.relative(path).to_string_lossy().into_owned()
    }

    pub(super) fn describe(&self, destination: Destination) -> (String, &'static str) {
        match destination {
            Destination::File(file) => (self.shown(self.path(file)), "file"),
            Destination::Folder(at) => {
                let Folder { prefix, suffix, .. } = &self.folders[at as usize];
                // Paths lose their last slash, and the project's own folder its whole name.
                let mut name = self.shown(Path::new(&**prefix));
                if prefix.ends_with('/') {
                    name.push_str(if name.is_empty() { "./" } else { "/" });
                }
                let star = if suffix.is_empty() && prefix.ends_with('/') { "" } else { "*" };
                (format!("{name}{star}{suffix}"), "folder")
            }
            Destination::Outside(at) => match &self.outside[at as usize] {
                Outside::File(path) => (self.shown(path), "outside"),
                Outside::Search(text) => (format!("<{text}>"), "search-path"),
            },
        }
    }
}

fn marked(marks: &[bool]) -> Vec<FileId> {
    let marked = marks.iter().enumerate().filter(|(_, mark)| **mark);
    marked.map(|(at, _)| FileId(at as u32)).collect()
}
