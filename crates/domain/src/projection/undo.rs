//! Undo stacks: which event of a project, or of the whole store, is undone and redone next.
//!
//! The same as an [`UndoStack`](crate::UndoStack) that took in all events, but with a row for each
//! event instead of all of them in one: an event costs the same however many came before. The
//! events of a stack are a chain, each naming the one below it. One that leaves from the middle
//! stays as a link until it comes to the top.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Origin, key, project_of, read, readable, write};
use crate::{EventStore, Projection, Reading, Rows, StoreError, is_undoable};

/// Undo stacks.
pub(crate) struct UndoStacks;

/// Where the stacks of a project stand.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct UndoPlace {
    /// The event to undo next.
    #[serde(rename = "done")]
    pub next_undo: Option<Uuid>,
    /// The event to take back to redo what was undone last.
    #[serde(rename = "undone")]
    pub next_redo: Option<Uuid>,
}

/// An event in a stack.
#[derive(Clone, Serialize, Deserialize)]
struct Link {
    /// The event that it took back, in the stack of those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    below: Option<Uuid>,
    /// Whether it has left the stack from the middle: a link of the chain, and nothing else.
    #[serde(default, skip_serializing_if = "is_false")]
    is_gone: bool,
    /// Whether something else was done since: it is in no stack any more, but still known.
    #[serde(default, skip_serializing_if = "is_false")]
    is_past: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(value: &bool) -> bool {
    !value
}

/// One of the two stacks of a project.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stack {
    /// Events that can be taken back.
    Done,
    /// Events that took others back and can be taken back themselves.
    Undone,
}

impl Stack {
    fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Undone => "undone",
        }
    }

    fn top(self, place: &mut UndoPlace) -> &mut Option<Uuid> {
        match self {
            Self::Done => &mut place.next_undo,
            Self::Undone => &mut place.next_redo,
        }
    }
}

/// The part of keys that says whose stack it is: a project's, or that of the whole store.
fn owner(project: Option<&str>) -> String {
    match project {
        Some(project) => format!("in {project}"),
        None => "all".to_owned(),
    }
}

impl Projection for UndoStacks {
    fn name(&self) -> &'static str {
        "undo"
    }

    fn schema(&self) -> u32 {
        1
    }

    fn apply(&self, record: &Reading<'_>, rows: &mut dyn Rows) -> Result<(), StoreError> {
        if NEVER.contains(&record.event_type) {
            return Ok(());
        }
        let Some(event) = readable(record, rows)? else { return Ok(()) };
        let project = project_of(record, &Origin::of(record), Some(event), rows)?;
        if is_undoable(event).is_err() {
            return Ok(());
        }
        let Some(id) = event.identity().message_id.uuid() else { return Ok(()) };
        push(rows, &owner(None), id, event.undoes())?;
        match project {
            Some(project) => push(rows, &owner(Some(&project)), id, event.undoes()),
            None => Ok(()),
        }
    }
}

/// Types of events that no stack has and that say nothing of which project they belong to; a test
/// compares them with what [`is_undoable`] says. They need not be read.
const NEVER: [&str; 6] = [
    "PackageBuilt",
    "PackageBuildFailed",
    "PackageCached",
    "ProjectChecked",
    "ExpressionEvaluated",
    "GarbageCollected",
];

fn push(
    rows: &mut dyn Rows,
    owner: &str,
    id: Uuid,
    undoes: Option<Uuid>,
) -> Result<(), StoreError> {
    let place_key = key(&["place", owner]);
    let mut place: UndoPlace = read(rows, &place_key)?.unwrap_or_default();
    let mut chain = Chain { rows, owner, place: &mut place };
    match undoes {
        None => {
            chain.add(Stack::Done, id, None)?;
            chain.clear_undone()?;
        }
        // A redo: what was taken back is in force again, under the id of the redo, since that is
        // the event whose files are there now.
        Some(target) if chain.remove(Stack::Undone, target)? => chain.add(Stack::Done, id, None)?,
        Some(target) => {
            chain.remove(Stack::Done, target)?;
            chain.add(Stack::Undone, id, Some(target))?;
        }
    }
    write(rows, &place_key, &place)
}

/// The stacks of one owner, while they change.
struct Chain<'a> {
    rows: &'a mut dyn Rows,
    owner: &'a str,
    place: &'a mut UndoPlace,
}

impl Chain<'_> {
    fn key(&self, stack: Stack, id: Uuid) -> String {
        key(&[stack.word(), self.owner, &id.to_string()])
    }

    fn link(&self, stack: Stack, id: Option<Uuid>) -> Result<Option<(String, Link)>, StoreError> {
        let Some(id) = id else { return Ok(None) };
        let key = self.key(stack, id);
        Ok(read(self.rows, &key)?.map(|link| (key, link)))
    }

    fn add(&mut self, stack: Stack, id: Uuid, target: Option<Uuid>) -> Result<(), StoreError> {
        // An event comes once. Where an import has it twice, the chain must not become a ring.
        if self.link(stack, Some(id))?.is_some() {
            return Ok(());
        }
        let below = stack.top(self.place).replace(id);
        if let Some(target) = target {
            write(self.rows, &key(&["by", self.owner, &target.to_string()]), &id)?;
        }
        let key = self.key(stack, id);
        write(self.rows, &key, &Link { target, below, is_gone: false, is_past: false })
    }

    /// Takes an event out of a stack; answers whether it was there.
    fn remove(&mut self, stack: Stack, id: Uuid) -> Result<bool, StoreError> {
        let link = self.link(stack, Some(id))?.filter(|(_, link)| !link.is_gone);
        let Some((own_key, mut own)) = link else { return Ok(false) };
        self.forget(&own_key, &own)?;
        if own.is_past {
            return Ok(true);
        }
        if *stack.top(self.place) != Some(id) {
            own.is_gone = true;
            write(self.rows, &own_key, &own)?;
            return Ok(true);
        }
        // Those that left before come to the top now.
        let mut top = own.below;
        while let Some((key, link)) = self.link(stack, top)?.filter(|(_, link)| link.is_gone) {
            top = link.below;
            self.rows.remove(&key)?;
        }
        *stack.top(self.place) = top;
        Ok(true)
    }

    /// Removes the row of an event, and that it was the one that took another back.
    fn forget(&mut self, own_key: &str, own: &Link) -> Result<(), StoreError> {
        if let Some(target) = own.target {
            self.rows.remove(&key(&["by", self.owner, &target.to_string()]))?;
        }
        self.rows.remove(own_key)
    }

    /// Nothing is redone next once something new was done, but what was taken back stays known:
    /// taking its undo back is a redo even then. Each event that goes came once.
    fn clear_undone(&mut self) -> Result<(), StoreError> {
        while let Some((key, link)) = self.link(Stack::Undone, self.place.next_redo)? {
            self.place.next_redo = link.below;
            if link.is_gone {
                self.rows.remove(&key)?;
                continue;
            }
            write(self.rows, &key, &Link { below: None, is_past: true, ..link })?;
        }
        Ok(())
    }
}

/// What is undone and redone next in a project; in the whole store for `None`.
///
/// Errors: those of the store.
pub fn undo_place(store: &dyn EventStore, project: Option<&str>) -> Result<UndoPlace, StoreError> {
    store.catch_up(&UndoStacks)?;
    let mut place = None;
    store.rows(UndoStacks.name(), &mut |rows| {
        place = read(rows, &key(&["place", &owner(project)]))?;
        Ok(())
    })?;
    Ok(place.unwrap_or_default())
}

/// The events that can be undone in a project, the next one first, `limit` of them at most; in the
/// whole store for `None`.
///
/// Errors: those of the store.
pub fn undoable(
    store: &dyn EventStore,
    project: Option<&str>,
    limit: usize,
) -> Result<Vec<Uuid>, StoreError> {
    store.catch_up(&UndoStacks)?;
    let owner = owner(project);
    let mut events = Vec::new();
    store.rows(UndoStacks.name(), &mut |rows| {
        let place: UndoPlace = read(rows, &key(&["place", &owner]))?.unwrap_or_default();
        let mut next = place.next_undo;
        while let Some(id) = next.filter(|_| events.len() < limit) {
            let link: Option<Link> = read(rows, &key(&["done", &owner, &id.to_string()]))?;
            if link.as_ref().is_some_and(|link| !link.is_gone) {
                events.push(id);
            }
            next = link.and_then(|link| link.below);
        }
        Ok(())
    })?;
    Ok(events)
}

/// Whether an event of a project is in force, and else which event took it back; of the whole store
/// for `None`.
///
/// Errors: those of the store.
pub fn undone_by(
    store: &dyn EventStore,
    project: Option<&str>,
    event: Uuid,
) -> Result<(bool, Option<Uuid>), StoreError> {
    store.catch_up(&UndoStacks)?;
    let (owner, event) = (owner(project), event.to_string());
    let mut found = (false, None);
    store.rows(UndoStacks.name(), &mut |rows| {
        let link: Option<Link> = read(rows, &key(&["done", &owner, &event]))?;
        found.0 = link.is_some_and(|link| !link.is_gone);
        found.1 = read(rows, &key(&["by", &owner, &event]))?;
        Ok(())
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, NotUndoable};

    /// All types of events that are never undone are passed over unread, but for those that name
    /// the project of later ones.
    #[test]
    fn knows_what_is_never_undone() {
        for event_type in NEVER {
            assert!(Event::TYPES.contains(&event_type), "{event_type}");
        }
        let body = r#"{"expression_id":"0198f7a2-7c00-7000-8000-000000000001",
            "timestamp":"2026-01-01T00:00:00Z","identity":{
            "message_id":"0198f7a2-7c00-7000-8000-000000000002",
            "correlation_id":"0198f7a2-7c00-7000-8000-000000000002",
            "causation_id":"0198f7a2-7c00-7000-8000-000000000002"},
            "expression":"1","result":"1"}"#;
        let event = Event::read("ExpressionEvaluated", 1, body).expect("fits");
        assert!(matches!(is_undoable(&event), Err(NotUndoable::Nothing { .. })));
    }
}
