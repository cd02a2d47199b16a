//! Our trees beside rnix's, over a corpus.

use std::path::Path;

use cim_nix_base::Error;
use cim_nix_oracle::{Entry, Fault, Nix, Outcome, Verdict, compare_trees, rebuilds};
use cim_nix_syntax::NodeKind;

use super::files::{self, corpus_files, corpus_root};
use super::{Report, name_below};
use crate::args::Args;

/// Compares the trees of all files of a corpus.
pub(super) fn run(args: &Args) -> Result<Report, Error> {
    let root = corpus_root(args)?;
    let judge = args.text("nix").map(Nix::new);
    let mut census = Census::default();
    for path in corpus_files(&root)? {
        let name = name_below(&root, &path);
        let Ok(text) = String::from_utf8(files::read(&path)?) else {
            census.n_not_utf8 += 1;
            continue;
        };
        if !rebuilds(&text) {
            census.unexplained.push(format!("{name}: its tokens do not give back its text"));
        }
        let nix = || judge_file(judge.as_ref(), &path);
        census.count(&name, &text, compare_trees(&text), nix)?;
    }
    Ok(census.report())
}

fn judge_file(judge: Option<&Nix>, path: &Path) -> Result<Option<Verdict>, Error> {
    judge.map(|nix| nix.judge_file(path)).transpose()
}

#[derive(Default)]
struct Census {
    n_same: usize,
    n_nodes: usize,
    n_broken: usize,
    n_not_utf8: usize,
    explained: Vec<String>,
    unexplained: Vec<String>,
}

impl Census {
    fn count(
        &mut self,
        name: &str,
        text: &str,
        outcome: Outcome,
        nix: impl FnOnce() -> Result<Option<Verdict>, Error>,
    ) -> Result<(), Error> {
        match outcome {
            Outcome::Same(n_nodes) => {
                self.n_same += 1;
                self.n_nodes += n_nodes;
            }
            Outcome::BothRefuse => self.n_broken += 1,
            Outcome::Differ(ours, theirs) => match reason(text, ours.as_ref()) {
                Some(reason) => self.explained.push(format!("{name}: {reason}")),
                None => {
                    let (ours, theirs) = (show(ours.as_ref()), show(theirs.as_ref()));
                    self.unexplained.push(format!("{name}: we have {ours}, rnix {theirs}"));
                }
            },
            Outcome::Validity { we_accept } => {
                let word = if we_accept { "accept" } else { "refuse" };
                if nix()?.is_some_and(|verdict| parses(&verdict) == we_accept) {
                    self.explained.push(format!("{name}: we {word} it as Nix does, against rnix"));
                } else {
                    self.unexplained.push(format!("{name}: we {word} it, against rnix"));
                }
            }
        }
        Ok(())
    }

    fn report(self) -> Report {
        let Self { n_same, n_nodes, n_broken, n_not_utf8, explained, unexplained } = self;
        let mut text = format!(
            "{n_same} files have the same tree ({n_nodes} nodes), both refuse {n_broken}, \
             {n_not_utf8} are no UTF-8\n"
        );
        explained.iter().for_each(|line| text += &format!("known: {line}\n"));
        unexplained.iter().for_each(|line| text += &format!("DIFFERS: {line}\n"));
        Report { text, agrees: unexplained.is_empty() }
    }
}

fn show(entry: Option<&Entry>) -> String {
    entry.map_or_else(|| "nothing".to_owned(), Entry::to_string)
}

/// Whether Nix's grammar accepts the file, whatever its names are.
fn parses(verdict: &Verdict) -> bool {
    !matches!(verdict.fault(), Some(Fault::Syntax | Fault::Token))
}

/// Why a tree may differ from rnix's: in these points Nix is on our side.
fn reason(text: &str, ours: Option<&Entry>) -> Option<&'static str> {
    let is_old_or =
        |entry: &Entry| entry.kind == NodeKind::Apply && text[entry.range.clone()].ends_with("or");
    if ours.is_some_and(is_old_or) {
        return Some("`f or x` calls the result of `f or`; to rnix it is one call");
    }
    let has_lone_cr = text.replace("\r\n", "").contains('\r');
    has_lone_cr.then_some("a lone carriage return ends a comment, but not to rnix")
}
