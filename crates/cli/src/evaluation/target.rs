//! What is to be evaluated: an expression, a file, or an attribute of a flake.

use std::path::{Path, PathBuf};

use cim_nix_base::Error;
use cim_nix_eval::{EvalError, Evaluation, Handle};
use cim_nix_model::AttributePath;

use super::Around;
use crate::installable::Installable;
use crate::lock_args::LockRequest;
use crate::reading::read_stdin;

/// What is to be evaluated.
pub(crate) enum Target {
    Text(String),
    File(PathBuf),
    Flake(Installable),
}

/// What somebody means who gave an expression, a file, or one of them or a flake as `what`.
pub(crate) fn target(expr: Option<&str>, file: Option<&Path>, what: &str) -> Result<Target, Error> {
    if let Some(text) = expr {
        return Ok(Target::Text(text.to_owned()));
    }
    if let Some(file) = file {
        return Ok(Target::File(file.to_owned()));
    }
    if what == "-" {
        return Ok(Target::Text(String::from_utf8_lossy(&read_stdin()?).into_owned()));
    }
    if what.starts_with('<') && what.ends_with('>') {
        return Ok(Target::Text(format!("import {what}")));
    }
    let path = PathBuf::from(what);
    let is_flake = what.contains('#')
        || (path.join("flake.nix").exists() && !path.join("default.nix").exists())
        || (!path.exists() && what.contains([':', '^']));
    if is_flake {
        return Installable::parse(what).map(Target::Flake);
    }
    if !path.exists() {
        return Err(Error::user(format!("there is no file or folder `{what}`"))
            .hint(format!("an expression: cim-nix eval -E '{what}'"))
            .hint(format!("an attribute of the flake here: cim-nix eval '.#{what}'")));
    }
    if path.is_dir() && !path.join("default.nix").exists() {
        // As Nix does, look for a flake above.
        let above = path.canonicalize().unwrap_or_default();
        if above.ancestors().any(|folder| folder.join("flake.nix").exists()) {
            return Installable::parse(what).map(Target::Flake);
        }
        return Err(Error::user(format!("`{what}` has neither a default.nix nor a flake.nix")));
    }
    Ok(Target::File(path))
}

impl Target {
    /// The value that is meant, before an attribute of it is selected.
    pub(crate) fn value<'e>(
        &self,
        evaluation: &'e Evaluation,
        around: &Around,
        request: &LockRequest,
        system: &str,
    ) -> Result<Handle<'e>, Box<EvalError>> {
        request.prepare(evaluation)?;
        match self {
            Self::Text(text) => evaluation.text(text, &around.folder),
            Self::File(file) => evaluation.import(&around.path(file)),
            Self::Flake(installable) => flake_attr(evaluation, installable, request, system),
        }
    }
}

/// The attribute of a flake's outputs that is meant, as `nix eval` looks for it.
fn flake_attr<'e>(
    evaluation: &'e Evaluation,
    installable: &Installable,
    request: &LockRequest,
    system: &str,
) -> Result<Handle<'e>, Box<EvalError>> {
    let locked = evaluation.lock(&installable.flake, &request.options)?;
    let flake = evaluation.flake(&locked)?;
    let outputs = evaluation.attr(flake, "outputs")?.unwrap_or(flake);
    let paths = installable.attr.candidates(system);
    match evaluation.first_of(outputs, &paths)? {
        Ok(found) => Ok(found),
        Err(near) => {
            let typed = |path: &AttributePath| path.to_selection().unwrap_or_default();
            let names: Vec<_> = paths.iter().map(|path| format!("'{}'", typed(path))).collect();
            let shown = match &names[..] {
                [many @ .., last] if !many.is_empty() => format!("{} or {last}", many.join(", ")),
                _ => names.concat(),
            };
            let message =
                format!("flake '{}' does not provide attribute {shown}", installable.flake);
            Err(Box::new(EvalError::missing_attribute(message, near)))
        }
    }
}
