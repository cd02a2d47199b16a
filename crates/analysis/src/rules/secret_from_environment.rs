//! SEC030: a secret that evaluation reads from an environment variable.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind};

use super::secret_names;
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC030"),
    name: "secret-from-environment",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Apply], check),
    words: &["getEnv"],
    doc: "\
Flags `builtins.getEnv` of a variable whose name says that it is a secret.

## Why it matters

What evaluation reads ends up in derivations, and those lie in the Nix store, which all users can
read. Pure evaluation, as flakes have it, gets an empty string.

## Example

```nix
{ token = builtins.getEnv \"GITHUB_TOKEN\"; }
```

## Better

```nix
{ tokenFile = \"/run/secrets/github-token\"; }
```

## Source

The Nix manual on `getEnv`, which warns about it.
",
};

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    if !context.called(node).is_some_and(|called| called.is_builtin("getEnv")) {
        return;
    }
    let name = node.child(1).and_then(|name| context.text_value(name));
    if let Some(name) = name.filter(|name| is_secret(name)) {
        let message = format!("the value of `{name}` ends up in the store, where all can read it");
        let found = Finding::at(node.range(), message);
        report
            .add(found.help("let the program read it while it runs, from a file or a credential"));
    }
}

fn is_secret(name: &str) -> bool {
    let parts: Vec<&str> = name.split('_').collect();
    secret_names::is_secret(name)
        || parts.iter().any(|part| matches!(*part, "PAT" | "CREDENTIALS" | "PASS"))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn secrets_are_told_by_their_names() {
        assert_eq!(
            marked("SEC030", "builtins.getEnv \"DB_PASSWORD\""),
            "builtins.getEnv \"DB_PASSWORD\""
        );
        assert_eq!(
            marked("SEC030", "let n = \"API_KEY\"; in builtins.getEnv n"),
            "builtins.getEnv n"
        );
        assert_eq!(
            marked("SEC030", "builtins.getEnv \"GITLAB_PAT\""),
            "builtins.getEnv \"GITLAB_PAT\""
        );
        assert_eq!(marked("SEC030", "builtins.getEnv \"HOME\""), "");
        assert_eq!(marked("SEC030", "builtins.getEnv \"PATH\""), "");
        assert_eq!(marked("SEC030", "n: builtins.getEnv n"), "");
        assert_eq!(marked("SEC030", "{ getEnv }: getEnv \"TOKEN\""), "");
    }
}
