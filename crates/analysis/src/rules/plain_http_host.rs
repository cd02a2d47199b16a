//! SEC051: a web site without encryption.

use cim_nix_base::{Code, Severity};
use cim_nix_syntax::{Node, NodeKind, ast};

use super::hosts::is_private_name;
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC051"),
    name: "plain-http-host",
    severity: Severity::Warning,
    is_default: false,
    fix: FixKind::None,
    check: Check::Nodes(&[NodeKind::Binding], check),
    words: &["virtualHosts"],
    doc: "\
Flags a virtual host of nginx with a public name that is served without TLS.

## Why it matters

Whoever sits between sees and changes what is sent, passwords among it. It is off by default, as
TLS often ends at another server.

## Example

```nix
{ services.nginx.virtualHosts.\"www.example.org\" = { root = \"/var/www\"; }; }
```

## Better

```nix
{
  services.nginx.virtualHosts.\"www.example.org\" = {
    root = \"/var/www\";
    enableACME = true;
    forceSSL = true;
  };
}
```

## Source

NixOS options, `services.nginx.virtualHosts.<name>.forceSSL`.
",
};

/// Attributes of a host that is encrypted, or whose addresses are chosen by hand.
const DECIDED: &[&str] =
    &["addSSL", "enableSSL", "forceSSL", "listen", "listenAddresses", "onlySSL", "rejectSSL"];

fn check(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(binding) = ast::Binding::cast(node) else { return };
    let Some((name, host)) = host_of(binding) else { return };
    let Some(set) = binding.value().and_then(ast::without_parens) else { return };
    if set.kind() != NodeKind::AttrSet || !is_public(&host) || is_decided(set) {
        return;
    }
    if is_of_nginx(node) && context.settings().is_on_host(set) {
        let message = format!("`{host}` is served without encryption");
        report.add(Finding::at(name.range(), message).help("set `forceSSL` and `enableACME`"));
    }
}

/// The name of the host that a binding sets up.
fn host_of(binding: ast::Binding<'_>) -> Option<(Node<'_>, String)> {
    let elements = binding.attr_path()?.elements();
    let (mut before, mut last) = (None, None);
    for element in elements {
        before = last.replace(element);
    }
    let last = last?;
    let is_hosts = match before {
        Some(before) => before.name().as_deref() == Some("virtualHosts"),
        None => {
            let set = binding.node().parent().filter(|set| set.kind() == NodeKind::AttrSet)?;
            let outer = ast::Binding::cast(set.parent()?)?;
            let name = outer.attr_path()?.elements().last()?.name()?;
            name == "virtualHosts"
        }
    };
    is_hosts.then_some((last.node(), last.name()?.into_owned()))
}

fn is_of_nginx(binding: Node<'_>) -> bool {
    std::iter::once(binding)
        .chain(binding.ancestors())
        .filter_map(ast::Binding::cast)
        .any(|around| around.attr_path().is_some_and(|path| path.node().text().contains("nginx")))
}

/// Whether others on the internet may know a host by that name.
fn is_public(host: &str) -> bool {
    let is_address = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b':');
    !is_address && !is_private_name(host)
}

fn is_decided(set: Node<'_>) -> bool {
    let is_one = |name: Option<std::borrow::Cow<'_, str>>| {
        name.is_none_or(|name| DECIDED.contains(&name.as_ref()))
    };
    ast::entries(set).any(|entry| match entry {
        ast::Entry::Binding(binding) => binding
            .attr_path()
            .is_some_and(|path| path.elements().next().is_some_and(|first| is_one(first.name()))),
        ast::Entry::Inherit(inherit) => inherit.names().any(|attr| is_one(attr.name())),
    })
}

#[cfg(test)]
mod tests {
    use crate::rules::testing::marked;

    #[test]
    fn names_within_ones_own_network_are_silent() {
        assert_eq!(
            marked("SEC051", "{ services.nginx.virtualHosts = { \"a.org\" = { }; }; }"),
            "\"a.org\""
        );
        let silent = |text: &str| assert_eq!(marked("SEC051", text), "", "{text}");
        silent(
            "{ services.nginx.virtualHosts = { localhost = { }; \"x.lan\" = { }; \"10.0.0.1\" = { }; }; }",
        );
        silent("{ services.nginx.virtualHosts.\"a.org\" = { inherit (x) forceSSL; }; }");
        silent("{ services.nginx.virtualHosts.\"a.org\" = mkHost { }; }");
        silent("{ services.caddy.virtualHosts.\"a.org\" = { }; }");
    }
}
