//! Reading the configuration again while the service runs.

use std::sync::{Arc, PoisonError, RwLock};

use cim_nix_base::Error;
use cim_nix_service::{Service, Tokens};

use crate::commands::Source;
use crate::config::Config;

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
        let names = |config: &Config| -> Vec<_> {
            config.tenants.iter().map(|it| (it.name.clone(), it.folder.clone())).collect()
        };
        let workers = |config: &Config| -> Vec<_> {
            config.tenants.iter().map(|it| it.worker.clone()).collect()
        };
        let others = [
            ("http", old.http != new.http),
            ("nats", old.nats != new.nats),
            ("store", old.store != new.store || old.state != new.state),
            ("tenants", names(&old) != names(&new)),
            ("what tenants' code may do", workers(&old) != workers(&new)),
            ("service", old.service != new.service),
            ("traces", old.traces != new.traces),
        ];
        *old = new;
        Ok(others.into_iter().filter(|(_, is_other)| *is_other).map(|(name, _)| name).collect())
    }
}
