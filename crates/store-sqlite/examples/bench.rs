//! Measures the store beside the disk that it is on.
//!
//! `cargo run --release -p cim-nix-store-sqlite --example bench -- FOLDER [MILLIONS [single|many|large]]`

#![allow(clippy::disallowed_methods, reason = "it measures time and uses a real disk")]
#![allow(clippy::unwrap_used, reason = "what cannot be measured ends it")]
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::fs::File;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cim_domain_nix::{
    Append, EventStore, Expected, Kind, MessageId, NewEvent, StreamId, Timestamp, Uuid,
};
use cim_nix_store_sqlite::{Options, SqliteStore};

#[path = "../tests/it/disk.rs"]
#[allow(dead_code, reason = "of the disk of the tests, measuring needs the counter alone")]
mod disk;

const SECONDS: Duration = Duration::from_secs(4);
const SLICE: Duration = Duration::from_millis(100);

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let folder = PathBuf::from(arguments.next().expect("a folder on the disk to measure"));
    let millions: u128 = arguments.next().map_or(1, |text| text.to_str().unwrap().parse().unwrap());
    std::fs::create_dir_all(&folder).unwrap();
    let part = arguments.next();
    let wants = |name: &str| part.as_ref().is_none_or(|part| part == name);
    if wants("single") || wants("many") {
        disk::install();
    }
    if wants("single") {
        single(&folder);
    }
    if wants("many") {
        many(&folder, 64);
    }
    if wants("large") {
        large(&folder, millions);
    }
}

/// What one small durable write costs without any store: a page over a file that is long enough,
/// then `fdatasync`.
struct Bare {
    file: File,
    path: PathBuf,
    n_syncs: u32,
    took: Duration,
}

/// An append writes no less; how much it writes is printed beside it.
const BARE_WRITE: usize = 4 << 10;
const BARE_WRITES: u32 = 1_000;

impl Bare {
    fn make(folder: &Path) -> Self {
        let path = folder.join("bare");
        let mut file = File::create(&path).unwrap();
        for _ in 0..BARE_WRITES {
            file.write_all(&[7; BARE_WRITE]).unwrap();
        }
        file.sync_all().unwrap();
        Self { file, path, n_syncs: 0, took: Duration::ZERO }
    }

    fn run(&mut self, slice: Duration) {
        let start = Instant::now();
        while start.elapsed() < slice {
            let at = u64::from(self.n_syncs % BARE_WRITES) * BARE_WRITE as u64;
            self.file.write_all_at(&[8; BARE_WRITE], at).unwrap();
            self.file.sync_data().unwrap();
            self.n_syncs += 1;
        }
        self.took += start.elapsed();
    }

    fn rate(&self) -> f64 {
        f64::from(self.n_syncs) / self.took.as_secs_f64()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).unwrap();
    }
}

/// The bytes of an event of [`event`] in the log, about.
const FLOOR_ROW: usize = 420;

/// What SQLite takes by itself: one table, one row in each transaction, with the settings of a store.
struct Floor {
    connection: rusqlite::Connection,
    path: PathBuf,
    n_rows: u32,
    took: Duration,
    used: Duration,
}

impl Floor {
    fn make(folder: &Path) -> Self {
        let path = folder.join("floor.db");
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection
            .execute_batch(
                "PRAGMA journal_mode = wal; PRAGMA wal_autocheckpoint = 4000; PRAGMA synchronous = off; \
                 CREATE TABLE rows (number INTEGER PRIMARY KEY, value BLOB NOT NULL) STRICT",
            )
            .unwrap();
        let mut floor =
            Self { connection, path, n_rows: 0, took: Duration::ZERO, used: Duration::ZERO };
        // Until the log has its length.
        while std::fs::metadata(folder.join("floor.db-wal")).unwrap().len() < 15 << 20 {
            floor.run(SLICE / 10);
        }
        floor.connection.execute_batch("PRAGMA synchronous = full").unwrap();
        Self { n_rows: 0, took: Duration::ZERO, used: Duration::ZERO, ..floor }
    }

    fn run(&mut self, slice: Duration) {
        let (start, before) = (Instant::now(), cpu());
        let [mut begin, mut insert, mut commit] =
            ["BEGIN IMMEDIATE", "INSERT INTO rows (value) VALUES (?1)", "COMMIT"]
                .map(|sql| self.connection.prepare(sql).unwrap());
        while start.elapsed() < slice {
            self.n_rows += 1;
            begin.execute([]).unwrap();
            insert.execute([&[7_u8; FLOOR_ROW][..]]).unwrap();
            commit.execute([]).unwrap();
        }
        self.took += start.elapsed();
        self.used += cpu() - before;
    }
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

fn request(stream: u128, events: impl IntoIterator<Item = u128>) -> Append {
    Append {
        stream: StreamId::new(Kind::Flake, Uuid::from_u128(stream)),
        expected: Expected::Any,
        events: events.into_iter().map(event).collect(),
        intent: None,
    }
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Options::default()).unwrap()
}

/// One writer, one event each, in turns with bare writes, so that both meet the same disk.
fn single(folder: &Path) {
    let path = folder.join("single.db");
    let store = open(&path);
    let mut bare = Bare::make(folder);
    let mut floor = Floor::make(folder);
    let mut floor_writes = (0, 0);
    let (mut n_events, mut took, mut used) = (0_u32, Duration::ZERO, Duration::ZERO);
    let (mut n_syncs, mut n_bytes) = (0, 0);
    let mut latencies = Vec::new();
    while took < 2 * SECONDS {
        bare.run(SLICE);
        let before = (disk::n_syncs(), disk::n_written());
        floor.run(SLICE);
        floor_writes.0 += disk::n_syncs() - before.0;
        floor_writes.1 += disk::n_written() - before.1;
        let before = (disk::n_syncs(), disk::n_written());
        let (start, cpu_before) = (Instant::now(), cpu());
        while start.elapsed() < SLICE {
            let one = Instant::now();
            store.append(request(u128::from(n_events % 50), [u128::from(n_events) + 1])).unwrap();
            latencies.push(one.elapsed());
            n_events += 1;
        }
        took += start.elapsed();
        used += cpu() - cpu_before;
        n_syncs += disk::n_syncs() - before.0;
        n_bytes += disk::n_written() - before.1;
    }
    let rate = f64::from(n_events) / took.as_secs_f64();
    latencies.sort_unstable();
    let at = |share: usize| latencies[latencies.len() * share / 1000].as_secs_f64() * 1e3;
    println!("bare fdatasync of {BARE_WRITE} bytes: {:.0}/s", bare.rate());
    let floor_rate = f64::from(floor.n_rows) / floor.took.as_secs_f64();
    println!(
        "one row with SQLite: {floor_rate:.0}/s, {:.2} of the bare rate, {:.3} flushes and {} bytes each; {:.0} us of CPU",
        floor_rate / bare.rate(),
        floor_writes.0 as f64 / f64::from(floor.n_rows),
        floor_writes.1 / u64::from(floor.n_rows),
        floor.used.as_secs_f64() * 1e6 / f64::from(floor.n_rows),
    );
    println!(
        "single appends: {rate:.0}/s, {:.2} of the bare rate, {:.3} flushes and {} bytes each; {:.0} us of CPU; p50 {:.3} ms, p99 {:.3} ms",
        rate / bare.rate(),
        n_syncs as f64 / f64::from(n_events),
        n_bytes / u64::from(n_events),
        used.as_secs_f64() * 1e6 / f64::from(n_events),
        at(500),
        at(990),
    );
    remove(store, &path);
    let path = floor.path.clone();
    drop(floor);
    std::fs::remove_file(path).unwrap();
}

/// Many writers, each with a stream of its own.
fn many(folder: &Path, n_writers: u128) {
    let path = folder.join("many.db");
    let store = open(&path);
    let mut bare = Bare::make(folder);
    bare.run(SECONDS / 2);
    let (start, before) = (Instant::now(), disk::n_syncs());
    let n_events: u32 = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..n_writers)
            .map(|writer| {
                let store = &store;
                scope.spawn(move || {
                    let mut n_events = 0_u32;
                    while start.elapsed() < SECONDS {
                        let n = (writer << 32) + u128::from(n_events) + 1;
                        store.append(request(writer, [n])).unwrap();
                        n_events += 1;
                    }
                    n_events
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    let rate = f64::from(n_events) / start.elapsed().as_secs_f64();
    let n_syncs = disk::n_syncs() - before;
    println!(
        "{n_writers} writers: {rate:.0} events/s, {:.1} events per flush (bare {:.0}/s)",
        f64::from(n_events) / n_syncs as f64,
        bare.rate()
    );
    remove(store, &path);
}

/// Many events: replay, loading a stream, memory. The file stays, for the next run.
fn large(folder: &Path, millions: u128) {
    let path = folder.join("large.db");
    let store = open(&path);
    let (start, before, n_events) = (Instant::now(), cpu(), millions * 1_000_000);
    for block in u128::from(store.head().unwrap()) / 100_000..n_events / 100_000 {
        store.import(&mut block_lines(block).as_bytes()).unwrap();
    }
    let (took, cpu_took) = (start.elapsed().as_secs_f64(), (cpu() - before).as_secs_f64());
    println!("imported {n_events} events in {took:.0} s, {cpu_took:.0} s of CPU");
    let bytes = std::fs::metadata(&path).unwrap().len();
    println!("file: {} MB, {} bytes per event", bytes >> 20, u128::from(bytes) / n_events);
    drop(store);
    let store = open(&path);
    for _ in 0..3 {
        let (start, cpu) = (Instant::now(), cpu());
        let (mut n_seen, mut n_bytes) = (0_u64, 0);
        store
            .read_all(0, &mut |event| {
                n_seen += 1;
                n_bytes += event.body.len();
                Ok(ControlFlow::Continue(()))
            })
            .unwrap();
        let took = start.elapsed().as_secs_f64();
        println!(
            "replay: {:.0} events/s, {:.0} per second of CPU, {} MB of bodies",
            n_seen as f64 / took,
            n_seen as f64 / (self::cpu() - cpu).as_secs_f64(),
            n_bytes >> 20
        );
    }
    // As many events in the log alone as there can be: who loads a stream goes through them.
    for _ in 1..Options::default().loose {
        let n = (1 << 40) + u128::from(store.head().unwrap()) + 1;
        store.append(request(1 << 40, [n])).unwrap();
    }
    load(&store, n_events / 100);
    println!("memory at the end: {} MB, at most {} MB", memory("VmRSS"), memory("VmHWM"));
}

/// An export of 1,000 streams of 100 events, one event each in turn.
fn block_lines(block: u128) -> String {
    let mut lines =
        "{\"head\":{\"format\":\"cim-nix-events\",\"version\":1,\"published\":0}}\n".to_owned();
    for n in 0..100_000 {
        let (stream, version) = (block * 1_000 + n % 1_000, n / 1_000 + 1);
        let event = event(block * 100_000 + n + 1);
        lines.push_str(&format!(
            "{{\"event\":{{\"position\":{},\"stream\":\"flake-{}\",\"version\":{version},\"id\":\"{}\",\"type\":\"{}\",\"schema\":1,\"at\":\"{}\",\"correlation\":\"{}\",\"causation\":\"{}\",\"body\":{},\"meta\":{}}}}}\n",
            n + 1,
            Uuid::from_u128(stream),
            event.id,
            event.event_type,
            event.at,
            event.correlation,
            event.causation,
            event.body,
            event.meta,
        ));
    }
    lines.push_str("{\"end\":{\"events\":100000,\"blobs\":0}}\n");
    lines
}

/// Loads streams that lie all over the file, each twice: the first time its pages come from the
/// system, the second time SQLite has them.
fn load(store: &SqliteStore, n_streams: u128) {
    let mut times = [Vec::new(), Vec::new()];
    for n in 0..2_000 {
        let stream = StreamId::new(Kind::Flake, Uuid::from_u128((n * 7_919) % n_streams));
        for times in &mut times {
            let (start, before, mut n_seen) = (Instant::now(), cpu(), 0);
            store
                .read_stream(&stream, 0, &mut |_| {
                    n_seen += 1;
                    Ok(ControlFlow::Continue(()))
                })
                .unwrap();
            let took = start.elapsed();
            times.push((took, cpu() - before));
            assert_eq!(n_seen, 100);
        }
    }
    for (what, mut times) in ["", " again"].into_iter().zip(times) {
        let cpu: Duration = times.iter().map(|(_, cpu)| cpu).sum();
        let cpu = cpu.as_secs_f64() * 1e6 / times.len() as f64;
        times.sort_unstable();
        let at = |share: usize| times[times.len() * share / 1000].0.as_secs_f64() * 1e6;
        println!(
            "loading 100 events{what}: {cpu:.0} us of CPU; p50 {:.0} us, p90 {:.0} us, p99 {:.0} us",
            at(500),
            at(900),
            at(990)
        );
    }
}

/// What this thread has used of a processor: on a machine that others use as well, time says little.
fn cpu() -> Duration {
    let account = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(account.split(' ').next().unwrap().parse().unwrap())
}

/// A line of the kernel's account of this process, in MB.
fn memory(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(key)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}

fn remove(store: SqliteStore, path: &Path) {
    drop(store);
    std::fs::remove_file(path).unwrap();
}
