//! Commands, queries, events, health.

use std::sync::atomic::Ordering;

use expect_test::expect;

use crate::kit::{Kit, OPERATOR, OTHER, READER};

const JSON: &str = "Content-Type: application/json";

#[test]
fn commands_are_run_and_queries_answered() {
    let kit = Kit::new();
    let id = kit.flake("/fleet");
    let got = kit.get(&format!("/v1/acme/flakes/{id}"));
    assert_eq!(got.status, 200);
    assert_eq!(got.json()["path"], "/fleet");
    let by_path = kit.get("/v1/acme/queries/GetFlake?path=%2Ffleet");
    assert_eq!(by_path.json(), got.json());
    let list = kit.get("/v1/acme/flakes?prefix=/fl&limit=5");
    assert_eq!(list.json()["items"][0], got.json());
    let enveloped = kit.ask("POST", "/v1/acme/queries/ListFlakes", &[JSON], "{}");
    assert_eq!(enveloped.json()["result"]["items"][0], got.json());
    let inputs = kit.get(&format!("/v1/acme/flakes/{id}/inputs"));
    assert_eq!(inputs.json()["path"], "/fleet");
    assert_eq!(kit.ask("HEAD", "/v1/acme/flakes", &[], "").text(), "");
}

#[test]
fn every_list_answers() {
    let kit = Kit::new();
    for path in ["flakes", "packages", "modules", "overlays", "configurations"] {
        let list = kit.get(&format!("/v1/acme/{path}"));
        assert_eq!(list.text(), r#"{"items":[]}"#, "{path}");
        let id = "305e9bba-2c9c-50f9-a922-34b228dc03cc";
        let one = kit.get(&format!("/v1/acme/{path}/{id}"));
        assert_eq!(one.problem(), (404, "not_found".to_owned()), "{path}");
    }
}

#[test]
fn versions_are_etags() {
    let kit = Kit::new();
    let id = kit.flake("/fleet");
    let path = format!("/v1/acme/flakes/{id}");
    assert_eq!(kit.get(&path).header("etag"), Some("\"1\""));
    let again = kit.ask("GET", &path, &["If-None-Match: \"7\", W/\"1\""], "");
    assert_eq!((again.status, again.text().as_str()), (304, ""));
    assert_eq!(again.header("etag"), Some("\"1\""));
    assert_eq!(kit.ask("GET", &path, &["If-None-Match: \"2\""], "").status, 200);

    let add = |name: &str, version: &str| {
        let body = format!(r#"{{"path":"/fleet","name":"{name}","url":"github:nixos/nixpkgs"}}"#);
        kit.command("AddFlakeInput", &[version], &body)
    };
    let stale = add("a", "If-Match: \"7\"");
    assert_eq!(stale.problem(), (412, "conflict".to_owned()));
    expect!["flake-5a3b3f4c is at version 1, not 7 as expected"]
        .assert_eq(&stale.json()["detail"].as_str().expect("text").replace(&id, "5a3b3f4c"));
    let fresh = add("a", "If-Match: \"1\"");
    assert_eq!((fresh.status, fresh.header("etag")), (200, Some("\"2\"")), "{}", fresh.text());
    assert_eq!(add("b", "If-Match: 2").problem().0, 400);
    assert_eq!(add("b", "If-Match: *").problem().0, 400);
    // The thing must not be there yet.
    let body = r#"{"path":"/fleet","description":"again"}"#;
    assert_eq!(kit.command("CreateFlake", &["If-None-Match: *"], body).problem().0, 412);

    let list = kit.get("/v1/acme/flakes");
    let tag = list.header("etag").expect("lists have one").to_owned();
    assert!(tag.starts_with("W/"), "{tag}");
    let known = format!("If-None-Match: {tag}");
    assert_eq!(kit.ask("GET", "/v1/acme/flakes", &[&known], "").status, 304);
    kit.flake("/other");
    assert_eq!(kit.ask("GET", "/v1/acme/flakes", &[&known], "").status, 200);
}

#[test]
fn a_key_of_idempotency_is_one_command() {
    let kit = Kit::new();
    let body = r#"{"path":"/fleet","description":"one"}"#;
    let key = ["Idempotency-Key: order 7"];
    let first = kit.command("CreateFlake", &key, body);
    let again = kit.command("CreateFlake", &key, body);
    assert_eq!((first.status, again.status), (200, 200), "{}", again.text());
    assert_eq!(
        (&first.json()["repeated"], &again.json()["repeated"]),
        (&false.into(), &true.into())
    );
    assert_eq!(first.json()["events"], again.json()["events"]);
    assert_eq!(first.header("x-message-id"), again.header("x-message-id"));
    let other = kit.command("CreateFlake", &key, r#"{"path":"/other","description":"two"}"#);
    assert_eq!(other.problem(), (409, "conflict".to_owned()));
    // The same text of somebody else is another key.
    let bearer = format!("Authorization: Bearer {OTHER}");
    let headers = [JSON, &bearer, key[0]];
    let theirs = kit.ask_as_nobody("POST", "/v1/beta/commands/CreateFlake", &headers, body);
    assert_eq!(theirs.json()["repeated"], false);
    assert_ne!(theirs.header("x-message-id"), first.header("x-message-id"));
    // A UUID is the id itself.
    let id = "0198f7a2-7c00-7000-8000-000000000001";
    let key = [
        &*format!("Idempotency-Key: \"{id}\""),
        "X-Correlation-ID: 0198f7a2-7c00-7000-8000-000000000002",
    ];
    let named = kit.command("CreateFlake", &key, r#"{"path":"/named","description":""}"#);
    assert_eq!(named.header("x-message-id"), Some(id));
    assert_eq!(named.header("x-correlation-id"), Some("0198f7a2-7c00-7000-8000-000000000002"));
    // The body says otherwise.
    let identity = r#"{"path":"/x","description":"","identity":{"message_id":"0198f7a2-7c00-7000-8000-000000000009","correlation_id":"0198f7a2-7c00-7000-8000-000000000009","causation_id":"0198f7a2-7c00-7000-8000-000000000009"}}"#;
    assert_eq!(kit.command("CreateFlake", &key[..1], identity).problem().0, 400);
    for bad in ["Idempotency-Key: ", "Idempotency-Key: \"\"", "Idempotency-Key: a\u{1}b"] {
        assert_eq!(kit.command("CreateFlake", &[bad], body).status, 400, "{bad}");
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    let kit = Kit::new();
    let path = "/v1/acme/commands/CreateFlake?dry_run=true";
    let body = r#"{"path":"/fleet","description":"one"}"#;
    let tried = kit.ask("POST", path, &[JSON], body);
    assert_eq!(tried.json()["dry_run"], true, "{}", tried.text());
    assert_eq!(kit.get("/v1/acme/events").json()["head"], 0);
    let odd = kit.ask("POST", "/v1/acme/commands/CreateFlake?dry_run=1", &[JSON], body);
    assert_eq!(odd.problem().0, 400);
}

#[test]
fn problems_say_what_is_wrong() {
    let kit = Kit::new();
    let none = kit.get("/v1/acme/flowers");
    assert_eq!(none.problem(), (404, "not_found".to_owned()));
    expect![[r#"{"code":"not_found","detail":"there is nothing under this path","hints":["/openapi.json has all paths"],"status":404,"title":"Not Found","type":"urn:cim-nix:problem:not_found"}"#]]
        .assert_eq(&none.text());
    let method = kit.ask("DELETE", "/v1/acme/flakes", &[], "");
    assert_eq!(method.problem(), (405, "method_not_allowed".to_owned()));
    assert_eq!(method.header("allow"), Some("GET,HEAD"));
    assert_eq!(kit.command("MeltFlake", &[], "{}").problem().0, 404);
    assert_eq!(kit.get("/v1/acme/queries/GetFlok").problem().0, 404);
    let create = "/v1/acme/commands/CreateFlake";
    for media in ["text/plain", "application/x-www-form-urlencoded"] {
        let media = format!("Content-Type: {media}");
        assert_eq!(kit.ask("POST", create, &[&media], "{}").problem().0, 415);
    }
    assert_eq!(kit.ask("POST", create, &[], "{}").problem().0, 415);
    let packed = kit.ask("POST", create, &[JSON, "Content-Encoding: gzip"], "{}");
    assert_eq!(packed.problem().0, 415);
    for body in ["", "{", "[]", "7", "{}", r#"{"path":7,"description":""}"#] {
        assert_eq!(kit.ask("POST", create, &[JSON], body).problem().0, 400, "{body}");
    }
    let missing = r#"{"path":"/none","name":"a"}"#;
    let refused = kit.command("RemoveFlakeInput", &[], missing);
    assert_eq!(refused.problem(), (422, "rejected".to_owned()), "{}", refused.text());
    for (path, detail) in [
        ("/v1/acme/flakes?limt=3", "there is no parameter `limt`"),
        ("/v1/acme/flakes?limit=3&limit=4", "the parameter `limit` comes twice"),
        ("/v1/acme/flakes?limit=-1", "`limit` has to be a number from 0 to 4294967295"),
        ("/v1/acme/events?limit=1001", "`limit` has to be a number from 0 to 1000"),
    ] {
        let answer = kit.get(path);
        assert_eq!(answer.problem().0, 400, "{path}");
        assert_eq!(answer.json()["detail"], detail);
    }
    let bad_id = kit.ask("GET", "/v1/acme/flakes", &["X-Correlation-ID: ?"], "");
    assert_eq!(bad_id.problem().0, 400);
}

#[test]
fn handlers_that_panic_leave_the_service_as_it_was() {
    let kit = Kit::new();
    let panicked = kit.command("EvaluateExpression", &[], r#"{"expression":"panic"}"#);
    assert_eq!(panicked.problem(), (500, "bug".to_owned()));
    assert_eq!(kit.command("EvaluateExpression", &[], r#"{"expression":"1+1"}"#).status, 200);
    kit.assert_ready();
}

#[test]
fn events_are_read_page_by_page() {
    let kit = Kit::new();
    for n in 0..5 {
        kit.flake(&format!("/fleet/{n}"));
    }
    let first = kit.get("/v1/acme/events?limit=3").json();
    assert_eq!(first["items"].as_array().map(Vec::len), Some(3));
    assert_eq!((&first["next"], &first["head"]), (&3.into(), &5.into()));
    let rest = kit.get("/v1/acme/events?after=3").json();
    assert_eq!(rest["items"].as_array().map(Vec::len), Some(2));
    let event = &rest["items"][0];
    assert_eq!(event["event_type"], "FlakeCreated");
    assert_eq!(event["event"]["path"], "/fleet/3");
    assert_eq!(event["origin"]["actor"], "otto");
    let id = event["event_id"].as_str().expect("an id");
    assert_eq!(&kit.get(&format!("/v1/acme/events/{id}")).json(), event);
    let none = "/v1/acme/events/305e9bba-2c9c-50f9-a922-34b228dc03cc";
    assert_eq!(kit.get(none).problem().0, 404);
}

#[test]
fn who_asks_for_others_says_so() {
    let kit = Kit::new();
    let body = r#"{"path":"/fleet","description":"one"}"#;
    kit.command("CreateFlake", &["X-User-ID: ann"], body);
    let events = kit.get("/v1/acme/events").json();
    assert_eq!(events["items"][0]["origin"]["actor"], "ann (otto)");
    assert_eq!(events["items"][0]["origin"]["via"], "http");
}

#[test]
fn health_is_open_and_metrics_are_not() {
    let kit = Kit::new();
    let open = |path| kit.ask_as_nobody("GET", path, &[], "");
    assert_eq!(open("/health/live").json()["status"], "ok");
    assert_eq!(open("/version").json()["version"], "0.0.0-test");
    kit.assert_ready();
    assert!(open("/health/ready").json()["tenants"].is_null());
    // Who may ask a tenant sees how it is, and no other one.
    let own = kit.get("/health/ready").json();
    assert_eq!(own["tenants"].as_array().map(Vec::len), Some(1), "{own}");
    assert_eq!(own["tenants"][0]["name"], "acme");
    assert_eq!(open("/metrics").problem(), (401, "unauthenticated".to_owned()));
    assert_eq!(kit.get("/metrics").text(), "cim_nix_up 1\n");
    kit.problems.write().expect("not poisoned").push("not connected to NATS".to_owned());
    let unready = open("/health/ready");
    assert_eq!(unready.status, 503);
    assert_eq!(unready.json()["reasons"][0], "not connected to NATS");
}

#[test]
fn readers_read_and_a_drained_service_says_so() {
    let kit = Kit::new();
    let bearer = format!("Authorization: Bearer {READER}");
    let list = kit.ask_as_nobody("GET", "/v1/acme/flakes", &[&bearer], "");
    assert_eq!(list.status, 200);
    kit.service.begin_drain();
    let refused = kit.get("/v1/acme/flakes");
    assert_eq!(refused.problem(), (503, "overloaded".to_owned()));
    assert_eq!(refused.header("retry-after"), Some("1"));
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    assert_eq!(kit.ask_as_nobody("GET", "/health/ready", &[], "").status, 503);
    assert_eq!(kit.ask_as_nobody("GET", "/health/live", &[], "").status, 200);
}

#[test]
fn a_stop_waits_for_what_runs() {
    let mut kit = Kit::new();
    kit.script.is_held.store(true, Ordering::SeqCst);
    let (address, held) = (kit.address, kit.script.is_held.clone());
    let asked = std::thread::spawn(move || {
        let body = r#"{"expression":"1+1"}"#;
        let request = format!(
            "POST /v1/acme/commands/EvaluateExpression HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {OPERATOR}\r\n{JSON}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        crate::kit::ask(address, request.as_bytes())
    });
    std::thread::sleep(std::time::Duration::from_millis(300));
    let release = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(500));
        held.store(false, Ordering::SeqCst);
    });
    kit.stop();
    assert_eq!(asked.join().expect("an answer").status, 200);
    release.join().expect("it was let go");
    assert!(std::net::TcpStream::connect(kit.address).is_err(), "nobody listens any more");
}
