//! Which files of a project refer to which, and where a reference leads to nothing.
//!
//! [`ImportGraph::link`] joins the summaries of all files: paths become files of the snapshot,
//! folders with a `default.nix` become that file, links are followed. The snapshot answers nearly
//! all questions about what exists; [`Files`] is only asked about the rest. Nothing here looks at
//! any text or tree.

mod cycles;
mod elsewhere;
mod modules;
mod query;
mod resolve;
mod suggest;

use std::path::Path;
use std::sync::Arc;

use elsewhere::Elsewhere;
pub use modules::{Host, hosts};
use resolve::Resolver;

use crate::{FileId, Files, Reference, ReferenceKind, Snapshot, Summary};

/// Where an [`ImportEdge`] ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Destination {
    /// A file of the snapshot.
    File(FileId),
    /// Any file of a [`Folder`], by its place in [`ImportGraph::folders`].
    Folder(u32),
    /// Something that the snapshot does not hold, by its place in [`ImportGraph::outside`].
    Outside(u32),
}

/// A reference that leads somewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImportEdge {
    /// The file that refers.
    pub from: FileId,
    /// The place of the reference in the file's summary.
    pub reference: u32,
    /// How it refers.
    pub kind: ReferenceKind,
    /// To what.
    pub to: Destination,
}

/// The files that a path which is completed at run time may lead to.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Folder {
    /// How their paths begin; it ends in a slash or in the middle of a name.
    pub prefix: Arc<str>,
    /// How their paths end, maybe followed by `/default.nix`.
    pub suffix: Box<str>,
    /// The files of the snapshot that begin so: they stand in a row.
    first: FileId,
    end: FileId,
}

/// Something that exists (or may exist) but is no file of the snapshot.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Outside {
    /// A file, by its absolute path: an ignored one, or one in another project.
    File(Arc<Path>),
    /// What stands between the angle brackets of a search path.
    Search(Box<str>),
}

/// A reference to a path at which nothing is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Missing {
    /// The file that refers.
    pub from: FileId,
    /// The place of the reference in the file's summary.
    pub reference: u32,
    /// The path that was looked for.
    pub path: Arc<Path>,
    /// What was missed.
    pub what: Lack,
    /// What may have been meant, as it should be written in the file: `./Foo.nix`.
    pub suggestion: Option<String>,
}

/// What a [`Missing`] reference lacks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lack {
    /// Nothing is at the path.
    Path,
    /// The path is a folder without `default.nix`.
    Default,
    /// Only a file system that does not tell capitals from small letters finds something there.
    Case,
}

/// Files that import each other so that no evaluation of them can end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cycle {
    /// The way round: each file with the place of the reference that leads to the next one; the
    /// last leads to the first. Begins with the file that comes first in the snapshot.
    pub steps: Vec<(FileId, u32)>,
}

/// The import graph of a project.
#[derive(Clone, Debug)]
pub struct ImportGraph {
    snapshot: Snapshot,
    summaries: Vec<Summary>,
    /// By the files that they leave.
    edges: Vec<ImportEdge>,
    /// Where the edges of each file begin; one more at the end.
    starts: Vec<u32>,
    folders: Vec<Folder>,
    outside: Vec<Outside>,
    missing: Vec<Missing>,
}

impl ImportGraph {
    /// Links the files of `snapshot`, whose summaries are given in the same order. A summary that
    /// is not there counts as empty.
    ///
    /// Cost: a look-up in memory for most references; `files` is asked once about each other path.
    /// May block.
    #[must_use]
    pub fn link(snapshot: &Snapshot, mut summaries: Vec<Summary>, files: &dyn Files) -> Self {
        summaries.resize_with(snapshot.files().len(), Summary::default);
        let mut resolver = Resolver::new(snapshot, files);
        let mut starts = Vec::with_capacity(summaries.len() + 1);
        for (at, summary) in summaries.iter().enumerate() {
            starts.push(resolver.edges.len() as u32);
            resolver.file(FileId(at as u32), summary);
        }
        starts.push(resolver.edges.len() as u32);
        let Resolver { edges, folders, outside, missing, .. } = resolver;
        let (folders, outside) = (folders.items, outside.items);
        let snapshot = snapshot.clone();
        let mut graph = Self { snapshot, summaries, edges, starts, folders, outside, missing };
        let mut missing = std::mem::take(&mut graph.missing);
        if !missing.is_empty() {
            let elsewhere = Elsewhere::new(&graph, files, &missing);
            missing.retain(|missing| !elsewhere.holds(missing));
        }
        graph.missing = missing;
        graph
    }

    /// The files that the graph is about.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// A reference by the file that it stands in and its place in that file's summary.
    #[must_use]
    pub fn reference(&self, file: FileId, reference: u32) -> &Reference {
        &self.summaries[file.index()].references[reference as usize]
    }

    /// All edges, by the files that they leave.
    #[must_use]
    pub fn edges(&self) -> &[ImportEdge] {
        &self.edges
    }

    /// The edges that leave `file`, in the order of their places in it.
    #[must_use]
    pub fn edges_from(&self, file: FileId) -> &[ImportEdge] {
        let range = self.starts[file.index()] as usize..self.starts[file.index() + 1] as usize;
        &self.edges[range]
    }

    /// Folders that files are picked from at run time.
    #[must_use]
    pub fn folders(&self) -> &[Folder] {
        &self.folders
    }

    /// What is referred to and no file of the snapshot.
    #[must_use]
    pub fn outside(&self) -> &[Outside] {
        &self.outside
    }

    /// The references that evaluation trips over, in the order of files and places. References that
    /// are guarded by `pathExists`, lead out of the project's folder, into submodules that are not
    /// checked out or to files that ignore files name, or stand in files that are meant for other
    /// places (templates, and files that are only copied) are none of them.
    #[must_use]
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// The import cycles that evaluation cannot leave: each file of them needs the value of the
    /// next one to give its own. In the order of their first files. Files that import each other
    /// in lazy places are none.
    #[must_use]
    pub fn cycles(&self) -> Vec<Cycle> {
        cycles::find(self)
    }
}

#[cfg(test)]
mod tests;
