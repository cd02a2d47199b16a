//! The 46 subjects on which services of the Nix domain meet: `nix.ROLE.AGGREGATE.ACTION`.
//!
//! Messages that only this product has follow the same form, and are told apart by
//! [`own`](Subject::own). Streams of a broker that carry the tenant and the id of
//! an aggregate are the business of whoever publishes.

use std::fmt;
use std::str::FromStr;

use crate::Kind;

/// What a message is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// It wants something to happen.
    Command,
    /// It says what has happened.
    Event,
    /// It asks.
    Query,
}

impl Role {
    /// The token in subjects.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Command => "cmd",
            Self::Event => "event",
            Self::Query => "query",
        }
    }
}

/// One of the 46 subjects.
///
/// ```
/// use cim_domain_nix::{Kind, Role, Subject};
///
/// let subject: Subject = "nix.cmd.flake.add_input".parse()?;
/// assert_eq!((subject.role(), subject.kind(), subject.action()), (Role::Command, Kind::Flake, "add_input"));
/// assert_eq!(subject.message_type(), "AddFlakeInput");
/// assert_eq!(Subject::of("AddFlakeInput"), Some(subject));
/// # Ok::<(), cim_domain_nix::NoSubject>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    text: &'static str,
    message_type: &'static str,
}

macro_rules! subjects {
    ($name:ident: $($text:literal $message_type:ident)*) => {
        /// The subjects, commands first, then events, then queries.
        const $name: &[Subject] =
            &[$(Subject { text: $text, message_type: stringify!($message_type) },)*];
    };
}

subjects! { ALL:
    "nix.cmd.flake.create" CreateFlake
    "nix.cmd.flake.update" UpdateFlake
    "nix.cmd.flake.add_input" AddFlakeInput
    "nix.cmd.flake.remove_input" RemoveFlakeInput
    "nix.cmd.package.build" BuildPackage
    "nix.cmd.package.cache" CachePackage
    "nix.cmd.module.create" CreateModule
    "nix.cmd.module.update" UpdateModule
    "nix.cmd.module.delete" DeleteModule
    "nix.cmd.overlay.create" CreateOverlay
    "nix.cmd.overlay.update" UpdateOverlay
    "nix.cmd.overlay.delete" DeleteOverlay
    "nix.cmd.config.create" CreateConfiguration
    "nix.cmd.config.update" UpdateConfiguration
    "nix.cmd.config.activate" ActivateConfiguration
    "nix.cmd.config.rollback" RollbackConfiguration
    "nix.event.flake.created" FlakeCreated
    "nix.event.flake.updated" FlakeUpdated
    "nix.event.flake.input_added" FlakeInputAdded
    "nix.event.flake.input_removed" FlakeInputRemoved
    "nix.event.package.built" PackageBuilt
    "nix.event.package.cached" PackageCached
    "nix.event.module.created" ModuleCreated
    "nix.event.module.updated" ModuleUpdated
    "nix.event.module.deleted" ModuleDeleted
    "nix.event.overlay.created" OverlayCreated
    "nix.event.overlay.updated" OverlayUpdated
    "nix.event.overlay.deleted" OverlayDeleted
    "nix.event.config.created" ConfigurationCreated
    "nix.event.config.updated" ConfigurationUpdated
    "nix.event.config.activated" ConfigurationActivated
    "nix.event.config.rolled_back" ConfigurationRolledBack
    "nix.query.flake.get" GetFlake
    "nix.query.flake.list" ListFlakes
    "nix.query.flake.get_inputs" GetFlakeInputs
    "nix.query.package.get" GetPackage
    "nix.query.package.list" ListPackages
    "nix.query.package.get_status" GetBuildStatus
    "nix.query.module.get" GetModule
    "nix.query.module.list" ListModules
    "nix.query.overlay.get" GetOverlay
    "nix.query.overlay.list" ListOverlays
    "nix.query.config.get" GetConfiguration
    "nix.query.config.list" ListConfigurations
    "nix.query.config.get_current" GetCurrentConfiguration
    "nix.query.config.get_history" GetConfigurationHistory
}

subjects! { OWN:
    "nix.cmd.project.check" CheckFlake
    "nix.cmd.project.fix" FixProject
    "nix.cmd.project.format" FormatProject
    "nix.cmd.project.rename" RenameSymbol
    "nix.cmd.evaluation.evaluate" EvaluateExpression
    "nix.cmd.collection.collect" RunGarbageCollection
    "nix.event.flake.observed" FlakeObserved
    "nix.event.flake.deleted" FlakeDeleted
    "nix.event.package.build_failed" PackageBuildFailed
    "nix.event.config.deleted" ConfigurationDeleted
    "nix.event.config.observed" ConfigurationObserved
    "nix.event.config.activation_failed" ConfigurationActivationFailed
    "nix.event.project.checked" ProjectChecked
    "nix.event.project.fixed" ProjectFixed
    "nix.event.project.formatted" ProjectFormatted
    "nix.event.project.renamed" SymbolRenamed
    "nix.event.project.reverted" ProjectReverted
    "nix.event.evaluation.evaluated" ExpressionEvaluated
    "nix.event.collection.collected" GarbageCollected
}

impl Subject {
    /// All 46: 16 commands, 16 events, 14 queries.
    #[must_use]
    pub fn all() -> &'static [Self] {
        ALL
    }

    /// Those of messages that only this product has: commands first, then events.
    #[must_use]
    pub fn own() -> &'static [Self] {
        OWN
    }

    /// Those of the contract, and then those that only this product has.
    pub fn every() -> impl Iterator<Item = Self> {
        ALL.iter().chain(OWN).copied()
    }

    /// The subject of a type of messages.
    #[must_use]
    pub fn of(message_type: &str) -> Option<Self> {
        Self::every().find(|subject| subject.message_type == message_type)
    }

    /// The subject as text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.text
    }

    /// The type of the messages on it.
    #[must_use]
    pub fn message_type(self) -> &'static str {
        self.message_type
    }

    /// What its messages are for.
    #[must_use]
    pub fn role(self) -> Role {
        match self.token(1) {
            "cmd" => Role::Command,
            "event" => Role::Event,
            _ => Role::Query,
        }
    }

    /// The kind of the aggregates that its messages are about.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self.token(2) {
            "flake" => Kind::Flake,
            "package" => Kind::Package,
            "module" => Kind::Module,
            "overlay" => Kind::Overlay,
            "project" => Kind::Project,
            "evaluation" => Kind::Evaluation,
            "collection" => Kind::Collection,
            _ => Kind::Configuration,
        }
    }

    /// What is done, was done or is asked: `add_input`.
    #[must_use]
    pub fn action(self) -> &'static str {
        self.token(3)
    }

    fn token(self, at: usize) -> &'static str {
        self.text.split('.').nth(at).unwrap_or_default()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// Text that is none of the subjects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoSubject(String);

impl fmt::Display for NoSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.0.chars().take(60).collect();
        let shown = shown.escape_debug();
        write!(f, "`{shown}` is no subject of the Nix domain such as nix.cmd.flake.create")
    }
}

impl std::error::Error for NoSubject {}

impl FromStr for Subject {
    type Err = NoSubject;

    fn from_str(text: &str) -> Result<Self, NoSubject> {
        let found = Self::every().find(|subject| subject.text == text);
        found.ok_or_else(|| NoSubject(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Command, Event};

    #[test]
    fn there_are_46_and_each_reads_as_it_is_printed() {
        let of = |role| ALL.iter().filter(|subject| subject.role() == role).count();
        assert_eq!([of(Role::Command), of(Role::Event), of(Role::Query)], [16, 16, 14]);
        for subject in Subject::every() {
            assert_eq!(subject.to_string().parse(), Ok(subject));
            assert_eq!(Subject::of(subject.message_type()), Some(subject));
            let (role, kind, action) = (subject.role(), subject.kind(), subject.action());
            assert_eq!(subject.as_str(), format!("nix.{}.{kind}.{action}", role.token()));
        }
    }

    #[test]
    fn they_are_those_of_the_messages() {
        let of_contract = |message_type: &str| {
            let subject = Subject::of(message_type).expect("each has one");
            Subject::all().contains(&subject).then_some(subject.as_str())
        };
        for name in Command::TYPES {
            assert_eq!(of_contract(name), Command::subject_of(name), "{name}");
        }
        for name in Event::TYPES {
            assert_eq!(of_contract(name), Event::subject_of(name), "{name}");
        }
        assert_eq!(Subject::every().count(), Command::TYPES.len() + Event::TYPES.len() + 14);
    }

    #[test]
    fn refuses_what_is_none() {
        for text in [
            "",
            "nix",
            "nix.cmd.flake",
            "NIX.cmd.flake.create",
            "nix.cmd.flake.create.",
            "nix.cmd.*.create",
        ] {
            assert!(text.parse::<Subject>().is_err(), "{text}");
        }
        expect_test::expect![[
            r#"`nix.cmd.flake.melt` is no subject of the Nix domain such as nix.cmd.flake.create"#
        ]]
        .assert_eq(&"nix.cmd.flake.melt".parse::<Subject>().expect_err("no such").to_string());
    }
}
