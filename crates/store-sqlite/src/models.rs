//! Read models: rows and checkpoints, and how they follow the events.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use cim_domain_nix::{Projection, Reading, Rows, Staged, StoreError, Visit};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::decode::{number, record, sql};
use crate::fault::{Fault, corrupt};
use crate::read::joined;

/// A read model as the file knows it.
#[derive(Clone, Copy)]
pub(crate) struct Model {
    pub(crate) id: i64,
    pub(crate) schema: u32,
    pub(crate) position: u64,
}

/// The read model with this name.
pub(crate) fn model(connection: &Connection, name: &str) -> Result<Option<Model>, Fault> {
    let mut query = connection
        .prepare_cached("SELECT id, schema, position FROM projections WHERE name = ?1")?;
    let mut rows = query.query([name])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let schema = u32::try_from(number(row, 1)?)
        .map_err(|_| corrupt(format!("read model {name}"), "its schema cannot be read"))?;
    Ok(Some(Model { id: row.get(0)?, schema, position: number(row, 2)? }))
}

/// The model of a projection with the schema that it has now: the rows of another schema go.
pub(crate) fn prepare(
    connection: &Connection,
    projection: &dyn Projection,
) -> Result<Model, Fault> {
    if let Some(model) = model(connection, projection.name())? {
        if model.schema == projection.schema() {
            return Ok(model);
        }
        discard(connection, projection.name())?;
    }
    let mut insert = connection
        .prepare_cached("INSERT INTO projections (name, schema, position) VALUES (?1, ?2, 0)")?;
    let id = insert.insert(params![projection.name(), projection.schema()])?;
    Ok(Model { id, schema: projection.schema(), position: 0 })
}

/// Removes a read model.
pub(crate) fn discard(connection: &Connection, name: &str) -> Result<(), Fault> {
    if let Some(model) = model(connection, name)? {
        connection.execute("DELETE FROM rows WHERE projection = ?1", [model.id])?;
        connection.execute("DELETE FROM projections WHERE id = ?1", [model.id])?;
    }
    Ok(())
}

/// How far a read model came in one transaction.
pub(crate) struct Followed {
    pub(crate) position: u64,
    /// Why it did not come further.
    pub(crate) failure: Option<StoreError>,
}

/// Takes up to `most` events into read models that stand at the same position: each event is read
/// once for all. Where a projection fails, the events before are kept: rows and checkpoint say the
/// same in any case.
pub(crate) fn follow(
    connection: &Connection,
    path: &Path,
    models: &[(&dyn Projection, Model)],
    most: usize,
) -> Result<Vec<Followed>, Fault> {
    let Some((_, Model { position: start, .. })) = models.first() else { return Ok(Vec::new()) };
    let rows_of = |(_, model): &(_, Model)| ModelRows { connection, path, model: Some(model.id) };
    let bases: Vec<ModelRows<'_>> = models.iter().map(rows_of).collect();
    let mut going: Vec<(Staged<'_>, Followed)> = bases
        .iter()
        .map(|base| (Staged::over(base), Followed { position: *start, failure: None }))
        .collect();
    let mut query = joined(connection, "e.position > ?1 ORDER BY e.position LIMIT ?2")?;
    let mut rows = query.query(params![sql(*start), sql(most as u64)])?;
    while let Some(row) = rows.next()? {
        let flow = record(row, &mut |event| {
            let event = Reading::new(*event);
            for ((projection, _), (staged, followed)) in models.iter().zip(&mut going) {
                if followed.failure.is_some() {
                    continue;
                }
                match take(staged, *projection, &event) {
                    Ok(()) => followed.position = event.position,
                    Err(failure) => followed.failure = Some(failure),
                }
            }
            let is_over = going.iter().all(|(_, followed)| followed.failure.is_some());
            Ok(if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if flow.is_break() {
            break;
        }
    }
    drop(rows);
    let mut all = Vec::with_capacity(going.len());
    for ((_, model), (staged, followed)) in models.iter().zip(going) {
        write(connection, *model, staged, followed.position)?;
        all.push(followed);
    }
    Ok(all)
}

/// One event. A projection that panics must not take the writer with it.
fn take(
    staged: &mut Staged<'_>,
    projection: &dyn Projection,
    event: &Reading<'_>,
) -> Result<(), StoreError> {
    // What it wrote before it panicked is undone, so nothing half-done is seen later.
    let taken = catch_unwind(AssertUnwindSafe(|| staged.take(projection, event)));
    taken.unwrap_or_else(|_| {
        staged.undo();
        Err(StoreError::Invalid(format!(
            "the read model `{}` failed at event {}",
            projection.name(),
            event.position
        )))
    })
}

/// Writes what changed, and the checkpoint.
fn write(
    connection: &Connection,
    model: Model,
    staged: Staged<'_>,
    position: u64,
) -> Result<(), Fault> {
    let mut put = connection.prepare_cached(
        "INSERT INTO rows (projection, key, value) VALUES (?1, ?2, ?3) \
         ON CONFLICT DO UPDATE SET value = ?3",
    )?;
    let mut remove =
        connection.prepare_cached("DELETE FROM rows WHERE projection = ?1 AND key = ?2")?;
    for (key, change) in staged.into_changes() {
        match change {
            Some(value) => put.execute(params![model.id, key, value])?,
            None => remove.execute(params![model.id, key])?,
        };
    }
    if position != model.position {
        let mut checkpoint =
            connection.prepare_cached("UPDATE projections SET position = ?2 WHERE id = ?1")?;
        checkpoint.execute(params![model.id, sql(position)])?;
    }
    Ok(())
}

/// The rows of a read model, as they are stored.
pub(crate) struct ModelRows<'c> {
    pub(crate) connection: &'c Connection,
    pub(crate) path: &'c Path,
    /// `None` for a model that does not exist: it has no rows.
    pub(crate) model: Option<i64>,
}

impl ModelRows<'_> {
    fn scan_rows(
        &self,
        prefix: &str,
        after: Option<&str>,
        visit: &mut dyn FnMut(&str, &str) -> Visit,
    ) -> Result<(), Fault> {
        let start = after.filter(|after| *after >= prefix);
        let mut query = self.connection.prepare_cached(match start {
            Some(_) => {
                "SELECT key, value FROM rows WHERE projection = ?1 AND key > ?2 ORDER BY key"
            }
            None => "SELECT key, value FROM rows WHERE projection = ?1 AND key >= ?2 ORDER BY key",
        })?;
        let mut rows = query.query(params![self.model, start.unwrap_or(prefix)])?;
        while let Some(row) = rows.next()? {
            let (key, value) = (row.get_ref(0)?.as_str(), row.get_ref(1)?.as_str());
            let (Ok(key), Ok(value)) = (key, value) else {
                return Err(corrupt("rows", "a row of a read model is no text"));
            };
            if !key.starts_with(prefix) || visit(key, value)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Rows for ModelRows<'_> {
    fn get(&self, key: &str) -> Result<Option<String>, StoreError> {
        let get = || {
            let mut query = self
                .connection
                .prepare_cached("SELECT value FROM rows WHERE projection = ?1 AND key = ?2")?;
            query.query_row(params![self.model, key], |row| row.get(0)).optional()
        };
        get().map_err(|error| Fault::Sql(error).at(self.path))
    }

    /// Rows are written by [`follow`] alone, through what it stages.
    fn put(&mut self, _: &str, _: &str) -> Result<(), StoreError> {
        Err(StoreError::Invalid("rows of a read model are written by its projection".into()))
    }

    fn remove(&mut self, _: &str) -> Result<(), StoreError> {
        Err(StoreError::Invalid("rows of a read model are written by its projection".into()))
    }

    fn scan(
        &self,
        prefix: &str,
        after: Option<&str>,
        visit: &mut dyn FnMut(&str, &str) -> Visit,
    ) -> Result<(), StoreError> {
        self.scan_rows(prefix, after, visit).map_err(|fault| fault.at(self.path))
    }
}
