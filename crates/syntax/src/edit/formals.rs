//! Parameters of a pattern.

use cim_nix_base::{TextEdit, TextRange};

use super::layout::{deeper, line_end, line_indent, value_text, with_trailing_comment, wrong_kind};
use super::remove::removed_tokens;
use super::{EditError, node_of, sorted};
use crate::ast::{Formal, Pattern};
use crate::build::is_bare_name;
use crate::trivia::{begins_line, blank_after, line_feeds};
use crate::{NodeId, NodeKind, TokenKind, TokenRef, Tree};

/// Adds the parameter `name`, maybe with a default, behind the others and in front of `...`.
/// Commas go where they are in the pattern: behind the parameters or at the start of lines.
pub fn add_formal(
    tree: &Tree,
    pattern: NodeId,
    name: &str,
    default: Option<&str>,
) -> Result<Vec<TextEdit>, EditError> {
    let pattern = sound_pattern(tree, pattern)?;
    if !is_bare_name(name) || name == "or" {
        return Err(EditError::InvalidName(name.to_owned()));
    }
    let is_name = |token: TokenRef<'_>| token.text() == name;
    let names = pattern.formals().filter_map(Formal::name).chain(pattern.bind_name());
    if names.into_iter().any(is_name) {
        return Err(EditError::AlreadyThere(name.to_owned()));
    }
    let text = |indent: &str| match default {
        None => Ok(name.to_owned()),
        Some(default) => Ok(format!("{name} ? {}", value_text(default, indent, line_end(tree))?)),
    };
    match pattern.formals().last() {
        Some(last) => behind(pattern, last, text),
        None => first(pattern, text),
    }
}

/// Adds the first parameter.
fn first(
    pattern: Pattern<'_>,
    text: impl Fn(&str) -> Result<String, EditError>,
) -> Result<Vec<TextEdit>, EditError> {
    let node = pattern.node();
    let tree = node.tree();
    let indent = line_indent(tree, node.range().start);
    if let Some(ellipsis) = pattern.ellipsis() {
        let start = ellipsis.range().start;
        let added = if begins_line(ellipsis) {
            let indent = line_indent(tree, start);
            format!("{},{}{indent}", text(indent)?, line_end(tree))
        } else {
            format!("{}, ", text(indent)?)
        };
        return Ok(vec![TextEdit::insert(start, added)]);
    }
    let Some(open) = node.own_token(TokenKind::LBrace) else {
        return Err(EditError::Broken(node.range()));
    };
    let next = open.next().filter(|token| token.kind() != TokenKind::RBrace);
    let lines = next.map_or(0, line_feeds);
    let added = match next {
        Some(_) if lines > 0 => {
            let indent = deeper(indent);
            format!("{}{indent}{}", line_end(tree), text(&indent)?)
        }
        Some(_) => format!(" {}", text(indent)?),
        None => format!(" {} ", text(indent)?),
    };
    Ok(vec![TextEdit::insert(open.range().end, added)])
}

/// Adds a parameter behind `last`.
fn behind(
    pattern: Pattern<'_>,
    last: Formal<'_>,
    text: impl Fn(&str) -> Result<String, EditError>,
) -> Result<Vec<TextEdit>, EditError> {
    let tree = pattern.node().tree();
    let line_end = line_end(tree);
    let Some((first, end)) = last.node().first_token().zip(last.node().last_token()) else {
        return Err(EditError::Broken(last.node().range()));
    };
    let comma = end.next_significant().filter(|token| token.kind() == TokenKind::Comma);
    let goes_on = comma.is_some_and(|comma| !begins_line(comma));
    if let Some(leading) = leading_comma(first, comma).filter(|_| !goes_on) {
        let indent = line_indent(tree, leading.range().start);
        let at = with_trailing_comment(end).range().end;
        let added = format!("{line_end}{indent}, {}", text(indent)?);
        return Ok(vec![TextEdit::insert(at, added)]);
    }
    let indent = line_indent(tree, first.range().start);
    if !begins_line(first) {
        let tail = with_trailing_comment(comma.unwrap_or(end));
        if tail != comma.unwrap_or(end) {
            // The comment stays with what it is about.
            let indent = deeper(indent);
            let added = match comma {
                Some(_) => format!("{line_end}{indent}{},", text(&indent)?),
                None => format!("{line_end}{indent}, {}", text(&indent)?),
            };
            return Ok(vec![TextEdit::insert(tail.range().end, added)]);
        }
        return Ok(vec![match comma {
            Some(comma) => TextEdit::insert(comma.range().end, format!(" {},", text(indent)?)),
            None => TextEdit::insert(end.range().end, format!(", {}", text(indent)?)),
        }]);
    }
    let tail = with_trailing_comment(comma.unwrap_or(end));
    let added = format!("{line_end}{indent}{}", text(indent)?);
    let at = tail.range().end;
    if comma.is_some() {
        return Ok(vec![TextEdit::insert(at, format!("{added},"))]);
    }
    let comma_at = end.range().end;
    if comma_at == at {
        return Ok(vec![TextEdit::insert(at, format!(",{added}"))]);
    }
    Ok(vec![TextEdit::insert(comma_at, ","), TextEdit::insert(at, added)])
}

/// The comma at the start of a line, in front of the parameter that begins with `first` or behind
/// it, if the pattern is written that way.
fn leading_comma<'t>(first: TokenRef<'t>, behind: Option<TokenRef<'t>>) -> Option<TokenRef<'t>> {
    let before = first.previous_significant().filter(|token| token.kind() == TokenKind::Comma);
    before.or(behind).filter(|comma| begins_line(*comma))
}

/// Removes the parameter `name` with its comma and its comments.
pub fn remove_formal(tree: &Tree, pattern: NodeId, name: &str) -> Result<Vec<TextEdit>, EditError> {
    let pattern = sound_pattern(tree, pattern)?;
    let is_wanted = |formal: &Formal<'_>| formal.name().is_some_and(|token| token.text() == name);
    let Some(formal) = pattern.formals().find(is_wanted) else {
        return Err(EditError::NotFound(name.to_owned()));
    };
    let Some((first, last)) = formal.node().first_token().zip(formal.node().last_token()) else {
        return Err(EditError::Broken(formal.node().range()));
    };
    let before = first.previous_significant().filter(|token| token.kind() == TokenKind::Comma);
    let behind = last.next_significant().filter(|token| token.kind() == TokenKind::Comma);
    let edits = match (before, behind) {
        // `, a` on a line of its own.
        (Some(before), _) if begins_line(before) => vec![removed_tokens(before, last)],
        // `{ a` with the comma in front of the next.
        (None, Some(behind)) if begins_line(behind) => {
            let end = blank_after(behind).unwrap_or(behind).range().end;
            let tail = with_trailing_comment(last);
            let comma = blank_after(tail).unwrap_or(tail).next();
            if comma == Some(behind) {
                vec![TextEdit::remove(TextRange::new(first.range().start, end))]
            } else {
                // A comment in between belongs to the next parameter.
                vec![
                    TextEdit::remove(TextRange::new(first.range().start, tail.range().end)),
                    TextEdit::remove(TextRange::new(behind.range().start, end)),
                ]
            }
        }
        (_, Some(behind)) => vec![removed_tokens(first, behind)],
        (Some(before), None) => {
            vec![TextEdit::remove(before.range()), removed_tokens(first, last)]
        }
        (None, None) => vec![removed_tokens(first, last)],
    };
    Ok(sorted(edits))
}

fn sound_pattern(tree: &Tree, id: NodeId) -> Result<Pattern<'_>, EditError> {
    let node = node_of(tree, id)?;
    let pattern = Pattern::cast(node).ok_or_else(|| wrong_kind(node, "a pattern"))?;
    let is_sound = node.own_token(TokenKind::RBrace).is_some()
        && node.children().all(|child| child.kind() != NodeKind::Error);
    if is_sound { Ok(pattern) } else { Err(EditError::Broken(node.range())) }
}
