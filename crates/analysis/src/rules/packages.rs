//! What the rules about package definitions share: which sets define a package.

use cim_nix_syntax::{Node, NodeKind, ast};

use super::calls::spelled;

/// Functions that make a package of a set.
const BUILDERS: &[&str] = &[
    "buildDotnetModule",
    "buildGoModule",
    "buildGoPackage",
    "buildNpmPackage",
    "buildPythonApplication",
    "buildPythonPackage",
    "buildRustPackage",
    "mkDerivation",
];

/// Words that such a call cannot do without.
pub(super) const WORDS: &[&str] = BUILDERS;

/// The set that defines a package by the call `apply`, be it in a function of the final attributes.
pub(super) fn definition(apply: Node<'_>) -> Option<Node<'_>> {
    let name = apply.child(0).and_then(spelled)?;
    BUILDERS.binary_search(&name).ok()?;
    let mut argument = ast::without_parens(apply.child(1)?)?;
    if argument.kind() == NodeKind::Lambda {
        argument = ast::without_parens(argument.child(1)?)?;
    }
    (argument.kind() == NodeKind::AttrSet).then_some(argument)
}

/// The name and value of each attribute that is written as one name.
pub(super) fn attributes(set: Node<'_>) -> impl Iterator<Item = (Node<'_>, Node<'_>)> {
    set.children().filter_map(|entry| {
        let path = ast::Binding::cast(entry)?.attr_path()?.node();
        let name = path.child(0).filter(|name| name.kind() == NodeKind::Name)?;
        name.next_sibling().is_none().then_some((name, entry.child(1)?))
    })
}

/// Whether the set has an attribute `name`, inherited and dotted ones included.
pub(super) fn has(set: Node<'_>, name: &str) -> bool {
    ast::entries(set).any(|entry| match entry {
        ast::Entry::Binding(binding) => binding
            .attr_path()
            .and_then(|path| path.elements().next())
            .and_then(ast::Attr::name)
            .is_some_and(|first| first == name),
        ast::Entry::Inherit(inherit) => {
            inherit.names().any(|attr| attr.name().is_some_and(|attr| attr == name))
        }
    })
}
