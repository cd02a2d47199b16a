//! Programs that were run, as spans for whoever collects traces.

use std::time::UNIX_EPOCH;

use cim_nix_builder::{Ran, RanEnd};
use cim_nix_host::protocol::{Line, ProgramSpan, SpanError};

use super::say;

/// Characters of an argument that are told.
const MOST: usize = 512;

/// Arguments that are told.
const MOST_ARGUMENTS: usize = 64;

/// Tells of a program that was run, if it has a place in a trace.
pub(super) fn tell(ran: &Ran<'_>) {
    if let Some(span) = span(ran) {
        say(&Line::Span { span });
    }
}

fn span(ran: &Ran<'_>) -> Option<ProgramSpan> {
    let id = ran.span?.to_owned();
    let invocation = ran.invocation;
    let program = invocation.program.file_name().unwrap_or_default().to_string_lossy();
    let arguments = invocation.arguments.iter().map(|argument| argument.to_string_lossy());
    let arguments = std::iter::once(program.clone()).chain(arguments);
    let arguments = arguments.take(MOST_ARGUMENTS);
    let arguments: Vec<String> =
        arguments.map(|argument| argument.chars().take(MOST).collect()).collect();
    let since = ran.began.duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(ProgramSpan {
        id,
        name: name(&arguments),
        began_micros: i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        took_micros: u64::try_from(ran.took.as_micros()).unwrap_or(u64::MAX),
        executable: invocation.program.to_string_lossy().into_owned(),
        process: ran.id,
        exit_code: match ran.end {
            RanEnd::Exited(code) => Some(code),
            _ => None,
        },
        error: error(ran),
        arguments,
    })
}

/// The program with what it was to do, of which there are few: a word, or an option that is an
/// operation.
fn name(arguments: &[String]) -> String {
    let is_plain = |word: &&String| {
        let word = word.strip_prefix("--").unwrap_or(word);
        !word.is_empty()
            && !word.starts_with('-')
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    };
    let (program, rest) = arguments.split_first().map_or(("", &[][..]), |(it, rest)| (it, rest));
    let operation = rest.first().filter(is_plain).filter(|_| program.starts_with("nix"));
    match operation {
        Some(operation) => format!("{program} {operation}"),
        None => program.to_owned(),
    }
}

fn error(ran: &Ran<'_>) -> Option<SpanError> {
    let kind = match ran.end {
        RanEnd::Exited(0) => return None,
        RanEnd::Exited(code) => code.to_string(),
        RanEnd::Killed(_) => "killed".to_owned(),
        RanEnd::Cancelled => "cancelled".to_owned(),
        RanEnd::TimedOut => "timeout".to_owned(),
        RanEnd::NotStarted => "not_started".to_owned(),
    };
    Some(SpanError { kind, message: ran.reason.chars().take(MOST * 4).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_few() {
        let named = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            name(&words)
        };
        assert_eq!(named("nix-store --realise /nix/store/x.drv!out"), "nix-store --realise");
        assert_eq!(named("nix eval --json .#x"), "nix eval");
        assert_eq!(named("nix-env -p /profile"), "nix-env");
        assert_eq!(named("nix /nix/store/x"), "nix");
        assert_eq!(named("switch-to-configuration switch"), "switch-to-configuration");
        assert_eq!(named(""), "");
    }
}
