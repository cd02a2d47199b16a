//! Measures the store beside a bare publisher on the same server.
//!
//! `cargo run --release -p cim-nix-store-jetstream --example bench -- FOLDER [MILLIONS]`, and after
//! that `large` for the events alone, or `many` for those with many in flight alone.

#![allow(clippy::disallowed_methods, reason = "it measures time and starts a server")]
#![allow(clippy::unwrap_used, reason = "what cannot be measured ends it")]
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::cell::Cell;
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
const SLICE: Duration = Duration::from_millis(200);
const ROUNDS: usize = 25;
/// More than there is time for.
const MOST_A_SLICE: u128 = 20_000;

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let first = arguments.next().expect("a folder on the disk to measure");
    if first == "start" {
        let url = arguments.next().unwrap().into_string().unwrap();
        return start(&url, arguments.next().map(PathBuf::from));
    }
    let folder = PathBuf::from(first);
    let program = server::program().expect("a nats-server");
    let millions: f64 =
        arguments.next().map_or(0.2, |text| text.to_str().unwrap().parse().unwrap());
    let part = arguments.next();
    let is_only = |name: &str| part.as_ref().is_some_and(|part| part == name);
    if is_only("many") {
        let (folder, port) = (folder.join("many"), server::free_port());
        let server = server::Server::prepare(&program, &folder, port, "", "").started();
        return pipelined(&server);
    }
    let settings = [("default", ""), ("always", "sync_interval: always")];
    for (name, more) in settings.into_iter().filter(|_| !is_only("large")) {
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
fn payload(event: &NewEvent) -> String {
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

fn open(url: &str, tenant: &str, index_file: Option<PathBuf>) -> JetStreamStore {
    let url = url.to_owned();
    let options = Options { index_file, ..Options::of(tenant) };
    JetStreamStore::open(async move { async_nats::connect(url).await }, options).unwrap()
}

/// A publisher without a store: for each event one message to a subject for each stream, with the
/// payload that the store writes and `Nats-Msg-Id`, into a stream of JetStream with the settings
/// that the store's has. It makes the payload of the event, awaits the acknowledgement of each
/// message, and keeps nothing.
struct Bare {
    context: jetstream::Context,
    name: &'static str,
    /// The last message on each subject, where that shall be compared.
    last: Option<Vec<Cell<u64>>>,
}

impl Bare {
    async fn open(server: &server::Server, name: &'static str, compares: bool) -> Self {
        let context = jetstream::new(async_nats::connect(server.url()).await.unwrap());
        let config = stream::Config {
            name: name.to_owned(),
            subjects: vec![format!("cim.nix.v1.{name}.>")],
            duplicate_window: Duration::from_secs(120),
            discard: stream::DiscardPolicy::New,
            allow_direct: true,
            deny_delete: true,
            deny_purge: true,
            ..stream::Config::default()
        };
        context.get_or_create_stream(config).await.unwrap();
        let last = compares.then(|| (0..N_STREAMS).map(|_| Cell::new(0)).collect());
        Self { context, name, last }
    }

    async fn publish(&self, append: Append) {
        let (event, id) = (&append.events[0], append.stream.id);
        let mut message =
            PublishMessage::build().payload(payload(event).into()).message_id(event.id.to_string());
        let last = self.last.as_ref().map(|last| &last[id.as_u128() as usize]);
        if let Some(last) = last {
            message = message.expected_last_subject_sequence(last.get());
        }
        let subject = format!("cim.nix.v1.{}.flake.{id}", self.name);
        let ack = self.context.send_publish(subject, message).await.unwrap().await.unwrap();
        if let Some(last) = last {
            last.set(ack.sequence);
        }
    }
}

/// What one side did in all turns.
#[derive(Default)]
struct Side {
    next: u128,
    n_done: u64,
    took: f64,
    /// Events in a second, for each turn.
    rates: Vec<f64>,
    /// Microseconds of a processor, here and in the server.
    used: [f64; 2],
}

impl Side {
    /// Works with many under way until the slice is over, on events that were made before.
    async fn turn<F: Future<Output = ()>>(
        &mut self,
        server: &server::Server,
        work: impl Fn(Append) -> F,
    ) {
        let requests: Vec<Append> = (1..=MOST_A_SLICE).map(|n| request(self.next + n)).collect();
        let before = cpu(server);
        let start = Instant::now();
        // What is left over goes after that was measured: the slower side has more of it.
        let mut requests = requests.into_iter();
        let within = std::iter::from_fn(|| requests.next().filter(|_| start.elapsed() < SLICE));
        let stream = futures_util::stream::iter(within);
        let n_done = stream.map(&work).buffer_unordered(IN_FLIGHT).count().await as u64;
        let took = start.elapsed().as_secs_f64();
        for (sum, (after, before)) in self.used.iter_mut().zip(cpu(server).iter().zip(before)) {
            *sum += after - before;
        }
        self.next += u128::from(n_done);
        self.n_done += n_done;
        self.took += took;
        self.rates.push(n_done as f64 / took);
    }

    fn print(&self, what: &str) {
        let each = |used: f64| used / self.n_done as f64;
        println!(
            "{IN_FLIGHT} in flight, {what}: {:.0}/s; {:.1} us of CPU here and {:.1} us in the server each",
            self.n_done as f64 / self.took,
            each(self.used[0]),
            each(self.used[1])
        );
    }

    fn against(&self, other: &Self, what: &str) {
        let mut ratios: Vec<f64> =
            self.rates.iter().zip(&other.rates).map(|(ours, theirs)| ours / theirs).collect();
        ratios.sort_by(f64::total_cmp);
        let at = |share: usize| ratios[(ratios.len() - 1) * share / 100];
        let used = |side: &Self| (side.used[0] + side.used[1]) / side.n_done as f64;
        println!(
            "{what}: median {:.2} of {} turns ({:.2} to {:.2}, half of them {:.2} to {:.2}); by CPU {:.2}",
            at(50),
            ratios.len(),
            at(0),
            at(100),
            at(25),
            at(75),
            used(other) / used(self)
        );
    }
}

/// What this process and the server have used of a processor, in microseconds: on a machine that
/// others use as well, time says little.
fn cpu(server: &server::Server) -> [f64; 2] {
    [cpu_of("self"), cpu_of(&server.pid().to_string())]
}

fn cpu_of(process: &str) -> f64 {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let used = threads.filter_map(|thread| {
        let account = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        account.split(' ').next()?.parse::<f64>().ok()
    });
    used.sum::<f64>() / 1_000.0
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

/// Many in flight, in turns, so that all meet the same machine.
fn pipelined(server: &server::Server) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = &open(&server.url(), "many", None);
    let bare = &runtime.block_on(Bare::open(server, "bare", false));
    let comparing = &runtime.block_on(Bare::open(server, "comparing", true));
    let [mut bares, mut comparings, mut stores] = [(); 3].map(|()| Side::default());
    for _ in 0..ROUNDS {
        runtime.block_on(bares.turn(server, |append| bare.publish(append)));
        let append = |append| async move {
            store.append_async(append).await.unwrap();
        };
        runtime.block_on(stores.turn(server, append));
        runtime.block_on(comparings.turn(server, |append| comparing.publish(append)));
    }
    bares.print("bare");
    comparings.print("bare that has the last message on the subject compared");
    stores.print("store");
    comparings.against(&bares, "comparing against bare");
    stores.against(&bares, "store against bare");
    stores.against(&comparings, "store against comparing");
}

fn one_by_one(server: &server::Server) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = open(&server.url(), "one", None);
    let bare = runtime.block_on(Bare::open(server, "bare", false));
    let (mut next, mut times) = (1 << 40, [Vec::new(), Vec::new()]);
    for _ in 0..ROUNDS {
        for (n, times) in times.iter_mut().enumerate() {
            let start = Instant::now();
            while start.elapsed() < SLICE {
                next += 1;
                let append = request(next);
                let one = Instant::now();
                match n {
                    0 => runtime.block_on(bare.publish(append)),
                    _ => drop(store.append(append).unwrap()),
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
    let store = Arc::new(open(&server.url(), "large", Some(index_file.clone())));
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
    for with in [false, true] {
        // A process of its own, as its memory is what is asked for.
        let mut start = std::process::Command::new(std::env::current_exe().unwrap());
        start.arg("start").arg(server.url());
        if with {
            start.arg(&index_file);
        }
        assert!(start.status().unwrap().success());
    }
    let store = open(&server.url(), "large", Some(index_file));
    let mut used = [0.0; 2];
    account(&server, &mut used, || replay(&store, n_events));
    println!(
        "replay: {:.1} us of CPU here and {:.1} us in the server each",
        used[0] / n_events as f64,
        used[1] / n_events as f64
    );
    load(&store, n_events);
    println!("memory at most {} MB", memory("VmHWM"));
    drop(store);
    drop(server);
    std::fs::remove_dir_all(folder).unwrap();
}

/// Opens the store of a server that runs.
fn start(url: &str, index_file: Option<PathBuf>) {
    let (start, before) = (Instant::now(), memory("VmRSS"));
    let with = if index_file.is_some() { "with" } else { "without" };
    let file = index_file.clone();
    let store = open(url, "large", index_file);
    let took = start.elapsed().as_secs_f64();
    let used = cpu_of("self") / 1e6;
    println!(
        "start {with} an index file: {took:.2} s ({used:.2} s of CPU here), memory from {before} MB to {} MB, at most {} MB",
        memory("VmRSS"),
        memory("VmHWM")
    );
    if let Some(file) = file {
        println!("the index file has {} MB", std::fs::metadata(file).unwrap().len() >> 20);
    }
    drop(store);
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
