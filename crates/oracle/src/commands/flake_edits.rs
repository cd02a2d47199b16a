//! Edits of real `flake.nix` files, with real Nix as the judge.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cim_nix_base::Error;
use cim_nix_flake::edit::{Edit, Note, Refusal, plan};
use cim_nix_oracle::flakes::{FlakeAnswer, FlakeJudge, FlakeOutcome, Trial, linked};

use super::Report;
use super::files::{corpus_files, corpus_root, read, write};
use crate::args::Args;

/// How many inputs of one flake are removed.
const MOST_REMOVED: usize = 2;

/// What came of the edits of one kind.
#[derive(Default)]
struct Count {
    n_same: usize,
    n_same_failure: usize,
    n_mirrored: usize,
    /// Other code asks for the input, as the edit's notes warned.
    n_warned: usize,
    /// The place of a new output cannot be evaluated.
    n_unseen: usize,
    n_different: usize,
    refused: BTreeMap<&'static str, usize>,
}

#[derive(Default)]
struct Totals {
    counts: BTreeMap<&'static str, Count>,
    n_flakes: usize,
    n_given: usize,
    /// Flakes that cannot be edited at all, and why.
    odd: Vec<String>,
    wrong: Vec<String>,
}

struct Contest<'a> {
    judge: FlakeJudge,
    root: &'a Path,
    keep: Option<PathBuf>,
    totals: Mutex<Totals>,
}

/// Edits all distinct flakes below `--corpus`.
pub(super) fn run(args: &Args) -> Result<Report, Error> {
    let root = corpus_root(args)?;
    let real = args.text("inputs").map(|_| args.path("inputs")).transpose()?;
    let real = real.map(|path| path.canonicalize().unwrap_or(path));
    let files = distinct(&root)?;
    let contest = Contest {
        judge: FlakeJudge::new(args.path("nix")?, real)?,
        root: &root,
        keep: args.text("keep").map(PathBuf::from),
        totals: Mutex::new(Totals::default()),
    };
    let jobs = usize::try_from(args.number("jobs", 2)?).unwrap_or(2).max(1);
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            contest.flake(file)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        let done = workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| Err(Error::bug("an edit panicked"))));
        done.collect::<Result<Vec<()>, Error>>()
    })?;
    let totals = contest.totals.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    Ok(Report { text: totals.table(), agrees: totals.wrong.is_empty() })
}

/// The `flake.nix` files below a folder, each text once.
fn distinct(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut seen = BTreeSet::new();
    let mut files = Vec::new();
    for path in corpus_files(root)? {
        if path.file_name().is_some_and(|name| name == "flake.nix") && seen.insert(read(&path)?) {
            files.push(path);
        }
    }
    Ok(files)
}

impl Totals {
    fn table(&self) -> String {
        let mut text = format!(
            "{} flakes, of which {} give their outputs to stubs\n",
            self.n_flakes, self.n_given
        );
        for (kind, count) in &self.counts {
            let n_refused: usize = count.refused.values().sum();
            let _ = writeln!(
                text,
                "{kind:13} {:5} same outputs, {:3} that are the inputs, {:3} not seen, {:4} same \
                 failure, {:3} warned of, {:3} different, {n_refused:4} refused",
                count.n_same,
                count.n_mirrored,
                count.n_unseen,
                count.n_same_failure,
                count.n_warned,
                count.n_different,
            );
            for (why, n) in &count.refused {
                let _ = writeln!(text, "              {n:5} {why}");
            }
        }
        for line in self.odd.iter().chain(&self.wrong) {
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

/// A flake while it is edited.
struct Flake<'f> {
    name: String,
    text: &'f str,
    folder: PathBuf,
    before: FlakeAnswer,
}

impl Contest<'_> {
    fn flake(&self, file: &Path) -> Result<(), Error> {
        let name = file.strip_prefix(self.root).unwrap_or(file).to_string_lossy().into_owned();
        let Ok(text) = String::from_utf8(read(file)?) else { return Ok(()) };
        let stage = tempfile::tempdir()
            .map_err(|cause| Error::outside("cannot make a folder to edit in").because(cause))?;
        let folder = linked(self.root, file.parent().unwrap_or(self.root), stage.path())?;
        let before = self.judge.ask(&folder)?;
        self.with(|totals| {
            totals.n_flakes += 1;
            totals.n_given += usize::from(before.names.is_ok());
        });
        let flake = Flake { name, text: &text, folder, before };
        let names = inputs_of(&flake);
        let (mut made, mut edited, mut n_removed) = (Vec::new(), Vec::new(), 0);
        for trial in Trial::all(&names) {
            if trial.kind == "remove" && n_removed == MOST_REMOVED {
                break;
            }
            let Some(edit) = self.planned(&flake, &trial) else { continue };
            n_removed += usize::from(trial.kind == "remove");
            edited.push((edit.apply(flake.text)?, trial.change.clone()));
            made.push((trial, edit));
        }
        let outcomes = self.judge.judge(&flake.folder, &flake.before, &edited)?;
        for (at, outcome) in outcomes.into_iter().enumerate() {
            let (trial, edit) = &made[at];
            self.judged(&flake, trial, edit, outcome, &edited[at].0)?;
        }
        Ok(())
    }

    fn with(&self, change: impl FnOnce(&mut Totals)) {
        change(&mut self.totals.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    /// Plans an edit, if it is not refused.
    fn planned(&self, flake: &Flake<'_>, trial: &Trial) -> Option<Edit> {
        match plan(flake.text, &trial.request) {
            Ok(edit) => {
                for fault in trial.faults(flake.text, &edit) {
                    self.wrong(flake, trial.kind, &fault);
                }
                Some(edit)
            }
            Err(refusal) => {
                self.refused(flake, trial.kind, &refusal);
                None
            }
        }
    }

    fn judged(
        &self,
        flake: &Flake<'_>,
        trial: &Trial,
        edit: &Edit,
        outcome: FlakeOutcome,
        after: &str,
    ) -> Result<(), Error> {
        let kind = trial.kind;
        let is_warned = edit.notes.iter().any(|note| matches!(note, Note::HandedOn(_)));
        self.with(|totals| {
            let count = totals.counts.entry(kind).or_default();
            match &outcome {
                FlakeOutcome::Same => count.n_same += 1,
                FlakeOutcome::SameFailure => count.n_same_failure += 1,
                FlakeOutcome::Mirrored => count.n_mirrored += 1,
                FlakeOutcome::Unseen => count.n_unseen += 1,
                FlakeOutcome::Different(_) if is_warned => count.n_warned += 1,
                FlakeOutcome::Different(_) => count.n_different += 1,
            }
        });
        if let FlakeOutcome::Different(what) = outcome
            && !is_warned
        {
            self.wrong(flake, kind, &format!("{:?}: {what}", trial.request));
            if let Some(keep) = &self.keep {
                let name = flake.name.replace('/', "+");
                write(&keep.join(format!("{name}.{kind}.nix")), after.as_bytes())?;
            }
        }
        Ok(())
    }

    fn refused(&self, flake: &Flake<'_>, kind: &'static str, refusal: &Refusal) {
        let why = match refusal {
            Refusal::Broken { .. } => "the file is broken",
            Refusal::NotAFlake => "no flake",
            Refusal::Shape { .. } => "unusual shape",
            Refusal::StillUsed { .. } => "still used",
            Refusal::Unknown { .. } => "uses cannot be told",
            Refusal::Followed { .. } => "other inputs follow it",
            Refusal::Hides { .. } | Refusal::Hidden { .. } => "the name means something else",
            Refusal::NoSource { .. } => "a registry knows the source",
            Refusal::InvalidName { .. } => "not a name for it",
            Refusal::Elsewhere { .. } => "made elsewhere",
            Refusal::EverySystem { .. } => "made for every system at once",
            Refusal::NoSystem(_) => "made for each system by itself",
            Refusal::SystemsElsewhere { .. } => "the systems are listed elsewhere",
            Refusal::Ambiguous { .. } => "several places",
            Refusal::Undefined(_) => "a name is missing there",
            Refusal::AlreadyThere { .. } => "there is one",
            Refusal::Unproven(_) => "unproven",
            _ => "other",
        };
        self.with(|totals| {
            *totals.counts.entry(kind).or_default().refused.entry(why).or_default() += 1;
        });
        if matches!(why, "unproven" | "other") {
            self.wrong(flake, kind, &format!("refused: {refusal}"));
        } else if matches!(why, "the file is broken" | "no flake" | "unusual shape")
            && kind == "add"
        {
            let line = format!("{}: {refusal}", flake.name);
            self.with(|totals| totals.odd.push(line));
        }
    }

    fn wrong(&self, flake: &Flake<'_>, kind: &str, what: &str) {
        let line = format!("{}: {kind}: {what}", flake.name);
        self.with(|totals| totals.wrong.push(line));
    }
}

/// The names of the inputs that a flake declares, as Nix says.
fn inputs_of(flake: &Flake<'_>) -> Vec<String> {
    let all = flake.before.inputs.as_ref().ok().and_then(serde_json::Value::as_object);
    let is_named = |name: &&String| *name != "self";
    all.into_iter().flatten().map(|(name, _)| name).filter(is_named).cloned().collect()
}
