//! Printing graphs, or what was asked about them.

use cim_nix_base::{Edge, Error, Graph};
use clap::{Args, ValueEnum};

use crate::exit::Exit;
use crate::terminal::{Out, note, printable};

/// What to print, and how.
#[derive(Args, Debug)]
pub(super) struct PrintArgs {
    /// How to print
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: GraphFormat,
    /// Show only a shortest way from A to B; each is a name or the end of one
    #[arg(long, num_args = 2, value_names = ["A", "B"], allow_hyphen_values = true)]
    why: Option<Vec<String>>,
    /// With --why: show everything on any way from A to B
    #[arg(long, requires = "why")]
    all: bool,
    /// Show only what lies on circles; as text, one shortest way round a line
    #[arg(long, conflicts_with = "why")]
    cycles: bool,
}

impl PrintArgs {
    /// Whether a way was asked for.
    pub(super) fn asks_why(&self) -> bool {
        self.why.is_some()
    }
}

/// How to print a graph.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
enum GraphFormat {
    /// Indented trees; (*) stands for what was printed before, (cycle) for a way back
    #[default]
    Text,
    /// Nodes and edges in one JSON object; its schema is documented in docs/graphs.md
    Json,
    /// For Graphviz
    Dot,
    /// For Mermaid
    Mermaid,
    /// A picture that needs no other program
    Svg,
}

/// Prints a graph, or what was asked about it.
///
/// Errors: a name that was asked about means no node or several, or the picture would be too large.
pub(super) fn show(graph: &Graph, args: &PrintArgs) -> Result<Exit, Error> {
    if let Some([from, to]) = args.why.as_deref() {
        let (start, end) = (find(graph, from)?, find(graph, to)?);
        let Some(way) = graph.way(start, end) else {
            note(format_args!("`{from}` does not lead to `{to}`"));
            return Ok(Exit::Findings);
        };
        let shown = match args.all {
            true => graph.between(start, end),
            false => chain(graph, start, &way),
        };
        print(&shown, args.format)?;
        return Ok(Exit::Clean);
    }
    if args.cycles {
        return show_circles(graph, args.format);
    }
    print(graph, args.format)?;
    Ok(Exit::Clean)
}

fn find(graph: &Graph, name: &str) -> Result<u32, Error> {
    graph.find(name).map_err(|near| {
        let ends = near.iter().filter(|near| near.ends_with(name)).count();
        let error = match ends {
            0 | 1 => Error::user(format!("nothing in this graph is called `{name}`")),
            _ => Error::user(format!("`{name}` may mean several things in this graph")),
        };
        near.iter().fold(error, |error, near| error.hint(format!("is `{near}` meant?")))
    })
}

/// A graph of nothing but a way.
fn chain(graph: &Graph, start: u32, way: &[&Edge]) -> Graph {
    let nodes = std::iter::once(start).chain(way.iter().map(|edge| edge.to));
    let edges =
        way.iter().zip(0..).map(|(edge, at)| Edge { from: at, to: at + 1, ..(*edge).clone() });
    Graph {
        nodes: nodes.map(|at| graph.nodes[at as usize].clone()).collect(),
        edges: edges.collect(),
    }
}

fn show_circles(graph: &Graph, format: GraphFormat) -> Result<Exit, Error> {
    let circles = graph.circles();
    if circles.is_empty() {
        note(format_args!("nothing leads back to itself"));
    }
    if format != GraphFormat::Text {
        let mut marks = vec![false; graph.nodes.len()];
        for node in circles.iter().flatten() {
            marks[*node as usize] = true;
        }
        print(&graph.only(&marks), format)?;
        return Ok(Exit::Clean);
    }
    let mut out = Out::new();
    let name = |at: u32| graph.nodes[at as usize].name.as_str();
    for circle in &circles {
        let way = graph.way_round(circle);
        let mut line = name(circle[0]).to_owned();
        for edge in &way {
            line.push_str(&format!(" -> {}", name(edge.to)));
        }
        let others = circle.len().saturating_sub(way.len());
        if others > 0 {
            line.push_str(&format!(" ({others} more lead to each other)"));
        }
        out.line(printable(&line));
    }
    out.finish()?;
    Ok(Exit::Clean)
}

fn print(graph: &Graph, format: GraphFormat) -> Result<(), Error> {
    let mut out = Out::new();
    match format {
        GraphFormat::Text => out.text(&printable(&graph.to_text())),
        GraphFormat::Json => out.line(graph.to_json()),
        GraphFormat::Dot => out.text(&graph.to_dot()),
        GraphFormat::Mermaid => out.text(&graph.to_mermaid()),
        GraphFormat::Svg => {
            let picture = graph.to_svg().map_err(|error| {
                let hint = "name fewer files, ask for a way with --why, or let another program lay it out: --format dot";
                Error::user(error.to_string()).hint(hint)
            })?;
            out.text(&picture);
        }
    }
    out.finish()
}
