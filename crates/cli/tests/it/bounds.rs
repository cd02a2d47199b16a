//! Evaluation ends: by its own limits, with an error and never a crash.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::sandbox::Sandbox;

/// What an evaluation that must fail says.
fn fault(args: &[&str], expr: &str) -> String {
    let sandbox = Sandbox::new("");
    let mut command = sandbox.command("eval");
    let output = command.args(args).args(["-E", expr]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{expr}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn value(expr: &str) -> String {
    let sandbox = Sandbox::new("");
    let output = sandbox.command("eval").args(["-E", expr]).output().unwrap();
    assert!(output.status.success(), "{expr}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn memory_is_bounded() {
    let grow = "let f = n: [ n ] ++ f (n + 1); in builtins.foldl' (a: b: a ++ [ b ]) [ ] (builtins.genList (i: i) 1000000)";
    let said = fault(&["--max-memory", "100M"], grow);
    assert!(said.contains("out of memory: the limit of `--max-memory` is reached"), "{said}");
    let text = "builtins.foldl' (a: _: a + a) \"xxxxxxxx\" (builtins.genList (i: i) 60)";
    let said = fault(&["--max-memory", "100M"], text);
    assert!(said.contains("out of memory"), "{said}");
    let list = "builtins.length (builtins.genList (i: i) 100000000)";
    let said = fault(&["--max-memory", "100M"], list);
    assert!(said.contains("memory") || said.contains("size"), "{said}");
}

#[test]
fn time_is_bounded() {
    let start = Instant::now();
    let said = fault(
        &["--timeout", "300ms"],
        "let f = n: if n == 0 then 0 else f (n - 1); in builtins.foldl' (a: _: f 1000) 0 (builtins.genList (i: i) 1000000)",
    );
    assert!(said.contains("evaluation took longer than `--timeout` allows"), "{said}");
    assert!(start.elapsed() < Duration::from_secs(60));
    // `tryEval` does not catch it.
    let said = fault(
        &["--timeout", "300ms"],
        "let f = n: if n == 0 then 0 else f (n - 1); in builtins.foldl' (a: _: builtins.tryEval (f 1000)) 0 (builtins.genList (i: i) 200000)",
    );
    assert!(said.contains("evaluation took longer than `--timeout` allows"), "{said}");
}

#[test]
fn calls_nest_as_deeply_as_in_nix() {
    let deep = |n: u32| format!("let f = n: if n == 0 then 0 else 1 + f (n - 1); in f {n}");
    assert_eq!(value(&deep(9_000)), "9000");
    let said = fault(&[], &deep(100_000));
    assert!(said.contains("stack overflow; max-call-depth exceeded"), "{said}");
    let said = fault(&["--max-call-depth", "50"], &deep(100));
    assert!(said.contains("stack overflow; max-call-depth exceeded"), "{said}");
}

#[test]
fn recursion_in_data_is_an_error() {
    let nested = "builtins.foldl' (a: _: [ a ]) [ ] (builtins.genList (i: i) 100000)";
    for function in [
        "builtins.toJSON",
        "builtins.toXML",
        "x: builtins.deepSeq x 1",
        "x: x == x && [ x ] == [ x ]",
        "x: x",
        "x: builtins.lessThan x x",
    ] {
        let sandbox = Sandbox::new("");
        let expr = format!("({function}) ({nested})");
        let output = sandbox.command("eval").args(["-E", &expr]).output().unwrap();
        // Either it is done or it is an error, but it is no crash.
        assert!(matches!(output.status.code(), Some(0 | 1)), "{function}: {:?}", output.status);
    }
    let said = fault(&[], "let x = x; in x");
    assert!(said.contains("infinite recursion encountered"), "{said}");
    let said = fault(&[], "let x = { y = x.y; }; in x.y");
    assert!(said.contains("infinite recursion encountered"), "{said}");
    let said = fault(&[], "builtins.toJSON (let x = { a = x; }; in x)");
    assert!(said.contains("stack overflow"), "{said}");
    assert_eq!(value("let x = { a = x; }; in x"), "{ a = «repeated»; }");
}

#[test]
fn one_value_may_not_take_all_memory() {
    let many = "(builtins.genList (i: i) 60)";
    for expr in [
        format!("builtins.length (builtins.foldl' (a: b: a ++ a) [ 1 ] {many})"),
        format!(
            "builtins.length (builtins.foldl' (a: b: builtins.concatLists [ a a ]) [ 1 ] {many})"
        ),
        format!("builtins.stringLength (builtins.foldl' (a: b: a + a) \"xy\" {many})"),
        format!("builtins.stringLength (builtins.foldl' (a: b: \"${{a}}${{a}}\") \"xy\" {many})"),
        "builtins.toXML builtins".to_owned(),
        "builtins.toXML (let x = { a = x; b = [ x x ]; }; in x)".to_owned(),
        "builtins.concatStringsSep \"0123456789\" (builtins.genList (i: \"\") 400000000)"
            .to_owned(),
    ] {
        let said = fault(&["--max-memory", "300M"], &expr);
        assert!(
            ["out of memory", "stack overflow", "cannot create list"]
                .iter()
                .any(|w| said.contains(w)),
            "{expr}: {said}"
        );
    }
}

#[test]
fn an_interrupt_ends_it() {
    let sandbox = Sandbox::new("");
    let calls = "let f = n: if n < 0 then 0 else g (n + 1) (f 0); g = n: x: n; in builtins.foldl' (a: b: f 1) 0 (builtins.genList (i: i) 900000000)";
    let loops = "builtins.foldl' (a: b: a + b) 0 (builtins.genList (i: i) 900000000)";
    for expr in [loops, calls] {
        let started = Instant::now();
        let mut command = sandbox.command("eval --max-memory 100G");
        let child = command.args(["-E", expr]).stderr(Stdio::null()).stdout(Stdio::null());
        let mut child = child.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(200));
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        let status = child.wait().unwrap();
        assert!(!status.success());
        assert!(started.elapsed() < Duration::from_secs(20), "{expr}");
    }
}

#[test]
fn bounds_hold_for_each_attribute() {
    let sandbox = Sandbox::new("");
    let run = |args: &str, expr: &str| {
        let output = sandbox.command(args).args(["-E", expr]).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr))
    };
    // A heavy attribute does not take the memory of the others, on one thread or on several.
    let one_heavy = "builtins.listToAttrs (builtins.genList (i: { name = \"n${toString (100 + i)}\"; value = if i == 3 then builtins.length (builtins.genList (x: x) 90000000) else builtins.length (builtins.genList (x: x) (100000 + i)); }) 30)";
    for jobs in ["1", "3"] {
        let (good, bad) =
            run(&format!("eval --each --json -j {jobs} --max-memory 300M"), one_heavy);
        assert_eq!(good.matches(':').count(), 29, "{jobs}: {good} {bad}");
        assert_eq!(bad.matches("failed:").count(), 1, "{jobs}: {bad}");
    }
    // Threads that are not needed take no memory from those that are.
    let (good, bad) = run(
        "eval --each --json -j 16 --max-memory 300M",
        "{ a = builtins.length (builtins.genList (i: i) 3000000); }",
    );
    assert_eq!(good, "{\"a\":3000000}\n", "{bad}");
    // Time that is over is over for all.
    let started = Instant::now();
    let slow = "let f = n: if n == 0 then 0 else f (n - 1); slow = builtins.foldl' (a: _: f 1000) 0 (builtins.genList (i: i) 1000000); in { a = slow; b = slow + 1; c = slow + 2; d = slow + 3; }";
    for jobs in ["1", "2"] {
        let (_, bad) = run(&format!("eval --each -j {jobs} --timeout 300ms"), slow);
        assert!(bad.contains("evaluation took longer than `--timeout` allows"), "{bad}");
        assert!(bad.contains("evaluation was stopped before"), "{bad}");
    }
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn matching_is_bounded() {
    let started = Instant::now();
    let text = "(builtins.concatStringsSep \"\" (builtins.genList (i: \"aaaaaaaaaa\") 200000))";
    let said = fault(
        &["--timeout", "1s"],
        &format!("builtins.length (builtins.split \"(a|b)*c|((a|b)*d)\" ({text} + {text}))"),
    );
    assert!(said.contains("evaluation took longer than `--timeout` allows"), "{said}");
    assert!(started.elapsed() < Duration::from_secs(60));
    let said = fault(
        &["--max-memory", "100M"],
        &format!("builtins.match \"((a*)*b*)*c\" ({text} + {text} + {text})"),
    );
    assert!(said.contains("out of memory"), "{said}");
}

#[test]
fn functors_of_functors_are_bounded() {
    for expr in [
        "let a = { __functor = a; }; in a 1",
        "let a = { __functor = { __functor = a; }; }; in builtins.map a [ 1 ]",
    ] {
        let said = fault(&[], expr);
        assert!(said.contains("stack overflow; max-call-depth exceeded"), "{said}");
    }
}

#[test]
fn what_is_read_is_bounded() {
    let sandbox = Sandbox::new("//- large\n");
    sandbox.write("large", vec![b'x'; 30_000_000]);
    let pipe = sandbox.project().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let run = |expr: &str| {
        let mut command = sandbox.command("eval --max-memory 20M");
        let output = command.args(["-E", expr]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{expr}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(
        run("builtins.readFile ./large")
            .contains("limit of `--max-memory` leaves no room for the file")
    );
    assert!(
        run("builtins.hashFile \"md5\" ./large")
            .contains("limit of `--max-memory` leaves no room for the file")
    );
    for expr in ["builtins.readFile ./pipe", "import ./pipe", "builtins.readFile /dev/zero"] {
        let said = run(expr);
        assert!(said.contains("is neither a file nor a folder"), "{said}");
    }
}

#[test]
fn what_was_printed_is_not_printed_again() {
    // As `nix eval` does; otherwise it would take a million times the memory of the value.
    let shared = "builtins.foldl' (d: i: let e = { a = d; b = d; }; in builtins.deepSeq e e) { x = 1; } (builtins.genList (x: x) 40)";
    assert!(value(shared).len() < 2_000);
    assert_eq!(value("let x = { a = 1; }; in [ x x ]"), "[ { a = 1; } «repeated» ]");
    assert_eq!(
        value("{ a = 1; b = throw \"no\"; c.d = throw \"neither\"; }"),
        "{ a = 1; b = «error: no»; c = { d = «error: neither»; }; }"
    );
}
