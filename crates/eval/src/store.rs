//! What evaluation gives to the store: derivations and copied files. The paths follow from the
//! contents, so no store needs to be there.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::rc::Rc;

use cim_nix_model::{
    Derivation, DerivationHash, Hash, HashKind, Hasher, Method, NarWriter, References, TreeWriter,
    check_name,
};

use crate::code::Pos;
use crate::contexts::Element;
use crate::error::{ErrorKind, Failed, Res};
use crate::evaluator::Evaluator;
use crate::io::FileKind;
use crate::paths;
use crate::value::{Str, Value};
use crate::world::World;

/// What is known of a derivation that was made.
pub(crate) struct Known {
    pub(crate) hash: DerivationHash,
    /// The derivations it needs.
    pub(crate) derivations: Vec<Rc<str>>,
    /// The other paths it needs.
    pub(crate) sources: Vec<Rc<str>>,
    /// Its outputs with their paths, as far as these are known before it is built.
    pub(crate) outputs: BTreeMap<String, Option<Box<str>>>,
}

fn outputs_of(derivation: &Derivation) -> BTreeMap<String, Option<Box<str>>> {
    let outputs = derivation.outputs.iter();
    outputs.map(|(name, output)| (name.clone(), output.path().map(Into::into))).collect()
}

/// Which files of a tree count: path and kind.
pub(crate) type Filter<'f> = &'f dyn Fn(&[u8], FileKind) -> Res<bool>;

/// Deeper trees are refused, so that links to folders above cannot make them endless.
const MAX_TREE_DEPTH: usize = 512;

impl Evaluator {
    /// The store path of a file tree, as the contents of `"${./path}"`.
    pub(crate) fn copy_to_store(&self, path: &[u8], position: Pos) -> Res<Str> {
        if let Some(&known) = self.copied.borrow().get(path) {
            return Ok(known);
        }
        if path.ends_with(b".drv") {
            let message = "file names are not allowed to end in '.drv'";
            return Err(self.fail(ErrorKind::Other, position, message));
        }
        let name = String::from_utf8_lossy(paths::base_name(path)).into_owned();
        let store_path = self.add_tree(path, &name, None, 0)?;
        let text = self.store_string(&store_path);
        self.copied.borrow_mut().insert(path.to_vec(), text);
        Ok(text)
    }

    /// A store path as a string that refers to itself.
    pub(crate) fn store_string(&self, path: &str) -> Str {
        let context = self.contexts.one(Element::Path(path.into()));
        self.heap.string_with(path.as_bytes(), context)
    }

    /// Adds a file tree to the store.
    pub(crate) fn add_tree(
        &self,
        path: &[u8],
        name: &str,
        filter: Option<Filter<'_>>,
        position: Pos,
    ) -> Res<String> {
        let tree = Tree::new(self, filter);
        let mut hasher = Hasher::new(HashKind::Sha256);
        self.tree_result(tree.archive(path, &mut hasher), path, position)?;
        let hash = hasher.finish();
        let store_path = self.store.fixed_path(name, Method::Nar, &hash, &References::new());
        self.check_path_name(&store_path, name, position)?;
        self.keep_tree(&tree, path, &store_path, position)?;
        Ok(store_path)
    }

    fn keep_tree(&self, tree: &Tree<'_>, path: &[u8], store_path: &str, position: Pos) -> Res<()> {
        let written = self.world.io().add_tree(store_path, &mut |out| {
            tree.write(path, out).map_err(|failure| match failure {
                TreeFailure::Io(_, error) => error,
                TreeFailure::Evaluation => io::Error::other("evaluation failed"),
            })
        });
        let written = written.map_err(|error| TreeFailure::Io(path.to_vec(), error));
        self.tree_result(written, path, position)
    }

    /// Adds a file tree to the store whose store path is known.
    pub(crate) fn keep_source(&self, path: &[u8], store_path: &str, position: Pos) -> Res<()> {
        let tree = Tree::new(self, None);
        self.keep_tree(&tree, path, store_path, position)
    }

    /// The hash of a file tree's archive.
    pub(crate) fn tree_hash(
        &self,
        path: &[u8],
        filter: Option<Filter<'_>>,
        position: Pos,
    ) -> Res<Hash> {
        let tree = Tree::new(self, filter);
        let mut hasher = Hasher::new(HashKind::Sha256);
        self.tree_result(tree.archive(path, &mut hasher), path, position)?;
        Ok(hasher.finish())
    }

    fn tree_result(&self, result: Result<(), TreeFailure>, _path: &[u8], position: Pos) -> Res<()> {
        result.map_err(|failure| match failure {
            TreeFailure::Io(path, error) => self.io_error(&path, &error, position),
            TreeFailure::Evaluation => Failed,
        })
    }

    /// The bytes of one file as they are hashed by [`Method::Flat`].
    pub(crate) fn flat_hash(&self, path: &[u8], position: Pos) -> Res<Hash> {
        let bytes = self.read_file(path, position)?;
        Ok(Hash::of(HashKind::Sha256, &bytes))
    }

    /// Refuses a name in a store path that was computed with it.
    pub(crate) fn check_path_name(&self, path: &str, name: &str, position: Pos) -> Res<()> {
        check_name(name).map_err(|error| {
            let base = path.strip_prefix(self.settings.store_dir.as_str()).unwrap_or(path);
            let base = base.trim_start_matches('/');
            let message = format!("path '{base}' is not a valid store path: {error}");
            self.fail(ErrorKind::Other, position, message)
        })
    }

    /// Adds a text to the store.
    pub(crate) fn add_text(
        &self,
        name: &str,
        text: &[u8],
        references: &References,
        position: Pos,
    ) -> Res<String> {
        let hash = Hash::of(HashKind::Sha256, text);
        let path = self.store.text_path(name, &hash, references);
        self.check_path_name(&path, name, position)?;
        let written = self.world.io().add_text(&path, text, references);
        written.map_err(|error| self.io_error(path.as_bytes(), &error, position))?;
        Ok(path)
    }

    /// Adds a derivation to the store and remembers what others need to know of it.
    pub(crate) fn add_derivation(
        &self,
        derivation: &Derivation,
        name: &str,
        position: Pos,
    ) -> Res<Rc<str>> {
        let (path, text) = derivation.path(&self.store, name);
        let path: Rc<str> = path.into();
        if self.derivations.borrow().contains_key(&path) {
            return Ok(path);
        }
        let written = self.world.io().add_text(&path, &text, &derivation.references());
        written.map_err(|error| self.io_error(path.as_bytes(), &error, position))?;
        let hash = self.hash_modulo(derivation, false, position)?;
        let known = Known {
            hash,
            derivations: derivation
                .input_derivations
                .keys()
                .map(|path| path.as_str().into())
                .collect(),
            sources: derivation.input_sources.iter().map(|path| path.as_str().into()).collect(),
            outputs: outputs_of(derivation),
        };
        self.derivations.borrow_mut().insert(path.clone(), Rc::new(known));
        Ok(path)
    }

    pub(crate) fn hash_modulo(
        &self,
        derivation: &Derivation,
        is_masked: bool,
        position: Pos,
    ) -> Res<DerivationHash> {
        derivation
            .hash_modulo(is_masked, |path| Ok(self.known_derivation(path, position)?.hash.clone()))
    }

    /// A derivation that was made here or lies in the store.
    pub(crate) fn known_derivation(&self, path: &str, position: Pos) -> Res<Rc<Known>> {
        if let Some(known) = self.derivations.borrow().get(path) {
            return Ok(known.clone());
        }
        let invalid = || self.fail(ErrorKind::Io, position, format!("path '{path}' is not valid"));
        let text = self.world.read(path.as_bytes()).map_err(|_| invalid())?;
        let derivation = Derivation::from_aterm(&text).map_err(|error| {
            let message = format!("error parsing derivation '{path}': {error}");
            self.fail(ErrorKind::Other, position, message)
        })?;
        // Its inputs may be on the disk only as well; derivations do not nest deeper than stores.
        if self.stack.push(0).is_none() {
            return Err(self.too_deep());
        }
        let hash = self.hash_modulo(&derivation, false, position)?;
        let known = Rc::new(Known {
            hash,
            derivations: derivation
                .input_derivations
                .keys()
                .map(|path| path.as_str().into())
                .collect(),
            sources: derivation.input_sources.iter().map(|path| path.as_str().into()).collect(),
            outputs: outputs_of(&derivation),
        });
        self.derivations.borrow_mut().insert(path.into(), known.clone());
        Ok(known)
    }

    /// Adds what a context refers to, to what a derivation needs.
    pub(crate) fn add_inputs(
        &self,
        derivation: &mut Derivation,
        context: u32,
        position: Pos,
    ) -> Res<()> {
        for element in &*self.contexts.get(context) {
            match element {
                Element::Path(path) => {
                    derivation.input_sources.insert(path.to_string());
                }
                Element::Output { derivation: path, output } => {
                    let outputs = derivation.input_derivations.entry(path.to_string()).or_default();
                    outputs.insert(output.to_string());
                }
                Element::Deep(path) => self.add_closure(derivation, path, position)?,
            }
        }
        Ok(())
    }

    /// Adds everything that a derivation needs, itself included.
    fn add_closure(&self, derivation: &mut Derivation, path: &Rc<str>, position: Pos) -> Res<()> {
        let mut seen = BTreeSet::from([path.clone()]);
        let mut todo = VecDeque::from([path.clone()]);
        while let Some(path) = todo.pop_front() {
            let known = self.known_derivation(&path, position)?;
            derivation.input_sources.insert(path.to_string());
            derivation.input_sources.extend(known.sources.iter().map(|source| source.to_string()));
            let outputs = known.outputs.keys().cloned().collect();
            derivation.input_derivations.insert(path.to_string(), outputs);
            for input in &known.derivations {
                if seen.insert(input.clone()) {
                    todo.push_back(input.clone());
                }
            }
        }
        Ok(())
    }

    /// An output's path, or what stands for it, as a string that refers to the output.
    pub(crate) fn output_string(&self, derivation: &Rc<str>, output: &str, path: &str) -> Value {
        let element = Element::Output { derivation: derivation.clone(), output: output.into() };
        let context = self.contexts.one(element);
        self.heap.string_with(path.as_bytes(), context).value()
    }
}

enum TreeFailure {
    Io(Vec<u8>, io::Error),
    Evaluation,
}

/// A file tree that is written as an archive.
struct Tree<'t> {
    ev: &'t Evaluator,
    filter: Option<Filter<'t>>,
    /// For the bytes of one file after the other.
    buffer: RefCell<Vec<u8>>,
    /// What the filter has said, in the order in which it was asked: a tree that is hashed first and
    /// then written must not ask twice.
    verdicts: RefCell<Vec<bool>>,
    /// How many of them were used again.
    n_reused: Cell<usize>,
}

impl<'t> Tree<'t> {
    fn new(ev: &'t Evaluator, filter: Option<Filter<'t>>) -> Self {
        Self {
            ev,
            filter,
            buffer: RefCell::default(),
            verdicts: RefCell::default(),
            n_reused: Cell::new(0),
        }
    }

    fn archive(&self, path: &[u8], out: impl io::Write) -> Result<(), TreeFailure> {
        let mut nar = NarWriter::new(out).map_err(|error| TreeFailure::Io(path.to_vec(), error))?;
        self.write(path, &mut nar)
    }

    fn write(&self, path: &[u8], out: &mut dyn TreeWriter) -> Result<(), TreeFailure> {
        self.n_reused.set(0);
        self.node(path, None, out, 0)
    }

    fn world(&self) -> &World {
        &self.ev.world
    }

    /// Whether a file or folder is part of the tree.
    fn counts(&self, path: &[u8], kind: FileKind) -> Result<bool, TreeFailure> {
        let Some(filter) = self.filter else { return Ok(true) };
        let n = self.n_reused.get();
        if let Some(&known) = self.verdicts.borrow().get(n) {
            self.n_reused.set(n + 1);
            return Ok(known);
        }
        let verdict = filter(path, kind).map_err(|Failed| TreeFailure::Evaluation)?;
        self.verdicts.borrow_mut().push(verdict);
        self.n_reused.set(n + 1);
        Ok(verdict)
    }

    fn node(
        &self,
        path: &[u8],
        kind: Option<FileKind>,
        nar: &mut dyn TreeWriter,
        depth: usize,
    ) -> Result<(), TreeFailure> {
        let failed = |error| TreeFailure::Io(path.to_vec(), error);
        if depth > MAX_TREE_DEPTH {
            return Err(failed(io::Error::other("the folders are nested too deeply")));
        }
        let kind = match kind {
            Some(kind) => kind,
            None => self.world().link_kind(path).map_err(failed)?,
        };
        match kind {
            FileKind::Regular => {
                let mut buffer = self.buffer.borrow_mut();
                let (is_executable, n) =
                    self.world().read_for_archive(path, &mut buffer).map_err(failed)?;
                nar.file(is_executable, &buffer[..n]).map_err(failed)
            }
            FileKind::Symlink => {
                let target = self.world().link_target(path).map_err(failed)?;
                nar.symlink(target.as_os_str().as_encoded_bytes()).map_err(failed)
            }
            FileKind::Directory => {
                nar.open().map_err(failed)?;
                for (name, kind) in &*self.world().list(path).map_err(failed)? {
                    let path = [path, b"/", name].concat();
                    if !self.counts(&path, *kind)? {
                        continue;
                    }
                    nar.entry(name).map_err(failed)?;
                    self.node(&path, Some(*kind), nar, depth + 1)?;
                    nar.end_entry().map_err(failed)?;
                }
                nar.close().map_err(failed)
            }
            FileKind::Unknown => Err(failed(io::Error::other("the file has an unsupported type"))),
        }
    }
}
