//! The registry: one line a rule.

use crate::rule::Rule;

pub(crate) mod account_password;
pub(crate) mod aged_input;
pub(crate) mod application_in_list;
pub(crate) mod automatic_login;
mod callers;
pub(crate) mod computed_flake;
pub(crate) mod docker_root;
pub(crate) mod duplicate_definition;
pub(crate) mod duplicate_input;
pub(crate) mod empty_construct;
pub(crate) mod firewall_off;
pub(crate) mod flake_config;
pub(crate) mod foreign_nixpkgs;
pub(crate) mod http_substituter;
pub(crate) mod import_cycle;
pub(crate) mod indirect_input;
pub(crate) mod input_budget;
pub(crate) mod internal_error;
pub(crate) mod kernel_protection_off;
pub(crate) mod lock_mismatch;
pub(crate) mod missing_follows;
pub(crate) mod missing_import;
pub(crate) mod missing_lock;
pub(crate) mod mixed_rec_merge;
pub(crate) mod mutable_input;
pub(crate) mod needless_rec;
mod nix_conf;
pub(crate) mod nix_users;
pub(crate) mod nixpkgs_config;
pub(crate) mod open_ports;
pub(crate) mod open_service;
pub(crate) mod or_as_variable;
pub(crate) mod plain_http_host;
pub(crate) mod plain_transport;
pub(crate) mod privileged_container;
pub(crate) mod protection_off;
mod raw_text;
mod reachability;
pub(crate) mod renamed_option;
pub(crate) mod sandbox_off;
pub(crate) mod secret_environment;
pub(crate) mod secret_file;
pub(crate) mod secret_in_option;
mod secret_names;
pub(crate) mod secret_text;
pub(crate) mod self_reference;
pub(crate) mod several_versions;
pub(crate) mod ssh_login;
pub(crate) mod sudo_without_password;
pub(crate) mod trailing_slash;
pub(crate) mod undefined_variable;
pub(crate) mod unescaped_shell;
pub(crate) mod unfixed_lock;
pub(crate) mod unhardened_service;
pub(crate) mod unknown_builtin;
pub(crate) mod unknown_option;
pub(crate) mod unreadable;
pub(crate) mod unsigned_substituter;
pub(crate) mod unsupported_release;
pub(crate) mod unused_at_name;
pub(crate) mod unused_binding;
pub(crate) mod unused_closed_formal;
pub(crate) mod unused_formal;
pub(crate) mod unused_inherit;
pub(crate) mod unused_input;
pub(crate) mod unused_parameter;
pub(crate) mod unused_suppression;
pub(crate) mod unused_with;
pub(crate) mod uri_for_function;
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
    &unused_input::RULE,
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
    &import_cycle::RULE,
    &missing_import::RULE,
    &unfixed_lock::RULE,
    &several_versions::RULE,
    &input_budget::RULE,
    &computed_flake::RULE,
    &internal_error::RULE,
    &http_substituter::RULE,
    &unsigned_substituter::RULE,
    &sandbox_off::RULE,
    &nix_users::TRUSTED,
    &nix_users::ALLOWED,
    &flake_config::ACCEPTED,
    &widened_sandbox::RULE,
    &nixpkgs_config::INSECURE,
    &nixpkgs_config::UNFREE,
    &nixpkgs_config::BROKEN,
    &account_password::PLAIN,
    &account_password::HASHED,
    &account_password::EMPTY,
    &secret_in_option::RULE,
    &secret_file::COPIED,
    &secret_file::READ,
    &secret_text::RULE,
    &secret_environment::RULE,
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
    &flake_config::ASKED,
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
