//! Builds of packages.

use std::path::Path;
use std::time::Duration;

use cim_domain_nix::command::BuildPackage;
use cim_domain_nix::model::AttributePath;
use cim_domain_nix::{BuiltOutput, Evidence, FailureReason, Took};
use cim_nix_base::Error;
use cim_nix_builder::{
    Build, BuildEnd, BuildFailure, BuildRecord, Nix, Outputs, PathInfo, Progress, Source, Stage,
};
use serde::{Deserialize, Serialize};

use super::{NixPrograms, Setup, Wishes};

/// What a build starts from, beside its command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Building {
    outputs: Wanted,
    is_impure: bool,
    keeps_going: bool,
}

/// Which outputs are to be built, as it is written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    Default,
    All,
    Named(Vec<String>),
}

/// Where a package is, by what a command calls it: a derivation, a file, or a flake.
///
/// Errors: nobody can type such an attribute.
pub(crate) fn source(flake_ref: &str, attribute: &AttributePath) -> Result<Source, Error> {
    let path = Path::new(flake_ref);
    if flake_ref.starts_with('/') && path.extension().is_some_and(|end| end == "drv") {
        return Ok(Source::Derivation(flake_ref.to_owned()));
    }
    let attribute = match attribute.is_empty() {
        true => None,
        false => Some(attribute.to_selection().ok_or_else(|| {
            Error::user(format!("no command line can say the attribute `{attribute}`"))
        })?),
    };
    let is_file = flake_ref.starts_with('<')
        || path.extension().is_some_and(|end| end == "nix") && path.is_file()
        || path.join("default.nix").is_file() && !path.join("flake.nix").exists();
    Ok(match is_file {
        true => Source::File { file: path.to_owned(), attribute },
        false => Source::Flake { reference: flake_ref.to_owned(), attribute },
    })
}

impl Building {
    pub(super) fn of(wishes: &Wishes) -> Self {
        let outputs = match &wishes.outputs {
            Outputs::Default => Wanted::Default,
            Outputs::All => Wanted::All,
            Outputs::Named(names) => Wanted::Named(names.clone()),
        };
        let Wishes { is_impure, keeps_going, .. } = *wishes;
        Self { outputs, is_impure, keeps_going }
    }

    fn outputs(&self) -> Outputs {
        match &self.outputs {
            Wanted::Default => Outputs::Default,
            Wanted::All => Outputs::All,
            Wanted::Named(names) => Outputs::Named(names.clone()),
        }
    }

    pub(super) fn request(&self, command: &BuildPackage, setup: &Setup) -> Result<Build, Error> {
        Ok(Build {
            outputs: self.outputs(),
            out_link: command.output_path.as_ref().map(Into::into),
            is_impure: self.is_impure,
            keeps_going: self.keeps_going,
            time_limit: setup.seconds,
            ..Build::new(source(&command.flake_ref, &command.attribute)?)
        })
    }
}

impl NixPrograms {
    pub(super) fn build(
        &self,
        command: &BuildPackage,
        building: &Building,
        setup: &Setup,
    ) -> Result<Evidence, Error> {
        let request = building.request(command, setup)?;
        let record = self.built(&setup.nix(), &request, setup)?;
        Ok(evidence(record))
    }

    /// Builds, and notes which derivation it is once that is known.
    pub(super) fn built(
        &self,
        nix: &Nix,
        request: &Build,
        setup: &Setup,
    ) -> Result<BuildRecord, Error> {
        let trail = self.trail(setup);
        let mut say = |progress| {
            if let Progress::Instantiated { derivation, outputs } = &progress {
                trail.note_build(derivation, outputs.as_deref());
            }
            self.teller.borrow_mut().say(&progress);
        };
        let mut control = cim_nix_builder::Control::new(super::cancel(), &mut say);
        let record = nix.build(request, &mut control);
        self.teller.borrow_mut().finish();
        record
    }

    /// What became of a build whose process is gone: what it was to make is there, or is not.
    pub(super) fn settle_build(&self, setup: &Setup) -> Evidence {
        let noted = self.trail(setup).noted();
        let found = noted.as_ref().map(|(derivation, names)| made(setup, derivation, names));
        let derivation = noted.map(|(derivation, _)| derivation);
        let message = match found {
            Some(Ok(outputs)) if !outputs.is_empty() => {
                let outputs = outputs.into_iter().map(|(name, info)| (name, output(info)));
                return Evidence::Built {
                    outputs: outputs.collect(),
                    drv_path: derivation,
                    // Nobody has looked at the clock.
                    took: Took::default(),
                };
            }
            Some(Err(error)) => {
                format!("the process was interrupted, and the store does not answer: {error}")
            }
            Some(Ok(_)) => "the process was interrupted, and not all outputs are there".to_owned(),
            None => "the process was interrupted before it was known what to build".to_owned(),
        };
        Evidence::BuildFailed {
            reason: FailureReason::Interrupted,
            message,
            drv_path: derivation,
            log_tail: String::new(),
            took: Took::default(),
        }
    }
}

/// The outputs that a build was to make, all of them if no names are given; none unless all are
/// there.
fn made(
    setup: &Setup,
    derivation: &str,
    names: &[String],
) -> Result<Vec<(String, PathInfo)>, Error> {
    let nix = setup.nix();
    let mut wanted = nix.output_paths(derivation)?;
    if !names.is_empty() {
        wanted.retain(|(name, _)| names.contains(name));
        if wanted.len() < names.len() {
            return Ok(Vec::new());
        }
    }
    let paths: Vec<String> = wanted.iter().map(|(_, path)| path.clone()).collect();
    let there = nix.present(None, &paths)?;
    let found = |(name, path): (String, String)| {
        Some((name, there.iter().find(|info| info.path == path)?.clone()))
    };
    Ok(wanted.into_iter().map(found).collect::<Option<_>>().unwrap_or_default())
}

fn output(info: PathInfo) -> BuiltOutput {
    BuiltOutput { path: info.path, nar_size: Some(info.nar_size), closure_size: info.closure_size }
}

fn evidence(record: BuildRecord) -> Evidence {
    let took = Took::from(record.duration);
    let outputs = match record.end {
        BuildEnd::Built(outputs) => outputs,
        end => {
            let (reason, message) = failure(&end, record.duration);
            let failed = match end {
                BuildEnd::Failed(failure) => failure.failed.into_iter().next(),
                _ => None,
            };
            return Evidence::BuildFailed {
                reason,
                message,
                drv_path: failed.map(|failed| failed.derivation).or(record.derivation),
                log_tail: record.log.lines.join("\n"),
                took,
            };
        }
    };
    let outputs = outputs.into_iter().map(|output| {
        let (nar_size, closure_size) = (output.nar_size, output.closure_size);
        (output.name, BuiltOutput { path: output.path, nar_size, closure_size })
    });
    Evidence::Built { outputs: outputs.collect(), drv_path: record.derivation, took }
}

/// Why a build gave nothing, and what is said of it.
pub(super) fn failure(end: &BuildEnd, took: Duration) -> (FailureReason, String) {
    match end {
        BuildEnd::Failed(BuildFailure { stage: Stage::Evaluation, reason, .. }) => {
            (FailureReason::Failed, format!("it cannot be evaluated: {reason}"))
        }
        BuildEnd::Failed(failure) => (FailureReason::Failed, failure.reason.clone()),
        BuildEnd::TimedOut => {
            let seconds = took.as_secs();
            (FailureReason::TimedOut, format!("it was stopped after {seconds} seconds"))
        }
        BuildEnd::Cancelled | BuildEnd::Built(_) => {
            (FailureReason::Cancelled, "it was cancelled".to_owned())
        }
    }
}
