//! The gate: whether two texts mean the same to Nix.
//!
//! Two trees are walked side by side, in one pass and without building anything. Formatters may
//! change blanks, parentheses that group what is one expression anyway, commas behind the last
//! parameter, and how a string is written as long as its value stays, URIs without quotes included.
//! Whatever else differs is a [`Difference`]. Comments mean nothing to Nix but a lot to people, so
//! none of their characters may be lost.

use cim_nix_base::TextRange;
use cim_nix_syntax::literal::{StrPart, attr_name, path_parts, static_string, string_parts, uri};
use cim_nix_syntax::{Node, NodeKind, TokenKind, TokenRef, Tree};

/// Where two trees differ.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The place in the old text.
    pub before: TextRange,
    /// The place in the new text.
    pub after: TextRange,
    /// What differs there, for people.
    pub what: String,
}

/// The first place where the two trees mean different things; `None` if they mean the same.
///
/// Positions are no meaning: what `__curPos` and `unsafeGetAttrPos` answer may change.
/// Cost: proportional to both trees.
#[must_use]
pub fn difference(before: &Tree, after: &Tree) -> Option<Difference> {
    let mut left = before.nodes().filter(is_kept);
    let mut right = after.nodes().filter(is_kept);
    loop {
        let (old, new) = match (left.next(), right.next()) {
            (None, None) => return None,
            (Some(old), Some(new)) => (old, new),
            // The roots were met, so nodes that are left over have their ends as their place.
            (old, new) => {
                let end = |tree: &Tree| TextRange::empty(tree.text().len() as u32);
                let place = |node: Option<Node<'_>>, tree| node.map_or(end(tree), Node::range);
                let what = "there is more or less code than before".to_owned();
                return Some(Difference {
                    before: place(old, before),
                    after: place(new, after),
                    what,
                });
            }
        };
        if let Some(what) = node_difference(old, new) {
            return Some(Difference { before: old.range(), after: new.range(), what });
        }
    }
}

/// Parentheses only say how tokens group, and the tree knows that already.
fn is_kept(node: &Node<'_>) -> bool {
    node.kind() != NodeKind::Paren
}

/// Why two nodes differ, their children aside but for the number of them.
///
/// Kinds and numbers of children in preorder determine the shape of a tree.
fn node_difference(old: Node<'_>, new: Node<'_>) -> Option<String> {
    if old.kind() == NodeKind::Literal && new.kind() == NodeKind::Str {
        // A URI without quotes is a string, and some formatters add the quotes.
        let is_same = uri(old).is_some() && uri(old) == static_string(new).as_deref();
        return (!is_same).then(|| format!("{} became {}", shown(old), shown(new)));
    }
    let is_string = |node: Node<'_>| matches!(node.kind(), NodeKind::Str | NodeKind::IndStr);
    let is_same_kind = old.kind() == new.kind() || (is_string(old) && is_string(new));
    if !is_same_kind || old.children().count() != new.children().count() {
        return Some(format!("{} became {}", shown(old), shown(new)));
    }
    match old.kind() {
        NodeKind::Str | NodeKind::IndStr => string_difference(old, new),
        NodeKind::Path if !old.is_leaf() => {
            let is_same = same_parts(&path_parts(old), &path_parts(new));
            (!is_same).then(|| format!("the path {} became {}", shown(old), shown(new)))
        }
        // Nix sees through `${"a"}`, and not through everything that evaluates to a string.
        NodeKind::Dynamic if attr_name(old) != attr_name(new) => {
            Some(format!("the name {} became {}", shown(old), shown(new)))
        }
        _ => {
            let is_same = significant(old).eq_by_text(significant(new));
            (!is_same).then(|| format!("{} became {}", shown(old), shown(new)))
        }
    }
}

fn string_difference(old: Node<'_>, new: Node<'_>) -> Option<String> {
    if old.text() == new.text() {
        return None;
    }
    let (old_parts, new_parts) = (string_parts(old), string_parts(new));
    if same_parts(&old_parts, &new_parts) {
        return None;
    }
    let texts = old_parts.iter().zip(&new_parts);
    let differing = texts.into_iter().find_map(|pair| match pair {
        (StrPart::Text(old), StrPart::Text(new)) if old != new => Some(differing_lines(old, new)),
        _ => None,
    });
    Some(match differing {
        Some((old, new)) => {
            format!("the value of a string changed: the line {old:?} became {new:?}")
        }
        None => "the value of a string changed: text came or went beside `${…}`".to_owned(),
    })
}

/// The first line of each text that the other has not.
fn differing_lines(old: &str, new: &str) -> (String, String) {
    let pair = old.split('\n').zip(new.split('\n')).find(|(old, new)| old != new);
    let rest = || (old.rsplit('\n').next().unwrap_or(""), new.rsplit('\n').next().unwrap_or(""));
    let (old, new) = pair.unwrap_or_else(rest);
    (cut(old), cut(new))
}

fn same_parts(old: &[StrPart<'_>], new: &[StrPart<'_>]) -> bool {
    old.len() == new.len()
        && old.iter().zip(new).all(|pair| match pair {
            (StrPart::Text(old), StrPart::Text(new)) => old == new,
            (StrPart::Interpol(_), StrPart::Interpol(_)) => true,
            _ => false,
        })
}

/// The tokens of a node that say something, its children's aside.
struct Significant<'t, I: Iterator<Item = TokenRef<'t>>>(I);

fn significant(node: Node<'_>) -> Significant<'_, impl Iterator<Item = TokenRef<'_>>> {
    // Formals are told apart without their commas, of which the last may be left out.
    Significant(node.own_tokens().filter(|token| token.kind() != TokenKind::Comma))
}

impl<'t, I: Iterator<Item = TokenRef<'t>>> Significant<'t, I> {
    fn eq_by_text<'u>(
        mut self,
        mut other: Significant<'u, impl Iterator<Item = TokenRef<'u>>>,
    ) -> bool {
        loop {
            match (self.0.next(), other.0.next()) {
                (None, None) => return true,
                (Some(old), Some(new)) if old.kind() == new.kind() => {
                    let is_fixed = old.kind() > TokenKind::InterpolStart;
                    if !is_fixed && old.text() != new.text() {
                        return false;
                    }
                }
                _ => return false,
            }
        }
    }
}

/// How a message shows a node.
fn shown(node: Node<'_>) -> String {
    let text = node.text();
    format!("`{}`", cut(text.lines().next().unwrap_or("")))
}

fn cut(line: &str) -> String {
    const LONGEST: usize = 60;
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// A comment of which something is missing in the new text, if there is one.
///
/// Comments may move, be joined and be marked in another way; so what is compared is how often each
/// character occurs in all of them, blanks and marks aside.
/// Cost: one look at every token; comments are searched for only where something is missing.
#[must_use]
pub fn lost_comment(before: &Tree, after: &Tree) -> Option<TextRange> {
    let (old, new) = (counts(before), counts(after));
    if old.iter().zip(&new).all(|(old, new)| old <= new) {
        return None;
    }
    let kept: String = comments(after).flat_map(|token| said(token.text())).collect();
    let is_lost = |token: &TokenRef<'_>| {
        let words: String = said(token.text()).collect();
        !words.is_empty() && !kept.contains(&words)
    };
    let lost = comments(before).find(is_lost).or_else(|| comments(before).next());
    lost.map(TokenRef::range)
}

fn comments(tree: &Tree) -> impl Iterator<Item = TokenRef<'_>> {
    tree.tokens().filter(|token| token.kind().is_comment())
}

/// The characters of a comment that a formatter must keep.
fn said(comment: &str) -> impl Iterator<Item = char> {
    comment.chars().filter(|&c| !c.is_whitespace() && !matches!(c, '#' | '*' | '/'))
}

/// How often each character occurs in comments; characters whose numbers end alike count together.
fn counts(tree: &Tree) -> [u32; 256] {
    let mut counts = [0; 256];
    for c in comments(tree).flat_map(|token| said(token.text())) {
        counts[c as usize % 256] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use cim_nix_syntax::parse;
    use expect_test::{Expect, expect};

    use super::*;

    fn same(before: &str, after: &str) {
        let (old, new) = (parse(before), parse(after));
        assert_eq!((old.problems, new.problems), (vec![], vec![]), "{before} and {after}");
        assert_eq!(difference(&old.tree, &new.tree), None, "{before} and {after}");
    }

    #[track_caller]
    fn differ(before: &str, after: &str, want: Expect) {
        let (old, new) = (parse(before), parse(after));
        assert_eq!((old.problems, new.problems), (vec![], vec![]), "{before} and {after}");
        let found = difference(&old.tree, &new.tree).expect("a difference");
        want.assert_eq(&format!("{:?} {:?}: {}", found.before, found.after, found.what));
        assert!(difference(&new.tree, &old.tree).is_some(), "{before} and {after}, turned round");
    }

    #[test]
    fn layout_means_nothing() {
        same("{a,b}:a", "{\n  a,\n  b,\n}:\na\n");
        same("x: (((x)))", "x: x");
        same("[ (f x) 1 ] ++ (y)", "[\n  (f x)\n  1\n] ++ y # why");
        same("{ a = ''\n    x\n      y\n  ''; }", "{\n  a = ''\n    x\n      y\n  '';\n}");
        same("''\n  a${ x }\n''", "''\na${x}\n''");
        same("\"a\\tb\"", "\"a\tb\"");
        same("''a${x}''", "\"a${x}\"");
        same("{ ${\"a\"} = 1; }", "{ ${(\"a\")} = 1; }");
        same("./a${x}/b", "./a${ (x) }/b");
    }

    #[test]
    fn what_means_something_is_seen() {
        differ("[ f x ]", "[ (f x) ]", expect!["0..7 0..9: `[ f x ]` became `[ (f x) ]`"]);
        differ("a - b", "a -b - c", expect!["0..5 0..8: `a - b` became `a -b - c`"]);
        differ("a + b", "a - b", expect!["0..5 0..5: `a + b` became `a - b`"]);
        same("(f or) 1 2", "f or 1 2");
        differ("(a.b) or 1", "a.b or 1", expect!["0..10 0..8: `(a.b) or 1` became `a.b or 1`"]);
        differ("{ inherit a b; }", "{ inherit b a; }", expect!["10..11 10..11: `a` became `b`"]);
        differ("{ a = 1; b = 2; }", "{ b = 2; a = 1; }", expect!["2..3 2..3: `a` became `b`"]);
        differ("{ a, ... }: a", "{ a }: a", expect!["0..10 0..5: `{ a, ... }` became `{ a }`"]);
        differ("rec { }", "{ }", expect!["0..7 0..3: `rec { }` became `{ }`"]);
        differ("1", "01", expect!["0..1 0..2: `1` became `01`"]);
        differ("1", "1.0", expect!["0..1 0..3: `1` became `1.0`"]);
        same("http://a.b", "\"http://a.b\"");
        differ(
            "http://a.b",
            "\"http://a.c\"",
            expect![[r#"0..10 0..12: `http://a.b` became `"http://a.c"`"#]],
        );
        differ("[ ]", "[ 1 ]", expect!["0..3 0..5: `[ ]` became `[ 1 ]`"]);
    }

    #[test]
    fn values_of_strings_are_compared() {
        differ(
            "''\n  a \n  b\n''",
            "''\n  a\n  b\n''",
            expect![[r#"0..14 0..13: the value of a string changed: the line "a " became "a""#]],
        );
        differ(
            "''\n\ta\n''",
            "''\n  a\n''",
            expect![[r#"0..8 0..9: the value of a string changed: the line "\ta" became "a""#]],
        );
        differ(
            "\"a${x}\"",
            "\"${x}a\"",
            expect!["0..7 0..7: the value of a string changed: text came or went beside `${…}`"],
        );
        differ(
            "\"a${x}b\"",
            "\"ab${x}\"",
            expect![[r#"0..8 0..8: the value of a string changed: the line "a" became "ab""#]],
        );
        differ(
            "./a${x}b${y}",
            "./a${x}${y}b",
            expect!["0..12 0..12: the path `./a${x}b${y}` became `./a${x}${y}b`"],
        );
        differ(
            "\"a\"",
            "''\n a\n''",
            expect![[r#"0..3 0..8: the value of a string changed: the line "a" became """#]],
        );
        differ(
            "{ ${\"a\"} = 1; }",
            "{ ${\"b\"} = 1; }",
            expect![[r#"2..8 2..8: the name `${"a"}` became `${"b"}`"#]],
        );
    }

    fn lost(before: &str, after: &str) -> Option<String> {
        let (old, new) = (parse(before).tree, parse(after).tree);
        lost_comment(&old, &new).map(|range| before[range.as_usize()].to_owned())
    }

    #[test]
    fn comments_may_move_but_not_vanish() {
        assert_eq!(lost("# a b\n1 /* c */", "/*\n * a\n * b\n */\n1 #c\n"), None);
        assert_eq!(lost("# one\n# two\n1", "# one\n1"), Some("# two".to_owned()));
        assert_eq!(lost("# same\n# same\n1", "# same\n1"), Some("# same".to_owned()));
        assert_eq!(lost("#\n1 /**/", "1"), None);
        assert_eq!(lost("1 #\u{a0}λ", "1 # λ"), None);
    }
}
