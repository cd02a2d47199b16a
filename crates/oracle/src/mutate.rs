//! Small damages and changes to real programs.
//!
//! The places are found with rnix, so a fault of our own parser cannot hide the programs that
//! would show it. A mutation may leave the program valid; what it did is up to the judges.

mod names;
mod pieces;
mod sets;
mod shapes;
mod source;
mod text;
mod tokens;

use fastrand::Rng;

use source::{Edit, Source};

/// One mutated program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mutation {
    /// What was done, for statistics.
    pub class: &'static str,
    /// The program; not always UTF-8.
    pub text: Vec<u8>,
}

/// What a class does: edits, or nothing where the program has no place for it.
type Strike = fn(&Source, &mut Rng) -> Option<Vec<Edit>>;

/// A class of mutations.
struct Class {
    name: &'static str,
    /// How often it is drawn, in relation to the others.
    weight: u32,
    strike: Strike,
}

const fn class(name: &'static str, weight: u32, strike: Strike) -> Class {
    Class { name, weight, strike }
}

const CLASSES: &[Class] = &[
    class("rename-use", 3, names::rename_use),
    class("rename-uses", 3, names::rename_uses),
    class("rename-binding", 3, names::rename_binding),
    class("drop-binding", 4, names::drop_binding),
    class("drop-formal", 3, names::drop_formal),
    class("swap-names", 2, names::swap_names),
    class("inherit", 3, names::inherit),
    class("duplicate-binding", 3, sets::duplicate_binding),
    class("duplicate-path", 5, sets::duplicate_path),
    class("split-set", 2, sets::split_set),
    class("flatten-set", 2, sets::flatten_set),
    class("swap-bindings", 2, sets::swap_bindings),
    class("toggle-rec", 2, sets::toggle_rec),
    class("dynamic-name", 2, sets::dynamic_name),
    class("legacy-let", 1, sets::legacy_let),
    class("duplicate-formal", 2, names::duplicate_formal),
    class("pattern", 3, shapes::pattern),
    class("delete-token", 3, tokens::delete),
    class("duplicate-token", 2, tokens::duplicate),
    class("swap-tokens", 2, tokens::swap),
    class("insert-token", 5, tokens::insert),
    class("replace-token", 4, tokens::replace),
    class("number", 2, tokens::number),
    class("operator", 3, tokens::operator),
    class("whitespace", 3, text::whitespace),
    class("line-ends", 1, text::line_ends),
    class("bytes", 2, text::bytes),
    class("truncate", 2, text::truncate),
    class("string", 4, text::string),
    class("path", 3, text::path),
    class("delete-text", 1, text::delete),
    class("wrap-parens", 2, shapes::wrap_parens),
    class("unwrap-parens", 3, shapes::unwrap_parens),
    class("insert-with", 2, shapes::insert_with),
    class("insert-let", 2, shapes::insert_let),
    class("nest-operand", 4, shapes::nest_operand),
    class("splice", 4, shapes::splice),
    class("append", 3, shapes::append),
    class("prepend", 2, shapes::prepend),
];

/// The class of a mutation of a mutation.
const TWICE: &str = "twice";

/// The names of all classes, in the order of the statistics.
pub fn class_names() -> impl Iterator<Item = &'static str> {
    CLASSES.iter().map(|class| class.name).chain([TWICE])
}

/// Mutates `text` by a class drawn with `rng`; every eighth time twice over.
///
/// Shape: `None` when no class found a place within a few draws, as in an empty file.
pub fn mutate(text: &str, rng: &mut Rng) -> Option<Mutation> {
    let first = mutate_once(text, rng)?;
    if rng.u8(0..8) > 0 {
        return Some(first);
    }
    let second = str::from_utf8(&first.text).ok().and_then(|text| mutate_once(text, rng));
    Some(second.map_or(first, |second| Mutation { class: TWICE, text: second.text }))
}

fn mutate_once(text: &str, rng: &mut Rng) -> Option<Mutation> {
    let source = Source::new(text);
    (0..20).find_map(|_| {
        let class = draw(rng);
        let edits = (class.strike)(&source, rng)?;
        let mutated = source::apply(text.as_bytes(), edits);
        (mutated != text.as_bytes()).then_some(Mutation { class: class.name, text: mutated })
    })
}

fn draw(rng: &mut Rng) -> &'static Class {
    let total: u32 = CLASSES.iter().map(|class| class.weight).sum();
    let mut left = rng.u32(0..total);
    let drawn = CLASSES.iter().find(|class| {
        let hit = left < class.weight;
        left = left.saturating_sub(class.weight);
        hit
    });
    drawn.unwrap_or(&CLASSES[0])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const PROGRAM: &str = r#"
{ lib, pkgs ? import <nixpkgs> { }, ... }@args:
let
  inherit (lib) mkIf types;
  version = 1.5; # a comment
  path = ./a/b;
in
rec {
  name = "x-${toString version}";
  sub.one = if version > 1 then [ 1 2 ] else (map (x: x + 1) [ 3 ]);
  sub.two = { a = 1; b = args.c or "d"; };
  inherit types;
  text = ''
    ${name} and ''${more}
  '';
  f = with pkgs; assert path != null; mkIf true hello;
}
"#;

    #[test]
    fn a_seed_always_gives_the_same() {
        let run = |seed| {
            let mut rng = Rng::with_seed(seed);
            (0..50).filter_map(|_| mutate(PROGRAM, &mut rng)).collect::<Vec<_>>()
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }

    #[test]
    fn every_class_finds_a_place_and_changes_the_text() {
        let mut rng = Rng::with_seed(1);
        let drawn: Vec<Mutation> = (0..1500).filter_map(|_| mutate(PROGRAM, &mut rng)).collect();
        assert!(drawn.iter().all(|mutation| mutation.text != PROGRAM.as_bytes()));
        let seen: BTreeSet<&str> = drawn.iter().map(|mutation| mutation.class).collect();
        let missing: Vec<&str> = class_names().filter(|name| !seen.contains(name)).collect();
        assert!(missing.is_empty(), "never drawn: {missing:?}");
    }

    #[test]
    fn odd_texts_do_no_harm() {
        let mut rng = Rng::with_seed(1);
        for text in ["", " ", "# x", "1", "\"", "é", "{", "a b", "''${"] {
            for _ in 0..200 {
                mutate(text, &mut rng);
            }
        }
    }
}
