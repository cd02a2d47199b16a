use expect_test::{Expect, expect};

use super::*;

const DRV: &str = "/nix/store/vxjiwkjkn7x4079qvh1jkl5pn05j2aw0-foo";

fn check(typed: &str, want: Expect) {
    let typed = typed.replace("DRV", DRV);
    let shown = match typed.parse::<Installable>() {
        Ok(installable) => {
            let text = installable.to_string();
            assert_eq!(text.parse().as_ref(), Ok(&installable), "{typed} is printed as {text}");
            match &installable {
                Installable::Store { path, outputs } => {
                    format!("store path {}, outputs '{outputs}': {text}", path.name())
                }
                Installable::Flake { place, attr, outputs } => {
                    let kind = match place {
                        FlakePlace::Folder(_) => "folder",
                        FlakePlace::Reference(reference) => reference.kind(),
                    };
                    format!("{kind}, attribute '{attr}', outputs '{outputs}': {text}")
                }
            }
        }
        Err(error) => error.to_string(),
    };
    want.assert_eq(&shown.replace(DRV, "DRV"));
}

/// Nix 2.34.8 says by its errors, or by the value that it finds, what it takes these for.
#[test]
fn folders_and_their_attributes() {
    check("", expect!["folder, attribute '', outputs '': ."]);
    check(".", expect!["folder, attribute '', outputs '': ."]);
    check("..", expect!["folder, attribute '', outputs '': .."]);
    check("#a", expect!["folder, attribute 'a', outputs '': .#a"]);
    check("^out", expect!["folder, attribute '', outputs '^out': .^out"]);
    check("./x#a.b", expect!["folder, attribute 'a.b', outputs '': ./x#a.b"]);
    check("./x#", expect!["folder, attribute '', outputs '': ./x"]);
    check("./x#.a", expect!["folder, attribute '.a', outputs '': ./x#.a"]);
    check("./x#.", expect!["folder, attribute '.', outputs '': ./x#."]);
    check("./x#..", expect![[r#"folder, attribute '."".', outputs '': ./x#.""."#]]);
    check(r#"./x#"""#, expect![[r#"folder, attribute '""', outputs '': ./x#"""#]]);
    check(
        r#"./x#a."b.c".d^out,dev"#,
        expect![[r#"folder, attribute 'a."b.c".d', outputs '^dev,out': ./x#a."b.c".d^dev,out"#]],
    );
    check("./x#a..b.", expect!["folder, attribute 'a..b', outputs '': ./x#a..b"]);
    check("./x#a b", expect!["folder, attribute 'a b', outputs '': ./x#a%20b"]);
    check("./x#a%20b", expect!["folder, attribute 'a b', outputs '': ./x#a%20b"]);
    check("./x#a#b", expect!["folder, attribute 'a#b', outputs '': ./x#a%23b"]);
    check("./x#é|%2561", expect!["folder, attribute 'é|%61', outputs '': ./x#%C3%A9%7C%2561"]);
    check("./x#a%5Eout", expect!["folder, attribute 'a^out', outputs '': ./x#a%5Eout"]);
    check("./x^out", expect!["folder, attribute '', outputs '^out': ./x^out"]);
    check("./x^y^out", expect!["folder, attribute '', outputs '^out': ./x^y^out"]);
    check("./x%20y", expect!["folder, attribute '', outputs '': ./x%20y"]);
    check("./x?dir=a b#c", expect!["folder, attribute 'c', outputs '': ./x?dir=a%20b#c"]);
    check("a.b/c#d", expect!["folder, attribute 'd', outputs '': ./a.b/c#d"]);
    check("a//b", expect!["folder, attribute '', outputs '': ./a/b"]);
    check("~/x", expect!["folder, attribute '', outputs '': ~/x"]);
    check("/tmp/x?dir=y", expect!["folder, attribute '', outputs '': /tmp/x?dir=y"]);
    check("github:a b/c", expect!["folder, attribute '', outputs '': ./github:a b/c"]);
}

#[test]
fn references_and_their_attributes() {
    check("nixpkgs", expect!["indirect, attribute '', outputs '': nixpkgs"]);
    check("nixpkgs^out", expect!["indirect, attribute '', outputs '^out': nixpkgs^out"]);
    check(
        "nixpkgs#hello^dev,man",
        expect!["indirect, attribute 'hello', outputs '^dev,man': nixpkgs#hello^dev,man"],
    );
    check("nixpkgs#hello^*", expect!["indirect, attribute 'hello', outputs '^*': nixpkgs#hello^*"]);
    check(
        "nixpkgs/24.05#hello",
        expect!["indirect, attribute 'hello', outputs '': nixpkgs/24.05#hello"],
    );
    check(
        "github:o/r/ref?dir=x#attr",
        expect!["github, attribute 'attr', outputs '': github:o/r/ref?dir=x#attr"],
    );
    check("path:./x#a", expect!["path, attribute 'a', outputs '': path:./x#a"]);
    check("path:x#a#b", expect!["path, attribute 'a#b', outputs '': path:x#a%23b"]);
    check("x#a#b", expect!["folder, attribute 'a#b', outputs '': ./x#a%23b"]);
    check("path:x", expect!["path, attribute '', outputs '': path:x"]);
    check(
        "git+https://example.org/x?allRefs=1&shallow=0#a",
        expect!["git, attribute 'a', outputs '': git+https://example.org/x?allRefs=1&shallow=0#a"],
    );
    check(
        "https://example.org/x.tar.gz?rev=0123456789012345678901234567890123456789",
        expect![
            "tarball, attribute '', outputs '': https://example.org/x.tar.gz?rev=0123456789012345678901234567890123456789"
        ],
    );
}

#[test]
fn store_paths() {
    check("DRV", expect!["store path foo, outputs '': DRV"]);
    check("DRV/bin/x", expect!["store path foo, outputs '': DRV"]);
    check("DRV/x#a", expect!["store path foo, outputs '': DRV"]);
    check("DRV^out", expect!["store path foo, outputs '^out': DRV^out"]);
    check("DRV.drv^*", expect!["store path foo.drv, outputs '^*': DRV.drv^*"]);
    check("DRV.drv^out,bin", expect!["store path foo.drv, outputs '^bin,out': DRV.drv^bin,out"]);
    check("/x/..DRV/^out", expect!["store path foo, outputs '^out': DRV^out"]);
    check("DRV?x=1", expect!["store path foo?x=1, outputs '': DRV?x=1"]);
    check("DRV/bin^out", expect!["folder, attribute '', outputs '^out': DRV/bin#^out"]);
    check("DRV.drv^out^bin", expect!["folder, attribute '', outputs '^bin': DRV.drv^out^bin"]);
    check("DRV.drv!out", expect!["folder, attribute '', outputs '': DRV.drv!out"]);
    check("DRV#", expect!["folder, attribute '', outputs '': DRV#"]);
    check("DRV?dir=x#^out", expect!["folder, attribute '', outputs '^out': DRV?dir=x#^out"]);
    check("DRV?x=1#a", expect!["folder, attribute 'a', outputs '': DRV?x=1#a"]);
    check("/nix/store/foo", expect!["folder, attribute '', outputs '': /nix/store/foo"]);
    check("/nix/store/", expect!["folder, attribute '', outputs '': /nix/store/"]);
    check(
        "vxjiwkjkn7x4079qvh1jkl5pn05j2aw0-foo",
        expect!["indirect, attribute '', outputs '': vxjiwkjkn7x4079qvh1jkl5pn05j2aw0-foo"],
    );
}

/// Nix 2.34.8 refuses all of these, too.
#[test]
fn what_means_nothing_is_refused() {
    check("./x#a^", expect!["invalid extended outputs specifier './x#a^': name must not be empty"]);
    check(
        "nixpkgs^out#a",
        expect![
            "invalid extended outputs specifier 'nixpkgs^out#a': name 'out#a' contains illegal character '#'"
        ],
    );
    check(
        "./x^out#a",
        expect![
            "invalid extended outputs specifier './x^out#a': name 'out#a' contains illegal character '#'"
        ],
    );
    check(
        "./x#a%",
        expect!["'./x#a%' is not a valid URL: two hexadecimal digits must follow a percent sign"],
    );
    check(
        "./x?x=é#a",
        expect![[r#"'./x?x=é#a' is not a valid URL: the character '\u{c3}' must be escaped"#]],
    );
    check(r#"nixpkgs#"a"#, expect![[r#"attribute path '"a': unclosed quote at byte 0"#]]);
    check("nixpkgs/a/b#x", expect!["in flake URL 'flake:nixpkgs/a/b', 'b' is not a commit hash"]);
    check("github:o#x", expect!["URL 'github:o' is invalid"]);
}

#[test]
fn attributes_are_looked_for_in_order() {
    let candidates = |fragment: &str| {
        let attr = FlakeAttr::parse(fragment).unwrap();
        let paths = attr.candidates("x86_64-linux");
        paths.iter().map(AttributePath::to_string).collect::<Vec<_>>().join(" ")
    };
    expect!["packages.x86_64-linux.default defaultPackage.x86_64-linux"].assert_eq(&candidates(""));
    expect!["packages.x86_64-linux.a.b legacyPackages.x86_64-linux.a.b a.b"]
        .assert_eq(&candidates("a.b"));
    expect!["a.b"].assert_eq(&candidates(".a.b"));
    let quote = AttributePath::new(["a\"b"]);
    assert_eq!((FlakeAttr::exact(quote.clone()), FlakeAttr::searched(quote)), (None, None));
    let odd = AttributePath::new(["", "a.b", ""]);
    for attr in [FlakeAttr::exact(odd.clone()), FlakeAttr::searched(odd)] {
        assert_eq!(
            attr.as_ref().map(|attr| attr.to_string().parse()),
            attr.as_ref().map(|a| Ok(a.clone()))
        );
    }
}

#[test]
fn folders_become_references_where_the_flake_is_found() {
    let check = |typed: &str, below: Option<&str>, want: Expect| {
        let (place, _) = FlakePlace::parse(typed).unwrap();
        let FlakePlace::Folder(folder) = place else { panic!("{typed} is no folder") };
        let found = match below {
            None => folder.as_path("/a b/c"),
            Some(below) => folder.as_repository("/a b", below, typed.contains("/shallow")),
        };
        want.assert_eq(&found.map_or_else(|error| error.to_string(), |found| found.to_string()));
    };
    check(".", None, expect!["path:/a%20b/c"]);
    check(".?dir=x&lastModified=3", None, expect!["path:/a%20b/c?dir=x&lastModified=3"]);
    check(
        ".?ref=x",
        None,
        expect!["path URL 'path:///a%20b/c?ref=x' has unsupported parameter 'ref'"],
    );
    check(".", Some(""), expect!["git+file:///a%20b"]);
    check(".", Some("c"), expect!["git+file:///a%20b?dir=c"]);
    check("./shallow", Some("c"), expect!["git+file:///a%20b?dir=c&shallow=1"]);
    check(
        ".?dir=x&ref=y&submodules=1&z=1",
        Some(""),
        expect!["git+file:///a%20b?dir=x&ref=y&submodules=1&z=1"],
    );
    check(".?dir=x", Some("c"), expect!["flake URL '.?dir=x' has an inconsistent 'dir' parameter"]);
    check(".?rev=zz", Some(""), expect!["hash 'zz' has wrong length for hash algorithm 'sha1'"]);
}

#[test]
fn stores_may_lie_elsewhere() {
    let store = StoreDir::new("/gnu/store");
    let elsewhere = DRV.replace("/nix", "/gnu");
    let found = Installable::parse(&elsewhere, &store).unwrap();
    assert!(matches!(found, Installable::Store { .. }));
    assert_eq!(found.show(&store), elsewhere);
    assert!(matches!(Installable::parse(DRV, &store), Ok(Installable::Flake { .. })));
}

#[test]
fn whatever_is_typed_is_printed_and_read_again() {
    const PIECES: [&str; 40] = [
        "",
        ".",
        "..",
        "/",
        "./",
        "#",
        "^",
        "^out",
        "^*",
        ",",
        "?",
        "dir=",
        "x",
        "&",
        "=",
        "\"",
        "a.b",
        "nixpkgs",
        "github:",
        "o/r",
        "path:",
        "git+https://",
        "e.org",
        ":",
        "%20",
        "%5E",
        "%22",
        "é",
        " ",
        "~/",
        "+",
        "tarball+",
        "rev=",
        "0123456789012345678901234567890123456789",
        "shallow=1",
        "flake:",
        DRV,
        ".drv",
        "narHash=",
        "ref=",
    ];
    let mut random = fastrand::Rng::with_seed(11);
    let mut n_read = 0;
    for _ in 0..10_000 {
        let n_pieces = random.usize(..8);
        let typed: String = (0..n_pieces).map(|_| PIECES[random.usize(..PIECES.len())]).collect();
        let Ok(installable) = typed.parse::<Installable>() else { continue };
        n_read += 1;
        let text = installable.to_string();
        assert_eq!(text.parse().as_ref(), Ok(&installable), "{typed} is printed as {text}");
        let json = serde_json::to_string(&installable).unwrap();
        assert_eq!(serde_json::from_str::<Installable>(&json).unwrap(), installable);
    }
    assert!(n_read > 2_500, "too few texts mean something");
}
