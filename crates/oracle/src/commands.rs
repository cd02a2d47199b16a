//! The commands of the program.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use cim_nix_base::Error;
use cim_nix_oracle::{Nix, verdicts};

use crate::args::Args;

/// What a command has to say.
pub(crate) struct Report {
    /// Printed on standard output.
    pub(crate) text: String,
    /// Whether all judges agree; decides the exit code.
    pub(crate) agrees: bool,
}

const USAGE: &str = "\
usage: cim-nix-oracle COMMAND [--OPTION VALUE]...
  verdicts --nix NIX_INSTANTIATE --corpus DIR --out FILE [--jobs N]
      record what real Nix says of every .nix file below DIR
";

/// Runs the command that the arguments name.
///
/// Errors: wrong arguments, files that cannot be read or written, a Nix that does not start.
pub(crate) fn run(mut raw: impl Iterator<Item = OsString>) -> Result<Report, Error> {
    let command = raw.next().map(|arg| arg.to_string_lossy().into_owned());
    match command.as_deref() {
        Some("verdicts") => record_verdicts(&Args::read(raw, &["nix", "corpus", "out", "jobs"])?),
        None | Some("--help" | "help") => Ok(Report { text: USAGE.to_owned(), agrees: true }),
        Some(other) => {
            Err(Error::user(format!("there is no command `{other}`")).hint(USAGE.trim_end()))
        }
    }
}

fn nix(args: &Args) -> Result<Nix, Error> {
    let jobs = args.number("jobs", 2)?;
    Ok(Nix::new(args.path("nix")?).jobs(usize::try_from(jobs).unwrap_or(2)))
}

fn record_verdicts(args: &Args) -> Result<Report, Error> {
    let (root, out) = (corpus_root(args)?, args.path("out")?);
    let paths = nix_files(&root)?;
    let verdicts = nix(args)?.judge_files(&paths)?;
    let names: Vec<String> = paths.iter().map(|path| name_below(&root, path)).collect();
    let rows = names.iter().map(String::as_str).zip(&verdicts);
    write(&out, verdicts::render(rows).as_bytes())?;
    let n_ok = verdicts.iter().filter(|verdict| verdict.is_ok()).count();
    let text = format!("{n_ok} accepted, {} refused\n", verdicts.len() - n_ok);
    Ok(Report { text, agrees: true })
}

fn name_below(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}

fn corpus_root(args: &Args) -> Result<PathBuf, Error> {
    let root = args.path("corpus")?;
    root.canonicalize().map_err(|cause| unreadable(&root, cause))
}

/// All regular files with the extension `nix` below `root`, sorted by path.
fn nix_files(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|cause| unreadable(&folder, cause))? {
            let entry = entry.map_err(|cause| unreadable(&folder, cause))?;
            let kind = entry.file_type().map_err(|cause| unreadable(&entry.path(), cause))?;
            let path = entry.path();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|ext| ext == "nix") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn unreadable(path: &Path, cause: std::io::Error) -> Error {
    Error::outside(format!("cannot read `{}`", path.display())).because(cause)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|cause| unwritable(folder, cause))?;
    }
    fs::write(path, bytes).map_err(|cause| unwritable(path, cause))
}

fn unwritable(path: &Path, cause: std::io::Error) -> Error {
    Error::outside(format!("cannot write `{}`", path.display())).because(cause)
}
