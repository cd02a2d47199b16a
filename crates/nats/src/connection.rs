//! Connections: how they are made, and what is told of them.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::connection::State;
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, ServerAddr, ServerError};
use bytes::Bytes;
use cim_nix_base::Error;
use cim_nix_service::metrics;
use futures_util::StreamExt as _;

use crate::pattern::is_token;
use crate::settings::{Login, NatsSettings, Secret};

/// What has happened to a connection.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// How often the server refused something that was sent.
    violations: AtomicU64,
    /// Messages that nobody was fast enough for.
    slow: AtomicU64,
    was_connected: AtomicBool,
    /// What the server said of the last thing that it refused.
    not_allowed: tokio::sync::watch::Sender<Option<String>>,
    /// Since when it is not there any more.
    lost: Mutex<Option<Instant>>,
}

/// A connection that is made again whenever it breaks.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    watch: Arc<Watch>,
}

impl Connection {
    /// How often it was made.
    pub(crate) fn n_connects(&self) -> u64 {
        self.client.statistics().connects.load(Ordering::Relaxed)
    }

    /// How often the server refused something for want of permission.
    pub(crate) fn n_violations(&self) -> u64 {
        self.watch.violations.load(Ordering::Relaxed)
    }

    /// What the server says of something that was sent and that it refuses, as soon as it does.
    pub(crate) async fn not_allowed(&self) -> String {
        let mut said = self.watch.not_allowed.subscribe();
        loop {
            if let Some(text) = &*said.borrow_and_update() {
                return text.clone();
            }
            if said.changed().await.is_err() {
                // Nobody says anything any more.
                std::future::pending::<()>().await;
            }
        }
    }

    /// How many messages came faster than they were taken, and are lost.
    pub(crate) fn n_slow(&self) -> u64 {
        self.watch.slow.load(Ordering::Relaxed)
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// For how long it has not been there; without end where it never was.
    pub(crate) fn away(&self) -> Duration {
        let lost = *self.watch.lost.lock().unwrap_or_else(PoisonError::into_inner);
        match (self.is_connected(), lost) {
            (true, _) => Duration::ZERO,
            (false, Some(lost)) => lost.elapsed(),
            // What has just happened may not be told yet.
            (false, None) if self.watch.was_connected.load(Ordering::Relaxed) => Duration::ZERO,
            (false, None) => Duration::MAX,
        }
    }

    /// Waits for a message to ourselves to come back. The server takes what a connection says in
    /// order, so it has had all before it by then: messages, and subscriptions.
    ///
    /// Errors: it has not come within `patience`.
    pub(crate) async fn echo(&self, patience: Duration) -> std::io::Result<()> {
        let (client, inbox) = (&self.client, self.client.new_inbox());
        let lost = |problem: &dyn std::fmt::Display| std::io::Error::other(problem.to_string());
        let echo = async {
            let mut own = client.subscribe(inbox.clone()).await.map_err(|error| lost(&error))?;
            client.publish(inbox, Bytes::new()).await.map_err(|error| lost(&error))?;
            own.next().await.map(drop).ok_or_else(|| lost(&"the connection is closed"))
        };
        let came = tokio::time::timeout(patience, echo).await;
        came.unwrap_or_else(|_| Err(lost(&"the server does not answer")))
    }
}

/// Connects as `login` says. `label` names the connection in metrics and logs.
///
/// Errors: the settings make no sense, a file cannot be read, the server refuses the login, or no
/// server answers and the settings want one.
pub(crate) async fn connect(
    settings: &NatsSettings,
    login: &Login,
    label: &str,
) -> Result<Connection, Error> {
    let (servers, from_addresses) = addresses(&settings.servers)?;
    let login = login_or(login, from_addresses)?;
    let watch = Arc::new(Watch::default());
    let options = |watch: &Arc<Watch>| options(settings, &login, label, watch.clone());
    let first = options(&watch)?.connect(servers.as_slice()).await;
    let client = match first {
        Ok(client) => client,
        Err(error) if settings.start_without && is_passing(error.kind()) => {
            let urls: Vec<&str> = servers.iter().map(ServerAddr::as_url_str).collect();
            let shown = urls.join(", ");
            tracing::warn!(
                connection = label,
                servers = shown,
                "no NATS server answers yet: {error}"
            );
            let later = options(&watch)?.retry_on_initial_connect();
            later.connect(servers.as_slice()).await.map_err(|error| refused(&error, label))?
        }
        Err(error) => return Err(refused(&error, label)),
    };
    Ok(Connection { client, watch })
}

/// Whether a connection can be tried with this login, as far as that can be told without a server.
///
/// Errors: an address is none, a file cannot be read, the login is none.
pub(crate) fn check(settings: &NatsSettings, login: &Login) -> Result<(), Error> {
    let (_, from_addresses) = addresses(&settings.servers)?;
    let login = login_or(login, from_addresses)?;
    options(settings, &login, "", Arc::default()).map(drop)
}

/// The login of the settings, or the one that stood in an address.
fn login_or(login: &Login, from_addresses: Option<Login>) -> Result<Login, Error> {
    match from_addresses {
        Some(found) if *login == Login::default() => Ok(found),
        Some(_) => Err(Error::config("an address of NATS has a user, and so has `login`")
            .hint("say it once, in `login`")),
        None => Ok(login.clone()),
    }
}

/// Whether it may be otherwise in a while.
fn is_passing(kind: ConnectErrorKind) -> bool {
    use ConnectErrorKind::{Dns, Io, MaxReconnects, TimedOut};
    matches!(kind, Dns | Io | MaxReconnects | TimedOut)
}

fn refused(error: &async_nats::ConnectError, label: &str) -> Error {
    use ConnectErrorKind::{Authentication, AuthorizationViolation, ServerParse, Tls};
    let said = match error.kind() {
        Authentication | AuthorizationViolation => Error::config(format!(
            "the NATS server does not know the login of `{}`",
            label.escape_debug()
        ))
        .hint("look at `nats.login`, `nats.accounts` and the server's users"),
        Tls => Error::outside("cannot connect to NATS")
            .hint("look at `nats.tls`, and whether the certificate names the server's address"),
        ServerParse => Error::outside("cannot connect to NATS")
            .hint("an address is `nats://HOST:PORT` or `tls://HOST:PORT`"),
        _ => Error::outside("cannot connect to NATS")
            .hint("look at `nats.servers`, and whether the server runs"),
    };
    // The cause is the library's text; what it was given in secret is not in it.
    said.because(std::io::Error::other(error.to_string()))
}

/// The addresses without their users, as the library writes addresses to its log, and the login that
/// stood in them.
fn addresses(texts: &[String]) -> Result<(Vec<ServerAddr>, Option<Login>), Error> {
    let mut login = None;
    let mut servers = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        // The text may have a password in it.
        let broken = || {
            Error::config(format!("address {} of `nats.servers` is none", at + 1))
                .hint("an address is `nats://HOST:PORT` or `tls://HOST:PORT`")
        };
        let (scheme, rest) = text.split_once("://").unwrap_or(("nats", text));
        let (user, host) = match rest.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, rest),
        };
        let server: ServerAddr = format!("{scheme}://{host}").parse().map_err(|_| broken())?;
        if server.is_websocket() {
            return Err(Error::config("NATS over WebSocket is not known here")
                .hint("an address is `nats://HOST:PORT` or `tls://HOST:PORT`"));
        }
        servers.push(server);
        let Some(user) = user else { continue };
        let found = match user.split_once(':') {
            Some((user, password)) => Login {
                user: Some(user.to_owned()),
                password: Some(Secret::from(password)),
                ..Login::default()
            },
            None => Login { token: Some(Secret::from(user)), ..Login::default() },
        };
        if login.as_ref().is_some_and(|login| *login != found) {
            return Err(Error::config("addresses of NATS have different users"));
        }
        login = Some(found);
    }
    match servers.is_empty() {
        true => Err(Error::config("`nats.servers` is empty")),
        false => Ok((servers, login)),
    }
}

fn options(
    settings: &NatsSettings,
    login: &Login,
    label: &str,
    watch: Arc<Watch>,
) -> Result<ConnectOptions, Error> {
    let (least, most) = (settings.reconnect_ms.max(1), settings.longest_reconnect_ms.max(1));
    let label: Arc<str> = label.into();
    let mut options = ConnectOptions::new()
        .name(format!("{} {label}", settings.name))
        .ping_interval(settings.ping())
        .connection_timeout(Duration::from_secs(5))
        // What a burst may leave waiting before messages are lost, in each subscription.
        .subscription_capacity(16 << 10)
        .client_capacity(4 << 10)
        .reconnect_delay_callback(move |attempt| delay(attempt, least, most))
        .event_callback(move |event| {
            note(&event, &label, &watch);
            std::future::ready(())
        });
    options = with_login(options, login)?;
    let inbox = match (&login.inbox_prefix, &login.user) {
        (Some(prefix), _) if prefix.split('.').all(is_token) => prefix.clone(),
        (Some(_), _) => return Err(Error::config("`inbox-prefix` is no subject")),
        (None, Some(user)) if is_token(user) => format!("_INBOX.{user}"),
        _ => "_INBOX".to_owned(),
    };
    options = options.custom_inbox_prefix(inbox);
    let tls = &settings.tls;
    if let Some(ca) = &tls.ca {
        options = options.add_root_certificates(readable(ca)?);
    }
    match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => {
            options = options.add_client_certificate(readable(certificate)?, readable(key)?);
        }
        (None, None) => {}
        _ => return Err(Error::config("`nats.tls` has one of `certificate` and `key`, not both")),
    }
    if tls.first {
        options = options.tls_first();
    }
    Ok(options.require_tls(tls.required || tls.first))
}

/// A file that can be read: the library would only say so when it connects, again and again.
fn readable(path: &Path) -> Result<std::path::PathBuf, Error> {
    read(path).map(|_| path.to_owned())
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|error| {
        Error::config(format!("cannot read `{}`, which `nats` names", path.display()))
            .because(error)
    })
}

/// Errors: it says several things at once, a file cannot be read, or a seed is none.
fn with_login(mut options: ConnectOptions, login: &Login) -> Result<ConnectOptions, Error> {
    let secret = |text: &Option<Secret>, file: &Option<std::path::PathBuf>| match (text, file) {
        (Some(_), Some(_)) => Err(Error::config("`nats.login` has a secret and a file for it")),
        (Some(text), None) => Ok(Some(text.reveal().to_owned())),
        (None, Some(file)) => Ok(Some(read(file)?.trim_end().to_owned())),
        (None, None) => Ok(None),
    };
    let password = secret(&login.password, &login.password_file)?;
    let token = secret(&login.token, &login.token_file)?;
    let nkey = secret(&login.nkey, &login.nkey_file)?;
    let is_user = login.user.is_some() && password.is_some();
    if !is_user && (login.user.is_some() || password.is_some()) {
        return Err(Error::config("`nats.login` has one of `user` and `password`, not both"));
    }
    let n_kinds = usize::from(is_user)
        + usize::from(token.is_some())
        + usize::from(nkey.is_some())
        + usize::from(login.credentials_file.is_some());
    if n_kinds > 1 {
        return Err(Error::config("`nats.login` says in several ways who the service is")
            .hint("one of `user` with `password`, `token`, `nkey` and `credentials-file`"));
    }
    if let (Some(user), Some(password)) = (&login.user, password) {
        options = options.user_and_password(user.clone(), password);
    }
    if let Some(token) = token {
        options = options.token(token);
    }
    if let Some(seed) = nkey {
        options = options.nkey(seed_in(&seed)?);
    }
    if let Some(file) = &login.credentials_file {
        // The library's error may show lines of the file.
        options = options.credentials(&read(file)?).map_err(|_| {
            Error::config(format!("`{}` has no JWT with the seed of its NKey", file.display()))
        })?;
    }
    Ok(options)
}

/// The seed in a text, which may have comments around it as files of `nk` have.
fn seed_in(text: &str) -> Result<String, Error> {
    let is_seed = |line: &&str| {
        line.len() == 58
            && line.starts_with("SU")
            && line.bytes().all(|byte| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte))
    };
    let seed = text.lines().map(str::trim).find(is_seed);
    seed.map(str::to_owned).ok_or_else(|| {
        Error::config("the NKey in `nats.login` is not the seed of a user")
            .hint("a seed has 58 letters and digits and starts with `SU`")
    })
}

/// How long attempt number `attempt` waits: nothing at first, then twice as long each time, with
/// jitter, so that many clients do not come back in step.
fn delay(attempt: usize, least: u64, most: u64) -> Duration {
    if attempt <= 1 {
        return Duration::ZERO;
    }
    let doublings = u32::try_from(attempt - 2).unwrap_or(u32::MAX).min(32);
    let millis = least.saturating_mul(1 << doublings).min(most);
    Duration::from_millis(millis).mul_f64(0.5 + fastrand::f64() / 2.0)
}

fn note(event: &Event, label: &str, watch: &Watch) {
    match event {
        Event::Connected => {
            metrics::nats_connected(label, true);
            *watch.lost.lock().unwrap_or_else(PoisonError::into_inner) = None;
            let again = watch.was_connected.swap(true, Ordering::Relaxed);
            metrics::nats_event(label, if again { "reconnected" } else { "connected" });
            tracing::info!(connection = label, "connected to NATS");
        }
        Event::Disconnected | Event::Closed => {
            metrics::nats_connected(label, false);
            let mut lost = watch.lost.lock().unwrap_or_else(PoisonError::into_inner);
            lost.get_or_insert_with(Instant::now);
            drop(lost);
            metrics::nats_event(label, "disconnected");
            match event {
                // By ourselves, at the end: whoever is away is waited for without end.
                Event::Closed => tracing::info!(connection = label, "left NATS"),
                _ => tracing::warn!(connection = label, "not connected to NATS: {event}"),
            }
        }
        Event::SlowConsumer(_) => {
            metrics::nats_event(label, "slow_consumer");
            // One event for each message that was lost; the first says it, the counter has the rest.
            if watch.slow.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::warn!(connection = label, "messages come faster than they are taken");
            }
        }
        Event::ServerError(ServerError::Other(text)) => {
            if text.to_ascii_lowercase().contains("permissions violation") {
                watch.violations.fetch_add(1, Ordering::Relaxed);
                watch.not_allowed.send_replace(Some(text.clone()));
            }
            tracing::warn!(connection = label, "the NATS server says: {text}");
        }
        Event::LameDuckMode => {
            tracing::info!(connection = label, "the NATS server is about to stop");
        }
        event => tracing::debug!(connection = label, "{event}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_and_are_never_the_same() {
        assert_eq!(delay(1, 50, 4_000), Duration::ZERO);
        for attempt in 2..60 {
            let full = (50_u64 << (attempt - 2).min(20)).min(4_000);
            let got = delay(attempt, 50, 4_000);
            let (least, most) = (Duration::from_millis(full / 2), Duration::from_millis(full));
            assert!(least <= got && got <= most, "{attempt}: {got:?}");
        }
        let distinct: std::collections::BTreeSet<Duration> =
            (0..20).map(|_| delay(9, 50, 4_000)).collect();
        assert!(distinct.len() > 10);
    }

    #[test]
    fn users_in_addresses_become_logins() {
        let texts =
            |texts: &[&str]| -> Vec<String> { texts.iter().map(|it| (*it).into()).collect() };
        let (servers, login) =
            addresses(&texts(&["nats://ann:pw@h:1", "ann:pw@[::1]:2"])).expect("good");
        assert_eq!(
            servers.iter().map(ServerAddr::as_url_str).collect::<Vec<_>>(),
            ["nats://h:1", "nats://[::1]:2"]
        );
        assert_eq!(login.expect("a user").password, Some(Secret::from("pw")));
        let (_, login) = addresses(&texts(&["tls://s3cret@h:1", "h:2"])).expect("good");
        assert_eq!(login.expect("a token").token, Some(Secret::from("s3cret")));
        for bad in [&["a:b@h", "c:d@h"][..], &["http://s3cret@h"], &["wss://h"], &["h:99999"], &[]]
        {
            let error = addresses(&texts(bad)).expect_err("bad addresses").chain();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_login_is_one_thing_and_says_nothing_secret() {
        let mut errors = String::new();
        for login in [
            r#"{"user": "ann"}"#,
            r#"{"password": "hunter2"}"#,
            r#"{"user": "ann", "password": "hunter2", "token": "hunter3"}"#,
            r#"{"token": "hunter2", "token-file": "/hunter"}"#,
            r#"{"nkey": "SUhunter2"}"#,
            r#"{"credentials-file": "/nowhere/at/all"}"#,
            r#"{"credentials-file": "/proc/self/limits"}"#,
        ] {
            let login: Login = serde_json::from_str(login).expect("a login");
            let error = with_login(ConnectOptions::new(), &login).expect_err("a bad login");
            errors.push_str(&format!("{}\n", error.chain()));
        }
        expect_test::expect![[r#"
            `nats.login` has one of `user` and `password`, not both
            `nats.login` has one of `user` and `password`, not both
            `nats.login` says in several ways who the service is
            `nats.login` has a secret and a file for it
            the NKey in `nats.login` is not the seed of a user
            cannot read `/nowhere/at/all`, which `nats` names: No such file or directory (os error 2)
            `/proc/self/limits` has no JWT with the seed of its NKey
        "#]]
        .assert_eq(&errors);
    }
}
