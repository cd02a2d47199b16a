//! Spans that somebody else has measured, such as a process without a network of its own.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Span as _, SpanId, SpanKind, Status, TraceId, Tracer as _};
use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracer};

use crate::traceparent::TracePlace;

/// A program that was run in the present span, as conventions of OpenTelemetry have it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// Its id, 16 hexadecimal digits: those that it called know it by this.
    pub id: String,
    /// What it is called, one of few names.
    pub name: String,
    /// When it began.
    pub began: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// The program's file.
    pub executable: String,
    /// Its arguments, the program's name first.
    pub arguments: Vec<String>,
    /// Its number, unless it could not be started.
    pub process: Option<u32>,
    /// Its exit status, if it ended by itself.
    pub exit_code: Option<i32>,
    /// A word for what went wrong, and what was said of it, if something did.
    pub error: Option<(String, String)>,
}

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Spans that are told go there.
pub(crate) fn take(tracer: SdkTracer) {
    let _ = TRACER.set(tracer);
}

thread_local! {
    static NEXT: Cell<Option<SpanId>> = const { Cell::new(None) };
}

/// Random ids, but for a span that has one already.
#[derive(Debug, Default)]
pub(crate) struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        self.0.new_trace_id()
    }

    fn new_span_id(&self) -> SpanId {
        NEXT.take().unwrap_or_else(|| self.0.new_span_id())
    }
}

/// Adds a span to the trace of the present one, as its child. What belongs to no trace that is kept
/// is passed over.
pub fn tell(told: &Told) {
    let (Some(tracer), Some(parent)) = (TRACER.get(), TracePlace::current()) else { return };
    let Ok(id) = SpanId::from_hex(&told.id) else { return };
    if id == SpanId::INVALID || !parent.is_sampled() {
        return;
    }
    let executable = told.executable.rsplit('/').next().unwrap_or_default().to_owned();
    let arguments = told.arguments.iter().cloned().map(Into::into).collect();
    let mut attributes = vec![
        KeyValue::new("process.executable.name", executable),
        KeyValue::new("process.executable.path", told.executable.clone()),
        KeyValue::new("process.command_args", Value::Array(Array::String(arguments))),
    ];
    attributes.extend(told.process.map(|id| KeyValue::new("process.pid", i64::from(id))));
    let code = told.exit_code.map(i64::from);
    attributes.extend(code.map(|code| KeyValue::new("process.exit.code", code)));
    if let Some((kind, _)) = &told.error {
        attributes.push(KeyValue::new("error.type", kind.clone()));
    }
    NEXT.set(Some(id));
    let builder = tracer.span_builder(told.name.clone());
    let mut span = builder
        .with_kind(SpanKind::Client)
        .with_start_time(told.began)
        .with_attributes(attributes)
        .start_with_context(tracer, &parent.to_context());
    NEXT.set(None);
    if let Some((_, message)) = &told.error {
        span.set_status(Status::error(message.clone()));
    }
    span.end_with_timestamp(told.began + told.took);
}
