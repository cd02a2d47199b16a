//! Secrets that can be told by themselves, whatever stands before them.

/// How keys of well-known services begin, and how many characters follow at least.
const PREFIXES: [(&str, usize); 16] = [
    // Our own.
    ("cimnix_", 16),
    // GitHub, GitLab, Codeberg's Forgejo has none.
    ("ghp_", 20),
    ("gho_", 20),
    ("ghu_", 20),
    ("ghs_", 20),
    ("ghr_", 20),
    ("github_pat_", 20),
    ("glpat-", 16),
    // Clouds and caches.
    ("AKIA", 16),
    ("ASIA", 16),
    ("xoxb-", 10),
    ("xoxp-", 10),
    ("xoxa-", 10),
    ("sk_live_", 16),
    ("npm_", 30),
    ("AGE-SECRET-KEY-", 20),
];

/// Whether a word is a secret by its shape.
pub(super) fn is_secret(word: &str) -> bool {
    let prefixed = |(prefix, n_more): &(&str, usize)| {
        word.strip_prefix(prefix).is_some_and(|rest| rest.len() >= *n_more)
    };
    PREFIXES.iter().any(prefixed) || is_seed(word) || is_jwt(word)
}

/// The seed of an NKey: `S`, the kind of its owner, and base 32, 58 characters in all.
fn is_seed(word: &str) -> bool {
    let is_base32 = |byte: u8| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte);
    let mut bytes = word.bytes();
    let begins =
        bytes.next() == Some(b'S') && bytes.next().is_some_and(|k| b"ACNOPUX".contains(&k));
    begins && (50..=64).contains(&word.len()) && bytes.all(is_base32)
}

/// A signed token: three parts, of which the first is an object in base 64.
fn is_jwt(word: &str) -> bool {
    let mut parts = word.split('.');
    let (head, body, signature) = (parts.next(), parts.next(), parts.next());
    head.is_some_and(|head| head.starts_with("eyJ") && head.len() >= 8)
        && body.is_some_and(|body| body.len() >= 8)
        && signature.is_some()
}

/// Whether what follows `Bearer` or `Basic` is one, and not the next word of a sentence.
pub(super) fn is_credential(text: &str) -> bool {
    let has_odd = text.bytes().any(|byte| !byte.is_ascii_lowercase());
    text.len() >= 16 || (text.len() >= 6 && has_odd && !text.ends_with('.'))
}

/// Where the block ends that begins at `at`, if it is one of a secret in PEM or a NATS credential.
///
/// A block that is cut off is secret to the end. Blocks in a text of one line count, too.
pub(super) fn pem(text: &str, at: usize) -> Option<usize> {
    const BEGIN: &str = "-----BEGIN ";
    let rest = text[at..].strip_prefix(BEGIN)?;
    let label = &rest[..rest.find("-----")?];
    let is_secret =
        label.len() <= 64 && ["PRIVATE KEY", "SEED", "JWT"].iter().any(|word| label.contains(word));
    if !is_secret {
        return None;
    }
    let body = at + BEGIN.len() + label.len() + 5;
    // The END line of NATS credentials has six dashes.
    let end = text[body..].find("-----END ").map(|end| body + end + 9);
    let Some(label_at) = end else { return Some(text.len()) };
    let close = text[label_at..].find("-----").map_or(text.len(), |close| label_at + close + 5);
    Some(close + text[close..].len() - text[close..].trim_start_matches('-').len())
}
