//! Opening the stores of tenants.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use cim_domain_nix::Paired;
use cim_domain_nix::projection::PROJECTIONS;
use cim_nix_app::Store;
use cim_nix_base::Error;
use cim_nix_nats::NatsSettings;
use cim_nix_store_jetstream::{JetStreamStore, Options};
use cim_nix_store_sqlite::SqliteStore;

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
            let options = Options {
                index_file: Some(state.join("jetstream.index")),
                ..options(&config.jetstream, tenant)
            };
            let events = jetstream(&nats, options)?;
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
    Ok(SqliteStore::open(
        path,
        cim_nix_store_sqlite::Options { projections, ..Default::default() },
    )?)
}

/// The options for a tenant's stream.
pub(crate) fn options(section: &JetStreamSection, tenant: &str) -> Options {
    Options {
        prefix: section.prefix.clone(),
        replicas: section.replicas,
        compression: section.compression,
        max_bytes: (section.max_bytes > 0).then_some(section.max_bytes),
        ..Options::of(tenant)
    }
}

/// Opens a store in JetStream. Waits for servers without end, if the settings say so.
pub(crate) fn jetstream(nats: &NatsSettings, options: Options) -> Result<JetStreamStore, Error> {
    let (nats, name) = (nats.clone(), options.tenant.clone());
    let connect = async move {
        let client = cim_nix_nats::connect_client(&nats, &name).await;
        let client = client.map_err(|error| {
            let why = error.chain();
            why.strip_prefix("cannot connect to NATS: ").map_or(why.clone(), str::to_owned)
        })?;
        // Without one that answers this is an error already, if the settings want one.
        let mut n_waits = 0_u32;
        while client.connection_state() != State::Connected {
            if n_waits.is_multiple_of(100) {
                tracing::warn!(tenant = %name, "the store waits for a NATS server");
            }
            n_waits += 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok::<_, String>(client)
    };
    Ok(JetStreamStore::open(connect, options)?)
}
