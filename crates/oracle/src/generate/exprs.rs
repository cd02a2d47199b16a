//! Expressions by the levels of the grammar.

use super::Generator;

/// A binary operator: its spelling, how tightly it binds, and how it associates.
struct Operator {
    text: &'static str,
    level: u8,
    /// Whether two of its level cannot stand beside each other.
    is_alone: bool,
}

const fn operator(text: &'static str, level: u8, is_alone: bool) -> Operator {
    Operator { text, level, is_alone }
}

const OPERATORS: &[Operator] = &[
    operator("->", 1, false),
    operator("||", 2, false),
    operator("&&", 3, false),
    operator("==", 4, true),
    operator("!=", 4, true),
    operator("<", 5, true),
    operator(">", 5, true),
    operator("<=", 5, true),
    operator(">=", 5, true),
    operator("//", 6, false),
    operator("+", 8, false),
    operator("-", 8, false),
    operator("*", 9, false),
    operator("/", 9, false),
    operator("++", 10, false),
];

impl Generator<'_> {
    /// Anything that may stand in parentheses.
    pub(super) fn expr(&mut self) -> String {
        if self.fuel <= 0 {
            return self.simple();
        }
        match self.rng.u8(0..100) {
            0..10 => self.within("lambda", Self::lambda),
            10..20 => self.within("pattern", Self::pattern_lambda),
            20..31 => self.within("let", Self::let_in),
            31..37 => self.within("with", Self::with),
            37..42 => self.within("assert", |g| {
                let (condition, body) = (g.expr(), g.expr());
                let (a, b, c) = (g.space(), g.maybe_space(), g.space());
                format!("assert{a}{condition}{b};{c}{body}")
            }),
            42..50 => self.within("if", Self::if_else),
            50..54 => self.within("pipe |>", |g| g.chain("|>")),
            54..58 => self.within("pipe <|", |g| g.chain("<|")),
            _ => self.operation(),
        }
    }

    fn lambda(&mut self) -> String {
        let name = self.word(super::NAMES);
        let body = self.binding(&[name], Self::expr);
        // A URI would begin here without the space.
        let (before, behind) = (self.maybe_space(), self.space());
        format!("{name}{before}:{behind}{body}")
    }

    fn pattern_lambda(&mut self) -> String {
        let mut names = self.new_names(4);
        let at = if names.is_empty() || self.chance(70) { None } else { names.pop() };
        let bound: Vec<&'static str> = names.iter().copied().chain(at).collect();
        let (formals, body) = self.binding(&bound, |g| {
            let formals: Vec<String> = names.iter().map(|name| g.formal(name)).collect();
            (formals, g.expr())
        });
        let pattern = self.pattern(formals);
        let (a, b, c) = (self.maybe_space(), self.maybe_space(), self.maybe_space());
        let space = self.space();
        match at {
            None => format!("{pattern}{a}:{space}{body}"),
            Some(at) if self.chance(50) => {
                self.within("at before", |_| format!("{at}{a}@{b}{pattern}{c}:{space}{body}"))
            }
            Some(at) => {
                self.within("at behind", |_| format!("{pattern}{a}@{b}{at}{c}:{space}{body}"))
            }
        }
    }

    fn formal(&mut self, name: &str) -> String {
        if self.chance(60) {
            return self.within("formal", |_| name.to_owned());
        }
        self.within("formal default", |g| {
            let default = g.expr();
            let (a, b, c) = (g.maybe_space(), g.maybe_space(), g.space());
            // A comma would belong to a URI without the last space.
            format!("{name}{a}?{b}{default}{c}")
        })
    }

    fn pattern(&mut self, formals: Vec<String>) -> String {
        let mut out = format!("{{{}", self.maybe_space());
        let has_formals = !formals.is_empty();
        for (idx, formal) in formals.iter().enumerate() {
            if idx > 0 {
                out += &format!("{},{}", self.maybe_space(), self.maybe_space());
            }
            out += formal;
        }
        if self.chance(30) {
            let comma =
                if has_formals { format!("{},", self.maybe_space()) } else { String::new() };
            out += &self.within("ellipsis", |g| format!("{comma}{}...", g.maybe_space()));
        } else if has_formals && self.chance(15) {
            out += &self.within("trailing comma", |g| format!("{},", g.maybe_space()));
        }
        out + &self.maybe_space() + "}"
    }

    fn let_in(&mut self) -> String {
        let names = self.new_names(4);
        let (bindings, body) = self.binding(&names, |g| (g.bindings(&names, false), g.expr()));
        let (a, b) = (self.space(), self.space());
        format!("let{a}{bindings}{b}in {body}")
    }

    fn with(&mut self) -> String {
        let namespace = self.expr();
        self.withs += 1;
        let body = self.expr();
        self.withs -= 1;
        let (a, b, c) = (self.space(), self.maybe_space(), self.maybe_space());
        format!("with{a}{namespace}{b};{c}{body}")
    }

    fn if_else(&mut self) -> String {
        let (condition, yes, no) = (self.expr(), self.expr(), self.expr());
        let space: [String; 5] = std::array::from_fn(|_| self.space());
        let [a, b, c, d, e] = space;
        format!("if{a}{condition}{b}then{c}{yes}{d}else{e}{no}")
    }

    /// A chain of pipes of one direction; the two do not mix.
    fn chain(&mut self, pipe: &str) -> String {
        let mut out = self.operation();
        for _ in 0..self.rng.usize(1..4) {
            let (a, operand, b) = (self.space(), self.operation(), self.space());
            out = format!("{out}{a}{pipe}{b}{operand}");
        }
        out
    }

    /// Operands with operators between them, as they come: precedence decides what belongs
    /// together. Only operators that refuse to stand beside each other are kept apart.
    pub(super) fn operation(&mut self) -> String {
        let n_operators = if self.fuel <= 0 || self.chance(45) { 0 } else { self.rng.usize(1..5) };
        let mut out = self.operand();
        // The operators that still wait for their right side, loosest first.
        let mut open: Vec<(u8, bool)> = Vec::new();
        for _ in 0..n_operators {
            let operator = &OPERATORS[self.rng.usize(..OPERATORS.len())];
            while open.last().is_some_and(|(level, _)| *level > operator.level) {
                open.pop();
            }
            if open.last() == Some(&(operator.level, true)) {
                continue;
            }
            open.push((operator.level, operator.is_alone));
            out = self.within(operator.text, |g| {
                let right = g.operand();
                g.join(&out, operator.text, &right)
            });
        }
        out
    }

    fn join(&mut self, left: &str, operator: &str, right: &str) -> String {
        let is_word = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let is_closed = super::is_closed(left) || is_word(left);
        let is_opened = right.starts_with(['(', '[', '{', '"']) || is_word(right);
        // Names and paths would swallow these.
        let is_greedy = matches!(operator, "-" | "->" | "/" | "+");
        if is_closed && is_opened && !is_greedy && self.chance(40) {
            return format!("{left}{operator}{right}");
        }
        let (a, b) = (self.space(), self.space());
        format!("{left}{a}{operator}{b}{right}")
    }

    /// An operand with its signs and `?`.
    fn operand(&mut self) -> String {
        match self.rng.u8(0..100) {
            0..7 => self.within("not", |g| {
                let (space, operand) = (g.maybe_space(), g.operand());
                format!("!{space}{operand}")
            }),
            7..14 => self.within("minus", |g| {
                let operand = g.operand();
                let is_safe = operand.starts_with(['(', '[', '{', '"', '!']);
                let space = if is_safe { g.maybe_space() } else { g.space() };
                format!("-{space}{operand}")
            }),
            14..22 => self.within("has attr", |g| {
                let (base, path) = (g.application(), g.attr_path());
                let (a, b) = (g.space(), g.maybe_space());
                let again = if g.chance(15) { " ? a".to_owned() } else { String::new() };
                format!("{base}{a}?{b}{path}{again}")
            }),
            _ => self.application(),
        }
    }

    fn application(&mut self) -> String {
        if self.fuel <= 0 || self.chance(65) {
            return self.selection();
        }
        self.within("apply", |g| {
            let mut out = g.selection();
            for _ in 0..g.rng.usize(1..4) {
                let argument = g.selection();
                out = g.juxtapose(&out, &argument);
            }
            out
        })
    }

    /// What may stand as an argument or in a list.
    pub(super) fn selection(&mut self) -> String {
        match self.rng.u8(0..100) {
            0..16 => self.within("select", |g| {
                let base = g.simple();
                g.select(&base)
            }),
            16..24 => self.within("select or", |g| {
                let base = g.simple();
                let selection = g.select(&base);
                let default = g.selection();
                let (a, b) = (g.space(), g.space());
                format!("{selection}{a}or{b}{default}")
            }),
            // The variable `or` must come from somewhere.
            24..27 if self.withs > 0 || self.unbound_percent > 0 => self.within("old or", |g| {
                let (function, space) = (g.simple(), g.space());
                format!("{function}{space}or")
            }),
            _ => self.simple(),
        }
    }

    fn select(&mut self, base: &str) -> String {
        let path = self.attr_path();
        let is_name = base.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && base.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-'".contains(&b));
        let is_safe = is_name || super::is_closed(base);
        // Numbers, paths and URIs would take the dot.
        let before = if is_safe { self.maybe_space() } else { self.space() };
        let behind = self.maybe_space();
        format!("{base}{before}.{behind}{path}")
    }

    fn simple(&mut self) -> String {
        if self.fuel <= 0 {
            return if self.chance(70) { self.variable() } else { self.literal() };
        }
        match self.rng.u8(0..100) {
            0..24 => self.variable(),
            24..40 => self.literal(),
            40..50 => self.within("string", Self::string),
            50..58 => self.within("indented string", Self::indented_string),
            58..68 => self.within("paren", |g| {
                let (a, inner, b) = (g.maybe_space(), g.expr(), g.maybe_space());
                format!("({a}{inner}{b})")
            }),
            68..77 => self.within("list", Self::list),
            77..88 => self.within("set", |g| g.set(false)),
            88..96 => self.within("rec set", |g| g.set(true)),
            _ => self.within("legacy let", Self::legacy_let),
        }
    }

    fn list(&mut self) -> String {
        let mut out = format!("[{}", self.maybe_space());
        for idx in 0..self.rng.usize(..5) {
            let element = self.selection();
            out = if idx == 0 { out + &element } else { self.juxtapose(&out, &element) };
        }
        out + &self.maybe_space() + "]"
    }
}
