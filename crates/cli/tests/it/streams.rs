//! Colours, and readers that leave.

use std::io::Read as _;
use std::process::Stdio;

use crate::sandbox::Sandbox;

#[test]
fn colour_is_for_terminals_and_for_those_who_ask() {
    let sandbox = Sandbox::new("//- a.nix\nmissing\n");
    let is_colored = |args: &str, variables: &[(&str, &str)]| {
        let output = sandbox.command(args).envs(variables.iter().copied()).output().unwrap();
        output.stdout.contains(&0x1b)
    };
    assert!(!is_colored("check", &[]));
    assert!(is_colored("check --color always", &[]));
    assert!(is_colored("check", &[("CLICOLOR_FORCE", "1")]));
    assert!(!is_colored("check", &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    assert!(is_colored("check --color always", &[("NO_COLOR", "1")]));
    assert!(!is_colored("check --color never", &[("CLICOLOR_FORCE", "1")]));
    assert!(!is_colored("check --format json --color always", &[]));
}

#[test]
fn a_reader_may_leave() {
    let files: String =
        (0..2000).map(|at| format!("//- f{at}.nix\nlet a = 1; in x{at}\n")).collect();
    let sandbox = Sandbox::new(&files);
    for args in ["check", "check --format json", "symbols", "files", "check --diff"] {
        let mut command = sandbox.command(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut head = [0; 10];
        child.stdout.take().unwrap().read_exact(&mut head).unwrap();
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!errors.contains("panicked") && !errors.contains("error"), "{args}: {errors}");
        assert!(matches!(output.status.code(), Some(0 | 1)), "{args}: {:?}", output.status);
    }
}

#[test]
fn a_full_disk_is_told() {
    let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else { return };
    let sandbox = Sandbox::new("//- a.nix\nmissing\n");
    let output = sandbox.command("check").stdout(full).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.starts_with("error: cannot write to standard output: "), "{errors}");
    assert_eq!(output.status.code(), Some(3));
}

#[test]
fn closed_streams_are_survived() {
    let sandbox = Sandbox::new("//- a.nix\nmissing\n");
    let mut command = sandbox.command("check nowhere --diff");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(2));
}
