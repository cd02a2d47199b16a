//! Builtins on strings.

use std::rc::Rc;

use super::lists::{arg_list, arg_plain, arg_string};
use super::{Coercion, Entry, Text};
use crate::code::Pos;
use crate::error::{ErrorKind, Failed, Res};
use crate::evaluator::Evaluator;
use crate::regex::{Captures, Halt, Limits, Regex, RegexError};
use crate::value::{Str, Value};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("stringLength", 1, 1, |ev, a, position| {
        if let Some(text) = ev.force(a[0])?.as_string() {
            return Ok(ev.heap.int(text.bytes().len() as i64));
        }
        let mut text = Text::new(ev);
        let why = "while evaluating the argument passed to builtins.stringLength";
        ev.coerce(a[0], &mut text, Coercion::INTERPOLATION, position, why)?;
        Ok(ev.heap.int(text.bytes().len() as i64))
    }),
    Entry::new("substring", 3, 2, substring),
    Entry::new("concatStringsSep", 2, 2, |ev, a, position| {
        let separator = ev.string(a[0], position).map_err(|failed| {
            ev.trace(failed, position, "while evaluating the first argument (the separator string) passed to builtins.concatStringsSep")
        })?;
        let list = ev.list(a[1], position).map_err(|failed| {
            ev.trace(failed, position, "while evaluating the second argument (the list of strings to concat) passed to builtins.concatStringsSep")
        })?;
        let mut text = Text::new(ev);
        text.add_context(ev, separator.context());
        for (at, element) in list.iter().enumerate() {
            if at > 0 {
                text.push_bytes(separator.bytes());
            }
            let why = "while evaluating one element of the list of strings to concat passed to builtins.concatStringsSep";
            ev.coerce(element.get(), &mut text, Coercion::INTERPOLATION, position, why)?;
        }
        text.finish(ev)
    }),
    Entry::new("replaceStrings", 3, 0, replace_strings),
    Entry::new("match", 2, 2, |ev, a, position| {
        let pattern = arg_plain(ev, a[0], position, "first", "match")?;
        let text = arg_string(ev, a[1], position, "second", "match")?;
        let regex = regex(ev, pattern, position)?;
        let found = regex.match_whole(text.bytes(), limits(ev));
        let Some(found) = found.map_err(|halt| halted(ev, halt, position))? else {
            return Ok(Value::NULL);
        };
        Ok(groups(ev, text.bytes(), &found))
    }),
    Entry::new("split", 2, 2, |ev, a, position| {
        let pattern = arg_plain(ev, a[0], position, "first", "split")?;
        let text = arg_string(ev, a[1], position, "second", "split")?;
        let regex = regex(ev, pattern, position)?;
        let bytes = text.bytes();
        // As in Nix, pieces have no context.
        let piece = |from: usize, to: usize| ev.heap.string(&bytes[from..to]);
        let mut parts = Vec::new();
        let mut end = 0;
        let matched = regex.each_match(bytes, limits(ev), |found| {
            let (start, stop) = found.first().copied().flatten().unwrap_or((end, end));
            parts.push(piece(end, start));
            parts.push(groups(ev, bytes, &found));
            end = stop;
            Ok(())
        });
        matched.map_err(|halt: Halt| halted(ev, halt, position))?;
        if parts.is_empty() {
            return Ok(ev.heap.list(&[text.value()]));
        }
        parts.push(piece(end, bytes.len()));
        Ok(ev.heap.list(&parts))
    }),
    Entry::new("unsafeDiscardStringContext", 1, 1, |ev, a, position| {
        let mut text = Text::new(ev);
        let why = "while evaluating the argument passed to builtins.unsafeDiscardStringContext";
        ev.coerce(a[0], &mut text, Coercion::INTERPOLATION, position, why)?;
        Ok(ev.heap.string(text.bytes()))
    }),
    Entry::new("hasContext", 1, 1, |ev, a, position| {
        let text = ev.string(a[0], position).map_err(|failed| {
            let text = "while evaluating the argument passed to builtins.hasContext";
            ev.trace(failed, position, text)
        })?;
        Ok(Value::bool(text.context() != 0))
    }),
];

fn substring(ev: &Evaluator, a: &[Value], position: Pos) -> Res {
    let at = |which: &str, what: &str| {
        format!("while evaluating the {which} argument ({what}) passed to builtins.substring")
    };
    let start = ev
        .int(a[0], position)
        .map_err(|f| ev.trace(f, position, at("first", "the start offset")))?;
    let Ok(start) = usize::try_from(start) else {
        return Err(ev.fail(ErrorKind::Other, position, "negative start position in 'substring'"));
    };
    let length = ev
        .int(a[1], position)
        .map_err(|f| ev.trace(f, position, at("second", "the substring length")))?;
    let value = ev.force(a[2])?;
    let mut coerced = Text::new(ev);
    let (bytes, context) = match value.as_string() {
        Some(text) => (text.bytes(), text.context()),
        None => {
            let why = at("third", "the string");
            ev.coerce(value, &mut coerced, Coercion::INTERPOLATION, position, &why)?;
            (coerced.bytes(), coerced.context())
        }
    };
    let start = start.min(bytes.len());
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let end = start.saturating_add(length).min(bytes.len());
    Ok(ev.heap.string_with(&bytes[start..end], context).value())
}

fn replace_strings(ev: &Evaluator, a: &[Value], position: Pos) -> Res {
    let from = arg_list(ev, a[0], position, "first", "replaceStrings")?;
    let to = arg_list(ev, a[1], position, "second", "replaceStrings")?;
    if from.len() != to.len() {
        let message =
            "'from' and 'to' arguments passed to builtins.replaceStrings have different lengths";
        return Err(ev.fail(ErrorKind::Other, position, message));
    }
    let mut patterns: Vec<&[u8]> = Vec::with_capacity(from.len());
    for pattern in from {
        let pattern = ev.string(pattern.get(), position).map_err(|failed| {
            ev.trace(
                failed,
                position,
                "while evaluating one of the strings to replace passed to builtins.replaceStrings",
            )
        })?;
        patterns.push(pattern.bytes());
    }
    let text = ev.string(a[2], position).map_err(|failed| {
        ev.trace(
            failed,
            position,
            "while evaluating the third argument passed to builtins.replaceStrings",
        )
    })?;
    // For each byte, whether a pattern begins with it.
    let mut begins = [false; 256];
    let has_empty = patterns.iter().any(|pattern| pattern.is_empty());
    patterns
        .iter()
        .filter_map(|pattern| pattern.first())
        .for_each(|&byte| begins[byte as usize] = true);
    let mut replacements: Vec<Option<Str>> = vec![None; to.len()];
    let mut out = Text::new(ev);
    out.add_context(ev, text.context());
    let bytes = text.bytes();
    let mut at = 0;
    while at <= bytes.len() {
        let rest = &bytes[at..];
        let may_begin = has_empty || rest.first().is_some_and(|&byte| begins[byte as usize]);
        let found = if may_begin {
            patterns.iter().position(|pattern| rest.starts_with(pattern))
        } else {
            None
        };
        match found {
            Some(index) => {
                let replacement = match replacements[index] {
                    Some(known) => known,
                    None => {
                        let text = ev.string(to[index].get(), position).map_err(|failed| {
                            ev.trace(failed, position, "while evaluating one of the replacement strings passed to builtins.replaceStrings")
                        })?;
                        replacements[index] = Some(text);
                        text
                    }
                };
                out.push(ev, replacement);
                if patterns[index].is_empty() {
                    out.push_bytes(rest.get(..1).unwrap_or_default());
                    at += 1;
                } else {
                    at += patterns[index].len();
                }
            }
            None => {
                out.push_bytes(rest.get(..1).unwrap_or_default());
                at += 1;
            }
        }
    }
    out.finish(ev)
}

fn groups(ev: &Evaluator, text: &[u8], found: &Captures) -> Value {
    let group = |place: &Option<(usize, usize)>| match *place {
        Some((from, to)) => ev.heap.string(&text[from..to]),
        None => Value::NULL,
    };
    ev.heap.list_from(found.len() - 1, found[1..].iter().map(group))
}

/// What matching may take of an evaluation.
fn limits(ev: &Evaluator) -> Limits<'_> {
    Limits { interrupt: &ev.settings.interrupt, room: ev.heap.room() }
}

/// The failure where matching took more.
#[cold]
fn halted(ev: &Evaluator, halt: Halt, position: Pos) -> Failed {
    if halt == Halt::Interrupted
        && let Err(failed) = ev.checkpoint(position)
    {
        return failed;
    }
    let message = "out of memory: a regular expression takes more than `--max-memory` allows";
    ev.fail(ErrorKind::Limit, position, message)
}

/// A regular expression, compiled once.
fn regex(ev: &Evaluator, pattern: Str, position: Pos) -> Res<Rc<Regex>> {
    if let Some(known) = ev.regexes.borrow().get(pattern.bytes()) {
        return Ok(known.clone());
    }
    match Regex::new(pattern.bytes()) {
        Ok(regex) => {
            let regex = Rc::new(regex);
            ev.regexes.borrow_mut().insert(pattern.bytes().to_vec(), regex.clone());
            Ok(regex)
        }
        Err(error) => {
            let what = match error {
                RegexError::Invalid => "invalid regular expression",
                RegexError::TooLarge => "memory limit exceeded by regular expression",
            };
            let message = format!("{what} '{}'", String::from_utf8_lossy(pattern.bytes()));
            Err(ev.fail(ErrorKind::Other, position, message))
        }
    }
}
