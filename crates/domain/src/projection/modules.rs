//! Modules, and which of them declares which option.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Named, below, changed, key, read, readable, rename, write};
use crate::answer::{ModuleView, OptionOwner};
use crate::{Event, NixModule, Projection, Reading, Rows, StoreError};

/// Modules and the options that they declare.
pub(crate) struct Modules;

/// A row that says of an option how many modules declare it.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Owners {
    count: u64,
}

/// The key of a module's row.
pub(crate) fn row_key(id: Uuid) -> String {
    key(&["module", &id.to_string()])
}

/// What the keys of the options of a project start with, by option, then by module.
pub(crate) fn options_of(project: &str) -> String {
    below(&["option", project])
}

/// What the keys of the modules that declare an option start with.
pub(crate) fn owners_of(project: &str, option: &str) -> String {
    below(&["option", project, option])
}

/// What the keys of options that several modules of a project declare start with.
pub(crate) fn conflicts_of(project: &str) -> String {
    below(&["conflict", project])
}

/// The key that is there if several modules of a project declare an option.
pub(crate) fn conflict_key(project: &str, option: &str) -> String {
    key(&["conflict", project, option])
}

impl Projection for Modules {
    fn name(&self) -> &'static str {
        "modules"
    }

    fn schema(&self) -> u32 {
        1
    }

    fn apply(&self, record: &Reading<'_>, rows: &mut dyn Rows) -> Result<(), StoreError> {
        if record.kind != "module" {
            return Ok(());
        }
        let Some(event) = readable(record, rows)? else { return Ok(()) };
        let now = match event {
            Event::ModuleCreated(event) => Some(view(record, &event.project, &event.module)),
            Event::ModuleUpdated(event) => Some(view(record, &event.project, &event.module)),
            Event::ModuleDeleted(_) => None,
            _ => return Ok(()),
        };
        let former: Option<ModuleView> = read(rows, &row_key(record.aggregate))?;
        own(rows, former.as_ref(), now.as_ref())?;
        let (was, is) = (former.as_ref().map(named), now.as_ref().map(named));
        rename(rows, "name", was.as_ref(), is.as_ref())?;
        match now {
            Some(view) => write(rows, &row_key(record.aggregate), &view),
            None => rows.remove(&row_key(record.aggregate)),
        }
    }
}

/// A module as its row has it: no value is deeper in it than in the event.
fn view(record: &Reading<'_>, project: &str, module: &NixModule) -> ModuleView {
    let NixModule { name, options, config, imports, file, .. } = module.clone();
    ModuleView {
        id: record.aggregate,
        name,
        project: project.to_owned(),
        file,
        options,
        config,
        imports,
        conflicts: Vec::new(),
        changed: changed(record),
    }
}

fn named(view: &ModuleView) -> Named {
    Named { id: view.id, project: view.project.clone(), name: view.name.clone() }
}

/// Options that a module declares, with the project that they belong to.
fn declared(view: Option<&ModuleView>) -> BTreeSet<(&str, &str)> {
    let options = view.into_iter().flat_map(|view| {
        view.options.keys().map(move |option| (view.project.as_str(), option.as_str()))
    });
    options.collect()
}

/// Notes which options a module declares now, and which no more.
fn own(
    rows: &mut dyn Rows,
    former: Option<&ModuleView>,
    now: Option<&ModuleView>,
) -> Result<(), StoreError> {
    let (was, is) = (declared(former), declared(now));
    let Some(id) = former.or(now).map(|view| view.id.to_string()) else { return Ok(()) };
    for (project, option) in was.difference(&is) {
        rows.remove(&key(&["option", project, option, &id]))?;
        count(rows, project, option, |count| count.saturating_sub(1))?;
    }
    for (project, option) in is.difference(&was) {
        count(rows, project, option, |count| count + 1)?;
    }
    let Some(now) = now else { return Ok(()) };
    for (option, declared) in &now.options {
        let owner = OptionOwner {
            option: option.clone(),
            module: now.id,
            name: now.name.clone(),
            file: now.file.clone(),
            declared: declared.clone(),
        };
        write(rows, &key(&["option", &now.project, option, &id]), &owner)?;
    }
    Ok(())
}

/// Counts the modules that declare an option; two are a conflict.
fn count(
    rows: &mut dyn Rows,
    project: &str,
    option: &str,
    change: impl Fn(u64) -> u64,
) -> Result<(), StoreError> {
    let count_key = key(&["owners", project, option]);
    let before: Owners = read(rows, &count_key)?.unwrap_or_default();
    let count = change(before.count);
    match count {
        0 => rows.remove(&count_key)?,
        count => write(rows, &count_key, &Owners { count })?,
    }
    let conflict = conflict_key(project, option);
    match (before.count > 1, count > 1) {
        (false, true) => write(rows, &conflict, &option),
        (true, false) => rows.remove(&conflict),
        _ => Ok(()),
    }
}
