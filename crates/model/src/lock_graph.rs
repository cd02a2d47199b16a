//! Computing lock files: which sources a flake's inputs lead to, and those of its inputs.
//!
//! What must be fetched or read is asked for through [`FlakeSources`], so the same computation
//! serves evaluation, which keeps the result in memory, and whoever writes lock files.

use std::collections::{BTreeMap, BTreeSet};

use crate::lock_file::{Edge, InputPath, LockFile, LockedInput, NodeId, show_input_path};
use crate::{FlakeRef, RefAttr, RefAttrs};

/// How deeply inputs may nest. Flakes that people write stay below ten.
const MAX_DEPTH: usize = 100;
/// How many inputs there may be altogether.
const MAX_NODES: usize = 100_000;

/// An input as a flake declares it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlakeInput {
    /// Where it comes from, if that is said.
    pub reference: Option<FlakeRef>,
    /// Whether it is a flake and not a plain tree.
    pub is_flake: bool,
    /// The input that it is the same as, from the flake that says so.
    pub follows: Option<InputPath>,
    /// What becomes of its own inputs.
    pub inputs: FlakeInputs,
}

impl Default for FlakeInput {
    fn default() -> Self {
        Self { reference: None, is_flake: true, follows: None, inputs: FlakeInputs::new() }
    }
}

/// The inputs of a flake by name.
pub type FlakeInputs = BTreeMap<String, FlakeInput>;

/// Which registries may tell what a name such as `nixpkgs` stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Registries {
    /// All.
    All,
    /// Those that are the same for everybody, and what was given for this run: not the user's and
    /// not the system's, since a lock file must not depend on them.
    Common,
    /// None.
    None,
}

/// A flake that was fetched and read.
#[derive(Clone, Debug)]
pub struct FlakeSource<P> {
    /// The version that was found.
    pub locked: FlakeRef,
    /// Where its folder lies.
    pub place: P,
    /// What it declares.
    pub inputs: FlakeInputs,
}

/// What computing locks asks the world for.
pub trait FlakeSources {
    /// The folder of a flake or the top of a tree.
    type Place: Clone;
    /// Why something is not to be had.
    type Error;

    /// Fetches and reads a flake.
    fn flake(
        &self,
        reference: &FlakeRef,
        registries: Registries,
    ) -> Result<FlakeSource<Self::Place>, Self::Error>;
    /// Reads the flake that a relative reference means, from a flake's folder.
    fn flake_below(
        &self,
        place: &Self::Place,
        reference: &FlakeRef,
    ) -> Result<FlakeSource<Self::Place>, Self::Error>;
    /// Fetches a tree.
    fn tree(
        &self,
        reference: &FlakeRef,
        registries: Registries,
    ) -> Result<(FlakeRef, Self::Place), Self::Error>;
    /// The tree that a relative reference means, from a flake's folder.
    fn tree_below(
        &self,
        place: &Self::Place,
        reference: &FlakeRef,
    ) -> Result<Self::Place, Self::Error>;
    /// The lock file of a flake; an empty one if it has none.
    fn lock_file(&self, place: &Self::Place) -> Result<LockFile, Self::Error>;
    /// Tells people.
    fn warn(&self, message: String);
    /// A failure.
    fn error(&self, message: String) -> Self::Error;
    /// A failure with what was being done.
    fn context(&self, error: Self::Error, what: String) -> Self::Error;
}

/// How to compute locks.
#[derive(Clone, Debug)]
pub struct LockOptions {
    /// Inputs that come from elsewhere than the flake and its lock file say.
    pub overrides: BTreeMap<InputPath, FlakeRef>,
    /// Inputs whose locks do not count.
    pub updates: BTreeSet<InputPath>,
    /// Whether no lock counts.
    pub is_anew: bool,
    /// Whether inputs may be locked that name no fixed version.
    pub locks_anything: bool,
    /// Whether names may be looked up in registries.
    pub uses_registries: bool,
    /// How many inputs there may be altogether.
    pub max_nodes: usize,
}

impl Default for LockOptions {
    fn default() -> Self {
        Self {
            overrides: BTreeMap::new(),
            updates: BTreeSet::new(),
            is_anew: false,
            locks_anything: true,
            uses_registries: true,
            max_nodes: MAX_NODES,
        }
    }
}

/// A lock file that was computed.
#[derive(Debug)]
pub struct Locked<P> {
    /// The lock file.
    pub file: LockFile,
    /// Where the sources lie that had to be fetched, the flake itself among them.
    pub places: BTreeMap<NodeId, P>,
}

/// Computes the lock file of a flake that lies at `place` and declares `inputs`, as Nix does: what
/// `old` has is kept as long as the flake still asks for the same.
///
/// Errors: a source cannot be had, or inputs do not fit together.
pub fn lock<S: FlakeSources>(
    sources: &S,
    place: &S::Place,
    inputs: &FlakeInputs,
    old: &LockFile,
    options: &LockOptions,
) -> Result<Locked<S::Place>, S::Error> {
    let locked = lock_unchecked(sources, place, inputs, old, options)?;
    locked.file.check().map_err(|error| sources.error(error.to_string()))?;
    Ok(locked)
}

/// The same without a look at whether what inputs follow is there: who cannot fetch cannot tell.
///
/// Errors: as [`lock`].
pub fn lock_unchecked<S: FlakeSources>(
    sources: &S,
    place: &S::Place,
    inputs: &FlakeInputs,
    old: &LockFile,
    options: &LockOptions,
) -> Result<Locked<S::Place>, S::Error> {
    let overrides = options.overrides.iter().map(|(path, reference)| {
        let input = FlakeInput { reference: Some(reference.clone()), ..FlakeInput::default() };
        (path.clone(), Override { input, place: place.clone(), parent: None })
    });
    let mut locker = Locker {
        sources,
        options,
        overrides: overrides.collect(),
        used: BTreeSet::new(),
        asked: BTreeSet::new(),
        above: Vec::new(),
        file: LockFile::default(),
        places: BTreeMap::from([(LockFile::ROOT, place.clone())]),
    };
    let visit = Visit {
        node: LockFile::ROOT,
        path: Vec::new(),
        old: (!options.is_anew).then_some((old, LockFile::ROOT)),
        follows_from: Vec::new(),
        place,
        trusts_lock: false,
    };
    locker.inputs(inputs, &visit)?;
    for (path, reference) in &options.overrides {
        if !locker.used.contains(path) {
            let path = show_input_path(path);
            sources.warn(format!(
                "the flag '--override-input {path} {reference}' does not match any input"
            ));
        }
    }
    for path in &options.updates {
        if !locker.asked.contains(path) {
            let path = show_input_path(path);
            sources.warn(format!("'{path}' does not match any input of this flake"));
        }
    }
    Ok(Locked { file: locker.file, places: locker.places })
}

/// What an input is instead of what its flake says.
#[derive(Clone)]
struct Override<P> {
    input: FlakeInput,
    /// The flake that says so: relative paths start there.
    place: P,
    /// The inputs that lead to that flake; nothing if the command line says so.
    parent: Option<InputPath>,
}

/// One flake on the way through the graph.
struct Visit<'l, P> {
    node: NodeId,
    /// The inputs that lead to it.
    path: InputPath,
    /// The node of an older lock file from which locks can be taken.
    old: Option<(&'l LockFile, NodeId)>,
    /// Where paths in that lock file start.
    follows_from: InputPath,
    place: &'l P,
    /// Whether the inputs are those of the lock file, not read from the flake.
    trusts_lock: bool,
}

struct Locker<'s, S: FlakeSources> {
    sources: &'s S,
    options: &'s LockOptions,
    overrides: BTreeMap<InputPath, Override<S::Place>>,
    /// The overrides that met an input.
    used: BTreeSet<InputPath>,
    /// All inputs that there are.
    asked: BTreeSet<InputPath>,
    /// The references of the flakes that are being locked.
    above: Vec<FlakeRef>,
    file: LockFile,
    places: BTreeMap<NodeId, S::Place>,
}

/// An input with all that is decided about it.
struct Wanted<P> {
    /// As the flake says, maybe overridden.
    reference: FlakeRef,
    /// What the lock file has as `original`.
    original: FlakeRef,
    is_flake: bool,
    /// Where a relative path starts.
    place: P,
    parent: Option<InputPath>,
    registries: Registries,
}

impl<S: FlakeSources> Locker<'_, S> {
    /// Locks the inputs of one flake, and theirs.
    fn inputs(
        &mut self,
        inputs: &FlakeInputs,
        visit: &Visit<'_, S::Place>,
    ) -> Result<(), S::Error> {
        for (name, input) in inputs {
            self.add_overrides(input, &below(&visit.path, name), visit);
        }
        let mine = self.overrides.range(visit.path.clone()..);
        for (path, _) in mine.take_while(|(path, _)| path.starts_with(&visit.path)) {
            let Some(name) = path.get(visit.path.len()) else { continue };
            if path.len() == visit.path.len() + 1 && !inputs.contains_key(name) {
                let parent = show_input_path(&visit.path);
                self.sources.warn(format!(
                    "input '{parent}' has an override for a non-existent input '{name}'"
                ));
            }
        }
        for (name, input) in inputs {
            let path = below(&visit.path, name);
            let shown = show_input_path(&path);
            if path.len() > MAX_DEPTH || self.file.len() > self.options.max_nodes {
                let message =
                    format!("the inputs of the flake are too many or too deep at '{shown}'");
                return Err(self.sources.error(message));
            }
            self.input(name, input, path, visit).map_err(|error| {
                let what = format!("while updating the flake input '{shown}'");
                self.sources.context(error, what)
            })?;
        }
        Ok(())
    }

    /// Remembers what a flake says of the inputs of its inputs; who came first, wins.
    fn add_overrides(&mut self, input: &FlakeInput, path: &[String], visit: &Visit<'_, S::Place>) {
        // What is deeper is refused when the inputs above it are locked.
        if path.len() > MAX_DEPTH {
            return;
        }
        for (name, input) in &input.inputs {
            let path = below(path, name);
            if input.reference.is_some() || input.follows.is_some() {
                self.overrides.entry(path.clone()).or_insert_with(|| Override {
                    input: input.clone(),
                    place: visit.place.clone(),
                    parent: Some(visit.path.clone()),
                });
            }
            self.add_overrides(input, &path, visit);
        }
    }

    fn input(
        &mut self,
        name: &str,
        declared: &FlakeInput,
        path: InputPath,
        visit: &Visit<'_, S::Place>,
    ) -> Result<(), S::Error> {
        let is_given = self.options.overrides.contains_key(&path);
        let replaced = self.overrides.get(&path).cloned();
        if replaced.is_some() {
            self.used.insert(path.clone());
        }
        let (input, place, parent) = match &replaced {
            Some(by) => (&by.input, by.place.clone(), by.parent.clone()),
            None => (declared, visit.place.clone(), Some(visit.path.clone())),
        };
        if let Some(target) = &input.follows {
            self.file.set_input(visit.node, name, Edge::Follows(target.clone()));
            return Ok(());
        }
        let reference = input.reference.clone().unwrap_or_else(|| indirect(name));
        self.asked.insert(path.clone());
        let registries = match self.options.uses_registries {
            false => Registries::None,
            true if is_given => Registries::All,
            true => Registries::Common,
        };
        let wanted = Wanted {
            parent: if reference.is_relative() { parent } else { None },
            // What was given for one run is not what the flake asks for.
            original: match &declared.reference {
                Some(declared) if is_given => declared.clone(),
                _ => reference.clone(),
            },
            reference,
            is_flake: declared.is_flake,
            place,
            registries,
        };
        if let Some((file, old)) = visit.old
            && !self.options.updates.contains(&path)
            && !is_given
            && let Some(Edge::Node(kept)) = file.inputs(old).get(name)
            && let Some(lock) = file.input(*kept)
            && lock.original.canonical() == wanted.reference.canonical()
            && lock.parent == wanted.parent
        {
            return self.keep(name, path, &wanted, (file, *kept, lock), visit);
        }
        self.create(name, path, wanted, visit)
    }

    /// Takes an input from the older lock file. Its flake is fetched only if it has to be read.
    fn keep(
        &mut self,
        name: &str,
        path: InputPath,
        wanted: &Wanted<S::Place>,
        (old, kept, lock): (&LockFile, NodeId, &LockedInput),
        visit: &Visit<'_, S::Place>,
    ) -> Result<(), S::Error> {
        let child = self.file.add(lock.clone());
        self.file.set_input(visit.node, name, Edge::Node(child));
        let is_above = |update: &InputPath| update.len() > path.len() && update.starts_with(&path);
        let mut inputs = FlakeInputs::new();
        let mut must_read = self.options.updates.iter().any(is_above);
        for (name, edge) in old.inputs(kept) {
            if must_read {
                break;
            }
            let input = match edge {
                Edge::Node(id) => {
                    let Some(input) = old.input(*id) else { continue };
                    FlakeInput {
                        reference: Some(input.original.clone()),
                        is_flake: input.is_flake,
                        ..FlakeInput::default()
                    }
                }
                Edge::Follows(target) => {
                    // If nobody says so any more, only the flake itself knows what its input is.
                    must_read =
                        !visit.trusts_lock && !self.overrides.contains_key(&below(&path, name));
                    let target = [&visit.follows_from[..], target].concat();
                    FlakeInput { follows: Some(target), ..FlakeInput::default() }
                }
            };
            inputs.insert(name.clone(), input);
        }
        let mut place = visit.place.clone();
        if must_read {
            let flake = match wanted.reference.is_relative() {
                true => self.sources.flake_below(&wanted.place, &lock.locked)?,
                false => self.sources.flake(&lock.locked, self.common_registries())?,
            };
            self.places.insert(child, flake.place.clone());
            inputs = follows_from(flake.inputs, &path);
            place = flake.place;
        }
        let visit = Visit {
            node: child,
            path,
            old: Some((old, kept)),
            follows_from: visit.follows_from.clone(),
            place: &place,
            trusts_lock: !must_read,
        };
        self.inputs(&inputs, &visit)
    }

    fn common_registries(&self) -> Registries {
        if self.options.uses_registries { Registries::Common } else { Registries::None }
    }

    /// Locks an input to what its reference leads to now.
    fn create(
        &mut self,
        name: &str,
        path: InputPath,
        wanted: Wanted<S::Place>,
        visit: &Visit<'_, S::Place>,
    ) -> Result<(), S::Error> {
        let Wanted { reference, original, is_flake, place, parent, registries } = wanted;
        let is_relative = reference.is_relative();
        if !self.options.locks_anything && !reference.is_locked() && !is_relative {
            let path = show_input_path(&path);
            let message = format!("cannot update unlocked flake input '{path}' in pure mode");
            return Err(self.sources.error(message));
        }
        if !is_flake {
            let (mut locked, place) = match is_relative {
                true => (reference.clone(), self.sources.tree_below(&place, &reference)?),
                false => self.sources.tree(&reference, self.common_registries())?,
            };
            if !is_relative {
                locked.set_final();
            }
            let child = self.file.add(LockedInput { locked, original, is_flake, parent });
            self.places.insert(child, place);
            self.file.set_input(visit.node, name, Edge::Node(child));
            return Ok(());
        }
        let flake = match is_relative {
            true => self.sources.flake_below(&place, &reference)?,
            false => self.sources.flake(&reference, registries)?,
        };
        let mut locked = flake.locked.clone();
        if !is_relative {
            locked.set_final();
        }
        let child = self.file.add(LockedInput { locked, original, is_flake, parent });
        self.file.set_input(visit.node, name, Edge::Node(child));
        if self.above.contains(&reference) {
            let message = format!("found circular import of flake '{reference}'");
            return Err(self.sources.error(message));
        }
        self.above.push(reference);
        self.places.insert(child, flake.place.clone());
        let old = self.sources.lock_file(&flake.place)?;
        let inputs = follows_from(flake.inputs, &path);
        let visit = Visit {
            node: child,
            follows_from: path.clone(),
            path,
            old: Some((&old, LockFile::ROOT)),
            place: &flake.place,
            trusts_lock: false,
        };
        let result = self.inputs(&inputs, &visit);
        self.above.pop();
        result
    }
}

fn below(path: &[String], name: &str) -> InputPath {
    let mut path = path.to_vec();
    path.push(name.to_owned());
    path
}

fn indirect(name: &str) -> FlakeRef {
    let attrs: RefAttrs = [("type", "indirect"), ("id", name)]
        .map(|(name, value)| (name.to_owned(), RefAttr::Text(value.to_owned())))
        .into();
    // A name that is no id leads to no registry's entry, and the message says so.
    FlakeRef::of_known_kind(attrs)
}

/// The inputs of a flake with what they follow told from the root.
fn follows_from(inputs: FlakeInputs, path: &[String]) -> FlakeInputs {
    let from_root = |mut input: FlakeInput| {
        input.follows = input.follows.map(|target| [path, &target].concat());
        input.inputs = follows_from(input.inputs, path);
        input
    };
    inputs.into_iter().map(|(name, input)| (name, from_root(input))).collect()
}

#[cfg(test)]
mod tests;
