//! A small world for commands to act upon: files, a flake, a profile with generations. What is found
//! out for a command is true of it, and what events say of files happens to it.

use std::collections::BTreeMap;

use cim_domain_nix::command::{
    ActivateConfiguration, AddFlakeInput, BuildPackage, CachePackage, CheckFlake,
    CreateConfiguration, CreateFlake, CreateModule, CreateOverlay, DeleteModule, DeleteOverlay,
    EvaluateExpression, FixProject, FormatProject, RemoveFlakeInput, RenameSymbol,
    RollbackConfiguration, RunGarbageCollection, UpdateConfiguration, UpdateFlake, UpdateModule,
    UpdateOverlay,
};
use cim_domain_nix::model::AttributePath;
use cim_domain_nix::{
    ActivationType, BuiltOutput, Command, ConfigurationKind, Draft, Event, Evidence, FailureReason,
    FileChange, Findings, FlakeEdit, FlakeFacts, LockChange, MessageIdentity, ModuleOption,
    NixModule, NixOSConfiguration, NixValue, Overlay, Rejection, State, StreamId, Timestamp, Took,
    UndoStack, Uuid, file_changes, reverted, undo,
};
use cim_nix_base::{ChangeSet, ContentHash, FileMode, Op};
use fastrand::Rng;

pub(crate) const PROJECT: &str = "/p";
const PROFILE: &str = "/nix/var/nix/profiles/system";

/// Something that has happened, with the state in which it was decided upon.
pub(crate) struct Done {
    pub(crate) stream: StreamId,
    pub(crate) before: State,
    pub(crate) event: Event,
}

pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) files: BTreeMap<String, (String, u32)>,
    blobs: BTreeMap<String, String>,
    generations: BTreeMap<u32, String>,
    pub(crate) current: Option<u32>,
    pub(crate) states: BTreeMap<StreamId, State>,
    pub(crate) done: Vec<Done>,
    pub(crate) stack: UndoStack,
    last_id: u128,
    now: i64,
}

fn facts_text(facts: &FlakeFacts) -> String {
    serde_json::to_string(&(&facts.description, &facts.inputs)).unwrap()
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            files: BTreeMap::new(),
            blobs: BTreeMap::new(),
            generations: BTreeMap::new(),
            current: None,
            states: BTreeMap::new(),
            done: Vec::new(),
            stack: UndoStack::default(),
            last_id: 0x0198_f7a2_7c00_7000_8000_0000_0000_0000,
            now: 1_795_530_059_000_000,
        }
    }

    fn new_id(&mut self) -> Uuid {
        self.last_id += 1;
        Uuid::from_u128(self.last_id)
    }

    pub(crate) fn state(&self, stream: &StreamId) -> State {
        self.states.get(stream).cloned().unwrap_or_else(|| State::empty(&stream.kind))
    }

    pub(crate) fn facts(&self) -> Option<FlakeFacts> {
        let (text, _) = self.files.get("flake.nix")?;
        let (description, inputs) = serde_json::from_str(text).unwrap();
        Some(FlakeFacts { description, inputs })
    }

    /// Somebody changes the flake by other means.
    pub(crate) fn meddle(&mut self) {
        let Some(mut facts) = self.facts() else { return };
        let name = self.input();
        match self.rng.u8(..3) {
            0 => drop(facts.inputs.insert(name, "github:by/hand".to_owned())),
            1 => drop(facts.inputs.remove(&name)),
            _ => drop(facts.inputs.remove("systems")),
        }
        self.files.get_mut("flake.nix").unwrap().0 = facts_text(&facts);
    }

    fn input(&mut self) -> String {
        self.rng.choice(["nixpkgs", "utils", "home-manager"]).unwrap().to_owned()
    }

    fn name(&mut self) -> String {
        self.rng.choice(["web", "db", "mail"]).unwrap().to_owned()
    }

    pub(crate) fn value(&mut self, depth: u32) -> NixValue {
        match self.rng.u32(..if depth == 0 { 7 } else { 9 }) {
            0 => NixValue::String("x\"${y}\n\u{0}".to_owned()),
            1 => NixValue::Int(self.rng.i64(..)),
            2 => NixValue::Float(self.rng.f64() * 1e9),
            3 => NixValue::Bool(self.rng.bool()),
            4 => NixValue::Path("./a.nix".to_owned()),
            5 => NixValue::Null,
            6 => NixValue::Expression("lib.mkForce 7".to_owned()),
            7 => NixValue::List((0..self.rng.u32(..3)).map(|_| self.value(depth - 1)).collect()),
            _ => NixValue::AttrSet(
                (0..self.rng.u32(..3))
                    .map(|at| (format!("a{at}"), self.value(depth - 1)))
                    .collect(),
            ),
        }
    }

    fn module(&mut self) -> NixModule {
        let mut module = NixModule::unknown(Uuid::nil(), "ignored", String::new());
        module.config = self.value(2);
        if self.rng.bool() {
            let default = Some(self.value(1));
            let option_type = "types.anything".to_owned();
            let option = ModuleOption { option_type, default, example: None, description: None };
            module.options.insert("a.b".to_owned(), option);
        }
        module
    }

    fn overlay(&mut self) -> Overlay {
        let mut overlay = Overlay::unknown(Uuid::nil(), "ignored", String::new());
        overlay.additions.insert("tool".to_owned(), format!("{}", self.rng.u8(..)));
        overlay
    }

    fn configuration(&mut self) -> NixOSConfiguration {
        NixOSConfiguration {
            id: Uuid::nil(),
            name: String::new(),
            system: "x86_64-linux".to_owned(),
            path: String::new(),
            hostname: String::new(),
            modules: vec![format!("./{}.nix", self.rng.u8(..))],
            overlays: Vec::new(),
            packages: Vec::new(),
            specialisations: BTreeMap::from([("s".to_owned(), self.value(1))]),
            kind: ConfigurationKind::Nixos,
        }
    }

    /// Any command. Names and folders are few, so that commands meet.
    pub(crate) fn command(&mut self) -> Command {
        let identity = MessageIdentity::root(self.new_id());
        let (path, project) = (PROJECT.to_owned(), PROJECT.to_owned());
        let name = self.name();
        let attribute = AttributePath::new(["packages", &name]);
        let flake_ref = path.clone();
        match self.rng.u32(..22) {
            0 => {
                let description = "a flake".to_owned();
                CreateFlake { path, description, template: None, identity }.into()
            }
            1 => {
                let description = format!("flake {}", self.rng.u8(..3));
                let edit = Some(FlakeEdit::SetDescription { description });
                UpdateFlake { path, edit, inputs: Vec::new(), lock: true, identity }.into()
            }
            2 | 3 => {
                let url = self.rng.choice(["github:o/r", "path:./sub"]).unwrap().to_owned();
                let (name, follows) = (self.input(), BTreeMap::new());
                AddFlakeInput { path, name, url, follows, flake: true, lock: true, identity }.into()
            }
            4 => RemoveFlakeInput { path, name: self.input(), lock: true, identity }.into(),
            5 => BuildPackage { flake_ref, attribute, output_path: None, identity }.into(),
            6 => {
                let (cache, is_download) = ("file:///cache".to_owned(), self.rng.bool());
                CachePackage { flake_ref, attribute, cache, is_download, identity }.into()
            }
            7 => CreateModule { project, name, module: self.module(), identity }.into(),
            8 => UpdateModule { project, name, module: self.module(), identity }.into(),
            9 => DeleteModule { project, name, identity }.into(),
            10 => CreateOverlay { project, name, overlay: self.overlay(), identity }.into(),
            11 => UpdateOverlay { project, name, overlay: self.overlay(), identity }.into(),
            12 => DeleteOverlay { project, name, identity }.into(),
            13 => {
                let configuration = self.configuration();
                CreateConfiguration { project, name, configuration, identity }.into()
            }
            14 => {
                let configuration = self.configuration();
                UpdateConfiguration { project, name, configuration, identity }.into()
            }
            15 => {
                let types = [ActivationType::Switch, ActivationType::Boot, ActivationType::Test];
                let activation_type = *self.rng.choice(&types).unwrap();
                let (profile, store_path) = (None, None);
                ActivateConfiguration {
                    project,
                    name: "web".to_owned(),
                    activation_type,
                    profile,
                    store_path,
                    identity,
                }
                .into()
            }
            16 => {
                let (name, generation, profile) = ("web".to_owned(), None, None);
                RollbackConfiguration { project, name, generation, profile, identity }.into()
            }
            17 => CheckFlake { path, identity }.into(),
            18 => FixProject { path, select: Vec::new(), unsafe_fixes: false, identity }.into(),
            19 => FormatProject { path, formatter: None, identity }.into(),
            20 if self.rng.bool() => {
                EvaluateExpression { expression: "1 + 1".to_owned(), identity }.into()
            }
            20 => RunGarbageCollection { older_than_days: Some(30), identity }.into(),
            _ => {
                let file = "lib.nix".to_owned();
                let even_if_used_elsewhere = self.rng.bool();
                RenameSymbol { path, file, offset: 0, to: name, even_if_used_elsewhere, identity }
                    .into()
            }
        }
    }

    /// What a command would change, and what is found out for it.
    pub(crate) fn look(&mut self, command: &Command) -> (Evidence, ChangeSet) {
        let mut set = ChangeSet::new(command.command_type());
        let evidence = match command {
            Command::CreateFlake(command) => {
                let after = FlakeFacts {
                    description: command.description.clone(),
                    inputs: BTreeMap::from([("nixpkgs".to_owned(), "github:o/n".to_owned())]),
                };
                self.look_at_flake(after, &mut set)
            }
            Command::UpdateFlake(command) => {
                let mut after = self.facts().unwrap_or_default();
                if let Some(FlakeEdit::SetDescription { description }) = &command.edit {
                    after.description.clone_from(description);
                }
                self.look_at_flake(after, &mut set)
            }
            Command::AddFlakeInput(command) => {
                let mut after = self.facts().unwrap_or_default();
                after.inputs.insert(command.name.clone(), command.url.clone());
                // A flake in a folder brings another input along.
                if command.url.starts_with("path:") {
                    let follows = format!("follows:{}", command.name);
                    after.inputs.insert("systems".to_owned(), follows);
                }
                self.look_at_flake(after, &mut set)
            }
            Command::RemoveFlakeInput(command) => {
                let mut after = self.facts().unwrap_or_default();
                after.inputs.remove(&command.name);
                let follows = format!("follows:{}", command.name);
                after.inputs.retain(|_, url| *url != follows);
                self.look_at_flake(after, &mut set)
            }
            Command::CreateModule(c) => {
                self.look_at_file("modules", &c.name, Some(&c.module), &mut set)
            }
            Command::UpdateModule(c) => {
                self.look_at_file("modules", &c.name, Some(&c.module), &mut set)
            }
            Command::DeleteModule(c) => {
                self.look_at_file("modules", &c.name, None::<&()>, &mut set)
            }
            Command::CreateOverlay(c) => {
                self.look_at_file("overlays", &c.name, Some(&c.overlay), &mut set)
            }
            Command::UpdateOverlay(c) => {
                self.look_at_file("overlays", &c.name, Some(&c.overlay), &mut set)
            }
            Command::DeleteOverlay(c) => {
                self.look_at_file("overlays", &c.name, None::<&()>, &mut set)
            }
            Command::CreateConfiguration(c) => {
                self.look_at_file("hosts", &c.name, Some(&c.configuration), &mut set)
            }
            Command::UpdateConfiguration(c) => {
                self.look_at_file("hosts", &c.name, Some(&c.configuration), &mut set)
            }
            Command::FixProject(_) => {
                self.touch("flake.lock", "fixed", &mut set);
                let fixes = BTreeMap::from([("empty_let".to_owned(), 1)]);
                Evidence::Fixed { fixes, changes: self.changes(&set) }
            }
            Command::FormatProject(_) => {
                self.touch("lib.nix", "formatted", &mut set);
                Evidence::Formatted { formatter: "nixfmt".to_owned(), changes: self.changes(&set) }
            }
            Command::RenameSymbol(command) => {
                self.touch("lib.nix", &command.to, &mut set);
                Evidence::Renamed { from: "x".to_owned(), changes: self.changes(&set) }
            }
            // What is tested gets no generation.
            Command::ActivateConfiguration(command)
                if command.activation_type == ActivationType::Test =>
            {
                Evidence::Activated {
                    generation: self.current.unwrap_or(0),
                    previous: self.current,
                    store_path: "/nix/store/tested-system".to_owned(),
                    profile: PROFILE.to_owned(),
                    took: Took::default(),
                }
            }
            Command::ActivateConfiguration(_) => self.look_at_profile(true),
            Command::RollbackConfiguration(_) => self.look_at_profile(false),
            other => self.run(other),
        };
        (evidence, set)
    }

    fn run(&mut self, command: &Command) -> Evidence {
        let took = Took { secs: self.rng.u64(..9), nanos: self.rng.u32(..1_000_000_000) };
        match command {
            Command::BuildPackage(_) if self.rng.u8(..3) > 0 => {
                let path = format!("/nix/store/{}-x", self.rng.u8(..3));
                let output = BuiltOutput { path, nar_size: Some(7), closure_size: None };
                let outputs = BTreeMap::from([("out".to_owned(), output)]);
                Evidence::Built { outputs, drv_path: None, took }
            }
            Command::BuildPackage(_) => Evidence::BuildFailed {
                reason: FailureReason::Failed,
                message: "no".to_owned(),
                drv_path: None,
                log_tail: String::new(),
                took,
            },
            Command::CachePackage(_) => {
                let output_path = "/nix/store/x".to_owned();
                Evidence::Copied { output_path, paths: 2, bytes: 9, took }
            }
            Command::CheckFlake(_) => Evidence::Checked {
                files: 3,
                findings: Findings { errors: 1, ..Default::default() },
            },
            Command::EvaluateExpression(_) => {
                Evidence::Evaluated { result: "2".to_owned(), is_error: false }
            }
            _ => Evidence::Collected {
                freed_bytes: 7,
                removed_paths: vec!["/nix/store/y".to_owned()],
            },
        }
    }

    fn look_at_flake(&mut self, after: FlakeFacts, set: &mut ChangeSet) -> Evidence {
        let before = self.facts();
        self.write("flake.nix", Some(facts_text(&after)), set);
        let changed: Vec<_> = before.iter().flat_map(|facts| &facts.inputs).collect();
        let lock = |(input, url): &(&String, &String)| LockChange {
            input: (*input).clone(),
            before: Some((*url).clone()),
            after: None,
        };
        let gone = changed.iter().filter(|(input, _)| !after.inputs.contains_key(*input));
        let locks = gone.map(lock).collect();
        let changes = self.changes(set);
        Evidence::Flake { before, after, locks, changes }
    }

    fn look_at_file(
        &mut self,
        folder: &str,
        name: &str,
        said: Option<&impl serde::Serialize>,
        set: &mut ChangeSet,
    ) -> Evidence {
        let file = match folder {
            "hosts" => format!("hosts/{name}/default.nix"),
            _ => format!("{folder}/{name}.nix"),
        };
        let is_there = self.files.contains_key(&file);
        self.write(&file, said.map(|said| serde_json::to_string(said).unwrap()), set);
        Evidence::Files { is_there, changes: self.changes(set) }
    }

    fn look_at_profile(&mut self, is_new: bool) -> Evidence {
        let profile = PROFILE.to_owned();
        let previous = self.current;
        let took = Took::default();
        if is_new && self.rng.u8(..4) == 0 {
            return Evidence::ActivationFailed {
                message: "a unit failed".to_owned(),
                generation: previous,
                profile,
            };
        }
        let generation = match is_new {
            true => self.generations.keys().last().map_or(1, |last| last + 1),
            false => {
                let below = self.generations.range(..previous.unwrap_or(0)).next_back();
                below.map_or(previous.unwrap_or(0), |(number, _)| *number)
            }
        };
        let store_path = self.generations.get(&generation).cloned();
        let store_path = store_path.unwrap_or_else(|| format!("/nix/store/{generation}-system"));
        Evidence::Activated { generation, previous, store_path, profile, took }
    }

    fn touch(&mut self, file: &str, content: &str, set: &mut ChangeSet) {
        self.write(file, Some(content.to_owned()), set);
    }

    /// Adds to `set` what makes a file have this content, or go.
    fn write(&self, file: &str, content: Option<String>, set: &mut ChangeSet) {
        let before = self.files.get(file).map(|(content, _)| content);
        let hash = |text: &String| ContentHash::of(text.as_bytes());
        match (before, content) {
            (before, content) if before == content.as_ref() => {}
            (None, Some(content)) => set.push(file, Op::Create { content, mode: None }),
            (Some(before), Some(content)) => {
                set.push(file, Op::Write { expected: hash(before), content });
            }
            (Some(before), None) => set.push(file, Op::Remove { expected: hash(before) }),
            (None, None) => {}
        }
    }

    fn changes(&self, set: &ChangeSet) -> Vec<FileChange> {
        let mode = |path: &std::path::Path| {
            self.files.get(path.to_str().unwrap()).map(|(_, mode)| FileMode(*mode))
        };
        file_changes(set, mode).unwrap()
    }

    /// Makes the files as `set` wants them. `false`, and nothing has changed, if one is not as it
    /// expects.
    fn apply(&mut self, set: &ChangeSet) -> bool {
        let mut files = self.files.clone();
        for change in &set.changes {
            let path = change.path.to_str().unwrap().to_owned();
            let is_as = |expected: &ContentHash, files: &BTreeMap<String, (String, u32)>| {
                files
                    .get(&path)
                    .is_some_and(|(text, _)| ContentHash::of(text.as_bytes()) == *expected)
            };
            match &change.op {
                Op::Create { content, mode } if !files.contains_key(&path) => {
                    let mode = mode.map_or(0o644, |mode| mode.0);
                    files.insert(path, (content.clone(), mode));
                }
                Op::Write { expected, content } if is_as(expected, &files) => {
                    files.get_mut(&path).unwrap().0.clone_from(content);
                }
                Op::Remove { expected } if is_as(expected, &files) => drop(files.remove(&path)),
                _ => return false,
            }
        }
        for (text, _) in self.files.values().chain(files.values()) {
            self.blobs.insert(ContentHash::of(text.as_bytes()).to_string(), text.clone());
        }
        self.files = files;
        true
    }

    /// Decides as whoever runs commands does.
    pub(crate) fn decide(
        &mut self,
        state: &State,
        command: &Command,
        evidence: &Evidence,
    ) -> Result<Vec<Event>, Rejection> {
        self.now += 1_000;
        let (at, mut last_id) = (Timestamp::from_micros(self.now), self.last_id);
        let mut new_id = || {
            last_id += 1;
            Uuid::from_u128(last_id)
        };
        let mut draft = Draft { cause: command.identity(), at, new_id: &mut new_id };
        let events = state.decide(command, evidence, &mut draft);
        self.last_id = last_id;
        events
    }

    /// Runs a command: looks, decides, does, and takes the events in.
    pub(crate) fn obey(&mut self, command: &Command) -> Result<usize, Rejection> {
        let stream = command.stream();
        let (evidence, set) = self.look(command);
        let state = self.state(&stream);
        let events = self.decide(&state, command, &evidence)?;
        if events.iter().any(|event| !event.changes().is_empty()) {
            assert!(self.apply(&set), "what was just looked at is as expected");
        }
        for event in &events {
            let caused = event.identity();
            assert_eq!(caused.causation_id, command.identity().message_id);
            assert_eq!(caused.correlation_id, command.identity().correlation_id);
            self.take(event.clone());
        }
        Ok(events.len())
    }

    /// Takes an event in: the state, the profile, the stack.
    fn take(&mut self, event: Event) {
        let stream = event.stream();
        let before = self.state(&stream);
        let mut after = before.clone();
        after.evolve(&event);
        self.states.insert(stream.clone(), after);
        match &event {
            // What is tested gets no generation.
            Event::ConfigurationActivated(event)
                if event.activation_type == ActivationType::Test => {}
            Event::ConfigurationActivated(event) => {
                self.generations.insert(event.generation, event.store_path.clone());
                self.current = Some(event.generation);
            }
            Event::ConfigurationRolledBack(event) => self.current = Some(event.generation),
            _ => {}
        }
        self.stack.push(&event);
        self.done.push(Done { stream, before, event });
    }

    /// Takes back the event with this id; `false` if files are other than it left them.
    pub(crate) fn take_back(&mut self, id: Uuid) -> bool {
        let is_it = |done: &&Done| done.event.identity().message_id.uuid() == Some(id);
        let done = self.done.iter().find(is_it).expect("the stack names what was done");
        let (before, event) = (done.before.clone(), done.event.clone());
        let blob = |hash: ContentHash| self.blobs.get(&hash.to_string()).cloned();
        let set = reverted("undo", event.changes(), blob).expect("all bytes were kept");
        let changes = self.changes(&set);
        if !self.apply(&set) {
            return false;
        }
        let cause = MessageIdentity::root(self.new_id());
        let (at, id) = (Timestamp::from_micros(self.now), self.new_id());
        let mut draft = Draft { cause: &cause, at, new_id: &mut || id };
        let back = undo(&before, &event, changes, &mut draft).expect("the stack has what can be");
        assert_eq!(back.stream(), event.stream());
        assert_eq!(back.undoes(), event.identity().message_id.uuid());
        self.take(back);
        true
    }
}
