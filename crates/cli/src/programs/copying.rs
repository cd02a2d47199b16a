//! Copies of what was built to caches, and from them.

use cim_domain_nix::command::CachePackage;
use cim_domain_nix::{Evidence, State, Took, package_name};
use cim_nix_base::Error;
use cim_nix_builder::{Build, Copy};
use serde::{Deserialize, Serialize};

use super::{NixPrograms, Setup, building, why};
use crate::output::number;

/// What a copy starts from, beside its command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Copying {
    /// What is copied, with all that it needs; the first is what is meant by the package.
    paths: Vec<String>,
    takes_unsigned: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret_key: Option<std::path::PathBuf>,
}

impl Copying {
    pub(super) fn request(&self, command: &CachePackage, setup: &Setup) -> Copy {
        let (paths, cache) = (self.paths.clone(), command.cache.as_str());
        let copy = match command.is_download {
            true => Copy::from(paths, cache),
            false => Copy::to(paths, cache),
        };
        Copy {
            checks_signatures: !self.takes_unsigned,
            secret_key: self.secret_key.clone(),
            time_limit: setup.seconds,
            ..copy
        }
    }
}

impl NixPrograms {
    /// What is to be copied: what the last build gave, or where that is not known, what one would.
    ///
    /// Errors: what goes to a cache has to be built before.
    pub(super) fn paths_to_copy(
        &self,
        command: &CachePackage,
        state: &State,
        setup: &Setup,
    ) -> Result<Copying, Error> {
        let name = package_name(&command.flake_ref, &command.attribute);
        let mut paths = Vec::new();
        if let State::Package(package) = state {
            if !command.is_download && package.outputs.is_empty() {
                return Err(Error::user(format!("`{name}` was not built yet"))
                    .hint("`cim-nix package build` builds it, and records what it gave"));
            }
            let outputs = package.outputs.iter();
            let first = package.outputs.get("out").into_iter();
            paths.extend(first.chain(outputs.map(|(_, output)| output)).map(|it| it.path.clone()));
            let mut seen = std::collections::BTreeSet::new();
            paths.retain(|path| seen.insert(path.clone()));
        }
        if paths.is_empty() {
            let source = building::source(&command.flake_ref, &command.attribute)?;
            let request = Build {
                is_impure: self.wishes.is_impure,
                time_limit: setup.seconds,
                ..Build::new(source)
            };
            let foreseen = self.watched(|control| setup.nix().foreseen(&request, control))?;
            paths.extend(foreseen.into_iter().map(|(_, path)| path));
            if paths.is_empty() {
                return Err(Error::user(format!(
                    "what `{name}` will be is known only once it is built"
                )));
            }
        }
        let secret_key = self.wishes.secret_key.clone();
        Ok(Copying { paths, takes_unsigned: self.wishes.takes_unsigned, secret_key })
    }

    pub(super) fn copy(
        &self,
        command: &CachePackage,
        copying: &Copying,
        setup: &Setup,
    ) -> Result<Evidence, Error> {
        let request = copying.request(command, setup);
        let record = self.watched(|control| setup.nix().copy(&request, control))?;
        if !record.outcome.is_done() {
            let (way, cache) = (way(command), &command.cache);
            let error =
                Error::outside(format!("cannot copy {way} `{cache}`: {}", why(&record.outcome)));
            return Err(match record.copied.len() {
                0 => error,
                n => error.hint(format!(
                    "{} had been copied before, and will not be copied again",
                    number(n, "path")
                )),
            });
        }
        Ok(Evidence::Copied {
            output_path: copying.paths.first().cloned().unwrap_or_default(),
            paths: count(record.copied.len()),
            bytes: record.nar_bytes,
            took: Took::from(record.duration),
        })
    }

    /// What became of a copy whose process is gone: `None` unless all that was meant is there.
    ///
    /// Errors: the destination does not answer.
    pub(super) fn settle_copy(
        command: &CachePackage,
        copying: &Copying,
        setup: &Setup,
    ) -> Result<Option<Evidence>, Error> {
        let nix = setup.nix();
        let destination = (!command.is_download).then_some(command.cache.as_str());
        // A path is taken only after all that it needs.
        let there = nix.present(destination, &copying.paths)?;
        if there.len() < copying.paths.len() {
            return Ok(None);
        }
        let all = nix.path_info(destination, &copying.paths, true)?;
        Ok(Some(Evidence::Copied {
            output_path: copying.paths.first().cloned().unwrap_or_default(),
            // Which of them were there before, nobody can tell now.
            paths: count(all.len()),
            bytes: all.iter().map(|info| info.nar_size).sum(),
            took: Took::default(),
        }))
    }
}

fn way(command: &CachePackage) -> &'static str {
    if command.is_download { "from" } else { "to" }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
