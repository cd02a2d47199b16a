//! `cim-nix collect-garbage`: removing from the store what nothing needs.

use cim_domain_nix::command::RunGarbageCollection;
use cim_nix_base::Error;
use clap::Args;

use crate::commands::history::ProjectArgs;
use crate::effects;
use crate::exit::Exit;
use crate::outcome::ChangeArgs;
use crate::programs::{NixArgs, Wishes};
use crate::recording::new_identity;

const EXAMPLES: &str = "\
Examples:
  cim-nix collect-garbage --dry-run           what would be run, and how much would go
  cim-nix collect-garbage                     remove from the store what nothing needs
  cim-nix collect-garbage --older-than 30     old generations first: those of more than 30 days before

Nix does the work. What went is recorded in the project here; it cannot be undone.
Exit status: 0 done, 2 wrong usage, 3 Nix is missing, or did not come to its end.";

/// Remove from the store what nothing needs
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CollectArgs {
    /// Delete generations of profiles first that have not been current for so many days
    #[arg(long, value_name = "DAYS")]
    older_than: Option<u32>,
    #[command(flatten)]
    project: ProjectArgs,
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    nix: NixArgs,
}

impl CollectArgs {
    pub(crate) fn run(&self) -> Result<Exit, Error> {
        let identity = new_identity();
        let command = RunGarbageCollection { older_than_days: self.older_than, identity };
        let root = self.project.root();
        effects::run(&root, &command.into(), &self.nix, Wishes::default(), &self.change)
    }
}
