//! Which options a file sets: attribute paths with their values, through nested sets, `mkIf` and
//! its like, lists of modules, functions, `let` bodies and `//`.
//!
//! A path begins wherever a set begins that is nobody's value. What matters is its end, as modules
//! lie within other things: machines of a network, containers, outputs of flakes. Settings that
//! concern no real machine (NixOS tests, virtual machines for trying, install images) are told
//! apart, and so is what declares an option rather than sets it.

use std::borrow::Cow;

use cim_nix_base::TextRange;
use cim_nix_semantics::{Expr, Target};
use cim_nix_syntax::{Node, NodeId, NodeKind, TokenKind, Tree, ast, literal};

use crate::context::Context;
use crate::rules::places::around;

/// What a setting is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// A machine or a user.
    Host,
    /// A test, a virtual machine for trying something, an install image.
    Throwaway,
    /// No setting at all: the declaration of an option.
    Declaration,
}

const PLACES: [Place; 3] = [Place::Host, Place::Throwaway, Place::Declaration];

/// A name as the place where it is spelled, so that what is kept of a file borrows nothing.
#[derive(Clone, Copy, Debug)]
enum Name {
    Computed,
    /// A slice of the text.
    Plain(TextRange),
    /// The number of one with escapes.
    Escaped(u32),
}

/// One name of a path.
#[derive(Clone, Copy, Debug)]
struct Step {
    parent: u32,
    name: Name,
    place: Place,
    /// Whether it is called `options`; what has a name below that is declared.
    is_options: bool,
}

/// What is kept of a file.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    /// A path is the number of its last step. The first steps are the empty paths, by place.
    steps: Vec<Step>,
    escaped: Vec<Box<str>>,
    all: Vec<(Path, NodeId)>,
    /// By node.
    places: Vec<Place>,
}

/// One value that an option is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'a> {
    step: u32,
    /// The value, or the name that an `inherit` lists; never a set, a list, or what wraps a value.
    pub(crate) value: Node<'a>,
    /// Whether it is one of the elements of a list.
    pub(crate) is_element: bool,
}

/// What a file sets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings<'c, 'a> {
    paths: &'c Paths,
    tree: &'a Tree,
}

impl<'c, 'a> Settings<'c, 'a> {
    pub(crate) fn new(paths: &'c Paths, tree: &'a Tree) -> Self {
        Self { paths, tree }
    }

    /// Whether a piece of code may be about a real machine.
    pub(crate) fn is_on_host(self, node: Node<'_>) -> bool {
        self.paths.places[node.id().0 as usize] == Place::Host
    }

    /// All settings of real machines.
    pub(crate) fn on_hosts(self) -> impl Iterator<Item = Setting<'a>> + use<'c, 'a> {
        let settings = self.paths.all.iter();
        settings.filter(move |(path, _)| self.step(path.step).place == Place::Host).map(
            move |&(Path { step, is_element }, value)| Setting {
                step,
                value: self.tree.node(value),
                is_element,
            },
        )
    }

    /// The settings of real machines whose paths end as one of `patterns` says: names joined by
    /// dots, `*` for any name.
    pub(crate) fn matching(
        self,
        patterns: &'static [&'static str],
    ) -> impl Iterator<Item = Setting<'a>> + use<'c, 'a> {
        self.on_hosts().filter(move |setting| {
            patterns.iter().any(|pattern| self.ends_in(setting.step, pattern))
        })
    }

    /// The names of a path from its last to its first, `None` for computed ones.
    pub(crate) fn names(
        self,
        setting: Setting<'_>,
    ) -> impl Iterator<Item = Option<&'c str>> + use<'c, 'a>
    where
        'a: 'c,
    {
        let first = self.step(setting.step);
        let steps = std::iter::successors(Some(first), move |step| {
            self.paths.steps.get(step.parent as usize)
        });
        steps.take_while(|step| step.parent != u32::MAX).map(move |step| self.text(step.name))
    }

    /// The name that is `nth` from the end of a path.
    pub(crate) fn name(self, setting: Setting<'_>, nth: usize) -> Option<&'c str>
    where
        'a: 'c,
    {
        self.names(setting).nth(nth).flatten()
    }

    fn step(self, step: u32) -> &'c Step {
        &self.paths.steps[step as usize]
    }

    fn text(self, name: Name) -> Option<&'c str>
    where
        'a: 'c,
    {
        match name {
            Name::Computed => None,
            Name::Plain(range) => Some(&self.tree.text()[range.as_usize()]),
            Name::Escaped(at) => Some(&self.paths.escaped[at as usize]),
        }
    }

    fn ends_in(self, mut step: u32, pattern: &str) -> bool {
        for want in pattern.rsplit('.') {
            let Step { parent, name, .. } = *self.step(step);
            if parent == u32::MAX || want != "*" && self.text(name) != Some(want) {
                return false;
            }
            step = parent;
        }
        true
    }
}

/// Functions that give their last argument, or nothing.
const WRAPPERS: &[&str] = &[
    "mkAfter",
    "mkBefore",
    "mkDefault",
    "mkForce",
    "mkIf",
    "mkImageMediaOverride",
    "mkMerge",
    "mkOptionDefault",
    "mkOrder",
    "mkOverride",
    "mkVMOverride",
    "optional",
    "optionalAttrs",
    "optionals",
    "recursiveUpdate",
    "singleton",
];

/// Functions that make a declaration of their arguments, or text.
const DECLARING: &[&str] =
    &["literalExample", "literalExpression", "mkEnableOption", "mkOption", "mkPackageOption"];

/// Functions whose arguments are tests.
const TESTING: &[&str] =
    &["handleTest", "makeTest", "nixosTest", "runNixOSTest", "runTest", "simpleTest", "testNixOS"];

/// Attributes below which no real machine is set up.
const THROWAWAY: &[&str] =
    &["iso-installer", "vmVariant", "vmVariantWithBootLoader", "vmVariantWithDisko"];

#[derive(Clone, Copy, Debug)]
struct Path {
    step: u32,
    is_element: bool,
}

impl Paths {
    /// What the file of `context` sets. Linear in its size.
    pub(crate) fn of(context: &Context<'_>) -> Self {
        let roots = PLACES.map(|place| Step {
            parent: u32::MAX,
            name: Name::Computed,
            place,
            is_options: false,
        });
        let found = Self { steps: roots.to_vec(), ..Self::default() };
        let throwaway = importers(context.tree, THROWAWAY_MODULES);
        let mut collector = Collector { found, paths: vec![None; context.tree.len()], throwaway };
        let file_place = file_place(context.path);
        for node in context.tree.nodes() {
            collector.visit(node, file_place);
        }
        let Collector { mut found, paths, .. } = collector;
        let place_of = |path: Option<Path>| match path {
            Some(path) => found.steps[path.step as usize].place,
            None => file_place,
        };
        found.places = paths.into_iter().map(place_of).collect();
        found
    }
}

struct Collector {
    found: Paths,
    /// By node: the path whose value it is, set by its parent.
    paths: Vec<Option<Path>>,
    /// Sets whose `imports` or `modules` list a module for throwaway machines.
    throwaway: Vec<NodeId>,
}

impl Collector {
    fn visit(&mut self, node: Node<'_>, file_place: Place) {
        let path = match self.paths[node.id().0 as usize] {
            Some(path) => path,
            None => {
                let place = node.parent().map_or(file_place, |parent| self.place_of(parent));
                let path = Path { step: place as u32, is_element: false };
                self.paths[node.id().0 as usize] = Some(path);
                path
            }
        };
        match node.kind() {
            NodeKind::Paren
            | NodeKind::Lambda
            | NodeKind::LetIn
            | NodeKind::With
            | NodeKind::Assert => {
                if let Some(body) = node.last_child() {
                    self.set(body, path);
                }
            }
            NodeKind::IfElse => node.children().skip(1).for_each(|branch| self.set(branch, path)),
            NodeKind::List => {
                let path = Path { is_element: true, ..path };
                node.children().for_each(|element| self.set(element, path));
            }
            NodeKind::Binary if is_joining(node) => {
                node.children().for_each(|operand| self.set(operand, path));
            }
            NodeKind::AttrSet => self.enter_set(node, path),
            NodeKind::Binding => self.enter_binding(node, path),
            NodeKind::Apply => self.enter_apply(node, path),
            kind if kind.is_expr() => self.add(node, path),
            _ => {}
        }
    }

    fn set(&mut self, node: Node<'_>, path: Path) {
        self.paths[node.id().0 as usize] = Some(path);
    }

    fn place_of(&self, node: Node<'_>) -> Place {
        let path = self.paths[node.id().0 as usize];
        path.map_or(Place::Host, |path| self.found.steps[path.step as usize].place)
    }

    fn add(&mut self, value: Node<'_>, path: Path) {
        if path.step as usize >= PLACES.len() {
            self.found.all.push((path, value.id()));
        }
    }

    fn push(&mut self, parent: u32, name: Option<(Node<'_>, Cow<'_, str>)>) -> u32 {
        let outer = self.found.steps[parent as usize];
        let text = name.as_ref().map_or("", |(_, name)| name);
        let place = match outer.place {
            Place::Host if outer.is_options => Place::Declaration,
            Place::Host if THROWAWAY.contains(&text) => Place::Throwaway,
            place => place,
        };
        let is_options = text == "options";
        let name = match name {
            None => Name::Computed,
            Some((node, name)) => self.keep(node.tree().text(), name),
        };
        self.found.steps.push(Step { parent, name, place, is_options });
        self.found.steps.len() as u32 - 1
    }

    fn keep(&mut self, text: &str, name: Cow<'_, str>) -> Name {
        let start = (name.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
        // The empty name is borrowed from nowhere.
        if matches!(name, Cow::Borrowed(_)) && start < text.len() && !name.is_empty() {
            return Name::Plain(TextRange::new(start as u32, (start + name.len()) as u32));
        }
        self.found.escaped.push(name.into());
        Name::Escaped(self.found.escaped.len() as u32 - 1)
    }

    fn push_attr(&mut self, parent: u32, attr: ast::Attr<'_>) -> u32 {
        self.push(parent, attr.name().map(|name| (attr.node(), name)))
    }

    /// The same path for another purpose.
    fn moved(&mut self, path: Path, place: Place) -> Path {
        if (path.step as usize) < PLACES.len() {
            return Path { step: place as u32, ..path };
        }
        let step = Step { place, ..self.found.steps[path.step as usize] };
        self.found.steps.push(step);
        Path { step: self.found.steps.len() as u32 - 1, ..path }
    }

    fn enter_set(&mut self, set: Node<'_>, path: Path) {
        let mut path = Path { is_element: false, ..path };
        let is_throwaway = self.throwaway.contains(&set.id());
        if is_throwaway || ast::entries(set).any(is_test_script) {
            path = self.moved(path, Place::Throwaway);
        }
        for entry in ast::entries(set) {
            match entry {
                ast::Entry::Binding(binding) => self.set(binding.node(), path),
                ast::Entry::Inherit(inherit) => {
                    for attr in inherit.names() {
                        let step = self.push_attr(path.step, attr);
                        self.add(attr.node(), Path { step, ..path });
                    }
                }
            }
        }
    }

    fn enter_binding(&mut self, node: Node<'_>, path: Path) {
        let Some(binding) = ast::Binding::cast(node) else { return };
        let (Some(names), Some(value)) = (binding.attr_path(), binding.value()) else { return };
        let step = names.elements().fold(path.step, |step, attr| self.push_attr(step, attr));
        self.set(value, Path { step, ..path });
    }

    fn enter_apply(&mut self, apply: Node<'_>, path: Path) {
        let name = apply.child(0).and_then(called_name).unwrap_or_default();
        if WRAPPERS.contains(&name) {
            let is_throwaway = matches!(name, "mkVMOverride" | "mkImageMediaOverride");
            let path = if is_throwaway { self.moved(path, Place::Throwaway) } else { path };
            if name == "recursiveUpdate" {
                apply.children().skip(1).for_each(|argument| self.set(argument, path));
            } else if let Some(last) = apply.last_child() {
                let is_element = path.is_element || name == "singleton" || name == "optional";
                self.set(last, Path { is_element, ..path });
            }
            return;
        }
        let place = match name {
            _ if DECLARING.contains(&name) => Some(Place::Declaration),
            _ if TESTING.contains(&name) || is_test_library(apply) => Some(Place::Throwaway),
            _ => None,
        };
        if let Some(place) = place {
            let path = Path { step: place as u32, is_element: false };
            apply.children().skip(1).for_each(|argument| self.set(argument, path));
            return;
        }
        self.add(apply, path);
        // Each attribute of a set is given what the function makes of it.
        let function = match name {
            "mapAttrs" => apply.child(1),
            "genAttrs" => apply.child(2),
            _ => None,
        };
        if let Some(function) = function {
            let step = self.push(path.step, None);
            self.set(function, Path { step, is_element: false });
        }
    }
}

/// The set that a value stands in.
pub(crate) fn set_around(node: Node<'_>) -> Option<Node<'_>> {
    node.ancestors().find(|node| node.kind() == NodeKind::AttrSet)
}

/// Whether code runs only under a condition that holds `word`.
pub(crate) fn is_conditional_on(node: Node<'_>, word: &str) -> bool {
    // A condition is short; what is longer is the code.
    let says =
        |condition: Node<'_>| condition.range().len() < 200 && condition.text().contains(word);
    around(node).any(|above| match above.kind() {
        NodeKind::Apply => above.child(1).is_some_and(|first| !first.contains(node) && says(first)),
        NodeKind::IfElse => above.child(0).is_some_and(says),
        _ => false,
    })
}

fn is_joining(node: Node<'_>) -> bool {
    ast::Binary::cast(node)
        .is_some_and(|chain| matches!(chain.operator(), TokenKind::Update | TokenKind::Concat))
}

fn is_test_script(entry: ast::Entry<'_>) -> bool {
    let ast::Entry::Binding(binding) = entry else { return false };
    let first = binding.attr_path().and_then(|path| path.elements().next()?.name());
    first.is_some_and(|name| name == "testScript")
}

/// The last name of the function that an application calls.
fn called_name(function: Node<'_>) -> Option<&str> {
    match function.kind() {
        NodeKind::Ident => Some(function.text()),
        NodeKind::Select => {
            Some(ast::Select::cast(function)?.attr_path()?.node().last_child()?.text())
        }
        _ => None,
    }
}

/// Whether `apply` is `import ./make-test-python.nix …` or the like.
fn is_test_library(apply: Node<'_>) -> bool {
    let mut first = apply.children();
    first.next().is_some_and(|function| function.text() == "import")
        && first.next().is_some_and(|path| path.text().contains("make-test"))
}

/// Folders and files, without `.nix`, that set up no real machine.
const THROWAWAY_FILES: &[&str] = &[
    "checks",
    "container-config",
    "docker-image",
    "example",
    "examples",
    "installation-device",
    "installation-media",
    "installer",
    "iso",
    "livecd",
    "test",
    "testbed",
    "testing",
    "tests",
    "vm",
];

/// Modules that only images and virtual machines for trying something import.
const THROWAWAY_MODULES: &[&str] =
    &["installation-cd", "installation-device.nix", "iso-image.nix", "qemu-vm.nix"];

/// What the settings of a file are for, unless they say otherwise.
fn file_place(path: &str) -> Place {
    let is_throwaway = |part: &str| {
        let part = part.strip_suffix(".nix").unwrap_or(part);
        THROWAWAY_FILES.contains(&part)
            || ["-test", "-tests", "_test"].iter().any(|end| part.ends_with(end))
            || ["installer-", "test-", "vagrant-"].iter().any(|start| part.starts_with(start))
    };
    let is_throwaway = path.split(['/', '\\']).any(is_throwaway);
    if is_throwaway { Place::Throwaway } else { Place::Host }
}

/// How many places are looked at that name a module for throwaway machines: finding one in the tree
/// takes time.
const MAX_NAMED: usize = 16;

/// The sets whose `imports` or `modules` name one of `modules`.
fn importers(tree: &Tree, modules: &[&str]) -> Vec<NodeId> {
    let text = tree.text();
    let named = modules.iter().flat_map(|module| {
        let places = memchr::memmem::find_iter(text.as_bytes(), module).take(MAX_NAMED);
        places.map(|at| TextRange::new(at as u32, (at + module.len()) as u32))
    });
    named.filter_map(|range| importer(tree.covering(range))).collect()
}

fn importer(module: Node<'_>) -> Option<NodeId> {
    use NodeKind::{IndStr, List, Path, SearchPath, Str};
    // Between the elements of a list lie comments.
    matches!(module.kind(), IndStr | Path | SearchPath | Str).then_some(())?;
    let binding = around(module).find_map(ast::Binding::cast)?;
    let mut names = binding.attr_path()?.elements();
    let name = names.next()?.name()?;
    let lists = names.next().is_none() && matches!(&*name, "imports" | "modules");
    let is_element =
        around(module).take_while(|node| *node != binding.node()).any(|node| node.kind() == List);
    (lists && is_element).then_some(())?;
    Some(binding.node().parent()?.id())
}

impl<'a> Context<'a> {
    /// The value of `true`, `false`, or of what a `let` gives such a value.
    pub(crate) fn bool_value(&self, node: Node<'_>) -> Option<bool> {
        let node = self.value_behind(node)?;
        let value = match node.text() {
            "true" => true,
            "false" => false,
            _ => return None,
        };
        let expr = self.ir.expr(self.expr_of(node.id())?);
        matches!(expr, Expr::Var { target: Target::Free(_), .. }).then_some(value)
    }

    /// The value of an integer, or of what a `let` gives one.
    pub(crate) fn int_value(&self, node: Node<'_>) -> Option<i64> {
        literal::int_value(self.value_behind(node)?)
    }

    /// Whether the file sets one of `patterns` to `true` on a real machine.
    pub(crate) fn enables(&self, patterns: &'static [&'static str]) -> bool {
        self.settings()
            .matching(patterns)
            .any(|setting| self.bool_value(setting.value) == Some(true))
    }
}

#[cfg(test)]
mod tests;
