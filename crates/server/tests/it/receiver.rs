//! A collector that keeps what it gets: OTLP over gRPC, on a port of this machine.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{span::SpanKind, status::StatusCode};
use tonic::{Request, Response, Status};

/// A span as it arrived.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Received {
    pub(crate) service: String,
    pub(crate) name: String,
    /// `producer`, `consumer`, `internal`, `client`, `server`.
    pub(crate) kind: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty for the first of a trace.
    pub(crate) parent: String,
    /// What went wrong, if something did.
    pub(crate) error: Option<String>,
    pub(crate) attributes: BTreeMap<String, String>,
    /// Nanoseconds since 1970.
    pub(crate) began: u64,
    pub(crate) ended: u64,
}

/// A running collector; it ends when this is dropped.
pub(crate) struct Receiver {
    address: SocketAddr,
    got: Arc<Mutex<Vec<Received>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let mut threads = tokio::runtime::Builder::new_multi_thread();
        let runtime = threads.worker_threads(1).enable_all().build().expect("threads");
        let bound = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let listener = bound.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let got = Arc::default();
        let service = Collector { got: Arc::clone(&got) };
        let incoming = futures_util::stream::unfold(listener, async |listener| {
            let accepted = listener.accept().await.map(|(stream, _)| stream);
            Some((accepted, listener))
        });
        runtime.spawn(
            tonic::transport::Server::builder()
                .add_service(TraceServiceServer::new(service))
                .serve_with_incoming(incoming),
        );
        Self { address, got, _runtime: runtime }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The spans of a trace, once all of these names are among them.
    pub(crate) fn trace(&self, id: &str, names: &[&str]) -> Vec<Received> {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let mut got = self.got.lock().expect("nobody panicked with it").clone();
            got.retain(|span| span.trace == id);
            if names.iter().all(|name| got.iter().any(|span| span.name == *name)) {
                return got;
            }
            assert!(Instant::now() < end, "not all of {names:?} came: {got:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

struct Collector {
    got: Arc<Mutex<Vec<Received>>>,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.got.lock().expect("nobody panicked with it").extend(received(request.into_inner()));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn received(request: ExportTraceServiceRequest) -> Vec<Received> {
    let mut all = Vec::new();
    for resource in request.resource_spans {
        let attributes = resource.resource.unwrap_or_default().attributes;
        let service = attributes.iter().find(|attribute| attribute.key == "service.name");
        let service = service.map(|it| text(it.value.as_ref())).unwrap_or_default();
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let attributes = span.attributes.iter();
            let attributes = attributes.map(|it| (it.key.clone(), text(it.value.as_ref())));
            let kind = SpanKind::try_from(span.kind).unwrap_or_default().as_str_name();
            let is_error = |status: &opentelemetry_proto::tonic::trace::v1::Status| {
                status.code == StatusCode::Error as i32
            };
            all.push(Received {
                service: service.clone(),
                name: span.name,
                kind: kind.trim_start_matches("SPAN_KIND_").to_ascii_lowercase(),
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                error: span.status.filter(is_error).map(|status| status.message),
                attributes: attributes.collect(),
                began: span.start_time_unix_nano,
                ended: span.end_time_unix_nano,
            });
        }
    }
    all
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::ArrayValue(list)) => {
            list.values.iter().map(|value| text(Some(value))).collect::<Vec<_>>().join(" ")
        }
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
