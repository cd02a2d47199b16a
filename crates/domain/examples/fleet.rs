//! A fleet without any Nix: commands are decided upon, events are stored in memory, queries are
//! answered, and the last change is taken back.
//!
//! Run it with `cargo run -p cim-domain-nix --example fleet`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::ControlFlow;

use cim_domain_nix::command::{AddFlakeInput, CreateFlake};
use cim_domain_nix::query::GetFlake;
use cim_domain_nix::{
    Append, Command, Draft, Event, EventStore, Evidence, Expected, FlakeFacts, MemoryStore,
    MessageId, MessageIdentity, NewEvent, State, StreamId, Timestamp, UndoStack, Uuid, ask, undo,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The state of an aggregate, and the version that it has: its events, folded.
fn load(store: &dyn EventStore, stream: &StreamId) -> Result<(State, u64)> {
    let (mut state, mut version) = (State::empty(&stream.kind), 0);
    store.read_stream(stream, 0, &mut |record| {
        if let Ok(event) = Event::read(record.event_type, record.schema, record.body) {
            state.evolve(&event);
        }
        version = record.version;
        Ok(ControlFlow::Continue(()))
    })?;
    Ok((state, version))
}

/// Stores events behind a version; somebody who was faster makes it fail.
fn save(store: &dyn EventStore, stream: &StreamId, version: u64, events: &[Event]) -> Result<()> {
    let new = |event: &Event| -> Result<NewEvent> {
        let identity = event.identity();
        let MessageId::Uuid(id) = identity.message_id else { return Err("not our event".into()) };
        Ok(NewEvent {
            id,
            event_type: event.event_type().to_owned(),
            schema: event.schema(),
            at: event.at(),
            correlation: identity.correlation_id.clone(),
            causation: identity.causation_id.clone(),
            body: event.to_json()?,
            meta: r#"{"actor":"ann"}"#.to_owned(),
        })
    };
    let events = events.iter().map(new).collect::<Result<Vec<_>>>()?;
    let expected = Expected::Version(version);
    store.append(Append { stream: stream.clone(), expected, events, intent: None })?;
    Ok(())
}

fn now() -> Timestamp {
    // A program asks its clock.
    Timestamp::from_micros(1_795_530_059_000_000)
}

fn run(store: &dyn EventStore, command: &Command, evidence: &Evidence) -> Result<Vec<Event>> {
    let stream = command.stream();
    let (state, version) = load(store, &stream)?;
    let mut draft = Draft { cause: command.identity(), at: now(), new_id: &mut Uuid::now_v7 };
    let events = state.decide(command, evidence, &mut draft)?;
    if !events.is_empty() {
        save(store, &stream, version, &events)?;
    }
    Ok(events)
}

fn facts(inputs: &[(&str, &str)]) -> FlakeFacts {
    let input = |(name, url): &(&str, &str)| ((*name).to_owned(), (*url).to_owned());
    FlakeFacts {
        description: "machines of the shop".to_owned(),
        inputs: inputs.iter().map(input).collect(),
    }
}

fn changed(before: Option<FlakeFacts>, after: FlakeFacts) -> Evidence {
    Evidence::Flake { before, after, locks: Vec::new(), changes: Vec::new() }
}

fn main() -> Result<()> {
    let store = MemoryStore::default();
    let path = "/home/ann/fleet".to_owned();
    let utils = [("utils", "github:numtide/flake-utils")];

    let create: Command = CreateFlake {
        path: path.clone(),
        description: "machines of the shop".to_owned(),
        template: None,
        identity: MessageIdentity::root(Uuid::now_v7()),
    }
    .into();
    let mut told = run(&store, &create, &changed(None, facts(&[])))?;

    let add: Command = AddFlakeInput {
        path: path.clone(),
        name: utils[0].0.to_owned(),
        url: utils[0].1.to_owned(),
        follows: BTreeMap::new(),
        flake: true,
        lock: true,
        identity: MessageIdentity::root(Uuid::now_v7()),
    }
    .into();
    told.extend(run(&store, &add, &changed(Some(facts(&[])), facts(&utils)))?);
    // The same once more changes nothing, so nothing is told.
    assert!(run(&store, &add, &changed(Some(facts(&utils)), facts(&utils)))?.is_empty());

    // A refusal is a sentence.
    match run(&store, &create, &changed(Some(facts(&utils)), facts(&[]))) {
        Ok(_) => return Err("the flake was made twice".into()),
        Err(refused) => println!("refused: {refused}"),
    }

    let query = GetFlake { path: Some(path), ..GetFlake::default() };
    let show = |store: &MemoryStore| -> Result<()> {
        let answer = ask(store, &query.clone().into())?.to_value()?;
        println!("inputs: {}", answer["inputs"]);
        Ok(())
    };
    show(&store)?;

    // Taking the last change back is one more event.
    let mut stack = UndoStack::default();
    told.iter().for_each(|event| stack.push(event));
    let last = told.last().ok_or("something was told")?;
    assert_eq!(stack.next_undo(), last.identity().message_id.uuid());
    let stream = last.stream();
    let (_, version) = load(&store, &stream)?;
    let mut before = State::empty(&stream.kind);
    told[..told.len() - 1].iter().for_each(|event| before.evolve(event));
    let cause = MessageIdentity::root(Uuid::now_v7());
    let mut draft = Draft { cause: &cause, at: now(), new_id: &mut Uuid::now_v7 };
    let back = undo(&before, last, Vec::new(), &mut draft)?;
    save(&store, &stream, version, std::slice::from_ref(&back))?;
    told.push(back);
    show(&store)?;

    for event in &told {
        println!("{}", event.event_type());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() -> super::Result<()> {
        super::main()
    }
}
