//! Copies to a binary cache and back, with keys and without.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use cim_nix_builder::{Collect, Control, Copy, CopyRecord, Nix, Old, Outcome, Tool, Verification};
use expect_test::expect;

use crate::store::Store;

fn copy(store: &Store, nix: &Nix, request: &Copy) -> CopyRecord {
    let cancel = AtomicBool::new(false);
    let record = nix.copy(request, &mut Control::new(&cancel, &mut |_| {}));
    record.unwrap_or_else(|error| panic!("{}", store.plain(&error.chain())))
}

fn names(store: &Store, record: &CopyRecord) -> Vec<String> {
    let mut names: Vec<_> =
        record.copied.iter().map(|info| store.plain(&info.path).replace("[hash]-", "")).collect();
    names.sort();
    names
}

fn verify(nix: &Nix, at: &str, path: &str) -> Verification {
    let cancel = AtomicBool::new(false);
    let mut say = |_| {};
    let mut control = Control::new(&cancel, &mut say);
    nix.verify(Some(at), &[path.to_owned()], false, &mut control).unwrap()
}

/// The same programs for a store whose files lie below another folder.
fn elsewhere(store: &Store, name: &str) -> Nix {
    let mut settings = store.nix.settings().clone();
    settings.store = Some(format!("local?root={}", store.at(name).display()));
    Nix::new(store.nix.programs().clone(), settings)
}

/// A new pair of keys; gives the public one.
fn make_keys(store: &Store, name: &str) -> String {
    let (secret, public) =
        (store.at(&format!("{name} secret")), store.at(&format!("{name}.public")));
    let settings = store.nix.settings();
    let mut command = Command::new(store.nix.programs().path(Tool::NixStore).unwrap());
    command.args(["--generate-binary-cache-key", name]).arg(secret).arg(&public);
    command.env_clear().envs(settings.environment.variables());
    assert!(command.status().unwrap().success());
    std::fs::read_to_string(public).unwrap()
}

#[test]
fn a_closure_goes_to_a_cache_and_comes_back() {
    let Some(store) = Store::new() else { return };
    let output = store.built("uses").remove(0);
    let cache = format!("file://{}", store.at("cache").display());
    let paths = vec![output.path.clone()];
    let there = copy(&store, &store.nix, &Copy::to(paths.clone(), &cache));
    assert_eq!(there.outcome, Outcome::Done);
    assert_eq!(names(&store, &there), ["[tmp]/s/store/ok", "[tmp]/s/store/uses"]);
    assert_eq!((there.nar_bytes, there.n_present), (output.closure_size.unwrap(), 0));
    let files: u64 = std::fs::read_dir(store.at("cache/nar"))
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert_eq!(there.compressed_bytes, Some(files));
    assert_eq!((there.missing, there.different), (Vec::new(), Vec::new()));

    // Once more: nothing is copied.
    let again = copy(&store, &store.nix, &Copy::to(paths.clone(), &cache));
    assert_eq!((again.outcome, again.copied.len()), (Outcome::Done, 0));
    assert_eq!((again.n_present, again.nar_bytes), (2, 0));

    // Back into another store, which asks for signatures.
    let other = elsewhere(&store, "other");
    let refused = copy(&store, &other, &Copy::from(paths.clone(), &cache));
    let Outcome::Failed { reason, .. } = &refused.outcome else { panic!("{refused:?}") };
    assert!(reason.contains("because it lacks a"), "{reason}");
    assert_eq!((refused.copied.len(), refused.missing.len()), (0, 2));
    let request = Copy { checks_signatures: false, ..Copy::from(paths.clone(), &cache) };
    let back = copy(&store, &other, &request);
    assert_eq!((back.outcome.clone(), back.copied.len()), (Outcome::Done, 2));
    assert_eq!((back.nar_bytes, back.compressed_bytes), (there.nar_bytes, None));
    let infos = other.path_info(None, &paths, true).unwrap();
    assert_eq!(infos.len(), 2);

    // And into the first store, once that has lost it.
    std::fs::remove_file(store.at("project/default.nix")).unwrap();
    let cancel = AtomicBool::new(false);
    let request = Collect { old: Old::Keep, time_limit: None };
    store.nix.collect_garbage(&request, &mut Control::new(&cancel, &mut |_| {})).unwrap();
    assert!(!Path::new(&output.path).exists());
    let request = Copy { checks_signatures: false, ..Copy::from(paths, &cache) };
    let back = copy(&store, &store.nix, &request);
    assert_eq!((back.outcome, back.copied.len()), (Outcome::Done, 2));
    assert_eq!(std::fs::read_to_string(Path::new(&output.path).join("ok")).unwrap(), "40\n");
}

#[test]
fn what_is_signed_is_taken_by_who_trusts_the_key() {
    let Some(store) = Store::new() else { return };
    let public = make_keys(&store, "cache-1");
    let paths = vec![store.built("uses").remove(0).path];
    let cache = format!("file://{}", store.at("cache").display());
    let secret_key = Some(store.at("cache-1 secret"));
    let url = format!("{cache}?compression=none");
    let record = copy(&store, &store.nix, &Copy { secret_key, ..Copy::to(paths.clone(), &url) });
    assert_eq!((record.outcome, record.copied.len()), (Outcome::Done, 2));
    for info in &record.copied {
        assert!(info.signatures[0].starts_with("cache-1:"), "{:?}", info.signatures);
    }
    let mut settings = elsewhere(&store, "other").settings().clone();
    settings.options.push(("trusted-public-keys".to_owned(), public));
    let other = Nix::new(store.nix.programs().clone(), settings);
    let record = copy(&store, &other, &Copy::from(paths, &cache));
    assert_eq!((record.outcome, record.copied.len()), (Outcome::Done, 2));
}

#[test]
fn a_damaged_archive_is_not_taken() {
    let Some(store) = Store::new() else { return };
    let path = store.built("big").remove(0).path;
    let cache = format!("file://{}", store.at("cache").display());
    let url = format!("{cache}?compression=none");
    copy(&store, &store.nix, &Copy::to(vec![path.clone()], &url));
    let sound = verify(&store.nix, &cache, &path);
    assert_eq!((sound.outcome, sound.corrupted.len()), (Outcome::Done, 0));
    let archive = std::fs::read_dir(store.at("cache/nar")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(archive, bytes).unwrap();
    let damaged = verify(&store.nix, &cache, &path);
    assert_eq!(damaged.corrupted, std::slice::from_ref(&path), "{damaged:?}");
    assert!(!damaged.outcome.is_done());
    let other = elsewhere(&store, "other");
    let request = Copy { checks_signatures: false, ..Copy::from(vec![path.clone()], &cache) };
    let record = copy(&store, &other, &request);
    assert!(matches!(record.outcome, Outcome::Failed { .. }), "{record:?}");
    assert_eq!((record.copied.len(), record.missing), (0, vec![path]));
}

#[test]
fn what_cannot_be_copied_is_told() {
    let Some(store) = Store::new() else { return };
    let path = store.built("ok").remove(0).path;
    let none = path.replace("-ok", "-nothing");
    let cache = format!("file://{}", store.at("cache").display());
    let cancel = AtomicBool::new(false);
    let mut said = Vec::new();
    let run = |request: &Copy| store.nix.copy(request, &mut Control::new(&cancel, &mut |_| {}));
    for request in [
        Copy::to(Vec::new(), &cache),
        Copy::to(vec!["--help".to_owned()], &cache),
        Copy::to(vec![path.clone()], "--help"),
        Copy { to: None, ..Copy::to(vec![path.clone()], "") },
        Copy { secret_key: Some("none".into()), ..Copy::to(vec![path.clone()], &cache) },
        Copy { secret_key: Some("none".into()), ..Copy::from(vec![path.clone()], &cache) },
    ] {
        said.push(store.plain(&run(&request).unwrap_err().to_string()));
    }
    expect![[r#"
        no path is to be copied
        the path `--help` starts with `-`, which Nix would take for an option
        the store `--help` starts with `-`, which Nix would take for an option
        a copy needs another store to come from or to go to
        there is no file `[tmp]/project/none` with a secret key
        only what goes to a binary cache is signed on the way
    "#]]
    .assert_eq(&(said.join("\n") + "\n"));
    // What the source lacks: an error or a failure, as Nix tells it.
    match run(&Copy::to(vec![none], &cache)) {
        Ok(record) => assert!(matches!(record.outcome, Outcome::Failed { .. }), "{record:?}"),
        Err(error) => assert!(error.to_string().contains("has no path"), "{error}"),
    }
    let record = run(&Copy::to(vec![path.clone()], "nonsense://x")).unwrap();
    let Outcome::Failed { reason, .. } = record.outcome else { panic!("{record:?}") };
    assert!(reason.contains("nonsense"), "{reason}");
    assert_eq!((record.copied.len(), record.missing), (0, vec![path.clone()]));
    // A copy that is cancelled before it starts has copied nothing.
    cancel.store(true, std::sync::atomic::Ordering::Relaxed);
    let record = run(&Copy::to(vec![path.clone()], &cache)).unwrap();
    assert_eq!((record.outcome, record.missing), (Outcome::Cancelled, vec![path.clone()]));
    assert!(!store.at("cache/nar").exists());
    cancel.store(false, std::sync::atomic::Ordering::Relaxed);
    let limit = Some(Duration::ZERO);
    let record = run(&Copy { time_limit: limit, ..Copy::to(vec![path], &cache) }).unwrap();
    assert_eq!(record.outcome, Outcome::TimedOut);
}
