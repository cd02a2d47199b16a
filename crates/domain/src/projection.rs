//! Read models: what the events say, in rows that answer questions.
//!
//! Each follows the events of its kind, depends on nothing but its rows and the event, and can be
//! dropped and built again. One event costs what it says itself, never what the store holds: lists
//! that grow are rows of their own, one for each entry.
//!
//! Keys are parts with tabs between them. What the parts name stands in the values as well, so a
//! key is never read back.
//!
//! An event that cannot be read (one of a newer version) is left out and counted in the row
//! `unreadable`, see [`Unread`].

pub(crate) mod configurations;
pub(crate) mod flakes;
mod log;
pub(crate) mod modules;
pub(crate) mod overlays;
pub(crate) mod packages;
mod undo;

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub(crate) use configurations::{ConfigurationRow, Configurations};
pub(crate) use flakes::{FlakeRow, Flakes};
pub(crate) use modules::Modules;
pub(crate) use overlays::Overlays;
pub(crate) use packages::{PackageRow, Packages};

pub use log::{FileNow, LogFilter, files_now, log};
pub use undo::{UndoPlace, undo_place, undoable, undone_by};

use crate::answer::Changed;
use crate::{Event, EventStore, Projection, Reading, Record, Rows, StoreError};

/// All read models of this crate.
pub const PROJECTIONS: [&dyn Projection; 7] =
    [&Flakes, &Packages, &Modules, &Overlays, &Configurations, &log::Log, &undo::UndoStacks];

/// Events that a read model could not read, and left out.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Unread {
    /// How many.
    pub count: u64,
    /// The position of the last one.
    pub position: u64,
    /// Why that one cannot be read.
    pub problem: String,
}

const UNREAD: &str = "unreadable";

/// The events that a read model has left out so far.
///
/// Errors: those of the store.
pub fn unread(store: &dyn EventStore, name: &str) -> Result<Unread, StoreError> {
    let mut unread = None;
    store.rows(name, &mut |rows| {
        unread = read(rows, UNREAD)?;
        Ok(())
    })?;
    Ok(unread.unwrap_or_default())
}

/// Reads an event; one that cannot be read is counted.
fn readable<'e>(
    event: &'e Reading<'_>,
    rows: &mut dyn Rows,
) -> Result<Option<&'e Event>, StoreError> {
    let problem = match event.event() {
        Ok(event) => return Ok(Some(event)),
        Err(problem) => problem.to_string(),
    };
    let Unread { count, .. } = read(rows, UNREAD)?.unwrap_or_default();
    write(rows, UNREAD, &Unread { count: count + 1, position: event.position, problem })?;
    Ok(None)
}

/// What the origin of an event says that read models need. What else it says is passed over, and
/// so is an origin that does not fit.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Origin<'a> {
    /// Who did it.
    #[serde(borrow)]
    actor: Option<Cow<'a, str>>,
    /// Who did it, as envelopes of commands have it.
    #[serde(borrow)]
    issued_by: Option<Cow<'a, str>>,
    /// Who did it, as other services' metadata has it.
    #[serde(borrow)]
    user_id: Option<Cow<'a, str>>,
    /// The project's folder, to which the files of the event are relative.
    #[serde(borrow)]
    project: Option<Cow<'a, str>>,
}

impl<'a> Origin<'a> {
    fn of(event: &Record<'a>) -> Self {
        serde_json::from_str(event.meta).unwrap_or_default()
    }

    fn actor(self) -> Option<String> {
        self.actor.or(self.issued_by).or(self.user_id).map(Cow::into_owned)
    }
}

fn changed(event: &Record<'_>) -> Changed {
    Changed {
        at: event.at,
        by: Origin::of(event).actor(),
        event: event.id,
        event_type: event.event_type.to_owned(),
        version: event.version,
    }
}

/// The key of these parts.
pub(crate) fn key(parts: &[&str]) -> String {
    // With room for a number behind the parts.
    let mut key =
        String::with_capacity(parts.iter().map(|part| part.len() + 1).sum::<usize>() + 16);
    for (idx, part) in parts.iter().enumerate() {
        if idx > 0 {
            key.push('\t');
        }
        push_escaped(&mut key, part);
    }
    key
}

/// What the keys with these parts and more start with.
pub(crate) fn below(parts: &[&str]) -> String {
    let mut key = key(parts);
    key.push('\t');
    key
}

/// Writes a part of a key so that it has neither tabs nor what texts in C end with. The start of a
/// text becomes the start of the part.
fn push_escaped(key: &mut String, part: &str) {
    if !part.contains(['\t', '\0', '\\']) {
        key.push_str(part);
        return;
    }
    for c in part.chars() {
        match c {
            '\t' => key.push_str("\\t"),
            '\0' => key.push_str("\\0"),
            '\\' => key.push_str("\\\\"),
            _ => key.push(c),
        }
    }
}

/// A number as a part of a key, the greater the earlier.
pub(crate) fn newest_first(number: u64) -> String {
    let mut key = String::with_capacity(16);
    push_newest_first(&mut key, number);
    key
}

fn push_newest_first(key: &mut String, number: u64) {
    let number = u64::MAX - number;
    let digits = (0..16).rev().map(|place| (number >> (4 * place)) as u32 & 0xf);
    key.extend(digits.filter_map(|digit| char::from_digit(digit, 16)));
}

/// A row that does not have the shape of its read model. Dropping the read model mends it.
#[derive(Debug)]
pub(crate) struct BadRow {
    key: String,
    /// Why it cannot be read; `None` if it is not there, and another row says that it is.
    problem: Option<serde_json::Error>,
}

impl BadRow {
    pub(crate) fn missing(key: &str) -> StoreError {
        StoreError::Visitor(Box::new(Self { key: key.to_owned(), problem: None }))
    }

    fn broken(key: &str, problem: serde_json::Error) -> StoreError {
        StoreError::Visitor(Box::new(Self { key: key.to_owned(), problem: Some(problem) }))
    }
}

impl std::fmt::Display for BadRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the row `{}` of a read model does not fit", self.key.escape_debug())
    }
}

impl std::error::Error for BadRow {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.problem {
            Some(problem) => Some(problem),
            None => None,
        }
    }
}

/// Reads the value of a row.
pub(crate) fn value<T: DeserializeOwned>(key: &str, value: &str) -> Result<T, StoreError> {
    serde_json::from_str(value).map_err(|problem| BadRow::broken(key, problem))
}

/// Reads a row.
pub(crate) fn read<T: DeserializeOwned>(
    rows: &dyn Rows,
    key: &str,
) -> Result<Option<T>, StoreError> {
    rows.get(key)?.map(|text| value(key, &text)).transpose()
}

fn write<T: Serialize>(rows: &mut dyn Rows, key: &str, value: &T) -> Result<(), StoreError> {
    let text = serde_json::to_string(value)
        .map_err(|problem| StoreError::Invalid(format!("a row cannot be written: {problem}")))?;
    rows.put(key, &text)
}

/// Removes the rows below a prefix. Each of them was written once, and no key below the prefix is
/// ever written again, so that all removals together cost no more than the writing.
fn remove_below(rows: &mut dyn Rows, prefix: &str) -> Result<(), StoreError> {
    let mut keys = Vec::new();
    rows.scan(prefix, None, &mut |key, _| {
        keys.push(key.to_owned());
        Ok(std::ops::ControlFlow::Continue(()))
    })?;
    keys.iter().try_for_each(|key| rows.remove(key))
}

/// What something is called.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Named {
    pub(crate) id: Uuid,
    /// The project's folder; for a package, the flake.
    pub(crate) project: String,
    pub(crate) name: String,
}

impl Named {
    fn keys(&self, prefix: &str) -> [String; 2] {
        let id = self.id.to_string();
        [
            key(&[prefix, "in", &self.project, &self.name, &id]),
            key(&[prefix, "of", &self.name, &self.project, &id]),
        ]
    }
}

/// Lets a thing be found by its name, in its project and in all, and no more by its former one.
/// Something without a name is found by its id alone.
fn rename(
    rows: &mut dyn Rows,
    prefix: &str,
    former: Option<&Named>,
    now: Option<&Named>,
) -> Result<(), StoreError> {
    let has_name = |named: &&Named| !named.name.is_empty();
    let (former, now) = (former.filter(has_name), now.filter(has_name));
    if former == now {
        return Ok(());
    }
    for key in former.iter().flat_map(|named| named.keys(prefix)) {
        rows.remove(&key)?;
    }
    let Some(now) = now else { return Ok(()) };
    now.keys(prefix).iter().try_for_each(|key| write(rows, key, now))
}

/// The project that an event belongs to: what its origin says, else what it says itself, else what
/// an earlier event about the same thing said.
fn project_of(
    record: &Record<'_>,
    origin: &Origin<'_>,
    event: Option<&Event>,
    rows: &mut dyn Rows,
) -> Result<Option<String>, StoreError> {
    if let Some(project) = &origin.project {
        return Ok(Some(project.clone().into_owned()));
    }
    let Some(event) = event else { return Ok(None) };
    let (said, is_always_said) = said_project(event);
    if is_always_said {
        return Ok(said.map(str::to_owned));
    }
    let key = key(&["of", &record.aggregate.to_string()]);
    let known = rows.get(&key)?;
    let Some(said) = said.filter(|said| !said.is_empty()) else { return Ok(known) };
    if known.as_deref() != Some(said) {
        rows.put(&key, said)?;
    }
    Ok(Some(said.to_owned()))
}

/// The project that an event names, and whether all events of its kind name it.
fn said_project(event: &Event) -> (Option<&str>, bool) {
    match event {
        Event::FlakeCreated(event) => (Some(&event.path), false),
        Event::FlakeUpdated(event) => (Some(&event.path), false),
        Event::FlakeInputAdded(event) => (Some(&event.path), false),
        Event::FlakeInputRemoved(event) => (Some(&event.path), false),
        Event::FlakeObserved(event) => (Some(&event.path), false),
        Event::FlakeDeleted(event) => (Some(&event.path), false),
        Event::ConfigurationCreated(event) => (Some(&event.project), false),
        Event::ConfigurationUpdated(event) => (Some(&event.project), false),
        Event::ConfigurationDeleted(event) => (Some(&event.project), false),
        Event::ConfigurationObserved(event) => (Some(&event.project), false),
        Event::ConfigurationActivated(_)
        | Event::ConfigurationActivationFailed(_)
        | Event::ConfigurationRolledBack(_) => (None, false),
        Event::PackageBuilt(event) => (Some(&event.flake_ref), true),
        Event::PackageBuildFailed(event) => (Some(&event.flake_ref), true),
        Event::PackageCached(event) => (Some(&event.flake_ref), true),
        Event::ModuleCreated(event) => (Some(&event.project), true),
        Event::ModuleUpdated(event) => (Some(&event.project), true),
        Event::ModuleDeleted(event) => (Some(&event.project), true),
        Event::OverlayCreated(event) => (Some(&event.project), true),
        Event::OverlayUpdated(event) => (Some(&event.project), true),
        Event::OverlayDeleted(event) => (Some(&event.project), true),
        Event::ProjectChecked(event) => (Some(&event.path), true),
        Event::ProjectFixed(event) => (Some(&event.path), true),
        Event::ProjectFormatted(event) => (Some(&event.path), true),
        Event::SymbolRenamed(event) => (Some(&event.path), true),
        Event::ProjectReverted(event) => (Some(&event.path), true),
        Event::ExpressionEvaluated(_) | Event::GarbageCollected(_) => (None, true),
    }
}

#[cfg(test)]
mod tests;
