//! Servers that are killed and connections that are cut: nothing is lost, and nothing comes twice.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cim_nix_nats::{NatsSettings, StreamSettings};
use cim_nix_rig::{Cluster, Nats, Proxy, Setup};
use cim_nix_service::{Caller, Message, Reply, Request, Role, Service, Size};
use serde_json::{Value, json};

use crate::python::Python;
use crate::world::{Running, service, settings, wait_for};

/// Makes flakes number `from` to `to`, not over NATS.
fn make(service: &Arc<Service>, from: usize, to: usize) {
    for n in from..to {
        let body = json!({ "path": format!("/flake/{n}"), "description": "x" }).to_string();
        let headers = cim_domain_nix::headers::Headers::default();
        let mut new_id = || service.new_id();
        let message =
            Message::read("CreateFlake", body.as_bytes(), &headers, Size::default(), &mut new_id);
        let tenant = service.tenant("acme").expect("a tenant").clone();
        let caller = Caller { name: "ada".into(), role: Role::Operator, via: "http" };
        let reply = service.call(Request::new(tenant, caller, message.expect("good")));
        assert!(matches!(reply, Reply::Accepted(_)), "{reply:?}");
    }
}

/// The paths of the flakes in the stream, in order, and how many different ids there are.
fn published(python: &mut Python) -> (Vec<String>, usize) {
    let held = python.call(json!({ "op": "stream", "name": "NIX_EVENTS" }));
    let messages = held["messages"].as_array().unwrap_or_else(|| panic!("{held}")).clone();
    let ids: BTreeSet<String> =
        messages.iter().map(|it| it["headers"]["Nats-Msg-Id"].to_string()).collect();
    let path = |message: &Value| {
        let body: Value =
            serde_json::from_str(message["body"].as_str().expect("text")).expect("JSON");
        body["path"].as_str().expect("a path").to_owned()
    };
    (messages.iter().map(path).collect(), ids.len())
}

fn wanted(n: usize) -> Vec<String> {
    (0..n).map(|n| format!("/flake/{n}")).collect()
}

fn is_all_published(running: &Running) -> bool {
    running.store("acme").outgoing(1).expect("a store").is_empty()
}

#[test]
fn a_server_that_is_killed_and_comes_back() {
    let Some(mut nats) = Nats::start(Setup::jetstream()) else { return };
    let service = service(&["acme"]);
    let mut running = Running::start(&service, &settings(&nats.url()));
    let Some(mut python) = Python::connect(&nats.url()) else { return };
    for round in 0..4 {
        make(&service, round * 100, round * 100 + 50);
        nats.kill();
        make(&service, round * 100 + 50, round * 100 + 100);
        nats.restart();
        wait_for("the connection", || running.nats().health()[0].is_connected);
    }
    wait_for("publishing", || is_all_published(&running));
    assert_eq!(published(&mut python), (wanted(400), 400));
    // Requests are served again, too.
    let answer = python.request("nix.query.flake.list", "", json!({}));
    assert!(answer.body.get("result").is_some(), "{}", answer.text);
    assert!(running.nats().health()[0].reconnects >= 4);
    running.stop();
}

#[test]
fn a_network_that_is_cut_again_and_again() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    let proxy = Proxy::start(nats.port());
    let service = service(&["acme"]);
    let mut running = Running::start(&service, &settings(&proxy.url()));
    let Some(mut python) = Python::connect(&nats.url()) else { return };
    let storm = proxy.storm(2_026, Duration::from_millis(20)..Duration::from_millis(120));
    for n in 0..40 {
        make(&service, n * 50, n * 50 + 50);
        std::thread::sleep(Duration::from_millis(60));
    }
    drop(storm);
    assert!(proxy.n_cuts() > 10, "{} cuts", proxy.n_cuts());
    wait_for("publishing", || is_all_published(&running));
    assert_eq!(published(&mut python), (wanted(2_000), 2_000));
    running.stop();
}

#[test]
fn a_service_that_starts_before_its_server() {
    let Some(mut nats) = Nats::start(Setup::jetstream()) else { return };
    nats.kill();
    let service = service(&["acme"]);
    let early = NatsSettings { start_without: true, ..settings(&nats.url()) };
    let running = Running::start(&service, &early);
    assert!(!running.nats().health()[0].is_connected);
    make(&service, 0, 3);
    let refused = Running::try_start(&service, &settings(&nats.url()));
    assert!(refused.is_err_and(|error| error.to_string() == "cannot connect to NATS"));
    nats.restart();
    let Some(mut python) = Python::connect(&nats.url()) else { return };
    wait_for("publishing", || is_all_published(&running));
    assert_eq!(published(&mut python), (wanted(3), 3));
    let answer = python.request("nix.query.flake.list", "", json!({}));
    assert!(answer.body.get("result").is_some(), "{}", answer.text);
}

#[test]
fn started_means_that_the_server_knows_who_listens() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    let Some(mut python) = Python::connect(&nats.url()) else { return };
    let proxy = Proxy::start(nats.port());
    // What the service says is late at the server, and whoever asks is not.
    proxy.delay(Duration::from_millis(400));
    let mut running = Running::start(&service(&["acme"]), &settings(&proxy.url()));
    let answer = python.request("nix.query.flake.list", "", json!({}));
    assert!(answer.body.get("result").is_some(), "{}", answer.text);
    proxy.delay(Duration::ZERO);
    running.stop();
}

/// A server that keeps nothing, the way to it, and a service.
fn to_whoever_listens() -> Option<(Nats, Proxy, Arc<Service>)> {
    let nats = Nats::start(Setup::default())?;
    let proxy = Proxy::start(nats.port());
    Some((nats, proxy, service(&["acme"])))
}

fn without_stream(proxy: &Proxy) -> NatsSettings {
    let stream = StreamSettings { enabled: false, ..StreamSettings::default() };
    NatsSettings { stream, ..settings(&proxy.url()) }
}

#[test]
fn events_without_a_stream_count_as_published_when_the_server_had_them() {
    let Some((nats, proxy, service)) = to_whoever_listens() else { return };
    let mut running = Running::start(&service, &without_stream(&proxy));
    let Some(mut python) = Python::connect(&nats.url()) else { return };
    python.subscribe("nix.event.>");
    proxy.hold(true);
    make(&service, 0, 3);
    // They are sent at once, and are on their way.
    std::thread::sleep(Duration::from_millis(500));
    assert!(!is_all_published(&running), "the server has had none of them");
    proxy.hold(false);
    wait_for("publishing", || is_all_published(&running));
    let paths = python.gather("nix.event.>").into_iter();
    let paths: BTreeSet<_> = paths.map(|event| event.body["path"].to_string()).collect();
    assert_eq!(paths.len(), 3, "{paths:?}");
    running.stop();
}

#[test]
fn events_without_a_stream_come_at_least_once_and_in_order() {
    let Some((nats, proxy, service)) = to_whoever_listens() else { return };
    let mut running = Running::start(&service, &without_stream(&proxy));
    let Some(mut python) = Python::connect(&nats.url()) else { return };
    python.subscribe("nix.event.>");
    for n in 0..10 {
        make(&service, n * 20, n * 20 + 20);
        proxy.cut();
        std::thread::sleep(Duration::from_millis(50));
    }
    wait_for("publishing", || is_all_published(&running));
    let mut seen = BTreeSet::new();
    let mut firsts = Vec::new();
    for event in python.gather("nix.event.>") {
        if seen.insert(event.header("Nats-Msg-Id").to_owned()) {
            firsts.push(event.body["path"].as_str().expect("a path").to_owned());
        }
    }
    assert_eq!(firsts, wanted(200));
    running.stop();
}

#[test]
fn a_stream_that_others_own_is_looked_for() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    let service = service(&["acme"]);
    let stream = StreamSettings { create: false, ..StreamSettings::default() };
    let own = NatsSettings { stream, ..settings(&nats.url()) };
    let mut running = Running::start(&service, &own);
    make(&service, 0, 1);
    std::thread::sleep(Duration::from_millis(400));
    assert!(!is_all_published(&running), "no stream takes it yet");
    let mut other = Running::start(&crate::world::service(&["acme"]), &settings(&nats.url()));
    make(&other.service.clone(), 5, 6);
    wait_for("publishing", || is_all_published(&running) && is_all_published(&other));
    other.stop();
    running.stop();
}

#[test]
fn a_cluster_that_loses_a_server() {
    let Some(mut cluster) = Cluster::start(3, &Setup::jetstream()) else { return };
    let service = service(&["acme"]);
    let stream = StreamSettings { replicas: 3, ..StreamSettings::default() };
    let urls = cluster.urls();
    let all = NatsSettings { servers: urls.clone(), stream, ..settings(&urls[0]) };
    let mut running = Running::start(&service, &all);
    make(&service, 0, 100);
    wait_for("publishing", || is_all_published(&running));
    for node in 0..2 {
        cluster.nodes[node].kill();
        let from = 100 + node * 100;
        make(&service, from, from + 100);
        wait_for("publishing with two servers", || is_all_published(&running));
        cluster.nodes[node].restart();
    }
    let Some(mut python) = Python::connect(&urls[2]) else { return };
    assert_eq!(published(&mut python), (wanted(300), 300));
    running.stop();
}

/// All publish all events at the same time. With conditions, a cluster loses the stream in most runs.
#[test]
fn instances_publish_to_a_cluster_at_once() {
    let Some(cluster) = Cluster::start(3, &Setup::jetstream()) else { return };
    let service = service(&["acme"]);
    let stream = StreamSettings { replicas: 3, ..StreamSettings::default() };
    let urls = cluster.urls();
    let all = NatsSettings { servers: urls.clone(), stream, ..settings(&urls[0]) };
    make(&service, 0, 3_000);
    let mut instances = [(); 4].map(|()| Running::start(&service, &all));
    wait_for("publishing", || instances.iter().all(is_all_published));
    let Some(mut python) = Python::connect(&urls[2]) else { return };
    assert_eq!(published(&mut python), (wanted(3_000), 3_000));
    instances.iter_mut().for_each(Running::stop);
}
