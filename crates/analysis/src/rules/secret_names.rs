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
    !is_about && (words.iter().any(|word| is_word_of_secret(word)) || words.windows(2).any(is_pair))
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
        }
    }
}
