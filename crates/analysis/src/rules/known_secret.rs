//! SEC026: a string that holds a secret, by its shape.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use cim_nix_base::{Code, Severity, TextRange};
use cim_nix_syntax::{TokenKind, TokenRef};

use super::places::is_test_file;
use super::token_shapes;
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC026"),
    name: "known-secret",
    severity: Severity::Error,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check),
    words: token_shapes::WORDS,
    doc: "\
Flags private keys and the tokens of well-known services in strings.

They are told by their prefix, length and alphabet, and by their checksum where there is a known one:
keys of AWS, GitHub, GitLab, Slack, Stripe, OpenAI, Anthropic, npm, PyPI, Docker, DigitalOcean,
Hugging Face, SendGrid, Tailscale and Telegram, webhooks of Slack and Discord, secret keys of age and
of Nix caches, and private keys as SSH, TLS and PGP write them. Stand-ins (`EXAMPLE`, `xxxx`) and
tests are left alone.

## Why it matters

Who can read the repository, its history or the store of the machine, which everybody on it can,
has the secret. Take it back where it was issued: to delete the line is not enough.

## Example

```nix
{
  environment.etc.\"key.pem\".text = ''
    -----BEGIN PRIVATE KEY-----
    MC4CAQAwBQYDK2VwBCIEIGfzZ0n3v1LqYkTs8rWbXo5AcDeH2mJuKpQiRyNvBtEw
    -----END PRIVATE KEY-----
  '';
}
```

## Better

```nix
{ config }:
{
  services.tool.keyFile = config.sops.secrets.tool.path;
}
```

## Source

The services' own descriptions of their tokens; BIP 173 for the checksum of age's keys.
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    static SEARCH: LazyLock<AhoCorasick> = LazyLock::new(|| {
        AhoCorasick::new(token_shapes::WORDS).expect("a few dozen short words fit")
    });
    let mut end = 0;
    for word in SEARCH.find_iter(context.text()) {
        if word.start() < end {
            continue;
        }
        let token = context.tree.token_at(word.start() as u32);
        end = token.range().end as usize;
        if matches!(token.kind(), TokenKind::StrContent | TokenKind::IndContent) {
            check_token(context, token, report);
        }
    }
}

fn check_token(context: &Context<'_>, token: TokenRef<'_>, report: &mut Report) {
    let Some((range, name)) = token_shapes::find(token.text()) else { return };
    if is_test_file(context.path) {
        return;
    }
    let start = token.range().start;
    let range = TextRange::new(start + range.start as u32, start + range.end as u32);
    let found = Finding::at(range, format!("this looks like {name}"));
    report.add(found.help(
        "take it back where it was issued, and read the next one from a file outside the store",
    ));
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;
    use crate::{Checker, Lints};

    const KEY: &str =
        "BEGIN PRIVATE KEY-----\\nMC4CAQAwBQYDK2VwBCIEIGfzZ0n3v1LqYkTs8rWbXo5AcDeH2mJu";

    #[test]
    fn the_secret_is_marked() {
        let text = format!("{{ a = \"x -----{KEY}\"; }}");
        assert_eq!(marked("SEC026", &text), "-----BEGIN PRIVATE KEY-----");
        let commented = format!("# -----{KEY}\n1");
        assert_eq!(marked("SEC026", &commented), "");
    }

    #[test]
    fn tests_may_have_keys() {
        let mut lints = Lints::nothing();
        lints.select("SEC026").unwrap();
        let text = format!("\"-----{KEY}\"");
        let found =
            |path: &str| Checker::default().check(path, text.as_str(), &lints).findings.len();
        assert_eq!(found("nixos/tests/ssh-keys.nix"), 0);
        assert_eq!(found("hosts/web.nix"), 1);
    }
}
