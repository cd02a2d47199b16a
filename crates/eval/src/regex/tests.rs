use super::{Halt, Limits, Regex, RegexError};
use crate::evaluator::Interrupt;

fn matched(pattern: &str, text: &str) -> String {
    let regex = match Regex::new(pattern.as_bytes()) {
        Ok(regex) => regex,
        Err(error) => return format!("{error:?}"),
    };
    let interrupt = Interrupt::default();
    let limits = Limits { interrupt: &interrupt, room: usize::MAX };
    match regex.match_whole(text.as_bytes(), limits).unwrap() {
        None => "none".to_owned(),
        Some(captures) => {
            let group = |place: &Option<(usize, usize)>| {
                place.map_or("-".to_owned(), |(from, to)| format!("<{}>", &text[from..to]))
            };
            captures[1..].iter().map(group).collect()
        }
    }
}

fn found(pattern: &str, text: &str) -> String {
    let regex = Regex::new(pattern.as_bytes()).unwrap();
    let mut out = String::new();
    let interrupt = Interrupt::default();
    let limits = Limits { interrupt: &interrupt, room: usize::MAX };
    let each = regex.each_match(text.as_bytes(), limits, |captures| -> Result<(), Halt> {
        let (from, to) = captures[0].unwrap();
        out.push_str(&format!("{from}-{to} "));
        Ok(())
    });
    each.unwrap();
    out.trim_end().to_owned()
}

#[test]
fn the_longest_branch_wins() {
    // All as Nix 2.34.8.
    assert_eq!(found("a|ab", "xabab"), "1-3 3-5");
    assert_eq!(found("(foo|foobar)(bar)?", "foobarbar"), "0-9");
    assert_eq!(found("(a|ab)*", "abaab"), "0-5 5-5");
    assert_eq!(matched("(a|ab)(c|bcd)(d*)", "abcd"), "<a><bcd><>");
}

#[test]
fn loops_may_match_nothing_once_more() {
    assert_eq!(matched("(a*)*", "aa"), "<>");
    assert_eq!(matched("(a*)+", "aa"), "<>");
    assert_eq!(matched("(a|b|)*", "ab"), "<>");
    assert_eq!(matched("((a)|(b))*", "ab"), "<b><a><b>");
}

#[test]
fn empty_matches_follow_others() {
    assert_eq!(found("a*", "ab"), "0-1 1-1 2-2");
    assert_eq!(found("|a", "ba"), "0-0 1-2 2-2");
    assert_eq!(found("$", "ab"), "2-2");
    assert_eq!(found("^a", "aaa"), "0-1");
    assert_eq!(found("", "ab"), "0-0 1-1 2-2");
}

#[test]
fn brackets() {
    assert_eq!(matched("[]a]+", "]a"), "");
    assert_eq!(matched("[^]a]", "b"), "");
    assert_eq!(matched("[--/]", "."), "");
    assert_eq!(matched("[a\\]b]", "\\b]"), "");
    assert_eq!(matched("[[.hyphen.][=a=]]+", "-Aa"), "");
    assert_eq!(matched("[[:ALPHA:]]", "x"), "");
    for invalid in ["[a-c-e]", "[z-a]", "[[:foo:]]", "[[:alpha:]-z]", "[a", "[[:alpha:]"] {
        assert_eq!(matched(invalid, ""), "Invalid", "{invalid}");
    }
}

#[test]
fn what_is_no_regular_expression() {
    for invalid in ["*a", "+", "(", ")", "a)", "\\d", "\\", "{", "a{", "a{x}", "a{2,1}", "^*"] {
        assert_eq!(matched(invalid, ""), "Invalid", "{invalid}");
    }
    assert_eq!(matched("a{1,70000}", ""), "TooLarge");
    assert_eq!(matched("((((a{99}){99}){99}){99}){99}", ""), "TooLarge");
    assert_eq!(Regex::new("(".repeat(100_000).as_bytes()).err(), Some(RegexError::TooLarge));
}

#[test]
fn nothing_takes_long() {
    let text = "a".repeat(20_000);
    assert_eq!(matched("(a*)*(a|a)*(a*)*b", &text), "none");
    assert_eq!(matched("(((a*)*)*)*b", &text[..2_000]), "none");
    assert_eq!(matched(&format!("{}b", "(a*)*".repeat(30)), &text[..100]), "none");
    assert_eq!(found("a*b|a", &text[..3_000]).split(' ').count(), 3_000);
    assert_eq!(found("(.*b)?", &text).split(' ').count(), 20_001);
    assert_eq!(matched("x{0}{4294967295}{4294967295}", ""), "");
    assert_eq!(matched("x{0}{4294967295}*(x{0})*", "x"), "none");
    assert_eq!(matched("(()*){1500}", ""), "<><>");
}
