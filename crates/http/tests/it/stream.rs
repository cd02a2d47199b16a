//! Streams: events as they happen, progress as it is made.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use cim_nix_http::Settings;
use cim_nix_service::Limits;

use crate::kit::{Kit, OPERATOR};

/// A stream that is read until something stands in it.
struct Listener {
    socket: TcpStream,
    heard: String,
}

impl Listener {
    fn new(kit: &Kit, request: &str, headers: &[&str], body: &str) -> Self {
        let mut socket = kit.connect();
        let mut text =
            format!("{request} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {OPERATOR}\r\n");
        for header in headers {
            text.push_str(header);
            text.push_str("\r\n");
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        socket.write_all(text.as_bytes()).expect("it listens");
        Self { socket, heard: String::new() }
    }

    fn until(&mut self, wanted: &str) -> &str {
        let began = Instant::now();
        let mut part = [0; 4096];
        while !self.heard.contains(wanted) {
            let n = self.socket.read(&mut part).expect("in time");
            assert!(n > 0, "it ended before `{wanted}`: {}", self.heard);
            self.heard.push_str(&String::from_utf8_lossy(&part[..n]));
            assert!(began.elapsed() < Duration::from_secs(30), "no `{wanted}`: {}", self.heard);
        }
        &self.heard
    }
}

#[test]
fn events_are_followed_from_anywhere() {
    let kit = Kit::new();
    kit.flake("/one");
    kit.flake("/two");
    let follow = "GET /v1/acme/events/stream";
    let mut new = Listener::new(&kit, follow, &[], "");
    let mut all = Listener::new(&kit, &format!("{follow}?after=0"), &[], "");
    let mut some = Listener::new(&kit, follow, &["Last-Event-ID: 1"], "");
    new.until("event: hello\nid: 2\n");
    all.until("\"path\":\"/two\"");
    some.until("\"path\":\"/two\"");
    kit.flake("/three");
    for listener in [&mut new, &mut all, &mut some] {
        listener.until("event: event\nid: 3\n");
        listener.until("\"path\":\"/three\"");
    }
    assert!(!new.heard.contains("/two"), "{}", new.heard);
    assert!(!some.heard.contains("/one"), "{}", some.heard);
    assert!(all.heard.contains("/one"), "{}", all.heard);
    assert_eq!(all.heard.matches("\"path\":\"/two\"").count(), 1);
    let odd = kit.ask("GET", "/v1/acme/events/stream", &["Last-Event-ID: x"], "");
    assert_eq!(odd.problem().0, 400);
}

#[test]
fn nothing_is_missed_while_much_happens() {
    let kit = Kit::new();
    let mut listener = Listener::new(&kit, "GET /v1/acme/events/stream?after=0", &[], "");
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let kit = &kit;
            scope.spawn(move || (0..50).for_each(|n| drop(kit.flake(&format!("/{writer}/{n}")))));
        }
    });
    listener.until("id: 200\n");
    for position in 1..=200 {
        assert_eq!(listener.heard.matches(&format!("id: {position}\n")).count(), 1, "{position}");
    }
}

#[test]
fn streams_live_and_end_with_a_reason() {
    let settings = Settings { heartbeat_seconds: 1, ..Settings::default() };
    let mut kit = Kit::with(settings, Limits::default());
    let mut listener = Listener::new(&kit, "GET /v1/acme/events/stream", &[], "");
    listener.until(": alive");
    kit.stop();
    listener.until("event: end\ndata: {\"reason\":\"closing\"}");
}

#[test]
fn who_reads_nothing_is_dropped() {
    let settings = Settings { stall_seconds: 1, streams: 1, ..Settings::default() };
    let kit = Kit::with(settings, Limits::default());
    let mut lazy = Listener::new(&kit, "GET /v1/acme/events/stream?after=0", &[], "");
    lazy.until("event: hello");
    let second = kit.get("/v1/acme/events/stream");
    assert_eq!(second.problem(), (503, "overloaded".to_owned()));
    // More than sockets keep for somebody who does not read.
    let long = "x".repeat(900_000);
    for n in 0..20 {
        let body = format!(r#"{{"path":"/{n}","description":"{long}"}}"#);
        assert_eq!(kit.command("CreateFlake", &[], &body).status, 200);
    }
    let began = Instant::now();
    loop {
        let mut next = Listener::new(&kit, "GET /v1/acme/events/stream", &[], "");
        let mut head = [0; 12];
        next.socket.read_exact(&mut head).expect("an answer");
        if head.ends_with(b"200") {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "the place is never free again");
        std::thread::sleep(Duration::from_millis(100));
    }
    kit.assert_ready();
}

#[test]
fn progress_is_told_while_a_command_runs() {
    let kit = Kit::new();
    let headers = ["Content-Type: application/json", "Accept: text/event-stream"];
    let run = |body: &str| {
        Listener::new(&kit, "POST /v1/acme/commands/EvaluateExpression", &headers, body)
    };
    let mut good = run(r#"{"expression":"1+1"}"#);
    good.until("event: progress\ndata: {\"say\":\"evaluating\"}\n\n");
    good.until("event: reply\n");
    assert!(good.until("\"status\":\"success\"").contains("ExpressionEvaluated"));
    let mut bad = run(r#"{"expression":"panic"}"#);
    bad.until("event: problem\n");
    bad.until("\"code\":\"bug\"");
}
