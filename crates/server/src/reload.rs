//! Reading the configuration again while the service runs.

use std::sync::{Arc, PoisonError, RwLock};

use cim_nix_base::Error;
use cim_nix_service::{Service, Tokens};

use crate::config::Config;
use crate::source::Source;

/// What may be exchanged while the service runs.
pub(crate) struct Reloadable {
    pub(crate) service: Arc<Service>,
    pub(crate) tokens: Arc<RwLock<Arc<Tokens>>>,
    pub(crate) http: Option<cim_nix_http::Handle>,
    /// What the service runs with.
    pub(crate) config: RwLock<Config>,
}

impl Reloadable {
    /// Reads the configuration again, and puts into force what can be: tokens, limits, the filter of
    /// logs, certificates. Answers what wants a restart.
    ///
    /// Errors: the configuration cannot be read or cannot be; then all stays as it is.
    pub(crate) fn reload(
        &self,
        source: &Source,
        telemetry: &cim_nix_telemetry::Guard,
    ) -> Result<Vec<&'static str>, Error> {
        let new = source.config()?;
        let tokens = Tokens::new(new.all_tokens()?).map_err(Error::config)?;
        let mut limits = Vec::new();
        for tenant in &new.tenants {
            if let Some(known) = self.service.tenant(&tenant.name) {
                limits.push((known.clone(), new.limits_of(tenant)?));
            }
        }
        telemetry.set_log_filter(&new.log.filter)?;
        if let Some(http) = &self.http {
            http.reload()?;
        }
        *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tokens);
        let mut old = self.config.write().unwrap_or_else(PoisonError::into_inner);
        for (tenant, limits) in limits {
            tenant.set_limits(limits);
        }
        let others = others(&old, &new);
        *old = new;
        Ok(others)
    }
}

/// What has changed that counts only after a restart.
fn others(old: &Config, new: &Config) -> Vec<&'static str> {
    let names = |config: &Config| -> Vec<_> {
        config.tenants.iter().map(|it| (it.name.clone(), it.folder.clone())).collect()
    };
    let stores =
        |config: &Config| -> Vec<_> { config.tenants.iter().map(|it| it.store.clone()).collect() };
    let workers =
        |config: &Config| -> Vec<_> { config.tenants.iter().map(|it| it.worker.clone()).collect() };
    let is_other_store =
        old.store != new.store || old.state != new.state || stores(old) != stores(new);
    let others = [
        ("http", old.http != new.http),
        ("nats", old.nats != new.nats),
        ("store", is_other_store),
        ("jetstream", old.jetstream != new.jetstream),
        ("tenants", names(old) != names(new)),
        ("what tenants' code may do", workers(old) != workers(new)),
        ("worker", old.worker != new.worker),
        ("service", old.service != new.service),
        ("drain-seconds", old.drain_seconds != new.drain_seconds),
        ("the format of logs", old.log.format != new.log.format),
        ("traces", old.traces != new.traces),
    ];
    others.into_iter().filter(|(_, is_other)| *is_other).map(|(name, _)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wants_a_restart_is_named() {
        let read = |text: &str| toml::from_str::<Config>(text).expect("a configuration");
        let told = |old: &str, new: &str| others(&read(old), &read(new)).join(", ");
        let tenant = "[[tenant]]\nname = \"a\"\n";
        let with = |more: &str| format!("{tenant}{more}");
        assert_eq!(told(tenant, &with("limits = { burst = 5 }\n")), "");
        assert_eq!(told(tenant, &with("store = \"sqlite:/x\"\n")), "store");
        assert_eq!(told(tenant, &with("worker = { seconds = 5 }\n")), "what tenants' code may do");
        assert_eq!(told(tenant, &with("[jetstream]\nreplicas = 3\n")), "jetstream");
        assert_eq!(told("", "worker = \"/bin/x\"\ndrain-seconds = 5"), "worker, drain-seconds");
        assert_eq!(told("", "[log]\nfilter = \"debug\""), "");
        assert_eq!(told("", "[log]\nformat = \"human\""), "the format of logs");
        let all = "state = \"/x\"\n[http]\n[nats]\n[service]\ncommand-threads = 1\n[traces]\nratio = 0.5\n";
        assert_eq!(told("", all), "http, nats, store, service, traces");
    }
}
