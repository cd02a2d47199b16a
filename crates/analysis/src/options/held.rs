//! What a file sets, held against the options that evaluation knows.

use cim_nix_syntax::{Node, ast};

use super::table::{Lookup, OptionTable, Root};
use crate::context::Context;
use crate::settings::Setting;

/// The settings of a module together with what they mean.
pub(crate) struct Held<'a> {
    /// The tables that the file fits, at least one.
    fits: Vec<(&'a OptionTable, Root)>,
    /// Whether the file certainly is a module, rather than by what it sets.
    pub(crate) is_certain: bool,
    pub(crate) settings: Vec<HeldSetting<'a>>,
}

/// A setting and its whole name.
pub(crate) struct HeldSetting<'a> {
    pub(crate) setting: Setting<'a>,
    /// From the first name on, `None` for a computed one.
    names: Box<[Option<Box<str>>]>,
}

/// Attributes of a module that are no options.
const MODULE_PARTS: &[&str] =
    &["_class", "_file", "disabledModules", "imports", "key", "meta", "options", "require"];

impl<'a> Held<'a> {
    /// `None` if nothing was evaluated, or if the file is no module of what was: unless evaluation
    /// has named it, half of what it sets has to be known there.
    pub(crate) fn of(context: &Context<'a>, tables: &'a [OptionTable]) -> Option<Self> {
        if tables.is_empty() {
            return None;
        }
        let all = context.settings();
        let hold = |setting: Setting<'a>| {
            let mut names: Vec<Option<Box<str>>> =
                all.names(setting).map(|name| name.map(Into::into)).collect();
            names.reverse();
            if names.first().is_some_and(|name| name.as_deref() == Some("config")) {
                names.remove(0);
            }
            let first = names.first()?.as_deref()?;
            let is_option = !MODULE_PARTS.contains(&first);
            is_option.then(|| HeldSetting { setting, names: names.into() })
        };
        let settings: Vec<_> = all.on_hosts().filter_map(hold).collect();
        let is_certain = tables.iter().any(|table| table.has_module(context.path));
        let able = tables.iter().filter(|table| !is_certain || table.has_module(context.path));
        let roots = able.flat_map(|table| table.roots().map(move |root| (table, root)));
        let scored: Vec<_> = roots
            .map(|(table, root)| {
                let is_known = |it: &&HeldSetting<'_>| {
                    !matches!(table.look(root, it.names()), Lookup::Unknown(_))
                };
                (settings.iter().filter(is_known).count(), (table, root))
            })
            .collect();
        let best = scored.iter().map(|(known, _)| *known).max()?;
        if !is_certain && (best == 0 || best * 2 < settings.len()) {
            return None;
        }
        let fits = scored.into_iter().filter(|(known, _)| *known == best);
        Some(Self { fits: fits.map(|(_, fit)| fit).collect(), is_certain, settings })
    }

    /// What a setting means where the file fits best.
    pub(crate) fn look(&self, it: &HeldSetting<'a>) -> (Lookup<'a>, &'a OptionTable, Root) {
        let mut looked =
            self.fits.iter().map(|&(table, root)| (table.look(root, it.names()), table, root));
        let first = looked.next().expect("a file fits at least one table");
        if !matches!(first.0, Lookup::Unknown(_)) {
            return first;
        }
        // Unknown is what no configuration knows.
        looked.find(|(found, ..)| !matches!(found, Lookup::Unknown(_))).unwrap_or(first)
    }
}

impl<'a> HeldSetting<'a> {
    pub(crate) fn names(&self) -> impl Iterator<Item = Option<&str>> {
        self.names.iter().map(Option::as_deref)
    }

    /// The first `n` names, if none of them is computed.
    pub(crate) fn first_names(&self, n: usize) -> Option<Vec<&str>> {
        self.names().take(n).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The name joined by dots; `*` for what is computed.
    pub(crate) fn shown(&self) -> String {
        self.names().map(|name| name.unwrap_or("*")).collect::<Vec<_>>().join(".")
    }

    /// The node that spells the name `nth`.
    pub(crate) fn name_node(&self, nth: usize) -> Option<Node<'a>> {
        let mut behind = self.names.len().checked_sub(nth + 1)?;
        let value = self.setting.value;
        if value.parent().is_some_and(|parent| ast::Inherit::cast(parent).is_some()) {
            match behind.checked_sub(1) {
                None => return Some(value),
                Some(left) => behind = left,
            }
        }
        let paths = value.ancestors().filter_map(|node| ast::Binding::cast(node)?.attr_path());
        for path in paths {
            let names: Vec<_> = path.elements().map(|attr| attr.node()).collect();
            match names.len().checked_sub(behind + 1) {
                Some(at) => return Some(names[at]),
                None => behind -= names.len(),
            }
        }
        None
    }
}
