//! Answers about flakes.

use uuid::Uuid;

use super::find::{Part, Wanted, indexed, values, with_rows};
use super::{FlakeInputsView, FlakeView, Page, QueryError};
use crate::projection::{FlakeRow, Flakes, Named, below, flakes, read, value};
use crate::query::{GetFlake, GetFlakeInputs, ListFlakes};
use crate::{EventStore, Rows};

/// More outputs of a flake than these are not shown.
const OUTPUTS: usize = 10_000;

pub(super) fn get(store: &dyn EventStore, query: &GetFlake) -> Result<FlakeView, QueryError> {
    with_rows(store, &Flakes, |rows| {
        let row = find(rows, query.id, query.path.as_deref())?;
        with_outputs(rows, row)
    })
}

pub(super) fn list(
    store: &dyn EventStore,
    query: &ListFlakes,
) -> Result<Page<FlakeView>, QueryError> {
    let part = Part { limit: query.limit, cursor: query.cursor.as_deref() };
    let prefix = query.prefix.as_deref().unwrap_or_default();
    with_rows(store, &Flakes, |rows| {
        part.page(rows, &below(&["name", "of"]), prefix, |key, text| {
            let named: Named = value(key, text)?;
            let row = indexed(rows, &flakes::row_key(named.id))?;
            with_outputs(rows, row).map(Some)
        })
    })
}

pub(super) fn inputs(
    store: &dyn EventStore,
    query: &GetFlakeInputs,
) -> Result<FlakeInputsView, QueryError> {
    with_rows(store, &Flakes, |rows| {
        let row = find(rows, query.id, query.path.as_deref())?;
        let locked: Vec<(String, String)> =
            values(rows, &flakes::rows_of("locked", &row), usize::MAX)?;
        let FlakeView { id, path, inputs, changed, .. } = row.view;
        Ok(FlakeInputsView { id, path, inputs, locked: locked.into_iter().collect(), changed })
    })
}

fn find(rows: &dyn Rows, id: Option<Uuid>, path: Option<&str>) -> Result<FlakeRow, QueryError> {
    let is_meant = |row: &FlakeRow| row.is_present && path.is_none_or(|path| row.view.path == path);
    let wanted = Wanted { noun: "flake", id, project: None, name: path };
    let id = match id {
        Some(id) => id,
        None => wanted.named(rows, "name")?,
    };
    match read(rows, &flakes::row_key(id))?.filter(is_meant) {
        Some(row) => Ok(row),
        None => Err(QueryError::NotFound { what: wanted.what(), near: wanted.near(rows, "name")? }),
    }
}

fn with_outputs(rows: &dyn Rows, row: FlakeRow) -> Result<FlakeView, QueryError> {
    let outputs: Vec<(String, String)> = values(rows, &flakes::rows_of("output", &row), OUTPUTS)?;
    let mut view = row.view;
    for (field, name) in outputs {
        if let Some(names) = flakes::outputs_mut(&mut view.outputs, &field) {
            names.push(name);
        }
    }
    Ok(view)
}
