//! What the evaluation of flakes gets to.

use std::collections::{HashMap, VecDeque};

use cim_nix_project::{Destination, FileId, ImportGraph, ReferenceKind};
use cim_nix_syntax::ast::{IfElse, Select};
use cim_nix_syntax::{Node, NodeKind, TokenKind};

use crate::rules::calls::spelled;

/// The files that some flake opens for certain, each with the file that leads to it.
pub(crate) struct Reached {
    came: HashMap<FileId, Option<FileId>>,
}

impl Reached {
    /// Follows the imports of all flakes that lead to one file: what is picked from a folder or only
    /// named may be for something else.
    pub(crate) fn from_flakes(graph: &ImportGraph) -> Self {
        let files = graph.snapshot().files();
        let is_flake = |at: &usize| files[*at].path.file_name().is_some_and(|n| n == "flake.nix");
        let flakes = (0..files.len()).filter(is_flake).map(|at| FileId(at as u32));
        let mut came: HashMap<FileId, Option<FileId>> = flakes.map(|file| (file, None)).collect();
        let mut queue: VecDeque<FileId> = came.keys().copied().collect();
        queue.make_contiguous().sort_unstable();
        while let Some(file) = queue.pop_front() {
            for edge in graph.edges_from(file) {
                let opens = !matches!(edge.kind, ReferenceKind::Path | ReferenceKind::Directory);
                let is_certain = opens && !graph.reference(file, edge.reference).is_guarded;
                if let Destination::File(to) = edge.to
                    && is_certain
                    && !came.contains_key(&to)
                {
                    came.insert(to, Some(file));
                    queue.push_back(to);
                }
            }
        }
        Self { came }
    }

    /// The way from a flake to a file: the flake first, the file last. Nothing if there is none.
    pub(crate) fn way(&self, file: FileId) -> Vec<FileId> {
        let mut way = Vec::new();
        let mut at = Some(file).filter(|file| self.came.contains_key(file));
        while let Some(file) = at {
            way.push(file);
            at = self.came.get(&file).copied().flatten();
        }
        way.reverse();
        way
    }

    pub(crate) fn files(&self) -> Vec<FileId> {
        let mut files: Vec<FileId> = self.came.keys().copied().collect();
        files.sort_unstable();
        files
    }
}

/// How far up is looked for what avoids an expression.
const MAX_DEPTH: usize = 256;

/// Whether evaluation may get around an expression: it is a default, or stands in a branch.
pub(crate) fn is_avoidable(node: Node<'_>) -> bool {
    let mut below = node;
    for (depth, above) in node.ancestors().enumerate() {
        // Code is not nested deeper, and of hostile code nothing is said.
        if depth == MAX_DEPTH {
            return true;
        }
        let avoids = match above.kind() {
            NodeKind::Formal | NodeKind::HasAttr => true,
            NodeKind::IfElse => IfElse::cast(above).and_then(IfElse::condition) != Some(below),
            NodeKind::Select => Select::cast(above).is_some_and(|select| {
                select
                    .default()
                    .is_some_and(|default| default == below || select.base() == Some(below))
            }),
            NodeKind::Binary => {
                let first = above.child(0) == Some(below);
                let operator = above.own_tokens().next().map(|token| token.kind());
                let is_lazy =
                    matches!(operator, Some(TokenKind::And | TokenKind::OrOr | TokenKind::Implies));
                is_lazy && !first
            }
            NodeKind::Apply => above.child(0).is_some_and(|function| {
                let name = if function == below { None } else { spelled(function) };
                let name = name.unwrap_or_default();
                let is_conditional = name == "mkIf" || name.starts_with("optional");
                let is_condition = above.child(1) == Some(below);
                name == "tryEval" || is_conditional && !is_condition
            }),
            _ => false,
        };
        if avoids {
            return true;
        }
        below = above;
    }
    false
}
