//! Options on the locks of flakes, as `nix` has them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use cim_nix_base::Error;
use cim_nix_eval::{EvalError, Evaluation, FlakeOptions, GivenLockFile};
use cim_nix_model::{
    Edge, FlakeRef, InputPath, LockFile, LockOptions, RefAttr, RefAttrs, input_path,
};
use clap::Args;

use crate::installable::reference;
use crate::terminal;

/// Options that every command with flakes takes.
#[derive(Args, Debug, Default)]
pub(crate) struct LockArgs {
    /// Take an input of the flake from elsewhere; `a/b` is the input `b` of the input `a`
    #[arg(long, num_args = 2, value_names = ["INPUT", "FLAKE"], help_heading = "Flakes")]
    override_input: Vec<String>,
    /// Let names of flakes stand for the inputs of FLAKE
    #[arg(long, value_name = "FLAKE", help_heading = "Flakes")]
    inputs_from: Vec<String>,
    /// Let a name of a flake stand for another one
    #[arg(long, num_args = 2, value_names = ["NAME", "FLAKE"], help_heading = "Flakes")]
    override_flake: Vec<String>,
    /// Lock an input to its newest version, whatever the lock file says
    #[arg(long, value_name = "INPUT", help_heading = "Flakes")]
    update_input: Vec<String>,
    /// Lock all inputs to their newest versions, whatever the lock file says
    #[arg(long, help_heading = "Flakes")]
    recreate_lock_file: bool,
    /// Fail if the lock file would have to be changed
    #[arg(long, help_heading = "Flakes")]
    no_update_lock_file: bool,
    /// Take flakes, too, whose lock file would have to be changed and cannot be
    #[arg(long, help_heading = "Flakes")]
    no_write_lock_file: bool,
    /// Use FILE instead of the flake's own lock file
    #[arg(long, value_name = "FILE", help_heading = "Flakes")]
    reference_lock_file: Option<PathBuf>,
    /// Look up no names of flakes in registries
    #[arg(long, alias = "no-use-registries", help_heading = "Flakes")]
    no_registries: bool,
}

/// What the options ask for.
#[derive(Default)]
pub(crate) struct LockRequest {
    pub(crate) options: FlakeOptions,
    inputs_from: Vec<FlakeRef>,
    names: Vec<(FlakeRef, FlakeRef)>,
}

fn broken(error: impl std::fmt::Display) -> Error {
    Error::user(error.to_string())
}

/// The path of an input that an option names.
fn path_for(option: &str, text: &str) -> Result<InputPath, Error> {
    let path = input_path(text).map_err(broken)?;
    match path.is_empty() {
        true => Err(Error::user(format!(
            "--{option} was passed a zero-length input path, which would refer to the flake itself, not an input"
        ))),
        false => Ok(path),
    }
}

impl LockArgs {
    /// Errors: something is no reference to a flake, or no path of inputs.
    pub(crate) fn request(&self) -> Result<LockRequest, Error> {
        let mut overrides = BTreeMap::new();
        for pair in self.override_input.chunks_exact(2) {
            overrides.insert(path_for("override-input", &pair[0])?, reference(&pair[1])?);
        }
        let mut updates = BTreeSet::new();
        for input in &self.update_input {
            updates.insert(path_for("update-input", input)?);
        }
        let mut names = Vec::new();
        for pair in self.override_flake.chunks_exact(2) {
            names.push((FlakeRef::parse(&pair[0]).map_err(broken)?, reference(&pair[1])?));
        }
        let lock_file = match &self.reference_lock_file {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    Error::user(format!("cannot read the lock file `{}`", path.display()))
                        .because(error)
                })?;
                Some(GivenLockFile { name: path.to_string_lossy().into_owned(), text })
            }
        };
        let options = FlakeOptions {
            is_for_this_run: self.no_write_lock_file || !overrides.is_empty(),
            needs_current_lock: self.no_update_lock_file,
            is_written: false,
            lock_file,
            lock: LockOptions {
                overrides,
                updates,
                is_anew: self.recreate_lock_file,
                locks_anything: true,
                uses_registries: !self.no_registries,
                ..LockOptions::default()
            },
        };
        let inputs_from = self.inputs_from.iter().map(|flake| reference(flake));
        Ok(LockRequest { options, inputs_from: inputs_from.collect::<Result<_, _>>()?, names })
    }
}

impl LockRequest {
    /// Lets names stand for what the options say.
    ///
    /// Errors: a flake whose inputs are wanted cannot be locked.
    pub(crate) fn prepare(&self, evaluation: &Evaluation) -> Result<(), Box<EvalError>> {
        for (from, to) in &self.names {
            evaluation.add_to_registry(from.clone(), to.clone());
        }
        let options = FlakeOptions { is_for_this_run: true, ..FlakeOptions::default() };
        for flake in &self.inputs_from {
            let file = evaluation.lock(flake, &options)?.lock_file;
            for (name, edge) in file.inputs(LockFile::ROOT) {
                let node = match edge {
                    Edge::Node(node) => Some(*node),
                    Edge::Follows(path) => file.find(path).unwrap_or_default(),
                };
                let Some(input) = node.and_then(|node| file.input(node)) else { continue };
                let attrs: RefAttrs = [("type", "indirect"), ("id", name)]
                    .map(|(name, value)| (name.to_owned(), RefAttr::Text(value.to_owned())))
                    .into();
                match FlakeRef::from_attrs(attrs) {
                    Ok(from) => evaluation.add_to_registry(from, input.locked.clone()),
                    Err(error) => terminal::say(&format!("warning: {error}")),
                }
            }
        }
        Ok(())
    }
}
