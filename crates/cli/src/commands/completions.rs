//! `cim-nix completions`: what a shell completes.

use cim_nix_base::Error;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::args::Cli;
use crate::exit::Exit;
use crate::terminal::Out;

const EXAMPLES: &str = "\
Examples:
  cim-nix completions bash > ~/.local/share/bash-completion/completions/cim-nix
  cim-nix completions fish > ~/.config/fish/completions/cim-nix.fish
  cim-nix completions zsh > ~/.zfunc/_cim-nix";

/// Print the completions for a shell
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "cim-nix", &mut script);
    let script = String::from_utf8_lossy(&script);
    let mut out = Out::new();
    match args.shell {
        // Where the hyphen of the name stands, the generator names a command in two ways: once as it
        // is told, once as if the part behind were a subcommand.
        Shell::Bash => out.text(&script.replace("cim__subcmd__nix", "cim__nix")),
        _ => out.text(&script),
    }
    out.finish()?;
    Ok(Exit::Clean)
}
