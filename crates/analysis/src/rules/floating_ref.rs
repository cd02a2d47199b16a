//! SEC003: a remote repository or flake that is fetched at whatever revision it has today.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::ast;

use super::fetchers::{Fetch, Fetcher, is_remote, sketch};
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC003"),
    name: "floating-ref",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check),
    words: &["fetchGit", "fetchMercurial", "fetchTree", "getFlake"],
    doc: "\
Flags `fetchGit`, `fetchMercurial`, `fetchTree` and `getFlake` of a remote source without a
revision.

A branch or a tag is no revision: both can be moved. Local repositories and paths are left alone,
and so are references that are computed.

## Why it matters

The code that is evaluated changes without a trace whenever somebody pushes, so nobody can say what
a build was made of, and whoever gets into that repository gets in here. Pure evaluation refuses
such calls.

## Example

```nix
builtins.fetchGit {
  url = \"https://example.org/tool.git\";
  ref = \"main\";
}
```

```nix
(builtins.getFlake \"github:NixOS/nixpkgs/nixos-24.05\").lib
```

## Better

```nix
builtins.fetchGit {
  url = \"https://example.org/tool.git\";
  ref = \"main\";
  rev = \"841fcbd04755c7a2865c51c1e2d3b045976b7452\";
}
```

## Source

The Nix manual on `fetchGit` and `getFlake`; in pure evaluation, Nix reports `cannot call 'getFlake'
on unlocked flake reference`.
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    for fetch in context.fetches() {
        if floats(context, &fetch) {
            let message = format!("this `{}` takes whatever revision is there today", fetch.name);
            let help = match fetch.fetcher {
                Fetcher::Flake => {
                    "put the commit behind the reference: `…/<commit>` or `?rev=<commit>`"
                }
                _ => "add `rev = \"<commit>\"`",
            };
            report.add(Finding::at(fetch.function.range(), message).help(help));
        }
    }
}

fn floats(context: &Context<'_>, fetch: &Fetch<'_>) -> bool {
    match (fetch.fetcher, fetch.argument.text) {
        (Fetcher::Repository, Some(text)) => {
            let address = sketch(text);
            is_remote(&address) && !address.contains("rev=")
        }
        (Fetcher::Tree | Fetcher::Flake, Some(text)) => {
            !fetch.argument.is_open && reference_floats(&sketch(text))
        }
        (Fetcher::Repository, None) => fetch.is_unpinned() && has_remote_url(context, fetch),
        (Fetcher::Tree, None) => fetch.is_unpinned() && tree_is_remote(context, fetch),
        _ => false,
    }
}

fn has_remote_url(context: &Context<'_>, fetch: &Fetch<'_>) -> bool {
    fetch.urls(context).iter().any(|url| is_remote(&sketch(*url)))
}

fn tree_is_remote(context: &Context<'_>, fetch: &Fetch<'_>) -> bool {
    let kind = fetch.argument.get("type").and_then(|attr| attr.value);
    let kind = kind.and_then(ast::without_parens).map(sketch);
    match kind.as_deref() {
        Some("github" | "gitlab" | "sourcehut" | "indirect") => true,
        Some("git" | "mercurial" | "tarball" | "file") => has_remote_url(context, fetch),
        _ => false,
    }
}

/// Whether a flake reference is known to be remote and names no commit.
fn reference_floats(reference: &str) -> bool {
    let (place, query) = reference.split_once('?').unwrap_or((reference, ""));
    let is_computed = place.starts_with('\0') || query.contains('\0');
    let pins = ["rev", "narHash"];
    let is_pinned = query.split('&').any(|parameter| {
        let (name, _) = parameter.split_once('=').unwrap_or((parameter, ""));
        pins.contains(&name)
    });
    if is_computed || is_pinned || place.is_empty() {
        return false;
    }
    let place = place.split('#').next().unwrap_or(place);
    let (scheme, rest) = place.split_once(':').unwrap_or(("flake", place));
    match scheme {
        "github" | "gitlab" | "sourcehut" => !ends_in_commit(rest, 2),
        // What other names stand for is a matter of the user's own registry.
        "flake" if rest.split('/').next() == Some("nixpkgs") => !ends_in_commit(rest, 1),
        _ => is_remote(place),
    }
}

/// Whether a part from number `first` on is a commit, or computed.
fn ends_in_commit(path: &str, first: usize) -> bool {
    let is_commit = |part: &str| part.len() >= 40 && part.bytes().all(|b| b.is_ascii_hexdigit());
    path.split('/').skip(first).any(|part| part.contains('\0') || is_commit(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::marked;

    #[test]
    fn remote_sources_without_a_revision_are_found() {
        assert_eq!(marked("SEC003", "fetchGit \"https://a.org/b.git\""), "fetchGit");
        assert_eq!(
            marked("SEC003", "fetchGit { url = \"git@a.org:b.git\"; ref = \"v1\"; }"),
            "fetchGit"
        );
        assert_eq!(marked("SEC003", "fetchMercurial \"https://a.org/b\""), "fetchMercurial");
        assert_eq!(
            marked("SEC003", "builtins.fetchTree { type = \"github\"; owner = 1; repo = 2; }"),
            "builtins.fetchTree"
        );
        assert_eq!(
            marked("SEC003", "fetchGit { url = \"ssh://git@a.org/b\"; submodules = true; }"),
            "fetchGit"
        );
    }

    #[test]
    fn pinned_local_and_unknown_ones_are_fine() {
        assert_eq!(marked("SEC003", "fetchGit ./."), "");
        assert_eq!(marked("SEC003", "fetchGit { url = ./.; }"), "");
        assert_eq!(marked("SEC003", "fetchGit \"/home/me/b\""), "");
        assert_eq!(marked("SEC003", "fetchGit { url = \"file:///b\"; }"), "");
        assert_eq!(marked("SEC003", "fetchGit { url = \"https://a\"; rev = \"b\"; }"), "");
        assert_eq!(marked("SEC003", "{ url, rev }: fetchGit { inherit url rev; }"), "");
        assert_eq!(marked("SEC003", "u: fetchGit u"), "");
        assert_eq!(marked("SEC003", "u: fetchGit { url = u; ref = \"a\"; }"), "");
        assert_eq!(marked("SEC003", "l: builtins.fetchTree l.locked"), "");
        assert_eq!(marked("SEC003", "l: builtins.fetchTree (l // { type = \"github\"; })"), "");
        assert_eq!(marked("SEC003", "builtins.fetchTree { type = \"path\"; path = \"/a\"; }"), "");
        assert_eq!(marked("SEC003", "builtins.getFlake (toString ./.)"), "");
        assert_eq!(marked("SEC003", "builtins.getFlake \"${./.}\""), "");
    }

    #[test]
    fn references_of_flakes() {
        let commit = "841fcbd04755c7a2865c51c1e2d3b045976b7452";
        for (reference, floats) in [
            ("nixpkgs", true),
            ("self", false),
            ("flake:nixpkgs/nixos-24.05", true),
            ("github:NixOS/nixpkgs", true),
            ("git+https://a.org/b?ref=main", true),
            ("https://a.org/b.tar.gz", true),
            ("git+ssh://git@a.org/b", true),
            (&format!("github:NixOS/nixpkgs/{commit}"), false),
            (&format!("nixpkgs/{commit}"), false),
            (&format!("git+https://a.org/b?rev={commit}"), false),
            ("https://a.org/b.tar.gz?narHash=sha256-x", false),
            ("github:NixOS/nixpkgs/\0", false),
            ("git+https://a.org/b?\0", false),
            ("path:/a", false),
            ("git+file:///a", false),
            ("/a", false),
            ("./a", false),
            ("\0", false),
            ("", false),
        ] {
            assert_eq!(reference_floats(reference), floats, "{reference:?}");
        }
    }
}
