//! The builtin functions and constants of Nix 2.34.8: what they are called, what they take, when
//! they are in scope, and what to say about them.
//!
//! This module answers what a name means that no scope of the file binds ([`global`]) and what a
//! name selected from `builtins` is ([`builtin`]). It leaves to others which names a file binds
//! itself, and how a builtin computes its result. `__curPos` is not here: the parser turns it into
//! a position, it is never looked up.
//!
//! The invariant: each builtin has exactly one name in the base environment, its plain name or
//! `__` with its plain name, never both. A test holds the whole table against a real Nix.

use std::borrow::Cow;

mod table;

/// The experimental features that [`global`] takes as switched on: the ones that most users of
/// flakes have.
pub const DEFAULT_FEATURES: &[&str] = &["flakes", "nix-command", "pipe-operators"];

/// What a builtin is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Builtin {
    /// The plain name: its attribute name in `builtins`.
    pub name: &'static str,
    /// Function or constant.
    pub kind: BuiltinKind,
    /// How many arguments it takes before it computes anything; 0 for constants.
    pub arity: u8,
    /// The names of its parameters, `arity` of them, as its documentation uses them.
    pub params: &'static [&'static str],
    /// Whether the base environment has it under its plain name (`map`, `import`, `true`), rather
    /// than as `__name`.
    pub global: bool,
    /// When Nix binds the name at all.
    pub binding: Binding,
    /// The experimental feature or setting that belongs to it: what binds the name where
    /// [`Binding`] says so; otherwise the feature without which a call fails.
    pub feature: Option<&'static str>,
    /// Whether pure evaluation leaves the name unbound.
    pub impure_only: bool,
    /// The first release with this name; `None` if that is 0.10 (2006) or older. A name may have
    /// been behind a feature, or behind none, in releases since.
    pub since: Option<&'static str>,
    /// What to write instead, if Nix calls it deprecated.
    pub deprecated: Option<&'static str>,
    /// One to three sentences of Markdown: the result, the order of the arguments, errors and
    /// laziness where notable. Parameters are in italics.
    pub doc: &'static str,
}

/// Whether a builtin can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltinKind {
    /// A function of one or more arguments.
    Function,
    /// A value.
    Constant,
}

/// When Nix binds a builtin's name, in the base environment and in `builtins` alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Always, save for [`Builtin::impure_only`].
    Always,
    /// Only while the experimental feature [`Builtin::feature`] is on.
    Feature,
    /// Only while the setting [`Builtin::feature`] is on.
    Setting,
    /// Never for an expression of a user.
    Internal,
}

/// What a free identifier means in the base environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Global {
    /// What it is bound to.
    pub builtin: &'static Builtin,
    /// Whether it was written in its `__name` form.
    pub underscored: bool,
}

impl Builtin {
    /// Whether Nix binds the name when the experimental features and settings in `enabled` are on.
    ///
    /// Speaks of impure evaluation: in pure evaluation, see [`Builtin::impure_only`] too.
    #[must_use]
    pub fn is_bound(&self, enabled: &[&str]) -> bool {
        match (self.binding, self.feature) {
            (Binding::Always, _) => true,
            (Binding::Internal, _) | (_, None) => false,
            (Binding::Feature | Binding::Setting, Some(gate)) => enabled.iter().any(|&on| {
                // Nix lets `flakes` switch on `fetch-tree`, which flakes are built on.
                on == gate || (on == "flakes" && gate == "fetch-tree")
            }),
        }
    }

    /// The name by which the base environment has it: `map`, `__add`.
    #[must_use]
    pub fn global_name(&self) -> Cow<'static, str> {
        if self.global { Cow::Borrowed(self.name) } else { Cow::Owned(format!("__{}", self.name)) }
    }
}

/// Returns the builtin with the plain name `name`, bound or not: ask [`Builtin::is_bound`].
///
/// Cost: constant, no more than a few bytes of `name` are read unless a builtin is like it.
#[must_use]
pub fn builtin(name: &str) -> Option<&'static Builtin> {
    let mut slot = slot_of(name.as_bytes());
    loop {
        let entry = all().get(usize::from(SLOTS[slot]))?;
        if entry.name == name {
            return Some(entry);
        }
        slot = (slot + 1) % SLOTS.len();
    }
}

/// Resolves a free identifier as Nix does with [`DEFAULT_FEATURES`] in impure evaluation.
///
/// ```text
/// map       the function map
/// __add     the function add; plain `add` is None, as is `__map`
/// builtins  the set itself, a constant like `true`
/// ```
#[must_use]
pub fn global(name: &str) -> Option<Global> {
    global_with(name, DEFAULT_FEATURES)
}

/// Resolves a free identifier as Nix does when the experimental features and settings in
/// `enabled`, and no others, are on.
#[must_use]
pub fn global_with(name: &str, enabled: &[&str]) -> Option<Global> {
    let gated = global_behind_any_gate(name)?;
    gated.builtin.is_bound(enabled).then_some(gated)
}

/// Resolves a free identifier as a Nix with every feature and setting on would.
///
/// Where [`global`] finds nothing and this does, [`Builtin::feature`] says what to switch on.
#[must_use]
pub fn global_behind_any_gate(name: &str) -> Option<Global> {
    let (plain, underscored) = match name.strip_prefix("__") {
        Some(plain) => (plain, true),
        None => (name, false),
    };
    let builtin = builtin(plain)?;
    (builtin.global != underscored && builtin.binding != Binding::Internal)
        .then_some(Global { builtin, underscored })
}

/// Returns every builtin, sorted by name in byte order, those behind features included.
#[must_use]
pub fn all() -> &'static [Builtin] {
    &table::TABLE
}

/// Marks a slot without a builtin; not a position in the table.
const EMPTY: u8 = u8::MAX;

/// Positions in the table by [`slot_of`] a name, a taken slot passing to the next: every free name
/// of every file is looked up here and most are no builtin, which one slot in eight taken shows at
/// once. A binary search of the table took six times as long to say no.
static SLOTS: [u8; 1024] = slots();

const fn slots() -> [u8; 1024] {
    // At least one slot stays empty, so that the search for a name that is in none ends.
    assert!(table::TABLE.len() < EMPTY as usize, "a position does not fit a slot");
    let mut slots = [EMPTY; 1024];
    let mut at = 0;
    while at < table::TABLE.len() {
        let mut slot = slot_of(table::TABLE[at].name.as_bytes());
        while slots[slot] != EMPTY {
            slot = (slot + 1) % slots.len();
        }
        slots[slot] = at as u8;
        at += 1;
    }
    slots
}

/// Where to begin looking for a name, from its length and four of its bytes.
const fn slot_of(name: &[u8]) -> usize {
    let length = name.len();
    if length == 0 {
        return 0;
    }
    let key =
        u32::from_le_bytes([name[0], name[length / 3], name[length * 2 / 3], name[length - 1]]);
    // The multiplier is the golden ratio of 32 bits: it spreads neighbours over the high bits.
    ((key ^ length as u32).wrapping_mul(0x9e37_79b9) >> 22) as usize
}

#[cfg(test)]
mod tests;
