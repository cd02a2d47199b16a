//! The registry: one line a rule.

use crate::rule::Rule;

pub(crate) mod absolute_path;
pub(crate) mod application_in_list;
pub(crate) mod blind_download;
pub(crate) mod broken_indentation;
mod callers;
pub(crate) mod dead_escape;
pub(crate) mod duplicate_definition;
pub(crate) mod empty_construct;
pub(crate) mod fake_hash;
pub(crate) mod fetchers;
pub(crate) mod floating_ref;
pub(crate) mod hidden_characters;
pub(crate) mod import_cycle;
pub(crate) mod insecure_url;
pub(crate) mod internal_error;
pub(crate) mod known_secret;
pub(crate) mod merged_condition;
pub(crate) mod misread_operator;
pub(crate) mod missing_hash;
pub(crate) mod missing_import;
pub(crate) mod mixed_rec_merge;
pub(crate) mod native_code;
pub(crate) mod needless_rec;
pub(crate) mod odd_comparison;
pub(crate) mod or_as_variable;
pub(crate) mod overridden_builtin;
pub(crate) mod path_as_text;
mod places;
mod reachability;
pub(crate) mod secret_from_environment;
pub(crate) mod secret_in_code;
mod secret_names;
pub(crate) mod self_reference;
mod token_shapes;
pub(crate) mod trailing_slash;
pub(crate) mod undefined_variable;
pub(crate) mod unknown_builtin;
pub(crate) mod unpinned_download;
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
pub(crate) mod weak_hash;

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
    &overridden_builtin::RULE,
    &self_reference::RULE,
    &uri_for_function::RULE,
    &broken_indentation::RULE,
    &dead_escape::RULE,
    &application_in_list::RULE,
    &misread_operator::RULE,
    &mixed_rec_merge::RULE,
    &odd_comparison::RULE,
    &merged_condition::RULE,
    &path_as_text::RULE,
    &trailing_slash::RULE,
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
    &unpinned_download::RULE,
    &missing_hash::RULE,
    &floating_ref::RULE,
    &fake_hash::RULE,
    &weak_hash::RULE,
    &insecure_url::RULE,
    &native_code::RULE,
    &secret_in_code::RULE,
    &known_secret::RULE,
    &secret_from_environment::RULE,
    &blind_download::RULE,
    &hidden_characters::RULE,
    &absolute_path::RULE,
    &insecure_url::PINNED,
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
