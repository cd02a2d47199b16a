//! What others see of an evaluation.

use std::marker::PhantomData;
use std::path::Path;

use cim_nix_model::{AttributePath, FlakeRef};

use crate::builtins::{self, Text};
use crate::error::{ErrorKind, EvalError, Failed};
use crate::evaluator::{Evaluator, Settings};
use crate::io::Io;
use crate::locking::{FlakeOptions, LockedFlake};
use crate::value::{Kind, Value};

/// Bytes of stack that evaluation runs on.
const STACK: usize = 1 << 30;

/// Runs `work` on a thread with a stack that is deep enough for Nix.
///
/// Errors: the thread cannot be started.
pub fn with_stack<T: Send>(work: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work)?;
        match thread.join() {
            Ok(result) => Ok(result),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// One evaluation. It must run inside of [`with_stack`].
pub struct Evaluation {
    pub(crate) ev: Evaluator,
}

/// A value of an evaluation, maybe one that is still to be computed.
#[derive(Clone, Copy)]
pub struct Handle<'e> {
    pub(crate) value: Value,
    evaluation: PhantomData<&'e Evaluation>,
}

/// How a value is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Nix's own syntax.
    Nix,
    /// The same for people: derivations by their paths, functions by where they are.
    Display,
    /// The same of the value and what it directly holds; deeper sets and lists are left out.
    Surface,
    /// JSON; paths are copied to the store.
    Json,
    /// JSON in which paths stay as they are.
    PlainJson,
    /// XML.
    Xml,
    /// XML in which attributes and functions tell where they are defined.
    PlacedXml,
    /// A string as it is.
    Raw,
}

impl Evaluation {
    /// An evaluation of nothing yet. `warn` gets what `trace` and `warn` say.
    #[must_use]
    pub fn new(settings: Settings, io: Box<dyn Io>, warn: Box<dyn Fn(&str)>) -> Self {
        let ev = Evaluator::new(settings, io, warn);
        ev.stack.set_thread(STACK);
        Self { ev }
    }

    pub(crate) fn handle(&self, value: Value) -> Handle<'_> {
        Handle { value, evaluation: PhantomData }
    }

    pub(crate) fn owned<T>(&self, result: Result<T, Failed>) -> Result<T, Box<EvalError>> {
        result.map_err(|Failed| Box::new(self.ev.take_error()))
    }

    /// Whether somebody wants evaluation to stop.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.ev.settings.interrupt.get().is_some()
    }

    /// Bounds the memory for values anew, in bytes; what is taken counts.
    pub fn limit_memory(&self, bytes: usize) {
        self.ev.heap.set_limit(bytes);
    }

    /// The value of a text. Relative paths start from `folder`.
    ///
    /// Errors: the text is broken.
    pub fn text(&self, text: &str, folder: &Path) -> Result<Handle<'_>, Box<EvalError>> {
        let folder = folder.as_os_str().as_encoded_bytes();
        let code = self.ev.load(text.into(), "«string»", folder, None);
        let code = self.owned(code)?;
        Ok(self.handle(self.ev.heap.thunk(code).value()))
    }

    /// The value of a text in which these names are known besides those of the language.
    ///
    /// Errors: the text is broken.
    pub fn text_in<'e>(
        &'e self,
        text: &str,
        folder: &Path,
        scope: &[(String, Handle<'e>)],
    ) -> Result<Handle<'e>, Box<EvalError>> {
        let mut names: Vec<_> = scope
            .iter()
            .map(|(name, value)| (self.ev.symbol(name.as_bytes()), 0, value.value))
            .collect();
        let scope = self.ev.attrs(&mut names);
        let folder = folder.as_os_str().as_encoded_bytes();
        let code = self.ev.load(text.into(), "«string»", folder, scope.as_attrs());
        let code = self.owned(code)?;
        Ok(self.handle(self.ev.heap.thunk(code).value()))
    }

    /// A text as it was understood, in Nix's notation for that. `origin` is its name in errors;
    /// relative paths start from `folder`.
    ///
    /// Errors: the text is broken.
    pub fn print_text(
        &self,
        text: &str,
        origin: &str,
        folder: &Path,
    ) -> Result<String, Box<EvalError>> {
        self.owned(self.ev.print_text(text, origin, folder))
    }

    /// The value of a file or of a folder's `default.nix`.
    ///
    /// Errors: the file cannot be read, is broken, or its evaluation fails.
    pub fn file(&self, path: &Path) -> Result<Handle<'_>, Box<EvalError>> {
        let value = self.ev.import_silently(path.as_os_str().as_encoded_bytes(), 0);
        Ok(self.handle(self.owned(value)?))
    }

    /// The same; failures tell the file.
    ///
    /// Errors: as [`Evaluation::file`].
    pub fn import(&self, path: &Path) -> Result<Handle<'_>, Box<EvalError>> {
        let value = self.ev.import(path.as_os_str().as_encoded_bytes(), 0);
        Ok(self.handle(self.owned(value)?))
    }

    /// Calls a function that takes a set with those of the arguments that it knows; anything else
    /// stays as it is.
    ///
    /// Errors: an argument that it needs is not there, or evaluation fails.
    pub fn auto_call<'e>(
        &'e self,
        function: Handle<'e>,
        arguments: &[(String, Handle<'e>)],
    ) -> Result<Handle<'e>, Box<EvalError>> {
        let result = self.auto_call_value(function.value, arguments);
        Ok(self.handle(self.owned(result)?))
    }

    fn auto_call_value(
        &self,
        function: Value,
        arguments: &[(String, Handle<'_>)],
    ) -> Result<Value, Failed> {
        let ev = &self.ev;
        let mut function = ev.force(function)?;
        if let Some(attrs) = function.as_attrs() {
            match attrs.get(crate::symbols::known::FUNCTOR) {
                Some(functor) => function = ev.apply(functor, &[function], 0)?,
                None => return Ok(function),
            }
            return self.auto_call_value(function, arguments);
        }
        let Some(closure) = function.as_closure() else { return Ok(function) };
        let lambda = closure.lambda();
        let Some(pattern) = lambda.pattern.filter(|_| lambda.arity == 1) else {
            return Ok(function);
        };
        let mut given = Vec::new();
        let named = |name: &str| arguments.iter().rev().find(|(known, _)| known == name);
        for formal in pattern.formals {
            let name = ev.name(formal.symbol);
            match named(&name) {
                Some((_, value)) => given.push((formal.symbol, 0, value.value)),
                None if formal.default.is_none() => {
                    let message = format!(
                        "cannot evaluate a function that has an argument without a value ('{name}')\nNix attempted to evaluate a function as a top level expression; in\nthis case it must have its arguments supplied either by default\nvalues, or passed explicitly with '--arg' or '--argstr'. See\nhttps://nix.dev/manual/nix/stable/language/syntax.html#functions."
                    );
                    return Err(ev.fail(ErrorKind::Other, formal.position, message));
                }
                None => {}
            }
        }
        if pattern.has_ellipsis {
            for (name, value) in arguments {
                let symbol = ev.symbol(name.as_bytes());
                if !given.iter().any(|known| known.0 == symbol) {
                    given.push((symbol, 0, value.value));
                }
            }
        }
        let set = ev.attrs(&mut given);
        ev.apply(function, &[set], 0)
    }

    /// A string as a value.
    #[must_use]
    pub fn string(&self, text: &str) -> Handle<'_> {
        self.handle(self.ev.heap.string(text.as_bytes()))
    }

    /// Calls a function with one argument.
    ///
    /// Errors: evaluation fails.
    pub fn apply<'e>(
        &'e self,
        function: Handle<'e>,
        argument: Handle<'e>,
    ) -> Result<Handle<'e>, Box<EvalError>> {
        let result = self.ev.apply(function.value, &[argument.value], 0);
        Ok(self.handle(self.owned(result)?))
    }

    /// Selects an attribute path such as `a.b.0`, as `-A` does; functions on the way are called
    /// with `arguments`.
    ///
    /// Errors: there is no such attribute, or evaluation fails.
    pub fn select<'e>(
        &'e self,
        root: Handle<'e>,
        path: &str,
        arguments: &[(String, Handle<'e>)],
    ) -> Result<Handle<'e>, Box<EvalError>> {
        let mut value = root.value;
        let names = AttributePath::parse_selection(path).map_err(|_| {
            EvalError::other(format!("missing closing quote in selection path '{path}'"))
        })?;
        for name in names.segments() {
            let step =
                self.auto_call_value(value, arguments).and_then(|set| self.member(set, name, path));
            value = self.owned(step)?;
        }
        Ok(self.handle(value))
    }

    /// Fetches a flake and locks its inputs.
    ///
    /// Errors: it or an input cannot be fetched, is no flake, or the lock file would have to be
    /// changed although that is not wanted.
    pub fn lock(
        &self,
        reference: &FlakeRef,
        options: &FlakeOptions,
    ) -> Result<LockedFlake, Box<EvalError>> {
        self.owned(self.ev.lock_flake(reference, options))
    }

    /// The outputs of a flake, with its inputs and its source beside them.
    ///
    /// Errors: its evaluation fails.
    pub fn flake(&self, flake: &LockedFlake) -> Result<Handle<'_>, Box<EvalError>> {
        self.owned(self.ev.flake_value(flake)).map(|value| self.handle(value))
    }

    /// Lets a name stand for a reference in this evaluation, whatever registries say.
    pub fn add_to_registry(&self, from: FlakeRef, to: FlakeRef) {
        self.ev.registry.borrow_mut().add(from, to);
    }

    /// Forgets what was read: files are read and evaluated anew where they are asked for again.
    /// Values that were made before keep what they have.
    pub fn forget_files(&self) {
        self.ev.forget_files();
    }

    /// The first of several attribute paths that a value has; none has it: the names that may
    /// have been meant.
    ///
    /// Errors: evaluation fails on the way, or there is something else than a set.
    pub fn first_of<'e>(
        &'e self,
        root: Handle<'e>,
        paths: &[AttributePath],
    ) -> Result<Result<Handle<'e>, Vec<String>>, Box<EvalError>> {
        let mut near: Vec<(usize, String)> = Vec::new();
        for path in paths {
            match self.owned(self.walk(root.value, path))? {
                Ok(value) => return Ok(Ok(self.handle(value))),
                Err(names) => near.extend(names),
            }
        }
        near.sort();
        near.dedup();
        Ok(Err(near.into_iter().map(|(_, name)| name).collect()))
    }

    /// What a path leads to, or names near the first one that is not there.
    fn walk(
        &self,
        root: Value,
        path: &AttributePath,
    ) -> Result<Result<Value, Vec<(usize, String)>>, Failed> {
        let ev = &self.ev;
        let mut value = ev.force(root)?;
        let names = path.segments();
        for (at, name) in names.iter().enumerate() {
            let Some(set) = value.as_attrs() else {
                let message = format!("'{}' is not an attribute set", names[..at].join("."));
                return Err(ev.fail(ErrorKind::Type, 0, message));
            };
            match ev.symbols.find(name.as_bytes()).and_then(|symbol| set.get(symbol)) {
                Some(found) => value = if at + 1 < names.len() { ev.force(found)? } else { found },
                None => {
                    let known = ev.members(set).into_iter().map(|member| member.0).collect();
                    return Ok(Err(builtins::near_names(name, known)));
                }
            }
        }
        Ok(Ok(value))
    }

    /// The names of a set's attributes, sorted; none for other values.
    ///
    /// Errors: evaluation fails.
    pub fn attr_names(&self, handle: Handle<'_>) -> Result<Vec<String>, Box<EvalError>> {
        let value = self.owned(self.ev.force(handle.value))?;
        let names = |set| self.ev.members(set).into_iter().map(|member| member.0).collect();
        Ok(value.as_attrs().map(names).unwrap_or_default())
    }

    /// The elements of a list; none for other values.
    ///
    /// Errors: evaluation fails.
    pub fn elements(&self, handle: Handle<'_>) -> Result<Vec<Handle<'_>>, Box<EvalError>> {
        let value = self.owned(self.ev.force(handle.value))?;
        let list = value.as_list().unwrap_or_default();
        Ok(list.iter().map(|element| self.handle(element.get())).collect())
    }

    /// The value of an attribute, if the value is a set that has it.
    ///
    /// Errors: evaluation fails.
    pub fn attr<'e>(
        &'e self,
        handle: Handle<'e>,
        name: &str,
    ) -> Result<Option<Handle<'e>>, Box<EvalError>> {
        let value = self.owned(self.ev.force(handle.value))?;
        let symbol = self.ev.symbols.find(name.as_bytes());
        let found = value.as_attrs().zip(symbol).and_then(|(set, symbol)| set.get(symbol));
        Ok(found.map(|value| self.handle(value)))
    }

    fn member(&self, set: Value, name: &str, path: &str) -> Result<Value, Failed> {
        let ev = &self.ev;
        let set = ev.force(set)?;
        let wrong = |wanted| {
            let phrase = ev.type_phrase(set);
            let message = format!(
                "the expression selected by the selection path '{path}' should be {wanted} but is {phrase}"
            );
            ev.fail(ErrorKind::Type, 0, message)
        };
        if let Ok(at) = name.parse::<u32>() {
            let list = set.as_list().ok_or_else(|| wrong("a list"))?;
            let message = format!("list index {at} in selection path '{path}' is out of range");
            return list
                .get(at as usize)
                .map(std::cell::Cell::get)
                .ok_or_else(|| ev.fail(ErrorKind::MissingAttribute, 0, message));
        }
        let attrs = set.as_attrs().ok_or_else(|| wrong("a set"))?;
        if name.is_empty() {
            let message = format!("empty attribute name in selection path '{path}'");
            return Err(ev.fail(ErrorKind::Other, 0, message));
        }
        let found = ev.symbols.find(name.as_bytes()).and_then(|symbol| attrs.get(symbol));
        found.ok_or_else(|| {
            let known = ev.layouts.flat(&ev.heap, attrs).layout.keys;
            let known = known.iter().map(|&key| ev.name(key)).collect();
            let message = format!("attribute '{name}' in selection path '{path}' not found");
            let near = builtins::suggestions(name, known);
            ev.fail_suggesting(ErrorKind::MissingAttribute, 0, message, near)
        })
    }

    /// Computes the value, with `is_strict` all of it.
    ///
    /// Errors: evaluation fails.
    pub fn force<'e>(
        &'e self,
        handle: Handle<'e>,
        is_strict: bool,
    ) -> Result<Handle<'e>, Box<EvalError>> {
        let value = match is_strict {
            true => self.ev.force_deep(handle.value),
            false => self.ev.force(handle.value),
        };
        Ok(self.handle(self.owned(value)?))
    }

    /// Writes a value.
    ///
    /// Errors: it cannot be written so, or evaluation fails on the way.
    pub fn write(
        &self,
        handle: Handle<'_>,
        format: Format,
        is_strict: bool,
    ) -> Result<Vec<u8>, Box<EvalError>> {
        let ev = &self.ev;
        let mut text = Text::new(ev);
        let written = match format {
            Format::Nix => return self.owned(ev.printed(handle.value)),
            Format::Surface => return self.owned(ev.surface(handle.value)),
            Format::Display => return self.owned(ev.displayed(handle.value, is_strict)),
            Format::Json | Format::PlainJson => {
                let keeps_paths = format == Format::PlainJson;
                let style = builtins::JsonStyle { forces: is_strict, keeps_paths };
                builtins::push_json(ev, handle.value, &mut text, style, 0)
            }
            Format::Xml | Format::PlacedXml => {
                let has_places = format == Format::PlacedXml;
                builtins::to_xml(ev, handle.value, &mut text, is_strict, has_places)
            }
            Format::Raw => ev.coerce(
                handle.value,
                &mut text,
                builtins::Coercion::FIRST,
                0,
                "while generating the eval command output",
            ),
        };
        self.owned(written)?;
        Ok(text.bytes().to_vec())
    }

    /// What a value is, as messages say it: `a set`, `a function`.
    #[must_use]
    pub fn type_phrase(&self, handle: Handle<'_>) -> std::borrow::Cow<'static, str> {
        self.ev.type_phrase(handle.value)
    }

    /// The builtin that a value is, if it is one.
    #[must_use]
    pub fn builtin_name(&self, handle: Handle<'_>) -> Option<&'static str> {
        handle.value.as_builtin().map(|builtin| builtin.name)
    }

    /// The word of `builtins.typeOf`.
    #[must_use]
    pub fn type_word(&self, handle: Handle<'_>) -> &'static str {
        match handle.value.kind() {
            Kind::Thunk => "thunk",
            Kind::Null => "null",
            Kind::Bool(_) => "bool",
            Kind::Int(_) => "int",
            Kind::Float(_) => "float",
            Kind::String(_) => "string",
            Kind::Path(_) => "path",
            Kind::List(_) => "list",
            Kind::Attrs(_) => "set",
            _ => "lambda",
        }
    }
}
