//! What an option takes, told from the words that describe its type.
//!
//! The module system says of a type nothing but a phrase (`null or (list of string)`) and a check
//! that only evaluation can run. The phrases of `lib.types` follow a small grammar, which is read
//! here; whatever does not fit it takes anything, so that an unknown type never makes a finding.

/// What an option takes, as far as its description tells.
#[derive(Clone, PartialEq, Debug)]
pub enum OptionType {
    /// Anything, as far as is known.
    Any,
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// An integer from the first to the second number.
    Int(i64, i64),
    /// A number with a fraction; integers do not count.
    Float,
    /// A string.
    Text,
    /// A path: a path literal, or a string that begins with a slash.
    Path,
    /// A derivation.
    Package,
    /// A list of such elements.
    List(Box<Self>),
    /// A set of such values.
    Attrs(Box<Self>),
    /// Options of their own, and none but these.
    Submodule,
    /// One of these strings.
    Enum(Box<[String]>),
    /// Any of these.
    Either(Box<[Self]>),
}

/// How many parentheses and `list of` deep a phrase is read.
const MAX_DEPTH: u8 = 16;

impl OptionType {
    /// Reads the description of a type.
    ///
    /// ```text
    /// null or (list of string)     Either([Null, List(Text)])
    /// one of "a", "b"              Enum(["a", "b"])
    /// JSON value                   Any
    /// ```
    #[must_use]
    pub fn parse(description: &str) -> Self {
        let mut phrase = Phrase { rest: description.trim(), depth: 0 };
        match phrase.union() {
            Some(read) if phrase.rest.is_empty() => read,
            _ => Self::Any,
        }
    }
}

/// Phrases for types without others inside, longer ones before those that they begin with.
const PLAIN: &[(&str, OptionType)] = &[
    ("null", OptionType::Null),
    ("boolean", OptionType::Bool),
    ("signed integer", OptionType::Int(i64::MIN, i64::MAX)),
    ("unsigned integer, meaning >=0", OptionType::Int(0, i64::MAX)),
    ("positive integer, meaning >0", OptionType::Int(1, i64::MAX)),
    ("8 bit unsigned integer; between 0 and 255 (both inclusive)", OptionType::Int(0, 255)),
    ("16 bit unsigned integer; between 0 and 65535 (both inclusive)", OptionType::Int(0, 65_535)),
    (
        "32 bit unsigned integer; between 0 and 4294967295 (both inclusive)",
        OptionType::Int(0, 4_294_967_295),
    ),
    ("floating point number", OptionType::Float),
    ("string, not containing newlines or colons", OptionType::Text),
    ("string", OptionType::Text),
    ("non-empty string", OptionType::Text),
    ("(optionally newline-terminated) single-line string", OptionType::Text),
    ("strings concatenated with \"\\n\"", OptionType::Text),
    ("strings concatenated with \",\"", OptionType::Text),
    ("strings concatenated with \" \"", OptionType::Text),
    ("path, not containing newlines or colons", OptionType::Path),
    ("absolute path", OptionType::Path),
    ("path", OptionType::Path),
    ("package", OptionType::Package),
    ("submodule", OptionType::Submodule),
];

struct Phrase<'t> {
    rest: &'t str,
    depth: u8,
}

impl Phrase<'_> {
    fn eat(&mut self, words: &str) -> bool {
        let rest = self.rest.strip_prefix(words);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// `A or B or C`.
    fn union(&mut self) -> Option<OptionType> {
        let mut members = Vec::new();
        loop {
            let is_in_parens = self.rest.starts_with('(');
            members.push(self.item()?);
            self.eat(" convertible to it");
            if !self.eat(" or ") {
                break;
            }
            // Older releases put no parentheses around what a list is of.
            let is_open = matches!(members.last()?, OptionType::List(_) | OptionType::Attrs(_));
            if is_open && !is_in_parens {
                return None;
            }
        }
        match members.len() {
            1 => members.pop(),
            _ => Some(OptionType::Either(members.into())),
        }
    }

    fn item(&mut self) -> Option<OptionType> {
        self.depth += 1;
        let item = if self.depth > MAX_DEPTH { None } else { self.item_within() };
        self.depth -= 1;
        item
    }

    fn item_within(&mut self) -> Option<OptionType> {
        if let Some(plain) = self.plain() {
            return Some(plain);
        }
        if self.eat("(") {
            let inner = self.union()?;
            return self.eat(")").then_some(inner);
        }
        if self.eat("list of ") || self.eat("non-empty list of ") {
            return Some(OptionType::List(Box::new(self.item()?)));
        }
        if self.eat("non-empty (list of ") {
            let inner = self.item()?;
            return self.eat(")").then(|| OptionType::List(Box::new(inner)));
        }
        if self.eat("attribute set of ") || self.eat("lazy attribute set of ") {
            return Some(OptionType::Attrs(Box::new(self.item()?)));
        }
        if self.eat("attribute set") {
            return Some(OptionType::Attrs(Box::new(OptionType::Any)));
        }
        if self.eat("integer between ") {
            return self.range();
        }
        if self.eat("one of ") {
            return self.words();
        }
        if self.eat("value ") {
            let words = self.words()?;
            return self.eat(" (singular enum)").then_some(words);
        }
        None
    }

    /// A phrase of [`PLAIN`] with its end behind it.
    fn plain(&mut self) -> Option<OptionType> {
        let ends = |rest: &str| {
            rest.is_empty() || rest.starts_with(')') || {
                rest.starts_with(" or ") || rest.starts_with(" convertible")
            }
        };
        let (words, plain) =
            PLAIN.iter().find(|(words, _)| self.rest.strip_prefix(words).is_some_and(ends))?;
        self.rest = &self.rest[words.len()..];
        Some(plain.clone())
    }

    /// `300 and 399 (both inclusive)`.
    fn range(&mut self) -> Option<OptionType> {
        let (low, rest) = self.rest.split_once(" and ")?;
        let (high, rest) = rest.split_once(" (both inclusive)")?;
        self.rest = rest;
        Some(OptionType::Int(low.parse().ok()?, high.parse().ok()?))
    }

    /// `"a", "b"`.
    fn words(&mut self) -> Option<OptionType> {
        let mut words = Vec::new();
        loop {
            self.rest = self.rest.strip_prefix('"')?;
            let (word, rest) = self.rest.split_once('"')?;
            words.push(word.to_owned());
            self.rest = rest;
            if !self.eat(", ") {
                return Some(OptionType::Enum(words.into()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::OptionType::*;
    use super::*;

    #[track_caller]
    fn check(description: &str, want: OptionType) {
        assert_eq!(OptionType::parse(description), want, "{description}");
    }

    fn list(inner: OptionType) -> OptionType {
        List(Box::new(inner))
    }

    fn any_of<const N: usize>(of: [OptionType; N]) -> OptionType {
        Either(of.into())
    }

    #[test]
    fn phrases_of_the_library() {
        check("boolean", Bool);
        check("null or (list of string)", any_of([Null, list(Text)]));
        check("list of (string or signed integer)", {
            list(any_of([Text, Int(i64::MIN, i64::MAX)]))
        });
        check(
            "null or one of \"a\", \"b c\"",
            any_of([Null, Enum(["a".into(), "b c".into()].into())]),
        );
        check(
            "value \"auto\" (singular enum) or boolean",
            any_of([Enum(["auto".into()].into()), Bool]),
        );
        check("integer between -20 and 19 (both inclusive)", Int(-20, 19));
        check("attribute set of (submodule)", Attrs(Box::new(Submodule)));
        check("string or (list of string) convertible to it", any_of([Text, list(Text)]));
        check("null or (string, not containing newlines or colons)", any_of([Null, Text]));
        check("non-empty (list of path)", list(Path));
        check("attribute set", Attrs(Box::new(Any)));
    }

    #[test]
    fn what_is_not_understood_takes_anything() {
        check("JSON value", Any);
        check("list of (systemd option)", Any);
        check("stringy", Any);
        check("attribute set of string or signed integer", Any);
        check("one of \"a\", 1", Any);
        check("(boolean", Any);
        check(&format!("{}boolean", "list of ".repeat(100_000)), Any);
    }
}
