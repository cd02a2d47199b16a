//! The registry: one line a rule.

use crate::rule::Rule;

pub(crate) mod undefined_variable;
pub(crate) mod unused_binding;
pub(crate) mod unused_suppression;

#[cfg(test)]
mod tests;

/// Every rule, by code.
static ALL: &[&Rule] =
    &[&undefined_variable::RULE, &unused_binding::RULE, &unused_suppression::RULE];

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
