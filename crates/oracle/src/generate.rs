//! Random programs from the grammar.
//!
//! Every construct of the language can come out, with and without parentheses, in odd white space.
//! A program is valid unless names were asked to be unbound. What came out is recorded as pairs of
//! productions, so that a small corpus can be chosen that has every pair.

mod exprs;
mod literals;
mod sets;

use std::collections::BTreeSet;

use fastrand::Rng;

/// A production inside another one.
pub type Pair = (&'static str, &'static str);

/// A generated program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Generated {
    /// The program.
    pub text: String,
    /// What it exercises.
    pub pairs: BTreeSet<Pair>,
}

/// What programs to generate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Style {
    /// About how many productions a program has.
    pub size: u32,
    /// How many uses of a hundred name nothing.
    pub unbound_percent: u8,
}

/// Generates one program.
#[must_use]
pub fn generate(rng: &mut Rng, style: Style) -> Generated {
    let mut generator = Generator {
        rng,
        unbound_percent: style.unbound_percent,
        fuel: i64::from(style.size),
        scope: Vec::new(),
        withs: 0,
        around: vec!["file"],
        pairs: BTreeSet::new(),
    };
    let (before, body, after) =
        (generator.maybe_space(), generator.expr(), generator.maybe_space());
    Generated { text: before + &body + &after, pairs: generator.pairs }
}

struct Generator<'r> {
    rng: &'r mut Rng,
    unbound_percent: u8,
    /// How many productions may still be opened.
    fuel: i64,
    /// Names that are bound here.
    scope: Vec<&'static str>,
    /// How many `with`s are around.
    withs: usize,
    /// The productions around, outermost first.
    around: Vec<&'static str>,
    pairs: BTreeSet<Pair>,
}

/// Names for bindings: plain, with every kind of character, and like keywords or builtins.
const NAMES: &[&str] = &[
    "a",
    "b",
    "c",
    "x",
    "y",
    "z",
    "foo",
    "bar",
    "a-b",
    "c_d",
    "x'",
    "_",
    "_a",
    "a1",
    "in-x",
    "iff",
    "orx",
    "recursive",
    "withs",
    "name",
    "version",
    "body",
    "map",
    "toString",
    "__sub",
    "A-Z",
    "truely",
    "e5",
    "x''y",
];

/// Whether nothing that follows could become part of the text's last token.
fn is_closed(text: &str) -> bool {
    // A path may end in an interpolation and goes on behind it.
    let is_set = text.starts_with('{') || text.starts_with("rec") || text.starts_with("let");
    text.ends_with([')', ']', '"']) || (is_set && text.ends_with('}'))
}

impl Generator<'_> {
    /// Notes a production and runs `build` inside it.
    fn within<T>(&mut self, production: &'static str, build: impl FnOnce(&mut Self) -> T) -> T {
        if let Some(&outer) = self.around.last() {
            self.pairs.insert((outer, production));
        }
        self.fuel -= 1;
        self.around.push(production);
        let built = build(self);
        self.around.pop();
        built
    }

    /// Runs `build` with more names bound.
    fn binding<T>(&mut self, names: &[&'static str], build: impl FnOnce(&mut Self) -> T) -> T {
        let mark = self.scope.len();
        self.scope.extend_from_slice(names);
        let built = build(self);
        self.scope.truncate(mark);
        built
    }

    fn chance(&mut self, percent: u8) -> bool {
        self.rng.u8(0..100) < percent
    }

    fn word(&mut self, words: &[&'static str]) -> &'static str {
        words[self.rng.usize(..words.len())]
    }

    /// Some different names; none is `or`.
    fn new_names(&mut self, most: usize) -> Vec<&'static str> {
        let n_names = self.rng.usize(..=most);
        self.rng.choose_multiple(NAMES.iter().copied(), n_names)
    }

    /// White space or a comment that keeps any two tokens apart.
    fn space(&mut self) -> String {
        const COMMENTS: &[&str] = &[
            " /* c */ ",
            " /**/ ",
            " /***/ ",
            " /** doc */ ",
            " # c\n",
            " #\r\n",
            "\t# ${ \" ''\r",
            " /* /* ** \" '' ${ */ ",
            "\n# a\n# é\n",
            " /* é\r\n */\n",
            " /** a\n * b\n **/ ",
        ];
        const BLANKS: &[&str] = &["\n", "\n  ", "\t", "\r\n", "\r", "   ", "\n\n", " \t\n "];
        match self.rng.u8(0..100) {
            0..80 => " ".to_owned(),
            80..94 => self.word(BLANKS).to_owned(),
            _ => self.within("comment", |g| g.word(COMMENTS).to_owned()),
        }
    }

    /// Nothing or a [`space`](Self::space).
    fn maybe_space(&mut self) -> String {
        if self.chance(70) { String::new() } else { self.space() }
    }

    /// Puts two texts beside each other, close together only where no token would grow.
    fn juxtapose(&mut self, left: &str, right: &str) -> String {
        let is_safe = is_closed(left) || right.starts_with(['(', '[', '{', '"']);
        let space = if is_safe && self.chance(20) { String::new() } else { self.space() };
        format!("{left}{space}{right}")
    }

    /// A variable.
    fn variable(&mut self) -> String {
        const GLOBALS: &[&str] = &[
            "true",
            "null",
            "builtins",
            "toString",
            "import",
            "__add",
            "derivation",
            "__curPos",
            "__nixPath",
        ];
        let is_unbound = self.rng.u8(0..100) < self.unbound_percent;
        if is_unbound {
            return self.within("unbound", |g| g.word(&["nope", "u1", "u2", "head"]).to_owned());
        }
        if self.withs > 0 && self.chance(30) {
            return self.within("with name", |g| g.word(NAMES).to_owned());
        }
        if self.scope.is_empty() || self.chance(15) {
            return self.within("global", |g| g.word(GLOBALS).to_owned());
        }
        self.within("bound", |g| g.scope[g.rng.usize(..g.scope.len())].to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same() {
        let run = |seed| {
            let mut rng = Rng::with_seed(seed);
            let style = Style { size: 30, unbound_percent: 10 };
            (0..20).map(|_| generate(&mut rng, style)).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn what_comes_out_is_valid() {
        let mut rng = Rng::with_seed(1);
        let style = Style { size: 25, unbound_percent: 0 };
        for _ in 0..500 {
            let text = generate(&mut rng, style).text;
            let ours = crate::Ours::judge(text.as_bytes());
            assert!(ours.is_ok(), "{}\n{text:?}", ours.summary());
        }
    }

    #[test]
    fn every_production_comes_out() {
        let mut rng = Rng::with_seed(1);
        let style = Style { size: 40, unbound_percent: 5 };
        let mut seen = BTreeSet::new();
        for _ in 0..1500 {
            seen.extend(generate(&mut rng, style).pairs.into_iter().map(|(_, inner)| inner));
        }
        let all = [
            "lambda",
            "pattern",
            "at before",
            "at behind",
            "ellipsis",
            "formal",
            "formal default",
            "let",
            "legacy let",
            "with",
            "assert",
            "if",
            "pipe |>",
            "pipe <|",
            "apply",
            "select",
            "select or",
            "old or",
            "has attr",
            "minus",
            "not",
            "paren",
            "list",
            "set",
            "rec set",
            "binding",
            "inherit",
            "inherit from",
            "string",
            "indented string",
            "interpolation",
            "path",
            "path interpolation",
            "home path",
            "search path",
            "uri",
            "int",
            "float",
            "bound",
            "unbound",
            "global",
            "with name",
            "comment",
            "name or",
            "name quoted",
            "name computed",
            "name static",
            "merge",
            "nested path",
        ];
        let missing: Vec<&str> = all.into_iter().filter(|name| !seen.contains(name)).collect();
        assert!(missing.is_empty(), "never generated: {missing:?}; seen {seen:?}");
    }
}
