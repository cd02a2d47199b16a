//! What a file sets in Nix's own configuration: `nix.settings`, the older options of NixOS, the
//! text of `nix.extraOptions` and `nix.conf`, and the `nixConfig` of a flake, word by word.

use std::borrow::Cow;
use std::collections::HashMap;

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

/// One literal is read for so many settings: a `let` may give it to any number of them.
const MAX_SHARED: usize = 16;

/// What each literal was read for.
#[derive(Default)]
struct Read<'c>(HashMap<NodeId, Vec<(&'c str, bool)>>);

impl<'c> Read<'c> {
    /// Whether `literal` has not been read for the setting yet, and may be.
    fn is_new(&mut self, literal: Node<'_>, name: &'c str, is_of_flake: bool) -> bool {
        // No rule tells these two apart.
        let name = if name == "trusted-substituters" { "substituters" } else { name };
        let known = self.0.entry(literal.id()).or_default();
        let is_new = known.len() < MAX_SHARED && !known.contains(&(name, is_of_flake));
        if is_new {
            known.push((name, is_of_flake));
        }
        is_new
    }
}

/// All words that a file sets, each literal once for a setting.
pub(super) fn words_of<'c>(context: &'c Context<'_>) -> Vec<NixWord<'c>> {
    let mut words = Vec::new();
    let mut read = Read::default();
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
        let is_asked = context.flake().is_some() && settings.names(setting).count() == 2;
        if is_of_flake && !is_asked {
            continue;
        }
        let name = canonical(name);
        let value = context.value_behind(setting.value).unwrap_or(setting.value);
        if read.is_new(value, name, is_of_flake) {
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
        if let Some(literal) = literal.filter(|literal| read.is_new(*literal, "nix.conf", false)) {
            add_lines(literal, &mut words);
        }
    }
    words
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
        check_at("default.nix", text, want);
    }

    #[track_caller]
    fn check_at(path: &str, text: &str, want: &[&str]) {
        let tree = parse(text).tree;
        let ir = lower(&tree);
        let context = Context::new(path, &tree, &ir);
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
    fn what_settings_share_is_read_once() {
        check(
            "let c = \"http://a\"; t = \"a = b\"; in { \
                nix.settings = { substituters = [ c c ]; trusted-substituters = [ c ]; b = c; }; \
                a.nix.extraOptions = t; b.nix.extraOptions = t; }",
            &["substituters http://a", "b http://a", "a b"],
        );
        let settings: String = (0..100).map(|nth| format!("a{nth} = w; ")).collect();
        let words = vec!["w"; 100].join(" ");
        let text = format!("let w = \"{words}\"; in {{ nix.settings = {{ {settings} }}; }}");
        let tree = parse(text.as_str()).tree;
        let ir = lower(&tree);
        let context = Context::new("default.nix", &tree, &ir);
        assert_eq!(words_of(&context).len(), 100 * MAX_SHARED);
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
    fn flakes() {
        let text = "{ nixConfig.extra-substituters = [ \"a\" ]; outputs = _: { }; }";
        check_at("a/flake.nix", text, &["substituters a"]);
        check_at("a/other.nix", text, &[]);
        check_at("flake.nix", "{ a.nixConfig.sandbox = false; }", &[]);
    }
}
