//! Random expressions that are mostly well typed, so that evaluation gets somewhere.
//!
//! What can be said in a line stands in `grammar.txt`; what binds names is in [`forms`]; literals
//! of lists, sets and functions are in [`literals`].

mod forms;
mod literals;

use std::rc::Rc;

use cim_nix_base::Error;
use fastrand::Rng;

use super::grammar::{Grammar, Part, Rule};
use super::types::{Bound, Type};
use super::world::FOLDER;

/// Makes expressions.
pub struct Generator {
    grammar: Grammar,
}

impl Generator {
    /// Reads the grammar.
    ///
    /// Errors: the grammar has a mistake.
    pub fn new() -> Result<Self, Error> {
        Grammar::read().map(|grammar| Self { grammar }).map_err(Error::bug)
    }

    /// One expression. Every rule of the grammar is the outermost one, or nearly so, equally often.
    #[must_use]
    pub fn expression(&self, rng: &mut Rng) -> String {
        let mistakes = [0, 0, 0, 15, 60][rng.usize(..5)];
        let depth = rng.u32(2..6);
        let mut run = Run { grammar: &self.grammar, rng, mistakes, fuel: 70, scope: Vec::new() };
        let text = run.program(depth);
        text.strip_prefix('(')
            .and_then(|inner| inner.strip_suffix(')'))
            .filter(|inner| is_balanced(inner))
            .map_or(text.clone(), str::to_owned)
    }
}

/// Whether no parenthesis in it closes one outside. Strings may fool it, to the safe side only.
fn is_balanced(text: &str) -> bool {
    let mut depth = 0_i32;
    for byte in text.bytes() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b'"' | b'\'' => return false,
            _ => {}
        }
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}

/// A variable that is bound where generation is.
struct Variable {
    name: &'static str,
    of: Type,
}

struct Run<'r> {
    grammar: &'r Grammar,
    rng: &'r mut Rng,
    /// How many of a thousand holes get something that does not belong there.
    mistakes: u32,
    /// How many rules may still be used.
    fuel: u32,
    scope: Vec<Variable>,
}

/// Types of values in general: what `any` stands for.
const GROUND: &[&str] = &[
    "int", "int", "int", "small", "float", "bool", "bool", "null", "str", "str", "text", "ctx",
    "path", "file", "drv",
];

/// Names of members of sets.
const MEMBERS: &[&str] = &["a", "b", "c", "x", "y", "k", "foo", "name", "value"];

impl<'r> Run<'r> {
    fn chance(&mut self, percent: u32) -> bool {
        self.rng.u32(0..100) < percent
    }

    fn word(&mut self, words: &[&'static str]) -> &'static str {
        words[self.rng.usize(..words.len())]
    }

    /// A type without variables.
    fn ground(&mut self, depth: u32) -> Type {
        if depth == 0 || self.chance(60) {
            return Type::Word(self.word(GROUND));
        }
        let inner = |run: &mut Self| Rc::new(run.ground(depth - 1));
        match self.rng.u32(0..10) {
            0..3 => Type::List(inner(self)),
            3..6 => Type::Set(inner(self)),
            6..9 => {
                let n = self.rng.usize(1..4);
                let names = self.rng.choose_multiple(MEMBERS.iter().copied(), n);
                Type::Record(names.into_iter().map(|name| (name, self.ground(depth - 1))).collect())
            }
            _ => Type::Function(inner(self), inner(self)),
        }
    }

    fn program(&mut self, depth: u32) -> String {
        let grammar = self.grammar;
        let rule = &grammar.rules[self.rng.usize(..grammar.rules.len())];
        if rule.result == Type::Word("broken") {
            // Half of them need no more than being there.
            return self.fill(rule, &mut Bound::default(), depth.min(2));
        }
        let mut bound = Bound::default();
        let result = rule.result.filled(&mut bound, &mut || self.ground(1));
        let focus = |run: &mut Self| match run.chance(80) {
            true => run.fill(rule, &mut bound.clone(), depth),
            false => run.expr(&result, depth),
        };
        match self.rng.u32(0..20) {
            0..10 => focus(self),
            10 => {
                let focus = focus(self);
                format!("[ {} {focus} ]", self.expr(&Type::Word("any"), depth - 1))
            }
            11 => format!("{{ a = {}; b = {}; }}", focus(self), self.expr(&result, depth - 1)),
            12 => format!("builtins.tryEval {}", focus(self)),
            13 => format!("builtins.toJSON {}", focus(self)),
            14 => format!("builtins.toXML {}", focus(self)),
            15 => format!("builtins.typeOf {}", focus(self)),
            _ => {
                let focus = focus(self);
                let name = self.word(forms::NAMES);
                let wanted = self.ground(1);
                self.scope.push(Variable { name, of: result });
                let body = self.expr(&wanted, depth);
                self.scope.pop();
                if self.chance(50) {
                    format!("let {name} = {focus}; in {body}")
                } else {
                    format!("({name}: {body}) {focus}")
                }
            }
        }
    }

    /// An expression of about this type, as one operand.
    fn expr(&mut self, wanted: &Type, depth: u32) -> String {
        // What Nix's `break` gets it gives back unevaluated.
        if *wanted == Type::Word("break") {
            return self.leaf(wanted);
        }
        if self.rng.u32(0..1000) < self.mistakes {
            return self.mistake(depth);
        }
        match wanted {
            Type::Word("lazy") if self.chance(60) => return self.fail(depth),
            Type::Word("lazy") => return self.expr(&Type::Word("any"), depth.min(2)),
            Type::Word("any") if self.chance(75) => {
                let of = self.ground(1);
                return self.expr(&of, depth);
            }
            Type::Word("fail") => return self.fail(depth),
            _ => {}
        }
        if self.chance(if depth == 0 { 60 } else { 15 })
            && let Some(name) = self.variable(wanted)
        {
            return name.to_owned();
        }
        if depth == 0 || self.fuel == 0 {
            return self.leaf(wanted);
        }
        if self.chance(18) {
            return self.form(wanted, depth);
        }
        let is_literal =
            matches!(wanted, Type::List(_) | Type::Set(_) | Type::Record(_) | Type::Function(..));
        let of_any_type = self.chance(15);
        if is_literal && !of_any_type && self.chance(55) {
            return self.literal(wanted, depth);
        }
        match self.pick(wanted, of_any_type, false) {
            Some((rule, mut bound)) => self.fill(rule, &mut bound, depth),
            None => self.leaf(wanted),
        }
    }

    /// Something that does not belong here.
    fn mistake(&mut self, depth: u32) -> String {
        if self.chance(50) {
            return self.fail(depth.min(2));
        }
        let of = self.ground(1);
        self.expr(&of, depth.min(2))
    }

    fn fail(&mut self, depth: u32) -> String {
        if self.chance(50) {
            return self
                .word(&[
                    "(throw \"thrown\")",
                    "(abort \"no\")",
                    "(1 + \"a\")",
                    "{ }.a",
                    "(assert false; 1)",
                ])
                .to_owned();
        }
        match self.pick(&Type::Word("fail"), false, self.fuel == 0) {
            Some((rule, mut bound)) => self.fill(rule, &mut bound, depth.min(2)),
            None => "(throw \"thrown\")".to_owned(),
        }
    }

    /// The innermost variables that fit.
    fn variable(&mut self, wanted: &Type) -> Option<&'static str> {
        let mut seen = Vec::new();
        let mut fitting = Vec::new();
        for variable in self.scope.iter().rev() {
            if seen.contains(&variable.name) {
                continue;
            }
            seen.push(variable.name);
            if variable.of.fits(wanted, &mut Bound::default()) {
                fitting.push(variable.name);
            }
        }
        if fitting.is_empty() { None } else { Some(fitting[self.rng.usize(..fitting.len())]) }
    }

    /// A short expression without anything inside, as far as there is one.
    fn leaf(&mut self, wanted: &Type) -> String {
        match wanted {
            Type::List(_) | Type::Set(_) | Type::Record(_) | Type::Function(..) => {
                return self.literal(wanted, 0);
            }
            Type::Word("any" | "lazy") => {
                return self.word(&["1", "\"a\"", "null", "[ ]", "{ }"]).to_owned();
            }
            _ => {}
        }
        match self.pick(wanted, false, true) {
            Some((rule, mut bound)) => self.fill(rule, &mut bound, 0),
            None => match wanted {
                Type::Word("num" | "jsonable") => self.leaf(&Type::Word("int")),
                Type::Word("ctx") => "\"${../w/a.txt}\"".to_owned(),
                Type::Word("drv") => {
                    "(derivation { name = \"n\"; builder = \"b\"; system = \"x\"; })".to_owned()
                }
                _ => "\"a\"".to_owned(),
            },
        }
    }

    /// A rule for a type: one of those for every type, or one of its own; with `is_leaf` one
    /// without holes.
    fn pick(
        &mut self,
        wanted: &Type,
        is_general: bool,
        is_leaf: bool,
    ) -> Option<(&'r Rule, Bound)> {
        let grammar = self.grammar;
        let mut fitting = Vec::new();
        let mut total = 0;
        for rule in grammar.for_type(wanted, is_general) {
            let mut bound = Bound::default();
            if !(is_leaf && rule.has_holes()) && rule.result.fits(wanted, &mut bound) {
                total += rule.weight;
                fitting.push((rule, bound));
            }
        }
        let mut at = if total == 0 { return None } else { self.rng.u32(..total) };
        fitting.into_iter().find(|(rule, _)| match at.checked_sub(rule.weight) {
            Some(rest) => {
                at = rest;
                false
            }
            None => true,
        })
    }

    fn fill(&mut self, rule: &Rule, bound: &mut Bound, depth: u32) -> String {
        self.fuel = self.fuel.saturating_sub(1);
        let mut out = String::new();
        for part in &rule.parts {
            match part {
                Part::Text(text) => out += &text.replace('⏎', "\n"),
                Part::Folder => out += FOLDER,
                Part::Hole(of) => {
                    let of = of.filled(bound, &mut || self.ground(1));
                    out += &self.expr(&of, depth.saturating_sub(1));
                }
            }
        }
        let out = self.respelled(out);
        if rule.is_closed() { out } else { format!("({out})") }
    }

    /// The same with a builtin's other name, now and then.
    fn respelled(&mut self, text: String) -> String {
        let Some(rest) = text.strip_prefix("builtins.") else { return text };
        if !self.chance(25) {
            return text;
        }
        let end =
            rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '\'').unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        let Some(builtin) = cim_nix_semantics::builtins::builtin(name) else { return text };
        match self.rng.u32(0..4) {
            0 => format!("(with builtins; {}){behind}", builtin.global_name()),
            1 => format!("builtins.\"{name}\"{behind}"),
            2 => format!("builtins.${{\"{name}\"}}{behind}"),
            _ => format!("{}{behind}", builtin.global_name()),
        }
    }
}
