//! Changing a file by as little as possible.
//!
//! Every function reads a tree and returns the text edits that make the change, sorted and free of
//! overlap; nothing is applied. Bytes that need not change stay: comments, layout, line endings.
//! What is put in takes after what stands around it: indentation, one line or several, dotted paths
//! or nested sets, commas in front or behind. What a name means is not asked here: whoever renames
//! or moves code asks `semantics` first.
//!
//! Text given for a value is any expression. Its lines behind the first are taken to be indented as
//! if the first stood at the margin, as [`crate::build::Value::render`] does with 0.
//!
//! ```
//! use cim_nix_base::apply_edits;
//! use cim_nix_syntax::{edit, parse};
//!
//! let tree = parse("{\n  services.nginx.enable = true; # web\n}\n").tree;
//! let set = edit::file_set(&tree).unwrap();
//! let edits = edit::set_attr(&tree, set, &["services", "nginx", "user"], "\"www\"").unwrap();
//! assert_eq!(
//!     apply_edits(tree.text(), &edits).unwrap(),
//!     "{\n  services.nginx.enable = true; # web\n  services.nginx.user = \"www\";\n}\n",
//! );
//! ```

mod attrs;
mod entries;
mod formals;
mod layout;
mod lists;
mod remove;
mod rename;
mod replace;

use std::fmt;

use cim_nix_base::{TextEdit, TextRange};

use crate::ast::{self, Expr};
use crate::build::BuildError;
use crate::{Node, NodeId, Tree};

pub use attrs::{remove_attr, set_attr};
pub use entries::{Entries, Place, Style};
pub use formals::{add_formal, remove_formal};
pub use lists::{insert_in_list, remove_from_list};
pub use remove::remove_binding;
pub use rename::{Occurrence, Role, rename};
pub use replace::replace_node;

/// Why an edit cannot be made.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum EditError {
    /// The tree has no such node.
    NoSuchNode(NodeId),
    /// The node is of another kind than the edit is made for.
    WrongKind {
        /// What the edit is made for.
        wanted: &'static str,
        /// Where the node stands.
        range: TextRange,
    },
    /// The code does not parse where the edit would go.
    Broken(TextRange),
    /// The path has no name in it.
    EmptyPath,
    /// A part of the path is given a value that is not written as a set, so nothing can be put in.
    NotASet {
        /// That part of the path.
        path: String,
        /// Where it gets its value.
        range: TextRange,
    },
    /// There is no such attribute, element or parameter.
    NotFound(String),
    /// There is one of that name already.
    AlreadyThere(String),
    /// The text cannot be a name here.
    InvalidName(String),
    /// There is no name at this place that the edit could change.
    NotAName(TextRange),
    /// The text for a value is no expression.
    NotAnExpression(BuildError),
    /// The text for entries is something else.
    NotEntries(String),
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchNode(id) => write!(f, "the tree has no node {id:?}"),
            Self::WrongKind { wanted, range } => {
                write!(f, "bytes {range:?} are not {wanted}")
            }
            Self::Broken(range) => {
                write!(f, "the code at bytes {range:?} does not parse; correct it first")
            }
            Self::EmptyPath => f.write_str("the attribute path is empty"),
            Self::NotASet { path, range } => write!(
                f,
                "`{path}` gets its value at bytes {range:?} from something other than a set \
                 written out, so nothing can be set in it"
            ),
            Self::NotFound(what) => write!(f, "there is no `{what}` here"),
            Self::AlreadyThere(name) => write!(f, "`{name}` is there already"),
            Self::InvalidName(name) => write!(f, "{name:?} cannot be a name here"),
            Self::NotAName(range) => write!(f, "there is no name at bytes {range:?} to change"),
            Self::NotAnExpression(error) => error.fmt(f),
            Self::NotEntries(text) => write!(f, "{text:?} are not entries of a set"),
        }
    }
}

impl std::error::Error for EditError {}

impl From<BuildError> for EditError {
    fn from(error: BuildError) -> Self {
        Self::NotAnExpression(error)
    }
}

/// The set that a file is about: its expression, seen through functions, `let`, `with`, `assert`
/// and parentheses. `None` where that is something else.
#[must_use]
pub fn file_set(tree: &Tree) -> Option<NodeId> {
    let mut node = ast::file_expr(tree)?;
    loop {
        node = match Expr::cast(node)? {
            Expr::AttrSet(set) => return Some(set.node().id()),
            Expr::Lambda(lambda) => lambda.body()?,
            Expr::LetIn(let_in) => let_in.body()?,
            Expr::With(with) => with.body()?,
            Expr::Assert(assert) => assert.body()?,
            Expr::Paren(paren) => paren.inner()?,
            _ => return None,
        };
    }
}

/// The node behind an id that may come from anywhere.
fn node_of(tree: &Tree, id: NodeId) -> Result<Node<'_>, EditError> {
    if (id.0 as usize) < tree.len() { Ok(tree.node(id)) } else { Err(EditError::NoSuchNode(id)) }
}

/// Sorts edits and joins removals that overlap.
fn sorted(mut edits: Vec<TextEdit>) -> Vec<TextEdit> {
    edits.sort_by_key(|edit| edit.range);
    let mut out: Vec<TextEdit> = Vec::with_capacity(edits.len());
    for edit in edits {
        match out.last_mut() {
            Some(last) if last.range.overlaps(edit.range) => {
                last.range = last.range.cover(edit.range);
                last.text.push_str(&edit.text);
            }
            _ => out.push(edit),
        }
    }
    out
}

#[cfg(test)]
mod tests;
