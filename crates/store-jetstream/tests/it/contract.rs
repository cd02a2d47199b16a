//! The suite that every store has to pass.

use cim_nix_store_jetstream::{JetStreamStore, Models, Options};

use crate::samples::{Place, options, place};

/// Handles with nothing in common but the server and the memory in which read models are: each has
/// its own connection, index and cache, as programs have.
fn apart(place: Place) -> impl Fn() -> JetStreamStore {
    let models = Models::default();
    move || place.open_with(Options { models: models.clone(), ..options() }).unwrap()
}

mod programs {
    use super::{apart, place};

    cim_domain_nix::event_store_contract!(match place() {
        Some(place) => apart(place),
        None => return,
    });
}
