//! Programs that are all about names: few of them, so that they hide and catch each other, in every
//! form that binds or asks for one. Most have a value.

use std::fmt::Write as _;

use crate::soup::Random;

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

/// What a name stands for.
#[derive(Clone, PartialEq, Debug)]
enum Kind {
    Number,
    /// A set of numbers under these names.
    Set(Vec<&'static str>),
    /// A function that takes a set of numbers under these names.
    Function(Vec<&'static str>),
}

struct Writer {
    random: Random,
    scope: Vec<(&'static str, Kind)>,
    fuel: usize,
}

/// The program of a seed.
#[must_use]
pub fn name_soup(seed: u64) -> String {
    let random = Random::new(seed);
    let mut writer = Writer { random, scope: Vec::new(), fuel: 60 };
    format!("[ {} {} ]\n", writer.number(), writer.number())
}

impl Writer {
    fn one_in(&mut self, n: usize) -> bool {
        self.random.below(n) == 0
    }

    fn name(&mut self) -> &'static str {
        NAMES[self.random.below(NAMES.len())]
    }

    /// Some names, each once.
    fn names(&mut self) -> Vec<&'static str> {
        let mut names = Vec::new();
        for _ in 0..=self.random.below(3) {
            let name = self.name();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// What a name that is visible here stands for, if it is of some kind.
    fn visible<T>(&mut self, wanted: impl Fn(&Kind) -> Option<T>) -> Option<(&'static str, T)> {
        let start = self.random.below(self.scope.len().max(1));
        let places = (start..self.scope.len()).chain(0..start);
        places.into_iter().find_map(|at| {
            let (name, kind) = &self.scope[at];
            let is_hidden = self.scope[at + 1..].iter().any(|(inner, _)| inner == name);
            if is_hidden { None } else { Some((*name, wanted(kind)?)) }
        })
    }

    fn set(&mut self) -> Option<(&'static str, Vec<&'static str>)> {
        self.visible(|kind| match kind {
            Kind::Set(names) => Some(names.clone()),
            _ => None,
        })
    }

    /// An expression in parentheses whose value is a number.
    fn number(&mut self) -> String {
        if self.fuel == 0 {
            return self.leaf();
        }
        self.fuel -= 1;
        match self.random.below(9) {
            0..=2 => self.leaf(),
            3 => format!("({} + {})", self.number(), self.number()),
            4 => {
                let mark = self.scope.len();
                let entries = self.entries(true);
                let body = self.number();
                self.scope.truncate(mark);
                format!("(let {entries}in {body})")
            }
            5 => {
                let argument = self.number();
                let name = self.name();
                let body = self.within(vec![(name, Kind::Number)], Self::number);
                format!("(({name}: {body}) {argument})")
            }
            6 => {
                let names = self.names();
                let argument = self.argument(&names);
                format!("({} {argument})", self.function(&names))
            }
            7 => match self.set() {
                Some((set, names)) => {
                    let added = names.iter().map(|&name| (name, Kind::Number)).collect();
                    // What is bound wins over the `with`, so a name may be another one than it seems.
                    format!("(with {set}; {})", self.within(added, Self::number))
                }
                None => self.leaf(),
            },
            _ => {
                let function = self.visible(|kind| match kind {
                    Kind::Function(names) => Some(names.clone()),
                    _ => None,
                });
                match function {
                    Some((function, names)) => format!("({function} {})", self.argument(&names)),
                    None => self.leaf(),
                }
            }
        }
    }

    fn leaf(&mut self) -> String {
        if self.one_in(3)
            && let Some((set, names)) = self.set()
        {
            let name = names[self.random.below(names.len())];
            return match self.random.below(4) {
                0 => format!("({set}.{name} or 7)"),
                1 => format!("(if {set} ? {name} then 1 else 2)"),
                2 => format!("{set}.\"{name}\""),
                _ => format!("{set}.{name}"),
            };
        }
        match self.visible(|kind| (*kind == Kind::Number).then_some(())) {
            Some((name, ())) if !self.one_in(5) => name.to_owned(),
            _ => self.random.below(100).to_string(),
        }
    }

    fn within<T>(
        &mut self,
        names: Vec<(&'static str, Kind)>,
        write: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let mark = self.scope.len();
        self.scope.extend(names);
        let written = write(self);
        self.scope.truncate(mark);
        written
    }

    /// A function that takes a set of numbers.
    fn function(&mut self, names: &[&'static str]) -> String {
        let ellipsis = if self.one_in(3) { ", ..." } else { "" };
        let formals = format!("{{ {}{ellipsis} }}", names.join(", "));
        let mut visible: Vec<_> = names.iter().map(|&name| (name, Kind::Number)).collect();
        let all = self.name();
        let is_named = self.one_in(3) && !names.contains(&all);
        if is_named {
            visible.push((all, Kind::Set(names.to_vec())));
        }
        let body = self.within(visible, Self::number);
        match is_named {
            true if self.one_in(2) => format!("({all}@{formals}: {body})"),
            true => format!("({formals}@{all}: {body})"),
            false => format!("({formals}: {body})"),
        }
    }

    fn argument(&mut self, names: &[&'static str]) -> String {
        let mut out = "{ ".to_owned();
        for name in names {
            let number = Kind::Number;
            let is_same = self.visible(|kind| (*kind == number).then_some(()));
            match is_same {
                Some((found, ())) if found == *name => {
                    let _ = write!(out, "inherit {name}; ");
                }
                _ => {
                    let _ = write!(out, "{name} = {}; ", self.number());
                }
            }
        }
        out + "}"
    }

    /// Entries of a `let` or a recursive set; what they bind becomes visible.
    fn entries(&mut self, is_let: bool) -> String {
        let mut out = String::new();
        for name in self.names() {
            match self.random.below(if is_let { 7 } else { 2 }) {
                0 | 1 => {
                    let _ = write!(out, "{name} = {}; ", self.number());
                    self.scope.push((name, Kind::Number));
                }
                2 => {
                    let names = self.names();
                    let _ = write!(out, "{name} = {}; ", self.argument(&names));
                    self.scope.push((name, Kind::Set(names)));
                }
                3 => {
                    let names = self.names();
                    for inner in &names {
                        let _ = write!(out, "{name}.{inner} = {}; ", self.number());
                    }
                    self.scope.push((name, Kind::Set(names)));
                }
                4 => {
                    let mark = self.scope.len();
                    let entries = self.entries(false);
                    let names = self.scope.drain(mark..).map(|(name, _)| name).collect();
                    let _ = write!(out, "{name} = rec {{ {entries}}}; ");
                    self.scope.push((name, Kind::Set(names)));
                }
                5 => match self.set() {
                    Some((set, names)) if names.contains(&name) && set != name => {
                        let _ = write!(out, "inherit ({set}) {name}; ");
                        self.scope.push((name, Kind::Number));
                    }
                    _ => {
                        let _ = write!(out, "{name} = 1; ");
                        self.scope.push((name, Kind::Number));
                    }
                },
                _ => {
                    let names = self.names();
                    let _ = write!(out, "{name} = {}; ", self.function(&names));
                    self.scope.push((name, Kind::Function(names)));
                }
            }
        }
        out
    }
}
