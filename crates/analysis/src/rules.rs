//! The registry: one line a rule.

use crate::rule::Rule;

pub(crate) mod accumulation;
pub(crate) mod application_in_list;
pub(crate) mod assert_true;
pub(crate) mod attrs_from_list;
pub(crate) mod bool_comparison;
pub(crate) mod builtins_prefix;
mod callers;
mod calls;
pub(crate) mod commented_code;
pub(crate) mod concat_of_map;
pub(crate) mod derivation_per_element;
pub(crate) mod duplicate_definition;
pub(crate) mod empty_construct;
pub(crate) mod empty_pattern;
pub(crate) mod eta_expansion;
pub(crate) mod import_cycle;
pub(crate) mod import_from_derivation;
pub(crate) mod instantiation;
pub(crate) mod internal_error;
pub(crate) mod lazy_fold;
pub(crate) mod leftover_trace;
pub(crate) mod legacy_let;
pub(crate) mod manual_grouping;
pub(crate) mod manual_inherit;
pub(crate) mod missing_import;
pub(crate) mod mixed_rec_merge;
pub(crate) mod needless_has_attr;
pub(crate) mod needless_parens;
pub(crate) mod needless_rec;
pub(crate) mod nested_let;
pub(crate) mod or_as_variable;
pub(crate) mod package_inputs;
pub(crate) mod package_meta;
pub(crate) mod package_names;
pub(crate) mod package_phases;
pub(crate) mod package_set_path;
mod packages;
pub(crate) mod plain_regex;
pub(crate) mod quadratic_search;
mod reachability;
pub(crate) mod recursion_along_list;
pub(crate) mod repeated_key;
pub(crate) mod self_reference;
pub(crate) mod shadowed_binding;
pub(crate) mod split_list;
pub(crate) mod to_path;
pub(crate) mod trailing_slash;
pub(crate) mod undefined_variable;
pub(crate) mod unknown_builtin;
pub(crate) mod unquoted_uri;
pub(crate) mod unreachable_branch;
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
pub(crate) mod whole_tree;
pub(crate) mod wide_with;

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
    &unreachable_branch::RULE,
    &shadowed_binding::RULE,
    &commented_code::RULE,
    &unused_suppression::RULE,
    &empty_construct::RULE,
    &assert_true::RULE,
    &import_cycle::RULE,
    &missing_import::RULE,
    &internal_error::RULE,
    &import_from_derivation::RULE,
    &instantiation::REPEATED,
    &instantiation::PER_CALL,
    &accumulation::GROWING_SET,
    &accumulation::GROWING_LIST,
    &lazy_fold::RULE,
    &quadratic_search::UNIQUE,
    &quadratic_search::ELEM,
    &concat_of_map::RULE,
    &attrs_from_list::RULE,
    &manual_grouping::RULE,
    &whole_tree::AS_SOURCE,
    &whole_tree::FILTERED_SELF,
    &whole_tree::INTERPOLATED,
    &package_set_path::RULE,
    &wide_with::PACKAGES,
    &wide_with::NESTED,
    &recursion_along_list::RULE,
    &leftover_trace::RULE,
    &plain_regex::RULE,
    &split_list::RULE,
    &derivation_per_element::RULE,
    &instantiation::IN_OVERLAY,
    &manual_inherit::RULE,
    &nested_let::RULE,
    &legacy_let::RULE,
    &unquoted_uri::RULE,
    &needless_parens::RULE,
    &bool_comparison::RULE,
    &eta_expansion::RULE,
    &needless_has_attr::RULE,
    &repeated_key::RULE,
    &empty_pattern::EMPTY,
    &to_path::RULE,
    &empty_pattern::NAMED,
    &package_names::NAME,
    &package_meta::LICENSE,
    &package_meta::DESCRIPTION,
    &package_meta::MAIN_PROGRAM,
    &package_names::ORDER,
    &package_inputs::BUILD_TOOLS,
    &package_inputs::PATCHES,
    &package_phases::FLAGS_ARRAY,
    &package_phases::PHASES,
    &package_phases::FLAG_SPACES,
    &package_phases::PHASE_HOOKS,
    &builtins_prefix::RULE,
    &wide_with::LIBRARY,
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
