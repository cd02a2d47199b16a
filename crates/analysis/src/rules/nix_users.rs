//! SEC010 and SEC011: who may use Nix, and who may do so as root.

use cim_nix_base::{Code, Severity};

use super::nix_conf;
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const TRUSTED: Rule = Rule {
    code: Code("SEC010"),
    name: "trusted-user",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check_trusted),
    words: &["trusted-users", "trustedUsers"],
    doc: "\
Flags users other than `root` among the trusted users of Nix.

## Why it matters

A trusted user can become root: it may put unsigned paths into the store, choose any cache, and
switch the sandbox off. So every program that runs as that user can, too. To use more caches, list
them in `trusted-substituters`; to deploy, sign what is sent.

## Example

```nix
{ nix.settings.trusted-users = [ \"root\" \"@wheel\" ]; }
```

## Better

```nix
{ nix.settings.trusted-users = [ \"root\" ]; }
```

## Source

Nix manual, `trusted-users`.
",
};

pub(crate) const ALLOWED: Rule = Rule {
    code: Code("SEC011"),
    name: "allowed-for-all",
    severity: Severity::Warning,
    is_default: false,
    fix: FixKind::None,
    check: Check::File(check_allowed),
    words: &["allowed-users", "allowedUsers"],
    doc: "\
Flags a configuration of Nix that lets every user in and trusts a whole group.

## Why it matters

Accounts of services can build and fetch, too, and one that gets into the trusted group is root.
It is off by default, as Nix itself lets every user in.

## Example

```nix
{ nix.settings = { allowed-users = [ \"*\" ]; trusted-users = [ \"@wheel\" ]; }; }
```

## Better

```nix
{ nix.settings = { allowed-users = [ \"@users\" ]; trusted-users = [ \"root\" ]; }; }
```

## Source

Nix manual, `allowed-users`.
",
};

fn check_trusted(context: &Context<'_>, report: &mut Report) {
    for word in nix_conf::words_of(context) {
        let Some(user) = word.text.filter(|_| word.name == "trusted-users") else { continue };
        let message = match user {
            // The group of that name has root alone in it.
            "root" | "@root" => continue,
            "*" => "every user can become root through Nix".to_owned(),
            _ if user.starts_with('@') => {
                format!("every member of `{}` can become root through Nix", &user[1..])
            }
            _ => format!("the user `{user}` can become root through Nix"),
        };
        report.add(Finding::at(word.range, message));
    }
}

fn check_allowed(context: &Context<'_>, report: &mut Report) {
    let words = nix_conf::words_of(context);
    let is_group = |word: &nix_conf::NixWord<'_>| {
        word.name == "trusted-users"
            && word.text.is_some_and(|user| user.starts_with('@') || user == "*")
    };
    let Some(group) = words.iter().find(|word| is_group(word)) else { return };
    for word in words.iter().filter(|word| word.is("allowed-users", "*")) {
        let finding = Finding::at(word.range, "every user may use Nix, and a group is trusted");
        report.add(finding.label(group.range, "who is in here can become root"));
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn computed_users_are_silent() {
        assert_eq!(marked("SEC010", "{ nix.settings.trusted-users = [ \"root\" user ]; }"), "");
        assert_eq!(marked("SEC010", "{ nix.trustedUsers = [ \"*\" ]; }"), "*");
        assert_eq!(marked("SEC010", "{ nix.extraOptions = ''trusted-users = root bob''; }"), "bob");
    }

    #[test]
    fn letting_all_in_needs_a_trusted_group() {
        let text = "{ nix.settings.allowed-users = [ \"*\" ]; }";
        assert_eq!(marked("SEC011", text), "");
    }

    #[test]
    fn the_group_of_root_has_root_alone() {
        let text = "{ nix.settings.trusted-users = [ \"@root\" \"root\" \"@wheel\" ]; }";
        assert_eq!(marked("SEC010", text), "@wheel");
    }
}
