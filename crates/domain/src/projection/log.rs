//! The index of the audit log: which events there are of a type, by somebody, in a project, about
//! a file, and what each file is after the last of them.
//!
//! Positions stand in blocks of 256: a row holds those of one block, so that there is a row for
//! each block that has any instead of one for each event, and two lists are compared block by
//! block. Events that cannot be read are found by type, by who did them and by the project that
//! their origin names.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Origin, below, key, project_of, push_newest_first, readable, value, write};
use crate::{Event, EventStore, FileChange, Projection, Reading, Record, Rows, StoreError, Visit};
use cim_nix_base::ContentHash;

/// The index of the audit log.
pub(crate) struct Log;

/// What a file is after the last event about it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileNow {
    /// The file, relative to the project's folder.
    pub path: String,
    /// The hash of its bytes; absent if the event removed it.
    pub hash: Option<ContentHash>,
    /// Its permission bits, where an event says them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// The event.
    pub event: Uuid,
    /// The event's position.
    pub position: u64,
}

impl Projection for Log {
    fn name(&self) -> &'static str {
        "log"
    }

    fn schema(&self) -> u32 {
        1
    }

    fn apply(&self, record: &Reading<'_>, rows: &mut dyn Rows) -> Result<(), StoreError> {
        let event = readable(record, rows)?;
        let origin = Origin::of(record);
        let project = project_of(record, &origin, event, rows)?;
        note(rows, &["type", record.event_type], record.position)?;
        if let Some(actor) = origin.actor() {
            note(rows, &["by", &actor], record.position)?;
        }
        if let Some(project) = &project {
            note(rows, &["in", project], record.position)?;
        }
        let project = project.unwrap_or_default();
        let changes = event.map_or(&[][..], Event::changes);
        changes.iter().try_for_each(|change| note_file(rows, record, &project, change))
    }
}

fn note_file(
    rows: &mut dyn Rows,
    record: &Record<'_>,
    project: &str,
    change: &FileChange,
) -> Result<(), StoreError> {
    let is_gone = change.to.is_some();
    let now = |path: &str, hash, mode| FileNow {
        path: path.to_owned(),
        hash,
        mode,
        event: record.id,
        position: record.position,
    };
    let own = match is_gone {
        true => now(&change.path, None, None),
        false => now(&change.path, change.after, change.mode.after),
    };
    let target = change.to.as_ref().map(|to| now(to, change.after, change.mode.after));
    for file in std::iter::once(own).chain(target) {
        note(rows, &["file", project, &file.path], record.position)?;
        write(rows, &key(&["now", project, &file.path]), &file)?;
    }
    Ok(())
}

/// How many bits of a position say where it stands in its block.
const BLOCK_BITS: u32 = 8;

fn block_key(list: &[&str], block: u64) -> String {
    let mut key = below(list);
    push_newest_first(&mut key, block);
    key
}

/// Adds a position to a list. Positions come in their order.
fn note(rows: &mut dyn Rows, list: &[&str], position: u64) -> Result<(), StoreError> {
    let key = block_key(list, position >> BLOCK_BITS);
    let digit = |shift: u32| char::from_digit((position >> shift) as u32 & 0xf, 16).unwrap_or('0');
    let place = [digit(4), digit(0)];
    let mut places = rows.get(&key)?.unwrap_or_default();
    // A list has an event once, however many of its changes are about the file.
    if places.ends_with(digit(0)) && places[..places.len() - 1].ends_with(digit(4)) {
        return Ok(());
    }
    places.extend(place);
    rows.put(&key, &places)
}

/// A block of a list, as a set of places in it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Block([u64; 4]);

impl Block {
    const NONE: Self = Self([0; 4]);

    fn of(places: &str) -> Self {
        let mut block = Self::NONE;
        for place in places.as_bytes().chunks_exact(2) {
            let digits = std::str::from_utf8(place).unwrap_or_default();
            let Ok(place) = usize::from_str_radix(digits, 16) else { continue };
            block.0[place / 64] |= 1 << (place % 64);
        }
        block
    }

    fn and(self, other: Self) -> Self {
        let mut both = self;
        both.0.iter_mut().zip(other.0).for_each(|(ours, theirs)| *ours &= theirs);
        both
    }

    /// The positions, the greatest first.
    fn positions(self, number: u64) -> impl Iterator<Item = u64> {
        let is_in = move |place: &u64| self.0[(place / 64) as usize] >> (place % 64) & 1 == 1;
        (0..1 << BLOCK_BITS).rev().filter(is_in).map(move |place| (number << BLOCK_BITS) | place)
    }
}

/// Which events of the log are wanted: those that fit all that is given.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct LogFilter {
    /// The project's folder.
    pub project: Option<String>,
    /// A file, relative to the project's folder. Without a project it is a file of events that
    /// name none.
    pub file: Option<String>,
    /// Who did it.
    pub actor: Option<String>,
    /// The name of a type of events.
    pub event_type: Option<String>,
}

impl LogFilter {
    /// The lists that events have to be in, the one that is likely to be shortest first.
    fn lists(&self) -> Vec<Vec<&str>> {
        let project = self.project.as_deref();
        let file = self.file.as_deref();
        let file = file.map(|file| vec!["file", project.unwrap_or_default(), file]);
        let event_type = self.event_type.as_deref().map(|event_type| vec!["type", event_type]);
        let actor = self.actor.as_deref().map(|actor| vec!["by", actor]);
        // A list of files is of a project already.
        let project = project.filter(|_| file.is_none()).map(|project| vec!["in", project]);
        [file, event_type, actor, project].into_iter().flatten().collect()
    }
}

/// Visits the events that fit, the latest first; those with positions below `before` alone, if it is
/// given.
///
/// Errors: those of the store and of the visitor.
pub fn log(
    store: &dyn EventStore,
    filter: &LogFilter,
    before: Option<u64>,
    visit: &mut dyn FnMut(&Record<'_>) -> Visit,
) -> Result<(), StoreError> {
    let lists = filter.lists();
    if lists.is_empty() {
        return store.read_back(before, visit);
    }
    store.catch_up(&Log)?;
    let mut before = before.unwrap_or(u64::MAX);
    loop {
        let found = next_block(store, &lists, before)?;
        let Some((number, block)) = found else { return Ok(()) };
        for position in block.positions(number).filter(|position| *position < before) {
            let mut flow = ControlFlow::Continue(());
            store.read_all(position - 1, &mut |record| {
                if record.position == position {
                    flow = visit(record)?;
                }
                Ok(ControlFlow::Break(()))
            })?;
            if flow.is_break() {
                return Ok(());
            }
        }
        before = number << BLOCK_BITS;
        if before == 0 {
            return Ok(());
        }
    }
}

/// The latest block with positions below `before` that all lists have.
fn next_block(
    store: &dyn EventStore,
    lists: &[Vec<&str>],
    before: u64,
) -> Result<Option<(u64, Block)>, StoreError> {
    let mut found = None;
    store.rows(Log.name(), &mut |rows| {
        let mut next = Some(before.saturating_sub(1) >> BLOCK_BITS);
        while let Some(number) = next {
            // Each list names the latest block that it has; they agree, or the oldest is tried.
            let mut oldest = number;
            let mut all = Block([u64::MAX; 4]);
            for list in lists {
                let Some((has, block)) = block_at(rows, list, oldest)? else { return Ok(()) };
                all = if has == oldest { all.and(block) } else { block };
                oldest = has;
            }
            let is_agreed = oldest == number;
            if is_agreed && all != Block::NONE {
                found = Some((number, all));
                return Ok(());
            }
            next = match is_agreed {
                true => number.checked_sub(1),
                false => Some(oldest),
            };
        }
        Ok(())
    })?;
    Ok(found)
}

/// The latest block of a list that is `most` or older.
fn block_at(rows: &dyn Rows, list: &[&str], most: u64) -> Result<Option<(u64, Block)>, StoreError> {
    let exact = rows.get(&block_key(list, most))?;
    if let Some(places) = exact {
        return Ok(Some((most, Block::of(&places))));
    }
    let mut found = None;
    let prefix = below(list);
    rows.scan(&prefix, Some(&block_key(list, most)), &mut |key, places| {
        let number = u64::from_str_radix(&key[prefix.len()..], 16);
        found = number.ok().map(|number| (u64::MAX - number, Block::of(places)));
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}

/// Visits what the files of a project are after the last event about each, in the order of their
/// paths.
///
/// Errors: those of the store and of the visitor.
pub fn files_now(
    store: &dyn EventStore,
    project: &str,
    visit: &mut dyn FnMut(&FileNow) -> Visit,
) -> Result<(), StoreError> {
    store.catch_up(&Log)?;
    store.rows(Log.name(), &mut |rows| {
        rows.scan(&below(&["now", project]), None, &mut |key, text| visit(&value(key, text)?))
    })
}
