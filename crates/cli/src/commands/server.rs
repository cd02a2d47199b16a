//! `cim-nix serve` and `cim-nix send`: what the program beside this one does. This one stays small.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use cim_nix_base::Error;
use clap::Args;

use crate::exit::Exit;

/// The program that serves, and that sends commands to those who do.
const PROGRAM: &str = "cim-nix-server";

/// Arguments for the program beside this one.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct ServerArgs {
    /// What cim-nix-server gets; --help tells what that may be
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<OsString>,
}

/// Becomes `cim-nix-server COMMAND`.
///
/// Errors: it is not there, or cannot be started.
pub(crate) fn run(command: &str, args: &ServerArgs) -> Result<Exit, Error> {
    let program = find().ok_or_else(|| {
        Error::config(format!("`{command}` needs the program `{PROGRAM}`, which is not there"))
            .hint("it is looked for beside cim-nix and on PATH; releases have both programs")
    })?;
    let error = Command::new(&program).arg(command).args(&args.arguments).exec();
    Err(Error::outside(format!("cannot run `{}`", program.display())).because(error))
}

/// The program beside this one's own file, or else on `PATH`.
fn find() -> Option<PathBuf> {
    let own = env::current_exe().ok().and_then(|own| own.canonicalize().ok());
    let beside = own.and_then(|own| Some(own.parent()?.join(PROGRAM)));
    let path = env::var_os("PATH").unwrap_or_default();
    let on_path = env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(PROGRAM));
    beside.into_iter().chain(on_path).find(|program| program.is_file())
}
