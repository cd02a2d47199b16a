//! Calls of fetchers: which one it is, what it is given, and what pins what it downloads.
//!
//! Known are the builtins, `<nix/fetchurl.nix>`, the fetchers of nixpkgs by their names, and
//! functions of the same file that hand their whole argument on to one of these. What is computed
//! (`fetchurl args`, `{ … } // args`, a name from elsewhere) is open: it may hold anything.

use std::borrow::Cow;

use cim_nix_syntax::{Node, NodeKind, TokenKind, ast, literal};

use super::hosts::{host_of, is_this_machine};
use crate::context::Context;
use crate::origin::{Attribute, Home, attribute};

/// What a fetcher is and what can pin its result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fetcher {
    /// `builtins.fetchurl`, `builtins.fetchTarball`, `<nix/fetchurl.nix>`: a hash.
    Download,
    /// `builtins.fetchGit` and `builtins.fetchMercurial`: a revision.
    Repository,
    /// `builtins.fetchTree`: a revision or a hash.
    Tree,
    /// `builtins.getFlake`: a revision or a hash within the reference.
    Flake,
    /// A fetcher of nixpkgs: a hash.
    Package,
}

/// One call of a fetcher.
#[derive(Clone, Debug)]
pub(crate) struct Fetch<'a> {
    pub(crate) fetcher: Fetcher,
    /// The fetcher's name, as messages spell it.
    pub(crate) name: &'a str,
    /// What is called.
    pub(crate) function: Node<'a>,
    /// What it is called with.
    pub(crate) argument: Argument<'a>,
    /// Whether the result's attributes are overridden at once: the hash may come from there.
    pub(crate) is_overridden: bool,
}

/// What a fetcher is called with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Argument<'a> {
    /// The set literals it is made of; later ones win.
    pub(crate) sets: Vec<Node<'a>>,
    /// A string, a URI or a path in the place of a set.
    pub(crate) text: Option<Node<'a>>,
    /// Whether it may have attributes that cannot be seen.
    pub(crate) is_open: bool,
}

/// The attributes that pin what a fetcher gives.
pub(crate) const HASHES: &[&str] =
    &["hash", "sha256", "sha512", "sha1", "md5", "outputHash", "narHash", "sha384", "cid"];

/// The fetchers of nixpkgs that want a hash, by name.
const PACKAGES: &[&str] = &[
    "fetchCargoTarball",
    "fetchCargoVendor",
    "fetchCrate",
    "fetchDebianPatch",
    "fetchFirefoxAddon",
    "fetchFrom9Front",
    "fetchFromBitbucket",
    "fetchFromCodeberg",
    "fetchFromForgejo",
    "fetchFromGitHub",
    "fetchFromGitLab",
    "fetchFromGitea",
    "fetchFromGitiles",
    "fetchFromRadicle",
    "fetchFromRepoOrCz",
    "fetchFromSavannah",
    "fetchFromSourcehut",
    "fetchHex",
    "fetchItchIo",
    "fetchMavenArtifact",
    "fetchMixDeps",
    "fetchNextcloudApp",
    "fetchNpmDeps",
    "fetchNuGet",
    "fetchPnpmDeps",
    "fetchPypi",
    "fetchPypiLegacy",
    "fetchRadiclePatch",
    "fetchRepoProject",
    "fetchYarnDeps",
    "fetchbzr",
    "fetchcvs",
    "fetchdarcs",
    "fetchfossil",
    "fetchgit",
    "fetchgitPrivate",
    "fetchgx",
    "fetchhg",
    "fetchipfs",
    "fetchmtn",
    "fetchpatch",
    "fetchpatch2",
    "fetchpijul",
    "fetchs3",
    "fetchsvn",
    "fetchsvnssh",
    "fetchtorrent",
    "fetchurl",
    "fetchzip",
    "requireFile",
];

/// Pieces of an argument, attributes of a set and addresses in a list are looked at up to this many,
/// texts up to that length. No hand-written call has more, and a set or text may be that of many calls.
const MAX_PIECES: usize = 32;
const MAX_ENTRIES: usize = 256;
const MAX_TEXT: usize = 4096;

impl<'a> Fetch<'a> {
    /// The call of a fetcher that `node` is.
    pub(crate) fn of(context: &Context<'a>, node: Node<'a>) -> Option<Self> {
        let call = (node.kind() == NodeKind::Apply).then_some(node)?;
        let function = call.child(0)?;
        let (mut fetcher, mut name, mut n_skipped) = fetcher_of(context, function, call.child(1))?;
        if name.is_empty() {
            (fetcher, name) = handed_on(context, function)?;
            n_skipped = 0;
        }
        let argument = argument_of(context, call.child(1 + n_skipped)?);
        // An add-on that is there already is only put in its place.
        if name == "fetchFirefoxAddon" && argument.get("src").is_some() {
            return None;
        }
        Some(Self { fetcher, name, function, argument, is_overridden: is_overridden(call) })
    }

    /// What pins the result, as far as it can be seen.
    pub(crate) fn pin(&self) -> Option<Attribute<'a>> {
        let revision = matches!(self.fetcher, Fetcher::Repository | Fetcher::Tree);
        let names = HASHES.iter().copied().chain(revision.then_some("rev"));
        self.argument.first_of(names)
    }

    /// Whether nothing pins the result, for certain.
    pub(crate) fn is_unpinned(&self) -> bool {
        !self.argument.is_open && !self.is_overridden && self.pin().is_none()
    }

    /// The strings that say where to fetch from.
    pub(crate) fn urls(&self, context: &Context<'a>) -> Vec<Node<'a>> {
        let mut urls = Vec::new();
        urls.extend(self.argument.text);
        for name in ["url", "urls"] {
            let value = self.argument.get(name).and_then(|attr| attr.value);
            let Some(value) = value.and_then(|value| context.value_behind(value)) else { continue };
            match value.kind() {
                NodeKind::List => {
                    let listed = value.children().take(MAX_ENTRIES);
                    urls.extend(listed.filter_map(|url| context.value_behind(url)));
                }
                _ => urls.push(value),
            }
        }
        urls.retain(|url| url.range().as_usize().len() <= MAX_TEXT);
        urls
    }
}

impl<'a> Argument<'a> {
    /// The attribute `name`, written as one name.
    pub(crate) fn get(&self, name: &str) -> Option<Attribute<'a>> {
        self.sets.iter().rev().find_map(|set| attribute(*set, name))
    }

    fn first_of(&self, mut names: impl Iterator<Item = &'static str>) -> Option<Attribute<'a>> {
        names.find_map(|name| self.get(name))
    }
}

/// The fetcher that `function` is, its name, and how many of the call's arguments belong to it. The
/// name is empty for a function of this file, which may hand its argument on.
fn fetcher_of<'a>(
    context: &Context<'a>,
    function: Node<'a>,
    argument: Option<Node<'a>>,
) -> Option<(Fetcher, &'a str, usize)> {
    if function.kind() == NodeKind::Select && !is_fetchers_name(last_name(function.text())) {
        return None;
    }
    let origin = context.origin(function)?;
    match (origin.home, origin.name) {
        (Home::Builtins, "import") => {
            let path = literal::search_path(argument?)?;
            (path == "nix/fetchurl.nix").then_some((Fetcher::Download, "<nix/fetchurl.nix>", 1))
        }
        (Home::Builtins, name) => Some((builtin_fetcher(name)?, name, 0)),
        (Home::Packages | Home::Unknown, name) => {
            PACKAGES.binary_search(&name).ok().map(|_| (Fetcher::Package, name, 0))
        }
        (Home::Local, _) => Some((Fetcher::Package, "", 0)),
        (Home::Lib, _) => None,
    }
}

/// The last name of a selection, as it is written.
fn last_name(text: &str) -> &str {
    text.rsplit('.')
        .next()
        .unwrap_or(text)
        .trim_end_matches(['"', ')', ' '])
        .trim_start_matches('"')
}

fn is_fetchers_name(name: &str) -> bool {
    PACKAGES.binary_search(&name).is_ok() || builtin_fetcher(name).is_some() || name == "import"
}

/// The text of a short string, or of the one that a `let` gives a name to.
pub(crate) fn short_text<'a>(context: &Context<'a>, node: Node<'a>) -> Option<Cow<'a, str>> {
    let value = context.value_behind(node)?;
    (value.range().as_usize().len() <= MAX_TEXT).then_some(())?;
    ast::Str::cast(value)?.static_value()
}

fn builtin_fetcher(name: &str) -> Option<Fetcher> {
    Some(match name {
        "fetchurl" | "fetchTarball" => Fetcher::Download,
        "fetchGit" | "fetchMercurial" => Fetcher::Repository,
        "fetchTree" => Fetcher::Tree,
        "getFlake" => Fetcher::Flake,
        _ => return None,
    })
}

/// The fetcher that a function of this file is: `import <nix/fetchurl.nix>`, or `args: fetch args`.
fn handed_on<'a>(context: &Context<'a>, function: Node<'a>) -> Option<(Fetcher, &'a str)> {
    let value = context.value_behind(function)?;
    if value.kind() == NodeKind::Apply {
        let (fetcher, name, n_skipped) =
            fetcher_of(context, value.child(0)?, value.child(1)).filter(|found| found.2 == 1)?;
        return value.child(1 + n_skipped).is_none().then_some((fetcher, name));
    }
    let lambda = ast::Lambda::cast(value)?;
    (!lambda.node().child(0).is_some_and(is_long)).then_some(())?;
    let parameter = match (lambda.param(), lambda.pattern()) {
        (Some(param), _) => param.name(),
        (_, Some(pattern)) => pattern.bind_name()?.text(),
        _ => return None,
    };
    let call = ast::without_parens(lambda.body()?).filter(|body| body.kind() == NodeKind::Apply)?;
    let (fetcher, name, n_skipped) = fetcher_of(context, call.child(0)?, call.child(1))?;
    let is_whole = call.child(1 + n_skipped)?.text() == parameter;
    (is_whole && !name.is_empty()).then_some((fetcher, name))
}

/// Whether attributes of the call's result are overridden where it stands.
fn is_overridden(call: Node<'_>) -> bool {
    let around = call.ancestors().find(|above| above.kind() != NodeKind::Paren);
    let path = around.filter(|node| node.kind() == NodeKind::Select).and_then(|node| node.child(1));
    path.is_some_and(|path| path.text().starts_with("override"))
}

fn argument_of<'a>(context: &Context<'a>, node: Node<'a>) -> Argument<'a> {
    let mut argument = Argument::default();
    let mut open = vec![node];
    for n_seen in 0.. {
        let Some(node) = open.pop() else { break };
        let node = if n_seen < MAX_PIECES { context.value_behind(node) } else { None };
        let Some(node) = node else {
            argument.is_open = true;
            break;
        };
        match node.kind() {
            NodeKind::AttrSet => {
                if is_long(node) {
                    argument.is_open = true;
                    break;
                }
                argument.is_open |= has_computed_names(node);
                argument.sets.push(node);
            }
            NodeKind::Str | NodeKind::IndStr | NodeKind::Path => argument.text = Some(node),
            NodeKind::Literal if node.own_token(TokenKind::Uri).is_some() => {
                argument.text = Some(node);
            }
            _ if is_long(node) => argument.is_open = true,
            NodeKind::Binary if node.own_token(TokenKind::Update).is_some() => {
                let operands: Vec<_> = node.children().collect();
                open.extend(operands.into_iter().rev());
            }
            // A fixed point (`finalAttrs: { … }`) or what only gives names.
            NodeKind::Lambda | NodeKind::LetIn | NodeKind::With | NodeKind::Assert => {
                open.extend(node.last_child());
            }
            _ => argument.is_open = true,
        }
    }
    // Of a text beside sets, nothing is known.
    argument.is_open |= argument.text.is_some() && !argument.sets.is_empty();
    argument
}

/// Whether a node has so many children that it is not looked at: many calls may share it.
fn is_long(node: Node<'_>) -> bool {
    node.children().nth(MAX_ENTRIES).is_some()
}

fn has_computed_names(set: Node<'_>) -> bool {
    ast::entries(set).any(|entry| match entry {
        ast::Entry::Binding(binding) => {
            let mut names = binding.attr_path().into_iter().flat_map(|path| path.elements());
            names.any(|name| name.name().is_none())
        }
        ast::Entry::Inherit(inherit) => inherit.names().any(|name| name.name().is_none()),
    })
}

/// What a string, URI or path begins with. A NUL stands for what is interpolated.
pub(crate) fn sketch(node: Node<'_>) -> String {
    if let Some(uri) = literal::uri(node) {
        return uri.to_owned();
    }
    let parts = match node.kind() {
        NodeKind::Path => literal::path_parts(node),
        _ => literal::string_parts(node),
    };
    let text = |part: &literal::StrPart<'_>| match part {
        literal::StrPart::Text(text) => text.to_string(),
        literal::StrPart::Interpol(_) => "\0".to_owned(),
    };
    parts.iter().map(text).collect()
}

/// Whether an address is known to lead to another machine.
pub(crate) fn is_remote(address: &str) -> bool {
    let Some((scheme, rest)) = address.split_once("://") else {
        // `user@host:path`, as SSH writes it.
        return address
            .split_once(':')
            .is_some_and(|(host, _)| host.contains('@') && !host.contains(['/', '\0']));
    };
    let scheme = scheme.rsplit('+').next().unwrap_or(scheme);
    matches!(scheme, "http" | "https" | "ftp" | "git" | "ssh") && !is_this_machine(host_of(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::marked;

    #[test]
    fn fetchers_are_found_by_halving() {
        assert!(PACKAGES.is_sorted());
    }

    #[test]
    fn addresses_of_other_machines() {
        for (address, remote) in [
            ("https://a.org/b", true),
            ("git+ssh://git@a.org/b", true),
            ("git@a.org:b/c", true),
            ("http://localhost:80/a", false),
            ("http://127.0.0.1/a", false),
            ("http://127.0.0.1.a.org/b", true),
            ("http://127.0.0.1:b@a.org/c", true),
            ("http://[::1]:80/a", false),
            ("http://[2001:db8::1]/a", true),
            ("file:///a", false),
            ("git+file:///a", false),
            ("/a/b", false),
            ("./a@b:c", false),
            ("", false),
        ] {
            assert_eq!(is_remote(address), remote, "{address}");
        }
    }

    #[test]
    fn what_many_calls_share_is_looked_at_in_part() {
        let entries: String = (0..300).map(|nth| format!("a{nth} = 1; ")).collect();
        assert_eq!(marked("SEC002", &format!("{{ fetchurl }}: fetchurl {{ {entries} }}")), "");
        let urls = "\"http://a\" ".repeat(300);
        let text = format!("{{ fetchurl }}: fetchurl {{ urls = [ {urls} ]; }}");
        assert_eq!(marked("SEC006", &text).matches("http").count(), MAX_ENTRIES);
    }
}
