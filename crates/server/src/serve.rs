//! Serving: everything is put together, and taken apart in the reverse order.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use cim_nix_app::Outside;
use cim_nix_base::Error;
use cim_nix_host::{Here, Worker};
use cim_nix_http::{Parts, Server, Version};
use cim_nix_nats::Nats;
use cim_nix_service::{Keeps, Service, Tenant, TenantParts, Tokens};
use cim_nix_telemetry::{Guard, Identity};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, StorePlace, TenantSection};
use crate::measured::{self, Measured};
use crate::notify::{self, Stage};
use crate::reload::Reloadable;
use crate::source::Source;
use crate::stores;

const NAME: &str = "cim-nix-server";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Serves until somebody stops it.
///
/// Errors: something cannot be opened or listened on.
pub(crate) fn run(source: &Source) -> Result<ExitCode, Error> {
    let config = source.config()?;
    check(&config)?;
    let instance = format!("{}-{}", host_name(), std::process::id());
    let identity = Identity { name: NAME, version: VERSION, instance };
    let telemetry = cim_nix_telemetry::init(&observed(&config), &identity)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("server")
        .enable_all()
        .build()
        .map_err(|error| Error::outside("cannot start threads").because(error))?;
    cim_nix_service::metrics::build_info(VERSION);
    let ended = serve(&runtime, config, source, &telemetry);
    if let Err(error) = &ended {
        tracing::error!("{}", error.chain());
    }
    telemetry.shutdown(Duration::from_secs(3));
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned())
}

/// Whether all that the configuration names can be had, as far as that can be told without serving.
///
/// Errors: what cannot.
pub(crate) fn check(config: &Config) -> Result<(), Error> {
    Tokens::new(config.all_tokens()?).map_err(Error::config)?;
    cim_nix_telemetry::check(&observed(config))?;
    let worker = Worker::find(config.worker.as_deref())?;
    for tenant in &config.tenants {
        let state = config.state_of(tenant);
        // The empty folder of a catalogue is made when it is served; any other will do here.
        let folder = tenant.folder.clone().unwrap_or_else(std::env::temp_dir);
        Here::new(tenant.worker.settings(&folder, &state), worker.clone())?;
    }
    if let Some(http) = &config.http {
        cim_nix_http::check_settings(http)?;
    }
    let tenants: Vec<&str> = config.tenants.iter().map(|tenant| &*tenant.name).collect();
    if let Some(nats) = &config.nats {
        cim_nix_nats::check_settings(nats, &tenants)?;
    }
    for tenant in &config.tenants {
        // Events that go elsewhere than requests.
        if let StorePlace::JetStream(servers) = config.store_of(tenant)? {
            let nats = stores::nats_of(config, servers.as_deref());
            cim_nix_nats::check_settings(&nats, &tenants)?;
        }
    }
    Ok(())
}

fn observed(config: &Config) -> cim_nix_telemetry::Settings {
    cim_nix_telemetry::Settings { log: config.log.clone(), traces: config.traces.clone() }
}

fn outside(config: &Config, tenant: &TenantSection, worker: &Worker) -> Result<Here, Error> {
    let state = config.state_of(tenant);
    let folder = match &tenant.folder {
        Some(folder) => folder.clone(),
        None => {
            // What is evaluated for a catalogue sees an empty folder.
            let folder = state.join("empty");
            make(&folder)?;
            folder
        }
    };
    Here::new(tenant.worker.settings(&folder, &state), worker.clone())
}

fn make(folder: &std::path::Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(|error| {
        Error::outside(format!("cannot make the folder `{}`", folder.display())).because(error)
    })
}

fn tenants(config: &Config) -> Result<Vec<Tenant>, Error> {
    let worker = Worker::find(config.worker.as_deref())?;
    let worker = worker.watched(measured::worker_ran).traced(measured::TRACING);
    let mut tenants = Vec::new();
    for section in &config.tenants {
        let state = config.state_of(section);
        make(&state)?;
        let opened = stores::open(config, &section.name, &config.store_of(section)?, &state)?;
        let outside: Arc<dyn Outside> = Arc::new(outside(config, section, &worker)?);
        tenants.push(Tenant::new(TenantParts {
            name: section.name.clone(),
            store: Arc::new(Measured(opened.store)),
            moves_along: opened.moves_along,
            outside,
            keeps: if section.folder.is_some() { Keeps::Files } else { Keeps::Catalogue },
            limits: config.limits_of(section)?,
            storage: opened.storage,
        })?);
    }
    Ok(tenants)
}

/// What stops the service and what makes it read its configuration again.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn catch() -> Result<Self, Error> {
        let catch = |kind| {
            signal(kind).map_err(|error| Error::outside("cannot wait for signals").because(error))
        };
        Ok(Self {
            terminate: catch(SignalKind::terminate())?,
            interrupt: catch(SignalKind::interrupt())?,
            hang_up: catch(SignalKind::hangup())?,
        })
    }

    /// Waits until somebody wants it to stop.
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn serve(
    runtime: &tokio::runtime::Runtime,
    config: Config,
    source: &Source,
    telemetry: &Guard,
) -> Result<ExitCode, Error> {
    // A signal that comes from now on has its log line.
    let signals = {
        let _inside = runtime.enter();
        Signals::catch()?
    };
    notify::tell(Stage::Opening);
    let tokens = Tokens::new(config.all_tokens()?).map_err(Error::config)?;
    let tokens = Arc::new(RwLock::new(Arc::new(tokens)));
    let config = Arc::new(config);
    let opened = {
        let config = config.clone();
        runtime.spawn_blocking(move || open(&config))
    };
    runtime.block_on(async {
        let mut signals = signals;
        let service = tokio::select! {
            opened = opened => match opened {
                Ok(service) => service?,
                Err(error) => return Err(Error::bug("stores cannot be opened").because(error)),
            },
            () = signals.stop() => {
                tracing::info!("stopped before it was ready");
                return Ok(ExitCode::SUCCESS);
            }
        };
        let config = Config::clone(&config);
        serve_all(config, source, telemetry, service, tokens, signals).await
    })
}

/// Opens all stores, and ends what an earlier process left half done. May wait for servers.
fn open(config: &Config) -> Result<Arc<Service>, Error> {
    let service = Service::new(tenants(config)?, &config.service.settings())?;
    service.set_trace(cim_nix_telemetry::traceparent::current);
    service.recover()?;
    Ok(service)
}

async fn serve_all(
    config: Config,
    source: &Source,
    telemetry: &Guard,
    service: Arc<Service>,
    tokens: Arc<RwLock<Arc<Tokens>>>,
    mut signals: Signals,
) -> Result<ExitCode, Error> {
    let nats = match &config.nats {
        Some(settings) => Some(Nats::start(&service, settings).await?),
        None => None,
    };
    let nats = Arc::new(Mutex::new(nats));
    let stop = CancellationToken::new();
    let (mut http, mut handle) = (None, None);
    if let Some(settings) = &config.http {
        let parts = parts(&service, &tokens, telemetry, nats.clone());
        let server = Server::bind(settings.clone(), parts).await?;
        tracing::info!(address = %server.address(), "listening");
        handle = Some(server.handle());
        http = Some(tokio::spawn(server.serve(stop.clone())));
    }
    let looking = tokio::spawn(look(service.clone(), stop.clone()));
    let drain = Duration::from_secs(config.drain_seconds.max(1));
    let reloadable =
        Reloadable { service: service.clone(), tokens, http: handle, config: RwLock::new(config) };
    tracing::info!(version = VERSION, tenants = service.tenants().count(), "ready");
    notify::tell(Stage::Ready);
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
            _ = signals.hang_up.recv() => match reloadable.reload(source, telemetry) {
                Ok(others) if others.is_empty() => tracing::info!("the configuration was read again"),
                Ok(others) => tracing::warn!(
                    "the configuration was read again; other settings want a restart: {}",
                    others.join(", ")
                ),
                Err(error) => tracing::error!(
                    "the configuration stays as it was: {}", error.chain()
                ),
            },
        }
    }
    notify::tell(Stage::Stopping);
    tracing::info!("stopping: what was begun comes to its end first");
    stop.cancel();
    let nats = nats.lock().unwrap_or_else(PoisonError::into_inner).take();
    tokio::select! {
        ended = wind_down(nats, http, service, drain) => {
            looking.abort();
            ended.map(|()| ExitCode::SUCCESS)
        }
        // Who asks a second time does not want to wait. What is lost by that is lost by a power cut
        // as well: nothing that was acknowledged.
        () = signals.stop() => {
            tracing::warn!("stopped at once; the next start looks after what was begun");
            Ok(ExitCode::from(3))
        }
    }
}

/// Lets what was begun come to its end.
async fn wind_down(
    nats: Option<Nats>,
    http: Option<JoinHandle<Result<(), Error>>>,
    service: Arc<Service>,
    drain: Duration,
) -> Result<(), Error> {
    let deadline = Instant::now() + drain;
    if let Some(nats) = nats {
        nats.stop(drain).await;
    }
    if let Some(http) = http {
        match http.await {
            Ok(ended) => ended?,
            Err(error) => return Err(Error::bug("the HTTP server broke").because(error)),
        }
    }
    let drained = tokio::task::spawn_blocking(move || service.drain());
    // What carries requests had the same time; whoever waits for the end knows of one only.
    let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_secs(1));
    if tokio::time::timeout(left, drained).await.is_err() {
        tracing::warn!("not all commands came to their end; the next start looks after them");
    }
    tracing::info!("stopped");
    Ok(())
}

async fn look(service: Arc<Service>, stop: CancellationToken) {
    loop {
        let looked = service.clone();
        let looking = tokio::task::spawn_blocking(move || measured::look(&looked));
        if looking.await.is_err() {
            tracing::error!("figures could not be looked up");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(measured::EVERY) => {}
        }
    }
}

/// How long a connection may be away before the service says so: a server that is restarted, or
/// somebody whose messages cannot be read, must not take all instances out of service at once.
const PASSING: Duration = Duration::from_secs(3);

fn parts(
    service: &Arc<Service>,
    tokens: &Arc<RwLock<Arc<Tokens>>>,
    telemetry: &Guard,
    nats: Arc<Mutex<Option<Nats>>>,
) -> Parts {
    let metrics = telemetry.metrics();
    Parts {
        service: service.clone(),
        tokens: tokens.clone(),
        metrics: Box::new(move || metrics.render()),
        problems: Box::new(move || {
            let nats = nats.lock().unwrap_or_else(PoisonError::into_inner);
            let mut connections = nats.iter().flat_map(Nats::health);
            // Whoever asks may see this, and must not learn who else is served; the log has that.
            match connections.any(|connection| connection.away > PASSING) {
                true => vec!["not connected to NATS".to_owned()],
                false => Vec::new(),
            }
        }),
        version: Version { name: NAME, version: VERSION },
    }
}
