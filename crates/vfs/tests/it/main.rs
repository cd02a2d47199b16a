//! Changes that are killed, that meet a full disk, and that lack rights: what needs a process of
//! its own.

#![allow(clippy::disallowed_methods, reason = "these tests are about real files")]
#![allow(clippy::unwrap_used, reason = "a test may panic, and so may what it is made of")]

mod child;
mod full_disk;
mod kill;
mod rights;

#[test]
fn every_file_here_is_a_module() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["child.rs", "full_disk.rs", "kill.rs", "main.rs", "rights.rs"]);
}
