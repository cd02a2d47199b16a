//! The options of a module set: names, types, defaults, documentation, and how they are set.
//!
//! An option tree is what the module system of nixpkgs makes: sets of sets whose leaves have
//! `_type = "option"`. [`document`] walks one and gives a row for each option, the same that
//! `lib.optionAttrSetToDocList` gives, without asking that library to do it: so it is faster, and
//! an option that fails to evaluate costs itself alone. [`Source`] gets trees from configurations,
//! from modules, and from copies of nixpkgs and Home Manager.
//!
//! ```
//! use std::path::Path;
//!
//! use cim_nix_eval::{Evaluation, MemoryIo, Settings, with_stack};
//! use cim_nix_options::{Request, document};
//!
//! let names = with_stack(|| {
//!     let io = Box::new(MemoryIo::new());
//!     let evaluation = Evaluation::new(Settings::default(), io, Box::new(|_| {}));
//!     let text = r#"{
//!       port = {
//!         _type = "option";
//!         loc = [ "port" ];
//!         type.description = "16 bit unsigned integer";
//!         default = 80;
//!         declarations = [ "module.nix" ];
//!       };
//!     }"#;
//!     let tree = evaluation.text(text, Path::new("/"))?;
//!     let found = document(&evaluation, tree, &Request::default())?;
//!     let line = |option: &cim_nix_options::OptionDoc| {
//!         let default = option.default.as_ref().map(|text| text.text().into_owned());
//!         (option.name.clone(), default)
//!     };
//!     Ok::<_, Box<cim_nix_eval::EvalError>>(found.iter().map(line).collect::<Vec<_>>())
//! })??;
//! assert_eq!(names, [("port".to_owned(), Some("80".to_owned()))]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod dialect;
mod doc;
mod pattern;
mod pretty;
mod source;
#[cfg(test)]
mod tests;
mod walk;

pub use doc::{Current, Definition, OptionDoc, Part, Problem, Text};
pub use pattern::{Pattern, PatternError};
pub use source::{Base, Source, tree_of, unchecked_tree_of};
pub use walk::{Request, document};
