//! What holds for any sequence of commands: the invariants that the aggregates' modules state.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use cim_domain_nix::{
    BuildState, Command, Event, Evidence, Kind, Rejection, State, StreamId, Timestamp, Transition,
};
use fastrand::Rng;

use crate::wire::frozen;
use crate::world::World;

const RUNS: u64 = 150;
const STEPS: usize = 60;

/// A state without what taking back and redoing changes: moments, and how much was done in all.
fn settled(state: &State) -> State {
    let mut state = state.clone();
    match &mut state {
        State::Configuration(configuration) => {
            for generation in
                configuration.0.iter_mut().flat_map(|one| one.generations.values_mut())
            {
                generation.at = Timestamp::from_micros(0);
            }
        }
        State::Project(project) => project.n_changes = 0,
        _ => {}
    }
    state
}

/// The same, without generations that were made and are not in force.
fn in_force(state: &State) -> State {
    let mut state = settled(state);
    if let State::Configuration(configuration) = &mut state
        && let Some(configuration) = &mut configuration.0
    {
        let current = configuration.current;
        configuration.generations.retain(|number, _| Some(*number) == current);
        configuration.generations.values_mut().for_each(|one| one.activation = None);
    }
    // One that was named, without code and without generations, is as good as none.
    if let State::Configuration(configuration) = &mut state
        && configuration.0.as_ref().is_some_and(|one| one.said.is_none() && one.current.is_none())
    {
        configuration.0 = None;
    }
    state
}

/// Folds what was written of events, from nothing.
fn folded(events: &[(StreamId, &Event)]) -> BTreeMap<StreamId, State> {
    let mut states = BTreeMap::new();
    for (stream, event) in events {
        let body = event.to_json().expect("what was decided can be written");
        let read = Event::read(event.event_type(), event.schema(), &body);
        assert_eq!(read.as_ref(), Ok(*event), "{body}");
        let empty = || State::empty(&stream.kind);
        let state = states.entry(stream.clone()).or_insert_with(empty);
        // A snapshot of a state is as good as the state.
        let kept = serde_json::to_string(state).expect("a state can be written");
        *state = serde_json::from_str(&kept).unwrap_or_else(|error| panic!("{error}: {kept}"));
        assert!(state.is_of(&stream.kind));
        state.evolve(&read.unwrap());
    }
    states
}

#[test]
fn events_fold_without_loss() {
    let (mut n_events, mut types) = (0, BTreeSet::new());
    for seed in 0..RUNS {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            let command = world.command();
            let before = world.state(&command.stream());
            let files = world.files.clone();
            if world.obey(&command).is_err() {
                assert_eq!(world.state(&command.stream()), before, "a refusal changes nothing");
                assert_eq!(world.files, files);
            }
        }
        let events: Vec<_> =
            world.done.iter().map(|done| (done.stream.clone(), &done.event)).collect();
        assert_eq!(folded(&events), world.states, "seed {seed}");
        let ids: BTreeSet<_> =
            events.iter().map(|(_, event)| &event.identity().message_id).collect();
        assert_eq!(ids.len(), events.len(), "ids are unique");
        n_events += events.len();
        types.extend(events.iter().map(|(_, event)| event.event_type()));
    }
    assert!(n_events > 1_500, "{n_events}");
    // All that commands alone lead to, without others' hands and without taking back.
    let rare = ["FlakeDeleted", "ConfigurationDeleted", "ProjectReverted", "FlakeObserved"];
    let missing: Vec<_> = Event::TYPES.iter().filter(|name| !types.contains(*name)).collect();
    assert!(missing.iter().all(|name| rare.contains(name)), "{missing:?}");
}

/// A command that was carried out and is given again finds that there is nothing to do.
#[test]
fn twice_is_once() {
    let mut n_commands = 0;
    for seed in 0..RUNS {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            let command = world.command();
            if !matches!(world.obey(&command), Ok(1..)) {
                continue;
            }
            let again = world.obey(&command);
            n_commands += 1;
            match command {
                Command::CreateFlake(_)
                | Command::CreateModule(_)
                | Command::CreateOverlay(_)
                | Command::CreateConfiguration(_) => {
                    assert!(matches!(again, Err(Rejection::AlreadyExists { .. })), "{again:?}");
                }
                Command::RemoveFlakeInput(_)
                | Command::DeleteModule(_)
                | Command::DeleteOverlay(_) => {
                    assert!(matches!(again, Err(Rejection::NotFound { .. })), "{again:?}");
                }
                // What is done by running something happens each time.
                Command::BuildPackage(_)
                | Command::CachePackage(_)
                | Command::ActivateConfiguration(_)
                | Command::RollbackConfiguration(_)
                | Command::CheckFlake(_) => {}
                _ => assert_eq!(again, Ok(0), "{command:?}"),
            }
        }
    }
    assert!(n_commands > 1_500);
}

/// What others do to the flake is observed before a command builds on it.
#[test]
fn the_flake_is_what_its_file_says() {
    let (mut n_observed, mut n_checked) = (0, 0);
    for seed in 0..RUNS {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            if world.rng.u8(..4) == 0 {
                world.meddle();
            }
            let command = world.command();
            let Ok(1..) = world.obey(&command) else { continue };
            let State::Flake(flake) = world.state(&command.stream()) else { continue };
            let facts = world.facts().expect("a command left a flake");
            let flake = flake.0.expect("the events say so");
            assert_eq!((flake.inputs, flake.description), (facts.inputs, facts.description));
            n_checked += 1;
        }
        let observed = world.done.iter().filter(|done| done.event.event_type() == "FlakeObserved");
        n_observed += observed.count();
    }
    assert!(n_observed > 100 && n_checked > 500, "{n_observed} of {n_checked}");
}

/// Undo leads back, redo leads forth, in files and in states, however often.
#[test]
fn undo_and_redo_lead_to_and_fro() {
    let (mut n_undone, mut n_redone, mut n_conflicts) = (0, 0, 0);
    let mut types = BTreeSet::new();
    for seed in 0..RUNS {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            if world.rng.u8(..20) == 0 {
                world.meddle();
            }
            if world.rng.u8(..3) > 0 {
                let command = world.command();
                let _ = world.obey(&command);
                continue;
            }
            let Some(id) = world.stack.next_undo() else { continue };
            let at = world
                .done
                .iter()
                .position(|done| done.event.identity().message_id.uuid() == Some(id));
            let at = at.expect("the stack names what was done");
            let (stream, before) = (world.done[at].stream.clone(), world.done[at].before.clone());
            let event_type = world.done[at].event.event_type();
            let is_last = world.done[at + 1..].iter().all(|later| later.stream != stream);
            let (files, after) = (world.files.clone(), world.state(&stream));
            if !world.take_back(id) {
                assert_eq!((&world.files, world.state(&stream)), (&files, after));
                n_conflicts += 1;
                continue;
            }
            n_undone += 1;
            types.insert(event_type);
            // What only a file knew has been described by the command that changed it.
            let was_known = !matches!(
                (&before, event_type),
                (
                    State::Module(_) | State::Overlay(_) | State::Configuration(_),
                    "ModuleUpdated" | "OverlayUpdated" | "ConfigurationUpdated"
                )
                    if before == State::empty(&stream.kind)
            );
            if is_last && was_known {
                assert_eq!(in_force(&world.state(&stream)), in_force(&before), "{event_type}");
            }
            if world.rng.bool() {
                let redo = world.stack.next_redo().expect("something was just undone");
                assert!(world.take_back(redo));
                n_redone += 1;
                assert_eq!(world.files, files, "{event_type}");
                assert_eq!(settled(&world.state(&stream)), settled(&after), "{event_type}");
            }
        }
        let events: Vec<_> =
            world.done.iter().map(|done| (done.stream.clone(), &done.event)).collect();
        assert_eq!(folded(&events), world.states, "seed {seed}");
    }
    assert!(n_undone > 1_000 && n_redone > 500, "{n_undone} undone, {n_redone} redone");
    assert!(n_conflicts > 50, "{n_conflicts}");
    for event_type in
        ["FlakeInputAdded", "ConfigurationActivated", "ModuleDeleted", "SymbolRenamed"]
    {
        assert!(types.contains(event_type), "{event_type} in {types:?}");
    }
}

/// Whatever is claimed to have been found out, deciding ends, and events are about their stream.
#[test]
fn no_evidence_breaks_anything() {
    let (mut n_accepted, mut n_refused) = (0, 0);
    for seed in 0..RUNS {
        let mut world = World::new(seed);
        let mut told = Vec::new();
        for _ in 0..STEPS {
            let command = world.command();
            let other = world.command();
            let looked_at = if world.rng.bool() { &command } else { &other };
            let (evidence, _) = world.look(looked_at);
            let evidence = distorted(evidence, &mut world.rng);
            let stream = command.stream();
            let mut state = world.state(&stream);
            let Ok(events) = world.decide(&state, &command, &evidence) else {
                n_refused += 1;
                continue;
            };
            n_accepted += 1;
            for event in events {
                assert_eq!(event.stream(), stream);
                state.evolve(&event);
                sound(&state);
                told.push((stream.clone(), event));
            }
            if !told.is_empty() {
                world.states.insert(stream, state);
            }
        }
        let events: Vec<_> = told.iter().map(|(stream, event)| (stream.clone(), event)).collect();
        let known = world
            .states
            .into_iter()
            .filter(|(stream, _)| events.iter().any(|(other, _)| other == stream));
        assert_eq!(folded(&events), known.collect(), "seed {seed}");
    }
    assert!(n_accepted > 1_000 && n_refused > 1_000, "{n_accepted} accepted, {n_refused} refused");
}

/// Evidence that is not quite true any more.
fn distorted(evidence: Evidence, rng: &mut Rng) -> Evidence {
    match evidence {
        Evidence::Flake { before, mut after, locks, changes } => {
            if rng.bool() {
                after.inputs.insert("surprise".to_owned(), "github:o/s".to_owned());
            }
            let before = if rng.bool() { before } else { Some(after.clone()) };
            Evidence::Flake { before, after, locks, changes }
        }
        Evidence::Files { changes, .. } => Evidence::Files { is_there: rng.bool(), changes },
        Evidence::Built { mut outputs, drv_path, took } => {
            if rng.bool() {
                outputs.clear();
            }
            Evidence::Built { outputs, drv_path, took }
        }
        Evidence::Activated { store_path, took, .. } => Evidence::Activated {
            generation: rng.u32(..3),
            previous: rng.bool().then(|| rng.u32(..3)),
            store_path,
            profile: format!("/profile/{}", rng.u8(..2)),
            took,
        },
        other => other,
    }
}

/// The invariants that a state alone can show.
fn sound(state: &State) {
    match state {
        State::Package(package) => {
            assert!(package.last != BuildState::Built || !package.outputs.is_empty());
        }
        State::Configuration(configuration) => {
            let Some(state) = &configuration.0 else { return };
            assert!(state.current.is_none_or(|number| state.generations.contains_key(&number)));
        }
        State::Module(module) => {
            let Some(module) = &module.0 else { return };
            assert!(!module.file.is_empty() && !module.file.contains(".."));
        }
        State::Overlay(overlay) => {
            let Some(overlay) = &overlay.0 else { return };
            assert!(!overlay.file.is_empty() && !overlay.file.contains(".."));
        }
        _ => {}
    }
}

#[test]
fn events_of_other_kinds_change_nothing() {
    let mut world = World::new(1);
    for _ in 0..2_000 {
        let command = world.command();
        let _ = world.obey(&command);
    }
    for kind in Kind::KNOWN {
        for done in world.done.iter().filter(|done| done.stream.kind != kind) {
            let is_run = |kind: &Kind| matches!(kind, Kind::Evaluation | Kind::Collection);
            if is_run(&kind) && is_run(&done.stream.kind) {
                continue;
            }
            let mut state = State::empty(&kind);
            state.evolve(&done.event);
            assert_eq!(state, State::empty(&kind), "{kind} and {}", done.event.event_type());
        }
    }
}

/// Whatever events come in whatever order, states follow each other as the tables say, and each line
/// of the tables happens.
#[test]
fn lives_are_as_drawn() {
    let files = frozen("events");
    let full: Vec<Event> = Event::TYPES
        .iter()
        .map(|name| Event::read(name, Event::newest_schema(name).unwrap(), &files[*name]).unwrap())
        .collect();
    let minimal = files.iter().filter_map(|(name, body)| {
        let event = Event::read(name.strip_suffix(".minimal")?, 1, body);
        Some(event.unwrap())
    });
    let mut events: Vec<Event> = full.iter().cloned().chain(minimal).collect();
    // An observation without a generation, too.
    let found = files["ConfigurationObserved"].replace("\"generation\": 41,", "");
    events.push(Event::read("ConfigurationObserved", 1, &found).unwrap());
    // And an activation that is but a test.
    let tested = files["ConfigurationActivated"].replace("\"Switch\"", "\"Test\"");
    events.push(Event::read("ConfigurationActivated", 1, &tested).unwrap());
    let mut rng = Rng::with_seed(7);
    for kind in Kind::KNOWN {
        let own: Vec<_> = events.iter().filter(|event| event.kind() == kind).collect();
        let mut seen = BTreeSet::new();
        let mut state = State::empty(&kind);
        for _ in 0..5_000 {
            let event = rng.choice(&own).unwrap();
            let from = state.name();
            state.evolve(event);
            seen.insert(Transition { from, event: event.event_type(), to: state.name() });
            if rng.u8(..4) == 0 {
                state = State::empty(&kind);
            }
        }
        let known: BTreeSet<_> = State::transitions(&kind).iter().copied().collect();
        let is_own = |step: &&Transition| own.iter().any(|event| event.event_type() == step.event);
        assert_eq!(seen, known.iter().filter(is_own).copied().collect(), "{kind}");
    }
}

/// Snapshots in stores hold states as they are written here. A difference means that
/// `State::SCHEMA` has to be raised, so that they are not used any more.
#[test]
fn states_are_frozen() {
    let files = frozen("events");
    let mut text = format!("schema {}\n", State::SCHEMA);
    for kind in Kind::KNOWN {
        let mut state = State::empty(&kind);
        writeln!(text, "\n{kind}\n{}", serde_json::to_string(&state).unwrap()).unwrap();
        for name in Event::TYPES {
            let event = Event::read(name, Event::newest_schema(name).unwrap(), &files[*name]);
            let event = event.unwrap();
            if event.kind() == kind {
                state.evolve(&event);
                let now = serde_json::to_string(&state).unwrap();
                writeln!(text, "{name}: {now}").unwrap();
            }
        }
    }
    expect_test::expect_file!["../../fixtures/states.txt"].assert_eq(&text);
}
