//! A connection alone, for whoever keeps more than requests and events at the same servers.

use async_nats::Client;
use cim_nix_base::Error;

use crate::connection::{self, Connection, connect};
use crate::pattern::is_token;
use crate::{NatsSettings, TenantsBy};

/// Connects for a tenant: with the login of its account, if it has one.
///
/// Errors: the settings make no sense, a file cannot be read, the server refuses the login, or no
/// server answers and the settings want one.
pub async fn connect_client(settings: &NatsSettings, tenant: &str) -> Result<Client, Error> {
    let login = settings.accounts.get(tenant).unwrap_or(&settings.login);
    Ok(connect(settings, login, tenant).await?.client)
}

/// A connection of somebody who asks.
#[derive(Debug)]
pub struct Asking(Connection);

impl Asking {
    /// Connects as [`connect_client`] does.
    ///
    /// Errors: as there.
    pub async fn connect(settings: &NatsSettings, tenant: &str) -> Result<Self, Error> {
        let login = settings.accounts.get(tenant).unwrap_or(&settings.login);
        Ok(Self(connect(settings, login, tenant).await?))
    }

    /// The connection itself.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// What the server says of something that was sent and that it refuses, as soon as it does. To
    /// whoever waits for a reply nothing else is said.
    pub async fn not_allowed(&self) -> String {
        self.0.not_allowed().await
    }
}

/// Whether these tenants can be served with the settings, as far as that can be told without a
/// server.
///
/// Errors: the first thing that makes no sense, or the first file that cannot be read.
pub fn check_settings(settings: &NatsSettings, tenants: &[&str]) -> Result<(), Error> {
    match settings.space()?.tenants() {
        TenantsBy::Token => connection::check(settings, &settings.login)?,
        TenantsBy::Account => {
            for tenant in tenants {
                connection::check(settings, settings.login_of(tenant, tenants.len())?)?;
            }
        }
    }
    if let Some(unknown) = settings.accounts.keys().find(|name| !tenants.contains(&&***name)) {
        let unknown = unknown.escape_debug();
        return Err(Error::config(format!("`nats.accounts.{unknown}` is the login of no tenant")));
    }
    let stream = &settings.stream;
    if !is_token(&stream.name) {
        return Err(Error::config(format!(
            "`{}` in `nats.stream` cannot be a stream's name",
            stream.name.escape_debug()
        )));
    }
    if !(1..=5).contains(&stream.replicas) {
        return Err(Error::config(format!(
            "`nats.stream` wants {} replicas, and a server keeps 1 to 5",
            stream.replicas
        )));
    }
    Ok(())
}
