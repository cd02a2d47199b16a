//! Older shapes of events, brought up to date one version at a time.
//!
//! An event is never rewritten where it is stored: each reader brings it up to date. A step takes
//! the JSON of version N to that of version N + 1; adding one is adding a line to [`STEPS`].

use serde_json::{Map, Value, json};

type Body = Map<String, Value>;

/// What takes a type of events from a version to the next one.
struct Step {
    event_type: &'static str,
    from: u32,
    raise: fn(&mut Body) -> Result<(), String>,
}

const STEPS: &[Step] = &[
    // Version 1, which other services write, has one output path and no names of outputs.
    Step { event_type: "PackageBuilt", from: 1, raise: outputs_by_name },
];

fn outputs_by_name(body: &mut Body) -> Result<(), String> {
    let path = body.get("output_path").and_then(Value::as_str).ok_or("`output_path` is no text")?;
    let outputs = json!({ "out": { "path": path } });
    // A writer that knows outputs by name but not the version of the shape is believed.
    body.entry("outputs").or_insert(outputs);
    Ok(())
}

/// Brings a body of version `from` up to the newest version.
///
/// Errors: what is wrong with the body, or that no step leads on from its version.
pub(crate) fn upcast(event_type: &str, from: u32, body: &str) -> Result<String, String> {
    let mut body: Body = serde_json::from_str(body).map_err(|error| error.to_string())?;
    let newest = crate::Event::newest_schema(event_type).unwrap_or(from);
    for version in from..newest {
        let step = STEPS.iter().find(|step| step.event_type == event_type && step.from == version);
        let step = step.ok_or_else(|| format!("its shape is {version}, which never was"))?;
        (step.raise)(&mut body)?;
    }
    Ok(Value::Object(body).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Event;

    #[test]
    fn each_step_leads_to_a_known_version() {
        for step in STEPS {
            let newest = Event::newest_schema(step.event_type).expect("a known type");
            assert!(step.from < newest, "{} {}", step.event_type, step.from);
        }
        for event_type in Event::TYPES {
            let newest = Event::newest_schema(event_type).expect("a known type");
            for version in 1..newest {
                let is_there =
                    STEPS.iter().any(|step| step.event_type == *event_type && step.from == version);
                assert!(is_there, "{event_type} {version}");
            }
        }
    }

    #[test]
    fn packages_of_other_services_have_their_output() {
        let body = r#"{"package_id":"0198f7a2-7c00-7000-8000-000000000001",
            "timestamp":"2026-01-01T00:00:00Z",
            "identity":{"message_id":"0198f7a2-7c00-7000-8000-000000000002",
              "correlation_id":"0198f7a2-7c00-7000-8000-000000000002",
              "causation_id":"0198f7a2-7c00-7000-8000-000000000002"},
            "flake_ref":"github:o/r","attribute":{"segments":["hello"]},
            "output_path":"/nix/store/x","build_time":{"secs":1,"nanos":2}}"#;
        let Ok(Event::PackageBuilt(built)) = Event::read("PackageBuilt", 1, body) else {
            panic!("version 1 is read")
        };
        assert_eq!(built.outputs["out"].path, "/nix/store/x");
        assert!(Event::read("PackageBuilt", 2, body).is_err(), "version 2 has outputs");
        assert!(Event::read("PackageBuilt", 0, body).is_err(), "version 0 never was");
        assert!(Event::read("PackageBuilt", 3, body).is_err(), "version 3 is newer");
    }
}
