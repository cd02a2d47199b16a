//! Makes log lines of events: JSON for machines, text for people.
//!
//! A line has what the event says and what the spans around it say, the inner ones first: so each
//! line of a request carries its tenant, correlation id and trace, whoever wrote it. Texts are
//! masked before they are written, those of a span when a line first has them: most spans come to
//! their end without one. Control characters never reach a reader, so that no value can
//! pretend to be a line of its own.

use std::fmt::{self, Write as _};
use std::sync::OnceLock;
use std::time::SystemTime;

use tracing::dispatcher::WeakDispatch;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use crate::mask::Bounded;
use crate::settings::Format;
use crate::sink::Sink;
use crate::traceparent::{TRACEPARENT, TRACESTATE, TracePlace};

/// More fields say nothing.
const MOST_FIELDS: usize = 64;

/// Writes each event that it sees as a line.
pub(crate) struct Lines {
    format: Format,
    sink: Sink,
    clock: fn() -> SystemTime,
    dispatch: OnceLock<WeakDispatch>,
}

impl Lines {
    pub(crate) fn new(format: Format, sink: Sink, clock: fn() -> SystemTime) -> Self {
        Self { format, sink, clock, dispatch: OnceLock::new() }
    }

    /// What is known of the place where an event happened.
    fn gather<S>(&self, event: &Event<'_>, context: &Context<'_, S>) -> Line
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        let mut line = Line::default();
        event.record(&mut line.fields);
        let Some(inner) = context.event_span(event) else { return line };
        line.span = Some(inner.name());
        if let Some(dispatch) = self.dispatch.get().and_then(WeakDispatch::upgrade) {
            line.place = TracePlace::of_span(&inner, &dispatch);
        }
        for span in inner.scope() {
            if let Some(fields) = span.extensions().get::<Fields>() {
                line.fields.inherit(fields);
            }
        }
        line
    }
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Lines {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        let _ = self.dispatch.set(dispatch.downgrade());
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields { is_raw: true, ..Fields::default() };
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let line = self.gather(event, &context);
        let time = jiff::Timestamp::try_from((self.clock)()).unwrap_or_default();
        let text = match self.format {
            Format::Json => line.json(time, event.metadata()),
            Format::Human => line.human(time, event.metadata()),
        };
        self.sink.put(text.as_bytes());
    }
}

/// What one line says.
#[derive(Default)]
struct Line {
    fields: Fields,
    span: Option<&'static str>,
    place: Option<TracePlace>,
}

impl Line {
    fn json(&self, time: jiff::Timestamp, metadata: &Metadata<'_>) -> String {
        let mut text = format!("{{\"time\":\"{time:.6}\",\"level\":\"{}\"", level(metadata));
        let mut put = |name: &str, value: &Value| {
            let _ = write!(text, ",{}:", quoted(name));
            value.json(&mut text);
        };
        put("target", &Value::text(metadata.target()));
        put("message", &Value::text(self.fields.message().unwrap_or_default()));
        if let Some(span) = self.span {
            put("span", &Value::text(span));
        }
        if let Some(place) = &self.place {
            put("trace_id", &Value::text(&place.trace_id()));
            put("span_id", &Value::text(&place.span_id()));
        }
        for (name, value) in self.fields.others() {
            const TAKEN: [&str; 7] =
                ["time", "level", "target", "message", "span", "trace_id", "span_id"];
            match TAKEN.contains(&name) {
                true => put(&format!("field.{name}"), value),
                false => put(name, value),
            }
        }
        text.push_str("}\n");
        text
    }

    fn human(&self, time: jiff::Timestamp, metadata: &Metadata<'_>) -> String {
        let level = level(metadata);
        let mut text = format!("{time:.3} {level:>5} {}: ", metadata.target());
        put_plain(&mut text, self.fields.message().unwrap_or_default());
        for (name, value) in self.fields.others() {
            let _ = write!(text, " {name}=");
            value.human(&mut text);
        }
        if let Some(place) = &self.place {
            let _ = write!(text, " trace_id={}", place.trace_id());
        }
        text.push('\n');
        text
    }
}

fn level(metadata: &Metadata<'_>) -> &'static str {
    match *metadata.level() {
        tracing::Level::ERROR => "error",
        tracing::Level::WARN => "warn",
        tracing::Level::INFO => "info",
        tracing::Level::DEBUG => "debug",
        tracing::Level::TRACE => "trace",
    }
}

/// Names with their values, masked, each name once.
#[derive(Default)]
struct Fields {
    fields: Vec<(&'static str, Value)>,
    /// Whether texts are taken down as they are, and masked when they are wanted.
    is_raw: bool,
}

#[derive(Clone, PartialEq, Debug)]
enum Value {
    Text(String),
    /// A text with all that is secret in it.
    Raw(Bounded),
    /// Numbers and truth values, as JSON has them.
    Plain(String),
}

impl Fields {
    fn message(&self) -> Option<&str> {
        self.fields.iter().find_map(|(name, value)| match value {
            Value::Text(text) if *name == "message" => Some(text.as_str()),
            _ => None,
        })
    }

    fn others(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        // What is for traces alone says nothing that a line does not.
        let is_other = |name: &str| {
            !matches!(name, "message" | TRACEPARENT | TRACESTATE) && !name.starts_with("otel.")
        };
        let fields = self.fields.iter().map(|(name, value)| (*name, value));
        fields.filter(move |(name, _)| is_other(name))
    }

    /// Takes what an outer span says of things that were not told of yet.
    fn inherit(&mut self, outer: &Self) {
        for (name, value) in outer.others() {
            let is_told = self.fields.iter().any(|(told, _)| *told == name);
            if !is_told && self.fields.len() < MOST_FIELDS {
                self.fields.push((name, value.masked(name)));
            }
        }
    }

    fn put(&mut self, field: &Field, value: Value) {
        let name = field.name();
        let n_fields = self.fields.len();
        match self.fields.iter_mut().find(|(told, _)| *told == name) {
            Some((_, old)) => *old = value,
            None if n_fields < MOST_FIELDS => self.fields.push((name, value)),
            None => {}
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        let raw = Value::Raw(Bounded::new(value));
        self.put(field, if self.is_raw { raw } else { raw.masked(field.name()) });
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Plain(value.to_string()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Plain(value.to_string()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::Plain(value.to_string()));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.put(field, Value::Text(value.to_string()));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.put(field, Value::Text(value.to_string()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let text = value.to_string();
        // JSON has no infinities.
        self.put(field, if value.is_finite() { Value::Plain(text) } else { Value::Text(text) });
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        self.record_str(field, &text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

impl Value {
    fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// The value of the field `name` without the secrets in it.
    fn masked(&self, name: &str) -> Self {
        match self {
            Self::Raw(raw) => Self::Text(raw.masked(name)),
            known => known.clone(),
        }
    }

    fn json(&self, out: &mut String) {
        match self {
            Self::Text(text) => out.push_str(&quoted(text)),
            Self::Raw(raw) => out.push_str(&quoted(&raw.masked(""))),
            Self::Plain(text) => out.push_str(text),
        }
    }

    /// Quoted where a reader could not tell where it ends.
    fn human(&self, out: &mut String) {
        let is_odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '=');
        match self {
            Self::Text(text) if text.is_empty() || text.contains(is_odd) => {
                put_plain(out, &quoted(text));
            }
            Self::Raw(raw) => Self::Text(raw.masked("")).human(out),
            Self::Text(text) | Self::Plain(text) => out.push_str(text),
        }
    }
}

/// A JSON string, which is safe on a terminal as well.
fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    if !json.contains(is_unseen) {
        return json;
    }
    let escaped = json.chars().map(|c| match is_unseen(c) {
        true => format!("\\u{:04x}", u32::from(c)),
        false => c.to_string(),
    });
    escaped.collect()
}

/// A text in the one line that it has.
fn put_plain(out: &mut String, text: &str) {
    for c in text.chars() {
        match is_unseen(c) {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
}

/// Characters that move the cursor, or change the order in which others are shown.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests;
