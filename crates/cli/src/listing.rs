//! What the listing commands (`symbols`, `files`) share: finding files, asking one question about
//! each on all cores, and printing the answers in the order of the paths.

use std::path::{Path, PathBuf};

use cim_nix_base::Error;
use cim_nix_project::{Panicked, Trouble, for_each};
use cim_nix_vfs::DiskFiles;

use crate::args::WalkArgs;
use crate::checking::is_nix;
use crate::exit::Exit;
use crate::progress::Progress;
use crate::reading::{is_stdin, read, read_named};
use crate::scope::{self, shown};
use crate::terminal::{Out, note};

/// What to list, and how.
#[derive(Clone, Copy)]
pub(crate) struct Listing<'a> {
    pub(crate) paths: &'a [PathBuf],
    pub(crate) walk: &'a WalkArgs,
    /// Whether to leave out lock files, which are no Nix code.
    pub(crate) nix_only: bool,
    /// Whether answers are JSON objects, to be joined to a list; else they are lines.
    pub(crate) is_json: bool,
}

/// A file that was read.
pub(crate) struct ListedFile<'a> {
    pub(crate) path: &'a Path,
    /// The path as it is shown.
    pub(crate) name: &'a str,
    pub(crate) text: String,
}

/// Prints what `answer` says of each file. What cannot be read is told on standard error.
///
/// Errors: a setting is wrong, `answer` panics, or the machine fails.
pub(crate) fn list<S>(
    listing: Listing<'_>,
    new_scratch: impl Fn() -> S + Sync,
    answer: impl Fn(&mut S, ListedFile<'_>) -> String + Sync,
) -> Result<Exit, Error> {
    if let [path] = listing.paths
        && is_stdin(path)
    {
        let text = read_named(path)?.text;
        let file = ListedFile { path, name: &shown(path), text };
        return print(listing, &[answer(&mut new_scratch(), file)], &[]);
    }
    let config = scope::config(listing.walk, listing.paths)?;
    let mut found = scope::find_files(&DiskFiles, listing.walk, listing.paths, &config)?;
    if listing.nix_only {
        found.files.retain(is_nix);
    }
    let progress = Progress::new(true);
    progress.start(found.files.len());
    let workers = scope::workers(listing.walk);
    let answered = for_each(workers, found.files.len(), new_scratch, |scratch, at| {
        let path = &*found.files[at].path;
        let text = read(path).map(|source| source.text);
        let answer =
            text.map(|text| answer(scratch, ListedFile { path, name: &shown(path), text }));
        progress.step();
        answer
    })?;
    drop(progress);
    let mut answers = Vec::with_capacity(answered.len());
    for (file, answer) in found.files.iter().zip(answered) {
        let path = &file.path;
        match answer {
            Ok(Ok(text)) => answers.push(text),
            Ok(Err(problem)) => found.troubles.push(Trouble { path: path.to_path_buf(), problem }),
            Err(Panicked(text)) => {
                let message = format!("internal error on `{}`: {text}", shown(path));
                return Err(Error::bug(message).hint("please report it"));
            }
        }
    }
    print(listing, &answers, &found.troubles)
}

fn print(listing: Listing<'_>, answers: &[String], troubles: &[Trouble]) -> Result<Exit, Error> {
    let mut out = Out::new();
    if listing.is_json {
        out.text("{\"version\":1,\"files\":[");
        for (at, answer) in answers.iter().enumerate() {
            out.text(if at == 0 { "\n" } else { ",\n" });
            out.text(answer);
        }
        out.text("\n]}\n");
    } else {
        answers.iter().for_each(|answer| out.text(answer));
    }
    out.finish()?;
    for Trouble { path, problem } in troubles {
        note(format_args!("cannot read `{}`: {problem}", shown(path)));
    }
    Ok(if troubles.is_empty() { Exit::Clean } else { Exit::Refused })
}
