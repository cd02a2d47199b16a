//! Frozen messages: once released, each of them is read and written like this for ever.
//!
//! `NAME.json` has every field and is written exactly so. `NAME.minimal.json` has the fields of the
//! contract alone, with the version of the shape that other services write. `NAME.plain.json` is the
//! minimal message in another form that they write; it is only read.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;

use cim_domain_nix::command::{CreateFlake, RunGarbageCollection};
use cim_domain_nix::{
    BuiltOutput, Command, CommandAcknowledgment, CommandEnvelope, Draft, Event, Evidence,
    FlakeEdit, FlakeFacts, MemoryStore, MessageIdentity, Query, QueryError, Role, State, Subject,
    Timestamp, Took, Uuid, ask,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// Reads the frozen messages of a folder: texts by name.
pub(crate) fn frozen(folder: &str) -> BTreeMap<String, String> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "fixtures/wire", folder].iter().collect();
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let file = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let name = name.strip_suffix(".json").expect("messages are JSON");
        (name.to_owned(), std::fs::read_to_string(&path).unwrap())
    };
    files.map(file).collect()
}

/// JSON without the space between its words, in the order in which it is written.
fn compact(json: &str) -> String {
    let mut out = String::new();
    let (mut is_text, mut is_escaped) = (false, false);
    for c in json.chars() {
        if is_text || !c.is_whitespace() {
            out.push(c);
        }
        (is_text, is_escaped) = match (is_text, c) {
            (true, '"') if !is_escaped => (false, false),
            (true, '\\') => (true, !is_escaped),
            (true, _) => (true, false),
            (false, _) => (c == '"', false),
        };
    }
    out
}

/// Whether all that `less` says is said by `more` as well.
fn is_part(less: &Value, more: &Value) -> bool {
    match (less, more) {
        (Value::Object(less), Value::Object(more)) => {
            less.iter().all(|(name, less)| more.get(name).is_some_and(|more| is_part(less, more)))
        }
        (Value::Array(less), Value::Array(more)) => {
            less.len() == more.len()
                && less.iter().zip(more).all(|(less, more)| is_part(less, more))
        }
        (less, more) => less == more,
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Checks the messages of a folder. `types` are those that need one; the first `contract` of them
/// need a minimal one, too.
fn check_messages<T: PartialEq + Debug>(
    folder: &str,
    types: &[&str],
    contract: &[&str],
    read: impl Fn(&str, bool, &str) -> T,
    write: impl Fn(&T) -> String,
) {
    let files = frozen(folder);
    let full: Vec<_> = files.keys().filter(|name| !name.contains('.')).collect();
    let mut wanted: Vec<_> = types.to_vec();
    wanted.sort_unstable();
    assert_eq!(full, wanted, "one frozen message of each type");
    for name in contract {
        assert!(files.contains_key(&format!("{name}.minimal")), "{name} has a minimal form");
    }
    for (name, text) in &files {
        let (message_type, form) = name.split_once('.').unwrap_or((name, "full"));
        let message = read(message_type, form == "full", text);
        let written = write(&message);
        match form {
            "full" => assert_eq!(written, compact(text), "{name}"),
            "minimal" => {
                assert!(is_part(&json(text), &json(&written)), "{name} became {written}");
                assert_eq!(read(message_type, true, &written), message, "{name}");
            }
            "plain" => {
                let minimal = &files[&format!("{message_type}.minimal")];
                assert_eq!(message, read(message_type, false, minimal), "{name}");
                assert_ne!(json(text), json(minimal), "{name} is another form");
            }
            _ => panic!("{name} has an unknown form"),
        }
    }
}

/// The types that have a subject in the contract.
fn contract(
    types: &[&'static str],
    subject: fn(&str) -> Option<&'static str>,
) -> Vec<&'static str> {
    let types = types.iter().copied().filter(|name| subject(name).is_some());
    let types: Vec<_> = types.collect();
    assert_eq!(types.len(), 16);
    types
}

#[test]
fn commands_are_frozen() {
    check_messages(
        "commands",
        Command::TYPES,
        &contract(Command::TYPES, Command::subject_of),
        |name, _, body| Command::read(name, body).unwrap_or_else(|error| panic!("{error}: {body}")),
        |command| command.to_json().unwrap(),
    );
}

#[test]
fn events_are_frozen() {
    check_messages(
        "events",
        Event::TYPES,
        &contract(Event::TYPES, Event::subject_of),
        |name, is_newest, body| {
            let schema = if is_newest { Event::newest_schema(name).unwrap() } else { 1 };
            Event::read(name, schema, body).unwrap_or_else(|error| panic!("{error}: {body}"))
        },
        |event| event.to_json().unwrap(),
    );
}

#[test]
fn what_failed_says_so() {
    let mut failures = String::new();
    for (name, body) in frozen("events") {
        let Some(newest) = Event::newest_schema(&name) else { continue };
        let read = |body: &str| Event::read(&name, newest, body).unwrap();
        if let Some(message) = read(&body).failure() {
            failures.push_str(&format!("{name}: {message}\n"));
        }
        if name == "ExpressionEvaluated" {
            let mut failed = json(&body);
            failed["is_error"] = true.into();
            for said in ["error: no such name\n", "error:\n       no such name", "no such name"] {
                failed["result"] = said.into();
                assert_eq!(read(&failed.to_string()).failure(), Some("no such name"));
            }
            failed["is_error"] = false.into();
            assert_eq!(read(&failed.to_string()).failure(), None);
        }
    }
    expect_test::expect![[r#"
        ConfigurationActivationFailed: the unit nginx.service failed
        ExpressionEvaluated: 2
        PackageBuildFailed: building hello took longer than 3600 seconds
    "#]]
    .assert_eq(&failures);
}

#[test]
fn queries_are_frozen() {
    check_messages(
        "queries",
        Query::TYPES,
        Query::TYPES,
        |name, _, body| Query::read(name, body).unwrap_or_else(|error| panic!("{error}: {body}")),
        |query| query.to_json().unwrap(),
    );
    // The names that other services have for some of them.
    for (theirs, ours) in [
        ("FindFlake", "GetFlake"),
        ("FindPackage", "GetPackage"),
        ("FindConfiguration", "GetConfiguration"),
        ("SearchNixPackages", "ListPackages"),
    ] {
        let body = &frozen("queries")[&format!("{ours}.minimal")];
        assert_eq!(Query::read(theirs, body), Query::read(ours, body));
        assert!(Query::read(ours, body).is_ok());
    }
}

/// All of the 46 subjects have a type with that kind and action, a frozen message, a schema, and
/// something that decides or answers.
#[test]
fn nothing_of_the_contract_is_missing() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/schema");
    for subject in Subject::all() {
        let (name, kind, action) = (subject.message_type(), subject.kind(), subject.action());
        let folders = match subject.role() {
            Role::Command => {
                let command = Command::read(name, &frozen("commands")[name]).unwrap();
                assert_eq!((command.kind(), command.action()), (kind.clone(), action));
                // The decider knows it: what does not fit is the evidence, or it is taken.
                let state = State::empty(&kind);
                let known = decided(&state, &command);
                assert!(known, "{name} is decided upon");
                vec!["commands"]
            }
            Role::Event => {
                let body = &frozen("events")[name];
                let event = Event::read(name, Event::newest_schema(name).unwrap(), body).unwrap();
                assert_eq!((event.kind(), event.action()), (kind.clone(), action));
                assert!(State::transitions(&kind).iter().any(|step| step.event == name));
                vec!["events"]
            }
            Role::Query => {
                let query =
                    Query::read(name, &frozen("queries")[&format!("{name}.minimal")]).unwrap();
                assert_eq!((query.kind(), query.action()), (kind.clone(), action));
                assert_eq!(Query::type_of(subject.as_str()), Some(name));
                // It is answered: nothing is there, or nothing was asked for.
                match ask(&MemoryStore::default(), &query) {
                    Ok(answer) => assert_eq!(answer.query_type(), name),
                    Err(QueryError::NotFound { .. } | QueryError::Invalid { .. }) => {}
                    Err(error) => panic!("{name}: {error}"),
                }
                vec!["queries", "answers"]
            }
        };
        for of in folders {
            let schema = format!("{folder}/{of}/{name}.json");
            assert!(std::path::Path::new(&schema).is_file(), "{schema} is missing");
        }
    }
}

/// Whether some evidence makes an aggregate decide upon a command.
fn decided(state: &State, command: &Command) -> bool {
    let facts = FlakeFacts {
        description: String::new(),
        inputs: BTreeMap::from([("utils".to_owned(), "github:numtide/flake-utils".to_owned())]),
    };
    let (took, text) = (Took::default(), String::new());
    let output = BuiltOutput { path: text.clone(), nar_size: None, closure_size: None };
    let flake = |before, after| Evidence::Flake { before, after, locks: vec![], changes: vec![] };
    let mut with_input = facts.clone();
    with_input.inputs.insert("home-manager".to_owned(), "github:o/h".to_owned());
    let all = [
        flake(None, facts.clone()),
        flake(Some(facts.clone()), FlakeFacts::default()),
        flake(Some(facts), with_input),
        Evidence::Files { is_there: false, changes: vec![] },
        Evidence::Files { is_there: true, changes: vec![] },
        Evidence::Built {
            outputs: BTreeMap::from([("out".to_owned(), output)]),
            drv_path: None,
            took,
        },
        Evidence::Copied { output_path: text.clone(), paths: 1, bytes: 1, took },
        Evidence::Activated {
            generation: 1,
            previous: None,
            store_path: text.clone(),
            profile: text,
            took,
        },
    ];
    all.iter().any(|evidence| {
        let mut new_id = || Uuid::from_u128(7);
        let at = Timestamp::from_micros(0);
        let mut draft = Draft { cause: command.identity(), at, new_id: &mut new_id };
        matches!(state.decide(command, evidence, &mut draft), Ok(events) if !events.is_empty())
    })
}

#[test]
fn names_lead_to_what_is_written() {
    for name in Command::TYPES {
        let command = Command::read(name, &frozen("commands")[*name]).unwrap();
        assert_eq!(command.command_type(), *name);
        if let Some(subject) = Command::subject_of(name) {
            let expected = format!("nix.cmd.{}.{}", command.kind(), command.action());
            assert_eq!(subject, expected);
        }
        assert_eq!(&command.stream().kind, &command.kind());
    }
    for name in Event::TYPES {
        let schema = Event::newest_schema(name).unwrap();
        let event = Event::read(name, schema, &frozen("events")[*name]).unwrap();
        assert_eq!((event.event_type(), event.schema()), (*name, schema));
        if let Some(subject) = Event::subject_of(name) {
            let expected = format!("nix.event.{}.{}", event.kind(), event.action());
            assert_eq!(subject, expected);
        }
        let full = json(&frozen("events")[*name]);
        let changes = full.get("changes").map_or(0, |changes| changes.as_array().unwrap().len());
        assert_eq!(event.changes().len(), changes, "{name}");
        let undoes = event.undoes().map(|id| Value::String(id.to_string()));
        assert_eq!(undoes.as_ref(), full.get("undoes"), "{name}");
    }
}

#[test]
fn the_fields_of_the_contract_are_there() {
    // Names in the order of the facts; `?` marks what may be left out.
    let contract = "
        CreateFlake path description template? identity
        UpdateFlake path identity
        AddFlakeInput path name url identity
        BuildPackage flake_ref attribute output_path? identity
        CreateModule name module identity
        CreateOverlay name overlay identity
        CreateConfiguration name configuration identity
        ActivateConfiguration name activation_type identity
        EvaluateExpression expression identity
        RunGarbageCollection older_than_days? identity
        CheckFlake path identity
        FlakeCreated flake_id timestamp identity path description template?
        FlakeUpdated flake_id timestamp identity path
        FlakeInputAdded flake_id timestamp identity input_name input_url
        PackageBuilt package_id timestamp identity flake_ref attribute output_path build_time
        ModuleCreated event_id occurred_at identity module
        OverlayCreated event_id occurred_at identity overlay
        ConfigurationCreated event_id occurred_at identity configuration
        ConfigurationActivated event_id occurred_at identity configuration_id generation activation_type
        ExpressionEvaluated expression_id timestamp identity expression result
        GarbageCollected collection_id timestamp identity freed_bytes removed_paths";
    let (commands, events) = (frozen("commands"), frozen("events"));
    for line in contract.lines().filter(|line| !line.trim().is_empty()) {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap();
        let fields: Vec<_> = words.collect();
        let files = if commands.contains_key(name) { &commands } else { &events };
        let full = json(&files[name]);
        let minimal = json(files.get(&format!("{name}.minimal")).unwrap_or(&files[name]));
        for field in &fields {
            assert!(full.get(field.trim_end_matches('?')).is_some(), "{name}.{field}");
        }
        for field in minimal.as_object().unwrap().keys() {
            let is_known = fields.iter().any(|known| known.trim_end_matches('?') == field);
            assert!(is_known, "{name}.{field} is not of the contract");
        }
    }
}

#[test]
fn identities_are_frozen() {
    let files = frozen("identity");
    for (name, text) in &files {
        let identity: MessageIdentity = serde_json::from_str(text).unwrap();
        let written = serde_json::to_string(&identity).unwrap();
        match name.split_once('.') {
            None => assert_eq!(written, compact(text), "{name}"),
            Some((same, _)) => assert_eq!(written, compact(&files[same]), "{name}"),
        }
    }
    let read = |name: &str| serde_json::from_str::<MessageIdentity>(&files[name]).unwrap();
    let (root, caused) = (read("root"), read("caused"));
    assert_eq!(root, MessageIdentity::root(root.message_id.uuid().unwrap()));
    assert_eq!(caused, root.caused(caused.message_id.uuid().unwrap()));
}

#[test]
fn edits_are_frozen() {
    check_frozen::<FlakeEdit>("edits", 11);
    for (name, text) in frozen("edits") {
        let edit = json(&text);
        let word = edit.as_str().or_else(|| edit.as_object()?.keys().next().map(String::as_str));
        assert_eq!(word, Some(name.as_str()));
    }
}

fn check_frozen<T: Serialize + DeserializeOwned + PartialEq + Debug>(folder: &str, n_files: usize) {
    let files = frozen(folder);
    assert_eq!(files.len(), n_files, "{folder}");
    for (name, text) in &files {
        let read: T = serde_json::from_str(text).unwrap();
        let written = serde_json::to_string(&read).unwrap();
        let same = name.split_once('.').map_or(name.as_str(), |(same, _)| same);
        assert_eq!(written, compact(&files[same]), "{name}");
    }
}

#[test]
fn acknowledgments_and_envelopes_are_frozen() {
    check_frozen::<CommandAcknowledgment>("acknowledgments", 3);
    check_frozen::<CommandEnvelope<CreateFlake>>("envelopes", 1);
}

/// A field that a newer version or another service adds is passed over; the stored body, which is
/// the text itself, keeps it.
#[test]
fn unknown_fields_are_passed_over() {
    for (folder, types) in [("commands", Command::TYPES), ("events", Event::TYPES)] {
        for name in types {
            let text = &frozen(folder)[*name];
            let more = text.replacen('{', r#"{ "colour": {"of": ["mice", null, 1e300]},"#, 1);
            if folder == "commands" {
                assert_eq!(Command::read(name, &more), Command::read(name, text), "{name}");
            } else {
                let schema = Event::newest_schema(name).unwrap();
                let read = Event::read(name, schema, text);
                assert_eq!(Event::read(name, schema, &more), read, "{name}");
                assert!(read.is_ok());
            }
        }
    }
}

#[test]
fn the_old_shape_of_a_build_is_brought_up_to_date() {
    let body = &frozen("events")["PackageBuilt.minimal"];
    let Ok(Event::PackageBuilt(built)) = Event::read("PackageBuilt", 1, body) else {
        panic!("the shape of other services is read")
    };
    assert_eq!(built.outputs["out"].path, built.output_path);
    assert!(Event::read("PackageBuilt", 2, body).is_err(), "the new shape has outputs");
}

#[test]
fn moments_of_other_writers_are_read() {
    let body = &frozen("commands")["RunGarbageCollection"];
    assert!(serde_json::from_str::<RunGarbageCollection>(body).is_ok());
    let body = frozen("events")["FlakeUpdated.minimal"]
        .replace("2026-11-24T14:20:59.123456Z", "2026-11-24T15:20:59.123456789+01:00");
    let event = Event::read("FlakeUpdated", 1, &body).unwrap();
    assert_eq!(event.at(), "2026-11-24T14:20:59.123456Z".parse::<Timestamp>().unwrap());
}
