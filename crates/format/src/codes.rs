//! Codes of what keeps a file from being formatted.

use cim_nix_base::Code;

/// The result of a formatter would mean something else.
pub const CHANGES: Code = Code("FMT001");
/// The result of a formatter would lack a comment.
pub const LOSES: Code = Code("FMT002");
/// The result of a formatter would be no Nix code.
pub const BREAKS: Code = Code("FMT003");
/// The formatter failed: it cannot read the file, crashed, or took too long.
pub const FAILED: Code = Code("FMT004");
