//! String contexts: which store paths a string refers to.
//!
//! A string's header holds the number of its context, 0 for none, so that plain strings pay
//! nothing. Equal contexts have one number, and unions are remembered.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;

use rustc_hash::FxHashMap;

/// What a string refers to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Element {
    /// A store path.
    Path(Rc<str>),
    /// A derivation with everything that it needs.
    Deep(Rc<str>),
    /// An output of a derivation.
    Output {
        /// The derivation's path.
        derivation: Rc<str>,
        /// The output's name.
        output: Rc<str>,
    },
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => f.write_str(path),
            Self::Deep(path) => write!(f, "{path} (deep)"),
            Self::Output { derivation, output } => write!(f, "{derivation}^{output}"),
        }
    }
}

impl Element {
    /// As Nix keeps it: without the store's folder, and with a mark in front.
    pub(crate) fn encoded(&self) -> String {
        let base = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        match self {
            Self::Path(path) => base(path),
            Self::Deep(path) => format!("={}", base(path)),
            Self::Output { derivation, output } => format!("!{output}!{}", base(derivation)),
        }
    }
}

pub(crate) type Set = Rc<BTreeSet<Element>>;

/// All contexts of one evaluation.
pub(crate) struct Contexts {
    sets: RefCell<Vec<Set>>,
    numbers: RefCell<FxHashMap<Set, u32>>,
    unions: RefCell<FxHashMap<(u32, u32), u32>>,
}

impl Contexts {
    pub(crate) fn new() -> Self {
        let none = Set::default();
        Self {
            sets: RefCell::new(vec![none.clone()]),
            numbers: RefCell::new([(none, 0)].into_iter().collect()),
            unions: RefCell::default(),
        }
    }

    /// The elements of a context, sorted.
    pub(crate) fn get(&self, number: u32) -> Set {
        self.sets.borrow()[number as usize].clone()
    }

    /// The number of a context.
    pub(crate) fn number(&self, elements: BTreeSet<Element>) -> u32 {
        if elements.is_empty() {
            return 0;
        }
        let set = Rc::new(elements);
        if let Some(&number) = self.numbers.borrow().get(&set) {
            return number;
        }
        let mut sets = self.sets.borrow_mut();
        let number = sets.len() as u32;
        sets.push(set.clone());
        self.numbers.borrow_mut().insert(set, number);
        number
    }

    /// The number of a context with one element.
    pub(crate) fn one(&self, element: Element) -> u32 {
        self.number(BTreeSet::from([element]))
    }

    /// The context of a string that two others became part of.
    #[inline]
    pub(crate) fn union(&self, a: u32, b: u32) -> u32 {
        if b == 0 || a == b {
            return a;
        }
        if a == 0 {
            return b;
        }
        self.union_of(a, b)
    }

    fn union_of(&self, a: u32, b: u32) -> u32 {
        let key = (a.min(b), a.max(b));
        if let Some(&number) = self.unions.borrow().get(&key) {
            return number;
        }
        let all = self.get(a).union(&self.get(b)).cloned().collect();
        let number = self.number(all);
        self.unions.borrow_mut().insert(key, number);
        number
    }
}
