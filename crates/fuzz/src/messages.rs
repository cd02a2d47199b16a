//! What holds for any message from the wire.

use cim_domain_nix::headers::{Headers, of_event};
use cim_domain_nix::{
    Command, Draft, Event, Evidence, MessageIdentity, NixValue, State, StreamId, Subject,
    Timestamp, Uuid,
};

use crate::soup::Random;

/// A body is refused with a short message, or read; what is read can be written, read again, decided
/// upon and folded. The first byte says which type of messages it is.
pub fn message(data: &[u8]) {
    let Some((&kind, body)) = data.split_first() else { return };
    let body = String::from_utf8_lossy(body);
    let types = [Command::TYPES, Event::TYPES].concat();
    let message_type = types[usize::from(kind) % types.len()];
    match Command::TYPES.contains(&message_type) {
        true => command(message_type, &body),
        false => (0..=3).for_each(|schema| event(message_type, schema, &body)),
    }
    words(&body);
}

fn short(error: &dyn std::fmt::Display) {
    let error = error.to_string();
    assert!(!error.is_empty() && error.len() < 2_000, "a message of {} bytes", error.len());
}

fn command(command_type: &str, body: &str) {
    let command = match Command::read(command_type, body) {
        Ok(command) => command,
        Err(error) => return short(&error),
    };
    let written = command.to_json().expect("JSON has no number that JSON cannot write");
    assert_eq!(Command::read(command_type, &written).as_ref(), Ok(&command), "{written}");
    let stream = command.stream();
    assert_eq!(stream.to_string().parse(), Ok(stream.clone()));
    let mut new_id = || Uuid::from_u128(1);
    let at = Timestamp::from_micros(0);
    let mut draft = Draft { cause: command.identity(), at, new_id: &mut new_id };
    for is_there in [false, true] {
        let evidence = Evidence::Files { is_there, changes: Vec::new() };
        let mut state = State::empty(&stream.kind);
        match state.decide(&command, &evidence, &mut draft) {
            Ok(events) => {
                for decided in events {
                    assert_eq!(decided.stream(), stream);
                    state.evolve(&decided);
                    let body = decided.to_json().expect("what was decided can be written");
                    let read = Event::read(decided.event_type(), decided.schema(), &body);
                    assert_eq!(read, Ok(decided));
                }
            }
            // A name is quoted, but not the whole of a long one.
            Err(rejection) => assert!(!rejection.to_string().is_empty()),
        }
    }
}

fn event(event_type: &str, schema: u32, body: &str) {
    let event = match Event::read(event_type, schema, body) {
        Ok(event) => event,
        Err(error) => return short(&error),
    };
    let written = event.to_json().expect("JSON has no number that JSON cannot write");
    let again = Event::read(event_type, event.schema(), &written);
    assert_eq!(again.as_ref(), Ok(&event), "{written}");
    let stream = event.stream();
    State::empty(&stream.kind).evolve(&event);
    let pairs = of_event(&event, None).expect("no user is named");
    let pairs = pairs.iter().map(|(name, value)| (*name, value.as_str()));
    let headers = Headers::read(pairs).expect("our own headers");
    assert_eq!(headers.timestamp, Some(event.at()));
    // The id of an aggregate is not taken for that of a message.
    if event.identity().message_id.uuid() != Some(event.aggregate()) {
        assert_eq!(headers.identity().as_ref(), Some(event.identity()));
    }
}

/// Ids, moments, subjects, values and headers made of any text.
fn words(text: &str) {
    for word in text.split(['"', '\n']) {
        match word.parse::<StreamId>() {
            Ok(stream) => assert_eq!(stream.to_string(), word),
            Err(error) => short(&error),
        }
        match word.parse::<Timestamp>() {
            Ok(moment) => assert_eq!(moment.to_string().parse(), Ok(moment)),
            Err(error) => short(&error),
        }
        match word.parse::<Subject>() {
            Ok(subject) => assert_eq!(subject.as_str(), word),
            Err(error) => short(&error),
        }
    }
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    if let Err(error) = Headers::read(lines) {
        short(&error);
    }
    if let Ok(identity) = serde_json::from_str::<MessageIdentity>(text) {
        let written = serde_json::to_string(&identity).expect("ids are text");
        assert_eq!(serde_json::from_str::<MessageIdentity>(&written).ok(), Some(identity));
    }
    if let Ok(value) = serde_json::from_str::<NixValue>(text) {
        let written = serde_json::to_string(&value).expect("it was JSON");
        if value.check().is_ok() {
            assert_eq!(serde_json::from_str::<NixValue>(&written).ok().as_ref(), Some(&value));
        }
        assert!(!value.to_code().is_empty());
    }
}

const BODIES: [(&str, &str); 8] = [
    ("UpdateFlake", include_str!("../../domain/fixtures/wire/commands/UpdateFlake.json")),
    ("AddFlakeInput", include_str!("../../domain/fixtures/wire/commands/AddFlakeInput.json")),
    ("CreateModule", include_str!("../../domain/fixtures/wire/commands/CreateModule.plain.json")),
    (
        "CreateConfiguration",
        include_str!("../../domain/fixtures/wire/commands/CreateConfiguration.json"),
    ),
    ("ModuleCreated", include_str!("../../domain/fixtures/wire/events/ModuleCreated.json")),
    ("PackageBuilt", include_str!("../../domain/fixtures/wire/events/PackageBuilt.minimal.json")),
    (
        "ConfigurationActivated",
        include_str!("../../domain/fixtures/wire/events/ConfigurationActivated.json"),
    ),
    (
        "GarbageCollected",
        include_str!("../../domain/fixtures/wire/events/GarbageCollected.plain.json"),
    ),
];

const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"",
    ",",
    ":",
    "null",
    "true",
    "-1",
    "1e999",
    "0.1",
    "18446744073709551616",
    "\\u0000",
    "\\ud800",
    "\u{0}",
    "\"Int\"",
    "\"AttrSet\":{}",
    "\"Cid\"",
    "{\"Uuid\":\"0198f7a2-7c00-7000-8000-000000000001\"}",
    "correlation:",
    "é",
    "+01:00",
    "9999",
    "\"undoes\":null,",
    "\"lock\":false,",
    "[[[[[[[[[[[[[[[[",
    "\"x\":",
];

/// A message that is almost one of the wire, with its type in the first byte.
#[must_use]
pub fn message_soup(seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let (mut message_type, body) = BODIES[random.below(BODIES.len())];
    let mut body = body.to_owned();
    for _ in 0..random.below(4) {
        let mut at = random.below(body.len() + 1);
        while !body.is_char_boundary(at) {
            at -= 1;
        }
        let mut end = (at + random.below(12)).min(body.len());
        while !body.is_char_boundary(end) {
            end -= 1;
        }
        match random.below(3) {
            0 => body.replace_range(at..end, PIECES[random.below(PIECES.len())]),
            1 => body.insert_str(at, PIECES[random.below(PIECES.len())]),
            _ => body.replace_range(at..end, ""),
        }
    }
    let types = [Command::TYPES, Event::TYPES].concat();
    if random.below(8) == 0 {
        message_type = types[random.below(types.len())];
    }
    let kind = types.iter().position(|name| *name == message_type).unwrap_or_default();
    let mut data = vec![kind as u8];
    data.extend(body.bytes());
    data
}
