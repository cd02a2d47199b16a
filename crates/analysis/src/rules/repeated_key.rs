//! STY010: a first name that several dotted bindings of a set repeat.

use std::collections::HashMap;

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind};

use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("STY010"),
    name: "repeated-key",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::AttrSet], check),
    words: &[],
    doc: "\
Flags a set in which three or more dotted bindings begin with the same name.

## Why it matters

A nested set shows what belongs together. Real projects disagree on that, so the rule is opt-in.

## Example

```nix
{
  services.nginx.enable = true;
  services.openssh.enable = true;
  services.fail2ban.enable = true;
}
```

## Better

```nix
{
  services = {
    nginx.enable = true;
    openssh.enable = true;
    fail2ban.enable = true;
  };
}
```

## Source

Also found by statix.
",
};

/// How many are too many.
const MIN_REPEATED: usize = 3;

fn check(_: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let dotted = node.children().filter_map(first_of_several);
    if dotted.clone().nth(MIN_REPEATED - 1).is_none() {
        return;
    }
    let mut seen: HashMap<&str, (usize, Node<'_>)> = HashMap::new();
    for name in dotted {
        let (count, first) = seen.entry(name.text()).or_insert((0, name));
        *count += 1;
        if *count == MIN_REPEATED {
            let found = Finding::at(name.range(), "this name is repeated once more");
            report.add(found.label(first.range(), "first here").help("nest what belongs together"));
        }
    }
}

/// The first name of a dotted binding.
fn first_of_several(entry: Node<'_>) -> Option<Node<'_>> {
    let path = entry.child(0).filter(|path| path.kind() == NodeKind::AttrPath)?;
    let first = path.child(0).filter(|first| first.kind() == NodeKind::Name)?;
    first.next_sibling().is_some().then_some(first)
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{found, marked};

    #[test]
    fn three_are_too_many() {
        assert_eq!(
            found("STY010", "{ a.b = 1; a.c = 2; d.e = 3; a.f = 4; a.g = 5; }"),
            "a: this name is repeated once more\n"
        );
        assert_eq!(marked("STY010", "{ a.b = 1; a.c = 2; d.e = 3; }"), "");
        assert_eq!(marked("STY010", "{ a = { b = 1; c = 2; d = 3; }; }"), "");
    }
}
