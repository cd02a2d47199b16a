//! The suite that every store has to pass.

use cim_nix_store_sqlite::{Options, SqliteStore};

/// A fresh folder, and handles on the store in it.
fn place() -> impl Fn() -> SqliteStore {
    let folder = tempfile::tempdir().unwrap();
    move || SqliteStore::open(&folder.path().join("store.db"), Options::default()).unwrap()
}

cim_domain_nix::event_store_contract!(place());
cim_domain_nix::intent_store_contract!(place());
cim_domain_nix::whole_store_contract!(place());
