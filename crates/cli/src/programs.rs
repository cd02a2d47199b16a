//! Programs of Nix as effects of commands: builds, copies, activations, garbage collections; and
//! evaluations, which are ours.
//!
//! What an effect starts from is written down before it begins ([`Beginning`]), and what is found
//! out on the way right then ([`trail`]), so that whoever finds the effect interrupted can tell what
//! became of it.

mod activating;
mod building;
mod collecting;
mod copying;
mod evaluating;
mod telling;
mod trail;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cim_domain_nix::{Command, ConfigurationKind, Evidence, State};
use cim_nix_base::Error;
use cim_nix_builder::{
    Control, Environment, Invocation, Nix, Outcome, Outputs, Profile, Programs as Found, Ran,
    Settings,
};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::activating::Activating;
use self::building::Building;
pub(crate) use self::building::source;
use self::collecting::Collecting;
use self::copying::Copying;
use self::telling::{Listener, Teller};
use self::trail::Trail;
use crate::evaluation::duration;

/// Options of every command that runs programs of Nix.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct NixArgs {
    /// Use this store instead of the one that Nix is set up for
    #[arg(long, value_name = "STORE", help_heading = "Nix")]
    store: Option<String>,
    /// Set an option of nix.conf
    #[arg(long, num_args = 2, value_names = ["NAME", "VALUE"], help_heading = "Nix")]
    option: Vec<String>,
    /// Stop after TIME, such as 30s, 5m or 2h
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Nix")]
    timeout: Option<Duration>,
    /// Show what builders print
    #[arg(long, short = 'L', help_heading = "Nix")]
    print_build_logs: bool,
}

impl NixArgs {
    /// What whoever runs a service says.
    pub(crate) fn of_service(
        store: Option<String>,
        options: &[(String, String)],
        timeout: Duration,
    ) -> Self {
        let option = options.iter().flat_map(|(name, value)| [name.clone(), value.clone()]);
        Self { store, option: option.collect(), timeout: Some(timeout), print_build_logs: true }
    }

    /// Nothing but a time limit.
    pub(crate) fn within(timeout: Option<Duration>) -> Self {
        Self { timeout, ..Self::default() }
    }
}

/// What a command of the domain does not say, and whoever types one may.
#[derive(Clone, Debug)]
pub(crate) struct Wishes {
    /// The outputs to build.
    pub(crate) outputs: Outputs,
    /// Whether evaluation may read what is not locked.
    pub(crate) is_impure: bool,
    /// Whether builds go on that do not need what has failed.
    pub(crate) keeps_going: bool,
    /// What a configuration is for; looked up if nothing is said.
    pub(crate) kind: Option<ConfigurationKind>,
    /// Whether a copy from a cache needs no signature.
    pub(crate) takes_unsigned: bool,
    /// The key that signs what goes to a cache.
    pub(crate) secret_key: Option<PathBuf>,
    /// Whether nothing but errors is told.
    pub(crate) is_quiet: bool,
}

impl Default for Wishes {
    fn default() -> Self {
        Self {
            outputs: Outputs::Default,
            is_impure: false,
            keeps_going: false,
            kind: None,
            takes_unsigned: false,
            secret_key: None,
            is_quiet: false,
        }
    }
}

/// The programs of Nix, for the effects of one project.
pub(crate) struct NixPrograms {
    folder: PathBuf,
    args: NixArgs,
    wishes: Wishes,
    teller: RefCell<Teller>,
    /// What went wrong although there is something to record.
    trouble: RefCell<Vec<String>>,
    trails: RefCell<Vec<Trail>>,
}

/// What an effect starts from.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Beginning {
    setup: Setup,
    #[serde(flatten)]
    of: Of,
}

/// How programs are run.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Setup {
    folder: PathBuf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    store: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    options: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seconds: Option<Duration>,
    /// Variables that say where the store is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    environment: BTreeMap<String, String>,
    /// Where the effect notes what it finds out.
    trail: PathBuf,
}

/// What else counts, by the kind of effect.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
enum Of {
    Build(Building),
    Copy(Copying),
    Activation(Box<Activating>),
    Collection(Collecting),
    Evaluation,
}

/// The variables that say where the store is. Others may hold secrets.
const PLACES: [&str; 6] =
    ["NIX_STORE_DIR", "NIX_STATE_DIR", "NIX_LOG_DIR", "NIX_CONF_DIR", "NIX_REMOTE", "NIX_PATH"];

static CANCEL: AtomicBool = AtomicBool::new(false);

/// Is told of each program of Nix that this process runs.
static WATCH: OnceLock<fn(&Ran<'_>)> = OnceLock::new();

/// The flag that Ctrl-C sets from now on, instead of ending this program: what runs outside has to
/// be ended, and what became of it recorded.
fn cancel() -> &'static AtomicBool {
    static CAUGHT: OnceLock<bool> = OnceLock::new();
    CAUGHT.get_or_init(|| ctrlc::set_handler(|| CANCEL.store(true, Ordering::Relaxed)).is_ok());
    &CANCEL
}

/// Has `watch` told of each program of Nix that this process runs from now on.
pub(crate) fn watch(watch: fn(&Ran<'_>)) {
    let _ = WATCH.set(watch);
}

/// Ends what runs outside, as Ctrl-C does.
pub(crate) fn stop() {
    CANCEL.store(true, Ordering::Relaxed);
}

impl NixPrograms {
    /// Programs for the project in `folder`, which relative names start from.
    pub(crate) fn new(folder: &Path, args: &NixArgs, wishes: Wishes) -> Self {
        let teller = Teller::new(wishes.is_quiet, args.print_build_logs);
        Self {
            folder: folder.to_owned(),
            args: args.clone(),
            wishes,
            teller: RefCell::new(teller),
            trouble: RefCell::default(),
            trails: RefCell::default(),
        }
    }

    /// The same; `listener` is told what happens instead of whoever sits before a terminal.
    pub(crate) fn listened_to(self, listener: Listener) -> Self {
        self.teller.replace(Teller::to(listener));
        self
    }

    /// What went wrong beside what the events say, so far.
    pub(crate) fn troubles(&self) -> Vec<String> {
        self.trouble.borrow_mut().drain(..).collect()
    }

    /// The events of all effects are stored: what was noted on the way is of no more use. Answers
    /// what went wrong beside what the events say.
    pub(crate) fn conclude(&self) -> Vec<String> {
        self.trails.borrow_mut().drain(..).for_each(Trail::remove);
        self.trouble.borrow_mut().drain(..).collect()
    }

    fn setup(&self, command: &Command) -> Result<Setup, Error> {
        let pairs = self.args.option.chunks_exact(2);
        let place = |name: &str| Some((name.to_owned(), std::env::var(name).ok()?));
        Ok(Setup {
            folder: self.folder.clone(),
            store: self.args.store.clone(),
            options: pairs.map(|pair| (pair[0].clone(), pair[1].clone())).collect(),
            seconds: self.args.timeout,
            environment: PLACES.into_iter().filter_map(place).collect(),
            trail: trail::place(command)?,
        })
    }

    /// Runs something that tells of its progress and can be cancelled.
    fn watched<T>(
        &self,
        run: impl FnOnce(&mut Control<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut say = |progress| self.teller.borrow_mut().say(&progress);
        let ended = run(&mut Control::new(cancel(), &mut say));
        self.teller.borrow_mut().finish();
        ended
    }

    fn trail(&self, setup: &Setup) -> Trail {
        let trail = Trail::at(setup.trail.clone());
        self.trails.borrow_mut().push(trail.clone());
        trail
    }

    fn trouble(&self, text: impl Into<String>) {
        self.trouble.borrow_mut().push(text.into());
    }
}

impl Setup {
    fn nix(&self) -> Nix {
        let mut environment = Environment::inherited();
        for (name, value) in &self.environment {
            environment.set(name, value);
        }
        let programs = Found::find(&environment);
        let mut settings = Settings::new(&self.folder, environment);
        settings.store.clone_from(&self.store);
        settings.options.clone_from(&self.options);
        settings.watch = WATCH.get().copied();
        Nix::new(programs, settings)
    }
}

impl cim_nix_app::Programs for NixPrograms {
    fn before(&self, command: &Command, state: &State) -> Result<Value, Error> {
        let setup = self.setup(command)?;
        let of = match command {
            Command::BuildPackage(_) => Of::Build(Building::of(&self.wishes)),
            Command::CachePackage(command) => Of::Copy(self.paths_to_copy(command, state, &setup)?),
            Command::ActivateConfiguration(command) => {
                Of::Activation(Box::new(self.activation(command, state, &setup)?))
            }
            Command::RollbackConfiguration(command) => {
                Of::Activation(Box::new(self.rollback(command, state, &setup)?))
            }
            Command::RunGarbageCollection(command) => {
                Of::Collection(self.garbage(command, &setup)?)
            }
            Command::EvaluateExpression(_) => Of::Evaluation,
            _ => return Err(unfit(command)),
        };
        let beginning = Beginning { setup, of };
        // Whatever is missing is told before anything is begun.
        self.planned(command, &beginning)?;
        serde_json::to_value(&beginning).map_err(|error| {
            Error::user("what a program starts from cannot be written down").because(error)
        })
    }

    fn plan(&self, command: &Command, _: &State, before: &Value) -> Result<Vec<String>, Error> {
        self.planned(command, &read(before)?)
    }

    fn run(&self, command: &Command, _: &State, before: &Value) -> Result<Evidence, Error> {
        let Beginning { setup, of } = read(before)?;
        match (command, &of) {
            (Command::BuildPackage(command), Of::Build(building)) => {
                self.build(command, building, &setup)
            }
            (Command::CachePackage(command), Of::Copy(copying)) => {
                self.copy(command, copying, &setup)
            }
            (_, Of::Activation(activating)) => self.activate(command, activating, &setup),
            (Command::RunGarbageCollection(command), Of::Collection(_)) => {
                self.collect(command, &setup)
            }
            (Command::EvaluateExpression(command), Of::Evaluation) => {
                evaluating::evaluate(command, &setup.folder, self.args.timeout)
            }
            _ => Err(unfit(command)),
        }
    }

    fn settle(&self, command: &Command, before: &Value) -> Result<Option<Evidence>, Error> {
        let Beginning { setup, of } = read(before)?;
        match (command, &of) {
            (Command::BuildPackage(_), Of::Build(_)) => Ok(Some(self.settle_build(&setup))),
            (Command::CachePackage(command), Of::Copy(copying)) => {
                Self::settle_copy(command, copying, &setup)
            }
            (_, Of::Activation(activating)) => {
                self.settle_activation(command, activating, &setup).map(Some)
            }
            (_, Of::Collection(collecting)) => collecting.settle(&setup),
            (_, Of::Evaluation) => Ok(Some(evaluating::interrupted())),
            _ => Err(unfit(command)),
        }
    }

    fn generation(&self, profile: &str) -> Result<Option<u32>, Error> {
        let current = Profile::open(profile)?.current()?;
        Ok(current.and_then(|current| u32::try_from(current.number).ok()))
    }
}

impl NixPrograms {
    fn planned(&self, command: &Command, beginning: &Beginning) -> Result<Vec<String>, Error> {
        let Beginning { setup, of } = beginning;
        match (command, of) {
            (Command::BuildPackage(command), Of::Build(building)) => {
                shown(&setup.nix().plan_build(&building.request(command, setup)?)?)
            }
            (Command::CachePackage(command), Of::Copy(copying)) => {
                shown(&[setup.nix().plan_copy(&copying.request(command, setup))?])
            }
            (_, Of::Activation(activating)) => activating.plan(setup),
            (Command::RunGarbageCollection(command), Of::Collection(collecting)) => {
                let request = collecting::request(command, setup);
                let line = setup.nix().plan_collect(&request)?.to_string();
                Ok(vec![line, collecting.summary()])
            }
            (Command::EvaluateExpression(_), Of::Evaluation) => Ok(Vec::new()),
            _ => Err(unfit(command)),
        }
    }
}

fn read(before: &Value) -> Result<Beginning, Error> {
    Beginning::deserialize(before).map_err(|error| {
        Error::outside("what a program started from cannot be read")
            .because(error)
            .hint("a newer cim-nix may have written it: recover with that")
    })
}

fn unfit(command: &Command) -> Error {
    Error::bug(format!("{} runs no programs", command.command_type()))
}

#[expect(clippy::unnecessary_wraps, reason = "it stands at the end of what may fail")]
fn shown(invocations: &[Invocation]) -> Result<Vec<String>, Error> {
    Ok(invocations.iter().map(ToString::to_string).collect())
}

/// Why something did not end as it should.
fn why(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done => "nothing is wrong".to_owned(),
        Outcome::Failed { reason, .. } => reason.clone(),
        Outcome::Cancelled => "it was cancelled".to_owned(),
        Outcome::TimedOut => "it took longer than allowed".to_owned(),
    }
}
