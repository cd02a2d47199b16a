//! What every store has to pass.
//!
//! A store's tests name the place where its events lie; each claim becomes a test of its own:
//!
//! ```ignore
//! mod contract {
//!     // A fresh place; what it gives opens one more handle on the same events each time.
//!     fn place() -> impl Fn() -> MyStore { .. }
//!     cim_domain_nix::event_store_contract!(place());
//!     cim_domain_nix::intent_store_contract!(place());
//! }
//! ```
//!
//! A claim panics where the store breaks it. Random runs print their seed.

#![allow(clippy::unwrap_used, reason = "a store that fails a step fails the suite")]

mod append;
mod intents;
mod models;
mod publish;
mod random;
mod read;
mod samples;
mod subscribe;
mod writers;

pub use append::*;
pub use intents::*;
pub use models::*;
pub use publish::*;
pub use random::*;
pub use read::*;
pub use subscribe::*;
pub use writers::*;

/// A test for each claim about a store of events. Takes an expression for a fresh place.
#[macro_export]
macro_rules! event_store_contract {
    ($place:expr) => {
        $crate::contract_tests! {
            $place;
            answers_where_events_stand
            refuses_another_version
            refuses_nonsense
            answers_repeats_alike
            refuses_ids_that_are_taken
            keeps_bodies_byte_for_byte
            keeps_deep_and_huge_bodies
            keeps_every_field
            keeps_order_whatever_clocks_say
            reads_streams
            reads_all_forward_and_back
            finds_by_id_and_by_cause
            passes_on_what_visitors_say
            lets_visitors_use_the_store
            shows_one_moment
            keeps_snapshots
            publishes_once
            subscribes_to_all_writers
            repeats_what_a_subscriber_failed_at
            waits_no_longer_than_asked
            moves_rows_with_checkpoints
            builds_again_for_another_schema
            drops_read_models
            leaves_nothing_of_a_failed_event
            keeps_read_models_apart
            scans_rows_in_order
            lets_one_writer_win
            stores_a_race_of_repeats_once
            hides_no_event_from_readers
            follows_while_others_write
            agrees_with_a_list
        }
    };
}

/// A test for each claim about a store of intents. Takes an expression for a fresh place.
#[macro_export]
macro_rules! intent_store_contract {
    ($place:expr) => {
        $crate::contract_tests! {
            $place;
            opens_and_closes_intents
            refuses_a_second_intent_with_an_id
            keeps_blobs
        }
    };
}

/// A test for each claim about a store that keeps both: they share transactions.
#[macro_export]
macro_rules! whole_store_contract {
    ($place:expr) => {
        $crate::contract_tests! {
            $place;
            closes_intents_with_their_events
            agrees_with_a_list_of_intents
        }
    };
}

/// Used by the macros above.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_tests {
    ($place:expr; $($claim:ident)*) => {
        $(
            #[test]
            fn $claim() {
                let place = $place;
                $crate::contract::$claim(&place);
            }
        )*
    };
}
