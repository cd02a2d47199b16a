//! What binds names around an expression of any type.

use super::{Run, Variable};
use crate::evaluation::types::Type;

/// Names of variables. The grammar uses none of them.
pub(super) const NAMES: &[&str] = &["s", "n", "it", "val", "xs", "o", "r", "a'", "b-c", "_u"];

impl Run<'_> {
    pub(super) fn form(&mut self, wanted: &Type, depth: u32) -> String {
        self.fuel = self.fuel.saturating_sub(1);
        let below = depth - 1;
        match self.rng.u32(0..12) {
            0..4 => self.let_in(wanted, below),
            4 => self.legacy_let(wanted, below),
            5 => self.rec_member(wanted, below),
            6 => self.with(wanted, below),
            7 => self.inherit(wanted, below),
            8 => {
                let from = self.ground(2);
                let function = self.leaf_function(&from, wanted, below);
                format!("({function} {})", self.expr(&from, below))
            }
            9 => {
                // With several arguments.
                let (first, second) = (self.ground(1), self.ground(1));
                let names: Vec<&str> = self.rng.choose_multiple(NAMES.iter().copied(), 2);
                let mark = self.scope.len();
                for (name, of) in names.iter().zip([&first, &second]) {
                    self.scope.push(Variable { name, of: of.clone() });
                }
                let body = self.expr(wanted, below);
                self.scope.truncate(mark);
                let (a, b) = (self.expr(&first, below), self.expr(&second, below));
                format!("(({}: {}: {body}) {a} {b})", names[0], names[1])
            }
            10 => {
                let from = self.ground(1);
                let function = self.leaf_function(&from, wanted, below);
                format!("({} |> {function})", self.expr(&from, below))
            }
            _ => {
                let from = self.ground(1);
                let name = self.word(NAMES);
                self.scope.push(Variable { name, of: from.clone() });
                let body = self.expr(wanted, below);
                self.scope.pop();
                let value = self.expr(&from, below);
                format!("({{ __functor = self: {name}: {body}; extra = 1; }} {value})")
            }
        }
    }

    fn leaf_function(&mut self, from: &Type, to: &Type, depth: u32) -> String {
        let of = Type::Function(from.clone().into(), to.clone().into());
        self.literal(&of, depth + 1)
    }

    /// Bindings of which later ones may use earlier ones, in any order, and the number of names
    /// that they left in the scope.
    fn bindings(&mut self, depth: u32) -> (String, usize) {
        let n = self.rng.usize(1..4);
        let names: Vec<&'static str> = self.rng.choose_multiple(NAMES.iter().copied(), n);
        // What is bound here hides what has these names outside, in the bindings as well.
        let hidden = |variable: &Variable| names.contains(&variable.name);
        let outer: Vec<Variable> = {
            let all = std::mem::take(&mut self.scope);
            let (hidden, kept) = all.into_iter().partition(hidden);
            self.scope = kept;
            hidden
        };
        let mut bindings = Vec::new();
        let mark = self.scope.len();
        for name in &names {
            let of = self.ground(2);
            let value = self.expr(&of, depth);
            bindings.push(format!("{name} = {value};"));
            self.scope.push(Variable { name, of });
        }
        // Put the hidden ones back where they hide nothing.
        let own = self.scope.split_off(mark);
        self.scope.splice(0..0, outer);
        self.scope.extend(own);
        if self.chance(40) {
            bindings.push(format!("unused = {};", self.expr(&Type::Word("lazy"), depth.min(1))));
        }
        self.rng.shuffle(&mut bindings);
        (bindings.join(" "), n)
    }

    fn forget(&mut self, n: usize) {
        let kept = self.scope.len() - n;
        self.scope.truncate(kept);
    }

    fn let_in(&mut self, wanted: &Type, depth: u32) -> String {
        let (bindings, n) = self.bindings(depth);
        let body = self.expr(wanted, depth);
        self.forget(n);
        format!("(let {bindings} in {body})")
    }

    fn legacy_let(&mut self, wanted: &Type, depth: u32) -> String {
        let (bindings, n) = self.bindings(depth);
        let body = self.expr(wanted, depth);
        self.forget(n);
        format!("(let {{ {bindings} body = {body}; }})")
    }

    fn rec_member(&mut self, wanted: &Type, depth: u32) -> String {
        let (bindings, n) = self.bindings(depth);
        let body = self.expr(wanted, depth);
        self.forget(n);
        format!("(rec {{ {bindings} res = {body}; }}).res")
    }

    fn with(&mut self, wanted: &Type, depth: u32) -> String {
        let name = self.word(NAMES);
        let of = self.ground(1);
        let value = self.expr(&of, depth);
        // A variable that is bound outside is not hidden by `with`.
        let is_bound = self.scope.iter().any(|variable| variable.name == name);
        if !is_bound {
            self.scope.insert(0, Variable { name, of });
        }
        let body = self.expr(wanted, depth);
        if !is_bound {
            self.scope.remove(0);
        }
        format!("(with {{ {name} = {value}; other = 1; }}; {body})")
    }

    /// Names from a set that is written once.
    fn inherit(&mut self, wanted: &Type, depth: u32) -> String {
        let names: Vec<&'static str> = self.rng.choose_multiple(NAMES.iter().copied(), 2);
        let types = [self.ground(1), self.ground(1)];
        let mark = self.scope.len();
        let values: Vec<String> = types.iter().map(|of| self.expr(of, depth)).collect();
        for (name, of) in names.iter().zip(types) {
            self.scope.push(Variable { name, of });
        }
        let body = self.expr(wanted, depth);
        self.scope.truncate(mark);
        let [a, b] = [names[0], names[1]];
        let set = format!("{{ {a} = {}; {b} = {}; }}", values[0], values[1]);
        match self.rng.u32(0..3) {
            0 => format!("(let inherit ({set}) {a} {b}; in {body})"),
            1 => format!("(let src = {set}; inherit (src) {b} {a}; in {body})"),
            _ => format!("(rec {{ inherit ({set}) {a} {b}; res = {body}; }}).res"),
        }
    }
}
