//! Literals of lists, sets and functions, in their several forms.

use super::{MEMBERS, Run, Variable, forms};
use crate::evaluation::types::Type;

impl Run<'_> {
    pub(super) fn literal(&mut self, wanted: &Type, depth: u32) -> String {
        self.fuel = self.fuel.saturating_sub(1);
        let below = depth.saturating_sub(1);
        match wanted {
            Type::List(of) => {
                let n = if depth == 0 { self.rng.usize(..2) } else { self.rng.usize(..4) };
                let elements: Vec<String> = (0..n).map(|_| self.expr(of, below)).collect();
                format!("[ {} ]", elements.join(" "))
            }
            Type::Set(of) => {
                let n = if depth == 0 { self.rng.usize(..2) } else { self.rng.usize(..4) };
                let names = self.rng.choose_multiple(MEMBERS.iter().copied(), n);
                let members: Vec<_> =
                    names.into_iter().map(|name| (name, (**of).clone())).collect();
                self.set(&members, below)
            }
            Type::Record(members) => {
                let mut members = members.to_vec();
                self.rng.shuffle(&mut members);
                if depth > 0 && self.chance(10) {
                    members.push(("extra", Type::Word("lazy")));
                }
                self.record(&members, below)
            }
            Type::Function(from, to) => self.function(from, to, below),
            _ => self.leaf(wanted),
        }
    }

    /// A set with these members, maybe put together from several.
    fn record(&mut self, members: &[(&'static str, Type)], depth: u32) -> String {
        match self.rng.u32(0..14) {
            0 if members.len() > 1 => {
                let (left, right) = members.split_at(1);
                format!("({} // {})", self.set(left, depth), self.set(right, depth))
            }
            1 => {
                let pairs: Vec<String> = members
                    .iter()
                    .map(|(name, of)| {
                        format!("{{ name = \"{name}\"; value = {}; }}", self.expr(of, depth))
                    })
                    .collect();
                format!("(builtins.listToAttrs [ {} ])", pairs.join(" "))
            }
            2 => format!("(builtins.mapAttrs (k: v: v) {})", self.set(members, depth)),
            _ => self.set(members, depth),
        }
    }

    fn set(&mut self, members: &[(&'static str, Type)], depth: u32) -> String {
        let is_rec = self.chance(20);
        let mark = self.scope.len();
        let mut bindings = Vec::new();
        for (name, of) in members {
            bindings.push(self.binding(name, of, depth));
            // Those that come later may use those before, whatever their order in the text.
            if is_rec {
                self.scope.push(Variable { name, of: of.clone() });
            }
        }
        self.scope.truncate(mark);
        if self.chance(5) {
            bindings.push("${null} = 1;".to_owned());
        }
        self.rng.shuffle(&mut bindings);
        let rec = if is_rec { "rec " } else { "" };
        let set = format!("{rec}{{ {} }}", bindings.join(" "));
        if is_rec { format!("({set})") } else { set }
    }

    fn binding(&mut self, name: &str, of: &Type, depth: u32) -> String {
        if self.chance(25)
            && let Some(variable) = self.variable(of)
            && variable == name
        {
            return format!("inherit {name};");
        }
        if let Type::Record(members) = of
            && self.chance(40)
        {
            let members = members.clone();
            let parts = members.iter().map(|(inner, of)| {
                let value = self.expr(of, depth.saturating_sub(1));
                format!("{name}.{inner} = {value};")
            });
            return parts.collect::<Vec<_>>().join(" ");
        }
        let value = self.expr(of, depth);
        match self.rng.u32(0..20) {
            0 => format!("\"{name}\" = {value};"),
            1 => format!("${{\"{name}\"}} = {value};"),
            2 => format!("\"${{\"{name}\"}}\" = {value};"),
            3 => format!("inherit ({{ {name} = {value}; }}) {name};"),
            _ => format!("{name} = {value};"),
        }
    }

    fn function(&mut self, from: &Type, to: &Type, depth: u32) -> String {
        if let Type::Record(members) = from
            && self.chance(70)
        {
            return self.pattern(&members.clone(), to, depth);
        }
        let name = self.word(forms::NAMES);
        self.scope.push(Variable { name, of: from.clone() });
        let body = self.expr(to, depth);
        self.scope.pop();
        format!("({name}: {body})")
    }

    /// A function that takes a set apart.
    fn pattern(&mut self, members: &[(&'static str, Type)], to: &Type, depth: u32) -> String {
        let mark = self.scope.len();
        let mut formals = Vec::new();
        for (name, of) in members {
            match self.rng.u32(0..10) {
                0..6 => formals.push((*name).to_owned()),
                6..9 => formals.push(format!("{name} ? {}", self.expr(of, depth.min(1)))),
                _ => continue,
            }
            self.scope.push(Variable { name, of: of.clone() });
        }
        let is_open = formals.len() < members.len() || self.chance(30);
        if self.chance(20) {
            formals.push(format!("extra ? {}", self.expr(&Type::Word("lazy"), depth.min(1))));
        }
        if is_open {
            formals.push("...".to_owned());
        }
        let pattern = format!("{{ {} }}", formals.join(", "));
        let (before, behind) = match self.rng.u32(0..6) {
            0 => ("all@", ""),
            1 => ("", "@all"),
            _ => ("", ""),
        };
        if !(before.is_empty() && behind.is_empty()) {
            self.scope.push(Variable { name: "all", of: Type::Record(members.into()) });
        }
        let body = self.expr(to, depth);
        self.scope.truncate(mark);
        format!("({before}{pattern}{behind}: {body})")
    }
}
