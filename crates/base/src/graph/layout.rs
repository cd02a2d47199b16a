//! Where the nodes of a picture go: layers from the left to the right, few crossings, straight
//! edges.
//!
//! The steps are Sugiyama's: edges that close a circle are turned round, each node goes as far left
//! as its edges allow, long edges get a bend in each layer between, layers are ordered by the middle
//! of their neighbours, and nodes move towards those as far as the order lets them.

use super::Graph;

/// A node or a bend of an edge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    /// The middle of the left side.
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    /// The right end of its layer.
    pub(super) end: f64,
}

/// The way of an edge: through these items, from its first node to its second.
pub(super) struct Route {
    pub(super) items: Vec<usize>,
    /// Whether it closes a circle, so that it leads back.
    pub(super) is_back: bool,
}

pub(super) struct Layout {
    /// Nodes first, bends behind.
    pub(super) items: Vec<Item>,
    pub(super) routes: Vec<Route>,
    pub(super) width: f64,
    pub(super) height: f64,
}

const GAP_X: f64 = 56.0;
const GAP_Y: f64 = 12.0;
const BEND: f64 = 6.0;
const SWEEPS: usize = 12;
/// Edges whose bends would be more than this together are drawn straight.
const MAX_BENDS: usize = 20_000;

/// Lays out a graph whose nodes have the given widths and heights.
pub(super) fn layout(graph: &Graph, sizes: &[(f64, f64)]) -> Layout {
    let back = back_edges(graph);
    let layers = layers(graph, &back);
    let mut placing = Placing::new(graph, &back, &layers, sizes);
    placing.order();
    placing.place()
}

/// The edges that lead back to a node on the way to them.
fn back_edges(graph: &Graph) -> Vec<bool> {
    let mut is_back = vec![false; graph.edges.len()];
    let mut state = vec![0u8; graph.nodes.len()];
    let first = |node: u32| graph.edges.partition_point(|edge| edge.from < node);
    let mut has_incoming = vec![false; graph.nodes.len()];
    for edge in &graph.edges {
        has_incoming[edge.to as usize] = true;
    }
    let roots = (0..graph.nodes.len()).filter(|&at| !has_incoming[at]);
    for root in roots.chain(0..graph.nodes.len()) {
        if state[root] != 0 {
            continue;
        }
        state[root] = 1;
        let mut way = vec![(root as u32, first(root as u32))];
        while let Some((node, at)) = way.pop() {
            let Some(edge) = graph.edges.get(at).filter(|edge| edge.from == node) else {
                state[node as usize] = 2;
                continue;
            };
            way.push((node, at + 1));
            match state[edge.to as usize] {
                0 => {
                    state[edge.to as usize] = 1;
                    way.push((edge.to, first(edge.to)));
                }
                1 => is_back[at] = true,
                _ => {}
            }
        }
    }
    is_back
}

/// The layer of each node: one behind the last of those that lead to it.
fn layers(graph: &Graph, is_back: &[bool]) -> Vec<usize> {
    let n = graph.nodes.len();
    let mut next: Vec<Vec<u32>> = vec![Vec::new(); n];
    let mut n_before = vec![0usize; n];
    for (edge, _) in forward(graph, is_back) {
        next[edge.0 as usize].push(edge.1);
        n_before[edge.1 as usize] += 1;
    }
    let mut layer = vec![0; n];
    let mut ready: Vec<u32> = (0..n as u32).filter(|&at| n_before[at as usize] == 0).collect();
    while let Some(node) = ready.pop() {
        for &to in &next[node as usize] {
            let to_at = to as usize;
            layer[to_at] = layer[to_at].max(layer[node as usize] + 1);
            n_before[to_at] -= 1;
            if n_before[to_at] == 0 {
                ready.push(to);
            }
        }
    }
    layer
}

/// The edges with those turned round that lead back; none from a node to itself.
fn forward<'g>(
    graph: &'g Graph,
    is_back: &'g [bool],
) -> impl Iterator<Item = ((u32, u32), usize)> + 'g {
    let edges = graph.edges.iter().enumerate().filter(|(_, edge)| edge.from != edge.to);
    edges.map(|(at, edge)| match is_back[at] {
        true => ((edge.to, edge.from), at),
        false => ((edge.from, edge.to), at),
    })
}

struct Placing {
    items: Vec<Item>,
    /// The items of each layer, in order.
    layers: Vec<Vec<usize>>,
    layer_of: Vec<usize>,
    /// The neighbours of each item in the layer before and in the one behind.
    before: Vec<Vec<usize>>,
    behind: Vec<Vec<usize>>,
    routes: Vec<Route>,
}

impl Placing {
    fn new(graph: &Graph, is_back: &[bool], layers: &[usize], sizes: &[(f64, f64)]) -> Self {
        let n_layers = layers.iter().max().map_or(0, |last| last + 1);
        let mut placing = Self {
            items: Vec::new(),
            layers: vec![Vec::new(); n_layers],
            layer_of: Vec::new(),
            before: Vec::new(),
            behind: Vec::new(),
            routes: Vec::new(),
        };
        for (&layer, &(width, height)) in layers.iter().zip(sizes) {
            placing.add(layer, width, height);
        }
        let long = |&((from, to), _): &((u32, u32), usize)| {
            layers[to as usize] - layers[from as usize] - 1
        };
        let n_bends: usize = forward(graph, is_back).map(|edge| long(&edge)).sum();
        let mut routes: Vec<Option<Route>> = graph.edges.iter().map(|_| None).collect();
        for ((from, to), at) in forward(graph, is_back) {
            let mut items = vec![from as usize];
            if n_bends <= MAX_BENDS {
                for layer in layers[from as usize] + 1..layers[to as usize] {
                    items.push(placing.add(layer, 0.0, BEND));
                }
            }
            items.push(to as usize);
            if n_bends <= MAX_BENDS || layers[to as usize] == layers[from as usize] + 1 {
                for pair in items.windows(2) {
                    placing.behind[pair[0]].push(pair[1]);
                    placing.before[pair[1]].push(pair[0]);
                }
            }
            if is_back[at] {
                items.reverse();
            }
            routes[at] = Some(Route { items, is_back: is_back[at] });
        }
        placing.routes = routes
            .into_iter()
            .zip(&graph.edges)
            .map(|(route, edge)| {
                let own = || Route { items: vec![edge.from as usize; 2], is_back: true };
                route.unwrap_or_else(own)
            })
            .collect();
        placing
    }

    fn add(&mut self, layer: usize, width: f64, height: f64) -> usize {
        let at = self.items.len();
        self.items.push(Item { x: 0.0, y: 0.0, width, height, end: 0.0 });
        self.layers[layer].push(at);
        self.layer_of.push(layer);
        self.before.push(Vec::new());
        self.behind.push(Vec::new());
        at
    }

    /// Orders each layer by the middle of its neighbours, forth and back.
    fn order(&mut self) {
        let mut places = vec![0.0; self.items.len()];
        let note = |layer: &[usize], places: &mut Vec<f64>| {
            for (place, &item) in layer.iter().enumerate() {
                places[item] = place as f64;
            }
        };
        self.layers.iter().for_each(|layer| note(layer, &mut places));
        for sweep in 0..SWEEPS {
            let n = self.layers.len();
            for step in 0..n {
                let at = if sweep % 2 == 0 { step } else { n - 1 - step };
                let neighbours = if sweep % 2 == 0 { &self.before } else { &self.behind };
                let middle = |item: usize| {
                    let near = &neighbours[item];
                    match near.is_empty() {
                        true => places[item],
                        false => near.iter().map(|&n| places[n]).sum::<f64>() / near.len() as f64,
                    }
                };
                let mut keyed: Vec<(f64, usize)> =
                    self.layers[at].iter().map(|&item| (middle(item), item)).collect();
                // Stable, so equal ones stay.
                keyed.sort_by(|one, other| one.0.total_cmp(&other.0));
                self.layers[at] = keyed.into_iter().map(|(_, item)| item).collect();
                note(&self.layers[at], &mut places);
            }
        }
    }

    fn place(mut self) -> Layout {
        let mut x = 0.0;
        for layer in &self.layers {
            let widest = layer.iter().map(|&item| self.items[item].width).fold(0.0, f64::max);
            for &item in layer {
                self.items[item].x = x;
                self.items[item].end = x + widest;
                if self.items[item].width == 0.0 {
                    // A bend takes the whole layer, so that edges do not cut through nodes.
                    self.items[item].width = widest;
                }
            }
            x += widest + GAP_X;
        }
        for layer in &self.layers {
            let mut y = 0.0;
            for &item in layer {
                y += self.items[item].height / 2.0;
                self.items[item].y = y;
                y += self.items[item].height / 2.0 + GAP_Y;
            }
        }
        for sweep in 0..SWEEPS {
            for step in 0..self.layers.len() {
                let at = if sweep % 2 == 0 { step } else { self.layers.len() - 1 - step };
                self.align(at, sweep % 2 == 0);
            }
        }
        let top = self.items.iter().map(|item| item.y - item.height / 2.0).fold(f64::MAX, f64::min);
        let mut height = 0.0_f64;
        for item in &mut self.items {
            item.y -= top;
            height = height.max(item.y + item.height / 2.0);
        }
        let width = self.items.iter().map(|item| item.x + item.width).fold(0.0, f64::max);
        Layout { items: self.items, routes: self.routes, width, height }
    }

    /// Moves the items of a layer towards the middle of their neighbours, keeping their order.
    fn align(&mut self, at: usize, looks_back: bool) {
        let neighbours = if looks_back { &self.before } else { &self.behind };
        let wish = |item: usize| {
            let near = &neighbours[item];
            match near.is_empty() {
                true => self.items[item].y,
                false => near.iter().map(|&n| self.items[n].y).sum::<f64>() / near.len() as f64,
            }
        };
        let layer = &self.layers[at];
        let wishes: Vec<f64> = layer.iter().map(|&item| wish(item)).collect();
        let heights: Vec<f64> = layer.iter().map(|&item| self.items[item].height).collect();
        let ys = nearest_in_order(&wishes, &heights);
        for (&item, y) in layer.iter().zip(ys) {
            self.items[item].y = y;
        }
    }
}

/// The places nearest to `wishes` (by squares) that keep their order and the gaps between them:
/// neighbours that would overlap are joined to blocks, which move as one.
fn nearest_in_order(wishes: &[f64], heights: &[f64]) -> Vec<f64> {
    // Each block: where its first item would like to be on average, how many it has, where it ends.
    let mut blocks: Vec<(f64, usize)> = Vec::new();
    let mut offsets = vec![0.0; wishes.len()];
    for at in 0..wishes.len() {
        if at > 0 {
            offsets[at] = offsets[at - 1] + (heights[at - 1] + heights[at]) / 2.0 + GAP_Y;
        }
        blocks.push((wishes[at] - offsets[at], 1));
        while let [.., (before, n_before), (last, n_last)] = blocks[..] {
            if before < last {
                break;
            }
            let n = n_before + n_last;
            let middle = (before * n_before as f64 + last * n_last as f64) / n as f64;
            blocks.truncate(blocks.len() - 2);
            blocks.push((middle, n));
        }
    }
    let bases = blocks.iter().flat_map(|&(base, n)| std::iter::repeat_n(base, n));
    bases.zip(&offsets).map(|(base, offset)| base + offset).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_met_where_nothing_overlaps() {
        assert_eq!(nearest_in_order(&[0.0, 100.0], &[10.0, 10.0]), [0.0, 100.0]);
        let ys = nearest_in_order(&[50.0, 50.0, 50.0], &[8.0, 8.0, 8.0]);
        assert_eq!(ys, [30.0, 50.0, 70.0]);
        let ys = nearest_in_order(&[50.0, 0.0], &[8.0, 8.0]);
        assert_eq!(ys[1] - ys[0], 20.0);
    }
}
