//! Opening the stores of tenants.

use std::path::Path;
use std::sync::Arc;

use cim_domain_nix::Paired;
use cim_domain_nix::projection::PROJECTIONS;
use cim_nix_app::Store;
use cim_nix_base::Error;
use cim_nix_nats::NatsSettings;
use cim_nix_store_jetstream::JetStreamStore;
use cim_nix_store_sqlite::{Options, SqliteStore};

use crate::config::{Config, JetStreamSection, StorePlace};

/// A store that was opened.
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn Store>,
    /// Whether read models move along with each append.
    pub(crate) moves_along: bool,
    /// How many bytes the events take.
    pub(crate) storage: Box<dyn Fn() -> Option<u64> + Send + Sync>,
}

/// Opens the store of a tenant, and makes it where there is none.
///
/// Errors: it cannot be opened.
pub(crate) fn open(
    config: &Config,
    tenant: &str,
    place: &StorePlace,
    state: &Path,
) -> Result<Opened, Error> {
    match place {
        StorePlace::Sqlite(path) => {
            let store = sqlite(path)?;
            let (path, wal) = (path.clone(), path.with_extension("sqlite-wal"));
            let size = |path: &Path| std::fs::metadata(path).ok().map(|it| it.len());
            Ok(Opened {
                store: Arc::new(store),
                moves_along: true,
                storage: Box::new(move || {
                    Some(size(&path)?.saturating_add(size(&wal).unwrap_or(0)))
                }),
            })
        }
        StorePlace::JetStream(servers) => {
            let nats = nats_of(config, servers.as_deref());
            let events = jetstream(&nats, &config.jetstream, tenant, Some(state))?;
            let status = events.clone();
            // Intents are about files of this machine, so they stay on it.
            let intents = sqlite(&state.join("intents.sqlite"))?;
            Ok(Opened {
                store: Arc::new(Paired { events, intents }),
                moves_along: false,
                storage: Box::new(move || status.status().ok().map(|status| status.bytes)),
            })
        }
    }
}

/// The connection that the events go over.
pub(crate) fn nats_of(config: &Config, servers: Option<&str>) -> NatsSettings {
    let mut nats = config.nats.clone().unwrap_or_default();
    if let Some(servers) = servers {
        nats.servers = servers.split(',').map(str::to_owned).collect();
    }
    nats
}

pub(crate) fn sqlite(path: &Path) -> Result<SqliteStore, Error> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| {
            Error::outside(format!("cannot make the folder `{}`", folder.display())).because(error)
        })?;
    }
    let projections = PROJECTIONS.map(|projection| Arc::new(projection) as _).into();
    Ok(SqliteStore::open(path, Options { projections, ..Options::default() })?)
}

pub(crate) fn jetstream(
    nats: &NatsSettings,
    section: &JetStreamSection,
    tenant: &str,
    state: Option<&Path>,
) -> Result<JetStreamStore, Error> {
    let mut options = cim_nix_store_jetstream::Options::of(tenant);
    options.prefix.clone_from(&section.prefix);
    options.replicas = section.replicas;
    options.compression = section.compression;
    options.max_bytes = (section.max_bytes > 0).then_some(section.max_bytes);
    options.index_file = state.map(|state| state.join("jetstream.index"));
    let (nats, name) = (nats.clone(), tenant.to_owned());
    let connect = async move { cim_nix_nats::connect_client(&nats, &name).await };
    Ok(JetStreamStore::open(connect, options)?)
}
