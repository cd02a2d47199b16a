//! What is new since an earlier state: a revision in Git, or an earlier report.
//!
//! A finding is old if the same file had the same finding then, wherever in it: same rule, same
//! marked text and, where there are several, the same line around it. The files of a revision are
//! checked as they were, by the settings of today, so what another rule or setting brings is not
//! new. Files are followed where Git says that they were renamed.

mod old_files;
mod report_file;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cim_nix_base::{Code, Error};
use cim_nix_project::{Discovery, SourceFile};

use crate::args::WalkArgs;
use crate::baseline::old_files::OldFiles;
use crate::baseline::report_file::ReportFile;
use crate::checking::{Outcome, Run, check_all};
use crate::config::Config;
use crate::git::{Change, Repository};
use crate::output::{Key, fingerprints};
use crate::progress::Progress;
use crate::scope;

/// The option that names what to compare with.
const OPTION: &str = "--baseline";

/// What findings are compared with.
pub(crate) enum Baseline {
    Revision(Revision),
    Report(ReportFile),
}

/// A revision, and what changed since.
pub(crate) struct Revision {
    files: OldFiles,
    changes: Vec<Change>,
}

/// What a run is about, to check it once more as it was.
pub(crate) struct Project<'a> {
    pub(crate) root: &'a Path,
    pub(crate) walk: &'a WalkArgs,
    pub(crate) paths: &'a [PathBuf],
    pub(crate) config: &'a Config,
}

/// The files that are not what they were in a revision, and those that Git does not know.
///
/// Errors: there is no such revision, or nobody to ask.
pub(crate) fn changed_since(revision: &str, root: &Path) -> Result<HashSet<PathBuf>, Error> {
    let repository = Repository::around(root, "--changed-since")?;
    let commit = repository.commit(revision)?;
    let changes = repository.changes(&commit)?;
    let untracked = repository.untracked()?;
    Ok(changes.into_iter().filter_map(|change| change.new).chain(untracked).collect())
}

impl Baseline {
    /// Reads what `named` stands for: a report where it is a file that ends in `.json`, else a
    /// revision of the repository around `root`.
    ///
    /// Errors: there is no such thing, or nobody to ask.
    pub(crate) fn read(named: &str, root: &Path) -> Result<Self, Error> {
        let path = Path::new(named);
        if path.extension().is_some_and(|end| end == "json") && path.is_file() {
            return ReportFile::read(path).map(Self::Report);
        }
        let of_revision = || {
            let repository = Repository::around(root, OPTION)?;
            let commit = repository.commit(named)?;
            Ok((repository, commit))
        };
        let (repository, commit) = of_revision().map_err(|error| not_a_report(path, error))?;
        let changes = repository.changes(&commit)?;
        let files = OldFiles::read(&repository, &commit, &changes)?;
        Ok(Self::Revision(Revision { files, changes }))
    }

    /// Keeps apart, in each of `outcomes`, what is new.
    ///
    /// Errors: no thread can be started, or a pattern can match nothing.
    pub(crate) fn part(
        self,
        run: Run<'_>,
        project: &Project<'_>,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<(), Error> {
        match self {
            Self::Report(report) => {
                part_by_report(run, report, outcomes);
                Ok(())
            }
            Self::Revision(revision) => revision.part(run, project, outcomes),
        }
    }
}

/// The error for what is no revision, but was meant as a report.
fn not_a_report(path: &Path, error: Error) -> Error {
    let name = scope::shown(&scope::here().join(path));
    let ends_in_json = path.extension().is_some_and(|end| end == "json");
    match (ends_in_json, path.is_file()) {
        (true, _) => Error::user(format!("there is no file `{name}`, nor a revision of that name")),
        (false, true) => Error::user(format!("`{name}` is no revision"))
            .hint("a report of an earlier run is read where its name ends in `.json`"),
        (false, false) => error,
    }
}

impl Revision {
    /// Adds the files that those checked were renamed from and that lie elsewhere.
    fn with_renamed(
        &self,
        mut found: Discovery,
        outcomes: &[Outcome],
        renamed: &HashMap<&Path, &Path>,
    ) -> Discovery {
        let known: HashSet<Arc<Path>> = found.files.iter().map(|file| file.path.clone()).collect();
        let compared = outcomes.iter().filter_map(|outcome| outcome.compared.as_ref());
        let then = compared.filter_map(|compared| renamed.get(&*compared.path));
        let missing = then.filter(|then| !known.contains(**then) && self.files.has_file(then));
        let missing = missing.map(|then| SourceFile { path: (*then).into(), is_named: true });
        found.files.extend(missing);
        found
    }

    fn part(
        &self,
        run: Run<'_>,
        project: &Project<'_>,
        outcomes: &mut Vec<Outcome>,
    ) -> Result<(), Error> {
        let found = scope::find_files(&self.files, project.walk, project.paths, project.config)?;
        let changed: HashSet<&Path> =
            self.changes.iter().filter_map(|change| change.old.as_deref()).collect();
        let renamed: HashMap<&Path, &Path> = self
            .changes
            .iter()
            .filter_map(|Change { old, new }| Some((new.as_deref()?, old.as_deref()?)))
            .collect();
        // A file that has not changed has the findings that it had, but for those that other files
        // have a say in. And whoever looks at trends wants to know what is gone, too.
        let needs_all = run.style.format.has_trends() || outcomes.iter().any(has_say_of_others);
        // What is named now need not have been there then.
        let found = Discovery { troubles: Vec::new(), ..found };
        let found = match needs_all {
            true => found,
            false => only(found, &changed),
        };
        let found = self.with_renamed(found, outcomes, &renamed);
        let old_run = Run { files: &self.files, fix: None, only: None, ..run };
        let quiet = Progress::new(false);
        let before = check_all(old_run, project.root, &found, &quiet)?;
        let mut by_path: BTreeMap<PathBuf, Outcome> = BTreeMap::new();
        for outcome in before {
            if let Some(path) = outcome.compared.as_ref().map(|compared| compared.path.clone()) {
                by_path.insert(path, outcome);
            }
        }
        for outcome in outcomes.iter_mut() {
            let Some(compared) = &outcome.compared else { continue };
            let path = &*compared.path;
            let then = renamed.get(path).copied().unwrap_or(path);
            let is_same = !needs_all && !changed.contains(then) && self.files.has_file(then);
            if is_same {
                let n = compared.findings.len();
                outcome.part(run.style, &vec![false; n]);
                continue;
            }
            let old = by_path.remove(then);
            let old_keys = old.as_ref().and_then(|old| old.compared.as_ref());
            let matched = compare(&compared.keys, old_keys.map_or(&[], |old| &old.keys));
            outcome.part(run.style, &matched.is_new);
            if let Some(old) = old {
                outcome.add_gone(run.style, &old, &matched.is_gone);
            }
        }
        // What is left belongs to files that have no findings now.
        for (path, old) in by_path {
            if run.only.is_some_and(|only| !only.contains(&path)) {
                continue;
            }
            let n = old.compared.as_ref().map_or(0, |compared| compared.findings.len());
            let mut outcome = Outcome::default();
            outcome.add_gone(run.style, &old, &vec![true; n]);
            outcomes.push(outcome);
        }
        Ok(())
    }
}

fn has_say_of_others(outcome: &Outcome) -> bool {
    let mut compared = outcome.compared.iter().flat_map(|compared| &compared.findings);
    let rule = |code: Code| cim_nix_analysis::find(code.0);
    compared.any(|found| rule(found.code).is_some_and(|rule| rule.looks_beyond_file()))
}

fn only(found: Discovery, changed: &HashSet<&Path>) -> Discovery {
    let files = found.files.into_iter().filter(|file| changed.contains(&*file.path)).collect();
    Discovery { files, ..found }
}

fn part_by_report(run: Run<'_>, mut report: ReportFile, outcomes: &mut Vec<Outcome>) {
    for outcome in outcomes.iter_mut() {
        let Some(compared) = &outcome.compared else { continue };
        let prints = fingerprints(&compared.keys);
        let is_new: Vec<bool> =
            prints.iter().map(|print| !report.take(&compared.path, print)).collect();
        outcome.part(run.style, &is_new);
    }
    let mut rest = Outcome::default();
    for code in report.left() {
        *rest.tally.gone.entry(code).or_default() += 1;
    }
    outcomes.push(rest);
}

/// Which findings have no partner in the other list.
struct Matched {
    is_new: Vec<bool>,
    is_gone: Vec<bool>,
}

/// Pairs equal findings: first those on equal lines, then, of what is left, those that mark the
/// same. So it is the right one of several that counts as new.
fn compare(new: &[Key], old: &[Key]) -> Matched {
    let mut matched = Matched { is_new: vec![true; new.len()], is_gone: vec![true; old.len()] };
    pair(new, old, &mut matched, |key| (key.code, &*key.mark, &*key.line));
    pair(new, old, &mut matched, |key| (key.code, &*key.mark, ""));
    matched
}

fn pair<'k>(
    new: &'k [Key],
    old: &'k [Key],
    matched: &mut Matched,
    by: impl Fn(&'k Key) -> (Code, &'k str, &'k str),
) {
    let mut free: HashMap<_, Vec<usize>> = HashMap::new();
    for (at, key) in old.iter().enumerate().rev().filter(|(at, _)| matched.is_gone[*at]) {
        free.entry(by(key)).or_default().push(at);
    }
    for (at, key) in new.iter().enumerate() {
        if matched.is_new[at]
            && let Some(partner) = free.get_mut(&by(key)).and_then(Vec::pop)
        {
            matched.is_new[at] = false;
            matched.is_gone[partner] = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(lines: &[(&str, &str)]) -> Vec<Key> {
        let key = |&(mark, line): &(&str, &str)| Key {
            code: Code("X1"),
            mark: mark.into(),
            line: line.into(),
        };
        lines.iter().map(key).collect()
    }

    fn check(new: &[(&str, &str)], old: &[(&str, &str)], want_new: &[bool], want_gone: &[bool]) {
        let matched = compare(&keys(new), &keys(old));
        assert_eq!((&*matched.is_new, &*matched.is_gone), (want_new, want_gone));
    }

    #[test]
    fn equal_lines_pair_first() {
        check(&[("x", "b"), ("x", "a")], &[("x", "a")], &[true, false], &[false]);
        check(&[("x", "c"), ("x", "a")], &[("x", "a"), ("x", "b")], &[false, false], &[false; 2]);
    }

    #[test]
    fn each_finding_has_one_partner() {
        check(&[("x", "a"); 3], &[("x", "a"); 2], &[false, false, true], &[false; 2]);
        check(&[("y", "a")], &[("x", "a")], &[true], &[true]);
        check(&[], &[("x", "a")], &[], &[true]);
    }
}
