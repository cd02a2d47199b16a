//! SEC006 and SEC059: a fetcher that downloads over a connection that anybody on the way can change.

use cim_nix_base::{Applicability, Code, Severity, TextEdit, TextRange};
use cim_nix_syntax::{Node, NodeKind};

use super::fetchers::{Fetch, sketch};
use super::hosts::{host_of, is_this_machine};
use crate::context::Context;
use crate::rewrite::Rewrite;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC006"),
    name: "insecure-url",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::Unsafe,
    check: Check::File(check_unpinned),
    words: &["http://", "ftp://", "git://"],
    doc: "\
Flags `http://`, `ftp://` and `git://` in the call of a fetcher that no hash and no revision pins.

Calls whose argument is computed may be pinned and are left alone, and so are addresses of the
machine itself. Pinned calls are `SEC059`'s, which is off by default.

## Why it matters

Whoever sits between the two machines can replace what is downloaded, and nothing notices.

## Example

```nix
import (fetchTarball \"http://example.org/nixpkgs.tar.gz\") { }
```

## Better

```nix
import (fetchTarball \"https://example.org/nixpkgs.tar.gz\") { }
```

Better still with a hash, which `SEC001` asks for:

```nix
import (fetchTarball {
  url = \"https://example.org/nixpkgs.tar.gz\";
  sha256 = \"0ixcpbzq9cw7bxwizqm19wfwqn7bnxv8h31mqjldc2iflk9sq2br\";
}) { }
```

## When the fix is unsafe

It puts `https://` in the place of `http://`; the server may not offer that, or something else there.

## Source

The protocols themselves: none of them encrypts or signs.
",
};

pub(crate) const PINNED: Rule = Rule {
    code: Code("SEC059"),
    name: "insecure-pinned-url",
    severity: Severity::Info,
    is_default: false,
    fix: FixKind::Unsafe,
    check: Check::File(check_pinned),
    words: &["http://", "ftp://", "git://"],
    doc: "\
Flags `http://`, `ftp://` and `git://` in the call of a fetcher that a hash or a revision pins.

It is off by default: what is downloaded is compared with the hash, so this harms nobody who has the
right hash. Calls that nothing pins are `SEC006`'s.

## Why it matters

Others can see what is downloaded, the next update learns its hash over the same connection, and
ever more networks block these protocols.

## Example

```nix
{ fetchurl }:
fetchurl {
  url = \"http://example.org/tool.tar.gz\";
  hash = \"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\";
}
```

## Better

```nix
{ fetchurl }:
fetchurl {
  url = \"https://example.org/tool.tar.gz\";
  hash = \"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\";
}
```

## When the fix is unsafe

It puts `https://` in the place of `http://`; the server may not offer that, or something else there.

## Source

The protocols themselves: none of them encrypts or signs.
",
};

fn check_unpinned(context: &Context<'_>, report: &mut Report) {
    check(context, true, report);
}

fn check_pinned(context: &Context<'_>, report: &mut Report) {
    check(context, false, report);
}

fn check(context: &Context<'_>, unpinned: bool, report: &mut Report) {
    let fetches = context.fetches().filter(|fetch| fetch.is_unpinned() == unpinned);
    let mut urls: Vec<_> = fetches.flat_map(|fetch| insecure_urls(context, &fetch)).collect();
    // Several calls may share one.
    urls.sort_unstable_by_key(|url| url.id());
    urls.dedup();
    for url in urls {
        let scheme = if sketch(url).starts_with("http") { "http" } else { "this protocol" };
        let message = match unpinned {
            true => format!("anybody on the way can replace what this fetches over {scheme}"),
            false => format!("this is fetched over {scheme}, without encryption"),
        };
        report.add(with_fix(Finding::at(url.range(), message), url));
    }
}

fn insecure_urls<'a>(context: &Context<'a>, fetch: &Fetch<'a>) -> Vec<Node<'a>> {
    let mut urls = fetch.urls(context);
    urls.retain(|url| is_insecure(&sketch(*url)));
    urls
}

fn is_insecure(address: &str) -> bool {
    let address = address.strip_prefix("git+").unwrap_or(address);
    let Some((scheme, rest)) = address.split_once("://") else { return false };
    matches!(scheme, "http" | "ftp" | "git") && !is_this_machine(host_of(rest))
}

/// Offers `https` where it can stand in for `http`.
fn with_fix(found: Finding, url: Node<'_>) -> Finding {
    let text = url.text();
    let Some(at) = text.find("http://").filter(|at| *at <= "\"git+".len()) else {
        return found.help("look for an address that begins with `https://`");
    };
    let behind = url.range().start + (at + "http".len()) as u32;
    let edit = TextEdit::insert(behind, "s");
    let rewrite = match url.kind() {
        NodeKind::Str | NodeKind::Literal => Rewrite::SetTokens {
            node: url.id(),
            tokens: url
                .own_tokens()
                .map(|token| changed(token.range(), token.text(), behind))
                .collect(),
        },
        _ => return found,
    };
    found.fix(Applicability::Unsafe, "use `https`", vec![edit], vec![rewrite])
}

/// The text of a token after the insertion of an `s` at `behind`.
fn changed(range: TextRange, text: &str, behind: u32) -> String {
    if !(range.start..range.end).contains(&behind) {
        return text.to_owned();
    }
    let (front, rest) = text.split_at((behind - range.start) as usize);
    format!("{front}s{rest}")
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed, fixed_unsafely, marked};

    #[test]
    fn unpinned_downloads_in_the_clear_are_found() {
        assert_eq!(marked("SEC006", "fetchTarball \"http://a.org/b\""), "\"http://a.org/b\"");
        assert_eq!(marked("SEC006", "fetchTarball http://a.org/b"), "http://a.org/b");
        assert_eq!(marked("SEC006", "fetchGit { url = \"git://a.org/b\"; }"), "\"git://a.org/b\"");
        let shared = "let u = \"ftp://a\"; in map fetchGit [ (fetchGit u) (fetchGit u) ]";
        assert_eq!(marked("SEC006", shared), "\"ftp://a\"");
        assert_eq!(
            marked("SEC006", "let u = \"ftp://a\"; in builtins.fetchurl { url = u; }"),
            "\"ftp://a\""
        );
        assert_eq!(
            marked("SEC006", "{ fetchurl }: fetchurl { urls = [ \"http://a\" \"https://b\" ]; }"),
            "\"http://a\""
        );
    }

    #[test]
    fn pinned_ones_are_another_rule() {
        let pinned = "{ fetchurl }: fetchurl { url = \"http://a\"; sha256 = \"b\"; }";
        assert_eq!(marked("SEC006", pinned), "");
        assert_eq!(marked("SEC059", pinned), "\"http://a\"");
        assert_eq!(marked("SEC006", "fetchGit { url = \"http://a\"; rev = \"b\"; }"), "");
        assert_eq!(marked("SEC006", "a: fetchTarball ({ url = \"http://a\"; } // a)"), "");
        assert_eq!(marked("SEC006 SEC059", "fetchTarball \"https://a\""), "");
        assert_eq!(marked("SEC006 SEC059", "fetchTarball \"http://localhost:80/a\""), "");
        assert_eq!(marked("SEC006 SEC059", "{ url = \"http://a\"; }"), "");
    }

    #[test]
    fn only_http_has_a_fix() {
        assert_eq!(fixed("SEC006", "fetchTarball \"http://a\""), "fetchTarball \"http://a\"");
        assert_eq!(
            fixed_unsafely("SEC006", "fetchTarball \"http://a\""),
            "fetchTarball \"https://a\""
        );
        assert_eq!(fixed_unsafely("SEC006", "fetchTarball http://a/b"), "fetchTarball https://a/b");
        assert_eq!(
            fixed_unsafely("SEC006", "v: fetchTarball \"http://a/${v}.gz\""),
            "v: fetchTarball \"https://a/${v}.gz\""
        );
        assert_eq!(
            fixed_unsafely("SEC006", "fetchTarball \"ftp://a\""),
            "fetchTarball \"ftp://a\""
        );
    }
}
