//! Names that tell that a secret follows.

/// What a name says of the value behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Secrecy {
    /// Nothing.
    None,
    /// The value is a secret.
    Value,
    /// So is all that follows on the line.
    Line,
}

/// Whole words that make a name one of a secret: `db_password`, `apiToken`, `X-Auth-Token`.
const WORDS: [&str; 22] = [
    "apikey",
    "auth",
    "authorization",
    "bearer",
    "cookie",
    "credential",
    "credentials",
    "creds",
    "jwt",
    "nkey",
    "pass",
    "passphrase",
    "passwd",
    "password",
    "pwd",
    "secret",
    "secrets",
    "seed",
    "sig",
    "signature",
    "token",
    "tokens",
];

/// Pairs of words that do.
const PAIRS: [[&str; 2]; 5] =
    [["api", "key"], ["access", "key"], ["private", "key"], ["secret", "key"], ["signing", "key"]];

/// Names of which all that follows is secret.
const LINES: [&str; 7] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "access-tokens",
    "extra-access-tokens",
    "x-amz-credential",
];

/// Last words of names that are about a secret and not one: `token_file`, `password-hash-kind`.
const ABOUT: [&str; 21] = [
    "age", "count", "dir", "expires", "expiry", "file", "files", "id", "kind", "len", "length",
    "limit", "name", "path", "refused", "required", "seconds", "size", "state", "ttl", "type",
];

/// Judges a name, in whatever way its words are joined.
pub(super) fn secrecy(name: &str) -> Secrecy {
    // No name is that long, and what is, is no name.
    if name.len() > 128 {
        return Secrecy::None;
    }
    if LINES.iter().any(|line| name.eq_ignore_ascii_case(line)) {
        return Secrecy::Line;
    }
    let words: Vec<String> = words(name);
    if words.last().is_some_and(|last| ABOUT.contains(&last.as_str())) {
        return Secrecy::None;
    }
    let is_secret = words.iter().any(|word| WORDS.contains(&word.as_str()))
        || words.windows(2).any(|two| PAIRS.iter().any(|pair| two == pair));
    if is_secret { Secrecy::Value } else { Secrecy::None }
}

/// `apiToken`, `api_token`, `API-TOKEN` and `api.token` are two words each.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for c in name.chars() {
        if !c.is_ascii_alphanumeric() || (c.is_ascii_uppercase() && after_lower) {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_ascii_alphanumeric(), words.last_mut()) {
            word.push(c.to_ascii_lowercase());
        }
        after_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets() {
        let values = [
            "password",
            "PASSWORD",
            "db_password",
            "dbPassword",
            "DB.Password",
            "token",
            "api_key",
            "apiKey",
            "X-Auth-Token",
            "access_token",
            "private-key",
            "nkey",
            "user_seed",
            "jwt",
            "creds",
            "client_secret",
            "X-Amz-Signature",
            "AWS_SECRET_ACCESS_KEY",
        ];
        for name in values {
            assert_eq!(secrecy(name), Secrecy::Value, "{name}");
        }
        for name in ["Authorization", "access-tokens", "Set-Cookie"] {
            assert_eq!(secrecy(name), Secrecy::Line, "{name}");
        }
    }

    #[test]
    fn names_of_other_things() {
        let others = [
            "",
            "message",
            "tenant",
            "token_file",
            "tokenFile",
            "password-length",
            "public-key",
            "key",
            "compass",
            "passage",
            "tokenizer",
            "author",
            "seedling",
            "trace_id",
            "token_id",
            "credentials.path",
        ];
        for name in others {
            assert_eq!(secrecy(name), Secrecy::None, "{name}");
        }
    }
}
