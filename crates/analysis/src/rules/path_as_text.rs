//! COR015: `toString ./path`, where `"${./path}"` may have been meant.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind, ast};

use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("COR015"),
    name: "path-as-text",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Apply], check),
    words: &["toString"],
    doc: "\
Flags `toString` of a path literal.

It is off by default: while evaluating, such a text is often just what is wanted. `/.` and `/`, which
only begin a path, are left alone.

## Why it matters

`toString ./file` is the place where the file lies while the code is evaluated. Nothing is copied to
the Nix store and no dependency comes with the text, so a service or a build that is given it may find
nothing there. `\"${./file}\"` copies the file and is a dependency.

## Example

```nix
{ script = \"exec \" + toString ./run.sh; }
```

## Better

```nix
{ script = \"exec ${./run.sh}\"; }
```

## Source

The Nix manual on string interpolation of paths.
",
};

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    if !context.called(node).is_some_and(|called| called.is_builtin("toString")) {
        return;
    }
    let path = node.child(1).and_then(ast::without_parens);
    let Some(path) = path.filter(|path| path.kind() == NodeKind::Path) else { return };
    if matches!(path.text(), "/." | "/..") {
        return;
    }
    let found =
        Finding::at(node.range(), "this is where the file lies now, not a copy in the store");
    report.add(found.help(format!("write `\"${{{}}}\"` for a copy in the store", path.text())));
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn texts_of_path_literals() {
        assert_eq!(marked("COR015", "toString ./a"), "toString ./a");
        assert_eq!(marked("COR015", "builtins.toString (../a)"), "builtins.toString (../a)");
        assert_eq!(marked("COR015", "p: toString p"), "");
        assert_eq!(marked("COR015", "toString /."), "");
        assert_eq!(marked("COR015", "toString \"./a\""), "");
        assert_eq!(marked("COR015", "{ toString }: toString ./a"), "");
    }
}
