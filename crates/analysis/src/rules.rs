//! The registry: one line a rule.

use crate::rule::Rule;

pub(crate) mod absolute_path;
pub(crate) mod account_password;
pub(crate) mod accumulation;
pub(crate) mod aged_input;
pub(crate) mod application_in_list;
pub(crate) mod assert_true;
pub(crate) mod attrs_from_list;
pub(crate) mod automatic_login;
pub(crate) mod blind_download;
pub(crate) mod bool_comparison;
pub(crate) mod broken_indentation;
pub(crate) mod builtins_prefix;
mod callers;
pub(crate) mod calls;
pub(crate) mod commented_code;
pub(crate) mod computed_flake;
pub(crate) mod concat_of_map;
pub(crate) mod dead_escape;
pub(crate) mod derivation_per_element;
pub(crate) mod docker_root;
pub(crate) mod duplicate_definition;
pub(crate) mod duplicate_input;
pub(crate) mod empty_construct;
pub(crate) mod empty_pattern;
pub(crate) mod eta_expansion;
pub(crate) mod fake_hash;
pub(crate) mod fetchers;
pub(crate) mod firewall_off;
pub(crate) mod flake_config;
pub(crate) mod floating_ref;
pub(crate) mod foreign_nixpkgs;
pub(crate) mod hidden_characters;
mod hosts;
pub(crate) mod http_substituter;
pub(crate) mod import_cycle;
pub(crate) mod import_from_derivation;
pub(crate) mod impure_builtin;
pub(crate) mod impure_lookup;
pub(crate) mod indirect_input;
pub(crate) mod input_budget;
pub(crate) mod insecure_url;
pub(crate) mod instantiation;
pub(crate) mod internal_error;
pub(crate) mod kernel_protection_off;
pub(crate) mod known_secret;
pub(crate) mod lazy_fold;
pub(crate) mod leftover_trace;
pub(crate) mod legacy_let;
pub(crate) mod lock_mismatch;
pub(crate) mod manual_grouping;
pub(crate) mod manual_inherit;
pub(crate) mod merged_condition;
pub(crate) mod misread_operator;
pub(crate) mod missing_follows;
pub(crate) mod missing_hash;
pub(crate) mod missing_import;
pub(crate) mod missing_lock;
pub(crate) mod mixed_rec_merge;
pub(crate) mod mutable_input;
pub(crate) mod native_code;
pub(crate) mod needless_has_attr;
pub(crate) mod needless_parens;
pub(crate) mod needless_rec;
pub(crate) mod nested_let;
mod nix_conf;
pub(crate) mod nix_users;
pub(crate) mod nixpkgs_config;
pub(crate) mod no_state_version;
pub(crate) mod odd_comparison;
pub(crate) mod open_ports;
pub(crate) mod open_service;
pub(crate) mod or_as_variable;
pub(crate) mod overridden_builtin;
pub(crate) mod package_inputs;
pub(crate) mod package_meta;
pub(crate) mod package_names;
pub(crate) mod package_phases;
pub(crate) mod package_set_path;
mod packages;
pub(crate) mod path_as_text;
pub(crate) mod places;
pub(crate) mod plain_http_host;
pub(crate) mod plain_regex;
pub(crate) mod plain_transport;
pub(crate) mod privileged_container;
pub(crate) mod protection_off;
pub(crate) mod quadratic_search;
mod raw_text;
mod reachability;
pub(crate) mod recursion_along_list;
pub(crate) mod renamed_option;
pub(crate) mod repeated_key;
pub(crate) mod sandbox_off;
pub(crate) mod secret_environment;
pub(crate) mod secret_file;
pub(crate) mod secret_from_environment;
pub(crate) mod secret_in_code;
pub(crate) mod secret_in_option;
mod secret_names;
pub(crate) mod secret_text;
mod secret_values;
pub(crate) mod self_reference;
pub(crate) mod several_versions;
pub(crate) mod shadowed_binding;
pub(crate) mod split_list;
pub(crate) mod ssh_login;
pub(crate) mod sudo_without_password;
pub(crate) mod to_path;
mod token_shapes;
pub(crate) mod trailing_slash;
pub(crate) mod undefined_variable;
pub(crate) mod unescaped_shell;
pub(crate) mod unfixed_lock;
pub(crate) mod unhardened_service;
pub(crate) mod unknown_builtin;
pub(crate) mod unknown_option;
pub(crate) mod unpinned_download;
pub(crate) mod unquoted_uri;
pub(crate) mod unreachable_branch;
pub(crate) mod unreached_file;
pub(crate) mod unread_option;
pub(crate) mod unreadable;
pub(crate) mod unsigned_substituter;
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
pub(crate) mod weak_hash;
pub(crate) mod whole_tree;
pub(crate) mod wide_with;
pub(crate) mod widened_sandbox;
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
    &unreachable_branch::RULE,
    &shadowed_binding::RULE,
    &unreached_file::RULE,
    &unused_input::RULE,
    &unused_helper::RULE,
    &commented_code::RULE,
    &unread_option::RULE,
    &unused_suppression::RULE,
    &empty_construct::RULE,
    &assert_true::RULE,
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
    &unpinned_download::RULE,
    &missing_hash::RULE,
    &floating_ref::RULE,
    &fake_hash::RULE,
    &weak_hash::RULE,
    &insecure_url::RULE,
    &http_substituter::RULE,
    &unsigned_substituter::RULE,
    &sandbox_off::RULE,
    &nix_users::TRUSTED,
    &nix_users::ALLOWED,
    &flake_config::ACCEPTED,
    &native_code::RULE,
    &widened_sandbox::RULE,
    &nixpkgs_config::INSECURE,
    &nixpkgs_config::UNFREE,
    &nixpkgs_config::BROKEN,
    &account_password::PLAIN,
    &account_password::HASHED,
    &account_password::EMPTY,
    &secret_in_option::RULE,
    &secret_in_code::RULE,
    &secret_file::COPIED,
    &known_secret::RULE,
    &secret_file::READ,
    &secret_text::RULE,
    &secret_environment::RULE,
    &secret_from_environment::RULE,
    &ssh_login::ROOT,
    &ssh_login::PASSWORD,
    &ssh_login::EMPTY,
    &firewall_off::RULE,
    &open_ports::RULE,
    &sudo_without_password::RULE,
    &open_service::RULE,
    &docker_root::RULE,
    &privileged_container::RULE,
    &automatic_login::RULE,
    &unhardened_service::RULE,
    &plain_http_host::RULE,
    &kernel_protection_off::RULE,
    &protection_off::RULE,
    &unescaped_shell::RULE,
    &blind_download::RULE,
    &flake_config::ASKED,
    &hidden_characters::RULE,
    &absolute_path::RULE,
    &insecure_url::PINNED,
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
    ALL.iter()
        .copied()
        .find(|rule| rule.code.0.eq_ignore_ascii_case(word) || rule.name.eq_ignore_ascii_case(word))
}
