//! SEC009: builds run outside the sandbox.

use cim_nix_base::{Code, Severity};

use super::{nix_conf, raw_text};
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};
use crate::settings::is_conditional_on;

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC009"),
    name: "sandbox-off",
    severity: Severity::Error,
    is_default: true,
    fix: FixKind::Unsafe,
    check: Check::File(check),
    words: &["andbox", "build-use-chroot"],
    doc: "\
Flags `sandbox = false` and `sandbox = \"relaxed\"` in the configuration of Nix.

## Why it matters

Without the sandbox, every build can read the files of the machine, talk to the network and to
running services, and depends on what happens to be installed. With `relaxed`, each package can
leave the sandbox by itself. On macOS, where `false` is the default, files of nix-darwin are not
flagged.

## Example

```nix
{ nix.settings.sandbox = false; }
```

## Better

```nix
{ nix.settings.sandbox = true; }
```

## When the fix is unsafe

Builds that need the network or files of the machine fail inside the sandbox.

## Source

Nix manual, `sandbox`.
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    for word in nix_conf::words_of(context) {
        let message = match word.text {
            Some("false") => "builds run without a sandbox",
            Some("relaxed") => "packages may leave the sandbox when they are built",
            _ => continue,
        };
        if word.name == "sandbox"
            && !is_for_macos(context)
            && !is_conditional_on(word.literal, "arwin")
        {
            let (finding, title) = (Finding::at(word.range, message), "use the sandbox");
            // The option takes no string but `"relaxed"`.
            let is_alone = word.literal.range().len() == word.range.len() + 2;
            let range = if is_alone { word.literal.range() } else { word.range };
            report.add(raw_text::with_fix(finding, title, word.literal, range, "true"));
        }
    }
}

/// Whether a file sets up a Mac, where Nix has no sandbox that all builds pass.
fn is_for_macos(context: &Context<'_>) -> bool {
    let is_named = ["darwin", "macos", "macbook"].iter().any(|word| {
        let path = context.path.as_bytes();
        path.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
    });
    let text = context.text();
    is_named
        || ["homebrew", "system.defaults", "nix-darwin", "darwinSystem"]
            .iter()
            .any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::{fixed_unsafely, marked};

    #[test]
    fn strings_lines_and_older_options() {
        assert_eq!(
            fixed_unsafely("SEC009", "{ nix.settings.sandbox = \"relaxed\"; }"),
            "{ nix.settings.sandbox = true; }"
        );
        assert_eq!(
            fixed_unsafely("SEC009", "{ nix.extraOptions = \"sandbox = false\\nx = y\"; }"),
            "{ nix.extraOptions = \"sandbox = true\\nx = y\"; }"
        );
        assert_eq!(marked("SEC009", "{ nix = mkIf c { useSandbox = mkForce false; }; }"), "false");
    }

    #[test]
    fn other_values_and_macs_are_silent() {
        assert_eq!(marked("SEC009", "{ nix.settings.sandbox = !isDarwin; }"), "");
        assert_eq!(
            marked("SEC009", "{ nix.settings.sandbox = false; homebrew.enable = true; }"),
            ""
        );
        let text = "{ nix = mkMerge [ (optionalAttrs isDarwin { settings.sandbox = false; }) ]; }";
        assert_eq!(marked("SEC009", text), "");
        assert_eq!(marked("SEC009", "{ programs.x.sandbox = false; }"), "");
    }
}
