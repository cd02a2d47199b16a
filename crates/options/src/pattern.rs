//! Which options somebody means.

use std::fmt;

/// A name, the beginning of one, or a pattern for them: `services.nginx`, `services.*.enable`,
/// `**.port`.
///
/// A pattern means the options that have it as their name, and all below. `*` and `?` stand for
/// characters of one part of a name, `**` for any number of parts. Parts with dots are quoted.
/// Where an option has `<name>` or `*`, which the user chooses, any part of a plain name fits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    text: String,
    parts: Vec<PatternPart>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum PatternPart {
    Exact(String),
    Glob(Vec<char>),
    Any,
}

/// Why a text is no pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PatternError(String);

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PatternError {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// How a name fits a pattern. Ordered: the better fit is greater.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Fit {
    No,
    /// Not yet, but names that go on from here may.
    Below,
    Yes,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// Errors: a quote does not end, or a part is empty.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let broken =
            |why: &str| Err(PatternError(format!("`{text}` is no name of an option: {why}")));
        let mut parts = Vec::new();
        let mut chars = text.chars().peekable();
        loop {
            let mut part = String::new();
            let mut is_quoted = false;
            while let Some(&c) = chars.peek() {
                if c == '.' {
                    break;
                }
                chars.next();
                if c != '"' {
                    part.push(c);
                    continue;
                }
                is_quoted = true;
                loop {
                    match chars.next() {
                        None => return broken("a quote does not end"),
                        Some('"') => break,
                        Some('\\') => part.extend(chars.next()),
                        Some(c) => part.push(c),
                    }
                }
            }
            parts.push(match part.as_str() {
                "" if !is_quoted => return broken("a part of it is empty"),
                "**" if !is_quoted => PatternPart::Any,
                part if !is_quoted && part.contains(['*', '?']) => {
                    PatternPart::Glob(part.chars().collect())
                }
                _ => PatternPart::Exact(part),
            });
            if chars.next().is_none() {
                return Ok(Self { text: text.to_owned(), parts });
            }
        }
    }

    /// The parts, where no character stands for others.
    pub(crate) fn exact(&self) -> Option<Vec<&str>> {
        let mut parts = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let PatternPart::Exact(text) = part else { return None };
            parts.push(text.as_str());
        }
        Some(parts)
    }

    pub(crate) fn fit(&self, name: &[String]) -> Fit {
        let is_plain = self.exact().is_some();
        fit(&self.parts, name, is_plain)
    }
}

fn fit(parts: &[PatternPart], name: &[String], is_plain: bool) -> Fit {
    let Some((part, parts_left)) = parts.split_first() else { return Fit::Yes };
    if *part == PatternPart::Any {
        let mut best = fit(parts_left, name, is_plain);
        for skipped in 1..=name.len() {
            best = best.max(fit(parts_left, &name[skipped..], is_plain));
        }
        // Any name goes on somehow.
        return best.max(Fit::Below);
    }
    let Some((word, name_left)) = name.split_first() else { return Fit::Below };
    let is_fitting = match part {
        PatternPart::Exact(text) => text == word || (is_plain && is_placeholder(word)),
        PatternPart::Glob(glob) => is_like(glob, &word.chars().collect::<Vec<_>>()),
        PatternPart::Any => true,
    };
    if is_fitting { fit(parts_left, name_left, is_plain) } else { Fit::No }
}

/// Whether a part of a name stands for what the user chooses.
pub(crate) fn is_placeholder(part: &str) -> bool {
    part == "*" || (part.starts_with('<') && part.ends_with('>'))
}

/// Whether a text is like a glob; linear but for going back to the last `*`.
fn is_like(glob: &[char], text: &[char]) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut star = None;
    while from < text.len() {
        match glob.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(&c) if c == '?' || c == text[from] => {
                at += 1;
                from += 1;
            }
            _ => {
                let Some((star_at, taken)) = star else { return false };
                star = Some((star_at, taken + 1));
                at = star_at + 1;
                from = taken + 1;
            }
        }
    }
    glob[at..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, name: &str, want: Fit) {
        let name: Vec<String> = name.split('/').map(str::to_owned).collect();
        let pattern = Pattern::parse(pattern).unwrap();
        assert_eq!(pattern.fit(&name), want, "{pattern:?} {name:?}");
    }

    #[test]
    fn names_fit_what_they_begin_with() {
        check("a.b", "a/b", Fit::Yes);
        check("a.b", "a/b/c", Fit::Yes);
        check("a.b", "a", Fit::Below);
        check("a.b", "a/c", Fit::No);
        check("\"a.b\".c", "a.b/c", Fit::Yes);
        check("users.ada.uid", "users/<name>/uid", Fit::Yes);
        check("users.ada.uid", "users/<name>/gid", Fit::No);
        check("*.ada.uid", "users/<name>/uid", Fit::No);
        check("*.*.uid", "users/<name>/uid", Fit::Yes);
    }

    #[test]
    fn stars_stand_for_characters_and_parts() {
        check("s.*.enable", "s/nginx/enable", Fit::Yes);
        check("s.*.enable", "s/nginx/sub/enable", Fit::No);
        check("s.ng*x?", "s/nginx2", Fit::Yes);
        check("s.ng*x?", "s/nginx", Fit::No);
        check("**.enable", "a/b/enable", Fit::Yes);
        check("**.enable", "a/b", Fit::Below);
        check("**", "a", Fit::Yes);
        check("a.**.z", "b/z", Fit::No);
        check("**.a.**.b", "x/a/y/b/c", Fit::Yes);
        check("*a*b*", "xxaxxbxx/y", Fit::Yes);
        check("\"*\".x", "a/x", Fit::No);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let check = |text: &str, want: &str| {
            let error = Pattern::parse(text).unwrap_err().to_string();
            assert!(error.ends_with(want), "{error}");
        };
        check("", "a part of it is empty");
        check("a..b", "a part of it is empty");
        check("a.", "a part of it is empty");
        check("a.\"b", "a quote does not end");
        assert!(Pattern::parse("a.\"\"").is_ok());
    }
}
