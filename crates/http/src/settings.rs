//! How the server is set up.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use cim_nix_service::Role;
use serde::Deserialize;

use crate::proxies::{ForwardedBy, Network};

/// How the server is set up.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Settings {
    /// Where it listens; port 0 for any that is free.
    pub listen: SocketAddr,
    /// Its certificate; plain HTTP without.
    pub tls: Option<TlsSettings>,
    /// Who may come with a certificate instead of a token.
    pub clients: Vec<ClientEntry>,
    /// Whether `/health/..` and `/version` answer without a token.
    pub open_health: bool,
    /// Whether `/metrics` answers without a token.
    pub open_metrics: bool,
    /// Whether there is an operations page.
    pub page: bool,
    /// Connections at once.
    pub connections: usize,
    /// Of these, from one address.
    pub connections_per_address: usize,
    /// Proxies whose word counts for whom they speak: addresses or networks. Of everybody else the
    /// headers are passed over.
    pub trusted_proxies: Vec<Network>,
    /// The header in which they say it.
    pub forwarded_by: ForwardedBy,
    /// Followers of events and of progress at once.
    pub streams: usize,
    /// Of these, of one caller.
    pub streams_per_caller: usize,
    /// Refused tokens a minute from one address; what comes beyond is refused without a look.
    pub bad_tokens_per_minute: u32,
    /// Seconds that the head of a request may take, and that a connection may be idle.
    pub head_seconds: u64,
    /// Seconds that the body of a request may take.
    pub body_seconds: u64,
    /// Seconds that the answer to a query may take.
    pub query_seconds: u64,
    /// Seconds that a client may take nothing of what it is sent.
    pub stall_seconds: u64,
    /// Seconds between signs of life on streams of events.
    pub heartbeat_seconds: u64,
    /// Seconds that requests have to come to their end when the server stops.
    pub drain_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8480)),
            tls: None,
            clients: Vec::new(),
            open_health: true,
            open_metrics: false,
            page: true,
            connections: 4_096,
            connections_per_address: 1_024,
            trusted_proxies: Vec::new(),
            forwarded_by: ForwardedBy::default(),
            streams: 1_024,
            streams_per_caller: 64,
            bad_tokens_per_minute: 30,
            head_seconds: 15,
            body_seconds: 15,
            query_seconds: 30,
            stall_seconds: 30,
            heartbeat_seconds: 15,
            drain_seconds: 30,
        }
    }
}

/// The server's certificate.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TlsSettings {
    /// The certificate with those that lead to its authority, as PEM.
    pub certificate: PathBuf,
    /// Its key, as PEM.
    pub key: PathBuf,
    /// The authorities of clients' certificates, as PEM. Without, nobody is asked for one.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// Whether nobody gets in without a certificate.
    #[serde(default)]
    pub require_client_certificate: bool,
}

/// Somebody who comes with a certificate.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClientEntry {
    /// Who it is, as events and logs have it.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The tenants that it is for.
    pub tenants: Vec<String>,
    /// How the certificate is known: `dns:NAME` or `uri:URI`, one of its alternative names, or
    /// `sha256:HEX`, its fingerprint.
    pub certificate: String,
}

pub(crate) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n.max(1))
}
