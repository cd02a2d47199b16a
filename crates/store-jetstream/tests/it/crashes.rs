//! Servers that are killed and connections that are cut: nothing acknowledged is lost, nothing is
//! there twice.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cim_domain_nix::{Append, EventStore, Expected, StoreError};
use cim_nix_store_jetstream::{JetStreamStore, Options};

use crate::proxy::Proxy;
use crate::samples::{all, append, event, open_at, options, place, stream};
use crate::server::{self, Server};

/// Writers that append one event after the other, each to a stream of its own, and ask again until
/// they are answered; `meanwhile` does its worst.
struct Writers {
    acknowledged: Mutex<BTreeSet<u128>>,
    n_again: AtomicU64,
    is_over: AtomicBool,
}

impl Writers {
    fn run(stores: &[JetStreamStore], n_writers: u128, meanwhile: impl FnOnce(&Self)) -> Self {
        let writers = Self {
            acknowledged: Mutex::default(),
            n_again: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        };
        std::thread::scope(|scope| {
            for writer in 0..n_writers {
                let (writers, store) = (&writers, &stores[writer as usize % stores.len()]);
                scope.spawn(move || writers.write(store, writer));
            }
            meanwhile(&writers);
            writers.is_over.store(true, Ordering::Release);
        });
        writers
    }

    fn write(&self, store: &JetStreamStore, writer: u128) {
        for n in 1.. {
            if self.is_over.load(Ordering::Acquire) {
                return;
            }
            let id = writer * 1_000_000 + n;
            let request = || Append {
                expected: Expected::Version(n as u64 - 1),
                events: vec![event(id)],
                ..append(writer, [id])
            };
            loop {
                match store.append(request()) {
                    Ok(appended) => {
                        assert_eq!(appended.version, n as u64);
                        self.acknowledged.lock().unwrap().insert(id);
                        break;
                    }
                    Err(StoreError::Unavailable { .. }) => {
                        self.n_again.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) => panic!("writer {writer}, event {n}: {error}"),
                }
            }
        }
    }

    fn n_acknowledged(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Waits until so many more are acknowledged.
    fn wait_for(&self, n_more: usize) {
        let wanted = self.n_acknowledged() + n_more;
        for _ in 0..3_000 {
            if self.n_acknowledged() >= wanted {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("writers are stuck at {} events", self.n_acknowledged());
    }

    /// What is stored is what was acknowledged, each once, and each writer's in order.
    fn check(&self, store: &JetStreamStore) {
        let stored = all(store);
        let distinct: BTreeSet<u128> = stored.iter().copied().collect();
        assert_eq!(distinct.len(), stored.len(), "some are there twice");
        assert_eq!(distinct, *self.acknowledged.lock().unwrap());
        let mut own: Vec<u128> = stored.clone();
        own.sort_by_key(|id| id / 1_000_000);
        assert!(own.is_sorted(), "a writer's events are out of order");
        println!("{} events, {} asked again", stored.len(), self.n_again.load(Ordering::Relaxed));
    }
}

#[test]
fn a_killed_server_loses_nothing() {
    let Some(mut place) = place() else { return };
    // Two programs, and one that gives up soon, so that its writers have to ask again.
    let hasty = Options { patience: Duration::from_millis(400), ..options() };
    let stores = [place.open(), place.open(), place.open_with(hasty).unwrap()];
    let writers = Writers::run(&stores, 9, |writers| {
        for _ in 0..4 {
            writers.wait_for(150);
            place.server.kill();
            std::thread::sleep(Duration::from_millis(300));
            place.server.restart();
        }
        writers.wait_for(100);
    });
    for store in stores.iter().chain([&place.open()]) {
        writers.check(store);
    }
}

#[test]
fn cut_connections_lose_nothing() {
    let Some(place) = place() else { return };
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let proxies = [Proxy::start(place.server.address()), Proxy::start(place.server.address())];
    // The server forgets ids soon: that they are stored once must not depend on it.
    let options = Options {
        duplicate_window: Duration::from_millis(100),
        patience: Duration::from_secs(2),
        ..options()
    };
    let stores: Vec<_> =
        proxies.iter().map(|proxy| open_at(proxy.url(), options.clone()).unwrap()).collect();
    let storms: Vec<_> = (seed..).zip(&proxies).map(|(seed, proxy)| proxy.storm(seed)).collect();
    let writers = Writers::run(&stores, 8, |writers| {
        std::thread::sleep(Duration::from_secs(4));
        drop(storms);
        writers.wait_for(50);
    });
    let n_cuts: u32 = proxies.iter().map(Proxy::n_cuts).sum();
    println!("{n_cuts} cuts");
    assert!(n_cuts >= 10 && writers.n_acknowledged() > 100);
    writers.check(&stores[0]);
    writers.check(&place.open_with(options).unwrap());
}

#[test]
fn a_closed_line_is_told_and_gone_through_later() {
    let Some(place) = place() else { return };
    let proxy = Proxy::start(place.server.address());
    let hasty = Options { patience: Duration::from_millis(500), ..options() };
    let store = open_at(proxy.url(), hasty).unwrap();
    store.append(append(1, [1])).unwrap();
    proxy.close();
    let error = store.append(append(1, [2])).unwrap_err();
    assert!(
        error.to_string().starts_with("JetStream does not say whether events were stored: "),
        "{error}"
    );
    let error = store.head().unwrap_err();
    assert!(error.to_string().starts_with("cannot ask for the stream: "), "{error}");
    proxy.open();
    let again = (0..40).find_map(|_| store.append(append(1, [2])).ok()).unwrap();
    assert_eq!(again.version, 2);
    assert_eq!(all(&store), [1, 2]);
}

/// Three servers that keep each message three times, and one of them dies, again and again.
#[test]
fn a_cluster_without_its_leader_goes_on() {
    let Some(program) = server::program() else { return };
    let folder = tempfile::tempdir().unwrap();
    let ports: Vec<u16> = (0..3).map(|_| server::free_port()).collect();
    let routes: Vec<u16> = (0..3).map(|_| server::free_port()).collect();
    let list: Vec<String> =
        routes.iter().map(|port| format!("\"nats-route://127.0.0.1:{port}\"")).collect();
    let mut servers: Vec<Server> = (0..3)
        .map(|n| {
            let more = format!(
                "server_name: n{n}\ncluster {{ name: c, listen: \"127.0.0.1:{}\", routes: [{}] }}",
                routes[n],
                list.join(", ")
            );
            let folder = folder.path().join(format!("n{n}"));
            Server::prepare(&program, &folder, ports[n], "", &more)
        })
        .collect();
    servers.iter_mut().for_each(Server::run);
    servers.iter_mut().for_each(Server::wait);
    let urls: Vec<String> = servers.iter().map(Server::url).collect();
    let options = Options { replicas: 3, patience: Duration::from_secs(25), ..options() };
    let stores: Vec<_> =
        (0..2).map(|_| open_at(urls.join(","), options.clone()).unwrap()).collect();
    let writers = Writers::run(&stores, 6, |writers| {
        for _ in 0..2 {
            writers.wait_for(100);
            let leader = leader(&stores[0]);
            servers[leader].kill();
            writers.wait_for(100);
            servers[leader].restart();
        }
        writers.wait_for(50);
    });
    writers.check(&stores[0]);
    writers.check(&open_at(urls.join(","), options).unwrap());
    assert_eq!(stores[1].version(&stream(0)).unwrap(), {
        let acknowledged = writers.acknowledged.lock().unwrap();
        acknowledged.iter().filter(|id| **id < 1_000_000).count() as u64
    });
}

/// The number of the server that leads the stream.
fn leader(store: &JetStreamStore) -> usize {
    for _ in 0..500 {
        let leader = store.status().unwrap().leader;
        if let Some(number) = leader.and_then(|leader| leader.strip_prefix('n')?.parse().ok()) {
            return number;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("nobody leads the stream");
}
