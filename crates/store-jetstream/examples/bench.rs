//! Measures the store beside a bare publisher on the same server.
//!
//! `cargo run --release -p cim-nix-store-jetstream --example bench -- FOLDER [MILLIONS]`

#![allow(clippy::disallowed_methods, reason = "it measures time and starts a server")]
#![allow(clippy::unwrap_used, reason = "what cannot be measured ends it")]
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, message::PublishMessage, stream};
use cim_domain_nix::{
    Append, EventStore, Expected, Kind, MessageId, NewEvent, StreamId, Timestamp, Uuid,
};
use cim_nix_store_jetstream::async_nats;
use cim_nix_store_jetstream::{JetStreamStore, Options};
use futures_util::StreamExt as _;

#[path = "../tests/it/server.rs"]
#[allow(dead_code, reason = "of the server of the tests, measuring needs a part alone")]
mod server;

const IN_FLIGHT: usize = 256;
const N_STREAMS: u128 = 1_000;
const SLICE: Duration = Duration::from_millis(500);
const ROUNDS: usize = 8;

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let folder = PathBuf::from(arguments.next().expect("a folder on the disk to measure"));
    let millions: f64 =
        arguments.next().map_or(0.2, |text| text.to_str().unwrap().parse().unwrap());
    let program = server::program().expect("a nats-server");
    for (name, more) in [("default", ""), ("always", "sync_interval: always")] {
        let folder = folder.join(name);
        let server =
            server::Server::prepare(&program, &folder, server::free_port(), more, "").started();
        println!("sync_interval: {name}");
        pipelined(&server);
        one_by_one(&server);
        drop(server);
        std::fs::remove_dir_all(&folder).unwrap();
    }
    large(&program, &folder.join("large"), millions);
}

fn event(n: u128) -> NewEvent {
    // As this product's ids are: the time first.
    let id = Uuid::from_u128(
        (n << 64) | (7 << 76) | (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) & 0xffff_ffff),
    );
    NewEvent {
        id,
        event_type: "FlakeInputUpdated".to_owned(),
        schema: 1,
        at: Timestamp::from_micros(1_795_530_059_000_000 + n as i64),
        correlation: MessageId::Uuid(id),
        causation: MessageId::Uuid(id),
        body: format!(
            r#"{{"flake_id":"0198f7a2-7c00-7000-8000-{n:012}","input":"nixpkgs","former":"github:NixOS/nixpkgs/1111111111111111111111111111111111111111","now":"github:NixOS/nixpkgs/2222222222222222222222222222222222222222"}}"#
        ),
        meta: r#"{"actor":"somebody","host":"somewhere"}"#.to_owned(),
    }
}

/// What the store makes of an event, as a text of the same length.
fn payload(n: u128) -> String {
    let event = event(n);
    format!(
        r#"[{{"id":"{}","type":"{}","schema":1,"at":"{}","correlation":"{}","causation":"{}","body":{},"meta":{}}}]"#,
        event.id,
        event.event_type,
        event.at,
        event.correlation,
        event.causation,
        event.body,
        event.meta
    )
}

fn request(n: u128) -> Append {
    Append {
        stream: StreamId::new(Kind::Flake, Uuid::from_u128(n % N_STREAMS)),
        expected: Expected::Any,
        events: vec![event(n)],
        intent: None,
    }
}

fn open(server: &server::Server, tenant: &str, index_file: Option<PathBuf>) -> JetStreamStore {
    let url = server.url();
    let options = Options { index_file, ..Options::of(tenant) };
    JetStreamStore::open(async move { async_nats::connect(url).await }, options).unwrap()
}

/// A publisher without a store: same payload, same ids, nothing compared.
struct Bare {
    context: jetstream::Context,
}

impl Bare {
    async fn open(server: &server::Server) -> Self {
        let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
        let config = stream::Config {
            name: "bare".to_owned(),
            subjects: vec!["bare.>".to_owned()],
            duplicate_window: Duration::from_secs(120),
            ..stream::Config::default()
        };
        context.create_stream(config).await.unwrap();
        Self { context }
    }

    async fn publish(&self, n: u128) {
        let message =
            PublishMessage::build().payload(payload(n).into()).message_id(event(n).id.to_string());
        let subject = format!("bare.flake.{}", Uuid::from_u128(n % N_STREAMS));
        self.context.send_publish(subject, message).await.unwrap().await.unwrap();
    }
}

/// Runs `work` with many under way until the slice is over; answers how many it did.
async fn slice<F: Future<Output = ()>>(next: &mut u128, work: impl Fn(u128) -> F) -> (u64, f64) {
    let start = Instant::now();
    let numbers = std::iter::from_fn(|| {
        *next += 1;
        (start.elapsed() < SLICE).then_some(*next)
    });
    let n_done =
        futures_util::stream::iter(numbers).map(&work).buffer_unordered(IN_FLIGHT).count().await;
    (n_done as u64, start.elapsed().as_secs_f64())
}

/// What this process and the server have used of a processor, in microseconds: on a machine that
/// others use as well, time says little.
fn cpu(server: &server::Server) -> [f64; 2] {
    let of = |process: &str| {
        let account = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        let (_, fields) = account.rsplit_once(") ").unwrap();
        let ticks = fields.split(' ').skip(11).take(2);
        // A tick is 10 ms.
        ticks.map(|ticks| ticks.parse::<f64>().unwrap() * 10_000.0).sum()
    };
    [of("self"), of(&server.pid().to_string())]
}

/// Adds what `work` used.
fn account<T>(server: &server::Server, sum: &mut [f64; 2], work: impl FnOnce() -> T) -> T {
    let before = cpu(server);
    let out = work();
    for (sum, (after, before)) in sum.iter_mut().zip(cpu(server).into_iter().zip(before)) {
        *sum += after - before;
    }
    out
}

/// Many in flight, in turns, so that both meet the same machine.
fn pipelined(server: &server::Server) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = open(server, "many", None);
    let bare = runtime.block_on(Bare::open(server));
    let (bare, store) = (&bare, &store);
    let (mut next_bare, mut next_store) = (0, 0);
    let (mut bares, mut stores) = (Vec::new(), Vec::new());
    let mut used = [[0.0; 2]; 2];
    for _ in 0..ROUNDS {
        let turn = || runtime.block_on(slice(&mut next_bare, |n| bare.publish(n)));
        bares.push(account(server, &mut used[0], turn));
        let append = |n| async move {
            store.append_async(request(n)).await.unwrap();
        };
        let turn = || runtime.block_on(slice(&mut next_store, append));
        stores.push(account(server, &mut used[1], turn));
    }
    for (name, turns, used) in [("bare", &bares, used[0]), ("store", &stores, used[1])] {
        let n_done: u64 = turns.iter().map(|(n_done, _)| n_done).sum();
        let took: f64 = turns.iter().map(|(_, took)| took).sum();
        println!(
            "{IN_FLIGHT} in flight, {name}: {:.0}/s; {:.1} us of CPU here and {:.1} us in the server each",
            n_done as f64 / took,
            used[0] / n_done as f64,
            used[1] / n_done as f64
        );
    }
    let mut ratios: Vec<f64> = bares
        .iter()
        .zip(&stores)
        .map(|((n_bare, bare), (n_store, store))| {
            (*n_store as f64 / store) / (*n_bare as f64 / bare)
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    println!("store against bare, {ROUNDS} turns: {ratios:.2?}");
}

fn one_by_one(server: &server::Server) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = open(server, "one", None);
    let bare = runtime.block_on(async {
        let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
        Bare { context }
    });
    let (mut next, mut times) = (1 << 40, [Vec::new(), Vec::new()]);
    for _ in 0..ROUNDS {
        for (n, times) in times.iter_mut().enumerate() {
            let start = Instant::now();
            while start.elapsed() < SLICE {
                next += 1;
                let one = Instant::now();
                match n {
                    0 => runtime.block_on(bare.publish(next)),
                    _ => drop(store.append(request(next)).unwrap()),
                }
                times.push(one.elapsed());
            }
        }
    }
    for (name, times) in ["bare", "store"].into_iter().zip(&mut times) {
        let total: Duration = times.iter().sum();
        times.sort_unstable();
        let at = |share: usize| times[times.len() * share / 1000].as_secs_f64() * 1e3;
        println!(
            "one by one, {name}: {:.0}/s, p50 {:.2} ms, p99 {:.2} ms",
            times.len() as f64 / total.as_secs_f64(),
            at(500),
            at(990)
        );
    }
}

/// Many events: reading all, loading some, starting again.
fn large(program: &Path, folder: &Path, millions: f64) {
    let server = server::Server::prepare(program, folder, server::free_port(), "", "").started();
    let n_events = (millions * 1e6) as u128;
    let index_file = folder.join("index");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = Arc::new(open(&server, "large", Some(index_file.clone())));
    let start = Instant::now();
    runtime.block_on(async {
        let store = &store;
        let append = |n| async move {
            store.append_async(request(n)).await.unwrap();
        };
        futures_util::stream::iter(1..=n_events)
            .map(append)
            .buffer_unordered(IN_FLIGHT)
            .for_each(|()| async {})
            .await;
    });
    println!(
        "{n_events} events stored: {:.0}/s, {} MB on the server's disk, memory {} MB",
        n_events as f64 / start.elapsed().as_secs_f64(),
        store.status().unwrap().bytes >> 20,
        memory("VmRSS")
    );
    drop(store);
    for file in [None, Some(index_file)] {
        let (start, before) = (Instant::now(), memory("VmRSS"));
        let what = if file.is_some() { "with" } else { "without" };
        let mut used = [0.0; 2];
        let store = account(&server, &mut used, || open(&server, "large", file));
        println!(
            "start {what} an index file: {:.2} s ({:.2} s of CPU here), memory from {before} to {} MB",
            start.elapsed().as_secs_f64(),
            used[0] / 1e6,
            memory("VmRSS")
        );
        if what == "with" {
            let mut used = [0.0; 2];
            account(&server, &mut used, || replay(&store, n_events));
            println!(
                "replay: {:.1} us of CPU here and {:.1} us in the server each",
                used[0] / n_events as f64,
                used[1] / n_events as f64
            );
            load(&store, n_events);
        }
    }
    println!("memory at most {} MB", memory("VmHWM"));
    drop(server);
    std::fs::remove_dir_all(folder).unwrap();
}

fn replay(store: &JetStreamStore, n_events: u128) {
    let (start, mut n_seen) = (Instant::now(), 0);
    store
        .read_all(0, &mut |_| {
            n_seen += 1;
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    assert_eq!(n_seen, n_events);
    println!("replay: {:.0} events/s", n_seen as f64 / start.elapsed().as_secs_f64());
}

/// Loads the last 100 events of streams, each twice: the second time they are in the cache.
fn load(store: &JetStreamStore, n_events: u128) {
    let mut times = [Vec::new(), Vec::new()];
    let last = (n_events / N_STREAMS) as u64;
    for n in 0..500 {
        let stream = StreamId::new(Kind::Flake, Uuid::from_u128((n * 7_919) % N_STREAMS));
        for times in &mut times {
            let (start, mut n_seen) = (Instant::now(), 0);
            store
                .read_stream(&stream, last.saturating_sub(100), &mut |_| {
                    n_seen += 1;
                    Ok(ControlFlow::Continue(()))
                })
                .unwrap();
            times.push(start.elapsed());
            assert!(n_seen >= 100.min(last));
        }
    }
    for (what, mut times) in ["", " again"].into_iter().zip(times) {
        times.sort_unstable();
        let at = |share: usize| times[times.len() * share / 1000].as_secs_f64() * 1e3;
        println!("loading 100 events{what}: p50 {:.2} ms, p99 {:.2} ms", at(500), at(990));
    }
}

/// A line of the kernel's account of this process, in MB.
fn memory(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}
