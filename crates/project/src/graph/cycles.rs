//! Import cycles that evaluation cannot leave.
//!
//! A file that got other arguments may import other files, so a node here is a file with a number
//! of arguments. Strongly connected parts are found by Tarjan's algorithm without recursion; of
//! each, a shortest way round through its first file is told.

use std::collections::{HashMap, HashSet, VecDeque};

use super::{Cycle, Destination, ImportGraph};
use crate::FileId;
use crate::imports::MAX_ARGUMENTS;

/// A file and how many arguments it got.
type Node = (FileId, u8);

/// For each node, the nodes it needs with the reference that leads there.
type Needs = HashMap<Node, Vec<(Node, u32)>>;

pub(super) fn find(graph: &ImportGraph) -> Vec<Cycle> {
    let needs = needs(graph);
    let mut nodes: Vec<Node> = needs.keys().copied().collect();
    nodes.sort_unstable();
    let mut seen = HashSet::new();
    let mut cycles = Vec::new();
    for part in connected(&nodes, &needs) {
        let Some(cycle) = way_round(&part, &needs) else { continue };
        let mut files: Vec<FileId> = cycle.steps.iter().map(|(file, _)| *file).collect();
        files.sort_unstable();
        // The same files with more arguments are the same mistake.
        if seen.insert(files) {
            cycles.push(cycle);
        }
    }
    cycles.sort_by_key(|cycle| cycle.steps.first().copied());
    cycles
}

fn needs(graph: &ImportGraph) -> Needs {
    let mut needs = Needs::new();
    for edge in graph.edges() {
        let strict = graph.reference(edge.from, edge.reference).strict;
        let (Some(strict), Destination::File(to)) = (strict, edge.to) else { continue };
        for got in strict.after..=MAX_ARGUMENTS {
            let passed = if strict.passes_on { got - strict.after } else { 0 };
            let given = (strict.given + passed).min(MAX_ARGUMENTS);
            needs.entry((edge.from, got)).or_default().push(((to, given), edge.reference));
        }
    }
    needs
}

/// The strongly connected parts that hold a cycle.
fn connected(nodes: &[Node], needs: &Needs) -> Vec<Vec<Node>> {
    let mut search =
        Search { needs, states: HashMap::new(), open: Vec::new(), way: Vec::new(), parts: vec![] };
    for &node in nodes {
        if !search.states.contains_key(&node) {
            search.enter(node);
        }
        while let Some((node, next)) = search.way.pop() {
            search.step(node, next);
        }
    }
    search.parts
}

/// Tarjan's search.
struct Search<'a> {
    needs: &'a Needs,
    states: HashMap<Node, State>,
    /// Nodes that are not yet in a part.
    open: Vec<Node>,
    /// Nodes on the way, each with the place of its next target.
    way: Vec<(Node, usize)>,
    parts: Vec<Vec<Node>>,
}

#[derive(Clone, Copy)]
struct State {
    number: u32,
    /// The lowest number of an open node that can be reached.
    low: u32,
    is_open: bool,
}

impl<'a> Search<'a> {
    fn targets(&self, node: Node) -> &'a [(Node, u32)] {
        self.needs.get(&node).map_or(&[], Vec::as_slice)
    }

    fn enter(&mut self, node: Node) {
        let number = self.states.len() as u32;
        self.states.insert(node, State { number, low: number, is_open: true });
        self.open.push(node);
        self.way.push((node, 0));
    }

    /// Goes on from `node` to its target at `next`, or leaves it behind the last.
    fn step(&mut self, node: Node, next: usize) {
        let Some(&(target, _)) = self.targets(node).get(next) else { return self.leave(node) };
        self.way.push((node, next + 1));
        match self.states.get(&target) {
            None => self.enter(target),
            Some(state) if state.is_open => self.lower(node, state.number),
            Some(_) => {}
        }
    }

    fn lower(&mut self, node: Node, low: u32) {
        self.states.entry(node).and_modify(|state| state.low = state.low.min(low));
    }

    fn leave(&mut self, node: Node) {
        let state = self.states[&node];
        if let Some(&(above, _)) = self.way.last() {
            self.lower(above, state.low);
        }
        if state.low != state.number {
            return;
        }
        let start = self.open.iter().rposition(|open| *open == node).unwrap_or_default();
        let mut part = self.open.split_off(start);
        for member in &part {
            self.states.entry(*member).and_modify(|state| state.is_open = false);
        }
        if part.len() > 1 || self.targets(node).iter().any(|(target, _)| *target == node) {
            part.sort_unstable();
            self.parts.push(part);
        }
    }
}

/// A shortest way from the first node of `part` back to it.
fn way_round(part: &[Node], needs: &Needs) -> Option<Cycle> {
    let start = *part.first()?;
    let members: HashSet<Node> = part.iter().copied().collect();
    let mut came: HashMap<Node, (Node, u32)> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for &(target, reference) in needs.get(&node)? {
            if target == start {
                let mut steps = vec![(node.0, reference)];
                let mut at = node;
                while at != start {
                    let (before, reference) = *came.get(&at)?;
                    steps.push((before.0, reference));
                    at = before;
                }
                steps.reverse();
                return Some(Cycle { steps });
            }
            if members.contains(&target) && !came.contains_key(&target) {
                came.insert(target, (node, reference));
                queue.push_back(target);
            }
        }
    }
    None
}
