//! SEC001: a download of the evaluator that no hash checks.

use cim_nix_base::{Code, Severity};

use super::fetchers::{Fetcher, is_remote, sketch};
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC001"),
    name: "unpinned-download",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check),
    words: &["fetchurl", "fetchTarball"],
    doc: "\
Flags `builtins.fetchurl`, `builtins.fetchTarball` and `<nix/fetchurl.nix>` without a hash.

Calls whose argument is computed may hold a hash and are left alone, and so are files of this
machine.

## Why it matters

Nobody checks what is downloaded: whoever controls the server, its name or the network decides what
is evaluated and built. A commit in the address does not help, as the archive is not compared with
it. Pure evaluation refuses such calls.

## Example

```nix
import (fetchTarball \"https://example.org/nixpkgs.tar.gz\") { }
```

```nix
builtins.fetchurl { url = \"https://example.org/data.json\"; }
```

## Better

```nix
import (fetchTarball {
  url = \"https://example.org/nixpkgs.tar.gz\";
  sha256 = \"0ixcpbzq9cw7bxwizqm19wfwqn7bnxv8h31mqjldc2iflk9sq2br\";
}) { }
```

## Source

The Nix manual on `fetchTarball`; in pure evaluation, Nix reports `in pure evaluation mode,
'fetchTarball' requires a 'sha256' argument`.
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    for fetch in context.fetches() {
        if fetch.fetcher != Fetcher::Download || !fetch.is_unpinned() {
            continue;
        }
        let urls = fetch.urls(context);
        // What is known to lie on this machine is no download.
        let is_local = |address: &str| {
            address.starts_with(['/', '.', '~', '\0']) || address.starts_with("file:")
        };
        let mut addresses = urls.iter().map(|url| sketch(*url));
        let is_download = match fetch.argument.text {
            Some(text) => is_remote(&sketch(text)),
            None => !addresses.any(|address| is_local(&address)),
        };
        if is_download {
            let message = format!("nothing checks what this `{}` downloads", fetch.name);
            let found = Finding::at(fetch.function.range(), message);
            report.add(
                found.help("give it an address and a `sha256`, as `nix-prefetch-url` prints it"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn downloads_without_a_hash_are_found() {
        assert_eq!(marked("SEC001", "fetchTarball \"https://a.org/b\""), "fetchTarball");
        assert_eq!(marked("SEC001", "fetchTarball https://a.org/b"), "fetchTarball");
        assert_eq!(marked("SEC001", "v: fetchTarball \"https://a.org/${v}\""), "fetchTarball");
        assert_eq!(marked("SEC001", "u: fetchTarball { url = u; }"), "fetchTarball");
        assert_eq!(
            marked("SEC001", "let a = { url = \"x:y\"; }; in builtins.fetchurl a"),
            "builtins.fetchurl"
        );
        assert_eq!(marked("SEC001", "import <nix/fetchurl.nix> { url = \"http://a\"; }"), "import");
        let wrapped = "let f = a: builtins.fetchurl a; in f { url = \"https://a.org\"; }";
        assert_eq!(marked("SEC001", wrapped), "f");
    }

    #[test]
    fn pinned_local_and_computed_ones_are_fine() {
        assert_eq!(
            marked("SEC001", "fetchTarball { url = \"https://a.org\"; sha256 = \"x\"; }"),
            ""
        );
        assert_eq!(
            marked("SEC001", "s: fetchTarball { url = \"https://a\"; inherit (s) sha256; }"),
            ""
        );
        assert_eq!(marked("SEC001", "a: fetchTarball ({ url = \"https://a\"; } // a)"), "");
        assert_eq!(marked("SEC001", "{ url, sha256 }@args: builtins.fetchurl args"), "");
        assert_eq!(marked("SEC001", "u: fetchTarball u"), "");
        assert_eq!(marked("SEC001", "fetchTarball \"file:///a.tar\""), "");
        assert_eq!(marked("SEC001", "fetchTarball ./a.tar"), "");
        assert_eq!(marked("SEC001", "n: fetchTarball { url = \"https://a\"; ${n} = 1; }"), "");
        assert_eq!(marked("SEC001", "let fetchTarball = x: x; in fetchTarball \"https://a\""), "");
        let wrapped =
            "let f = a: builtins.fetchurl a; in f { url = \"https://a\"; sha256 = \"b\"; }";
        assert_eq!(marked("SEC001", wrapped), "");
    }
}
