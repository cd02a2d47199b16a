//! The program as its users meet it: arguments and files in, both streams and the exit status out.

#![allow(clippy::disallowed_methods, reason = "these tests run the program on real files")]
#![allow(clippy::unwrap_used, reason = "what a test cannot do fails it")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod authoring;
mod baseline;
mod bounds;
mod build;
mod check;
mod check_eval;
mod config;
mod crash;
mod deploy;
mod docs;
mod effects;
mod explain;
mod fetch;
mod fix;
mod flake_commands;
mod flake_faults;
mod flake_graphs;
mod flake_inputs;
mod flake_rules;
mod flake_sources;
mod flake_views;
mod flakes;
mod fmt;
mod git_sources;
mod history;
mod hosts;
mod judge;
mod listings;
mod locks;
mod migrate;
mod options;
mod readers;
mod rename;
mod repl;
mod reports;
mod sandbox;
mod stores;
mod streams;
mod usage;
mod watch;
mod worker;

#[test]
fn every_file_here_is_a_module() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let main = std::fs::read_to_string(format!("{folder}/main.rs")).unwrap();
    for name in names.iter().filter(|name| *name != "main.rs") {
        let module = name.trim_end_matches(".rs");
        assert!(main.contains(&format!("mod {module};")), "{name} is not compiled");
    }
}
