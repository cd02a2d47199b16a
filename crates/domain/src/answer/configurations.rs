//! Answers about configurations.

use uuid::Uuid;

use super::find::{Part, Wanted, indexed, values, with_rows};
use super::{
    ConfigurationHistory, ConfigurationView, CurrentConfiguration, HistoryEntry, Page, QueryError,
};
use crate::projection::{
    ConfigurationRow, Configurations, Named, below, configurations, read, value,
};
use crate::query::{
    GetConfiguration, GetConfigurationHistory, GetCurrentConfiguration, ListConfigurations,
};
use crate::{EventStore, Rows};

pub(super) fn get(
    store: &dyn EventStore,
    query: &GetConfiguration,
) -> Result<ConfigurationView, QueryError> {
    let wanted = wanted(query.id, query.project.as_deref(), query.name.as_deref());
    with_rows(store, &Configurations, |rows| with_said(rows, find(rows, &wanted)?))
}

pub(super) fn list(
    store: &dyn EventStore,
    query: &ListConfigurations,
) -> Result<Page<ConfigurationView>, QueryError> {
    let part = Part { limit: query.limit, cursor: query.cursor.as_deref() };
    let prefix = query.prefix.as_deref().unwrap_or_default();
    let list = match &query.project {
        Some(project) => below(&["name", "in", project]),
        None => below(&["name", "of"]),
    };
    with_rows(store, &Configurations, |rows| {
        part.page(rows, &list, prefix, |key, text| {
            let named: Named = value(key, text)?;
            let row: ConfigurationRow = indexed(rows, &configurations::row_key(named.id))?;
            let is_meant = query.kind.is_none_or(|kind| row.view.kind == kind)
                && query.system.as_ref().is_none_or(|system| row.view.system == *system);
            match is_meant {
                true => with_said(rows, row).map(Some),
                false => Ok(None),
            }
        })
    })
}

pub(super) fn current(
    store: &dyn EventStore,
    query: &GetCurrentConfiguration,
) -> Result<CurrentConfiguration, QueryError> {
    let project = query.project.as_deref();
    let wanted = wanted(query.id, project, query.name.as_deref());
    with_rows(store, &Configurations, |rows| {
        let row = match (query.id, &query.name) {
            (None, None) => last(rows, project)?,
            _ => find(rows, &wanted)?,
        };
        let generation = match row.view.current_generation {
            Some(number) => read(rows, &configurations::generation_key(&row, number))?,
            None => None,
        };
        Ok(CurrentConfiguration { configuration: with_said(rows, row)?, generation })
    })
}

pub(super) fn history(
    store: &dyn EventStore,
    query: &GetConfigurationHistory,
) -> Result<ConfigurationHistory, QueryError> {
    let wanted = wanted(query.id, query.project.as_deref(), query.name.as_deref());
    let part = Part { limit: query.limit, cursor: query.cursor.as_deref() };
    with_rows(store, &Configurations, |rows| {
        let row = match find(rows, &wanted) {
            Err(QueryError::NotFound { what, near }) => {
                find_gone(rows, &wanted)?.ok_or(QueryError::NotFound { what, near })?
            }
            found => found?,
        };
        let generations = values(rows, &configurations::generations_of(&row), part.limit())?;
        let list = configurations::history_of(row.view.id);
        let entries =
            part.page(rows, &list, "", |key, text| Ok(Some(value::<HistoryEntry>(key, text)?)))?;
        let ConfigurationRow { is_present, view, .. } = row;
        let ConfigurationView { id, name, project, .. } = view;
        Ok(ConfigurationHistory { id, name, project, is_present, generations, entries })
    })
}

fn wanted<'q>(id: Option<Uuid>, project: Option<&'q str>, name: Option<&'q str>) -> Wanted<'q> {
    Wanted { noun: "configuration", id, project, name }
}

fn fits(row: &ConfigurationRow, wanted: &Wanted<'_>) -> bool {
    wanted.project.is_none_or(|project| row.view.project == project)
        && wanted.name.is_none_or(|name| row.view.name == name)
}

/// The configuration that is meant, if it is there.
fn find(rows: &dyn Rows, wanted: &Wanted<'_>) -> Result<ConfigurationRow, QueryError> {
    let id = match wanted.id {
        Some(id) => id,
        None => wanted.named(rows, "name")?,
    };
    let row: Option<ConfigurationRow> = read(rows, &configurations::row_key(id))?;
    match row.filter(|row| row.is_present && fits(row, wanted)) {
        Some(row) => Ok(row),
        None => Err(QueryError::NotFound { what: wanted.what(), near: wanted.near(rows, "name")? }),
    }
}

/// The configuration that is meant, if it was removed.
fn find_gone(rows: &dyn Rows, wanted: &Wanted<'_>) -> Result<Option<ConfigurationRow>, QueryError> {
    let id = match wanted.id {
        Some(id) => id,
        None => match wanted.named(rows, "gone") {
            Err(QueryError::NotFound { .. }) => return Ok(None),
            found => found?,
        },
    };
    let row: Option<ConfigurationRow> = read(rows, &configurations::row_key(id))?;
    Ok(row.filter(|row| fits(row, wanted)))
}

/// The configuration that was last put into force.
fn last(rows: &dyn Rows, project: Option<&str>) -> Result<ConfigurationRow, QueryError> {
    let id = rows.get(&configurations::last_key(project))?;
    let id = id.and_then(|id| Uuid::try_parse(&id).ok());
    let row: Option<ConfigurationRow> = match id {
        Some(id) => read(rows, &configurations::row_key(id))?,
        None => None,
    };
    row.filter(|row| row.is_present).ok_or_else(|| {
        let place = project.map(|project| format!(" in `{}`", project.escape_debug()));
        let what = format!("configuration in force{}", place.unwrap_or_default());
        QueryError::NotFound { what, near: Vec::new() }
    })
}

fn with_said(rows: &dyn Rows, row: ConfigurationRow) -> Result<ConfigurationView, QueryError> {
    let said = read(rows, &configurations::said_key(row.view.id))?;
    Ok(ConfigurationView { said, ..row.view })
}
