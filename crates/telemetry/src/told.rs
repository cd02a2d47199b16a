//! Spans that somebody else has measured, such as a process without a network of its own.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Span as _, SpanId, SpanKind, Status, TraceId, Tracer as _};
use opentelemetry::{Array, KeyValue, Value};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracer};

use crate::traceparent::TracePlace;

/// Something that was done in the present span, as conventions of OpenTelemetry have it.
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
    /// What it was.
    pub of: ToldOf,
    /// A word for what went wrong, and what was said of it, if something did.
    pub error: Option<(String, String)>,
}

/// What was done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ToldOf {
    /// A program was run.
    Program {
        /// The program's file.
        executable: String,
        /// Its arguments, the program's name first.
        arguments: Vec<String>,
        /// Its number, unless it could not be started.
        process: Option<u32>,
        /// Its exit status, if it ended by itself.
        exit_code: Option<i32>,
    },
    /// A document was asked for by HTTP.
    Request {
        /// Its URL.
        url: String,
        /// The status of the answer, if one came.
        status: Option<u16>,
    },
}

impl ToldOf {
    fn attributes(&self) -> Vec<KeyValue> {
        match self {
            Self::Program { executable, arguments, process, exit_code } => {
                let name = executable.rsplit('/').next().unwrap_or_default().to_owned();
                let arguments = arguments.iter().cloned().map(Into::into).collect();
                let mut attributes = vec![
                    KeyValue::new("process.executable.name", name),
                    KeyValue::new("process.executable.path", executable.clone()),
                    KeyValue::new("process.command_args", Value::Array(Array::String(arguments))),
                ];
                attributes.extend(process.map(|id| KeyValue::new("process.pid", i64::from(id))));
                let code = exit_code.map(i64::from);
                attributes.extend(code.map(|code| KeyValue::new("process.exit.code", code)));
                attributes
            }
            Self::Request { url, status } => {
                let (_, rest) = url.split_once("://").unwrap_or(("", url));
                let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
                // A password with one of these in it is no valid address, and still a password.
                let may_be_login = host.contains(':') && rest[host.len()..].contains('@');
                // Who asks is nobody's business.
                let host = host.rsplit('@').next().unwrap_or_default();
                let with_port = host.rsplit_once(':');
                let port = with_port.and_then(|(_, port)| port.parse::<u16>().ok());
                let host = with_port.filter(|_| port.is_some()).map_or(host, |(host, _)| host);
                let place = (!may_be_login).then_some((host, port));
                let mut attributes = vec![
                    KeyValue::new("http.request.method", "GET"),
                    KeyValue::new("url.full", url.clone()),
                ];
                if let Some((host, port)) = place {
                    attributes.push(KeyValue::new("server.address", host.to_owned()));
                    let port = port.map(i64::from);
                    attributes.extend(port.map(|port| KeyValue::new("server.port", port)));
                }
                let status = status.map(i64::from);
                attributes.extend(status.map(|it| KeyValue::new("http.response.status_code", it)));
                attributes
            }
        }
    }
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
    let mut attributes = told.of.attributes();
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
