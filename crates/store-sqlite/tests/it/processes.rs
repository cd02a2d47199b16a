//! Several processes on one store, and processes that are killed.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cim_domain_nix::EventStore;
use cim_nix_store_sqlite::SqliteStore;

use crate::power::{all, append, fill, options};

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
