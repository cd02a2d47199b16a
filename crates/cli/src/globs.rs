//! The patterns of `per-file-ignores`: whether a path matches.
//!
//! `*` stands for any part of a name, `?` for one character, `**` for any number of folders. A
//! pattern without a slash matches a name anywhere, one with a slash the path from the folder of the
//! configuration, and whatever lies in a folder that matches is matched with it.

/// One pattern, split at its slashes.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Glob {
    parts: Vec<Vec<char>>,
}

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        let body = pattern.strip_suffix('/').unwrap_or(pattern);
        let (is_anchored, body) = match body.strip_prefix('/') {
            Some(rest) => (true, rest),
            None => (body.contains('/'), body),
        };
        let mut parts: Vec<Vec<char>> = Vec::new();
        if !is_anchored {
            parts.push(vec!['*', '*']);
        }
        parts.extend(body.split('/').filter(|part| !part.is_empty()).map(|p| p.chars().collect()));
        Self { parts }
    }

    /// Whether `path`, relative to the folder of the configuration, matches or lies in a folder
    /// that does.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let names: Vec<Vec<char>> = path.split('/').map(|name| name.chars().collect()).collect();
        wild(
            &self.parts,
            &names,
            |part| part == &['*', '*'],
            |part, name| wild(part, name, |c| *c == '*', |c, d| *c == '?' || c == d, true),
            false,
        )
    }
}

/// Matches `pattern` against `text`, where an item that `is_star` stands for any number of items.
/// Cost: at most the product of the lengths, since only the last star is ever tried again.
///
/// Without `whole` it is enough that the pattern matches some first items of the text.
fn wild<P, T>(
    pattern: &[P],
    text: &[T],
    is_star: impl Fn(&P) -> bool,
    fits: impl Fn(&P, &T) -> bool,
    whole: bool,
) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if at == pattern.len() && (!whole || seen == text.len()) {
            return true;
        }
        if at < pattern.len() && is_star(&pattern[at]) {
            retry = Some((at + 1, seen));
            at += 1;
        } else if at < pattern.len() && seen < text.len() && fits(&pattern[at], &text[seen]) {
            at += 1;
            seen += 1;
        } else if let Some((star, from)) = retry.filter(|(_, from)| *from < text.len()) {
            retry = Some((star, from + 1));
            (at, seen) = (star, from + 1);
        } else {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, path: &str, want: bool) {
        assert_eq!(Glob::new(pattern).matches(path), want, "{pattern} on {path}");
    }

    #[test]
    fn a_name_matches_anywhere() {
        check("a.nix", "a.nix", true);
        check("a.nix", "x/y/a.nix", true);
        check("*.nix", "x/y/a.nix", true);
        check("a.nix", "aa.nix", false);
        check("?.nix", "x/a.nix", true);
        check("?.nix", "x/aa.nix", false);
    }

    #[test]
    fn a_folder_matches_what_is_in_it() {
        check("tests", "a/tests/b/c.nix", true);
        check("tests/", "tests/c.nix", true);
        check("a/tests", "a/tests/b/c.nix", true);
        check("a/tests", "b/a/tests/c.nix", false);
    }

    #[test]
    fn a_slash_anchors() {
        check("/a.nix", "a.nix", true);
        check("/a.nix", "x/a.nix", false);
        check("x/*.nix", "x/a.nix", true);
        check("x/*.nix", "x/y/a.nix", false);
        check("x/**/a.nix", "x/a.nix", true);
        check("x/**/a.nix", "x/y/z/a.nix", true);
        check("**/y/*", "x/y/a.nix", true);
        check("x/**", "x/y/a.nix", true);
    }

    #[test]
    fn many_stars_are_cheap() {
        check(&"*a".repeat(200), &"a".repeat(5000), true);
        check(&format!("{}b", "*a".repeat(200)), &"a".repeat(5000), false);
        check(&format!("{}b", "**/a/".repeat(200)), &"a/".repeat(2000), false);
    }
}
