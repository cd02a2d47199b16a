//! The registry: one line a rule.

use crate::rule::Rule;

pub(crate) mod aged_input;
pub(crate) mod application_in_list;
mod callers;
pub(crate) mod computed_flake;
pub(crate) mod duplicate_definition;
pub(crate) mod duplicate_input;
pub(crate) mod empty_construct;
pub(crate) mod foreign_nixpkgs;
pub(crate) mod import_cycle;
pub(crate) mod impure_builtin;
pub(crate) mod impure_lookup;
pub(crate) mod indirect_input;
pub(crate) mod input_budget;
pub(crate) mod internal_error;
pub(crate) mod lock_mismatch;
pub(crate) mod missing_follows;
pub(crate) mod missing_import;
pub(crate) mod missing_lock;
pub(crate) mod mixed_rec_merge;
pub(crate) mod mutable_input;
pub(crate) mod needless_rec;
pub(crate) mod no_state_version;
pub(crate) mod or_as_variable;
pub(crate) mod plain_transport;
mod reachability;
pub(crate) mod self_reference;
pub(crate) mod several_versions;
pub(crate) mod trailing_slash;
pub(crate) mod undefined_variable;
pub(crate) mod unfixed_lock;
pub(crate) mod unknown_builtin;
pub(crate) mod unreached_file;
pub(crate) mod unread_option;
pub(crate) mod unreadable;
pub(crate) mod unsupported_release;
pub(crate) mod unused_at_name;
pub(crate) mod unused_binding;
pub(crate) mod unused_closed_formal;
pub(crate) mod unused_formal;
pub(crate) mod unused_helper;
pub(crate) mod unused_inherit;
pub(crate) mod unused_input;
pub(crate) mod unused_parameter;
pub(crate) mod unused_suppression;
pub(crate) mod unused_with;
pub(crate) mod uri_for_function;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

/// Every rule, by code.
#[rustfmt::skip]
static ALL: &[&Rule] = &[
    &undefined_variable::RULE,
    &duplicate_definition::RULE,
    &or_as_variable::RULE,
    &unknown_builtin::RULE,
    &self_reference::RULE,
    &uri_for_function::RULE,
    &application_in_list::RULE,
    &mixed_rec_merge::RULE,
    &trailing_slash::RULE,
    &unused_binding::RULE,
    &unused_formal::RULE,
    &unused_closed_formal::RULE,
    &unused_at_name::RULE,
    &unused_parameter::RULE,
    &unused_inherit::RULE,
    &unused_with::RULE,
    &needless_rec::RULE,
    &unreached_file::RULE,
    &unused_input::RULE,
    &unused_helper::RULE,
    &unread_option::RULE,
    &unused_suppression::RULE,
    &empty_construct::RULE,
    &duplicate_input::RULE,
    &missing_follows::RULE,
    &missing_lock::RULE,
    &lock_mismatch::RULE,
    &aged_input::RULE,
    &unsupported_release::RULE,
    &foreign_nixpkgs::RULE,
    &mutable_input::RULE,
    &indirect_input::RULE,
    &plain_transport::RULE,
    &impure_lookup::RULE,
    &impure_builtin::RULE,
    &import_cycle::RULE,
    &missing_import::RULE,
    &unfixed_lock::RULE,
    &several_versions::RULE,
    &input_budget::RULE,
    &computed_flake::RULE,
    &no_state_version::RULE,
    &internal_error::RULE,
    &unreadable::SYNTAX,
    &unreadable::UNTERMINATED,
    &unreadable::TOO_DEEP,
    &unreadable::TOO_LARGE,
    &unreadable::BYTE_ORDER_MARK,
    &unreadable::INVALID_NUMBER,
    &unreadable::NOT_UTF8,
    &unreadable::UNREADABLE,
    &unreadable::DYNAMIC_NAME,
    &unreadable::PIPE,
    &unreadable::NUL_BYTE,
];

/// Every rule, sorted by code.
#[must_use]
pub fn all() -> &'static [&'static Rule] {
    ALL
}

/// The rule with a code or a name.
#[must_use]
pub fn find(word: &str) -> Option<&'static Rule> {
    ALL.iter().copied().find(|rule| rule.code.0.eq_ignore_ascii_case(word) || rule.name == word)
}
