use std::collections::hash_map::DefaultHasher;

use super::*;

/// Versions in the order that `builtins.compareVersions` of Nix 2.34.8 gives; those of one line are
/// equal to it.
const ORDERED: &[&[&str]] = &[
    &["pre", "-pre.", "pre."],
    &["pre.a"],
    &["pre1", "pre-1", "pre.01"],
    &["", ".", "-", "--.."],
    &["+"],
    &["a"],
    &["a.1", "a1", "a-1"],
    &["prerelease"],
    &["é"],
    &["1pre"],
    &["1", "01", "1.", "1-", ".1", "0000000000000001"],
    &["1.2147483648", "1.-2147483648"],
    &["1.4294967295"],
    &["1.99999999999999999999"],
    &["1.a", "1a"],
    &["1.0", "1-0", "1.00", "1--0"],
    &["1.9"],
    &["1.10pre2"],
    &["1.10pre10"],
    &["1.10"],
    &["1.10rc1"],
    &["1.10.1"],
    &["1.2147483647", "1.0000000000002147483647"],
    &["2.0"],
];

#[test]
fn versions_are_ordered_as_nix_does() {
    for (at, line) in ORDERED.iter().enumerate() {
        for (other_at, others) in ORDERED.iter().enumerate() {
            for (a, b) in line.iter().flat_map(|a| others.iter().map(move |b| (a, b))) {
                let order = Version::new(*a).cmp(&Version::new(*b));
                assert_eq!(order, at.cmp(&other_at), "{a:?} and {b:?}");
            }
        }
    }
}

fn hash_of(version: &Version) -> u64 {
    let mut hasher = DefaultHasher::new();
    version.hash(&mut hasher);
    hasher.finish()
}

fn some_version(random: &mut fastrand::Rng) -> Version {
    const PARTS: [&str; 14] =
        ["0", "1", "01", "10", "2147483648", "pre", "a", "rc", ".", "-", "..", "é", "+", "prea"];
    let n_parts = random.usize(..7);
    let parts = std::iter::repeat_with(|| PARTS[random.usize(..PARTS.len())]);
    Version::new(parts.take(n_parts).collect::<String>())
}

#[test]
fn the_order_is_total_and_agrees_with_equality_and_hashes() {
    let mut random = fastrand::Rng::with_seed(7);
    let versions: Vec<Version> = (0..250).map(|_| some_version(&mut random)).collect();
    let mut n_equal = 0;
    for a in &versions {
        for b in &versions {
            assert_eq!(a.cmp(b), b.cmp(a).reverse(), "{a} and {b}");
            assert_eq!(a == b, a.counted().eq(b.counted()), "{a} and {b}");
            if a == b && a.as_str() != b.as_str() {
                n_equal += 1;
                assert_eq!(hash_of(a), hash_of(b), "{a} and {b}");
            }
        }
    }
    assert!(n_equal > 100, "too few versions are written differently");
    let mut sorted = versions;
    sorted.sort();
    for (at, a) in sorted.iter().enumerate() {
        assert!(sorted[at..].iter().all(|b| a <= b), "{a} comes too early");
    }
}

#[test]
fn names_are_split_as_nix_does() {
    // As `builtins.parseDrvName` of Nix 2.34.8 has them.
    for (text, name, version) in [
        ("hello-2.12.1", "hello", "2.12.1"),
        ("hello", "hello", ""),
        ("", "", ""),
        ("-", "-", ""),
        ("a-", "a-", ""),
        ("a--", "a", "-"),
        ("a--1", "a", "-1"),
        ("-1", "", "1"),
        ("nix-js-2.3", "nix-js", "2.3"),
        ("a-b-1-c", "a-b", "1-c"),
        ("python3.12-x-unstable-2024-01-01", "python3.12-x-unstable", "2024-01-01"),
        ("a-é", "a", "é"),
        ("a-_", "a", "_"),
    ] {
        let split = DrvName::new(text);
        let found = (split.name(), split.version().map_or("", Version::as_str));
        assert_eq!(found, (name, version), "{text:?}");
        assert_eq!(split.to_string(), text);
    }
}

#[test]
fn versions_and_names_are_strings_in_json() {
    let name: DrvName = serde_json::from_str(r#""hello-2.12.1""#).unwrap();
    assert_eq!(serde_json::to_string(&name).unwrap(), r#""hello-2.12.1""#);
    let version: Version = serde_json::from_str(r#""2.12.1""#).unwrap();
    assert_eq!(Some(&version), name.version());
    assert_eq!(serde_json::to_string(&version).unwrap(), r#""2.12.1""#);
    assert_eq!(version.parts().collect::<Vec<_>>(), ["2", "12", "1"]);
}
