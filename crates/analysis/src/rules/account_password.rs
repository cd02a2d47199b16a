//! SEC020 to SEC022: passwords of accounts that anybody can read, or that are none.

use cim_nix_base::{Code, Severity};

use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const PLAIN: Rule = Rule {
    code: Code("SEC020"),
    name: "plain-password",
    severity: Severity::Error,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check_plain),
    words: &["assword"],
    doc: "\
Flags the password of an account that is written into the code.

## Why it matters

Everybody who sees the repository knows it, and so does every user of the machine: it lies in the
store, which all can read. Tests of NixOS and virtual machines for trying something are not
flagged.

## Example

```nix
{ users.users.alice.password = \"hunter2\"; }
```

## Better

```nix
{ config, ... }: {
  users.users.alice.hashedPasswordFile = config.age.secrets.alice.path;
}
```

## Source

NixOS options, `users.users.<name>.password`.
",
};

pub(crate) const HASHED: Rule = Rule {
    code: Code("SEC021"),
    name: "hashed-password",
    severity: Severity::Warning,
    is_default: false,
    fix: FixKind::None,
    check: Check::File(check_hashed),
    words: &["ashedPassword"],
    doc: "\
Flags the hash of an account's password that is written into the code.

## Why it matters

A hash can be tried against lists of passwords, without limit and unseen. It is off by default,
as a good password withstands that.

## Example

```nix
{ users.users.alice.hashedPassword = \"$6$salt$hash\"; }
```

## Better

```nix
{ users.users.alice.hashedPasswordFile = \"/persist/alice\"; }
```

## Source

NixOS options, `users.users.<name>.hashedPassword`.
",
};

pub(crate) const EMPTY: Rule = Rule {
    code: Code("SEC022"),
    name: "empty-password",
    severity: Severity::Error,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check_empty),
    words: &["assword"],
    doc: "\
Flags an account with an empty password.

## Why it matters

Whoever gets to a login prompt of the machine is in. `\"!\"` as the hash locks the password
instead, and `null` asks for none to be set. Tests of NixOS and virtual machines for trying
something are not flagged.

## Example

```nix
{ users.users.root.initialHashedPassword = \"\"; }
```

## Better

```nix
{ users.users.root.hashedPassword = \"!\"; }
```

## Source

NixOS options, `users.users.<name>.hashedPassword`.
",
};

const PLAIN_OPTIONS: &[&str] = &[
    "users.users.*.password",
    "users.users.*.initialPassword",
    "users.extraUsers.*.password",
    "users.extraUsers.*.initialPassword",
];

const HASHED_OPTIONS: &[&str] = &[
    "users.users.*.hashedPassword",
    "users.users.*.initialHashedPassword",
    "users.extraUsers.*.hashedPassword",
    "users.extraUsers.*.initialHashedPassword",
    "users.root.hashedPassword",
];

fn check_plain(context: &Context<'_>, report: &mut Report) {
    for setting in context.settings().matching(PLAIN_OPTIONS) {
        if context.text_value(setting.value).is_some_and(|text| !text.is_empty()) {
            report.add(
                Finding::at(setting.value.range(), "everybody can read this password")
                    .help("keep its hash outside the repository and set `hashedPasswordFile`"),
            );
        }
    }
}

fn check_hashed(context: &Context<'_>, report: &mut Report) {
    for setting in context.settings().matching(HASHED_OPTIONS) {
        if context.text_value(setting.value).is_some_and(|text| text.starts_with(['$', '_'])) {
            report.add(
                Finding::at(setting.value.range(), "everybody can try to break this hash")
                    .help("keep it outside the repository and set `hashedPasswordFile`"),
            );
        }
    }
}

fn check_empty(context: &Context<'_>, report: &mut Report) {
    for options in [PLAIN_OPTIONS, HASHED_OPTIONS] {
        for setting in context.settings().matching(options) {
            if context.text_value(setting.value).is_some_and(|text| text.is_empty()) {
                report.add(Finding::at(setting.value.range(), "this account has no password"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn wherever_the_account_is_set_up() {
        assert_eq!(
            marked(
                "SEC020",
                "{ users = mkMerge [ { users.a = mkIf c { initialPassword = \"x\"; }; } ]; }"
            ),
            "\"x\""
        );
        assert_eq!(
            marked("SEC020", "let p = \"x\"; in { users.users = { ${n} = { password = p; }; }; }"),
            "p"
        );
        assert_eq!(marked("SEC020", "{ services.x.password = \"y\"; users.users.a.uid = 1; }"), "");
        assert_eq!(marked("SEC020", "{ users.users.a.password = config.x; }"), "");
    }

    #[test]
    fn tests_and_machines_for_trying_are_silent() {
        let silent = |text: &str| assert_eq!(marked("SEC020 SEC022", text), "", "{text}");
        silent("{ nodes.a.users.users.b.password = \"x\"; testScript = \"\"; }");
        silent("import ./make-test-python.nix { machine.users.users.b.password = \"\"; }");
        silent("{ virtualisation.vmVariant.users.users.a.initialPassword = \"x\"; }");
        silent("{ options.users.users.a.password = \"x\"; }");
    }

    #[test]
    fn hashes_and_locks() {
        let text =
            "{ users.users.a = { hashedPassword = \"$y$x\"; initialHashedPassword = \"!\"; }; }";
        assert_eq!(marked("SEC021", text), "\"$y$x\"");
        assert_eq!(marked("SEC022", text), "");
    }
}
