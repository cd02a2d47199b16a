//! An edit that is being put together.

use std::collections::{BTreeMap, HashMap, HashSet};

use cim_nix_base::{TextEdit, TextRange};
use cim_nix_syntax::ast::Binding;
use cim_nix_syntax::edit::{self, Entries, Place};
use cim_nix_syntax::{Node, NodeId, NodeKind};

use super::below::{Below, Spot};
use super::source::Source;
use super::style::{self, Item, name_at};
use super::{Edit, Note, Refusal};

/// What is to be changed, in any order.
pub(super) struct Draft<'s> {
    source: &'s Source,
    edits: Vec<TextEdit>,
    /// New entries by their set and the entry that they stand behind.
    inserts: BTreeMap<(NodeId, Option<NodeId>), Vec<Item>>,
    /// Entries that go.
    gone: HashSet<NodeId>,
    /// How many entries of a set go.
    n_gone: HashMap<NodeId, usize>,
    /// How many entries a set has.
    n_entries: HashMap<NodeId, usize>,
    /// Where attributes of inputs stand, by the first entries of the inputs.
    below: HashMap<NodeId, Below>,
    notes: Vec<Note>,
}

impl<'s> Draft<'s> {
    pub(super) fn new(source: &'s Source) -> Self {
        Self {
            source,
            edits: Vec::new(),
            inserts: BTreeMap::new(),
            gone: HashSet::new(),
            n_gone: HashMap::new(),
            n_entries: HashMap::new(),
            below: HashMap::new(),
            notes: Vec::new(),
        }
    }

    pub(super) fn note(&mut self, note: Note) {
        self.notes.push(note);
    }

    pub(super) fn edit(&mut self, edits: Vec<TextEdit>) {
        self.edits.extend(edits);
    }

    /// Puts an entry into a set, behind one of its entries or at the end.
    pub(super) fn insert(&mut self, set: NodeId, behind: Option<NodeId>, item: Item) {
        self.inserts.entry((set, behind)).or_default().push(item);
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, entry: NodeId) {
        if self.gone.insert(entry)
            && let Some(set) = self.source.node(entry).parent()
        {
            *self.n_gone.entry(set.id()).or_default() += 1;
        }
    }

    /// Takes an entry out that says something of an input, and the sets that it leaves empty. The
    /// input itself stays declared.
    pub(super) fn remove_part(&mut self, entry: NodeId) {
        let mut entry = entry;
        loop {
            self.remove(entry);
            let Some(set) = self.source.node(entry).parent() else { return };
            let n_gone = self.n_gone.get(&set.id()).copied().unwrap_or(0);
            let n_entries =
                self.n_entries.entry(set.id()).or_insert_with(|| set.children().count());
            if n_gone < *n_entries || self.is_home(set) {
                return;
            }
            let mut above = set.ancestors().skip_while(|node| node.kind() == NodeKind::Paren);
            let above = above.next().and_then(Binding::cast);
            // `a = { };` stays: it may have been written so.
            match above.filter(|binding| !self.is_input(*binding)).map(Binding::node) {
                Some(binding) => {
                    for child in set.children() {
                        self.gone.remove(&child.id());
                    }
                    entry = binding.id();
                }
                None => return,
            }
        }
    }

    /// Whether a binding gives an input of the flake as a whole.
    fn is_input(&self, binding: Binding<'_>) -> bool {
        let Some(set) = binding.node().parent() else { return false };
        let depth = if set.id() == self.source.file.set { 2 } else { 1 };
        let n_names = binding.attr_path().map_or(0, |path| path.elements().count());
        n_names == depth && self.is_home(set)
    }

    /// Whether a set holds inputs of the flake, or the flake itself.
    fn is_home(&self, set: Node<'_>) -> bool {
        let file = &self.source.file;
        if set.id() == file.set {
            return true;
        }
        let mut above = set.ancestors().skip_while(|node| node.kind() == NodeKind::Paren);
        let binding = above.next().and_then(Binding::cast);
        binding.is_some_and(|binding| {
            binding.node().parent().map(Node::id) == Some(file.set)
                && binding.attr_path().is_some_and(|path| path.elements().count() == 1)
        })
    }

    /// Keeps an input declared of which all entries would go: `a = { };` stays.
    pub(super) fn keep(&mut self, entries: &[NodeId]) -> Result<(), Refusal> {
        let Some(&first) = entries.first() else { return Ok(()) };
        if !entries.iter().all(|entry| self.gone.contains(entry)) {
            return Ok(());
        }
        self.gone.remove(&first);
        let broken = || Refusal::from(edit::EditError::Broken(self.source.node(first).range()));
        let binding = Binding::cast(self.source.node(first)).ok_or_else(broken)?;
        let at = usize::from(
            name_at(binding, 0).as_deref() == Some("inputs")
                && binding.node().parent().map(Node::id) == Some(self.source.file.set),
        );
        let path = binding.attr_path().ok_or_else(broken)?;
        let name = path.elements().nth(at).ok_or_else(broken)?;
        let value = binding.value().ok_or_else(broken)?;
        let range = TextRange::new(name.node().range().end, value.range().end);
        self.edits.push(TextEdit::replace(range, " = { }"));
        Ok(())
    }

    /// Makes a definition give another attribute: `url = …` becomes `follows = …`.
    pub(super) fn turn(&mut self, entry: NodeId, name: &str, value: &str) -> Result<(), Refusal> {
        let node = self.source.node(entry);
        let broken = || Refusal::from(edit::EditError::Broken(node.range()));
        let binding = Binding::cast(node).ok_or_else(broken)?;
        let last =
            binding.attr_path().and_then(|path| path.elements().last()).ok_or_else(broken)?;
        if last.name().as_deref() != Some(name) {
            self.edits.push(TextEdit::replace(last.node().range(), name));
        }
        let old = binding.value().ok_or_else(broken)?;
        self.replace(old.id(), value)
    }

    /// Replaces an expression.
    pub(super) fn replace(&mut self, node: NodeId, text: &str) -> Result<(), Refusal> {
        self.edits.extend(edit::replace_node(&self.source.tree, node, text)?);
        Ok(())
    }

    /// Puts an attribute of an input where the others of it stand: into the deepest set written for
    /// a part of its path, or behind what shares most of it.
    pub(super) fn set_below(&mut self, entries: &[NodeId], path: &[&str], value: &str) {
        let Some(first) = entries.first() else { return };
        let source = self.source;
        let below = self.below.entry(*first).or_insert_with(|| Below::of(source, entries));
        match below.spot(source, path) {
            Some(Spot::Into { set, depth }) => {
                self.insert(set, None, Item::text(&path[depth..], value));
            }
            Some(Spot::Behind { set, sibling }) => {
                let item = sibling.prefixed(source, Item::text(&path[sibling.depth..], value));
                self.insert(set, Some(sibling.entry), item);
            }
            None => {}
        }
    }

    /// The edit.
    pub(super) fn finish(mut self) -> Result<Edit, Refusal> {
        let tree = &self.source.tree;
        let mut by_set: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
        for &entry in &self.gone {
            let set = self.source.node(entry).parent().map(Node::id);
            by_set.entry(set.unwrap_or(entry)).or_default().push(entry);
        }
        for (set, gone) in by_set {
            self.edits.extend(Entries::of(tree, set)?.remove(&gone));
        }
        let mut last: Option<(NodeId, Entries<'_>)> = None;
        for ((set, behind), items) in &self.inserts {
            if last.as_ref().is_none_or(|(other, _)| other != set) {
                last = Some((*set, Entries::of(tree, *set)?));
            }
            let Some((_, entries)) = &last else { continue };
            let place = behind.map_or(Place::End, Place::Behind);
            self.edits.push(entries.insert(place, false, |style| style::text(items, style))?);
        }
        self.edits.sort_by_key(|edit| edit.range);
        Ok(Edit { edits: self.edits, notes: self.notes })
    }
}
