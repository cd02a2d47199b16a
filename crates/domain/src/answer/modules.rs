//! Answers about modules and the options that they declare.

use std::ops::ControlFlow;

use super::find::{Part, Wanted, indexed, values, with_rows};
use super::{ModuleView, OptionConflict, OptionOwner, Page, QueryError};
use crate::projection::{Modules, Named, below, modules, read, value};
use crate::query::{GetModule, ListModules};
use crate::{EventStore, Rows};

/// Most modules that are named of those that declare one option.
const OWNERS: usize = 100;

pub(super) fn get(store: &dyn EventStore, query: &GetModule) -> Result<ModuleView, QueryError> {
    let (project, name) = (query.project.as_deref(), query.name.as_deref());
    let wanted = Wanted { noun: "module", id: query.id, project, name };
    with_rows(store, &Modules, |rows| {
        let id = match wanted.id {
            Some(id) => id,
            None => wanted.named(rows, "name")?,
        };
        let fits = |view: &ModuleView| {
            project.is_none_or(|project| view.project == project)
                && name.is_none_or(|name| view.name == name)
        };
        match read(rows, &modules::row_key(id))?.filter(fits) {
            Some(view) => with_conflicts(rows, view),
            None => {
                let near = wanted.near(rows, "name")?;
                Err(QueryError::NotFound { what: wanted.what(), near })
            }
        }
    })
}

pub(super) fn list(
    store: &dyn EventStore,
    query: &ListModules,
) -> Result<Page<ModuleView>, QueryError> {
    let part = Part { limit: query.limit, cursor: query.cursor.as_deref() };
    let prefix = query.prefix.as_deref().unwrap_or_default();
    let list = match &query.project {
        Some(project) => below(&["name", "in", project]),
        None => below(&["name", "of"]),
    };
    with_rows(store, &Modules, |rows| {
        part.page(rows, &list, prefix, |key, text| {
            let named: Named = value(key, text)?;
            let view: ModuleView = indexed(rows, &modules::row_key(named.id))?;
            let declares = |option| view.options.contains_key(option);
            match query.option.as_ref().is_none_or(declares) {
                true => with_conflicts(rows, view).map(Some),
                false => Ok(None),
            }
        })
    })
}

fn with_conflicts(rows: &dyn Rows, mut view: ModuleView) -> Result<ModuleView, QueryError> {
    for option in view.options.keys() {
        if rows.get(&modules::conflict_key(&view.project, option))?.is_some() {
            view.conflicts.push(conflict(rows, &view.project, option)?);
        }
    }
    Ok(view)
}

fn conflict(rows: &dyn Rows, project: &str, option: &str) -> Result<OptionConflict, QueryError> {
    let owners: Vec<OptionOwner> = values(rows, &modules::owners_of(project, option), OWNERS)?;
    let mut modules: Vec<String> = owners.into_iter().map(|owner| owner.name).collect();
    modules.sort_unstable();
    Ok(OptionConflict { option: option.to_owned(), modules })
}

/// The options of a project whose path is `path` or below it, with the modules that declare them;
/// all for an empty path. `limit` of them at most.
///
/// Errors: those of the store.
pub fn option_owners(
    store: &dyn EventStore,
    project: &str,
    path: &str,
    limit: usize,
) -> Result<Vec<OptionOwner>, QueryError> {
    with_rows(store, &Modules, |rows| {
        let mut prefix = modules::options_of(project);
        prefix.push_str(&crate::projection::key(&[path]));
        let mut owners = Vec::new();
        rows.scan(&prefix, None, &mut |key, text| {
            if owners.len() == limit {
                return Ok(ControlFlow::Break(()));
            }
            let owner: OptionOwner = value(key, text)?;
            let rest = owner.option.strip_prefix(path);
            let is_below = |rest: &str| path.is_empty() || rest.is_empty() || rest.starts_with('.');
            if rest.is_some_and(is_below) {
                owners.push(owner);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(owners)
    })
}

/// The options of a project that several of its modules declare, by their paths; `limit` of them at
/// most.
///
/// Errors: those of the store.
pub fn option_conflicts(
    store: &dyn EventStore,
    project: &str,
    limit: usize,
) -> Result<Vec<OptionConflict>, QueryError> {
    with_rows(store, &Modules, |rows| {
        let options: Vec<String> = values(rows, &modules::conflicts_of(project), limit)?;
        options.iter().map(|option| conflict(rows, project, option)).collect()
    })
}
