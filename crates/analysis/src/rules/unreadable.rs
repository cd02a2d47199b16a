//! SYN001 to SYN011: what keeps a file from being read. Found by the parser, the lowering and the
//! driver; the pages explain them.

use cim_nix_base::{Code, Severity};

use crate::rule::{Check, FixKind, Rule};

/// A page without a check of its own.
const fn page(code: &'static str, name: &'static str, doc: &'static str) -> Rule {
    Rule {
        code: Code(code),
        name,
        severity: Severity::Error,
        is_default: true,
        fix: FixKind::None,
        check: Check::Elsewhere,
        words: &[],
        doc,
    }
}

pub(crate) const SYNTAX: Rule = page(
    "SYN001",
    "syntax-error",
    "\
Flags a token that is missing or that fits nowhere.

The parser goes on behind it, so one file can have several of these. No other rule looks at such a
file: what they would say are guesses.

## Why it matters

Nix refuses the whole file.

## Example

```nix
{ port = 80 }
```

## Better

```nix
{ port = 80; }
```

## Source

Nix reports `syntax error` for the same files.
",
);

pub(crate) const UNTERMINATED: Rule = page(
    "SYN002",
    "unterminated",
    "\
Flags a string or a comment that is never closed.

## Why it matters

Everything up to the end of the file belongs to it; Nix refuses the whole file.

## Example

```nix
{ name = \"tool; }
```

## Better

```nix
{ name = \"tool\"; }
```

## Source

Nix reports `syntax error, unexpected end of file` for the same files.
",
);

pub(crate) const TOO_DEEP: Rule = page(
    "SYN003",
    "too-deep",
    "\
Flags code that is nested more than 10,000 levels deep.

The cap is this program's own: everything that works on the tree relies on it. Nix goes on until
its stack overflows.

## Why it matters

What lies deeper is not looked at.

## Source

Measured on generated files; people do not write such code.
",
);

pub(crate) const TOO_LARGE: Rule = page(
    "SYN004",
    "too-large",
    "\
Flags a file that is too large to be read: 64 MiB or more.

## Why it matters

The file is not looked at.

## Source

The limit is this program's own; the largest file of nixpkgs has 12 MiB.
",
);

pub(crate) const BYTE_ORDER_MARK: Rule = Rule {
    fix: FixKind::Safe,
    ..page(
        "SYN005",
        "byte-order-mark",
        "\
Flags a byte order mark at the start of a file.

## Why it matters

Some editors write one, and do not show it. Nix refuses the whole file.

## Example

```nix
\u{feff}{ port = 80; }
```

## Better

```nix
{ port = 80; }
```

## When the fix is unsafe

Never: with the mark the file does not parse, so no program changes its meaning.

## Source

Nix reports `syntax error, unexpected invalid token` for the same files.
",
    )
};

pub(crate) const INVALID_NUMBER: Rule = page(
    "SYN006",
    "invalid-number",
    "\
Flags a number that does not fit 64 bits.

## Why it matters

Nix refuses the whole file. That holds for floats that are too small to be represented, too.

## Example

```nix
{ id = 9223372036854775808; }
```

## Better

```nix
{ id = \"9223372036854775808\"; }
```

## Source

Nix reports `invalid integer` and `invalid float` for the same files.
",
);

pub(crate) const NOT_UTF8: Rule = Rule {
    severity: Severity::Warning,
    ..page(
        "SYN007",
        "not-utf8",
        "\
Flags a file that is not UTF-8.

Nix takes any bytes in strings and comments. The file is checked with the bytes in question replaced.

## Why it matters

Other programs cannot show the file as it was meant, and Nix cannot write such strings as JSON.

## Source

Found when the file is read.
",
    )
};

pub(crate) const UNREADABLE: Rule = page(
    "SYN008",
    "unreadable",
    "\
Flags a file or folder that cannot be read.

## Why it matters

It is not looked at. The message says why: permissions, a link that leads nowhere or in a circle, a
device where a file should be, a file that vanished while the program ran.

## Source

Found when the file is read.
",
);

pub(crate) const DYNAMIC_NAME: Rule = page(
    "SYN009",
    "dynamic-name",
    "\
Flags a computed attribute name in `let` or `inherit`.

## Why it matters

Names of variables must be known before anything is evaluated; Nix refuses the whole file.

## Example

```nix
name: let ${name} = 1; in 2
```

## Better

```nix
name: { ${name} = 1; }
```

## Source

Nix reports `dynamic attributes not allowed` for the same files.
",
);

pub(crate) const PIPE: Rule = page(
    "SYN010",
    "pipe-operator",
    "\
Flags `|>` and `<|` in a project that does not enable the experimental feature.

It is enabled by `experimental-features = [ \"pipe-operators\" ]` in `cim-nix.toml` or in the flake's
`nixConfig`.

## Why it matters

Nix refuses the whole file unless its user has enabled the feature.

## Source

Nix reports `experimental Nix feature 'pipe-operators' is disabled` for the same files.
",
);

pub(crate) const NUL_BYTE: Rule = Rule {
    severity: Severity::Warning,
    ..page(
        "SYN011",
        "nul-byte",
        "\
Flags a NUL byte in code.

## Why it matters

Nix takes it for the end of the file and silently ignores what follows.

## Source

Observed with Nix 2.34.8.
",
    )
};
