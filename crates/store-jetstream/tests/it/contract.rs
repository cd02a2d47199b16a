//! The suite that every store has to pass.

use cim_domain_nix::{MemoryStore, Paired};
use cim_nix_store_jetstream::{JetStreamStore, Models, Options};

use crate::samples::{Place, options};

/// Handles with nothing in common but the server and the memory in which read models are: each has
/// its own connection, index and cache, as programs have.
fn apart(place: Place) -> impl Fn() -> JetStreamStore {
    let models = Models::default();
    move || place.open_with(Options { models: models.clone(), ..options() }).unwrap()
}

/// With a store of intents beside it, as a server has it.
fn paired(place: Place) -> impl Fn() -> Paired<JetStreamStore, MemoryStore> {
    let (open, intents) = (apart(place), MemoryStore::new());
    move || Paired { events: open(), intents: intents.clone() }
}

mod events {
    use super::apart;
    use crate::samples::place;

    cim_domain_nix::event_store_contract!(match place() {
        Some(place) => apart(place),
        None => return,
    });
}

mod with_intents {
    use super::paired;
    use crate::samples::place;

    cim_domain_nix::whole_store_contract!(match place() {
        Some(place) => paired(place),
        None => return,
    });
}
