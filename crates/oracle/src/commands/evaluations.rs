//! Evaluates random expressions with real Nix and with us.

use cim_nix_base::Error;
use cim_nix_oracle::evaluation::{self, Generator, Judge, Outcome, ours};

use super::{Args, Report};

/// How many expressions are evaluated at a time.
const BATCH: usize = 250;

pub(super) fn run(args: &Args) -> Result<Report, Error> {
    let count = args.number("count", 1000)? as usize;
    let mut rng = fastrand::Rng::with_seed(args.number("seed", 1)?);
    let generator = Generator::new()?;
    let mut judge = Judge::new(args.path("nix")?)?;
    evaluation::prepare()?;
    let (mut n_ok, mut n_fail, mut n_lost, mut n_diff) = (0, 0, 0, 0);
    let mut text = String::new();
    let mut done = 0;
    while done < count {
        let n = BATCH.min(count - done);
        let texts: Vec<String> = (0..n).map(|_| generator.expression(&mut rng)).collect();
        let slots = evaluation::write(0, &texts)?;
        let theirs = judge.answers(&slots)?;
        let own = ours::answers(&slots)?;
        for at in 0..n {
            match &theirs[at].outcome {
                Outcome::Value(_) => n_ok += 1,
                Outcome::Failure(_) => n_fail += 1,
                Outcome::Lost(_) => n_lost += 1,
            }
            if theirs[at] != own[at] {
                let again = judge.answer_alone(slots[at])?;
                if again != own[at] {
                    n_diff += 1;
                    text += &format!("---\n{}\n  Nix: {again}\n  we:  {}\n", texts[at], own[at]);
                }
            }
        }
        done += n;
        eprintln!("{done}: {n_ok} ok {n_fail} failed {n_lost} lost {n_diff} differ");
    }
    Ok(Report { text, agrees: n_diff == 0 })
}
