//! The examples of docs/http.md do what they say.

use std::process::Command;

use crate::kit::{Kit, OPERATOR, is_there};

/// Code blocks as pairs of language and text.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut blocks: Vec<(String, String)> = Vec::new();
    let mut open = false;
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(language) if !open => {
                blocks.push((language.to_owned(), String::new()));
                open = true;
            }
            Some(_) => open = false,
            None if open => {
                let (_, text) = blocks.last_mut().expect("one was opened");
                text.push_str(line);
                text.push('\n');
            }
            None => {}
        }
    }
    blocks
}

/// The text without what differs from run to run.
fn settled(text: &str) -> String {
    let mut settled = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let token: String = rest
            .chars()
            .take_while(|it| it.is_ascii_alphanumeric() || matches!(it, '-' | ':' | '.'))
            .collect();
        if token.is_empty() {
            settled.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        rest = &rest[token.len()..];
        let is_hex = |text: &str| text.bytes().all(|it| it.is_ascii_hexdigit());
        let uuid_at = token.len().checked_sub(36).filter(|at| {
            let tail = &token[*at..];
            tail.matches('-').count() == 4 && is_hex(&tail.replace('-', ""))
        });
        match uuid_at {
            Some(at) => {
                settled.push_str(&token[..at]);
                settled.push_str("UUID");
            }
            None if token.len() >= 20 && token.ends_with('Z') && token.contains('T') => {
                settled.push_str("TIME");
            }
            None if token.len() == 24 && is_hex(&token) => settled.push_str("DIGEST"),
            None => settled.push_str(&token),
        }
    }
    settled
}

#[test]
fn examples_do_what_they_say() {
    let Some(curl) = is_there("curl") else { return };
    let kit = Kit::new();
    let page = include_str!("../../../../docs/http.md");
    let blocks = blocks(page);
    let mut n_run = 0;
    for pair in blocks.windows(2) {
        let [(language, script), (_, expected)] = pair else { continue };
        if language != "sh" {
            continue;
        }
        let script = script.replace("curl ", &format!("{} ", curl.display()));
        let mut shell = Command::new("sh");
        shell.args(["-c", &script]).env("URL", format!("http://{}", kit.address));
        let output =
            shell.env("TOKEN", OPERATOR).env_remove("http_proxy").output().expect("a shell");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(settled(said.trim()), settled(expected.trim()), "{script}");
        n_run += 1;
    }
    assert!(n_run >= 9, "{n_run}");
}
