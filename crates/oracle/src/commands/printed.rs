//! What Nix prints of programs beside what our IR says, over a corpus.

use std::path::{Path, PathBuf};

use cim_nix_base::Error;
use cim_nix_oracle::Nix;
use cim_nix_oracle::printed::{normalize, print};
use cim_nix_semantics::print::Places;

use super::files::{self, corpus_files, corpus_root};
use super::{Report, name_below};
use crate::args::Args;

/// How many files one process is given.
const BATCH: usize = 64;

/// Our printer recurses as deeply as a program nests.
const STACK: usize = 1 << 30;

/// Compares all files of a corpus that Nix accepts.
pub(super) fn run(args: &Args) -> Result<Report, Error> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        let run = thread.spawn_scoped(scope, || compare_all(args));
        let run = run.map_err(|cause| Error::outside("cannot start a thread").because(cause))?;
        run.join().unwrap_or_else(|_| Err(Error::bug("the comparison panicked")))
    })
}

fn compare_all(args: &Args) -> Result<Report, Error> {
    let root = corpus_root(args)?;
    let nix = Nix::new(args.path("nix")?);
    let (mut text, mut n_same, mut n_refused, mut n_differ) = (String::new(), 0, 0, 0);
    for batch in corpus_files(&root)?.chunks(BATCH) {
        for (path, theirs) in batch.iter().zip(print_batch(&nix, batch)?) {
            let Some(theirs) = theirs else {
                n_refused += 1;
                continue;
            };
            match difference(path, &theirs)? {
                None => n_same += 1,
                Some(difference) => {
                    n_differ += 1;
                    text += &format!("{}: {difference}\n", name_below(&root, path));
                }
            }
        }
    }
    text += &format!("{n_same} files print the same, {n_differ} differ, Nix refuses {n_refused}\n");
    Ok(Report { text, agrees: n_differ == 0 })
}

/// What Nix prints of each file; `None` for one that it refuses.
fn print_batch(nix: &Nix, batch: &[PathBuf]) -> Result<Vec<Option<String>>, Error> {
    if let Some(lines) = nix.print_files(batch)? {
        return Ok(lines.into_iter().map(Some).collect());
    }
    let one = |path: &PathBuf| {
        let lines = nix.print_files(std::slice::from_ref(path))?;
        Ok(lines.and_then(|mut lines| lines.pop()))
    };
    batch.iter().map(one).collect()
}

fn difference(path: &Path, theirs: &str) -> Result<Option<String>, Error> {
    let text = String::from_utf8_lossy(&files::read(path)?).into_owned();
    let folder = path.parent().unwrap_or(Path::new("/"));
    let Some(ours) = print(&text, Places { folder, home: Nix::HOME }) else {
        return Ok(Some("we refuse it".to_owned()));
    };
    let (ours, theirs) = (normalize(&ours), normalize(theirs));
    if ours == theirs {
        return Ok(None);
    }
    let same = ours.bytes().zip(theirs.bytes()).take_while(|(a, b)| a == b).count();
    let show = |text: &str| {
        let start = text.floor_char_boundary(same.saturating_sub(40));
        let end = text.floor_char_boundary((same + 60).min(text.len()));
        text[start..end].to_owned()
    };
    Ok(Some(format!("\n  Nix: {}\n  we:  {}", show(&theirs), show(&ours))))
}
