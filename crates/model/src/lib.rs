//! The words of Nix and its store: paths, hashes, archives and derivations, references to flakes
//! and their lock files, and what people call packages, versions, systems and generations.
//!
//! Everything here is a pure function of bytes: what a store path is called follows from what it
//! holds, so it can be computed without a store. Reading files and writing to stores is left to
//! others.
//!
//! # Values
//!
//! Each of these is read from a text, printed, compared and part of messages (`serde`); all but lock
//! files are hashed. What is printed is read as the same value, and so is what is written as JSON.
//!
//! | value | its text | what is read as well | in JSON |
//! | --- | --- | --- | --- |
//! | [`AttributePath`] | `a."b.c".d`, as in Nix code | what identifiers may not be, such as `1a`; [selections](AttributePath::parse_selection) apart | `{"segments": […]}`; text is read |
//! | [`StorePath`] | `HASH-NAME` | `/nix/store/HASH-NAME`; other stores through [`StoreDir`] | `{"hash": …, "name": …}`; text is read |
//! | [`Outputs`] | empty, `^*` or `^dev,out` | names in any order | text |
//! | [`Installable`] | `nixpkgs#hello^dev`, `./x#a.b`, `/nix/store/…` | `flake:` before names, paths not in shape | text |
//! | [`FlakeRef`] | as `builtins.flakeRefToString`, which may leave something out | all that `builtins.parseFlakeRef` reads | [an exact URL](FlakeRef::exact_url) or attributes; [a third form](FlakeRef::from_wire) is read |
//! | [`LockFile`] | [`LockFile::to_text`]: version 7 | versions 5 to 7, by [`LockFile::parse`] | the same JSON |
//! | [`Hash`](struct@Hash), [`NarHash`] | `sha256-…` | base 16, 32 and 64 | text |
//! | [`System`] | `x86_64-linux`, or the long form where that says more | the long form | text |
//! | [`Version`], [`DrvName`] | as written | any text | text |
//! | [`Generation`] | `system-42-link`, perhaps with a folder | | `{"link": …, "number": …, "created": …}`; text is read |
//! | [`Derivation`] | [`Derivation::to_aterm`]: bytes | [`Derivation::from_aterm`] | as a [`DerivationView`], one way |
//!
//! Equal is what means the same: versions may be [written differently](Version) and be equal.
//! Errors name the text, what is wrong with it and, where one place is wrong, which.
//!
//! ```
//! use cim_nix_model::{AttributePath, Installable, System, Version};
//!
//! let typed: Installable = r#".#packages.x86_64-linux."my.app"^out"#.parse()?;
//! let Installable::Flake { attr, .. } = &typed else { unreachable!("it has a `#`") };
//! assert_eq!(attr.path(), &AttributePath::new(["packages", "x86_64-linux", "my.app"]));
//! assert_eq!(serde_json::to_string(&typed)?, r#"".#packages.x86_64-linux.\"my.app\"^out""#);
//!
//! let system: System = attr.path().segments()[1].parse()?;
//! assert_eq!(system.triple(), "x86_64-unknown-linux-gnu");
//! assert!(Version::new("2.12.1") > Version::new("2.9"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod aterm;
mod attribute_path;
mod date;
mod derivation;
mod derivation_view;
mod flake_ref;
mod generation;
mod hash;
mod installable;
mod lock_changes;
mod lock_file;
mod lock_graph;
mod nar;
mod nar_hash;
pub mod nix32;
mod outputs;
mod registry;
mod store_path;
mod system;
mod url;
mod version;

pub use aterm::AtermError;
pub use attribute_path::{AttributePath, AttributePathError};
pub use date::date_digits;
pub use derivation::{Derivation, DerivationHash, Method, Output};
pub use derivation_view::{DerivationView, NotUtf8};
pub use flake_ref::{FlakeRef, FlakeRefError, RefAttr, RefAttrs, is_flake_id};
pub use generation::{Generation, GenerationError};
pub use hash::{Hash, HashError, HashFormat, HashKind, Hasher};
pub use installable::{FlakeAttr, FlakeFolder, FlakePlace, Installable, InstallableError};
pub use lock_changes::{InputState, LockChange};
pub use lock_file::{
    Edge, InputPath, LockFile, LockFileError, LockedInput, NodeId, input_path, show_input_path,
};
pub use lock_graph::{
    FlakeInput, FlakeInputs, FlakeSource, FlakeSources, LockOptions, Locked, Registries, lock,
    lock_unchecked,
};
pub use nar::{NarWriter, TreeWriter};
pub use nar_hash::NarHash;
pub use outputs::{Outputs, OutputsError};
pub use registry::Registry;
pub use store_path::{
    NameError, References, StoreDir, StorePath, StorePathError, check_name, downstream_placeholder,
    placeholder,
};
pub use system::{System, SystemError};
pub use url::{
    Authority, Url, UrlError, dubious_query, path_parts, percent_encode, without_passwords,
};
pub use version::{DrvName, Version, compare_versions, split_drv_name, split_version};
