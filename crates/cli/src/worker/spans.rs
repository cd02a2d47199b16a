//! Programs that were run and what others were asked for, as spans for whoever collects traces.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cim_nix_builder::{Ran, RanEnd, new_span_id};
use cim_nix_fetch::{Fetch, FetchKind};
use cim_nix_host::protocol::{Line, SpanError, SpanOf, WorkSpan};

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

/// Tells of what others were asked for.
pub(super) fn tell_fetch(fetch: &Fetch<'_>) {
    let (name, of) = match fetch.what {
        FetchKind::Git { arguments, id, exit_code } => {
            let arguments = std::iter::once("git").chain(arguments.iter().copied());
            let arguments = arguments.take(MOST_ARGUMENTS);
            let arguments: Vec<String> = arguments.map(|argument| cut(argument, MOST)).collect();
            // What is asked for is one of few words.
            let name = format!("git {}", arguments.get(1).map_or("", |it| it));
            let executable = "git".to_owned();
            (name, SpanOf::Program { executable, arguments, process: id, exit_code })
        }
        FetchKind::Http { url, status } => {
            ("GET".to_owned(), SpanOf::Request { url: cut(url, MOST * 4), status })
        }
    };
    let kind = match fetch.what {
        FetchKind::Git { exit_code: Some(code), .. } => code.to_string(),
        FetchKind::Git { id: None, .. } => "not_started".to_owned(),
        FetchKind::Git { .. } => "killed".to_owned(),
        FetchKind::Http { status: Some(status @ 400..), .. } => status.to_string(),
        FetchKind::Http { status: Some(_), .. } => "broken_off".to_owned(),
        FetchKind::Http { status: None, .. } => "no_answer".to_owned(),
    };
    let error = fetch.error.map(|why| SpanError { kind, message: cut(why, MOST * 4) });
    let (began_micros, took_micros) = times(fetch.began, fetch.took);
    let span = WorkSpan { id: new_span_id(), name, began_micros, took_micros, of, error };
    say(&Line::Span { span });
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

fn times(began: SystemTime, took: Duration) -> (i64, u64) {
    let since = began.duration_since(UNIX_EPOCH).unwrap_or_default();
    let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
    (micros, u64::try_from(took.as_micros()).unwrap_or(u64::MAX))
}

fn span(ran: &Ran<'_>) -> Option<WorkSpan> {
    let id = ran.span?.to_owned();
    let invocation = ran.invocation;
    let program = invocation.program.file_name().unwrap_or_default().to_string_lossy();
    let arguments = invocation.arguments.iter().map(|argument| argument.to_string_lossy());
    let arguments = std::iter::once(program.clone()).chain(arguments);
    let arguments = arguments.take(MOST_ARGUMENTS);
    let arguments: Vec<String> = arguments.map(|argument| cut(&argument, MOST)).collect();
    let (began_micros, took_micros) = times(ran.began, ran.took);
    Some(WorkSpan {
        id,
        name: name(&arguments),
        began_micros,
        took_micros,
        error: error(ran),
        of: SpanOf::Program {
            executable: invocation.program.to_string_lossy().into_owned(),
            arguments,
            process: ran.id,
            exit_code: match ran.end {
                RanEnd::Exited(code) => Some(code),
                _ => None,
            },
        },
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
    Some(SpanError { kind, message: cut(ran.reason, MOST * 4) })
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
