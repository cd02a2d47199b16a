//! Takes finished spans to a collector, by OTLP over gRPC.
//!
//! A request never waits for it: spans go into a queue of bounded length, one thread takes them out
//! in batches, and a small runtime of its own delivers them, so that neither a busy nor a stopping
//! service loses its way to the collector. What does not fit into the queue, because the collector
//! is slow or away, is dropped and counted. Texts are masked on that thread.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cim_nix_base::Error;
use opentelemetry::trace::{Status, TracerProvider as _};
use opentelemetry::{Array, Key, KeyValue, StringValue, Value};
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider, SpanData,
    SpanProcessor,
};

use crate::told::Ids;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::mask::{bounded, mask};
use crate::settings::{Identity, Traces};
use crate::traceparent::{TRACEPARENT, TRACESTATE};

/// Spans that wait; a few megabytes.
const MOST_WAITING: usize = 4096;
/// Spans that go together.
const BATCH: usize = 512;
/// How long a span waits for others.
const DELAY: Duration = Duration::from_secs(1);
/// What one span may tell of what happened in it.
const MOST_EVENTS: u32 = 64;

/// The way to the collector.
pub(crate) struct Exporter {
    provider: SdkTracerProvider,
    counts: Arc<Counts>,
    /// `None` when it is given up.
    runtime: Option<Runtime>,
}

/// What became of spans.
#[derive(Default, Debug)]
pub(crate) struct Counts {
    /// They ended and were to be kept.
    pub(crate) ended: AtomicU64,
    /// The collector has them.
    pub(crate) exported: AtomicU64,
    /// It would not take them, or could not be reached.
    pub(crate) failed: AtomicU64,
}

impl Exporter {
    /// Prepares everything; connects when there is something to tell.
    ///
    /// Errors: an address that is none, a file that cannot be read.
    pub(crate) fn new(
        endpoint: &str,
        settings: &Traces,
        identity: &Identity,
    ) -> Result<Self, Error> {
        settings.check()?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("traces")
            .enable_all()
            .build()
            .map_err(|error| Error::outside("cannot start the thread for traces").because(error))?;
        let exporter = {
            let _context = runtime.enter();
            otlp(endpoint, settings)?
        };
        let counts = Arc::new(Counts::default());
        let exporter = Delivery {
            exporter: Arc::new(exporter),
            runtime: runtime.handle().clone(),
            limit: settings.timeout(),
            counts: Arc::clone(&counts),
        };
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(MOST_WAITING)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let processor = Counted {
            batches: BatchSpanProcessor::builder(exporter).with_batch_config(batches).build(),
            counts: Arc::clone(&counts),
        };
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(settings.ratio)));
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(sampler)
            .with_id_generator(Ids::default())
            .with_max_events_per_span(MOST_EVENTS)
            .with_resource(resource(identity))
            .build();
        Ok(Self { provider, counts, runtime: Some(runtime) })
    }

    pub(crate) fn tracer(&self) -> SdkTracer {
        self.provider.tracer("cim-nix")
    }

    pub(crate) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// Delivers what waits and stops, within `limit`; gives up what is left then.
    pub(crate) fn shutdown(&mut self, limit: Duration) -> bool {
        let done = self.provider.shutdown_with_timeout(limit).is_ok();
        if let Some(runtime) = self.runtime.take() {
            // Does not wait, so it may be called where waiting is not allowed.
            runtime.shutdown_background();
        }
        done
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        if self.runtime.is_some() {
            self.shutdown(Duration::ZERO);
        }
    }
}

fn resource(identity: &Identity) -> Resource {
    // What the environment says (`OTEL_RESOURCE_ATTRIBUTES`) is found by the builder.
    Resource::builder()
        .with_service_name(identity.name)
        .with_attribute(KeyValue::new("service.version", identity.version))
        .with_attribute(KeyValue::new("service.instance.id", identity.instance.clone()))
        .build()
}

fn otlp(endpoint: &str, settings: &Traces) -> Result<SpanExporter, Error> {
    let mut builder = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(settings.timeout());
    if endpoint.starts_with("https://") {
        let mut tls = ClientTlsConfig::new().with_native_roots();
        if let Some(path) = &settings.ca_file {
            let pem = fs::read(path).map_err(|error| {
                let path = path.display();
                Error::config(format!("cannot read `ca-file` of traces `{path}`")).because(error)
            })?;
            tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
        }
        builder = builder.with_tls_config(tls);
    } else if !endpoint.starts_with("http://") {
        let endpoint = mask(endpoint);
        return Err(Error::config(format!("`{endpoint}` is no address of a collector"))
            .hint("write it as `http://host:4317` or `https://host:4317`"));
    }
    if let Some(path) = &settings.token_file {
        builder = builder.with_metadata(authorization(path)?);
    }
    builder.build().map_err(|error| {
        let endpoint = mask(endpoint);
        Error::config(format!("cannot use `{endpoint}` for traces: {}", mask(&error.to_string())))
    })
}

fn authorization(path: &std::path::Path) -> Result<MetadataMap, Error> {
    let name = path.display();
    let token = fs::read_to_string(path).map_err(|error| {
        Error::config(format!("cannot read `token-file` of traces `{name}`")).because(error)
    })?;
    let value = format!("Bearer {}", token.trim()).parse().map_err(|_| {
        Error::config(format!("`token-file` of traces `{name}` has no token on one line"))
    })?;
    let mut metadata = MetadataMap::new();
    metadata.insert("authorization", value);
    Ok(metadata)
}

/// Counts what ends before it waits.
#[derive(Debug)]
struct Counted {
    batches: BatchSpanProcessor,
    counts: Arc<Counts>,
}

impl SpanProcessor for Counted {
    fn on_start(
        &self,
        span: &mut opentelemetry_sdk::trace::Span,
        context: &opentelemetry::Context,
    ) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            self.counts.ended.fetch_add(1, Ordering::Relaxed);
        }
        self.batches.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// Masks a batch and hands it over, in bounded time.
#[derive(Debug)]
struct Delivery {
    exporter: Arc<SpanExporter>,
    runtime: Handle,
    limit: Duration,
    counts: Arc<Counts>,
}

impl opentelemetry_sdk::trace::SpanExporter for Delivery {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        batch.iter_mut().for_each(clean);
        let n_spans = batch.len() as u64;
        let (exporter, limit) = (Arc::clone(&self.exporter), self.limit);
        let delivery = async move { tokio::time::timeout(limit, exporter.export(batch)).await };
        let result = match self.runtime.spawn(delivery).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(OTelSdkError::Timeout(limit)),
            Err(error) => Err(OTelSdkError::InternalFailure(error.to_string())),
        };
        let counter = if result.is_ok() { &self.counts.exported } else { &self.counts.failed };
        counter.fetch_add(n_spans, Ordering::Relaxed);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        let exporter = Arc::get_mut(&mut self.exporter);
        exporter.expect("nothing is delivered before it is known who tells").set_resource(resource);
    }
}

/// Takes secrets out of a span, and what its identity says already.
fn clean(span: &mut SpanData) {
    let is_told = |key: &Key| matches!(key.as_str(), TRACEPARENT | TRACESTATE);
    span.attributes.retain(|attribute| !is_told(&attribute.key));
    span.attributes.iter_mut().for_each(clean_attribute);
    // The route is known after the span has begun, and its name is a part of the span's.
    let route = span.attributes.iter().find(|it| it.key.as_str() == "http.route");
    if let Some(Value::String(route)) = route.map(|it| &it.value) {
        span.name = format!("{} {route}", span.name).into();
    }
    for event in &mut span.events.events {
        event.name = bounded("message", &event.name).into_owned().into();
        event.attributes.iter_mut().for_each(clean_attribute);
    }
    if let Status::Error { description } = &mut span.status {
        *description = bounded("message", description).into_owned().into();
    }
}

fn clean_attribute(attribute: &mut KeyValue) {
    let clean = |text: &StringValue| -> StringValue {
        bounded(attribute.key.as_str(), text.as_str()).into_owned().into()
    };
    match &attribute.value {
        Value::String(text) => attribute.value = Value::String(clean(text)),
        Value::Array(Array::String(texts)) => {
            attribute.value = Value::Array(Array::String(texts.iter().map(clean).collect()));
        }
        _ => {}
    }
}
