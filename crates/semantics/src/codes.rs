//! Codes of the findings that lowering makes; Nix refuses files with any of them.

use cim_nix_base::Code;

/// An attribute or a parameter is defined twice.
pub const DUPLICATE: Code = Code("COR002");
/// A computed name where only a fixed one may stand: in `let` or `inherit`.
pub const DYNAMIC_NAME: Code = Code("SYN009");
