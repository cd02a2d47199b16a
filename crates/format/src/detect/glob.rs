//! The patterns of treefmt: `*` and `**` match any text, `/` included, `?` one character, `[a-c]`
//! one of a set, `{a,b}` one of some.

/// Whether `pattern` matches all of `path`.
///
/// Cost: bounded by the product of the two lengths, times the number of alternatives in braces, of
/// which a few dozen are looked at.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let path: Vec<char> = path.chars().collect();
    alternatives(pattern).iter().any(|pattern| {
        let pattern: Vec<char> = pattern.chars().collect();
        matches_plain(&pattern, &path)
    })
}

/// The pattern once for each choice in its braces.
fn alternatives(pattern: &str) -> Vec<String> {
    const MOST: usize = 64;
    let mut open = vec![pattern.to_owned()];
    let mut done = Vec::new();
    while let Some(pattern) = open.pop() {
        let braces = pattern.find('}').and_then(|end| Some((pattern[..end].rfind('{')?, end)));
        let Some((start, end)) = braces.filter(|_| open.len() + done.len() < MOST) else {
            done.push(pattern);
            continue;
        };
        for choice in pattern[start + 1..end].split(',') {
            open.push(format!("{}{choice}{}", &pattern[..start], &pattern[end + 1..]));
        }
    }
    done
}

/// The usual two-pointer match: a failure goes back to the last star and gives it one more.
fn matches_plain(pattern: &[char], path: &[char]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while seen < path.len() {
        if pattern.get(at) == Some(&'*') {
            at += 1;
            star = Some((at, seen));
            continue;
        }
        if let Some(len) = one(&pattern[at..], path[seen]) {
            at += len;
            seen += 1;
            continue;
        }
        let Some((behind, taken)) = star else { return false };
        star = Some((behind, taken + 1));
        (at, seen) = (behind, taken + 1);
    }
    pattern[at..].iter().all(|&c| c == '*')
}

/// The length of what matches the one character `c` at the start of `pattern`.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['\\', escaped, ..] => (*escaped == c).then_some(2),
        ['[', set @ ..] => {
            let end = set.iter().skip(1).position(|&c| c == ']')? + 1;
            let (is_not, set) = match set[..end] {
                ['!' | '^', ref rest @ ..] => (true, rest),
                _ => (false, &set[..end]),
            };
            let mut is_in = set.contains(&c);
            for range in set.windows(3).filter(|range| range[1] == '-') {
                is_in |= range[0] <= c && c <= range[2];
            }
            (is_in != is_not).then_some(end + 2)
        }
        [plain, ..] => (*plain == c).then_some(1),
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_slashes() {
        for (pattern, path, want) in [
            ("*.nix", "a/b.nix", true),
            ("*.nix", "a/b.nixx", false),
            ("vendor/*", "vendor/a/b.nix", true),
            ("vendor/*", "x/vendor/a.nix", false),
            ("**/gen/*.nix", "a/gen/b.nix", true),
            ("{a,b}/?.nix", "b/x.nix", true),
            ("{a,b}/?.nix", "c/x.nix", false),
            ("[a-c][!x].nix", "by.nix", true),
            ("[a-c][!x].nix", "bx.nix", false),
            ("a\\*", "a*", true),
            ("[", "[", false),
            ("{a", "{a", true),
            ("", "", true),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, path), want, "{pattern} on {path}");
        }
    }

    #[test]
    fn hostile_patterns_end() {
        let stars = "*a".repeat(200);
        assert!(!matches(&stars, &"a".repeat(199)));
        assert!(!matches(&"{a,b}".repeat(40), "c"));
        assert!(!matches(&"{".repeat(10_000), "c"));
    }
}
