//! Evaluates random expressions with real Nix and with us.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use cim_nix_base::Error;
use cim_nix_oracle::evaluation::{
    self, Answer, Census, Generator, Judge, Known, Verdict, compare, ours,
};
use cim_nix_oracle::shrink;

use super::files::write;
use super::{Args, Report};

/// How many expressions are evaluated at a time.
const BATCH: usize = 250;

/// How many differences are made small.
const MOST_SHRUNK: usize = 12;

/// How many candidates are evaluated while one difference is made small.
const SHRINK_BUDGET: usize = 1200;

/// Where slots of expressions begin that are evaluated beside a batch.
const SCRATCH: usize = 1000;

/// A run of this size must show everything often enough.
const FULL: usize = 100_000;

/// How often that is.
const ENOUGH: u64 = 50;

pub(super) fn run(args: &Args) -> Result<Report, Error> {
    let count = usize::try_from(args.number("count", 2000)?).unwrap_or(usize::MAX);
    let mut contest = Contest::new(args)?;
    evaluation::prepare()?;
    let mut shown = Instant::now();
    while contest.n_done < count {
        contest.batch(BATCH.min(count - contest.n_done))?;
        if shown.elapsed() > Duration::from_secs(10) {
            shown = Instant::now();
            eprintln!("{} of {count}: {} differ", contest.n_done, contest.n_different);
        }
    }
    for slot in (contest.first..contest.first + BATCH)
        .chain(contest.first + SCRATCH..contest.first + SCRATCH + 64)
    {
        // Some slots were never used.
        let _ = std::fs::remove_file(evaluation::path_of(slot));
    }
    contest.census.calls = std::mem::take(&mut contest.judge.calls);
    let mut text = contest.census.table();
    let _ = writeln!(text, "\n{} expressions, seed {}", contest.n_done, contest.seed);
    for known in Known::ALL {
        let n = contest.known.get(&known).copied().unwrap_or(0);
        let _ = writeln!(text, "  {n:6} {}", known.words());
    }
    let _ = writeln!(text, "{} differences without an explanation", contest.n_different);
    for (start, n) in contest.census.others() {
        let _ = writeln!(text, "other error, {n} times: {start}");
    }
    let rare = if count < FULL { Vec::new() } else { contest.census.below(ENOUGH) };
    if !rare.is_empty() {
        let _ = writeln!(text, "seen fewer than {ENOUGH} times: {}", rare.join(", "));
    }
    Ok(Report { text, agrees: contest.n_different == 0 && rare.is_empty() })
}

struct Contest {
    generator: Generator,
    rng: fastrand::Rng,
    judge: Judge,
    seed: u64,
    /// The first of this run's slots; another run may be under way.
    first: usize,
    n_done: usize,
    n_different: usize,
    known: std::collections::BTreeMap<Known, usize>,
    census: Census,
}

impl Contest {
    fn new(args: &Args) -> Result<Self, Error> {
        let seed = args.number("seed", 1)?;
        Ok(Self {
            generator: Generator::new()?,
            rng: fastrand::Rng::with_seed(seed),
            judge: Judge::new(args.path("nix")?)?,
            seed,
            first: (1 + std::process::id() as usize) * 10_000,
            n_done: 0,
            n_different: 0,
            known: std::collections::BTreeMap::new(),
            census: Census::default(),
        })
    }

    fn batch(&mut self, n: usize) -> Result<(), Error> {
        let texts: Vec<String> = (0..n).map(|_| self.generator.expression(&mut self.rng)).collect();
        let slots = evaluation::write(self.first, &texts)?;
        let theirs = self.judge.answers(&slots)?;
        let own = ours::answers(&slots)?;
        for (at, text) in texts.iter().enumerate() {
            let mut nix = theirs[at].clone();
            let mut verdict = compare(text, &nix, &own[at]);
            if verdict == Verdict::Different {
                nix = self.judge.answer_alone(slots[at])?;
                verdict = compare(text, &nix, &own[at]);
            }
            self.census.add(text, &nix);
            match verdict {
                Verdict::Same => {}
                Verdict::Known(known) => *self.known.entry(known).or_default() += 1,
                Verdict::Different => self.report(text, &nix, &own[at])?,
            }
        }
        self.n_done += n;
        Ok(())
    }

    /// Prints a difference, as small as it can be made.
    fn report(&mut self, text: &str, nix: &Answer, own: &Answer) -> Result<(), Error> {
        self.n_different += 1;
        let mut small = (text.to_owned(), nix.clone(), own.clone());
        if self.n_different <= MOST_SHRUNK {
            let found =
                shrink(text.as_bytes(), SHRINK_BUDGET, |candidates| self.differ(candidates))?;
            let found = String::from_utf8_lossy(&found).into_owned();
            let slots = evaluation::write(self.first + SCRATCH, &[&found])?;
            let nix = self.judge.answer_alone(slots[0])?;
            let own = ours::answers(&slots)?.remove(0);
            if compare(&found, &nix, &own) == Verdict::Different {
                small = (found, nix, own);
            }
        }
        let (text, nix, own) = small;
        println!("---\n{text}\n  Nix: {nix}\n  we:  {own}");
        Ok(())
    }

    fn differ(&mut self, candidates: &[Vec<u8>]) -> Result<Vec<bool>, Error> {
        let texts: Vec<String> =
            candidates.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect();
        let slots = evaluation::write(self.first + SCRATCH, &texts)?;
        let calls = std::mem::take(&mut self.judge.calls);
        let theirs = self.judge.answers(&slots)?;
        self.judge.calls = calls;
        let own = ours::answers(&slots)?;
        let pairs = texts.iter().zip(theirs.iter().zip(&own));
        let differs = |(text, (nix, own)): (&String, (&Answer, &Answer))| {
            compare(text, nix, own) == Verdict::Different
        };
        Ok(pairs.map(differs).collect())
    }
}

/// Records what Nix says of expressions.
pub(super) fn record(args: &Args) -> Result<Report, Error> {
    let count = usize::try_from(args.number("count", 3000)?).unwrap_or(usize::MAX);
    let mut contest = Contest::new(args)?;
    evaluation::prepare()?;
    let old = args.text("old-nix").map(|_| args.path("old-nix")).transpose()?;
    let texts: Vec<String> =
        (0..count).map(|_| contest.generator.expression(&mut contest.rng)).collect();
    let slots = evaluation::write(0, &texts)?;
    let mut answers = Vec::with_capacity(count);
    for (at, &slot) in slots.iter().enumerate() {
        answers.push(contest.judge.answer_alone(slot)?);
        if at % 250 == 249 {
            eprintln!("{} of {count}", at + 1);
        }
    }
    let old_answers = match old {
        Some(old) => Some(evaluation::old_answers(&old, &slots)?),
        None => None,
    };
    let mut out = String::new();
    for (at, (text, nix)) in texts.iter().zip(&answers).enumerate() {
        let agrees = old_answers.as_ref().is_some_and(|old| evaluation::old_agrees(nix, &old[at]));
        out += &evaluation::render_line(text, nix, agrees);
    }
    write(&args.path("record")?, out.as_bytes())?;
    let text = format!("{count} answers recorded\n");
    Ok(Report { text, agrees: true })
}
