//! Several processes on one store, and processes that are killed.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cim_domain_nix::{Append, Appended, EventStore, Expected, Record, StoreError};
use cim_nix_store_sqlite::{Options, SqliteStore};

use crate::power::{all, append, fill, options, stream};

const STORE: &str = "CIM_NIX_TEST_STORE";
const FIRST: &str = "CIM_NIX_TEST_FIRST";
const COUNT: &str = "CIM_NIX_TEST_COUNT";

/// Not a test but the other process: appends events and says which were acknowledged.
#[test]
fn child() {
    let Some(path) = std::env::var_os(STORE) else { return };
    let number = |name| std::env::var(name).unwrap().parse::<u128>().unwrap();
    let store = SqliteStore::open(Path::new(&path), options(30)).unwrap();
    for n in (number(FIRST)..).take(number(COUNT) as usize) {
        store.append(append(n % 3, [n])).unwrap();
        println!("\nstored {n}");
    }
}

fn start(path: &Path, first: u128, count: u128) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::child", "--nocapture", "--test-threads=1"])
        .env(STORE, path)
        .env(FIRST, first.to_string())
        .env(COUNT, count.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What the child said, until it ended.
fn said(child: &mut Child) -> Vec<u128> {
    let out = BufReader::new(child.stdout.take().unwrap());
    let lines = out.lines().map_while(Result::ok);
    lines.filter_map(|line| line.strip_prefix("stored ")?.parse().ok()).collect()
}

#[test]
fn processes_share_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path, options(30)).unwrap();
    let mut subscription = store.subscribe(0).unwrap();
    let mut children = [start(&path, 1_000, 150), start(&path, 2_000, 150)];
    fill(&store, 1, 1..=150);
    let mut seen = Vec::new();
    while seen.len() < 450 {
        let n_seen = subscription.next(Duration::from_secs(30), &mut |event| {
            seen.push(event.id.as_u128());
            Ok(ControlFlow::Continue(()))
        });
        assert!(n_seen.unwrap() > 0, "nothing came after {} events", seen.len());
    }
    for child in &mut children {
        assert_eq!(said(child).len(), 150);
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(seen, all(&store));
    // Whoever wrote, the read model came along.
    let progress = store.progress("counts").unwrap();
    assert_eq!((progress.position, progress.head), (450, 450));
    assert_eq!(store.integrity().unwrap().problems, Vec::<String>::new());
}

/// Each writer has the last events in memory, and another one adds to them and arranges them.
#[test]
fn writers_know_what_others_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let open = |loose| SqliteStore::open(&path, Options { loose, ..options(30) }).unwrap();
    let stores = [open(3), open(7), open(40)];
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut versions = [0_u64; 5];
    let mut stored: Vec<(usize, Appended)> = Vec::new();
    for n in 1..=400 {
        // Now and then one writes much, and the others are far behind.
        let store = &stores[if n % 100 < 60 { random.usize(..3) } else { 2 }];
        let to = random.usize(..versions.len());
        let id = stored.len() as u128 + 1;
        let right = Expected::Version(versions[to]);
        let request = |to: usize, id, expected| Append { expected, ..append(to as u128, [id]) };
        match random.usize(..4) {
            0 if !stored.is_empty() => {
                let at = random.usize(..stored.len());
                let (to, appended) = stored[at];
                let again = store.append(request(to, at as u128 + 1, Expected::Any)).unwrap();
                assert_eq!(again, Appended { is_repeated: true, ..appended });
                let elsewhere = request(to + 1, at as u128 + 1, Expected::Any);
                let refused = store.append(elsewhere);
                assert!(matches!(refused, Err(StoreError::Duplicate { .. })), "{refused:?}");
            }
            1 => {
                let wrong = Expected::Version(versions[to] + 1);
                let refused = store.append(request(to, id, wrong));
                assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
            }
            _ => {
                let appended = store.append(request(to, id, right)).unwrap();
                versions[to] += 1;
                let (version, position) = (versions[to], id as u64);
                assert_eq!(appended, Appended { version, position, is_repeated: false });
                stored.push((to, appended));
            }
        }
        let (store, to) = (&stores[random.usize(..3)], random.usize(..versions.len()));
        let after = random.u64(..=versions[to]);
        let mut seen = Vec::new();
        let mut visit = |event: &Record<'_>| {
            seen.push(event.version);
            Ok(ControlFlow::Continue(()))
        };
        store.read_stream(&stream(to as u128), after, &mut visit).unwrap();
        assert_eq!(seen, (after + 1..=versions[to]).collect::<Vec<_>>());
        assert_eq!(store.version(&stream(to as u128)).unwrap(), versions[to]);
    }
    assert_eq!(stores[0].integrity().unwrap().problems, Vec::<String>::new());
}

#[test]
fn several_make_the_store_at_once() {
    for _ in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/store.db");
        let mut children: Vec<_> = (1..=4).map(|n| start(&path, n * 1_000, 5)).collect();
        let here = SqliteStore::open(&path, options(30)).unwrap();
        let said: Vec<_> = children.iter_mut().map(said).collect();
        assert!(said.iter().all(|said| said.len() == 5), "{said:?}");
        assert!(children.iter_mut().all(|child| child.wait().unwrap().success()));
        assert_eq!(all(&here).len(), 20);
        assert_eq!(here.integrity().unwrap().problems, Vec::<String>::new());
    }
}

#[test]
fn a_killed_process_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut acknowledged = BTreeSet::new();
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 1..=25 {
        let mut child = start(&path, round * 100_000, 1_000_000);
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        // Some are killed while they open the store, most while they write.
        let n_lines = random.usize(..120);
        let mut lines: Vec<String> = out.by_ref().take(n_lines).map_while(Result::ok).collect();
        std::thread::sleep(Duration::from_micros(random.u64(..5_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        lines.extend(out.map_while(Result::ok));
        // The last line may be cut.
        let said = lines.iter().filter_map(|line| line.strip_prefix("stored "));
        acknowledged.extend(said.filter(|n| n.len() >= 6).map(|n| n.parse::<u128>().unwrap()));
        let store = SqliteStore::open(&path, options(30)).unwrap();
        let found: BTreeSet<u128> = all(&store).into_iter().collect();
        let lost: Vec<_> = acknowledged.difference(&found).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?}");
        assert_eq!(store.integrity().unwrap().problems, Vec::<String>::new());
        let progress = store.progress("counts").unwrap();
        assert_eq!(progress.position, progress.head);
    }
    assert!(acknowledged.len() > 300, "only {} events were stored", acknowledged.len());
}
