//! kill -9 at any moment, while another program edits the same files: no event that was answered for
//! is lost, no file is half written, and no edit of others is overwritten.

use std::collections::BTreeSet;
use std::fs;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::sandbox::{Sandbox, stdout};

/// Runs in each test; `CIM_NIX_CRASH_RUNS` asks for more, such as the 1,000 of a long run.
fn n_runs() -> usize {
    std::env::var("CIM_NIX_CRASH_RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(40)
}

const FLAKE: &str = "\
//- flake.nix
{
  description = \"zero\";
  inputs.base.url = \"path:/nowhere/base\";
  outputs = { self, base }: { };
}
//- a.nix
{ lib, ... }: let unused = 1; in { x = lib.id   1; }
//- b.nix
let unused = 1; in {   y = 2; }
";

const FILES: [&str; 3] = ["flake.nix", "a.nix", "b.nix"];

/// Another program: adds a line of its own to a file, by a new file in its place.
struct Meddler<'a> {
    sandbox: &'a Sandbox,
    /// Every line that it has put into a file.
    lines: Mutex<Vec<(usize, String)>>,
    /// Every text that it has written.
    texts: Mutex<BTreeSet<String>>,
    is_over: AtomicBool,
}

impl Meddler<'_> {
    fn meddle(&self, rng: &mut fastrand::Rng) {
        let folder = self.sandbox.project();
        for n in 0.. {
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            thread::sleep(Duration::from_millis(rng.u64(20..250)));
            let at = rng.usize(..FILES.len());
            let path = folder.join(FILES[at]);
            let Ok(before) = fs::read_to_string(&path) else { continue };
            let line = format!("# meddler {n}");
            let text = format!("{before}{line}\n");
            let new = folder.join(format!(".meddler-{n}"));
            fs::write(&new, &text).unwrap();
            // What was written in between by others would be this program's to lose, not ours; so
            // it looks once more, and what is left of the gap is told apart below.
            if fs::read_to_string(&path).unwrap() == before {
                self.texts.lock().unwrap().insert(text);
                fs::rename(&new, &path).unwrap();
                self.lines.lock().unwrap().push((at, line));
            } else {
                fs::remove_file(&new).unwrap();
            }
        }
    }
}

fn commands(rng: &mut fastrand::Rng, n: usize) -> String {
    match rng.u8(..9) {
        0 => format!("flake describe text-{n} --no-lock --format json"),
        1 => format!("flake add-input in{} path:/nowhere/{n} --no-lock --format json", n % 7),
        2 if n.is_multiple_of(3) => {
            format!("flake remove-input in{} --no-lock --format json", rng.usize(..7))
        }
        2 | 3 => format!("flake set-input base path:/nowhere/{n} --no-lock --format json"),
        4 if n.is_multiple_of(3) => {
            "check --fix --select DEAD001 --fail-on never a.nix b.nix".to_owned()
        }
        5 if n.is_multiple_of(3) => "fmt --formatter nixpkgs-fmt a.nix b.nix".to_owned(),
        4 | 5 => format!("flake describe other-{n} --no-lock --format json"),
        6 | 7 => "undo --format json".to_owned(),
        _ => "redo --format json".to_owned(),
    }
}

#[test]
fn nothing_is_lost_whenever_the_program_is_killed() {
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let sandbox = Sandbox::new(FLAKE);
    assert!(sandbox.run("flake describe start --format json --no-lock").status.success());
    let meddler = Meddler {
        sandbox: &sandbox,
        lines: Mutex::default(),
        texts: Mutex::default(),
        is_over: AtomicBool::new(false),
    };
    let mut acknowledged: BTreeSet<String> = BTreeSet::new();
    // Kills are spread over what a command takes on this machine now.
    let begun = std::time::Instant::now();
    assert!(sandbox.run("flake describe again --format json --no-lock").status.success());
    let span = u64::try_from(begun.elapsed().as_micros()).unwrap() * 3 / 2;
    let mut n_killed = 0;
    let mut reasons = Vec::new();
    let mut other = rng.fork();
    thread::scope(|scope| {
        scope.spawn(|| meddler.meddle(&mut other));
        for n in 0..n_runs() {
            let mut command = sandbox.command(&commands(&mut rng, n));
            let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = child.spawn().unwrap();
            // A third of them may end; the others are killed within what they take.
            if rng.u8(..3) > 0 {
                thread::sleep(Duration::from_micros(rng.u64(..span)));
                let _ = child.kill();
            }
            let output = child.wait_with_output().unwrap();
            n_killed += usize::from(output.status.code().is_none());
            let said = String::from_utf8_lossy(&output.stderr);
            // A fault of ours, or of the disk: nothing that happens here should be one.
            assert_ne!(output.status.code(), Some(3), "{said}");
            reasons
                .extend(said.lines().filter(|line| line.starts_with("error")).map(str::to_owned));
            if let Ok(told) = serde_json::from_str::<Value>(&stdout(&output)) {
                let events = told["events"].as_array().cloned().unwrap_or_default();
                if told["position"].is_u64() {
                    let id = |event: &Value| {
                        event["event"]["identity"]["message_id"].as_str().map(str::to_owned)
                    };
                    acknowledged.extend(events.iter().filter_map(id));
                }
            }
            if rng.u8(..8) == 0 {
                recovered(&sandbox);
            }
        }
        meddler.is_over.store(true, Ordering::Relaxed);
    });
    recovered(&sandbox);
    let log = stdout(&sandbox.run("log --format json"));
    let events: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let stored: BTreeSet<_> = events.iter().filter_map(|event| event["id"].as_str()).collect();
    for id in &acknowledged {
        assert!(stored.contains(id.as_str()), "event {id} is lost");
    }
    // Each file is what the last event about it says, or what the other program wrote.
    let texts = meddler.texts.into_inner().unwrap();
    let status: Value =
        serde_json::from_str(&stdout(&sandbox.run("status --format json"))).unwrap();
    for drift in status["drift"].as_array().unwrap() {
        let text = sandbox.read(drift["path"].as_str().unwrap());
        assert!(texts.contains(&text), "{drift}:\n{text}");
    }
    assert_eq!(status["open"].as_array().unwrap().len(), 0, "{status}");
    for (at, line) in meddler.lines.into_inner().unwrap() {
        let text = sandbox.read(FILES[at]);
        let is_there = text.lines().any(|it| it.trim() == line);
        assert!(is_there, "`{line}` of another program was overwritten in {}:\n{text}", FILES[at]);
    }
    let names = fs::read_dir(sandbox.project()).unwrap();
    let names: Vec<_> =
        names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
    let left: Vec<_> = names.iter().filter(|name| name.starts_with(".cim-nix-")).collect();
    assert!(left.is_empty(), "temporaries are left: {left:?}");
    eprintln!("{n_killed} killed, {} events, {} acknowledged", events.len(), acknowledged.len());
    assert!(events.len() > n_runs() / 10, "too little happened: {reasons:#?}");
}

fn recovered(sandbox: &Sandbox) {
    for _ in 0..20 {
        let output = sandbox.run("recover");
        if output.status.success() {
            return;
        }
        // An edit of the other program on a half-made change: both versions are kept, and the reader
        // has to choose. This one takes what is on disk.
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let kept = text.split('`').find(|part| part.contains("/kept/"));
        let kept = kept.unwrap_or_else(|| panic!("{text}"));
        fs::remove_file(kept).unwrap();
    }
    panic!("it cannot be recovered");
}
