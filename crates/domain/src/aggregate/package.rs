//! A package of a flake: its builds, and the copies of what they made.
//!
//! # States
//!
//! ```text
//! never built ──PackageBuilt──► built ──PackageCached──► built
//!      │                         │ ▲
//!      └─PackageBuildFailed─► failed ┘  (PackageBuilt, PackageBuildFailed lead to and fro)
//! ```
//!
//! # Invariants
//!
//! * A build that gave something has at least one output, and the first of them is `output_path`.
//! * What a build gave is kept when a later one fails.
//! * Only what was built can be copied to a cache; anything can be copied from one.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::event::{PackageBuildFailed, PackageBuilt, PackageCached};
use crate::{
    BuiltOutput, Command, Decider, Draft, Event, Evidence, FailureReason, Kind, Rejection,
    package_name,
};

/// The builds of a package.
#[derive(Clone, PartialEq, Eq, Default, Debug, serde::Serialize, serde::Deserialize)]
pub struct Package {
    /// How the last build ended.
    pub last: BuildState,
    /// What the last build that gave something gave, by output.
    pub outputs: BTreeMap<String, BuiltOutput>,
    /// The caches that hold what was built last.
    pub caches: Vec<String>,
}

/// How a build ended.
#[derive(Clone, PartialEq, Eq, Default, Debug, serde::Serialize, serde::Deserialize)]
pub enum BuildState {
    /// It was never tried.
    #[default]
    Never,
    /// It gave something.
    Built,
    /// It gave nothing.
    Failed(FailureReason),
}

impl Decider for Package {
    const KIND: Kind = Kind::Package;

    fn decide(
        &self,
        command: &Command,
        evidence: &Evidence,
        draft: &mut Draft<'_>,
    ) -> Result<Vec<Event>, Rejection> {
        let id = command.stream().id;
        let event = match command {
            Command::BuildPackage(command) => {
                return self.build(id, command, evidence, draft).map(|event| vec![event]);
            }
            Command::CachePackage(command) => {
                let Evidence::Copied { output_path, paths, bytes, took } = evidence else {
                    return Err(Rejection::Unfit { command: "CachePackage" });
                };
                if !command.is_download && self.outputs.is_empty() {
                    let name = package_name(&command.flake_ref, &command.attribute);
                    return Err(Rejection::NotFound { what: format!("build of `{name}`") });
                }
                PackageCached {
                    package_id: id,
                    timestamp: draft.at,
                    identity: draft.identity(),
                    flake_ref: command.flake_ref.clone(),
                    attribute: command.attribute.clone(),
                    output_path: output_path.clone(),
                    cache: command.cache.clone(),
                    is_download: command.is_download,
                    paths: *paths,
                    bytes: *bytes,
                    took: *took,
                    undoes: None,
                    changes: Vec::new(),
                }
            }
            _ => return Err(Rejection::Unfit { command: command.command_type() }),
        };
        Ok(vec![event.into()])
    }

    fn evolve(&mut self, event: &Event) {
        match event {
            Event::PackageBuilt(event) => {
                if self.outputs != event.outputs {
                    self.caches.clear();
                }
                self.last = BuildState::Built;
                self.outputs.clone_from(&event.outputs);
            }
            Event::PackageBuildFailed(event) => self.last = BuildState::Failed(event.reason),
            Event::PackageCached(event) if !self.caches.contains(&event.cache) => {
                self.caches.push(event.cache.clone());
            }
            _ => {}
        }
    }
}

impl Package {
    fn build(
        &self,
        id: Uuid,
        command: &crate::command::BuildPackage,
        evidence: &Evidence,
        draft: &mut Draft<'_>,
    ) -> Result<Event, Rejection> {
        Ok(match evidence {
            Evidence::Built { outputs, drv_path, took } => {
                // `out` is what is meant by the package; where it is lacking, the first one.
                let first = outputs.get("out").or_else(|| outputs.values().next());
                let first = first.ok_or(Rejection::Unfit { command: "BuildPackage" })?;
                PackageBuilt {
                    package_id: id,
                    timestamp: draft.at,
                    identity: draft.identity(),
                    flake_ref: command.flake_ref.clone(),
                    attribute: command.attribute.clone(),
                    output_path: first.path.clone(),
                    build_time: *took,
                    outputs: outputs.clone(),
                    drv_path: drv_path.clone(),
                    undoes: None,
                    changes: Vec::new(),
                }
                .into()
            }
            Evidence::BuildFailed { reason, message, drv_path, log_tail, took } => {
                PackageBuildFailed {
                    package_id: id,
                    timestamp: draft.at,
                    identity: draft.identity(),
                    flake_ref: command.flake_ref.clone(),
                    attribute: command.attribute.clone(),
                    reason: *reason,
                    message: message.clone(),
                    drv_path: drv_path.clone(),
                    log_tail: log_tail.clone(),
                    build_time: *took,
                    undoes: None,
                    changes: Vec::new(),
                }
                .into()
            }
            _ => return Err(Rejection::Unfit { command: "BuildPackage" }),
        })
    }
}
