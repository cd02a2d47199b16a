use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use expect_test::{Expect, expect};
use tracing::{debug, error, info, info_span, warn};
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use crate::traceparent::{Adopt, Release};

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is logged while `run` runs, at one moment of 2023.
fn logged(format: Format, run: impl FnOnce()) -> String {
    let kept = Kept::default();
    let sink = Sink::new(kept.clone()).unwrap();
    let clock = || SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456);
    let lines = Lines::new(format, sink.clone(), clock);
    let subscriber = tracing_subscriber::registry().with(Adopt).with(Release).with(lines);
    tracing::subscriber::with_default(subscriber, run);
    assert!(sink.flush(Duration::from_secs(10)));
    String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
}

#[track_caller]
fn check(run: fn(), json: Expect, human: Expect) {
    let lines = logged(Format::Json, run);
    for line in lines.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    json.assert_eq(&lines);
    human.assert_eq(&logged(Format::Human, run));
}

#[test]
fn a_message_with_fields() {
    check(
        || info!(target: "cim_nix_http", events = 3, ok = true, ratio = 0.5, name = "a b", "append"),
        expect![[r#"
            {"time":"2023-11-14T22:13:20.123456Z","level":"info","target":"cim_nix_http","message":"append","events":3,"ok":true,"ratio":0.5,"name":"a b"}
        "#]],
        expect![[r#"
            2023-11-14T22:13:20.123Z  info cim_nix_http: append events=3 ok=true ratio=0.5 name="a b"
        "#]],
    );
}

#[test]
fn the_spans_around_are_told_and_the_inner_word_holds() {
    check(
        || {
            let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
            let outer = info_span!("http", traceparent = header, tenant = "acme", step = 1);
            let _outer = outer.entered();
            let inner = info_span!("command", correlation = tracing::field::Empty, step = 2);
            inner.record("correlation", "c-1");
            let _inner = inner.entered();
            warn!(target: "t", step = 3, "slow");
        },
        expect![[r#"
            {"time":"2023-11-14T22:13:20.123456Z","level":"warn","target":"t","message":"slow","span":"command","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","step":3,"correlation":"c-1","tenant":"acme"}
        "#]],
        expect![[r#"
            2023-11-14T22:13:20.123Z  warn t: slow step=3 correlation=c-1 tenant=acme trace_id=4bf92f3577b34da6a3ce929d0e0e4736
        "#]],
    );
}

#[test]
fn secrets_are_masked_wherever_they_are() {
    #[derive(Debug)]
    #[expect(dead_code, reason = "it is printed")]
    struct Login {
        user: &'static str,
        password: &'static str,
    }
    check(
        || {
            let login = Login { user: "a", password: "hunter2" };
            let _span = info_span!("s", token = "abc", url = "nats://u:p@h").entered();
            let cause = std::io::Error::other("cannot reach https://u:p@h");
            let error: &(dyn std::error::Error + 'static) = &cause;
            error!(target: "t", ?login, error, "refused password={}", "hunter2");
        },
        expect![[r#"
            {"time":"2023-11-14T22:13:20.123456Z","level":"error","target":"t","message":"refused password=***","span":"s","login":"Login { user: \"a\", password: \"***\" }","error":"cannot reach https://***@h","token":"***","url":"nats://***@h"}
        "#]],
        expect![[r#"
            2023-11-14T22:13:20.123Z error t: refused password=*** login="Login { user: \"a\", password: \"***\" }" error="cannot reach https://***@h" token=*** url=nats://***@h
        "#]],
    );
}

#[test]
fn no_value_can_pretend_to_be_a_line() {
    check(
        || debug!(target: "t", name = "x\nerror: \u{1b}[2J\u{9b}", "a\nb"),
        expect![[r#"
            {"time":"2023-11-14T22:13:20.123456Z","level":"debug","target":"t","message":"a\nb","name":"x\nerror: \u001b[2J\u009b"}
        "#]],
        expect![[r#"
            2023-11-14T22:13:20.123Z debug t: a\nb name="x\nerror: \u001b[2J\u009b"
        "#]],
    );
}

#[test]
fn no_value_turns_a_line_around() {
    let line = logged(Format::Human, || info!("a\u{202e}b"));
    assert!(line.ends_with("a\\u{202e}b\n"), "{line}");
}

#[test]
fn names_that_a_line_has_itself_are_kept_apart() {
    check(
        || info!(target: "t", level = "high", time = 5, "x"),
        expect![[r#"
            {"time":"2023-11-14T22:13:20.123456Z","level":"info","target":"t","message":"x","field.level":"high","field.time":5}
        "#]],
        expect![[r#"
            2023-11-14T22:13:20.123Z  info t: x level=high time=5
        "#]],
    );
}

#[test]
fn long_values_are_cut() {
    let lines = logged(Format::Json, || info!(text = "é".repeat(100_000), "long"));
    assert!(lines.len() < 2 * (8 << 10), "{}", lines.len());
    assert!(lines.contains("… (200000 bytes)"));
}
