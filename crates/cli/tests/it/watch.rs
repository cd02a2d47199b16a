//! `check --watch`: a smoke test, since it never ends by itself.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use crate::sandbox::Sandbox;

/// Far more than it takes, so that a loaded machine fails no test.
const LIMIT: Duration = Duration::from_secs(60);

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for a line that contains `text`. The two streams race each other, so lines that came too
/// early wait in `early`.
fn wait_for(lines: &Receiver<String>, early: &mut Vec<String>, text: &str) {
    if let Some(at) = early.iter().position(|line| line.contains(text)) {
        early.remove(at);
        return;
    }
    while let Ok(line) = lines.recv_timeout(LIMIT) {
        if line.contains(text) {
            return;
        }
        early.push(line);
    }
    panic!("no line with `{text}`");
}

#[test]
fn checks_again_when_something_changes() {
    let sandbox = Sandbox::new("//- a.nix\nfirst\n");
    let mut command = sandbox.command("check --watch --format concise");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (sender, lines) = channel();
    let streams: [Box<dyn std::io::Read + Send>; 2] =
        [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
    let _ended = Ended(child);
    for stream in streams {
        let sender = sender.clone();
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
    }
    let mut early = Vec::new();
    wait_for(&lines, &mut early, "watching 1 file");
    sandbox.write("a.nix", "second_name\n");
    wait_for(&lines, &mut early, "changed: a.nix");
    wait_for(&lines, &mut early, "undefined variable `second_name`");
    sandbox.write("b.nix", "third_name\n");
    wait_for(&lines, &mut early, "undefined variable `third_name`");
    sandbox.write("cim-nix.toml", "wrong = 1\n");
    wait_for(&lines, &mut early, "unknown key `wrong`");
    sandbox.write("cim-nix.toml", "check.ignore = [\"COR001\"]\n");
    wait_for(&lines, &mut early, "watching 3 files");
}
