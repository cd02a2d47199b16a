//! Flakes: locking their inputs, and their outputs.
//!
//! What to lock is computed in `cim-nix-model`; here are the sources for it. Lock files are never
//! written: what would have to be written is told, and holds for this evaluation.

use std::collections::BTreeMap;

use cim_nix_model::{
    FlakeInputs, FlakeRef, FlakeSource, FlakeSources, Hash, HashFormat, HashKind, LockFile,
    LockOptions, NodeId, Registries, lock,
};

use crate::code::Pos;
use crate::error::{ErrorKind, Failed, Res};
use crate::evaluator::Evaluator;
use crate::paths;
use crate::symbols::Symbol;
use crate::value::Value;

/// How a flake is locked before it is evaluated.
#[derive(Clone, Default, Debug)]
pub struct FlakeOptions {
    /// What counts of its lock file.
    pub lock: LockOptions,
    /// Whether a lock file that would have to be changed is an error.
    pub needs_current_lock: bool,
    /// Whether it is clear that no lock file is to be written, so that flakes are fine, too, whose
    /// lock file nobody can change.
    pub is_for_this_run: bool,
    /// Whether the caller writes the lock file, so that nothing is told of how it changes.
    pub is_written: bool,
    /// A lock file that counts instead of the flake's own.
    pub lock_file: Option<GivenLockFile>,
}

/// The text of a lock file.
#[derive(Clone, Debug)]
pub struct GivenLockFile {
    /// What messages call it.
    pub name: String,
    /// What stands in it.
    pub text: String,
}

/// A flake with all its inputs locked.
#[derive(Debug)]
pub struct LockedFlake {
    /// What it says of itself.
    pub description: Option<String>,
    /// How it was asked for.
    pub original: FlakeRef,
    /// The same with names looked up in registries.
    pub resolved: FlakeRef,
    /// The version that was found.
    pub locked: FlakeRef,
    /// The store path of its source.
    pub store_path: String,
    /// The inputs.
    pub lock_file: LockFile,
    /// The same as it was before.
    pub old_lock_file: LockFile,
    /// The version as it was found before the flake asked for more of its source, such as
    /// submodules: Nix's fingerprint does not see the difference.
    plain: FlakeRef,
    /// Folders of the flakes and trees that had to be fetched.
    places: BTreeMap<NodeId, String>,
    /// Whether the lock file is another one than that of the source, so that the source's
    /// revision is not what is evaluated.
    is_changed: bool,
}

impl LockedFlake {
    /// What tells this flake with these inputs from any other one: the key by which Nix caches
    /// what it evaluates. Nothing if files count that nobody has committed.
    #[must_use]
    pub fn fingerprint(&self) -> Option<String> {
        use std::fmt::Write as _;

        if self.lock_file.unlocked().is_some() {
            return None;
        }
        let locked = &self.locked;
        let mut text = match locked.kind() {
            "git" => {
                let mut text = locked.text("rev")?.to_owned();
                for (name, mark) in [("submodules", ";s"), ("exportIgnore", ";e"), ("lfs", ";l")] {
                    if self.plain.is_set(name) {
                        text.push_str(mark);
                    }
                }
                text
            }
            "path" => format!("path:{}", locked.text("narHash")?),
            "tarball" | "file" => locked.text("narHash").or(locked.text("rev"))?.to_owned(),
            _ => locked.text("rev")?.to_owned(),
        };
        let lock_file = self.lock_file.to_text();
        let _ = write!(text, ";{};{}", locked.dir(), lock_file.trim_end());
        for name in ["revCount", "lastModified"] {
            if let Some(number) = locked.number(name) {
                let _ = write!(text, ";{name}={number}");
            }
        }
        Some(Hash::of(HashKind::Sha256, text.as_bytes()).format(HashFormat::Base16))
    }
}

/// A flake that was fetched and read.
struct Found {
    description: Option<String>,
    resolved: FlakeRef,
    locked: FlakeRef,
    plain: FlakeRef,
    store_path: String,
    folder: String,
    inputs: FlakeInputs,
}

fn folder_below(folder: &str, below: &str) -> String {
    let path = paths::join(folder.as_bytes(), below.as_bytes());
    String::from_utf8_lossy(&path).into_owned()
}

/// Whether the lock file of a flake is a file that could be written.
fn is_writable(reference: &FlakeRef) -> bool {
    match reference.kind() {
        "path" => true,
        "git" => {
            let url = reference.text("url").unwrap_or_default();
            url.starts_with("file:")
                && reference.text("ref").is_none()
                && reference.text("rev").is_none()
        }
        _ => false,
    }
}

impl Evaluator {
    /// What a reference stands for, by the registries.
    pub(crate) fn resolve_reference(
        &self,
        wanted: &FlakeRef,
        registries: Registries,
    ) -> Result<FlakeRef, String> {
        if registries == Registries::None {
            return Err(format!(
                "'{wanted}' is an indirect flake reference, but registry lookups are not allowed"
            ));
        }
        let mut at = wanted.clone();
        // A name may lead to another one; more than a few are a circle.
        for _ in 0..100 {
            if at.kind() != "indirect" {
                return Ok(at);
            }
            let mut found = self.registry.borrow().find(&at).map_err(|error| error.to_string())?;
            for number in 0.. {
                if found.is_some() {
                    break;
                }
                match self.world.io().registry(number, registries) {
                    None => break,
                    Some(Ok(registry)) => {
                        found = registry.find(&at).map_err(|error| error.to_string())?;
                    }
                    Some(Err(why)) => (self.warnings)(&format!("warning: {why}")),
                }
            }
            match found {
                Some(next) => at = next,
                None => return Err(format!("cannot find flake '{at}' in the flake registries")),
            }
        }
        Err(format!("cycle detected in flake registry for '{wanted}'"))
    }

    fn find_flake(&self, reference: &FlakeRef, registries: Registries) -> Res<Found> {
        let source = reference.clone().with_dir("");
        let mut tree = self.fetch_source(&source, registries, false, 0)?;
        // A registry may say where in the source the flake lies.
        let dir = match tree.resolved.dir() {
            "" => reference.dir().to_owned(),
            dir => dir.to_owned(),
        };
        let resolved = tree.resolved.clone().with_dir(dir.as_str());
        let read = |store_path: &str| {
            let folder = folder_below(store_path, &dir);
            self.read_flake_file(&folder, &resolved).map(|file| (folder, file))
        };
        let (mut folder, mut file) = read(&tree.store_path)?;
        let plain = tree.source.clone();
        let mut wanted = plain.clone();
        for (name, value) in &file.own {
            if !matches!(name.as_str(), "submodules" | "lfs") {
                let message = format!("flake 'self' attribute '{name}' is not supported");
                return Err(self.fail(ErrorKind::Other, 0, message));
            }
            wanted.set(name, value.clone());
        }
        if wanted != tree.source {
            wanted.remove("narHash");
            tree = self.fetch_source(&wanted, Registries::None, false, 0)?;
            (folder, file) = read(&tree.store_path)?;
        }
        Ok(Found {
            description: file.description,
            resolved,
            locked: tree.source.clone().with_dir(dir.as_str()),
            plain,
            store_path: tree.store_path.clone(),
            folder,
            inputs: file.inputs,
        })
    }

    /// Fetches a flake and locks its inputs.
    pub(crate) fn lock_flake(
        &self,
        reference: &FlakeRef,
        options: &FlakeOptions,
    ) -> Res<LockedFlake> {
        let registries = match options.lock.uses_registries {
            true => Registries::All,
            false => Registries::None,
        };
        let found = self.find_flake(reference, registries)?;
        let Found { description, resolved, locked, plain, store_path, folder, inputs } = found;
        let sources = Sources { ev: self };
        let computed = (|| {
            let old = match &options.lock_file {
                Some(given) => sources.parsed(&given.text, &given.name)?,
                None => sources.lock_file(&folder)?,
            };
            let new = lock(&sources, &folder, &inputs, &old, &options.lock)?;
            let is_changed = self.tell_changes(reference, &old, &new.file, options)?;
            Ok((new, old, is_changed))
        })();
        let (new, old, is_changed) = computed.map_err(|failed| {
            self.trace(failed, 0, format!("while updating the lock file of flake '{locked}'"))
        })?;
        Ok(LockedFlake {
            description,
            original: reference.clone(),
            resolved,
            locked,
            plain,
            store_path,
            lock_file: new.file,
            old_lock_file: old,
            places: new.places,
            is_changed,
        })
    }

    /// Says how the lock file would have to be changed, and whether that makes the flake another
    /// one than its source.
    fn tell_changes(
        &self,
        reference: &FlakeRef,
        old: &LockFile,
        new: &LockFile,
        options: &FlakeOptions,
    ) -> Res<bool> {
        if options.is_written || old == new {
            return Ok(options.is_written && old != new);
        }
        if !options.is_for_this_run {
            if !is_writable(reference) {
                let message = format!(
                    "cannot write modified lock file of flake '{reference}' (use '--no-write-lock-file' to ignore)"
                );
                return Err(self.fail(ErrorKind::Other, 0, message));
            }
            if let Some(unlocked) = new.unlocked() {
                (self.warnings)(&format!(
                    "warning: not writing lock file of flake '{reference}' because it has an unlocked input ('{unlocked}')"
                ));
                return Ok(false);
            }
            if options.needs_current_lock {
                let message = format!(
                    "flake '{reference}' requires lock file changes but they're not allowed due to '--no-update-lock-file'"
                );
                return Err(self.fail(ErrorKind::Other, 0, message));
            }
        }
        let changes = old.changes(new);
        let changes = changes.trim_end();
        (self.warnings)(&format!(
            "warning: not writing modified lock file of flake '{reference}':\n{changes}"
        ));
        Ok(true)
    }

    /// The outputs of a flake with its inputs and source, as `builtins.getFlake` gives them.
    pub(crate) fn flake_value(&self, flake: &LockedFlake) -> Res {
        let keys: BTreeMap<NodeId, String> = flake.lock_file.keys().into_iter().collect();
        let mut known: Vec<(Symbol, Pos, Value)> = Vec::new();
        for (id, folder) in &flake.places {
            let (Some(key), Some((store_path, dir))) = (keys.get(id), self.split_source(folder))
            else {
                continue;
            };
            let source = flake.lock_file.input(*id).map_or(&flake.locked, |input| &input.locked);
            let is_changed = *id == LockFile::ROOT && flake.is_changed;
            let source = self.source_value(store_path, source, false, is_changed);
            let place = self.attrs(&mut [
                (self.symbol(b"sourceInfo"), 0, source),
                (self.symbol(b"dir"), 0, self.heap.string(dir.as_bytes())),
            ]);
            known.push((self.symbol(key.as_bytes()), 0, place));
        }
        let lock = crate::builtins::parse_json(self, flake.lock_file.to_text().as_bytes(), 0)?;
        let code = self.load(
            include_str!("call_flake.nix").into(),
            "«flakes-internal»/call-flake.nix",
            b"/",
            None,
        )?;
        let function = self.force(self.heap.thunk(code).value())?;
        let fetch = crate::builtins::function("fetchFinalTree").unwrap_or(Value::NULL);
        let argument = self.attrs(&mut [
            (self.symbol(b"lock"), 0, lock),
            (self.symbol(b"known"), 0, self.attrs(&mut known)),
            (self.symbol(b"fetch"), 0, fetch),
        ]);
        self.apply(function, &[argument], 0)
    }

    /// A folder in the store as a store path and the folder in that.
    fn split_source<'f>(&self, folder: &'f str) -> Option<(&'f str, &'f str)> {
        let start = self.settings.store_dir.len() + 1;
        match folder.get(start..)?.find('/') {
            Some(at) => Some((&folder[..start + at], &folder[start + at + 1..])),
            None => Some((folder, "")),
        }
    }
}

/// The sources that an evaluation can fetch, for the computation of locks.
struct Sources<'e> {
    ev: &'e Evaluator,
}

impl Sources<'_> {
    fn parsed(&self, text: &str, name: &str) -> Res<LockFile> {
        let mut warn = |message: String| self.warn(message);
        LockFile::parse(text, name, &mut warn).map_err(|error| self.error(error.to_string()))
    }
}

impl FlakeSources for Sources<'_> {
    type Place = String;
    type Error = Failed;

    fn flake(&self, reference: &FlakeRef, registries: Registries) -> Res<FlakeSource<String>> {
        let found = self.ev.find_flake(reference, registries)?;
        Ok(FlakeSource { locked: found.locked, place: found.folder, inputs: found.inputs })
    }

    fn flake_below(&self, place: &String, reference: &FlakeRef) -> Res<FlakeSource<String>> {
        let folder = folder_below(&self.tree_below(place, reference)?, reference.dir());
        let file = self.ev.read_flake_file(&folder, reference)?;
        Ok(FlakeSource { locked: reference.clone(), place: folder, inputs: file.inputs })
    }

    fn tree(&self, reference: &FlakeRef, registries: Registries) -> Res<(FlakeRef, String)> {
        let source = reference.clone().with_dir("");
        let tree = self.ev.fetch_source(&source, registries, false, 0)?;
        Ok((tree.source.clone().with_dir(reference.dir()), tree.store_path.clone()))
    }

    fn tree_below(&self, place: &String, reference: &FlakeRef) -> Res<String> {
        Ok(folder_below(place, reference.text("path").unwrap_or_default()))
    }

    fn lock_file(&self, place: &String) -> Res<LockFile> {
        let path = format!("{place}/flake.lock");
        if self.ev.world.link_kind(path.as_bytes()).is_err() {
            return Ok(LockFile::default());
        }
        let shown = self.ev.world.shown(path.as_bytes());
        let shown = shown.unwrap_or_else(|| path.as_bytes().to_vec());
        let shown = String::from_utf8_lossy(&shown);
        let bytes = self.ev.read_file(path.as_bytes(), 0)?;
        self.parsed(&String::from_utf8_lossy(&bytes), &shown)
    }

    fn warn(&self, message: String) {
        (self.ev.warnings)(&format!("warning: {message}"));
    }

    fn error(&self, message: String) -> Failed {
        self.ev.fail(ErrorKind::Other, 0, message)
    }

    fn context(&self, failed: Failed, what: String) -> Failed {
        self.ev.trace(failed, 0, what)
    }
}
