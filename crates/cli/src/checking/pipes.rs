//! SYN010: pipe operators in a project that does not enable them.
//!
//! Whether it does is told by `cim-nix.toml` or by the `nixConfig` of a flake around the file, which
//! is why the rules, which know one file, cannot tell.

use std::path::Path;

use cim_nix_base::{Code, Diagnostic, Severity};
use cim_nix_project::Files as _;
use cim_nix_syntax::{NodeKind, TokenKind, Tree, ast, parse};
use cim_nix_vfs::{DiskFiles, SOURCE_LIMIT};

use crate::settings::PIPE_OPERATORS;

pub(super) const CODE: Code = Code("SYN010");

/// The first pipe operator in the file at `path`, unless a flake around it enables them.
pub(super) fn find(tree: &Tree, path: &Path, severity: Severity) -> Option<Diagnostic> {
    let text = tree.text().as_bytes();
    let has = |operator: &str| memchr::memmem::find(text, operator.as_bytes()).is_some();
    if !(has("|>") || has("<|")) {
        return None;
    }
    let is_pipe = |kind| matches!(kind, TokenKind::PipeInto | TokenKind::PipeFrom);
    let token = tree.tokens().find(|token| is_pipe(token.kind()))?;
    if path.ancestors().skip(1).any(flake_has_pipes) {
        return None;
    }
    let message =
        format!("`{}` is experimental, and this project does not enable it", token.text());
    let help = format!(
        "add `experimental-features = [\"{PIPE_OPERATORS}\"]` to cim-nix.toml if your Nix has it on"
    );
    Some(Diagnostic::new(CODE, severity, token.range(), message).help(help))
}

/// Whether the flake in `folder`, if there is one, enables pipe operators in its `nixConfig`.
fn flake_has_pipes(folder: &Path) -> bool {
    let text = DiskFiles.read(&folder.join("flake.nix"), SOURCE_LIMIT);
    text.is_ok_and(|text| enables_pipes(&parse(text).tree))
}

/// Nix takes a list of strings or one string with blanks in it; both are literals in a flake.
fn enables_pipes(flake: &Tree) -> bool {
    let strings =
        flake.nodes().filter(|node| matches!(node.kind(), NodeKind::Str | NodeKind::IndStr));
    let mut named = strings.filter(|node| {
        let text = ast::Str::cast(*node).and_then(ast::Str::static_value);
        text.is_some_and(|text| text.split_whitespace().any(|word| word == PIPE_OPERATORS))
    });
    named.any(|node| {
        let names = node.ancestors().filter_map(|above| above.child_of_kind(NodeKind::AttrPath));
        let path: Vec<&str> = names.map(|path| path.text()).collect();
        let outermost = path.iter().rev().flat_map(|part| part.split('.')).collect::<Vec<_>>();
        let is_setting =
            |name: &str| matches!(name, "experimental-features" | "extra-experimental-features");
        matches!(outermost.as_slice(), ["nixConfig", name] if is_setting(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flake_enables_pipes() {
        let check = |text: &str, want: bool| {
            assert_eq!(enables_pipes(&parse(text).tree), want, "{text}");
        };
        check("{ nixConfig.experimental-features = [ \"flakes\" \"pipe-operators\" ]; }", true);
        check(
            "{ nixConfig = { extra-experimental-features = \"flakes pipe-operators\"; }; }",
            true,
        );
        check("{ nixConfig.experimental-features = [ \"flakes\" ]; }", false);
        check("{ description = \"pipe-operators\"; }", false);
        check("{ a.nixConfig.experimental-features = [ \"pipe-operators\" ]; }", false);
    }
}
