//! The rules by which a file gets its kind, one function each, in the order of their precedence.

use std::borrow::Cow;

use super::module::{self, Head, Settings, formals};
use super::shape::{self, Census, Shape};
use super::spine::{self, Bound, Lets, Spine, bare, base_name, head_name};
use super::{Detected, FileKind, heads};
use crate::{Node, NodeKind, Tree};

/// Tells what kind of Nix code `tree` is.
pub(super) fn detect(path: &str, tree: &Tree) -> Detected {
    let file = File::look_at(path, tree);
    file.flake()
        .or_else(|| file.test())
        .or_else(|| file.overlay())
        .or_else(|| file.shell())
        .or_else(|| module::detect(path, &file.spine, &file.census, &file.settings))
        .or_else(|| file.named_shell())
        .or_else(|| file.package())
        .or_else(|| file.package_set())
        .or_else(|| file.import())
        .or_else(|| file.library())
        .or_else(|| file.data())
        .or_else(|| file.named_test())
        .unwrap_or_else(|| file.expression())
}

/// A file with what was seen of it.
struct File<'a, 't> {
    path: &'a str,
    spine: Spine<'t>,
    census: Census<'t>,
    settings: Settings<'t>,
    /// What the body looks like as a value.
    shape: Shape,
}

/// A verdict, and where it was read.
fn found(kind: FileKind, reason: impl Into<Cow<'static, str>>, at: Node<'_>) -> Option<Detected> {
    Some(Detected::new(kind, reason, at))
}

impl<'a, 't> File<'a, 't> {
    fn look_at(path: &'a str, tree: &'t Tree) -> Self {
        let spine = Spine::follow(tree.root(), &Lets::new());
        let census = shape::census(spine.body, &spine.lets);
        let settings = Settings::gather(&spine);
        let shape = shape::shape(spine.body, &spine.lets);
        Self { path, spine, census, settings, shape }
    }

    fn body(&self) -> Node<'t> {
        self.spine.body
    }

    fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    fn lies_in(&self, folder: &str) -> bool {
        self.path.split('/').rev().skip(1).any(|part| part == folder)
    }

    /// The names that the innermost leading function asks for, if it takes a pattern.
    fn formals(&self) -> impl Iterator<Item = &'t str> {
        self.spine.params.last().copied().into_iter().flat_map(formals)
    }

    /// The first parameter that only packages ask for.
    fn package_input(&self) -> Option<&'t str> {
        self.formals().find(|name| heads::is_package_input(name))
    }

    fn flake(&self) -> Option<Detected> {
        let set = self.body();
        if !self.spine.params.is_empty() || set.kind() != NodeKind::AttrSet {
            return None;
        }
        let is_named = self.file_name() == "flake.nix";
        let has_inputs = set
            .children()
            .take(64)
            .any(|binding| spine::names(binding).next().flatten() == Some("inputs"));
        let Some(outputs) = shape::attribute(set, "outputs") else {
            let reason = "is named `flake.nix` and sets `inputs`";
            return (is_named && has_inputs).then(|| Detected::new(FileKind::Flake, reason, set));
        };
        let value = bare(outputs).kind();
        let is_list = value == NodeKind::List;
        let is_known = value == NodeKind::Lambda || has_inputs || is_named;
        (is_known && !is_list).then_some(())?;
        found(FileKind::Flake, "is a set with `outputs` made of its inputs", outputs)
    }

    fn test(&self) -> Option<Detected> {
        let body = self.body();
        if body.kind() == NodeKind::Apply
            && (shape::runs_test(body) || body.children().skip(1).any(has_script))
        {
            return found(FileKind::Test, format!("calls {}", callee(body)), body);
        }
        if has_script(body) {
            return found(FileKind::Test, "sets machines and a `testScript`", body);
        }
        if self.census.is_mostly(Shape::Test) {
            return found(FileKind::Test, "is a set of tests", self.census.first(Shape::Test)?);
        }
        if self.shape == Shape::Test {
            return found(FileKind::Test, "makes a test of each of several values", body);
        }
        let gathers = self.census.is_mostly(Shape::Import) && !self.settings.name_options();
        if gathers && self.lies_in("tests") {
            let at = self.census.first(Shape::Import)?;
            return found(FileKind::Test, "gathers files in a folder of tests", at);
        }
        found(FileKind::Test, "imports the test driver of NixOS", self.test_driver()?)
    }

    /// An import of the NixOS test driver by a `with` or a `let` around the result.
    fn test_driver(&self) -> Option<Node<'t>> {
        let lets = &self.spine.lets;
        let bindings = lets.scopes().iter().flat_map(|scope| scope.children().take(64));
        let from_lets = bindings.filter_map(|binding| match binding.kind() {
            NodeKind::Binding => Some(Spine::follow(binding.last_child()?, lets).body),
            NodeKind::Inherit => binding.child_of_kind(NodeKind::InheritFrom)?.child(0),
            _ => None,
        });
        let mut imports = self.spine.namespaces.iter().copied().chain(from_lets);
        imports.find(|node| shape::imports_test_driver(*node))
    }

    fn overlay(&self) -> Option<Detected> {
        if shape::is_overlay(&self.spine.params)
            && let [.., first, second] = &self.spine.params[..]
        {
            let reason = format!("is a function of `{}` and `{}`", first.text(), second.text());
            return found(FileKind::Overlay, reason, *first);
        }
        let body = self.body();
        if body.kind() == NodeKind::Apply && self.shape == Shape::Overlay {
            return found(FileKind::Overlay, format!("calls {}", callee(body)), body);
        }
        let at = self.census.first(Shape::Overlay)?;
        let is_mostly = self.census.is_mostly(Shape::Overlay);
        (is_mostly && !self.settings.name_options()).then_some(())?;
        found(FileKind::Overlay, "holds functions of the final and the previous packages", at)
    }

    fn shell(&self) -> Option<Detected> {
        let body = self.body();
        let is_value = matches!(body.kind(), NodeKind::Apply | NodeKind::Select);
        if is_value && self.shape == Shape::Shell {
            return found(FileKind::Shell, format!("gives {}", callee(body)), body);
        }
        let at = self.census.first(Shape::Shell).filter(|_| self.census.is_mostly(Shape::Shell))?;
        found(FileKind::Shell, "is a set of development shells", at)
    }

    /// A shell by its name, where the shape alone would say package, import or expression.
    fn named_shell(&self) -> Option<Detected> {
        let is_named = matches!(self.file_name(), "shell.nix" | "devshell.nix" | "dev-shell.nix");
        let gives_one = matches!(self.body().kind(), NodeKind::Apply | NodeKind::Select);
        (is_named && gives_one && self.spine.params.len() < 2).then_some(())?;
        let reason = format!("is named `{}` and gives {}", self.file_name(), callee(self.body()));
        found(FileKind::Shell, reason, self.body())
    }

    fn package(&self) -> Option<Detected> {
        let first = spine::operands(self.body()).next()?;
        let body = Spine::follow(first, &self.spine.lets).body;
        let reason = if shape::is_derivation(body) {
            format!("calls {}", callee(body))
        } else {
            self.gives_package(body)?
        };
        self.is_ready().then_some(())?;
        found(FileKind::Package, reason, body)
    }

    /// Why a value is a derivation that no builder's name gives away.
    fn gives_package(&self, body: Node<'t>) -> Option<String> {
        let shape = shape::shape(body, &self.spine.lets);
        let is_attribute = body.kind() == NodeKind::Select;
        if is_attribute && shape == Shape::Derivation {
            return Some(format!("gives {}, an attribute of a derivation", callee(body)));
        }
        let is_lib = comes_from_lib(body, &self.spine.lets);
        let is_one = match body.kind() {
            NodeKind::Apply => !is_lib && matches!(shape, Shape::Other | Shape::Derivation),
            NodeKind::Select => !is_lib,
            NodeKind::Ident => self.formals().any(|name| name == body.text()),
            _ => false,
        };
        match self.package_input() {
            _ if !is_one => None,
            Some(input) => Some(format!("takes `{input}` and gives {}", callee(body))),
            None if self.calls_parameter(body) => Some(format!("calls {}", callee(body))),
            None => (base_name(body) == Some("pkgs")).then(|| format!("gives {}", callee(body))),
        }
    }

    /// Whether a file without open ends calls one of its own parameters with a set: a builder.
    fn calls_parameter(&self, body: Node<'t>) -> bool {
        let base = base_name(body).unwrap_or_default();
        let takes_set = body.children().skip(1).any(|arg| bare(arg).kind() == NodeKind::AttrSet);
        body.kind() == NodeKind::Apply
            && takes_set
            && module::head(&self.spine) == Head::Closed
            && self.formals().any(|name| name == base)
            && !is_dependency(base)
    }

    /// Whether the file asks for what it is made from and for no further arguments: what it gives
    /// is then the thing itself, not a function for others to call.
    fn is_ready(&self) -> bool {
        let Some(last) = self.spine.params.last() else { return true };
        if last.kind() == NodeKind::Param {
            return is_package_set_name(last.text());
        }
        self.spine.params.len() == 1 || asks_for_packages(*last)
    }

    fn package_set(&self) -> Option<Detected> {
        let body = self.body();
        let kind = FileKind::PackageSet;
        self.is_ready().then_some(())?;
        let reads_folder = head_name(body).is_some_and(|it| it.starts_with("packagesFromDir"));
        if reads_folder || (body.kind() == NodeKind::Apply && self.shape == Shape::Derivation) {
            return found(kind, "makes a derivation of each of several values", body);
        }
        let derivations = self.census.count(Shape::Derivation);
        let input = self.package_input();
        if body.kind() == NodeKind::List && body.is_leaf() {
            return found(kind, format!("takes `{}` for an empty list", input?), body);
        }
        let passed_on = match input {
            None if derivations == 0 => 0,
            _ => self.passed_on(),
        };
        let packages = derivations + passed_on;
        let functions = self.census.count(Shape::Function);
        let is_mostly = packages > 0 && packages * 2 >= self.census.total;
        (is_mostly && functions <= derivations.max(passed_on)).then_some(())?;
        let at = self.census.first(Shape::Derivation).unwrap_or(body);
        let is_list = body.kind() == NodeKind::List;
        let reason = if is_list { "is a list of derivations" } else { "is a set of derivations" };
        found(kind, reason, at)
    }

    /// How many values only pass on what is given. Where others are packages, these are, too.
    fn passed_on(&self) -> usize {
        let imports = self.census.count(Shape::Import);
        let is_all = imports == self.census.total;
        self.census.count(Shape::Reference) + if is_all { 0 } else { imports }
    }

    fn import(&self) -> Option<Detected> {
        let body = self.body();
        let imports = self.census.count(Shape::Import);
        if imports > 0 && imports == self.census.total {
            let at = self.census.first(Shape::Import)?;
            return found(FileKind::Import, "gathers the values of other files", at);
        }
        let is_alone = self.spine.params.len() < 2 && shape::imports_file(body);
        is_alone.then_some(())?;
        found(FileKind::Import, format!("gives {}", callee(body)), body)
    }

    fn library(&self) -> Option<Detected> {
        let body = self.body();
        let kind = FileKind::Library;
        if self.census.is_mostly(Shape::Function) && body.kind() != NodeKind::List {
            let at = self.census.first(Shape::Function).unwrap_or(body);
            return found(kind, "is a set of functions", at);
        }
        let last = *self.spine.params.last()?;
        if self.wants_arguments(last) {
            return found(kind, "is a function for other code to call", last);
        }
        let is_second = self.spine.params.len() > 1 && !is_package_set_name(last.text());
        let gives_set = self.settings.found_set;
        if is_second && !gives_set {
            return found(kind, "is a function that gives a function", last);
        }
        let is_helper = self.lies_in("lib") && !shape::is_plain(body, &self.spine.lets);
        is_helper.then_some(())?;
        found(kind, "is a function in a folder `lib`", last)
    }

    /// Whether a parameter takes what only a caller can know, in contrast to dependencies.
    fn wants_arguments(&self, param: Node<'t>) -> bool {
        if param.kind() == NodeKind::Param {
            let name = param.text();
            return !is_package_set_name(name) && name != "lib" && name != "_";
        }
        let all = formals(param).count();
        let wanted = formals(param).filter(|name| !is_dependency(name)).count();
        let is_second = self.spine.params.len() > 1;
        all > 0 && if is_second { wanted * 2 > all } else { wanted == all }
    }

    fn data(&self) -> Option<Detected> {
        let is_plain = spine::operands(self.body()).all(|operand| {
            let inner = Spine::follow(operand, &self.spine.lets);
            let is_container = matches!(inner.body.kind(), NodeKind::AttrSet | NodeKind::List);
            is_container && shape::is_plain(inner.body, &inner.lets)
        });
        let is_nothing = self.body().is_leaf() && self.spine.is_handed_through();
        (is_plain && !is_nothing).then_some(())?;
        found(FileKind::Data, "holds plain values only", self.body())
    }

    /// A test by its folder, where the shape says no more than that something is called.
    fn named_test(&self) -> Option<Detected> {
        let takes_packages = self.formals().any(|name| matches!(name, "pkgs" | "system"));
        let is_call = self.body().kind() == NodeKind::Apply;
        (is_call && takes_packages && self.lies_in("tests")).then_some(())?;
        let reason = format!("lies in a folder of tests and calls {}", callee(self.body()));
        found(FileKind::Test, reason, self.body())
    }

    fn expression(&self) -> Detected {
        let body = self.body();
        let reason = match body.kind() {
            NodeKind::AttrSet => "is a set of various values",
            NodeKind::List => "is a list of various values",
            NodeKind::Apply => "is the result of a call",
            NodeKind::Str | NodeKind::IndStr => "is a string",
            NodeKind::Error | NodeKind::Root => "holds no whole expression",
            _ => "is an expression of no special kind",
        };
        Detected::new(FileKind::Expression, reason, body)
    }
}

/// Whether a set has a `testScript` and says what the script runs on.
fn has_script(set: Node<'_>) -> bool {
    let set = bare(set);
    let has = |wanted: &[&str]| {
        set.children().take(64).any(|binding| {
            let first = spine::names(binding).next().flatten();
            first.is_some_and(|name| wanted.contains(&name))
        })
    };
    set.kind() == NodeKind::AttrSet
        && has(&["testScript"])
        && has(&["nodes", "machine", "containers", "name"])
}

/// How a reason speaks of what is called or selected: the text of the function, if it is short.
fn callee(node: Node<'_>) -> String {
    let mut node = bare(node);
    if node.kind() == NodeKind::Apply
        && let Some(function) = node.child(0)
    {
        let argument = node.child(1).map(Node::text).filter(|text| text.len() <= 60);
        match argument {
            Some(file) if function.text() == "import" && !file.contains(['\n', '`']) => {
                return format!("`import {file}`");
            }
            _ => node = bare(function),
        }
    }
    let text = node.text();
    if text.len() <= 60 && !text.contains(['\n', '`']) {
        return format!("`{text}`");
    }
    match head_name(node) {
        Some(name) => format!("`{name}`"),
        None => "the result of a call".to_owned(),
    }
}

/// Whether the function that is called is one of `lib` or `builtins`.
fn comes_from_lib(node: Node<'_>, lets: &Lets<'_>) -> bool {
    let mut node = bare(node);
    while node.kind() == NodeKind::Apply
        && let Some(function) = node.child(0)
    {
        node = bare(function);
    }
    let is_lib = |name: &str| matches!(name, "lib" | "builtins");
    let is_inherited = |name: &str| match lets.lookup(name) {
        Some(Bound::From(from)) => base_name(from).is_some_and(is_lib),
        _ => false,
    };
    let path = node.child_of_kind(NodeKind::AttrPath);
    base_name(node).is_some_and(|base| is_lib(base) || is_inherited(base))
        || head_name(node).is_some_and(heads::maps)
        || path.is_some_and(|path| path.children().filter_map(spine::static_name).any(is_lib))
}

/// Names by which a function takes a whole package set.
fn is_package_set_name(name: &str) -> bool {
    matches!(name, "pkgs" | "self" | "super" | "final" | "prev" | "nixpkgs")
}

/// Whether a pattern asks for packages or what makes them, and leaves the caller no choice.
fn asks_for_packages(pattern: Node<'_>) -> bool {
    let formals = pattern.children().filter(|child| child.kind() == NodeKind::Formal);
    formals.filter(|formal| formal.is_leaf()).any(|formal| {
        let name = formal.text();
        heads::is_package_input(name) || matches!(name, "lib" | "pkgs")
    })
}

/// Names that a file asks for to do its work, in contrast to arguments of a function.
fn is_dependency(name: &str) -> bool {
    heads::is_package_input(name)
        || heads::is_module_argument(name)
        || is_package_set_name(name)
        || matches!(name, "lib" | "system" | "inputs" | "outputs" | "python" | "python3")
}
