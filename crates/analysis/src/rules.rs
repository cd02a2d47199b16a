//! The registry: one line a rule.

use crate::rule::Rule;

pub(crate) mod application_in_list;
mod callers;
pub(crate) mod duplicate_definition;
pub(crate) mod empty_construct;
pub(crate) mod import_cycle;
pub(crate) mod internal_error;
pub(crate) mod missing_import;
pub(crate) mod mixed_rec_merge;
pub(crate) mod needless_rec;
pub(crate) mod or_as_variable;
mod reachability;
pub(crate) mod renamed_option;
pub(crate) mod secret_in_option;
pub(crate) mod self_reference;
pub(crate) mod trailing_slash;
pub(crate) mod undefined_variable;
pub(crate) mod unknown_builtin;
pub(crate) mod unknown_option;
pub(crate) mod unreadable;
pub(crate) mod unused_at_name;
pub(crate) mod unused_binding;
pub(crate) mod unused_closed_formal;
pub(crate) mod unused_formal;
pub(crate) mod unused_inherit;
pub(crate) mod unused_parameter;
pub(crate) mod unused_suppression;
pub(crate) mod unused_with;
pub(crate) mod uri_for_function;
pub(crate) mod wrong_option_type;

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
    &unknown_option::RULE,
    &wrong_option_type::RULE,
    &renamed_option::RULE,
    &unused_binding::RULE,
    &unused_formal::RULE,
    &unused_closed_formal::RULE,
    &unused_at_name::RULE,
    &unused_parameter::RULE,
    &unused_inherit::RULE,
    &unused_with::RULE,
    &needless_rec::RULE,
    &unused_suppression::RULE,
    &empty_construct::RULE,
    &import_cycle::RULE,
    &missing_import::RULE,
    &internal_error::RULE,
    &secret_in_option::RULE,
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
