//! What path an expression amounts to, as far as the text tells.

use std::borrow::Cow;

use cim_nix_syntax::literal::{self, StrPart};
use cim_nix_syntax::{Node, NodeKind, TokenKind, ast};

use super::context::head_name;
use super::{SELF, Target};

/// A path while it is put together.
#[derive(Clone, Debug)]
pub(super) struct Value<'t> {
    /// The path, or how it begins.
    text: Cow<'t, str>,
    /// What is known behind the part that is not.
    suffix: String,
    /// Whether some part of it is known at run time only.
    is_open: bool,
    is_search: bool,
    /// Whether it begins in the folder of the flake.
    is_flake: bool,
    /// Whether the text was glued to something that makes another path of it.
    is_lost: bool,
}

impl<'t> Value<'t> {
    /// The value of a path or search path; `None` for paths in the home folder, which are no
    /// project's.
    pub(super) fn of_literal(node: Node<'t>) -> Option<Self> {
        let mut value = Self {
            text: Cow::Borrowed(""),
            suffix: String::new(),
            is_open: false,
            is_search: false,
            is_flake: false,
            is_lost: false,
        };
        if node.kind() == NodeKind::SearchPath {
            value.is_search = true;
            value.text = Cow::Borrowed(literal::search_path(node)?);
            return Some(value);
        }
        if node.is_leaf() {
            let text = node.text();
            value.text = Cow::Owned(normalise(text));
            return (!text.starts_with('~')).then_some(value);
        }
        for part in literal::path_parts(node) {
            value.push(part);
        }
        (!value.text.starts_with('~')).then_some(value)
    }

    /// The value of `self` and `inputs.self`, which is nothing yet.
    pub(super) fn of_flake(node: Node<'t>) -> Option<Self> {
        let is_self = match node.kind() {
            NodeKind::Ident => node.text() == SELF,
            NodeKind::Select => node.text() == "inputs.self",
            _ => false,
        };
        is_self.then_some(Self {
            text: Cow::Borrowed(""),
            suffix: String::new(),
            is_open: false,
            is_search: false,
            is_flake: true,
            is_lost: false,
        })
    }

    /// Whether something stands behind what it begins with.
    pub(super) fn goes_on(&self) -> bool {
        self.text.starts_with('/')
    }

    /// Goes from `node`, which has this value, up to the largest expression that is this path with
    /// something behind it, and takes that on.
    pub(super) fn climb(&mut self, mut node: Node<'t>) -> Node<'t> {
        while let Some(parent) = node.parent() {
            let above = match parent.kind() {
                NodeKind::Paren => Some(parent),
                NodeKind::Binary => self.concatenation(parent, node),
                NodeKind::Interpol => self.string(parent),
                NodeKind::Apply if is_conversion(parent, node) => Some(parent),
                _ => None,
            };
            match above {
                Some(above) => node = above,
                None => break,
            }
        }
        node
    }

    /// `path + "/x"`; the path must come first.
    fn concatenation(&mut self, sum: Node<'t>, first: Node<'t>) -> Option<Node<'t>> {
        if ast::Binary::cast(sum)?.operator() != TokenKind::Add || sum.child(0)? != first {
            return None;
        }
        for operand in sum.children().skip(1) {
            let operand = ast::without_parens(operand).unwrap_or(operand);
            match operand.kind() {
                NodeKind::Str | NodeKind::IndStr => {
                    literal::string_parts(operand).into_iter().for_each(|part| self.push(part));
                }
                _ => self.open(),
            }
        }
        Some(sum)
    }

    /// `"${path}/x"`; the path must come first.
    fn string(&mut self, interpol: Node<'t>) -> Option<Node<'t>> {
        let string = interpol.parent()?;
        // A script can hold many paths; its text is only looked at for the first.
        if string.child(0) != Some(interpol) {
            return None;
        }
        let mut parts = literal::string_parts(string).into_iter();
        let is_first = parts.next() == Some(StrPart::Interpol(interpol));
        let rest: Vec<StrPart<'t>> = parts.collect();
        let is_path = match rest.first() {
            Some(StrPart::Text(text)) => text.starts_with('/') && !text.contains(['\n', ' ']),
            Some(StrPart::Interpol(_)) => false,
            None => true,
        };
        if !is_first || !is_path {
            return None;
        }
        rest.into_iter().for_each(|part| self.push(part));
        Some(string)
    }

    /// Whether it is, or ends like, the path of a Nix file.
    pub(super) fn names_source(&self) -> bool {
        let end = if self.is_open { &*self.suffix } else { &*self.text };
        end.ends_with(".nix")
    }

    /// The value with `text` behind it.
    pub(super) fn with(mut self, text: &'static str) -> Self {
        if !text.is_empty() {
            self.push(StrPart::Text(Cow::Borrowed(text)));
        }
        self
    }

    fn push(&mut self, part: StrPart<'t>) {
        match part {
            StrPart::Interpol(_) => self.open(),
            StrPart::Text(text) if self.is_open => self.suffix.push_str(&text),
            StrPart::Text(text) if self.text.is_empty() && !self.is_search => self.text = text,
            StrPart::Text(text) => {
                // `./. + "x"` is a sibling of the folder, which is surely not what was meant.
                let names_folder = matches!(last_name(&self.text), "" | "." | "..");
                self.is_lost |= names_folder && !self.is_search && !text.starts_with('/');
                self.text.to_mut().push_str(&text);
            }
        }
    }

    fn open(&mut self) {
        self.is_open = true;
        self.suffix.clear();
    }

    /// What it leads to; `None` if that can be no Nix file.
    pub(super) fn finish(self) -> Option<Target> {
        if self.is_lost {
            return None;
        }
        if self.is_search {
            return Some(Target::Search(self.text.into()));
        }
        if self.is_flake {
            let text = self.text.trim_start_matches('/').to_owned();
            let inner = Self { text: Cow::Owned(text), is_flake: false, ..self };
            return Some(Target::Flake(Box::new(inner.finish()?)));
        }
        if !self.is_open {
            return Some(Target::Path(normalise(&self.text).into()));
        }
        if is_foreign(&self.suffix) {
            return None;
        }
        Some(Target::Below {
            prefix: normalise_prefix(&self.text).into(),
            suffix: self.suffix.into(),
        })
    }
}

/// Whether a path that ends in `suffix` is a file of another language.
fn is_foreign(suffix: &str) -> bool {
    let extension = last_name(suffix).rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|extension| {
        let is_word = extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_word && extension.starts_with(|c: char| c.is_ascii_alphabetic()) && extension != "nix"
    })
}

/// Whether `apply` gives `argument` back as a string or path.
fn is_conversion(apply: Node<'_>, argument: Node<'_>) -> bool {
    apply.child(1) == Some(argument)
        && argument.next_sibling().is_none()
        && matches!(head_name(apply), "toString" | "toPath" | "unsafeDiscardStringContext")
}

fn last_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// The path without `.`, doubled slashes and names that a `..` takes back; `.` for nothing.
pub(super) fn normalise(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let is_absolute = path.starts_with('/');
    for name in path.split('/').filter(|name| !matches!(*name, "" | ".")) {
        if name == ".." {
            let last = last_name(&out);
            if !last.is_empty() && last != ".." {
                let start = out.len() - last.len();
                out.truncate(start.saturating_sub(1));
                continue;
            }
            if is_absolute {
                continue;
            }
        }
        if is_absolute || !out.is_empty() {
            out.push('/');
        }
        out.push_str(name);
    }
    match (out.is_empty(), is_absolute) {
        (true, true) => "/".to_owned(),
        (true, false) => ".".to_owned(),
        (false, _) => out,
    }
}

/// How a path begins that goes on behind `text`: nothing for the file's own folder, up to a slash
/// for another folder, or up to the middle of a name.
fn normalise_prefix(text: &str) -> String {
    // What follows a whole folder surely begins with a slash.
    let (folder, name) = match last_name(text) {
        "." | ".." => (text, ""),
        name => (&text[..text.len() - name.len()], name),
    };
    let mut out = normalise(if folder.is_empty() { "." } else { folder });
    if out == "." {
        out.clear();
    } else if !out.ends_with('/') {
        out.push('/');
    }
    out.push_str(name);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised_as_in_nix() {
        let cases = [
            ("./a/../b.nix", "b.nix"),
            ("../../x", "../../x"),
            ("a//b/./c", "a/b/c"),
            ("./.", "."),
            ("a/..", "."),
            ("a/../..", ".."),
            ("/../a", "/a"),
            ("/", "/"),
            ("./a/b/../../../c", "../c"),
        ];
        for (path, want) in cases {
            assert_eq!(normalise(path), want, "{path}");
        }
    }

    #[test]
    fn prefixes_keep_their_last_slash() {
        let cases = [
            ("./", ""),
            (".", ""),
            ("..", "../"),
            ("../", "../"),
            ("./hosts/", "hosts/"),
            ("hosts", "hosts"),
            ("./a/../linux-", "linux-"),
            ("/etc/", "/etc/"),
        ];
        for (path, want) in cases {
            assert_eq!(normalise_prefix(path), want, "{path}");
        }
    }
}
