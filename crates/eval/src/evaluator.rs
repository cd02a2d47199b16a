//! The evaluator: everything that one evaluation has in common.

use std::cell::{Cell, OnceCell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use cim_nix_base::LineIndex;
use cim_nix_model::StoreDir;
use cim_nix_semantics::Lowerer;
use cim_nix_syntax::Parser;
use rustc_hash::FxHashMap;

use crate::attrs::{Attrs, Layouts};
use crate::builtins;
use crate::code::{Code, Pos};
use crate::contexts::Contexts;
use crate::error::{ErrorKind, EvalError, Failed, Failure, Frame, Place, Res, Step, Weight};
use crate::heap::Heap;
use crate::io::{FileKind, Io};
use crate::load::Lints;
use crate::parses::{Parsed, SharedParses};
use crate::paths;
use crate::regex::Regex;
use crate::stack::Stack;
use crate::store::Known;
use crate::symbols::{Symbol, Symbols, known};
use crate::value::{Kind, Str, Value};
use crate::world::World;

/// The one file that Nix itself provides.
pub(crate) const INTERNAL_FETCHURL: &[u8] = b"<nix/fetchurl.nix>";

/// The file behind `derivation`.
const INTERNAL_DERIVATION: &str = "«nix-internal»/derivation-internal.nix";

/// What an evaluation may do and how much it may take.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The search path: prefix and folder, in order.
    pub search_path: Vec<(String, String)>,
    /// Where `~` leads.
    pub home: String,
    /// What relative paths of the search path start from.
    pub folder: String,
    /// Bytes of memory for values.
    pub max_memory: usize,
    /// About how many calls there may be.
    pub max_calls: u64,
    /// Stops evaluation from outside.
    pub interrupt: Interrupt,
    /// How deeply calls may nest.
    pub max_call_depth: u32,
    /// What becomes of literals that are legal, but discouraged.
    pub lints: Lints,
    /// Experimental features that are on.
    pub features: Vec<String>,
    /// The system that `builtins.currentSystem` names.
    pub system: String,
    /// The store's folder.
    pub store_dir: String,
    /// Whether nothing that may change counts: only fetched sources, no environment, no clock.
    pub is_pure: bool,
    /// Seconds since 1970 for `builtins.currentTime`.
    pub current_time: i64,
    /// Parsed files that other evaluations use, too.
    pub parses: Option<SharedParses>,
}

/// A flag that another thread sets to stop an evaluation.
#[derive(Clone, Default, Debug)]
pub struct Interrupt(Arc<AtomicU8>);

/// Why an evaluation is stopped from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// Its time is over.
    Timeout,
    /// Somebody wants it to end.
    User,
}

impl Interrupt {
    /// Stops the evaluation soon.
    pub fn set(&self, why: Stop) {
        self.0.store(if why == Stop::Timeout { 1 } else { 2 }, Ordering::Relaxed);
    }

    /// Lets evaluation go on.
    pub fn clear(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Why evaluations are to stop, if they are.
    #[must_use]
    pub fn get(&self) -> Option<Stop> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Stop::Timeout),
            _ => Some(Stop::User),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            search_path: Vec::new(),
            home: "/homeless-shelter".to_owned(),
            folder: "/".to_owned(),
            max_memory: usize::MAX,
            max_calls: u64::MAX,
            interrupt: Interrupt::default(),
            max_call_depth: 10_000,
            lints: Lints::default(),
            features: Vec::new(),
            system: "x86_64-linux".to_owned(),
            store_dir: "/nix/store".to_owned(),
            is_pure: false,
            current_time: 0,
            parses: None,
        }
    }
}

/// A text that was parsed.
pub(crate) struct SourceText {
    pub(crate) base: Pos,
    pub(crate) origin: Rc<str>,
    /// The file, if it is one; `origin` is how people know it.
    pub(crate) file: Option<Rc<[u8]>>,
    pub(crate) text: Kept,
    /// Where its lines begin, once somebody asked.
    pub(crate) lines: OnceCell<LineIndex>,
}

/// Where something stands in a text.
pub(crate) struct Spot {
    /// The file, if the text is one.
    pub(crate) file: Option<Rc<[u8]>>,
    /// From 1 on.
    pub(crate) line: u32,
    /// From 1 on.
    pub(crate) column: u32,
}

/// A text that is one's own, or one of a file that others use, too.
pub(crate) enum Kept {
    Own(Box<str>),
    Shared(Arc<Parsed>),
}

impl SourceText {
    fn text(&self) -> &str {
        match &self.text {
            Kept::Own(text) => text,
            Kept::Shared(parsed) => parsed.parse.tree.text(),
        }
    }

    fn lines(&self) -> &LineIndex {
        self.lines.get_or_init(|| LineIndex::new(self.text()))
    }
}

/// One evaluation: its values, its code and what it has read.
pub(crate) struct Evaluator {
    pub(crate) heap: Heap,
    pub(crate) symbols: Symbols,
    pub(crate) layouts: Layouts,
    pub(crate) contexts: Contexts,
    pub(crate) stack: Stack,
    pub(crate) settings: Settings,
    pub(crate) world: World,
    pub(crate) builtins: Cell<Value>,
    pub(crate) nix_path: Cell<Value>,
    /// Entries of search paths that were said not to exist.
    pub(crate) missing_entries: RefCell<std::collections::BTreeSet<String>>,
    pub(crate) warnings: Box<dyn Fn(&str)>,
    pub(crate) parser: RefCell<Parser>,
    pub(crate) lowerer: RefCell<Lowerer>,
    pub(crate) sources: RefCell<Vec<SourceText>>,
    pub(crate) next_position: Cell<Pos>,
    failure: RefCell<Option<Box<Failure>>>,
    imports: RefCell<FxHashMap<Vec<u8>, Value>>,
    pub(crate) depth: Cell<u32>,
    /// Calls until the next look at the clock and the memory.
    pub(crate) steps: Cell<u32>,
    pub(crate) checkpoints: Cell<u64>,
    /// Code that calls its first capture with the others, for one and for two arguments.
    /// A thunk that fails with the failure that is on its way.
    pub(crate) failed: Cell<Value>,
    pub(crate) apply_codes: [Cell<Option<&'static Code>>; 2],
    pub(crate) store: StoreDir,
    /// What is known of the derivations that were made.
    pub(crate) derivations: RefCell<FxHashMap<Rc<str>, Rc<Known>>>,
    /// Paths that were copied to the store.
    pub(crate) copied: RefCell<FxHashMap<Vec<u8>, Str>>,
    derivation_function: Cell<Option<Value>>,
    /// What names stand for in this evaluation alone.
    pub(crate) registry: RefCell<cim_nix_model::Registry>,
    /// Sources that were fetched.
    pub(crate) fetched: RefCell<FxHashMap<String, Rc<crate::fetching::Tree>>>,
    pub(crate) regexes: RefCell<FxHashMap<Vec<u8>, Rc<Regex>>>,
}

impl Evaluator {
    pub(crate) fn new(settings: Settings, io: Box<dyn Io>, warn: Box<dyn Fn(&str)>) -> Self {
        let heap = Heap::new(settings.max_memory);
        let symbols = Symbols::new(&heap);
        let store = StoreDir::new(settings.store_dir.clone());
        let world = World::new(io, &settings.store_dir, settings.is_pure);
        let ev = Self {
            heap,
            symbols,
            layouts: Layouts::new(),
            contexts: Contexts::new(),
            stack: Stack::new(),
            settings,
            world,
            builtins: Cell::new(Value::NULL),
            nix_path: Cell::new(Value::NULL),
            missing_entries: RefCell::default(),
            warnings: warn,
            parser: RefCell::default(),
            lowerer: RefCell::default(),
            sources: RefCell::default(),
            next_position: Cell::new(1),
            failure: RefCell::default(),
            imports: RefCell::default(),
            depth: Cell::new(0),
            steps: Cell::new(0),
            checkpoints: Cell::new(0),
            failed: Cell::new(Value::NULL),
            apply_codes: [const { Cell::new(None) }; 2],
            store,
            derivations: RefCell::default(),
            copied: RefCell::default(),
            derivation_function: Cell::new(None),
            registry: RefCell::default(),
            fetched: RefCell::default(),
            regexes: RefCell::default(),
        };
        builtins::set_up(&ev);
        ev
    }

    pub(crate) fn symbol(&self, text: &[u8]) -> Symbol {
        self.symbols.intern(&self.heap, text)
    }

    /// The text of a name, for messages.
    pub(crate) fn name(&self, symbol: Symbol) -> String {
        String::from_utf8_lossy(self.symbols.text(symbol)).into_owned()
    }

    pub(crate) fn home(&self) -> Vec<u8> {
        self.settings.home.as_bytes().to_vec()
    }

    pub(crate) fn path(&self, text: &[u8]) -> Value {
        self.heap.path(self.heap.string_with(text, 0))
    }

    pub(crate) fn empty_attrs(&self) -> Value {
        self.layouts.empty(&self.heap).value()
    }

    pub(crate) fn attrs(&self, attrs: &mut [(Symbol, Pos, Value)]) -> Value {
        self.layouts.set(&self.heap, attrs).value()
    }

    /// What a name of the base environment is bound to.
    pub(crate) fn global(&self, name: &str) -> Option<Value> {
        let features: Vec<&str> = self.settings.features.iter().map(String::as_str).collect();
        let global = cim_nix_semantics::builtins::global_with(name, &features)?;
        if global.builtin.name == "builtins" {
            return Some(self.builtins.get());
        }
        builtins::value_of(self, global.builtin.name)
    }

    /// Evaluates a file once.
    pub(crate) fn import(&self, path: &[u8], position: Pos) -> Res {
        let path = self.resolve_file(path);
        let value = self.imported(&path, position)?;
        self.force(value).map_err(|failed| self.in_file(failed, &path))
    }

    /// The same without a word about the file if it fails.
    pub(crate) fn import_silently(&self, path: &[u8], position: Pos) -> Res {
        let path = self.resolve_file(path);
        let value = self.imported(&path, position)?;
        self.force(value)
    }

    fn imported(&self, path: &[u8], position: Pos) -> Res {
        if let Some(&value) = self.imports.borrow().get(path) {
            return Ok(value);
        }
        let code = self.load_file(path, None, position)?;
        let value = self.heap.thunk(code).value();
        self.imports.borrow_mut().insert(path.to_vec(), value);
        Ok(value)
    }

    #[cold]
    pub(crate) fn in_file(&self, failed: Failed, path: &[u8]) -> Failed {
        let shown = self.world.shown(path);
        let shown = String::from_utf8_lossy(shown.as_deref().unwrap_or(path));
        self.trace(failed, 0, format!("while evaluating the file '{shown}':"))
    }

    /// Forgets files, copies and sources.
    pub(crate) fn forget_files(&self) {
        self.imports.borrow_mut().clear();
        self.copied.borrow_mut().clear();
        self.fetched.borrow_mut().clear();
        self.world.forget();
    }

    /// Evaluates a file with names in scope.
    pub(crate) fn import_scoped(&self, path: &[u8], scope: Attrs, position: Pos) -> Res {
        let path = self.resolve_file(path);
        let code = self.load_file(&path, Some(scope), position)?;
        self.force(self.heap.thunk(code).value())
    }

    /// The file that a path stands for: links in its last part are followed, and a folder stands
    /// for its `default.nix`. Links further up stay, as positions show them.
    fn resolve_file(&self, path: &[u8]) -> Vec<u8> {
        let mut path = path.to_vec();
        // The system gives up after 40, too.
        for _ in 0..64 {
            match self.world.link_kind(&path) {
                Ok(FileKind::Symlink) => {}
                Ok(FileKind::Directory) => return [&path[..], b"/default.nix"].concat(),
                _ => break,
            }
            let Ok(target) = self.world.link_target(&path) else { break };
            path = paths::join(paths::parent(&path), target.as_os_str().as_encoded_bytes());
        }
        path
    }

    /// A path with all links followed.
    pub(crate) fn resolve_links(&self, path: &[u8]) -> Vec<u8> {
        let mut done: Vec<u8> = Vec::with_capacity(path.len());
        let mut todo: Vec<Vec<u8>> = split_path(path);
        let mut follow = 0;
        while let Some(part) = todo.pop() {
            let here = [&done[..], b"/", &part].concat();
            let is_link = matches!(self.world.link_kind(&here), Ok(FileKind::Symlink));
            follow += usize::from(is_link);
            // The system gives up after 40, too.
            match self.world.link_target(&here) {
                Ok(target) if is_link && follow <= 64 => {
                    let target = paths::join(&done, target.as_os_str().as_encoded_bytes());
                    done.clear();
                    todo.extend(split_path(&target));
                }
                _ => done = here,
            }
        }
        if done.is_empty() { b"/".to_vec() } else { done }
    }

    pub(crate) fn read_file(&self, path: &[u8], position: Pos) -> Res<Vec<u8>> {
        if path == INTERNAL_FETCHURL {
            return Ok(include_bytes!("fetchurl.nix").to_vec());
        }
        let read = self.world.read_within(path, self.heap.room());
        read.map_err(|error| match error.kind() {
            std::io::ErrorKind::OutOfMemory => {
                let name = String::from_utf8_lossy(path);
                let message = format!(
                    "out of memory: the limit of `--max-memory` leaves no room for the file '{name}'"
                );
                self.fail(ErrorKind::Limit, position, message)
            }
            _ => self.io_error(path, &error, position),
        })
    }

    pub(crate) fn io_error(&self, path: &[u8], error: &std::io::Error, position: Pos) -> Failed {
        let name = String::from_utf8_lossy(path);
        let message = match error.kind() {
            // What the evaluation itself refuses says all there is to say.
            _ if error.get_ref().is_some() => error.to_string(),
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {
                match self.world.shown(path) {
                    // Trees of commits are no paths.
                    Some(shown) if shown.starts_with("«".as_bytes()) => {
                        format!("'{}' does not exist", String::from_utf8_lossy(&shown))
                    }
                    Some(shown) => {
                        format!("path '{}' does not exist", String::from_utf8_lossy(&shown))
                    }
                    None => format!("path '{name}' does not exist"),
                }
            }
            // Where Nix notices it.
            std::io::ErrorKind::IsADirectory => "read of 4096 bytes: Is a directory".to_owned(),
            _ => format!("reading path '{name}': {error}"),
        };
        self.fail(ErrorKind::Io, position, message)
    }

    /// The function behind `derivation`, which is written in Nix.
    pub(crate) fn derivation_function(&self) -> Res {
        if let Some(function) = self.derivation_function.get() {
            return Ok(function);
        }
        let text = include_str!("derivation.nix");
        let code = self.load_internal(text, "derivation-internal.nix")?;
        let function = self.force(self.heap.thunk(code).value())?;
        self.derivation_function.set(Some(function));
        Ok(function)
    }

    // Failures.

    /// Notes a failure.
    #[cold]
    pub(crate) fn fail(
        &self,
        kind: ErrorKind,
        position: Pos,
        message: impl Into<String>,
    ) -> Failed {
        let failure = Failure {
            kind,
            message: message.into(),
            position,
            trace: Vec::new(),
            suggestions: Vec::new(),
        };
        *self.failure.borrow_mut() = Some(Box::new(failure));
        Failed
    }

    /// A failure with names that may have been meant.
    #[cold]
    pub(crate) fn fail_suggesting(
        &self,
        kind: ErrorKind,
        position: Pos,
        message: String,
        suggestions: Vec<String>,
    ) -> Failed {
        let failed = self.fail(kind, position, message);
        if let Some(failure) = &mut *self.failure.borrow_mut() {
            failure.suggestions = suggestions;
        }
        failed
    }

    /// Says on the way to what the failure happened.
    #[cold]
    pub(crate) fn trace(&self, failed: Failed, position: Pos, text: impl Into<String>) -> Failed {
        self.add_step(failed, Step { position, text: text.into(), weight: Weight::Normal })
    }

    #[cold]
    pub(crate) fn detail(&self, failed: Failed, position: Pos, text: impl Into<String>) -> Failed {
        self.add_step(failed, Step { position, text: text.into(), weight: Weight::Detail })
    }

    /// A step that is always shown.
    #[cold]
    pub(crate) fn main_step(&self, failed: Failed, text: impl Into<String>) -> Failed {
        self.add_step(failed, Step { position: 0, text: text.into(), weight: Weight::Always })
    }

    fn add_step(&self, failed: Failed, step: Step) -> Failed {
        if let Some(failure) = &mut *self.failure.borrow_mut()
            && failure.trace.len() < 20_000
        {
            failure.trace.push(step);
        }
        failed
    }

    /// Gives a failure without a position one.
    #[cold]
    pub(crate) fn at(&self, failed: Failed, position: Pos) -> Failed {
        if let Some(failure) = &mut *self.failure.borrow_mut()
            && failure.position == 0
        {
            failure.position = position;
        }
        failed
    }

    /// The kind of the failure that is on its way.
    pub(crate) fn failure_kind(&self) -> ErrorKind {
        self.failure.borrow().as_ref().map_or(ErrorKind::Other, |failure| failure.kind)
    }

    /// Takes the failure, as owned data.
    pub(crate) fn take_error(&self) -> EvalError {
        let Some(failure) = self.failure.borrow_mut().take() else {
            return EvalError {
                kind: ErrorKind::Other,
                message: "evaluation failed".to_owned(),
                place: None,
                trace: Vec::new(),
                suggestions: Vec::new(),
            };
        };
        let frame = |step: &Step| Frame {
            text: step.text.clone(),
            place: self.place(step.position),
            weight: step.weight,
        };
        EvalError {
            kind: failure.kind,
            message: failure.message.clone(),
            place: self.place(failure.position),
            trace: failure.trace.iter().rev().map(frame).collect(),
            suggestions: failure.suggestions.clone(),
        }
    }

    /// Sets the failure aside while something else is evaluated.
    pub(crate) fn hold_failure(&self) -> Option<Box<Failure>> {
        self.failure.borrow_mut().take()
    }

    pub(crate) fn restore_failure(&self, failure: Option<Box<Failure>>) {
        *self.failure.borrow_mut() = failure;
    }

    pub(crate) fn forget_failure(&self) {
        self.failure.borrow_mut().take();
    }

    // Positions.

    fn source_at<T>(&self, position: Pos, read: impl FnOnce(&SourceText) -> T) -> Option<T> {
        if position == 0 {
            return None;
        }
        let sources = self.sources.borrow();
        let at = sources.partition_point(|source| source.base <= position).checked_sub(1)?;
        Some(read(&sources[at]))
    }

    /// Whether a place is in the file behind `derivation`.
    pub(crate) fn is_internal(&self, position: Pos) -> bool {
        let is_file = |source: &SourceText| &*source.origin == INTERNAL_DERIVATION;
        self.source_at(position, is_file).unwrap_or(false)
    }

    pub(crate) fn place(&self, position: Pos) -> Option<Place> {
        self.source_at(position, |source| {
            let lines = source.lines();
            let at = lines.position(source.text(), position - source.base);
            let line = |number: u32| {
                let range = lines.line_range(source.text(), number)?;
                let text = source.text()[range.as_usize()].trim_end_matches(['\n', '\r']);
                Some(Arc::from(text))
            };
            let before = at.line.checked_sub(1).and_then(line);
            Place {
                origin: source.origin.to_string(),
                line: at.line + 1,
                column: at.column + 1,
                excerpt: [before, line(at.line), line(at.line + 1)],
            }
        })
    }

    pub(crate) fn spot(&self, position: Pos) -> Option<Spot> {
        self.source_at(position, |source| {
            let at = source.lines().position(source.text(), position - source.base);
            Spot { file: source.file.clone(), line: at.line + 1, column: at.column + 1 }
        })
    }

    /// `file:line:column`, for messages.
    pub(crate) fn place_text(&self, position: Pos) -> Option<String> {
        let place = self.place(position)?;
        Some(format!("{}:{}:{}", place.origin, place.line, place.column))
    }

    /// The set that `unsafeGetAttrPos` gives.
    pub(crate) fn position_value(&self, position: Pos) -> Value {
        let Some(Spot { file: Some(file), line, column }) = self.spot(position) else {
            return Value::NULL;
        };
        self.attrs(&mut [
            (known::FILE, 0, self.heap.string(&file)),
            (known::LINE, 0, self.heap.int(i64::from(line))),
            (known::COLUMN, 0, self.heap.int(i64::from(column))),
        ])
    }

    /// The condition of the `assert` at a position, as Nix prints it.
    pub(crate) fn condition_text(&self, position: Pos) -> Option<String> {
        use cim_nix_semantics::{Expr, ExprId, print};

        let (text, base, origin) = self.source_at(position, |source| {
            (Box::<str>::from(source.text()), source.base, source.origin.clone())
        })?;
        let parse = Parser::default().parse(text);
        let ir = Lowerer::default().lower(&parse.tree);
        let folder = Path::new(&*origin).parent().unwrap_or(Path::new("/"));
        let places = print::Places { folder, home: &self.settings.home };
        (0..ir.exprs.len() as u32).map(ExprId).find_map(|id| match ir.expr(id) {
            Expr::Assert { condition, .. }
                if parse.tree.node(ir.node(id)).range().start + base == position =>
            {
                Some(print::print_expr(&ir, &parse.tree, condition, places))
            }
            _ => None,
        })
    }

    /// Where a function stands, 0 for other values.
    pub(crate) fn function_position(&self, value: Value) -> Pos {
        let (closure, n_given) = match value.kind() {
            Kind::Closure(closure) => (closure, 0),
            Kind::Partial(partial) => match partial.function().as_closure() {
                Some(closure) => (closure, partial.arguments().len()),
                None => return 0,
            },
            _ => return 0,
        };
        let lambda = closure.lambda();
        lambda.positions.get(n_given).copied().unwrap_or(lambda.position)
    }

    /// How Nix names the type of a value.
    pub(crate) fn type_phrase(&self, value: Value) -> std::borrow::Cow<'static, str> {
        let phrase = match value.kind() {
            Kind::Thunk => "a thunk",
            Kind::Null => "null",
            Kind::Bool(_) => "a Boolean",
            Kind::Int(_) => "an integer",
            Kind::Float(_) => "a float",
            Kind::String(text) if text.context() != 0 => "a string with context",
            Kind::String(_) => "a string",
            Kind::Path(_) => "a path",
            Kind::List(_) => "a list",
            Kind::Attrs(_) => "a set",
            Kind::Closure(_) => "a function",
            Kind::Builtin(builtin) => {
                return format!("the built-in function '{}'", builtin.name).into();
            }
            Kind::Partial(partial) => match partial.function().as_builtin() {
                Some(builtin) => {
                    let name = builtin.name;
                    return format!("the partially applied built-in function '{name}'").into();
                }
                None => "a function",
            },
        };
        phrase.into()
    }
}

pub(crate) fn to_path(bytes: &[u8]) -> PathBuf {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt as _;
        PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
    }
    #[cfg(not(unix))]
    {
        PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
    }
}

/// The parts of a canonical path, the first last.
fn split_path(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.split(|&byte| byte == b'/').filter(|part| !part.is_empty());
    parts.rev().map(<[u8]>::to_vec).collect()
}
