//! What a graph answers: ways from one node to another, and circles.

use std::collections::VecDeque;

use super::{Edge, Graph};

impl Graph {
    /// The node called `name`, or else the only one whose name ends in it behind a slash or dot.
    ///
    /// Errors: the names of the nodes that may have been meant, at most ten.
    pub fn find(&self, name: &str) -> Result<u32, Vec<&str>> {
        if let Some(at) = self.nodes.iter().position(|node| node.name == name) {
            return Ok(at as u32);
        }
        let ends = |node: &str| {
            let rest = node.strip_suffix(name)?;
            rest.ends_with(['/', '.']).then_some(())
        };
        let at = (0..self.nodes.len()).filter(|&at| ends(&self.nodes[at].name).is_some());
        let found: Vec<usize> = at.take(11).collect();
        if let [only] = found[..] {
            return Ok(only as u32);
        }
        if found.is_empty() {
            let like = self.nodes.iter().filter(|node| node.name.contains(name));
            return Err(like.map(|node| node.name.as_str()).take(10).collect());
        }
        Err(found.iter().take(10).map(|&at| self.nodes[at].name.as_str()).collect())
    }

    /// A shortest way between two nodes, as its edges; empty from a node to itself.
    #[must_use]
    pub fn way(&self, from: u32, to: u32) -> Option<Vec<&Edge>> {
        if from == to {
            return Some(Vec::new());
        }
        self.walk(from, to)
    }

    /// A shortest way of at least one edge.
    fn walk(&self, from: u32, to: u32) -> Option<Vec<&Edge>> {
        let mut came: Vec<Option<&Edge>> = vec![None; self.nodes.len()];
        let mut queue = VecDeque::from([from]);
        while let Some(node) = queue.pop_front() {
            for edge in self.outgoing(node) {
                if edge.to == to {
                    let mut way = vec![edge];
                    let mut at = node;
                    while at != from {
                        let edge = came[at as usize]?;
                        way.push(edge);
                        at = edge.from;
                    }
                    way.reverse();
                    return Some(way);
                }
                if edge.to != from && came[edge.to as usize].is_none() {
                    came[edge.to as usize] = Some(edge);
                    queue.push_back(edge.to);
                }
            }
        }
        None
    }

    /// Everything that lies on some way between two nodes.
    #[must_use]
    pub fn between(&self, from: u32, to: u32) -> Self {
        let ahead = self.reach(from, |edge| (edge.from, edge.to));
        let behind = self.reach(to, |edge| (edge.to, edge.from));
        let both: Vec<bool> = ahead.iter().zip(&behind).map(|(a, b)| *a && *b).collect();
        self.only(&both)
    }

    fn reach(&self, start: u32, ends: impl Fn(&Edge) -> (u32, u32)) -> Vec<bool> {
        let mut next: Vec<Vec<u32>> = vec![Vec::new(); self.nodes.len()];
        for edge in &self.edges {
            let (from, to) = ends(edge);
            next[from as usize].push(to);
        }
        let mut seen = vec![false; self.nodes.len()];
        let mut todo = vec![start];
        while let Some(node) = todo.pop() {
            if !std::mem::replace(&mut seen[node as usize], true) {
                todo.extend_from_slice(&next[node as usize]);
            }
        }
        seen
    }

    /// The marked nodes with the edges between them.
    #[must_use]
    pub fn only(&self, marks: &[bool]) -> Self {
        let mut numbers = vec![u32::MAX; self.nodes.len()];
        let mut nodes = Vec::new();
        for (at, node) in self.nodes.iter().enumerate().filter(|(at, _)| marks[*at]) {
            numbers[at] = nodes.len() as u32;
            nodes.push(node.clone());
        }
        let is_kept = |edge: &&Edge| marks[edge.from as usize] && marks[edge.to as usize];
        let edges = self.edges.iter().filter(is_kept).map(|edge| Edge {
            from: numbers[edge.from as usize],
            to: numbers[edge.to as usize],
            ..edge.clone()
        });
        Self { edges: edges.collect(), nodes }
    }

    /// The groups of nodes that lead to each other, the first nodes first. A node that leads to
    /// itself is a group of its own; others that lie on no circle are in none.
    #[must_use]
    pub fn circles(&self) -> Vec<Vec<u32>> {
        let mut search = Search {
            graph: self,
            numbers: vec![u32::MAX; self.nodes.len()],
            lows: vec![0; self.nodes.len()],
            is_open: vec![false; self.nodes.len()],
            open: Vec::new(),
            way: Vec::new(),
            n_seen: 0,
            groups: Vec::new(),
        };
        for node in 0..self.nodes.len() as u32 {
            if search.numbers[node as usize] == u32::MAX {
                search.enter(node);
                while let Some((node, next)) = search.way.pop() {
                    search.step(node, next);
                }
            }
        }
        let mut groups = search.groups;
        groups.sort();
        groups
    }

    /// A shortest way from the first node of a group of [`Graph::circles`] back to it; its edges.
    #[must_use]
    pub fn way_round(&self, group: &[u32]) -> Vec<&Edge> {
        group.first().and_then(|first| self.walk(*first, *first)).unwrap_or_default()
    }
}

/// Tarjan's search, without recursion.
struct Search<'g> {
    graph: &'g Graph,
    numbers: Vec<u32>,
    /// The lowest number of an open node that can be reached.
    lows: Vec<u32>,
    is_open: Vec<bool>,
    open: Vec<u32>,
    /// Nodes on the way, each with the place of its next edge.
    way: Vec<(u32, usize)>,
    n_seen: u32,
    groups: Vec<Vec<u32>>,
}

impl Search<'_> {
    fn enter(&mut self, node: u32) {
        self.numbers[node as usize] = self.n_seen;
        self.lows[node as usize] = self.n_seen;
        self.n_seen += 1;
        self.is_open[node as usize] = true;
        self.open.push(node);
        self.way.push((node, 0));
    }

    fn step(&mut self, node: u32, next: usize) {
        let Some(edge) = self.graph.outgoing(node).get(next) else { return self.leave(node) };
        self.way.push((node, next + 1));
        let (at, to) = (node as usize, edge.to as usize);
        if self.numbers[to] == u32::MAX {
            self.enter(edge.to);
        } else if self.is_open[to] {
            self.lows[at] = self.lows[at].min(self.numbers[to]);
        }
    }

    fn leave(&mut self, node: u32) {
        let at = node as usize;
        if let Some(&(above, _)) = self.way.last() {
            self.lows[above as usize] = self.lows[above as usize].min(self.lows[at]);
        }
        if self.lows[at] != self.numbers[at] {
            return;
        }
        let start = self.open.iter().rposition(|open| *open == node).unwrap_or_default();
        let mut group = self.open.split_off(start);
        for member in &group {
            self.is_open[*member as usize] = false;
        }
        let is_own = self.graph.outgoing(node).iter().any(|edge| edge.to == node);
        if group.len() > 1 || is_own {
            group.sort_unstable();
            self.groups.push(group);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GraphNode;

    fn graph(edges: &[(u32, u32)]) -> Graph {
        let n = edges.iter().map(|(from, to)| from.max(to) + 1).max().unwrap_or(0);
        let node = |at: u32| GraphNode { name: format!("n/{at}"), ..GraphNode::default() };
        let edge = |&(from, to)| Edge { from, to, kind: "import", name: String::new() };
        let mut graph =
            Graph { nodes: (0..n).map(node).collect(), edges: edges.iter().map(edge).collect() };
        graph.normalise();
        graph
    }

    #[test]
    fn ways_are_shortest() {
        let graph = graph(&[(0, 1), (1, 2), (2, 3), (0, 2), (4, 0), (3, 5)]);
        let way = |from, to| {
            let way = graph.way(from, to)?;
            Some(way.iter().map(|edge| edge.to).collect::<Vec<_>>())
        };
        assert_eq!(way(0, 3), Some(vec![2, 3]));
        assert_eq!(way(0, 0), Some(vec![]));
        assert_eq!(way(3, 0), None);
        let names = |graph: &Graph| graph.nodes.iter().map(|n| n.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&graph.between(0, 3)), ["n/0", "n/1", "n/2", "n/3"]);
    }

    #[test]
    fn circles_are_told_once() {
        let graph = graph(&[(0, 1), (1, 2), (2, 1), (3, 3), (2, 4), (4, 2)]);
        assert_eq!(graph.circles(), [vec![1, 2, 4], vec![3]]);
        let round: Vec<u32> = graph.way_round(&[1, 2, 4]).iter().map(|edge| edge.to).collect();
        assert_eq!(round, [2, 1]);
    }

    #[test]
    fn a_long_chain_takes_no_stack() {
        let n = 200_000;
        let edges: Vec<(u32, u32)> = (0..n).map(|at| (at, at + 1)).chain([(n, 0)]).collect();
        let graph = graph(&edges);
        assert_eq!(graph.circles().len(), 1);
        assert_eq!(graph.way(0, n).map(|way| way.len()), Some(n as usize));
    }

    #[test]
    fn nodes_are_found_by_their_ends() {
        let graph = graph(&[(0, 11), (1, 1)]);
        assert_eq!(graph.find("n/1"), Ok(1));
        assert_eq!(graph.find("11"), Ok(11));
        assert_eq!(graph.find("x"), Err(vec![]));
        assert_eq!(graph.find("/1"), Err(vec!["n/1", "n/10", "n/11"]));
    }
}
