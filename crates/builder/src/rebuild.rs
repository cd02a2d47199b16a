//! `nixos-rebuild` and `home-manager`, which build and activate as a whole.

use std::time::{Duration, Instant};

use cim_nix_base::Error;

use crate::command::Invocation;
use crate::nix::{Control, Nix, checked, deadline};
use crate::outcome::Outcome;
use crate::programs::Tool;
use crate::text::LogTail;

/// What such a program is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    /// Build, and leave everything as it is.
    Build,
    /// Build and activate.
    Switch,
    /// Build and activate from the next boot on.
    Boot,
    /// Build and activate until the next boot.
    Test,
    /// Build and say what an activation would do.
    DryActivate,
}

impl Verb {
    const fn word(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Switch => "switch",
            Self::Boot => "boot",
            Self::Test => "test",
            Self::DryActivate => "dry-activate",
        }
    }
}

/// A rebuild that is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rebuild {
    /// [`Tool::NixosRebuild`] or [`Tool::HomeManager`].
    pub tool: Tool,
    /// What it is to do.
    pub verb: Verb,
    /// The flake with the configuration, such as `.#host`; nothing: where the program looks itself.
    pub flake: Option<String>,
    /// Whether it goes back to the generation before, and builds nothing.
    pub is_rollback: bool,
    /// Further arguments of the program.
    pub arguments: Vec<String>,
    /// The most time for it.
    pub time_limit: Option<Duration>,
}

/// What happened.
#[derive(Clone, PartialEq, Debug)]
pub struct RebuildRecord {
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    pub duration: Duration,
    /// The end of what was printed.
    pub log: LogTail,
    /// What was run.
    pub invocation: Invocation,
}

impl Nix {
    /// What [`Self::rebuild`] would run.
    ///
    /// Errors: the program is missing, or the request makes no sense.
    pub fn plan_rebuild(&self, request: &Rebuild) -> Result<Invocation, Error> {
        let Rebuild { tool, verb, .. } = request;
        let is_known = match tool {
            Tool::NixosRebuild => true,
            Tool::HomeManager => matches!(verb, Verb::Build | Verb::Switch),
            _ => false,
        };
        if !is_known {
            let word = verb.word();
            return Err(Error::user(format!("`{tool}` has no command `{word}`")));
        }
        if request.is_rollback && *verb == Verb::Build {
            return Err(Error::user("a rollback builds nothing").hint("ask for a switch"));
        }
        let program = self.programs().path(*tool)?.to_owned();
        let mut invocation = self.own_program(program).arg(verb.word());
        if request.is_rollback {
            invocation = invocation.arg("--rollback");
        }
        if let Some(flake) = &request.flake {
            checked(flake, "the flake reference")?;
            invocation = invocation.args(["--flake", flake]);
        }
        for (name, value) in &self.settings().options {
            invocation = invocation.args(["--option", name, value]);
        }
        Ok(invocation.args(&request.arguments))
    }

    /// Runs `nixos-rebuild` or `home-manager`. What changed is left to be read from the profile.
    ///
    /// Errors: the program is missing or cannot be started, or the request makes no sense.
    pub fn rebuild(
        &self,
        request: &Rebuild,
        control: &mut Control<'_>,
    ) -> Result<RebuildRecord, Error> {
        let start = Instant::now();
        let invocation = self.plan_rebuild(request)?;
        let (outcome, log) = self.told(&invocation, deadline(request.time_limit), control)?;
        Ok(RebuildRecord { outcome, duration: start.elapsed(), log, invocation })
    }
}
