//! The graph of a flake's inputs.

use std::path::{Path, PathBuf};

use cim_nix_base::Error;
use cim_nix_flake::{FlakeFile, InputGraph, Lock, Relock, picture};
use cim_nix_model::LockFile;
use cim_nix_project::{Files as _, Problem};
use cim_nix_vfs::{DiskFiles, SOURCE_LIMIT};
use clap::Args;

use super::print::{self, PrintArgs};
use crate::dates;
use crate::exit::Exit;
use crate::scope::{real, shown};
use crate::terminal::note;

#[derive(Args, Debug)]
pub(crate) struct InputsArgs {
    /// The folder of the flake, its flake.nix or its flake.lock
    #[arg(default_value = ".", value_name = "FLAKE")]
    flake: PathBuf,
    /// The day that ages are told from, as YYYY-MM-DD [default: the newest in the lock file]
    #[arg(long, value_name = "DATE", value_parser = dates::parse)]
    now: Option<u64>,
    #[command(flatten)]
    print: PrintArgs,
}

/// Errors: there is no flake, or its lock file cannot be used.
pub(crate) fn run(args: &InputsArgs) -> Result<Exit, Error> {
    let path = real(&args.flake);
    if !path.exists() {
        return Err(Error::user(format!("cannot read `{}`: it does not exist", shown(&path))));
    }
    let folder = match path.is_dir() {
        true => path.as_path(),
        false => path.parent().unwrap_or(Path::new("/")),
    };
    let name = folder.file_name().map_or("flake".into(), |name| name.to_string_lossy());
    let file = lock_file(folder)?;
    // A lock file can be drawn without it.
    let text = DiskFiles.read(&folder.join("flake.nix"), SOURCE_LIMIT).ok();
    let flake = text.and_then(|text| FlakeFile::read(&cim_nix_syntax::parse(text).tree));
    let graph =
        picture(InputGraph { file: &file, flake: flake.as_ref(), name: &name, now: args.now });
    print::show(&graph, &args.print)
}

/// The lock file in a folder; where there is none, what `flake.nix` asks for.
fn lock_file(folder: &Path) -> Result<LockFile, Error> {
    let path = folder.join("flake.lock");
    let cannot = |path: &Path, why: &dyn std::fmt::Display| {
        Error::user(format!("cannot use `{}`: {why}", shown(path)))
    };
    match DiskFiles.read(&path, SOURCE_LIMIT) {
        Ok(text) => match Lock::parse(&text) {
            Lock::Read(file) => Ok(file),
            Lock::Refused(why) => Err(cannot(&path, &why)),
            _ => Err(cannot(&path, &"it holds sources that nothing fixes")
                .hint("`cim-nix check` names them")),
        },
        Err(Problem::Missing) => declared(folder),
        Err(problem) => Err(cannot(&path, &problem)),
    }
}

fn declared(folder: &Path) -> Result<LockFile, Error> {
    let path = folder.join("flake.nix");
    let text = DiskFiles.read(&path, SOURCE_LIMIT).map_err(|problem| {
        let message = format!("cannot read `{}`: {problem}", shown(&path));
        Error::user(message).hint("name the folder of a flake")
    })?;
    let flake = FlakeFile::read(&cim_nix_syntax::parse(text).tree);
    let flake = flake.ok_or_else(|| Error::user(format!("`{}` is no flake", shown(&path))))?;
    note(format_args!("there is no flake.lock: this is what flake.nix asks for"));
    let relock = Relock::of(&flake.declared(), &LockFile::default()).map_err(Error::user)?;
    Ok(relock.file)
}
