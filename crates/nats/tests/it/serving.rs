//! How requests are taken and answered.

use std::sync::Arc;

use cim_domain_nix::MemoryStore;
use cim_nix_nats::{NatsSettings, TenantsBy};
use cim_nix_rig::{Nats, Setup};
use cim_nix_service::{Limits, Role};
use serde_json::{Value, json};

use crate::python::Python;
use crate::world::{Running, events, of, service, settings, tenant, wait_for};

fn create(path: &str) -> Value {
    json!({ "path": path, "description": "x" })
}

#[test]
fn both_forms_of_identity_envelopes_and_prefixed_headers() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    let service = service(&["acme"]);
    let mut running = Running::start(&service, &settings(&nats.url()));
    let Some(mut python) = Python::connect(&nats.url()) else { return };
    let id = |n: u32| format!("0198f7a2-7c00-7000-8000-{n:012x}");
    let subject = "nix.cmd.flake.create";

    // Tagged ids.
    let mut body = create("/a");
    body["identity"] = json!({
        "message_id": { "Uuid": id(1) }, "correlation_id": { "Cid": "bafkreiabcdefgh" },
        "causation_id": { "Uuid": id(2) },
    });
    let answer = python.request(subject, &body.to_string(), json!({}));
    assert_eq!(answer.body["status"], "success", "{}", answer.text);
    assert_eq!(answer.header("X-Correlation-ID"), "bafkreiabcdefgh");
    assert_eq!(answer.header("X-Causation-ID"), id(1));

    // An envelope, answered as an acknowledgement.
    let body = json!({
        "id": { "id": id(3) }, "command": create("/b"), "issued_by": "ann",
        "identity": { "message_id": id(3), "correlation_id": id(4), "causation_id": id(4) },
    });
    let answer = python.request(subject, &body.to_string(), json!({}));
    assert_eq!(answer.body["status"], "Accepted", "{}", answer.text);
    assert_eq!(answer.body["command_id"]["id"], id(3));
    assert_eq!(answer.header("X-Correlation-ID"), id(4));

    // No identity at all but in headers, with the prefixes that libraries write.
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = json!({
        "X-Message-ID": id(5), "X-Correlation-ID": format!("correlation:{}", id(6)),
        "X-Causation-ID": format!("causation:{}", id(6)), "traceparent": trace,
    });
    let answer = python.request(subject, &create("/c").to_string(), headers.clone());
    assert_eq!(answer.body["status"], "success", "{}", answer.text);
    assert_eq!(answer.header("X-Causation-ID"), id(5));
    assert_eq!(answer.header("X-Correlation-ID"), id(6));
    assert_eq!(answer.header("traceparent"), trace);

    // The same again is the same.
    let again = python.request(subject, &create("/c").to_string(), headers.clone());
    assert_eq!(again.body["repeated"], true, "{}", again.text);
    assert_eq!(again.body["events"], answer.body["events"]);
    // Another command with its id is not.
    let other = python.request(subject, &create("/d").to_string(), headers);
    assert_eq!(other.header("Nats-Service-Error-Code"), "409", "{}", other.text);

    // A query in an envelope.
    let body = json!({
        "id": { "id": id(7) }, "query": { "path": "/c" }, "issued_by": "ann",
        "identity": { "message_id": id(7), "correlation_id": id(8), "causation_id": id(8) },
    });
    let answer = python.request("nix.query.flake.get", &body.to_string(), json!({}));
    assert_eq!(answer.body["result"]["path"], "/c", "{}", answer.text);
    assert_eq!(answer.header("X-Correlation-ID"), id(8));
    assert_eq!(answer.body["query_id"]["id"], id(7));
    // An empty body asks for everything.
    let answer = python.request("nix.query.flake.list", "", json!({}));
    assert_eq!(answer.body["result"]["items"].as_array().map(Vec::len), Some(3), "{}", answer.text);
    running.stop();
    assert_eq!(events(&*running.store("acme")).len(), 3);
}

#[test]
fn wishes_in_headers_and_refusals_in_headers() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    let service = service(&["acme"]);
    let running = Running::start(&service, &settings(&nats.url()));
    let Some(mut python) = Python::connect(&nats.url()) else { return };
    let subject = "nix.cmd.flake.create";
    let dry = python.request(subject, &create("/a").to_string(), json!({ "X-Dry-Run": "true" }));
    assert_eq!(dry.body["dry_run"], true, "{}", dry.text);
    assert!(events(&*running.store("acme")).is_empty());
    let mut refused = String::new();
    for (subject, body, headers) in [
        (subject, create("/a"), json!({ "X-Expected-Version": "7" })),
        (subject, create("/a"), json!({ "X-Expected-Version": "new" })),
        (subject, json!([]), json!({})),
        (subject, json!({ "path": 7 }), json!({})),
        ("nix.cmd.flake.melt", json!({}), json!({})),
        ("nix.query.flake", json!({}), json!({})),
        ("nix.query.flake.get", json!({ "path": "/nowhere" }), json!({})),
    ] {
        let answer = python.request(subject, &body.to_string(), headers);
        let (code, error) =
            (answer.header("Nats-Service-Error-Code"), answer.header("Nats-Service-Error"));
        assert_eq!(answer.body["status"], "error", "{body}: {}", answer.text);
        refused.push_str(&format!("{code} {} {error}\n", answer.body["code"]));
    }
    expect_test::expect![[r#"
        409 "conflict" flake-5ea970a5-a358-5434-8519-134741ab64b8 is at version 0, not 7 as expected
        400 "malformed" the header X-Expected-Version is `new`, not a version
        400 "malformed" the message is no JSON object
        400 "malformed" the body of CreateFlake does not fit: invalid type: integer `7`, expected a string
        404 "not_found" nothing is served on `nix.cmd.flake.melt`
        404 "not_found" nothing is served on `nix.query.flake`
        404 "not_found" there is no flake `/nowhere`
    "#]].assert_eq(&refused);
    let hint = python.request("nix.cmd.flake.melt", "{}", json!({})).body["hints"][0].clone();
    assert!(hint.as_str().is_some_and(|hint| hint.contains("nix.cmd.config.rollback")), "{hint}");
    // Too deep and too long.
    let deep = "[".repeat(200);
    assert_eq!(python.request(subject, &deep, json!({})).body["code"], "too_large");
    // Nobody waits: it is done all the same.
    let sent = json!({ "op": "publish", "subject": subject, "body": create("/b").to_string() });
    python.call(sent);
    wait_for("the command", || events(&*running.store("acme")).len() == 1);
}

#[test]
fn nobody_makes_the_service_speak_elsewhere() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    let service = service(&["acme"]);
    let running = Running::start(&service, &settings(&nats.url()));
    let Some(mut python) = Python::connect(&nats.url()) else { return };
    python.subscribe("nix.event.>");
    python.subscribe("nix.cmd.>");
    for (subject, reply) in [
        ("nix.query.flake.list", "nix.event.flake.created"),
        ("nix.query.flake.list", "nix.cmd.flake.create"),
        ("nix.query.flake.list", "$JS.API.STREAM.DELETE.NIX_EVENTS"),
        ("nix.query.flake.list", "_INBOXES"),
        ("health.nix", "nix.event.flake.created"),
        ("$SRV.PING", "nix.event.flake.created"),
    ] {
        let sent = json!({ "op": "publish", "subject": subject, "body": "", "reply": reply });
        assert_eq!(python.call(sent)["ok"], true);
    }
    let answer = python.request("nix.query.flake.list", "", json!({}));
    assert!(answer.body.get("result").is_some());
    for subject in ["nix.event.>", "nix.cmd.>"] {
        assert_eq!(python.gather(subject).len(), 0);
    }
    assert_eq!(running.service.audit().last(10).len(), 4);
}

#[test]
fn two_instances_run_each_command_once() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    let shared = Arc::new(MemoryStore::default());
    let services = [(); 2].map(|()| of([tenant("acme", shared.clone(), Limits::default())]));
    let mut running: Vec<Running> =
        services.iter().map(|service| Running::start(service, &settings(&nats.url()))).collect();
    let Some(mut python) = Python::connect(&nats.url()) else { return };
    let requests: Vec<Value> = (0..200)
        .map(|n| {
            let body = create(&format!("/flake/{n}")).to_string();
            json!({ "subject": "nix.cmd.flake.create", "body": body })
        })
        .collect();
    let replies = python.call(json!({ "op": "all", "requests": requests }));
    let replies = replies["replies"].as_array().expect("replies").clone();
    let accepted = replies.iter().filter(|it| {
        it["body"].as_str().is_some_and(|body| body.contains(r#""status":"success""#))
    });
    assert_eq!(accepted.count(), 200);
    assert_eq!(events(&*shared).len(), 200);
    // Both had their share, as each says of itself.
    let stats = python.call(json!({ "op": "survey", "subject": "$SRV.STATS.cim-domain-nix" }));
    let shares: Vec<u64> = stats["replies"]
        .as_array()
        .expect("replies")
        .iter()
        .map(|reply| {
            let said: Value =
                serde_json::from_str(reply["body"].as_str().expect("text")).expect("JSON");
            let endpoints = said["endpoints"].as_array().expect("endpoints").clone();
            let one = endpoints.iter().find(|it| it["name"] == "CreateFlake").expect("it is there");
            one["num_requests"].as_u64().expect("a number")
        })
        .collect();
    assert_eq!((shares.len(), shares.iter().sum::<u64>()), (2, 200), "{shares:?}");
    assert!(shares.iter().all(|share| *share > 20), "{shares:?}");
    for one in &mut running {
        one.stop();
    }
    let held = python.call(json!({ "op": "stream", "name": "NIX_EVENTS" }));
    let ids: std::collections::BTreeSet<&str> = held["messages"]
        .as_array()
        .expect("messages")
        .iter()
        .map(|message| message["headers"]["Nats-Msg-Id"].as_str().expect("an id"))
        .collect();
    assert_eq!((ids.len(), held["messages"].as_array().map(Vec::len)), (200, Some(200)));
}

#[test]
fn too_many_commands_are_refused_at_once_and_progress_is_told() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    let service = service(&["acme"]);
    let settings = NatsSettings { in_flight: 2, ..settings(&nats.url()) };
    let mut running = Running::start(&service, &settings);
    let Some(mut python) = Python::connect(&nats.url()) else { return };
    python.subscribe("nix.progress.*");
    let build = |nth: u32| {
        let id = format!("0198f7a2-7c00-7000-8000-{nth:012x}");
        let body = json!({
            "flake_ref": "/home/ann/fleet",
            "attribute": { "segments": ["packages", "x86_64-linux", "slow"] },
            "identity": { "message_id": id, "correlation_id": id, "causation_id": id },
        });
        json!({ "subject": "nix.cmd.package.build", "body": body.to_string() })
    };
    let requests: Vec<Value> = (0..5).map(build).collect();
    let replies = python.call(json!({ "op": "all", "requests": requests }));
    let codes: Vec<&str> = replies["replies"]
        .as_array()
        .expect("replies")
        .iter()
        .map(|reply| reply["headers"]["Nats-Service-Error-Code"].as_str().unwrap_or("200"))
        .collect();
    assert_eq!(codes, ["200", "200", "503", "503", "503"]);
    let progress = python.gather("nix.progress.*");
    assert_eq!(progress.len(), 4, "{progress:?}");
    let of_first: Vec<&Value> = progress
        .iter()
        .filter(|it| it.subject == "nix.progress.0198f7a2-7c00-7000-8000-000000000000")
        .map(|it| &it.body["stage"])
        .collect();
    assert_eq!(of_first, ["building", "built"]);
    running.stop();
}

#[test]
fn a_command_under_way_gets_its_reply_when_the_service_stops() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    let service = service(&["acme"]);
    let mut running = Running::start(&service, &settings(&nats.url()));
    let Some(mut python) = Python::connect(&nats.url()) else { return };
    let body = json!({
        "flake_ref": "/f", "attribute": { "segments": ["packages", "x86_64-linux", "slow"] },
    })
    .to_string();
    let store = running.store("acme");
    let answer = std::thread::scope(|scope| {
        let asked = scope.spawn(|| python.request("nix.cmd.package.build", &body, json!({})));
        wait_for("the build", || service.health().tenants[0].effects == 1);
        running.stop();
        asked.join().expect("an answer")
    });
    assert_eq!(answer.body["status"], "success", "{}", answer.text);
    assert!(store.outgoing(1).expect("a store").is_empty(), "its event is published");
}

#[test]
fn tenants_behind_a_prefix_and_readers_only() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    let service = service(&["acme", "umbrella"]);
    let shared = NatsSettings {
        prefix: Some("prod".to_owned()),
        tenants_by: TenantsBy::Token,
        ..settings(&nats.url())
    };
    let mut running = Running::start(&service, &shared);
    let Some(mut python) = Python::connect(&nats.url()) else { return };
    python.subscribe("prod.*.nix.event.>");
    let body = create("/a").to_string();
    let answer = python.request("prod.acme.nix.cmd.flake.create", &body, json!({}));
    assert_eq!(answer.body["status"], "success", "{}", answer.text);
    assert_eq!(python.next("prod.*.nix.event.>").subject, "prod.acme.nix.event.flake.created");
    let list = |python: &mut Python, tenant: &str| {
        let answer = python.request(&format!("prod.{tenant}.nix.query.flake.list"), "", json!({}));
        answer.body["result"]["items"].as_array().map(Vec::len)
    };
    assert_eq!((list(&mut python, "acme"), list(&mut python, "umbrella")), (Some(1), Some(0)));
    for subject in ["nix.cmd.flake.create", "prod.other.nix.cmd.flake.create"] {
        let wish = json!({ "op": "request", "subject": subject, "body": body });
        assert_eq!(python.call(wish), json!({ "error": "no responders" }));
    }
    running.stop();
    let held = python.call(json!({ "op": "stream", "name": "NIX_EVENTS_ACME" }));
    assert_eq!(held["subjects"], json!(["prod.acme.nix.event.>"]));

    let only = NatsSettings { role: Role::Reader, ..settings(&nats.url()) };
    let service = crate::world::service(&["acme"]);
    let _running = Running::start(&service, &only);
    let answer = python.request("nix.cmd.flake.create", &body, json!({}));
    assert_eq!(answer.header("Nats-Service-Error-Code"), "403", "{}", answer.text);
}
