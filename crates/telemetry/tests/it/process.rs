//! This test program as the process that is watched: `init` works once in each.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cim_nix_service::metrics as counted;
use cim_nix_telemetry::{Format, Identity, Log, Settings, Traces, init, init_to};

/// Runs one of the tests below, which do nothing unless they are asked, in a process of its own.
pub(crate) fn run(test: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1", "--include-ignored"]);
    command.env("CIM_NIX_TEST_PART", test).envs(variables.iter().copied());
    let output = command.stdin(Stdio::null()).output().unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "{test} failed:\n{out}\n{err}");
    output
}

pub(crate) fn identity() -> Identity {
    Identity { name: "cim-nix-server", version: "1.2.3", instance: "a".to_owned() }
}

pub(crate) fn settings(filter: &str) -> Settings {
    let log = Log { format: Format::Json, filter: filter.to_owned() };
    Settings { log, traces: Traces::default() }
}

#[derive(Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_level_is_changed_while_running() {
    let kept = Kept::default();
    let guard = init_to(&settings("info"), &identity(), kept.clone()).unwrap();
    tracing::debug!(target: "cim_nix_nats", "one");
    tracing::info!(target: "cim_nix_nats", "two");
    // The library says a line for each attempt to connect, unless somebody wants to see them.
    tracing::info!(target: "async_nats::connector", "noise");
    guard.set_log_filter("info,async_nats=info").unwrap();
    tracing::info!(target: "async_nats::connector", "wanted");
    guard.set_log_filter("warn,cim_nix_nats=debug").unwrap();
    tracing::debug!(target: "cim_nix_nats", "three");
    tracing::info!(target: "cim_nix_http", "four");
    let error = guard.set_log_filter("loud").unwrap_err();
    assert_eq!(error.chain(), "`loud` is no filter for logs");
    tracing::debug!(target: "cim_nix_nats", "five");
    assert!(guard.shutdown(Duration::from_secs(5)));
    let messages: Vec<String> = kept
        .text()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| line["message"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(messages, ["two", "wanted", "three", "five"]);
}

#[test]
fn metrics_are_told_with_those_of_the_process() {
    let guard = init_to(&settings("info"), &identity(), Kept::default()).unwrap();
    counted::build_info("1.2.3");
    counted::command("acme", "FlakeAddInput", counted::Outcome::Ok, 0.003);
    let text = guard.metrics().render();
    for line in [
        "cim_nix_build_info{version=\"1.2.3\"} 1",
        "cim_nix_commands_total{tenant=\"acme\",command=\"FlakeAddInput\",outcome=\"ok\"} 1",
        "cim_nix_command_seconds_bucket{command=\"FlakeAddInput\",le=\"0.005\"} 1",
        "cim_nix_log_lines_dropped_total 0",
        "cim_nix_metrics_undeclared_total 0",
    ] {
        assert!(text.lines().any(|told| told == line), "{line} is missing:\n{text}");
    }
    assert!(text.contains("\n# TYPE process_cpu_seconds_total counter\n"), "{text}");
}

#[test]
fn a_second_start_is_refused() {
    let _guard = init_to(&settings("info"), &identity(), Kept::default()).unwrap();
    let error = init_to(&settings("info"), &identity(), Kept::default()).unwrap_err();
    assert_eq!(error.kind(), cim_nix_base::ErrorKind::Bug);
}

#[test]
#[ignore = "part of `panics_and_last_lines_reach_standard_error`"]
fn panic_part() {
    let _guard = init(&settings("info"), &identity()).unwrap();
    let _ = std::thread::spawn(|| panic!("with password=hunter2")).join();
    tracing::info!(target: "cim_nix_server", "last");
}

#[test]
fn panics_and_last_lines_reach_standard_error() {
    let output = run("process::panic_part", &[]);
    let err = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<serde_json::Value> =
        err.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!(lines[0]["message"], "panic: with password=***");
    assert!(lines[0]["place"].as_str().unwrap().contains("process.rs:"));
    assert_eq!(lines[1]["message"], "last");
}

#[test]
fn settings_are_read_as_they_stand_in_a_file() {
    let text = r#"{"log":{"format":"human","filter":"debug"},
        "traces":{"endpoint":"http://127.0.0.1:4317","ratio":0.1,"timeout-seconds":2}}"#;
    let settings: Settings = serde_json::from_str(text).unwrap();
    assert_eq!(settings.log.format, Format::Human);
    assert_eq!(settings.traces.timeout_seconds, 2);
    let unknown = serde_json::from_str::<Settings>(r#"{"logs":{}}"#).unwrap_err();
    assert!(unknown.to_string().contains("unknown field `logs`"), "{unknown}");
}
