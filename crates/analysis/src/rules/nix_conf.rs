//! What a file sets in Nix's own configuration: `nix.settings`, the older options of NixOS, the
//! text of `nix.extraOptions` and `nix.conf`, and the `nixConfig` of a flake, word by word.

use std::borrow::Cow;
use std::collections::HashSet;

use cim_nix_base::TextRange;
use cim_nix_syntax::{Node, NodeId, NodeKind};

use super::raw_text;
use crate::context::Context;

/// One word of a setting.
#[derive(Clone, Debug)]
pub(super) struct NixWord<'a> {
    /// The setting in today's spelling, without `extra-`.
    pub(super) name: Cow<'a, str>,
    /// The word; `None` where it is computed.
    pub(super) text: Option<&'a str>,
    pub(super) range: TextRange,
    /// Whether a flake asks its users for it.
    pub(super) is_of_flake: bool,
    /// The literal that the word stands in.
    pub(super) literal: Node<'a>,
}

impl NixWord<'_> {
    /// Whether it is the word `text` of the setting `name`.
    pub(super) fn is(&self, name: &str, text: &str) -> bool {
        self.name == name && self.text == Some(text)
    }
}

/// Where settings of Nix lie in options: their last name is the setting.
const SECTIONS: &[&str] = &["nix.settings.*", "nix.*", "customSettings.*", "nixConfig.*"];

/// Options that hold lines of `nix.conf`.
const TEXTS: &[&str] = &["nix.extraOptions", "*.text"];

/// Words whose presence says that a file may set something here.
pub(super) fn words_of<'c>(context: &'c Context<'_>) -> Vec<NixWord<'c>> {
    let mut words = Vec::new();
    let mut seen = Seen::default();
    let settings = context.settings();
    for setting in settings.matching(SECTIONS) {
        let Some(name) = settings.name(setting, 0) else { continue };
        let section = settings.name(setting, 1);
        let name = match section {
            Some("nix") => match option_of_old(name) {
                Some(name) => name,
                None => continue,
            },
            _ => name,
        };
        let is_of_flake = section == Some("nixConfig");
        // Elsewhere than in a flake, the name means nothing.
        if is_of_flake && settings.names(setting).count() != 2 {
            continue;
        }
        let value = context.value_behind(setting.value).unwrap_or(setting.value);
        let name = canonical(name);
        if seen.is_new(value, name) {
            add_value(context, value, name, is_of_flake, &mut words);
        }
    }
    for setting in settings.matching(TEXTS) {
        let is_nix_conf = settings.name(setting, 0) == Some("extraOptions")
            || settings.name(setting, 1).is_some_and(|file| {
                let file = file.rsplit('/').next().unwrap_or_default();
                matches!(file, "nix.conf" | "nix.custom.conf")
            });
        let literal = context.value_behind(setting.value).filter(|_| is_nix_conf);
        if let Some(literal) = literal.filter(|literal| seen.is_new(*literal, "")) {
            add_lines(literal, &mut words);
        }
    }
    words
}

/// Texts up to this many bytes are read for each setting that shares them; longer ones once.
const MAX_SHARED: u32 = 4096;

/// Which values were read for which settings.
#[derive(Default)]
struct Seen<'c> {
    values: HashSet<(NodeId, &'c str)>,
    long: HashSet<NodeId>,
}

impl<'c> Seen<'c> {
    fn is_new(&mut self, value: Node<'_>, name: &'c str) -> bool {
        let is_short = value.range().len() <= MAX_SHARED;
        (is_short || self.long.insert(value.id())) && self.values.insert((value.id(), name))
    }
}

fn add_value<'c>(
    context: &'c Context<'_>,
    value: Node<'c>,
    name: &'c str,
    is_of_flake: bool,
    out: &mut Vec<NixWord<'c>>,
) {
    let whole = |text, literal: Node<'c>| NixWord {
        name: Cow::Borrowed(name),
        text,
        range: literal.range(),
        is_of_flake,
        literal,
    };
    match value.kind() {
        NodeKind::Str | NodeKind::IndStr => {
            if !value.is_leaf() {
                out.push(whole(None, value));
            }
            for line in raw_text::lines(value) {
                let words = line.words(line.text);
                out.extend(words.map(|word| NixWord {
                    range: line.range_of(word),
                    ..whole(Some(word), value)
                }));
            }
        }
        _ if context.bool_value(value).is_some() => out.push(whole(Some(value.text()), value)),
        _ => out.push(whole(None, value)),
    }
}

fn add_lines<'c>(literal: Node<'c>, out: &mut Vec<NixWord<'c>>) {
    for line in raw_text::lines(literal) {
        let text = line.text.split('#').next().unwrap_or_default();
        let Some((name, value)) = text.split_once('=') else { continue };
        let name = Cow::Borrowed(canonical(name.trim()));
        out.extend(line.words(value).map(|word| NixWord {
            name: name.clone(),
            text: Some(word),
            range: line.range_of(word),
            is_of_flake: false,
            literal,
        }));
    }
}

/// What an option of NixOS before 22.05 sets.
fn option_of_old(name: &str) -> Option<&'static str> {
    Some(match name {
        "allowedUsers" => "allowed-users",
        "binaryCachePublicKeys" => "trusted-public-keys",
        "binaryCaches" => "substituters",
        "requireSignedBinaryCaches" => "require-sigs",
        "sandboxPaths" => "sandbox-paths",
        "trustedBinaryCaches" => "trusted-substituters",
        "trustedUsers" => "trusted-users",
        "useSandbox" => "sandbox",
        _ => return None,
    })
}

/// Today's spelling of a setting.
fn canonical(name: &str) -> &str {
    let name = name.strip_prefix("extra-").unwrap_or(name);
    match name {
        "binary-caches" => "substituters",
        "binary-cache-public-keys" => "trusted-public-keys",
        "build-extra-sandbox-paths" | "build-sandbox-paths" | "build-chroot-dirs" => {
            "sandbox-paths"
        }
        "build-use-sandbox" | "build-use-chroot" => "sandbox",
        "trusted-binary-caches" => "trusted-substituters",
        name => name,
    }
}

#[cfg(test)]
mod tests {
    use cim_nix_semantics::lower;
    use cim_nix_syntax::parse;

    use super::*;

    #[track_caller]
    fn check(text: &str, want: &[&str]) {
        let tree = parse(text).tree;
        let ir = lower(&tree);
        let context = Context::new("default.nix", &tree, &ir);
        let line = |word: &NixWord<'_>| format!("{} {}", word.name, word.text.unwrap_or("?"));
        let got: Vec<String> = words_of(&context).iter().map(line).collect();
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn options_of_any_age() {
        check(
            "{ nix = { settings.sandbox = lib.mkForce false; useSandbox = true; }; }",
            &["sandbox false", "sandbox true"],
        );
        check(
            "{ nix.settings.extra-substituters = [ \"a\" b ] ++ [ \"c d\" ]; }",
            &["substituters a", "substituters ?", "substituters c", "substituters d"],
        );
        check("{ nix.gc.automatic = true; nix.package = x; }", &[]);
    }

    #[test]
    fn texts() {
        check(
            "{ nix.extraOptions = ''\n  sandbox = false # x\n  # sandbox = relaxed\n  a = b ${c}\n''; }",
            &["sandbox false", "a b"],
        );
        check("{ environment.etc.\"nix/nix.conf\".text = \"a = b\\nc = d\"; }", &["a b", "c d"]);
        check("{ environment.etc.other.text = \"a = b\"; }", &[]);
    }

    #[test]
    fn what_several_settings_share_is_read_once() {
        check(
            "let t = \"sandbox = false\"; s = [ \"a\" ]; in { nix.extraOptions = t; \
             x.nix.extraOptions = t; nix.settings.substituters = s; y.nix.settings.substituters = s; }",
            &["substituters ?", "sandbox false"],
        );
    }

    #[test]
    fn flakes() {
        check(
            "{ nixConfig.extra-substituters = [ \"a\" ]; outputs = _: { }; }",
            &["substituters a"],
        );
        check("{ a.nixConfig.sandbox = false; }", &[]);
    }
}
