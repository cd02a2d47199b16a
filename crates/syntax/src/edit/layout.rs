//! Where new text goes and how it is indented.

use cim_nix_base::{TextEdit, TextRange, TextSize};

use super::EditError;
use crate::build::Value;
use crate::trivia::{begins_line, blank_after, line_feeds};
use crate::{Node, NodeKind, TokenKind, TokenRef, Tree, parse};

/// The line ending of a file: that of its first line.
pub(super) fn line_end(tree: &Tree) -> &'static str {
    match tree.text().split_once('\n') {
        Some((first, _)) if first.ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// The blanks that the line around `offset` begins with.
pub(super) fn line_indent(tree: &Tree, offset: TextSize) -> &str {
    let before = tree.text().get(..offset as usize).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |line_feed| line_feed + 1);
    let line = &tree.text()[start..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// One more level than `indent`.
pub(super) fn deeper(indent: &str) -> String {
    let unit = if indent.contains('\t') { "\t" } else { "  " };
    format!("{indent}{unit}")
}

/// An expression as it can stand behind a `=`.
pub(super) fn value_text(text: &str, indent: &str, line_end: &str) -> Result<String, EditError> {
    let text = Value::Raw(text.to_owned()).render(0)?;
    Ok(reindent(&text, indent, line_end))
}

/// An expression as it can stand in a list or as an argument.
pub(super) fn operand_text(text: &str, indent: &str, line_end: &str) -> Result<String, EditError> {
    let text = Value::Raw(text.to_owned()).render_element(0)?;
    Ok(reindent(&text, indent, line_end))
}

/// Puts `indent` in front of all lines of an expression but the first, and gives them the file's
/// line ending. Values of strings stay: lines of `"…"` are not touched, those of `''…''` only where
/// that changes nothing.
fn reindent(text: &str, indent: &str, line_end: &str) -> String {
    if !text.contains('\n') || (indent.is_empty() && line_end == "\n") {
        return text.to_owned();
    }
    let tree = parse(text).tree;
    let mut movable = vec![false; tree.token_count()];
    for node in tree.nodes().filter(|node| node.kind() == NodeKind::IndStr) {
        if is_movable(node, indent) {
            node.own_tokens().for_each(|token| movable[token.id().0 as usize] = true);
        }
    }
    let mut out = String::with_capacity(text.len() * 2);
    for token in tree.tokens() {
        match token.kind() {
            TokenKind::Whitespace => push_lines(&mut out, token.text(), indent, line_end),
            TokenKind::BlockComment => push_lines(&mut out, token.text(), indent, line_end),
            TokenKind::IndContent if movable[token.id().0 as usize] => {
                push_lines(&mut out, token.text(), indent, "\n");
            }
            _ => out.push_str(token.text()),
        }
    }
    out
}

/// Whether more spaces in front of every line leave the value of an indented string as it is: the
/// first line is blank, and so has no say in the indentation, and tabs are none.
fn is_movable(string: Node<'_>, indent: &str) -> bool {
    let content = string.first_token().and_then(TokenRef::next);
    let is_content = |token: &TokenRef<'_>| token.kind() == TokenKind::IndContent;
    indent.bytes().all(|byte| byte == b' ')
        && content
            .filter(is_content)
            .is_some_and(|token| token.text().trim_start_matches(' ').starts_with('\n'))
}

fn push_lines(out: &mut String, text: &str, indent: &str, line_end: &str) {
    let mut lines = text.split('\n').peekable();
    while let Some(line) = lines.next() {
        let Some(next) = lines.peek() else {
            out.push_str(line);
            return;
        };
        // In strings a CR is content; they are given "\n".
        let keeps_cr = line_end == "\n";
        out.push_str(if keeps_cr { line } else { line.strip_suffix('\r').unwrap_or(line) });
        out.push_str(line_end);
        let next_is_empty = next.is_empty() || (!keeps_cr && *next == "\r");
        // The last piece ends where the token ends: other text of its line may follow.
        let ends_line = next_is_empty && lines.clone().nth(1).is_some();
        if !ends_line {
            out.push_str(indent);
        }
    }
}

/// Something in brackets or between `let` and `in`, with items one behind the other.
pub(super) struct Container<'t> {
    pub(super) tree: &'t Tree,
    pub(super) opener: TokenRef<'t>,
    pub(super) closer: TokenRef<'t>,
    pub(super) items: Vec<Node<'t>>,
}

/// A place for new text.
pub(super) struct Slot {
    range: TextRange,
    before: String,
    after: String,
    /// Indentation of the line that the text will stand on.
    pub(super) indent: String,
}

impl Slot {
    /// Whether the text will stand at the start of a line.
    pub(super) fn begins_line(&self) -> bool {
        self.before.contains('\n')
    }

    pub(super) fn fill(self, text: &str) -> TextEdit {
        TextEdit::replace(self.range, format!("{}{text}{}", self.before, self.after))
    }
}

impl<'t> Container<'t> {
    /// The bindings of a set or `let`.
    pub(super) fn of_entries(node: Node<'t>) -> Result<Self, EditError> {
        let (opener, closer) = match node.kind() {
            NodeKind::AttrSet | NodeKind::LegacyLet => (TokenKind::LBrace, TokenKind::RBrace),
            NodeKind::LetIn => (TokenKind::Let, TokenKind::In),
            _ => return Err(wrong_kind(node, "a set or `let`")),
        };
        let mut items: Vec<_> = node.children().collect();
        if node.kind() == NodeKind::LetIn {
            items.pop();
        }
        let ends = |node: &Node<'_>| node.last_token().map(TokenRef::kind);
        let is_sound = |node: &Node<'_>| {
            matches!(node.kind(), NodeKind::Binding | NodeKind::Inherit)
                && ends(node) == Some(TokenKind::Semicolon)
        };
        Self::new(node, opener, closer, items, is_sound)
    }

    /// The elements of a list.
    pub(super) fn of_elements(node: Node<'t>) -> Result<Self, EditError> {
        if node.kind() != NodeKind::List {
            return Err(wrong_kind(node, "a list"));
        }
        let is_sound = |node: &Node<'_>| node.kind() != NodeKind::Error;
        let items = node.children().collect();
        Self::new(node, TokenKind::LBracket, TokenKind::RBracket, items, is_sound)
    }

    fn new(
        node: Node<'t>,
        opener: TokenKind,
        closer: TokenKind,
        items: Vec<Node<'t>>,
        is_sound: impl Fn(&Node<'t>) -> bool,
    ) -> Result<Self, EditError> {
        let broken = EditError::Broken(node.range());
        let (Some(opener), Some(closer)) = (node.own_token(opener), node.own_token(closer)) else {
            return Err(broken);
        };
        if !items.iter().all(is_sound) {
            return Err(broken);
        }
        Ok(Self { tree: node.tree(), opener, closer, items })
    }

    /// The place behind the last item, or between the brackets where there is none.
    /// `is_block` says that the new text has several lines.
    pub(super) fn slot_at_end(&self, is_block: bool) -> Slot {
        match self.items.last() {
            Some(&last) => self.slot_after(last, &self.items),
            None => self.slot_in_empty(is_block),
        }
    }

    /// The place behind `item`. A blank line is left if there is one between all `neighbours`.
    pub(super) fn slot_after(&self, item: Node<'t>, neighbours: &[Node<'t>]) -> Slot {
        let Some((first, last)) = item.first_token().zip(item.last_token()) else {
            return self.slot_in_empty(false);
        };
        let tail = with_trailing_comment(last);
        if self.takes_own_line(first, last, tail) {
            let line_end = line_end(self.tree);
            let has_gaps = neighbours.len() > 1 && neighbours.windows(2).all(is_blank_line_between);
            // What follows closely is not pushed away.
            let has_room = blank_after(tail)
                .is_none_or(|blank| line_feeds(blank) > 1 || blank.next() == Some(self.closer));
            let indent = self.item_indent();
            let gap = if has_gaps && has_room { line_end } else { "" };
            return Slot {
                range: TextRange::empty(tail.range().end),
                before: format!("{line_end}{gap}{indent}"),
                after: String::new(),
                indent,
            };
        }
        let touches =
            last.next().is_some_and(|next| !next.kind().is_trivia() && next != self.closer);
        Slot {
            range: TextRange::empty(last.range().end),
            before: " ".to_owned(),
            after: if touches { " ".to_owned() } else { String::new() },
            indent: line_indent(self.tree, first.range().start).to_owned(),
        }
    }

    /// Whether what is put behind the item `first` to `last` gets a line of its own.
    pub(super) fn takes_own_line(
        &self,
        first: TokenRef<'t>,
        last: TokenRef<'t>,
        tail: TokenRef<'t>,
    ) -> bool {
        let line_ends = blank_after(tail).is_some_and(|blank| line_feeds(blank) > 0);
        let is_last = blank_after(last).unwrap_or(last).next() == Some(self.closer);
        let begins = begins_line(first) && is_line_between(self.opener, first, self.tree);
        if self.opener.kind() == TokenKind::LBracket {
            // Lists often have several elements a line. A comment at its end ends that.
            (line_ends && (begins || tail != last)) || (is_last && begins)
        } else {
            line_ends || (is_last && begins)
        }
    }

    /// The indentation of items: that of the first one at the start of a line.
    pub(super) fn item_indent(&self) -> String {
        let mut firsts = self.items.iter().filter_map(|item| item.first_token());
        match firsts.find(|&token| begins_line(token)) {
            Some(token) => line_indent(self.tree, token.range().start).to_owned(),
            None => deeper(line_indent(self.tree, self.opener.range().start)),
        }
    }

    /// The place between brackets that hold nothing but blanks and comments.
    pub(super) fn slot_in_empty(&self, is_block: bool) -> Slot {
        let line_end = line_end(self.tree);
        let outer = line_indent(self.tree, self.opener.range().start);
        let last = self.closer.previous().unwrap_or(self.opener);
        let blank = Some(last).filter(|token| token.kind() == TokenKind::Whitespace);
        let behind = blank.and_then(TokenRef::previous).unwrap_or(last);
        let has_line = blank.is_some_and(|blank| line_feeds(blank) > 0);
        if has_line {
            let indent = deeper(outer);
            // A comment right above would be read as one about what is put in.
            let is_close = behind.kind().is_comment() && begins_line(behind);
            let gap = if is_close { line_end } else { "" };
            return Slot {
                range: TextRange::empty(behind.range().end),
                before: format!("{line_end}{gap}{indent}"),
                after: String::new(),
                indent,
            };
        }
        let inner = TextRange::new(behind.range().end, self.closer.range().start);
        if is_block {
            let indent = deeper(outer);
            let before = format!("{line_end}{indent}");
            return Slot { range: inner, before, after: format!("{line_end}{outer}"), indent };
        }
        let start = self.opener.range().end;
        let after = if start == self.closer.range().start { " " } else { "" };
        let range = TextRange::empty(start);
        Slot { range, before: " ".to_owned(), after: after.to_owned(), indent: outer.to_owned() }
    }
}

pub(super) fn wrong_kind(node: Node<'_>, wanted: &'static str) -> EditError {
    EditError::WrongKind { wanted, range: node.range() }
}

/// Whether a line ends between the starts of two tokens.
fn is_line_between(from: TokenRef<'_>, to: TokenRef<'_>, tree: &Tree) -> bool {
    let range = TextRange::new(from.range().start, to.range().start).as_usize();
    memchr::memchr(b'\n', &tree.text().as_bytes()[range]).is_some()
}

/// The last comment behind `token` on its line, if the line ends there; else `token`.
pub(super) fn with_trailing_comment(token: TokenRef<'_>) -> TokenRef<'_> {
    let mut last = token;
    for next in std::iter::successors(token.next(), |token| token.next()) {
        match next.kind() {
            TokenKind::Whitespace if line_feeds(next) > 0 => return last,
            TokenKind::Whitespace => {}
            TokenKind::LineComment | TokenKind::BlockComment => last = next,
            TokenKind::Eof => return last,
            _ => return token,
        }
    }
    token
}

/// Whether a line is left blank between two neighbours.
fn is_blank_line_between(pair: &[Node<'_>]) -> bool {
    let [before, behind] = pair else { return false };
    let (Some(from), Some(to)) = (before.last_token(), behind.first_token()) else { return false };
    std::iter::successors(from.next(), |token| token.next())
        .take_while(|token| token.id() < to.id())
        .any(|token| token.kind() == TokenKind::Whitespace && line_feeds(token) > 1)
}
