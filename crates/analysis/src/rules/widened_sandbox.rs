//! SEC014: a hole in the sandbox of builds.

use cim_nix_base::{Code, Severity};

use super::nix_conf;
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC014"),
    name: "widened-sandbox",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check),
    words: &["__noChroot", "sandbox-paths", "sandboxPaths", "__impureHostDeps", "chroot-dirs"],
    doc: "\
Flags packages that leave the sandbox (`__noChroot`), and folders of the machine that builds may see.

## Why it matters

What a build sees of the machine becomes part of its result, so it can neither be repeated nor
trusted; and a build that can write there can reach other builds. Paths of the store, emulators
(`/run/binfmt`), and what macOS keeps in no package are not flagged.

## Example

```nix
{ nix.settings.extra-sandbox-paths = [ \"/var/cache/ccache\" ]; }
```

```nix
derivation { name = \"x\"; system = \"x86_64-linux\"; builder = \"/bin/sh\"; __noChroot = true; }
```

## Better

```nix
{ nix.settings.extra-sandbox-paths = [ \"/bin/sh=/nix/store/abc-busybox/bin/sh\" ]; }
```

## Source

Nix manual, `sandbox-paths` and `__noChroot`.
",
};

/// What the sandbox on macOS must let through, and what is needed to run foreign programs.
const COMMON_PATHS: &[&str] = &[
    "/System/Library/",
    "/usr/lib/",
    "/usr/share/icu/",
    "/Library/",
    "/bin/sh",
    "/dev/",
    "/nix/store/",
    "/private/",
    "/run/binfmt",
    "/usr/bin/",
];

fn check(context: &Context<'_>, report: &mut Report) {
    let settings = context.settings();
    for setting in settings.matching(&["__noChroot", "__impureHostDeps"]) {
        if settings.name(setting, 0) == Some("__noChroot") {
            if context.bool_value(setting.value) == Some(true) {
                report.add(Finding::at(setting.value.range(), "this is built outside the sandbox"));
            }
        } else if let Some(path) = context.text_value(setting.value)
            && !is_harmless(&path)
        {
            let range = setting.value.range();
            report.add(Finding::at(range, "this build may see a path of the machine"));
        }
    }
    for word in nix_conf::words_of(context) {
        let Some(path) = word.text.filter(|_| word.name == "sandbox-paths") else { continue };
        if !is_harmless(path) {
            report.add(Finding::at(word.range, "all builds may see this path of the machine"));
        }
    }
}

fn is_harmless(path: &str) -> bool {
    let source = path.split_once('=').map_or(path, |(_, source)| source);
    COMMON_PATHS.iter().any(|common| source.starts_with(common)) || !source.starts_with('/')
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn paths_that_are_no_holes_are_silent() {
        for path in ["/run/binfmt", "/bin/sh=/nix/store/x", "/usr/lib/libSystem.dylib", "a"] {
            let text = format!("{{ nix.settings.sandbox-paths = [ \"{path}\" ]; }}");
            assert_eq!(marked("SEC014", &text), "", "{path}");
        }
        assert_eq!(marked("SEC014", "{ __noChroot = stdenv.isDarwin; }"), "");
        assert_eq!(marked("SEC014", "{ nix.sandboxPaths = [ \"/x=/home\" ]; }"), "/x=/home");
    }
}
