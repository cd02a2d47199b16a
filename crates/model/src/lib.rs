//! The words of Nix's store: hashes, store paths, archives and derivations.
//!
//! Everything here is a pure function of bytes: what a store path is called follows from what it
//! holds, so it can be computed without a store. Reading files and writing to stores is left to
//! others.

#![forbid(unsafe_code)]

mod aterm;
mod attribute_path;
mod date;
mod derivation;
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
