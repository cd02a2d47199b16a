//! Real Nix, in stores of its own.

#![allow(clippy::disallowed_methods, reason = "these tests are about real files and processes")]
#![allow(clippy::unwrap_used, reason = "a test may panic, and so may what it is made of")]

mod activations;
mod builds;
mod caches;
mod child;
mod garbage;
mod page;
mod profiles;
mod store;

#[test]
fn every_file_here_is_a_module() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "activations.rs",
            "builds.rs",
            "caches.rs",
            "child.rs",
            "garbage.rs",
            "main.rs",
            "page.rs",
            "profiles.rs",
            "store.rs"
        ]
    );
}
