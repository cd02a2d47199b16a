//! Where the attributes of one input stand.

use std::collections::HashMap;

use cim_nix_syntax::ast::{self, Binding};
use cim_nix_syntax::{NodeId, NodeKind};

use super::source::Source;
use super::style::{Item, name_at};

/// What the entries of an input say, by the names below it.
#[derive(Default)]
pub(super) struct Below {
    /// The last set written for these names.
    set: Option<NodeId>,
    /// The last entry that shares these names and goes on behind them.
    sibling: Option<Sibling>,
    names: HashMap<String, Self>,
}

/// An entry beside which another one can stand.
#[derive(Clone, Copy)]
pub(super) struct Sibling {
    pub(super) entry: NodeId,
    /// How many names below the input lead into its set.
    pub(super) depth: usize,
    /// How many of its own names lead to the input.
    passed: usize,
}

/// Where an attribute goes.
pub(super) enum Spot {
    /// To the end of a set that `depth` of its names lead into.
    Into { set: NodeId, depth: usize },
    /// Behind an entry of a set.
    Behind { set: NodeId, sibling: Sibling },
}

impl Below {
    pub(super) fn of(source: &Source, entries: &[NodeId]) -> Self {
        let mut below = Self::default();
        let mut open = Vec::new();
        for &entry in entries {
            let Some(binding) = Binding::cast(source.node(entry)) else { continue };
            let is_dotted =
                source.node(entry).parent().is_some_and(|set| set.id() == source.file.set);
            let passed = 1 + usize::from(is_dotted);
            below.add(binding, Sibling { entry, depth: 0, passed }, &[], &mut open);
        }
        while let Some((set, path)) = open.pop() {
            for binding in source.node(set).children().filter_map(Binding::cast) {
                let sibling = Sibling { entry: binding.node().id(), depth: path.len(), passed: 0 };
                below.add(binding, sibling, &path, &mut open);
            }
        }
        below
    }

    /// Notes a binding in the set that the names `path` lead into.
    fn add(
        &mut self,
        binding: Binding<'_>,
        sibling: Sibling,
        path: &[String],
        open: &mut Vec<(NodeId, Vec<String>)>,
    ) {
        let mut at = self;
        for name in path {
            at = at.names.entry(name.clone()).or_default();
        }
        let mut whole = path.to_vec();
        let mut is_own = sibling.passed > 0;
        let names = binding.attr_path().into_iter().flat_map(|path| path.elements());
        for attr in names.skip(sibling.passed) {
            // Beside an entry of the same set nothing is shared yet.
            if is_own {
                at.note(sibling);
            }
            is_own = true;
            let Some(name) = attr.name() else { return };
            whole.push(name.clone().into_owned());
            at = at.names.entry(name.into_owned()).or_default();
        }
        let value = binding.value().and_then(ast::without_parens);
        if let Some(set) = value.filter(|value| value.kind() == NodeKind::AttrSet) {
            at.set = Some(set.id());
            open.push((set.id(), whole));
        }
    }

    fn note(&mut self, sibling: Sibling) {
        if self.sibling.is_none_or(|other| other.entry < sibling.entry) {
            self.sibling = Some(sibling);
        }
    }

    /// Where the attribute with that path goes.
    pub(super) fn spot(&self, source: &Source, path: &[&str]) -> Option<Spot> {
        let (mut at, mut found) = (self, None);
        for (depth, name) in path.iter().enumerate() {
            let behind = |sibling: Sibling| {
                let set = source.node(sibling.entry).parent()?.id();
                Some(Spot::Behind { set, sibling })
            };
            let into = at.set.map(|set| Spot::Into { set, depth });
            found = into.or_else(|| at.sibling.and_then(behind)).or(found);
            match at.names.get(*name) {
                Some(next) => at = next,
                None => break,
            }
        }
        found
    }
}

impl Sibling {
    /// The item with the names in front that lead to the input.
    pub(super) fn prefixed(self, source: &Source, mut item: Item) -> Item {
        let binding = Binding::cast(source.node(self.entry));
        let names = |at| binding.and_then(|binding| name_at(binding, at));
        item.path.splice(0..0, (0..self.passed).filter_map(names));
        item
    }
}
