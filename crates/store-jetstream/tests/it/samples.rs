//! Stores and events for the tests.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use cim_domain_nix::{
    Append, EventStore, Expected, Kind, MessageId, NewEvent, StoreError, StreamId, Timestamp, Uuid,
};
use cim_nix_store_jetstream::async_nats::{ConnectOptions, ServerAddr};
use cim_nix_store_jetstream::{JetStreamStore, Options};

use crate::server::{self, Server};

/// A server and its folder.
pub(crate) struct Place {
    pub(crate) server: Server,
    _folder: tempfile::TempDir,
}

/// A server for a test; `None` where the test is skipped.
pub(crate) fn place() -> Option<Place> {
    place_with("", "")
}

pub(crate) fn place_with(jetstream: &str, more: &str) -> Option<Place> {
    let program = server::program()?;
    let folder = tempfile::tempdir().unwrap();
    let port = server::free_port();
    let server = Server::prepare(&program, folder.path(), port, jetstream, more).started();
    Some(Place { server, _folder: folder })
}

impl Place {
    pub(crate) fn folder(&self) -> &Path {
        self._folder.path()
    }

    pub(crate) fn open(&self) -> JetStreamStore {
        self.open_with(options()).unwrap()
    }

    pub(crate) fn open_with(&self, options: Options) -> Result<JetStreamStore, StoreError> {
        open_at(self.server.url(), options)
    }
}

/// Opens the store at a server, or at one of several with commas between them.
pub(crate) fn open_at(url: String, options: Options) -> Result<JetStreamStore, StoreError> {
    open_by(ConnectOptions::new(), url, options)
}

pub(crate) fn open_as(
    user: &str,
    url: String,
    options: Options,
) -> Result<JetStreamStore, StoreError> {
    open_by(ConnectOptions::with_user_and_password(user.into(), "x".into()), url, options)
}

fn open_by(
    connect: ConnectOptions,
    url: String,
    options: Options,
) -> Result<JetStreamStore, StoreError> {
    let connect = connect
        .connection_timeout(Duration::from_secs(2))
        .reconnect_delay_callback(|_| Duration::from_millis(20))
        .ping_interval(Duration::from_secs(1));
    let servers: Vec<ServerAddr> = url.split(',').map(|url| url.parse().unwrap()).collect();
    JetStreamStore::open(async move { connect.connect(servers).await }, options)
}

pub(crate) fn options() -> Options {
    Options::of("acme")
}

pub(crate) fn stream(n: u128) -> StreamId {
    StreamId::new(Kind::Flake, Uuid::from_u128(n))
}

pub(crate) fn event(n: u128) -> NewEvent {
    NewEvent {
        id: Uuid::from_u128(n),
        event_type: "FlakeCreated".to_owned(),
        schema: 1,
        at: Timestamp::from_micros(1_795_530_059_000_000 + n as i64),
        correlation: MessageId::Uuid(Uuid::from_u128(1 << 64)),
        causation: MessageId::Uuid(Uuid::from_u128(2 << 64)),
        body: format!(r#"{{"n":{n}}}"#),
        meta: "{}".to_owned(),
    }
}

pub(crate) fn append(to: u128, numbers: impl IntoIterator<Item = u128>) -> Append {
    Append {
        stream: stream(to),
        expected: Expected::Any,
        events: numbers.into_iter().map(event).collect(),
        intent: None,
    }
}

/// The numbers of all events, in order.
pub(crate) fn all(store: &impl EventStore) -> Vec<u128> {
    let mut out = Vec::new();
    store
        .read_all(0, &mut |event| {
            assert_eq!(event.position, out.len() as u64 + 1);
            out.push(event.id.as_u128());
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    out
}

/// A message and its hint, as somebody would read it.
pub(crate) fn told(error: &StoreError) -> String {
    match error {
        StoreError::Unavailable { problem, hint: Some(hint) } => {
            format!("{problem}\n  hint: {hint}")
        }
        error => error.to_string(),
    }
}
