//! Attribute sets, `let` blocks and attribute paths.

use super::{Generator, NAMES};

impl Generator<'_> {
    pub(super) fn set(&mut self, is_rec: bool) -> String {
        let names = self.new_names(4);
        let visible = if is_rec { names.clone() } else { Vec::new() };
        let inner = self.binding(&visible, |g| g.bindings(&names, true));
        let keyword = match is_rec {
            true => format!("rec{}", self.maybe_space()),
            false => String::new(),
        };
        let (a, b) = (self.maybe_space(), self.maybe_space());
        format!("{keyword}{{{a}{inner}{b}}}")
    }

    pub(super) fn legacy_let(&mut self) -> String {
        let mut names = self.new_names(2);
        names.retain(|name| *name != "body");
        let body = self.binding(&names, |g| {
            let (inner, body) = (g.bindings(&names, true), g.expr());
            let space = g.maybe_space();
            format!("{inner}{space} body = {body};")
        });
        let (a, b) = (self.maybe_space(), self.maybe_space());
        format!("let{a}{{{b}{body}}}")
    }

    /// One or more bindings for each of `names`, and maybe computed ones.
    pub(super) fn bindings(&mut self, names: &[&'static str], may_compute: bool) -> String {
        let mut out = String::new();
        let mut rest = names;
        while let Some((&name, others)) = rest.split_first() {
            rest = others;
            out += &match self.rng.u8(0..100) {
                0..55 => self.within("binding", |g| {
                    let name = g.spell_or_plain(name);
                    g.binding_of(&name)
                }),
                55..68 => self.within("nested path", |g| g.nested(name)),
                68..80 => self.within("merge", |g| g.merged(name)),
                80..90 => self.within("inherit", |g| g.inherit(name)),
                _ => {
                    // Several names of one source.
                    let n_more = self.rng.usize(..=rest.len().min(2));
                    let all = [&[name], &rest[..n_more]].concat();
                    rest = &rest[n_more..];
                    self.within("inherit from", |g| g.inherit_from(&all))
                }
            };
            out += &self.maybe_space();
        }
        if may_compute && self.chance(20) {
            out += &self.within("computed", |g| {
                let head = g.computed_name();
                let rest = if g.chance(30) { ".a" } else { "" };
                g.binding_of(&format!("{head}{rest}"))
            });
        }
        if self.chance(4) {
            out += &self.within("empty inherit", |g| format!("inherit{};", g.maybe_space()));
        }
        out
    }

    fn binding_of(&mut self, path: &str) -> String {
        let value = self.expr();
        let (a, b, c) = (self.maybe_space(), self.maybe_space(), self.maybe_space());
        format!("{path}{a}={b}{value}{c};")
    }

    fn nested(&mut self, name: &'static str) -> String {
        let (first, second) = (self.spell_or_plain(name), self.attr_path());
        let dot = self.word(&[".", ".", " . ", ".\n"]);
        self.binding_of(&format!("{first}{dot}{second}"))
    }

    /// Several definitions of one attribute that Nix puts together.
    fn merged(&mut self, name: &'static str) -> String {
        let [a, b, c] = std::array::from_fn(|_| self.selection());
        let keyword = self.word(&["", "", "rec "]);
        match self.rng.u8(0..5) {
            0 => format!("{name}.p = {a}; {name}.q = {b};"),
            1 => format!("{name}.p = {a}; {name} = {keyword}{{ q = {b}; r.s = {c}; }};"),
            2 => format!("{name} = {keyword}{{ q = {b}; }}; {name}.p = {a};"),
            3 => format!(
                "{name} = {keyword}{{ q = {a}; }}; {name} = {{ p.s = {b}; inherit ({c}) r; }};"
            ),
            _ => format!("{name}.p.q = {a}; {name}.p = ({{ r = {b}; }}); {name}.p.s = {c};"),
        }
    }

    /// `inherit` of a name that is bound outside, or else a plain binding.
    fn inherit(&mut self, name: &'static str) -> String {
        let is_outside = self.withs > 0 || matches!(name, "map" | "toString" | "__sub");
        if !is_outside && self.unbound_percent == 0 {
            return self.binding_of(name);
        }
        let (a, b) = (self.space(), self.maybe_space());
        format!("inherit{a}{}{b};", self.spell(name))
    }

    fn inherit_from(&mut self, names: &[&'static str]) -> String {
        let source = self.expr();
        let (a, b) = (self.maybe_space(), self.maybe_space());
        let mut out = format!("inherit{a}({source}){b}");
        for (idx, name) in names.iter().enumerate() {
            let space = if idx == 0 { self.maybe_space() } else { self.space() };
            out += &format!("{space}{}", self.spell(name));
        }
        out + &self.maybe_space() + ";"
    }

    fn spell_or_plain(&mut self, name: &str) -> String {
        if self.chance(80) { name.to_owned() } else { self.spell(name) }
    }

    /// A name that is fixed, in one of its spellings.
    fn spell(&mut self, name: &str) -> String {
        match self.rng.u8(0..10) {
            0 => self.within("name quoted", |_| format!("\"{name}\"")),
            1 => self.within("name static", |_| format!("${{\"{name}\"}}")),
            2 => self.within("name static", |g| format!("${{{}(\"{name}\")}}", g.maybe_space())),
            _ => name.to_owned(),
        }
    }

    fn computed_name(&mut self) -> String {
        self.within("name computed", |g| {
            let (a, inner, b) = (g.maybe_space(), g.expr(), g.maybe_space());
            match g.rng.u8(0..3) {
                0 => format!("\"a${{{a}{inner}{b}}}\""),
                1 => format!("\"${{{a}{inner}{b}}}c\""),
                _ => format!("${{{a}{inner}{b}}}"),
            }
        })
    }

    /// A path behind `.` or `?`.
    pub(super) fn attr_path(&mut self) -> String {
        let mut out = String::new();
        for idx in 0..=self.rng.usize(..3) {
            if idx > 0 {
                out += self.word(&[".", ".", ".", " .", ". ", "\n."]);
            }
            out += &match self.rng.u8(0..100) {
                0..70 => self.word(NAMES).to_owned(),
                70..80 => self.within("name or", |_| "or".to_owned()),
                80..88 => {
                    let text = self.word(&["a b", "", "if", "1", "a.b", "\\n", "é", "\\${", "$"]);
                    self.within("name quoted", |_| format!("\"{text}\""))
                }
                88..92 => self.within("name static", |_| "${\"a\"}".to_owned()),
                _ => self.computed_name(),
            };
        }
        out
    }
}
