//! The domain from outside: what is on the wire, and what holds for any sequence of commands.

#![allow(clippy::disallowed_methods, reason = "the frozen messages are files")]
#![allow(clippy::unwrap_used, reason = "a test may panic, and so may what it is made of")]

mod answers;
mod deciders;
mod hostile;
mod schemas;
mod undo_stack;
mod wire;
mod world;

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
            "answers.rs",
            "deciders.rs",
            "hostile.rs",
            "main.rs",
            "schemas.rs",
            "undo_stack.rs",
            "wire.rs",
            "world.rs"
        ]
    );
}
