//! Graphs as answers, with shared renderers.

mod layout;
mod query;
mod svg;

use std::fmt::Write as _;

use serde::Serialize;

pub use svg::TooLarge;

/// A node of a [`Graph`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct GraphNode {
    /// What people read; unique within one graph.
    pub name: String,
    /// What sort of thing it is, such as `module`; drawn as a remark.
    pub kind: String,
    /// What else is to be told of it, such as its age.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Whether it is worth a look; pictures show it in another colour.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_marked: bool,
}

impl GraphNode {
    /// What stands behind the name in a line of text.
    fn remark(&self) -> String {
        let Self { kind, note, .. } = self;
        match note.is_empty() {
            true => format!("[{kind}]"),
            false => format!("[{kind}] {note}"),
        }
    }
}

/// A directed edge between two nodes, by their indices.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct Edge {
    /// Index of the node that refers.
    pub from: u32,
    /// Index of the node that is referred to.
    pub to: u32,
    /// How it refers, such as `import`.
    pub kind: &'static str,
    /// What it is called where it leaves, if that is another name than the node's.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

impl Edge {
    /// Its kind and name.
    fn label(&self) -> String {
        let Self { kind, name, .. } = self;
        if name.is_empty() { (*kind).to_owned() } else { format!("{kind} {name}") }
    }
}

/// A directed graph that can be printed as text, JSON, DOT, Mermaid or SVG.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Graph {
    /// Nodes; edges refer to them by index.
    pub nodes: Vec<GraphNode>,
    /// Edges, sorted.
    pub edges: Vec<Edge>,
}

impl Graph {
    /// Indices of the edges that leave each node: `ranges[n]` slices the sorted edges.
    fn outgoing(&self, node: u32) -> &[Edge] {
        let start = self.edges.partition_point(|edge| edge.from < node);
        let end = self.edges.partition_point(|edge| edge.from <= node);
        &self.edges[start..end]
    }

    /// Sorts the edges and drops doubles; renderers rely on it.
    pub fn normalise(&mut self) {
        self.edges.sort();
        self.edges.dedup();
    }

    /// Prints the graph as indented trees from its roots (nodes without incoming edges, then
    /// whatever is left inside cycles). A node is expanded once; later mentions end in ` (*)`,
    /// and an edge back to a node that is being printed ends in ` (cycle)`.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut has_incoming = vec![false; self.nodes.len()];
        for edge in self.edges.iter().filter(|edge| edge.from != edge.to) {
            has_incoming[edge.to as usize] = true;
        }
        let mut state = vec![State::Unseen; self.nodes.len()];
        let mut out = String::new();
        let roots = (0..self.nodes.len()).filter(|&n| !has_incoming[n]);
        for root in roots.chain(0..self.nodes.len()) {
            if state[root] == State::Unseen {
                self.print_tree(root as u32, &mut state, &mut out);
            }
        }
        out
    }

    /// Prints one tree without recursion: import chains can be as long as the project is large.
    fn print_tree(&self, root: u32, state: &mut [State], out: &mut String) {
        let first = &self.nodes[root as usize];
        let _ = writeln!(out, "{} {}", first.name, first.remark());
        state[root as usize] = State::Open;
        let mut stack = vec![(root, 0)];
        while let Some((node, next)) = stack.pop() {
            let Some(edge) = self.outgoing(node).get(next) else {
                state[node as usize] = State::Done;
                continue;
            };
            stack.push((node, next + 1));
            let depth = stack.len();
            let target = &self.nodes[edge.to as usize];
            let mark = match state[edge.to as usize] {
                State::Open => " (cycle)",
                State::Done if !self.outgoing(edge.to).is_empty() => " (*)",
                _ => "",
            };
            let pad = "  ".repeat(depth.min(200));
            let label = edge.label();
            let is_new = state[edge.to as usize] == State::Unseen;
            // What was told once need not be told again.
            let remark = if is_new { target.remark() } else { format!("[{}]", target.kind) };
            let arrow = if edge.name.is_empty() { "" } else { " ->" };
            let _ = writeln!(out, "{pad}{label}{arrow} {} {remark}{mark}", target.name);
            if state[edge.to as usize] == State::Unseen {
                state[edge.to as usize] = State::Open;
                stack.push((edge.to, 0));
            }
        }
    }

    /// Prints the graph in Graphviz' DOT language.
    #[must_use]
    pub fn to_dot(&self) -> String {
        let mut out = String::from("digraph {\n  rankdir=LR;\n  node [shape=box];\n");
        for (at, node) in self.nodes.iter().enumerate() {
            let tooltip = match node.note.is_empty() {
                true => quote_dot(&node.kind),
                false => quote_dot(&format!("{}: {}", node.kind, node.note)),
            };
            let name = quote_dot(&node.name);
            let colour = if node.is_marked { " color=red" } else { "" };
            let _ = writeln!(out, "  n{at} [label=\"{name}\" tooltip=\"{tooltip}\"{colour}];");
        }
        for edge in &self.edges {
            let label = quote_dot(&edge.label());
            let _ = writeln!(out, "  n{} -> n{} [label=\"{label}\"];", edge.from, edge.to);
        }
        out.push_str("}\n");
        out
    }

    /// Prints the graph as a Mermaid flow chart.
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        let mut out = String::from("flowchart LR\n");
        for (at, node) in self.nodes.iter().enumerate() {
            let _ = writeln!(out, "  n{at}[\"{}\"]", quote_mermaid(&node.name));
        }
        for edge in &self.edges {
            let label = match edge.name.is_empty() {
                true => edge.kind.to_owned(),
                false => format!("\"{}\"", quote_mermaid(&edge.label())),
            };
            let _ = writeln!(out, "  n{} -->|{label}| n{}", edge.from, edge.to);
        }
        out
    }

    /// Prints the graph as JSON: `{"nodes": [{name, kind, note}], "edges": [{from, to, kind, name}]}`;
    /// notes and names that are empty are left out.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings and integers always serialise")
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Unseen,
    Open,
    Done,
}

fn quote_mermaid(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('\n', " ")
}

fn quote_dot(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Graph {
        let node = |name: &str| GraphNode {
            name: name.to_owned(),
            kind: "module".to_owned(),
            ..GraphNode::default()
        };
        let edge = |from, to| Edge { from, to, kind: "import", name: String::new() };
        let mut graph = Graph {
            nodes: vec![node("a"), node("b"), node("c \"x\"")],
            edges: vec![edge(1, 2), edge(0, 1), edge(0, 2), edge(2, 1), edge(0, 1)],
        };
        graph.normalise();
        graph
    }

    #[test]
    fn text_marks_cycles_and_repeats() {
        let want = "\
a [module]
  import b [module]
    import c \"x\" [module]
      import b [module] (cycle)
  import c \"x\" [module] (*)
";
        assert_eq!(sample().to_text(), want);
    }

    #[test]
    fn dot_and_mermaid_escape_names() {
        assert!(sample().to_dot().contains("n2 [label=\"c \\\"x\\\"\""));
        assert!(sample().to_mermaid().contains("n2[\"c &quot;x&quot;\"]"));
        assert!(sample().to_json().contains("\"c \\\"x\\\"\""));
    }
}
