//! SEC052: a kernel without its defences.

use cim_nix_base::{Code, Severity};

use super::raw_text;
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC052"),
    name: "kernel-protection-off",
    severity: Severity::Error,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check),
    words: &["kernelParams"],
    doc: "\
Flags kernel parameters that switch protection against known attacks off.

## Why it matters

Without mitigations, a web page or another account can read the memory of other programs; without
random addresses, faults of the kernel are easier to use. Since 2019, processors pay little for it.

## Example

```nix
{ boot.kernelParams = [ \"quiet\" \"mitigations=off\" ]; }
```

## Better

```nix
{ boot.kernelParams = [ \"quiet\" ]; }
```

## Source

Linux manual, \"Hardware vulnerabilities\" and \"The kernel's command-line parameters\".
",
};

/// Parameters and what they switch off.
const OFF: &[(&str, &str)] = &[
    ("kpti=off", "the separation of kernel and user memory"),
    ("l1tf=off", "protection against L1TF"),
    ("mds=off", "protection against MDS"),
    ("mitigations=off", "protection against Spectre, Meltdown and their like"),
    ("nokaslr", "random addresses of the kernel"),
    ("nopti", "the separation of kernel and user memory"),
    ("nosmap", "protection of the kernel from user memory"),
    ("nosmep", "protection of the kernel from user code"),
    ("nospec_store_bypass_disable", "protection against Spectre v4"),
    ("nospectre_v1", "protection against Spectre v1"),
    ("nospectre_v2", "protection against Spectre v2"),
    ("pti=off", "the separation of kernel and user memory"),
    ("retbleed=off", "protection against Retbleed"),
    ("spec_store_bypass_disable=off", "protection against Spectre v4"),
    ("spectre_v2=off", "protection against Spectre v2"),
    ("tsx_async_abort=off", "protection against TAA"),
];

fn check(context: &Context<'_>, report: &mut Report) {
    for string in raw_text::values(context, &["boot.kernelParams"]) {
        for line in raw_text::lines(string) {
            for word in line.words(line.text) {
                if let Some((_, what)) = OFF.iter().find(|(parameter, _)| *parameter == word) {
                    let message = format!("this switches {what} off");
                    report.add(Finding::at(line.range_of(word), message));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn several_in_one_string() {
        let text = "{ boot = { kernelParams = mkIf c ([ \"a nopti\" ] ++ [ \"nokaslr\" \"mitigations=auto\" ]); }; }";
        assert_eq!(marked("SEC052", text), "nopti nokaslr");
        assert_eq!(marked("SEC052", "{ boot.kernelParams = [ \"mitigations=${x}\" ]; }"), "");
        let shared = "let p = \"nopti\"; in { boot.kernelParams = [ p p ]; }";
        assert_eq!(marked("SEC052", shared), "nopti");
    }
}
