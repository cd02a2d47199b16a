//! Frozen answers: what a store with frozen events answers to each of the 14 queries, as it is
//! written.

use cim_domain_nix::{
    Answer, Append, Event, EventStore, Expected, MemoryStore, NewEvent, Query, ask,
};
use expect_test::expect_file;

use crate::wire::frozen;

/// A store with a fleet that was made, built, and put into force.
fn store() -> MemoryStore {
    let (store, files) = (MemoryStore::default(), frozen("events"));
    for name in [
        "FlakeCreated",
        "FlakeUpdated",
        "FlakeInputAdded",
        "PackageBuilt",
        "PackageCached",
        "PackageBuildFailed",
        "ModuleCreated",
        "OverlayCreated",
        "ConfigurationCreated",
        "ConfigurationActivated",
        "ConfigurationRolledBack",
    ] {
        let schema = Event::newest_schema(name).unwrap();
        let event = Event::read(name, schema, &files[name]).unwrap();
        let identity = event.identity().clone();
        let new = NewEvent {
            id: identity.message_id.uuid().unwrap(),
            event_type: name.to_owned(),
            schema,
            at: event.at(),
            correlation: identity.correlation_id,
            causation: identity.causation_id,
            body: files[name].clone(),
            meta: r#"{"actor":"ann"}"#.to_owned(),
        };
        let (stream, expected) = (event.stream(), Expected::Any);
        store.append(Append { stream, expected, events: vec![new], intent: None }).unwrap();
    }
    store
}

#[test]
fn answers_are_frozen() {
    const FLAKE: &str = r#"{"path":"/home/ann/fleet"}"#;
    const PACKAGE: &str = r#"{"flake_ref":"/home/ann/fleet","attribute":{"segments":["packages","x86_64-linux","hello"]}}"#;
    let named = |name: &str| format!(r#"{{"project":"/home/ann/fleet","name":"{name}"}}"#);
    let questions = [
        ("GetFlake", FLAKE.to_owned()),
        ("ListFlakes", "{}".to_owned()),
        ("GetFlakeInputs", FLAKE.to_owned()),
        ("GetPackage", PACKAGE.to_owned()),
        ("ListPackages", r#"{"query":"HEL"}"#.to_owned()),
        ("GetBuildStatus", PACKAGE.to_owned()),
        ("GetModule", named("web")),
        ("ListModules", r#"{"option":"services.web.enable"}"#.to_owned()),
        ("GetOverlay", named("tools")),
        ("ListOverlays", r#"{"package":"deploy"}"#.to_owned()),
        ("GetConfiguration", named("web")),
        ("ListConfigurations", r#"{"kind":"nixos"}"#.to_owned()),
        ("GetCurrentConfiguration", "{}".to_owned()),
        ("GetConfigurationHistory", named("web")),
    ];
    assert_eq!(questions.each_ref().map(|(name, _)| *name).as_slice(), Query::TYPES);
    let store = store();
    for (name, question) in &questions {
        let query = Query::read(name, question).unwrap();
        let answer = ask(&store, &query).unwrap_or_else(|error| panic!("{name}: {error}"));
        let json = answer.to_value().unwrap();
        let text = serde_json::to_string_pretty(&json).unwrap() + "\n";
        let file = format!("{}/fixtures/wire/answers/{name}.json", env!("CARGO_MANIFEST_DIR"));
        expect_file![file].assert_eq(&text);
        assert_eq!(Answer::read(name, &text).unwrap(), answer, "{name}");
    }
}
