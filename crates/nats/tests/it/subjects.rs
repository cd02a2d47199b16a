//! Every one of the 46 subjects, end to end.

use std::collections::BTreeMap;
use std::path::Path;

use cim_domain_nix::{Role, Subject};
use cim_nix_rig::{Nats, Setup};
use serde_json::{Value, json};

use crate::python::Python;
use crate::world::{Running, events, service, settings};

/// A message as other services write it, from what the domain has frozen.
pub(crate) fn frozen(folder: &str, name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../domain/fixtures/wire").join(folder);
    let text = std::fs::read_to_string(folder.join(format!("{name}.json"))).expect("it is frozen");
    serde_json::from_str(&text).expect("JSON")
}

/// The sixteen commands in an order in which each of them makes sense.
const ORDER: [&str; 16] = [
    "CreateFlake",
    "AddFlakeInput",
    "UpdateFlake",
    "RemoveFlakeInput",
    "BuildPackage",
    "CachePackage",
    "CreateModule",
    "UpdateModule",
    "DeleteModule",
    "CreateOverlay",
    "UpdateOverlay",
    "DeleteOverlay",
    "CreateConfiguration",
    "UpdateConfiguration",
    "ActivateConfiguration",
    "RollbackConfiguration",
];

fn command(name: &str, nth: usize) -> Value {
    let mut body = frozen("commands", &format!("{name}.minimal"));
    let id = format!("0198f7a2-7c00-7000-8000-0000000010{nth:02x}");
    body["identity"] = json!({ "message_id": id, "correlation_id": id, "causation_id": id });
    match name {
        "CreateFlake" => body["template"] = Value::Null,
        // The contract's shape says nothing of what shall change.
        "UpdateFlake" => body["edit"] = json!({ "set_description": { "description": "new" } }),
        "UpdateModule" => body["module"]["imports"] = json!(["./other.nix"]),
        "UpdateOverlay" => body["overlay"]["additions"] = json!({ "other": { "Int": 1 } }),
        "UpdateConfiguration" => body["configuration"]["hostname"] = json!("other"),
        _ => {}
    }
    body
}

#[test]
fn all_46_subjects_work_end_to_end() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    let service = service(&["acme"]);
    let mut running = Running::start(&service, &settings(&nats.url()));
    let Some(mut python) = Python::connect(&nats.url()) else { return };
    python.subscribe("nix.event.>");

    let mut causes = BTreeMap::new();
    for (nth, name) in ORDER.iter().enumerate() {
        let subject = Subject::of(name).expect("a subject").as_str();
        let body = command(name, nth);
        let id = body["identity"]["message_id"].as_str().expect("an id").to_owned();
        let answer = python.request(subject, &body.to_string(), json!({ "X-User-ID": "ann" }));
        assert_eq!(answer.body["status"], "success", "{name}: {}", answer.text);
        assert_eq!(answer.body["command_id"]["id"], *id);
        assert_eq!(answer.header("X-Causation-ID"), id);
        assert_eq!(answer.header("X-Correlation-ID"), id);
        assert_eq!(answer.header("Nats-Service-Error"), "");
        assert!(!answer.header("X-Message-ID").is_empty());
        causes.insert(id, *name);
    }

    let mut seen = BTreeMap::new();
    for event in python.gather("nix.event.>") {
        let subject: Subject = event.subject.parse().expect("one of the 46");
        assert_eq!(subject.message_type(), event.header("X-Event-Type"));
        assert_eq!(event.header("X-Event-ID"), event.header("Nats-Msg-Id"));
        assert_eq!(event.header("X-Domain"), "nix");
        assert_eq!(event.body["identity"]["message_id"], event.header("X-Event-ID"));
        assert!(causes.contains_key(event.header("X-Causation-ID")), "{event:?}");
        assert_eq!(event.header("X-Correlation-ID"), event.header("X-Causation-ID"));
        for header in ["X-Aggregate-ID", "X-Timestamp", "X-Schema-Version", "X-User-ID"] {
            assert!(!event.header(header).is_empty(), "{header} is missing: {event:?}");
        }
        seen.insert(event.subject.clone(), event);
    }
    let of_events = Subject::all().iter().filter(|subject| subject.role() == Role::Event);
    let wanted: Vec<&str> = of_events.map(|subject| subject.as_str()).collect();
    let missing: Vec<&&str> = wanted.iter().filter(|it| !seen.contains_key(**it)).collect();
    // What only we have is told as well, on subjects of the same form.
    let of_contract = seen.keys().filter(|it| wanted.contains(&it.as_str())).count();
    assert_eq!((missing, of_contract), (vec![], 16));
    assert!(seen.keys().all(|it| it.parse::<Subject>().is_ok()));

    for subject in Subject::all().iter().filter(|subject| subject.role() == Role::Query) {
        let name = subject.message_type();
        let mut body = frozen("queries", &format!("{name}.minimal"));
        if subject.action() != "list" {
            // What is asked for was made above, or has a history.
            body = query_of(name);
        }
        let answer = python.request(subject.as_str(), &body.to_string(), json!({}));
        let is_gone = matches!(name, "GetModule" | "GetOverlay");
        match is_gone {
            true => {
                assert_eq!(answer.header("Nats-Service-Error-Code"), "404", "{}", answer.text);
                assert_eq!(answer.body["code"], "not_found");
            }
            false => assert!(answer.body.get("result").is_some(), "{name}: {}", answer.text),
        }
    }
    running.stop();
    let store = running.store("acme");
    assert!(store.outgoing(10).expect("a store").is_empty());
    assert!(events(&*store).len() >= 16);
}

fn query_of(name: &str) -> Value {
    let flake = command("CreateFlake", 0);
    let build = command("BuildPackage", 0);
    let module = command("CreateModule", 0);
    match name {
        "GetFlake" | "GetFlakeInputs" => json!({ "path": flake["path"] }),
        "GetPackage" | "GetBuildStatus" => {
            json!({ "flake_ref": build["flake_ref"], "attribute": build["attribute"] })
        }
        "GetModule" => json!({ "name": module["name"] }),
        "GetOverlay" => json!({ "name": command("CreateOverlay", 0)["name"] }),
        _ => json!({ "name": command("CreateConfiguration", 0)["name"] }),
    }
}
