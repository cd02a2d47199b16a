//! Texts that are almost Nix.

/// A small generator of numbers (xorshift), the same on every machine.
pub struct Random(u64);

impl Random {
    /// A generator for a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`, which must not be 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

const TOKENS: &[&str] = &[
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "let ",
    " in ",
    "a ",
    "b ",
    "c",
    "x: ",
    " = ",
    ";",
    ".",
    ",",
    ":",
    "\"",
    "''",
    "${",
    "''${",
    "$$",
    "\\",
    "if ",
    " then ",
    " else ",
    "with ",
    "assert ",
    "rec ",
    "inherit ",
    " or ",
    "+",
    "-",
    "//",
    "++",
    "->",
    "==",
    "?",
    "@",
    "...",
    "1 ",
    "1.5",
    "./a ",
    "./a/",
    "<a/b>",
    "~/c",
    "http://d.e",
    "x:x",
    "|>",
    "<|",
    "!",
    "\n",
    "\r\n",
    " ",
    "\t",
    "# c\n",
    "/* d */",
    "/** e */",
    "é",
    "\u{feff}",
    "\0",
    "_a",
    "a'",
    "builtins.map ",
    "__sub ",
    "{ }",
    "# cim-nix: ignore[DEAD001]\n",
    "a.b = 1; ",
    "a = { b = 1; }; ",
    "inherit (a) b; ",
];

const PROGRAMS: &[&str] = &[
    "{ lib, pkgs ? import <nixpkgs> { }, ... }@args:\nlet\n  unused = 1; # about it\n  inherit (lib) mkIf optional;\n  a.b = 2;\nin\n{\n  config = mkIf true { x = a.b; };\n}\n",
    "with import ./x.nix; rec { a = 1; b = [ a (f a) \"s${toString a}\" ]; c.d.e = 1; c = { f = 2; }; }",
    "let x = 1; in { inherit x; \"q r\" = ''\n    two ${x}\n      ''$three '''\n  ''; } // { } ++ [ ]",
    "self: super: { p = super.p.overrideAttrs (old: rec { v = \"1\"; src = ./p/${v}.nix; }); }",
    "a: b: if a ? c.d then a.c.d or b else assert b != null; -b + 1 * 2 <= 3 -> !true",
    "{\n  # above\n  one = 1;\n\n  /** doc */\n  two = [\n    1 # first\n    2\n  ];\n}\n",
    "let { body = x; x = y or z; }",
];

/// The text that a seed gives: a run of tokens, or a program with a few of its pieces changed.
#[must_use]
pub fn soup(seed: u64) -> String {
    let mut random = Random::new(seed);
    if random.below(2) == 0 {
        let n_tokens = random.below(40);
        return (0..n_tokens).map(|_| random.pick(TOKENS)).collect();
    }
    let mut text = random.pick(PROGRAMS).to_owned();
    for _ in 0..random.below(5) {
        let (from, to) = (boundary(&text, &mut random), boundary(&text, &mut random));
        let (from, to) = (from.min(to), from.max(to).min(from.min(to) + 12));
        let to = (to..=text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
        let piece = match random.below(3) {
            0 => random.pick(TOKENS).to_owned(),
            1 => text[from..to].repeat(2),
            _ => String::new(),
        };
        text.replace_range(from..to, &piece);
    }
    text
}

fn boundary(text: &str, random: &mut Random) -> usize {
    let at = random.below(text.len() + 1);
    (0..=at).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

const VALUES: &[&str] = &[
    "nixpkgs",
    "hello",
    "x86_64",
    "-linux",
    "-unknown",
    "-gnu",
    "avr",
    "github:o/r",
    "git+https://e.org/",
    "git+ssh://u@h:22/",
    "https://[::1]/x.tar.gz",
    "path:",
    "./",
    "~/",
    "/nix/store/",
    "vxjiwkjkn7x4079qvh1jkl5pn05j2aw0-foo",
    ".drv",
    "0123456789012345678901234567890123456789",
    "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "sha1:",
    "system-42-link",
    "Derive([(\"out\",\"\",\"\",\"\")],[],[],\"\",\"\",[],[])",
    "{\"version\":7,\"root\":\"root\",\"nodes\":{\"root\":{}}}",
    "{\"segments\":[\"a\"]}",
    "{\"uri\":\"nixpkgs\",\"revision\":\"x\"}",
    "\"",
    "\\",
    "${",
    "#",
    "^",
    "^*",
    "^out,dev",
    "?",
    "dir=",
    "rev=",
    "narHash=",
    "&",
    "=",
    "%20",
    "%",
    ".",
    "/",
    ":",
    "-",
    ",",
    "1",
    "pre",
    "é",
    " ",
    "\n",
    "[",
    "]",
    "(",
    ")",
];

/// The text that a seed gives: a run of pieces of names, references and their like.
#[must_use]
pub fn value_soup(seed: u64) -> String {
    let mut random = Random::new(seed);
    let n_pieces = random.below(9);
    (0..n_pieces).map(|_| random.pick(VALUES)).collect()
}
