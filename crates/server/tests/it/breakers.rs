//! What an operator sees of a dependency that fails, is slow, and flaps: metrics, log lines, alerts.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use cim_nix_rig::{Nats, Setup};
use serde_json::{Value, json};

use crate::journey::{has_nix, machines};
use crate::page;
use crate::receiver::Receiver;
use crate::scene::Scene;
use crate::trace::{named, tree};

const FLAKE: &str = r#"{
  description = "packages";
  outputs = _: {
    packages.SYSTEM.hello = derivation {
      name = "hello";
      system = "SYSTEM";
      builder = "/bin/sh";
      args = [ "-c" "echo hello > $out" ];
    };
  };
}
"#;

/// Stands before the programs of Nix, and does what the file `mode` says.
const NIX: &str = r#"#!/bin/sh
case "$(cat MODE) $1" in
  *--version) ;;
  fails*) echo "error: cannot connect to socket at '/nix/var/nix/daemon-socket/socket': Connection refused" >&2; exit 1 ;;
  "is slow eval") sleep 11 ;;
esac
exec REAL "$@"
"#;

/// Stands before the worker, and breaks it once if there is the file `broken`.
const WORKER: &str = r#"#!/bin/sh
if rm BROKEN 2> /dev/null; then exit 3; fi
exec REAL "$@"
"#;

const BREAKERS: &str = "[service.breakers]\nfailures = 3\nfailures-of-twenty = 4\n\
    slow-seconds = 10.0\npause-seconds = 3.0\nlongest-pause-seconds = 3.0\n";

fn script(path: &Path, text: &str) {
    fs::write(path, text).expect("the folder is ours");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

/// A program on `PATH`.
fn found(program: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let all = env::split_paths(&path).map(|folder| folder.join(program));
    { all }.find(|file| file.is_file()).expect("the caller has looked")
}

/// A scene where Nix and the worker can be made to fail.
fn scene(nats: &Nats, receiver: &Receiver) -> Scene {
    let more = format!("{BREAKERS}[traces]\nendpoint = {:?}\n", receiver.url());
    let mut scene = machines(nats, &more);
    let system = format!("{}-linux", env::consts::ARCH);
    fs::write(scene.path("project/flake.nix"), FLAKE.replace("SYSTEM", &system))
        .expect("the folder is ours");
    for folder in ["bin", "worker"] {
        fs::create_dir(scene.path(folder)).expect("the folder is ours");
    }
    let at = |name: &str| scene.path(name).display().to_string();
    for program in ["nix", "nix-store"] {
        let real = found(program).display().to_string();
        let text = NIX.replace("MODE", &at("mode")).replace("REAL", &real);
        script(&scene.path("bin").join(program), &text);
    }
    let worker = scene.light().get_program().to_string_lossy().into_owned();
    let text = WORKER.replace("BROKEN", &at("broken")).replace("REAL", &worker);
    script(&scene.path("worker/cim-nix"), &text);
    let config = fs::read_to_string(scene.path("server.toml")).expect("it was written");
    let config = format!("worker = {:?}\n{config}", scene.path("worker/cim-nix"));
    fs::write(scene.path("server.toml"), config).expect("the folder is ours");
    scene.first_on_path = Some(scene.path("bin"));
    scene
}

/// The service, and what was seen of it so far.
struct Watched {
    scene: Scene,
    table: String,
}

impl Watched {
    /// Asks for a build; answers the status, the word for it, and how long that took.
    fn build(&self) -> (u16, String, Duration) {
        let system = format!("{}-linux", env::consts::ARCH);
        let folder = self.scene.path("project").canonicalize().expect("it is there");
        let package = json!({
            "flake_ref": folder, "attribute": { "segments": ["packages", system, "hello"] },
        });
        let began = Instant::now();
        let (status, body) =
            self.scene.post("/v1/main/commands/BuildPackage", &package.to_string());
        let took = began.elapsed();
        let body: Value = serde_json::from_str(&body).unwrap_or_default();
        let mut word = body["code"].as_str().unwrap_or("accepted").to_owned();
        if body["retry_after_ms"].as_u64().is_some_and(|millis| millis > 0) {
            word.push_str(", later");
        }
        (status, word, took)
    }

    fn is(&self, mode: &str) {
        fs::write(self.scene.path("mode"), mode).expect("the folder is ours");
    }

    /// The value of a metric; 0 for one that was never counted.
    fn metric(&self, series: &str) -> u64 {
        let (_, text) = self.scene.get("/metrics");
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().expect("a whole number"))
    }

    fn state(&self) -> u64 {
        self.metric("cim_nix_breaker_state{tenant=\"main\",dependency=\"nix\"}")
    }

    /// Waits until the gauge says that one call may try.
    fn until_half_open(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.state() != 1 {
            assert!(
                Instant::now() < deadline,
                "it stays at {}: {}",
                self.state(),
                self.scene.log()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// A row of the table: what happened, what callers got, and what the metrics say then.
    fn row(&mut self, what: &str, answers: &[u16]) {
        let mut counted: Vec<(u16, usize)> = Vec::new();
        for status in answers {
            match counted.iter_mut().find(|(known, _)| known == status) {
                Some((_, n)) => *n += 1,
                None => counted.push((*status, 1)),
            }
        }
        let answers: Vec<String> =
            counted.iter().map(|(status, n)| format!("{n} × {status}")).collect();
        let answers = if answers.is_empty() { "-".to_owned() } else { answers.join(", ") };
        let _ = writeln!(
            self.table,
            "| {what} | {answers} | {} | {} | {} | {} |",
            self.state(),
            self.metric("cim_nix_breaker_trips_total{tenant=\"main\",dependency=\"nix\"}"),
            self.metric("cim_nix_rejected_total{reason=\"breaker_open\"}"),
            self.metric("cim_nix_retries_total{dependency=\"worker\"}"),
        );
    }
}

const HEAD: &str = "\
| what happens | answers | `breaker_state` | `breaker_trips_total` | `rejected_total`, `breaker_open` | `retries_total`, `worker` |
|---|---|---|---|---|---|
";

#[test]
fn a_nix_that_fails_is_slow_and_flaps_is_seen() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    if !has_nix() {
        return;
    }
    let receiver = Receiver::start();
    let mut watched = Watched { scene: scene(&nats, &receiver), table: HEAD.to_owned() };
    watched.is("works");
    watched.scene.start();
    let build = |watched: &Watched| watched.build().0;

    let status = build(&watched);
    assert_eq!(status, 200, "{}", watched.scene.log());
    watched.row("all is well", &[status]);

    fs::write(watched.scene.path("broken"), "").expect("the folder is ours");
    let status = build(&watched);
    watched.row("a worker breaks once, and another one does its work", &[status]);

    watched.is("fails");
    let statuses = [(); 3].map(|()| build(&watched));
    watched.row("the daemon of Nix is away", &statuses);
    assert_eq!(watched.state(), 2, "{}", watched.scene.log());
    let (_, while_open) = watched.scene.get("/metrics");

    // Nobody waits for what does not work.
    let shed = [(); 5].map(|()| watched.build());
    let slowest = shed.iter().map(|(_, _, took)| *took).max().unwrap_or_default();
    assert!(shed.iter().all(|(_, word, _)| word == "outside, later"), "{shed:?}");
    assert!(slowest < Duration::from_millis(500), "{shed:?}");
    eprintln!("five builds were refused, the slowest after {slowest:?}");
    watched.row("the next builds are refused at once", &shed.map(|(status, _, _)| status));

    watched.until_half_open();
    watched.row("the pause is over", &[]);
    let status = build(&watched);
    watched.row("one build may try, and fails", &[status]);

    watched.is("works");
    watched.until_half_open();
    let status = build(&watched);
    watched.row("the daemon is back: one build tries, and all may again", &[status]);
    assert_eq!((status, watched.state()), (200, 0), "{}", watched.scene.log());

    watched.is("is slow");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let all = [(); 3].map(|()| scope.spawn(|| build(&watched)));
        all.into_iter().map(|one| one.join().expect("it ends")).collect()
    });
    watched.row("builds take more than `slow-seconds`", &statuses);
    assert_eq!(watched.state(), 2, "{}", watched.scene.log());

    watched.is("works");
    watched.until_half_open();
    let status = build(&watched);
    watched.row("they are fast again", &[status]);

    let statuses: Vec<u16> = ["fails", "works", "fails", "works", "fails", "works", "fails"]
        .iter()
        .map(|mode| {
            watched.is(mode);
            build(&watched)
        })
        .collect();
    watched.row("every second build fails, four of twenty", &statuses);
    assert_eq!(watched.state(), 2, "{}", watched.scene.log());

    watched.is("works");
    watched.until_half_open();
    let status = build(&watched);
    watched.row("all is well again", &[status]);
    assert_eq!((status, watched.state()), (200, 0), "{}", watched.scene.log());

    watched.scene.signal("TERM");
    assert_eq!(watched.scene.wait(), Some(0), "{}", watched.scene.log());
    page::has("a flapping Nix", &watched.table);
    page::has("the log of a flapping Nix", &log(&watched.scene));
    trace_of_the_line(&watched.scene, &receiver);
    alerts(&while_open);
}

/// The log line of the breaker that opened leads to a trace, which says what failed.
fn trace_of_the_line(scene: &Scene, receiver: &Receiver) {
    let text = scene.log();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let said =
        |line: &Value, text: &str| line["message"].as_str().is_some_and(|it| it.contains(text));
    let opened = { lines }.find(|line| said(line, "a circuit breaker opened")).expect("it did");
    let id = opened["trace_id"].as_str().expect("it belongs to a command");
    let route = "POST /v1/{tenant}/commands/{type}";
    let spans =
        receiver.trace(id, &[route, "handle BuildPackage", "cim-nix worker run", "nix eval"]);
    for name in ["nix eval", "cim-nix worker run", "handle BuildPackage"] {
        let error = named(&spans, name).error.as_deref().unwrap_or_default();
        assert!(
            error.contains("Nix does not work") || error.contains("cannot connect"),
            "{name}: {error}"
        );
    }
    page::has("a trace of a Nix that is away", &format!("```text\n{}```\n", tree(&spans, scene)));
}

/// What the log says of breakers and of what is done again, without times and ids.
fn log(scene: &Scene) -> String {
    let mut out = "```text\n".to_owned();
    for line in scene.log().lines() {
        let line: Value = serde_json::from_str(line).expect("a line is JSON");
        let message = line["message"].as_str().unwrap_or_default();
        if message.contains("circuit breaker") || message.contains("made again") {
            let level = line["level"].as_str().unwrap_or_default();
            assert_eq!(line["tenant"], "main", "{line}");
            let _ =
                writeln!(out, "{level} {} {message}", line["dependency"].as_str().unwrap_or("-"));
        }
    }
    out.push_str("```\n");
    out
}

/// The alerts fire for the series as the service has them.
fn alerts(metrics: &str) {
    let promtool = env::var_os("CIM_NIX_PROMTOOL").map(PathBuf::from).or_else(|| {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path).map(|folder| folder.join("promtool")).find(|file| file.is_file())
    });
    let Some(promtool) = promtool else {
        assert!(env::var("CI").as_deref() != Ok("true"), "there is no promtool");
        eprintln!("skipped: there is no `promtool`; `CIM_NIX_PROMTOOL` names one");
        return;
    };
    let series = |name: &str| {
        let of_nix = |line: &&str| line.starts_with(name) && line.contains("dependency=\"nix\"");
        let line = metrics.lines().find(of_nix).expect("it was counted");
        let (series, value) = line.rsplit_once(' ').expect("it has a value");
        (series.replacen('{', "{instance=\"a\",", 1), value.to_owned())
    };
    let (state, open) = series("cim_nix_breaker_state");
    let (trips, _) = series("cim_nix_breaker_trips_total");
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/prometheus/cim-nix.rules.yml");
    let rules = fs::canonicalize(rules).expect("it is part of the repository");
    let test = |state_is: &str, trips_are: &str, open: &str, flaps: &str| {
        format!(
            "rule_files: [{rules:?}]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n      \
             - {{series: '{state}', values: '{state_is}'}}\n      - {{series: '{trips}', values: '{trips_are}'}}\n    \
             alert_rule_test:\n      - {{eval_time: 6m, alertname: CimNixBreakerOpen, exp_alerts: [{open}]}}\n      \
             - {{eval_time: 10m, alertname: CimNixBreakerFlaps, exp_alerts: [{flaps}]}}\n"
        )
    };
    let alert = |severity: &str, summary: &str, runbook: &str| {
        format!(
            "{{exp_labels: {{instance: a, dependency: nix, severity: {severity}}}, exp_annotations: \
             {{summary: {summary:?}, runbook: 'docs/operations.md#{runbook}'}}}}"
        )
    };
    let folder = tempfile::tempdir().expect("a folder");
    let is_right = |text: &str| {
        let file = folder.path().join("test.yml");
        fs::write(&file, text).expect("the folder is ours");
        let output = Command::new(&promtool).args(["test", "rules"]).arg(file).output();
        let output = output.expect("promtool runs");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let open_for_long = format!("{open}x12");
    let is_open = alert("page", "a has stopped calling nix", "cimnixbreakeropen");
    let flaps = alert("ticket", "nix fails on and off", "cimnixbreakerflaps");
    let fires = is_right(&test(&open_for_long, "0+1x12", &is_open, &flaps));
    assert!(fires.0, "{}", fires.1);
    let rests = is_right(&test("0x12", "0x12", "", ""));
    assert!(rests.0, "{}", rests.1);
    // The judge tells one from the other.
    assert!(!is_right(&test("0x12", "0x12", &is_open, &flaps)).0);
}
