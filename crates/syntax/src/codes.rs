//! Codes of the findings that come from reading a file; rules have theirs in `analysis`.

use cim_nix_base::Code;

/// A token is missing or unexpected.
pub const SYNTAX_ERROR: Code = Code("SYN001");
/// A string or comment is never closed.
pub const UNTERMINATED: Code = Code("SYN002");
/// Code is nested more deeply than the cap.
pub const TOO_DEEP: Code = Code("SYN003");
/// The file is larger than a tree can hold.
pub const TOO_LARGE: Code = Code("SYN004");
/// The file begins with a byte order mark.
pub const BYTE_ORDER_MARK: Code = Code("SYN005");
/// A number literal is out of range.
pub const INVALID_NUMBER: Code = Code("SYN006");
/// A NUL byte stands in code, where Nix takes it for the end of the file.
pub const NUL_BYTE: Code = Code("SYN011");
/// A path ends in a slash.
pub const TRAILING_SLASH: Code = Code("COR016");
