//! Who can see the parameters of a function.
//!
//! The names in a pattern are visible from outside: `functionArgs` lists them, `callPackage` passes
//! what it lists, and an overriding function sees what was passed. This module tells for which
//! functions nobody looks, which names a body reads through its `@` name, and which function is the
//! `outputs` of a flake, whose parameters are inputs.

use std::borrow::Cow;

use cim_nix_semantics::{BindingId, BindingKind, Expr, Lambda, Target, builtins};
use cim_nix_syntax::ast::{self, Attr, Binding, Inherit};
use cim_nix_syntax::{Node, NodeKind};

use crate::context::Context;

/// Parameters that a function reads by other means than their own names.
pub(super) enum ListedNames<'t> {
    /// Only these, through the `@` name; often none.
    Some(Vec<Cow<'t, str>>),
    /// Maybe every one: the whole argument is passed on.
    All,
}

/// What the body of a function reads through its `@` name.
pub(super) fn listed_names<'a>(context: &Context<'a>, lambda: &Lambda) -> ListedNames<'a> {
    let mut names = Vec::new();
    let Some(at) = at_binding(context, lambda) else { return ListedNames::Some(names) };
    for &variable in context.uses().of(at) {
        let node = bare_top(context.node(context.ir.node(variable)));
        match node.parent().and_then(|around| read_names(node, around)) {
            Some(read) => names.extend(read),
            None => return ListedNames::All,
        }
    }
    ListedNames::Some(names)
}

/// The `@` name of a function.
pub(super) fn at_binding(context: &Context<'_>, lambda: &Lambda) -> Option<BindingId> {
    let first = context.ir.scope_bindings(lambda.scope).next()?;
    (context.ir.binding(first).kind == BindingKind::At).then_some(first)
}

/// The attributes of `set` that `around` reads, if it reads only some that are known by name.
fn read_names<'t>(set: Node<'t>, around: Node<'t>) -> Option<Vec<Cow<'t, str>>> {
    match around.kind() {
        NodeKind::Select | NodeKind::HasAttr if around.child(0) == Some(set) => {
            let path = ast::AttrPath::cast(around.child(1)?)?;
            Some(vec![path.elements().next()?.name()?])
        }
        NodeKind::InheritFrom => Inherit::cast(around.parent()?)?.names().map(Attr::name).collect(),
        _ => None,
    }
}

/// The outermost of the parentheses around a node, or the node.
pub(super) fn bare_top(node: Node<'_>) -> Node<'_> {
    let mut top = node;
    while let Some(paren) = top.parent().filter(|parent| parent.kind() == NodeKind::Paren) {
        top = paren;
    }
    top
}

/// Whether a function is the `outputs` of a flake.
pub(super) fn is_flake_outputs(lambda: Node<'_>) -> bool {
    let Some(binding) = bare_top(lambda).parent().and_then(Binding::cast) else { return false };
    let is_outputs = single_name(binding).is_some_and(|name| name == "outputs");
    let set = binding.node().parent();
    is_outputs && set.is_some_and(|set| Some(bare_top(set)) == ast::file_expr(lambda.tree()))
}

fn single_name<'t>(binding: Binding<'t>) -> Option<Cow<'t, str>> {
    let mut attrs = binding.attr_path()?.elements();
    let name = attrs.next()?.name()?;
    attrs.next().is_none().then_some(name)
}

/// Whether nobody can look at the pattern of `lambda`: all that is done with the function is to call
/// it, or the module system gets it, which passes what is asked for and takes nothing else from it.
pub(super) fn is_unobserved(context: &Context<'_>, lambda: &Lambda) -> bool {
    is_only_called(context, context.node(lambda.node)) || is_module(context, lambda)
}

fn is_only_called(context: &Context<'_>, lambda: Node<'_>) -> bool {
    let mut n_args = 1;
    let mut top = bare_top(lambda);
    // A function that gives this one must be given so many arguments that ours gets its own.
    while let Some(outer) = top.parent().filter(|parent| parent.kind() == NodeKind::Lambda) {
        n_args += 1;
        top = bare_top(outer);
    }
    if is_called(context, top, n_args) {
        return true;
    }
    let Some(id) = let_binding_of(context, top) else { return false };
    context.uses().of(id).iter().all(|&variable| {
        let node = context.node(context.ir.node(variable));
        node.kind() == NodeKind::Ident && is_called(context, bare_top(node), n_args)
    })
}

/// Whether the function at `node` is called right there with at least `n_args` arguments.
fn is_called(context: &Context<'_>, node: Node<'_>, n_args: usize) -> bool {
    let Some(apply) = node.parent().filter(|parent| parent.kind() == NodeKind::Apply) else {
        return false;
    };
    let Some(function) = apply.child(0) else { return false };
    if function == node {
        return apply.children().count() > n_args;
    }
    let is_first = apply.child(1) == Some(node);
    is_first && called_builtin(context, function).is_some_and(|given| given >= n_args)
}

/// With how many arguments a builtin calls its first one, if that is all it does with it.
fn called_builtin(context: &Context<'_>, function: Node<'_>) -> Option<usize> {
    let expr = |node: Node<'_>| context.expr_of(node.id()).map(|id| context.ir.expr(id));
    let is_free =
        |node: Node<'_>| matches!(expr(node), Some(Expr::Var { target: Target::Free(_), .. }));
    let name = match function.kind() {
        NodeKind::Ident if is_free(function) => builtins::global(function.text())?.builtin.name,
        NodeKind::Select => {
            let select = ast::Select::cast(function)?;
            let base = select.base().filter(|base| base.text() == "builtins" && is_free(*base))?;
            let path = ast::AttrPath::cast(base.next_sibling()?)?.node();
            path.child(0).filter(|only| only.next_sibling().is_none())?.text()
        }
        _ => return None,
    };
    match name {
        "map" | "filter" | "any" | "all" | "concatMap" | "genList" | "partition" | "groupBy" => {
            Some(1)
        }
        "mapAttrs" | "foldl'" | "sort" => Some(2),
        _ => None,
    }
}

/// Whether `node` belongs to a `let` binding that nothing reads, so that it is never evaluated.
pub(super) fn is_unread(context: &Context<'_>, node: Node<'_>) -> bool {
    let around = std::iter::once(node).chain(node.ancestors());
    let mut bindings = around.filter_map(|value| let_binding_of(context, value));
    bindings.any(|id| !context.live().is_live(id))
}

/// The `let` binding whose whole value is `value`.
fn let_binding_of(context: &Context<'_>, value: Node<'_>) -> Option<BindingId> {
    let binding = value.parent().and_then(Binding::cast)?;
    let around = binding.node().parent().filter(|node| node.kind() == NodeKind::LetIn)?;
    let name = binding.attr_path()?.elements().next()?.node();
    single_name(binding)?;
    let Expr::Let { set, .. } = context.ir.expr(context.expr_of(around.id())?) else { return None };
    let bindings = context.ir.scopes[context.ir.set(set).scope?.index()].bindings;
    // Attributes are in the order of the text.
    let at = context.ir.bindings[bindings.range()].binary_search_by_key(&name.id(), |b| b.name);
    Some(BindingId(bindings.start + at.ok()? as u32))
}

/// Names that the module system alone gives.
const MODULE_ARGUMENTS: &[&str] = &["config", "options", "modulesPath", "osConfig"];

/// The attributes of a module that has `config` or `options`; the module system refuses others.
const MODULE_PARTS: &[&str] = &[
    "_class",
    "_file",
    "_module",
    "config",
    "disabledModules",
    "freeformType",
    "imports",
    "key",
    "meta",
    "options",
    "require",
];

/// Where options of NixOS, Home Manager and nix-darwin begin, as far as the names say little else.
const OPTION_ROOTS: &[&str] = &[
    "boot",
    "environment",
    "fileSystems",
    "hardware",
    "home",
    "home-manager",
    "homebrew",
    "imports",
    "launchd",
    "networking",
    "nixpkgs",
    "programs",
    "services",
    "specialisation",
    "systemd",
    "users",
    "virtualisation",
    "xdg",
    "xsession",
];

/// Where options begin that have more common names.
const COMMON_OPTION_ROOTS: &[&str] = &[
    "_module",
    "accounts",
    "assertions",
    "console",
    "dconf",
    "disabledModules",
    "documentation",
    "fonts",
    "gtk",
    "i18n",
    "meta",
    "nix",
    "powerManagement",
    "qt",
    "security",
    "swapDevices",
    "system",
    "time",
    "warnings",
    "wayland",
    "zramSwap",
];

/// Whether a file is a module whose function is `lambda`. Only what the fix leaves in place counts,
/// so that a module stays one when its parameters are removed one after the other.
fn is_module(context: &Context<'_>, lambda: &Lambda) -> bool {
    let node = context.node(lambda.node);
    if ast::file_expr(context.tree) != Some(bare_top(node)) {
        return false;
    }
    let Some(mut body) = node.child(1) else { return false };
    while let NodeKind::LetIn | NodeKind::With | NodeKind::Assert | NodeKind::Paren = body.kind() {
        let Some(inner) = body.last_child() else { return false };
        body = inner;
    }
    match body.kind() {
        NodeKind::Apply => body.child(0).is_some_and(|called| {
            let name = called.text().rsplit('.').next().unwrap_or_default();
            matches!(name, "mkIf" | "mkMerge")
        }),
        NodeKind::AttrSet => is_module_set(body) || takes_module_argument(context, lambda),
        _ => false,
    }
}

fn is_module_set(set: Node<'_>) -> bool {
    let mut names = Vec::new();
    for entry in ast::entries(set) {
        match entry {
            ast::Entry::Binding(binding) => {
                names.push(binding.attr_path().and_then(|path| path.elements().next()?.name()));
            }
            ast::Entry::Inherit(inherit) => names.extend(inherit.names().map(Attr::name)),
        }
    }
    let any = |list: &[&str]| names.iter().flatten().any(|name| list.contains(&name.as_ref()));
    let all = |lists: [&[&str]; 2]| {
        let is_among = |name: &Cow<'_, str>| lists.iter().any(|list| list.contains(&name.as_ref()));
        names.iter().all(|name| name.as_ref().is_some_and(is_among))
    };
    if any(&["config", "options"]) {
        return all([MODULE_PARTS, &[]]);
    }
    any(&["imports"]) || any(OPTION_ROOTS) && all([OPTION_ROOTS, COMMON_OPTION_ROOTS])
}

fn takes_module_argument(context: &Context<'_>, lambda: &Lambda) -> bool {
    context.ir.formals[lambda.formals.range()].iter().any(|formal| {
        formal.default == Expr::NO_DEFAULT
            && MODULE_ARGUMENTS.contains(&context.name(formal.binding))
            && !context.uses().of(formal.binding).is_empty()
    })
}
