//! The page about NATS shows what really happens.

use std::path::Path;

use cim_nix_nats::NatsSettings;
use cim_nix_rig::{Nats, Setup};
use serde_json::{Map, Value, json};

use crate::python::Python;
use crate::world::{Running, service, settings};

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/nats.md");
    std::fs::read_to_string(path).expect("the page is there")
}

fn block<'p>(page: &'p str, language: &str) -> &'p str {
    let rest = page.split_once(&format!("```{language}\n")).expect("a block").1;
    rest.split_once("```").expect("its end").0
}

#[test]
fn the_settings_are_settings() {
    let settings: NatsSettings = toml::from_str(block(&page(), "toml")).expect("settings");
    assert_eq!((settings.stream.replicas, settings.foreign.git), (3, true));
    assert!(settings.tls.required && settings.login.nkey_file.is_some());
}

/// What `jq -c` prints for a path, or a list of paths.
fn picked(value: &Value, filter: &str) -> String {
    let path = |path: &str| {
        let pointer = path.trim().replace('.', "/");
        value.pointer(&pointer).cloned().unwrap_or_default()
    };
    match filter.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        Some(paths) => Value::Array(paths.split(',').map(path).collect()).to_string(),
        None => path(filter).to_string(),
    }
}

#[test]
fn the_example_is_what_is_answered() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    let service = service(&["main"]);
    let _running = Running::start(&service, &settings(&nats.url()));
    let Some(mut python) = Python::connect(&nats.url()) else { return };
    let page = page();
    let shown = block(&page, "console");
    let mut told = String::new();
    for line in shown.lines().filter(|line| line.starts_with("$ ")) {
        let rest = line.strip_prefix("$ nats request --raw ").expect("a request");
        let mut parts = rest.split('\'');
        let mut headers = Map::new();
        let mut subject = parts.next().expect("a subject").trim().to_owned();
        if subject == "-H" {
            let (name, value) = parts.next().expect("a header").split_once(": ").expect("a pair");
            headers.insert(name.to_owned(), json!(value));
            subject = parts.next().expect("a subject").trim().to_owned();
        }
        let body = parts.next().expect("a body");
        assert_eq!(parts.next(), Some(" | jq -c "));
        let filter = parts.next().expect("a filter");
        let answer = python.request(&subject, body, Value::Object(headers));
        told.push_str(&format!("{line}\n{}\n", picked(&answer.body, filter)));
    }
    assert_eq!(told, shown);
}

#[test]
fn the_page_names_what_there_is() {
    let page = page();
    for header in [
        "X-Message-ID",
        "X-Event-ID",
        "Nats-Msg-Id",
        "X-Correlation-ID",
        "X-Causation-ID",
        "X-Event-Type",
        "X-Aggregate-ID",
        "X-Timestamp",
        "X-Schema-Version",
        "X-Domain",
        "X-User-ID",
        "traceparent",
        "X-Expected-Version",
        "X-Dry-Run",
        "X-Timeout-Ms",
        "Nats-Service-Error-Code",
        "X-Changes-Omitted",
    ] {
        assert!(page.contains(&format!("`{header}")), "{header}");
    }
    for picture in ["subjects", "command"] {
        assert!(page.contains(&format!("images/nats/{picture}.svg")));
    }
}
