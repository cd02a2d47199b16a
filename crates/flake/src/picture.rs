//! The inputs of a lock file as a graph: what follows what, how old each is, what is there twice.

use std::collections::HashMap;

use cim_nix_base::{Edge, Graph, GraphNode};
use cim_nix_model::{Edge as Lock, FlakeRef, LockFile, NodeId, date_digits, show_input_path};

use crate::copies::copies;
use crate::file::FlakeFile;

/// What a graph of inputs is made from.
#[derive(Clone, Copy, Debug)]
pub struct InputGraph<'l> {
    /// The lock file.
    pub file: &'l LockFile,
    /// The flake that it belongs to, if it can be read.
    pub flake: Option<&'l FlakeFile>,
    /// How the flake itself is called.
    pub name: &'l str,
    /// Seconds since 1970 that ages are told from; the newest date in the lock file if nothing.
    pub now: Option<u64>,
}

/// Draws the inputs of a lock file.
///
/// Shape: nodes are called by the first path of inputs that leads to them, and their kind is that of
/// their source; their notes tell the source, its date, how many days it is behind the newest, and
/// which input it is another copy of, as [`copies()`] finds them: those are marked. Edges are of the kinds `input` and
/// `follows`; one has a name where that is not the last one of the path that it leads to.
#[must_use]
pub fn picture(request: InputGraph<'_>) -> Graph {
    let InputGraph { file, flake, name, now } = request;
    let mut graph = Graph::default();
    let mut numbers: HashMap<NodeId, u32> = HashMap::new();
    let paths = paths(file);
    let newest = paths.iter().filter_map(|(id, _)| changed(file, *id)).max();
    let now = now.or(newest);
    let copies: HashMap<NodeId, String> =
        copies(file, flake).into_iter().map(|copy| (copy.node, copy.target)).collect();
    for (id, path) in &paths {
        numbers.insert(*id, graph.nodes.len() as u32);
        let Some(input) = file.input(*id) else {
            let node = GraphNode {
                name: name.to_owned(),
                kind: "flake".to_owned(),
                ..GraphNode::default()
            };
            graph.nodes.push(node);
            continue;
        };
        let mut note = source(&input.locked);
        if let Some(seconds) = changed(file, *id) {
            let age = now.map_or(0, |now| days(now.saturating_sub(seconds)));
            note.push_str(&format!(", {}", date(seconds)));
            if age > 0 {
                let unit = if age == 1 { "day" } else { "days" };
                note.push_str(&format!(", {age} {unit} behind"));
            }
        }
        let path = show_input_path(path);
        let copied = copies.get(id);
        if let Some(first) = copied {
            note.push_str(&format!(", another copy of {first}"));
        }
        let is_marked = copied.is_some();
        let kind = input.locked.kind().to_owned();
        graph.nodes.push(GraphNode { name: path, kind, note, is_marked });
    }
    for (id, path) in &paths {
        for (name, edge) in file.inputs(*id) {
            let (to, kind) = match edge {
                Lock::Node(to) => (*to, "input"),
                Lock::Follows(target) => match file.find(target) {
                    Ok(Some(to)) => (to, "follows"),
                    _ => {
                        let to = lost(&mut graph, &show_input_path(target));
                        let from = numbers[id];
                        graph.edges.push(Edge { from, to, kind: "follows", name: name.clone() });
                        continue;
                    }
                },
            };
            let Some(&number) = numbers.get(&to) else { continue };
            let own = match path.is_empty() {
                true => name.clone(),
                false => format!("{}/{name}", show_input_path(path)),
            };
            let target = &graph.nodes[number as usize].name;
            let is_told = *target == own || (kind == "follows" && last(target) == name);
            let name = if is_told { String::new() } else { name.clone() };
            graph.edges.push(Edge { from: numbers[id], to: number, kind, name });
        }
    }
    graph.normalise();
    graph
}

/// A node for something that is followed and not there.
fn lost(graph: &mut Graph, path: &str) -> u32 {
    let name = if path.is_empty() { "(the flake itself)" } else { path };
    let known = graph.nodes.iter().position(|node| node.name == name && node.kind == "missing");
    known.unwrap_or_else(|| {
        let (name, kind) = (name.to_owned(), "missing".to_owned());
        graph.nodes.push(GraphNode { name, kind, note: String::new(), is_marked: true });
        graph.nodes.len() - 1
    }) as u32
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The nodes that can be reached, nearest first, each with a shortest path to it.
#[must_use]
pub fn paths(file: &LockFile) -> Vec<(NodeId, Vec<String>)> {
    let mut all = vec![(LockFile::ROOT, Vec::new())];
    let mut seen = std::collections::HashSet::from([LockFile::ROOT]);
    let mut at = 0;
    while at < all.len() {
        let (id, path) = all[at].clone();
        for (name, edge) in file.inputs(id) {
            if let Lock::Node(to) = edge
                && seen.insert(*to)
            {
                let mut path: Vec<String> = path.clone();
                path.push(name.clone());
                all.push((*to, path));
            }
        }
        at += 1;
    }
    all
}

fn changed(file: &LockFile, id: NodeId) -> Option<u64> {
    file.input(id)?.locked.number("lastModified")
}

/// A source with a version that people can read.
fn source(locked: &FlakeRef) -> String {
    let part = |name: &str| locked.text(name).unwrap_or_default();
    let place = match locked.kind() {
        "github" | "gitlab" | "sourcehut" => format!("{}/{}", part("owner"), part("repo")),
        "path" => part("path").to_owned(),
        "indirect" => part("id").to_owned(),
        _ => cim_nix_model::without_passwords(part("url")),
    };
    match part("rev").get(..7) {
        Some(rev) => format!("{place} {rev}"),
        None => place,
    }
}

/// Whole days in a number of seconds.
#[must_use]
pub const fn days(seconds: u64) -> u64 {
    seconds / 86_400
}

/// Seconds since 1970 as `YYYY-MM-DD`.
#[must_use]
pub fn date(seconds: u64) -> String {
    let digits = date_digits(seconds);
    let part = |range: std::ops::Range<usize>| digits.get(range).unwrap_or("?");
    format!("{}-{}-{}", part(0..4), part(4..6), part(6..8))
}
