//! Text to tokens.
//!
//! Follows Nix's own lexer (longest match, first rule wins) byte for byte; where that lexer gives
//! up, this one makes an [`TokenKind::Error`] token and goes on. The token array keeps every byte:
//! token `i` spans from the end of token `i - 1` to its own end.

use cim_nix_base::{Code, Diagnostic, Severity, TextEdit, TextRange};
use memchr::{memchr, memchr2, memchr3, memrchr};

use crate::TokenKind::{self, *};
use crate::codes;

/// A token: kind in the low six bits, end offset in the upper 26.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token(u32);

impl Token {
    #[inline]
    pub(crate) const fn new(kind: TokenKind, end: usize) -> Self {
        Self((end as u32) << 6 | kind as u32)
    }

    #[inline]
    pub(crate) const fn kind(self) -> TokenKind {
        TokenKind::from_bits(self.0)
    }

    #[inline]
    pub(crate) const fn end(self) -> u32 {
        self.0 >> 6
    }
}

/// Longest text that fits the 26 bits of a token's end: 64 MiB less one byte.
pub const MAX_FILE_SIZE: usize = (1 << 26) - 1;

const IDENT: u8 = 1;
const PATH: u8 = 2;
const URI: u8 = 4;
const SPACE: u8 = 8;
const IDENT_START: u8 = 16;
const DIGIT: u8 = 32;

/// Character classes of all bytes, as in Nix's lexer.
const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let c = byte as u8;
        let mut class = 0;
        if c.is_ascii_alphabetic() || c == b'_' {
            class |= IDENT_START | IDENT | PATH;
        }
        if c.is_ascii_digit() {
            class |= DIGIT | IDENT | PATH;
        }
        if c == b'-' {
            class |= IDENT | PATH;
        }
        if c == b'\'' {
            class |= IDENT;
        }
        if c == b'.' || c == b'+' {
            class |= PATH;
        }
        if c.is_ascii_alphanumeric() {
            class |= URI;
        }
        let mut at = 0;
        let uri = b"%/?:@&=+$,-_.!~*'";
        while at < uri.len() {
            if c == uri[at] {
                class |= URI;
            }
            at += 1;
        }
        if c == b' ' || c == b'\t' || c == b'\r' || c == b'\n' {
            class |= SPACE;
        }
        table[byte] = class;
        byte += 1;
    }
    table
};

/// What encloses the current byte. Mirrors the start conditions of Nix's lexer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Inside `{ }` or `${ }`.
    Code,
    Str,
    IndStr,
    /// Behind a piece of a path, or behind an interpolation in one.
    Path,
}

/// Reusable buffers of the lexer.
#[derive(Default)]
pub(crate) struct Lexer {
    pub(crate) tokens: Vec<Token>,
    pub(crate) problems: Vec<Diagnostic>,
    modes: Vec<Mode>,
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    tokens: &'a mut Vec<Token>,
    problems: &'a mut Vec<Diagnostic>,
    modes: &'a mut Vec<Mode>,
    /// The run of path characters that ends here was looked at; no need to scan it again.
    run_end: usize,
    /// One past the last `_` in that run: a URI scheme cannot contain one.
    run_scheme: usize,
    /// Whether there is a NUL byte anywhere; most files are spared the look for them in strings.
    has_nul: bool,
}

impl Lexer {
    /// Lexes `text`, which must not be longer than [`MAX_FILE_SIZE`], into `self.tokens`.
    pub(crate) fn lex(&mut self, text: &str) {
        debug_assert!(text.len() <= MAX_FILE_SIZE);
        self.tokens.clear();
        self.problems.clear();
        self.modes.clear();
        self.tokens.reserve(text.len() / 4 + 2);
        let mut cursor = Cursor {
            bytes: text.as_bytes(),
            at: 0,
            tokens: &mut self.tokens,
            problems: &mut self.problems,
            modes: &mut self.modes,
            run_end: 0,
            run_scheme: 0,
            has_nul: memchr(0, text.as_bytes()).is_some(),
        };
        cursor.byte_order_mark();
        while cursor.at < cursor.bytes.len() {
            match cursor.modes.last() {
                None | Some(Mode::Code) => cursor.code(),
                Some(Mode::Str) => cursor.string(),
                Some(Mode::IndStr) => cursor.indented_string(),
                Some(Mode::Path) => cursor.path_rest(),
            }
        }
        cursor.end_of_file();
    }
}

impl Cursor<'_> {
    /// The byte `ahead` of the cursor, or 0 past the end (NUL begins no token either).
    #[inline]
    fn peek(&self, ahead: usize) -> u8 {
        self.byte(self.at + ahead)
    }

    #[inline]
    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    #[inline]
    fn class(&self, at: usize) -> u8 {
        CLASS[self.byte(at) as usize]
    }

    /// The end of the run of bytes of a class that begins at `at`.
    #[inline]
    fn scan(&self, at: usize, class: u8) -> usize {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let len = rest.iter().position(|&byte| CLASS[byte as usize] & class == 0);
        at + len.unwrap_or(rest.len())
    }

    /// Ends the current token at `end`.
    #[inline]
    fn push(&mut self, kind: TokenKind, end: usize) {
        self.tokens.push(Token::new(kind, end));
        self.at = end;
    }

    #[inline]
    fn take(&mut self, kind: TokenKind, len: usize) {
        self.push(kind, self.at + len);
    }

    fn problem(&mut self, code: Code, start: usize, end: usize, message: String) {
        let range = TextRange::new(start as u32, end as u32);
        self.problems.push(Diagnostic::new(code, Severity::Error, range, message));
    }

    fn byte_order_mark(&mut self) {
        if self.bytes.starts_with(b"\xef\xbb\xbf") {
            self.push(Whitespace, 3);
            let range = TextRange::new(0, 3);
            let found = Diagnostic::new(
                codes::BYTE_ORDER_MARK,
                Severity::Error,
                range,
                "the file begins with a byte order mark, which Nix refuses",
            );
            self.problems.push(found.fix(
                "remove the byte order mark",
                cim_nix_base::Applicability::Safe,
                vec![TextEdit::remove(range)],
            ));
        }
    }

    fn end_of_file(&mut self) {
        self.tokens.push(Token::new(Eof, self.at));
    }

    /// One token of code, with the blanks in front of it: most tokens follow some, and most others
    /// are words, so both are told by a branch rather than by the jump table.
    #[inline]
    fn code(&mut self) {
        let mut first = self.bytes[self.at];
        if CLASS[first as usize] & SPACE != 0 {
            self.push(Whitespace, self.scan(self.at + 1, SPACE));
            let Some(&next) = self.bytes.get(self.at) else { return };
            first = next;
        }
        if CLASS[first as usize] & IDENT_START != 0 {
            return self.word();
        }
        match first {
            b'0'..=b'9' => self.number(),
            b'.' | b'+' | b'-' => self.dot_or_sign(first),
            b'/' => self.slash(),
            b'"' => self.open(StrStart, 1, Mode::Str),
            b'\'' if self.peek(1) == b'\'' => self.open(IndStart, 2, Mode::IndStr),
            b'{' => self.open(LBrace, 1, Mode::Code),
            b'}' => {
                self.modes.pop();
                self.take(RBrace, 1);
            }
            b'$' if self.peek(1) == b'{' => self.open(InterpolStart, 2, Mode::Code),
            b'#' => {
                let rest = &self.bytes[self.at..];
                let len = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
                self.take(LineComment, len);
            }
            b'~' => self.home_path(),
            b'<' => self.less(),
            0 => self.nul(),
            _ => self.punctuation(first),
        }
    }

    fn open(&mut self, kind: TokenKind, len: usize, mode: Mode) {
        self.take(kind, len);
        self.modes.push(mode);
    }

    #[inline]
    fn punctuation(&mut self, first: u8) {
        let (kind, len) = match (first, self.peek(1)) {
            (b';', _) => (Semicolon, 1),
            (b'=', b'=') => (Equal, 2),
            (b'=', _) => (Assign, 1),
            (b'(', _) => (LParen, 1),
            (b')', _) => (RParen, 1),
            (b'[', _) => (LBracket, 1),
            (b']', _) => (RBracket, 1),
            (b',', _) => (Comma, 1),
            (b':', _) => (Colon, 1),
            (b'?', _) => (Question, 1),
            (b'@', _) => (At, 1),
            (b'!', b'=') => (NotEqual, 2),
            (b'!', _) => (Not, 1),
            (b'*', _) => (Mul, 1),
            (b'>', b'=') => (GreaterEqual, 2),
            (b'>', _) => (Greater, 1),
            (b'&', b'&') => (And, 2),
            (b'|', b'|') => (OrOr, 2),
            (b'|', b'>') => (PipeInto, 2),
            _ => return self.unknown(),
        };
        self.take(kind, len);
    }

    /// A NUL byte in code: Nix takes it for the end of the file.
    fn nul(&mut self) {
        let range = TextRange::new(self.at as u32, self.at as u32 + 1);
        let message = "a NUL byte ends the file for Nix; what follows is ignored";
        self.problems.push(Diagnostic::new(codes::NUL_BYTE, Severity::Warning, range, message));
        self.push(LineComment, self.bytes.len());
    }

    /// Reports a NUL byte in the string text from `start` to the cursor, which Nix refuses unless it
    /// is what an escape stands for.
    fn check_nul(&mut self, start: usize, is_indented: bool) {
        let text = &self.bytes[start..self.at];
        let mut at = 0;
        while at < text.len() {
            at += match (is_indented, &text[at..]) {
                (false, [b'\\', _, ..]) => 2,
                (true, [b'\'', b'\'', b'\\', ..]) => 4,
                (true, [b'\'', b'\'', ..]) => 3,
                (_, [0, ..]) => {
                    let message = "a string cannot contain a NUL byte".to_owned();
                    let at = start + at;
                    return self.problem(codes::SYNTAX_ERROR, at, at + 1, message);
                }
                _ => 1,
            };
        }
    }

    /// A whole character that begins no token.
    fn unknown(&mut self) {
        let mut end = self.at + 1;
        while self.byte(end) & 0xc0 == 0x80 {
            end += 1;
        }
        self.push(Error, end);
    }

    #[inline]
    fn word(&mut self) {
        let end = self.scan(self.at, IDENT);
        let next = self.byte(end);
        let may_go_on = CLASS[next as usize] & PATH != 0 || next == b'/' || next == b':';
        if may_go_on && self.path_or_uri() {
            return;
        }
        let kind = keyword(&self.bytes[self.at..end]);
        self.push(kind, end);
    }

    /// Lexes a path or URI that begins at the cursor, if there is one. Both are longer than any
    /// other token that could begin here.
    fn path_or_uri(&mut self) -> bool {
        if self.at >= self.run_end {
            self.run_end = self.scan(self.at, PATH);
            if self.byte(self.run_end) == b':' {
                let run = &self.bytes[self.at..self.run_end];
                self.run_scheme = self.at + memrchr(b'_', run).map_or(0, |found| found + 1);
            }
        }
        match self.byte(self.run_end) {
            b'/' => self.path(self.run_end),
            b':' => {
                let is_scheme =
                    self.at >= self.run_scheme && self.bytes[self.at].is_ascii_alphabetic();
                let end = self.scan(self.run_end + 1, URI);
                if !is_scheme || end == self.run_end + 1 {
                    return false;
                }
                self.push(Uri, end);
                true
            }
            _ => false,
        }
    }

    /// Lexes a path whose first slash is at `slash`; everything before it is path characters.
    fn path(&mut self, slash: usize) -> bool {
        if self.class(slash + 1) & PATH != 0 {
            let end = self.path_end(slash);
            self.path_piece(Path, end);
            return true;
        }
        if self.byte(slash + 1) == b'$' && self.byte(slash + 2) == b'{' {
            self.path_piece(Path, slash + 1);
            return true;
        }
        false
    }

    /// The end of `(/ path-character+)+ /?`, which begins at `at`.
    fn path_end(&self, mut at: usize) -> usize {
        while self.byte(at) == b'/' && self.class(at + 1) & PATH != 0 {
            at = self.scan(at + 1, PATH);
        }
        if self.byte(at) == b'/' { at + 1 } else { at }
    }

    /// Takes a piece up to `end` and whatever path text follows a trailing slash directly
    /// (`a/${b}c//d` goes on); opens path mode when an interpolation follows.
    fn path_piece(&mut self, kind: TokenKind, end: usize) {
        let (end, n_more) = self.path_text(end);
        let interpolated = self.byte(end) == b'$' && self.byte(end + 1) == b'{';
        let start = self.at;
        let kind = if interpolated && kind == Path { PathStart } else { kind };
        self.push(kind, end);
        // In front of the first interpolation Nix's grammar has room for one further piece.
        if (kind == Path && n_more > 0) || (kind == PathStart && n_more > 1) {
            let message = "a path cannot contain two slashes in a row".to_owned();
            self.problem(codes::SYNTAX_ERROR, start, end, message);
        }
        if interpolated {
            if kind == PathStart {
                self.modes.push(Mode::Path);
            }
            self.open(InterpolStart, 2, Mode::Code);
            return;
        }
        if self.byte(end - 1) == b'/' {
            self.trailing_slash();
        }
        if kind == PathPart {
            self.modes.pop();
        }
    }

    /// The end of further path text at `end`, and of how many pieces it consists for Nix.
    fn path_text(&self, mut end: usize) -> (usize, usize) {
        for n_pieces in 0.. {
            let next = self.scan(end, PATH);
            let next = if self.byte(next) == b'/' { self.path_end_or_slash(next) } else { next };
            if next == end {
                return (end, n_pieces);
            }
            end = next;
        }
        (end, 0)
    }

    fn path_end_or_slash(&self, at: usize) -> usize {
        let end = self.path_end(at);
        if end == at { at + 1 } else { end }
    }

    /// Behind an interpolation in a path.
    fn path_rest(&mut self) {
        let (end, _) = self.path_text(self.at);
        if end > self.at {
            self.path_piece(PathPart, end);
        } else if self.peek(0) == b'$' && self.peek(1) == b'{' {
            self.open(InterpolStart, 2, Mode::Code);
        } else {
            self.modes.pop();
        }
    }

    /// Reports the path that ends at the cursor in a slash, with the fix that drops the slashes.
    fn trailing_slash(&mut self) {
        let end = self.at;
        let mut start = end;
        while start > 0 && self.bytes[start - 1] == b'/' {
            start -= 1;
        }
        let range = TextRange::new(start as u32, end as u32);
        let found = Diagnostic::new(
            codes::TRAILING_SLASH,
            Severity::Error,
            range,
            "a path ends in a slash, which Nix refuses",
        );
        // What is left is a path still: lexing one took a slash with a path character behind it,
        // or an interpolation.
        self.problems.push(found.fix(
            "remove the trailing slash",
            cim_nix_base::Applicability::Safe,
            vec![TextEdit::remove(range)],
        ));
    }

    fn home_path(&mut self) {
        if self.peek(1) == b'/' && self.path(self.at + 1) {
            return;
        }
        self.unknown();
    }

    fn slash(&mut self) {
        match self.peek(1) {
            b'/' => self.take(Update, 2),
            b'*' => self.block_comment(),
            _ if self.path(self.at) => {}
            _ => self.take(Div, 1),
        }
    }

    fn block_comment(&mut self) {
        let start = self.at;
        let mut at = start + 2;
        while let Some(star) = memchr(b'*', &self.bytes[at.min(self.bytes.len())..]) {
            at += star + 1;
            if self.byte(at) == b'/' {
                return self.push(BlockComment, at + 1);
            }
        }
        let message = "this comment is never closed".to_owned();
        self.problem(codes::UNTERMINATED, start, start + 2, message);
        self.push(BlockComment, self.bytes.len());
    }

    fn dot_or_sign(&mut self, first: u8) {
        let next = self.peek(1);
        let may_go_on = CLASS[next as usize] & PATH != 0 || next == b'/';
        if may_go_on && self.path_or_uri() {
            return;
        }
        let (kind, len) = match (first, next) {
            (b'.', b'0'..=b'9') => (Float, self.float_end(self.at) - self.at),
            (b'.', b'.') if self.peek(2) == b'.' => (Ellipsis, 3),
            (b'.', _) => (Dot, 1),
            (b'+', b'+') => (Concat, 2),
            (b'+', _) => (Add, 1),
            (_, b'>') => (Implies, 2),
            _ => (Sub, 1),
        };
        let start = self.at;
        self.take(kind, len);
        if kind == Float {
            self.check_float(start);
        }
    }

    /// The end of a float whose point is at `point`.
    fn float_end(&self, point: usize) -> usize {
        let end = self.scan(point + 1, DIGIT);
        if matches!(self.byte(end), b'e' | b'E') {
            let sign = usize::from(matches!(self.byte(end + 1), b'+' | b'-'));
            if self.class(end + 1 + sign) & DIGIT != 0 {
                return self.scan(end + 1 + sign, DIGIT);
            }
        }
        end
    }

    fn number(&mut self) {
        let start = self.at;
        let end = self.scan(start, DIGIT);
        let next = self.byte(end);
        if (CLASS[next as usize] & PATH != 0 || next == b'/') && self.path_or_uri() {
            return;
        }
        let whole = &self.bytes[start..end];
        // As in Nix: `1.`, `12.5` and `0.5` are floats, `0.` and `01.5` are not.
        let is_float = next == b'.'
            && (whole[0] != b'0' || (whole.len() == 1 && self.class(end + 1) & DIGIT != 0));
        if is_float {
            self.push(Float, self.float_end(end));
            self.check_float(start);
            return;
        }
        self.push(Int, end);
        if end - start >= 19 && self.text(start, end).parse::<i64>().is_err() {
            let message = format!("the integer {} does not fit 64 bits", self.text(start, end));
            self.problem(codes::INVALID_NUMBER, start, end, message);
        }
    }

    /// Text of an ASCII token.
    fn text(&self, start: usize, end: usize) -> &str {
        std::str::from_utf8(&self.bytes[start..end]).unwrap_or_default()
    }

    /// Nix refuses floats that C's `strtod` calls out of range: infinite ones and those that lose
    /// digits to a subnormal result.
    fn check_float(&mut self, start: usize) {
        let text = self.text(start, self.at);
        let value: f64 = text.parse().unwrap_or(f64::NAN);
        let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
        let is_zero = !mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
        if value.is_infinite() || (!is_zero && value < f64::MIN_POSITIVE) {
            let message = format!("the number {text} does not fit a 64-bit float");
            self.problem(codes::INVALID_NUMBER, start, self.at, message);
        }
    }

    fn less(&mut self) {
        let mut end = self.scan(self.at + 1, PATH);
        if end > self.at + 1 {
            while self.byte(end) == b'/' && self.class(end + 1) & PATH != 0 {
                end = self.scan(end + 1, PATH);
            }
            if self.byte(end) == b'>' {
                return self.push(SearchPath, end + 1);
            }
        }
        match self.peek(1) {
            b'=' => self.take(LessEqual, 2),
            b'|' => self.take(PipeFrom, 2),
            _ => self.take(Less, 1),
        }
    }

    fn string(&mut self) {
        let len = self.bytes.len();
        let mut at = self.at;
        loop {
            let Some(found) = memchr3(b'"', b'\\', b'$', &self.bytes[at..]) else {
                at = len;
                break;
            };
            at += found;
            match (self.bytes[at], self.byte(at + 1)) {
                (b'"', _) | (b'$', b'{') => break,
                (b'$', b'"') => at += 1,
                (b'$', b'\\') => at = (at + 3).min(len),
                _ => at = (at + 2).min(len),
            }
        }
        // An escape can be cut off by the end of the file in the middle of a character.
        if at > self.at {
            let start = self.at;
            self.push(StrContent, at);
            if self.has_nul {
                self.check_nul(start, false);
            }
        }
        match self.byte(at) {
            b'"' if at < len => {
                self.modes.pop();
                self.take(StrEnd, 1);
            }
            b'$' if at < len => self.open(InterpolStart, 2, Mode::Code),
            _ => {}
        }
    }

    fn indented_string(&mut self) {
        let len = self.bytes.len();
        let mut at = self.at;
        let mut closes = false;
        loop {
            let Some(found) = memchr2(b'\'', b'$', &self.bytes[at..]) else {
                at = len;
                break;
            };
            at += found;
            let next = self.byte(at + 1);
            if self.bytes[at] == b'$' {
                match next {
                    b'{' => break,
                    b'\'' => at += 1,
                    _ => at = (at + 2).min(len),
                }
            } else if next != b'\'' {
                at += 1;
            } else {
                match self.byte(at + 2) {
                    b'$' | b'\'' => at += 3,
                    b'\\' if at + 3 < len => at += 4,
                    _ => {
                        closes = true;
                        break;
                    }
                }
            }
        }
        if at > self.at {
            let start = self.at;
            self.push(IndContent, at);
            if self.has_nul {
                self.check_nul(start, true);
            }
        }
        if closes {
            self.modes.pop();
            self.take(IndEnd, 2);
        } else if at < len {
            self.open(InterpolStart, 2, Mode::Code);
        }
    }
}

/// The kind of an identifier: a keyword or [`TokenKind::Ident`].
#[inline]
fn keyword(word: &[u8]) -> TokenKind {
    if word.len() > 7 || word.len() < 2 {
        return Ident;
    }
    match word {
        b"if" => If,
        b"in" => In,
        b"or" => Or,
        b"let" => Let,
        b"rec" => Rec,
        b"then" => Then,
        b"else" => Else,
        b"with" => With,
        b"assert" => Assert,
        b"inherit" => Inherit,
        _ => Ident,
    }
}
