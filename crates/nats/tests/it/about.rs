//! What the service says of itself.

use cim_nix_rig::{Nats, Setup};
use serde_json::{Value, json};

use crate::python::Python;
use crate::world::{Running, service, settings};

#[test]
fn health_discovery_and_metrics_in_both_spellings() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    let Some(mut python) = Python::connect(&nats.url()) else { return };
    python.subscribe("discovery.announce");
    let service = service(&["acme"]);
    let _running = Running::start(&service, &settings(&nats.url()));
    let announced = python.next("discovery.announce").body;
    let body = json!({ "path": "/a", "description": "x" }).to_string();
    python.request("nix.cmd.flake.create", &body, json!({}));
    python.request("nix.query.flake.get", r#"{"path":"/nowhere"}"#, json!({}));
    for name in ["nix", "cim-domain-nix"] {
        let health = python.request(&format!("health.{name}"), "", json!({})).body;
        assert_eq!(health["status"], "healthy");
        assert_eq!(health["service"], "cim-domain-nix");
        assert_eq!(health["details"]["connections"]["nats"], "connected");
        assert_eq!(health["details"]["events"], 1);
        let memory = &health["details"]["memory"];
        let (used, total) = (memory["used_mb"].as_u64(), memory["total_mb"].as_u64());
        assert!(used > Some(1) && total > used, "{health}");
        assert!(health["details"]["uptime"].is_u64() && health["timestamp"].is_string());

        let discovery = python.request(&format!("discovery.{name}"), "", json!({})).body;
        assert_eq!(discovery["service"], announced["service"]);
        let endpoints = discovery["service"]["endpoints"].as_array().expect("endpoints");
        assert_eq!((endpoints.len(), &endpoints[0]), (36, &json!("nix.cmd.flake.create")));

        let metrics = python.request(&format!("metrics.{name}"), "", json!({})).body;
        assert_eq!(metrics["metrics"]["commands"], 1, "{metrics}");
        assert_eq!(metrics["metrics"]["queries_refused"], 1);
        assert_eq!(metrics["metrics"]["events"], 1);
    }
}

#[test]
fn the_protocol_of_micro_services() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    let service = service(&["acme"]);
    let _running = Running::start(&service, &settings(&nats.url()));
    let Some(mut python) = Python::connect(&nats.url()) else { return };
    for _ in 0..3 {
        python.request("nix.query.flake.list", "", json!({}));
    }
    python.request("nix.query.flake.get", r#"{"path":"/nowhere"}"#, json!({}));
    let ping = python.request("$SRV.PING", "", json!({})).body;
    assert_eq!(ping["type"], "io.nats.micro.v1.ping_response");
    let id = ping["id"].as_str().expect("an id").to_owned();
    for verb in ["PING", "INFO", "STATS"] {
        for subject in [
            format!("$SRV.{verb}"),
            format!("$SRV.{verb}.cim-domain-nix"),
            format!("$SRV.{verb}.cim-domain-nix.{id}"),
        ] {
            let said = python.request(&subject, "", json!({})).body;
            let kind = verb.to_lowercase();
            assert_eq!(said["type"], format!("io.nats.micro.v1.{kind}_response"), "{subject}");
            assert_eq!(said["id"], *id);
            for field in ["name", "version", "metadata"] {
                assert!(!said[field].is_null(), "{field} of {subject}");
            }
        }
    }
    let find = |said: &Value, name: &str| -> Value {
        let endpoints = said["endpoints"].as_array().expect("endpoints");
        assert_eq!(endpoints.len(), 36);
        endpoints.iter().find(|it| it["name"] == name).expect("it is there").clone()
    };
    let info = python.request("$SRV.INFO", "", json!({})).body;
    let list = find(&info, "ListFlakes");
    assert_eq!(list["subject"], "nix.query.flake.list");
    assert_eq!(list["queue_group"], "cim-nix");
    let stats = python.request("$SRV.STATS", "", json!({})).body;
    let list = find(&stats, "ListFlakes");
    assert_eq!((&list["num_requests"], &list["num_errors"]), (&json!(3), &json!(0)));
    let (all, average) =
        (list["processing_time"].as_u64(), list["average_processing_time"].as_u64());
    assert!(average > Some(0) && all >= average.map(|it| it * 3), "{list}");
    let get = find(&stats, "GetFlake");
    assert_eq!(get["num_errors"], 1);
    assert!(get["last_error"].as_str().is_some_and(|error| error.contains("/nowhere")), "{get}");
}
