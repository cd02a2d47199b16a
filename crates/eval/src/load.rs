//! From the text of a file to linked code.

use std::cell::OnceCell;
use std::path::Path;

use cim_nix_base::{Diagnostic, Severity};
use cim_nix_semantics::{Ir, codes as names, print};
use cim_nix_syntax::{NodeKind, Parse, TokenKind, TokenRef, Tree, codes};

use crate::attrs::Attrs;
use crate::code::{Code, Pos};
use crate::error::{ErrorKind, EvalError, Failed, Res};
use crate::evaluator::{Evaluator, Kept, SourceText};
use crate::link::{Input, link};
use crate::parses::Parsed;
use crate::paths;

/// What becomes of a literal that is legal, but discouraged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Lint {
    /// Nothing.
    #[default]
    Ignore,
    /// A warning.
    Warn,
    /// The file is refused.
    Fatal,
}

/// What becomes of literals that are legal, but discouraged: Nix's settings `lint-*`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lints {
    /// `https://example.org` without quotes.
    pub url_literals: Lint,
    /// `a/b` without `./`.
    pub short_path_literals: Lint,
    /// `/a` and `~/a`.
    pub absolute_path_literals: Lint,
}

impl Lints {
    fn is_off(self) -> bool {
        self == Self::default()
    }
}

/// A byte that is no UTF-8 stands in a source text as a character of the last private plane, so
/// that the tree can be made of text; literals turn it back.
const STAND_INS: u32 = 0x0010_FF00;

/// The text of a file and whether it has stand-ins for bytes that are no UTF-8.
fn decode(bytes: Vec<u8>) -> (String, bool) {
    let bytes = match String::from_utf8(bytes) {
        Ok(text) => return (text, false),
        Err(error) => error.into_bytes(),
    };
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(
            chunk.invalid().iter().filter_map(|&b| char::from_u32(STAND_INS + u32::from(b))),
        );
    }
    (text, true)
}

/// The bytes that a text with stand-ins stands for.
pub(crate) fn encode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u32::from(c).checked_sub(STAND_INS) {
            Some(byte @ 0x80..=0xff) => bytes.push(byte as u8),
            _ => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

impl Evaluator {
    /// Parses, lowers and links a text that is no file.
    pub(crate) fn load(
        &self,
        text: Box<str>,
        origin: &str,
        folder: &[u8],
        scope: Option<Attrs>,
    ) -> Res<&'static Code> {
        self.load_text(text, false, origin, (folder, None), scope)
    }

    /// The same for a text of this program, which counts as a file at the top.
    pub(crate) fn load_internal(&self, text: &str, name: &str) -> Res<&'static Code> {
        let (origin, path) = (format!("«nix-internal»/{name}"), format!("/{name}"));
        self.load_text(text.into(), false, &origin, (b"/", Some(path.as_bytes())), None)
    }

    fn load_text(
        &self,
        text: Box<str>,
        has_stand_ins: bool,
        origin: &str,
        (folder, file): (&[u8], Option<&[u8]>),
        scope: Option<Attrs>,
    ) -> Res<&'static Code> {
        self.parsed(text, origin, file, |Parsed { parse, ir }, base| {
            self.check(parse, ir, scope.is_some())?;
            Ok(link(self, Input { ir, tree: &parse.tree, folder, base, scope, has_stand_ins }))
        })
    }

    /// Prints a text as it was understood.
    pub(crate) fn print_text(&self, text: &str, origin: &str, folder: &Path) -> Res<String> {
        self.parsed(text.into(), origin, None, |Parsed { parse, ir }, _| {
            self.check(parse, ir, false)?;
            let places = print::Places { folder, home: &self.settings.home };
            Ok(print::print(ir, &parse.tree, places))
        })
    }

    /// Parses and lowers a text, and uses what it is.
    fn parsed<T>(
        &self,
        text: Box<str>,
        origin: &str,
        file: Option<&[u8]>,
        work: impl FnOnce(&Parsed, Pos) -> Result<T, (u32, String)>,
    ) -> Res<T> {
        let base = self.next_position.get();
        self.next_position.set(base.saturating_add(text.len() as u32).saturating_add(1));
        let parse =
            |text| Parsed::of(text, &mut self.parser.borrow_mut(), &mut self.lowerer.borrow_mut());
        let lints = |parsed: &Parsed| literal_lints(&parsed.parse.tree, self.settings.lints);
        let (result, lints, text) = match self.settings.parses.as_ref().filter(|_| file.is_some()) {
            Some(shared) => {
                let parsed = shared.get(text, parse);
                (work(&parsed, base), lints(&parsed), Kept::Shared(parsed))
            }
            None => {
                let parsed = parse(text);
                (work(&parsed, base), lints(&parsed), Kept::Own(parsed.parse.tree.into_text()))
            }
        };
        self.sources.borrow_mut().push(SourceText {
            base,
            origin: origin.into(),
            file: file.map(Into::into),
            text,
            lines: OnceCell::new(),
        });
        for (at, lint, message) in lints {
            // What stands behind a fault, Nix does not get to.
            if result.as_ref().is_err_and(|(fault, _)| *fault < at) {
                break;
            }
            self.report_lint(lint, base + at, message)?;
        }
        result.map_err(|(at, message)| self.fail(ErrorKind::Syntax, base + at, message))
    }

    fn report_lint(&self, lint: Lint, position: Pos, message: String) -> Res<()> {
        if lint == Lint::Fatal {
            return Err(self.fail(ErrorKind::Syntax, position, message));
        }
        let warning = EvalError {
            kind: ErrorKind::Syntax,
            message,
            place: self.place(position),
            trace: Vec::new(),
            suggestions: Vec::new(),
        };
        (self.warnings)(&warning.render_as("warning", false));
        Ok(())
    }

    /// Errors: the first fault of the text and where it is.
    fn check(&self, parse: &Parse, ir: &Ir, has_scope: bool) -> Result<(), (u32, String)> {
        let is_error = |p: &&Diagnostic| p.severity == Severity::Error;
        if let Some(problem) = parse.problems.iter().find(is_error) {
            return Err(fault(&parse.tree, problem));
        }
        if let Some(problem) = ir.problems.first() {
            return Err(fault(&parse.tree, problem));
        }
        if !has_scope && let Some(first) = ir.first_undefined(&parse.tree) {
            let node = parse.tree.node(ir.node(first));
            let name = node.text();
            if self.global(name).is_none() {
                return Err((node.range().start, format!("undefined variable '{name}'")));
            }
        }
        Ok(())
    }

    /// Reads, parses, lowers and links a file.
    pub(crate) fn load_file(
        &self,
        path: &[u8],
        scope: Option<Attrs>,
        position: Pos,
    ) -> Res<&'static Code> {
        let shown = self.world.shown(path);
        let origin = String::from_utf8_lossy(shown.as_deref().unwrap_or(path)).into_owned();
        let (text, has_stand_ins) = decode(self.read_file(path, position)?);
        let folder = paths::parent(path);
        self.load_text(text.into(), has_stand_ins, &origin, (folder, Some(path)), scope)
    }

    /// The failure for a text with a NUL byte, which no string of Nix may have.
    #[cold]
    pub(crate) fn nul_in(&self, text: &str, position: Pos) -> Failed {
        self.fail(ErrorKind::Other, position, nul_message(text))
    }
}

/// Where a finding is and what Nix says of it.
fn fault(tree: &Tree, problem: &Diagnostic) -> (u32, String) {
    let start = problem.range.start;
    let token = || tree.token_at(start);
    if problem.code == codes::TRAILING_SLASH {
        return (start, "path has a trailing slash".to_owned());
    }
    if problem.code == names::DYNAMIC_NAME {
        let is_inherit =
            tree.node_at(start).ancestors().any(|node| node.kind() == NodeKind::Inherit);
        let place = if is_inherit { "inherit" } else { "let" };
        return (start, format!("dynamic attributes not allowed in {place}"));
    }
    if tree.text().as_bytes().get(start as usize) == Some(&0)
        && matches!(token().kind(), TokenKind::StrContent | TokenKind::IndContent)
    {
        // A line break directly behind the opening quotes is no part of the string.
        let text = token().text();
        let text = match text.split_once('\n') {
            Some((blank, rest)) if begins_indented(token()) && is_blank(blank) => rest,
            _ => text,
        };
        let skipped = (token().text().len() - text.len()) as u32;
        return (token().range().start + skipped, nul_message(text));
    }
    (start, problem.message.to_string())
}

/// Whether the text stands directly behind `''`.
fn begins_indented(token: TokenRef<'_>) -> bool {
    let start = token.previous();
    start.is_some_and(|start| start.kind() == TokenKind::IndStart)
}

fn is_blank(text: &str) -> bool {
    text.bytes().all(|byte| byte == b' ')
}

/// What Nix says of a text with a NUL byte.
pub(crate) fn nul_message(text: &str) -> String {
    let shown = text.replace('\0', "␀");
    format!(
        "input string '{shown}' cannot be represented as Nix string because it contains null bytes"
    )
}

/// The discouraged literals in order.
fn literal_lints(tree: &Tree, lints: Lints) -> Vec<(u32, Lint, String)> {
    if lints.is_off() {
        return Vec::new();
    }
    tree.tokens().filter_map(|token| literal_lint(token, lints)).collect()
}

fn literal_lint(token: TokenRef<'_>, lints: Lints) -> Option<(u32, Lint, String)> {
    let text = token.text();
    let (lint, message) = match token.kind() {
        TokenKind::Uri => {
            let is_fatal = lints.url_literals == Lint::Fatal;
            let word = if is_fatal { "disallowed" } else { "discouraged" };
            let message = format!(
                "URL literals are {word}. Consider using a string literal \"{text}\" instead (lint-url-literals)"
            );
            (lints.url_literals, message)
        }
        TokenKind::Path | TokenKind::PathStart if text.starts_with(['/', '~']) => {
            let kind = if text.starts_with('/') { "absolute" } else { "home" };
            let message = format!(
                "{kind} path literals are not portable. Consider replacing path literal '{text}' by a string, relative path, or parameter (lint-absolute-path-literals)"
            );
            (lints.absolute_path_literals, message)
        }
        TokenKind::Path | TokenKind::PathStart if !text.starts_with('.') => {
            let message = format!(
                "relative path literal '{text}' should be prefixed with '.' for clarity: './{text}' (lint-short-path-literals)"
            );
            (lints.short_path_literals, message)
        }
        _ => return None,
    };
    (lint != Lint::Ignore).then(|| (token.range().start, lint, message))
}
