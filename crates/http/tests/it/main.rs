//! The server over real sockets, asked by a client that shares no code with it.

#![allow(clippy::disallowed_methods, reason = "tests open sockets, start programs and wait")]
#![allow(clippy::print_stderr, reason = "a test that is left out says so")]

mod abuse;
mod docs;
mod kit;
mod openapi;
mod page;
mod rest;
mod stream;
mod tls;

#[test]
fn every_file_here_is_listed() {
    let main = include_str!("main.rs");
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    for entry in std::fs::read_dir(folder).expect("this folder") {
        let name = entry.expect("an entry").file_name();
        let name = name.to_str().expect("a name").trim_end_matches(".rs").to_owned();
        assert!(name == "main" || main.contains(&format!("mod {name};")), "{name} is not listed");
    }
}
