//! Garbage collections.

use std::collections::BTreeSet;

use cim_domain_nix::Evidence;
use cim_domain_nix::command::RunGarbageCollection;
use cim_nix_base::Error;
use cim_nix_builder::{Collect, Old};
use serde::{Deserialize, Serialize};

use super::{NixPrograms, Setup, why};
use crate::output::{number, thousands};

/// What a collection starts from: what is dead, with bytes as far as Nix tells them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Collecting {
    dead: Vec<(String, Option<u64>)>,
}

pub(super) fn request(command: &RunGarbageCollection, setup: &Setup) -> Collect {
    let old = match command.older_than_days {
        None => Old::Keep,
        Some(days) => Old::OlderThan { days },
    };
    Collect { old, time_limit: setup.seconds }
}

impl NixPrograms {
    pub(super) fn garbage(
        &self,
        command: &RunGarbageCollection,
        setup: &Setup,
    ) -> Result<Collecting, Error> {
        let request = request(command, setup);
        let record = self.watched(|control| setup.nix().rehearse_collection(&request, control))?;
        if !record.outcome.is_done() {
            let why = why(&record.outcome);
            return Err(Error::outside(format!("cannot tell what is garbage: {why}")));
        }
        let dead = record.removed.into_iter().map(|dead| (dead.path, dead.nar_size));
        Ok(Collecting { dead: dead.collect() })
    }

    pub(super) fn collect(
        &self,
        command: &RunGarbageCollection,
        setup: &Setup,
    ) -> Result<Evidence, Error> {
        let request = request(command, setup);
        let record = self.watched(|control| setup.nix().collect_garbage(&request, control))?;
        if !record.outcome.is_done() {
            let why =
                format!("the garbage collection did not come to its end: {}", why(&record.outcome));
            if record.removed.is_empty() {
                return Err(Error::outside(why));
            }
            self.trouble(why);
        }
        Ok(Evidence::Collected {
            freed_bytes: record.bytes(),
            removed_paths: record.removed.into_iter().map(|dead| dead.path).collect(),
        })
    }
}

impl Collecting {
    /// How much is dead.
    pub(super) fn summary(&self) -> String {
        let bytes: u64 = self.dead.iter().filter_map(|(_, size)| *size).sum();
        let bytes = thousands(usize::try_from(bytes).unwrap_or(usize::MAX));
        format!("# nothing needs {}, {bytes} bytes", number(self.dead.len(), "path"))
    }

    /// What became of a collection whose process is gone: what was dead, and is there no more.
    ///
    /// Errors: the store does not answer.
    pub(super) fn settle(&self, setup: &Setup) -> Result<Option<Evidence>, Error> {
        let paths: Vec<String> = self.dead.iter().map(|(path, _)| path.clone()).collect();
        let nix = setup.nix();
        let mut there = BTreeSet::new();
        for some in paths.chunks(1000) {
            there.extend(nix.present(None, some)?.into_iter().map(|info| info.path));
        }
        // What never was whole is known to no store, so nobody can tell when it went.
        let gone = |(path, size): &&(String, Option<u64>)| size.is_some() && !there.contains(path);
        let gone: Vec<_> = self.dead.iter().filter(gone).collect();
        if gone.is_empty() {
            return Ok(None);
        }
        Ok(Some(Evidence::Collected {
            freed_bytes: gone.iter().filter_map(|(_, size)| *size).sum(),
            removed_paths: gone.iter().map(|(path, _)| path.clone()).collect(),
        }))
    }
}
