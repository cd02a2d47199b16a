//! The end: what was acknowledged, against what there is.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use cim_domain_nix::{EventStore, Uuid};
use cim_nix_store_jetstream::JetStreamStore;
use cim_nix_store_sqlite::{Options, SqliteStore};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use crate::Result;
use crate::server::{Bench, Store};
use crate::writers::{self, Ledger};

/// What there is.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) stored: usize,
    pub(crate) projected: usize,
    pub(crate) published: usize,
    pub(crate) lost: Vec<String>,
    pub(crate) twice: Vec<String>,
    pub(crate) problems: Vec<String>,
}

/// An event, as far as it counts here.
struct Stored {
    id: Uuid,
    said: String,
    flake: String,
}

/// Compares.
pub(crate) async fn check(mut bench: Bench, ledger: &Ledger, deadline: Instant) -> Result<Found> {
    let deadline = deadline.max(Instant::now() + Duration::from_secs(60));
    let views = views(&bench, deadline).await?;
    let published = published(&bench, ledger.n_acked(), deadline).await?;
    let stored = {
        for mut instance in bench.running.drain(..) {
            instance.ask_to_stop();
            let end = Instant::now() + Duration::from_secs(40);
            while !instance.has_ended() && Instant::now() < end {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        let (store, file, urls) = (bench.store, bench.store_file(), bench.brokers.urls());
        let read = tokio::task::spawn_blocking(move || match store {
            Store::Sqlite => {
                let store = SqliteStore::open(&file, Options::default());
                let store = store.map_err(|error| error.to_string())?;
                all_of(&store)
            }
            Store::Jetstream => {
                let mut options = cim_nix_store_jetstream::Options::of("main");
                options.replicas = 3;
                let connect = async move { async_nats::connect(urls).await };
                let store = JetStreamStore::open(connect, options);
                all_of(&store.map_err(|error| error.to_string())?)
            }
        });
        read.await.map_err(|error| error.to_string())??
    };
    let mut found = Found { stored: stored.len(), ..Found::default() };
    let mut by_said: BTreeMap<&str, u32> = BTreeMap::new();
    let mut by_flake: HashMap<&str, (usize, &str)> = HashMap::new();
    for event in &stored {
        *by_said.entry(&event.said).or_default() += 1;
        let flake = by_flake.entry(&event.flake).or_insert((0, ""));
        *flake = (flake.0 + 1, &event.said);
    }
    for (said, is_acked) in &ledger.commands {
        match by_said.get(&**said) {
            None if *is_acked => found.lost.push(format!("{said} was acknowledged and is lost")),
            Some(n) if *n > 1 => found.twice.push(format!("{said} was done {n} times")),
            _ => {}
        }
    }
    for said in by_said.keys() {
        if !ledger.commands.contains_key(*said) {
            found.problems.push(format!("nobody sent {said}"));
        }
    }
    for (flake, (n, last)) in &by_flake {
        // One event made the flake.
        match views.get(*flake) {
            Some((version, said)) if *version == *n as u64 + 1 && said == last => {
                found.projected += n;
            }
            view => found.problems.push(format!(
                "{flake} has {n} changes, the last says {last}; its view is {view:?}"
            )),
        }
    }
    for event in &stored {
        match published.get(&event.id) {
            Some(1) => found.published += 1,
            None => found.lost.push(format!("{} was not published", event.said)),
            Some(n) => found.twice.push(format!("{} was published {n} times", event.said)),
        }
    }
    Ok(found)
}

fn all_of(store: &dyn EventStore) -> Result<Vec<Stored>> {
    let mut all = Vec::new();
    let mut broken = None;
    store
        .read_all(0, &mut |record| {
            if record.event_type == "FlakeUpdated" {
                let Ok(body) = serde_json::from_str::<Value>(record.body) else {
                    broken = Some(format!("event {} is no JSON", record.id));
                    return Ok(ControlFlow::Break(()));
                };
                let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
                let (said, flake) = (text("description"), text("path"));
                all.push(Stored { id: record.id, said, flake });
            }
            Ok(ControlFlow::Continue(()))
        })
        .map_err(|error| error.to_string())?;
    match broken {
        Some(broken) => Err(broken),
        None => Ok(all),
    }
}

/// What the read models say of each flake: how many events it has, and what it says of itself.
async fn views(bench: &Bench, deadline: Instant) -> Result<HashMap<String, (u64, String)>> {
    let client = async_nats::connect(bench.brokers.urls()).await;
    let client = client.map_err(|error| error.to_string())?;
    let mut views = HashMap::new();
    for n in 0..writers::flakes() {
        let path = writers::flake(n);
        let body = json!({ "path": path }).to_string();
        let value = loop {
            if let Ok(reply) = client.request("nix.query.flake.get", body.clone().into()).await
                && let Ok(value) = serde_json::from_slice::<Value>(&reply.payload)
                && !value["result"].is_null()
            {
                break value;
            }
            if Instant::now() > deadline {
                return Err(format!("nobody answers queries\n{}", bench.last_words()));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let view = &value["result"];
        let version = view["changed"]["version"].as_u64().unwrap_or_default();
        let said = view["description"].as_str().unwrap_or_default().to_owned();
        views.insert(path, (version, said));
    }
    Ok(views)
}

/// How often each event is in the stream of published ones, when all that has to be is there.
async fn published(bench: &Bench, n_acked: usize, deadline: Instant) -> Result<HashMap<Uuid, u32>> {
    let failed = |what: &str, error: String| format!("{what}: {error}");
    let client = async_nats::connect(bench.brokers.urls()).await;
    let client = client.map_err(|error| failed("cannot connect", error.to_string()))?;
    let jetstream = async_nats::jetstream::new(client);
    let wanted = n_acked as u64 + writers::flakes();
    let stream = loop {
        match jetstream.get_stream("NIX_EVENTS").await {
            Ok(stream) if stream.cached_info().state.messages >= wanted => break stream,
            Ok(stream) if Instant::now() > deadline => break stream,
            Err(error) if Instant::now() > deadline => {
                return Err(failed("there is no stream of events", error.to_string()));
            }
            _ => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    };
    // What is still on its way would be there twice, if anything were.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let last = stream.get_info().await.map_err(|error| failed("the stream", error.to_string()))?;
    let n_messages = last.state.messages;
    let mut by_id: HashMap<Uuid, u32> = HashMap::new();
    // Each message is asked of the leader: a consumer may sit on a replica that was killed and is
    // still behind. An event that was published twice has two messages.
    let all = futures_util::stream::iter(1..=last.state.last_sequence);
    let mut messages = all.map(|sequence| message(&stream, sequence, deadline)).buffered(64);
    let mut n_read = 0;
    while let Some(message) = messages.next().await {
        let Some(id) = message? else { continue };
        n_read += 1;
        *by_id.entry(id).or_default() += 1;
    }
    if n_read != n_messages {
        return Err(format!("the stream has {n_messages} messages, and {n_read} could be read"));
    }
    Ok(by_id)
}

/// The id of the event that is the message with this number; none if there is no such message.
async fn message(
    stream: &async_nats::jetstream::stream::Stream,
    sequence: u64,
    deadline: Instant,
) -> Result<Option<Uuid>> {
    use async_nats::jetstream::stream::RawMessageErrorKind;
    loop {
        match stream.get_raw_message(sequence).await {
            Ok(message) => {
                let id = message.headers.get("X-Event-ID");
                let id = id.and_then(|id| Uuid::try_parse(id.as_str()).ok());
                return Ok(Some(id.unwrap_or_default()));
            }
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => return Ok(None),
            Err(error) if Instant::now() > deadline => {
                return Err(format!("message {sequence} cannot be read: {error}"));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}
