//! Where names come from: which builtin, which function of `lib`, which package a piece of code
//! names, through `with`, `inherit (…)` and names that a `let` gives to them.
//!
//! What a set is told by is convention (`lib`, `pkgs`, the formals of a package), as nothing but
//! evaluation can prove it. So a rule that would change meaning must not rest on [`Home::Lib`] and
//! [`Home::Packages`] alone; [`Home::Builtins`] is certain.

use std::borrow::Cow;

use cim_nix_semantics::{BindingId, BindingKind, Expr, ExprId, PathElement, Target, builtins};
use cim_nix_syntax::{Node, NodeKind, ast};

use crate::context::Context;

/// How many bytes a text has at most that is read at each use of its name.
const MAX_SHARED: u32 = 4096;

/// How many names in a row are followed.
const MAX_HOPS: u8 = 6;

/// Where a name comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Home {
    /// The base environment or `builtins`; certain.
    Builtins,
    /// The library of nixpkgs, at any depth (`lib.strings.x`).
    Lib,
    /// A package set, at any depth, or what `callPackage` fills in.
    Packages,
    /// The file defines it.
    Local,
    /// Anything else.
    Unknown,
}

/// What a piece of code names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) home: Home,
    /// Its own name there: `fetchurl` of `pkgs.fetchurl`.
    pub(crate) name: &'a str,
}

impl Origin<'_> {
    /// Whether it is the builtin `name`.
    pub(crate) fn is_builtin(self, name: &str) -> bool {
        self.home == Home::Builtins && self.name == name
    }

    /// Whether it is `name` of the library, or the builtin that the library hands on.
    pub(crate) fn is_library(self, name: &str) -> bool {
        matches!(self.home, Home::Builtins | Home::Lib) && self.name == name
    }
}

/// An attribute of a set literal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute<'t> {
    /// What spells its name.
    pub(crate) name: Node<'t>,
    /// Its value; `None` for an inherited one.
    pub(crate) value: Option<Node<'t>>,
}

impl<'a> Context<'a> {
    /// What `node`, a variable or a selection (parentheses do not count), names.
    pub(crate) fn origin(&self, node: Node<'a>) -> Option<Origin<'a>> {
        let node = ast::without_parens(node)?;
        matches!(node.kind(), NodeKind::Ident | NodeKind::Select).then_some(())?;
        self.origin_of(self.expr_of(node.id())?, MAX_HOPS)
    }

    /// What the function of the application `apply` is.
    pub(crate) fn called(&self, apply: Node<'a>) -> Option<Origin<'a>> {
        (apply.kind() == NodeKind::Apply).then_some(())?;
        self.origin(apply.child(0)?)
    }

    fn origin_of(&self, id: ExprId, hops: u8) -> Option<Origin<'a>> {
        let ir = self.ir;
        match ir.expr(id) {
            Expr::Var { symbol, target: Target::Free(with) } => {
                let name = ir.symbol(symbol);
                if let Some(global) = builtins::global(name) {
                    return Some(Origin { home: Home::Builtins, name: global.builtin.name });
                }
                let mut homes = std::iter::successors(with, |with| ir.with(*with).outer)
                    .map(|with| self.home_of(ir.with(with).namespace, hops));
                let first = homes.next()?;
                let home = if homes.all(|home| home == first) { first } else { Home::Unknown };
                Some(Origin { home, name })
            }
            Expr::Var { target: Target::Local(binding), .. } => {
                self.origin_of_binding(binding, hops)
            }
            Expr::InheritFrom { source, symbol } => {
                let home = self.home_of(ir.source(source).expr, hops);
                Some(Origin { home, name: ir.symbol(symbol) })
            }
            Expr::Select { base, path, default } if default == Expr::NO_DEFAULT => {
                let (last, before) = ir.path(path).split_last()?;
                let PathElement::Name(last) = *last else { return None };
                let home = self.home_along(base, before, hops);
                Some(Origin { home, name: ir.symbol(last) })
            }
            _ => None,
        }
    }

    fn origin_of_binding(&self, binding: BindingId, hops: u8) -> Option<Origin<'a>> {
        let ir = self.ir;
        let name = self.name(binding);
        let home = match ir.binding(binding).kind {
            BindingKind::Formal if self.is_outermost(binding) => Home::Packages,
            BindingKind::Formal | BindingKind::Param | BindingKind::At => Home::Unknown,
            _ => {
                let value = ir.binding_attr(binding)?.value;
                let is_alias = matches!(
                    ir.expr(value),
                    Expr::Var { .. } | Expr::Select { .. } | Expr::InheritFrom { .. }
                );
                if is_alias && hops > 0 {
                    return self.origin_of(value, hops - 1);
                }
                Home::Local
            }
        };
        Some(Origin { home, name })
    }

    /// Whether a formal belongs to the function that the file is.
    fn is_outermost(&self, formal: BindingId) -> bool {
        let scope = self.ir.binding(formal).scope;
        let lambda = self.node(self.ir.scopes[scope.index()].node);
        lambda.ancestors().skip(1).all(|node| {
            matches!(
                node.kind(),
                NodeKind::Root | NodeKind::Paren | NodeKind::LetIn | NodeKind::With
            )
        })
    }

    /// What kind of set an expression is.
    fn home_of(&self, id: ExprId, hops: u8) -> Home {
        let ir = self.ir;
        match ir.expr(id) {
            Expr::Var { symbol, target: Target::Free(_) } => by_name(ir.symbol(symbol)),
            Expr::Var { symbol, target: Target::Local(binding) } => {
                let known = by_name(ir.symbol(symbol));
                let value = match ir.binding(binding).kind {
                    BindingKind::Formal | BindingKind::Param | BindingKind::At => None,
                    _ => ir.binding_attr(binding).map(|attr| attr.value),
                };
                match value {
                    Some(value) if hops > 0 => match self.home_of(value, hops - 1) {
                        // A file may give its own `builtins`.
                        Home::Unknown if known == Home::Builtins => Home::Unknown,
                        Home::Unknown => known,
                        home => home,
                    },
                    _ if known == Home::Builtins => Home::Unknown,
                    _ => known,
                }
            }
            Expr::InheritFrom { source, symbol } if hops > 0 => {
                step(self.home_of(ir.source(source).expr, hops - 1), ir.symbol(symbol))
            }
            Expr::Select { base, path, .. } if hops > 0 => {
                self.home_along(base, ir.path(path), hops - 1)
            }
            Expr::AttrSet(_) => Home::Local,
            _ => Home::Unknown,
        }
    }

    /// What kind of set is selected from the set `base`.
    fn home_along(&self, base: ExprId, path: &[PathElement], hops: u8) -> Home {
        // The library of a flake is its own.
        let is_own = matches!(self.ir.expr(base), Expr::Var { symbol, .. }
            if matches!(self.ir.symbol(symbol), "self" | "inputs"));
        let mut home = self.home_of(base, hops);
        for (at, element) in path.iter().enumerate() {
            let name = match element {
                PathElement::Name(name) => self.ir.symbol(*name),
                PathElement::Dynamic(_) => "",
            };
            let is_its_library = is_own && at == 0 && name == "lib";
            home = if is_its_library { Home::Unknown } else { step(home, name) };
        }
        home
    }

    /// The text of a string without interpolation, or of the one that a `let` gives a name to, unless
    /// that is long: it may be used often.
    pub(crate) fn text_value(&self, node: Node<'a>) -> Option<Cow<'a, str>> {
        let value = self.value_behind(node)?;
        let is_own = node.contains(value);
        (is_own || value.range().len() <= MAX_SHARED).then_some(())?;
        ast::Str::cast(value)?.static_value()
    }

    /// What `node` stands for: itself, or the value of the `let` that it names.
    pub(crate) fn value_behind(&self, node: Node<'a>) -> Option<Node<'a>> {
        let mut node = ast::without_parens(node)?;
        for _ in 0..MAX_HOPS {
            if node.kind() != NodeKind::Ident {
                return Some(node);
            }
            let Some(binding) = self.ir.definition(self.expr_of(node.id())?) else {
                return Some(node);
            };
            let kind = self.ir.binding(binding).kind;
            if !matches!(kind, BindingKind::Let | BindingKind::Rec) {
                return Some(node);
            }
            let value = self.ir.binding_attr(binding)?.value;
            node = ast::without_parens(self.node(self.ir.node(value)))?;
        }
        None
    }
}

/// The attribute `name` of the set literal `set`, written as one name.
pub(crate) fn attribute<'t>(set: Node<'t>, name: &str) -> Option<Attribute<'t>> {
    ast::entries(set).find_map(|entry| match entry {
        ast::Entry::Binding(binding) => {
            let mut elements = binding.attr_path()?.elements();
            let first = elements.next()?;
            let is_it = elements.next().is_none() && first.name().as_deref() == Some(name);
            is_it.then(|| Attribute { name: first.node(), value: binding.value() })
        }
        ast::Entry::Inherit(inherit) => inherit
            .names()
            .find(|attr| attr.name().as_deref() == Some(name))
            .map(|attr| Attribute { name: attr.node(), value: None }),
    })
}

fn by_name(name: &str) -> Home {
    match name {
        "builtins" => Home::Builtins,
        "lib" => Home::Lib,
        "pkgs" | "nixpkgs" | "prev" | "final" | "super" => Home::Packages,
        _ => Home::Unknown,
    }
}

/// What kind of set the attribute `name` of a set is.
fn step(home: Home, name: &str) -> Home {
    match (home, name) {
        (_, "lib") => Home::Lib,
        (Home::Builtins | Home::Local, _) => Home::Unknown,
        (Home::Unknown, "pkgs" | "legacyPackages") => Home::Packages,
        (home, _) => home,
    }
}

#[cfg(test)]
mod tests {
    use cim_nix_semantics::lower;
    use cim_nix_syntax::parse;

    use super::*;

    #[track_caller]
    fn check(text: &str, want: &[&str]) {
        let tree = parse(text).tree;
        let ir = lower(&tree);
        let context = Context::new("default.nix", &tree, &ir);
        let calls = tree.nodes().filter(|node| node.kind() == NodeKind::Apply);
        let origins = calls.filter_map(|apply| context.called(apply));
        let got: Vec<String> =
            origins.map(|origin| format!("{:?}.{}", origin.home, origin.name)).collect();
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn builtins_are_certain() {
        check("map f [ ]", &["Builtins.map"]);
        check("builtins.fetchurl { }", &["Builtins.fetchurl"]);
        check("let b = builtins; inherit (b) filter; in filter f [ ]", &["Builtins.filter"]);
        check("with lib; map f x", &["Builtins.map"]);
        check("let map = x: x; in map 1", &["Local.map"]);
        check("builtins: builtins.map f", &["Unknown.map"]);
        check(
            "let builtins = import ./b.nix; in builtins.map f",
            &["Builtins.import", "Unknown.map"],
        );
        check(
            "let inherit (import ./b.nix) builtins; in builtins.map f",
            &["Builtins.import", "Unknown.map"],
        );
        check("let inherit (x) builtins; in with builtins; filter f x", &["Unknown.filter"]);
        check("let builtins = lib // { a = 1; }; in builtins.map f", &["Unknown.map"]);
    }

    #[test]
    fn sets_are_told_by_their_names() {
        check("{ lib, fetchurl }: fetchurl (lib.id 1)", &["Packages.fetchurl", "Lib.id"]);
        check("{ pkgs, ... }: with pkgs.lib.strings; toUpper x", &["Lib.toUpper"]);
        check("{ pkgs }: with pkgs; with lib; f 1", &["Unknown.f"]);
        check("{ inputs }: inputs.nixpkgs.lib.id 1", &["Lib.id"]);
        check("{ self }: self.lib.id 1", &["Unknown.id"]);
        check("p: let fetch = p.pkgs.fetchzip; in fetch { }", &["Packages.fetchzip"]);
        check(
            "let pkgs = import <nixpkgs> { }; in pkgs.hello.override { }",
            &["Builtins.import", "Packages.override"],
        );
        check("let lib = { id = x: x; }; in lib.id 1", &["Local.id"]);
    }

    #[test]
    fn names_that_lead_in_circles_end() {
        check("let a = b; b = a; in a 1", &["Local.a"]);
    }

    #[test]
    fn texts_and_attributes() {
        let text = "let u = \"x\"; in f { url = u; inherit v; a.b = 1; }";
        let tree = parse(text).tree;
        let ir = lower(&tree);
        let context = Context::new("default.nix", &tree, &ir);
        let set = tree.nodes().find(|node| node.kind() == NodeKind::AttrSet).unwrap();
        let url = attribute(set, "url").unwrap();
        assert_eq!(context.text_value(url.value.unwrap()).as_deref(), Some("x"));
        assert!(attribute(set, "v").unwrap().value.is_none());
        assert!(attribute(set, "a").is_none() && attribute(set, "b").is_none());
    }
}
