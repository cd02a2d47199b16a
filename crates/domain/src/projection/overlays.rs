//! Overlays, and which of them changes or adds which package.

use uuid::Uuid;

use super::{Named, below, changed, key, read, readable, rename, write};
use crate::answer::OverlayView;
use crate::{Event, Overlay, Projection, Reading, Rows, StoreError};

/// Overlays and the packages that they change.
pub(crate) struct Overlays;

/// The key of an overlay's row.
pub(crate) fn row_key(id: Uuid) -> String {
    key(&["overlay", &id.to_string()])
}

/// What the keys of overlays start with that change or add a package: those of a project, or all.
pub(crate) fn overlays_with(package: &str, project: Option<&str>) -> String {
    match project {
        Some(project) => below(&["package", "in", project, package]),
        None => below(&["package", "of", package]),
    }
}

impl Projection for Overlays {
    fn name(&self) -> &'static str {
        "overlays"
    }

    fn schema(&self) -> u32 {
        1
    }

    fn apply(&self, record: &Reading<'_>, rows: &mut dyn Rows) -> Result<(), StoreError> {
        if record.kind != "overlay" {
            return Ok(());
        }
        let Some(event) = readable(record, rows)? else { return Ok(()) };
        let now = match event {
            Event::OverlayCreated(event) => Some(view(record, &event.project, &event.overlay)),
            Event::OverlayUpdated(event) => Some(view(record, &event.project, &event.overlay)),
            Event::OverlayDeleted(_) => None,
            _ => return Ok(()),
        };
        let former: Option<OverlayView> = read(rows, &row_key(record.aggregate))?;
        let (was, is) = (former.as_ref().map(named), now.as_ref().map(named));
        for (key, _) in former.iter().flat_map(packages) {
            rows.remove(&key)?;
        }
        for (key, named) in now.iter().flat_map(packages) {
            write(rows, &key, &named)?;
        }
        rename(rows, "name", was.as_ref(), is.as_ref())?;
        match now {
            Some(view) => write(rows, &row_key(record.aggregate), &view),
            None => rows.remove(&row_key(record.aggregate)),
        }
    }
}

fn view(record: &Reading<'_>, project: &str, overlay: &Overlay) -> OverlayView {
    let Overlay { name, overrides, additions, file, .. } = overlay.clone();
    OverlayView {
        id: record.aggregate,
        name,
        project: project.to_owned(),
        file,
        overrides,
        additions,
        changed: changed(record),
    }
}

fn named(view: &OverlayView) -> Named {
    Named { id: view.id, project: view.project.clone(), name: view.name.clone() }
}

/// The rows that lead from packages to an overlay.
fn packages(view: &OverlayView) -> Vec<(String, Named)> {
    let mut rows = Vec::new();
    for package in view.overrides.keys().chain(view.additions.keys()) {
        for project in [Some(view.project.as_str()), None] {
            let mut key = overlays_with(package, project);
            key.push_str(&super::key(&[&view.name, &view.id.to_string()]));
            rows.push((key, named(view)));
        }
    }
    rows
}
