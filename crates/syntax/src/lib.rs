//! Lossless syntax of the Nix language.
//!
//! [`parse`] turns text into a [`Tree`] and a list of problems; it never fails. The tree is an
//! arena of 16-byte nodes in preorder beside a token array that keeps every byte, so the text can
//! be rebuilt exactly and edits touch only what they must. This crate has no notion of a file path
//! and resolves no names: that is `semantics`.
//!
//! ```
//! let parse = cim_nix_syntax::parse("{ a = 1; }");
//! assert!(parse.problems.is_empty());
//! let set = parse.tree.root().child(0).unwrap();
//! assert_eq!(set.kind(), cim_nix_syntax::NodeKind::AttrSet);
//! assert_eq!(set.child(0).unwrap().text(), "a = 1;");
//! ```

pub mod ast;
pub mod build;
pub mod codes;
pub mod doc;
pub mod edit;
pub mod file_kind;
mod kind;
mod lexer;
pub mod literal;
mod parser;
#[cfg(test)]
mod testing;
mod tree;
mod trivia;

pub use kind::{NodeKind, TokenKind};
pub use lexer::MAX_FILE_SIZE;
pub use parser::{MAX_DEPTH, MAX_PROBLEMS, Parse, Parser, parse};
pub use tree::{Children, Node, NodeId, TokenId, TokenRef, Tree};
