//! Workers that do not do their part, played by shells.

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use cim_nix_base::ErrorKind;
use serde_json::{Value, json};

use super::*;
use crate::protocol::{Bounds, Setup, Sources, Task, VERSION};

fn request(answer: u64) -> Request {
    let bounds = Bounds { millis: 1000, memory: 1 << 30, program_memory: None, answer };
    Request {
        version: VERSION,
        setup: Setup {
            root: "/".into(),
            readable: Vec::new(),
            state_home: "/nowhere".into(),
            cache_home: "/nowhere".into(),
            bounds,
            sources: Sources::default(),
            nix: Default::default(),
            traceparent: None,
        },
        task: Task::NixFiles {},
    }
}

fn run(millis: u64) -> (Run, Arc<Mutex<Vec<String>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let progress = {
        let told = told.clone();
        Arc::new(move |text: &str| told.lock().unwrap().push(text.to_owned()))
    };
    let run = Run {
        deadline: Instant::now() + Duration::from_millis(millis),
        cancelled: Arc::new(AtomicBool::new(false)),
        progress,
        trace: None,
    };
    (run, told)
}

fn shell(script: &str) -> Worker {
    Worker::new("/bin/sh").with(&["-c", script], Duration::from_millis(300))
}

fn ask(script: &str) -> Result<Value, Error> {
    shell(script).ask(&request(1 << 20), &run(20_000).0)
}

fn chain(script: &str) -> String {
    let error = ask(script).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Outside);
    assert_eq!(dependency_of(&error), Some(&Dependency::Worker), "{error}");
    error.chain()
}

fn is_alive(id: &str) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    !state.is_empty() && !state.contains(") Z")
}

#[test]
fn an_answer_comes_after_progress() {
    let script = r#"read line; echo '{"line":"progress","progress":{"what":"x"}}'
        echo '{"line":"result","result":[1,2]}'"#;
    let (run, told) = run(20_000);
    let answer: Vec<u32> = shell(script).ask(&request(1 << 20), &run).unwrap();
    assert_eq!(answer, [1, 2]);
    assert_eq!(*told.lock().unwrap(), [r#"{"what":"x"}"#]);
}

#[test]
fn the_request_is_one_line_and_the_input_stays_open() {
    let script = r#"read line; if read -t 1 more; then echo "{\"line\":\"result\",\"result\":1}"
        else printf '{"line":"result","result":%s}\n' "$line"; fi"#;
    // `read -t` is no part of every shell: where it is not, it fails as at the end of the input.
    let answer = ask(script).unwrap();
    assert_eq!(answer["task"], json!({ "nix_files": {} }));
}

#[test]
fn an_error_is_that_of_the_worker() {
    let script = r#"echo '{"line":"error","error":{"kind":"user","message":"no","hints":["h"]}}'"#;
    let error = ask(script).unwrap_err();
    assert_eq!((error.kind(), error.chain().as_str()), (ErrorKind::User, "no"));
    assert_eq!(error.hints(), ["h"]);
    assert_eq!(dependency_of(&error), None);
    let script = r#"echo '{"line":"error","error":{"kind":"outside","message":"no","dependency":"http:a.org"}}'"#;
    let error = ask(script).unwrap_err();
    assert_eq!(dependency_of(&error), Some(&Dependency::Http("a.org".to_owned())));
}

#[test]
fn what_is_no_answer_is_the_workers_fault() {
    let check = |script: &str, want: &str| {
        let chain = chain(script);
        assert!(chain.contains(want), "{chain}");
    };
    check("exit 3", "ended without an answer");
    check("echo boo >&2; exit 1", "it said: boo");
    check("kill -9 $$", "ended without an answer");
    check("echo '{\"line\":'", "no answer");
    check("printf '{\"line\":\"result\",\"resu'", "no answer");
    check("echo garbage; sleep 30", "no answer");
    check("echo '{\"line\":\"what\"}'", "no answer");
    check("head -c 3000000 /dev/zero | tr '\\0' x", "more than it may");
    check("while :; do echo '{\"line\":\"progress\",\"progress\":1}'; done", "more than it may");
}

#[test]
fn an_answer_of_another_shape_is_none() {
    let worker = shell(r#"echo '{"line":"result","result":"x"}'"#);
    let error = worker.ask::<Vec<u32>>(&request(1 << 20), &run(20_000).0).unwrap_err();
    assert!(error.chain().contains("is none"), "{}", error.chain());
    assert_eq!(dependency_of(&error), Some(&Dependency::Worker));
}

#[test]
fn who_hangs_is_ended_with_what_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ids");
    let script = format!(
        "trap '' TERM; sleep 71 & echo $! > {0}; echo $$ >> {0}; while :; do sleep 1; done",
        file.display()
    );
    let start = Instant::now();
    let error = shell(&script).ask::<Value>(&request(99), &run(800).0).unwrap_err();
    assert_eq!(error.to_string(), "`nix_files` took too long");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    for id in std::fs::read_to_string(file).unwrap().split_whitespace() {
        // Who is killed needs a moment to be gone.
        let until = Instant::now() + Duration::from_secs(5);
        while is_alive(id) && Instant::now() < until {
            thread::sleep(Duration::from_millis(10));
        }
        assert!(!is_alive(id), "{id} is still there");
    }
}

#[test]
fn who_is_not_wanted_any_more_may_still_say_how_far_it_came() {
    let script = r#"read line; cat > /dev/null; echo '{"line":"result","result":"so far"}'"#;
    let (run, _) = run(60_000);
    let flag = run.cancelled.clone();
    let cancel = thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        flag.store(true, Ordering::Relaxed);
    });
    let worker = Worker { grace: Duration::from_secs(20), ..shell(script) };
    assert_eq!(worker.ask::<Value>(&request(1 << 20), &run).unwrap(), json!("so far"));
    cancel.join().unwrap();
    // Before anything is begun, nothing is.
    assert_eq!(
        worker.ask::<Value>(&request(99), &run).unwrap_err().to_string(),
        "it was cancelled"
    );
}

#[test]
fn what_does_not_read_does_not_keep_us() {
    let mut large = request(1 << 20);
    large.setup.readable = vec!["x".repeat(1 << 20).into()];
    let error = shell("sleep 60").ask::<Value>(&large, &run(500).0).unwrap_err();
    assert_eq!(error.to_string(), "`nix_files` took too long");
}

#[test]
fn a_worker_that_is_not_there_is_told() {
    let error = Worker::find(Some(Path::new("/nowhere/cim-nix"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let worker = Worker::new("/nowhere/cim-nix");
    let error = worker.ask::<Value>(&request(99), &run(1000).0).unwrap_err();
    assert_eq!(dependency_of(&error), Some(&Dependency::Worker));
    assert!(error.chain().starts_with("cannot run `/nowhere/cim-nix`: "), "{}", error.chain());
}

#[test]
fn who_counts_is_told_of_each_run() {
    static TOLD: Mutex<Vec<(&str, RanEnd)>> = Mutex::new(Vec::new());
    let ask = |script: &str, millis: u64, is_cancelled: bool| {
        let worker = shell(script).watched(|ran| TOLD.lock().unwrap().push((ran.task, ran.end)));
        let (run, _) = run(millis);
        let _ = match is_cancelled {
            false => worker.ask::<Value>(&request(1 << 10), &run),
            true => thread::scope(|scope| {
                let asking = scope.spawn(|| worker.ask::<Value>(&request(1 << 10), &run));
                thread::sleep(Duration::from_millis(100));
                run.cancelled.store(true, Ordering::Relaxed);
                asking.join().unwrap()
            }),
        };
    };
    ask(r#"echo '{"line":"result","result":1}'"#, 20_000, false);
    ask(r#"echo '{"line":"error","error":{"kind":"user","message":"no"}}'"#, 20_000, false);
    ask("exit 3", 20_000, false);
    ask("head -c 3000000 /dev/zero | tr '\\0' x", 20_000, false);
    ask("sleep 30", 200, false);
    ask("sleep 30", 20_000, true);
    let ends = [
        RanEnd::Done,
        RanEnd::Failed(ErrorKind::User),
        RanEnd::Broke,
        RanEnd::SaidTooMuch,
        RanEnd::TimedOut,
        RanEnd::Cancelled,
    ];
    assert_eq!(*TOLD.lock().unwrap(), ends.map(|end| ("nix_files", end)));
}

thread_local! {
    static PROGRAMS: std::cell::RefCell<Vec<String>> = const { std::cell::RefCell::new(Vec::new()) };
}

#[test]
fn programs_of_a_worker_are_told_in_its_own_trace() {
    let tracing = Tracing {
        current: || Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        program: |span| PROGRAMS.with_borrow_mut(|all| all.push(span.name.clone())),
    };
    let line = r#"{"line":"span","span":{"id":"00f067aa0ba902b7","name":"nix eval","began_micros":1,"took_micros":2,"executable":"/bin/nix","arguments":["nix","eval"],"exit_code":0}}"#;
    // It answers with the request that it got; what it says too often is passed over.
    let script = format!(
        "read -r request; for n in $(seq 300); do echo '{line}'; done; \
         printf '{{\"line\":\"result\",\"result\":%s}}\\n' \"$request\""
    );
    let worker = shell(&script).traced(tracing);
    let asked: Value = worker.ask(&request(1 << 20), &run(20_000).0).unwrap();
    let own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    assert_eq!(asked["setup"]["traceparent"], own);
    let told = PROGRAMS.take();
    assert_eq!((told.len(), &*told[0]), (256, "nix eval"));
    let untraced: Value = shell(&script).ask(&request(1 << 20), &run(20_000).0).unwrap();
    assert_ne!(untraced["setup"]["traceparent"], own);
    assert!(PROGRAMS.take().is_empty());
}
