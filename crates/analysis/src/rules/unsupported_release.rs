//! DEP006: a release of Nixpkgs that gets no updates any more.

use cim_nix_base::{Code, Severity};
use cim_nix_flake::{Repository, date};
use cim_nix_model::FlakeRef;

use crate::context::Context;
use crate::flake::FlakeFacts;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("DEP006"),
    name: "unsupported-release",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::Flake(check),
    words: &[],
    doc: "\
Flags an input that asks for a release of Nixpkgs which was out of support when the project last
updated anything.

A release of May is supported until the end of December, one of November until the end of June. When
the project was last updated is told by the newest date in its lock file, so the verdict does not
change by itself; `check.dependencies.date` in `cim-nix.toml` sets a later one.

## Why it matters

A release out of support gets no security fixes, and its branch never moves: `nix flake update` looks
as if it had updated it.

## Example

With a `flake.lock` that holds something newer than June 2023:

```nix
{
  inputs.nixpkgs.url = \"github:NixOS/nixpkgs/nixos-22.11\";
  outputs = { self, nixpkgs }: { };
}
```

## Better

```nix
{
  inputs.nixpkgs.url = \"github:NixOS/nixpkgs/nixos-23.05\";
  outputs = { self, nixpkgs }: { };
}
```

## Source

The release notes of NixOS, each of which says until when its release is supported; the releases of
2020 ended in October and June. Also found by flake-checker.
",
};

fn check(context: &Context<'_>, facts: &FlakeFacts<'_>, report: &mut Report) {
    let Some(now) = facts.date() else { return };
    for (name, input) in facts.file.declared() {
        let Some(reference) = input.reference.filter(|r| Repository::of(r) == Repository::Nixpkgs)
        else {
            continue;
        };
        let Some((branch, release)) = release(&reference) else { continue };
        let Some(end) = end_of_support(release).filter(|end| *end <= now) else { continue };
        let declared = facts.file.input(&name).map(|input| input.source_range());
        let range = declared.unwrap_or_else(|| facts.file.place(context.tree, &name));
        let message = format!(
            "`{branch}` has been out of support since {}, and this project was updated on {}",
            date(end),
            date(now)
        );
        report.add(Finding::at(range, message));
    }
}

/// The release that a reference asks for: what it calls it, and its year and month.
fn release(reference: &FlakeRef) -> Option<(&str, (u32, u32))> {
    let url = reference.text("url").unwrap_or_default();
    let mut words = reference.text("ref").into_iter().chain(url.split(['/', '?', '&', '=']));
    words.find_map(|word| {
        let rest = ["nixos-", "release-", "nixpkgs-"].iter().find_map(|p| word.strip_prefix(p))?;
        let digits = |range: std::ops::Range<usize>| rest.get(range)?.parse::<u32>().ok();
        let (year, month) = (digits(0..2)?, digits(3..5)?);
        let tail = rest.get(5..)?;
        let is_release = rest.as_bytes()[2] == b'.'
            && matches!(month, 3 | 5 | 9 | 11)
            && matches!(tail, "" | "-small" | "-darwin" | "-aarch64");
        is_release.then_some((word, (year, month)))
    })
}

/// The first second without support, since 1970. Nothing for releases that were before flakes.
fn end_of_support((year, month): (u32, u32)) -> Option<u64> {
    let (year, month) = match (year, month) {
        (..=19, _) => return None,
        (20, 3) => (20, 11),
        (20, 9) => (21, 7),
        (_, 5) => (year + 1, 1),
        (_, 11) => (year + 1, 7),
        _ => return None,
    };
    // Days since 1970 of the first of a month, for years from 2000 to 2099.
    const BEFORE: [u32; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap_days = year.div_ceil(4) + u32::from(year % 4 == 0 && month > 2);
    let days = 10_957 + year * 365 + leap_days + BEFORE[month as usize - 1];
    Some(u64::from(days) * 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{flake_found, flake_lock};

    #[test]
    fn ends_are_those_of_the_release_notes() {
        let end = |year, month| end_of_support((year, month)).map(date);
        let cases = [
            ((20, 3), "2020-11-01"),
            ((20, 9), "2021-07-01"),
            ((21, 5), "2022-01-01"),
            ((23, 11), "2024-07-01"),
            ((24, 5), "2025-01-01"),
            ((25, 11), "2026-07-01"),
            ((27, 11), "2028-07-01"),
        ];
        for ((year, month), want) in cases {
            assert_eq!(end(year, month).as_deref(), Some(want));
        }
        assert_eq!(end(19, 9), None);
        assert_eq!(end(24, 9), None);
    }

    #[test]
    fn a_release_is_out_when_something_newer_is_locked() {
        let check = |url: &str, seconds: u64, is_found: bool| {
            let text = format!(
                "{{ inputs.n.url = \"{url}\"; inputs.a.url = \"github:o/a\"; outputs = x: {{ }}; }}"
            );
            let lock = flake_lock(&format!("root: a\na: @ github:o/a ~{seconds}"));
            assert_eq!(
                !flake_found("DEP006", &text, &lock).is_empty(),
                is_found,
                "{url} {seconds}"
            );
        };
        let (before, after) = (1_688_169_599, 1_688_169_600);
        check("github:NixOS/nixpkgs/nixos-22.11", before, false);
        check("github:NixOS/nixpkgs/nixos-22.11", after, true);
        check("github:nixos/nixpkgs/release-22.11", after, true);
        check("github:NixOS/nixpkgs?ref=nixpkgs-22.11-darwin", after, true);
        check("nixpkgs/nixos-22.11", after, true);
        check("git+https://github.com/NixOS/nixpkgs?ref=nixos-22.11", after, true);
        check("https://channels.nixos.org/nixos-22.11/nixexprs.tar.xz", after, true);
        check("github:NixOS/nixpkgs/nixos-23.05", after, false);
        check("github:NixOS/nixpkgs/nixos-unstable", after, false);
        check("github:someone/nixpkgs/nixos-22.11", after, false);
        check("github:NixOS/nixpkgs/nixos-22.1", after, false);
    }

    #[test]
    fn without_a_lock_file_nothing_is_known() {
        let text = "{ inputs.n.url = \"github:NixOS/nixpkgs/nixos-22.11\"; outputs = x: { }; }";
        assert_eq!(flake_found("DEP006", text, ""), "");
    }
}
