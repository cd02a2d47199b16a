//! Code that never ends, takes all there is, or looks at what is not its own. Each is ended within
//! bounds, and others are answered meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Row;
use super::world::{Got, VICTIM, Who, World};

/// The longest that code may take: the worker's seconds, with what it takes to end it here.
const MOST: Duration = Duration::from_secs(25);

/// Evaluates over one carrier or the other; others are answered meanwhile, and evaluate.
fn evaluate(world: &World, over_nats: bool, expression: &str) -> Got {
    let body = json!({ "expression": expression }).to_string();
    let is_over = AtomicBool::new(false);
    let began = Instant::now();
    let (got, slowest, n_asked) = thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let (mut slowest, mut n_asked) = (Duration::ZERO, 0);
            loop {
                let asked = Instant::now();
                let path = format!("/v1/{VICTIM}/flakes");
                assert_eq!(world.get(Who::Victim, &path).kind, "200", "{expression}");
                assert_eq!(world.get(Who::Reader, "/v1/acme/flakes").kind, "200", "{expression}");
                slowest = slowest.max(asked.elapsed());
                n_asked += 1;
                if is_over.load(Ordering::SeqCst) {
                    return (slowest, n_asked);
                }
            }
        });
        let got = match over_nats {
            true => world.ask(Who::Operator, "nix.cmd.evaluation.evaluate", "", &body),
            false => world.command(Who::Operator, "EvaluateExpression", "", &body),
        };
        is_over.store(true, Ordering::SeqCst);
        let (slowest, n_asked) = asking.join().expect("good callers are answered");
        (got, slowest, n_asked)
    });
    let shown: String = expression.chars().take(100).collect();
    assert!(began.elapsed() < MOST, "{shown} took {:?}", began.elapsed());
    assert!(slowest < Duration::from_secs(3), "{shown}: a good caller waited {slowest:?}");
    assert!(n_asked > 0 && got.text.len() < 2 << 20, "{shown}: {} bytes", got.text.len());
    assert!(!got.text.contains("root:x"), "{shown}: {got:?}");
    // An evaluation that comes to an error has come to an end: the error is its outcome.
    let is_value = got.json()["events"][0]["event"]["is_error"] == false;
    match is_value {
        true => Got::new("value", got.text),
        false => got,
    }
}

/// How code that goes wrong may end.
const ENDED: &[&str] = &["200", "success", "422", "502", "504", "rejected", "outside", "timed_out"];

fn expression(name: &str, world: &World) -> String {
    let victim = world.folder(Who::Victim).display().to_string();
    let own = world.folder(Who::Operator).display().to_string();
    let out = world.outside("secret.nix");
    let state = world.scene.path("state").display().to_string();
    let config = world.scene.path("server.toml").display().to_string();
    match name {
        "bomb-recursion" => "let x = x; in x".to_owned(),
        "bomb-stack" => "let f = n: 1 + f n; in f 1".to_owned(),
        "bomb-list" => "builtins.length (builtins.genList (x: x) 900000000)".to_owned(),
        "bomb-memory" => {
            "builtins.stringLength (builtins.foldl' (a: b: a + a) \"xxxxxxxxxxxxxxxx\" (builtins.genList (x: x) 40))"
                .to_owned()
        }
        "bomb-attributes" => {
            "let f = n: { a = f (n + 1); b = [ n ]; }; g = x: builtins.seq x.b (g x.a); in g (f 0)"
                .to_owned()
        }
        "bomb-time" => "let f = n: if n == -1 then n else f (if n > 9 then 0 else n + 1); in f 0"
            .to_owned(),
        "bomb-fold" => {
            "builtins.foldl' (a: b: builtins.foldl' (c: d: d) 0 (builtins.genList (x: x) 10000)) 0 (builtins.genList (x: x) 1000000)"
                .to_owned()
        }
        "bomb-regex" => {
            "builtins.match \"(((a*)*)*)*b\" (builtins.concatStringsSep \"\" (builtins.genList (_: \"a\") 500))"
                .to_owned()
        }
        // Nothing looks at the clock within; who waits for it ends it.
        "bomb-native" => {
            "builtins.match \"(((a*)*)*)*b\" (builtins.concatStringsSep \"\" (builtins.genList (_: \"a\") 300000))"
                .to_owned()
        }
        "bomb-output" => {
            "builtins.concatStringsSep \"\" (builtins.genList (_: \"0123456789\") 900000)".to_owned()
        }
        "bomb-trace" => {
            "builtins.foldl' (a: b: builtins.trace (builtins.concatStringsSep \"\" (builtins.genList (_: \"x\") 10000)) b) 0 (builtins.genList (x: x) 100000)"
                .to_owned()
        }
        "bomb-syntax" => format!("{}1{}", "(".repeat(200_000), ")".repeat(200_000)),
        "bomb-power-set" => {
            "builtins.length (builtins.foldl' (a: b: a ++ a) [ 1 ] (builtins.genList (x: x) 60))"
                .to_owned()
        }
        "read-passwd" => "builtins.readFile \"/etc/passwd\"".to_owned(),
        "read-environment" => "builtins.readFile \"/proc/self/environ\"".to_owned(),
        "read-parent" => "builtins.readFile \"/proc/self/../../etc/passwd\"".to_owned(),
        "read-canary" => format!("builtins.readFile {out}"),
        "read-link" => format!("import {own}/link.nix"),
        "read-link-folder" => format!("import {own}/away/secret.nix"),
        "read-dots" => format!("import {own}/../secret.nix"),
        "read-victim" => format!("import {victim}/secret.nix"),
        "read-store-of-events" => format!("builtins.readFile {state}/{VICTIM}/events.sqlite"),
        "read-configuration" => format!("builtins.readFile {config}"),
        "read-folder" => "builtins.toJSON (builtins.readDir /.)".to_owned(),
        "read-path-copy" => format!("builtins.readFile \"${{{out}}}\""),
        "read-filter" => format!("builtins.filterSource (_: _: true) {victim}"),
        "read-search-path" => "import <nixpkgs> { }".to_owned(),
        "read-hash" => "builtins.hashFile \"sha256\" /etc/passwd".to_owned(),
        "fetch-file" => "builtins.fetchurl \"file:///etc/passwd\"".to_owned(),
        "fetch-tarball" => "builtins.fetchTarball \"file:///etc\"".to_owned(),
        "fetch-git" => "(builtins.fetchGit \"/etc\").outPath".to_owned(),
        "fetch-tree" => {
            format!("builtins.fetchTree {{ type = \"path\"; path = \"{victim}\"; }}")
        }
        "fetch-flake" => format!("(builtins.getFlake \"path:{}\").x", world.outside("")),
        "fetch-network" => "builtins.fetchurl \"http://169.254.169.254/latest\"".to_owned(),
        "exec" => "builtins.exec [ \"id\" ]".to_owned(),
        "import-native" => "builtins.importNative /etc/passwd \"x\"".to_owned(),
        "import-from-derivation" => format!(
            "import (derivation {{ name = \"x\"; system = builtins.currentSystem or \"x86_64-linux\"; builder = \"/bin/sh\"; args = [ \"-c\" \"echo > {}; echo 1 > $out\" ]; }})",
            world.outside("mark")
        ),
        name => panic!("{name}"),
    }
}

pub(super) fn rows() -> Vec<Row> {
    let names = [
        "bomb-recursion",
        "bomb-stack",
        "bomb-list",
        "bomb-memory",
        "bomb-attributes",
        "bomb-time",
        "bomb-fold",
        "bomb-regex",
        "bomb-native",
        "bomb-trace",
        "bomb-syntax",
        "bomb-power-set",
        "read-passwd",
        "read-environment",
        "read-parent",
        "read-canary",
        "read-link",
        "read-link-folder",
        "read-dots",
        "read-victim",
        "read-store-of-events",
        "read-configuration",
        "read-folder",
        "read-path-copy",
        "read-filter",
        "read-search-path",
        "read-hash",
        "fetch-file",
        "fetch-tarball",
        "fetch-git",
        "fetch-tree",
        "fetch-flake",
        "fetch-network",
        "exec",
        "import-native",
        "import-from-derivation",
    ];
    let mut rows: Vec<Row> = names
        .into_iter()
        .enumerate()
        .map(|(at, name)| {
            // Ours matches in linear time, so the worst pattern is none.
            let expect = if name == "bomb-regex" { &["value"] } else { ENDED };
            Row::new(name, expect, move |world| {
                evaluate(world, at % 2 == 0, &expression(name, world))
            })
            .recorded()
        })
        .collect();
    rows.push(
        // As much as is kept is more than a message of the server may have.
        Row::new("bomb-output-nats", &["too_large"], |world| {
            evaluate(world, true, &expression("bomb-output", world))
        })
        .recorded(),
    );
    // What is large is cut, and what is not there is empty.
    rows.push(
        Row::new("bomb-output", &["value"], |world| {
            let got = evaluate(world, false, &expression("bomb-output", world));
            assert!(got.text.contains("«cut»"), "{} bytes", got.text.len());
            got
        })
        .recorded(),
    );
    rows.push(
        Row::new("environment", &["value"], |world| {
            let name = crate::scene::ENVIRONMENT.0;
            let text = format!(
                "map builtins.getEnv [ \"{name}\" \"CIM_NIX_SERVER_CONFIG\" \"HOME\" \"PATH\" \"USER\" ]"
            );
            let got = evaluate(world, false, &text);
            let result = got.json()["events"][0]["event"]["result"].to_string();
            assert_eq!(result.matches("\\\"\\\"").count(), 5, "{result}");
            got
        })
        .recorded(),
    );
    // Code that takes its time again and again is its tenant's own misfortune.
    let row = Row::new("bombs-in-a-row", &["200"], |world| {
        // Who has no patience makes anything fail: a worker takes some milliseconds to begin.
        let bomb = json!({ "expression": expression("bomb-time", world) }).to_string();
        for patience in (2..30).map(|n| n * 2) {
            let headers = format!("X-Timeout-Ms: {patience}\r\n");
            let got = world.ask(Who::Operator, "nix.cmd.evaluation.evaluate", &headers, &bomb);
            assert!(ENDED.contains(&&*got.kind), "{got:?}");
        }
        let good = json!({ "expression": "1 + 1" }).to_string();
        let got = world.command(Who::Victim, "EvaluateExpression", "", &good);
        assert_eq!(got.kind, "200", "the other tenant pays for it: {got:?}");
        got
    });
    rows.push(row.victim());
    rows
}

#[test]
fn bombs_go_off_alone() {
    let Some(world) = World::new("") else { return };
    super::attack(&world, rows());
}
