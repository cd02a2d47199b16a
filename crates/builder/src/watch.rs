//! What is told of each program that was run, for whoever measures: which, how long, how it ended.
//!
//! A program that is watched gets a place of its own in the trace: what it calls finds it in
//! `TRACEPARENT`, and whoever collects traces finds its id in [`Ran`].

use std::borrow::Cow;
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant, SystemTime};

use crate::command::Invocation;
use crate::run::Ended;

/// The variable that says which span a program belongs to.
const TRACEPARENT: &str = "TRACEPARENT";

/// A program that was run.
#[derive(Clone, PartialEq, Debug)]
pub struct Ran<'r> {
    /// The id of its span, 16 hexadecimal digits, if it belongs to a trace.
    pub span: Option<&'r str>,
    /// What was run.
    pub invocation: &'r Invocation,
    /// Its number, unless it could not be started.
    pub id: Option<u32>,
    /// When it began.
    pub began: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub end: RanEnd,
    /// What it said went wrong, in a line; empty if nothing did.
    pub reason: &'r str,
}

/// How a program ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RanEnd {
    /// By itself, with this status.
    Exited(i32),
    /// By a signal of somebody else.
    Killed(i32),
    /// It was ended since nobody wanted it any more.
    Cancelled,
    /// It was ended since it took too long.
    TimedOut,
    /// It could not be started.
    NotStarted,
}

/// A program on its way.
pub(crate) struct Span {
    id: Option<String>,
    began: SystemTime,
    clock: Instant,
}

impl Span {
    /// Begins one, with what is to be run in it; where nobody watches, that is what it was.
    pub(crate) fn begin(invocation: &Invocation, is_watched: bool) -> (Self, Cow<'_, Invocation>) {
        let mut span = Self { id: None, began: SystemTime::now(), clock: Instant::now() };
        let parent = invocation.environment.get(TRACEPARENT).filter(|_| is_watched);
        let Some((parts, id)) = parent.and_then(|text| Some((text.to_str()?, new_span_id())))
        else {
            return (span, Cow::Borrowed(invocation));
        };
        let parts: Vec<&str> = parts.split('-').collect();
        let [version, trace, _, flags] = *parts else { return (span, Cow::Borrowed(invocation)) };
        let mut invocation = invocation.clone();
        invocation.environment.set(TRACEPARENT, format!("{version}-{trace}-{id}-{flags}"));
        span.id = Some(id);
        (span, Cow::Owned(invocation))
    }

    /// What is told of it. `why` counts if it failed.
    pub(crate) fn ended<'r>(
        &'r self,
        invocation: &'r Invocation,
        ended: Option<(Ended, u32)>,
        why: &'r str,
    ) -> Ran<'r> {
        let end = match ended.map(|(ended, _)| ended) {
            None => RanEnd::NotStarted,
            Some(Ended::Cancelled) => RanEnd::Cancelled,
            Some(Ended::TimedOut) => RanEnd::TimedOut,
            Some(Ended::Exited(status)) => match (status.code(), status.signal()) {
                (Some(code), _) => RanEnd::Exited(code),
                (None, signal) => RanEnd::Killed(signal.unwrap_or_default()),
            },
        };
        Ran {
            span: self.id.as_deref(),
            invocation,
            id: ended.map(|(_, id)| id),
            began: self.began,
            took: self.clock.elapsed(),
            end,
            reason: if end == RanEnd::Exited(0) { "" } else { why },
        }
    }
}

/// An id of a span, which must not be zero.
#[must_use]
pub fn new_span_id() -> String {
    format!("{:016x}", fastrand::u64(1..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Environment;

    fn invocation(trace: &str) -> Invocation {
        let mut environment = Environment::empty();
        environment.set(TRACEPARENT, trace);
        let arguments = Vec::new();
        Invocation { program: "/bin/nix".into(), arguments, folder: "/".into(), environment }
    }

    #[test]
    fn a_program_has_a_place_of_its_own_in_the_trace() {
        let own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let invocation = invocation(own);
        let (span, run) = Span::begin(&invocation, true);
        let ran = span.ended(&run, None, "it is not there");
        let id = ran.span.expect("it is in a trace");
        let expected = format!("00-0af7651916cd43dd8448eb211c80319c-{id}-01");
        assert_eq!(run.environment.get(TRACEPARENT), Some(expected.as_ref()));
        assert_ne!(expected, own);
        assert_eq!((ran.end, ran.reason), (RanEnd::NotStarted, "it is not there"));
    }

    #[test]
    fn what_is_no_place_or_is_not_watched_stays_as_it_is() {
        for (trace, is_watched) in [("00-1-2-3-4", true), ("", true), ("00-1-2-3", false)] {
            let invocation = invocation(trace);
            let (span, run) = Span::begin(&invocation, is_watched);
            assert_eq!((*run == invocation, span.id), (true, None), "{trace}");
        }
    }
}
