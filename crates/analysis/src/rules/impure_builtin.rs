//! DEP012: a builtin that asks the machine, in code that a flake gets to. Found in the import graph.

use cim_nix_base::{Code, Severity};
use cim_nix_project::FileId;
use cim_nix_semantics::{Expr, PathElement, Target};

use super::impure_lookup::with_way;
use crate::across::{Across, Impure, ImpureKind, Reached, is_avoidable};
use crate::checker::CheckedFile;
use crate::rule::{Check, Finding, FixKind, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEP012"),
    name: "impure-builtin",
    severity: Severity::Warning,
    is_default: false,
    fix: FixKind::None,
    check: Check::Elsewhere,
    words: &[],
    doc: "\
Flags `builtins.currentSystem` and `currentTime` in a `flake.nix` and in files that it imports, and
`getEnv` and `storePath` in a `flake.nix`.

As the default of a parameter, behind `or`, or in a branch of an `if`, they are what the file falls back
on outside of flakes, and are left alone. The rule is opt-in: in sixty public configurations, nixpkgs and
home-manager every place that it finds is meant for use outside of flakes, too.

## Why it matters

Flakes are evaluated without them: the first two do not exist there, `storePath` fails, and `getEnv`
gives an empty string.

## Example

In a `flake.nix`:

```nix
{
  outputs = { self, nixpkgs }: {
    packages.default = nixpkgs.legacyPackages.${builtins.currentSystem}.hello;
  };
}
```

## Better

```nix
{
  outputs = { self, nixpkgs }: {
    packages.x86_64-linux.default = nixpkgs.legacyPackages.x86_64-linux.hello;
  };
}
```

## Source

The manual of Nix on `pure-eval`.
",
};

const IMPURE: [&str; 4] = ["currentSystem", "currentTime", "getEnv", "storePath"];

/// The uses of such builtins that evaluation cannot avoid.
pub(crate) fn uses(checked: &CheckedFile) -> Vec<Impure> {
    let text = checked.tree.text().as_bytes();
    if !IMPURE.iter().any(|name| memchr::memmem::find(text, name.as_bytes()).is_some()) {
        return Vec::new();
    }
    let (tree, ir) = (&checked.tree, &checked.ir);
    let known = |name: &str| IMPURE.iter().copied().find(|known| *known == name);
    let mut uses = Vec::new();
    for (at, expr) in ir.exprs.iter().enumerate() {
        let name = match *expr {
            Expr::Var { symbol, target: Target::Free(None) } => {
                ir.symbol(symbol).strip_prefix("__").and_then(known)
            }
            Expr::Select { base, path, .. } => {
                let is_builtins = matches!(
                    ir.expr(base),
                    Expr::Var { symbol, target: Target::Free(_) } if ir.symbol(symbol) == "builtins"
                );
                match ir.path(path).first() {
                    Some(PathElement::Name(symbol)) if is_builtins => known(ir.symbol(*symbol)),
                    _ => None,
                }
            }
            _ => None,
        };
        let Some(name) = name else { continue };
        let node = tree.node(ir.nodes[at]);
        let has_default =
            matches!(expr, Expr::Select { default, .. } if *default != Expr::NO_DEFAULT);
        if !has_default && !is_avoidable(node) {
            uses.push(Impure { range: node.range(), what: ImpureKind::Builtin(name) });
        }
    }
    uses
}

pub(crate) fn find(project: &Across<'_>, reached: &Reached) -> Vec<(FileId, Finding)> {
    let mut found = Vec::new();
    for file in reached.files() {
        let Some(facts) = project.facts(file) else { continue };
        for impure in &facts.impure {
            if let ImpureKind::Builtin(name) = impure.what {
                // Libraries offer these, and flakes need not get to them.
                let is_offered = matches!(name, "getEnv" | "storePath");
                if is_offered && reached.way(file).len() > 1 {
                    continue;
                }
                let what = match name {
                    "getEnv" => "gives an empty string in flakes",
                    "storePath" => "fails in flakes",
                    _ => "does not exist in flakes",
                };
                let finding = Finding::at(impure.range, format!("`builtins.{name}` {what}"));
                found.push((file, with_way(project, reached, file, finding)));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::across::testing::found;

    #[test]
    fn uses_that_cannot_be_avoided_are_found() {
        let check = |text: &str, want: &str| {
            let project = format!("//- /p/flake.nix\n{{ outputs = x: {text}; }}\n");
            assert_eq!(found("DEP012", &project), want, "{text}");
        };
        check(
            "builtins.currentSystem",
            "/p/flake.nix builtins.currentSystem: `builtins.currentSystem` does not exist in flakes\n",
        );
        check(
            "__getEnv \"HOME\"",
            "/p/flake.nix __getEnv: `builtins.getEnv` gives an empty string in flakes\n",
        );
        let project = "//- /p/flake.nix\n{ outputs = x: import ./a.nix; }\n//- /p/a.nix\nbuiltins.getEnv \"HOME\"\n";
        assert_eq!(found("DEP012", project), "");
        check("builtins.currentSystem or \"x\"", "");
        check("lib.optionalAttrs (builtins ? currentSystem) { a = builtins.currentSystem; }", "");
        check("if builtins ? currentSystem then builtins.currentSystem else \"x\"", "");
        check("({ system ? builtins.currentSystem }: system)", "");
        check("x.currentSystem", "");
        check("let builtins = x; in builtins.currentSystem", "");
    }
}
