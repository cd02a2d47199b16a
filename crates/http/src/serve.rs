//! Listening: connections, their limits, and how they end.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use cim_nix_base::Error;
use cim_nix_service::{Service, Tokens};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::{Peer, network};
use crate::feed::Feeds;
use crate::front::{Shared, answer};
use crate::proxies::is_trusted;
use crate::routes::router;
use crate::settings::{Settings, seconds};
use crate::shares::{Share, Shares};
use crate::stall::Stalling;
use crate::tls;

/// What the server is made of.
pub struct Parts {
    /// Who answers.
    pub service: Arc<Service>,
    /// The tokens that count; whoever reloads them writes new ones here.
    pub tokens: Arc<RwLock<Arc<Tokens>>>,
    /// Writes what was measured, as Prometheus reads it.
    pub metrics: Box<dyn Fn() -> String + Send + Sync>,
    /// Why the program is not ready, beside what the service knows: `not connected to NATS`.
    pub problems: Box<dyn Fn() -> Vec<String> + Send + Sync>,
    /// Which version it is.
    pub version: Version,
}

/// Which program answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Version {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    router: Router,
    tls: Option<Arc<RwLock<Arc<ServerConfig>>>>,
    connections: Shares<IpAddr>,
}

/// What may be done to a server while it serves.
#[derive(Clone)]
pub struct Handle {
    settings: Settings,
    tls: Option<Arc<RwLock<Arc<ServerConfig>>>>,
}

impl Handle {
    /// Reads the certificates again, for connections to come.
    ///
    /// Errors: they cannot be used; those from before stay.
    pub fn reload(&self) -> Result<(), Error> {
        if let (Some(slot), Some(settings)) = (&self.tls, &self.settings.tls) {
            let config = tls::read(settings)?;
            *slot.write().unwrap_or_else(PoisonError::into_inner) = config;
        }
        Ok(())
    }
}

/// Seconds that nobody waits longer for anything here.
const DAY: u64 = 86_400;

/// Whether a server could be made of the settings, as far as that can be told without listening.
///
/// Errors: certificates cannot be used, an entry of `clients` says nothing, or a number is none that
/// can be.
pub fn check_settings(settings: &Settings) -> Result<(), Error> {
    tls::check(&settings.clients)?;
    let numbers = [
        ("connections", settings.connections),
        ("connections-per-address", settings.connections_per_address),
    ];
    if let Some((name, _)) = numbers.iter().find(|(_, number)| *number == 0) {
        return Err(Error::config(format!("`{name}` of `http` is 0, so nobody could come")));
    }
    if settings.streams > Semaphore::MAX_PERMITS {
        return Err(Error::config("`streams` of `http` is more than can be counted"));
    }
    let times = [
        ("head-seconds", settings.head_seconds),
        ("body-seconds", settings.body_seconds),
        ("query-seconds", settings.query_seconds),
        ("stall-seconds", settings.stall_seconds),
        ("heartbeat-seconds", settings.heartbeat_seconds),
        ("drain-seconds", settings.drain_seconds),
    ];
    if let Some((name, seconds)) = times.iter().find(|(_, seconds)| *seconds > DAY) {
        return Err(Error::config(format!("`{name}` of `http` is {seconds}, more than a day")));
    }
    let is_asked = settings.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    if let (false, Some(client)) = (is_asked, settings.clients.first()) {
        let name = client.name.escape_debug();
        return Err(Error::config(format!(
            "`{name}` comes with a certificate, and nobody is asked for one"
        ))
        .hint("`client-ca` in `[http.tls]` names the authority of the certificates"));
    }
    settings.tls.as_ref().map_or(Ok(()), |settings| tls::read(settings).map(drop))
}

impl Server {
    /// Listens where the settings say.
    ///
    /// Errors: the address is taken, or the certificates cannot be used.
    pub async fn bind(settings: Settings, parts: Parts) -> Result<Self, Error> {
        let listener = TcpListener::bind(settings.listen).await.map_err(|error| {
            Error::outside(format!("cannot listen on {}", settings.listen)).because(error)
        })?;
        Self::on(listener, settings, parts)
    }

    /// Listens on a socket that somebody has opened.
    ///
    /// Errors: the certificates cannot be used.
    pub fn on(listener: TcpListener, settings: Settings, parts: Parts) -> Result<Self, Error> {
        let broken = |error| Error::outside("the socket has no address").because(error);
        let address = listener.local_addr().map_err(broken)?;
        tls::check(&settings.clients)?;
        let tls = settings.tls.as_ref().map(tls::read).transpose()?;
        let shared = Arc::new(Shared {
            service: parts.service,
            tokens: parts.tokens,
            metrics: parts.metrics,
            problems: parts.problems,
            version: parts.version,
            guesses: Default::default(),
            feeds: Feeds::default(),
            streams: Arc::new(Semaphore::new(settings.streams)),
            streams_of: Shares::default(),
            closing: CancellationToken::new(),
            openapi: crate::openapi(parts.version.version).to_string().into(),
            status: RwLock::default(),
            looking: Arc::default(),
            settings,
        });
        let router = router(shared.clone());
        let tls = tls.map(|config| Arc::new(RwLock::new(config)));
        Ok(Self { listener, address, shared, router, tls, connections: Shares::default() })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What may be done to it while it serves.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle { settings: self.shared.settings.clone(), tls: self.tls.clone() }
    }

    /// Answers until `shutdown` is cancelled; then takes no more connections, lets requests that
    /// have begun come to their end, and tells streams to come back elsewhere.
    ///
    /// Errors: none yet; what one connection does wrong ends that connection.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), Error> {
        let places = Arc::new(Semaphore::new(self.shared.settings.connections));
        let tasks = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let (socket, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // No file handles, most likely; some may be free in a moment.
                    tracing::warn!("cannot accept a connection: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let Some(counted) = Counted::new(&self.connections, &self.shared.settings, address)
            else {
                refused();
                continue;
            };
            let Ok(place) = places.clone().try_acquire_owned() else {
                refused();
                continue;
            };
            let connection = Connection {
                shared: self.shared.clone(),
                router: self.router.clone(),
                tls: self.config(),
                closing: self.shared.closing.clone(),
            };
            tasks.spawn(async move {
                connection.serve(socket, address).await;
                drop((counted, place));
            });
        }
        drop(self.listener);
        self.shared.closing.cancel();
        tasks.close();
        let drain = seconds(self.shared.settings.drain_seconds);
        if tokio::time::timeout(drain, tasks.wait()).await.is_err() {
            tracing::warn!(left = tasks.len(), "connections were still busy when the server ended");
        }
        Ok(())
    }

    fn config(&self) -> Option<Arc<ServerConfig>> {
        let slot = self.tls.as_ref()?;
        Some(slot.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

fn refused() {
    metrics::counter!("cim_nix_rejected_total", "reason" => "connections").increment(1);
}

/// A connection in the gauge of what is under way, among those of its address.
struct Counted {
    _share: Option<Share<IpAddr>>,
}

impl Counted {
    fn new(connections: &Shares<IpAddr>, settings: &Settings, address: SocketAddr) -> Option<Self> {
        // A proxy has those of all who come by it.
        let _share = match is_trusted(settings, address.ip()) {
            true => None,
            false => {
                let most = settings.connections_per_address;
                Some(connections.enter(network(address.ip()), most)?)
            }
        };
        metrics::gauge!("cim_nix_in_flight", "kind" => "http_connection").increment(1);
        Some(Self { _share })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!("cim_nix_in_flight", "kind" => "http_connection").decrement(1);
    }
}

/// One connection.
struct Connection {
    shared: Arc<Shared>,
    router: Router,
    tls: Option<Arc<ServerConfig>>,
    closing: CancellationToken,
}

/// Bytes of a head before hyper gives up; requests within this get a proper answer if they are too
/// large still.
const HEAD_BUFFER: usize = 64 << 10;
const MOST_HEADERS: usize = 100;

impl Connection {
    async fn serve(self, socket: TcpStream, address: SocketAddr) {
        // Answers are written whole; there is nothing to wait for.
        let _ = socket.set_nodelay(true);
        let stall = seconds(self.shared.settings.stall_seconds);
        let Some(config) = self.tls.clone() else {
            let peer = Peer { address: address.ip(), certificate: None };
            return self.http1(Stalling::new(socket, stall), peer).await;
        };
        let accepting = TlsAcceptor::from(config).accept(Stalling::new(socket, stall));
        let time = seconds(self.shared.settings.head_seconds);
        let Ok(Ok(stream)) = tokio::time::timeout(time, accepting).await else { return };
        let session = stream.get_ref().1;
        let is_http2 = session.alpn_protocol() == Some(b"h2");
        let certificate = session.peer_certificates().and_then(|chain| chain.first());
        let clients = &self.shared.settings.clients;
        let certificate = certificate.and_then(|certificate| tls::client(clients, certificate));
        let peer = Peer { address: address.ip(), certificate };
        match is_http2 {
            true => self.http2(stream, peer).await,
            false => self.http1(stream, peer).await,
        }
    }

    /// Serves HTTP/1. Without TLS there is nothing else: to find out what a client speaks would take
    /// a look at bytes that may never come.
    async fn http1<C>(self, connection: C, peer: Peer)
    where
        C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(seconds(self.shared.settings.head_seconds))
            .max_headers(MOST_HEADERS)
            .max_buf_size(HEAD_BUFFER)
            .keep_alive(true);
        let closing = self.closing.clone();
        let service = self.service(peer);
        let serving = builder.serve_connection(TokioIo::new(connection), service);
        let mut serving = std::pin::pin!(serving);
        tokio::select! {
            // What clients do wrong is told to them, and to nobody else.
            _ = serving.as_mut() => return,
            () = closing.cancelled() => serving.as_mut().graceful_shutdown(),
        }
        let _ = serving.await;
    }

    async fn http2<C>(self, connection: C, peer: Peer)
    where
        C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let pulse = seconds(self.shared.settings.head_seconds);
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(100)
            .max_header_list_size(32 << 10)
            .max_pending_accept_reset_streams(20)
            .max_local_error_reset_streams(100)
            .max_send_buf_size(256 << 10)
            .keep_alive_interval(pulse)
            .keep_alive_timeout(pulse);
        let closing = self.closing.clone();
        let service = self.service(peer);
        let serving = builder.serve_connection(TokioIo::new(connection), service);
        let mut serving = std::pin::pin!(serving);
        tokio::select! {
            _ = serving.as_mut() => return,
            () = closing.cancelled() => serving.as_mut().graceful_shutdown(),
        }
        let _ = serving.await;
    }

    fn service(
        self,
        peer: Peer,
    ) -> impl hyper::service::Service<
        hyper::Request<Incoming>,
        Response = axum::response::Response,
        Error = Infallible,
        Future: Send + 'static,
    > {
        let peer = Arc::new(peer);
        service_fn(move |request: hyper::Request<Incoming>| {
            let answered = answer(self.shared.clone(), self.router.clone(), peer.clone(), request);
            async move { Ok(answered.await) }
        })
    }
}
