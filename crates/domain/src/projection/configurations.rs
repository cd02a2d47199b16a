//! Configurations with their generations and their history.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Named, below, changed, key, newest_first, read, readable, remove_below, rename, write,
};
use crate::answer::{Changed, ConfigurationView, GenerationView, HistoryEntry};
use crate::{
    ActivationType, ConfigurationKind, Event, NixOSConfiguration, Projection, Reading, Rows,
    StoreError, Took,
};

/// Configurations with their generations and their history.
pub(crate) struct Configurations;

/// A configuration, without what was said of it.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ConfigurationRow {
    /// Counts how often its generations were forgotten: numbers mean something in their profile
    /// only.
    pub(crate) epoch: u64,
    /// Whether it is there; where not, it has a history still.
    pub(crate) is_present: bool,
    /// How many entries its history has.
    pub(crate) n_entries: u64,
    pub(crate) view: ConfigurationView,
}

/// The key of a configuration's row.
pub(crate) fn row_key(id: Uuid) -> String {
    key(&["config", &id.to_string()])
}

/// The key of what commands said of a configuration. It is a row of its own, since it has values
/// that are as deep as JSON may be: around them is nothing that makes them deeper than they were.
pub(crate) fn said_key(id: Uuid) -> String {
    key(&["said", &id.to_string()])
}

/// What the keys of a configuration's generations start with, the highest number first.
pub(crate) fn generations_of(row: &ConfigurationRow) -> String {
    below(&["generation", &row.view.id.to_string(), &row.epoch.to_string()])
}

/// The key of a generation.
pub(crate) fn generation_key(row: &ConfigurationRow, number: u32) -> String {
    let mut key = generations_of(row);
    key.push_str(&newest_first(number.into()));
    key
}

/// What the keys of a configuration's history start with, the latest entry first.
pub(crate) fn history_of(id: Uuid) -> String {
    below(&["history", &id.to_string()])
}

/// The key of the configuration that was last put into force: in a project, or at all.
pub(crate) fn last_key(project: Option<&str>) -> String {
    match project {
        Some(project) => key(&["last", "in", project]),
        None => key(&["last", "of"]),
    }
}

impl Projection for Configurations {
    fn name(&self) -> &'static str {
        "configurations"
    }

    fn schema(&self) -> u32 {
        1
    }

    fn apply(&self, record: &Reading<'_>, rows: &mut dyn Rows) -> Result<(), StoreError> {
        if record.kind != "config" {
            return Ok(());
        }
        let Some(event) = readable(record, rows)? else { return Ok(()) };
        let known: Option<ConfigurationRow> = read(rows, &row_key(record.aggregate))?;
        let former = known.as_ref().map(|row| (row.is_present, named(&row.view)));
        let mut row = known.unwrap_or_else(|| new(record));
        row.view.changed = changed(record);
        if !take(rows, &mut row, event)? {
            return Ok(());
        }
        remember(rows, &mut row, event)?;
        let now = named(&row.view);
        for (prefix, is_present) in [("name", true), ("gone", false)] {
            let former = former.as_ref().filter(|(was, _)| *was == is_present).map(|(_, it)| it);
            let now = (row.is_present == is_present).then_some(&now);
            rename(rows, prefix, former, now)?;
        }
        write(rows, &row_key(record.aggregate), &row)
    }
}

fn named(view: &ConfigurationView) -> Named {
    Named { id: view.id, project: view.project.clone(), name: view.name.clone() }
}

fn new(record: &Reading<'_>) -> ConfigurationRow {
    ConfigurationRow {
        epoch: 0,
        is_present: false,
        n_entries: 0,
        view: ConfigurationView {
            id: record.aggregate,
            name: String::new(),
            system: String::new(),
            current_generation: None,
            last_activated: None,
            project: String::new(),
            kind: ConfigurationKind::default(),
            profile: String::new(),
            said: None,
            changed: changed(record),
        },
    }
}

/// The configuration after an event, as its aggregate has it. Answers whether the event is about
/// one.
fn take(
    rows: &mut dyn Rows,
    row: &mut ConfigurationRow,
    event: &Event,
) -> Result<bool, StoreError> {
    match event {
        Event::ConfigurationCreated(event) => {
            say(rows, row, &event.project, &event.configuration)?;
        }
        Event::ConfigurationUpdated(event) => {
            say(rows, row, &event.project, &event.configuration)?;
        }
        Event::ConfigurationDeleted(event) => {
            in_project(row, &event.project);
            row.view.name.clone_from(&event.name);
            forget(rows, row)?;
        }
        Event::ConfigurationObserved(event) => {
            in_project(row, &event.project);
            row.view.name.clone_from(&event.name);
            row.view.kind = event.kind;
            if let Some(number) = event.generation {
                in_force(rows, row, &event.profile, number, "", None, None)?;
            }
        }
        Event::ConfigurationActivated(event) if event.activation_type == ActivationType::Test => {}
        Event::ConfigurationActivated(event) => {
            let (path, kind) = (&event.store_path, Some(event.activation_type));
            let took = Some(event.took);
            in_force(rows, row, &event.profile, event.generation, path, kind, took)?;
            activated(rows, row)?;
        }
        Event::ConfigurationRolledBack(event) => {
            let known: Option<GenerationView> = match row.view.profile == event.profile {
                true => read(rows, &generation_key(row, event.generation))?,
                false => None,
            };
            let kind = known.as_ref().and_then(|known| known.activation);
            let took = known.and_then(|known| known.took);
            let path = &event.store_path;
            in_force(rows, row, &event.profile, event.generation, path, kind, took)?;
            activated(rows, row)?;
        }
        Event::ConfigurationActivationFailed(_) => return Ok(true),
        _ => return Ok(false),
    }
    // One whose code is gone is there as long as its profile is at some generation.
    let is_deleted = matches!(event, Event::ConfigurationDeleted(_));
    row.is_present = !is_deleted || row.view.current_generation.is_some();
    Ok(true)
}

fn in_project(row: &mut ConfigurationRow, project: &str) {
    if !project.is_empty() {
        project.clone_into(&mut row.view.project);
    }
}

fn say(
    rows: &mut dyn Rows,
    row: &mut ConfigurationRow,
    project: &str,
    said: &NixOSConfiguration,
) -> Result<(), StoreError> {
    in_project(row, project);
    row.view.name.clone_from(&said.name);
    row.view.system.clone_from(&said.system);
    row.view.kind = said.kind;
    write(rows, &said_key(row.view.id), said)
}

/// Removes what a configuration without code has no more.
fn forget(rows: &mut dyn Rows, row: &mut ConfigurationRow) -> Result<(), StoreError> {
    row.view.system.clear();
    rows.remove(&said_key(row.view.id))
}

fn forget_generations(rows: &mut dyn Rows, row: &mut ConfigurationRow) -> Result<(), StoreError> {
    remove_below(rows, &generations_of(row))?;
    row.epoch += 1;
    row.view.current_generation = None;
    Ok(())
}

fn in_force(
    rows: &mut dyn Rows,
    row: &mut ConfigurationRow,
    profile: &str,
    number: u32,
    store_path: &str,
    activation: Option<ActivationType>,
    took: Option<Took>,
) -> Result<(), StoreError> {
    if row.view.profile != profile {
        forget_generations(rows, row)?;
        profile.clone_into(&mut row.view.profile);
    }
    row.view.current_generation = Some(number);
    let key = generation_key(row, number);
    let known: Option<GenerationView> = match store_path {
        "" => read(rows, &key)?,
        _ => None,
    };
    let store_path = known.map_or_else(|| store_path.to_owned(), |known| known.store_path);
    let changed = row.view.changed.clone();
    write(rows, &key, &GenerationView { number, store_path, activation, took, changed })
}

fn activated(rows: &mut dyn Rows, row: &mut ConfigurationRow) -> Result<(), StoreError> {
    row.view.last_activated = Some(row.view.changed.at);
    let id = row.view.id.to_string();
    rows.put(&last_key(None), &id)?;
    rows.put(&last_key(Some(&row.view.project)), &id)
}

/// Writes an event into the history.
fn remember(
    rows: &mut dyn Rows,
    row: &mut ConfigurationRow,
    event: &Event,
) -> Result<(), StoreError> {
    let mut entry = entry(row.view.changed.clone(), event.undoes());
    match event {
        Event::ConfigurationObserved(event) => entry.generation = event.generation,
        Event::ConfigurationActivated(event) => {
            entry.generation = Some(event.generation);
            entry.previous = event.previous;
            entry.store_path.clone_from(&event.store_path);
            entry.activation = Some(event.activation_type);
        }
        Event::ConfigurationActivationFailed(event) => {
            entry.generation = event.generation;
            entry.activation = Some(event.activation_type);
            entry.message.clone_from(&event.message);
        }
        Event::ConfigurationRolledBack(event) => {
            entry.generation = Some(event.generation);
            entry.previous = event.previous;
            entry.store_path.clone_from(&event.store_path);
        }
        _ => {}
    }
    row.n_entries += 1;
    let mut key = history_of(row.view.id);
    key.push_str(&newest_first(row.n_entries));
    write(rows, &key, &entry)
}

fn entry(changed: Changed, undoes: Option<Uuid>) -> HistoryEntry {
    HistoryEntry {
        changed,
        undoes,
        generation: None,
        previous: None,
        store_path: String::new(),
        activation: None,
        message: String::new(),
    }
}
