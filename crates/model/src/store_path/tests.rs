use expect_test::{Expect, expect};

use super::*;

#[test]
fn names_are_checked_as_nix_does() {
    let ok = ["a", "hello-2.12.1", ".config", "a?b=c+d_e", "..a", "._-"];
    ok.iter().for_each(|name| assert_eq!(check_name(name), Ok(()), "{name}"));
    let bad = ["", ".", "..", ".-a", "..-a", "a b", "ä", "a/b", "a\0"];
    bad.iter().for_each(|name| assert!(check_name(name).is_err(), "{name}"));
    assert!(check_name(&"a".repeat(211)).is_ok());
    assert!(check_name(&"a".repeat(212)).is_err());
}

#[test]
fn paths_are_those_of_nix() {
    let store = StoreDir::default();
    // `nix-instantiate --eval -E 'builtins.toFile "foo" "bar"'`
    let hash = Hash::of(HashKind::Sha256, b"bar");
    assert_eq!(
        store.text_path("foo", &hash, &References::new()),
        "/nix/store/vxjiwkjkn7x4079qvh1jkl5pn05j2aw0-foo"
    );
    // `nix-instantiate --eval -E 'builtins.placeholder "out"'`
    assert_eq!(placeholder("out"), "/1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9");
}

#[test]
fn store_paths_are_found_in_paths() {
    let store = StoreDir::default();
    let path = "/nix/store/vxjiwkjkn7x4079qvh1jkl5pn05j2aw0-foo";
    assert_eq!(store.of_path(&format!("{path}/a/b")), Some(path));
    assert!(store.is_path(path));
    assert!(!store.is_path(&format!("{path}/a")));
    for no in [
        "/nix/store/",
        "/nix/store/foo",
        "/nix/storevxjiw",
        "/tmp",
        "/nix/store/vxjiwkjkn7x4079qvh1jkl5pn05j2aw0-",
    ] {
        assert_eq!(store.of_path(no), None, "{no}");
    }
}

const HASH: &str = "vxjiwkjkn7x4079qvh1jkl5pn05j2aw0";

#[test]
fn store_paths_are_read_and_printed() {
    let store = StoreDir::default();
    let path = store.read(&format!("/nix/store/{HASH}-a-1.0.drv")).unwrap();
    assert_eq!((path.hash(), path.name()), (HASH, "a-1.0.drv"));
    assert_eq!(path.derivation_name(), Some("a-1.0"));
    assert_eq!(StorePath::of_parts(HASH, "a-1.0.drv").as_ref(), Ok(&path));
    assert_eq!(StorePath::parse(path.base_name()).as_ref(), Ok(&path));
    assert_eq!(path.to_string().parse().as_ref(), Ok(&path));
    let elsewhere = StoreDir::new("/gnu/store");
    assert_eq!(elsewhere.read(&elsewhere.show(&path)).as_ref(), Ok(&path));
    assert!(!StorePath::of_parts(HASH, "a.drv.x").unwrap().is_derivation());
}

#[test]
fn what_lies_inside_is_told_apart() {
    let below = |path: &str| match StoreDir::default().read_below(path) {
        Ok((path, rest)) => format!("{} / {rest}", path.name()),
        Err(error) => error.to_string(),
    };
    assert_eq!(below(&format!("/nix/store/{HASH}-a")), "a / ");
    assert_eq!(below(&format!("/nix/store/{HASH}-a/")), "a / ");
    assert_eq!(below(&format!("//nix/./store/x/../{HASH}-a/bin//b")), "a / bin/b");
    assert_eq!(below(&format!("/nix/store/{HASH}-a/../{HASH}-b")), "b / ");
}

/// Nix 2.34.8 refuses all of these, too.
#[test]
fn what_is_no_store_path_is_refused() {
    let check = |path: &str, want: Expect| {
        let error = path.replace("HASH", HASH).parse::<StorePath>().unwrap_err().to_string();
        want.assert_eq(&error.replace(HASH, "HASH"));
    };
    check("", expect!["'' is no store path: it has no dash behind a hash"]);
    check(
        "/nix/store",
        expect!["'/nix/store' is no store path: it is not in the store '/nix/store'"],
    );
    check(
        "/nix/store/",
        expect!["'/nix/store/' is no store path: it is not in the store '/nix/store'"],
    );
    check(
        "/gnu/store/HASH-a",
        expect!["'/gnu/store/HASH-a' is no store path: it is not in the store '/nix/store'"],
    );
    check(
        "nix/store/HASH-a",
        expect!["'nix/store/HASH-a' is no store path: it is not in the store '/nix/store'"],
    );
    check(
        "/nix/store/HASH-a/bin",
        expect!["'/nix/store/HASH-a/bin' is no store path: it lies inside '/nix/store/HASH-a'"],
    );
    check(
        "/nix/store/../HASH-a",
        expect!["'/nix/store/../HASH-a' is no store path: it is not in the store '/nix/store'"],
    );
    check("HASH", expect!["'HASH' is no store path: it has no dash behind a hash"]);
    check("HASH-", expect!["'HASH-' is no store path: name must not be empty"]);
    check(
        "HASH-a b",
        expect!["'HASH-a b' is no store path: name 'a b' contains illegal character ' '"],
    );
    check("HASH-..", expect!["'HASH-..' is no store path: name '..' is not valid"]);
    check("0HASH-a", expect!["'0HASH-a' is no store path: its hash has 33 digits instead of 32"]);
    check(
        "vxjiwkjkn7x4079qvh1jkl5pn05j2aw-a",
        expect![
            "'vxjiwkjkn7x4079qvh1jkl5pn05j2aw-a' is no store path: its hash has 31 digits instead of 32"
        ],
    );
    check(
        "vxjiwkjkn7x4079qvh1jkl5pn05j2awe-a",
        expect![
            "'vxjiwkjkn7x4079qvh1jkl5pn05j2awe-a' is no store path: its hash has 'e', which is no digit of Nix's base 32"
        ],
    );
    check(
        "Vxjiwkjkn7x4079qvh1jkl5pn05j2aw0-a",
        expect![
            "'Vxjiwkjkn7x4079qvh1jkl5pn05j2aw0-a' is no store path: its hash has 'V', which is no digit of Nix's base 32"
        ],
    );
    check(
        "éxjiwkjkn7x4079qvh1jkl5pn05j2aw-a",
        expect![
            "'éxjiwkjkn7x4079qvh1jkl5pn05j2aw-a' is no store path: its hash has 'é', which is no digit of Nix's base 32"
        ],
    );
}

#[test]
fn both_forms_are_read_from_json() {
    let path = StorePath::of_parts(HASH, "a").unwrap();
    let read = |json: String| serde_json::from_str::<StorePath>(&json).map_err(|e| e.to_string());
    let wire = format!(r#"{{"hash":"{HASH}","name":"a"}}"#);
    assert_eq!(serde_json::to_string(&path).unwrap(), wire);
    assert_eq!(read(wire).as_ref(), Ok(&path));
    assert_eq!(read(format!(r#""{HASH}-a""#)).as_ref(), Ok(&path));
    assert_eq!(read(format!(r#""/nix/store/{HASH}-a""#)).as_ref(), Ok(&path));
    let error = |json: &str| read(json.to_owned()).unwrap_err();
    expect!["'x-y-a' is no store path: its hash has '-', which is no digit of Nix's base 32"]
        .assert_eq(&error(r#"{"hash":"x-y","name":"a"}"#));
    expect!["a store path is a text or has a 'hash' and a 'name'"].assert_eq(&error("{}"));
}

#[test]
fn any_hash_and_name_make_a_path() {
    let mut random = fastrand::Rng::with_seed(5);
    const CHARS: &[u8] = b"abcXYZ019+-._?=";
    let mut paths = Vec::new();
    for _ in 0..2_000 {
        let hash: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(20).collect();
        let digits = nix32::encode(&hash);
        let len = random.usize(1..12);
        let name: String =
            (0..len).map(|_| char::from(CHARS[random.usize(..CHARS.len())])).collect();
        let made = StorePath::of_parts(&digits, &name);
        let text = format!("/nix/store/{digits}-{name}");
        assert_eq!(made.is_ok(), StoreDir::default().is_path(&text), "{text}");
        assert_eq!(made.is_ok(), check_name(&name).is_ok(), "{text}");
        let Ok(path) = made else { continue };
        assert_eq!(nix32::decode(path.hash().as_bytes()), Some(hash));
        assert_eq!(StoreDir::default().show(&path), text);
        assert_eq!(text.parse().as_ref(), Ok(&path));
        paths.push(path);
    }
    paths.sort();
    assert!(paths.len() > 1_000 && paths.is_sorted_by_key(|path| path.to_string()));
}
