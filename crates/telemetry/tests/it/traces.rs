//! Traces, as a collector gets them.

use std::time::{Duration, Instant};

use cim_nix_telemetry::traceparent::{TRACEPARENT, TracePlace, headers};
use cim_nix_telemetry::{Guard, Settings, Told, ToldOf, init_to, tell};
use tracing::{error, info, info_span};

use crate::process::{Kept, identity, run, settings};
use crate::receiver::{Manner, Received, Receiver};

fn traced_to(url: &str) -> Settings {
    let mut settings = settings("info");
    settings.traces.endpoint = Some(url.to_owned());
    settings
}

fn start(settings: &Settings) -> (Guard, Kept) {
    let kept = Kept::default();
    (init_to(settings, &identity(), kept.clone()).unwrap(), kept)
}

fn named<'r>(spans: &'r [Received], name: &str) -> &'r Received {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name}: {spans:#?}"))
}

/// What calls: opens a span and gives its place to the next process, as the variable `TRACEPARENT`.
#[test]
#[ignore = "part of `a_trace_goes_through_two_processes`"]
fn caller_part() {
    let Ok(collector) = std::env::var("COLLECTOR") else { return };
    let (guard, _) = start(&traced_to(&collector));
    {
        let _request = info_span!(target: "cim_nix_http", "request", tenant = "acme").entered();
        let _handler = info_span!(target: "cim_nix_service", "handler").entered();
        let sent = headers();
        assert_eq!(sent.len(), 1);
        run("traces::called_part", &[("COLLECTOR", &collector), ("TRACEPARENT", &sent[0].1)]);
    }
    assert!(guard.shutdown(Duration::from_secs(10)));
}

/// What is called: reads the variable, and does its work in a span that continues the trace.
#[test]
#[ignore = "part of `a_trace_goes_through_two_processes`"]
fn called_part() {
    let Ok(collector) = std::env::var("COLLECTOR") else { return };
    let (guard, kept) = start(&traced_to(&collector));
    let parent = std::env::var("TRACEPARENT").unwrap();
    let trace = TracePlace::parse(&parent).unwrap().trace_id();
    {
        let _worker = info_span!(target: "cim_nix_host", "worker", traceparent = parent).entered();
        let _step = info_span!(target: "cim_nix_host", "step").entered();
        info!(target: "cim_nix_host", "evaluated");
        assert_eq!(TracePlace::current().unwrap().trace_id(), trace);
    }
    {
        let _other = info_span!(target: "cim_nix_host", "other").entered();
        assert_ne!(TracePlace::current().unwrap().trace_id(), trace);
    }
    assert!(guard.shutdown(Duration::from_secs(10)));
    let line: serde_json::Value = serde_json::from_str(kept.text().trim()).unwrap();
    assert_eq!(line["trace_id"], trace);
}

#[test]
fn a_trace_goes_through_two_processes() {
    let receiver = Receiver::start();
    run("traces::caller_part", &[("COLLECTOR", &receiver.url())]);
    let spans = receiver.spans(5);
    assert_eq!(spans.len(), 5, "{spans:#?}");
    let [request, handler, worker, step, other] =
        ["request", "handler", "worker", "step", "other"].map(|name| named(&spans, name));
    assert_eq!(request.parent, "");
    assert_eq!(handler.parent, request.id);
    assert_eq!(worker.parent, handler.id);
    assert_eq!(step.parent, worker.id);
    for span in [handler, worker, step] {
        assert_eq!(span.trace, request.trace);
    }
    assert_eq!((other.parent.as_str(), other.trace == request.trace), ("", false));
    assert_eq!(request.service, "cim-nix-server");
    assert!(request.told.contains("tenant=acme"), "{}", request.told);
    assert!(step.told.contains("event evaluated"), "{}", step.told);
    assert!(!worker.told.contains("traceparent"), "{}", worker.told);
}

#[test]
fn a_program_that_somebody_else_measured_is_told_under_its_own_id() {
    let receiver = Receiver::start();
    let (guard, _) = start(&traced_to(&receiver.url()));
    let program = Told {
        id: "00f067aa0ba902b7".to_owned(),
        name: "nix-store --realise".to_owned(),
        began: std::time::UNIX_EPOCH + Duration::from_secs(1_795_000_000),
        took: Duration::from_millis(1_500),
        of: ToldOf::Program {
            executable: "/usr/bin/nix-store".to_owned(),
            arguments: ["nix-store", "--password=hunter2"].map(str::to_owned).into(),
            process: Some(42),
            exit_code: Some(100),
        },
        error: Some(("100".to_owned(), "it failed, token=hunter2".to_owned())),
    };
    // It belongs to nothing.
    tell(&program);
    {
        let _worker = info_span!(target: "cim_nix_host", "worker").entered();
        tell(&program);
        tell(&Told { id: "no id".to_owned(), ..program.clone() });
        let url = "https://me:hunter2@example.org:8443/x.tar.gz".to_owned();
        let of = ToldOf::Request { url, status: Some(404) };
        let (id, name) = ("00f067aa0ba902b8".to_owned(), "GET".to_owned());
        tell(&Told { id, name, of, error: None, ..program.clone() });
        // No valid address, and a password.
        let url = "https://me:pass/hunter2@example.org/x.tar.gz".to_owned();
        let of = ToldOf::Request { url, status: None };
        let (id, name) = ("00f067aa0ba902b9".to_owned(), "odd GET".to_owned());
        tell(&Told { id, name, of, error: None, ..program.clone() });
        let _next = info_span!(target: "cim_nix_host", "next").entered();
    }
    assert!(guard.shutdown(Duration::from_secs(10)));
    let spans = receiver.spans(5);
    assert_eq!(spans.len(), 5, "{spans:#?}");
    let odd = named(&spans, "odd GET");
    assert!(!odd.told.contains("hunter2") && !odd.told.contains("server."), "{}", odd.told);
    let get = named(&spans, "GET");
    for told in [
        "server.address=example.org\n",
        "http.request.method=GET",
        "url.full=https://***@example.org:8443/",
    ] {
        assert!(get.told.contains(told), "{told}: {}", get.told);
    }
    assert!(!get.told.contains("hunter2"), "{}", get.told);
    let (worker, nix) = (named(&spans, "worker"), named(&spans, "nix-store --realise"));
    assert_eq!((&*nix.id, &nix.parent), ("00f067aa0ba902b7", &worker.id));
    assert_ne!(named(&spans, "next").id, nix.id);
    for told in
        ["process.executable.name=nix-store", "error.type=100", "status it failed, token=***"]
    {
        assert!(nix.told.contains(told), "{told}: {}", nix.told);
    }
    assert!(!nix.told.contains("hunter2"), "{}", nix.told);
}

#[test]
fn a_request_is_named_after_its_route() {
    let receiver = Receiver::start();
    let (guard, _) = start(&traced_to(&receiver.url()));
    {
        let route = tracing::field::Empty;
        let span =
            info_span!(target: "cim_nix_http", "http", otel.name = "GET", http.route = route);
        let _inside = span.enter();
        // Whoever asks where it stands begins it.
        assert_eq!(headers().len(), 1);
        span.record("http.route", "/v1/{tenant}/flakes");
    }
    assert!(guard.shutdown(Duration::from_secs(10)));
    assert_eq!(receiver.spans(1)[0].name, "GET /v1/{tenant}/flakes");
}

#[test]
fn secrets_do_not_reach_the_collector() {
    let receiver = Receiver::start();
    let (guard, _) = start(&traced_to(&receiver.url()));
    {
        let url = "nats://me:hunter2@host:4222";
        let _span =
            info_span!(target: "cim_nix_nats", "connect", url, password = "hunter2").entered();
        error!(target: "cim_nix_nats", token = "hunter2", "refused Authorization: Bearer hunter2");
    }
    assert!(guard.shutdown(Duration::from_secs(10)));
    let spans = receiver.spans(1);
    let told = &spans[0].told;
    assert!(told.contains("url=nats://***@host:4222"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn the_token_is_shown_to_the_collector() {
    let receiver = Receiver::start();
    let file = std::env::temp_dir().join(format!("cim-nix-token-{}", std::process::id()));
    std::fs::write(&file, "s3cr3t\n").unwrap();
    let mut settings = traced_to(&receiver.url());
    settings.traces.token_file = Some(file.clone());
    let (guard, _) = start(&settings);
    drop(info_span!(target: "cim_nix_http", "request").entered());
    assert!(guard.shutdown(Duration::from_secs(10)));
    std::fs::remove_file(file).unwrap();
    assert_eq!(receiver.headers(), ["Bearer s3cr3t"]);
}

#[test]
fn only_our_own_work_is_traced_and_only_what_is_sampled() {
    let receiver = Receiver::start();
    let mut settings = traced_to(&receiver.url());
    settings.traces.ratio = 0.0;
    let (guard, _) = start(&settings);
    drop(info_span!(target: "cim_nix_http", "begun here").entered());
    drop(info_span!(target: "hyper", "not ours").entered());
    let kept = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    drop(info_span!(target: "cim_nix_http", "kept by the caller", traceparent = kept).entered());
    let left = "00-4bf92f3577b34da6a3ce929d0e0e4737-00f067aa0ba902b7-00";
    drop(info_span!(target: "cim_nix_http", "left by the caller", traceparent = left).entered());
    assert!(guard.shutdown(Duration::from_secs(10)));
    let names: Vec<String> = receiver.spans(1).into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["kept by the caller"]);
}

/// Without traces, the place that a caller named is handed on as it is.
#[test]
fn a_place_is_handed_on_where_nothing_is_traced() {
    let (_guard, _) = start(&settings("info"));
    assert_eq!(headers(), []);
    let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let _outer = info_span!("request", traceparent = %header, tracestate = "v=1").entered();
    let _inner = info_span!("handler").entered();
    let expected = vec![(TRACEPARENT, header.to_owned()), ("tracestate", "v=1".to_owned())];
    assert_eq!(headers(), expected);
}

/// Makes far more spans than may wait; returns how long that took and what was counted.
fn flood(settings: &Settings, limit: Duration) -> (Duration, Duration, String) {
    let (guard, _) = start(settings);
    let metrics = guard.metrics();
    let from = Instant::now();
    for n in 0..50_000 {
        let _span =
            info_span!(target: "cim_nix_http", "request", n, text = "x".repeat(64)).entered();
    }
    let made = from.elapsed();
    let from = Instant::now();
    guard.shutdown(limit);
    (made, from.elapsed(), metrics.render())
}

fn count(text: &str, outcome: &str) -> u64 {
    let head = format!("cim_nix_spans_total{{outcome=\"{outcome}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&head));
    line.unwrap_or_else(|| panic!("no {outcome}:\n{text}")).parse().unwrap()
}

fn resident(text: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes "));
    line.unwrap().parse().unwrap()
}

#[test]
fn a_collector_that_is_away_stops_nobody() {
    // A port that nobody listens on, for as long as this stays bound and not listening.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut settings = traced_to(&format!("http://{closed}"));
    settings.traces.timeout_seconds = 1;
    let (made, stopped, text) = flood(&settings, Duration::from_secs(2));
    assert!(made < Duration::from_secs(30), "{made:?}");
    assert!(stopped < Duration::from_secs(4), "{stopped:?}");
    assert_eq!(count(&text, "ended"), 50_000);
    assert_eq!(count(&text, "exported"), 0);
}

#[test]
fn a_collector_that_is_slow_stops_nobody_and_takes_no_memory() {
    let receiver = Receiver::with(Manner { delay: Duration::from_secs(60) });
    let (made, stopped, text) = flood(&traced_to(&receiver.url()), Duration::from_secs(2));
    assert!(made < Duration::from_secs(30), "{made:?}");
    assert!(stopped < Duration::from_secs(4), "{stopped:?}");
    assert_eq!(count(&text, "ended"), 50_000);
    // 50,000 spans of half a kilobyte and more would be seen here.
    assert!(resident(&text) < 100e6, "{}", resident(&text));
}

#[test]
fn wrong_settings_are_told() {
    let refused = |change: fn(&mut Settings)| {
        let mut settings = traced_to("http://127.0.0.1:1");
        change(&mut settings);
        let error = init_to(&settings, &identity(), Kept::default()).unwrap_err();
        assert_eq!(error.kind(), cim_nix_base::ErrorKind::Config);
        error.chain()
    };
    let texts = [
        refused(|s| s.traces.endpoint = Some("collector:4317".to_owned())),
        refused(|s| s.traces.endpoint = Some("http://a b".to_owned())),
        refused(|s| s.traces.ratio = 1.5),
        refused(|s| s.traces.token_file = Some("/nowhere/token".into())),
        refused(|s| s.log.filter = "info,=".to_owned()),
    ];
    expect_test::expect![[r#"
        `collector:4317` is no address of a collector
        cannot use `http://a b` for traces: invalid exporter configuration: endpoint: invalid endpoint 'http://a b': invalid URI: invalid uri character
        `ratio` of traces is 1.5, not between 0 and 1
        cannot read `token-file` of traces `/nowhere/token`: No such file or directory (os error 2)
        `=` is no filter for logs"#]].assert_eq(&texts.join("\n"));
}
