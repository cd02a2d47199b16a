//! What a value is and holds, for those who walk values from outside.

use std::path::PathBuf;

use crate::builtins;
use crate::error::{EvalError, Place, Res};
use crate::evaluator::{Evaluator, to_path};
use crate::io::FileKind;
use crate::session::{Evaluation, Handle};
use crate::value::{Kind, Value};

/// A value that was computed, as far as one can see without computing what it holds.
#[derive(Clone)]
pub enum Look<'e> {
    /// `null`.
    Null,
    /// A Boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string without its context. Bytes that are no UTF-8 are replaced.
    String(String),
    /// A path.
    Path(String),
    /// A list.
    List(Vec<Handle<'e>>),
    /// A set; [`Evaluation::members`] has what is in it.
    Set,
    /// A function, whether a builtin or not.
    Function,
}

impl Evaluation {
    /// Computes a value and says what it is.
    ///
    /// Errors: evaluation fails.
    pub fn look<'e>(&'e self, handle: Handle<'e>) -> Result<Look<'e>, Box<EvalError>> {
        let value = self.owned(self.ev.force(handle.value))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(match value.kind() {
            Kind::Null => Look::Null,
            Kind::Bool(value) => Look::Bool(value),
            Kind::Int(number) => Look::Int(number),
            Kind::Float(number) => Look::Float(number),
            Kind::String(string) => Look::String(text(string.bytes())),
            Kind::Path(path) => Look::Path(text(path.bytes())),
            Kind::List(list) => {
                Look::List(list.iter().map(|element| self.handle(element.get())).collect())
            }
            Kind::Attrs(_) => Look::Set,
            // A value that was computed is no thunk.
            Kind::Closure(_) | Kind::Builtin(_) | Kind::Partial(_) | Kind::Thunk => Look::Function,
        })
    }

    /// The attributes of a set, sorted by name; none for other values.
    ///
    /// Errors: evaluation fails.
    pub fn members<'e>(
        &'e self,
        handle: Handle<'e>,
    ) -> Result<Vec<(String, Handle<'e>)>, Box<EvalError>> {
        let value = self.owned(self.ev.force(handle.value))?;
        let Some(set) = value.as_attrs() else { return Ok(Vec::new()) };
        let members = self.ev.members(set).into_iter();
        Ok(members.map(|(name, value)| (name, self.handle(value))).collect())
    }

    /// Where an attribute of a set stands, if it stands in a text.
    #[must_use]
    pub fn attr_place(&self, set: Handle<'_>, name: &str) -> Option<Place> {
        let set = self.ev.force(set.value).ok()?.as_attrs()?;
        let found = set.find(self.ev.symbols.find(name.as_bytes())?)?;
        self.ev.place(found.position)
    }

    /// Whether something lies at a path.
    ///
    /// Errors: the value is no path, or evaluation fails.
    pub fn path_exists(&self, handle: Handle<'_>) -> Result<bool, Box<EvalError>> {
        let path = self.owned(self.ev.path_argument(handle.value, 0, PATH))?;
        Ok(self.ev.world.link_kind(&path).is_ok())
    }

    /// The files and links below a path, each with its path from there, sorted; of a file, itself
    /// with an empty path.
    ///
    /// Errors: the value is no path, evaluation fails, or a file cannot be read.
    pub fn files_below(&self, handle: Handle<'_>) -> Result<Vec<(PathBuf, File)>, Box<EvalError>> {
        self.owned(self.ev.files_below(handle.value))
    }

    /// The arguments that a function names, sorted, and whether each has a default; none for
    /// functions that take anything.
    ///
    /// Errors: it is no function, or evaluation fails.
    pub fn function_args(
        &self,
        function: Handle<'_>,
    ) -> Result<Vec<(String, bool)>, Box<EvalError>> {
        let args = self.owned(builtins::function_args(&self.ev, &[function.value], 0))?;
        let members = args.as_attrs().map(|set| self.ev.members(set)).unwrap_or_default();
        Ok(members.into_iter().map(|(name, value)| (name, value == Value::TRUE)).collect())
    }

    /// A list of values.
    #[must_use]
    pub fn list<'e>(&'e self, elements: &[Handle<'e>]) -> Handle<'e> {
        let values: Vec<Value> = elements.iter().map(|element| element.value).collect();
        self.handle(self.ev.heap.list(&values))
    }

    /// A path as messages name it: of a source that was fetched, the source and the way in it, such
    /// as `«github:owner/repo/REV»/file.nix`. Other paths stay.
    #[must_use]
    pub fn shown_path(&self, path: &str) -> String {
        match self.ev.world.shown(path.as_bytes()) {
            Some(shown) => String::from_utf8_lossy(&shown).into_owned(),
            None => path.to_owned(),
        }
    }
}

const PATH: &str = "while looking for the files at a path";

/// A file as it lies somewhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum File {
    /// A file of its own.
    Regular {
        /// What it holds.
        bytes: Vec<u8>,
        /// Whether its owner may run it.
        is_executable: bool,
    },
    /// A symbolic link and where it points.
    Link(PathBuf),
}

impl Evaluator {
    fn files_below(&self, value: Value) -> Res<Vec<(PathBuf, File)>> {
        let top = self.path_argument(value, 0, PATH)?;
        let mut files = Vec::new();
        let mut todo = vec![(top.clone(), PathBuf::new())];
        while let Some((path, below)) = todo.pop() {
            let failed = |error: std::io::Error| self.io_error(&path, &error, 0);
            match self.world.link_kind(&path).map_err(failed)? {
                FileKind::Directory => {
                    for (name, _) in self.world.list(&path).map_err(failed)?.iter().rev() {
                        let inner = [&path[..], b"/", name].concat();
                        todo.push((inner, below.join(to_path(name))));
                    }
                }
                FileKind::Symlink => {
                    let target = self.world.link_target(&path).map_err(failed)?;
                    files.push((below, File::Link(target)));
                }
                _ => {
                    let mut bytes = Vec::new();
                    let read = self.world.read_for_archive(&path, &mut bytes);
                    let (is_executable, length) = read.map_err(failed)?;
                    bytes.truncate(length);
                    files.push((below, File::Regular { bytes, is_executable }));
                }
            }
        }
        Ok(files)
    }
}
