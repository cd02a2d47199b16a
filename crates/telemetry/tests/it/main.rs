//! Tests of the whole: a process that logs, counts and traces, the collector it tells, and what
//! operators are given to watch it with.

#![allow(clippy::disallowed_methods, reason = "these tests are about real files and processes")]
#![allow(clippy::unwrap_used, reason = "what a test cannot do fails it")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod deploy;
mod process;
mod receiver;
mod traces;

#[test]
fn every_file_here_is_a_module() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["deploy", "deploy.rs", "main.rs", "process.rs", "receiver.rs", "traces.rs"]);
}
