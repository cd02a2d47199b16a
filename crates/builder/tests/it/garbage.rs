//! Garbage that is looked at and collected.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use cim_nix_builder::{Collect, Control, GarbageRecord, Nix, Old, Outcome, Profile, Progress};
use expect_test::expect;

use crate::store::Store;

fn collect(nix: &Nix, old: Old) -> (GarbageRecord, usize) {
    let cancel = AtomicBool::new(false);
    let mut n_told = 0;
    let mut say = |progress| n_told += usize::from(matches!(progress, Progress::Deleting { .. }));
    let request = Collect { old, time_limit: None };
    let record = nix.collect_garbage(&request, &mut Control::new(&cancel, &mut say)).unwrap();
    (record, n_told)
}

fn rehearse(nix: &Nix, old: Old) -> GarbageRecord {
    let cancel = AtomicBool::new(false);
    let request = Collect { old, time_limit: None };
    nix.rehearse_collection(&request, &mut Control::new(&cancel, &mut |_| {})).unwrap()
}

#[test]
fn what_nobody_needs_goes_and_is_counted() {
    let Some(store) = Store::new() else { return };
    let (big, uses) = (store.built("big").remove(0), store.built("uses").remove(0));
    let profile = Profile::open(store.at("p")).unwrap();
    store.nix.set_profile(&profile, Path::new(&uses.path)).unwrap();

    let before = rehearse(&store.nix, Old::Keep);
    assert_eq!((before.outcome.clone(), before.freed_bytes), (Outcome::Done, None));
    assert!(Path::new(&big.path).exists(), "a rehearsal removes nothing");
    let dead = |record: &GarbageRecord, path: &str| {
        record.removed.iter().find(|dead| dead.path == path).cloned()
    };
    assert_eq!(dead(&before, &big.path).unwrap().nar_size, big.nar_size);
    assert_eq!(dead(&before, &uses.path), None);
    assert!(before.nar_bytes >= big.nar_size.unwrap());

    let (record, n_told) = collect(&store.nix, Old::Keep);
    assert_eq!(record.outcome, Outcome::Done);
    assert_eq!(dead(&record, &big.path).unwrap().nar_size, big.nar_size);
    assert!(!Path::new(&big.path).exists() && Path::new(&uses.path).exists());
    let sorted = |record: &GarbageRecord| {
        let mut removed = record.removed.clone();
        removed.sort();
        removed
    };
    assert_eq!(sorted(&record), sorted(&before));
    assert_eq!((n_told, record.nar_bytes), (record.removed.len(), before.nar_bytes));
    // 300,000 bytes of zeros: what Nix says is rounded, and counts whole blocks.
    let freed = record.freed_bytes.unwrap();
    assert!((250_000..600_000).contains(&freed), "{freed}");
    assert_eq!(record.bytes(), freed);

    let (record, _) = collect(&store.nix, Old::Keep);
    assert_eq!((record.removed.len(), record.nar_bytes), (0, 0));
}

#[test]
fn old_generations_go_first() {
    let Some(store) = Store::new() else { return };
    // Nix looks for profiles where it keeps its state.
    let profile = Profile::open(store.at("s/var/profiles/p")).unwrap();
    let paths = ["ok", "big", "phases"].map(|attribute| store.built(attribute).remove(0).path);
    for path in &paths {
        store.nix.set_profile(&profile, Path::new(path)).unwrap();
    }
    for number in [1, 2] {
        let link = store.at(&format!("s/var/profiles/p-{number}-link"));
        let touch = ["-h", "-d", "2020-01-01"];
        assert!(Command::new("touch").args(touch).arg(link).status().unwrap().success());
    }
    let numbers = |record: &GarbageRecord| {
        record.generations.iter().map(|dead| dead.number).collect::<Vec<_>>()
    };
    // Generation 2 was current until generation 3 came, just now.
    let before = rehearse(&store.nix, Old::OlderThan { days: 30 });
    assert_eq!((before.outcome.clone(), numbers(&before)), (Outcome::Done, vec![1]));
    assert_eq!(profile.generations().unwrap().len(), 3, "a rehearsal removes nothing");
    let (record, _) = collect(&store.nix, Old::OlderThan { days: 30 });
    assert_eq!((record.outcome.clone(), numbers(&record)), (Outcome::Done, vec![1]));
    assert_eq!(record.generations[0].profile, profile.path().to_string_lossy());
    assert!(record.removed.iter().any(|dead| dead.path == paths[0]));
    let (record, _) = collect(&store.nix, Old::All);
    assert_eq!(numbers(&record), [2]);
    let left: Vec<u64> =
        profile.generations().unwrap().iter().map(|generation| generation.number).collect();
    assert_eq!(left, [3]);
}

#[test]
fn a_plan_of_a_collection_runs_nothing() {
    let Some(store) = Store::new() else { return };
    let plan = |old| {
        let invocation = store.nix.plan_collect(&Collect { old, time_limit: None }).unwrap();
        store.plain(&invocation.to_string())
    };
    let all = [plan(Old::Keep), plan(Old::OlderThan { days: 30 }), plan(Old::All)];
    expect![[r#"
        nix-store --gc --log-format internal-json
        nix-collect-garbage --log-format internal-json --delete-older-than 30d
        nix-collect-garbage --log-format internal-json --delete-old
    "#]]
    .assert_eq(&(all.join("\n") + "\n"));
    assert!(!store.at("s").exists());
}
