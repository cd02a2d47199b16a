//! SYN010: pipe operators in a project that does not enable them.
//!
//! Whether it does is told by `cim-nix.toml`, by the `nixConfig` of a flake around the file or by the
//! Nix settings in any module of the project, which is why the rules, which know one file, cannot
//! tell.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::reading::OurFiles;
use cim_nix_base::{Code, Diagnostic, Severity};
use cim_nix_project::{Files as _, Request, discover};
use cim_nix_syntax::{Node, NodeKind, TokenKind, Tree, ast, parse};
use cim_nix_vfs::SOURCE_LIMIT;

use super::is_nix;
use crate::scope;
use crate::settings::{PIPE_OPERATOR, PIPE_OPERATORS};

pub(super) const CODE: Code = Code("SYN010");

/// The first pipe operator in the file at `path`, unless the project around it enables them.
/// `projects` keeps what was learned of projects.
pub(super) fn find(
    tree: &Tree,
    path: &Path,
    projects: &Mutex<HashMap<PathBuf, bool>>,
    severity: Severity,
) -> Option<Diagnostic> {
    let text = tree.text().as_bytes();
    if !(mentions(text, "|>") || mentions(text, "<|")) {
        return None;
    }
    let is_pipe = |kind| matches!(kind, TokenKind::PipeInto | TokenKind::PipeFrom);
    let token = tree.tokens().find(|token| is_pipe(token.kind()))?;
    let around = path.ancestors().skip(1).map(|folder| folder.join("flake.nix"));
    if around.into_iter().any(|flake| file_enables_pipes(&flake)) {
        return None;
    }
    let root = scope::project_root(&[path.to_path_buf()]);
    // Held while a project is searched, which no two workers need to do.
    let mut projects = projects.lock().unwrap_or_else(PoisonError::into_inner);
    if *projects.entry(root).or_insert_with_key(|root| project_enables_pipes(root)) {
        return None;
    }
    let message =
        format!("`{}` is experimental, and this project does not enable it", token.text());
    let help = format!(
        "add `experimental-features = [\"{PIPE_OPERATORS}\"]` to cim-nix.toml if your Nix has it on"
    );
    Some(Diagnostic::new(CODE, severity, token.range(), message).help(help))
}

/// Whether any file of the project in the folder `root` enables pipe operators. A folder without a
/// mark may be anything, up to the whole disk, and is not searched.
fn project_enables_pipes(root: &Path) -> bool {
    if !scope::is_marked(root) {
        return false;
    }
    let found = discover(&OurFiles, &Request::new([root]));
    found.files.iter().filter(|file| is_nix(file)).any(|file| file_enables_pipes(&file.path))
}

/// Whether the file at `path`, if there is one, enables pipe operators.
fn file_enables_pipes(path: &Path) -> bool {
    let text = OurFiles.read(path, SOURCE_LIMIT);
    // The longer name holds the shorter one.
    text.is_ok_and(|text| {
        mentions(text.as_bytes(), PIPE_OPERATOR) && enables_pipes(&parse(text).tree)
    })
}

fn mentions(text: &[u8], word: &str) -> bool {
    memchr::memmem::find(text, word.as_bytes()).is_some()
}

/// Whether a setting of experimental features names them: in a list or text that an attribute of
/// this name is bound to, or in a text that is a Nix configuration file.
fn enables_pipes(tree: &Tree) -> bool {
    let mut strings =
        tree.nodes().filter(|node| matches!(node.kind(), NodeKind::Str | NodeKind::IndStr));
    strings.any(|string| {
        let text = string.text();
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        lines.any(|(name, value)| is_setting(last_word(name)) && names_pipes(value))
            || (names_pipes(text) && is_bound_to_setting(string))
    })
}

fn is_bound_to_setting(string: Node<'_>) -> bool {
    let binding = string.ancestors().find(|above| above.kind() == NodeKind::Binding);
    let path = binding.and_then(|binding| binding.child(0)).and_then(ast::AttrPath::cast);
    let name = path.and_then(|path| path.elements().last()).and_then(ast::Attr::name);
    name.is_some_and(|name| is_setting(&name))
}

fn is_setting(name: &str) -> bool {
    matches!(name, "experimental-features" | "extra-experimental-features")
}

/// Whether the feature is one of the words in `text`, which may still have its quotes.
fn names_pipes(text: &str) -> bool {
    let is_end = |char: char| !char.is_ascii_alphanumeric() && char != '-';
    text.split(is_end).any(|word| word == PIPE_OPERATORS || word == PIPE_OPERATOR)
}

fn last_word(text: &str) -> &str {
    text.trim_end().rsplit(|char: char| char.is_whitespace() || char == '"').next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: bool) {
        assert_eq!(enables_pipes(&parse(text).tree), want, "{text}");
    }

    #[test]
    fn a_flake_enables_pipes() {
        check("{ nixConfig.experimental-features = [ \"flakes\" \"pipe-operators\" ]; }", true);
        check(
            "{ nixConfig = { extra-experimental-features = \"flakes pipe-operators\"; }; }",
            true,
        );
        check("{ nixConfig.experimental-features = \"flakes pipe-operator\"; }", true);
        check("{ nixConfig.experimental-features = [ \"flakes\" ]; }", false);
        check("{ description = \"pipe-operators\"; }", false);
    }

    #[test]
    fn a_module_enables_pipes() {
        check("{ nix.settings.experimental-features = [ \"pipe-operator\" ]; }", true);
        check(
            "{ nix.settings = { experimental-features = mkAfter [ (f \"pipe-operators\") ]; }; }",
            true,
        );
        check(
            "{ nix.extraOptions = ''\n  experimental-features = flakes pipe-operators\n''; }",
            true,
        );
        check("{ nix.extraOptions = \"extra-experimental-features = pipe-operator\"; }", true);
        check("{ nix.settings.experimental-features = [ \"pipe-operators-2\" ]; }", false);
        check("{ nix.extraOptions = \"other = pipe-operators\"; }", false);
        check("{ experimental-features.about = \"pipe-operators\"; }", false);
        check("# experimental-features = pipe-operators\n{ }", false);
    }
}
