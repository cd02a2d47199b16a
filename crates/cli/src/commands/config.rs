//! `cim-nix config`: configurations of machines and homes.

mod activation;
mod authoring;

use cim_nix_base::Error;
use clap::{Args, Subcommand};

use self::activation::{ActivateArgs, GenerationsArgs, RollbackArgs};
use self::authoring::{CreateArgs, ListArgs, ShowArgs, UpdateArgs};
use crate::exit::Exit;
use crate::terminal::ColorWhen;

const EXAMPLES: &str = "\
Examples:
  cim-nix config create web --system x86_64-linux
                                              write hosts/web/default.nix, and hand it on
  cim-nix config list                         what commands have made
  cim-nix config activate web                 build the machine or home `web`, and switch to it
  cim-nix config activate web --boot          from the next start on
  cim-nix config rollback web                 back to the generation before
  cim-nix config generations web              which generations there are";

/// Make, change and activate configurations of machines and homes
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Subcommand, Debug)]
enum ConfigCommand {
    /// Make the configuration of a machine or a home
    Create(CreateArgs),
    /// Change a configuration that a command has made
    Update(UpdateArgs),
    /// List configurations
    List(ListArgs),
    /// Show a configuration
    Show(ShowArgs),
    /// Build a configuration, and put it into force
    Activate(ActivateArgs),
    /// Go back to a former generation
    Rollback(RollbackArgs),
    /// Show the generations of a configuration
    Generations(GenerationsArgs),
}

impl ConfigArgs {
    pub(crate) fn run(&self, color: ColorWhen) -> Result<Exit, Error> {
        match &self.command {
            ConfigCommand::Create(args) => args.run(color),
            ConfigCommand::Update(args) => args.run(color),
            ConfigCommand::List(args) => args.run(),
            ConfigCommand::Show(args) => args.run(),
            ConfigCommand::Activate(args) => args.run(),
            ConfigCommand::Rollback(args) => args.run(),
            ConfigCommand::Generations(args) => args.run(),
        }
    }
}
