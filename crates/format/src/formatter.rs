//! The formatters: their names, and the two that are built in.
//!
//! What comes out of one is not to be trusted before the [gate](crate::gate) has seen it.

use std::fmt;

use cim_nix_base::Error;
use cim_nix_syntax::{NodeKind, Tree};

/// The version of the crate behind [`nixfmt`].
pub const NIXFMT_VERSION: &str = nixfmt_rs::VERSION;

/// Whoever writes Nix code in a style.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Formatter {
    /// The official style of RFC 166, built in.
    Nixfmt,
    /// nixpkgs-fmt 1.3, built in.
    NixpkgsFmt,
    /// Alejandra, which is a program of its own: its library would bring its memory allocator into
    /// every program that it is a part of.
    Alejandra,
    /// A program and its arguments. It gets the code on its standard input and answers on its
    /// standard output.
    Command(Vec<String>),
}

/// How wide lines may get and how far they are indented. Only nixfmt can be told.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Options {
    /// The widest line in columns, where it can be kept to; 100 by default.
    pub width: Option<u16>,
    /// Spaces for each level; 2 by default.
    pub indent: Option<u8>,
}

/// Why a formatter gave no text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The byte that it stumbled on, if it says so.
    pub at: Option<u32>,
    /// Its reason, lower case without a full stop.
    pub message: String,
}

impl Failure {
    /// A failure at no place in particular.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { at: None, message: message.into() }
    }
}

impl Formatter {
    /// The formatter that packages, hooks and settings call `name`; `None` for unknown names.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "nixfmt" | "nixfmt-rfc-style" | "nixfmt-tree" | "nixfmt_rs" | "nixfmt-rs" => {
                Self::Nixfmt
            }
            "alejandra" => Self::Alejandra,
            "nixpkgs-fmt" => Self::NixpkgsFmt,
            // The style before RFC 166 lives in a program that is no longer developed.
            "nixfmt-classic" => Self::Command(vec![name.to_owned()]),
            _ => return None,
        })
    }

    /// Reads what a person wrote: the name of a formatter or a command.
    ///
    /// Errors: nothing is there, or what begins is not ended: a quote, or a `\`.
    pub fn from_words(text: &str) -> Result<Self, Error> {
        if let Some(known) = Self::named(text.trim()) {
            return Ok(known);
        }
        let words = words(text)
            .map_err(|it| Error::user(format!("the formatter `{text}` {}", it.fault())))?;
        if words.is_empty() {
            return Err(Error::user("the formatter has no name")
                .hint("give `nixfmt`, `alejandra`, `nixpkgs-fmt` or a command"));
        }
        Ok(Self::Command(words))
    }

    /// Those that have a name, the default first.
    pub const NAMED: [Self; 3] = [Self::Nixfmt, Self::Alejandra, Self::NixpkgsFmt];

    /// The name by which messages speak of it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Nixfmt => "nixfmt",
            Self::NixpkgsFmt => "nixpkgs-fmt",
            Self::Alejandra => "alejandra",
            Self::Command(words) => {
                let word = words.first().map_or("", String::as_str);
                word.rsplit('/').next().unwrap_or(word)
            }
        }
    }

    /// Errors: `options` say something to a formatter that cannot be told.
    pub fn check(&self, options: Options) -> Result<(), Error> {
        if *self == Self::Nixfmt || options == Options::default() {
            return Ok(());
        }
        let name = self.name();
        Err(Error::config(format!("`{name}` cannot be told a width or an indentation"))
            .hint("only nixfmt can; leave `width` and `indent` out, or choose `nixfmt`"))
    }
}

impl fmt::Display for Formatter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(words) => write!(f, "the command `{}`", words.join(" ")),
            named => f.write_str(named.name()),
        }
    }
}

/// Whether nixfmt should work on `tree` in a process that can be ended, since it takes time that
/// grows with the square of a length that nobody writes.
#[must_use]
pub fn takes_long(tree: &Tree) -> bool {
    tree.nodes().any(|node| {
        let most = longest(node.kind());
        (node.subtree_end() - node.id().0) as usize > most && node.children().count() > most
    })
}

/// The number of children up to which nixfmt stays fast: measured at a few milliseconds each.
fn longest(kind: NodeKind) -> usize {
    match kind {
        NodeKind::AttrPath => 200,
        NodeKind::Apply => 500,
        NodeKind::Binary => 4000,
        _ => usize::MAX,
    }
}

/// Formats `text` in the official style.
///
/// Errors: the text is no Nix code, or nested too deeply.
pub fn nixfmt(text: &str, options: Options) -> Result<String, Failure> {
    let mut given = nixfmt_rs::Options::default();
    given.width = options.width.map_or(given.width, usize::from);
    given.indent = options.indent.map_or(given.indent, usize::from);
    // It recurses on nested code, up to a depth of its own.
    let format = || nixfmt_rs::format_with(text, &given);
    stacker::maybe_grow(32 << 20, 64 << 20, format).map_err(|error| Failure {
        at: Some(error.byte_range().start as u32),
        message: error.message(),
    })
}

/// Formats `text` as nixpkgs-fmt does. It takes any text for Nix code, may panic, and may take any
/// time, memory and stack: run it in a child process, see [`serve`](crate::child::serve).
#[must_use]
pub fn nixpkgs_fmt(text: &str) -> String {
    nixpkgs_fmt::reformat_string(text)
}

/// Formats by `format` until nothing changes any more, a few times at most: what alejandra and
/// nixpkgs-fmt write is not always what they would leave alone.
///
/// Errors: those of `format`.
pub fn settled(
    text: &str,
    format: impl Fn(&str) -> Result<String, Failure>,
) -> Result<String, Failure> {
    const MOST: usize = 4;
    let mut now = format(text)?;
    if now == text {
        return Ok(now);
    }
    for _ in 1..MOST {
        let next = format(&now)?;
        if next == now {
            break;
        }
        now = next;
    }
    Ok(now)
}

/// What a command lacks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Unended {
    /// The second of two quotes.
    Quote,
    /// What a `\` stands before.
    Backslash,
}

impl Unended {
    const fn fault(self) -> &'static str {
        match self {
            Self::Quote => "has a quote that is never closed",
            Self::Backslash => "ends in a `\\` that stands before nothing",
        }
    }
}

/// The words of a command: parted by blanks, held together by quotes or `\`.
fn words(text: &str) -> Result<Vec<String>, Unended> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\\', None | Some('"')) => {
                let escaped = chars.next().ok_or(Unended::Backslash)?;
                word.get_or_insert_default().push(escaped);
            }
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    if quote.is_some() { Err(Unended::Quote) } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_split_as_a_shell_would() {
        let check = |text: &str, want: &[&str]| {
            assert_eq!(words(text).unwrap(), want, "{text}");
        };
        check(" a  b\tc ", &["a", "b", "c"]);
        check("a 'b c' \"d \\\" e\" f\\ g ''", &["a", "b c", "d \" e", "f g", ""]);
        assert_eq!(words("a 'b"), Err(Unended::Quote));
        assert_eq!(words("a \\"), Err(Unended::Backslash));
    }

    #[test]
    fn names_and_commands_are_told_apart() {
        let read = |text| Formatter::from_words(text).unwrap();
        assert_eq!(read("nixfmt-rfc-style"), Formatter::Nixfmt);
        assert_eq!(read("alejandra"), Formatter::Alejandra);
        assert_eq!(read("/bin/nixfmt -w 80").name(), "nixfmt");
        assert_eq!(read("nixfmt-classic").to_string(), "the command `nixfmt-classic`");
        assert!(Formatter::from_words(" ").is_err());
        let fault = |text| Formatter::from_words(text).unwrap_err().to_string();
        assert_eq!(fault("a \"b"), "the formatter `a \"b` has a quote that is never closed");
        let bare = "the formatter `a \\` ends in a `\\` that stands before nothing";
        assert_eq!(fault("a \\"), bare);
    }

    #[test]
    fn only_nixfmt_takes_options() {
        let wide = Options { width: Some(80), indent: None };
        assert!(Formatter::Nixfmt.check(wide).is_ok());
        assert!(Formatter::Alejandra.check(Options::default()).is_ok());
        let error = Formatter::Alejandra.check(wide).unwrap_err();
        assert_eq!(error.to_string(), "`alejandra` cannot be told a width or an indentation");
    }

    #[test]
    fn each_has_its_style() {
        let text = "{a=[1 2];\n b=x: x;}";
        let plain = Options::default();
        let want = "{\n  a = [\n    1\n    2\n  ];\n  b = x: x;\n}\n";
        assert_eq!(nixfmt(text, plain).unwrap(), want);
        assert_eq!(nixpkgs_fmt(text), "{\n  a = [ 1 2 ];\n  b = x: x;\n}\n");
        let options = Options { width: Some(20), indent: Some(4) };
        let narrow = nixfmt("{ aaaaaaaa = bbbbbbbbbbb; }", options).unwrap();
        assert_eq!(narrow, "{\n    aaaaaaaa =\n        bbbbbbbbbbb;\n}\n");
    }

    #[test]
    fn what_it_cannot_read_has_a_place() {
        let failure = nixfmt("{ a, a }: 1", Options::default()).unwrap_err();
        assert_eq!(failure.at, Some(5), "{failure:?}");
    }

    #[test]
    fn formatting_goes_on_until_nothing_changes() {
        let shorter = |text: &str| Ok(text.strip_suffix('x').unwrap_or(text).to_owned());
        assert_eq!(settled("axxx", shorter).unwrap(), "a");
        assert_eq!(settled("axxxxxxx", shorter).unwrap(), "axxx");
        assert!(settled("a", |_| Err(Failure::new("no"))).is_err());
    }

    #[test]
    fn what_takes_long_is_told() {
        let long = |text: &str| takes_long(&cim_nix_syntax::parse(text).tree);
        assert!(!long("f a b c.d.e + 1"));
        assert!(long(&format!("a{}", ".a".repeat(5000))));
        assert!(long(&format!("f{}", " a".repeat(5000))));
        assert!(!long(&format!("[{}]", " a".repeat(5000))));
    }

    #[test]
    fn deep_code_needs_no_deep_stack() {
        let deep = |n| format!("{}1{}", "[".repeat(n), "]".repeat(n));
        assert!(nixfmt(&deep(200), Options::default()).is_ok());
        assert!(nixfmt(&deep(9000), Options::default()).is_err());
    }
}
