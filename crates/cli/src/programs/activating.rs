//! Activations of configurations, and the way back.
//!
//! Which path of a profile was activated last is told by a link of ours. It is removed before an
//! activation begins and made when that has come to its end, so an interrupted one is known.

use std::env;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use cim_domain_nix::command::{ActivateConfiguration, RollbackConfiguration};
use cim_domain_nix::model::AttributePath;
use cim_domain_nix::{
    ActivationType, Command, Configuration, ConfigurationKind, ConfigurationState, Evidence, State,
    Took,
};
use cim_nix_base::{ContentHash, Error};
use cim_nix_builder::{
    Activation, Build, BuildEnd, Kind, Marker, Mode, Nix, OnFailure, Profile, PutBack, Source,
    Step, Target,
};
use cim_nix_eval::with_stack;
use serde::{Deserialize, Serialize};

use super::{NixPrograms, Setup, building, shown, why};
use crate::evaluation::{EvalArgs, configuration_groups};
use crate::installable::flake_in;
use crate::recording::{state_home, text_of};

/// What an activation starts from, beside its command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Activating {
    profile: PathBuf,
    marker: PathBuf,
    how_far: ActivationType,
    /// The generation that the profile led to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    former: Option<u64>,
    aim: Aim,
}

/// What is activated.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Aim {
    /// What has to be built first.
    Built(ToBuild),
    /// A path in the store.
    Closure(PathBuf),
    /// A generation that is there.
    Generation { number: u64, closure: PathBuf },
}

/// A configuration of a flake.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct ToBuild {
    reference: String,
    attribute: String,
    kind: ConfigurationKind,
    is_impure: bool,
    keeps_going: bool,
}

impl ToBuild {
    fn request(&self, setup: &Setup) -> Build {
        let (reference, attribute) = (self.reference.clone(), Some(self.attribute.clone()));
        Build {
            is_impure: self.is_impure,
            keeps_going: self.keeps_going,
            time_limit: setup.seconds,
            ..Build::new(Source::Flake { reference, attribute })
        }
    }
}

/// The profile of a kind of configurations.
///
/// Errors: it cannot be told, or has to be named.
fn usual_profile(kind: Kind) -> Result<PathBuf, Error> {
    let variable = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = variable("NIX_STATE_DIR").unwrap_or_else(|| "/nix/var/nix".into());
    match kind {
        Kind::NixOs => Ok(state.join("profiles/system")),
        Kind::HomeManager => {
            // Where Home Manager looks, in this order.
            let own = state_home()?.join("nix/profiles");
            if own.is_dir() {
                return Ok(own.join("home-manager"));
            }
            let user = env::var_os("USER").unwrap_or_default();
            let common = state.join("profiles/per-user").join(&user);
            if !user.is_empty() && common.is_dir() {
                return Ok(common.join("home-manager"));
            }
            Err(Error::user("there is no folder for the profile of a home")
                .hint("`--profile` names the profile"))
        }
        Kind::Plain => Err(Error::user("what is neither a system nor a home has no usual profile")
            .hint("`--profile` names the profile")),
    }
}

/// The link that tells what of a profile was activated last.
fn marker(profile: &Path) -> Result<PathBuf, Error> {
    let name = ContentHash::of(profile.as_os_str().as_bytes()).to_string();
    Ok(state_home()?.join("cim-nix").join("activated").join(&name[..32]))
}

/// Where a configuration's package is in a flake.
fn attribute(kind: ConfigurationKind, name: &str) -> Result<String, Error> {
    let path = match kind {
        ConfigurationKind::Nixos => AttributePath::new([
            "nixosConfigurations",
            name,
            "config",
            "system",
            "build",
            "toplevel",
        ]),
        ConfigurationKind::Home => {
            AttributePath::new(["homeConfigurations", name, "activationPackage"])
        }
    };
    path.to_selection()
        .ok_or_else(|| Error::user(format!("no command line can say the attribute `{path}`")))
}

/// What is known of a configuration.
fn known(state: &State) -> Option<&ConfigurationState> {
    match state {
        State::Configuration(Configuration(state)) => state.as_ref(),
        _ => None,
    }
}

impl NixPrograms {
    pub(super) fn activation(
        &self,
        command: &ActivateConfiguration,
        state: &State,
        setup: &Setup,
    ) -> Result<Activating, Error> {
        let (aim, kind) = match &command.store_path {
            Some(path) => {
                let path = self.folder.join(path);
                (Aim::Closure(path.clone()), Kind::of(&path))
            }
            None => {
                let folder = self.project(&command.project);
                let kind = self.kind(&folder, &command.name, state)?;
                let to_build = ToBuild {
                    reference: flake_in(&folder)?.to_string(),
                    attribute: attribute(kind, &command.name)?,
                    kind,
                    is_impure: self.wishes.is_impure,
                    keeps_going: self.wishes.keeps_going,
                };
                (Aim::Built(to_build), of_package(kind))
            }
        };
        let profile = self.profile(command.profile.as_deref(), || usual_profile(kind))?;
        let marker = marker(profile.path())?;
        let standing = setup.nix().standing(&profile, &Marker::Own(marker.clone()))?;
        Ok(Activating {
            profile: profile.path().to_owned(),
            marker,
            how_far: command.activation_type,
            former: standing.current.map(|current| current.number),
            aim,
        })
    }

    pub(super) fn rollback(
        &self,
        command: &RollbackConfiguration,
        state: &State,
        setup: &Setup,
    ) -> Result<Activating, Error> {
        let profile = self.profile_used(command, state)?;
        let target = match command.generation {
            Some(number) => Target::Generation(number.into()),
            None => Target::Previous,
        };
        // What is meant by "the one before" is settled here, so that nobody goes back twice.
        let plan = setup.nix().plan_activation(&Activation::new(profile.clone(), target))?;
        let Target::Generation(number) = plan.target else {
            return Err(Error::bug("a rollback leads to no generation"));
        };
        let former = plan.former.map(|former| former.number);
        if former == Some(number) {
            let profile = profile.path().display();
            return Err(Error::user(format!(
                "the profile `{profile}` is at generation {number} already"
            )));
        }
        Ok(Activating {
            marker: marker(profile.path())?,
            profile: profile.path().to_owned(),
            how_far: ActivationType::Switch,
            former,
            aim: Aim::Generation { number, closure: plan.closure },
        })
    }

    /// The profile that a rollback is about: as the command says, as it was used last, or that of the
    /// system or the home.
    fn profile_used(
        &self,
        command: &RollbackConfiguration,
        state: &State,
    ) -> Result<Profile, Error> {
        let used = known(state).map(|state| state.profile.as_str()).filter(|it| !it.is_empty());
        self.profile(command.profile.as_deref().or(used), || {
            let folder = self.project(&command.project);
            usual_profile(of_package(self.kind(&folder, &command.name, state)?))
        })
    }

    /// The profile of a configuration that a rollback would be about.
    ///
    /// Errors: there is no such configuration, or its profile has to be named.
    pub(crate) fn profile_of(&self, command: &Command, state: &State) -> Result<Profile, Error> {
        match command {
            Command::RollbackConfiguration(command) => self.profile_used(command, state),
            _ => Err(super::unfit(command)),
        }
    }

    fn project(&self, project: &str) -> PathBuf {
        if project.is_empty() { self.folder.clone() } else { self.folder.join(project) }
    }

    fn profile(
        &self,
        named: Option<&str>,
        usual: impl FnOnce() -> Result<PathBuf, Error>,
    ) -> Result<Profile, Error> {
        Profile::open(match named {
            Some(named) => self.folder.join(named),
            None => usual()?,
        })
    }

    /// What a configuration is for: as is said, as is known, or as the flake has it.
    fn kind(&self, folder: &Path, name: &str, state: &State) -> Result<ConfigurationKind, Error> {
        let said = known(state).and_then(|state| state.said.as_ref()).map(|said| said.kind);
        match self.wishes.kind.or(said) {
            Some(kind) => Ok(kind),
            None => look_up(folder, name),
        }
    }

    pub(super) fn activate(
        &self,
        command: &Command,
        activating: &Activating,
        setup: &Setup,
    ) -> Result<Evidence, Error> {
        let nix = setup.nix();
        let closure = match &activating.aim {
            Aim::Built(to_build) => {
                let record = self.built(&nix, &to_build.request(setup), setup)?;
                match record.end {
                    BuildEnd::Built(outputs) => {
                        let out = outputs.iter().find(|output| output.name == "out");
                        let out = out.or_else(|| outputs.first());
                        out.map(|out| PathBuf::from(&out.path)).unwrap_or_default()
                    }
                    end => {
                        record.log.lines.iter().for_each(|line| self.trouble(line));
                        let (_, message) = building::failure(&end, record.duration);
                        return activating.failed(&format!("cannot build it: {message}"));
                    }
                }
            }
            Aim::Closure(closure) | Aim::Generation { closure, .. } => closure.clone(),
        };
        self.trail(setup).note(&text_of(&closure)?);
        let what = match command {
            Command::RollbackConfiguration(_) => "roll back",
            _ => "activate",
        };
        self.carry_out(&nix, activating, &closure, setup, what)
    }

    /// Activates what is built, or what is left of it.
    fn carry_out(
        &self,
        nix: &Nix,
        activating: &Activating,
        closure: &Path,
        setup: &Setup,
        what: &str,
    ) -> Result<Evidence, Error> {
        let mut request = activating.request(closure, setup)?;
        // Until it is made again, this activation has not come to its end.
        if let Err(error) = fs::remove_file(&activating.marker)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            let marker = activating.marker.display();
            return Err(Error::outside(format!("cannot remove `{marker}`")).because(error));
        }
        let mut plan = nix.plan_activation(&request)?;
        if plan.former.as_ref().is_some_and(|former| former.target == plan.closure) {
            // To run the same once more would not help.
            request.on_failure = OnFailure::PutBack;
            plan = nix.plan_activation(&request)?;
        }
        let record = self.watched(|control| nix.activate_as_planned(&request, &plan, control))?;
        let only_mark = plan.steps.len().saturating_sub(1);
        let is_marked_only = matches!(plan.steps.last(), Some(Step::Mark { .. }));
        if record.outcome.is_done() || is_marked_only && record.n_steps == only_mark {
            if !record.outcome.is_done() {
                self.trouble(why(&record.outcome));
            }
            let generation = record.generation.and_then(|number| u32::try_from(number).ok());
            let took = Took::from(record.duration);
            return activating.activated(generation, closure, took);
        }
        let mut message = format!("cannot {what} it: {}", why(&record.outcome));
        match record.put_back {
            PutBack::Failed(why) => {
                message.push_str(&format!("; and the profile could not be put back: {why}"));
            }
            PutBack::Done { activated: Some(outcome), .. } if !outcome.is_done() => {
                let why = why(&outcome);
                message.push_str(&format!(
                    "; and the former generation could not be activated: {why}"
                ));
            }
            _ => {}
        }
        activating.failed(&message)
    }

    /// What became of an activation whose process is gone. One that had switched the profile is
    /// brought to its end.
    ///
    /// Errors: the profile cannot be read.
    pub(super) fn settle_activation(
        &self,
        command: &Command,
        activating: &Activating,
        setup: &Setup,
    ) -> Result<Evidence, Error> {
        let noted = self.trail(setup).noted().map(|(path, _)| PathBuf::from(path));
        let closure = match &activating.aim {
            Aim::Built(_) => match noted.filter(|it| it.extension().is_none_or(|it| it != "drv")) {
                Some(closure) => closure,
                None => return activating.failed("it was interrupted before it was built"),
            },
            Aim::Closure(closure) | Aim::Generation { closure, .. } => closure.clone(),
        };
        let nix = setup.nix();
        let profile = Profile::open(&activating.profile)?;
        let standing = nix.standing(&profile, &Marker::Own(activating.marker.clone()))?;
        let is_ended = standing.activated.as_ref().is_some_and(|path| is_same(path, &closure));
        let number = standing.current.as_ref().map(|current| current.number);
        let is_there = standing.current.as_ref().is_some_and(|current| match &activating.aim {
            Aim::Generation { number, .. } => current.number == *number,
            Aim::Built(_) | Aim::Closure(_) => is_same(&current.target, &closure),
        });
        let is_test = activating.how_far == ActivationType::Test;
        if is_ended && (is_there || is_test) {
            let generation = number.and_then(|number| u32::try_from(number).ok());
            return activating.activated(generation, &closure, Took::default());
        }
        if is_test {
            let why = "it was interrupted, and how much of it took effect is not known";
            return activating.failed(why);
        }
        if is_there {
            let what = match command {
                Command::RollbackConfiguration(_) => "finish the rollback to",
                _ => "finish the activation of",
            };
            return match self.carry_out(&nix, activating, &closure, setup, what) {
                Ok(evidence) => Ok(evidence),
                Err(error) => activating.failed(&format!("it was interrupted: {}", error.chain())),
            };
        }
        match number == activating.former {
            true => activating.failed("it was interrupted before it took effect"),
            false => activating.failed("it was interrupted, and the profile was switched since"),
        }
    }
}

fn of_package(kind: ConfigurationKind) -> Kind {
    match kind {
        ConfigurationKind::Nixos => Kind::NixOs,
        ConfigurationKind::Home => Kind::HomeManager,
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).ok();
    one == other || real(one).is_some_and(|one| Some(one) == real(other))
}

/// Which of a flake's configurations has a name.
///
/// Errors: none has it, or two have, or the flake cannot be evaluated.
fn look_up(folder: &Path, name: &str) -> Result<ConfigurationKind, Error> {
    let flake = flake_in(folder)?;
    if !folder.join("flake.nix").exists() {
        let message = format!("there is no flake in `{}` to build `{name}` of", folder.display());
        return Err(Error::user(message).hint("`--store-path` activates what is built already"));
    }
    let mut surroundings = EvalArgs::default().surroundings()?;
    surroundings.with_flakes(true, false);
    let groups = with_stack(|| {
        let (evaluation, _) = surroundings.start();
        configuration_groups(&flake, &evaluation)
    });
    let groups = groups
        .map_err(|error| Error::outside("cannot start a thread to evaluate on").because(error))?
        .map_err(|error| {
            Error::user(format!("cannot evaluate the flake in `{}`", folder.display()))
                .because(error.render(false))
                .hint("`--home` or `--nixos` says what the configuration is for, and Nix evaluates")
        })?;
    let has = |wanted: &str| groups.iter().any(|(group, it)| *group == wanted && it == name);
    match (has("nixosConfigurations"), has("homeConfigurations")) {
        (true, false) => Ok(ConfigurationKind::Nixos),
        (false, true) => Ok(ConfigurationKind::Home),
        (true, true) => Err(Error::user(format!("`{name}` is both a machine and a home"))
            .hint("`--home` or `--nixos` says which is meant")),
        (false, false) => {
            let error = Error::user(format!("the flake has no configuration `{name}`"));
            let names: Vec<_> = groups.iter().map(|(_, name)| format!("`{name}`")).collect();
            Err(match names.is_empty() {
                true => error,
                false => error.hint(format!("it has {}", names.join(", "))),
            })
        }
    }
}

impl Activating {
    fn request(&self, closure: &Path, setup: &Setup) -> Result<Activation, Error> {
        let target = match &self.aim {
            Aim::Generation { number, .. } => Target::Generation(*number),
            Aim::Built(_) | Aim::Closure(_) => Target::Closure(closure.to_owned()),
        };
        Ok(Activation {
            mode: match self.how_far {
                ActivationType::Switch => Mode::Switch,
                ActivationType::Boot => Mode::Boot,
                ActivationType::Test => Mode::Test,
            },
            marker: Marker::Own(self.marker.clone()),
            former: self.former,
            on_failure: OnFailure::PutBackAndActivate,
            time_limit: setup.seconds,
            ..Activation::new(Profile::open(&self.profile)?, target)
        })
    }

    /// What would be run. Nothing is built, so what is built has no name yet.
    pub(super) fn plan(&self, setup: &Setup) -> Result<Vec<String>, Error> {
        let nix = setup.nix();
        let closure = match &self.aim {
            Aim::Closure(closure) | Aim::Generation { closure, .. } => closure,
            Aim::Built(to_build) => {
                let mut lines = shown(&nix.plan_build(&to_build.request(setup))?)?;
                let built = Path::new("/nix/store/<what was built>");
                let profile = Profile::open(&self.profile)?;
                if self.how_far != ActivationType::Test {
                    lines.push(nix.plan_set_profile(&profile, built)?.to_string());
                }
                lines.push(match to_build.kind {
                    ConfigurationKind::Nixos => {
                        let word = self.how_far.word();
                        format!("'{}/bin/switch-to-configuration' {word}", built.display())
                    }
                    ConfigurationKind::Home => format!("'{}/activate'", built.display()),
                });
                return Ok(lines);
            }
        };
        let plan = nix.plan_activation(&self.request(closure, setup)?)?;
        let lines = plan.steps.iter().filter_map(|step| match step {
            Step::Switch(invocation) | Step::Activate(invocation) => Some(invocation.to_string()),
            Step::Mark { .. } => None,
        });
        Ok(lines.collect())
    }

    fn activated(
        &self,
        generation: Option<u32>,
        closure: &Path,
        took: Took,
    ) -> Result<Evidence, Error> {
        Ok(Evidence::Activated {
            // A test on a profile without generations has none.
            generation: generation.unwrap_or_default(),
            previous: self.former.and_then(|number| u32::try_from(number).ok()),
            store_path: text_of(closure)?,
            profile: text_of(&self.profile)?,
            took,
        })
    }

    /// Errors: the profile cannot be read.
    fn failed(&self, message: &str) -> Result<Evidence, Error> {
        let current = Profile::open(&self.profile)?.current()?;
        Ok(Evidence::ActivationFailed {
            message: message.to_owned(),
            generation: current.and_then(|current| u32::try_from(current.number).ok()),
            profile: text_of(&self.profile)?,
        })
    }
}
