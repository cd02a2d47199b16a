//! Text of new syntax: strings, names, paths and whole values with the right escapes.
//!
//! What is built here reads back as the value it was built from; [`crate::literal`] is the judge.
//! Layout is plain and stable, final formatting is left to the formatter. Putting the text into an
//! existing file is the work of [`crate::edit`].
//!
//! ```
//! use cim_nix_syntax::build::{Value, attr_path_text, quote_string};
//!
//! assert_eq!(quote_string("a ${b}"), r#""a \${b}""#);
//! assert_eq!(attr_path_text(["services", "my site", "or"]), r#"services."my site".or"#);
//! let value = Value::attrs([("ports", Value::list([80, 443]))]);
//! assert_eq!(value.render(0).unwrap(), "{ ports = [ 80 443 ]; }");
//! ```

use std::borrow::Cow;
use std::fmt;

use crate::{NodeKind, TokenKind, Tree, parse};

/// Lines up to this width stay on one line.
const WIDTH: usize = 80;
/// Deepest nesting of a [`Value`] that is rendered.
const MAX_VALUE_DEPTH: usize = 500;

/// A value that becomes an expression.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A string: `"…"`, or `''…''` where it has several lines.
    Str(String),
    /// A path (`./a`, `/a`, `~/a`) or search path (`<a>`), as it will stand there.
    Path(String),
    /// A list.
    List(Vec<Self>),
    /// An attribute set, in this order.
    Attrs(Vec<(String, Self)>),
    /// Any expression, as it will stand there; parentheses are added where they are needed.
    Raw(String),
}

/// Why a [`Value`] has no text.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// A string or name holds a NUL byte, which no Nix string can.
    NulByte,
    /// The number is infinite, not a number, or so small that Nix refuses its literal.
    NoLiteral(f64),
    /// The text is no path literal.
    NotAPath(String),
    /// The text is no expression; the message says what is wrong with it.
    NotAnExpression {
        /// The text.
        text: String,
        /// The parser's message.
        message: String,
    },
    /// Two attributes of one set have this name.
    DuplicateName(String),
    /// Values are nested too deeply.
    TooDeep,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NulByte => f.write_str("a Nix string cannot hold a NUL byte"),
            Self::NoLiteral(number) => write!(f, "Nix has no literal for the number {number:?}"),
            Self::NotAPath(text) => write!(f, "{text:?} is not a path literal"),
            Self::NotAnExpression { text, message } => {
                write!(f, "{text:?} is not an expression: {message}")
            }
            Self::DuplicateName(name) => write!(f, "the attribute {name:?} is given twice"),
            Self::TooDeep => {
                write!(f, "the value is nested more than {MAX_VALUE_DEPTH} levels deep")
            }
        }
    }
}

impl std::error::Error for BuildError {}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Str(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Str(value)
    }
}

/// `"…"` with the value `text`.
///
/// A NUL byte is passed through, although Nix refuses it: there is no way to write one.
#[must_use]
pub fn quote_string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '$' if chars.peek() == Some(&'{') => out.push_str("\\$"),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// Whether an attribute's name can stand without quotes: an identifier that is no keyword. `or`,
/// a keyword elsewhere, is none as an attribute's name; as a variable it cannot be written.
#[must_use]
pub fn is_bare_name(name: &str) -> bool {
    const KEYWORDS: [&str; 9] =
        ["if", "then", "else", "assert", "with", "let", "in", "rec", "inherit"];
    let starts = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let goes_on = |byte: u8| starts(byte) || byte.is_ascii_digit() || matches!(byte, b'\'' | b'-');
    name.bytes().next().is_some_and(starts)
        && name.bytes().all(goes_on)
        && !KEYWORDS.contains(&name)
}

/// An attribute's name as it stands in an attribute path or `inherit`: bare where it can be.
#[must_use]
pub fn attr_name_text(name: &str) -> Cow<'_, str> {
    if is_bare_name(name) { Cow::Borrowed(name) } else { Cow::Owned(quote_string(name)) }
}

/// The names with dots between them, quoted where they must be.
#[must_use]
pub fn attr_path_text<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let mut out = String::new();
    for name in names {
        if !out.is_empty() {
            out.push('.');
        }
        out.push_str(&attr_name_text(name.as_ref()));
    }
    out
}

/// `''…''` over several lines with the value `text`; the closing quotes are indented by `indent`
/// spaces, the lines of the text by two more.
///
/// A NUL byte is passed through, as in [`quote_string`].
#[must_use]
pub fn indented_string(text: &str, indent: usize) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 4 + 8);
    out.push_str("''");
    if text.is_empty() {
        out.push_str("''");
        return out;
    }
    // Nix strips the spaces that all lines with content begin with. Where no line begins without,
    // an escaped space keeps one line's own indentation and so everyone's.
    let is_anchor = |line: &str| !line.is_empty() && !line.starts_with(' ');
    let mut needs_anchor = !text.split('\n').any(is_anchor);
    let mut lines = text.split('\n').peekable();
    while let Some(line) = lines.next() {
        let is_last = lines.peek().is_none();
        out.push('\n');
        if line.is_empty() {
            out.extend(is_last.then(|| " ".repeat(indent)));
            continue;
        }
        out.push_str(&" ".repeat(indent + 2));
        let is_blank = line.bytes().all(|byte| byte == b' ');
        if line.starts_with(' ') && (needs_anchor || (is_last && is_blank)) {
            needs_anchor = false;
            out.push_str("''\\");
        }
        push_indented(&mut out, line, is_last);
    }
    out.push_str("''");
    out
}

/// Escapes one line of an indented string; `is_last` where the closing quotes follow it.
fn push_indented(out: &mut String, line: &str, is_last: bool) {
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        if let Some(behind) = rest.strip_prefix("''") {
            out.push_str("'''");
            rest = behind;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        // Quotes of an escape or of the end would join a quote in front of them.
        let quotes_follow =
            rest.starts_with("${") || rest.starts_with('\r') || (is_last && rest.is_empty());
        match c {
            '$' if rest.starts_with('{') => out.push_str("''$"),
            '\'' if quotes_follow => out.push_str("''\\'"),
            // A bare CR would stay one, but not survive an editor that normalises line ends.
            '\r' => out.push_str("''\\r"),
            other => out.push(other),
        }
    }
}

/// Where an expression stands; decides whether it needs parentheses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Behind a `=`.
    Bound,
    /// In a list.
    Element,
}

impl Value {
    /// A list.
    #[must_use]
    pub fn list<V: Into<Self>>(elements: impl IntoIterator<Item = V>) -> Self {
        Self::List(elements.into_iter().map(Into::into).collect())
    }

    /// An attribute set.
    #[must_use]
    pub fn attrs<N: Into<String>>(attrs: impl IntoIterator<Item = (N, Self)>) -> Self {
        Self::Attrs(attrs.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }

    /// The expression's text, as it can stand behind a `=`. Lines behind the first are indented by
    /// `indent` spaces more than the structure asks for.
    pub fn render(&self, indent: usize) -> Result<String, BuildError> {
        self.render_at(indent, Place::Bound, 0)
    }

    /// As [`Value::render`], but as it can stand in a list or as an argument: with parentheses
    /// where they are needed.
    pub fn render_element(&self, indent: usize) -> Result<String, BuildError> {
        self.render_at(indent, Place::Element, 0)
    }

    fn render_at(&self, indent: usize, place: Place, depth: usize) -> Result<String, BuildError> {
        if depth > MAX_VALUE_DEPTH {
            return Err(BuildError::TooDeep);
        }
        Ok(match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => int_text(*value, place),
            Self::Float(value) => float_text(*value, place)?,
            Self::Str(text) => string_text(text, indent)?,
            Self::Path(text) => path_text(text)?,
            Self::List(elements) => list_text(elements, indent, depth)?,
            Self::Attrs(attrs) => attrs_text(attrs, indent, depth)?,
            Self::Raw(text) => raw_text(text, place)?,
        })
    }
}

fn int_text(value: i64, place: Place) -> String {
    if value == i64::MIN {
        // Its literal would be a number that does not fit, with a minus in front.
        format!("({} - 1)", i64::MIN + 1)
    } else if value < 0 && place == Place::Element {
        format!("({value})")
    } else {
        value.to_string()
    }
}

fn float_text(value: f64, place: Place) -> Result<String, BuildError> {
    if !value.is_finite() || value.is_subnormal() {
        return Err(BuildError::NoLiteral(value));
    }
    let mut text = format!("{value:?}");
    if let Some(exponent) = text.find('e')
        && !text.contains('.')
    {
        text.insert_str(exponent, ".0");
    }
    let needs_parens = text.starts_with('-') && place == Place::Element;
    Ok(if needs_parens { format!("({text})") } else { text })
}

fn string_text(text: &str, indent: usize) -> Result<String, BuildError> {
    if text.contains('\0') {
        return Err(BuildError::NulByte);
    }
    let has_lines = text.trim_end_matches('\n').contains('\n');
    Ok(if has_lines { indented_string(text, indent) } else { quote_string(text) })
}

fn path_text(text: &str) -> Result<String, BuildError> {
    let parse = parse(text);
    let is_path = parse.tree.root().child(0).is_some_and(|node| {
        let is_path = matches!(node.kind(), NodeKind::Path | NodeKind::SearchPath);
        is_path && node.is_leaf() && node.text() == text
    });
    if is_path && parse.problems.is_empty() {
        Ok(text.to_owned())
    } else {
        Err(BuildError::NotAPath(text.to_owned()))
    }
}

fn list_text(elements: &[Value], indent: usize, depth: usize) -> Result<String, BuildError> {
    if elements.is_empty() {
        return Ok("[ ]".to_owned());
    }
    let texts = elements
        .iter()
        .map(|element| element.render_at(indent + 2, Place::Element, depth + 1))
        .collect::<Result<Vec<_>, _>>()?;
    let width: usize = texts.iter().map(|text| text.len() + 1).sum();
    let is_short = indent + width + 3 <= WIDTH && !texts.iter().any(|text| text.contains('\n'));
    if is_short {
        return Ok(format!("[ {} ]", texts.join(" ")));
    }
    let line = format!("\n{:1$}", "", indent + 2);
    Ok(format!("[{line}{}\n{:2$}]", texts.join(&line), "", indent))
}

fn attrs_text(
    attrs: &[(String, Value)],
    indent: usize,
    depth: usize,
) -> Result<String, BuildError> {
    if attrs.is_empty() {
        return Ok("{ }".to_owned());
    }
    let mut names: Vec<&str> = attrs.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(BuildError::DuplicateName(pair[0].to_owned()));
    }
    let mut bindings = Vec::with_capacity(attrs.len());
    for (name, value) in attrs {
        if name.contains('\0') {
            return Err(BuildError::NulByte);
        }
        let value = value.render_at(indent + 2, Place::Bound, depth + 1)?;
        bindings.push(format!("{} = {value};", attr_name_text(name)));
    }
    if let [only] = bindings.as_slice()
        && !only.contains('\n')
        && indent + only.len() + 4 <= WIDTH
    {
        return Ok(format!("{{ {only} }}"));
    }
    let line = format!("\n{:1$}", "", indent + 2);
    Ok(format!("{{{line}{}\n{:2$}}}", bindings.join(&line), "", indent))
}

fn raw_text(text: &str, place: Place) -> Result<String, BuildError> {
    let tree = check_expression(text)?;
    let text = text.trim();
    let kind = tree.root().child(0).map_or(NodeKind::Error, |node| node.kind());
    let swallows = ends_in_line_comment(&tree);
    Ok(if !swallows && (place == Place::Bound || is_operand(kind)) {
        text.to_owned()
    } else if swallows {
        format!("({text}\n)")
    } else {
        format!("({text})")
    })
}

/// Parses `text`, which must be one sound expression.
pub(crate) fn check_expression(text: &str) -> Result<Tree, BuildError> {
    let parse = parse(text);
    match parse.problems.into_iter().next() {
        None => Ok(parse.tree),
        Some(problem) => {
            let message = problem.message.to_string();
            Err(BuildError::NotAnExpression { text: text.to_owned(), message })
        }
    }
}

/// Whether the text ends in a comment that would swallow what is put behind it.
pub(crate) fn ends_in_line_comment(tree: &Tree) -> bool {
    let is_end = |kind: TokenKind| matches!(kind, TokenKind::Whitespace | TokenKind::Eof);
    let last = tree.tokens().rev().find(|token| !is_end(token.kind()));
    last.is_some_and(|token| token.kind() == TokenKind::LineComment)
}

/// Whether an expression can be a list element or argument without parentheses.
pub(crate) fn is_operand(kind: NodeKind) -> bool {
    matches!(
        kind,
        NodeKind::Ident
            | NodeKind::Literal
            | NodeKind::Str
            | NodeKind::IndStr
            | NodeKind::Path
            | NodeKind::SearchPath
            | NodeKind::Paren
            | NodeKind::List
            | NodeKind::AttrSet
            | NodeKind::LegacyLet
            | NodeKind::Select
    )
}

#[cfg(test)]
mod tests;
