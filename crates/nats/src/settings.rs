//! What can be set.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use cim_nix_base::Error;
use cim_nix_service::Role;
use serde::Deserialize;

use crate::space::{SubjectSpace, TenantsBy};

/// A text that nobody else may see: it is in no log and in no error.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Who the service is for the server: one of a user with a password, a token, an NKey, credentials;
/// or nobody, where the server asks for nothing or looks at the certificate.
#[derive(Clone, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Login {
    /// The user.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
    /// The file that the password is in.
    pub password_file: Option<PathBuf>,
    /// A token.
    pub token: Option<Secret>,
    /// The file that the token is in.
    pub token_file: Option<PathBuf>,
    /// The seed of an NKey, `SU...`.
    pub nkey: Option<Secret>,
    /// The file that the seed is in.
    pub nkey_file: Option<PathBuf>,
    /// A file of credentials: a JWT with the seed of its NKey.
    pub credentials_file: Option<PathBuf>,
    /// What the names of inboxes start with, where the server allows one of the user's own only.
    /// Otherwise `_INBOX.USER`, or `_INBOX` without a user.
    pub inbox_prefix: Option<String>,
}

/// How connections are encrypted.
#[derive(Clone, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Tls {
    /// Whether a connection without it is refused, whatever the server offers.
    pub required: bool,
    /// Whether it begins before the server says anything.
    pub first: bool,
    /// The file with the certificates that servers are trusted by; those of the system without it.
    pub ca: Option<PathBuf>,
    /// The file with the certificate that the service shows.
    pub certificate: Option<PathBuf>,
    /// The file with its key.
    pub key: Option<PathBuf>,
}

/// The stream that keeps the published events.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct StreamSettings {
    /// Whether events go to a stream at all; without one they are published to whoever listens.
    pub enabled: bool,
    /// Whether the service makes the stream, and changes it to what is set here. Without that, one
    /// that takes the events has to be there.
    pub create: bool,
    /// Its name. Where tenants share an account, the tenant's name in capitals is added.
    pub name: String,
    /// How many servers keep it.
    pub replicas: usize,
    /// Days after which events may go; 0 for never.
    pub max_age_days: u64,
    /// Bytes after which the oldest may go; 0 for any number.
    pub max_bytes: u64,
    /// Seconds in which an event that comes twice is known.
    pub duplicate_seconds: u64,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            create: true,
            name: "NIX_EVENTS".to_owned(),
            replicas: 1,
            max_age_days: 0,
            max_bytes: 0,
            duplicate_seconds: 3_600,
        }
    }
}

/// Which events of other domains are kept.
#[derive(Clone, PartialEq, Eq, Default, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ForeignSettings {
    /// Those of networks: `network.>` and `cim.network.>`.
    pub network: bool,
    /// Those of Git: `git.event.>`.
    pub git: bool,
    /// The stream of another service that has those of Git, such as `GIT_EVENTS`: none is missed
    /// then while this service is away.
    pub git_stream: Option<String>,
    /// The same for those of networks.
    pub network_stream: Option<String>,
}

/// The whole section `nats`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct NatsSettings {
    /// Addresses of servers, `nats://HOST:PORT` or `tls://HOST:PORT`; one is enough for a cluster.
    pub servers: Vec<String>,
    /// Who the service is.
    pub login: Login,
    /// How connections are encrypted.
    pub tls: Tls,
    /// How tenants are kept apart.
    pub tenants_by: TenantsBy,
    /// What stands before all subjects.
    pub prefix: Option<String>,
    /// Who the service is in the account of each tenant, by the tenant's name, where they have
    /// accounts and there are several.
    pub accounts: BTreeMap<String, Login>,
    /// The name of connections, as the server's lists have it.
    pub name: String,
    /// Seconds between signs of life.
    pub ping_seconds: u64,
    /// Milliseconds before the second attempt to connect; each further one waits twice as long.
    pub reconnect_ms: u64,
    /// Milliseconds that an attempt to connect waits at most.
    pub longest_reconnect_ms: u64,
    /// Whether to start without a server that answers, and to try until one does.
    pub start_without: bool,
    /// The queue group that instances share.
    pub queue: String,
    /// Commands that may be under way for a tenant over NATS; further ones are refused at once.
    pub in_flight: usize,
    /// Tasks that answer the queries of a tenant.
    pub query_tasks: usize,
    /// What subjects for replies have to start with: nobody makes the service speak elsewhere.
    pub reply_prefixes: Vec<String>,
    /// What callers may do whom the server lets send: its permissions tell them apart, and `reader`
    /// here refuses commands of all.
    pub role: Role,
    /// The stream that keeps the published events.
    pub stream: StreamSettings,
    /// Events that may be under way to the server.
    pub publish_in_flight: usize,
    /// Seconds between announcements on `discovery.announce`.
    pub announce_seconds: u64,
    /// Which events of other domains are kept.
    pub foreign: ForeignSettings,
}

impl Default for NatsSettings {
    fn default() -> Self {
        Self {
            servers: vec!["nats://127.0.0.1:4222".to_owned()],
            login: Login::default(),
            tls: Tls::default(),
            tenants_by: TenantsBy::default(),
            prefix: None,
            accounts: BTreeMap::new(),
            name: "cim-nix".to_owned(),
            ping_seconds: 20,
            reconnect_ms: 50,
            longest_reconnect_ms: 4_000,
            start_without: true,
            queue: "cim-nix".to_owned(),
            in_flight: 1_024,
            query_tasks: 2,
            reply_prefixes: vec!["_INBOX".to_owned()],
            role: Role::Operator,
            stream: StreamSettings::default(),
            publish_in_flight: 256,
            announce_seconds: 60,
            foreign: ForeignSettings::default(),
        }
    }
}

impl NatsSettings {
    /// How subjects are written and read.
    ///
    /// Errors: the prefix could not stand in subjects.
    pub fn space(&self) -> Result<SubjectSpace, Error> {
        SubjectSpace::new(self.prefix.as_deref(), self.tenants_by)
    }

    /// The login for the account of a tenant.
    ///
    /// Errors: there are several tenants with accounts, and none is told for this one.
    pub(crate) fn login_of(&self, tenant: &str, n_tenants: usize) -> Result<&Login, Error> {
        match self.accounts.get(tenant) {
            Some(login) => Ok(login),
            None if n_tenants == 1 => Ok(&self.login),
            None => Err(Error::config(format!("`nats.accounts` has no login for `{tenant}`")).hint(
                "each tenant has an account of its own; `tenants-by = \"token\"` lets them share one",
            )),
        }
    }

    pub(crate) fn ping(&self) -> Duration {
        Duration::from_secs(self.ping_seconds.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let settings: NatsSettings = serde_json::from_str(
            r#"{"login": {"user": "ann", "password": "hunter2", "token": "hunter3"},
                "accounts": {"acme": {"nkey": "hunter4"}}}"#,
        )
        .expect("settings");
        let shown = format!("{settings:?}");
        assert!(!shown.contains("hunter"), "{shown}");
        assert_eq!(settings.accounts["acme"].nkey.as_ref().map(Secret::reveal), Some("hunter4"));
    }

    #[test]
    fn says_which_setting_is_unknown() {
        let error = serde_json::from_str::<NatsSettings>(r#"{"server": []}"#).expect_err("unknown");
        assert!(error.to_string().starts_with("unknown field `server`"), "{error}");
    }
}
