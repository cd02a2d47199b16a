//! Which texts look like a secret.

/// Whether a text looks like a secret rather than like a word, a name, a path or a stand-in.
pub(crate) fn looks_secret(text: &str) -> bool {
    let n_chars = text.len();
    (8..=512).contains(&n_chars)
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && is_random(text)
        && !is_reference(text)
        && !is_stand_in(text)
}

/// Paths, addresses, commands, variables and templates: they say where the secret is.
fn is_reference(text: &str) -> bool {
    // Keys of Google's programming interfaces are made to be public, hashes are no secrets.
    let starts = [
        "sha1-", "sha256-", "sha512-", "AIza", "/", "./", "../", "~", "$", "%", "!", "@", "<", "{",
        "file:", "env:", "op://", "vault:", "ENC[",
    ];
    let parts = ["://", "${", "{{", "}}", "$(", "<", ">", "/run/", "/etc/", "%d/"];
    let is_variable =
        text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit())
            && text.contains('_');
    is_variable
        || starts.iter().any(|start| text.starts_with(start))
        || parts.iter().any(|part| text.contains(part))
}

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
}

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
        }
    }
    n_random > n_plain
}

fn class(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => 0,
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        for text in ["kT4x9-Qw8zP2", "9f86d081884c7d65", "hT7!kQ2$vB9x", "Zm9vYmFyMTIzNDU2Nzg5"] {
            assert!(looks_secret(text), "{text}");
        }
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
            "sha256-91sODxaj0psMw0WqigMCGO5a7+NenAsRj5ZmW6C7lvc=",
            "AIzaSyA1b2C3d4E5f6G7h8",
        ] {
            assert!(!looks_secret(text), "{text}");
        }
    }
}
