//! Commands, queries, events, health.

use crate::kit::{Kit, OPERATOR, READER};

#[test]
fn commands_are_run_and_queries_answered() {
    let kit = Kit::new();
    let id = kit.flake("/fleet");
    let got = kit.get(&format!("/v1/acme/flakes/{id}"));
    assert_eq!(got.status, 200);
    assert_eq!(got.json()["path"], "/fleet");
    assert_eq!(got.header("etag"), Some("\"1\""));
    let by_path = kit.get("/v1/acme/queries/GetFlake?path=%2Ffleet");
    assert_eq!(by_path.json(), got.json());
    let list = kit.get("/v1/acme/flakes?prefix=/fl&limit=5");
    assert_eq!(list.json()["items"][0], got.json());
    let json = ["Content-Type: application/json"];
    let enveloped = kit.ask("POST", "/v1/acme/queries/ListFlakes", &json, "{}");
    assert_eq!(enveloped.json()["result"]["items"][0], got.json());
    let inputs = kit.get(&format!("/v1/acme/flakes/{id}/inputs"));
    assert_eq!(inputs.json()["path"], "/fleet");
}

#[test]
fn health_is_open_and_metrics_are_not() {
    let kit = Kit::new();
    let open = |path| kit.ask_as_nobody("GET", path, &[], "");
    assert_eq!(open("/health/live").json()["status"], "ok");
    assert_eq!(open("/version").json()["version"], "0.0.0-test");
    kit.assert_ready();
    assert!(open("/health/ready").json()["tenants"].is_null());
    assert_eq!(open("/metrics").problem(), (401, "unauthenticated".to_owned()));
    assert_eq!(kit.get("/metrics").text(), "cim_nix_up 1\n");
    kit.problems.write().expect("not poisoned").push("not connected to NATS".to_owned());
    let unready = open("/health/ready");
    assert_eq!(unready.status, 503);
    assert_eq!(unready.json()["reasons"][0], "not connected to NATS");
    let _ = (OPERATOR, READER);
}
