//! The flake catalogue: each flake with its inputs, what they are locked to, and the outputs that
//! commands have added.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Named, below, changed, key, read, readable, remove_below, rename, write};
use crate::answer::FlakeView;
use crate::model::AttributePath;
use crate::{Event, FlakeEdit, FlakeOutputs, LockChange, Projection, Reading, Rows, StoreError};

/// The flake catalogue.
pub(crate) struct Flakes;

/// A flake, without its outputs.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct FlakeRow {
    /// Counts how often the flake was made anew; what it had before counts no more.
    pub(crate) epoch: u64,
    /// Whether it is there; where not, the row keeps the count alone.
    pub(crate) is_present: bool,
    pub(crate) view: FlakeView,
}

/// An output that came or went with an event.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct OutputChange {
    field: String,
    name: String,
    is_added: bool,
}

/// The key of a flake's row.
pub(crate) fn row_key(id: Uuid) -> String {
    key(&["flake", &id.to_string()])
}

/// What keys of `what` of a flake start with.
pub(crate) fn rows_of(what: &str, row: &FlakeRow) -> String {
    below(&[what, &row.view.id.to_string(), &row.epoch.to_string()])
}

impl Projection for Flakes {
    fn name(&self) -> &'static str {
        "flakes"
    }

    fn schema(&self) -> u32 {
        1
    }

    fn apply(&self, record: &Reading<'_>, rows: &mut dyn Rows) -> Result<(), StoreError> {
        if record.kind != "flake" {
            return Ok(());
        }
        let Some(event) = readable(record, rows)? else { return Ok(()) };
        let known: Option<FlakeRow> = read(rows, &row_key(record.aggregate))?;
        let Some(mut row) = row_after(record, event, known.as_ref()) else { return Ok(()) };
        row.view.changed = changed(record);
        if let Some(known) = known.as_ref().filter(|known| known.epoch != row.epoch) {
            for what in ["locked", "output", "delta"] {
                remove_below(rows, &rows_of(what, known))?;
            }
        }
        if row.is_present {
            move_locks(rows, &row, event)?;
            change_outputs(rows, &row, record.id, event)?;
        }
        let named = |row: &FlakeRow| Named {
            id: row.view.id,
            project: String::new(),
            name: row.view.path.clone(),
        };
        let former = known.as_ref().filter(|known| known.is_present).map(named);
        let now = row.is_present.then(|| named(&row));
        rename(rows, "name", former.as_ref(), now.as_ref())?;
        write(rows, &row_key(record.aggregate), &row)
    }
}

/// The flake after an event, as its aggregate has it; `None` for an event about something else.
fn row_after(record: &Reading<'_>, event: &Event, known: Option<&FlakeRow>) -> Option<FlakeRow> {
    let epoch = known.map_or(0, |known| known.epoch);
    let new = |path: &str, epoch| FlakeRow {
        epoch,
        is_present: true,
        view: FlakeView {
            id: record.aggregate,
            path: path.to_owned(),
            description: String::new(),
            inputs: Default::default(),
            outputs: FlakeOutputs::default(),
            template: None,
            changed: changed(record),
        },
    };
    let present = |path: &str| match known.filter(|known| known.is_present) {
        Some(known) => known.clone(),
        None => new(path, epoch),
    };
    let mut row;
    match event {
        Event::FlakeCreated(event) => {
            row = new(&event.path, epoch + 1);
            row.view.description.clone_from(&event.description);
            row.view.inputs.clone_from(&event.inputs);
            row.view.template.clone_from(&event.template);
        }
        Event::FlakeObserved(event) => {
            row = present(&event.path);
            row.view.path.clone_from(&event.path);
            row.view.description.clone_from(&event.description);
            row.view.inputs.clone_from(&event.inputs);
        }
        Event::FlakeUpdated(event) => {
            row = present(&event.path);
            if let Some(description) = &event.description {
                row.view.description.clone_from(description);
            }
            if let Some(inputs) = &event.inputs {
                row.view.inputs.clone_from(inputs);
            }
        }
        Event::FlakeInputAdded(event) => {
            row = present(&event.path);
            row.view.inputs.insert(event.input_name.clone(), event.input_url.clone());
            if let Some(inputs) = &event.inputs {
                row.view.inputs.clone_from(inputs);
            }
        }
        Event::FlakeInputRemoved(event) => {
            row = present(&event.path);
            row.view.inputs.remove(&event.input_name);
            if let Some(inputs) = &event.inputs {
                row.view.inputs.clone_from(inputs);
            }
        }
        Event::FlakeDeleted(event) => {
            row = new(&event.path, epoch + 1);
            row.is_present = false;
        }
        _ => return None,
    }
    Some(row)
}

fn move_locks(rows: &mut dyn Rows, row: &FlakeRow, event: &Event) -> Result<(), StoreError> {
    let locks: &[LockChange] = match event {
        Event::FlakeUpdated(event) => &event.locks,
        Event::FlakeInputAdded(event) => &event.locks,
        Event::FlakeInputRemoved(event) => &event.locks,
        _ => return Ok(()),
    };
    let (id, epoch) = (row.view.id.to_string(), row.epoch.to_string());
    for lock in locks {
        let key = key(&["locked", &id, &epoch, &lock.input]);
        match &lock.after {
            Some(after) => write(rows, &key, &(&lock.input, after))?,
            None => rows.remove(&key)?,
        }
    }
    Ok(())
}

/// Adds and removes outputs. An event that takes another one back does the opposite of it.
fn change_outputs(
    rows: &mut dyn Rows,
    row: &FlakeRow,
    id: Uuid,
    event: &Event,
) -> Result<(), StoreError> {
    let Event::FlakeUpdated(event) = event else { return Ok(()) };
    let (flake, epoch) = (row.view.id.to_string(), row.epoch.to_string());
    let delta_of = |event: Uuid| key(&["delta", &flake, &epoch, &event.to_string()]);
    let changes: Vec<OutputChange> = match (event.undoes, &event.edit) {
        (Some(undone), _) => {
            let mut changes: Vec<OutputChange> = read(rows, &delta_of(undone))?.unwrap_or_default();
            for change in &mut changes {
                change.is_added = !change.is_added;
            }
            changes
        }
        (None, Some(edit)) => output_of(edit).into_iter().collect(),
        (None, None) => Vec::new(),
    };
    if changes.is_empty() {
        return Ok(());
    }
    for change in &changes {
        let key = key(&["output", &flake, &epoch, &change.field, &change.name]);
        match change.is_added {
            true => write(rows, &key, &(&change.field, &change.name))?,
            false => rows.remove(&key)?,
        }
    }
    write(rows, &delta_of(id), &changes)
}

/// The output that an edit adds, if it is of the kinds that views have.
fn output_of(edit: &FlakeEdit) -> Option<OutputChange> {
    let (field, name) = match edit {
        FlakeEdit::AddOutput { attribute, .. } => {
            let (first, rest) = attribute.segments().split_first()?;
            if rest.is_empty() {
                return None;
            }
            (first.as_str(), AttributePath::new(rest.iter().cloned()).to_string())
        }
        FlakeEdit::AddOverlay { name, .. } => ("overlays", name.clone()),
        FlakeEdit::AddModule { name, .. } => ("nixosModules", name.clone()),
        _ => return None,
    };
    outputs_mut(&mut FlakeOutputs::default(), field)?;
    Some(OutputChange { field: field.to_owned(), name, is_added: true })
}

/// The names in the outputs that flakes call `field`.
pub(crate) fn outputs_mut<'o>(
    outputs: &'o mut FlakeOutputs,
    field: &str,
) -> Option<&'o mut Vec<String>> {
    Some(match field {
        "packages" => &mut outputs.packages,
        "devShells" => &mut outputs.dev_shells,
        "nixosModules" => &mut outputs.nixos_modules,
        "overlays" => &mut outputs.overlays,
        "apps" => &mut outputs.apps,
        _ => return None,
    })
}
