//! Events of other domains, published by somebody else and kept once.

use cim_nix_nats::{ForeignSettings, NatsSettings};
use cim_nix_rig::{Nats, Setup};
use serde_json::json;

use crate::python::Python;
use crate::world::{Running, events, service, settings, wait_for};

fn publish(python: &mut Python, subject: &str, body: &str, headers: &serde_json::Value) {
    let wish = json!({ "op": "publish", "subject": subject, "body": body, "headers": headers });
    assert_eq!(python.call(wish)["ok"], true);
}

#[test]
fn each_is_kept_once_and_none_is_published_again() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    let service = service(&["acme"]);
    let foreign = ForeignSettings { network: true, git: true, ..ForeignSettings::default() };
    let wanted = NatsSettings { foreign, ..settings(&nats.url()) };
    let mut running = Running::start(&service, &wanted);
    let Some(mut python) = Python::connect(&nats.url()) else { return };
    let store = running.store("acme");
    let commit = r#"{"event_type":"CommitAnalyzed","repository_id":"r","unknown":1}"#;
    let id = json!({ "X-Event-ID": "0198f7a2-7c00-7000-8000-000000000003" });
    let other = json!({ "X-Event-ID": "0198f7a2-7c00-7000-8000-000000000004" });
    for headers in [&id, &id, &other] {
        publish(&mut python, "git.event.commit.analyzed", commit, headers);
    }
    // Without an id, what says the same is the same.
    let route = r#"{"node_id":"n1","timestamp":"2026-11-24T14:20:59Z"}"#;
    for subject in ["network.route.added", "network.route.added", "network.route.removed"] {
        publish(&mut python, subject, route, &json!({}));
    }
    publish(&mut python, "cim.network.node.n1.configuration.updated", "{}", &json!({}));
    publish(&mut python, "network.route.added", "no JSON", &json!({}));
    wait_for("keeping", || events(&*store).len() == 5);
    wait_for("the outbox", || store.outgoing(1).expect("a store").is_empty());
    let mut types: Vec<String> = events(&*store).into_iter().map(|(name, _)| name).collect();
    types.sort();
    assert_eq!(
        types,
        [
            "git.CommitAnalyzed",
            "git.CommitAnalyzed",
            "network.NodeConfigurationUpdated",
            "network.RouteAdded",
            "network.RouteRemoved",
        ]
    );
    let mut bodies = Vec::new();
    store
        .read_all(0, &mut |record| {
            bodies.push((record.kind.to_owned(), record.body.to_owned()));
            Ok(std::ops::ControlFlow::Continue(()))
        })
        .expect("a store");
    assert!(bodies.contains(&("foreign_git".to_owned(), commit.to_owned())), "{bodies:?}");
    // Our own work goes on beside them.
    let body = json!({ "path": "/a", "description": "x" }).to_string();
    let answer = python.request("nix.cmd.flake.create", &body, json!({}));
    assert_eq!(answer.body["status"], "success", "{}", answer.text);
    let answer = python.request("nix.query.flake.list", "", json!({}));
    assert_eq!(answer.body["result"]["items"].as_array().map(Vec::len), Some(1));
    running.stop();
}

#[test]
fn none_is_missed_where_a_stream_has_them() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    let Some(mut python) = Python::connect(&nats.url()) else { return };
    let made = python.call(json!({
        "op": "make_stream", "name": "GIT_EVENTS", "subjects": ["git.event.>"],
    }));
    assert_eq!(made["ok"], true, "{made}");
    let service = service(&["acme"]);
    let foreign = ForeignSettings {
        git: true,
        git_stream: Some("GIT_EVENTS".to_owned()),
        ..ForeignSettings::default()
    };
    let wanted = NatsSettings { foreign, ..settings(&nats.url()) };
    let mut n = 0;
    let mut publish_some = |python: &mut Python| {
        for _ in 0..20 {
            n += 1;
            let body = json!({ "event_type": "BranchDeleted", "repository_id": "r", "n": n });
            publish(python, "git.event.branch.deleted", &body.to_string(), &json!({}));
        }
    };
    publish_some(&mut python);
    for round in 1..=3 {
        let mut running = Running::start(&service, &wanted);
        publish_some(&mut python);
        let store = running.store("acme");
        wait_for("keeping", || events(&*store).len() == round * 40 - 20 + 20);
        running.stop();
        publish_some(&mut python);
    }
}
