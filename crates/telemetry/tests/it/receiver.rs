//! A collector that keeps what it gets: OTLP over gRPC, on a port of this machine.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use tonic::{Request, Response, Status};

/// A span as it arrived.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Received {
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty for the first of a trace.
    pub(crate) parent: String,
    /// `name=value` of attributes and events, and the status, one a line.
    pub(crate) told: String,
}

/// How the collector behaves.
#[derive(Clone, Copy, Default)]
pub(crate) struct Manner {
    /// How long it thinks before it answers.
    pub(crate) delay: Duration,
}

/// A running collector; it ends when this is dropped.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    got: Arc<Mutex<Vec<Received>>>,
    headers: Arc<Mutex<Vec<String>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        Self::with(Manner::default())
    }

    pub(crate) fn with(manner: Manner) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (got, headers) = (Arc::default(), Arc::default());
        let service = Collector { got: Arc::clone(&got), headers: Arc::clone(&headers), manner };
        let incoming = futures_util::stream::unfold(listener, async |listener| {
            let accepted = listener.accept().await.map(|(stream, _)| stream);
            Some((accepted, listener))
        });
        runtime.spawn(
            tonic::transport::Server::builder()
                .add_service(TraceServiceServer::new(service))
                .serve_with_incoming(incoming),
        );
        Self { address, got, headers, _runtime: runtime }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What arrived, as soon as there are `n_spans`.
    pub(crate) fn spans(&self, n_spans: usize) -> Vec<Received> {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let got = self.so_far();
            if got.len() >= n_spans {
                return got;
            }
            assert!(Instant::now() < end, "only {} of {n_spans} spans came: {got:#?}", got.len());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What arrived until now.
    pub(crate) fn so_far(&self) -> Vec<Received> {
        self.got.lock().unwrap().clone()
    }

    /// The `authorization` of each delivery.
    pub(crate) fn headers(&self) -> Vec<String> {
        self.headers.lock().unwrap().clone()
    }
}

struct Collector {
    got: Arc<Mutex<Vec<Received>>>,
    headers: Arc<Mutex<Vec<String>>>,
    manner: Manner,
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        tokio::time::sleep(self.manner.delay).await;
        let header = request.metadata().get("authorization");
        let header = header.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        self.headers.lock().unwrap().push(header);
        self.got.lock().unwrap().extend(received(request.into_inner()));
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn received(request: ExportTraceServiceRequest) -> Vec<Received> {
    let mut all = Vec::new();
    for resource in request.resource_spans {
        let attributes = resource.resource.unwrap_or_default().attributes;
        let service = attributes.iter().find(|attribute| attribute.key == "service.name");
        let service = service.map(text).unwrap_or_default();
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            let mut told: Vec<String> = span.attributes.iter().map(line).collect();
            for event in &span.events {
                told.push(format!("event {}", event.name));
                told.extend(event.attributes.iter().map(line));
            }
            told.extend(span.status.map(|status| format!("status {}", status.message)));
            all.push(Received {
                service: service.clone(),
                name: span.name,
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                told: told.join("\n"),
            });
        }
    }
    all
}

fn line(attribute: &KeyValue) -> String {
    format!("{}={}", attribute.key, text(attribute))
}

fn text(attribute: &KeyValue) -> String {
    match attribute.value.clone().and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        other => format!("{other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
