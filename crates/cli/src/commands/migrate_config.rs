//! `cim-nix migrate-config`: settings of other tools as a `cim-nix.toml`.

use std::path::{Path, PathBuf};

use cim_nix_base::Error;
use clap::Args;

use crate::config;
use crate::exit::Exit;
use crate::migration::{Given, Plan};
use crate::scope::{real, shown};
use crate::terminal::{Out, note};

const EXAMPLES: &str = "\
Examples:
  cim-nix migrate-config                              print what this folder's settings amount to
  cim-nix migrate-config --write                      write it to cim-nix.toml
  cim-nix migrate-config --deadnix=\"-L --edit\"        flags that stand in a script

Read are statix.toml, treefmt.toml and .pre-commit-config.yaml. What has no counterpart is told in
comments.";

/// Turn settings of statix, deadnix and nixf-diagnose into a cim-nix.toml
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct MigrateConfigArgs {
    /// The folder of the project
    #[arg(default_value = ".", value_name = "FOLDER")]
    folder: PathBuf,
    /// Flags that deadnix is called with
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    deadnix: Option<String>,
    /// Flags that statix is called with
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    statix: Option<String>,
    /// Flags that nixf-diagnose is called with
    #[arg(long, value_name = "FLAGS", allow_hyphen_values = true)]
    nixf_diagnose: Option<String>,
    /// Write cim-nix.toml instead of printing it; one that is there stays
    #[arg(long)]
    write: bool,
}

pub(crate) fn run(args: &MigrateConfigArgs) -> Result<Exit, Error> {
    let folder = real(&args.folder);
    if !folder.is_dir() {
        return Err(Error::user(format!("`{}` is no folder", shown(&folder))));
    }
    let mut given = Given::read(&folder)?;
    if let Some(flags) = &args.deadnix {
        given.deadnix("--deadnix", words(flags));
    }
    if let Some(flags) = &args.statix {
        given.statix("--statix", words(flags));
    }
    if let Some(flags) = &args.nixf_diagnose {
        given.nixf("--nixf-diagnose", words(flags));
    }
    if given.is_empty() {
        let error = Error::user(format!("there is nothing to migrate in `{}`", shown(&folder)));
        return Err(error.hint(
            "statix.toml, treefmt.toml and .pre-commit-config.yaml are read; flags of scripts and of Nix code can be given with --deadnix, --statix and --nixf-diagnose",
        ));
    }
    let text = Plan::of(&given).text();
    match args.write {
        true => write(&folder.join(config::FILE_NAME), &text),
        false => {
            let mut out = Out::new();
            out.text(&text);
            out.finish()?;
            Ok(Exit::Clean)
        }
    }
}

fn write(path: &Path, text: &str) -> Result<Exit, Error> {
    let name = shown(path);
    if path.symlink_metadata().is_ok() {
        let error = Error::user(format!("`{name}` is there already and stays as it is"));
        return Err(error.hint("without --write, what it could say is printed"));
    }
    let mut out = Out::to_file(path)?;
    out.text(text);
    out.finish()?;
    note(format_args!("wrote {name}"));
    Ok(Exit::Clean)
}

fn words(flags: &str) -> Vec<String> {
    flags.split_whitespace().map(str::to_owned).collect()
}
