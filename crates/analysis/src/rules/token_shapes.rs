//! The shapes of secrets that services and programs hand out: prefix, length, alphabet, and the
//! checksum where there is a known one.

use std::ops::Range;

/// What a secret of a certain shape is called, and how it is told.
struct Shape {
    /// What it begins with; the gate of the rule looks for it.
    prefix: &'static str,
    /// What it is, as messages say it.
    name: &'static str,
    /// How many bytes of the alphabet follow.
    body: std::ops::RangeInclusive<usize>,
    /// Which bytes those are.
    is_body: fn(u8) -> bool,
    /// What else must hold for the whole.
    is_valid: fn(&str) -> bool,
}

/// What the rule's gate looks for.
pub(crate) const WORDS: &[&str] = &[
    "AKIA",
    "ASIA",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "glrt-",
    "gldt-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xoxr-",
    "xoxs-",
    "hooks.slack.com/services/",
    "/api/webhooks/",
    "sk_live_",
    "rk_live_",
    "whsec_",
    "GOCSPX-",
    "T3BlbkFJ",
    "sk-ant-",
    "npm_",
    "pypi-AgE",
    "dckr_pat_",
    "dop_v1_",
    "hf_",
    "SG.",
    "tskey-",
    "AGE-SECRET-KEY-1",
    ":AA",
    "PRIVATE KEY",
    "==\"",
    "==''",
];

static SHAPES: &[Shape] = &[
    shape("AKIA", "an access key of AWS", 16..=16, is_base32, any),
    shape("ASIA", "a temporary access key of AWS", 16..=16, is_base32, any),
    shape("ghp_", "an access token of GitHub", 36..=36, is_alnum, is_mixed),
    shape("gho_", "an access token of GitHub", 36..=36, is_alnum, is_mixed),
    shape("ghu_", "an access token of GitHub", 36..=36, is_alnum, is_mixed),
    shape("ghs_", "an access token of GitHub", 36..=36, is_alnum, is_mixed),
    shape("ghr_", "a refresh token of GitHub", 36..=76, is_alnum, is_mixed),
    shape("github_pat_", "an access token of GitHub", 82..=82, is_word, is_mixed),
    shape("glpat-", "an access token of GitLab", 20..=64, is_url_or_dot, is_mixed),
    shape("glrt-", "a runner token of GitLab", 20..=64, is_url_or_dot, is_mixed),
    shape("gldt-", "a deploy token of GitLab", 20..=64, is_url_or_dot, is_mixed),
    shape("xoxb-", "a token of Slack", 20..=90, is_url, has_long_number),
    shape("xoxp-", "a token of Slack", 20..=120, is_url, has_long_number),
    shape("xoxa-", "a token of Slack", 20..=120, is_url, has_long_number),
    shape("xoxr-", "a token of Slack", 20..=120, is_url, has_long_number),
    shape("xoxs-", "a token of Slack", 20..=120, is_url, has_long_number),
    shape("hooks.slack.com/services/T", "a webhook of Slack", 36..=60, is_alnum_or_slash, is_mixed),
    shape("/api/webhooks/", "a webhook of Discord", 78..=90, is_url_or_slash, is_discord_hook),
    shape("sk_live_", "a live key of Stripe", 24..=120, is_alnum, is_mixed),
    shape("rk_live_", "a live key of Stripe", 24..=120, is_alnum, is_mixed),
    shape("whsec_", "a webhook secret of Stripe", 32..=64, is_alnum, is_mixed),
    shape("GOCSPX-", "a client secret of Google", 28..=28, is_url, is_mixed),
    shape("sk-", "a key of OpenAI", 40..=200, is_url, is_openai),
    shape("sk-ant-", "a key of Anthropic", 80..=120, is_url, is_mixed),
    shape("npm_", "an access token of npm", 36..=36, is_alnum, is_mixed),
    shape("pypi-AgE", "an upload token of PyPI", 50..=500, is_url, is_mixed),
    shape("dckr_pat_", "an access token of Docker", 27..=27, is_url, is_mixed),
    shape("dop_v1_", "an access token of DigitalOcean", 64..=64, is_lower_hex, is_mixed),
    shape("hf_", "an access token of Hugging Face", 34..=34, is_alpha, is_mixed_case),
    shape("SG.", "a key of SendGrid", 66..=66, is_url_or_dot, is_send_grid),
    shape("tskey-", "a key of Tailscale", 20..=90, is_url, is_mixed_case),
    shape("AGE-SECRET-KEY-1", "a secret key of age", 58..=58, is_upper_alnum, is_bech32),
];

const fn shape(
    prefix: &'static str,
    name: &'static str,
    body: std::ops::RangeInclusive<usize>,
    is_body: fn(u8) -> bool,
    is_valid: fn(&str) -> bool,
) -> Shape {
    Shape { prefix, name, body, is_body, is_valid }
}

/// The first secret in `text` that has a known shape: where it is and what it is.
pub(crate) fn find(text: &str) -> Option<(Range<usize>, &'static str)> {
    let shaped = SHAPES.iter().filter_map(|shape| Some((find_shape(text, shape)?, shape.name)));
    let others = [
        (find_pem(text), "a private key"),
        (find_bot_token(text), "a token of a Telegram bot"),
        (find_signing_key(text), "a secret key that signs for a Nix cache"),
    ];
    let others = others.into_iter().filter_map(|(range, name)| Some((range?, name)));
    shaped.chain(others).min_by_key(|(range, _)| range.start)
}

fn find_shape(text: &str, shape: &Shape) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    for start in memchr::memmem::find_iter(bytes, shape.prefix) {
        let body = start + shape.prefix.len();
        let most = bytes[body..].iter().take(shape.body.end() + 1);
        let n_body = most.take_while(|byte| (shape.is_body)(**byte)).count();
        let end = body + n_body;
        let is_glued = is_word(bytes[start]) && start > 0 && is_word(bytes[start - 1]);
        let goes_on = bytes.get(end).is_some_and(|byte| is_word(*byte));
        let secret = &text[start..end];
        let is_secret = !is_glued && !goes_on && shape.body.contains(&n_body);
        if is_secret && (shape.is_valid)(secret) && !is_stand_in(&text[body..end]) {
            return Some(start..end);
        }
    }
    None
}

/// The header of a private key with key material behind it.
fn find_pem(text: &str) -> Option<Range<usize>> {
    const END: &str = "PRIVATE KEY";
    for at in memchr::memmem::find_iter(text.as_bytes(), END) {
        // `OPENSSH` and its like are short.
        let from = text.floor_char_boundary(at.saturating_sub(40));
        let Some(begin) = text[from..at].rfind("-----BEGIN ") else { continue };
        let start = from + begin;
        let kind = &text[start + "-----BEGIN ".len()..at];
        let is_header = kind.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b' ');
        let behind = &text[at + END.len()..];
        let behind = behind.strip_prefix(" BLOCK").unwrap_or(behind);
        let Some(body) = behind.strip_prefix("-----") else { continue };
        let is_material = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
        let is_skipped = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'\\' || *byte == b'n';
        // Headers (`Proc-Type: …`) and escaped line feeds may stand between.
        let has_material = |part: &str| {
            let material = part.bytes().filter(|byte| !is_skipped(byte));
            material.take_while(is_material).count() >= 40
        };
        let body = front(body, 4096).split("\n\n").take(3).find(|part| has_material(part));
        let Some(body) = body.filter(|_| is_header) else { continue };
        if !is_stand_in(front(body, 200)) {
            return Some(start..text.len() - behind.len() + "-----".len());
        }
    }
    None
}

/// The first bytes of a text, at most `len`.
fn front(text: &str, len: usize) -> &str {
    &text[..text.floor_char_boundary(len)]
}

/// `123456789:AA…`: a number of eight to ten digits, then 35 characters.
fn find_bot_token(text: &str) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    memchr::memmem::find_iter(bytes, ":AA").find_map(|colon| {
        let n_digits = bytes[..colon].iter().rev().take_while(|b| b.is_ascii_digit()).count();
        let start = colon - n_digits;
        let n_body = bytes[colon + 1..].iter().take_while(|byte| is_url(**byte)).count();
        let is_glued = start > 0 && is_word(bytes[start - 1]);
        let end = colon + 1 + n_body;
        let is_token = (8..=10).contains(&n_digits) && n_body == 35 && !is_glued;
        (is_token && is_mixed(&text[colon + 1..end])).then_some(start..end)
    })
}

/// `name:` and 64 bytes in base64. A public key of that kind has 32.
fn find_signing_key(text: &str) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    memchr::memmem::find_iter(bytes, "==").find_map(|end| {
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
        let n_body = bytes[..end].iter().rev().take_while(|byte| is_base64(**byte)).count();
        let colon = (n_body == 86).then(|| end - n_body)?.checked_sub(1)?;
        let name = &bytes[..colon];
        let n_name = name.iter().rev().take_while(|byte| is_url_or_dot(**byte)).count();
        let is_key = bytes[colon] == b':' && n_name > 0 && is_mixed(&text[colon..end]);
        (is_key && bytes.get(end + 2) != Some(&b'=')).then_some(colon - n_name..end + 2)
    })
}

/// Whether a body says itself that it is none: `EXAMPLE`, `xxxx`, one letter over and over.
fn is_stand_in(body: &str) -> bool {
    let lower = body.to_ascii_lowercase();
    let words = [
        "example",
        "xxxx",
        "0000000",
        "1234567",
        "abcdefg",
        "dummy",
        "your",
        "placeholder",
        "redacted",
    ];
    let mut seen = [false; 256];
    body.bytes().for_each(|byte| seen[usize::from(byte)] = true);
    let n_different = seen.iter().filter(|seen| **seen).count();
    words.iter().any(|word| lower.contains(word)) || n_different < 6
}

fn any(_: &str) -> bool {
    true
}

/// Letters and digits, as chance mixes them.
fn is_mixed(text: &str) -> bool {
    let has = |is: fn(&u8) -> bool| text.as_bytes().iter().any(is);
    has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)
}

fn is_mixed_case(text: &str) -> bool {
    let has = |is: fn(&u8) -> bool| text.as_bytes().iter().any(is);
    has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase)
}

fn has_long_number(text: &str) -> bool {
    text.split('-').any(|part| part.len() >= 9 && part.bytes().all(|b| b.is_ascii_digit()))
}

fn is_openai(text: &str) -> bool {
    text.contains("T3BlbkFJ")
}

/// `/api/webhooks/<number>/<68 characters>`.
fn is_discord_hook(text: &str) -> bool {
    let mut parts = text.rsplit('/');
    let (secret, number) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let is_number = number.len() >= 17 && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number && secret.len() >= 60 && is_mixed(secret)
}

fn is_send_grid(text: &str) -> bool {
    let lens: Vec<usize> = text.split('.').map(str::len).collect();
    lens == [2, 22, 43]
}

/// Whether the checksum of a Bech32 text is right (BIP 173).
fn is_bech32(text: &str) -> bool {
    const ALPHABET: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let lower = text.to_ascii_lowercase();
    let Some((human, data)) = lower.rsplit_once('1') else { return false };
    let human_high = human.bytes().map(|byte| byte >> 5);
    let human_low = human.bytes().map(|byte| byte & 31);
    let data = data
        .bytes()
        .map(|byte| ALPHABET.iter().position(|letter| *letter == byte).map_or(255, |at| at as u8));
    let mut sum: u32 = 1;
    for value in human_high.chain([0]).chain(human_low).chain(data) {
        if value > 31 {
            return false;
        }
        let top = sum >> 25;
        sum = (sum & 0x01ff_ffff) << 5 ^ u32::from(value);
        for (at, constant) in GENERATOR.iter().enumerate() {
            if top >> at & 1 == 1 {
                sum ^= constant;
            }
        }
    }
    sum == 1
}

fn is_alnum(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn is_alpha(byte: u8) -> bool {
    byte.is_ascii_alphabetic()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_url(byte: u8) -> bool {
    is_word(byte) || byte == b'-'
}

fn is_url_or_dot(byte: u8) -> bool {
    is_url(byte) || byte == b'.'
}

fn is_url_or_slash(byte: u8) -> bool {
    is_url(byte) || byte == b'/'
}

fn is_alnum_or_slash(byte: u8) -> bool {
    is_alnum(byte) || byte == b'/'
}

fn is_base32(byte: u8) -> bool {
    byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte)
}

fn is_upper_alnum(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn is_lower_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Letters as chance would give them, different for each seed. No text in this file has the
    /// shape of a secret: whoever scans the source finds none.
    fn noise(seed: u32, len: usize, alphabet: &[u8]) -> String {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            char::from(alphabet[(state >> 16) as usize % alphabet.len()])
        };
        (0..len).map(|_| next()).collect()
    }

    const ALNUM: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

    #[track_caller]
    fn check(secret: &str, name: Option<&str>) {
        for text in [secret.to_owned(), format!("a {secret}\n"), format!("K={secret};")] {
            let found = find(&text).map(|(range, name)| (&text[range], name));
            assert_eq!(found.map(|(_, name)| name), name, "{text}");
            if let Some((range, _)) = found {
                assert!(secret.contains(range) || range.contains(secret), "{text}");
            }
        }
    }

    #[test]
    fn known_shapes_are_found() {
        check(
            &format!("AKIA{}", noise(1, 16, b"ABCDEFGHIJKLMN234567")),
            Some("an access key of AWS"),
        );
        check(&format!("ghp_{}", noise(2, 36, ALNUM)), Some("an access token of GitHub"));
        check(
            &format!("github_pat_{}_{}", noise(3, 22, ALNUM), noise(4, 59, ALNUM)),
            Some("an access token of GitHub"),
        );
        check(&format!("glpat-{}", noise(5, 20, ALNUM)), Some("an access token of GitLab"));
        let slack = format!("xoxb-{}-{}", noise(6, 12, b"123456789"), noise(7, 24, ALNUM));
        check(&slack, Some("a token of Slack"));
        check(
            &format!("sk-{}T3BlbkFJ{}", noise(8, 20, ALNUM), noise(9, 20, ALNUM)),
            Some("a key of OpenAI"),
        );
        check(
            &format!("{}:AA{}", noise(10, 9, b"123456789"), noise(11, 33, ALNUM)),
            Some("a token of a Telegram bot"),
        );
        check(
            &format!("a.org-1:{}==", noise(12, 86, ALNUM)),
            Some("a secret key that signs for a Nix cache"),
        );
        let hook = format!(
            "https://discord.com/api/webhooks/{}/{}",
            noise(13, 18, b"123456789"),
            noise(14, 68, ALNUM)
        );
        check(&hook, Some("a webhook of Discord"));
    }

    #[test]
    fn what_is_none_is_left_alone() {
        check("AKIAIOSFODNN7EXAMPLE", None);
        check(&format!("ghp_{}", "x".repeat(36)), None);
        check(&format!("ghp_{}", noise(1, 35, ALNUM)), None);
        check(&format!("ghp_{}", noise(1, 37, ALNUM)), None);
        check(&format!("aghp_{}", noise(2, 36, ALNUM)), None);
        check(&format!("cache.nixos.org-1:{}=", noise(3, 43, ALNUM)), None);
        check("sk-learn and hf_transfer, SG.1", None);
        check("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI", None);
    }

    #[test]
    fn keys_of_age_are_told_by_their_checksum() {
        let data: Vec<u8> = noise(1, 52, b"qpzry9x8gf2tvdw0s3jn54khce6mua7l").into_bytes();
        let body = String::from_utf8(data).unwrap().to_uppercase();
        let alphabet = b"QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";
        // Each letter of the checksum is found by trying: it is linear, so six steps would do, but
        // two known letters changed must break it.
        let key = complete(&format!("AGE-SECRET-KEY-1{body}"), alphabet);
        check(&key, Some("a secret key of age"));
        let broken = key.replacen(&body[..1], if body.starts_with('Q') { "P" } else { "Q" }, 1);
        let broken = if broken.starts_with("AGE-SECRET-KEY-1") { broken } else { return };
        check(&broken, None);
    }

    /// Appends the six letters that make a Bech32 text right.
    fn complete(text: &str, alphabet: &[u8]) -> String {
        const GENERATOR: [u32; 5] =
            [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
        let lower = text.to_ascii_lowercase();
        let (human, data) = lower.rsplit_once('1').unwrap();
        let index = |byte: u8| {
            alphabet.iter().position(|letter| letter.eq_ignore_ascii_case(&byte)).unwrap() as u8
        };
        let high = human.bytes().map(|byte| byte >> 5);
        let low = human.bytes().map(|byte| byte & 31);
        let values = high.chain([0]).chain(low).chain(data.bytes().map(index)).chain([0; 6]);
        let sum = values.fold(1u32, |sum, value| {
            let top = sum >> 25;
            let next = (sum & 0x01ff_ffff) << 5 ^ u32::from(value);
            (0..5).filter(|at| top >> at & 1 == 1).fold(next, |sum, at| sum ^ GENERATOR[at])
        }) ^ 1;
        let letters = (0..6).map(|at| char::from(alphabet[(sum >> (5 * (5 - at)) & 31) as usize]));
        text.chars().chain(letters).collect()
    }

    #[test]
    fn private_keys_need_a_body() {
        let dashes = "-----";
        let key = |kind: &str, body: &str| {
            format!("{dashes}BEGIN {kind}{dashes}\n{body}\n{dashes}END {kind}{dashes}")
        };
        let body = noise(1, 64, ALNUM);
        assert_eq!(find(&key("OPENSSH PRIVATE KEY", &body)).unwrap().1, "a private key");
        assert_eq!(find(&key("PRIVATE KEY", &body)).unwrap().1, "a private key");
        assert_eq!(
            find(&key("PGP PRIVATE KEY BLOCK", &format!("\n{body}"))).unwrap().1,
            "a private key"
        );
        assert!(find(&key("PRIVATE KEY", "...")).is_none());
        assert!(find(&key("PUBLIC KEY", &body)).is_none());
        assert!(find(&key("CERTIFICATE", &body)).is_none());
        assert!(find(&format!("grep {dashes}BEGIN.*PRIVATE KEY{dashes} {body}")).is_none());
    }
}
