//! What is looked at before Nix is: Nix reads whatever a lock file names, so that has to be decided
//! before, and it is told to read nothing else.

use std::path::Path;

use cim_domain_nix::Command;
use cim_domain_nix::model::FlakeRef;
use cim_nix_base::Error;
use cim_nix_builder::Source;
use cim_nix_eval::{FlakeOptions, with_stack};
use cim_nix_host::sources::Origin;
use cim_nix_vfs::is_within;

use crate::confinement::Confinement;
use crate::evaluation::EvalArgs;
use crate::installable::{flake_in, reference};
use crate::programs::source;
use crate::scope::shown;

/// The settings that keep Nix within bounds. They come last, and so win.
pub(super) fn options(around: &Confinement) -> Vec<(String, String)> {
    let sources = &around.setup.sources;
    let mut uris: Vec<String> = Vec::new();
    if sources.network {
        let schemes = ["https://", "http://", "git+https://", "git+ssh://git@", "ssh://git@"];
        match sources.hosts.is_empty() {
            true => uris.extend(schemes.map(str::to_owned)),
            false => {
                let plain = sources.hosts.iter().filter(|host| !host.starts_with('*'));
                let all = plain.flat_map(|host| schemes.map(|scheme| format!("{scheme}{host}/")));
                uris.extend(all);
            }
        }
        uris.extend(["github:", "gitlab:", "sourcehut:"].map(str::to_owned));
    }
    uris.push(format!("path:{}", around.setup.root.display()));
    uris.push(format!("git+file://{}", around.setup.root.display()));
    [
        ("restrict-eval", "true".to_owned()),
        ("allowed-uris", uris.join(" ")),
        ("accept-flake-config", "false".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Whether Nix may be asked for a command. A flake from elsewhere becomes the version that was looked
/// at.
///
/// Errors: it would read what it must not.
pub(super) fn check(around: &Confinement, command: &mut Command) -> Result<(), Error> {
    match command {
        Command::BuildPackage(it) => {
            let source = source(&it.flake_ref, &it.attribute)?;
            package(around, &source, &mut it.flake_ref)
        }
        Command::CachePackage(it) => {
            let source = source(&it.flake_ref, &it.attribute)?;
            package(around, &source, &mut it.flake_ref)
        }
        Command::ActivateConfiguration(it) if it.store_path.is_none() => {
            let folder = around.folder(Path::new(&it.project))?;
            flake(around, &flake_in(&folder)?).map(drop)
        }
        _ => Ok(()),
    }
}

fn package(around: &Confinement, source: &Source, flake_ref: &mut String) -> Result<(), Error> {
    match source {
        Source::Flake { reference: typed, .. } => {
            let asked = reference(typed)?;
            let locked = flake(around, &asked)?;
            if let Ok(Origin::Host(_) | Origin::Registry) = Origin::of(&asked)
                && let Some(url) = locked.exact_url()
            {
                *flake_ref = url.to_string();
            }
            Ok(())
        }
        Source::File { file, .. } => {
            let full = around.setup.root.join(file);
            match is_within(&full, [around.setup.root.as_path()]) {
                true => Ok(()),
                false => Err(Error::user(format!("`{}` is outside of the project", shown(file)))),
            }
        }
        Source::Derivation(_) => Ok(()),
    }
}

/// Whether a flake, and all that it locks, may be used; its version that was looked at.
fn flake(around: &Confinement, flake: &FlakeRef) -> Result<FlakeRef, Error> {
    around.admit(flake)?;
    let mut surroundings = EvalArgs::default().surroundings()?;
    surroundings.with_flakes(true, false);
    let locked = with_stack(|| {
        let (evaluation, _) = surroundings.start();
        let options = FlakeOptions { is_for_this_run: true, ..FlakeOptions::default() };
        let locked = evaluation.lock(flake, &options);
        locked.map(|locked| (locked.locked, locked.old_lock_file, locked.lock_file))
    });
    let locked = locked
        .map_err(|error| Error::outside("cannot start a thread to evaluate on").because(error))?;
    let (locked, old, new) = locked.map_err(|error| {
        Error::user(format!("cannot tell what `{flake}` needs")).because(error.render(false))
    })?;
    around.admit_locks(&new)?;
    match old == new {
        true => Ok(locked),
        // Nix would look for what is missing by itself.
        false => Err(Error::user(format!("the lock file of `{flake}` is not up to date"))
            .hint("lock it first: UpdateFlake does")),
    }
}
