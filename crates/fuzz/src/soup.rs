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
    let program = random.pick(PROGRAMS).to_owned();
    let n_changes = random.below(5);
    changed(program, n_changes, &mut random)
}

/// A text with some of its pieces changed.
fn changed(mut text: String, n_changes: usize, random: &mut Random) -> String {
    for _ in 0..n_changes {
        let (from, to) = (boundary(&text, random), boundary(&text, random));
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

/// Ways to write inputs, as entries of the flake or of `inputs`; `@` stands for what is in front of
/// the names of inputs there.
const INPUTS: &[&str] = &[
    "@a.url = \"github:o/a\";",
    "@a.url = github:o/a;",
    "@b.url=./b;",
    "@a.inputs.b.follows = \"b\";",
    "@a = { url = \"github:o/a\"; flake = false; };",
    "@b = {\n      url = \"github:o/b\";\n      inputs.a.follows = \"a\";\n    };",
    "@c = {\n      inputs = {\n        a.follows = \"a\";\n        x = { follows = \"b/y\"; };\n      };\n    };",
    "@c.follows = \"b/c\";",
    "@c.inputs = { a.follows = \"\"; };",
    "@\"c\" = { type = \"github\"; owner = \"o\"; repo = \"c\"; };",
    "@d = { };",
    "@d = {};",
    "@d.flake = true;",
    "@\"in\".url = \"path:./in\";",
    "# one",
    "/* two */",
    "@self.submodules = true;",
];

const FORMALS: &[&str] = &[
    "{ self, a }",
    "{ self, a, b, ... }",
    "{ self, ... }@inputs",
    "inputs@{ self, b ? 1, ... }",
    "inputs",
    "{\n  self,\n  a, # a\n  b\n}",
    "{ self\n, a\n, b # b\n, ...\n}",
    "{ self\n, a, b, ... }",
    "{ ... }",
    "{ }",
    "{}",
    "_",
];

const BODIES: &[&str] = &[
    "{ x = a; inherit b; }",
    "{ x = inputs.a.lib; y = inputs ? b; inherit (inputs) c; }",
    "let a = 1; c = inputs; in { packages = forAllSystems (system: { p = a; }); forAllSystems = 1; }",
    "with inputs; { x = a; y = with b; c; }",
    "inputs.utils.lib.eachDefaultSystem (system: { packages.x = self; }) // { overlays.d = 1; }",
    "inputs.flake-parts.lib.mkFlake { inherit inputs; } {\n  systems = [ \"x86_64-linux\" ];\n  perSystem = { pkgs, ... }: {\n    packages.p = pkgs.p;\n  };\n}",
    "import ./o.nix inputs",
    "{ x = inputs.${a}; y = self.inputs.b; }",
    "rec { a = 1; x = a; systems = [ ]; }",
    "{ }",
];

/// The flake that a seed gives: inputs and outputs in any of the ways in which people write them,
/// sometimes with a few pieces changed.
#[must_use]
pub fn flake(seed: u64) -> String {
    let mut random = Random::new(seed);
    let gap = ["\n  ", "\n\n  ", " ", ""][random.below(4)];
    let mut entries: Vec<String> = Vec::new();
    if random.below(3) == 0 {
        entries.push("description = \"d\"; # about".to_owned());
    }
    for _ in 0..random.below(5) {
        entries.push(random.pick(INPUTS).replace('@', "inputs."));
    }
    for _ in 0..random.below(2) {
        let inner: Vec<String> =
            (0..random.below(5)).map(|_| random.pick(INPUTS).replace('@', "")).collect();
        let gap = ["\n    ", "\n\n    ", " ", "\n\t"][random.below(4)];
        entries.push(format!("inputs = {{{gap}{}\n  }};", inner.join(gap)));
    }
    let outputs = format!("outputs = {}: {};", random.pick(FORMALS), random.pick(BODIES));
    let at = random.below(entries.len() + 1);
    let at = if random.below(4) == 0 { at } else { entries.len() };
    entries.insert(at, outputs);
    let mut text = format!("{{{gap}{}\n}}\n", entries.join(gap));
    if random.below(8) == 0 {
        text = text.replace('\n', "\r\n");
    }
    let n_changes = random.below(6).saturating_sub(3);
    changed(text, n_changes, &mut random)
}
