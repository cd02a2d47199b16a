//! The configuration of a machine or a home: its file, and the generations that were in force.
//!
//! # States
//!
//! ```text
//! absent ──ConfigurationCreated, ConfigurationObserved──► present, nothing in force
//! present ──ConfigurationActivated──► generation N in force
//! generation N ──ConfigurationActivated──► generation M (M ≠ N in one profile)
//! generation N ──ConfigurationRolledBack──► generation K, which was there before
//! present ──ConfigurationActivationFailed──► as before
//! present ──ConfigurationActivated to test──► as before
//! present ──ConfigurationDeleted──► absent, or a generation in force without code
//! ```
//!
//! # Invariants
//!
//! * Its name and its file fit; a file never leads out of the project.
//! * It is made where its file is not there yet, and changed where it is.
//! * The generation in force is one of those that the events name, and a number stands for the
//!   store path that the last event about it says: Nix gives the numbers of removed generations
//!   again. Numbers of another profile are forgotten.
//! * One rolls back to another generation than the one in force.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::command::{ActivateConfiguration, RollbackConfiguration};
use crate::decide::{check_file, check_name, check_value};
use crate::event::{
    ConfigurationActivated, ConfigurationActivationFailed, ConfigurationCreated,
    ConfigurationDeleted, ConfigurationObserved, ConfigurationRolledBack, ConfigurationUpdated,
};
use crate::{
    ActivationType, Command, ConfigurationKind, Decider, Draft, Event, Evidence, FileChange, Kind,
    NixOSConfiguration, Rejection, Timestamp,
};

/// The configuration with a name, if there is one.
#[derive(Clone, PartialEq, Default, Debug, serde::Serialize, serde::Deserialize)]
pub struct Configuration(pub Option<ConfigurationState>);

/// A configuration that is there.
#[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
pub struct ConfigurationState {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// What commands said of it; `None` if it was only found.
    pub said: Option<NixOSConfiguration>,
    /// The profile that its generations are in; empty if none was made yet.
    pub profile: String,
    /// The generation in force.
    pub current: Option<u32>,
    /// The generations by number.
    pub generations: BTreeMap<u32, GenerationState>,
}

/// A generation that was in force once.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub struct GenerationState {
    /// What it is; empty if it was only found.
    pub store_path: String,
    /// When it last came into force.
    pub at: Timestamp,
    /// What became of it; `None` if it was only found.
    pub activation: Option<ActivationType>,
}

/// The file of a configuration whose command names none.
#[must_use]
pub fn configuration_file(kind: ConfigurationKind, name: &str) -> String {
    match kind {
        ConfigurationKind::Nixos => format!("hosts/{name}/default.nix"),
        ConfigurationKind::Home => format!("homes/{name}/default.nix"),
    }
}

fn what(name: &str) -> String {
    format!("configuration `{name}`")
}

impl Decider for Configuration {
    const KIND: Kind = Kind::Configuration;

    fn decide(
        &self,
        command: &Command,
        evidence: &Evidence,
        draft: &mut Draft<'_>,
    ) -> Result<Vec<Event>, Rejection> {
        let id = command.stream().id;
        let unfit = Rejection::Unfit { command: command.command_type() };
        let event = match (command, evidence) {
            (Command::CreateConfiguration(command), Evidence::Files { is_there, changes }) => {
                if *is_there {
                    let what = format!("the {}", what(&command.name));
                    return Err(Rejection::AlreadyExists { what });
                }
                ConfigurationCreated {
                    event_id: Uuid::nil(),
                    occurred_at: draft.at,
                    identity: draft.identity(),
                    project: command.project.clone(),
                    configuration: self.complete(id, &command.name, &command.configuration)?,
                    undoes: None,
                    changes: changes.clone(),
                }
                .named()
            }
            (Command::UpdateConfiguration(command), Evidence::Files { is_there, changes }) => {
                if !*is_there {
                    return Err(Rejection::NotFound { what: what(&command.name) });
                }
                let configuration = self.complete(id, &command.name, &command.configuration)?;
                if changes.is_empty() && self.said() == Some(&configuration) {
                    return Ok(Vec::new());
                }
                ConfigurationUpdated {
                    event_id: Uuid::nil(),
                    occurred_at: draft.at,
                    identity: draft.identity(),
                    project: command.project.clone(),
                    configuration,
                    undoes: None,
                    changes: changes.clone(),
                }
                .named()
            }
            (Command::ActivateConfiguration(command), evidence) => {
                return self.activate(id, command, evidence, draft).ok_or(unfit);
            }
            (Command::RollbackConfiguration(command), evidence) => {
                return self.roll_back(id, command, evidence, draft);
            }
            _ => return Err(unfit),
        };
        Ok(vec![event])
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::ConfigurationCreated(event) => self.say(&event.configuration),
            Event::ConfigurationUpdated(event) => self.say(&event.configuration),
            Event::ConfigurationDeleted(_) => match &mut self.0 {
                // Its code is gone, but its profile is still at some generation.
                Some(state) if !state.generations.is_empty() => state.said = None,
                _ => self.0 = None,
            },
            Event::ConfigurationObserved(event) => {
                let state = self.present(event.configuration_id);
                state.name.clone_from(&event.name);
                if let Some(number) = event.generation {
                    state.in_force(&event.profile, number, "", event.occurred_at, None);
                }
            }
            // What is tested takes effect without a generation of its own.
            Event::ConfigurationActivated(event)
                if event.activation_type == ActivationType::Test =>
            {
                self.present(event.configuration_id);
            }
            Event::ConfigurationActivated(event) => {
                let state = self.present(event.configuration_id);
                let (at, kind) = (event.occurred_at, Some(event.activation_type));
                state.in_force(&event.profile, event.generation, &event.store_path, at, kind);
            }
            Event::ConfigurationRolledBack(event) => {
                let state = self.present(event.configuration_id);
                let (at, path) = (event.occurred_at, &event.store_path);
                let is_same = state.profile == event.profile;
                let known = state.generations.get(&event.generation).filter(|_| is_same);
                let kind = known.and_then(|generation| generation.activation);
                state.in_force(&event.profile, event.generation, path, at, kind);
            }
            _ => {}
        }
    }
}

impl ConfigurationState {
    fn in_force(
        &mut self,
        profile: &str,
        number: u32,
        store_path: &str,
        at: Timestamp,
        activation: Option<ActivationType>,
    ) {
        if self.profile != profile {
            // Numbers mean something in their profile only.
            self.generations.clear();
            profile.clone_into(&mut self.profile);
        }
        self.current = Some(number);
        let known = self.generations.entry(number).or_insert_with(|| GenerationState {
            store_path: String::new(),
            at,
            activation,
        });
        known.at = at;
        known.activation = activation;
        if !store_path.is_empty() {
            store_path.clone_into(&mut known.store_path);
        }
    }
}

impl Configuration {
    fn said(&self) -> Option<&NixOSConfiguration> {
        self.0.as_ref().and_then(|state| state.said.as_ref())
    }

    fn present(&mut self, id: Uuid) -> &mut ConfigurationState {
        self.0.get_or_insert_with(|| ConfigurationState {
            id,
            name: String::new(),
            said: None,
            profile: String::new(),
            current: None,
            generations: BTreeMap::new(),
        })
    }

    fn say(&mut self, said: &NixOSConfiguration) {
        let state = self.present(said.id);
        state.name.clone_from(&said.name);
        state.said = Some(said.clone());
    }

    /// What a command says, with what it may leave out.
    fn complete(
        &self,
        id: Uuid,
        name: &str,
        said: &NixOSConfiguration,
    ) -> Result<NixOSConfiguration, Rejection> {
        check_name("the name of a configuration", name)?;
        for (specialisation, value) in &said.specialisations {
            check_value("a specialisation", specialisation, value)?;
        }
        let mut full = said.clone();
        full.id = id;
        full.name = name.to_owned();
        if full.path.is_empty() {
            full.path = match self.said() {
                Some(known) => known.path.clone(),
                None => configuration_file(full.kind, name),
            };
        }
        if full.hostname.is_empty() && full.kind == ConfigurationKind::Nixos {
            full.hostname = name.to_owned();
        }
        check_file("the file of a configuration", &full.path)?;
        match self.said() {
            Some(known) if known.path != full.path => Err(Rejection::Invalid {
                what: format!("the file of {}", what(name)),
                value: full.path,
                why: format!("it is in `{}`", known.path),
            }),
            _ => Ok(full),
        }
    }

    /// An observation, if nothing is known of the configuration, or its profile was moved by other
    /// means.
    fn observe(
        &self,
        id: Uuid,
        (project, name): (&str, &str),
        (profile, generation): (&str, Option<u32>),
        draft: &mut Draft<'_>,
    ) -> Vec<Event> {
        let is_known = self.0.as_ref().is_some_and(|state| {
            generation.is_none() || state.current == generation && state.profile == profile
        });
        if is_known {
            return Vec::new();
        }
        let event = ConfigurationObserved {
            event_id: Uuid::nil(),
            occurred_at: draft.at,
            identity: draft.identity(),
            project: project.to_owned(),
            configuration_id: id,
            name: name.to_owned(),
            kind: self.said().map(|said| said.kind).unwrap_or_default(),
            generation,
            profile: profile.to_owned(),
            undoes: None,
            changes: Vec::new(),
        };
        vec![event.named()]
    }

    /// `None` if what was found out is not about an activation.
    fn activate(
        &self,
        id: Uuid,
        command: &ActivateConfiguration,
        evidence: &Evidence,
        draft: &mut Draft<'_>,
    ) -> Option<Vec<Event>> {
        let of = (command.project.as_str(), command.name.as_str());
        match evidence {
            Evidence::Activated { generation, previous, store_path, profile, took } => {
                let mut events = self.observe(id, of, (profile, *previous), draft);
                let event = ConfigurationActivated {
                    event_id: Uuid::nil(),
                    occurred_at: draft.at,
                    identity: draft.identity(),
                    configuration_id: id,
                    generation: *generation,
                    activation_type: command.activation_type,
                    store_path: store_path.clone(),
                    previous: *previous,
                    profile: profile.clone(),
                    took: *took,
                    undoes: None,
                    changes: Vec::new(),
                };
                events.push(event.named());
                Some(events)
            }
            Evidence::ActivationFailed { message, generation, profile } => {
                let mut events = self.observe(id, of, (profile, *generation), draft);
                let event = ConfigurationActivationFailed {
                    event_id: Uuid::nil(),
                    occurred_at: draft.at,
                    identity: draft.identity(),
                    configuration_id: id,
                    activation_type: command.activation_type,
                    message: message.clone(),
                    generation: *generation,
                    undoes: None,
                    changes: Vec::new(),
                };
                events.push(event.named());
                Some(events)
            }
            _ => None,
        }
    }

    fn roll_back(
        &self,
        id: Uuid,
        command: &RollbackConfiguration,
        evidence: &Evidence,
        draft: &mut Draft<'_>,
    ) -> Result<Vec<Event>, Rejection> {
        let of = (command.project.as_str(), command.name.as_str());
        if let Evidence::ActivationFailed { message, generation, profile } = evidence {
            let mut events = self.observe(id, of, (profile, *generation), draft);
            let event = ConfigurationActivationFailed {
                event_id: Uuid::nil(),
                occurred_at: draft.at,
                identity: draft.identity(),
                configuration_id: id,
                activation_type: ActivationType::Switch,
                message: message.clone(),
                generation: *generation,
                undoes: None,
                changes: Vec::new(),
            };
            events.push(event.named());
            return Ok(events);
        }
        let Evidence::Activated { generation, previous, store_path, profile, .. } = evidence else {
            return Err(Rejection::Unfit { command: "RollbackConfiguration" });
        };
        if *previous == Some(*generation) {
            return Err(Rejection::NothingBefore { what: format!("the {}", what(&command.name)) });
        }
        let mut events = self.observe(id, of, (profile, *previous), draft);
        let event = ConfigurationRolledBack {
            event_id: Uuid::nil(),
            occurred_at: draft.at,
            identity: draft.identity(),
            configuration_id: id,
            generation: *generation,
            previous: *previous,
            store_path: store_path.clone(),
            profile: profile.clone(),
            undoes: None,
            changes: Vec::new(),
        };
        events.push(event.named());
        Ok(events)
    }

    /// The event that takes `event` back, which was decided upon in this state.
    ///
    /// Taking an activation back is a rollback to the generation before; whoever does it has put
    /// that generation into force.
    pub(crate) fn undo(
        &self,
        event: &Event,
        undoes: Uuid,
        changes: Vec<FileChange>,
        draft: &mut Draft<'_>,
    ) -> Option<Event> {
        let (event_id, occurred_at, undoes) = (Uuid::nil(), draft.at, Some(undoes));
        let identity = draft.identity();
        let to_generation = |id, generation: u32, previous, profile: &str| {
            let known = self.0.as_ref().and_then(|state| state.generations.get(&generation));
            ConfigurationRolledBack {
                event_id,
                occurred_at,
                identity: identity.clone(),
                configuration_id: id,
                generation,
                previous: Some(previous),
                store_path: known.map(|known| known.store_path.clone()).unwrap_or_default(),
                profile: profile.to_owned(),
                undoes,
                changes: Vec::new(),
            }
            .named()
        };
        Some(match event {
            Event::ConfigurationCreated(event) => ConfigurationDeleted {
                event_id,
                occurred_at,
                identity,
                project: event.project.clone(),
                configuration_id: event.configuration.id,
                name: event.configuration.name.clone(),
                undoes,
                changes,
            }
            .named(),
            Event::ConfigurationDeleted(event) => ConfigurationCreated {
                event_id,
                occurred_at,
                identity,
                project: event.project.clone(),
                configuration: self.said()?.clone(),
                undoes,
                changes,
            }
            .named(),
            Event::ConfigurationUpdated(event) => ConfigurationUpdated {
                event_id,
                occurred_at,
                identity,
                project: event.project.clone(),
                configuration: self.said().unwrap_or(&event.configuration).clone(),
                undoes,
                changes,
            }
            .named(),
            Event::ConfigurationActivated(event) => {
                let id = event.configuration_id;
                to_generation(id, event.previous?, event.generation, &event.profile)
            }
            Event::ConfigurationRolledBack(event) => {
                let id = event.configuration_id;
                to_generation(id, event.previous?, event.generation, &event.profile)
            }
            _ => return None,
        })
    }
}
