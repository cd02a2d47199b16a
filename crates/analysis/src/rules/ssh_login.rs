//! SEC040 to SEC042: how one gets in by SSH.

use cim_nix_base::{Code, Severity, TextRange};
use cim_nix_syntax::Node;

use super::raw_text;
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const ROOT: Rule = Rule {
    code: Code("SEC040"),
    name: "root-login",
    severity: Severity::Error,
    is_default: true,
    fix: FixKind::Unsafe,
    check: Check::File(check_root),
    words: &["ermitRootLogin"],
    doc: "\
Flags an SSH server that lets root in with a password.

## Why it matters

The name of that account is known, so its password is guessed at day and night; and whoever gets
it owns the machine. With `prohibit-password`, keys still work.

## Example

```nix
{ services.openssh.settings.PermitRootLogin = \"yes\"; }
```

## Better

```nix
{ services.openssh.settings.PermitRootLogin = \"prohibit-password\"; }
```

## When the fix is unsafe

Who has only the password of root is locked out.

## Source

sshd_config(5), `PermitRootLogin`.
",
};

pub(crate) const PASSWORD: Rule = Rule {
    code: Code("SEC041"),
    name: "password-login",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::Unsafe,
    check: Check::File(check_password),
    words: &["asswordAuthentication"],
    doc: "\
Flags an SSH server that is told to take passwords.

## Why it matters

Passwords are guessed at day and night, and one weak account is enough. Keys cannot be guessed.

## Example

```nix
{ services.openssh.settings.PasswordAuthentication = true; }
```

## Better

```nix
{ services.openssh.settings.PasswordAuthentication = false; }
```

## When the fix is unsafe

Who has no key is locked out.

## Source

sshd_config(5), `PasswordAuthentication`.
",
};

pub(crate) const EMPTY: Rule = Rule {
    code: Code("SEC042"),
    name: "empty-password-login",
    severity: Severity::Error,
    is_default: true,
    fix: FixKind::Unsafe,
    check: Check::File(check_empty),
    words: &["ermitEmptyPasswords"],
    doc: "\
Flags an SSH server that lets accounts with an empty password in.

## Why it matters

Whoever knows the name of such an account is in.

## Example

```nix
{ services.openssh.settings.PermitEmptyPasswords = true; }
```

## Better

```nix
{ services.openssh.settings.PermitEmptyPasswords = false; }
```

## When the fix is unsafe

Accounts with an empty password are locked out.

## Source

sshd_config(5), `PermitEmptyPasswords`.
",
};

/// What a rule looks for.
struct Login {
    options: &'static [&'static str],
    keyword: &'static str,
    message: &'static str,
    /// What `"yes"` becomes.
    better: &'static str,
}

fn check_root(context: &Context<'_>, report: &mut Report) {
    if needs_keys(context) {
        return;
    }
    let login = Login {
        options: &["services.openssh.settings.PermitRootLogin", "services.openssh.permitRootLogin"],
        keyword: "permitrootlogin",
        message: "root may log in by SSH with a password",
        better: "prohibit-password",
    };
    check(context, &login, report);
}

/// Whether the file lets nobody in with a password.
fn needs_keys(context: &Context<'_>) -> bool {
    let options = &[
        "services.openssh.settings.PasswordAuthentication",
        "services.openssh.passwordAuthentication",
    ];
    context.settings().matching(options).any(|setting| {
        let value = context.value_behind(setting.value);
        value.is_some_and(|value| {
            context.bool_value(value) == Some(false)
                || context.text_value(value).as_deref() == Some("no")
        })
    })
}

fn check_password(context: &Context<'_>, report: &mut Report) {
    let login = Login {
        options: &[
            "services.openssh.settings.PasswordAuthentication",
            "services.openssh.passwordAuthentication",
        ],
        keyword: "passwordauthentication",
        message: "accounts can be reached by SSH with a password",
        better: "no",
    };
    check(context, &login, report);
}

fn check_empty(context: &Context<'_>, report: &mut Report) {
    let login = Login {
        options: &[
            "services.openssh.settings.PermitEmptyPasswords",
            "services.openssh.permitEmptyPasswords",
        ],
        keyword: "permitemptypasswords",
        message: "accounts without a password can be reached by SSH",
        better: "no",
    };
    check(context, &login, report);
}

fn check(context: &Context<'_>, login: &Login, report: &mut Report) {
    for value in raw_text::values(context, login.options) {
        if context.bool_value(value) == Some(true) {
            report.add(finding(value, value.range(), login.message, "false"));
        } else if context.text_value(value).as_deref() == Some("yes") {
            let range = value.range();
            report.add(finding(value, range, login.message, &format!("\"{}\"", login.better)));
        }
    }
    for string in raw_text::values(context, &["services.openssh.extraConfig"]) {
        for line in raw_text::lines(string) {
            let mut words = line.words(line.text.split('#').next().unwrap_or_default());
            let is_it = words.next().is_some_and(|word| word.eq_ignore_ascii_case(login.keyword));
            // Behind `Match`, it is said for some accounts or addresses only.
            if line
                .text
                .trim_start()
                .get(..6)
                .is_some_and(|word| word.eq_ignore_ascii_case("match "))
            {
                break;
            }
            if let Some(yes) = words.next().filter(|word| is_it && word.eq_ignore_ascii_case("yes"))
            {
                report.add(finding(string, line.range_of(yes), login.message, login.better));
            }
        }
    }
}

fn finding(literal: Node<'_>, range: TextRange, message: &'static str, better: &str) -> Finding {
    let title = format!("set it to `{}`", better.trim_matches('"'));
    raw_text::with_fix(Finding::at(range, message), title, literal, range, better)
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed_unsafely, marked};

    #[test]
    fn options_of_any_age_and_texts() {
        assert_eq!(
            fixed_unsafely(
                "SEC040",
                "{ services.openssh = { permitRootLogin = lib.mkForce \"yes\"; }; }"
            ),
            "{ services.openssh = { permitRootLogin = lib.mkForce \"prohibit-password\"; }; }"
        );
        assert_eq!(
            fixed_unsafely(
                "SEC040 SEC041 SEC042",
                "{ services.openssh.extraConfig = ''\n  PermitRootLogin yes\n  PasswordAuthentication yes\n  PermitEmptyPasswords yes\n''; }"
            ),
            "{ services.openssh.extraConfig = ''\n  PermitRootLogin prohibit-password\n  PasswordAuthentication no\n  PermitEmptyPasswords no\n''; }"
        );
        assert_eq!(
            fixed_unsafely(
                "SEC042",
                "{ services.openssh.settings.PermitEmptyPasswords = \"yes\"; }"
            ),
            "{ services.openssh.settings.PermitEmptyPasswords = \"no\"; }"
        );
    }

    #[test]
    fn what_two_machines_share_is_found_once() {
        let shared = "let yes = true; text = \"PasswordAuthentication yes\"; in { \
            a.services.openssh = { extraConfig = text; settings.PasswordAuthentication = yes; }; \
            b.services.openssh = { extraConfig = text; settings.PasswordAuthentication = yes; }; }";
        assert_eq!(marked("SEC041", shared), "true yes");
    }

    #[test]
    fn other_values_and_other_places_are_silent() {
        let silent = |text: &str| assert_eq!(marked("SEC040 SEC041 SEC042", text), "", "{text}");
        silent("{ services.openssh.settings.PermitRootLogin = \"no\"; }");
        silent("{ services.openssh.settings.PasswordAuthentication = cfg.x; }");
        silent("{ programs.ssh.settings.PasswordAuthentication = true; }");
        silent(
            "{ services.openssh.extraConfig = ''\n  Match User git\n  PasswordAuthentication yes\n''; }",
        );
        silent("{ services.openssh.extraConfig = \"# PermitRootLogin yes\"; }");
        silent(
            "{ nodes.a.services.openssh.settings.PermitRootLogin = \"yes\"; testScript = \"\"; }",
        );
        silent("{ services.openssh.settings.PermitRootLogin = mkVMOverride \"yes\"; }");
        silent(
            "{ services.openssh.settings = { PermitRootLogin = \"yes\"; PasswordAuthentication = false; }; }",
        );
        silent("{ options.services.openssh.settings.PermitRootLogin = \"yes\"; }");
    }
}
