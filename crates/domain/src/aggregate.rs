//! The aggregates: what may happen to a flake, a package, a module, an overlay, a configuration and
//! the code of a project, and what is the case after it did.

mod configuration;
mod flake;
mod module;
mod overlay;
mod package;
mod project;

pub use configuration::{Configuration, ConfigurationState, GenerationState, configuration_file};
pub use flake::{Flake, FlakeState};
pub use module::{Module, module_file};
pub use overlay::{OverlayAggregate, overlay_file};
pub use package::{BuildState, Package};
pub use project::Project;
