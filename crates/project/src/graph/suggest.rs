//! What a path that leads to nothing may have meant.

/// The entry of the same folder that is most like the last name of `written`, as it should be
/// written: with `./` and without the slash of a folder. Another spelling in capitals comes first,
/// then a lost or doubled `.nix`, then a misspelling.
pub(super) fn nearest(written: &str, siblings: &[String]) -> Option<String> {
    let (folder, name) = written.rsplit_once('/').unwrap_or(("", written));
    if name.is_empty() || matches!(name, "." | "..") {
        return None;
    }
    let stem = |name: &'_ str| name.trim_end_matches('/').trim_end_matches(".nix").to_owned();
    let wanted = stem(name);
    let limit = wanted.len() / 4 + 1;
    let score = |sibling: &String| {
        let found = sibling.trim_end_matches('/');
        let is_source = found.ends_with(".nix") || found.len() < sibling.len();
        if found == name || !(is_source || name.len() == found.len()) {
            return None;
        }
        if found.eq_ignore_ascii_case(name) {
            return Some(0);
        }
        let other = stem(sibling);
        let distance = if other == wanted { 0 } else { distance(&other, &wanted) };
        (distance <= limit && is_source).then_some(1 + distance)
    };
    let scored = siblings.iter().filter_map(|sibling| Some((score(sibling)?, sibling)));
    let (_, best) = scored.min_by_key(|(score, _)| *score)?;
    let best = best.trim_end_matches('/');
    Some(match folder {
        "" if written.starts_with('/') => format!("/{best}"),
        "" => format!("./{best}"),
        folder if folder.starts_with(['/', '.']) => format!("{folder}/{best}"),
        folder => format!("./{folder}/{best}"),
    })
}

/// Number of characters to insert, remove or change to get from one name to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().take(64).enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let changed = corner + usize::from(left != *right);
            corner = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(written: &str, siblings: &[&str], want: Option<&str>) {
        let siblings: Vec<String> = siblings.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(nearest(written, &siblings).as_deref(), want, "{written}");
    }

    #[test]
    fn capitals_then_extensions_then_misspellings() {
        check("foo.nix", &["Foo.nix", "fo.nix"], Some("./Foo.nix"));
        check("../a/foo", &["foo.nix", "fop/"], Some("../a/foo.nix"));
        check("a/foo.nix", &["foo/", "fooo.nix"], Some("./a/foo"));
        check("network.nix", &["netwrok.nix", "README.md"], Some("./netwrok.nix"));
        check("a.nix", &["zebra.nix", "a.patch"], None);
        check("..", &["a.nix"], None);
    }
}
