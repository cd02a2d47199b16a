//! The entries of one set, many at a time.

use cim_nix_base::{TextEdit, TextRange};

use super::layout::{Container, deeper, line_end, line_indent, with_trailing_comment};
use super::remove::{removed_tokens, with_comments_above};
use super::{EditError, node_of};
use crate::trivia::{begins_line, blank_after, blank_before, line_feeds};
use crate::{NodeId, NodeKind, TokenKind, TokenRef, Tree};

/// A place for new entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In front of the first entry and its comments.
    Front,
    /// Behind an entry of the set.
    Behind(NodeId),
    /// Behind the last entry, or between the brackets.
    End,
}

/// How text is written at a place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Style {
    /// Whether several entries stand on one line.
    pub is_inline: bool,
    /// The blanks that the line begins with.
    pub indent: String,
    /// One more level than that.
    pub unit: String,
    /// The line ending.
    pub line_end: &'static str,
}

impl Style {
    /// The style one level deeper.
    #[must_use]
    pub fn deeper(&self) -> Self {
        let indent = if self.is_inline { String::new() } else { self.unit.clone() };
        Self { indent: format!("{}{indent}", self.indent), ..self.clone() }
    }

    /// What stands between two entries.
    #[must_use]
    pub fn gap(&self) -> String {
        if self.is_inline { " ".to_owned() } else { format!("{}{}", self.line_end, self.indent) }
    }
}

/// The entries of a set or `let`, looked at once for any number of edits.
///
/// What [`Entries::insert`] puts in, [`Entries::remove`] takes out again to the byte.
pub struct Entries<'t> {
    container: Container<'t>,
    indent: String,
    unit: String,
}

impl<'t> Entries<'t> {
    /// The entries of a set or `let`.
    ///
    /// Errors: it is none, or its code does not parse.
    pub fn of(tree: &'t Tree, set: NodeId) -> Result<Self, EditError> {
        let container = Container::of_entries(node_of(tree, set)?)?;
        let indent = container.item_indent();
        let outer = line_indent(tree, container.opener.range().start);
        let unit = match indent.strip_prefix(outer).filter(|unit| !unit.is_empty()) {
            Some(unit) => unit.to_owned(),
            None => deeper(outer)[outer.len()..].to_owned(),
        };
        Ok(Self { container, indent, unit })
    }

    /// Puts entries in; `text` writes them in the style of the place. With `is_apart` a blank line
    /// is left where there is room for one.
    ///
    /// Errors: there is no such place, or what `text` wrote are no entries.
    pub fn insert(
        &self,
        place: Place,
        is_apart: bool,
        text: impl FnOnce(&Style) -> String,
    ) -> Result<TextEdit, EditError> {
        let items = &self.container.items;
        match place {
            Place::Front if !items.is_empty() => self.in_front(is_apart, text),
            Place::Front | Place::End => match items.last() {
                Some(last) => self.behind(last.id(), is_apart, text),
                None => self.between_brackets(text),
            },
            Place::Behind(id) => self.behind(id, is_apart, text),
        }
    }

    /// Takes entries out, with the comments that belong to them. Those that are no entries of the
    /// set are passed over.
    #[must_use]
    pub fn remove(&self, entries: &[NodeId]) -> Vec<TextEdit> {
        let items = &self.container.items;
        let mut places: Vec<usize> =
            entries.iter().filter_map(|id| self.place_of(*id).ok()).collect();
        places.sort_unstable();
        places.dedup();
        let mut edits = Vec::new();
        let mut run: Option<(TokenRef<'t>, TokenRef<'t>)> = None;
        let mut last_place = 0;
        for place in places {
            let Some(tokens) = items[place].first_token().zip(items[place].last_token()) else {
                continue;
            };
            run = match run {
                // What stands together goes as one: no hole is left between.
                Some((first, last)) if last_place + 1 == place && meet(last, tokens.0) => {
                    Some((first, tokens.1))
                }
                other => {
                    edits.extend(other.map(|(first, last)| removed_tokens(first, last)));
                    Some(tokens)
                }
            };
            last_place = place;
        }
        edits.extend(run.map(|(first, last)| removed_tokens(first, last)));
        edits
    }

    fn place_of(&self, id: NodeId) -> Result<usize, EditError> {
        self.container
            .items
            .binary_search_by_key(&id, |item| item.id())
            .map_err(|_| EditError::NoSuchNode(id))
    }

    fn style(&self, is_inline: bool, indent: String) -> Style {
        let line_end = line_end(self.container.tree);
        Style { is_inline, indent, unit: self.unit.clone(), line_end }
    }

    fn behind(
        &self,
        id: NodeId,
        is_apart: bool,
        text: impl FnOnce(&Style) -> String,
    ) -> Result<TextEdit, EditError> {
        let container = &self.container;
        let item = container.items[self.place_of(id)?];
        let Some((first, last)) = item.first_token().zip(item.last_token()) else {
            return Err(EditError::Broken(item.range()));
        };
        let tail = with_trailing_comment(last);
        if container.takes_own_line(first, last, tail) {
            // What follows closely is not pushed away.
            let has_room = blank_after(tail).is_none_or(|blank| {
                line_feeds(blank) > 1 || blank.next() == Some(container.closer)
            });
            let style = self.style(false, self.indent.clone());
            let gap = if is_apart && has_room { style.line_end } else { "" };
            let text = checked(text(&style))?;
            let range = TextRange::empty(tail.range().end);
            return Ok(TextEdit::replace(range, format!("{gap}{}{text}", style.gap())));
        }
        let style = self.style(true, line_indent(container.tree, first.range().start).to_owned());
        let touches =
            last.next().is_some_and(|next| !next.kind().is_trivia() && next != container.closer);
        let gap = if touches { "" } else { " " };
        let text = checked(text(&style))?;
        Ok(TextEdit::insert(last.range().end, format!("{gap}{text}")))
    }

    fn in_front(
        &self,
        is_apart: bool,
        text: impl FnOnce(&Style) -> String,
    ) -> Result<TextEdit, EditError> {
        let container = &self.container;
        let item = container.items[0];
        let first = item.first_token().ok_or(EditError::Broken(item.range()))?;
        let first = with_comments_above(first);
        let before = blank_before(first);
        let start = first.range().start;
        let is_inline = !begins_line(first);
        let style = self.style(is_inline, line_indent(container.tree, start).to_owned());
        let opens = before.is_some_and(|blank| blank.previous() == Some(container.opener));
        let is_close = before.is_some_and(|blank| line_feeds(blank) == 1);
        let gap = if is_apart && opens && is_close { style.line_end } else { "" };
        let before = before.map_or("", TokenRef::text);
        Ok(TextEdit::insert(start, format!("{}{gap}{before}", checked(text(&style))?)))
    }

    fn between_brackets(&self, text: impl FnOnce(&Style) -> String) -> Result<TextEdit, EditError> {
        let container = &self.container;
        let opener = container.opener;
        if opener.next() == Some(container.closer) {
            // No blank is put where there was none: taking the entries out would leave it.
            let indent = line_indent(container.tree, opener.range().start).to_owned();
            let text = checked(text(&self.style(true, indent)))?;
            return Ok(TextEdit::insert(opener.range().end, text));
        }
        let slot = container.slot_in_empty(false);
        let style = self.style(!slot.begins_line(), slot.indent.clone());
        let text = checked(text(&style))?;
        Ok(slot.fill(&text))
    }
}

/// Whether nothing but blanks stands between an entry and another behind it, with their comments.
fn meet(last: TokenRef<'_>, first: TokenRef<'_>) -> bool {
    let tail = with_trailing_comment(last);
    let blank = blank_after(tail).unwrap_or(tail);
    blank.next() == Some(with_comments_above(first))
}

/// The text, if it is nothing but entries of a set.
fn checked(text: String) -> Result<String, EditError> {
    let parse = crate::parse(format!("{{{text}\n}}"));
    let is_set = |node: crate::Node<'_>| {
        node.kind() == NodeKind::AttrSet && node.range().len() as usize == text.len() + 3
    };
    let is_sound = parse.problems.is_empty() && parse.tree.root().child(0).is_some_and(is_set);
    let ends = parse.tree.tokens().rev().filter(|token| !token.kind().is_trivia()).nth(2);
    if is_sound && ends.is_some_and(|token| token.kind() == TokenKind::Semicolon) {
        Ok(text)
    } else {
        Err(EditError::NotEntries(text))
    }
}

#[cfg(test)]
mod tests {
    use cim_nix_base::apply_edits;

    use super::*;
    use crate::edit::file_set;
    use crate::parse;

    /// Puts `n = 1;` in and takes it out again.
    #[track_caller]
    fn check(text: &str, place: Place, is_apart: bool, want: &str) {
        let tree = parse(text).tree;
        let set = file_set(&tree).unwrap();
        let place = match place {
            Place::Behind(nth) => Place::Behind(tree.node(set).child(nth.0 as usize).unwrap().id()),
            other => other,
        };
        let edit = Entries::of(&tree, set)
            .unwrap()
            .insert(place, is_apart, |style| format!("n = 1;{}m.o = 2;", style.gap()))
            .unwrap();
        let after = apply_edits(text, &[edit]).unwrap();
        assert_eq!(after, want);
        let tree = parse(after.as_str()).tree;
        let set = file_set(&tree).unwrap();
        let is_new = |text: &str| text.starts_with("n =") || text.starts_with("m.o");
        let new: Vec<NodeId> =
            tree.node(set).children().filter(|c| is_new(c.text())).map(|c| c.id()).collect();
        assert_eq!(new.len(), 2);
        let edits = Entries::of(&tree, set).unwrap().remove(&new);
        assert_eq!(apply_edits(&after, &edits).unwrap(), text);
    }

    #[test]
    fn what_is_put_in_is_taken_out_to_the_byte() {
        use Place::{Behind, End, Front};
        check("{}", End, false, "{n = 1; m.o = 2;}");
        check("{ }", End, false, "{ n = 1; m.o = 2; }");
        check("{\n}", End, true, "{\n  n = 1;\n  m.o = 2;\n}");
        check("{ # c\n}", End, true, "{ # c\n  n = 1;\n  m.o = 2;\n}");
        check("{\n  # c\n}", End, true, "{\n  # c\n\n  n = 1;\n  m.o = 2;\n}");
        check("{ /* c */ }", End, false, "{ n = 1; m.o = 2; /* c */ }");
        check("{a=1;}", End, false, "{a=1; n = 1; m.o = 2;}");
        check("{a=1;b=1;}", Behind(NodeId(0)), false, "{a=1;n = 1; m.o = 2;b=1;}");
        check("{ a=1; b=1; }", Behind(NodeId(0)), false, "{ a=1; n = 1; m.o = 2; b=1; }");
        check("{a=1;}", Front, false, "{n = 1; m.o = 2;a=1;}");
        check("{ a=1; }", Front, false, "{ n = 1; m.o = 2; a=1; }");
        check("{\n    a=1; }", End, false, "{\n    a=1;\n    n = 1;\n    m.o = 2; }");
        check(
            "{\n\ta=1; # c\n\n\tb=1;\n}",
            Behind(NodeId(0)),
            true,
            "{\n\ta=1; # c\n\n\tn = 1;\n\tm.o = 2;\n\n\tb=1;\n}",
        );
        check(
            "{\n  a=1;\n  # b\n  b=1;\n}",
            Behind(NodeId(0)),
            true,
            "{\n  a=1;\n  n = 1;\n  m.o = 2;\n  # b\n  b=1;\n}",
        );
        check("{\n  # a\n  a=1;\n}", Front, true, "{\n  n = 1;\n  m.o = 2;\n\n  # a\n  a=1;\n}");
        check("{\n\n  a=1;\n}", Front, true, "{\n\n  n = 1;\n  m.o = 2;\n\n  a=1;\n}");
        check("{ # c\n  a=1;\n}", Front, true, "{ # c\n  n = 1;\n  m.o = 2;\n  a=1;\n}");
        check("{\r\n  a=1;\r\n}", End, false, "{\r\n  a=1;\r\n  n = 1;\r\n  m.o = 2;\r\n}");
    }

    #[test]
    fn neighbours_that_go_leave_no_hole() {
        let text = "{\n  a = 1;\n\n  # b\n  b = 1; # b\n\n  # free\n\n  c = 1;\n  d = 1;\n}";
        let tree = parse(text).tree;
        let set = file_set(&tree).unwrap();
        let items: Vec<NodeId> = tree.node(set).children().map(|c| c.id()).collect();
        let without = |at: &[usize]| {
            let ids: Vec<NodeId> = at.iter().map(|at| items[*at]).collect();
            apply_edits(text, &Entries::of(&tree, set).unwrap().remove(&ids)).unwrap()
        };
        assert_eq!(without(&[1, 0]), "{\n  # free\n\n  c = 1;\n  d = 1;\n}");
        assert_eq!(without(&[0, 1, 2, 3]), "{\n  # free\n}");
        assert_eq!(without(&[2, 3]), "{\n  a = 1;\n\n  # b\n  b = 1; # b\n\n  # free\n}");
    }

    #[test]
    fn only_entries_are_put_in() {
        let tree = parse("{ }").tree;
        let entries = Entries::of(&tree, file_set(&tree).unwrap()).unwrap();
        for text in ["a = 1", "a = 1; }", "a = 1; } // { b = 1;", "", "# c", "a = \"x"] {
            let result = entries.insert(Place::End, false, |_| text.to_owned());
            assert_eq!(result, Err(EditError::NotEntries(text.to_owned())), "{text}");
        }
    }
}
