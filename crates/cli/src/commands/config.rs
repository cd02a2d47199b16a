//! `cim-nix config`: configurations of machines and homes.

mod activation;

use cim_nix_base::Error;
use clap::{Args, Subcommand};

use self::activation::{ActivateArgs, GenerationsArgs, RollbackArgs};
use crate::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  cim-nix config activate web                 build the machine or home `web`, and switch to it
  cim-nix config activate web --boot          from the next start on
  cim-nix config rollback web                 back to the generation before
  cim-nix config generations web              which generations there are";

/// Activate configurations of machines and homes
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Subcommand, Debug)]
enum ConfigCommand {
    /// Build a configuration, and put it into force
    Activate(ActivateArgs),
    /// Go back to a former generation
    Rollback(RollbackArgs),
    /// Show the generations of a configuration
    Generations(GenerationsArgs),
}

impl ConfigArgs {
    pub(crate) fn run(&self) -> Result<Exit, Error> {
        match &self.command {
            ConfigCommand::Activate(args) => args.run(),
            ConfigCommand::Rollback(args) => args.run(),
            ConfigCommand::Generations(args) => args.run(),
        }
    }
}
