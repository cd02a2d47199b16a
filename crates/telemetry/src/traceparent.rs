//! Joins traces across processes by W3C Trace Context: the header `traceparent`, wherever it
//! travels (HTTP, NATS, the environment variable `TRACEPARENT`).
//!
//! Coming in, a span opened with the field `traceparent` continues the caller's trace:
//!
//! ```
//! let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
//! let _span = tracing::info_span!("command", traceparent = header).entered();
//! ```
//!
//! so whoever serves needs nothing of this crate. Going out, [`headers`] are what the current span
//! gives to those it calls. What is no valid header begins a new trace, as the standard has it.
//! Source: W3C Trace Context, level 1.

use std::cell::RefCell;
use std::fmt;

use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, ContextGuard};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Dispatch, Span, Subscriber};
use tracing_subscriber::layer;
use tracing_subscriber::registry::{LookupSpan, Registry, SpanRef};

/// The header that names a trace and the span in it.
pub const TRACEPARENT: &str = "traceparent";
/// The header with what tracing systems add for themselves.
pub const TRACESTATE: &str = "tracestate";
/// More of it may be dropped, by the standard.
const MOST_STATE: usize = 512;

/// A place in a trace: what `traceparent` says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TracePlace {
    trace: TraceId,
    span: SpanId,
    sampled: bool,
    state: TraceState,
}

impl TracePlace {
    /// Reads a `traceparent`; `None` if it is not one.
    #[must_use]
    pub fn parse(header: &str) -> Option<Self> {
        let mut parts = header.trim().split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let known = version == "00";
        let [flags, version] = [flags, version].map(|byte| hex(byte, 2));
        let extended = parts.next().is_some();
        if version? == 0xff || (known && extended) {
            return None;
        }
        let trace = TraceId::from(hex(trace, 32)?);
        let span = SpanId::from(u64::try_from(hex(span, 16)?).ok()?);
        let valid = trace != TraceId::INVALID && span != SpanId::INVALID;
        valid.then_some(Self { trace, span, sampled: flags? & 1 == 1, state: TraceState::NONE })
    }

    /// Reads the headers of a request or message; names count in any case.
    #[must_use]
    pub fn of_headers<'h>(headers: impl IntoIterator<Item = (&'h str, &'h str)>) -> Option<Self> {
        let (mut parent, mut state) = (None, None);
        for (name, value) in headers {
            if name.eq_ignore_ascii_case(TRACEPARENT) {
                // Two parents are none.
                if parent.replace(value).is_some() {
                    return None;
                }
            } else if name.eq_ignore_ascii_case(TRACESTATE) {
                state = Some(value);
            }
        }
        let place = Self::parse(parent?)?;
        Some(match state {
            Some(state) => place.with_state(state),
            None => place,
        })
    }

    /// Adds a `tracestate`; one that is none, or too long, is left out.
    #[must_use]
    pub fn with_state(mut self, state: &str) -> Self {
        if state.len() <= MOST_STATE {
            self.state = state.parse().unwrap_or_default();
        }
        self
    }

    /// A place in the trace that an id names: 32 hexadecimal digits, or a UUID such as a
    /// correlation id. The same id always gives the same place.
    #[must_use]
    pub fn of_trace_id(id: &str) -> Option<Self> {
        let digits: String = id.chars().filter(|c| *c != '-').collect();
        let number = hex(&digits.to_ascii_lowercase(), 32)?;
        // Some span has to be named. The lower half of a UUID is never zero, and of others rarely.
        let (high, low) = ((number >> 64) as u64, number as u64);
        let span = SpanId::from(if low == 0 { high } else { low });
        let trace = TraceId::from(number);
        let valid = trace != TraceId::INVALID;
        valid.then_some(Self { trace, span, sampled: true, state: TraceState::NONE })
    }

    /// Where the current span stands: in its own trace if traces are collected, else in the one
    /// that its caller named.
    #[must_use]
    pub fn current() -> Option<Self> {
        let place = |(id, dispatch): (&Id, &Dispatch)| {
            let registry = dispatch.downcast_ref::<Registry>()?;
            Self::of_span(&registry.span(id)?, dispatch)
        };
        Span::current().with_subscriber(place).flatten()
    }

    /// Where `span` stands. Nobody may hold its extensions.
    pub(crate) fn of_span<'s, R: LookupSpan<'s>>(
        span: &SpanRef<'s, R>,
        dispatch: &Dispatch,
    ) -> Option<Self> {
        if let Some(context) = tracing_opentelemetry::get_otel_context(&span.id(), dispatch) {
            return Self::of_context(&context);
        }
        span.scope().find_map(|span| span.extensions().get::<Self>().cloned())
    }

    fn of_context(context: &Context) -> Option<Self> {
        let span = context.span();
        let found = span.span_context();
        found.is_valid().then(|| Self {
            trace: found.trace_id(),
            span: found.span_id(),
            sampled: found.is_sampled(),
            state: found.trace_state().clone(),
        })
    }

    pub(crate) fn to_context(&self) -> Context {
        let flags = if self.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
        let remote = SpanContext::new(self.trace, self.span, flags, true, self.state.clone());
        Context::new().with_remote_span_context(remote)
    }

    /// The trace's id, 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        self.trace.to_string()
    }

    /// The span's id, 16 hexadecimal digits.
    #[must_use]
    pub fn span_id(&self) -> String {
        self.span.to_string()
    }

    /// Whether the trace is kept.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// The headers that lead here.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![(TRACEPARENT, self.to_string())];
        let state = self.state.header();
        if !state.is_empty() {
            headers.push((TRACESTATE, state));
        }
        headers
    }
}

/// The value of `traceparent`.
impl fmt::Display for TracePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

/// The headers that the current span gives to those it calls; none outside of traces.
#[must_use]
pub fn headers() -> Vec<(&'static str, String)> {
    TracePlace::current().map(|place| place.headers()).unwrap_or_default()
}

/// The `traceparent` that the current span gives to those it calls, for `Service::set_trace`.
#[must_use]
pub fn current() -> Option<String> {
    TracePlace::current().map(|place| place.to_string())
}

/// Lower-case digits only, as the standard asks.
fn hex(digits: &str, n_digits: usize) -> Option<u128> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let valid = digits.len() == n_digits && digits.bytes().all(is_hex);
    valid.then(|| u128::from_str_radix(digits, 16).ok()).flatten()
}

thread_local! {
    /// What the layers around the one that makes spans have agreed on, for one new span.
    static REMOTE: RefCell<Option<ContextGuard>> = const { RefCell::new(None) };
}

/// Stands before the layer that makes spans: a new span with the field `traceparent` finds its
/// parent there. Remembers the parent for log lines, too.
pub(crate) struct Adopt;

/// Stands behind it: what comes next has no such parent.
pub(crate) struct Release;

impl<S: Subscriber + for<'s> LookupSpan<'s>> layer::Layer<S> for Adopt {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: layer::Context<'_, S>) {
        if attributes.fields().field(TRACEPARENT).is_none() {
            return;
        }
        let mut found = Named::default();
        attributes.record(&mut found);
        let Some(mut place) = found.parent.as_deref().and_then(TracePlace::parse) else { return };
        if let Some(state) = found.state {
            place = place.with_state(&state);
        }
        REMOTE.set(Some(place.to_context().attach()));
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(place);
        }
    }
}

impl<S: Subscriber> layer::Layer<S> for Release {
    fn on_new_span(&self, _: &Attributes<'_>, _: &Id, _: layer::Context<'_, S>) {
        drop(REMOTE.take());
    }
}

/// The two fields that are looked at.
#[derive(Default)]
struct Named {
    parent: Option<String>,
    state: Option<String>,
}

impl Visit for Named {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            TRACEPARENT => self.parent = Some(value.to_owned()),
            TRACESTATE => self.state = Some(value.to_owned()),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if matches!(field.name(), TRACEPARENT | TRACESTATE) {
            // `%value` comes here; `?value` of a text has quotes around it.
            let text = format!("{value:?}");
            self.record_str(field, text.trim_matches('"'));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_header_is_read_and_printed() {
        let place = TracePlace::parse(HEADER).unwrap();
        assert_eq!(place.to_string(), HEADER);
        assert!(place.is_sampled());
        let unsampled = TracePlace::parse(&HEADER.replace("-01", "-00")).unwrap();
        assert!(!unsampled.is_sampled());
    }

    #[test]
    fn what_is_no_header_is_none() {
        let long = format!("{HEADER}-x");
        let broken = [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-ébf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            &long,
        ];
        for header in broken {
            assert_eq!(TracePlace::parse(header), None, "{header}");
        }
    }

    #[test]
    fn later_versions_may_say_more() {
        let later = format!("01{}-what-comes", &HEADER[2..]);
        assert_eq!(TracePlace::parse(&later).unwrap().to_string(), HEADER);
    }

    #[test]
    fn headers_are_found_in_any_case_and_only_once() {
        let pairs = [("Traceparent", HEADER), ("TraceState", "vendor=1")];
        let place = TracePlace::of_headers(pairs).unwrap();
        let expected =
            vec![("traceparent", HEADER.to_owned()), ("tracestate", "vendor=1".to_owned())];
        assert_eq!(place.headers(), expected);
        assert_eq!(TracePlace::of_headers([(TRACEPARENT, HEADER), (TRACEPARENT, HEADER)]), None);
        assert_eq!(TracePlace::of_headers([(TRACESTATE, "vendor=1")]), None);
    }

    #[test]
    fn a_state_that_is_none_is_left_out() {
        let place = TracePlace::parse(HEADER).unwrap();
        assert_eq!(place.clone().with_state("=,=,\u{7f}").headers().len(), 1);
        assert_eq!(place.with_state(&"a=1,".repeat(200)).headers().len(), 1);
    }

    #[test]
    fn an_id_names_a_trace() {
        let place = TracePlace::of_trace_id("0193717E-7C5E-7cc2-8a3f-5d6c7b8a9f01").unwrap();
        assert_eq!(place.to_string(), "00-0193717e7c5e7cc28a3f5d6c7b8a9f01-8a3f5d6c7b8a9f01-01");
        assert_eq!(TracePlace::parse(&place.to_string()), Some(place));
        let half = TracePlace::of_trace_id("00000000000000010000000000000000").unwrap();
        assert_eq!(half.span_id(), "0000000000000001");
        for id in ["", "correlation", "00000000-0000-0000-0000-000000000000", "é"] {
            assert_eq!(TracePlace::of_trace_id(id), None, "{id}");
        }
    }
}
