//! Mutations of single tokens.

use fastrand::Rng;
use rnix::SyntaxKind;

use super::pieces;
use super::source::{Edit, Source, insert as edit_insert, is_trivia, remove, word};

/// Removes a token.
pub(super) fn delete(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    Some(vec![remove(source.code_token(rng)?.range.clone())])
}

/// Writes a token twice.
pub(super) fn duplicate(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let range = &source.code_token(rng)?.range;
    let space = word(rng, &[" ", ""]);
    Some(vec![edit_insert(range.end, format!("{space}{}", source.text_of(range)))])
}

/// Exchanges two tokens that follow each other, white space aside.
pub(super) fn swap(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let first = source.code_token(rng)?;
    let second = source
        .tokens
        .iter()
        .find(|token| token.range.start >= first.range.end && !is_trivia(token.kind))?;
    let text = |range| source.text_of(range).as_bytes().to_vec();
    Some(vec![
        (first.range.clone(), text(&second.range)),
        (second.range.clone(), text(&first.range)),
    ])
}

/// Puts any token of the language behind another one.
pub(super) fn insert(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let at = source.token(rng, |_| true)?.range.end;
    let token = word(rng, pieces::TOKENS);
    let (before, after) = (word(rng, &[" ", ""]), word(rng, &[" ", ""]));
    Some(vec![edit_insert(at, format!("{before}{token}{after}"))])
}

/// Puts any token, or one from elsewhere in the program, in the place of another one.
pub(super) fn replace(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let struck = source.code_token(rng)?;
    let new = if rng.bool() {
        word(rng, pieces::TOKENS)
    } else {
        source.text_of(&source.code_token(rng)?.range)
    };
    let space = word(rng, &["", " "]);
    Some(vec![(struck.range.clone(), format!("{space}{new}{space}").into())])
}

/// Changes a number to one at the edges of what is allowed.
pub(super) fn number(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let is_number = |kind| matches!(kind, SyntaxKind::TOKEN_INTEGER | SyntaxKind::TOKEN_FLOAT);
    let number = source.token(rng, |token| is_number(token.kind))?;
    Some(vec![(number.range.clone(), word(rng, pieces::NUMBERS).into())])
}

/// Changes an operator to another one.
pub(super) fn operator(source: &Source<'_>, rng: &mut Rng) -> Option<Vec<Edit>> {
    let operator = source.token(rng, |token| is_operator(token.kind))?;
    Some(vec![(operator.range.clone(), word(rng, pieces::OPERATORS).into())])
}

fn is_operator(kind: SyntaxKind) -> bool {
    use SyntaxKind as K;
    matches!(
        kind,
        K::TOKEN_ADD
            | K::TOKEN_AND_AND
            | K::TOKEN_CONCAT
            | K::TOKEN_DIV
            | K::TOKEN_EQUAL
            | K::TOKEN_IMPLICATION
            | K::TOKEN_INVERT
            | K::TOKEN_LESS
            | K::TOKEN_LESS_OR_EQ
            | K::TOKEN_MORE
            | K::TOKEN_MORE_OR_EQ
            | K::TOKEN_MUL
            | K::TOKEN_NOT_EQUAL
            | K::TOKEN_OR_OR
            | K::TOKEN_PIPE_LEFT
            | K::TOKEN_PIPE_RIGHT
            | K::TOKEN_QUESTION
            | K::TOKEN_SUB
            | K::TOKEN_UPDATE
    )
}
