//! Answers about packages.

use uuid::Uuid;

use super::find::{Part, Wanted, indexed, values, with_rows};
use super::{BuildStatus, PackageView, Page, QueryError};
use crate::model::AttributePath;
use crate::projection::{Named, PackageRow, Packages, below, key, packages, read, value};
use crate::query::{GetBuildStatus, GetPackage, ListPackages};
use crate::{EventStore, Rows};

/// How a query names a package.
struct Meant<'q> {
    id: Option<Uuid>,
    flake_ref: Option<&'q str>,
    attribute: Option<&'q AttributePath>,
    name: Option<&'q str>,
    system: Option<&'q str>,
}

pub(super) fn get(store: &dyn EventStore, query: &GetPackage) -> Result<PackageView, QueryError> {
    let GetPackage { id, flake_ref, attribute, name, system } = query;
    let meant = Meant {
        id: *id,
        flake_ref: flake_ref.as_deref(),
        attribute: attribute.as_ref(),
        name: name.as_deref(),
        system: system.as_deref(),
    };
    with_rows(store, &Packages, |rows| with_caches(rows, meant.find(rows)?))
}

pub(super) fn status(
    store: &dyn EventStore,
    query: &GetBuildStatus,
) -> Result<BuildStatus, QueryError> {
    let GetBuildStatus { id, flake_ref, attribute, name, system, limit } = query;
    let meant = Meant {
        id: *id,
        flake_ref: flake_ref.as_deref(),
        attribute: attribute.as_ref(),
        name: name.as_deref(),
        system: system.as_deref(),
    };
    let part = Part { limit: *limit, cursor: None };
    with_rows(store, &Packages, |rows| {
        let row = meant.find(rows)?;
        let builds = values(rows, &packages::builds_of(row.view.id), part.limit())?;
        Ok(BuildStatus { package: with_caches(rows, row)?, builds })
    })
}

pub(super) fn list(
    store: &dyn EventStore,
    query: &ListPackages,
) -> Result<Page<PackageView>, QueryError> {
    let part = Part { limit: query.limit, cursor: query.cursor.as_deref() };
    let prefix = query.prefix.as_deref().unwrap_or_default();
    let wanted = query.query.as_deref().map(str::to_lowercase);
    let list = match &query.flake_ref {
        Some(flake_ref) => below(&["name", "in", flake_ref]),
        None => below(&["name", "of"]),
    };
    let is_meant = |view: &PackageView| {
        let has = |text: &str, wanted: &str| text.to_lowercase().contains(wanted);
        query.system.as_ref().is_none_or(|system| view.system == *system)
            && wanted
                .as_ref()
                .is_none_or(|wanted| has(&view.name, wanted) || has(&view.attribute_path, wanted))
    };
    with_rows(store, &Packages, |rows| {
        part.page(rows, &list, prefix, |key, text| {
            let named: Named = value(key, text)?;
            let row: PackageRow = indexed(rows, &packages::row_key(named.id))?;
            match is_meant(&row.view) {
                true => with_caches(rows, row).map(Some),
                false => Ok(None),
            }
        })
    })
}

impl Meant<'_> {
    fn find(&self, rows: &dyn Rows) -> Result<PackageRow, QueryError> {
        if let Some(id) = self.id {
            let row: Option<PackageRow> = read(rows, &packages::row_key(id))?;
            return row
                .filter(|row| self.fits(&row.view))
                .ok_or_else(|| QueryError::NotFound { what: self.what(), near: Vec::new() });
        }
        let flake_ref = self.flake_ref.unwrap_or_default();
        let called = |attribute| packages::system_and_name(flake_ref, attribute).1;
        let of_attribute = self.attribute.map(called);
        let Some(name) = self.name.map(str::to_owned).or(of_attribute) else {
            return Err(QueryError::Invalid {
                problem:
                    "which package is meant? neither its id nor its name nor its attribute is given"
                        .to_owned(),
            });
        };
        let list = match self.flake_ref {
            Some(flake_ref) => key(&["name", "in", flake_ref, &name]),
            None => key(&["name", "of", &name]),
        };
        let part = Part { limit: Some(6), cursor: None };
        let fits = part.page(rows, &format!("{list}\t"), "", |key, text| {
            let named: Named = value(key, text)?;
            let row: PackageRow = indexed(rows, &packages::row_key(named.id))?;
            Ok(self.fits(&row.view).then_some(row))
        })?;
        let mut fits = fits.items;
        match fits.len() {
            0 => {
                let wanted = Wanted {
                    noun: "package",
                    id: None,
                    project: self.flake_ref,
                    name: Some(&name),
                };
                Err(QueryError::NotFound { what: self.what(), near: wanted.near(rows, "name")? })
            }
            1 => Ok(fits.remove(0)),
            _ => {
                let shown = |row: &PackageRow| {
                    let name = crate::package_name(&row.view.flake_ref, &row.view.attribute);
                    format!("`{}`", name.escape_debug())
                };
                let candidates = fits.iter().map(shown).collect();
                let apart_by = "its flake, its attribute, its system or its id";
                Err(QueryError::Ambiguous { what: self.what(), candidates, apart_by })
            }
        }
    }

    /// Whether a package is what is given of it.
    fn fits(&self, view: &PackageView) -> bool {
        self.flake_ref.is_none_or(|flake_ref| view.flake_ref == flake_ref)
            && self.attribute.is_none_or(|attribute| view.attribute == *attribute)
            && self.name.is_none_or(|name| view.name == name)
            && self.system.is_none_or(|system| view.system == system)
    }

    /// What was looked for, in words.
    fn what(&self) -> String {
        let mut what = "package".to_owned();
        let attribute = self.attribute.map(ToString::to_string);
        if let Some(name) = attribute.as_deref().or(self.name) {
            what.push_str(&format!(" `{}`", name.escape_debug()));
        }
        if let Some(id) = self.id {
            what.push_str(&format!(" with the id {id}"));
        }
        if let Some(system) = self.system {
            what.push_str(&format!(" for {}", system.escape_debug()));
        }
        if let Some(flake_ref) = self.flake_ref {
            what.push_str(&format!(" in `{}`", flake_ref.escape_debug()));
        }
        what
    }
}

fn with_caches(rows: &dyn Rows, row: PackageRow) -> Result<PackageView, QueryError> {
    let caches = values(rows, &packages::caches_of(&row), usize::MAX)?;
    Ok(PackageView { caches, ..row.view })
}
