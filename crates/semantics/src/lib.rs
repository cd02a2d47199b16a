//! What the names in one Nix file mean.
//!
//! [`lower`] turns a tree into an [`Ir`]: an arena of expressions in which every name is resolved
//! to its binding, to the `with` that may supply it, or to "free". The IR is a function of the
//! file's bytes alone: symbols are numbered per file, and which free names the base environment
//! supplies is left to whoever links it ([`builtins`] knows the usual one). Attribute paths are
//! merged and duplicates found as Nix does it. Evaluation, types and other files are not this
//! crate's business.
//!
//! ```
//! let parse = cim_nix_syntax::parse("let x = 1; in x + y");
//! let ir = cim_nix_semantics::lower(&parse.tree);
//! let free: Vec<&str> = ir.free_names().map(|(symbol, _)| ir.symbol(symbol)).collect();
//! assert_eq!(free, ["y"]);
//! ```

pub mod builtins;
pub mod codes;
mod dependencies;
mod ir;
mod lower;
pub mod print;
mod query;
mod rename;
mod symbols;
mod undefined;

pub use dependencies::attribute_graph;
pub use ir::{
    Attr, AttrKind, BinaryOp, Binding, BindingId, BindingKind, DynamicAttr, Expr, ExprId, Formal,
    Ir, Lambda, LambdaId, List, Merge, Path, PathElement, PathId, Scope, ScopeId, ScopeKind,
    ScopeOwner, Set, SetId, Source, SourceId, Span, Symbol, Target, With, WithId,
};
pub use lower::{Lowerer, lower};
pub use query::{LiveNames, Uses};
pub use rename::{CannotRename, Renaming, Why, rename};
