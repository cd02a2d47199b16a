//! SEC048: a container that is none.

use cim_nix_base::{Code, Severity};

use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC048"),
    name: "privileged-container",
    severity: Severity::Error,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check),
    words: &["privileged", "cap-add"],
    doc: "\
Flags containers that run with all rights over the machine.

## Why it matters

A privileged container sees all devices and can load code into the kernel: who breaks into it owns
the machine. Most need one device (`--device`) or one capability (`--cap-add`) only.

## Example

```nix
{ virtualisation.oci-containers.containers.app.extraOptions = [ \"--privileged\" ]; }
```

## Better

```nix
{ virtualisation.oci-containers.containers.app.extraOptions = [ \"--device=/dev/ttyUSB0\" ]; }
```

## Source

Docker manual, `docker run --privileged`.
",
};

const OPTIONS: &[&str] = &[
    "oci-containers.containers.*.extraOptions",
    "containers.*.containerConfig.podmanArgs",
    "services.podman.containers.*.extraPodmanArgs",
];

const SWITCHES: &[&str] =
    &["oci-containers.containers.*.privileged", "services.*.service.privileged"];

fn check(context: &Context<'_>, report: &mut Report) {
    const MESSAGE: &str = "this container has all rights over the machine";
    let settings = context.settings();
    for setting in settings.matching(OPTIONS) {
        let is_privileged = |text: &str| {
            matches!(text, "--privileged" | "--privileged=true" | "--cap-add=ALL" | "--cap-add=all")
        };
        if context.text_value(setting.value).is_some_and(|text| is_privileged(&text)) {
            report.add(Finding::at(setting.value.range(), MESSAGE));
        }
    }
    for setting in settings.matching(SWITCHES) {
        if context.bool_value(setting.value) == Some(true) {
            report.add(Finding::at(setting.value.range(), MESSAGE));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn options_and_switches() {
        let text = "{ virtualisation.oci-containers = { containers.a = { privileged = true; \
            extraOptions = mkIf c [ \"--cap-add=ALL\" \"--cap-add=NET_ADMIN\" ]; }; }; }";
        assert_eq!(marked("SEC048", text), "true \"--cap-add=ALL\"");
        assert_eq!(marked("SEC048", "{ a.extraOptions = [ \"--privileged\" ]; }"), "");
    }
}
