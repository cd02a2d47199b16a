//! References to nothing that are no mistake: what they miss is there for whoever uses the file.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::{Destination, ImportEdge, ImportGraph, Lack, Missing};
use crate::rules::Rules;
use crate::{Files, ReferenceKind, Target};

/// The list of a repository's submodules is small; a larger one is a mistake.
const MAX_SUBMODULES: u64 = 4 << 20;

/// Tells such references from mistakes.
pub(super) struct Elsewhere<'a> {
    graph: &'a ImportGraph,
    files: &'a dyn Files,
    /// Submodules that are not checked out.
    absent: Vec<PathBuf>,
    /// How many folders side by side miss the same.
    alike: HashMap<Alike<'a>, usize>,
}

/// The folder above that of a file, the file's name, and what it misses as it is written there.
type Alike<'a> = (&'a Path, &'a OsStr, &'a Target);

/// So many folders side by side that miss the same are skeletons: whoever copies one of them puts
/// the rest beside it.
const MIN_SKELETONS: usize = 3;

impl<'a> Elsewhere<'a> {
    /// `missing` is all that is missing in `graph`.
    pub(super) fn new(graph: &'a ImportGraph, files: &'a dyn Files, missing: &[Missing]) -> Self {
        let submodules = submodules(files, graph.snapshot.root());
        let is_absent = |path: &PathBuf| {
            let mut is_empty = true;
            let listed = files.list(path, &mut |_, _| is_empty = false);
            is_empty || listed.is_err()
        };
        let absent = submodules.into_iter().filter(is_absent).collect();
        let mut alike = HashMap::new();
        for missing in missing {
            *alike.entry(alike_of(graph, missing)).or_default() += 1;
        }
        Self { graph, files, absent, alike }
    }

    /// Whether what is missing will be there: in a Git submodule that is not checked out here, or as a
    /// private file that the project's ignore files name; or whether the file that refers to it is
    /// meant for another place, alone or as one of several skeletons.
    pub(super) fn holds(&self, missing: &Missing) -> bool {
        self.is_for_elsewhere(missing)
            || self.absent.iter().any(|submodule| missing.path.starts_with(submodule))
            || self.is_private(missing)
            || self.is_of_skeleton(missing)
    }

    fn is_of_skeleton(&self, missing: &Missing) -> bool {
        let key = alike_of(self.graph, missing);
        // What lies above several folders is one thing, and missing.
        if matches!(key.2, Target::Path(path) if path.starts_with("..")) {
            return false;
        }
        let alike = self.alike.get(&key);
        alike.is_some_and(|n_folders| *n_folders >= MIN_SKELETONS)
    }

    fn is_private(&self, missing: &Missing) -> bool {
        let root = self.graph.snapshot.root();
        match missing.what {
            Lack::Path => Rules::leave_out(self.files, root, &missing.path),
            Lack::Default => Rules::leave_out(self.files, root, &missing.path.join("default.nix")),
            Lack::Case => false,
        }
    }

    /// Whether the file that refers to `missing` is meant for another place, where it will find it:
    /// it is part of a template, others only name its path (to copy it), or what it misses is what
    /// an installer writes on each machine.
    fn is_for_elsewhere(&self, missing: &Missing) -> bool {
        if missing.path.file_name().is_some_and(|name| name == "hardware-configuration.nix") {
            return true;
        }
        let snapshot = &self.graph.snapshot;
        let path = snapshot.relative(&snapshot.files()[missing.from.index()].path);
        let mut folders = path.iter();
        if folders.any(|folder| folder == "templates" || folder == "template") {
            return true;
        }
        let importers = self.graph.importers(missing.from);
        let is_exact = |edge: &&ImportEdge| matches!(edge.to, Destination::File(_));
        let mut exact = importers.iter().filter(is_exact).peekable();
        exact.peek().is_some() && exact.all(|edge| edge.kind == ReferenceKind::Path)
    }
}

fn alike_of<'a>(graph: &'a ImportGraph, missing: &Missing) -> Alike<'a> {
    let path = &graph.snapshot.files()[missing.from.index()].path;
    let above = path.parent().and_then(Path::parent).unwrap_or(path);
    let target = &graph.reference(missing.from, missing.reference).target;
    (above, path.file_name().unwrap_or_default(), target)
}

/// The folders of the submodules of the repository that the project at `root` belongs to.
fn submodules(files: &dyn Files, root: &Path) -> Vec<PathBuf> {
    for folder in root.ancestors() {
        if let Ok(text) = files.read(&folder.join(".gitmodules"), MAX_SUBMODULES) {
            return text.lines().filter_map(path_of).map(|path| folder.join(path)).collect();
        }
        if files.kind(&folder.join(".git")).is_ok() {
            break;
        }
    }
    Vec::new()
}

/// The value of `path = …`.
fn path_of(line: &str) -> Option<&str> {
    let (name, value) = line.split_once('=')?;
    let value = value.trim().trim_matches('"').trim_end_matches('/');
    (name.trim() == "path" && !value.is_empty()).then_some(value)
}
