//! A connection alone, for whoever keeps more than requests and events at the same servers.

use async_nats::Client;
use cim_nix_base::Error;

use crate::NatsSettings;
use crate::connection::connect;

/// Connects for a tenant: with the login of its account, if it has one.
///
/// Errors: the settings make no sense, a file cannot be read, the server refuses the login, or no
/// server answers and the settings want one.
pub async fn connect_client(settings: &NatsSettings, tenant: &str) -> Result<Client, Error> {
    let login = settings.accounts.get(tenant).unwrap_or(&settings.login);
    Ok(connect(settings, login, tenant).await?.client)
}
