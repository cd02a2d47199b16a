//! Asks our evaluator.

use std::cell::RefCell;
use std::rc::Rc;

use cim_nix_base::Error;
use cim_nix_eval::{Evaluation, Format, Settings, with_stack};

use super::answer::{Answer, Failure, Outcome};
use super::world::{self, FEATURES, FOLDER, HOME, ROOT, World};

/// Bytes of memory for the values of one expression.
const MOST_MEMORY: usize = 2 << 30;
/// How many calls one expression may take.
const MOST_CALLS: u64 = 20_000_000;

/// Our answers to the expressions in some slots.
///
/// Errors: no thread can be started.
pub fn answers(slots: &[usize]) -> Result<Vec<Answer>, Error> {
    with_stack(|| slots.iter().map(|slot| answer(*slot)).collect())
        .map_err(|error| Error::outside("cannot start a thread to evaluate on").because(error))
}

fn answer(slot: usize) -> Answer {
    let notes = Rc::new(RefCell::new(String::new()));
    let heard = Rc::clone(&notes);
    let say = move |text: &str| {
        let mut heard = heard.borrow_mut();
        heard.push_str(text);
        heard.push('\n');
    };
    let settings = Settings {
        search_path: vec![("w".to_owned(), FOLDER.to_owned())],
        home: HOME.to_owned(),
        folder: ROOT.to_owned(),
        max_memory: MOST_MEMORY,
        max_calls: MOST_CALLS,
        features: FEATURES.split(' ').map(str::to_owned).collect(),
        current_time: 1,
        ..Settings::default()
    };
    let evaluation = Evaluation::new(settings, Box::new(World::new()), Box::new(say));
    let run = || {
        let value = evaluation.file(&world::path_of(slot))?;
        let value = evaluation.force(value, true)?;
        evaluation.write(value, Format::Nix, true)
    };
    let outcome = match run() {
        Ok(bytes) => Outcome::Value(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) => match Failure::read(&error.render(false)) {
            Some(failure) => Outcome::Failure(failure),
            None => Outcome::Lost(format!("an error without a message: {error}")),
        },
    };
    let notes = notes.borrow().clone();
    Answer { outcome, notes }
}
