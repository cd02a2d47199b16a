//! Which files are encrypted, whatever their names say.
//!
//! Projects that keep secrets beside their code encrypt whole files: whoever lacks the key sees other
//! bytes under the same `.nix` name. They are no Nix code, so nothing can be said about them, least
//! of all that they are broken. Each of these programs begins its files in a way of its own.

/// What a file begins with, and the reason.
const STARTS: &[(&str, &str)] = &[
    ("\0GITCRYPT\0", "encrypted by git-crypt"),
    ("age-encryption.org/v1\n", "encrypted by age"),
    ("-----BEGIN AGE ENCRYPTED FILE-----", "encrypted by age"),
    ("-----BEGIN PGP MESSAGE-----", "encrypted by PGP"),
    ("$ANSIBLE_VAULT;", "encrypted by ansible-vault"),
    ("Salted__", "encrypted by OpenSSL"),
];

/// How far the data of sops is looked for: it is the first thing in the file.
const HEAD: usize = 256;

/// How `Salted__` begins in base64, which is how transcrypt writes files.
const TRANSCRYPT: &str = "U2FsdGVkX1";

/// Says why the file that holds `text` counts as encrypted; `None` if it is to be read as it is.
/// Bytes that are no text may have been replaced: no mark holds any. Cost: looks at the start only.
#[must_use]
pub fn encrypted_reason(text: &str) -> Option<&'static str> {
    if let Some((_, reason)) = STARTS.iter().find(|(start, _)| text.starts_with(start)) {
        return Some(reason);
    }
    if is_sops(text) {
        return Some("encrypted by sops");
    }
    is_transcrypt(text).then_some("encrypted by transcrypt")
}

/// sops wraps what is no JSON or YAML itself: `{"data": "ENC[AES256_GCM,data:…]", "sops": …}`.
fn is_sops(text: &str) -> bool {
    let Some(object) = text.trim_start().strip_prefix('{') else { return false };
    let head = &object[..object.floor_char_boundary(HEAD)];
    let value = head.trim_start().strip_prefix("\"data\":");
    value.is_some_and(|value| value.trim_start().starts_with("\"ENC["))
}

/// A first line of nothing but base64; shorter ones could be a name.
fn is_transcrypt(text: &str) -> bool {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    text.starts_with(TRANSCRYPT)
        && text.lines().next().is_some_and(|line| line.len() > 20 && line.bytes().all(is_base64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Option<&str>) {
        assert_eq!(encrypted_reason(text), want, "{text:?}");
    }

    #[test]
    fn each_program_begins_in_its_own_way() {
        check("\0GITCRYPT\0\u{fffd}8%", Some("encrypted by git-crypt"));
        check("age-encryption.org/v1\n-> ssh-ed25519 abc", Some("encrypted by age"));
        check("-----BEGIN AGE ENCRYPTED FILE-----\nYWdl", Some("encrypted by age"));
        check("-----BEGIN PGP MESSAGE-----\n\nhQIM", Some("encrypted by PGP"));
        check("$ANSIBLE_VAULT;1.1;AES256\n6638", Some("encrypted by ansible-vault"));
        check("Salted__\u{fffd}", Some("encrypted by OpenSSL"));
        check(
            "{\n\t\"data\": \"ENC[AES256_GCM,data:abc,type:str]\",\n\t\"sops\": { }\n}",
            Some("encrypted by sops"),
        );
        check("U2FsdGVkX1+5xkYq4bRlXc1zZ2Y9\nab\n", Some("encrypted by transcrypt"));
    }

    #[test]
    fn code_about_encryption_is_code() {
        for text in [
            "",
            "{ }",
            "\0",
            "# \0GITCRYPT\0\n1",
            "{ text = \"age-encryption.org/v1\"; }",
            "{ data = \"ENC[AES256_GCM]\"; }",
            "{ \"data\" = \"ENC[\"; }",
            "U2FsdGVkX1",
            "U2FsdGVkX1: U2FsdGVkX1 + abcdefghijkl",
        ] {
            check(text, None);
        }
    }
}
