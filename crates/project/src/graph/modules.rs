//! Which modules bring in which others, and which hosts they make up.

use std::collections::HashMap;

use cim_nix_base::{Edge, Graph, GraphNode, TextRange};
use cim_nix_syntax::ast::Binding;
use cim_nix_syntax::{Node, NodeKind, Tree};

use super::query::Pickers;
use super::{Destination, ImportEdge, ImportGraph};
use crate::{FileId, ReferenceKind};

/// The outputs of flakes that hold configurations.
const HOSTS: [&str; 5] = [
    "nixosConfigurations",
    "homeConfigurations",
    "darwinConfigurations",
    "nixOnDroidConfigurations",
    "systemConfigs",
];

/// A configuration that is written out in a flake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Host {
    /// Its output: `nixosConfigurations.name`.
    pub name: String,
    /// Where it is written.
    pub range: TextRange,
}

/// The configurations that a file writes out under their names.
#[must_use]
pub fn hosts(tree: &Tree) -> Vec<Host> {
    if !tree.text().contains("onfig") {
        return Vec::new();
    }
    let mut hosts = Vec::new();
    for node in tree.nodes().filter(|node| node.kind() == NodeKind::Binding) {
        let Some(own) = Binding::cast(node).map(names) else { continue };
        let Some(name) = own.last() else { continue };
        let output = match own.len() {
            // Names of a `let` on the way are no hosts.
            1 if node.parent().is_some_and(|set| set.kind() == NodeKind::AttrSet) => {
                let above = node.ancestors().find_map(Binding::cast);
                above.and_then(|above| names(above).pop())
            }
            1 => None,
            n => own.get(n - 2).cloned(),
        };
        let output = output.filter(|output| HOSTS.contains(&output.as_str()));
        if let Some(output) = output.filter(|_| !is_declared(node)) {
            hosts.push(Host { name: format!("{output}.{name}"), range: node.range() });
        }
    }
    hosts
}

/// Whether a binding says something of an option, not of its value.
fn is_declared(node: Node<'_>) -> bool {
    std::iter::once(node).chain(node.ancestors()).any(|node| match node.kind() {
        NodeKind::Binding => {
            Binding::cast(node).is_some_and(|binding| names(binding).iter().any(|n| n == "options"))
        }
        NodeKind::Apply => node.child(0).is_some_and(|function| {
            function.text().rsplit('.').next().is_some_and(|name| name == "mkOption")
        }),
        _ => false,
    })
}

fn names(binding: Binding<'_>) -> Vec<String> {
    let path = binding.attr_path().into_iter().flat_map(|path| path.elements());
    path.map_while(|attr| attr.name().map(std::borrow::Cow::into_owned)).collect()
}

impl ImportGraph {
    /// The modules of the project: files that are listed as modules or look like some, what they
    /// bring in, and the configurations that are written out with what they list.
    ///
    /// Shape: nodes as in [`ImportGraph::to_graph`], and `host` for configurations, to which their
    /// files have edges of the kind `host`. Other files are shown where flakes or modules lead to
    /// modules by them. Modules that inputs bring are not known.
    #[must_use]
    pub fn to_module_graph(
        &self,
        kind_of: impl Fn(FileId) -> String,
        hosts_of: impl Fn(FileId) -> Vec<Host>,
    ) -> Graph {
        let mut builder = Builder {
            all: self,
            graph: Graph::default(),
            numbers: HashMap::new(),
            pickers: Pickers::new(),
        };
        let n_files = self.snapshot().files().len() as u32;
        let is_module = |file: FileId| kind_of(file) == "module";
        let is_start = |file: FileId| matches!(&*kind_of(file), "module" | "flake");
        let bridges = self.bridges(is_module, is_start);
        let is_shown_file = |file: FileId| is_module(file) || bridges[file.index()];
        for file in (0..n_files).map(FileId) {
            let hosts = hosts_of(file);
            for host in &hosts {
                let from = builder.file(file, &kind_of);
                let to = builder.host(file, host);
                builder.graph.edges.push(edge(from, to, "host"));
            }
            for edge in self.edges_from(file).iter().filter(|edge| edge.is_way()) {
                let at = self.reference(file, edge.reference).range;
                let host = hosts.iter().rfind(|host| host.range.contains_range(at));
                let is_inside = host.is_some() || is_start(file) || bridges[file.index()];
                if builder.is_shown(edge, is_inside, is_shown_file) {
                    let from = match host {
                        Some(host) => builder.host(file, host),
                        None => builder.file(file, &kind_of),
                    };
                    let to = builder.destination(edge.to, &kind_of);
                    if let Destination::Folder(at) = edge.to {
                        let known = builder.pickers.entry(at).or_insert_with(|| (to, Vec::new()));
                        known.1.push((from, file));
                    }
                    builder.graph.edges.push(self::edge(from, to, edge.kind.name()));
                }
            }
        }
        builder.open_folders(&kind_of);
        let mut graph = builder.graph;
        graph.normalise();
        graph
    }

    /// Which files, though no modules, are imported on a way from where modules are looked for to a
    /// module.
    fn bridges(
        &self,
        is_module: impl Fn(FileId) -> bool,
        is_start: impl Fn(FileId) -> bool,
    ) -> Vec<bool> {
        let files = || (0..self.snapshot().files().len() as u32).map(FileId);
        let mut importers: Vec<Vec<FileId>> = vec![Vec::new(); self.snapshot().files().len()];
        let mut todo = Vec::new();
        let leads: Vec<bool> = (0..self.folders().len() as u32)
            .map(|folder| self.opened(folder).any(&is_module))
            .collect();
        for edge in self.edges().iter().filter(|edge| edge.is_way() && !is_start(edge.from)) {
            let leads = match (edge.kind, edge.to) {
                (ReferenceKind::Module, _) => true,
                (ReferenceKind::Import, Destination::File(to)) => {
                    importers[to.index()].push(edge.from);
                    is_module(to)
                }
                (ReferenceKind::Directory, Destination::Folder(at)) => leads[at as usize],
                _ => false,
            };
            todo.extend(leads.then_some(edge.from));
        }
        let mut is_on_way = vec![false; importers.len()];
        while let Some(file) = todo.pop() {
            if !std::mem::replace(&mut is_on_way[file.index()], true) {
                todo.append(&mut importers[file.index()]);
            }
        }
        let mut bridges = vec![false; importers.len()];
        todo.extend(files().filter(|file| is_start(*file)));
        while let Some(file) = todo.pop() {
            for edge in self.edges_from(file) {
                if let (ReferenceKind::Import, Destination::File(to)) = (edge.kind, edge.to)
                    && is_on_way[to.index()]
                    && !std::mem::replace(&mut bridges[to.index()], true)
                {
                    todo.push(to);
                }
            }
        }
        bridges
    }
}

fn edge(from: u32, to: u32, kind: &'static str) -> Edge {
    Edge { from, to, kind, name: String::new() }
}

#[derive(PartialEq, Eq, Hash)]
enum Key {
    Destination(Destination),
    Host(FileId, TextRange),
}

struct Builder<'g> {
    all: &'g ImportGraph,
    graph: Graph,
    numbers: HashMap<Key, u32>,
    pickers: Pickers,
}

impl Builder<'_> {
    /// Whether an edge says something of modules; `is_inside` if it leaves a module or host.
    fn is_shown(
        &self,
        edge: &ImportEdge,
        is_inside: bool,
        is_shown: impl Fn(FileId) -> bool,
    ) -> bool {
        match (edge.kind, edge.to) {
            (ReferenceKind::Module, _) => true,
            (ReferenceKind::Import | ReferenceKind::Path, Destination::File(to)) => {
                is_inside && is_shown(to)
            }
            (ReferenceKind::Directory, _) => is_inside,
            _ => false,
        }
    }

    /// Adds edges from folders to the modules that are picked from them.
    fn open_folders(&mut self, kind_of: impl Fn(FileId) -> String) {
        for (at, (from, pickers)) in std::mem::take(&mut self.pickers) {
            for file in self.all.opened(at).filter(|file| kind_of(*file) == "module") {
                let to = self.file(file, &kind_of);
                self.all.pick(at, file, (from, &pickers), to, &mut self.graph.edges);
            }
        }
    }

    fn add(&mut self, key: Key, name: String, kind: String) -> u32 {
        *self.numbers.entry(key).or_insert_with(|| {
            self.graph.nodes.push(GraphNode { name, kind, ..GraphNode::default() });
            self.graph.nodes.len() as u32 - 1
        })
    }

    fn file(&mut self, file: FileId, kind_of: impl Fn(FileId) -> String) -> u32 {
        self.destination(Destination::File(file), kind_of)
    }

    fn destination(&mut self, to: Destination, kind_of: impl Fn(FileId) -> String) -> u32 {
        let (name, kind) = self.all.describe(to);
        let kind = match to {
            Destination::File(file) => kind_of(file),
            _ => kind.to_owned(),
        };
        self.add(Key::Destination(to), name, kind)
    }

    fn host(&mut self, file: FileId, host: &Host) -> u32 {
        let is_taken = |node: &GraphNode| node.kind == "host" && node.name == host.name;
        let key = Key::Host(file, host.range);
        let name = match !self.numbers.contains_key(&key) && self.graph.nodes.iter().any(is_taken) {
            true => format!("{} ({})", host.name, self.all.describe(Destination::File(file)).0),
            false => host.name.clone(),
        };
        self.add(key, name, "host".to_owned())
    }
}
