//! The suite that every store has to pass.

use cim_nix_store_sqlite::{Options, SqliteStore};

/// A fresh folder, and handles on the store in it, with so many events in the log alone.
fn place(loose: u32) -> impl Fn() -> SqliteStore {
    let folder = tempfile::tempdir().unwrap();
    let options = move || Options { loose, ..Options::default() };
    move || SqliteStore::open(&folder.path().join("store.db"), options()).unwrap()
}

cim_domain_nix::event_store_contract!(place(Options::default().loose));
cim_domain_nix::intent_store_contract!(place(Options::default().loose));
cim_domain_nix::whole_store_contract!(place(Options::default().loose));

mod arranged_at_once {
    use super::place;

    cim_domain_nix::event_store_contract!(place(1));
    cim_domain_nix::whole_store_contract!(place(1));
}

mod arranged_now_and_then {
    use super::place;

    cim_domain_nix::event_store_contract!(place(3));
    cim_domain_nix::whole_store_contract!(place(3));
}
