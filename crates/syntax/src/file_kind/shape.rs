//! What one value looks like, and what the values of a set look like taken together.

use super::spine::{self, Bound, Lets, Spine, bare, base_name, head_name, static_name};
use super::{heads, module};
use crate::{Node, NodeKind, TokenKind};

/// Values of one set that are looked at; longer sets are generated and alike.
const MAX_VALUES: usize = 256;
/// Sets inside sets that are looked into.
const MAX_DEPTH: usize = 3;
/// Nodes that are looked at to call a value plain data; longer ones are taken to go on alike.
const MAX_PLAIN_NODES: usize = 4_096;

/// What a value looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// A call that builds something, or a set of such calls.
    Derivation,
    /// A development shell.
    Shell,
    /// A call that runs a test.
    Test,
    /// A function of the final and the previous package set.
    Overlay,
    /// A function that gives a module.
    Module,
    /// Any other function.
    Function,
    /// A value such as only options have.
    Setting,
    /// `import` of another file.
    Import,
    /// A path.
    Path,
    /// A string, number, truth value or something made of them.
    Plain,
    /// A variable or an attribute of one.
    Reference,
    /// Anything else.
    Other,
}

/// How many values of a set look like what.
#[derive(Default)]
pub(super) struct Census<'t> {
    counts: Vec<(Shape, usize, Node<'t>)>,
    /// Values in all.
    pub(super) total: usize,
}

impl<'t> Census<'t> {
    fn add(&mut self, shape: Shape, value: Node<'t>) {
        self.total += 1;
        match self.counts.iter_mut().find(|(known, ..)| *known == shape) {
            Some((_, count, _)) => *count += 1,
            None => self.counts.push((shape, 1, value)),
        }
    }

    /// How many values look like `shape`.
    pub(super) fn count(&self, shape: Shape) -> usize {
        self.counts.iter().find(|(known, ..)| *known == shape).map_or(0, |(_, count, _)| *count)
    }

    /// The first value that looks like `shape`.
    pub(super) fn first(&self, shape: Shape) -> Option<Node<'t>> {
        self.counts.iter().find(|(known, ..)| *known == shape).map(|(.., value)| *value)
    }

    /// Whether at least half of the values look like `shape`.
    pub(super) fn is_mostly(&self, shape: Shape) -> bool {
        let count = self.count(shape);
        count > 0 && count * 2 >= self.total
    }
}

/// Takes the census of the sets that `body` is made of, or of the elements of a list.
pub(super) fn census<'t>(body: Node<'t>, lets: &Lets<'t>) -> Census<'t> {
    census_at(body, lets, 0)
}

fn census_at<'t>(body: Node<'t>, lets: &Lets<'t>, depth: usize) -> Census<'t> {
    let mut census = Census::default();
    fill(body, lets, depth, &mut census);
    census
}

/// Adds the values of all sets that `body` joins.
fn fill<'t>(body: Node<'t>, lets: &Lets<'t>, depth: usize, census: &mut Census<'t>) {
    for operand in spine::operands(body) {
        let inner = Spine::follow(operand, lets);
        match inner.body.kind() {
            NodeKind::AttrSet => {
                for binding in inner.body.children().take(MAX_VALUES) {
                    count_binding(binding, &inner.lets, depth, census);
                }
            }
            NodeKind::List => {
                for element in inner.body.children().take(MAX_VALUES) {
                    census.add(shape_at(element, &inner.lets, depth + 1), element);
                }
            }
            NodeKind::Apply if inner.body != body => {
                census.add(call_shape(inner.body, &inner.lets, depth + 1), operand);
            }
            NodeKind::Binary if inner.body != operand && depth < MAX_DEPTH => {
                fill(inner.body, &inner.lets, depth + 1, census);
            }
            _ => {}
        }
    }
}

fn count_binding<'t>(binding: Node<'t>, lets: &Lets<'t>, depth: usize, census: &mut Census<'t>) {
    if binding.kind() == NodeKind::Inherit {
        let from = binding.child_of_kind(NodeKind::InheritFrom).and_then(|from| from.child(0));
        for name in spine::inherited(binding).take(MAX_VALUES) {
            census.add(inherited_shape(name, from, lets, depth), name);
        }
    } else if let Some(value) = binding.last_child() {
        census.add(shape_at(value, lets, depth + 1), value);
    }
}

fn inherited_shape<'t>(
    name: Node<'t>,
    from: Option<Node<'t>>,
    lets: &Lets<'t>,
    depth: usize,
) -> Shape {
    if let Some(from) = from {
        return taken_from(from, lets);
    }
    match static_name(name).and_then(|name| lets.lookup(name)) {
        Some(Bound::Value(value)) => shape_at(value, lets, depth + 1),
        Some(Bound::From(from)) => taken_from(from, lets),
        None => Shape::Reference,
    }
}

/// The shape of an attribute of `from`.
fn taken_from<'t>(from: Node<'t>, lets: &Lets<'t>) -> Shape {
    match base_name(from) {
        Some("lib" | "builtins") => Shape::Function,
        _ if imports_file(Spine::follow(from, lets).body) => Shape::Import,
        _ if is_derivation(Spine::follow(from, lets).body) => Shape::Derivation,
        _ => Shape::Reference,
    }
}

/// What `value` looks like.
pub(super) fn shape<'t>(value: Node<'t>, lets: &Lets<'t>) -> Shape {
    shape_at(value, lets, 0)
}

fn shape_at<'t>(value: Node<'t>, lets: &Lets<'t>, depth: usize) -> Shape {
    if depth > MAX_DEPTH {
        return Shape::Other;
    }
    let spine = Spine::follow(value, lets);
    if is_overlay(&spine.params) {
        return Shape::Overlay;
    }
    if !spine.params.is_empty() {
        let is_module = depth < MAX_DEPTH && module::is_module(&spine);
        return if is_module { Shape::Module } else { Shape::Function };
    }
    if spine.option_call.is_some() {
        return Shape::Setting;
    }
    match spine.body.kind() {
        NodeKind::Apply => call_shape(spine.body, &spine.lets, depth),
        NodeKind::Select => select_shape(spine.body, &spine.lets),
        NodeKind::List
            if census_at(spine.body, &spine.lets, depth + 1).is_mostly(Shape::Import) =>
        {
            Shape::Other
        }
        NodeKind::AttrSet if is_expectation(spine.body) => Shape::Test,
        NodeKind::AttrSet | NodeKind::List | NodeKind::Binary => {
            set_shape(spine.body, &spine.lets, depth)
        }
        NodeKind::Path | NodeKind::SearchPath => Shape::Path,
        NodeKind::Literal | NodeKind::Str | NodeKind::IndStr => Shape::Plain,
        NodeKind::Ident if is_constant(spine.body.text()) => Shape::Plain,
        NodeKind::Ident => Shape::Reference,
        _ => Shape::Other,
    }
}

/// Whether a set says what an expression should give, as unit tests do.
fn is_expectation(set: Node<'_>) -> bool {
    let has = |name: &str| attribute(set, name).is_some();
    has("expr") && (has("expected") || has("expectedError"))
}

fn set_shape<'t>(body: Node<'t>, lets: &Lets<'t>, depth: usize) -> Shape {
    let census = census_at(body, lets, depth + 1);
    let telling = [
        Shape::Derivation,
        Shape::Shell,
        Shape::Test,
        Shape::Overlay,
        Shape::Setting,
        Shape::Module,
        Shape::Function,
        Shape::Import,
    ];
    let plain = census.count(Shape::Plain) + census.count(Shape::Path);
    match telling.into_iter().find(|shape| census.is_mostly(*shape)) {
        Some(shape) => shape,
        None if census.count(Shape::Derivation) > 0 => Shape::Derivation,
        None if plain == census.total => Shape::Plain,
        None => Shape::Other,
    }
}

/// What the result of a call looks like.
pub(super) fn call_shape<'t>(call: Node<'t>, lets: &Lets<'t>, depth: usize) -> Shape {
    let name = head_name(call).unwrap_or_default();
    if runs_test(call) {
        Shape::Test
    } else if heads::makes_shell(name) {
        Shape::Shell
    } else if heads::declares_option(name) || heads::sets_option(name) {
        Shape::Setting
    } else if name == "import" {
        Shape::Import
    } else if name == "composeManyExtensions" || name == "composeExtensions" {
        Shape::Overlay
    } else if is_derivation(call) {
        Shape::Derivation
    } else if heads::maps(name) && depth < MAX_DEPTH {
        mapped_shape(call, lets, depth)
    } else {
        Shape::Other
    }
}

/// The shape of what a mapped function gives.
fn mapped_shape<'t>(call: Node<'t>, lets: &Lets<'t>, depth: usize) -> Shape {
    let arguments = call.children().skip(1).map(bare);
    for argument in arguments {
        let found = match argument.kind() {
            NodeKind::Lambda => {
                let body = Spine::follow(argument, lets);
                let result = attribute(body.body, "value").unwrap_or(body.body);
                shape_at(result, &body.lets, depth + 1)
            }
            NodeKind::Apply => call_shape(argument, lets, depth + 1),
            NodeKind::Ident if heads::runs_test(argument.text()) => Shape::Test,
            NodeKind::Ident | NodeKind::Select => {
                let name = head_name(argument).unwrap_or_default();
                match lets.lookup(name) {
                    Some(Bound::Value(function)) => {
                        let body = Spine::follow(function, lets);
                        shape_at(body.body, &body.lets, depth + 2)
                    }
                    _ if heads::builds(name) => Shape::Derivation,
                    _ => Shape::Other,
                }
            }
            _ => Shape::Other,
        };
        if !matches!(found, Shape::Other | Shape::Plain | Shape::Reference) {
            return found;
        }
    }
    Shape::Other
}

/// The shape of an attribute that is selected from something.
pub(super) fn select_shape<'t>(select: Node<'t>, lets: &Lets<'t>) -> Shape {
    let name = head_name(select).unwrap_or_default();
    let set = select.child(0).map(|set| match base_name(set).map(|base| lets.lookup(base)) {
        Some(Some(Bound::Value(value))) => Spine::follow(value, lets).body,
        _ => bare(set),
    });
    if heads::holds_shell(name) {
        Shape::Shell
    } else if set.is_some_and(|set| set.kind() == NodeKind::Apply && is_derivation(set)) {
        Shape::Derivation
    } else if set.is_some_and(imports_file) {
        Shape::Import
    } else if matches!(base_name(select), Some("lib" | "builtins")) {
        let path = select.child_of_kind(NodeKind::AttrPath);
        let within = path.and_then(|path| path.child(0)).and_then(static_name);
        if within.is_some_and(heads::holds_data) { Shape::Plain } else { Shape::Function }
    } else {
        Shape::Reference
    }
}

/// Whether `node` is `import …`, applied or not.
pub(super) fn imports_file(node: Node<'_>) -> bool {
    let mut node = bare(node);
    while node.kind() == NodeKind::Select
        && let Some(set) = node.child(0)
    {
        node = bare(set);
    }
    node.kind() == NodeKind::Apply && matches!(head_name(node), Some("import" | "getFlake"))
}

/// Whether a call runs a test, be it by the name of the function or of the file it imports.
pub(super) fn runs_test(call: Node<'_>) -> bool {
    let name = head_name(call).unwrap_or_default();
    heads::runs_test(name)
        || base_name(call) == Some("testers")
        || (name == "import" && imports_test_driver(call))
}

/// Whether `node` imports one of the files by which NixOS runs tests.
pub(super) fn imports_test_driver(node: Node<'_>) -> bool {
    imports(node).is_some_and(|file| file.contains("make-test") || file.contains("testing-python"))
}

/// The text of the file that `node` imports and maybe calls.
fn imports(node: Node<'_>) -> Option<&str> {
    let mut node = bare(node);
    while node.kind() == NodeKind::Apply {
        let function = bare(node.child(0)?);
        if function.kind() == NodeKind::Ident && function.text() == "import" {
            return node.child(1).map(Node::text);
        }
        node = function;
    }
    None
}

/// Whether a call builds something: by the function's name, or because it is told how to build.
pub(super) fn is_derivation(node: Node<'_>) -> bool {
    let node = bare(node);
    if node.kind() == NodeKind::Select {
        let set = node.child(0).map(bare);
        return set.is_some_and(|set| set.kind() == NodeKind::Apply && is_derivation(set));
    }
    if node.kind() != NodeKind::Apply {
        return false;
    }
    match imports(node) {
        Some(file) => file == "<nix/fetchurl.nix>",
        None => {
            heads::builds(head_name(node).unwrap_or_default())
                || node.children().skip(1).any(describes_build)
        }
    }
}

/// Whether an argument holds attributes such as builders take.
fn describes_build(argument: Node<'_>) -> bool {
    let spine = Spine::follow(argument, &Lets::new());
    spine::operands(spine.body).any(|set| {
        let set = bare(set);
        set.kind() == NodeKind::AttrSet
            && set.children().take(MAX_VALUES).any(|binding| match binding.kind() {
                NodeKind::Inherit => spine::inherited(binding)
                    .filter_map(static_name)
                    .any(|name| heads::describes_build(name) && name != "src"),
                _ => {
                    let mut names = spine::names(binding);
                    names.next().flatten().is_some_and(heads::describes_build)
                }
            })
    })
}

/// Whether the last two parameters are those of an overlay.
pub(super) fn is_overlay(params: &[Node<'_>]) -> bool {
    let [.., first, second] = params else { return false };
    first.kind() == NodeKind::Param
        && second.kind() == NodeKind::Param
        && heads::is_overlay(first.text(), second.text())
}

/// The value of an attribute that a set binds by its bare name.
pub(super) fn attribute<'t>(set: Node<'t>, name: &str) -> Option<Node<'t>> {
    let mut bindings = set.children().take(MAX_VALUES);
    let found = bindings.find(|binding| {
        binding.kind() == NodeKind::Binding && spine::names(*binding).eq([Some(name)])
    });
    found.and_then(Node::last_child)
}

fn is_constant(name: &str) -> bool {
    matches!(name, "true" | "false" | "null")
}

/// Whether `node` holds only strings, numbers, paths and sets and lists of them. Names stand for
/// such values, too, where a `let` or the set itself binds them.
pub(super) fn is_plain(node: Node<'_>, lets: &Lets<'_>) -> bool {
    let mut left = MAX_PLAIN_NODES;
    is_plain_at(node, lets, 0, &mut left)
}

fn is_plain_at(node: Node<'_>, lets: &Lets<'_>, depth: usize, left: &mut usize) -> bool {
    node.descendants().all(|inner| {
        let is_over = *left == 0;
        *left = left.saturating_sub(1);
        is_over || is_plain_node(inner, lets, depth, left)
    })
}

/// Whether one node, its children aside, can be part of plain data.
fn is_plain_node(inner: Node<'_>, lets: &Lets<'_>, depth: usize, left: &mut usize) -> bool {
    let mut is_bound = |name: &str| match lets.lookup(name) {
        Some(Bound::Value(value)) => {
            value.contains(inner)
                || (depth < MAX_DEPTH && is_plain_at(value, lets, depth + 1, left))
        }
        _ => false,
    };
    match inner.kind() {
        NodeKind::AttrSet
        | NodeKind::List
        | NodeKind::Binding
        | NodeKind::AttrPath
        | NodeKind::Name
        | NodeKind::Str
        | NodeKind::IndStr
        | NodeKind::Interpol
        | NodeKind::Literal
        | NodeKind::Path
        | NodeKind::SearchPath
        | NodeKind::Paren
        | NodeKind::Select
        | NodeKind::Unary => true,
        NodeKind::Inherit => {
            spine::inherited(inner).all(|name| static_name(name).is_some_and(&mut is_bound))
        }
        NodeKind::InheritFrom => false,
        NodeKind::Binary => {
            let joins = [TokenKind::Update, TokenKind::Concat, TokenKind::Add];
            joins.into_iter().any(|kind| inner.own_token(kind).is_some())
        }
        NodeKind::Ident => {
            let name = inner.text();
            is_constant(name)
                || is_bound(name)
                || inner.ancestors().take(16).any(|outer| {
                    outer.kind() == NodeKind::AttrSet && outer.own_token(TokenKind::Rec).is_some()
                })
        }
        _ => false,
    }
}
