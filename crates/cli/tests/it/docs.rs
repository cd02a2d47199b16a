//! The documentation shows what really happens.
//!
//! Run with `UPDATE_EXPECT=1` to write the output of the examples into the pages, as for any expected
//! text.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use crate::sandbox::Sandbox;

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn page(name: &str) -> String {
    fs::read_to_string(repository().join("docs").join(name)).unwrap()
}

/// The bodies of the code blocks of a language, with what stands around them.
fn blocks<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    let open = format!("```{language}\n");
    page.split(&open).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// What the command in the first line of a block prints.
fn run(sandbox: &Sandbox, block: &str) -> String {
    let command = block.lines().next().unwrap();
    let args = command.strip_prefix("$ cim-nix ").expect("a block starts with a command");
    let mut command_line = sandbox.command(args);
    let output = command_line.current_dir(repository().join("examples/fleet")).output().unwrap();
    let mut text = format!("{command}\n");
    for stream in [output.stdout, output.stderr] {
        text.push_str(&String::from_utf8(stream).unwrap());
    }
    // Paths outside of the example are shown from the root.
    text.replace(&*repository().to_string_lossy(), "/src")
}

#[test]
fn examples_print_what_the_pages_say() {
    let pages = [
        "authoring.md",
        "cli.md",
        "flakes.md",
        "formatting.md",
        "graphs.md",
        "integrations.md",
        "reports.md",
    ];
    for name in pages {
        examples_of(name);
    }
}

fn examples_of(name: &str) {
    let page = page(name);
    let sandbox = Sandbox::new("");
    let mut now = page.clone();
    for block in blocks(&page, "console") {
        now = now.replace(block, &run(&sandbox, block));
    }
    if env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(repository().join("docs").join(name), now).unwrap();
        return;
    }
    let mut differences = String::new();
    for (old, new) in page.lines().zip(now.lines()).filter(|(old, new)| old != new) {
        let _ = writeln!(differences, "{name}: {old}\n now: {new}");
    }
    assert!(
        page == now,
        "run this test with UPDATE_EXPECT=1 and read the difference\n{differences}"
    );
}

#[test]
fn the_configuration_on_the_page_is_accepted() {
    let page = page("config.md");
    let blocks = blocks(&page, "toml");
    assert!(!blocks.is_empty());
    for block in blocks {
        let sandbox = Sandbox::new("//- a.nix\n1\n");
        sandbox.write("cim-nix.toml", block);
        let output = sandbox.run("check");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
}

#[test]
fn every_key_and_command_has_its_place() {
    let (config, cli) = (page("config.md"), page("cli.md"));
    let sandbox = Sandbox::new("//- cim-nix.toml\ncheck.unknown-key = 1\n");
    let output = String::from_utf8(sandbox.run("check").stderr).unwrap();
    let keys = output.split("known here: ").nth(1).expect("the error lists the keys").trim();
    for key in keys.split(", ") {
        assert!(config.contains(key), "docs/config.md says nothing of `{key}`");
    }
    let help = String::from_utf8(sandbox.run("--help").stdout).unwrap();
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    for line in commands.lines() {
        let command = line.split_whitespace().next().unwrap();
        assert!(cli.contains(&format!("`{command}`")), "docs/cli.md says nothing of `{command}`");
    }
}
