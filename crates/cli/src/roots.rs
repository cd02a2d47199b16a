//! Values that have nothing to do with each other (hosts, packages), evaluated on several threads.
//!
//! Each thread has an evaluation of its own, and all share the files that one of them has parsed. A
//! root that fails is told at the end and stops no other.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use cim_nix_base::Error;
use cim_nix_eval::{ErrorKind, EvalError, Evaluation, Handle, SharedParses, with_stack};

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

/// The roots, which are still to be taken, and what became of the others.
struct Queue {
    names: Vec<String>,
    next: AtomicUsize,
    done: Mutex<Vec<(usize, Res<Vec<u8>>)>>,
    progress: Progress,
}

impl Queue {
    fn new(names: Vec<String>) -> Self {
        let progress = Progress::of("attributes", true);
        progress.start(names.len());
        Self { names, next: AtomicUsize::new(0), done: Mutex::default(), progress }
    }

    fn answer(&self, at: usize, answer: Res<Vec<u8>>) {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).push((at, answer));
        self.progress.step();
    }
}

/// How a thread's evaluation ended.
enum Served {
    /// There is nothing more to do.
    All,
    /// Its memory is used up; this root was begun after others and gets an evaluation of its own.
    Full(usize),
}

/// Finds the roots and works on them; this thread is the first worker.
fn answers(roots: &impl Roots, surroundings: &Surroundings, jobs: usize) -> Res<Answers> {
    let queue = OnceLock::new();
    let shared = OnceLock::new();
    thread::scope(|scope| -> Res<()> {
        let served = {
            let (evaluation, around) = surroundings.start();
            let set = evaluation.force(roots.find(&evaluation, &around)?, false)?;
            let names = names(&evaluation, set)?;
            let n = names.len();
            let others = jobs.min(n.div_ceil(ROOTS_A_THREAD)).saturating_sub(1);
            let mut share = surroundings.clone();
            share.settings.max_memory /= others + 1;
            evaluation.limit_memory(share.settings.max_memory);
            let (share, queue) =
                (shared.get_or_init(|| share), queue.get_or_init(|| Queue::new(names)));
            for _ in 0..others {
                // One thread less is slower, and nothing worse.
                scope
                    .spawn(move || with_stack(|| serve_anew(roots, share, queue, Served::Full(n))));
            }
            serve(roots, (&evaluation, &around), set, queue, n)
        };
        // The first evaluation is gone with all that it took.
        if let (Some(share), Some(queue)) = (shared.get(), queue.get()) {
            serve_anew(roots, share, queue, served);
        }
        Ok(())
    })?;
    let Some(queue) = queue.into_inner() else { return Ok(Vec::new()) };
    let Queue { names, done, .. } = queue;
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    let mut done = done.into_iter().peekable();
    let answers = names.into_iter().enumerate().map(|(at, name)| {
        let answer = done.next_if(|(other, _)| *other == at).map(|(_, answer)| answer);
        let stopped =
            || Err(Box::new(EvalError::other("evaluation was stopped before".to_owned())));
        (name, answer.unwrap_or_else(stopped))
    });
    Ok(answers.collect())
}

/// The names of the attributes of what has to be a set.
fn names(evaluation: &Evaluation, set: Handle<'_>) -> Res<Vec<String>> {
    if evaluation.type_word(set) == "set" {
        return evaluation.attr_names(set);
    }
    let found = evaluation.type_phrase(set);
    let message =
        format!("`--each` wants a set whose attributes it evaluates, but this is {found}");
    Err(Box::new(EvalError::other(message)))
}

/// Works on roots with new evaluations until all are taken. What was said while the roots were
/// looked for has been said before.
fn serve_anew(roots: &impl Roots, surroundings: &Surroundings, queue: &Queue, mut served: Served) {
    while let Served::Full(retried) = served {
        let (evaluation, around, is_quiet) = surroundings.start_quietly();
        let found = roots.find(&evaluation, &around);
        let set = found.and_then(|set| evaluation.force(set, false));
        is_quiet.set(false);
        served = match set {
            Ok(set) => serve(roots, (&evaluation, &around), set, queue, retried),
            Err(error) => {
                if retried < queue.names.len() {
                    queue.answer(retried, Err(error));
                }
                Served::All
            }
        };
    }
}

/// Works on roots, `retried` first if there is such a root, until all are taken or memory is full.
fn serve(
    roots: &impl Roots,
    (evaluation, around): (&Evaluation, &Around),
    set: Handle<'_>,
    queue: &Queue,
    retried: usize,
) -> Served {
    let mut is_first = true;
    let mut at = retried;
    loop {
        if at >= queue.names.len() {
            at = queue.next.fetch_add(1, Ordering::Relaxed);
        }
        let Some(name) = queue.names.get(at) else { return Served::All };
        let answer = evaluation.attr(set, name).and_then(|root| match root {
            Some(root) => roots.work(evaluation, around, root),
            None => Err(Box::new(EvalError::other(format!("attribute '{name}' is gone")))),
        });
        let is_stopped = evaluation.is_interrupted();
        if answer.as_ref().is_err_and(|error| error.kind == ErrorKind::Limit) && !is_stopped {
            if !is_first {
                return Served::Full(at);
            }
            queue.answer(at, answer);
            return Served::Full(usize::MAX);
        }
        queue.answer(at, answer);
        if is_stopped {
            return Served::All;
        }
        is_first = false;
        at = usize::MAX;
    }
}

fn no_thread(error: std::io::Error) -> Error {
    Error::outside("cannot start a thread to evaluate on").because(error)
}
