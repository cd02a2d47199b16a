//! From the text of a regular expression to its program.
//!
//! The language is what C++'s `std::regex` takes as POSIX extended, which is what Nix hands its
//! patterns to: no backslash but before a special character, none in brackets, `{` always begins an
//! interval, and quantifiers may follow each other. Bytes are characters, and the locale is C.

use super::program::{ByteSet, Op, Program, Split};

/// Why a text is no regular expression.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RegexError {
    /// It is not written as one.
    Invalid,
    /// Its program would be too large.
    TooLarge,
}

type Result<T> = std::result::Result<T, RegexError>;

/// States of a program, as many as in the library of GCC.
const MAX_STATES: usize = 100_000;
/// Groups in each other, and quantifiers on one thing. The library has no bound but its stack.
const MAX_DEPTH: u32 = 1_000;
const MAX_QUANTIFIERS: u32 = 20;

/// A regular expression as it is written.
enum Tree {
    Empty,
    Byte(u8),
    /// Any byte but NUL.
    Any,
    Set(Box<ByteSet>),
    Begin,
    End,
    Group(u32, Box<Self>),
    Sequence(Vec<Self>),
    Either(Vec<Self>),
    /// From so many to so many times; without a bound if there is no second number.
    Repeat(Box<Self>, u32, Option<u32>),
}

pub(super) fn parse(pattern: &[u8]) -> Result<Program> {
    let mut parser = Parser { pattern, at: 0, n_groups: 0, depth: 0 };
    let tree = parser.either()?;
    // What is left begins with something that nothing can begin with.
    if parser.at < pattern.len() {
        return Err(RegexError::Invalid);
    }
    let mut emitter = Emitter { program: Program::new(parser.n_groups as usize + 1) };
    let accept = emitter.push(Op::Accept)?;
    let end = emitter.push(Op::Save { slot: 1, next: accept })?;
    let body = emitter.tree(&tree, end)?;
    emitter.program.start = emitter.push(Op::Save { slot: 0, next: body })?;
    emitter.program.finish();
    Ok(emitter.program)
}

struct Parser<'p> {
    pattern: &'p [u8],
    at: usize,
    n_groups: u32,
    depth: u32,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.pattern.get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn next(&mut self) -> Result<u8> {
        let byte = self.peek().ok_or(RegexError::Invalid)?;
        self.at += 1;
        Ok(byte)
    }

    fn either(&mut self) -> Result<Tree> {
        let mut branches = vec![self.sequence()?];
        while self.take(b'|') {
            branches.push(self.sequence()?);
        }
        Ok(match branches.len() {
            1 => branches.pop().unwrap_or(Tree::Empty),
            _ => Tree::Either(branches),
        })
    }

    fn sequence(&mut self) -> Result<Tree> {
        let mut parts = Vec::new();
        while let Some(part) = self.term()? {
            parts.push(part);
        }
        Ok(match parts.len() {
            0 => Tree::Empty,
            1 => parts.pop().unwrap_or(Tree::Empty),
            _ => Tree::Sequence(parts),
        })
    }

    fn term(&mut self) -> Result<Option<Tree>> {
        let Some(byte) = self.peek() else { return Ok(None) };
        let atom = match byte {
            b'^' | b'$' => {
                self.at += 1;
                // Nothing can be said of how often the beginning or the end is there.
                return Ok(Some(if byte == b'^' { Tree::Begin } else { Tree::End }));
            }
            b'|' | b')' | b'*' | b'+' | b'?' | b'{' => return Ok(None),
            b'(' => {
                self.at += 1;
                self.group()?
            }
            b'[' => {
                self.at += 1;
                self.bracket()?
            }
            b'.' => {
                self.at += 1;
                Tree::Any
            }
            b'\\' => {
                self.at += 1;
                match self.next()? {
                    special @ (b'.' | b'[' | b'\\' | b'(' | b')' | b'*' | b'+' | b'?' | b'{'
                    | b'|' | b'^' | b'$') => Tree::Byte(special),
                    _ => return Err(RegexError::Invalid),
                }
            }
            plain => {
                self.at += 1;
                Tree::Byte(plain)
            }
        };
        self.quantified(atom).map(Some)
    }

    fn group(&mut self) -> Result<Tree> {
        self.n_groups += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(RegexError::TooLarge);
        }
        let number = self.n_groups;
        let inner = self.either()?;
        if !self.take(b')') {
            return Err(RegexError::Invalid);
        }
        self.depth -= 1;
        Ok(Tree::Group(number, Box::new(inner)))
    }

    fn quantified(&mut self, mut atom: Tree) -> Result<Tree> {
        let mut n_quantifiers = 0u32;
        loop {
            let (least, most) = match self.peek() {
                Some(b'*') => (0, None),
                Some(b'+') => (1, None),
                Some(b'?') => (0, Some(1)),
                Some(b'{') => {
                    self.at += 1;
                    let range = self.interval()?;
                    // The last one ends in a brace that is still to be passed, as the others do.
                    self.at -= 1;
                    range
                }
                _ => return Ok(atom),
            };
            self.at += 1;
            n_quantifiers += 1;
            if n_quantifiers > MAX_QUANTIFIERS {
                return Err(RegexError::TooLarge);
            }
            atom = Tree::Repeat(Box::new(atom), least, most);
        }
    }

    /// Behind `{`: `3}`, `3,}` or `3,5}`.
    fn interval(&mut self) -> Result<(u32, Option<u32>)> {
        let least = self.number()?.ok_or(RegexError::Invalid)?;
        let most = match self.take(b',') {
            true => self.number()?,
            false => Some(least),
        };
        if !self.take(b'}') || most.is_some_and(|most| most < least) {
            return Err(RegexError::Invalid);
        }
        Ok((least, most))
    }

    fn number(&mut self) -> Result<Option<u32>> {
        let mut number: Option<u32> = None;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            self.at += 1;
            let before = number.unwrap_or(0);
            let next = before.checked_mul(10).and_then(|n| n.checked_add(u32::from(digit - b'0')));
            // No number of this size leads to a program that is small enough.
            number = Some(next.ok_or(RegexError::Invalid)?);
        }
        Ok(number)
    }

    /// Behind `[`.
    fn bracket(&mut self) -> Result<Tree> {
        let mut set = ByteSet::new();
        let is_negated = self.take(b'^');
        let mut last = Last::Nothing;
        let start = self.at;
        loop {
            let byte = self.next()?;
            match byte {
                b']' if self.at - 1 > start => break,
                b'-' if self.at - 1 > start => {
                    if self.take(b']') {
                        last.keep(&mut set);
                        set.insert(b'-');
                        break;
                    }
                    // A dash between two characters, or nothing that is allowed.
                    let Last::Byte(from) = last else { return Err(RegexError::Invalid) };
                    let to = self.range_end()?;
                    set.insert_range(from, to)?;
                    last = Last::Nothing;
                }
                b'[' if matches!(self.peek(), Some(b'.' | b':' | b'=')) => {
                    let kind = self.next()?;
                    let name = self.class_name(kind)?;
                    last.keep(&mut set);
                    last = match kind {
                        b'.' => Last::Byte(collating_element(name).ok_or(RegexError::Invalid)?),
                        b':' => {
                            set.insert_class(name)?;
                            Last::Class
                        }
                        _ => {
                            let byte = collating_element(name).ok_or(RegexError::Invalid)?;
                            set.insert(byte.to_ascii_lowercase());
                            set.insert(byte.to_ascii_uppercase());
                            Last::Class
                        }
                    };
                }
                byte => {
                    last.keep(&mut set);
                    last = Last::Byte(byte);
                }
            }
        }
        last.keep(&mut set);
        if is_negated {
            set.negate();
        }
        Ok(Tree::Set(Box::new(set)))
    }

    /// Behind the dash of a range.
    fn range_end(&mut self) -> Result<u8> {
        match self.next()? {
            b'[' if matches!(self.peek(), Some(b'.' | b':' | b'=')) => Err(RegexError::Invalid),
            byte => Ok(byte),
        }
    }

    /// The name in `[:name:]` and its like.
    fn class_name(&mut self, kind: u8) -> Result<&[u8]> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte != kind) {
            self.at += 1;
        }
        let end = self.at;
        if !self.take(kind) || !self.take(b']') {
            return Err(RegexError::Invalid);
        }
        Ok(&self.pattern[start..end])
    }
}

/// What stands last in a bracket so far.
#[derive(Clone, Copy)]
enum Last {
    /// Nothing, or a range.
    Nothing,
    /// A character that may begin a range.
    Byte(u8),
    Class,
}

impl Last {
    /// Takes a character into the set for good.
    fn keep(self, set: &mut ByteSet) {
        if let Self::Byte(byte) = self {
            set.insert(byte);
        }
    }
}

impl ByteSet {
    /// Bytes are compared as `char`, which has a sign.
    fn insert_range(&mut self, from: u8, to: u8) -> Result<()> {
        let (from, to) = (from as i8, to as i8);
        if from > to {
            return Err(RegexError::Invalid);
        }
        (from..=to).for_each(|byte| self.insert(byte as u8));
        Ok(())
    }

    /// The classes of the C locale, their names in any case, and `d`, `s` and `w`.
    fn insert_class(&mut self, name: &[u8]) -> Result<()> {
        let is_member: fn(u8) -> bool = match name.to_ascii_lowercase().as_slice() {
            b"alnum" => |byte| byte.is_ascii_alphanumeric(),
            b"alpha" => |byte| byte.is_ascii_alphabetic(),
            b"blank" => |byte| matches!(byte, b' ' | b'\t'),
            b"cntrl" => |byte| byte.is_ascii_control(),
            b"digit" | b"d" => |byte| byte.is_ascii_digit(),
            b"graph" => |byte| byte.is_ascii_graphic(),
            b"lower" => |byte| byte.is_ascii_lowercase(),
            b"print" => |byte| byte == b' ' || byte.is_ascii_graphic(),
            b"punct" => |byte| byte.is_ascii_punctuation(),
            b"space" | b"s" => |byte| matches!(byte, b' ' | b'\t'..=b'\r'),
            b"upper" => |byte| byte.is_ascii_uppercase(),
            b"w" => |byte| byte == b'_' || byte.is_ascii_alphanumeric(),
            b"xdigit" => |byte| byte.is_ascii_hexdigit(),
            _ => return Err(RegexError::Invalid),
        };
        (0..=u8::MAX).filter(|&byte| is_member(byte)).for_each(|byte| self.insert(byte));
        Ok(())
    }
}

/// The character that stands in `[.name.]`: itself, or its name in POSIX's portable character set.
fn collating_element(name: &[u8]) -> Option<u8> {
    #[rustfmt::skip]
    const LOW: [&str; 65] = [
        "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "alert", "backspace", "tab", "newline",
        "vertical-tab", "form-feed", "carriage-return", "SO", "SI", "DLE", "DC1", "DC2", "DC3",
        "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "IS4", "IS3", "IS2", "IS1", "space",
        "exclamation-mark", "quotation-mark", "number-sign", "dollar-sign", "percent-sign",
        "ampersand", "apostrophe", "left-parenthesis", "right-parenthesis", "asterisk",
        "plus-sign", "comma", "hyphen", "period", "slash", "zero", "one", "two", "three", "four",
        "five", "six", "seven", "eight", "nine", "colon", "semicolon", "less-than-sign",
        "equals-sign", "greater-than-sign", "question-mark", "commercial-at",
    ];
    const BEFORE_LOWER: [&str; 6] = [
        "left-square-bracket",
        "backslash",
        "right-square-bracket",
        "circumflex",
        "underscore",
        "grave-accent",
    ];
    const HIGH: [&str; 5] =
        ["left-curly-bracket", "vertical-line", "right-curly-bracket", "tilde", "DEL"];
    let find = |names: &[&str], first: u8| {
        let at = names.iter().position(|known| known.as_bytes() == name)?;
        Some(first + at as u8)
    };
    if let [letter @ (b'a'..=b'z' | b'A'..=b'Z')] = name {
        return Some(*letter);
    }
    find(&LOW, 0).or_else(|| find(&BEFORE_LOWER, b'[')).or_else(|| find(&HIGH, b'{'))
}

/// Writes the program from its end to its beginning.
struct Emitter {
    program: Program,
}

impl Emitter {
    fn push(&mut self, op: Op) -> Result<u32> {
        if self.program.ops.len() >= MAX_STATES {
            return Err(RegexError::TooLarge);
        }
        self.program.ops.push(op);
        Ok(self.program.ops.len() as u32 - 1)
    }

    /// The state that `tree` begins with, going on at `next`.
    fn tree(&mut self, tree: &Tree, next: u32) -> Result<u32> {
        match tree {
            Tree::Empty => Ok(next),
            Tree::Byte(byte) => self.push(Op::Byte { byte: *byte, next }),
            Tree::Any => self.push(Op::Any { next }),
            Tree::Set(set) => {
                self.program.sets.push((**set).clone());
                let set = self.program.sets.len() as u32 - 1;
                self.push(Op::Set { set, next })
            }
            Tree::Begin => self.push(Op::Begin { next }),
            Tree::End => self.push(Op::End { next }),
            Tree::Group(number, inner) => {
                let end = self.push(Op::Save { slot: number * 2 + 1, next })?;
                let body = self.tree(inner, end)?;
                self.push(Op::Save { slot: number * 2, next: body })
            }
            Tree::Sequence(parts) => {
                parts.iter().rev().try_fold(next, |next, part| self.tree(part, next))
            }
            Tree::Either(branches) => {
                let mut starts = Vec::with_capacity(branches.len());
                for branch in branches {
                    starts.push(self.tree(branch, next)?);
                }
                let mut starts = starts.into_iter();
                let mut first = starts.next().unwrap_or(next);
                for second in starts {
                    let split = Split { first, second, is_loop: false };
                    first = self.push(Op::Split(split))?;
                }
                Ok(first)
            }
            Tree::Repeat(inner, least, most) => self.repeat(inner, *least, *most, next),
        }
    }

    fn repeat(&mut self, inner: &Tree, least: u32, most: Option<u32>, next: u32) -> Result<u32> {
        let mut at = match most {
            // `x{2,4}` is `xx(x(x)?)?`.
            Some(most) => {
                let mut at = next;
                for _ in least..most {
                    // Each costs a state, even if its body has none.
                    let body = self.tree(inner, at)?;
                    at =
                        self.push(Op::Split(Split { first: body, second: next, is_loop: true }))?;
                }
                at
            }
            None => {
                // The body goes back to the state that it hangs from.
                let again =
                    self.push(Op::Split(Split { first: 0, second: next, is_loop: true }))?;
                let body = self.tree(inner, again)?;
                if let Op::Split(split) = &mut self.program.ops[again as usize] {
                    split.first = body;
                }
                // `x+` begins with the body of its own loop.
                if least == 1 {
                    return Ok(body);
                }
                again
            }
        };
        for _ in 0..least {
            let before = self.program.ops.len();
            at = self.tree(inner, at)?;
            // What has no states, such as `x{0}`, has none however often.
            if self.program.ops.len() == before {
                break;
            }
        }
        Ok(at)
    }
}
