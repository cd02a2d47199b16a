//! Subjects with wildcards, and what they have in common.
//!
//! `*` stands for one token, `>` at the end for one or more. Patterns are ordered by
//! [`covers`](Pattern::covers), and two of them that have anything in common have a largest pattern
//! that both cover: [`meet`](Pattern::meet).

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A subject, with or without wildcards.
///
/// ```
/// use cim_nix_nats::Pattern;
///
/// let commands: Pattern = "nix.cmd.>".parse()?;
/// let creations: Pattern = "nix.*.*.create".parse()?;
/// assert!(commands.matches("nix.cmd.flake.create"));
/// assert!(!commands.covers(&creations));
/// assert_eq!(commands.meet(&creations), Some("nix.cmd.*.create".parse()?));
/// # Ok::<(), cim_nix_nats::NoPattern>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(Box<str>);

/// The longest subject: far below what servers take in one line.
const LONGEST: usize = 1_024;

impl Pattern {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn tokens(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }

    /// Whether it has no wildcard, and so stands for one subject.
    #[must_use]
    pub fn is_subject(&self) -> bool {
        self.tokens().all(|token| token != "*" && token != ">")
    }

    /// Whether it stands for `subject` among others.
    #[must_use]
    pub fn matches(&self, subject: &str) -> bool {
        let mut tokens = subject.split('.');
        for own in self.tokens() {
            match (own, tokens.next()) {
                (_, None | Some("")) => return false,
                (">", Some(_)) => return tokens.all(|token| !token.is_empty()),
                ("*", Some(_)) => {}
                (own, Some(token)) if own == token => {}
                _ => return false,
            }
        }
        tokens.next().is_none()
    }

    /// Whether it stands for every subject that `other` stands for.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let mut others = other.tokens();
        for own in self.tokens() {
            match (own, others.next()) {
                (_, None) => return false,
                (">", Some(_)) => return true,
                (_, Some(">")) => return false,
                ("*", Some(_)) => {}
                (own, Some(token)) if own == token => {}
                _ => return false,
            }
        }
        others.next().is_none()
    }

    /// What both stand for; `None` if that is nothing.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Option<Self> {
        let (mut ours, mut theirs) = (self.tokens(), other.tokens());
        let mut both: Vec<&str> = Vec::new();
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return Some(Self(both.join(".").into())),
                (Some(">"), Some(token)) => {
                    both.push(token);
                    both.extend(theirs.by_ref());
                    return Some(Self(both.join(".").into()));
                }
                (Some(token), Some(">")) => {
                    both.push(token);
                    both.extend(ours.by_ref());
                    return Some(Self(both.join(".").into()));
                }
                (Some("*"), Some(token)) | (Some(token), Some("*")) => both.push(token),
                (Some(one), Some(two)) if one == two => both.push(one),
                _ => return None,
            }
        }
    }

    /// Which of two is more specific: the one that the other covers is less.
    ///
    /// Shape: `None` where neither covers the other.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self.covers(other), other.covers(self)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Less),
            (false, true) => Some(Ordering::Greater),
            (false, false) => None,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Text that is no subject, nor one with wildcards.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoPattern(String);

impl fmt::Display for NoPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.0.chars().take(60).collect();
        write!(f, "`{}` is no subject, nor one with wildcards", shown.escape_debug())
    }
}

impl std::error::Error for NoPattern {}

impl FromStr for Pattern {
    type Err = NoPattern;

    fn from_str(text: &str) -> Result<Self, NoPattern> {
        let broken = || NoPattern(text.to_owned());
        let n_tokens = text.split('.').count();
        let is_sound = |(nth, token): (usize, &str)| match token {
            ">" => nth + 1 == n_tokens,
            "*" => true,
            token => is_token(token),
        };
        match text.len() <= LONGEST && text.split('.').enumerate().all(is_sound) {
            true => Ok(Self(text.into())),
            false => Err(broken()),
        }
    }
}

/// Whether `text` can be a token of a subject. Servers take more; what looks like a wildcard and is
/// none is a mistake of whoever wrote it.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && !b".*>".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().expect("a pattern")
    }

    /// Every subject of one to four tokens of two letters.
    fn subjects() -> Vec<String> {
        let mut all = vec!["a".to_owned(), "b".to_owned()];
        let mut last = all.clone();
        for _ in 1..4 {
            let longer = |subject: &String| [format!("{subject}.a"), format!("{subject}.b")];
            last = last.iter().flat_map(longer).collect();
            all.extend(last.iter().cloned());
        }
        all
    }

    fn any(random: &mut fastrand::Rng) -> Pattern {
        let n_tokens = random.usize(1..=4);
        let mut tokens: Vec<&str> =
            (0..n_tokens).map(|_| *random.choice(["a", "b", "*"].iter()).expect("three")).collect();
        if random.u8(..4) == 0 {
            tokens[n_tokens - 1] = ">";
        }
        pattern(&tokens.join("."))
    }

    #[test]
    fn what_covering_and_meeting_mean_is_what_they_match() {
        let subjects = subjects();
        let mut random = fastrand::Rng::with_seed(46);
        for _ in 0..3_000 {
            let (one, two) = (any(&mut random), any(&mut random));
            assert_eq!(pattern(one.as_str()), one);
            let matched = |pattern: &Pattern| -> Vec<bool> {
                subjects.iter().map(|subject| pattern.matches(subject)).collect()
            };
            let (of_one, of_two) = (matched(&one), matched(&two));
            // Four tokens are not all there are, so a `>` in the fifth place would be missed;
            // patterns here have at most four.
            if one.covers(&two) {
                let is_in = |(two, one): (&bool, &bool)| !two || *one;
                assert!(of_two.iter().zip(&of_one).all(is_in), "{one} covers {two}");
            }
            let both: Vec<bool> = of_one.iter().zip(&of_two).map(|(a, b)| *a && *b).collect();
            match one.meet(&two) {
                Some(meet) => {
                    assert_eq!(matched(&meet), both, "{one} and {two} meet in {meet}");
                    assert!(one.covers(&meet) && two.covers(&meet), "{one} {two} {meet}");
                    assert_eq!(Some(meet), two.meet(&one));
                }
                None => assert!(!both.contains(&true), "{one} and {two} do not meet"),
            }
            assert_eq!(one.meet(&one), Some(one.clone()));
            assert_eq!(one.covers(&two), one.meet(&two) == Some(two.clone()), "{one} {two}");
            assert_eq!(one.compare(&two), two.compare(&one).map(Ordering::reverse));
            assert_eq!(one.compare(&two) == Some(Ordering::Equal), one == two);
        }
    }

    #[test]
    fn covering_is_transitive() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut n_chains = 0;
        for _ in 0..20_000 {
            let (a, b, c) = (any(&mut random), any(&mut random), any(&mut random));
            if a.covers(&b) && b.covers(&c) {
                assert!(a.covers(&c), "{a} {b} {c}");
                n_chains += 1;
            }
        }
        assert!(n_chains > 100, "{n_chains}");
    }

    #[test]
    fn a_tail_needs_a_token() {
        assert!(!pattern("nix.>").matches("nix"));
        assert!(!pattern("nix.>").matches("nix."));
        assert!(!pattern("nix.*").matches("nix.."));
        assert!(pattern(">").matches("nix"));
    }

    #[test]
    fn refuses_what_is_none() {
        for text in ["", ".", "nix.", ".nix", "nix..cmd", ">.nix", "nix.a*", "nix. ", "nix.\n", "ä"]
        {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
        assert!("x.".repeat(600).parse::<Pattern>().is_err());
        expect_test::expect!["`nix..cmd` is no subject, nor one with wildcards"]
            .assert_eq(&"nix..cmd".parse::<Pattern>().expect_err("an empty token").to_string());
    }
}
