//! The edits that people make to `flake.nix` by hand, as functions of its text.
//!
//! [`plan`] reads a text and a [`Request`] and gives text edits or a [`Refusal`]; nothing is applied.
//! Bytes that need not change stay, and what is put in is written as its neighbours are. A request
//! that is fulfilled already gives no edits, so asking twice is asking once. Before an [`Edit`] is
//! handed out, the text that it makes is read again: it must declare what was asked for and nothing
//! else. Lock files are not touched here: [`crate::Relock`] says what becomes of them.
//!
//! ```
//! use cim_nix_flake::edit::{NewInput, Request, plan};
//!
//! let text = "{\n  inputs.a.url = \"github:o/a\";\n  outputs = { self, a }: { };\n}\n";
//! let request = Request::AddInput(NewInput::of_url("b", "github:o/b"));
//! let edit = plan(text, &request).unwrap();
//! assert_eq!(
//!     edit.apply(text).unwrap(),
//!     "{\n  inputs.a.url = \"github:o/a\";\n  inputs.b.url = \"github:o/b\";\n  outputs = { self, a, b }: { };\n}\n",
//! );
//! ```

mod below;
mod description;
mod draft;
mod follows;
mod gate;
mod inputs;
mod outputs;
mod refusal;
mod rename;
mod source;
mod style;
mod system;
mod systems;
mod uses;
mod walk;

use cim_nix_base::{Error, TextEdit, TextRange, apply_edits};
use cim_nix_model::{InputPath, LockFile};

pub use refusal::Refusal;
use source::Source;
pub use uses::{Use, UseKind};

/// What shall become of a `flake.nix`.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Request {
    /// A new input. A closed pattern of `outputs` gets a parameter for it.
    AddInput(NewInput),
    /// An input goes, with its parameter and with what other inputs follow of it.
    RemoveInput {
        /// The input.
        name: String,
    },
    /// An input is called otherwise, wherever the file speaks of it.
    RenameInput {
        /// The input.
        old: String,
        /// What it is called from now on.
        new: String,
        /// Whether to go on where all inputs are handed on as a whole, so that other files may ask
        /// for the old name.
        even_if_handed_on: bool,
    },
    /// An input comes from elsewhere.
    RetargetInput {
        /// The input.
        name: String,
        /// Where it comes from now.
        url: String,
    },
    /// Inputs become the same as others.
    SetFollows(Vec<Follows>),
    /// An input of an input is its own again.
    RemoveFollows {
        /// The names that lead to it.
        path: InputPath,
    },
    /// A new attribute of what `outputs` gives.
    AddOutput {
        /// Its path. Of outputs for each system that the flake makes with a function over systems,
        /// the system is left out: `packages.hello`.
        path: Vec<String>,
        /// Its value, an expression.
        value: String,
    },
    /// An attribute of what `outputs` gives goes, if it has this value.
    RemoveOutput {
        /// Its path, as for a new one.
        path: Vec<String>,
        /// Its value, an expression; how it is laid out plays no part.
        value: String,
    },
    /// A new overlay.
    AddOverlay {
        /// Its name.
        name: String,
        /// The function, an expression.
        value: String,
    },
    /// A new module.
    AddModule {
        /// What it is for.
        kind: ModuleKind,
        /// Its name.
        name: String,
        /// The module, an expression.
        value: String,
    },
    /// The flake is for one more system.
    AddSystem {
        /// The system.
        system: String,
        /// What the list of systems is called, where there are several.
        list: Option<String>,
    },
    /// The flake is described otherwise.
    SetDescription(String),
}

/// An input that is to be the same as another one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Follows {
    /// The names that lead to it.
    pub path: InputPath,
    /// What it follows, from the flake that is edited; nothing at all for an empty path.
    pub target: InputPath,
}

/// An input to be added.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewInput {
    /// Its name.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether it is a flake and not a plain tree.
    pub is_flake: bool,
    /// What its own inputs follow; the paths begin below it.
    pub follows: Vec<Follows>,
}

impl NewInput {
    /// A flake that comes from a URL.
    #[must_use]
    pub fn of_url(name: impl Into<String>, url: impl Into<String>) -> Self {
        let origin = Origin::Url(url.into());
        Self { name: name.into(), origin, is_flake: true, follows: Vec::new() }
    }
}

/// Where an input comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A reference to a source.
    Url(String),
    /// It is the same as another input.
    Follows(InputPath),
}

/// What a module is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ModuleKind {
    /// NixOS: `nixosModules`.
    NixOs,
    /// Home Manager: `homeModules`, or `homeManagerModules` where the flake calls it so.
    Home,
    /// nix-darwin: `darwinModules`.
    Darwin,
    /// flake-parts: `flakeModules`.
    Flake,
}

/// A change of a `flake.nix`.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Edit {
    /// The edits, sorted and free of overlap; none where all is as was asked for.
    pub edits: Vec<TextEdit>,
    /// What is worth knowing about it, in the order of the text.
    pub notes: Vec<Note>,
}

impl Edit {
    /// The text after it.
    ///
    /// Errors: it was made for another text.
    pub fn apply(&self, text: &str) -> Result<String, Error> {
        apply_edits(text, &self.edits)
    }
}

/// Something that is worth knowing about an edit.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Note {
    /// There is no such input, so nothing was to be done.
    NoSuchInput(String),
    /// The input came from a registry until now: only a parameter of `outputs` spoke of it.
    WasInRegistry(String),
    /// The name of the input means something else in `outputs`, so it got no parameter.
    NoParameter {
        /// The input.
        name: String,
        /// Where the name is used.
        range: TextRange,
    },
    /// The inputs are handed on as a whole, so that other code may use the input.
    HandedOn(TextRange),
    /// What followed the input is its own again.
    NoLongerFollows {
        /// The names that lead to it.
        path: InputPath,
        /// Where that was said.
        range: TextRange,
    },
    /// A source that was told otherwise is gone.
    SourceReplaced(TextRange),
}

/// Plans the change of a `flake.nix`.
///
/// Errors: why it cannot be made, with the places that speak against it.
pub fn plan(text: &str, request: &Request) -> Result<Edit, Refusal> {
    let source = Source::read(text)?;
    let edit = draft(&source, request)?;
    gate::check(&source, request, &edit)?;
    Ok(edit)
}

fn draft(source: &Source, request: &Request) -> Result<Edit, Refusal> {
    match request {
        Request::AddInput(new) => inputs::add(source, new),
        Request::RemoveInput { name } => inputs::remove(source, name),
        Request::RenameInput { old, new, even_if_handed_on } => {
            rename::rename(source, old, new, *even_if_handed_on)
        }
        Request::RetargetInput { name, url } => inputs::retarget(source, name, url),
        Request::SetFollows(all) => follows::set(source, all),
        Request::RemoveFollows { path } => follows::remove(source, path),
        Request::AddOutput { path, value } => outputs::add(source, path, value),
        Request::RemoveOutput { path, value } => outputs::remove(source, path, value),
        Request::AddOverlay { name, value } => {
            outputs::add(source, &["overlays".to_owned(), name.clone()], value)
        }
        Request::AddModule { kind, name, value } => {
            let modules = outputs::modules(source, *kind).to_owned();
            outputs::add(source, &[modules, name.clone()], value)
        }
        Request::AddSystem { system, list } => systems::add(source, system, list.as_deref()),
        Request::SetDescription(text) => description::set(source, text),
    }
}

/// What lets all copies in a lock file follow what the flake has already: those that
/// [`copies`](crate::copies) finds, and those that it finds after that.
///
/// Errors: the inputs cannot be read, or are too many to be looked at.
pub fn deduplication(text: &str, lock: &LockFile) -> Result<Request, Refusal> {
    let source = Source::read(text)?;
    source.check_inputs(&[])?;
    follows::of_copies(&source, lock).map(Request::SetFollows)
}

#[cfg(test)]
mod tests;
