//! SEC025 and SEC027: secrets that get into the store by way of files.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind, ast};

use super::secret_names;
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const COPIED: Rule = Rule {
    code: Code("SEC025"),
    name: "secret-in-store",
    severity: Severity::Error,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check_copied),
    words: &[
        "assphraseFile",
        "asswdFile",
        "asswordFile",
        "asswordsFile",
        "ecretFile",
        "ecretsFile",
        "eyFile",
        "okenFile",
        "okensFile",
        "redentialFile",
        "redentialsFile",
    ],
    doc: "\
Flags an option that says where a secret is kept and is given a path of the repository, or a text \
that is written to the store.

## Why it matters

A path in code is copied to the store, which every user of the machine can read, and to every
cache that the machine fills. The option exists so that the secret stays out of it: give it the
place at which the secret lies when the machine runs, as a string. Encrypted files are fine.

## Example

```nix
{ services.restic.backups.home.passwordFile = ./restic-password; }
```

```nix
{ networking.wireguard.interfaces.wg0.privateKeyFile = \"${./wg.key}\"; }
```

```nix
{ pkgs, ... }: { services.x.tokenFile = pkgs.writeText \"token\" \"0123abcd\"; }
```

## Better

```nix
{ services.restic.backups.home.passwordFile = \"/run/secrets/restic\"; }
```

```nix
{ age.secrets.restic.file = ./restic.age; }
```

## Source

Nix manual, \"String interpolation\", on paths; agenix and sops-nix, which keep secrets out of the
store.
",
};

pub(crate) const READ: Rule = Rule {
    code: Code("SEC027"),
    name: "secret-read",
    severity: Severity::Error,
    is_default: true,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Apply], check_read),
    words: &["readFile", "fileContents"],
    doc: "\
Flags `builtins.readFile` of a file that holds a secret by its name.

## Why it matters

What is read while the configuration is evaluated ends in the store, which every user of the
machine can read. Public keys and encrypted files are fine.

## Example

```nix
{ services.x.password = builtins.readFile ./secrets/password.txt; }
```

## Better

```nix
{ services.x.passwordFile = \"/run/secrets/x\"; }
```

```nix
{ users.users.a.openssh.authorizedKeys.keys = [ (builtins.readFile ./secrets/a.pub) ]; }
```

## Source

Nix manual, `builtins.readFile`.
",
};

fn check_copied(context: &Context<'_>, report: &mut Report) {
    let settings = context.settings();
    for setting in settings.on_hosts() {
        let Some(name) = settings.name(setting, 0) else { continue };
        if !name.ends_with("File") || !secret_names::is_secret_file(name) {
            continue;
        }
        let Some(path) = copied(context, setting.value) else { continue };
        if path.kind() != NodeKind::Path || !is_encrypted_or_public(path.text()) {
            report.add(
                Finding::at(
                    path.range(),
                    "this copies a secret to the store, where all can read it",
                )
                .help("give the place where it lies at run time, as a string"),
            );
        }
    }
}

/// The path that a value copies to the store, or the text that it writes there.
fn copied<'a>(context: &Context<'a>, value: Node<'a>) -> Option<Node<'a>> {
    let mut value = context.value_behind(value)?;
    if value.kind() == NodeKind::Str {
        let first = ast::Str::cast(value)?.interpolations().next()?;
        value = context.value_behind(first.expr()?)?;
    }
    match value.kind() {
        NodeKind::Path => Some(value),
        NodeKind::Apply => {
            let function = context.called(value)?;
            let text =
                value.child(2).filter(|_| matches!(function.name, "writeText" | "toFile"))?;
            let is_secret = context.text_value(text).is_some_and(|text| {
                !text.trim().is_empty() && !secret_names::is_stand_in(&text.to_ascii_lowercase())
            });
            is_secret.then_some(text)
        }
        _ => None,
    }
}

/// Whether a file is one that everybody may see, by its name.
fn is_encrypted_or_public(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let name = lower.rsplit('/').next().unwrap_or_default();
    let is_word = |word: &str| {
        matches!(
            word,
            "age"
                | "asc"
                | "cert"
                | "certificate"
                | "cred"
                | "creds"
                | "crt"
                | "dummy"
                | "enc"
                | "encrypted"
                | "example"
                | "fake"
                | "gpg"
                | "pub"
                | "public"
                | "sealed"
                | "sops"
                | "test"
                | "vault"
        )
    };
    name.split(|c: char| !c.is_alphanumeric()).any(is_word)
        || lower.split('/').any(|folder| matches!(folder, "encrypted" | "sops" | "test" | "tests"))
}

/// Ends of files that hold code or prose about secrets rather than secrets.
const CODE: &[&str] = &[
    ".nix", ".sh", ".py", ".lua", ".js", ".ts", ".css", ".html", ".md", ".el", ".vim", ".rs", ".c",
    ".go", ".pl", ".rb", ".service", ".patch", ".diff", ".sql", ".bash", ".zsh", ".fish", ".xml",
    ".scss", ".svg", ".in", ".php", ".rasi", ".kdl", ".nu",
];

fn check_read(context: &Context<'_>, apply: Node<'_>, report: &mut Report) {
    let Some(function) = context.called(apply) else { return };
    if !function.is_library("readFile") && !function.is_library("fileContents") {
        return;
    }
    let Some(path) = apply.child(1).and_then(|path| context.value_behind(path)) else { return };
    let is_spelled = matches!(path.kind(), NodeKind::Path | NodeKind::Str | NodeKind::Binary);
    if is_spelled && holds_secret(path.text()) && context.settings().is_on_host(apply) {
        report
            .add(Finding::at(path.range(), "this secret ends in the store, where all can read it"));
    }
}

fn holds_secret(path: &str) -> bool {
    let path = path.trim_matches(['(', ')', '"', '\'', ' ']);
    let lower = path.to_ascii_lowercase();
    let name = lower.rsplit('/').next().unwrap_or_default();
    if path.len() > 200
        || CODE.iter().any(|end| name.ends_with(end))
        || is_encrypted_or_public(path)
    {
        return false;
    }
    let is_private_key = matches!(name, "id_rsa" | "id_ed25519" | "id_ecdsa" | "id_dsa");
    let is_named =
        || name.split(|c: char| !c.is_alphanumeric()).any(secret_names::is_word_of_secret);
    let is_among = || {
        let mut folders = lower.rsplit('/').skip(1);
        folders.any(|folder| matches!(folder, "secret" | "secrets" | "private-keys"))
    };
    is_private_key || name.ends_with(".key") || is_named() || is_among()
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn files_of_secrets_stay_out_of_the_store() {
        let text = "{ a = mkIf c { tokenFile = mkForce ./token; }; b.keyFile = \"${./k}/x\"; }";
        assert_eq!(marked("SEC025", text), "./token ./k");
        let text = "{ a.passwordFile = \"${pkgs.writeText \"x\" \"hunter2\"}\"; }";
        assert_eq!(marked("SEC025 SEC028", text), "\"hunter2\"");
        let silent = |text: &str| assert_eq!(marked("SEC025", text), "", "{text}");
        silent("{ a.passwordFile = ./password.age; b.keyFile = ../secrets/x.sops.yaml; }");
        silent("{ a.publicKeyFile = ./key.pub; lockFile = ./lock; configFile = ./config; }");
        silent("{ a.passwordFile = \"/run/x\"; b.passwordFile = config.x; }");
        silent("{ a.passwordFile = pkgs.writeText \"x\" \"DUMMY=1\"; }");
        silent("{ a.passwordFile = toString ./x; }");
        silent("{ nodes.a.b.passwordFile = ./x; testScript = \"\"; }");
    }

    #[test]
    fn what_is_read_is_told_by_its_name() {
        let found = |path: &str| {
            marked("SEC027", &format!("{{ a.b = builtins.readFile {path}; }}")) == path
        };
        for path in ["./secrets/wifi.json", "./id_rsa", "./tls.key", "./api-token", "/etc/password"]
        {
            assert!(found(path), "{path}");
        }
        for path in
            ["./a.pub", "./tokenizer.json", "./password-store.sh", "./secrets/x.age", "./monkey"]
        {
            assert!(!found(path), "{path}");
        }
        assert_eq!(marked("SEC027", "v: { a.b = builtins.readFile v._secret; }"), "");
        assert_eq!(marked("SEC027", "f: { a.b = f.readFile ./secrets/x; }"), "");
    }
}
