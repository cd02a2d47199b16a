//! Answers about overlays.

use super::find::{Part, Wanted, indexed, with_rows};
use super::{OverlayView, Page, QueryError};
use crate::EventStore;
use crate::projection::{Named, Overlays, below, overlays, read, value};
use crate::query::{GetOverlay, ListOverlays};

pub(super) fn get(store: &dyn EventStore, query: &GetOverlay) -> Result<OverlayView, QueryError> {
    let (project, name) = (query.project.as_deref(), query.name.as_deref());
    let wanted = Wanted { noun: "overlay", id: query.id, project, name };
    with_rows(store, &Overlays, |rows| {
        let id = match wanted.id {
            Some(id) => id,
            None => wanted.named(rows, "name")?,
        };
        let fits = |view: &OverlayView| {
            project.is_none_or(|project| view.project == project)
                && name.is_none_or(|name| view.name == name)
        };
        match read(rows, &overlays::row_key(id))?.filter(fits) {
            Some(view) => Ok(view),
            None => {
                let near = wanted.near(rows, "name")?;
                Err(QueryError::NotFound { what: wanted.what(), near })
            }
        }
    })
}

pub(super) fn list(
    store: &dyn EventStore,
    query: &ListOverlays,
) -> Result<Page<OverlayView>, QueryError> {
    let part = Part { limit: query.limit, cursor: query.cursor.as_deref() };
    let prefix = query.prefix.as_deref().unwrap_or_default();
    let list = match (&query.package, &query.project) {
        (Some(package), project) => overlays::overlays_with(package, project.as_deref()),
        (None, Some(project)) => below(&["name", "in", project]),
        (None, None) => below(&["name", "of"]),
    };
    with_rows(store, &Overlays, |rows| {
        part.page(rows, &list, prefix, |key, text| {
            let named: Named = value(key, text)?;
            indexed(rows, &overlays::row_key(named.id)).map(Some)
        })
    })
}
