//! What is done with the path at a place.
//!
//! Told by the names around it: the function it is handed to, the attribute it is the value of. It
//! goes up through what only passes a value on (branches, lists, `lib.optional`, `mkIf`).

use cim_nix_syntax::{Node, NodeId, NodeKind, TokenKind, ast};

use super::ReferenceKind;

/// How many enclosing attributes may say what a path is for: `nixosModules = { a = { b = ./x; }; }`.
const MAX_ATTRS: u8 = 4;

/// How many names may stand below such an attribute; deeper ones are options of a module.
const MAX_BELOW_MODULES: usize = 2;

/// How many arguments of a function are looked at.
const MAX_ARGUMENTS: usize = 16;
/// How many nodes of a function or condition are looked at for what they mention.
const MAX_LOOK: usize = 4_096;

/// What is done with a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Context {
    pub(super) kind: ReferenceKind,
    /// The application that imports the path.
    pub(super) apply: Option<NodeId>,
    /// The function that the path is handed to, if its name does not tell what it does.
    pub(super) callee: Option<Callee>,
    /// What is appended to the path before it is opened.
    pub(super) appended: &'static str,
    /// The name that the path, or a list or the like that holds it, is bound to in this file.
    pub(super) name: Option<Name>,
    /// Whether it is only asked if something is there.
    pub(super) is_probe: bool,
}

/// A function that the file may define itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Callee {
    /// The function, or the variable that names it.
    pub(super) function: NodeId,
    /// Which of its arguments the path is, from 1; 0 for any of them.
    pub(super) place: usize,
}

/// A name that is bound to a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Name {
    /// The node that spells it: an attribute name or a formal.
    pub(super) node: NodeId,
    /// Whether it is bound to the path itself, or to a branch that ends in it.
    pub(super) is_whole: bool,
    /// Whether others than the file's own code can see it.
    pub(super) is_exported: bool,
    /// Whether a caller may give another value.
    pub(super) is_formal: bool,
}

impl Context {
    const PLAIN: Self = Self {
        kind: ReferenceKind::Path,
        apply: None,
        callee: None,
        appended: "",
        name: None,
        is_probe: false,
    };

    /// What is done with the value of `node`, which is a path or, if `holds`, something that holds
    /// one.
    pub(super) fn of(node: Node<'_>, holds: bool) -> Self {
        let mut climb = Climb { context: Self::PLAIN, at: node, is_whole: !holds };
        while let Some(parent) = climb.at.parent() {
            match climb.step(parent) {
                Some(above) => climb.at = above,
                None => return climb.context,
            }
        }
        climb.context
    }
}

struct Climb<'t> {
    context: Context,
    /// The expression whose value is, or holds, the path.
    at: Node<'t>,
    /// Whether `at` is the path, rather than holds it.
    is_whole: bool,
}

impl<'t> Climb<'t> {
    /// Looks at the parent of `at`. Answers the expression to go on from, or `None` once the
    /// context is settled.
    fn step(&mut self, parent: Node<'t>) -> Option<Node<'t>> {
        let is_first = parent.child(0) == Some(self.at);
        match parent.kind() {
            NodeKind::Paren | NodeKind::LetIn => Some(parent),
            NodeKind::With | NodeKind::Assert | NodeKind::IfElse if !is_first => Some(parent),
            NodeKind::List | NodeKind::Binary | NodeKind::Apply | NodeKind::Lambda => {
                self.is_whole = false;
                match parent.kind() {
                    NodeKind::Binary => self.operator(parent),
                    NodeKind::Apply => self.argument(parent),
                    NodeKind::Lambda => self.function_body(parent),
                    _ => Some(parent),
                }
            }
            NodeKind::Select if !is_first => Some(parent),
            NodeKind::Formal => {
                self.bind(parent.id(), Bound::Formal);
                None
            }
            NodeKind::Binding => self.binding(parent),
            NodeKind::Root => {
                // A file that is a list of paths lists modules.
                if !self.is_whole {
                    self.context.kind = ReferenceKind::Module;
                }
                None
            }
            _ => None,
        }
    }

    fn operator(&mut self, chain: Node<'t>) -> Option<Node<'t>> {
        let next = self.at.next_sibling();
        let before = || chain.children().take_while(|operand| *operand != self.at).last();
        match ast::Binary::cast(chain)?.operator() {
            TokenKind::Concat | TokenKind::Update => Some(chain),
            TokenKind::PipeInto if next.is_some() => self.call(head_name(next?), 1, chain),
            TokenKind::PipeFrom if before().is_some() => self.call(head_name(before()?), 1, chain),
            _ => None,
        }
    }

    /// `at` is a function's argument, or the function.
    fn argument(&mut self, apply: Node<'t>) -> Option<Node<'t>> {
        let place = apply.children().take(MAX_ARGUMENTS).position(|child| child == self.at)?;
        if place == 0 {
            return None;
        }
        let function = apply.child(0)?;
        let name = head_name(function);
        if let Some(mapped) = mapped_function(apply, name)
            && mapped != self.at
        {
            return self.mapped(mapped, apply);
        }
        if name == "filter" && apply.child(1).is_some_and(|test| head_name(test) == "pathExists") {
            self.context.is_probe = true;
            return None;
        }
        if name == "pipe"
            && place == 1
            && let Some(first) = apply.child(2).and_then(|functions| functions.child(0))
        {
            return self.call(head_name(first), 1, apply);
        }
        let place = place + n_given(function);
        self.context.callee = callee(function, place);
        self.call(name, place, apply)
    }

    /// `at` is argument number `place` of the function called `name` in `apply`.
    fn call(&mut self, name: &str, place: usize, apply: Node<'t>) -> Option<Node<'t>> {
        let kind = match name {
            "import" if place == 1 => ReferenceKind::Import,
            "scopedImport" if place == 2 => ReferenceKind::Import,
            "pathExists" | "readFileType" => {
                self.context.is_probe = true;
                return None;
            }
            "importApply" if place == 1 => ReferenceKind::Module,
            _ if is_conditional(name) || passes_on(name) => return Some(apply),
            _ if calls_package(name) => ReferenceKind::CallPackage,
            _ if runs_test(name) => ReferenceKind::Import,
            _ if lists_files(name) || name == "import" => ReferenceKind::Directory,
            _ => ReferenceKind::Path,
        };
        self.context.kind = kind;
        if kind == ReferenceKind::Import {
            self.context.apply = Some(apply.id());
        }
        None
    }

    /// `at` is what `mapped` is applied to, member by member.
    fn mapped(&mut self, mapped: Node<'t>, apply: Node<'t>) -> Option<Node<'t>> {
        let mapped = ast::without_parens(mapped)?;
        if mapped.kind() != NodeKind::Lambda {
            self.context.callee = callee(mapped, 1);
            return self.call(head_name(mapped), 1, apply);
        }
        // The paths are members of what it is mapped over, and may be any of its arguments.
        self.context.callee = Some(Callee { function: mapped.id(), place: 0 });
        None
    }

    /// A function's body is the value of what calls it; known where it is mapped over a list, or
    /// where it is the whole file.
    fn function_body(&mut self, lambda: Node<'t>) -> Option<Node<'t>> {
        let above = lambda.ancestors().find(|above| above.kind() != NodeKind::Paren)?;
        match above.kind() {
            NodeKind::Root | NodeKind::Lambda | NodeKind::LetIn => Some(lambda),
            NodeKind::Apply => {
                let mapped = mapped_function(above, head_name(above.child(0)?))?;
                mapped.contains(lambda).then_some(above)
            }
            _ => None,
        }
    }

    fn binding(&mut self, binding: Node<'t>) -> Option<Node<'t>> {
        let path = binding.child(0)?;
        let set = binding.parent()?;
        let is_alone = path.child(0).is_some() && path.child(1).is_none();
        if let Some(kind) = kind_of_attribute(binding, !self.is_whole) {
            self.context.kind = kind;
            return None;
        }
        if is_alone && self.is_whole && path.text() == "gemdir" {
            // What `bundlerEnv` and its like look for.
            self.context.appended = "/gemset.nix";
            self.context.kind = ReferenceKind::Import;
            return None;
        }
        let apply = set.parent().filter(|above| above.kind() == NodeKind::Apply);
        if let Some(apply) = apply
            && let Some(mapped) = mapped_function(apply, head_name(apply.child(0)?))
            && mapped != set
        {
            return self.mapped(mapped, apply);
        }
        let is_rec = ast::AttrSet::cast(set).is_some_and(ast::AttrSet::is_rec);
        let is_let = matches!(set.kind(), NodeKind::LetIn | NodeKind::LegacyLet);
        if is_alone && (is_let || is_rec) {
            self.bind(path.child(0)?.id(), if is_rec { Bound::Rec } else { Bound::Let });
        }
        None
    }

    fn bind(&mut self, node: NodeId, bound: Bound) {
        self.context.name = Some(Name {
            node,
            is_whole: self.is_whole,
            is_exported: bound != Bound::Let,
            is_formal: bound == Bound::Formal,
        });
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    Let,
    Rec,
    Formal,
}

/// The kind that the attribute `binding`, or the ones around it, give to a path in its value.
fn kind_of_attribute(mut binding: Node<'_>, is_list: bool) -> Option<ReferenceKind> {
    // How many names stand below those of this binding, down to the value.
    let mut n_below = 0;
    for _ in 0..MAX_ATTRS {
        let names = ast::AttrPath::cast(binding.child(0)?)?;
        let n_names = names.elements().count();
        let mut is_home = false;
        for (at, attr) in names.elements().enumerate() {
            let Some(name) = attr.name() else { continue };
            let n_below = n_below + n_names - at - 1;
            let holds_modules = match &*name {
                "imports" | "require" => is_list && n_below == 0,
                "modules" => is_list && n_below <= 1,
                "users" => is_home && n_below <= 1,
                "disabledModules" => false,
                name => name.ends_with("Modules") && n_below <= MAX_BELOW_MODULES,
            };
            if holds_modules {
                return Some(ReferenceKind::Module);
            }
            is_home = name == "home-manager";
        }
        n_below += n_names;
        let set = binding.parent().filter(|set| set.kind() == NodeKind::AttrSet)?;
        let above = set.ancestors().find(|above| above.kind() != NodeKind::Paren)?;
        if above.kind() == NodeKind::Apply {
            let is_directory = names.elements().any(|name| {
                name.name()
                    .is_some_and(|name| matches!(&*name, "directory" | "src" | "root" | "prefix"))
            });
            let lists = lists_files(head_name(above));
            return (is_directory && lists).then_some(ReferenceKind::Directory);
        }
        binding = (above.kind() == NodeKind::Binding).then_some(above)?;
    }
    None
}

/// The name of the function that `node` is, or applies: `callPackage` for `(pkgs.callPackage x)`.
/// Nothing where it has none.
pub(super) fn head_name(mut node: Node<'_>) -> &str {
    loop {
        let inner = match node.kind() {
            NodeKind::Ident => return node.text(),
            NodeKind::Paren | NodeKind::Apply => node.child(0),
            NodeKind::Select => {
                let last = node.child(1).and_then(Node::last_child);
                return last.filter(|name| name.kind() == NodeKind::Name).map_or("", Node::text);
            }
            _ => None,
        };
        match inner {
            Some(inner) => node = inner,
            None => return "",
        }
    }
}

fn callee(mut function: Node<'_>, place: usize) -> Option<Callee> {
    while matches!(function.kind(), NodeKind::Paren | NodeKind::Apply) {
        function = function.child(0)?;
    }
    let is_named = function.kind() == NodeKind::Ident;
    is_named.then(|| Callee { function: function.id(), place })
}

/// What a function does with the paths that it gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Action {
    pub(super) kind: ReferenceKind,
    /// Whether it asks if something is there.
    pub(super) is_guarded: bool,
    /// Which of its parameters it imports as it is, from 1.
    pub(super) imported: Option<usize>,
}

/// Guesses from the names in a function what it does with paths.
pub(super) fn action(function: Node<'_>) -> Option<Action> {
    let mut kind = None;
    let mut is_guarded = false;
    let mut imported = None;
    let parameters = parameters(function);
    let named = |node: &Node<'_>| matches!(node.kind(), NodeKind::Ident | NodeKind::Name);
    for node in function.descendants().take(MAX_LOOK).filter(named) {
        let name = node.text();
        kind = match name {
            "pathExists" => {
                is_guarded = true;
                continue;
            }
            "import" | "scopedImport" | "importApply" => Some(ReferenceKind::Import),
            _ if calls_package(name) => kind.or(Some(ReferenceKind::CallPackage)),
            _ if lists_files(name) => kind.or(Some(ReferenceKind::Directory)),
            _ => continue,
        };
        let argument = node.next_sibling().filter(|_| node.kind() == NodeKind::Ident);
        if let Some(argument) = argument.filter(|node| node.kind() == NodeKind::Ident) {
            let place = parameters.iter().position(|parameter| *parameter == argument.text());
            imported = imported.or(place.map(|place| place + 1));
        }
    }
    kind.map(|kind| Action { kind, is_guarded, imported })
}

/// The names of a function's parameters; nothing for patterns.
fn parameters(function: Node<'_>) -> Vec<&str> {
    let mut names = Vec::new();
    let mut next = Some(function);
    while let Some(lambda) = next.filter(|node| node.kind() == NodeKind::Lambda)
        && names.len() < MAX_ARGUMENTS
    {
        let parameter = lambda.child(0).filter(|first| first.kind() == NodeKind::Param);
        names.push(parameter.map_or("", Node::text));
        next = lambda.child(1).and_then(ast::without_parens);
    }
    names
}

/// How many arguments the function was given before: 1 for `(scopedImport { })`.
fn n_given(function: Node<'_>) -> usize {
    match ast::without_parens(function) {
        // What is nested too deep to be parsed has no function.
        Some(node) if node.kind() == NodeKind::Apply => node.children().count().saturating_sub(1),
        _ => 0,
    }
}

/// The function that `apply` maps over a list or set, if the function called `name` does that.
fn mapped_function<'t>(apply: Node<'t>, name: &str) -> Option<Node<'t>> {
    match name {
        "map" | "concatMap" | "genList" | "mapAttrs" | "mapAttrs'" | "mapAttrsToList"
        | "concatMapAttrs" | "imap0" | "imap1" | "foldl" | "foldl'" | "foldr" => apply.child(1),
        "forEach" | "genAttrs" => apply.child(2),
        _ => None,
    }
}

/// What decides whether the expression `at` is evaluated, if the expression around it says so.
pub(super) fn condition_of(at: Node<'_>) -> Option<Node<'_>> {
    let above = at.parent()?;
    let first = above.child(0).filter(|first| *first != at)?;
    match above.kind() {
        NodeKind::IfElse | NodeKind::Assert => Some(first),
        NodeKind::Binary => {
            let operator = ast::Binary::cast(above)?.operator();
            let is_lazy = matches!(operator, TokenKind::And | TokenKind::OrOr | TokenKind::Implies);
            is_lazy.then_some(first)
        }
        NodeKind::Apply if is_conditional(head_name(first)) => above.child(1),
        _ => None,
    }
}

/// Whether `pathExists` stands in a condition.
pub(super) fn probes(condition: Node<'_>) -> bool {
    let mut nodes = condition.descendants().take(MAX_LOOK);
    nodes.any(|node| node.is_leaf() && node.text() == "pathExists")
}

/// Functions whose value holds their last argument or nothing.
fn is_conditional(name: &str) -> bool {
    matches!(name, "optional" | "optionals" | "optionalAttrs" | "mkIf" | "filter")
}

/// Functions whose value holds their argument.
fn passes_on(name: &str) -> bool {
    matches!(
        name,
        "mkMerge"
            | "mkForce"
            | "mkDefault"
            | "mkBefore"
            | "mkAfter"
            | "mkOrder"
            | "mkOverride"
            | "singleton"
            | "toList"
            | "flatten"
            | "concatLists"
            | "unique"
            | "attrValues"
    )
}

fn calls_package(name: &str) -> bool {
    name.contains("callPackage") || name == "newScope"
}

/// The test drivers of nixpkgs, which take the path of a test.
fn runs_test(name: &str) -> bool {
    name.starts_with("handleTest") || name.starts_with("runTest") || name == "nixosTest"
}

/// Functions that look into a folder for files to load.
fn lists_files(name: &str) -> bool {
    ["readDir", "listFiles", "FromDirectory", "import-tree", "importTree", "rakeLeaves"]
        .iter()
        .any(|part| name.contains(part))
        || name == "load"
}
