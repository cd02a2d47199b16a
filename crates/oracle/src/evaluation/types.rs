//! The types that steer generation. They say what an expression is likely to be worth; nothing
//! relies on them being right.

use std::rc::Rc;

/// A type, or a pattern of types where it has variables.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Type {
    /// A named type of the grammar.
    Word(&'static str),
    /// `a`, `b` or `c`.
    Variable(usize),
    /// A list of one type.
    List(Rc<Self>),
    /// A set with members of one type.
    Set(Rc<Self>),
    /// A set with these members.
    Record(Rc<[(&'static str, Self)]>),
    /// A function.
    Function(Rc<Self>, Rc<Self>),
}

/// What the variables of a pattern stand for.
pub(super) type Bound = [Option<Type>; 3];

/// Types that are part of another one, as far as the grammar is concerned.
const PARTS: &[(&str, &[&str])] = &[
    ("int", &["small", "index"]),
    ("num", &["int", "float", "small"]),
    ("str", &["text", "name", "word", "version", "ctx"]),
    ("text", &["name", "word", "version"]),
    ("path", &["file", "folder"]),
    ("jsonable", &["int", "text", "bool", "null"]),
];

impl Type {
    /// Reads a type of the grammar, all of `text`.
    pub(super) fn read(text: &'static str) -> Result<Self, String> {
        let mut reader = Reader { rest: text };
        let read = reader.arrow()?;
        if reader.rest.trim().is_empty() {
            return Ok(read);
        }
        Err(format!("`{}` is left over of the type `{text}`", reader.rest))
    }

    /// Whether a value of this type may stand where `wanted` is asked for, when the variables of
    /// this type are bound as noted in `bound`.
    pub(super) fn fits(&self, wanted: &Self, bound: &mut Bound) -> bool {
        match (self, wanted) {
            (Self::Variable(n), _) => match &bound[*n] {
                Some(known) => known == wanted,
                None => {
                    bound[*n] = Some(wanted.clone());
                    true
                }
            },
            (_, Self::Word("any" | "lazy")) => true,
            (Self::Word(own), Self::Word(wanted)) => {
                let is_part =
                    |(whole, parts): &(&str, &[&str])| whole == wanted && parts.contains(own);
                own == wanted || PARTS.iter().any(is_part)
            }
            (Self::List(own), Self::List(wanted)) | (Self::Set(own), Self::Set(wanted)) => {
                own.fits(wanted, bound)
            }
            (Self::Record(own), Self::Record(wanted)) => {
                own.len() == wanted.len()
                    && own.iter().zip(wanted.iter()).all(|((name, own), (other, wanted))| {
                        name == other && own.fits(wanted, bound)
                    })
            }
            (Self::Function(from, to), Self::Function(wanted_from, wanted_to)) => {
                from.fits(wanted_from, bound) && to.fits(wanted_to, bound)
            }
            _ => false,
        }
    }

    /// The outermost part of the type.
    pub(super) fn head(&self) -> &'static str {
        match self {
            Self::Word(word) => word,
            Self::Variable(_) => "a",
            Self::List(_) => "[",
            Self::Set(_) => "{",
            Self::Record(_) => "{:",
            Self::Function(..) => "->",
        }
    }

    /// The outermost parts of types that may fit where this one is wanted.
    pub(super) fn heads(&self) -> Vec<&'static str> {
        let own = self.head();
        let parts = PARTS.iter().filter(|(whole, _)| *whole == own).flat_map(|(_, parts)| *parts);
        std::iter::once(own).chain(parts.copied()).collect()
    }

    /// The type with its variables replaced; `fill` makes types for those that are unbound.
    pub(super) fn filled(&self, bound: &mut Bound, fill: &mut impl FnMut() -> Self) -> Self {
        match self {
            Self::Word(_) => self.clone(),
            Self::Variable(n) => bound[*n].get_or_insert_with(fill).clone(),
            Self::List(of) => Self::List(Rc::new(of.filled(bound, fill))),
            Self::Set(of) => Self::Set(Rc::new(of.filled(bound, fill))),
            Self::Record(members) => {
                let members = members.iter();
                Self::Record(members.map(|(name, of)| (*name, of.filled(bound, fill))).collect())
            }
            Self::Function(from, to) => {
                let from = from.filled(bound, fill);
                Self::Function(Rc::new(from), Rc::new(to.filled(bound, fill)))
            }
        }
    }
}

struct Reader {
    rest: &'static str,
}

impl Reader {
    fn eat(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.eat(token) { Ok(()) } else { Err(format!("no `{token}` before `{}`", self.rest)) }
    }

    fn word(&mut self) -> Result<&'static str, String> {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        if word.is_empty() { Err(format!("no name before `{rest}`")) } else { Ok(word) }
    }

    fn arrow(&mut self) -> Result<Type, String> {
        let from = self.atom()?;
        if !self.eat("->") {
            return Ok(from);
        }
        Ok(Type::Function(Rc::new(from), Rc::new(self.arrow()?)))
    }

    fn atom(&mut self) -> Result<Type, String> {
        if self.eat("(") {
            let inner = self.arrow()?;
            self.expect(")")?;
            return Ok(inner);
        }
        if self.eat("[") {
            let inner = self.arrow()?;
            self.expect("]")?;
            return Ok(Type::List(Rc::new(inner)));
        }
        if self.eat("{") {
            return self.set();
        }
        Ok(match self.word()? {
            "a" => Type::Variable(0),
            "b" => Type::Variable(1),
            "c" => Type::Variable(2),
            word => Type::Word(word),
        })
    }

    fn set(&mut self) -> Result<Type, String> {
        let start = self.rest;
        let first = self.word();
        if !self.eat(":") {
            self.rest = start;
            let inner = self.arrow()?;
            self.expect("}")?;
            return Ok(Type::Set(Rc::new(inner)));
        }
        let mut members = vec![(first?, self.arrow()?)];
        while self.eat(",") {
            let name = self.word()?;
            self.expect(":")?;
            members.push((name, self.arrow()?));
        }
        self.expect("}")?;
        Ok(Type::Record(members.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str) -> Type {
        Type::read(text).unwrap()
    }

    #[test]
    fn patterns_bind_their_variables() {
        let mut bound = Bound::default();
        assert!(read("[a] -> b").fits(&read("[int] -> {x: str, y: bool}"), &mut bound));
        assert_eq!(bound, [Some(read("int")), Some(read("{x: str, y: bool}")), None]);
        assert!(!read("{a}").fits(&read("[int]"), &mut Bound::default()));
        assert!(!read("a -> a").fits(&read("int -> str"), &mut Bound::default()));
    }

    #[test]
    fn what_is_no_type_is_refused() {
        for text in ["", "[int", "{x: int", "int]", "-> int"] {
            assert!(Type::read(text).is_err(), "{text}");
        }
    }
}
