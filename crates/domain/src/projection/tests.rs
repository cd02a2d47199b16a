//! Read models against what they stand for: random histories that the deciders gave, folded by
//! hand and by the read models.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use super::*;
use crate::answer::{ConfigurationHistory, GenerationView};
use crate::command::*;
use crate::query::*;
use crate::*;

/// A store with what was decided upon in it.
#[derive(Default)]
struct World {
    store: MemoryStore,
    states: HashMap<StreamId, State>,
    /// All events with the state of their aggregate before them.
    history: Vec<(State, Event)>,
    stacks: HashMap<Option<String>, UndoStack>,
    n_ids: u128,
}

fn one_of<'a>(of: &[&'a str]) -> &'a str {
    of[fastrand::usize(..of.len())]
}

const PROJECTS: [&str; 3] = ["/p", "/q", "/p/sub\t\\"];

fn hash(n: u8) -> cim_nix_base::ContentHash {
    cim_nix_base::ContentHash::of(&[n])
}

fn changes() -> Vec<FileChange> {
    let file = || one_of(&["flake.nix", "flake.lock", "modules/web.nix", "a\tb"]).to_owned();
    let change = || FileChange {
        path: file(),
        before: Some(hash(fastrand::u8(..3))),
        after: (fastrand::u8(..4) > 0).then(|| hash(fastrand::u8(..3))),
        to: (fastrand::u8(..6) == 0).then(file),
        mode: Modes::default(),
    };
    (0..fastrand::usize(..3)).map(|_| change()).collect()
}

fn facts() -> FlakeFacts {
    let names = ["nixpkgs", "utils", "home-manager"];
    let inputs = names.iter().filter(|_| fastrand::bool());
    FlakeFacts {
        description: one_of(&["", "mine", "yours"]).to_owned(),
        inputs: inputs.map(|name| (name.to_string(), one_of(&["a", "b"]).to_owned())).collect(),
    }
}

fn attribute() -> model::AttributePath {
    let text =
        one_of(&["packages.x86_64-linux.hello", "packages.aarch64-linux.hello", "tool", "a.b"]);
    text.parse().expect("written above")
}

fn outputs() -> BTreeMap<String, BuiltOutput> {
    let path = one_of(&["/nix/store/0-hello-1.0", "/nix/store/1-hello-2.0", "/nix/store/x"]);
    let output = BuiltOutput { path: path.to_owned(), nar_size: Some(7), closure_size: None };
    BTreeMap::from([("out".to_owned(), output)])
}

fn module(name: &str) -> NixModule {
    let mut module = NixModule::unknown(Uuid::nil(), name, String::new());
    for option in ["services.web.enable", "services.web.port", "services.webapp", "a\tb"] {
        if fastrand::bool() {
            let declared = ModuleOption {
                option_type: one_of(&["types.bool", "types.int"]).to_owned(),
                default: None,
                example: None,
                description: None,
            };
            module.options.insert(option.to_owned(), declared);
        }
    }
    module
}

fn overlay(name: &str) -> Overlay {
    let mut overlay = Overlay::unknown(Uuid::nil(), name, String::new());
    for package in ["hello", "tool"] {
        match fastrand::u8(..3) {
            0 => overlay.overrides.insert(package.to_owned(), "prev".to_owned()),
            1 => overlay.additions.insert(package.to_owned(), "final".to_owned()),
            _ => None,
        };
    }
    overlay
}

fn configuration(name: &str) -> NixOSConfiguration {
    let json = format!(r#"{{"name":"{name}","system":"{}"}}"#, one_of(&["x86_64-linux", "i686"]));
    let mut said: NixOSConfiguration = serde_json::from_str(&json).expect("fits");
    if fastrand::bool() {
        said.kind = ConfigurationKind::Home;
    }
    said
}

fn random_edit() -> Option<FlakeEdit> {
    let name = one_of(&["a", "b"]).to_owned();
    let expression = String::new();
    Some(match fastrand::u8(..5) {
        0 => FlakeEdit::AddOverlay { name, expression },
        1 => FlakeEdit::AddModule { class: ModuleClass::default(), name, expression },
        2 => FlakeEdit::AddOutput { attribute: attribute(), expression },
        3 => FlakeEdit::Lock,
        _ => return None,
    })
}

/// A command, and something that may have been found out for it.
fn random_command(identity: MessageIdentity) -> (Command, Evidence) {
    let project = one_of(&PROJECTS).to_owned();
    let path = project.clone();
    let name = one_of(&["web", "db", "wep"]).to_owned();
    let files = Evidence::Files { is_there: fastrand::u8(..3) > 0, changes: changes() };
    let after = facts();
    let flake = Evidence::Flake {
        before: (fastrand::u8(..4) > 0).then(facts),
        after: after.clone(),
        locks: vec![LockChange {
            input: one_of(&["nixpkgs", "utils/x"]).to_owned(),
            before: None,
            after: fastrand::bool().then(|| one_of(&["1", "2"]).to_owned()),
        }],
        changes: changes(),
    };
    let profile = one_of(&["/profiles/system", "/profiles/home"]).to_owned();
    let activated = || Evidence::Activated {
        generation: fastrand::u32(1..6),
        previous: fastrand::bool().then(|| fastrand::u32(1..6)),
        store_path: one_of(&["/nix/store/a", "/nix/store/b"]).to_owned(),
        profile: profile.clone(),
        took: Took::default(),
    };
    let (flake_ref, attribute) = (project.clone(), attribute());
    let took = Took { secs: 1, nanos: 0 };
    match fastrand::u8(..20) {
        0 => {
            let description = after.description;
            (CreateFlake { path, description, template: None, identity }.into(), flake)
        }
        1 | 2 => {
            let (edit, inputs) = (random_edit(), Vec::new());
            (UpdateFlake { path, edit, inputs, lock: true, identity }.into(), flake)
        }
        3 => {
            let (name, url, follows) = ("nixpkgs".into(), "a".into(), BTreeMap::new());
            let command =
                AddFlakeInput { path, name, url, follows, flake: true, lock: true, identity };
            (command.into(), flake)
        }
        4 => {
            let name = "utils".to_owned();
            (RemoveFlakeInput { path, name, lock: true, identity }.into(), flake)
        }
        5 | 6 => {
            let command = BuildPackage { flake_ref, attribute, output_path: None, identity };
            (command.into(), Evidence::Built { outputs: outputs(), drv_path: None, took })
        }
        7 => {
            let evidence = Evidence::BuildFailed {
                reason: FailureReason::Failed,
                message: "no".into(),
                drv_path: None,
                log_tail: String::new(),
                took,
            };
            let command = BuildPackage { flake_ref, attribute, output_path: None, identity };
            (command.into(), evidence)
        }
        8 | 9 => {
            let (cache, is_download) = (one_of(&["c1", "c2"]).to_owned(), fastrand::bool());
            let output_path = "/nix/store/0-hello-1.0".to_owned();
            let evidence = Evidence::Copied { output_path, paths: 3, bytes: 9, took };
            (CachePackage { flake_ref, attribute, cache, is_download, identity }.into(), evidence)
        }
        10 => (CreateModule { project, module: module(&name), name, identity }.into(), files),
        11 => (UpdateModule { project, module: module(&name), name, identity }.into(), files),
        12 => (DeleteModule { project, name, identity }.into(), files),
        13 => (CreateOverlay { project, overlay: overlay(&name), name, identity }.into(), files),
        14 => (UpdateOverlay { project, overlay: overlay(&name), name, identity }.into(), files),
        15 => {
            let configuration = configuration(&name);
            (CreateConfiguration { project, configuration, name, identity }.into(), files)
        }
        16 => {
            let configuration = configuration(&name);
            (UpdateConfiguration { project, configuration, name, identity }.into(), files)
        }
        17 => {
            let (activation_type, store_path) = (ActivationType::Boot, None);
            let command = ActivateConfiguration {
                project,
                name,
                activation_type,
                profile: None,
                store_path,
                identity,
            };
            let failed = Evidence::ActivationFailed {
                message: "no".into(),
                generation: fastrand::bool().then_some(2),
                profile: profile.clone(),
            };
            (command.into(), if fastrand::u8(..4) == 0 { failed } else { activated() })
        }
        18 => {
            let (generation, profile) = (None, None);
            let command = RollbackConfiguration { project, name, generation, profile, identity };
            (command.into(), activated())
        }
        _ => match fastrand::bool() {
            true => (
                FormatProject { path, formatter: None, identity }.into(),
                Evidence::Formatted { formatter: "f".into(), changes: changes() },
            ),
            false => (
                CheckFlake { path, identity }.into(),
                Evidence::Checked { files: 3, findings: Findings::default() },
            ),
        },
    }
}

impl World {
    fn id(&mut self) -> Uuid {
        self.n_ids += 1;
        Uuid::from_u128((7 << 76) | (2 << 62) | self.n_ids)
    }

    fn at() -> Timestamp {
        // Clocks go backwards at times.
        Timestamp::from_micros(fastrand::i64(0..1_000_000_000))
    }

    /// Runs a random command, or takes something back, and stores what it gives.
    fn step(&mut self) {
        let identity = MessageIdentity::root(self.id());
        let project = fastrand::bool().then(|| one_of(&PROJECTS).to_owned());
        let stack = self.stacks.entry(project).or_default();
        let target = match fastrand::u8(..10) {
            0 | 1 => stack.next_undo(),
            2 => stack.next_redo(),
            // Any other one, as long as it is in force, or what took it back.
            3 if !self.history.is_empty() => {
                let (_, event) = &self.history[fastrand::usize(..self.history.len())];
                let id = event.identity().message_id.uuid();
                id.and_then(|id| match stack.is_in_force(id) {
                    true => Some(id),
                    false => stack.undone_by(id),
                })
            }
            _ => None,
        };
        let mut n_ids = self.n_ids;
        let mut new_id = || {
            n_ids += 1;
            Uuid::from_u128((7 << 76) | (2 << 62) | n_ids)
        };
        let mut draft = Draft { cause: &identity, at: Self::at(), new_id: &mut new_id };
        let events = match target {
            Some(target) => {
                let is_target = |(_, event): &&(State, Event)| {
                    event.identity().message_id.uuid() == Some(target)
                };
                let (before, event) = self.history.iter().find(is_target).expect("in a stack");
                undo(before, event, changes(), &mut draft).into_iter().collect()
            }
            None => {
                let (command, evidence) = random_command(identity.clone());
                let stream = command.stream();
                let empty = || State::empty(&stream.kind);
                let state = self.states.entry(stream.clone()).or_insert_with(empty);
                state.decide(&command, &evidence, &mut draft).unwrap_or_default()
            }
        };
        self.n_ids = n_ids;
        events.into_iter().for_each(|event| self.store(event));
    }

    fn store(&mut self, event: Event) {
        let stream = event.stream();
        let body = event.to_json().expect("no odd numbers");
        let new = NewEvent {
            id: event.identity().message_id.uuid().expect("ours"),
            event_type: event.event_type().to_owned(),
            schema: event.schema(),
            at: event.at(),
            correlation: event.identity().correlation_id.clone(),
            causation: event.identity().causation_id.clone(),
            body,
            meta: one_of(&["{}", r#"{"actor":"ann"}"#, r#"{"issued_by":"b\"ob"}"#]).to_owned(),
        };
        let append = Append {
            stream: stream.clone(),
            expected: Expected::Any,
            events: vec![new],
            intent: None,
        };
        self.store.append(append).expect("a new event");
        let state = self.states.entry(stream.clone()).or_insert_with(|| State::empty(&stream.kind));
        self.history.push((state.clone(), event.clone()));
        state.evolve(&event);
        self.stacks.entry(None).or_default().push(&event);
        let project = self.project(&event);
        if let Some(project) = project {
            self.stacks.entry(Some(project)).or_default().push(&event);
        }
    }

    /// The project of an event, found by looking at all events before it.
    fn project(&self, event: &Event) -> Option<String> {
        let of = |event: &Event| {
            let said = said_project(event).0;
            said.filter(|said| !said.is_empty()).map(str::to_owned)
        };
        let same = |(_, other): &&(State, Event)| other.stream() == event.stream();
        of(event).or_else(|| self.history.iter().filter(same).rev().find_map(|(_, e)| of(e)))
    }

    fn ask(&self, query: impl Into<Query>) -> Result<Answer, QueryError> {
        ask(&self.store, &query.into())
    }
}

/// All rows of all read models, as they are now.
fn dump(store: &MemoryStore) -> String {
    let mut out = String::new();
    for projection in PROJECTIONS {
        store.catch_up(projection).expect("in memory");
        let read = store.rows(projection.name(), &mut |rows| {
            rows.scan("", None, &mut |key, value| {
                out.push_str(&format!("{} {key:?} {value}\n", projection.name()));
                Ok(ControlFlow::Continue(()))
            })
        });
        read.expect("in memory");
    }
    out
}

fn world(seed: u64, n_steps: usize, mut between: impl FnMut(&World)) -> World {
    fastrand::seed(seed);
    let mut world = World::default();
    for _ in 0..n_steps {
        world.step();
        between(&world);
    }
    world
}

#[test]
fn rebuilt_from_nothing_equals_moved_along() {
    for seed in 0..6 {
        // Read models are moved along at random places, each at its own.
        let mut other = fastrand::Rng::with_seed(seed);
        let moved = world(seed, 150, |world| {
            for projection in PROJECTIONS {
                if other.u8(..5) == 0 {
                    world.store.catch_up(projection).expect("in memory");
                }
            }
        });
        let moved_rows = dump(&moved.store);
        let at_once = world(seed, 150, |_| ());
        assert_eq!(at_once.history.len(), moved.history.len());
        assert!(at_once.history.len() > 80, "{}", at_once.history.len());
        assert_eq!(dump(&at_once.store), moved_rows, "seed {seed}");
        for projection in PROJECTIONS {
            moved.store.drop_projection(projection.name()).expect("in memory");
        }
        assert_eq!(dump(&moved.store), moved_rows, "seed {seed}, built again");
    }
}

#[test]
fn views_agree_with_the_aggregates() {
    for seed in 100..120 {
        let world = world(seed, 150, |_| ());
        for (stream, state) in &world.states {
            agrees(&world, stream.id, state);
        }
        let history = world.store.head().expect("in memory") as usize;
        assert_eq!(history, world.history.len());
    }
}

fn agrees(world: &World, id: Uuid, state: &State) {
    let some = Some(id);
    match state {
        State::Flake(state) => {
            let view = world.ask(GetFlake { id: some, path: None });
            let Some(state) = &state.0 else {
                assert!(matches!(view, Err(QueryError::NotFound { .. })));
                return;
            };
            let Ok(Answer::GetFlake(view)) = view else { panic!("{view:?}") };
            assert_eq!((view.id, &view.path), (state.id, &state.path));
            assert_eq!((&view.description, &view.inputs), (&state.description, &state.inputs));
            let by_path = GetFlake { id: None, path: Some(state.path.clone()) };
            assert_eq!(world.ask(by_path).expect("there"), Answer::GetFlake(view));
        }
        State::Package(state) => {
            let view = world.ask(GetPackage { id: some, ..GetPackage::default() });
            if *state == Package::default() {
                assert!(matches!(view, Err(QueryError::NotFound { .. })));
                return;
            }
            let Ok(Answer::GetPackage(view)) = view else { panic!("{view:?}") };
            let last = match state.last {
                BuildState::Never => answer::BuildOutcome::Never,
                BuildState::Built => answer::BuildOutcome::Built,
                BuildState::Failed(reason) => reason.into(),
            };
            assert_eq!((view.last, &view.outputs), (last, &state.outputs));
            let mut caches = state.caches.clone();
            caches.sort_unstable();
            let known: Vec<_> = view.caches.iter().map(|copy| copy.cache.clone()).collect();
            assert_eq!(known, caches);
        }
        State::Module(state) => {
            let view = world.ask(GetModule { id: some, ..GetModule::default() });
            let Some(state) = &state.0 else {
                assert!(matches!(view, Err(QueryError::NotFound { .. })));
                return;
            };
            let Ok(Answer::GetModule(view)) = view else { panic!("{view:?}") };
            assert_eq!((view.id, &view.name, &view.file), (state.id, &state.name, &state.file));
            assert_eq!((&view.options, &view.config), (&state.options, &state.config));
        }
        State::Overlay(state) => {
            let view = world.ask(GetOverlay { id: some, ..GetOverlay::default() });
            let Some(state) = &state.0 else {
                assert!(matches!(view, Err(QueryError::NotFound { .. })));
                return;
            };
            let Ok(Answer::GetOverlay(view)) = view else { panic!("{view:?}") };
            assert_eq!((view.id, &view.name, &view.file), (state.id, &state.name, &state.file));
            assert_eq!((&view.overrides, &view.additions), (&state.overrides, &state.additions));
        }
        State::Configuration(state) => agrees_configuration(world, id, state),
        State::Project(_) | State::Once(_) => {}
    }
}

fn agrees_configuration(world: &World, id: Uuid, state: &Configuration) {
    let of = GetConfigurationHistory { id: Some(id), limit: Some(1_000), ..Default::default() };
    let history = world.ask(of);
    let is_of = |(_, event): &&(State, Event)| {
        event.kind() == Kind::Configuration && event.aggregate() == id
    };
    let events: Vec<_> = world.history.iter().filter(is_of).collect();
    let Ok(Answer::GetConfigurationHistory(history)) = history else {
        assert!(events.is_empty(), "{history:?}");
        return;
    };
    let ConfigurationHistory { is_present, generations, entries, .. } = *history;
    let written: Vec<_> = events.iter().rev().map(|(_, event)| event.event_type()).collect();
    let read: Vec<_> =
        entries.items.iter().map(|entry| entry.changed.event_type.as_str()).collect();
    assert_eq!(read, written);
    assert_eq!(is_present, state.0.is_some());
    let view = world.ask(GetConfiguration { id: Some(id), ..Default::default() });
    let Some(state) = &state.0 else {
        assert!(matches!(view, Err(QueryError::NotFound { .. })));
        assert_eq!(generations, []);
        return;
    };
    let Ok(Answer::GetConfiguration(view)) = view else { panic!("{view:?}") };
    assert_eq!(view.said, state.said);
    // Taking back an activation of one that is gone leaves the aggregate without a name.
    assert!(view.name == state.name || state.name.is_empty());
    assert_eq!((&view.profile, view.current_generation), (&state.profile, state.current));
    let known: Vec<_> = generations
        .iter()
        .map(|GenerationView { number, store_path, activation, changed, .. }| {
            let (store_path, at) = (store_path.clone(), changed.at);
            (*number, GenerationState { store_path, at, activation: *activation })
        })
        .collect();
    let folded: Vec<_> = state.generations.clone().into_iter().rev().collect();
    assert_eq!(known, folded);
}

#[test]
fn undo_stacks_are_those_of_all_events() {
    for seed in 200..220 {
        let world = world(seed, 200, |_| ());
        for (project, stack) in &world.stacks {
            let project = project.as_deref();
            let place = undo_place(&world.store, project).expect("in memory");
            assert_eq!(place.next_undo, stack.next_undo(), "seed {seed} {project:?}");
            assert_eq!(place.next_redo, stack.next_redo(), "seed {seed} {project:?}");
            let mut n_in_force = 0;
            for (_, event) in &world.history {
                let id = event.identity().message_id.uuid().expect("ours");
                let (is_in_force, by) = undone_by(&world.store, project, id).expect("in memory");
                assert_eq!(is_in_force, stack.is_in_force(id));
                assert_eq!(by, stack.undone_by(id));
                n_in_force += usize::from(is_in_force);
            }
            let all = undoable(&world.store, project, usize::MAX).expect("in memory");
            assert_eq!(all.len(), n_in_force);
            assert_eq!(all.first().copied(), stack.next_undo());
        }
    }
}

#[test]
fn the_log_finds_what_a_look_at_all_events_finds() {
    for seed in 300..305 {
        let world = world(seed, 700, |_| ());
        for _ in 0..40 {
            let project = fastrand::bool().then(|| one_of(&PROJECTS).to_owned());
            let file = (project.is_some() && fastrand::bool())
                .then(|| one_of(&["flake.nix", "a\tb", "none"]).to_owned());
            let actor = fastrand::bool().then(|| one_of(&["ann", "b\"ob"]).to_owned());
            let event_type = (fastrand::u8(..3) == 0)
                .then(|| one_of(&["ProjectFormatted", "FlakeUpdated", "Nothing"]).to_owned());
            let filter = LogFilter { project, file, actor, event_type };
            let before = fastrand::bool().then(|| fastrand::u64(1..800));
            let mut found = Vec::new();
            log(&world.store, &filter, before, &mut |record| {
                found.push(record.position);
                Ok(ControlFlow::Continue(()))
            })
            .expect("in memory");
            assert_eq!(
                found,
                by_hand(&world, &filter, before),
                "seed {seed} {filter:?} {before:?}"
            );
        }
    }
}

fn by_hand(world: &World, filter: &LogFilter, before: Option<u64>) -> Vec<u64> {
    let mut found = Vec::new();
    let mut projects: HashMap<Uuid, String> = HashMap::new();
    let read = world.store.read_all(0, &mut |record| {
        let (_, event) = &world.history[record.position as usize - 1];
        let said = said_project(event).0.filter(|said| !said.is_empty());
        if let Some(said) = said {
            projects.insert(record.aggregate, said.to_owned());
        }
        let has_file = |file: &String| {
            event.changes().iter().any(|c| c.path == *file || c.to.as_ref() == Some(file))
        };
        let fits = before.is_none_or(|before| record.position < before)
            && filter.event_type.as_ref().is_none_or(|wanted| wanted == record.event_type)
            && filter
                .project
                .as_ref()
                .is_none_or(|wanted| projects.get(&record.aggregate) == Some(wanted))
            && filter.file.as_ref().is_none_or(has_file)
            && filter
                .actor
                .as_ref()
                .is_none_or(|wanted| Origin::of(record).actor().as_ref() == Some(wanted));
        if fits {
            found.push(record.position);
        }
        Ok(ControlFlow::Continue(()))
    });
    read.expect("in memory");
    found.reverse();
    found
}

#[test]
fn options_are_owned_by_the_modules_that_declare_them() {
    for seed in 400..420 {
        let world = world(seed, 200, |_| ());
        for project in PROJECTS {
            let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
            let list = ListModules { project: Some(project.into()), ..Default::default() };
            let Ok(Answer::ListModules(page)) = world.ask(list) else { panic!("answers") };
            for view in &page.items {
                for option in view.options.keys() {
                    owners.entry(option.clone()).or_default().push(view.name.clone());
                }
            }
            let known = answer::option_owners(&world.store, project, "", 1_000).expect("in memory");
            assert_eq!(known.len(), owners.values().map(Vec::len).sum::<usize>());
            let below = answer::option_owners(&world.store, project, "services.web", 1_000);
            let below = below.expect("in memory");
            assert!(below.iter().all(|owner| owner.option.starts_with("services.web.")));
            owners.retain(|_, names| names.len() > 1);
            let conflicts = answer::option_conflicts(&world.store, project, 1_000);
            let conflicts = conflicts.expect("in memory").into_iter();
            let conflicts: BTreeMap<_, _> =
                conflicts.map(|conflict| (conflict.option, conflict.modules)).collect();
            assert_eq!(conflicts, owners);
            for view in page.items {
                let expected = view.options.keys().filter(|option| owners.contains_key(*option));
                let known = view.conflicts.iter().map(|conflict| &conflict.option);
                assert!(known.eq(expected));
            }
        }
    }
}

#[test]
fn pages_have_everything_once() {
    let world = world(500, 400, |_| ());
    let all = |limit: u32| {
        let (mut items, mut cursor) = (Vec::new(), None);
        loop {
            let list = ListModules { limit: Some(limit), cursor, ..Default::default() };
            let Ok(Answer::ListModules(page)) = world.ask(list) else { panic!("answers") };
            assert!(page.items.len() <= limit as usize);
            items.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                return items;
            }
        }
    };
    let whole = all(1_000);
    assert!(whole.len() > 4, "{}", whole.len());
    for limit in 1..6 {
        assert_eq!(all(limit), whole);
    }
    assert!(whole.is_sorted_by_key(|view| (view.name.clone(), view.project.clone())));
}

#[test]
fn answers_round_trip() {
    let world = world(600, 400, |_| ());
    for query_type in Query::TYPES.iter().filter(|name| name.starts_with("List")) {
        let query = Query::read(query_type, r#"{"limit":3}"#).expect("all fields may lack");
        let answer = ask(&world.store, &query).expect("lists never fail");
        let json = answer.to_value().expect("no odd numbers").to_string();
        assert!(json.len() > 100, "{json}");
        assert_eq!(Answer::read(query_type, &json), Ok(answer));
    }
}
