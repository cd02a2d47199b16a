//! The kinds of errors, by what Nix says.

/// A kind: its name, and what a message of it begins with and holds.
type Kind = (&'static str, &'static [&'static str], &'static str);

const KINDS: &[Kind] = &[
    ("syntax error", &["syntax error", "invalid integer", "path has a trailing slash"], ""),
    ("undefined variable", &["undefined variable"], ""),
    ("attribute defined twice", &["attribute '"], "already defined at"),
    ("parameter defined twice", &["duplicate formal"], ""),
    ("computed name not allowed", &["dynamic attributes not allowed"], ""),
    ("computed attribute defined twice", &["dynamic attribute '"], "already defined"),
    ("throw", &["thrown", "from a file"], ""),
    ("abort", &["evaluation aborted with"], ""),
    ("assertion failed", &["assertion '"], "failed"),
    ("assertion of equality failed", &[""], "is not equal to"),
    ("assertion of equal sets failed", &["attribute name"], ""),
    ("assertion of equal functions", &["distinct functions"], ""),
    ("infinite recursion", &["infinite recursion"], ""),
    ("stack overflow", &["stack overflow"], ""),
    ("integer overflow", &["integer overflow"], ""),
    ("division by zero", &["division by zero"], ""),
    ("float without an integer", &["NixFloat argument", "Due to a bug"], ""),
    ("a Boolean wanted", &["expected a Boolean"], ""),
    ("an integer wanted", &["expected an integer"], ""),
    ("a float wanted", &["expected a float"], ""),
    ("a string wanted", &["expected a string"], ""),
    ("a list wanted", &["expected a list"], ""),
    ("a set wanted", &["expected a set"], ""),
    ("a function wanted", &["expected a function", "'functionArgs' requires"], ""),
    ("not to be added", &["cannot add"], ""),
    ("not to be compared", &["cannot compare"], ""),
    ("no string to be made of it", &["cannot coerce"], ""),
    ("not callable", &["attempt to call something"], ""),
    ("argument missing", &["function '"], "called without required"),
    ("argument unexpected", &["function '"], "called with unexpected"),
    ("attribute missing", &["attribute '"], "missing"),
    ("context not allowed", &["the string '"], "is not allowed to refer"),
    ("context on a path", &["a string that refers to a store path"], ""),
    ("context not to be made", &["context key", "tried to add", "context of string"], ""),
    ("no derivation path", &["path '", "`addDrvOutputDependencies`"], "derivation"),
    ("index out of range", &["'builtins.elemAt' called with"], ""),
    ("empty list", &["'builtins.head' called", "'builtins.tail' called"], ""),
    ("list of no size", &["cannot create list"], ""),
    ("start of a substring", &["negative start"], ""),
    ("lists of different lengths", &["'from' and 'to'"], ""),
    ("invalid regular expression", &["invalid regular"], ""),
    ("invalid JSON", &["[json.exception"], ""),
    ("number out of range", &["unsigned json number"], ""),
    ("NUL byte", &["input string"], ""),
    ("invalid URL", &["'"], "is not a valid URL"),
    ("invalid TOML", &["while parsing TOML"], ""),
    ("no JSON for it", &["cannot convert", "JSON serialization"], ""),
    ("no file in the search path", &["file '"], "was not found in the Nix search path"),
    ("no such path", &["path '"], "does not exist"),
    (
        "file not readable",
        &["read of", "cannot read directory", "the contents of", "reading from"],
        "",
    ),
    ("not an absolute path", &["string '"], "doesn't represent an absolute path"),
    ("not a store path", &["path '"], "not in the Nix store"),
    ("invalid store path", &["path '", "derivation '"], "is not valid"),
    ("invalid name", &["path '", "invalid derivation name", "name '"], "name"),
    ("invalid hash", &["hash '", "unknown hash", "invalid SRI", "hash does not"], ""),
    ("content of another hash", &["store path mismatch", "hash mismatch"], ""),
    ("derivation in a text file", &["files created by builtins.toFile"], ""),
    ("derivation without what it needs", &["required attribute", "derivation "], ""),
    (
        "derivation with what does not fit",
        &["invalid value", "invalid derivation", "duplicate derivation", "multiple outputs"],
        "",
    ),
    ("experimental feature off", &["experimental Nix feature"], ""),
    ("argument not supported", &["unsupported argument", "argument 'nope'"], ""),
    ("argument needed", &["'url' argument", "missing required", "argument 'type' is missing"], ""),
    (
        "flake reference",
        &["flake reference", "input attribute", "cannot show", "'type' attribute", "cannot fetch"],
        "",
    ),
];

/// The names of all kinds.
pub(super) fn kinds() -> impl Iterator<Item = &'static str> {
    KINDS.iter().map(|kind| kind.0)
}

/// The kind of a message.
pub(super) fn kind(message: &str) -> Option<&'static str> {
    let fits = |(_, starts, holds): &&Kind| {
        starts.iter().any(|start| message.starts_with(start)) && message.contains(holds)
    };
    KINDS.iter().find(fits).map(|kind| kind.0)
}
