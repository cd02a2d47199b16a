//! Evaluations whose result is recorded: by our evaluator, without Nix, pure, and with an end.

use std::path::Path;
use std::time::Duration;

use cim_domain_nix::Evidence;
use cim_domain_nix::command::EvaluateExpression;
use cim_nix_base::Error;
use cim_nix_eval::{Format, with_stack};

use crate::evaluation::EvalArgs;

/// How long an evaluation may take if nobody says otherwise.
const TIME: Duration = Duration::from_secs(60);

/// How many bytes of values it may have.
const MEMORY: usize = 2 << 30;

/// How many bytes of a result are kept.
const RESULT: usize = 1 << 20;

/// Evaluates an expression in `folder`.
///
/// Errors: the machine does not let us.
pub(super) fn evaluate(
    command: &EvaluateExpression,
    folder: &Path,
    limit: Option<Duration>,
) -> Result<Evidence, Error> {
    let timeout = Some(limit.unwrap_or(TIME));
    let mut surroundings = EvalArgs { timeout, ..EvalArgs::default() }.surroundings()?;
    surroundings.with_flakes(true, false);
    let most = surroundings.settings.max_memory.min(MEMORY);
    surroundings.settings.max_memory = most;
    surroundings.folder = folder.to_owned();
    let ended = with_stack(|| {
        let (evaluation, around) = surroundings.start();
        let value = evaluation.text(&command.expression, &around.folder)?;
        let value = evaluation.force(value, false)?;
        evaluation.write(value, Format::Display, true)
    });
    let ended = ended
        .map_err(|error| Error::outside("cannot start a thread to evaluate on").because(error))?;
    let (mut result, is_error) = match ended {
        Ok(bytes) => (String::from_utf8_lossy(&bytes).into_owned(), false),
        Err(error) => (error.render(false), true),
    };
    if result.len() > RESULT {
        result.truncate(result.floor_char_boundary(RESULT));
        result.push_str(" «cut»");
    }
    Ok(Evidence::Evaluated { result, is_error })
}

/// What is recorded of an evaluation whose process is gone.
pub(super) fn interrupted() -> Evidence {
    Evidence::Evaluated { result: "the evaluation was interrupted".to_owned(), is_error: true }
}
