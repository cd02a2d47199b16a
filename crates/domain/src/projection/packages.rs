//! Packages and their builds: what was built last, the latest hundred builds, the caches that hold
//! it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Named, below, changed, key, newest_first, read, readable, remove_below, rename, write,
};
use crate::answer::{BuildOutcome, BuildView, CacheCopy, PackageView};
use crate::event::{PackageBuildFailed, PackageBuilt, PackageCached};
use crate::model::{AttributePath, DrvName};
use crate::{Event, Projection, Reading, Rows, StoreError};

/// Packages and their builds.
pub(crate) struct Packages;

/// A package, without its caches.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct PackageRow {
    /// Counts how often the outputs became others; copies of former ones count no more.
    pub(crate) epoch: u64,
    pub(crate) view: PackageView,
}

/// How many builds of a package are kept.
const BUILDS: u64 = 100;

/// The key of a package's row.
pub(crate) fn row_key(id: Uuid) -> String {
    key(&["package", &id.to_string()])
}

/// What the keys of a package's builds start with, the latest first.
pub(crate) fn builds_of(id: Uuid) -> String {
    below(&["build", &id.to_string()])
}

/// What the keys of copies of what was built last start with.
pub(crate) fn caches_of(row: &PackageRow) -> String {
    below(&["cache", &row.view.id.to_string(), &row.epoch.to_string()])
}

fn build_key(id: Uuid, number: u64) -> String {
    key(&["build", &id.to_string(), &newest_first(number)])
}

impl Projection for Packages {
    fn name(&self) -> &'static str {
        "packages"
    }

    fn schema(&self) -> u32 {
        1
    }

    fn apply(&self, record: &Reading<'_>, rows: &mut dyn Rows) -> Result<(), StoreError> {
        if record.kind != "package" {
            return Ok(());
        }
        let Some(event) = readable(record, rows)? else { return Ok(()) };
        let (flake_ref, attribute) = match event {
            Event::PackageBuilt(event) => (&event.flake_ref, &event.attribute),
            Event::PackageBuildFailed(event) => (&event.flake_ref, &event.attribute),
            Event::PackageCached(event) => (&event.flake_ref, &event.attribute),
            _ => return Ok(()),
        };
        let known: Option<PackageRow> = read(rows, &row_key(record.aggregate))?;
        let former = known.as_ref().map(|row| named(&row.view));
        let mut row = match known {
            Some(row) => row,
            None => PackageRow { epoch: 0, view: new(record, flake_ref, attribute) },
        };
        row.view.changed = changed(record);
        match event {
            Event::PackageBuilt(event) => built(rows, &mut row, event)?,
            Event::PackageBuildFailed(event) => failed(rows, &mut row, event)?,
            Event::PackageCached(event) => cached(rows, &row, event)?,
            _ => {}
        }
        rename(rows, "name", former.as_ref(), Some(&named(&row.view)))?;
        write(rows, &row_key(record.aggregate), &row)
    }
}

fn named(view: &PackageView) -> Named {
    Named { id: view.id, project: view.flake_ref.clone(), name: view.name.clone() }
}

fn new(record: &Reading<'_>, flake_ref: &str, attribute: &AttributePath) -> PackageView {
    let (system, name) = system_and_name(flake_ref, attribute);
    PackageView {
        id: record.aggregate,
        name,
        system,
        version: None,
        description: None,
        flake_ref: flake_ref.to_owned(),
        attribute_path: attribute.to_string(),
        attribute: attribute.clone(),
        last: BuildOutcome::Never,
        outputs: Default::default(),
        caches: Vec::new(),
        n_builds: 0,
        n_failures: 0,
        changed: changed(record),
    }
}

/// What a package is called that is all of a file, the default one of a flake, or a derivation.
fn unnamed(flake_ref: &str) -> String {
    let base = flake_ref.strip_suffix(".drv").and_then(|path| path.rsplit('/').next());
    let name = base.and_then(|base| base.split_once('-'));
    name.map_or("default", |(_, name)| name).to_owned()
}

/// The outputs of a flake that have a system below their name.
const BY_SYSTEM: [&str; 7] =
    ["packages", "legacyPackages", "checks", "devShells", "apps", "bundlers", "hydraJobs"];

/// The system of a package and what it is called there.
pub(crate) fn system_and_name(flake_ref: &str, attribute: &AttributePath) -> (String, String) {
    match attribute.segments() {
        [] => (String::new(), unnamed(flake_ref)),
        [output, system, name @ ..] if BY_SYSTEM.contains(&output.as_str()) && !name.is_empty() => {
            (system.clone(), AttributePath::new(name.iter().cloned()).to_string())
        }
        [output, system] if output == "formatter" => (system.clone(), output.clone()),
        _ => (String::new(), attribute.to_string()),
    }
}

/// The version in the name of a store path, `/nix/store/HASH-hello-2.12.1`.
fn version(path: &str) -> Option<String> {
    let base = path.rsplit('/').next()?;
    let (_, name) = base.split_once('-')?;
    DrvName::new(name).version().map(|version| version.as_str().to_owned())
}

fn built(
    rows: &mut dyn Rows,
    row: &mut PackageRow,
    event: &PackageBuilt,
) -> Result<(), StoreError> {
    if row.view.outputs != event.outputs {
        remove_below(rows, &caches_of(row))?;
        row.epoch += 1;
    }
    row.view.outputs.clone_from(&event.outputs);
    row.view.version = version(&event.output_path);
    row.view.last = BuildOutcome::Built;
    let build = BuildView {
        number: row.view.n_builds + 1,
        outcome: BuildOutcome::Built,
        outputs: event.outputs.clone(),
        drv_path: event.drv_path.clone(),
        message: String::new(),
        log_tail: String::new(),
        took: event.build_time,
        changed: row.view.changed.clone(),
    };
    keep(rows, row, &build)
}

fn failed(
    rows: &mut dyn Rows,
    row: &mut PackageRow,
    event: &PackageBuildFailed,
) -> Result<(), StoreError> {
    row.view.last = event.reason.into();
    row.view.n_failures += 1;
    let build = BuildView {
        number: row.view.n_builds + 1,
        outcome: event.reason.into(),
        outputs: Default::default(),
        drv_path: event.drv_path.clone(),
        message: event.message.clone(),
        log_tail: event.log_tail.clone(),
        took: event.build_time,
        changed: row.view.changed.clone(),
    };
    keep(rows, row, &build)
}

/// Keeps a build, and lets the oldest one go if there are too many.
fn keep(rows: &mut dyn Rows, row: &mut PackageRow, build: &BuildView) -> Result<(), StoreError> {
    row.view.n_builds = build.number;
    if let Some(oldest) = build.number.checked_sub(BUILDS).filter(|number| *number > 0) {
        rows.remove(&build_key(row.view.id, oldest))?;
    }
    write(rows, &build_key(row.view.id, build.number), build)
}

fn cached(rows: &mut dyn Rows, row: &PackageRow, event: &PackageCached) -> Result<(), StoreError> {
    let (id, epoch) = (row.view.id.to_string(), row.epoch.to_string());
    let copy = CacheCopy {
        cache: event.cache.clone(),
        output_path: event.output_path.clone(),
        is_download: event.is_download,
        paths: event.paths,
        bytes: event.bytes,
        took: event.took,
        at: event.timestamp,
    };
    write(rows, &key(&["cache", &id, &epoch, &event.cache]), &copy)
}
