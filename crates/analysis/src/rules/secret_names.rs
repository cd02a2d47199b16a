//! Which names promise a secret, and which name where one is kept.

/// Words of which one makes a name that of a secret.
const SECRET: &[&str] =
    &["passphrase", "passwd", "password", "passwords", "secret", "secrets", "token", "tokens"];

/// Two words that do so together.
const SECRET_PAIRS: &[[&str; 2]] =
    &[["api", "key"], ["auth", "key"], ["private", "key"], ["secret", "key"]];

/// Single words that stand for such a pair.
const SECRET_JOINED: &[&str] = &["apikey", "authkey", "privatekey", "secretkey"];

/// Last words that make of a secret something about it.
const ABOUT: &[&str] = &[
    "age",
    "algorithm",
    "auth",
    "backend",
    "bytes",
    "cmd",
    "command",
    "count",
    "dir",
    "directory",
    "endpoint",
    "env",
    "enabled",
    "expiration",
    "expiry",
    "field",
    "file",
    "files",
    "folder",
    "format",
    "hash",
    "header",
    "host",
    "id",
    "ids",
    "key",
    "length",
    "lifetime",
    "limit",
    "method",
    "min",
    "max",
    "mode",
    "name",
    "names",
    "param",
    "path",
    "paths",
    "placeholder",
    "policy",
    "port",
    "prefix",
    "prompt",
    "provider",
    "ref",
    "reset",
    "rotation",
    "salt",
    "scope",
    "sender",
    "sha1",
    "sha2",
    "sha256",
    "sha512",
    "size",
    "source",
    "store",
    "timeout",
    "ttl",
    "type",
    "uri",
    "url",
    "user",
    "username",
];

/// The words of a name in camel case, with dashes or with underscores, in lower case.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut was_lower = false;
    let mut is_new = true;
    for c in name.chars() {
        if !c.is_alphanumeric() {
            is_new = true;
            continue;
        }
        if is_new || (was_lower && c.is_uppercase()) {
            words.push(String::new());
        }
        is_new = false;
        was_lower = c.is_lowercase() || c.is_ascii_digit();
        if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
    }
    words
}

/// Whether what has this name is a secret itself.
pub(super) fn is_secret(name: &str) -> bool {
    let words = words(name);
    let is_pair = |pair: &[String]| SECRET_PAIRS.iter().any(|want| want == pair);
    // What is hashed, and what a cluster of etcd is called.
    let is_none = |word: &String| matches!(&**word, "encrypted" | "hashed");
    if words.iter().any(is_none)
        || words.ends_with(&["initial", "cluster", "token"].map(str::to_owned))
    {
        return false;
    }
    // `secretKey` is one, though `tokenKey` is about one.
    let is_aws = words.ends_with(&["secret", "access", "key"].map(str::to_owned));
    if is_aws || words.len() >= 2 && is_pair(&words[words.len() - 2..]) {
        return true;
    }
    let Some(last) = words.last() else { return false };
    let is_about = ABOUT.contains(&last.as_str()) || words.iter().any(|word| word == "public");
    !is_about && words.iter().any(|word| is_word_of_secret(word))
        || !is_about && words.windows(2).any(is_pair)
}

/// Whether a text, in lower case, says that it only stands where a secret would.
pub(super) fn is_stand_in(text: &str) -> bool {
    let words =
        ["changeme", "dummy", "example", "fake", "not-needed", "placeholder", "unused", "xxx"];
    text.starts_with(['@', '<', '{']) || words.iter().any(|word| text.contains(word))
}

/// Whether a word alone promises a secret.
pub(super) fn is_word_of_secret(word: &str) -> bool {
    SECRET.contains(&word) || SECRET_JOINED.contains(&word)
}

/// Whether an option of this name says in which file a secret is kept.
pub(super) fn is_secret_file(name: &str) -> bool {
    let words = words(name);
    let Some((last, before)) = words.split_last() else { return false };
    if last != "file" || before.iter().any(|word| NOT_SECRET.contains(&word.as_str())) {
        return false;
    }
    let is_secret = |word: &String| {
        is_word_of_secret(word) || matches!(word.as_str(), "credential" | "credentials")
    };
    // `keyFile` and `sshKeyFile`, but no `keyboardFile`.
    before.last().is_some_and(|word| word == "key" || is_secret(word))
}

/// Words that make of a secret something for everybody.
const NOT_SECRET: &[&str] =
    &["authorized", "encrypted", "host", "known", "pub", "public", "trusted", "wordlist"];

//! Names of secrets, and texts that look like one.
/// Whether a name says that its value is a secret: `dbPassword`, `API_TOKEN`, `client-secret`.
pub(crate) fn names_secret(name: &str) -> bool {
    const ENDS: &[&str] = &[
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "apikey",
        "secretkey",
        "privatekey",
        "accesskey",
        "authkey",
        "encryptionkey",
        "presharedkey",
    ];
    // Hashes and public halves are no secrets, names of secrets are not what they name.
    const NOT: &[&str] =
        &["hashed", "public", "encrypted", "initial", "csrf", "nopassword", "tokenizer"];
    let lower: String = name
        .chars()
        .filter(|c| !matches!(c, '_' | '-' | '.'))
        .map(|c| c.to_ascii_lowercase())
        .collect();
    ENDS.iter().any(|end| lower.ends_with(end)) && !NOT.iter().any(|word| lower.contains(word))
/// Whether a text looks like a secret rather than like a word, a name, a path or a stand-in.
pub(crate) fn looks_secret(text: &str) -> bool {
    let n_chars = text.len();
    (8..=512).contains(&n_chars)
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && !is_reference(text)
        && !is_stand_in(text)
        && is_random(text)
/// Paths, addresses, commands, variables and templates: they say where the secret is.
fn is_reference(text: &str) -> bool {
    // Keys of Google's programming interfaces are made to be public.
    let starts = [
        "AIza", "/", "./", "../", "~", "$", "%", "!", "@", "<", "{", "file:", "env:", "op://",
        "vault:", "ENC[",
    ];
    let parts = ["://", "${", "{{", "}}", "$(", "<", ">", "/run/", "/etc/", "%d/"];
    let is_variable =
        text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit())
            && text.contains('_');
    is_variable
        || starts.iter().any(|start| text.starts_with(start))
        || parts.iter().any(|part| text.contains(part))
/// Words that stand where a secret would.
fn is_stand_in(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "change",
        "example",
        "placeholder",
        "dummy",
        "xxxx",
        "todo",
        "fixme",
        "your",
        "replace",
        "insert",
        "redacted",
        "secret",
        "password",
        "passwd",
        "token",
        "notreal",
        "foobar",
        "testing",
        "none",
        "disabled",
        "ignored",
        "unused",
        "removed",
        "hidden",
        "1234567",
        "00000000",
    ];
    let lower = text.to_ascii_lowercase();
    let mut seen = [false; 256];
    text.bytes().for_each(|byte| seen[usize::from(byte)] = true);
    let n_different = seen.iter().filter(|seen| **seen).count();
    n_different < 5 || WORDS.iter().any(|word| lower.contains(word))
/// Whether chance seems to have picked the characters: letters and digits mixed within words, or
/// a long row of hexadecimal digits.
fn is_random(text: &str) -> bool {
    let words = text.split(['-', '_', '.', ':', '/', '=', '+']).filter(|word| !word.is_empty());
    let mut n_random = 0;
    let mut n_plain = 0;
    for word in words {
        // Capitalised words are words all the same.
        let is_change = |pair: &[u8]| match (class(pair[0]), class(pair[1])) {
            (2, 1) => false,
            (before, after) => before != after,
        };
        let n_changes = word.as_bytes().windows(2).filter(|pair| is_change(pair)).count();
        // `HelloThere` has one change, `v2beta1` three, `kT4x9` four.
        let is_random = n_changes >= 3 && n_changes * 4 >= word.len();
        if is_random {
            n_random += word.len();
        } else {
            n_plain += word.len();
    n_random > n_plain
fn class(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => 0,
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        _ => 3,
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_by_their_words() {
        for name in [
            "password",
            "adminPassword",
            "DB_PASSWORD",
            "api-key",
            "apiKey",
            "secretKey",
            "GITHUB_TOKEN",
            "privateKey",
            "AWS_SECRET_ACCESS_KEY",
            "clientSecret",
            "initialPassword",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "passwordFile",
            "tokenizer",
            "secretName",
            "TOKEN_TTL",
            "public-key",
            "monkey",
            "passwordHash",
            "keyMap",
            "secretsPath",
            "HASHED_PASSWORD",
            "rootPasswordSha2",
            "initialClusterToken",
            "",
        ] {
            assert!(!is_secret(name), "{name}");
    fn names() {
            "dbPassword",
            "API_TOKEN",
            "client-secret",
            assert!(names_secret(name), "{name}");
            "hashedPassword",
            "publicKey",
            "tokenType",
            "keys",
            "passwordCommand",
            assert!(!names_secret(name), "{name}");
        }
    }

    #[test]
    fn files_of_secrets() {
        for name in
            ["passwordFile", "keyFile", "sshKeyFile", "credentialsFile", "hashedPasswordFile"]
        {
            assert!(is_secret_file(name), "{name}");
        }
        for name in ["publicKeyFile", "keymapFile", "file", "configFile", "keyFiles", "lockFile"] {
            assert!(!is_secret_file(name), "{name}");
    fn texts() {
        for text in ["kT4x9-Qw8zP2", "9f86d081884c7d65", "hT7!kQ2$vB9x", "Zm9vYmFyMTIzNDU2Nzg5"] {
            assert!(looks_secret(text), "{text}");
        for text in [
            "",
            "short1",
            "/run/secrets/token",
            "changeme123",
            "<password>",
            "$DB_PASSWORD",
            "MY_TOKEN_1",
            "github-token",
            "postgres",
            "a text with blanks 1 2 3",
            "{{ password }}",
            "xxxxxxxxxxxx",
            "kubernetes-admin-credentials",
            "%d/token",
            "@token@",
            "SuperUser",
            "op://vault/item/field",
            "your-api-key-here1",
            "https://a.org/x1y2z3",
        ] {
            assert!(!looks_secret(text), "{text}");
        }
    }
}
