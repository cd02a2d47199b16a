use super::*;

/// An NKey seed and a JWT that open nothing.
const SEED: &str = "SUAM2D5HCOXXKFDU7S2LXB2ZJK3GAVYNNPJ6QWKTIHAXFUQ6PZLCM4RTWE";
const JWT: &str = "eyJ0eXAiOiJKV1QifQ.eyJqdGkiOiJYWFgifQ.c2lnbmF0dXJl-_x";

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(mask(text), expected);
    assert_eq!(mask(expected), expected, "masked twice");
}

#[track_caller]
fn check_no(text: &str) {
    assert!(matches!(mask(text), Cow::Borrowed(same) if same == text), "{}", mask(text));
}

#[test]
fn addresses() {
    check("fetching https://user:hunter2@host/x", "fetching https://***@host/x");
    check("nats://s3cr3t@host:4222, nats://b", "nats://***@host:4222, nats://b");
    check("git+https://ghp_x@github.com/a/b.git", "git+https://***@github.com/a/b.git");
    check("https://u:p@ss@host", "https://***@host");
    check("https://u:pa/ss@host", "https://***@host");
    check("(\"https://u:p@h\")", "(\"https://***@h\")");
    check("ssh://git:pw@host/x", "ssh://***@host/x");
    check("https://h/x?token=abc&b=1#f", "https://h/x?token=***&b=1#f");
    check("https://h/x?b=1&X-Amz-Signature=00ff", "https://h/x?b=1&X-Amz-Signature=***");
    check_no("ssh://git@host/x");
    check_no("https://host:8443/scope/@name@1.2.3");
    check_no("https://[::1]:80/a@b");
    check_no("https://");
}

#[test]
fn named_values() {
    check("password=hunter2 next", "password=*** next");
    check("Password: hunter2, next", "Password: ***, next");
    check("{\"token\":\"a b\",\"x\":1}", "{\"token\":\"***\",\"x\":1}");
    check("{\"token\": \"a\\\"b\", \"x\": 1}", "{\"token\": \"***\", \"x\": 1}");
    check(
        "text: {\\\"token\\\":\\\"abc\\\",\\\"x\\\":1}",
        "text: {\\\"token\\\":\\\"***\\\",\\\"x\\\":1}",
    );
    check(
        "Login { user: \"a\", password: Some(\"b\") }",
        "Login { user: \"a\", password: Some(\"***\") }",
    );
    check("api_key => 'abc' }", "api_key => '***' }");
    check("run --token abc --x", "run --token *** --x");
    check("run --password=abc --x", "run --password=*** --x");
    check("machine h login me password pw", "machine h login me password ***");
    check("token=\"never closed", "token=\"***");
    check("CACHIX_AUTH_TOKEN=xyz nix build", "CACHIX_AUTH_TOKEN=*** nix build");
}

#[test]
fn headers() {
    check("Authorization: Bearer abc.def", "Authorization: ***");
    check("authorization: Basic dXNlcjpwdw==\nHost: h", "authorization: ***\nHost: h");
    check("(\"authorization\", \"Bearer abcdef12\")", "(\"authorization\", \"Bearer ***\")");
    check("sent Bearer c2VjcmV0LXRva2Vu", "sent Bearer ***");
    check("Cookie: a=b; c=d", "Cookie: ***");
}

#[test]
fn nix_settings() {
    check("access-tokens = github.com=abc gitlab.com=PAT:def", "access-tokens = ***");
    check("extra-access-tokens = a=b\nx = 1", "extra-access-tokens = ***\nx = 1");
}

#[test]
fn shapes() {
    check(&format!("seed {SEED}!"), "seed ***!");
    check(&format!("with {JWT}, and"), "with ***, and");
    check("ghp_0123456789abcdefghij0123456789abcdef", "***");
    check("uses AKIAIOSFODNN7EXAMPLE.", "uses ***");
    check("cimnix_0123456789abcdef0123", "***");
}

#[test]
fn blocks() {
    check("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\nx", "***\nx");
    check("-----BEGIN NATS USER JWT-----\neyJ\n------END NATS USER JWT------\nx", "***\nx");
    check("a -----BEGIN USER NKEY SEED-----\nSU", "a ***");
    check_no("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----");
    check_no("-----BEGIN ");
}

#[test]
fn plain_words_stay() {
    for text in [
        "",
        "the token is expired",
        "no password given",
        "password is wrong: try again",
        "basic checks passed",
        "bearer of news",
        "token_file=/run/secrets/token",
        "key=value name=x",
        "sha256-0123456789abcdefghijklmnopqrstuvwxyzABCDEFG=",
        "/nix/store/SUAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA-name",
        "Ω unrelated: ünïcode 日本語",
    ] {
        check_no(text);
    }
}

#[test]
fn fields() {
    assert_eq!(mask_field("password", "hunter2"), MASK);
    assert_eq!(mask_field("nats.creds", "anything at all"), MASK);
    assert_eq!(mask_field("url", "https://u:p@h"), "https://***@h");
    assert_eq!(mask_field("token_file", "/run/t"), "/run/t");
    assert_eq!(mask_field("token", ""), "");
}

/// Pieces that texts are put together from: what is around secrets, and what looks like them.
const PIECES: [&str; 36] = [
    " ",
    "\n",
    "\"",
    "'",
    "\\",
    "=",
    ":",
    "://",
    "@",
    "/",
    "?",
    "&",
    ",",
    "{",
    "}",
    "(",
    ")",
    "[",
    "password",
    "token",
    "Authorization",
    "Bearer",
    "--token",
    "https",
    "ssh",
    "host",
    "user",
    "access-tokens",
    "-----BEGIN PRIVATE KEY-----",
    "-----END PRIVATE KEY-----",
    "é",
    "日",
    "-",
    ".",
    "login",
    "Some(",
];

fn random_text(random: &mut fastrand::Rng, n_pieces: usize) -> String {
    (0..n_pieces).map(|_| PIECES[random.usize(..PIECES.len())]).collect()
}

#[test]
fn any_text_is_masked_once_for_all() {
    let mut random = fastrand::Rng::with_seed(6);
    for _ in 0..20_000 {
        let n_pieces = random.usize(0..24);
        let text = random_text(&mut random, n_pieces);
        let ranges = secrets(&text);
        assert!(ranges.is_sorted_by(|one, next| one.end <= next.start), "{text:?} {ranges:?}");
        let masked = mask(&text).into_owned();
        // What is left of a block may make an address of what stood around it.
        if !text.contains("-----") {
            assert_eq!(mask(&masked), masked, "{text:?}");
        }
    }
}

#[test]
fn a_secret_does_not_survive_in_any_dress() {
    let dresses: [fn(&str) -> String; 14] = [
        |s| format!("password={s}"),
        |s| format!("token: {s}"),
        |s| format!("{{\"api_key\":\"{s}\"}}"),
        |s| format!("Creds {{ secret: \"{s}\" }}"),
        |s| format!("Authorization: Bearer {s}"),
        |s| format!("Proxy-Authorization: Basic {s}"),
        |s| format!("https://{s}@host/path"),
        |s| format!("nats://user:{s}@host:4222"),
        |s| format!("https://host/a?access_token={s}&x=1"),
        |s| format!("--password {s}"),
        |s| format!("access-tokens = github.com={s}"),
        |s| format!("machine h login l password {s}"),
        |s| format!("-----BEGIN PRIVATE KEY-----\n{s}\n-----END PRIVATE KEY-----"),
        |s| format!("Cookie: session={s}; path=/"),
    ];
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..20_000 {
        let secret: String = (0..random.usize(8..40)).map(|_| random.alphanumeric()).collect();
        let dressed = dresses[round % dresses.len()](&secret);
        let around = ["", " ", "\n", "failed: ", "é ", "(", "\"quoted\" ", "a, "];
        let (before, after) = (around[random.usize(..8)], around[random.usize(..8)]);
        // What follows at once may belong to the secret; something always ends it.
        let text = format!("{before}{dressed} {after}");
        let masked = mask(&text);
        assert!(!masked.contains(&secret), "{text:?} became {masked:?}");
    }
}

#[test]
fn long_texts_are_cut_without_showing_more() {
    let long = format!("{}password={}", "é".repeat(4090), "s3cr3t".repeat(10_000));
    let cut = bounded("message", &long);
    assert!(cut.ends_with("… (68189 bytes)") && !cut.contains("s3cr3t"), "{cut}");
    assert_eq!(bounded("message", "short"), "short");
}

#[test]
fn long_texts_take_linear_time() {
    for piece in [
        "token=",
        "://",
        "://h:1/",
        "https://u:p",
        "-----BEGIN PRIVATE KEY",
        "-----BEGIN X-----",
        "login a password ",
        "password",
        "\\\"",
        "Bearer ",
        "eyJ.",
        "token:\"\\",
        "--token ",
    ] {
        let text = piece.repeat(100_000 / piece.len());
        let start = std::time::Instant::now();
        drop(mask(&text));
        assert!(start.elapsed().as_secs() < 10, "{piece:?} took {:?}", start.elapsed());
    }
}
