//! `cim-nix-server store copy`: from one kind of store to another.

use cim_domain_nix::EventStore;
use cim_nix_base::Error;
use cim_nix_nats::NatsSettings;
use cim_nix_service::check_name;
use cim_nix_store_jetstream::Options;

use crate::config::{Config, StorePlace};
use crate::stores;

/// Copies all events and proves that they are the same; answers what to tell.
///
/// Errors: a store cannot be opened, or has other events already; what was copied until then stays,
/// and the next run goes on with it.
pub(crate) fn copy(
    config: &Config,
    from: &StorePlace,
    to: &StorePlace,
    tenant: &str,
) -> Result<String, Error> {
    if from == to {
        return Err(Error::user("a store is not copied to itself"));
    }
    if let StorePlace::Sqlite(path) = from
        && !path.exists()
    {
        return Err(Error::user(format!("there is no store `{}`", path.display())));
    }
    check_name(tenant)?;
    let open = |place: &StorePlace, create: bool| -> Result<Box<dyn EventStore>, Error> {
        Ok(match place {
            StorePlace::Sqlite(path) => Box::new(stores::sqlite(path)?),
            StorePlace::JetStream(servers) => {
                let nats = stores::nats_of(config, servers.as_deref());
                // Somebody waits: no server is an answer.
                let nats = NatsSettings { start_without: false, ..nats };
                cim_nix_nats::check_settings(
                    &NatsSettings { accounts: Default::default(), ..nats.clone() },
                    &[tenant],
                )?;
                let options = Options { create, ..stores::options(&config.jetstream, tenant) };
                Box::new(stores::jetstream(&nats, options)?)
            }
        })
    };
    // A name that is wrong must not become a copy of nothing.
    let from = open(from, false)?;
    let to = open(to, true)?;
    let copied = cim_domain_nix::copy(&*from, &*to, &mut |n| tracing::info!(events = n, "copied"))?;
    let mut told = format!(
        "{} events are in both stores and the same ({}); {} of them were copied now\n",
        copied.n_there + copied.n_added,
        copied.digest,
        copied.n_added
    );
    if !copied.keeps_positions {
        told.push_str("positions have no gaps any more, so who follows events begins anew\n");
    }
    Ok(told)
}
