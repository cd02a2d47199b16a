//! What the place of a piece of code says about it: a test, an example, a description.

use cim_nix_syntax::{Node, NodeKind, ast};

use super::calls::spelled;

/// Whether a path is that of a test: what is weak there harms nobody.
pub(crate) fn is_test_file(path: &str) -> bool {
    let mut parts = path.split(['/', '\\']).rev();
    let file = parts.next().unwrap_or_default();
    let stem = file.strip_suffix(".nix").unwrap_or(file);
    let is_test_name = matches!(stem, "test" | "tests")
        || ["-test", "-tests", "_test", ".test"].iter().any(|end| stem.ends_with(end))
        || ["test-", "test_"].iter().any(|start| stem.starts_with(start));
    is_test_name
        || parts.any(|part| matches!(part, "test" | "tests" | "testing" | "fixtures" | "testdata"))
}

/// How far up a place is looked at: code is not nested deeper, and hostile code shall not cost more.
const MAX_AROUND: usize = 256;

/// What stands around a node, from the inside.
pub(crate) fn around(node: Node<'_>) -> impl Iterator<Item = Node<'_>> {
    node.ancestors().take(MAX_AROUND)
}

/// Whether a binding is one branch of several.
pub(crate) fn is_alternative(binding: Node<'_>) -> bool {
    let mut above = around(binding).take_while(|node| node.kind() != NodeKind::Lambda);
    above.any(|node| node.kind() == NodeKind::IfElse)
}

/// Functions that show their argument to people.
const SHOWING: &[&str] = &[
    "abort",
    "assertMsg",
    "literalExpression",
    "literalMD",
    "mdDoc",
    "mkEnableOption",
    "throw",
    "throwIf",
    "throwIfNot",
    "trace",
    "warn",
    "warnIf",
    "warnIfNot",
];

/// Attributes whose text is shown to people and never run.
const PROSE: &[&str] = &[
    "abstract",
    "changelog",
    "comment",
    "default",
    "defaultText",
    "description",
    "example",
    "exampleText",
    "help",
    "homepage",
    "literalExpression",
    "longDescription",
    "message",
    "meta",
    "motd",
    "placeholder",
    "relatedPackages",
    "summary",
    "warning",
    "warnings",
    "welcomeText",
];

/// Whether `node` is part of a text for people, of an example or of the default of an option.
pub(crate) fn is_prose(node: Node<'_>) -> bool {
    let is_prose = |name: ast::Attr<'_>| name.name().is_some_and(|name| PROSE.contains(&&*name));
    let is_shown = |call: Node<'_>| {
        call.child(0).and_then(spelled).is_some_and(|name| SHOWING.contains(&name))
    };
    names_around(node).any(is_prose)
        || around(node).any(|above| match above.kind() {
            NodeKind::Apply => is_shown(above),
            kind => kind == NodeKind::Formal,
        })
}

/// The names of the attributes that `node` is, or is part of the value of.
pub(crate) fn names_around(node: Node<'_>) -> impl Iterator<Item = ast::Attr<'_>> {
    let bindings = std::iter::once(node).chain(around(node)).filter_map(ast::Binding::cast);
    let paths = bindings.filter_map(ast::Binding::attr_path);
    paths.flat_map(|path| path.elements().take(MAX_AROUND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_told_by_their_paths() {
        for (path, is_test) in [
            ("nixos/tests/acme.nix", true),
            ("pkgs/test/default.nix", true),
            ("modules/foo/test.nix", true),
            ("vm-test.nix", true),
            ("hosts/latest.nix", false),
            ("contest/default.nix", false),
            ("default.nix", false),
            ("", false),
        ] {
            assert_eq!(is_test_file(path), is_test, "{path:?}");
        }
    }
}
