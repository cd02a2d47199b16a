//! The short form of the chaos runs: few commands, every fault that needs nothing but the programs.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests start programs, and show what these said"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The program of another package, which the same build made.
fn beside(name: &str) -> PathBuf {
    let own = Path::new(env!("CARGO_BIN_EXE_cim-nix-chaos"));
    own.with_file_name(name)
}

fn run(arguments: &[&str]) -> (bool, String) {
    let server = beside("cim-nix-server");
    for program in [&server, &beside("cim-nix")] {
        assert!(program.is_file(), "build the workspace: there is no {}", program.display());
    }
    let mut chaos = Command::new(env!("CARGO_BIN_EXE_cim-nix-chaos"));
    chaos.arg("--server").arg(server).args(["--most", "150"]).args(arguments);
    let output = chaos.output().expect("it was built for this test");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    println!("{text}");
    (output.status.success(), text)
}

fn is_there() -> bool {
    cim_nix_rig::nats_server().is_some()
}

#[test]
fn nothing_is_lost_when_the_service_is_killed() {
    if is_there() {
        let (is_good, text) = run(&["kill-service", "--commands", "1500", "--writers", "16"]);
        assert!(is_good, "{text}");
    }
}

#[test]
fn nothing_is_lost_when_the_broker_is_killed() {
    if is_there() {
        let (is_good, text) = run(&["kill-nats", "--commands", "2000", "--writers", "16"]);
        assert!(is_good, "{text}");
    }
}

#[test]
fn nothing_is_lost_in_a_bad_network_or_while_instances_change() {
    if is_there() {
        let (is_good, text) =
            run(&["bad-network", "deploy", "--commands", "1500", "--writers", "16"]);
        assert!(is_good, "{text}");
    }
}

#[test]
fn without_ids_it_shows() {
    if is_there() {
        let control = ["bad-network", "--control", "--commands", "3000", "--writers", "16"];
        let (is_good, text) = run(&control);
        assert!(is_good, "nothing was broken enough to prove anything: {text}");
    }
}
