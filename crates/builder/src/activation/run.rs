//! Carrying an activation out, and back.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use cim_nix_base::Error;

use super::{Activation, ActivationPlan, Kind, Mode, OnFailure, Step, is_same};
use crate::command::Invocation;
use crate::nix::{Control, Nix, deadline};
use crate::outcome::Outcome;
use crate::profile::Generation;
use crate::text::LogTail;

/// What happened.
#[derive(Clone, PartialEq, Debug)]
pub struct ActivationRecord {
    /// What was activated.
    pub closure: PathBuf,
    /// What that is.
    pub kind: Kind,
    /// How far it was to go.
    pub mode: Mode,
    /// How it ended.
    pub outcome: Outcome,
    /// The generation that is current now.
    pub generation: Option<u64>,
    /// The generation that was current before.
    pub former: Option<u64>,
    /// How many of the steps were carried out.
    pub n_steps: usize,
    /// What was done because it failed.
    pub put_back: PutBack,
    /// How long it took.
    pub duration: Duration,
    /// The end of what was printed.
    pub log: LogTail,
    /// What was run.
    pub invocations: Vec<Invocation>,
}

/// What was done because an activation failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PutBack {
    /// Nothing, because it did not fail, or nothing had changed, or nothing was to be done.
    Not,
    /// The profile leads to where it led before.
    Done {
        /// The generation that it leads to; nothing if there was none before.
        generation: Option<u64>,
        /// How the activation of that one ended, if it was to be activated.
        activated: Option<Outcome>,
    },
    /// The profile could not be put back.
    Failed(String),
}

impl Nix {
    /// Activates, or finds that there is nothing left to do.
    ///
    /// Idempotent: after an interruption it does what is left; programs that activate are made to
    /// be run once more.
    /// Errors: nothing was done, because a program or the target is missing or the request makes no
    /// sense. What fails on the way is no error but a record.
    pub fn activate(
        &self,
        request: &Activation,
        control: &mut Control<'_>,
    ) -> Result<ActivationRecord, Error> {
        let plan = self.plan_activation(request)?;
        self.activate_as_planned(request, &plan, control)
    }

    /// Carries out a plan that [`Self::plan_activation`] made of `request`.
    ///
    /// Errors: as [`Self::activate`].
    pub fn activate_as_planned(
        &self,
        request: &Activation,
        plan: &ActivationPlan,
        control: &mut Control<'_>,
    ) -> Result<ActivationRecord, Error> {
        let start = Instant::now();
        let until = deadline(request.time_limit);
        let mut record = ActivationRecord {
            closure: plan.closure.clone(),
            kind: plan.kind,
            mode: request.mode,
            outcome: Outcome::Done,
            generation: None,
            former: plan.former.as_ref().map(|former| former.number),
            n_steps: 0,
            put_back: PutBack::Not,
            duration: Duration::ZERO,
            log: LogTail::default(),
            invocations: Vec::new(),
        };
        for step in &plan.steps {
            record.outcome = self.step(step, until, control, &mut record);
            if !record.outcome.is_done() {
                // Who has activated, but cannot write it down, has activated.
                if !matches!(step, Step::Mark { .. }) {
                    record.put_back = self.put_back(request, plan.former.as_ref(), control);
                }
                break;
            }
            record.n_steps += 1;
        }
        record.generation = request.profile.current()?.map(|current| current.number);
        record.duration = start.elapsed();
        Ok(record)
    }

    /// Carries out one step.
    fn step(
        &self,
        step: &Step,
        until: Option<Instant>,
        control: &mut Control<'_>,
        record: &mut ActivationRecord,
    ) -> Outcome {
        let failed = |error: &Error| Outcome::Failed { code: None, reason: error.chain() };
        let invocation = match step {
            Step::Switch(invocation) | Step::Activate(invocation) => invocation,
            Step::Mark { link, to } => {
                return match mark(link, to) {
                    Ok(()) => Outcome::Done,
                    Err(error) => failed(&error),
                };
            }
        };
        record.invocations.push(invocation.clone());
        match self.told(invocation, until, control) {
            Ok((outcome, log)) => {
                // What the switch prints is of no interest once it is done.
                if log.n_lines > 0 {
                    record.log = log;
                }
                outcome
            }
            Err(error) => failed(&error),
        }
    }

    /// Lets the profile lead to the former generation again, as the request says.
    fn put_back(
        &self,
        request: &Activation,
        former: Option<&Generation>,
        control: &mut Control<'_>,
    ) -> PutBack {
        if request.on_failure == OnFailure::Leave {
            return PutBack::Not;
        }
        let returned = match self.turn_back(request, former) {
            Ok(has_turned) => has_turned,
            Err(error) => return PutBack::Failed(error.chain()),
        };
        let activates = request.on_failure == OnFailure::PutBackAndActivate;
        let former = former.filter(|_| activates && request.mode != Mode::DryActivate);
        let activated = former.and_then(|former| {
            let kind = Kind::of(&former.target);
            let invocation = self.activator(kind, request.mode, &former.target).ok()??;
            // What stopped the activation must not stop the way back.
            let never = AtomicBool::new(false);
            let mut control = Control::new(&never, control.listener());
            Some(match self.told(&invocation, deadline(request.time_limit), &mut control) {
                Ok((outcome, _)) => outcome,
                Err(error) => Outcome::Failed { code: None, reason: error.chain() },
            })
        });
        match (returned, &activated) {
            (false, None) => PutBack::Not,
            _ => match request.profile.current() {
                Ok(current) => {
                    let generation = current.map(|current| current.number);
                    PutBack::Done { generation, activated }
                }
                Err(error) => PutBack::Failed(error.chain()),
            },
        }
    }

    /// Whether the profile had to be put back.
    fn turn_back(&self, request: &Activation, former: Option<&Generation>) -> Result<bool, Error> {
        let current = request.profile.current()?;
        match (former, current) {
            (Some(former), Some(current)) if former.number == current.number => Ok(false),
            (Some(former), _) => {
                self.switch_generation(&request.profile, former.number)?;
                Ok(true)
            }
            (None, None) => Ok(false),
            // There was none, and Nix has no word for that. The generation itself stays.
            (None, Some(_)) => {
                let path = request.profile.path();
                fs::remove_file(path).map_err(|error| {
                    let message = format!("cannot remove the profile `{}`", path.display());
                    Error::outside(message).because(error)
                })?;
                Ok(true)
            }
        }
    }
}

/// Makes a link in place of the one that is there, so that there always is one.
fn mark(link: &Path, to: &Path) -> Result<(), Error> {
    let failed = |error| {
        let message = format!("cannot write down in `{}` what was activated", link.display());
        Error::outside(message).because(error)
    };
    if fs::read_link(link).is_ok_and(|before| is_same(&before, to)) {
        return Ok(());
    }
    let folder = link.parent().unwrap_or(link);
    fs::create_dir_all(folder).map_err(failed)?;
    let mut name = link.file_name().unwrap_or_default().to_owned();
    name.push(format!(".new-{}", std::process::id()));
    let new = folder.join(name);
    // One that a crash left behind.
    let _ = fs::remove_file(&new);
    std::os::unix::fs::symlink(to, &new).map_err(failed)?;
    fs::rename(&new, link).map_err(failed)?;
    let synced = fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(failed)
}
