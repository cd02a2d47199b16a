//! `cim-nix config activate`, `rollback` and `generations`.

use std::path::PathBuf;

use cim_domain_nix::command::{ActivateConfiguration, RollbackConfiguration};
use cim_domain_nix::{
    ActivationType, Configuration, ConfigurationKind, ConfigurationState, State, Timestamp,
};
use cim_nix_base::Error;
use cim_nix_builder::{Generation, Profile};
use clap::Args;
use serde_json::json;

use crate::commands::history::ProjectArgs;
use crate::effects;
use crate::exit::Exit;
use crate::outcome::{ChangeArgs, ResultFormat};
use crate::programs::{NixArgs, NixPrograms, Wishes};
use crate::recording::{Recorder, new_identity, text_of};
use crate::scope;
use crate::terminal::{Out, one_line};

const EXAMPLES: &str = "\
Examples:
  cim-nix config activate web                 build the machine or home `web`, and switch to it
  cim-nix config activate web --boot          from the next start on
  cim-nix config activate web --test          until the next start
  cim-nix config activate web --store-path ./result
  cim-nix config activate web --dry-run       what would be run
  cim-nix config rollback web                 back to the generation before
  cim-nix config rollback web --to 41
  cim-nix config generations web              which generations there are
  cim-nix undo                                take the last activation back

The profile is that of the system or of the home, unless --profile names another one. What cannot be
activated is put back. If this program is killed on the way, `cim-nix recover` brings the activation
to its end, and says so.
Exit status: 0 done, 1 it failed and the former generation is in force, 2 wrong usage, 3 Nix is missing
or the machine failed.";

/// Which configuration is meant.
#[derive(Args, Debug)]
struct WhichArgs {
    /// The configuration, by its name in the flake
    #[arg(value_name = "NAME")]
    name: String,
    /// The profile that its generations are in
    #[arg(long, value_name = "PROFILE")]
    profile: Option<PathBuf>,
    /// It is a machine that runs NixOS
    #[arg(long, conflicts_with = "home")]
    nixos: bool,
    /// It is a home
    #[arg(long)]
    home: bool,
    #[command(flatten)]
    project: ProjectArgs,
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ActivateArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// Put it into force at the next start
    #[arg(long, conflicts_with = "test")]
    boot: bool,
    /// Put it into force until the next start
    #[arg(long)]
    test: bool,
    /// Activate what is built already
    #[arg(long, value_name = "PATH")]
    store_path: Option<PathBuf>,
    /// Let evaluation use what depends on this machine
    #[arg(long)]
    impure: bool,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    nix: NixArgs,
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct RollbackArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// The generation to go back to [default: the one before]
    #[arg(long, value_name = "N")]
    to: Option<u32>,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    nix: NixArgs,
}

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct GenerationsArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// How to show them
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: ResultFormat,
}

impl WhichArgs {
    fn profile(&self) -> Result<Option<String>, Error> {
        let profile = self.profile.as_ref();
        profile.map(|profile| text_of(&scope::here().join(profile))).transpose()
    }

    fn wishes(&self) -> Wishes {
        let kind = match (self.nixos, self.home) {
            (true, _) => Some(ConfigurationKind::Nixos),
            (_, true) => Some(ConfigurationKind::Home),
            _ => None,
        };
        Wishes { kind, ..Wishes::default() }
    }
}

impl ActivateArgs {
    pub(super) fn run(&self) -> Result<Exit, Error> {
        let root = self.which.project.root();
        let path = self.store_path.as_ref().map(|path| text_of(&scope::here().join(path)));
        let command = ActivateConfiguration {
            project: text_of(&root)?,
            name: self.which.name.clone(),
            activation_type: match (self.boot, self.test) {
                (true, _) => ActivationType::Boot,
                (_, true) => ActivationType::Test,
                _ => ActivationType::Switch,
            },
            profile: self.which.profile()?,
            store_path: path.transpose()?,
            identity: new_identity(),
        };
        let wishes = Wishes { is_impure: self.impure, ..self.which.wishes() };
        effects::run(&root, &command.into(), &self.nix, wishes, &self.change)
    }
}

impl RollbackArgs {
    pub(super) fn run(&self) -> Result<Exit, Error> {
        let root = self.which.project.root();
        let command = RollbackConfiguration {
            project: text_of(&root)?,
            name: self.which.name.clone(),
            generation: self.to,
            profile: self.which.profile()?,
            identity: new_identity(),
        };
        effects::run(&root, &command.into(), &self.nix, self.which.wishes(), &self.change)
    }
}

impl GenerationsArgs {
    pub(super) fn run(&self) -> Result<Exit, Error> {
        let root = self.which.project.root();
        let project = text_of(&root)?;
        let command: cim_domain_nix::Command = RollbackConfiguration {
            project,
            name: self.which.name.clone(),
            generation: None,
            profile: self.which.profile()?,
            identity: new_identity(),
        }
        .into();
        let state = match Recorder::open_existing(&root)? {
            Some(recorder) => recorder.app().load(&command.stream())?.0,
            None => State::empty(&command.kind()),
        };
        let programs = NixPrograms::new(&root, &NixArgs::default(), self.which.wishes());
        let profile = programs.profile_of(&command, &state)?;
        let known = match &state {
            State::Configuration(Configuration(Some(state))) => Some(state),
            _ => None,
        };
        self.show(&profile, known)
    }

    fn show(&self, profile: &Profile, known: Option<&ConfigurationState>) -> Result<Exit, Error> {
        let generations = profile.generations()?;
        let mut out = Out::new();
        if generations.is_empty() && self.format == ResultFormat::Text {
            out.line(format_args!("{} has no generations", scope::shown(profile.path())));
        }
        for generation in &generations {
            let event = known.and_then(|state| {
                let number = u32::try_from(generation.number).ok()?;
                let is_same = state.profile == profile.path().to_string_lossy();
                state.generations.get(&number).filter(|_| is_same)
            });
            let by_us = event.and_then(|it| it.activation).map(ActivationType::word);
            let target = generation.target.to_string_lossy();
            let created = created(generation);
            match self.format {
                ResultFormat::Json => out.line(json!({
                    "profile": profile.path(), "generation": generation.number,
                    "store_path": target, "current": generation.is_current,
                    "created": created, "activation": by_us,
                })),
                ResultFormat::Text => {
                    let sign = if generation.is_current { '*' } else { ' ' };
                    let when = created.map(|created| created.to_string()).unwrap_or_default();
                    let when = when.split('.').next().unwrap_or_default().replace('T', " ");
                    let when = when.trim_end_matches('Z');
                    let how = by_us.unwrap_or("");
                    let line = format!(
                        "{sign}{:>5}  {when:<19}  {how:<6}  {}",
                        generation.number,
                        one_line(&target)
                    );
                    out.line(line);
                }
            }
        }
        out.finish()?;
        Ok(Exit::Clean)
    }
}

fn created(generation: &Generation) -> Option<Timestamp> {
    let since = generation.created?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_micros(i64::try_from(since.as_micros()).ok()?))
}
