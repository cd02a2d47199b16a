//! A graph as a picture that needs nothing but itself.

use std::fmt::Write as _;

use super::layout::{Item, Layout, Route, layout};
use super::{Edge, Graph, GraphNode};

/// Beyond this a picture shows nothing to anybody.
const MAX_NODES: usize = 1_500;
const MAX_EDGES: usize = 6_000;

/// A graph that is too large to be drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooLarge {
    /// Its nodes.
    pub nodes: usize,
    /// Its edges.
    pub edges: usize,
}

impl std::fmt::Display for TooLarge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { nodes, edges } = self;
        write!(
            f,
            "a picture of {nodes} nodes and {edges} edges shows nothing; at most {MAX_NODES} nodes and {MAX_EDGES} edges are drawn"
        )
    }
}

impl std::error::Error for TooLarge {}

const MARGIN: f64 = 24.0;
/// How much a character takes in the font below; those of all fonts of fixed width take about it.
const CHAR: f64 = 7.3;
const LINE: f64 = 16.0;
/// Longer texts are cut; the whole text is shown to who points at the node.
const MAX_CHARS: usize = 64;
/// Circles and duplicates.
const ALARM: &str = "#c0392b";
/// One colour a kind of edges, then again.
const COLOURS: [&str; 7] =
    ["#34568b", "#3a7d44", "#8e5ea2", "#b5651d", "#2a8c8c", "#6b6b6b", "#9c6b98"];

impl Graph {
    /// Draws the graph as an SVG picture from the left to the right, without scripts or references
    /// to anything else. Colours and dashes tell kinds of edges apart, with a key below.
    ///
    /// Errors: it is too large for that.
    pub fn to_svg(&self) -> Result<String, TooLarge> {
        if self.nodes.len() > MAX_NODES || self.edges.len() > MAX_EDGES {
            return Err(TooLarge { nodes: self.nodes.len(), edges: self.edges.len() });
        }
        let sizes: Vec<(f64, f64)> = self.nodes.iter().map(size).collect();
        Ok(draw(self, &layout(self, &sizes)))
    }
}

fn lines(node: &GraphNode) -> Vec<String> {
    let second = match (node.kind.is_empty(), node.note.is_empty()) {
        (_, true) => node.kind.clone(),
        (true, false) => node.note.clone(),
        (false, false) => format!("{} · {}", node.kind, node.note),
    };
    let mut lines = vec![cut(&node.name)];
    let mut line = String::new();
    for part in second.split_inclusive(", ") {
        if !line.is_empty() && line.chars().count() + part.chars().count() > MAX_CHARS {
            lines.push(cut(line.trim_end()));
            line.clear();
        }
        line.push_str(part);
    }
    if !line.is_empty() {
        lines.push(cut(&line));
    }
    // However long a note is, a node is no page.
    lines.truncate(4);
    lines
}

/// A text with its middle left out where it is long: both ends of a path tell something.
fn cut(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= MAX_CHARS {
        return text.to_owned();
    }
    let half = (MAX_CHARS - 1) / 2;
    let (start, end) = (&chars[..half], &chars[chars.len() - half..]);
    start.iter().chain(&['…']).chain(end).collect()
}

fn size(node: &GraphNode) -> (f64, f64) {
    let lines = lines(node);
    let longest = lines.iter().map(|line| line.chars().map(columns).sum::<usize>()).max();
    (longest.unwrap_or(1) as f64 * CHAR + 16.0, lines.len().max(1) as f64 * LINE + 8.0)
}

/// Characters of East Asian scripts and pictures take two columns; near enough for boxes.
fn columns(c: char) -> usize {
    if c as u32 >= 0x1100 && !('\u{2000}'..'\u{2e00}').contains(&c) { 2 } else { 1 }
}

fn draw(graph: &Graph, layout: &Layout) -> String {
    let kinds = kinds(graph);
    let has_back = layout.routes.iter().any(|route| route.is_back);
    let key = if kinds.len() > 1 || has_back { LINE * 2.0 } else { 0.0 };
    let key_width =
        kinds.iter().map(|kind| key_entry(kind)).sum::<f64>() + key_entry("in a circle");
    let width = (layout.width.max(if key > 0.0 { key_width } else { 0.0 }) + 2.0 * MARGIN).ceil();
    let height = (layout.height + 2.0 * MARGIN + key).ceil();
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"12\">\n"
    );
    let _ = writeln!(out, "<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>");
    out.push_str("<defs>");
    for (at, colour) in COLOURS.iter().chain([&ALARM]).enumerate() {
        let _ = write!(
            out,
            "<marker id=\"a{at}\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"{colour}\"/></marker>"
        );
    }
    out.push_str("</defs>\n");
    let _ = writeln!(out, "<g transform=\"translate({MARGIN} {MARGIN})\">");
    for (edge, route) in graph.edges.iter().zip(&layout.routes) {
        draw_edge(&mut out, graph, edge, route, &layout.items, &kinds);
    }
    for (node, item) in graph.nodes.iter().zip(&layout.items) {
        draw_node(&mut out, node, item);
    }
    if key > 0.0 {
        draw_key(&mut out, layout.height + LINE * 2.0, &kinds, has_back);
    }
    out.push_str("</g>\n</svg>\n");
    out
}

fn kinds(graph: &Graph) -> Vec<&'static str> {
    let mut kinds: Vec<&'static str> = graph.edges.iter().map(|edge| edge.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

fn style(kind: &str, kinds: &[&str], is_back: bool) -> (usize, &'static str, &'static str) {
    if is_back {
        return (COLOURS.len(), ALARM, "6 3");
    }
    let at = kinds.iter().position(|known| *known == kind).unwrap_or_default();
    let dash = if matches!(kind, "follows" | "directory" | "path") { "4 3" } else { "none" };
    (at % COLOURS.len(), COLOURS[at % COLOURS.len()], dash)
}

fn draw_edge(
    out: &mut String,
    graph: &Graph,
    edge: &Edge,
    route: &Route,
    items: &[Item],
    kinds: &[&str],
) {
    let (marker, colour, dash) = style(edge.kind, kinds, route.is_back);
    let way =
        if edge.from == edge.to { loop_at(&items[edge.from as usize]) } else { way(route, items) };
    let [from, to] = [edge.from, edge.to].map(|at| &graph.nodes[at as usize].name);
    let name = if edge.name.is_empty() { String::new() } else { format!(" {}", edge.name) };
    let title = escape(&format!("{from} — {}{name} → {to}", edge.kind));
    let _ = writeln!(
        out,
        "<path d=\"{way}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.2\" stroke-dasharray=\"{dash}\" marker-end=\"url(#a{marker})\"><title>{title}</title></path>"
    );
}

/// The curve through the items of a route.
fn way(route: &Route, items: &[Item]) -> String {
    let ends = |at: usize, is_first: bool, is_last: bool| {
        let Item { x, y, width, end, .. } = items[at];
        let (left, right) = (x, x + width);
        match (route.is_back, is_first, is_last) {
            // Past wider neighbours first.
            (false, true, _) => vec![(right, y), (end, y)],
            (false, _, true) => vec![(left, y)],
            (false, ..) => vec![(left, y), (right, y)],
            (true, true, _) => vec![(left, y)],
            (true, _, true) => vec![(end, y), (right, y)],
            (true, ..) => vec![(right, y), (left, y)],
        }
    };
    let last = route.items.len().saturating_sub(1);
    let points: Vec<(f64, f64)> =
        route.items.iter().enumerate().flat_map(|(n, &at)| ends(at, n == 0, n == last)).collect();
    let mut out = String::new();
    for (at, &(x, y)) in points.iter().enumerate() {
        if at == 0 {
            let _ = write!(out, "M{x:.1} {y:.1}");
            continue;
        }
        let (before_x, before_y) = points[at - 1];
        let middle = f64::midpoint(before_x, x);
        let _ = write!(out, "C{middle:.1} {before_y:.1} {middle:.1} {y:.1} {x:.1} {y:.1}");
    }
    out
}

fn loop_at(item: &Item) -> String {
    let (x, y) = (item.x + item.width, item.y);
    let (top, bottom, far) = (y - 6.0, y + 6.0, x + 28.0);
    format!(
        "M{x:.1} {bottom:.1}C{far:.1} {:.1} {far:.1} {:.1} {x:.1} {top:.1}",
        bottom + 12.0,
        top - 12.0
    )
}

fn draw_node(out: &mut String, node: &GraphNode, item: &Item) {
    let (x, y) = (item.x, item.y - item.height / 2.0);
    let (width, height) = (item.width, item.height);
    let (fill, stroke) = match node.is_marked {
        true => ("#fdecea", ALARM),
        false => ("#f4f7fb", "#34568b"),
    };
    let title = [&node.name, &node.kind, &node.note].map(|text| escape(text)).join("&#10;");
    let _ = write!(
        out,
        "<g><title>{title}</title><rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"4\" fill=\"{fill}\" stroke=\"{stroke}\"/>"
    );
    for (at, line) in lines(node).iter().enumerate() {
        let (left, base) = (x + 8.0, y + 4.0 + LINE * at as f64 + 12.0);
        let colour = if at == 0 { "#1b2430" } else { "#5c6b7a" };
        let _ = write!(
            out,
            "<text x=\"{left:.1}\" y=\"{base:.1}\" fill=\"{colour}\">{}</text>",
            escape(line)
        );
    }
    out.push_str("</g>\n");
}

fn key_entry(kind: &str) -> f64 {
    kind.len() as f64 * CHAR + 56.0
}

fn draw_key(out: &mut String, y: f64, kinds: &[&str], has_back: bool) {
    let entries = kinds.iter().map(|kind| (*kind, style(kind, kinds, false)));
    let back = has_back.then(|| ("in a circle", style("", kinds, true)));
    let mut x = 0.0;
    for (kind, (marker, colour, dash)) in entries.chain(back) {
        let (end, text, base) = (x + 28.0, x + 34.0, y + 4.0);
        let _ = writeln!(
            out,
            "<path d=\"M{x:.1} {y:.1}L{end:.1} {y:.1}\" stroke=\"{colour}\" stroke-width=\"1.2\" stroke-dasharray=\"{dash}\" marker-end=\"url(#a{marker})\"/><text x=\"{text:.1}\" y=\"{base:.1}\" fill=\"#5c6b7a\">{kind}</text>"
        );
        x += key_entry(kind);
    }
}

/// A text for XML; characters that XML has not are replaced.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' => out.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> GraphNode {
        GraphNode { name: name.to_owned(), kind: "module".to_owned(), ..GraphNode::default() }
    }

    fn graph(names: &[&str], edges: &[(u32, u32)]) -> Graph {
        let edge = |&(from, to)| Edge { from, to, kind: "import", name: String::new() };
        let nodes = names.iter().map(|name| node(name)).collect();
        let mut graph = Graph { nodes, edges: edges.iter().map(edge).collect() };
        graph.normalise();
        graph
    }

    /// The boxes of all nodes: left, top, right, bottom.
    fn boxes(graph: &Graph) -> Vec<[f64; 4]> {
        let sizes: Vec<_> = graph.nodes.iter().map(size).collect();
        let items = layout(graph, &sizes).items;
        let of = |item: &Item| {
            let half = item.height / 2.0;
            [item.x, item.y - half, item.x + item.width, item.y + half]
        };
        items.iter().take(graph.nodes.len()).map(of).collect()
    }

    #[test]
    fn names_are_escaped() {
        let svg = graph(&["<&\">\u{1}\u{85}", "b"], &[(0, 1)]).to_svg().unwrap();
        assert!(svg.contains(">&lt;&amp;&quot;&gt;\u{fffd}\u{fffd}</text>"), "{svg}");
        assert!(!svg.contains("<script") && !svg.contains("href"));
    }

    #[test]
    fn long_names_keep_both_ends() {
        let name = format!("start{}end", "x".repeat(500));
        let svg = graph(&[&name], &[]).to_svg().unwrap();
        assert!(svg.contains(">startxxx") && svg.contains("xxxend</text>") && svg.contains('…'));
        assert_eq!(cut(&name).chars().count(), 63);
    }

    #[test]
    fn edges_lead_to_the_right_and_nodes_do_not_overlap() {
        let names: Vec<String> = (0..60).map(|at| format!("file-{at}.nix")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let edges: Vec<(u32, u32)> =
            (1..60).flat_map(|at| [(at / 3, at), (at / 7, at)]).filter(|(a, b)| a != b).collect();
        let graph = graph(&names, &edges);
        let boxes = boxes(&graph);
        for edge in &graph.edges {
            assert!(boxes[edge.from as usize][2] < boxes[edge.to as usize][0], "{edge:?}");
        }
        for (at, one) in boxes.iter().enumerate() {
            for other in &boxes[at + 1..] {
                let is_apart = one[2] <= other[0]
                    || other[2] <= one[0]
                    || one[3] <= other[1]
                    || other[3] <= one[1];
                assert!(is_apart, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn circles_are_drawn_backwards_with_a_key() {
        let svg = graph(&["a", "b"], &[(0, 1), (1, 0), (0, 0)]).to_svg().unwrap();
        assert_eq!(svg.matches("stroke-dasharray=\"6 3\"").count(), 3, "{svg}");
        assert!(svg.contains("in a circle"));
    }

    #[test]
    fn what_is_too_large_is_refused_and_what_is_just_not_is_drawn() {
        let nodes = |n: usize| (0..n).map(|at| node(&at.to_string())).collect::<Vec<_>>();
        let large = Graph { nodes: nodes(MAX_NODES + 1), edges: Vec::new() };
        assert!(large.to_svg().unwrap_err().to_string().contains("1501 nodes"));
        // Chains with edges from everywhere to everywhere have more bends than are made.
        let edge = |from: u32, to: u32| Edge { from, to, kind: "import", name: String::new() };
        let n = MAX_NODES as u32;
        let chain = (1..n).map(|to| edge(to - 1, to));
        let far = (0..4_000).map(|at| edge(at % (n / 2), n / 2 + (at * 7) % (n / 2)));
        let mut most = Graph { nodes: nodes(MAX_NODES), edges: chain.chain(far).collect() };
        most.normalise();
        assert!(most.to_svg().unwrap().len() > 100_000);
        assert!(Graph::default().to_svg().unwrap().starts_with("<svg"));
    }
}
