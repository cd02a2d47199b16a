//! The lives of aggregates: in which states they are, and which events lead from one to another.
//!
//! The tables are what the pages of the documentation draw. Tests walk along them with random
//! commands, so that no step is missing and none is invented.

use crate::{BuildState, Kind, State};

/// One way from one state to another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Transition {
    /// The state before.
    pub from: &'static str,
    /// The type of the event.
    pub event: &'static str,
    /// The state after.
    pub to: &'static str,
}

macro_rules! transitions {
    ($($from:literal: $($event:ident)+ => $to:literal;)*) => {
        &[$($(Transition { from: $from, event: stringify!($event), to: $to },)+)*]
    };
}

const FLAKE: &[Transition] = transitions! {
    "absent": FlakeCreated FlakeObserved FlakeUpdated FlakeInputAdded FlakeInputRemoved => "present";
    "present": FlakeCreated FlakeObserved FlakeUpdated FlakeInputAdded FlakeInputRemoved => "present";
    "absent": FlakeDeleted => "absent";
    "present": FlakeDeleted => "absent";
};

const PACKAGE: &[Transition] = transitions! {
    "never built": PackageBuilt => "built";
    "never built": PackageBuildFailed => "failed";
    "never built": PackageCached => "never built";
    "built": PackageBuilt PackageCached => "built";
    "built": PackageBuildFailed => "failed";
    "failed": PackageBuilt => "built";
    "failed": PackageBuildFailed PackageCached => "failed";
};

const MODULE: &[Transition] = transitions! {
    "absent": ModuleCreated ModuleUpdated => "present";
    "present": ModuleCreated ModuleUpdated => "present";
    "absent": ModuleDeleted => "absent";
    "present": ModuleDeleted => "absent";
};

const OVERLAY: &[Transition] = transitions! {
    "absent": OverlayCreated OverlayUpdated => "present";
    "present": OverlayCreated OverlayUpdated => "present";
    "absent": OverlayDeleted => "absent";
    "present": OverlayDeleted => "absent";
};

const CONFIGURATION: &[Transition] = transitions! {
    "absent": ConfigurationCreated ConfigurationUpdated ConfigurationObserved
        ConfigurationActivated => "present";
    "absent": ConfigurationObserved ConfigurationActivated ConfigurationRolledBack => "in force";
    "absent": ConfigurationDeleted ConfigurationActivationFailed => "absent";
    "present": ConfigurationCreated ConfigurationUpdated ConfigurationObserved
        ConfigurationActivated ConfigurationActivationFailed => "present";
    "present": ConfigurationObserved ConfigurationActivated ConfigurationRolledBack => "in force";
    "present": ConfigurationDeleted => "absent";
    "in force": ConfigurationCreated ConfigurationUpdated ConfigurationDeleted ConfigurationObserved
        ConfigurationActivated ConfigurationRolledBack ConfigurationActivationFailed => "in force";
};

const PROJECT: &[Transition] = transitions! {
    "there": ProjectChecked ProjectFixed ProjectFormatted SymbolRenamed ProjectReverted => "there";
};

const ONCE: &[Transition] = transitions! {
    "to be run": ExpressionEvaluated GarbageCollected => "run";
    "run": ExpressionEvaluated GarbageCollected => "run";
};

impl State {
    /// What the state is called in [`transitions`](Self::transitions).
    #[must_use]
    pub fn name(&self) -> &'static str {
        let present = |is_present: bool| if is_present { "present" } else { "absent" };
        match self {
            Self::Flake(flake) => present(flake.0.is_some()),
            Self::Package(package) => match package.last {
                BuildState::Never => "never built",
                BuildState::Built => "built",
                BuildState::Failed(_) => "failed",
            },
            Self::Module(module) => present(module.0.is_some()),
            Self::Overlay(overlay) => present(overlay.0.is_some()),
            Self::Configuration(configuration) => match &configuration.0 {
                Some(state) if state.current.is_some() => "in force",
                state => present(state.is_some()),
            },
            Self::Project(_) => "there",
            Self::Once(false) => "to be run",
            Self::Once(true) => "run",
        }
    }

    /// All ways from state to state of a kind of aggregates. From a state, events of a type lead to
    /// one state, but for a configuration: an observation may find a generation in force or none, and
    /// what is activated as a test has none.
    #[must_use]
    pub fn transitions(kind: &Kind) -> &'static [Transition] {
        match kind {
            Kind::Flake => FLAKE,
            Kind::Package => PACKAGE,
            Kind::Module => MODULE,
            Kind::Overlay => OVERLAY,
            Kind::Configuration => CONFIGURATION,
            Kind::Project => PROJECT,
            Kind::Evaluation | Kind::Collection => ONCE,
            Kind::Other(_) => &[],
        }
    }
}
