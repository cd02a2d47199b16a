//! Adding a system.

use cim_nix_base::TextRange;
use cim_nix_syntax::ast::{self, Apply, Attr, Binding, Expr};
use cim_nix_syntax::build::quote_string;
use cim_nix_syntax::{Node, NodeId, NodeKind, edit};

use super::draft::Draft;
use super::source::Source;
use super::system::is_system;
use super::walk::{callee, is_over_systems, system_of};
use super::{Edit, Refusal};

/// A list of systems.
struct List {
    node: NodeId,
    systems: Vec<String>,
    /// What it is called, or the function that it is given to.
    name: String,
    rank: u8,
}

pub(super) fn add(source: &Source, system: &str, list: Option<&str>) -> Result<Edit, Refusal> {
    if !is_system(system) {
        return Err(Refusal::InvalidSystem(system.to_owned()));
    }
    let mut lists = lists(source, system);
    if let Some(name) = list {
        lists.retain(|list| list.name == name);
    }
    let best = lists.iter().map(|list| list.rank).min();
    lists.retain(|list| Some(list.rank) == best);
    let list = match &lists[..] {
        [] => return Err(none(source, list)),
        [list] => list,
        all => {
            let places = all.iter().map(|list| source.node(list.node).range());
            return Err(Refusal::Ambiguous {
                what: "lists of systems".to_owned(),
                places: all.iter().map(|list| list.name.clone()).zip(places).collect(),
            });
        }
    };
    if list.systems.iter().any(|other| other == system) {
        return Ok(Edit::default());
    }
    let is_sorted = list.systems.len() > 1 && list.systems.is_sorted();
    let at = is_sorted.then(|| list.systems.partition_point(|other| other.as_str() < system));
    let mut draft = Draft::new(source);
    draft.edit(edit::insert_in_list(&source.tree, list.node, at, &quote_string(system))?);
    draft.finish()
}

/// The lists in `outputs` that hold nothing but systems, and the empty ones that are called so.
fn lists(source: &Source, system: &str) -> Vec<List> {
    let Some(outputs) = &source.file.outputs else { return Vec::new() };
    let nodes = source.node(outputs.entry).descendants();
    let lists = nodes.filter(|node| node.kind() == NodeKind::List).filter_map(|node| {
        let systems: Option<Vec<String>> = node.children().map(system_of).collect();
        let (systems, name) = (systems?, name_of(node).unwrap_or_default());
        if systems.is_empty() && !name.to_lowercase().ends_with("systems") {
            return None;
        }
        let rank = rank(&name, system);
        Some(List { node: node.id(), systems, name, rank })
    });
    lists.collect()
}

/// What a list is called: by a binding, or the function that it is given to.
fn name_of(list: Node<'_>) -> Option<String> {
    let mut above = list.ancestors().skip_while(|node| node.kind() == NodeKind::Paren);
    let above = above.next()?;
    if let Some(binding) = Binding::cast(above) {
        let last = binding.attr_path()?.elements().last()?;
        return last.name().map(std::borrow::Cow::into_owned);
    }
    callee(Apply::cast(above)?)
}

/// How likely a list is the one that is meant; less is more.
fn rank(name: &str, system: &str) -> u8 {
    let name = name.to_lowercase();
    let kernel = system.split_once('-').map_or("", |(_, kernel)| kernel);
    let is_for_some = ["linux", "darwin"].iter().any(|other| name.contains(other));
    match () {
        () if name == "systems" => 0,
        () if name.contains("system") && !is_for_some => 1,
        () if name.contains(kernel) => 2,
        () if is_over_systems(&name) => 3,
        () => 4,
    }
}

/// Why there is no list to add to.
fn none(source: &Source, list: Option<&str>) -> Refusal {
    let Some(outputs) = &source.file.outputs else { return Refusal::NotAFlake };
    if let Some(name) = list {
        let what = format!("none is called `{name}`");
        return Refusal::SystemsElsewhere { what, range: outputs.range };
    }
    let place = source.node(outputs.entry).descendants().find_map(place_of_systems);
    let (what, range) = place.unwrap_or(("`outputs` names no systems", outputs.range));
    Refusal::SystemsElsewhere { what: what.to_owned(), range }
}

/// Where else a flake gets its systems from.
fn place_of_systems(node: Node<'_>) -> Option<(&'static str, TextRange)> {
    let range = node.range();
    let name = |node: Node<'_>| match Expr::cast(node)? {
        Expr::Ident(name) => Some(name.name().to_owned()),
        Expr::Select(select) => {
            select.attr_path()?.elements().last().and_then(Attr::name).map(|n| n.into_owned())
        }
        _ => None,
    };
    if let Some(apply) = Apply::cast(node) {
        let argument = apply.arguments().next().and_then(ast::without_parens).and_then(name);
        if callee(apply)? == "import" && argument? == "systems" {
            return Some(("an input has them", range));
        }
        return None;
    }
    if let Some(binding) = Binding::cast(node) {
        let value = binding.value().filter(|value| system_of(*value).is_some())?;
        return Some(("there is a single one", value.range()));
    }
    match name(node)?.as_str() {
        "eachDefaultSystem" | "defaultSystems" => Some(("flake-utils has them", range)),
        "flakeExposed" => Some(("Nixpkgs has them", range)),
        _ => None,
    }
}
