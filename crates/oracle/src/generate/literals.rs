//! Numbers, strings, paths, URIs.

use super::Generator;

impl Generator<'_> {
    pub(super) fn literal(&mut self) -> String {
        const INTS: &[&str] = &["0", "1", "42", "007", "9223372036854775807"];
        const FLOATS: &[&str] =
            &["1.5", ".5", "1.", "0.5e-3", "1.e5", "2.5E+3", "10.25", "0.0", "123.456e7"];
        const SEARCHED: &[&str] = &["<a>", "<nixpkgs/lib>", "<a-b/c.d/e_f+1.nix>", "<.>", "<1>"];
        const URIS: &[&str] =
            &["http://a.b/c", "x:y", "a+b-c.d:e", "mailto:a@b.c", "x:%20&?=$,-_.!~*'"];
        match self.rng.u8(0..12) {
            0..3 => self.within("int", |g| g.word(INTS).to_owned()),
            3 | 4 => self.within("float", |g| g.word(FLOATS).to_owned()),
            5 => self.within("search path", |g| g.word(SEARCHED).to_owned()),
            6 => self.within("uri", |g| g.word(URIS).to_owned()),
            7 => self.within("home path", |g| g.word(&["~/a", "~/a/b.nix", "~/."]).to_owned()),
            8 | 9 if self.fuel > 0 => self.within("path interpolation", Self::computed_path),
            _ => self.within("path", |g| {
                const PATHS: &[&str] = &[
                    "./a",
                    "./.",
                    "../.",
                    "../b/c",
                    "a/b",
                    "/a",
                    "/a/b-c_d.e+f",
                    "./1/2",
                    "a.b/c",
                    ".../d",
                    "1/2",
                    "./a.nix",
                    "x/..",
                ];
                g.word(PATHS).to_owned()
            }),
        }
    }

    fn computed_path(&mut self) -> String {
        const STARTS: &[&str] =
            &["./", "./a", "../", "/", "/a/", "a/", "a/b", "~/", "~/a", "./a/b-", "./.", "./a//"];
        const MIDDLES: &[&str] = &["b", "/b", "-", "/b/c/", "//d", ".", "/", "", "1.5"];
        const ENDS: &[&str] = &["", "", "b", "/b", ".nix", "/b/c.nix", "//d", "-", ".", "/..", "'"];
        let mut out = self.word(STARTS).to_owned();
        out += &self.interpolation();
        if self.chance(35) {
            out += self.word(MIDDLES);
            out += &self.interpolation();
        }
        // A quote ends the path and would begin something else.
        out + self.word(ENDS).trim_end_matches('\'')
    }

    fn interpolation(&mut self) -> String {
        self.within("interpolation", |g| {
            let (a, inner, b) = (g.maybe_space(), g.expr(), g.maybe_space());
            format!("${{{a}{inner}{b}}}")
        })
    }

    pub(super) fn string(&mut self) -> String {
        const PIECES: &[&str] = &[
            "a", " ", "b c", "é", "\\n", "\\r", "\\t", "\\\"", "\\\\", "\\${", "\\a", "$$", "$ ",
            "$a", "''", "'", "#", "/*", "\t", "\n", "\n  ", "\r\n", "\r", "}", "{ ", "<", "\\\n",
            "$\\${", "$$$\\n", "\\$", "$\\n",
        ];
        let inner = self.text(PIECES);
        let end = self.word(&["", "", "", "$", "$$"]);
        format!("\"{inner}{end}\"")
    }

    pub(super) fn indented_string(&mut self) -> String {
        const FIRST: &[&str] = &["", "\n", "\n    ", "  \n  ", "  ", "\t\n", "\r\n  ", "\n\n "];
        const PIECES: &[&str] = &[
            "a", " ", "b c", "é", "\n", "\n  ", "\n    ", "\n      ", "\n\n", "\n\t", "\r\n    ",
            "\r", "''$", "''${", "'''", "''\\n", "''\\t", "''\\r", "''\\a", "''\\\\", "''\\$",
            "''\\\n", "$$", "$ ", "$a", "' ", "'a", "\"", "\\n", "\\", "\\ ", "#", "/*", "{", "}",
            "''\\'", "$$$ ",
        ];
        const LAST: &[&str] = &["", "", "", "\n", "\n  ", "\n      ", "$", "''$", "'''"];
        let first = self.word(FIRST);
        let inner = self.text(PIECES);
        let last = self.word(LAST);
        format!("''{first}{inner}{last}''")
    }

    fn text(&mut self, pieces: &[&'static str]) -> String {
        let mut out = String::new();
        for _ in 0..self.rng.usize(..5) {
            // A lone dollar would take the next interpolation's.
            let is_free = !out.ends_with('$') || out.ends_with("$$");
            if self.fuel > 0 && is_free && self.chance(30) {
                out += &self.interpolation();
            } else {
                let piece = self.word(pieces);
                let opens = out.ends_with('$') && piece.starts_with('{');
                out += if opens { "-" } else { piece };
            }
        }
        out
    }
}
