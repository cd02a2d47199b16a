//! Bodies that nobody honest wrote: each is refused with a short message, and nothing else happens.

use cim_domain_nix::{Command, Event, MessageIdentity, StreamId, Timestamp};
use expect_test::expect;
use serde_json::{Map, Value};

use crate::wire::frozen;

fn event_error(event_type: &str, schema: u32, body: &str) -> String {
    let error = Event::read(event_type, schema, body).expect_err("it is refused").to_string();
    assert!(error.len() < 800, "a message of {} bytes", error.len());
    error
}

#[test]
fn says_what_is_wrong_with_an_event() {
    let body = &frozen("events")["FlakeCreated.minimal"];
    let with = |from: &str, to: &str| {
        assert!(body.contains(from), "{from}");
        body.replacen(from, to, 1)
    };
    let deep = "[".repeat(100_000);
    let mut errors = String::new();
    for (event_type, schema, body) in [
        ("FlakeMelted", 1, body.clone()),
        ("flakecreated", 1, body.clone()),
        ("Flake\u{0}\u{1b}[31mCreated", 1, body.clone()),
        ("FlakeCreated", 2, body.clone()),
        ("FlakeCreated", 0, body.clone()),
        ("FlakeCreated", u32::MAX, body.clone()),
        ("FlakeCreated", 1, String::new()),
        ("FlakeCreated", 1, "null".to_owned()),
        ("FlakeCreated", 1, "[]".to_owned()),
        ("FlakeCreated", 1, "{}".to_owned()),
        ("FlakeCreated", 1, body[..40].to_owned()),
        ("FlakeCreated", 1, format!("{body} {{}}")),
        ("FlakeCreated", 1, deep.clone()),
        ("FlakeCreated", 1, with("{", &format!(r#"{{"x": {deep},"#))),
        ("FlakeCreated", 1, with("{", r#"{"path": "/twice","#)),
        ("FlakeCreated", 1, with("\"path\": \"", "\"path\": 7, \"was\": \"")),
        ("FlakeCreated", 1, with("\"flake_id\": \"", "\"flake_id\": \"x")),
        ("FlakeCreated", 1, with("2026-11-24T", "12026-11-24T")),
        ("FlakeCreated", 1, with("\"description\": \"\"", "\"description\": \"\\ud800\"")),
        ("FlakeCreated", 1, with("\"description\": \"\"", "\"description\": \"\u{1}\"")),
        ("FlakeCreated", 1, with("\"description\": \"\"", "\"description\": NaN")),
    ] {
        errors.push_str(&format!("{}\n", event_error(event_type, schema, &body)));
    }
    expect![[r#"
        no message of the type `FlakeMelted` is known
        no message of the type `flakecreated` is known
        no message of the type `Flake\0\u{1b}[31mCreated` is known
        FlakeCreated was written by a newer version: its shape is 2, 1 is known here
        the body of FlakeCreated does not fit: its shape is 0, which never was
        FlakeCreated was written by a newer version: its shape is 4294967295, 1 is known here
        the body of FlakeCreated does not fit: it is no object
        the body of FlakeCreated does not fit: it is no object
        the body of FlakeCreated does not fit: it is no object
        the body of FlakeCreated does not fit: missing field `flake_id` at line 1 column 2
        the body of FlakeCreated does not fit: EOF while parsing a string at line 2 column 38
        the body of FlakeCreated does not fit: trailing characters at line 12 column 2
        the body of FlakeCreated does not fit: it is no object
        the body of FlakeCreated does not fit: expected value at line 1 column 100007
        the body of FlakeCreated does not fit: duplicate field `path` at line 9 column 8
        the body of FlakeCreated does not fit: invalid type: integer `7`, expected a string at line 9 column 11
        the body of FlakeCreated does not fit: UUID parsing failed: invalid character: found `x` at 0 at line 2 column 53
        the body of FlakeCreated does not fit: `12026-11-24T14:20:59.123456Z` is no moment such as 2026-01-31T12:00:00Z at line 3 column 45
        the body of FlakeCreated does not fit: unexpected end of hex escape at line 10 column 25
        the body of FlakeCreated does not fit: control character (\u0000-\u001F) found while parsing a string at line 10 column 19
        the body of FlakeCreated does not fit: expected value at line 10 column 18
    "#]].assert_eq(&errors);
}

#[test]
fn numbers_that_fit_nowhere_are_refused() {
    let mut errors = String::new();
    for (event_type, from, to) in [
        ("ConfigurationActivated.minimal", "\"generation\": 42", "\"generation\": 4294967296"),
        ("ConfigurationActivated.minimal", "\"generation\": 42", "\"generation\": -1"),
        ("ConfigurationActivated.minimal", "\"generation\": 42", "\"generation\": 4.5"),
        ("ConfigurationActivated.minimal", "\"Switch\"", "\"switch\""),
        ("GarbageCollected.minimal", "226560", "18446744073709551616"),
        ("GarbageCollected.minimal", "226560", "1e400"),
        ("GarbageCollected.minimal", "226560", &"9".repeat(100_000)),
        ("PackageBuilt.minimal", "\"secs\": 1", "\"secs\": 18446744073709551615"),
    ] {
        let body = frozen("events")[event_type].replacen(from, to, 1);
        let body = body.replacen("\"nanos\": 5", "\"nanos\": 4294967295", 1);
        let (event_type, _) = event_type.split_once('.').unwrap();
        errors.push_str(&format!("{}\n", event_error(event_type, 1, &body)));
    }
    expect![[r#"
        the body of ConfigurationActivated does not fit: invalid value: integer `4294967296`, expected u32 at line 10 column 26
        the body of ConfigurationActivated does not fit: invalid value: integer `-1`, expected u32 at line 10 column 18
        the body of ConfigurationActivated does not fit: invalid type: floating point `4.5`, expected u32 at line 10 column 19
        the body of ConfigurationActivated does not fit: unknown variant `switch`, expected one of `Switch`, `Boot`, `Test` at line 11 column 29
        the body of GarbageCollected does not fit: invalid type: floating point `1.8446744073709552e+19`, expected u64 at line 9 column 37
        the body of GarbageCollected does not fit: number out of range at line 9 column 22
        the body of GarbageCollected does not fit: number out of range at line 9 column 100017
        the body of PackageBuilt does not fit: overflow deserializing Duration at line 1 column 97
    "#]].assert_eq(&errors);
}

/// Megabytes where a word is expected: the message does not repeat them.
#[test]
fn long_texts_are_not_repeated() {
    let long = "x".repeat(1_000_000);
    event_error(&long, 1, "{}");
    event_error("FlakeCreated", 1, &format!("\"{long}\""));
    for field in ["flake_id", "timestamp", "identity", "inputs", "undoes", "changes"] {
        let Value::Object(mut fields) = value("FlakeCreated") else { panic!("a set") };
        fields.insert(field.to_owned(), Value::String(long.clone()));
        event_error("FlakeCreated", 1, &Value::Object(fields).to_string());
    }
    let error = Command::read(&long, "{}").expect_err("no such command").to_string();
    assert!(error.len() < 200);
    // As a text it is what somebody wanted to say.
    let Value::Object(mut fields) = value("FlakeCreated") else { panic!("a set") };
    fields.insert("description".to_owned(), Value::String(long.repeat(10)));
    assert!(Event::read("FlakeCreated", 1, &Value::Object(fields).to_string()).is_ok());
}

fn value(event_type: &str) -> Value {
    serde_json::from_str(&frozen("events")[event_type]).unwrap()
}

/// Every field of every message in turn gets every kind of value, or is left out. Whatever is read
/// can be written and read again; whatever is not gives a message.
#[test]
fn any_field_may_hold_anything() {
    let strange = [
        "null",
        "true",
        "-1",
        "1e300",
        "18446744073709551615",
        "\"\"",
        "\"\\u0000\"",
        "[]",
        "{}",
        "[[[[]]]]",
        r#"{"Uuid": 7}"#,
        r#"{"segments": "x"}"#,
        r#"{"AttrSet": []}"#,
        r#""0198f7a2-7c00-7000-8000-000000000001""#,
    ];
    let (mut n_read, mut n_refused) = (0, 0);
    for (folder, types) in [("commands", Command::TYPES), ("events", Event::TYPES)] {
        let files = frozen(folder);
        for name in types {
            let full: Value = serde_json::from_str(&files[*name]).unwrap();
            for place in places(&full) {
                for strange in strange.iter().map(Some).chain([None]) {
                    let strange = strange.map(|json| serde_json::from_str(json).unwrap());
                    let body = replaced(&full, &place, strange).to_string();
                    match read_again(folder, name, &body) {
                        true => n_read += 1,
                        false => n_refused += 1,
                    }
                }
            }
        }
    }
    assert!(n_read > 1_000 && n_refused > 1_000, "{n_read} read, {n_refused} refused");
}

/// Whether a body is read; if so, what is written of it is read as the same.
fn read_again(folder: &str, name: &str, body: &str) -> bool {
    if folder == "commands" {
        let Ok(command) = Command::read(name, body) else { return false };
        let written = command.to_json().unwrap();
        assert_eq!(Command::read(name, &written), Ok(command), "{body}");
    } else {
        let schema = Event::newest_schema(name).unwrap();
        let Ok(event) = Event::read(name, schema, body) else { return false };
        let written = event.to_json().unwrap();
        assert_eq!(Event::read(name, schema, &written), Ok(event), "{body}");
    }
    true
}

type Place = Vec<String>;

fn places(value: &Value) -> Vec<Place> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(elements) => {
            elements.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    let mut all = Vec::new();
    for (step, child) in children {
        all.push(vec![step.clone()]);
        all.extend(places(child).into_iter().map(|rest| [vec![step.clone()], rest].concat()));
    }
    all
}

fn replaced(value: &Value, place: &[String], new: Option<Value>) -> Value {
    let mut value = value.clone();
    let (last, above) = place.split_last().unwrap();
    let pointer: String =
        above.iter().map(|step| format!("/{}", step.replace('/', "~1"))).collect();
    match (value.pointer_mut(&pointer).unwrap(), new) {
        (Value::Object(fields), Some(new)) => drop(fields.insert(last.clone(), new)),
        (Value::Object(fields), None) => drop(Map::remove(fields, last)),
        (Value::Array(elements), Some(new)) => elements[last.parse::<usize>().unwrap()] = new,
        (Value::Array(elements), None) => drop(elements.remove(last.parse().unwrap())),
        _ => panic!("a place leads through sets and lists"),
    }
    value
}

#[test]
fn ids_and_moments_of_any_text() {
    for text in
        ["", "\u{0}", "flake-", "config-é", "9999-12-31T23:59:60Z", "-000001-01-01T00:00:00Z"]
    {
        assert!(text.parse::<StreamId>().is_err());
        assert!(text.parse::<Timestamp>().is_err(), "{text}");
        assert!(serde_json::from_str::<MessageIdentity>(text).is_err());
    }
    let long = "flake-".repeat(1_000_000);
    assert!(long.parse::<StreamId>().unwrap_err().to_string().len() < 200);
    assert!(long.parse::<Timestamp>().unwrap_err().to_string().len() < 200);
}
