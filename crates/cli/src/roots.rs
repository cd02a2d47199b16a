//! Values that have nothing to do with each other (hosts, packages), evaluated on several threads.
//!
//! Each thread has an evaluation of its own, and all share the files that one of them has parsed. A
//! root that fails is told at the end and stops no other.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use cim_nix_base::Error;
use cim_nix_eval::{EvalError, Evaluation, Handle, SharedParses, with_stack};

use crate::evaluation::{Around, Surroundings};
use crate::exit::Exit;
use crate::progress::Progress;
use crate::terminal::{self, Out};

/// Fewer roots than this are not worth another thread.
const ROOTS_A_THREAD: usize = 2;

/// What becomes of each root.
type Answers = Vec<(String, Result<Vec<u8>, Box<EvalError>>)>;

type Res<T> = Result<T, Box<EvalError>>;

/// How to come by the roots and what to do with one.
pub(crate) trait Roots: Sync {
    /// The set whose attributes are the roots.
    fn find<'e>(&self, evaluation: &'e Evaluation, around: &Around) -> Res<Handle<'e>>;

    /// What a root comes to.
    fn work(&self, evaluation: &Evaluation, around: &Around, root: Handle<'_>) -> Res<Vec<u8>>;
}

/// Evaluates all roots, hands those that succeeded to `print` in the order of their names, and tells
/// what went wrong with the others.
///
/// Errors: the machine does not let us.
pub(crate) fn each(
    roots: &impl Roots,
    jobs: Option<NonZeroUsize>,
    mut surroundings: Surroundings,
    print: impl FnOnce(&[(&str, &[u8])], &mut Out),
) -> Result<Exit, Error> {
    let jobs = jobs.or_else(|| thread::available_parallelism().ok());
    let jobs = jobs.unwrap_or(NonZeroUsize::MIN).get();
    if jobs > 1 {
        surroundings.settings.parses = Some(SharedParses::default());
        surroundings.settings.max_memory /= jobs;
    }
    let show_trace = surroundings.show_trace;
    let answers = with_stack(|| answers(roots, &surroundings, jobs)).map_err(no_thread)?;
    let answers = match answers {
        Ok(answers) => answers,
        Err(error) => {
            terminal::say(&error.render(show_trace));
            return Ok(Exit::Findings);
        }
    };
    let mut out = Out::new();
    let good =
        answers.iter().filter_map(|(name, answer)| Some((&**name, &**answer.as_ref().ok()?)));
    print(&good.collect::<Vec<_>>(), &mut out);
    out.finish()?;
    let mut exit = Exit::Clean;
    for (name, answer) in &answers {
        if let Err(error) = answer {
            terminal::say(&format!("attribute '{name}' failed:\n{}", error.render(show_trace)));
            exit = Exit::Findings;
        }
    }
    Ok(exit)
}

/// Finds the roots and works on them; this thread is the first worker.
fn answers(roots: &impl Roots, surroundings: &Surroundings, jobs: usize) -> Res<Answers> {
    let (evaluation, around) = surroundings.start();
    let set = evaluation.force(roots.find(&evaluation, &around)?, false)?;
    if evaluation.type_word(set) != "set" {
        let found = evaluation.type_phrase(set);
        let message =
            format!("`--each` wants a set whose attributes it evaluates, but this is {found}");
        return Err(Box::new(EvalError::other(message)));
    }
    let names = evaluation.attr_names(set)?;
    let others = jobs.min(names.len().div_ceil(ROOTS_A_THREAD)).saturating_sub(1);
    let progress = Progress::of("attributes", true);
    progress.start(names.len());
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(names.len()));
    let claim = |evaluation: &Evaluation, around: &Around, set: Handle<'_>| {
        // Told that it ends, a thread finishes the root that it is at.
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            let answer = evaluation.attr(set, name).and_then(|root| match root {
                Some(root) => roots.work(evaluation, around, root),
                None => Err(Box::new(EvalError::other(format!("attribute '{name}' is gone")))),
            });
            let at = names.partition_point(|other| other < name);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((at, answer));
            progress.step();
        }
    };
    let other = || {
        let (evaluation, around) = surroundings.start();
        // What fails here failed on the first thread, too, or is told with the roots there.
        if let Ok(set) =
            roots.find(&evaluation, &around).and_then(|set| evaluation.force(set, false))
        {
            claim(&evaluation, &around, set);
        }
    };
    thread::scope(|scope| {
        for _ in 0..others {
            // One thread less is slower, and nothing worse.
            scope.spawn(|| with_stack(other));
        }
        claim(&evaluation, &around, set);
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(at, answer)| (names[at].clone(), answer)).collect())
}

fn no_thread(error: std::io::Error) -> Error {
    Error::outside("cannot start a thread to evaluate on").because(error)
}
