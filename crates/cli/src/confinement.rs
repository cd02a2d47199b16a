//! What this process may look at, where it works for somebody whom nobody vouches for: it is set
//! once, before anything else is done, and never for those who type commands themselves.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use cim_nix_base::Error;
use cim_nix_eval::Io;
use cim_nix_host::protocol::{Dependency, Setup};
use cim_nix_host::sources::Origin;
use cim_nix_model::{FlakeRef, LockFile};
use cim_nix_vfs::{Admits, Confined, is_within, settled};

use crate::scope::{here, shown};

/// What this process may look at.
pub(crate) struct Confinement {
    pub(crate) setup: Setup,
    folders: Vec<PathBuf>,
    begun: Instant,
    /// What failed last of what is outside.
    failed: Mutex<Option<Dependency>>,
}

static CONFINEMENT: OnceLock<Confinement> = OnceLock::new();

/// Confines this process from now on.
pub(crate) fn enter(setup: Setup) -> &'static Confinement {
    CONFINEMENT.get_or_init(|| {
        let real = |path: &Path| settled(path).unwrap_or_else(|| path.to_owned());
        let store = std::env::var_os("NIX_STORE_DIR").map_or("/nix/store".into(), PathBuf::from);
        let own = [setup.root.clone(), real(&store), real(&setup.cache_home.join("cim-nix"))];
        let folders = own.into_iter().chain(setup.readable.iter().map(|path| real(path)));
        let folders = folders.collect();
        Confinement { setup, folders, begun: Instant::now(), failed: Mutex::default() }
    })
}

/// The bounds of this process, if it has any.
pub(crate) fn get() -> Option<&'static Confinement> {
    CONFINEMENT.get()
}

/// Whether a path may be looked at.
pub(crate) fn may_read(path: &Path) -> bool {
    get().is_none_or(|confinement| confinement.holds(path))
}

/// Whether a server may be asked.
///
/// Errors: it may not.
pub(crate) fn check_host(host: &str) -> Result<(), String> {
    match get() {
        None => Ok(()),
        Some(confinement) => {
            confinement.setup.sources.check_host(host).map_err(|error| error.to_string())
        }
    }
}

/// What another [`Io`] has, as far as this process may look at it.
pub(crate) fn confined<I: Io>(below: I) -> Confined<I> {
    let Some(confinement) = get() else { return Confined::open(below) };
    let admits: Admits = Box::new(|source| {
        let admitted = confinement.admit(source);
        admitted.map_err(|error| error.to_string())
    });
    let failed = Box::new(|source: &FlakeRef, why: &str| confinement.note(source, why));
    Confined::new(below, confinement.folders.clone(), admits, failed)
}

impl Confinement {
    fn holds(&self, path: &Path) -> bool {
        is_within(&here().join(path), self.folders.iter().map(PathBuf::as_path))
    }

    /// How much of the time is left.
    pub(crate) fn time_left(&self) -> Duration {
        Duration::from_millis(self.setup.bounds.millis).saturating_sub(self.begun.elapsed())
    }

    /// Whether a source may be used.
    ///
    /// Errors: it may not.
    pub(crate) fn admit(&self, source: &FlakeRef) -> Result<(), Error> {
        self.setup.sources.check(source, &self.folders)
    }

    /// Whether all that a lock file names may be used.
    ///
    /// Errors: something may not.
    pub(crate) fn admit_locks(&self, lock: &LockFile) -> Result<(), Error> {
        for (node, key) in lock.keys() {
            let Some(input) = lock.input(node) else { continue };
            for source in [&input.locked, &input.original] {
                // A name that was looked up is not looked up again.
                if source.kind() == "indirect" {
                    continue;
                }
                self.admit(source).map_err(|error| {
                    Error::user(format!(
                        "the lock file's input `{}` is refused",
                        key.escape_debug()
                    ))
                    .because(error)
                })?;
            }
        }
        Ok(())
    }

    /// A folder that a request names.
    ///
    /// Errors: it is outside.
    pub(crate) fn folder(&self, folder: &Path) -> Result<PathBuf, Error> {
        let full = self.setup.root.join(folder);
        match is_within(&full, [self.setup.root.as_path()]) {
            true => Ok(full.components().collect()),
            false => Err(Error::user(format!("`{}` is outside of the project", shown(folder)))),
        }
    }

    /// Notes what failed outside, if it is that.
    fn note(&self, source: &FlakeRef, why: &str) {
        let Ok(Origin::Host(host)) = Origin::of(source) else { return };
        // A server that says no does its part.
        let is_answer = ["HTTP error 4", "not found", "denied", "does not exist", "Cannot find"]
            .iter()
            .any(|words| why.contains(words));
        if is_answer || why.contains("--offline") {
            return;
        }
        let dependency = match source.kind() {
            "git" => Dependency::Git,
            _ => Dependency::Http(host),
        };
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(dependency);
    }

    /// What failed outside, if something did.
    pub(crate) fn failed(&self) -> Option<Dependency> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
