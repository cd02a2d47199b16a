//! Which other files a file refers to, told from its text alone.
//!
//! [`summarise`] finds every path literal, works out what path it becomes (`./. + "/x"`,
//! `"${./.}/x"`, `let dir = ./x; in dir + "/y.nix"`) and what is done with it: imported, called as a
//! package, listed as a module or just named. A path that is completed at run time is known by how
//! it begins and ends. Whether anything stands at a path is asked later, when [`crate::ImportGraph`]
//! links the summaries; a summary is a function of one file's bytes and stays small.

mod context;
mod strict;
mod value;

use std::collections::{HashMap, HashSet};

use cim_nix_base::TextRange;
use cim_nix_semantics::{BindingId, Ir, Uses};
use cim_nix_syntax::{Node, NodeId, NodeKind, Tree, ast};
use context::{Action, Context};
pub(crate) use strict::MAX_ARGUMENTS;
use value::Value;

/// How a file refers to another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ReferenceKind {
    /// `import ./x` and its like.
    Import,
    /// `callPackage ./x { }` and its like.
    CallPackage,
    /// An element of `imports` or of another list of modules.
    Module,
    /// Any file below a folder, picked at run time: `./hosts + "/${name}"`, `readDir ./hosts`.
    Directory,
    /// A path that is named for whatever use.
    Path,
}

impl ReferenceKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Import, Self::CallPackage, Self::Module, Self::Directory, Self::Path];

    /// The word for the kind in machine-readable output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::CallPackage => "call-package",
            Self::Module => "module",
            Self::Directory => "directory",
            Self::Path => "path",
        }
    }
}

/// What a reference leads to. Paths are normalised as Nix does it (`a/../b` is `b`), and relative
/// to the file's folder (which is `.`) unless they begin with a slash.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Target {
    /// A path that the text tells in full.
    Path(Box<str>),
    /// A path that is completed at run time.
    Below {
        /// How it begins: nothing, or up to a slash or the middle of a name.
        prefix: Box<str>,
        /// How it ends.
        suffix: Box<str>,
    },
    /// What stands between the angle brackets of a search path, with what is appended to it.
    Search(Box<str>),
    /// A path, whole or completed at run time, in the folder of the flake that the file belongs to;
    /// relative to that folder: `"${self}/x"`.
    Flake(Box<Self>),
}

impl Target {
    /// Whether the path is completed at run time.
    fn is_open(&self) -> bool {
        match self {
            Self::Below { .. } => true,
            Self::Path(_) | Self::Search(_) => false,
            Self::Flake(inner) => matches!(**inner, Self::Below { .. }),
        }
    }
}

/// When evaluation of a file must enter the file that it imports.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Strict {
    /// How many arguments the importing file must have got before.
    pub after: u8,
    /// How many arguments it gives to the imported file.
    pub given: u8,
    /// Whether the importing file passes further arguments of its own on to the imported one.
    pub passes_on: bool,
}

/// A place in a file that refers to another file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reference {
    /// How it refers.
    pub kind: ReferenceKind,
    /// To what.
    pub target: Target,
    /// Where.
    pub range: TextRange,
    /// Whether the file asks with `pathExists` if the target is there.
    pub is_guarded: bool,
    /// Whether evaluation fails at this place when nothing is at the target. False for paths that
    /// are only named, completed at run time or defaults of arguments.
    pub is_required: bool,
    /// For imports that evaluation cannot avoid: when it gets there.
    pub strict: Option<Strict>,
}

/// What other files must know of a file.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Summary {
    /// Its references in the order of their places, each target once a kind and place.
    pub references: Box<[Reference]>,
}

/// How many places one literal may be followed to through the names that it is bound to.
const MAX_USES: usize = 256;
/// How many names in a row are followed.
const MAX_NAMES: u8 = 4;

/// How many expressions around a place are asked if they depend on `pathExists`.
const MAX_ABOVE: usize = 256;
/// What flakes call their own folder.
const SELF: &str = "self";
/// The builtin that tells whether something is at a path.
const PROBE: &str = "pathExists";

/// Sums up a parsed and lowered file. Cost: linear in the size of the tree.
#[must_use]
pub fn summarise(tree: &Tree, ir: &Ir) -> Summary {
    let mut finder = Finder::new(tree, ir);
    let has_self = ir.find_symbol(SELF).is_some();
    for node in tree.nodes() {
        if has_self && let Some(value) = Value::of_flake(node) {
            finder.fuel = MAX_USES;
            finder.follow_flake(node, value);
        }
        if matches!(node.kind(), NodeKind::Path | NodeKind::SearchPath)
            && let Some(value) = Value::of_literal(node)
        {
            finder.fuel = MAX_USES;
            finder.follow(node, value, Way { names_left: MAX_NAMES, ..Way::default() });
        }
    }
    finder.finish()
}

/// What was met on the way from a literal to a place that uses it.
#[derive(Clone, Copy, Default)]
struct Way {
    names_left: u8,
    is_conditional: bool,
    is_guarded: bool,
    /// Whether the path that is opened may be another one.
    is_replaceable: bool,
}

/// A reference that is not finished: whether it is guarded shows when the whole file was seen.
struct Found {
    reference: Reference,
    /// The application that imports it.
    apply: Option<NodeId>,
    is_conditional: bool,
}

struct Finder<'t> {
    tree: &'t Tree,
    ir: &'t Ir,
    /// Where each binding is named and used; made when the first path with a name is met.
    names: Option<Names>,
    /// What the functions of this file do with paths, as far as that was asked.
    actions: HashMap<NodeId, Option<Action>>,
    found: Vec<Found>,
    /// Targets of `pathExists`.
    probed: HashSet<Target>,
    n_probed: usize,
    /// Whether the file mentions `pathExists` at all.
    probes: bool,
    /// Whether conditions mention it.
    conditions: HashMap<NodeId, bool>,
    fuel: usize,
}

struct Names {
    bindings: HashMap<NodeId, BindingId>,
    /// The bindings that variables refer to.
    targets: HashMap<NodeId, BindingId>,
    uses: Uses,
}

impl Names {
    fn of(ir: &Ir) -> Self {
        let ids = || (0..ir.bindings.len() as u32).map(BindingId);
        let uses = ir.uses();
        let target = |id| uses.of(id).iter().map(move |&variable| (ir.node(variable), id));
        Self {
            bindings: ids().map(|id| (ir.binding(id).name, id)).collect(),
            targets: ids().flat_map(target).collect(),
            uses,
        }
    }
}

impl<'t> Finder<'t> {
    fn new(tree: &'t Tree, ir: &'t Ir) -> Self {
        Self {
            tree,
            ir,
            names: None,
            actions: HashMap::new(),
            found: Vec::new(),
            probed: HashSet::new(),
            n_probed: 0,
            probes: ir.find_symbol(PROBE).is_some(),
            conditions: HashMap::new(),
            fuel: 0,
        }
    }

    /// Records what is done with the path that `value` begins with and that stands at `node`.
    fn follow(&mut self, node: Node<'t>, mut value: Value<'t>, way: Way) {
        let node = value.climb(node);
        self.place(node, node, &value, way);
    }

    /// The same for a path that begins with the folder of the flake, if it goes on.
    fn follow_flake(&mut self, node: Node<'t>, mut value: Value<'t>) {
        let above = value.climb(node);
        if value.goes_on() {
            // Whether this is a flake's own folder, only its callers know.
            let way = Way { names_left: MAX_NAMES, is_replaceable: true, ..Way::default() };
            self.place(above, above, &value, way);
        }
    }

    /// Records what is done with the path `value`, spelled at `spelled`, in the expression `at`,
    /// which is this path or a list (or the like) that holds it.
    fn place(&mut self, at: Node<'t>, spelled: Node<'t>, value: &Value<'t>, mut way: Way) {
        let mut context = Context::of(at, at != spelled);
        if context.kind == ReferenceKind::Path
            && let Some(callee) = context.callee
            && let Some(action) = self.action(callee.function)
        {
            context.kind = action.kind;
            way.is_guarded |= action.is_guarded;
            let is_opened = match callee.place {
                0 => action.imported.is_some(),
                place => action.imported == Some(place),
            };
            if !is_opened {
                way.is_replaceable = true;
                if !value.names_source() {
                    context.kind = ReferenceKind::Directory;
                }
            }
        }
        self.look_for_guards(at, &mut way);
        if let Some(name) = context.name
            && let Some(names_left) = way.names_left.checked_sub(1)
        {
            let uses = self.uses(name.node);
            let is_replaceable = way.is_replaceable || name.is_formal;
            let way = Way { names_left, is_replaceable, ..way };
            for &at in &uses {
                let Some(fuel) = self.fuel.checked_sub(1) else { break };
                self.fuel = fuel;
                if name.is_whole {
                    self.follow(at, value.clone(), way);
                } else {
                    self.place(at, spelled, value, way);
                }
            }
            if !uses.is_empty() && !name.is_exported {
                return;
            }
        }
        self.record(spelled, value.clone(), &context, way);
    }

    fn record(&mut self, node: Node<'t>, value: Value<'t>, context: &Context, way: Way) {
        let Some(target) = value.with(context.appended).finish() else { return };
        if context.is_probe {
            self.probed.insert(target);
            self.n_probed += 1;
            return;
        }
        let kind = if target.is_open() { ReferenceKind::Directory } else { context.kind };
        let range = node.range();
        let is_known = |found: &Found| {
            let known = &found.reference;
            known.range == range && known.target == target && known.kind == kind
        };
        if self.found.iter().rev().take(8).any(is_known) {
            return;
        }
        let opens = matches!(
            kind,
            ReferenceKind::Import | ReferenceKind::CallPackage | ReferenceKind::Module
        );
        let is_certain = !way.is_replaceable && context.appended.is_empty();
        let is_required = opens && is_certain && matches!(target, Target::Path(_));
        let Way { is_guarded, is_conditional, .. } = way;
        let reference = Reference { kind, target, range, is_guarded, is_required, strict: None };
        self.found.push(Found { reference, apply: context.apply, is_conditional });
    }

    /// The places that use the binding whose name stands at `name`.
    fn uses(&mut self, name: NodeId) -> Vec<Node<'t>> {
        let names = self.names.get_or_insert_with(|| Names::of(self.ir));
        let Some(&binding) = names.bindings.get(&name) else { return Vec::new() };
        let uses = names.uses.of(binding);
        uses.iter().map(|&id| self.tree.node(self.ir.node(id))).collect()
    }

    /// What a function does with paths, given itself or a variable that names it, if this file
    /// defines it.
    fn action(&mut self, mut function: NodeId) -> Option<Action> {
        if self.tree.node(function).kind() == NodeKind::Ident {
            let names = self.names.get_or_insert_with(|| Names::of(self.ir));
            let name = self.ir.binding(*names.targets.get(&function)?).name;
            // A name of a `let` stands in an attribute path, and that in a binding.
            let binding = self.tree.node(name).ancestors().nth(1).and_then(ast::Binding::cast)?;
            let value = ast::without_parens(binding.value()?)?;
            function = (value.kind() == NodeKind::Lambda).then(|| value.id())?;
        }
        let look = || context::action(self.tree.node(function));
        *self.actions.entry(function).or_insert_with(look)
    }

    /// Notes whether the place `at` is reached only where `pathExists` allows it.
    fn look_for_guards(&mut self, at: Node<'t>, way: &mut Way) {
        if !self.probes {
            return;
        }
        for at in std::iter::once(at).chain(at.ancestors()).take(MAX_ABOVE) {
            if let Some(condition) = context::condition_of(at) {
                way.is_conditional = true;
                let look = || context::probes(condition);
                way.is_guarded |= *self.conditions.entry(condition.id()).or_insert_with(look);
            }
        }
    }

    fn finish(mut self) -> Summary {
        let strict: HashMap<NodeId, Strict> =
            match self.found.iter().any(|found| found.apply.is_some()) {
                true => strict::imports(self.ir).into_iter().collect(),
                false => HashMap::new(),
            };
        let depends = |found: &Found| found.is_conditional && !found.reference.is_guarded;
        let has_unknown_probe = self.found.iter().any(depends) && self.has_unknown_probe();
        for Found { reference, apply, is_conditional } in &mut self.found {
            reference.is_guarded |=
                (*is_conditional && has_unknown_probe) || guards(&self.probed, &reference.target);
            reference.strict = apply.and_then(|apply| strict.get(&apply).copied());
        }
        // Uses are met in another order than places.
        self.found.sort_by_key(|found| found.reference.range.start);
        let references = self.found.into_iter().map(|found| found.reference);
        Summary { references: references.collect() }
    }

    /// Whether `pathExists` is asked about something that is no literal path.
    fn has_unknown_probe(&self) -> bool {
        let is_probe = |node: &Node<'_>| {
            matches!(node.kind(), NodeKind::Ident | NodeKind::Name) && node.text() == PROBE
        };
        self.tree.nodes().filter(is_probe).count() > self.n_probed
    }
}

/// Whether a file that asks for the paths `probed` knows what it does with `target`: it asks for
/// the same path, or for a folder above.
fn guards(probed: &HashSet<Target>, target: &Target) -> bool {
    let Target::Path(path) = target else { return probed.contains(target) };
    let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
    let mut above = ends.filter(|end| *end > 0).map(|end| Target::Path(path[..end].into()));
    !probed.is_empty() && above.any(|folder| probed.contains(&folder))
}

#[cfg(test)]
mod tests;
