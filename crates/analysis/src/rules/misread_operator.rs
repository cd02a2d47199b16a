//! COR011: operators that Nix reads in another way than people do.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind, TokenKind};

use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("COR011"),
    name: "misread-operator",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Path, NodeKind::Binary, NodeKind::HasAttr], check),
    words: &[],
    doc: "\
Flags `a/b`, which is a path and no division; `a -> b -> c`, which means `a -> (b -> c)`; and
`-a ? b`, which asks the number `-a` for an attribute.

`!a ? b` means `!(a ? b)`, as everybody expects. It is off by default: paths that begin with a name
are legal, if rare.

## Why it matters

The code does something else than it seems to do, and Nix does not complain until much later.

## Example

```nix
width: height: width/height
```

## Better

```nix
width: height: width / height
```

## Source

The Nix manual on operators and their precedence.
",
};

fn check(_: &Context<'_>, node: Node<'_>, report: &mut Report) {
    match node.kind() {
        NodeKind::Path if is_like_division(node.text()) => {
            let text = node.text();
            let found = Finding::at(node.range(), format!("`{text}` is a path, not a division"));
            report.add(
                found.help(
                    "put blanks around the `/` to divide, or write `./` in front of the path",
                ),
            );
        }
        NodeKind::Binary
            if node.own_token(TokenKind::Implies).is_some() && node.children().count() > 2 =>
        {
            let found = Finding::at(node.range(), "a chain of `->` is read from the right");
            report.add(found.help("say by parentheses what is meant"));
        }
        NodeKind::HasAttr => {
            let base = node.child(0).filter(|base| base.kind() == NodeKind::Unary);
            if base.is_some_and(|base| base.own_token(TokenKind::Sub).is_some()) {
                report.add(Finding::at(node.range(), "the `-` is applied before the `?`"));
            }
        }
        _ => {}
    }
}

/// Whether a path is two names or numbers with a `/` between them.
fn is_like_division(path: &str) -> bool {
    let is_operand = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_'".contains(&byte))
    };
    path.split_once('/').is_some_and(|(left, right)| is_operand(left) && is_operand(right))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn what_is_read_in_another_way_is_found() {
        assert_eq!(marked("COR011", "a: b: [ a/b 6/3 ]"), "a/b 6/3");
        assert_eq!(marked("COR011", "a: a -> a -> a"), "a -> a -> a");
        assert_eq!(marked("COR011", "a: -a ? b"), "-a ? b");
    }

    #[test]
    fn what_is_read_as_it_looks_is_fine() {
        for text in [
            "a: b: a / b",
            "./a/b",
            "a/b.nix",
            "a/b/c",
            "a: a -> a",
            "a: !a ? b",
            "a: a ? b",
            "a: -a.b",
        ] {
            assert_eq!(marked("COR011", text), "", "{text}");
        }
    }
}
