//! How the inputs of a flake are written: where a new one goes, and what it looks like there.

use cim_nix_syntax::ast::{self, AttrSet, Binding};
use cim_nix_syntax::build::attr_path_text;
use cim_nix_syntax::edit::{Place, Style};
use cim_nix_syntax::{Node, NodeId};

use super::source::Source;

/// A binding to be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Item {
    pub(super) path: Vec<String>,
    pub(super) value: Value,
}

/// What a binding to be written is worth.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Value {
    /// An expression on one line.
    Text(String),
    /// A set.
    Set { items: Vec<Item>, is_inline: bool },
}

impl Item {
    pub(super) fn text(path: &[&str], value: impl Into<String>) -> Self {
        let path = path.iter().map(|name| (*name).to_owned()).collect();
        Self { path, value: Value::Text(value.into()) }
    }

    fn set(path: &[&str], items: Vec<Self>, is_inline: bool) -> Self {
        let path = path.iter().map(|name| (*name).to_owned()).collect();
        Self { path, value: Value::Set { items, is_inline } }
    }

    fn below(mut self, names: &[&str]) -> Self {
        self.path.splice(0..0, names.iter().map(|name| (*name).to_owned()));
        self
    }

    fn write(&self, style: &Style, out: &mut String) {
        out.push_str(&attr_path_text(&self.path));
        out.push_str(" = ");
        match &self.value {
            Value::Text(text) => out.push_str(text),
            Value::Set { items, .. } if items.is_empty() => out.push_str("{ }"),
            Value::Set { items, is_inline } => {
                let outer = Style { is_inline: style.is_inline || *is_inline, ..style.clone() };
                let inner = outer.deeper();
                let gap = inner.gap();
                out.push('{');
                for item in items {
                    out.push_str(&gap);
                    item.write(&inner, out);
                }
                out.push_str(&outer.gap());
                out.push('}');
            }
        }
        out.push(';');
    }
}

/// Bindings one behind the other.
pub(super) fn text(items: &[Item], style: &Style) -> String {
    let mut out = String::new();
    for item in items {
        if !out.is_empty() {
            out.push_str(&style.gap());
        }
        item.write(style, &mut out);
    }
    out
}

/// A set that holds the inputs of the flake.
pub(super) struct Home<'s> {
    source: &'s Source,
    /// The set.
    pub(super) set: NodeId,
    /// The names in front of those of the inputs: `inputs` or nothing.
    pub(super) prefix: &'static [&'static str],
    /// The inputs in the order of their first entries.
    groups: Vec<Group<'s>>,
}

/// The entries of one input.
struct Group<'s> {
    name: String,
    entries: Vec<Binding<'s>>,
}

/// Where a new input goes.
pub(super) struct Spot {
    pub(super) place: Place,
    /// Whether a blank line is left around it.
    pub(super) is_apart: bool,
}

impl<'s> Home<'s> {
    /// The set that holds most of the inputs.
    pub(super) fn of(source: &'s Source) -> Self {
        let entries = &source.file.input_entries;
        let sets = entries.iter().filter_map(|entry| source.input_set(*entry));
        let set = sets.rev().max_by_key(|set| set.children().count());
        let inside = set.map(|set| Self::new(source, set.id(), &[]));
        let dotted = Self::new(source, source.file.set, &["inputs"]);
        match inside {
            Some(inside) if inside.groups.len() >= dotted.groups.len() => inside,
            _ => dotted,
        }
    }

    fn new(source: &'s Source, set: NodeId, prefix: &'static [&'static str]) -> Self {
        let mut groups: Vec<Group<'s>> = Vec::new();
        let mut places = std::collections::HashMap::new();
        for binding in source.node(set).children().filter_map(Binding::cast) {
            let Some(name) = name_behind(binding, prefix) else { continue };
            let at = *places.entry(name.clone()).or_insert_with(|| {
                groups.push(Group { name, entries: Vec::new() });
                groups.len() - 1
            });
            groups[at].entries.push(binding);
        }
        Self { source, set, prefix, groups }
    }

    /// Where an input of that name goes: at its place where the others are sorted, else behind them.
    pub(super) fn spot(&self, name: &str) -> Spot {
        let is_apart = self.is_apart();
        let place = match (self.sorted_place(name), self.last_entry()) {
            (Some(place), _) => place,
            (None, Some(last)) => Place::Behind(last),
            (None, None) if self.prefix.is_empty() => Place::End,
            (None, None) => return self.spot_of_first(),
        };
        Spot { place, is_apart }
    }

    fn last_entry(&self) -> Option<NodeId> {
        let all = self.groups.iter().flat_map(|group| &group.entries);
        all.map(|binding| binding.node().id()).max()
    }

    /// The place among sorted names; the first may be one that always comes first.
    fn sorted_place(&self, name: &str) -> Option<Place> {
        let is_sorted = |groups: &[Group<'_>]| {
            groups.len() >= 3 && groups.windows(2).all(|pair| pair[0].name < pair[1].name)
        };
        let is_whole = self.groups.windows(2).all(|pair| {
            let last = pair[0].entries.last().map(|binding| binding.node().id());
            let first = pair[1].entries.first().map(|binding| binding.node().id());
            last < first
        });
        let first = usize::from(!is_sorted(&self.groups));
        if !is_whole || !is_sorted(self.groups.get(first..)?) {
            return None;
        }
        let at = self.groups.iter().skip(first).take_while(|group| *group.name < *name).count();
        match (first + at).checked_sub(1) {
            Some(before) => {
                self.groups[before].entries.last().map(|b| Place::Behind(b.node().id()))
            }
            // In front of all others only where nothing else could stand there.
            None => self.prefix.is_empty().then_some(Place::Front),
        }
    }

    /// Whether blank lines stand between all inputs.
    fn is_apart(&self) -> bool {
        self.groups.len() > 1
            && self.groups.windows(2).all(|pair| {
                let (Some(last), Some(first)) = (pair[0].entries.last(), pair[1].entries.first())
                else {
                    return false;
                };
                is_blank_line_between(self.source, last.node(), first.node())
            })
    }

    /// The place of the first input of all: behind what is said of the flake, in front of `outputs`.
    fn spot_of_first(&self) -> Spot {
        let items: Vec<Node<'_>> = self.source.node(self.set).children().collect();
        let is_about = |node: &&Node<'_>| {
            let binding = Binding::cast(**node);
            let name = binding.and_then(|binding| name_at(binding, 0));
            name.is_some_and(|name| matches!(&*name, "description" | "nixConfig"))
        };
        let before = items.iter().take_while(is_about).count();
        let is_apart = items.len() < 2
            || items.windows(2).all(|pair| is_blank_line_between(self.source, pair[0], pair[1]));
        let place = match before.checked_sub(1) {
            Some(at) => Place::Behind(items[at].id()),
            None => Place::Front,
        };
        Spot { place, is_apart }
    }

    /// An input with these attributes, written as its neighbours are.
    pub(super) fn items(&self, name: &str, attrs: Vec<Item>) -> Vec<Item> {
        let evidence = Evidence::of(&self.groups, self.prefix);
        let path: Vec<&str> = self.prefix.iter().copied().chain([name]).collect();
        let is_set = if attrs.len() == 1 {
            evidence.n_sets > 0 && evidence.n_dotted == 0
        } else if evidence.n_sets == 0 && evidence.n_several == 0 {
            self.prefix.is_empty()
        } else {
            evidence.n_sets >= evidence.n_several
        };
        if !is_set {
            return attrs.into_iter().map(|item| item.below(&path)).collect();
        }
        let is_inline = evidence.n_sets > 0 && evidence.n_inline == evidence.n_sets;
        let attrs =
            if evidence.n_nested > evidence.n_followed { nested(attrs, is_inline) } else { attrs };
        vec![Item::set(&path, attrs, is_inline)]
    }
}

/// Puts what begins with `inputs` into one set.
fn nested(attrs: Vec<Item>, is_inline: bool) -> Vec<Item> {
    let is_input = |item: &Item| item.path.len() > 1 && item.path[0] == "inputs";
    let (inputs, mut others): (Vec<Item>, Vec<Item>) = attrs.into_iter().partition(is_input);
    if !inputs.is_empty() {
        let inner = inputs.into_iter().map(|mut item| {
            item.path.remove(0);
            item
        });
        others.push(Item::set(&["inputs"], inner.collect(), is_inline));
    }
    others
}

/// How the inputs around are written.
#[derive(Default)]
struct Evidence {
    /// Those written `a = { … };`.
    n_sets: usize,
    /// Those of them that take one line.
    n_inline: usize,
    /// Those written `a.url = …;` only.
    n_dotted: usize,
    /// Those of them that take several entries.
    n_several: usize,
    /// Sets in them written `inputs = { … };`.
    n_nested: usize,
    /// Entries in them written `inputs.x.follows = …;`.
    n_followed: usize,
}

impl Evidence {
    fn of(groups: &[Group<'_>], prefix: &[&str]) -> Self {
        let mut evidence = Self::default();
        for group in groups.iter().filter(|group| group.name != "self") {
            let sets = group.entries.iter().filter_map(|binding| {
                let n_names = binding.attr_path()?.elements().count();
                let value = binding.value().and_then(ast::without_parens)?;
                (n_names == prefix.len() + 1 && AttrSet::cast(value).is_some()).then_some(value)
            });
            let sets: Vec<Node<'_>> = sets.collect();
            if sets.is_empty() {
                evidence.n_dotted += 1;
                evidence.n_several += usize::from(group.entries.len() > 1);
            }
            for set in sets {
                evidence.n_sets += 1;
                evidence.n_inline += usize::from(!set.text().contains('\n'));
                evidence.inner(set);
            }
        }
        evidence
    }

    fn inner(&mut self, set: Node<'_>) {
        for binding in set.children().filter_map(Binding::cast) {
            if name_at(binding, 0).as_deref() == Some("inputs") {
                let is_set = name_at(binding, 1).is_none();
                self.n_nested += usize::from(is_set);
                self.n_followed += usize::from(!is_set);
            }
        }
    }
}

/// The name number `at` in front of the `=`.
pub(super) fn name_at(binding: Binding<'_>, at: usize) -> Option<String> {
    let attr = binding.attr_path()?.elements().nth(at)?;
    attr.name().map(std::borrow::Cow::into_owned)
}

/// The name behind the names of `prefix`.
fn name_behind(binding: Binding<'_>, prefix: &[&str]) -> Option<String> {
    let is_below = |(at, name): (usize, &&str)| name_at(binding, at).as_deref() == Some(*name);
    if !prefix.iter().enumerate().all(is_below) {
        return None;
    }
    name_at(binding, prefix.len())
}

fn is_blank_line_between(source: &Source, before: Node<'_>, behind: Node<'_>) -> bool {
    let (start, end) = (before.range().end as usize, behind.range().start as usize);
    let Some(between) = source.tree.text().get(start..end) else { return false };
    let mut lines = between.split('\n').skip(1).peekable();
    while let Some(line) = lines.next() {
        if lines.peek().is_some() && line.trim().is_empty() {
            return true;
        }
    }
    false
}
