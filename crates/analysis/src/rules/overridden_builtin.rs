//! COR005: a `let` that gives the name of a builtin to something else.

use cim_nix_base::{Code, Severity};
use cim_nix_semantics::{BindingKind, builtins};
use cim_nix_syntax::NodeKind;

use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("COR005"),
    name: "overridden-builtin",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::None,
    check: Check::File(check),
    words: &[],
    doc: "\
Flags a `let` that gives something else the name of a builtin that is in scope everywhere, such as
`map`, `import` or `toString`.

It is off by default: the code does what it says, and some names (`baseNameOf`) are overridden on
purpose. Names that stand for the same function of `lib` or `builtins` are left alone.

## Why it matters

A reader takes `map` for `map`.

## Example

```nix
let map = f: xs: { inherit f xs; }; in map 1 2
```

## Better

```nix
let mapping = f: xs: { inherit f xs; }; in mapping 1 2
```

## Source

Also found by nixd.
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    for id in context.ir.scopes.iter().flat_map(|scope| scope.bindings.range()) {
        let id = cim_nix_semantics::BindingId(id as u32);
        let binding = context.ir.binding(id);
        let name = context.name(id);
        if binding.kind != BindingKind::Let || builtins::global(name).is_none() {
            continue;
        }
        let value =
            context.ir.binding_attr(id).map(|attr| context.node(context.ir.node(attr.value)));
        let is_same = value.is_some_and(|value| {
            matches!(value.kind(), NodeKind::Ident | NodeKind::Select)
                && context.origin(value).is_some_and(|origin| origin.is_library(name))
        });
        if !is_same {
            let message = format!("this gives the name of the builtin `{name}` to something else");
            report.add(Finding::at(context.name_range(id), message));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn other_values_are_found() {
        assert_eq!(marked("COR005", "let toString = x: x; in toString 1"), "toString");
        assert_eq!(marked("COR005", "let true = 1; in true"), "true");
        assert_eq!(marked("COR005", "x: let import = x.y; in import"), "import");
    }

    #[test]
    fn the_same_function_is_fine() {
        assert_eq!(marked("COR005", "let map = builtins.map; in map"), "");
        assert_eq!(marked("COR005", "{ lib }: let map = lib.map; in map"), "");
        assert_eq!(marked("COR005", "let inherit (builtins) map; in map"), "");
        assert_eq!(marked("COR005", "let mapAttrs = 1; in mapAttrs"), "");
        assert_eq!(marked("COR005", "map: map"), "");
        assert_eq!(marked("COR005", "{ map = 1; }"), "");
    }
}
