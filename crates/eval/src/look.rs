//! What a value is and holds, for those who walk values from outside.

use crate::builtins;
use crate::error::EvalError;
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
