//! Activations: a profile is switched, and what it leads to takes effect.
//!
//! These are two steps, and a crash may fall between them. So an activation is planned first; the
//! plan says which generation to go back to, and is what the caller writes down before anything is
//! run. Afterwards [`Nix::standing`] compares where the profile leads with what was activated last,
//! as a marker tells, and to activate once more runs what is left to run.

mod run;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cim_nix_base::Error;

use crate::command::Invocation;
use crate::nix::Nix;
use crate::profile::{Generation, Profile};

pub use run::{ActivationRecord, PutBack};

/// What a path in the store is, as far as activation goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Packages: that the profile leads there is all there is to it.
    Plain,
    /// A system of NixOS, with `bin/switch-to-configuration`.
    NixOs,
    /// A home of Home Manager, with `activate`.
    HomeManager,
}

impl Kind {
    /// The kind of `closure`, by the programs in it.
    #[must_use]
    pub fn of(closure: &Path) -> Self {
        // A system has both.
        if closure.join("bin/switch-to-configuration").is_file() {
            Self::NixOs
        } else if closure.join("activate").is_file() {
            Self::HomeManager
        } else {
            Self::Plain
        }
    }
}

/// How far an activation goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Now, and from now on.
    Switch,
    /// From the next boot on.
    Boot,
    /// Now, until the next boot: the profile stays as it is.
    Test,
    /// Not at all: programs say what they would do.
    DryActivate,
}

impl Mode {
    /// The word for it on command lines.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Switch => "switch",
            Self::Boot => "boot",
            Self::Test => "test",
            Self::DryActivate => "dry-activate",
        }
    }

    const fn changes_profile(self) -> bool {
        matches!(self, Self::Switch | Self::Boot)
    }
}

/// Where a profile is to lead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// To this path in the store, by a new generation unless it leads there already.
    Closure(PathBuf),
    /// To the generation of this number.
    Generation(u64),
    /// To the generation before the current one. A plan says which that is; who repeats an
    /// activation that was interrupted names it, for the current one may be another by then.
    Previous,
}

/// What tells which path was activated last: a link to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Marker {
    /// Nothing tells.
    None,
    /// A link that the activation itself makes, such as `/run/current-system`.
    Link(PathBuf),
    /// A link that is made here, after an activation.
    Own(PathBuf),
}

/// What is done when an activation fails, is cancelled, or takes too long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnFailure {
    /// Nothing.
    Leave,
    /// The profile leads to the former generation again.
    PutBack,
    /// And the former generation is activated, in the same mode.
    PutBackAndActivate,
}

/// An activation that is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Activation {
    /// The profile.
    pub profile: Profile,
    /// Where it is to lead.
    pub target: Target,
    /// How far it goes.
    pub mode: Mode,
    /// What the target is; nothing: what is found there.
    pub kind: Option<Kind>,
    /// What tells which path was activated last.
    pub marker: Marker,
    /// The generation to go back to; nothing: the one that is current, or if the profile leads to
    /// the target already, the one that was activated last.
    pub former: Option<u64>,
    /// What is done when it fails.
    pub on_failure: OnFailure,
    /// The most time for all of it.
    pub time_limit: Option<Duration>,
}

impl Activation {
    /// A switch that is put back if it fails.
    #[must_use]
    pub fn new(profile: Profile, target: Target) -> Self {
        Self {
            profile,
            target,
            mode: Mode::Switch,
            kind: None,
            marker: Marker::None,
            former: None,
            on_failure: OnFailure::PutBack,
            time_limit: None,
        }
    }
}

/// One step of an activation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Lets the profile lead to the target.
    Switch(Invocation),
    /// Runs the target's own program.
    Activate(Invocation),
    /// Makes the link `link` to `to`, in place of the one that is there.
    Mark {
        /// The link.
        link: PathBuf,
        /// Where it leads to.
        to: PathBuf,
    },
}

/// What an activation will do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ActivationPlan {
    /// What is activated.
    pub closure: PathBuf,
    /// What that is.
    pub kind: Kind,
    /// The target as it has to be named to do the same once more.
    pub target: Target,
    /// The generation to go back to if it fails.
    pub former: Option<Generation>,
    /// What is left to do, in this order; nothing if all is done.
    pub steps: Vec<Step>,
}

/// Where a profile leads, and what was activated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Where the profile leads.
    pub current: Option<Generation>,
    /// What was activated last, if anything tells.
    pub activated: Option<PathBuf>,
}

impl Standing {
    /// Whether that is activated to which the profile leads; nothing if that cannot be told.
    ///
    /// After a crash, `false` says that it fell between the switch and the end of the activation.
    #[must_use]
    pub fn is_activated(&self) -> Option<bool> {
        let current = self.current.as_ref()?;
        Some(is_same(&current.target, self.activated.as_ref()?))
    }
}

impl Nix {
    /// Where a profile leads, and what was activated.
    ///
    /// Errors: the profile cannot be read.
    pub fn standing(&self, profile: &Profile, marker: &Marker) -> Result<Standing, Error> {
        let activated = match marker {
            Marker::None => None,
            Marker::Link(link) | Marker::Own(link) => marked(link)?,
        };
        Ok(Standing { current: profile.current()?, activated })
    }

    /// What is left to do for an activation, and what to go back to. Nothing is run.
    ///
    /// Errors: a program or the target is missing, or the request makes no sense.
    pub fn plan_activation(&self, request: &Activation) -> Result<ActivationPlan, Error> {
        let standing = self.standing(&request.profile, &request.marker)?;
        let (closure, target) = self.aim(request)?;
        // What lies in a store elsewhere cannot be seen here.
        if self.settings().store.is_none() && !closure.exists() {
            let message = format!("there is no `{}` that could be activated", closure.display());
            return Err(Error::user(message).hint("build it, or copy it from a cache"));
        }
        let kind = request.kind.unwrap_or_else(|| Kind::of(&closure));
        let former = former(request, &standing, &closure)?;
        let mut steps = Vec::new();
        let is_there = standing.current.as_ref().is_some_and(|current| match target {
            Target::Generation(number) => current.number == number,
            Target::Closure(_) | Target::Previous => is_same(&current.target, &closure),
        });
        if !is_there && switches_first(kind, request.mode, &closure) {
            steps.push(Step::Switch(match target {
                Target::Generation(number) => {
                    self.plan_switch_generation(&request.profile, number)?
                }
                Target::Closure(_) | Target::Previous => {
                    self.plan_set_profile(&request.profile, &closure)?
                }
            }));
        }
        if let Some(invocation) = self.activator(kind, request.mode, &closure)? {
            steps.push(Step::Activate(invocation));
        }
        if let Marker::Own(link) = &request.marker
            && request.mode != Mode::DryActivate
            && !standing.activated.is_some_and(|activated| is_same(&activated, &closure))
        {
            steps.push(Step::Mark { link: link.clone(), to: closure.clone() });
        }
        Ok(ActivationPlan { closure, kind, target, former, steps })
    }

    /// The target's path in the store, and its name that lasts.
    fn aim(&self, request: &Activation) -> Result<(PathBuf, Target), Error> {
        let generation = match &request.target {
            Target::Closure(path) => {
                let path = self.in_store(self.path_argument(path));
                return Ok((path.clone(), Target::Closure(path)));
            }
            Target::Generation(number) => request.profile.generation(*number)?,
            Target::Previous => request.profile.previous()?,
        };
        Ok((generation.target, Target::Generation(generation.number)))
    }

    /// The path in the store that a link such as `result` leads to.
    fn in_store(&self, path: PathBuf) -> PathBuf {
        let store = self.settings().environment.get("NIX_STORE_DIR");
        let store = store.map_or(Path::new("/nix/store"), Path::new);
        let mut at = path.clone();
        for _ in 0..16 {
            if at.parent() == Some(store) {
                return at;
            }
            let Ok(to) = fs::read_link(&at) else { break };
            at = at.parent().map_or_else(|| to.clone(), |folder| folder.join(&to));
        }
        path
    }

    /// The program that activates `closure`.
    fn activator(
        &self,
        kind: Kind,
        mode: Mode,
        closure: &Path,
    ) -> Result<Option<Invocation>, Error> {
        let refuse = |why: &str| {
            let message = format!("cannot {} `{}`: {why}", mode.word(), closure.display());
            Err(Error::user(message))
        };
        let invocation = match kind {
            Kind::Plain if mode.changes_profile() => return Ok(None),
            Kind::Plain => return refuse("it has no program that activates it"),
            Kind::NixOs => {
                self.own_program(closure.join("bin/switch-to-configuration")).arg(mode.word())
            }
            Kind::HomeManager => {
                let mut invocation = self.own_program(closure.join("activate"));
                match mode {
                    Mode::Boot => return refuse("a home is not booted"),
                    Mode::Test if is_legacy(closure) => {
                        return refuse("homes of that age switch their profile themselves");
                    }
                    Mode::DryActivate => invocation.environment.set("DRY_RUN", "1"),
                    Mode::Switch | Mode::Test => {}
                }
                match is_legacy(closure) {
                    true => invocation,
                    // The profile is the caller's, not the script's.
                    false => invocation.args(["--driver-version", "1"]),
                }
            }
        };
        Ok(Some(invocation))
    }

    /// A program that may run programs of Nix in turn.
    pub(crate) fn own_program(&self, path: PathBuf) -> Invocation {
        let mut invocation = self.invocation(path);
        if let Some(store) = &self.settings().store {
            invocation.environment.set("NIX_REMOTE", store);
        }
        invocation
    }
}

/// Whether a home was made before its profile was switched from outside.
fn is_legacy(closure: &Path) -> bool {
    !closure.join("gen-version").exists()
}

/// Whether the profile is switched before the activation; else that itself does it, or nobody.
fn switches_first(kind: Kind, mode: Mode, closure: &Path) -> bool {
    mode.changes_profile() && !(kind == Kind::HomeManager && is_legacy(closure))
}

/// The generation to go back to.
fn former(
    request: &Activation,
    standing: &Standing,
    closure: &Path,
) -> Result<Option<Generation>, Error> {
    if let Some(number) = request.former {
        return request.profile.generation(number).map(Some);
    }
    let Some(current) = &standing.current else { return Ok(None) };
    let is_switched = is_same(&current.target, closure);
    let activated = standing.activated.as_ref().filter(|path| !is_same(path, closure));
    if let (true, Some(activated)) = (is_switched, activated) {
        // It was interrupted after the switch.
        let mut generations = request.profile.generations()?.into_iter();
        if let Some(found) = generations.rfind(|generation| is_same(&generation.target, activated))
        {
            return Ok(Some(found));
        }
    }
    Ok(Some(current.clone()))
}

/// Whether two paths are the same, or lead to the same.
fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).ok();
    one == other || real(one).is_some_and(|one| Some(one) == real(other))
}

/// Where a marker leads; nothing if it is not there.
fn marked(link: &Path) -> Result<Option<PathBuf>, Error> {
    match fs::read_link(link) {
        Ok(to) => Ok(Some(link.parent().map_or_else(|| to.clone(), |folder| folder.join(&to)))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let message = format!("cannot read what was activated from `{}`", link.display());
            Err(Error::outside(message).because(error))
        }
    }
}
