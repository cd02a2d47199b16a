//! What Nix 2.34.8 made of these.

use expect_test::{Expect, expect};

use super::*;

/// Reference, its attributes as `builtins.parseFlakeRef` prints them, and its URL.
const KNOWN: &[(&str, &str, &str)] = &[
    ("nixpkgs", r#"{ id = "nixpkgs"; type = "indirect"; }"#, "flake:nixpkgs"),
    (
        "nixpkgs/24.05",
        r#"{ id = "nixpkgs"; ref = "24.05"; type = "indirect"; }"#,
        "flake:nixpkgs/24.05",
    ),
    (
        "nixpkgs/24.05/0123456789012345678901234567890123456789",
        r#"{ id = "nixpkgs"; ref = "24.05"; rev = "0123456789012345678901234567890123456789"; type = "indirect"; }"#,
        "flake:nixpkgs/24.05/0123456789012345678901234567890123456789",
    ),
    (
        "nixpkgs/0123456789012345678901234567890123456789",
        r#"{ id = "nixpkgs"; rev = "0123456789012345678901234567890123456789"; type = "indirect"; }"#,
        "flake:nixpkgs/0123456789012345678901234567890123456789",
    ),
    ("flake:nixpkgs", r#"{ id = "nixpkgs"; type = "indirect"; }"#, "flake:nixpkgs"),
    ("flake:nixpkgs/x", r#"{ id = "nixpkgs"; ref = "x"; type = "indirect"; }"#, "flake:nixpkgs/x"),
    (
        "github:NixOS/nixpkgs",
        r#"{ owner = "NixOS"; repo = "nixpkgs"; type = "github"; }"#,
        "github:NixOS/nixpkgs",
    ),
    (
        "github:NixOS/nixpkgs/24.05?dir=lib",
        r#"{ dir = "lib"; owner = "NixOS"; ref = "24.05"; repo = "nixpkgs"; type = "github"; }"#,
        "github:NixOS/nixpkgs/24.05?dir=lib",
    ),
    (
        "github:NixOS/nixpkgs/release/24.05",
        r#"{ owner = "NixOS"; ref = "release/24.05"; repo = "nixpkgs"; type = "github"; }"#,
        "github:NixOS/nixpkgs/release%2F24.05",
    ),
    (
        "github:NixOS/nixpkgs/0123456789012345678901234567890123456789",
        r#"{ owner = "NixOS"; repo = "nixpkgs"; rev = "0123456789012345678901234567890123456789"; type = "github"; }"#,
        "github:NixOS/nixpkgs/0123456789012345678901234567890123456789",
    ),
    (
        "github:NixOS/nixpkgs?host=example.org",
        r#"{ host = "example.org"; owner = "NixOS"; repo = "nixpkgs"; type = "github"; }"#,
        "github:NixOS/nixpkgs?host=example.org",
    ),
    (
        "github:NixOS/nixpkgs?foo=1",
        r#"{ owner = "NixOS"; repo = "nixpkgs"; type = "github"; }"#,
        "github:NixOS/nixpkgs",
    ),
    ("gitlab:a/b/c", r#"{ owner = "a"; ref = "c"; repo = "b"; type = "gitlab"; }"#, "gitlab:a/b/c"),
    (
        "gitlab:group%2Fsub/b",
        r#"{ owner = "group/sub"; repo = "b"; type = "gitlab"; }"#,
        "gitlab:group%2Fsub/b",
    ),
    (
        "sourcehut:~misterio/nix-colors/abc",
        r#"{ owner = "~misterio"; ref = "abc"; repo = "nix-colors"; type = "sourcehut"; }"#,
        "sourcehut:~misterio/nix-colors/abc",
    ),
    (
        "git+https://example.org/x.git",
        r#"{ type = "git"; url = "https://example.org/x.git"; }"#,
        "git+https://example.org/x.git",
    ),
    (
        "git+https://example.org/x.git?ref=main&rev=0123456789012345678901234567890123456789&submodules=1&dir=a&x=y",
        r#"{ dir = "a"; ref = "main"; rev = "0123456789012345678901234567890123456789"; submodules = true; type = "git"; url = "https://example.org/x.git?x=y"; }"#,
        "git+https://example.org/x.git?dir=a&ref=main&rev=0123456789012345678901234567890123456789&submodules=1&x=y",
    ),
    (
        "git+ssh://git@example.org/x.git",
        r#"{ type = "git"; url = "ssh://git@example.org/x.git"; }"#,
        "git+ssh://git@example.org/x.git",
    ),
    (
        "git+ssh://git@example.org:2222/x.git?shallow=1",
        r#"{ shallow = true; type = "git"; url = "ssh://git@example.org:2222/x.git"; }"#,
        "git+ssh://git@example.org:2222/x.git?shallow=1",
    ),
    (
        "git://example.org/x",
        r#"{ type = "git"; url = "git://example.org/x"; }"#,
        "git://example.org/x",
    ),
    ("git+file:///tmp/x", r#"{ type = "git"; url = "file:///tmp/x"; }"#, "git+file:///tmp/x"),
    ("git+file:/tmp/x", r#"{ type = "git"; url = "file:/tmp/x"; }"#, "git+file:/tmp/x"),
    (
        "https://example.org/x.tar.gz",
        r#"{ type = "tarball"; url = "https://example.org/x.tar.gz"; }"#,
        "https://example.org/x.tar.gz",
    ),
    (
        "https://example.org/x.tar.gz?narHash=sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        r#"{ narHash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="; type = "tarball"; url = "https://example.org/x.tar.gz"; }"#,
        "https://example.org/x.tar.gz?narHash=sha256-47DEQpj8HBSa%2B/TImW%2B5JCeuQeRkm5NMpJWZG3hSuFU%3D",
    ),
    (
        "https://example.org/x",
        r#"{ type = "tarball"; url = "https://example.org/x"; }"#,
        "https://example.org/x",
    ),
    (
        "https://example.org/x?a=b&dir=c&rev=0123456789012345678901234567890123456789&lastModified=5",
        r#"{ dir = "c"; lastModified = 5; rev = "0123456789012345678901234567890123456789"; type = "tarball"; url = "https://example.org/x?a=b"; }"#,
        "https://example.org/x?a=b&dir=c",
    ),
    (
        "tarball+https://example.org/x",
        r#"{ type = "tarball"; url = "https://example.org/x"; }"#,
        "https://example.org/x",
    ),
    (
        "file+https://example.org/x.txt",
        r#"{ type = "file"; url = "https://example.org/x.txt"; }"#,
        "https://example.org/x.txt",
    ),
    (
        "file:///tmp/x.tar.gz",
        r#"{ type = "tarball"; url = "file:///tmp/x.tar.gz"; }"#,
        "file:///tmp/x.tar.gz",
    ),
    ("file:/tmp/x", r#"{ type = "tarball"; url = "file:/tmp/x"; }"#, "file:/tmp/x"),
    ("path:/tmp/x", r#"{ path = "/tmp/x"; type = "path"; }"#, "path:/tmp/x"),
    ("path:./x", r#"{ path = "./x"; type = "path"; }"#, "path:./x"),
    ("path:x", r#"{ path = "x"; type = "path"; }"#, "path:x"),
    (
        "path:/tmp/x?rev=0123456789012345678901234567890123456789&lastModified=3&revCount=2",
        r#"{ lastModified = 3; path = "/tmp/x"; rev = "0123456789012345678901234567890123456789"; revCount = 2; type = "path"; }"#,
        "path:/tmp/x?lastModified=3&rev=0123456789012345678901234567890123456789&revCount=2",
    ),
    ("path:/tmp/x%20y", r#"{ path = "/tmp/x y"; type = "path"; }"#, "path:/tmp/x%20y"),
    ("/tmp/x", r#"{ path = "/tmp/x"; type = "path"; }"#, "path:/tmp/x"),
    ("/tmp/x y", r#"{ path = "/tmp/x y"; type = "path"; }"#, "path:/tmp/x%20y"),
    ("/tmp/x?dir=y", r#"{ dir = "y"; path = "/tmp/x"; type = "path"; }"#, "path:/tmp/x?dir=y"),
    (
        "hg+https://example.org/x?rev=0123456789012345678901234567890123456789",
        r#"{ rev = "0123456789012345678901234567890123456789"; type = "hg"; url = "https://example.org/x"; }"#,
        "hg+https://example.org/x?rev=0123456789012345678901234567890123456789",
    ),
    (
        "git+https://user:pass@example.org/x",
        r#"{ type = "git"; url = "https://user:pass@example.org/x"; }"#,
        "git+https://user:pass@example.org/x",
    ),
    (
        "https://example.org:80/x",
        r#"{ type = "tarball"; url = "https://example.org:80/x"; }"#,
        "https://example.org:80/x",
    ),
    (
        "https://[::1]:80/x",
        r#"{ type = "tarball"; url = "https://[::1]:80/x"; }"#,
        "https://[::1]:80/x",
    ),
    (
        "https://example.org/a%20b",
        r#"{ type = "tarball"; url = "https://example.org/a%20b"; }"#,
        "https://example.org/a%20b",
    ),
    (
        "https://example.org/x?a=b c",
        r#"{ type = "tarball"; url = "https://example.org/x?a=b%20c"; }"#,
        "https://example.org/x?a=b%20c",
    ),
    (
        "NixOS/nixpkgs",
        r#"{ id = "NixOS"; ref = "nixpkgs"; type = "indirect"; }"#,
        "flake:NixOS/nixpkgs",
    ),
    (
        "github:a/b/c?dir=x/y",
        r#"{ dir = "x/y"; owner = "a"; ref = "c"; repo = "b"; type = "github"; }"#,
        "github:a/b/c?dir=x/y",
    ),
    (
        "git+https://example.org",
        r#"{ type = "git"; url = "https://example.org"; }"#,
        "git+https://example.org",
    ),
    (
        "https://example.org",
        r#"{ type = "tarball"; url = "https://example.org"; }"#,
        "https://example.org",
    ),
    (
        "git+ssh://git@[::1]/x",
        r#"{ type = "git"; url = "ssh://git@[::1]/x"; }"#,
        "git+ssh://git@[::1]/x",
    ),
    ("path:/tmp//x/../y", r#"{ path = "/tmp/x/../y"; type = "path"; }"#, "path:/tmp/x/../y"),
    (
        "git+https://example.org/x?submodules=0&allRefs=1&lfs=1&exportIgnore=1",
        r#"{ allRefs = true; exportIgnore = true; lfs = true; submodules = false; type = "git"; url = "https://example.org/x"; }"#,
        "git+https://example.org/x?exportIgnore=1&lfs=1",
    ),
];

const REFUSED: &[&str] = &[
    "nixpkgs/a/b",
    "github:NixOS/nixpkgs?ref=a&rev=0123456789012345678901234567890123456789",
    "github:NixOS",
    "path:/tmp/x?foo=1",
    "file+git:///x",
    "foo:bar",
    "nixpkgs#hello",
    "github:a/b?ref=x..y",
    "git+https://example.org/x?ref=x..y",
    "github:a/b?rev=zz",
    "ssh://git@example.org/x",
    "path://host/x",
    "github://a/b",
    "gitlab:a/b?host=gitlab.example.org:8080",
];

fn shown(reference: &FlakeRef) -> String {
    let value = |attr: &RefAttr| match attr {
        RefAttr::Text(text) => format!("\"{text}\""),
        RefAttr::Number(number) => number.to_string(),
        RefAttr::Bool(value) => value.to_string(),
    };
    let attrs = reference.attrs();
    let pairs = attrs.iter().map(|(name, attr)| format!("{name} = {}; ", value(attr)));
    format!("{{ {}}}", pairs.collect::<String>())
}

#[test]
fn references_mean_what_nix_says() {
    for (url, attrs, want) in KNOWN {
        let reference = FlakeRef::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!(shown(&reference), *attrs, "{url}");
        assert_eq!(reference.to_url().map(|url| url.to_string()), Ok((*want).to_owned()), "{url}");
        let again = FlakeRef::from_attrs(reference.attrs());
        assert_eq!(again.as_ref(), Ok(&reference), "{url}");
    }
}

#[test]
fn what_nix_refuses_is_refused() {
    for url in REFUSED {
        assert!(FlakeRef::parse(url).is_err(), "{url}");
    }
}

#[test]
fn relative_paths_stay_relative() {
    for url in [".", "./x", "../x", "a.b/c"] {
        let reference = FlakeRef::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!(reference.text("path"), Some(url));
    }
}

#[test]
fn references_are_urls_in_json_or_their_attributes() {
    let read = |json: &str| match serde_json::from_str::<FlakeRef>(json) {
        Ok(reference) => serde_json::to_string(&reference).unwrap(),
        Err(error) => error.to_string(),
    };
    let check = |json: &str, want: Expect| want.assert_eq(&read(json));
    check(r#""nixpkgs""#, expect![[r#""flake:nixpkgs""#]]);
    check(r#""github:o/r/main?dir=x""#, expect![[r#""github:o/r/main?dir=x""#]]);
    check(
        r#"{"type":"github","owner":"o","repo":"r","ref":"main"}"#,
        expect![[r#""github:o/r/main""#]],
    );
    let locked = r#"{"lastModified":1,"owner":"o","repo":"r","rev":"0123456789012345678901234567890123456789","type":"github"}"#;
    assert_eq!(read(locked), locked);
    check(r#"{"uri":"github:o/r"}"#, expect![[r#""github:o/r""#]]);
    check(r#"{"uri":"github:o/r","revision":null,"subflake":null}"#, expect![[r#""github:o/r""#]]);
    check(
        r#"{"uri":"github:o/r","revision":"main","subflake":"lib"}"#,
        expect![[r#""github:o/r/main?dir=lib""#]],
    );
    check(
        r#"{"uri":"github:o/r/x","revision":"0123456789012345678901234567890123456789"}"#,
        expect![[r#""github:o/r/0123456789012345678901234567890123456789""#]],
    );
    check(
        r#"{"uri":"git+https://e.org/r","revision":"main"}"#,
        expect![[r#""git+https://e.org/r?ref=main""#]],
    );
    check(
        r#"{"uri":"path:/x","revision":"main"}"#,
        expect![
            "flake reference 'path:/x' cannot have revision 'main': sources of type 'path' have none"
        ],
    );
    check(r#"{"uri":1}"#, expect![[r#"'uri' of flake reference {"uri":1} is no text: 1"#]]);
    check(
        r#"{"uri":"nixpkgs","revision":[]}"#,
        expect![[
            r#"'revision' of flake reference {"revision":[],"uri":"nixpkgs"} is no text: []"#
        ]],
    );
    check("[]", expect!["'[]' is no set of attributes of a source"]);
    check(r#""foo:bar""#, expect!["input 'foo:bar' is unsupported"]);
}

#[test]
fn other_services_get_the_parts() {
    let wire = |url: &str| FlakeRef::parse(url).unwrap().to_wire().to_string();
    expect![[r#"{"revision":"main","subflake":"lib","uri":"github:o/r"}"#]]
        .assert_eq(&wire("github:o/r/main?dir=lib"));
    expect![[r#"{"revision":null,"subflake":null,"uri":"flake:nixpkgs/24.05"}"#]]
        .assert_eq(&wire("nixpkgs/24.05"));
    expect![[r#"{"revision":null,"subflake":null,"uri":"git+https://e.org/r?ref=main"}"#]]
        .assert_eq(&wire("git+https://e.org/r?ref=main"));
}

fn some_reference(random: &mut fastrand::Rng, is_typed: bool) -> Option<FlakeRef> {
    const URLS: [&str; 24] = [
        "",
        "nixpkgs",
        "/",
        "a",
        "b.c",
        "?",
        "&",
        "ref=",
        "rev=",
        "dir=",
        "narHash=",
        "path:",
        "./",
        "github:o/r",
        "git+https://e.org/",
        "https://e.org/x",
        ".tar.gz",
        "git+ssh://u@h:22/",
        "0123456789012345678901234567890123456789",
        "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "shallow=",
        "1",
        "%20",
        "é",
    ];
    if is_typed {
        let n_pieces = random.usize(1..7);
        let url: String = (0..n_pieces).map(|_| URLS[random.usize(..URLS.len())]).collect();
        return FlakeRef::parse(&url).ok();
    }
    let (kind, allowed) = KINDS[random.usize(..KINDS.len())];
    let mut attrs = RefAttrs::from([("type".to_owned(), text(kind))]);
    for name in ["path", "id", "owner", "repo", "url"].iter().filter(|name| allowed.contains(name))
    {
        let value = match *name {
            "url" => "https://e.org/x?y=z",
            _ => ["a", "b-c", "./d"][random.usize(..3)],
        };
        attrs.insert((*name).to_owned(), text(value));
    }
    for _ in 0..random.usize(..4) {
        let name = allowed[random.usize(..allowed.len())];
        let value = match random.u8(..5) {
            0 => RefAttr::Bool(random.bool()),
            1 => RefAttr::Number(random.u64(..)),
            2 => text(URLS[18]),
            3 => text(URLS[19]),
            _ => text(URLS[random.usize(..URLS.len())]),
        };
        attrs.entry(name.to_owned()).or_insert(value);
    }
    if random.bool() {
        attrs.insert("dir".to_owned(), text(URLS[random.usize(..URLS.len())]));
    }
    FlakeRef::from_attrs(attrs).ok()
}

#[test]
fn whatever_is_written_is_read_again() {
    let mut random = fastrand::Rng::with_seed(19);
    let (mut n_urls, mut n_attrs) = (0, 0);
    for _ in 0..4_000 {
        let is_typed = random.bool();
        let Some(reference) = some_reference(&mut random, is_typed) else { continue };
        let json = serde_json::to_string(&reference).unwrap();
        assert_eq!(serde_json::from_str::<FlakeRef>(&json).unwrap(), reference, "{json}");
        match json.starts_with('"') {
            true => n_urls += 1,
            false => n_attrs += 1,
        }
        assert_eq!(FlakeRef::from_json(&reference.to_json()).as_ref(), Ok(&reference));
        if reference.exact_url().is_some() {
            assert_eq!(FlakeRef::from_wire(&reference.to_wire()).as_ref(), Ok(&reference));
        }
        if is_typed {
            // What Nix prints means the same after it was read again, and there is more to print.
            let url = reference.to_url().unwrap().to_string();
            let again = FlakeRef::parse(&url).unwrap().to_url();
            assert_eq!(again.map(|url| url.to_string()).as_ref(), Ok(&url));
            assert!(reference.exact_url().is_some(), "{url}");
        }
    }
    assert!(n_urls > 500 && n_attrs > 250, "{n_urls} URLs and {n_attrs} sets");
}
