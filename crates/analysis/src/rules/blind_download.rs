//! SEC055: shell code that runs what it downloads, or that does not check who it talks to.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use cim_nix_base::{Code, Severity, TextRange};
use cim_nix_syntax::{Node, NodeKind, TokenKind, ast};

use super::places::{around, is_prose, is_test_file};
use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC055"),
    name: "blind-download",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check),
    words: WORDS,
    doc: "\
Flags shell code that pipes a download into a shell, and downloads that do not check certificates:
`curl -k`, `wget --no-check-certificate`, `GIT_SSL_NO_VERIFY`, `http.sslVerify = false`.

Texts for people, comments, tests, what is only printed, addresses of the machine itself and
derivations with an `outputHash` are left alone.

## Why it matters

Whoever controls the server runs programs on this machine; without a check of the certificate,
whoever sits on the way does. A download that breaks off in the middle runs half a script.

## Example

```nix
{ installScript = \"curl -fsSL https://example.org/install.sh | sh\"; }
```

```nix
{ script = ''curl -k https://example.org/data.json > data.json''; }
```

## Better

```nix
{ fetchurl }:
{
  installScript = fetchurl {
    url = \"https://example.org/install.sh\";
    hash = \"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\";
  };
}
```

## Source

The manuals of curl, wget and git on the options named.
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    static SEARCH: LazyLock<AhoCorasick> =
        LazyLock::new(|| AhoCorasick::new(WORDS).expect("a few short words fit"));
    // Most files that speak of curl only ask for the library.
    let words = SEARCH.find_iter(context.text()).filter_map(|word| {
        let at = word.start() as u32;
        let kind = context.tree.token_at(at).kind();
        let is_setting = word.pattern().as_usize() >= FIRST_SETTING;
        let is_text = matches!(kind, TokenKind::StrContent | TokenKind::IndContent);
        (is_text || is_setting && kind == TokenKind::Ident).then_some(at)
    });
    let words: Vec<u32> = words.collect();
    if words.is_empty() {
        return;
    }
    for node in context.tree.nodes() {
        let is_binding = node.kind() == NodeKind::Binding;
        if !is_binding && !matches!(node.kind(), NodeKind::Str | NodeKind::IndStr) {
            continue;
        }
        let range = node.range();
        let first = words.partition_point(|at| *at < range.start);
        if words.get(first).is_none_or(|at| *at >= range.end) {
            continue;
        }
        match is_binding {
            true => check_setting(context, node, report),
            false => check_script(context, node, report),
        }
    }
}

fn check_script(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let script = Script::of(node);
    let mut faults = Vec::new();
    for line in script.lines() {
        faults.extend(fault_of(line.1).map(|(at, len, message)| (line.0 + at, len, message)));
    }
    if faults.is_empty() || is_prose(node) || is_test_file(context.path) || is_pinned(node) {
        return;
    }
    for (at, len, message) in faults {
        report.add(Finding::at(script.source_range(at, len), message));
    }
}

const WORDS: &[&str] = &["curl", "wget", "GIT_SSL_NO_VERIFY", "sslVerify"];
/// The first of them that is the name of a setting.
const FIRST_SETTING: usize = 2;
const PIPED: &str = "this runs whatever the server sends";
const UNCHECKED: &str = "this download does not check the server's certificate";
const GIT_UNCHECKED: &str = "git does not check the server's certificate here";

/// `GIT_SSL_NO_VERIFY = true;` and `http.sslVerify = false;`.
fn check_setting(context: &Context<'_>, node: Node<'_>, report: &mut Report) {
    let Some(binding) = ast::Binding::cast(node) else { return };
    let name = binding.attr_path().and_then(|path| path.elements().last());
    let Some(name) = name.and_then(|name| name.name()) else { return };
    let value = binding.value().map_or("", |value| value.text());
    let is_off = match &*name {
        "GIT_SSL_NO_VERIFY" => matches!(value, "true" | "1" | "\"true\"" | "\"1\""),
        "sslVerify" => matches!(value, "false" | "\"false\""),
        _ => return,
    };
    if is_off && !is_pinned(node) && !is_test_file(context.path) {
        report.add(Finding::at(node.range(), GIT_UNCHECKED));
    }
}

/// Whether the result of the derivation around is checked by a hash.
fn is_pinned(node: Node<'_>) -> bool {
    let names = ["outputHash", "outputHashAlgo", "sha256", "hash"];
    let has_hash = |set| names.iter().any(|name| crate::origin::attribute(set, name).is_some());
    let mut sets = around(node).filter(|around| around.kind() == NodeKind::AttrSet);
    sets.by_ref().take(2).any(has_hash) || overridden(node).is_some_and(has_hash)
}

/// The argument of the call whose result `overrideAttrs` changes around `node`.
fn overridden(node: Node<'_>) -> Option<Node<'_>> {
    let is_override = |above: &Node<'_>| {
        let function = above.child(0).filter(|_| above.kind() == NodeKind::Apply);
        function.is_some_and(|function| function.text().ends_with("overrideAttrs"))
    };
    let call = around(node).take(8).find(is_override)?;
    let base = call.child(0)?.child(0).and_then(ast::without_parens)?;
    base.children().find(|argument| argument.kind() == NodeKind::AttrSet)
}

/// The text of a string as a shell sees it; a NUL stands for what is interpolated.
struct Script {
    text: String,
    /// Where a piece begins in `text` and in the file.
    pieces: Vec<(usize, u32)>,
}

impl Script {
    fn of(node: Node<'_>) -> Self {
        let mut script = Self { text: String::new(), pieces: Vec::new() };
        let mut children = node.children().peekable();
        for token in node.own_tokens() {
            while let Some(child) =
                children.next_if(|child| child.range().start < token.range().start)
            {
                script.push(child.range().start, interpolated(child));
            }
            if matches!(token.kind(), TokenKind::StrContent | TokenKind::IndContent) {
                script.push(token.range().start, token.text());
            }
        }
        script
    }

    fn push(&mut self, start: u32, text: &str) {
        self.pieces.push((self.text.len(), start));
        self.text.push_str(text);
    }

    /// The commands with where they begin: lines, those joined that end in a backslash.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut rest = self.text.as_str();
        std::iter::from_fn(move || {
            let at = self.text.len() - rest.len();
            let mut from = 0;
            loop {
                let end = rest[from..].find('\n').map_or(rest.len(), |end| from + end);
                if end == rest.len() {
                    let line = std::mem::take(&mut rest);
                    return (!line.is_empty()).then_some((at, line));
                }
                from = end + 1;
                if !rest[..end].trim_end().ends_with('\\') {
                    let line = &rest[..end];
                    rest = &rest[from..];
                    return Some((at, line));
                }
            }
        })
    }

    /// The place in the file of `len` bytes of the text.
    fn source_range(&self, at: usize, len: usize) -> TextRange {
        let place = |at: usize| {
            let piece = self.pieces.partition_point(|piece| piece.0 <= at).saturating_sub(1);
            self.pieces.get(piece).map_or(0, |(from, start)| start + (at - from) as u32)
        };
        let start = place(at);
        let end = place(at + len.saturating_sub(1)) + 1;
        TextRange::new(start, end.max(start))
    }
}

/// What an interpolation stands for: the program that it names, or anything.
fn interpolated(node: Node<'_>) -> &'static str {
    let text = node.text();
    if text.len() > 64 {
        return "\0";
    }
    if text.contains("pkgs.curl}")
        || text.contains("getExe curl")
        || text.contains("getExe pkgs.curl")
    {
        "curl"
    } else if text.contains("getExe wget") || text.contains("getExe pkgs.wget") {
        "wget"
    } else {
        "\0"
    }
}

/// What is wrong with a command: where, how long, what.
fn fault_of(line: &str) -> Option<(usize, usize, &'static str)> {
    let start = line.trim_start();
    // What is only printed or remarked is not run.
    let is_shown = ["#", "echo ", "printf ", "log ", "//", "info ", "warn"];
    if is_shown.iter().any(|word| start.starts_with(word)) {
        return None;
    }
    for word in ["GIT_SSL_NO_VERIFY=", "http.sslVerify="] {
        if let Some(at) = line.find(word) {
            let value = line[at + word.len()..].trim_start_matches(['"', '\'']);
            let off = if word.starts_with('G') { ["1", "true"] } else { ["false", "0"] };
            if off.iter().any(|off| value.starts_with(off)) {
                return Some((at, word.len() - 1, GIT_UNCHECKED));
            }
        }
    }
    ["curl", "wget"].iter().find_map(|program| {
        // Of a line that holds more, the first ones say enough.
        let found =
            line.match_indices(program).take(64).filter(|(at, _)| is_program(line, *at, program));
        found.map(|(at, _)| at).find_map(|at| download_fault(line, at, program))
    })
}

/// Whether the word at `at` is the program's name in the place of a command.
fn is_program(line: &str, at: usize, program: &str) -> bool {
    let before = line[..at].chars().next_back();
    let after = line[at + program.len()..].chars().next();
    let ends = after.is_some_and(|c| c.is_whitespace());
    let starts = before.is_none_or(|c| c.is_whitespace() || "/(`\"'|;&".contains(c) || c == '\0');
    starts && ends
}

fn download_fault(line: &str, at: usize, program: &str) -> Option<(usize, usize, &'static str)> {
    let behind = &line[at..];
    let end = behind.find(['|', ';', ')', '`']).unwrap_or(behind.len());
    let end = behind.find("&&").map_or(end, |and| end.min(and));
    let command = &behind[..end];
    if let Some(rest) = behind[end..].strip_prefix('|').filter(|rest| !rest.starts_with('|'))
        && let Some(shell) = shell_of(rest)
    {
        return Some((at, end + 1 + shell, PIPED));
    }
    if is_run(&line[..at]) {
        return Some((at, command.trim_end().len(), PIPED));
    }
    // `"$@"` may be any server, this machine included.
    let is_here = ["localhost", "127.0.0.1", "[::1]", "--unix-socket", "\"$@\""]
        .iter()
        .any(|host| command.contains(host));
    let is_unchecked = match program {
        "curl" => command.split_whitespace().any(|word| word == "--insecure" || has_k(word)),
        _ => command.split_whitespace().any(|word| word == "--no-check-certificate"),
    };
    (is_unchecked && !is_here).then(|| (at, command.trim_end().len(), UNCHECKED))
}

/// Whether short options of curl hold `k`, which no option before it takes as its value.
fn has_k(word: &str) -> bool {
    const WITH_VALUE: &str = "AbcCdDeEFhHKmoPQrtTuUwxXyYz";
    let Some(letters) = word.strip_prefix('-').filter(|rest| !rest.starts_with('-')) else {
        return false;
    };
    let is_flags =
        !letters.is_empty() && letters.chars().all(|c| c.is_ascii_alphanumeric() || c == '#');
    is_flags && letters.chars().take_while(|c| !WITH_VALUE.contains(*c)).any(|c| c == 'k')
}

/// Where the name of a shell ends that what stands behind a pipe begins with.
fn shell_of(rest: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        let word_start =
            at + rest[at..].len() - rest[at..].trim_start_matches([' ', '\t', '\\', '\n']).len();
        let word = &rest[word_start..];
        let end =
            word.find(|c: char| c.is_whitespace() || "\"');|&`".contains(c)).unwrap_or(word.len());
        let name = word[..end].rsplit('/').next().unwrap_or("");
        match name {
            "sh" | "bash" | "zsh" | "dash" | "ksh" => return Some(word_start + end),
            "sudo" | "env" | "doas" => at = word_start + end,
            flag if flag.starts_with('-') && at > 0 => at = word_start + end,
            _ => return None,
        }
    }
}

/// Whether what stands before a download runs it: `bash <(`, `sh -c "$(`, `eval "$(`.
fn is_run(before: &str) -> bool {
    let before = before.rsplit('\n').next().unwrap_or(before);
    // The folder of the program, if it is written.
    let before =
        before.trim_end_matches(|c: char| c == '/' || c == '\0' || c.is_ascii_alphanumeric());
    let before = before.trim_end();
    let (opened, is_file) = match (before.strip_suffix("<("), before.strip_suffix("$(")) {
        (Some(opened), _) => (opened, true),
        (_, Some(opened)) => (opened.trim_end_matches(['"', '\'', '\\']), false),
        _ => return false,
    };
    let mut words = opened.split_whitespace().rev();
    let last = words.next().unwrap_or("");
    let is_shell = |word: &str| matches!(word.rsplit('/').next(), Some("sh" | "bash" | "zsh"));
    match last {
        "eval" | "source" => true,
        "." => is_file,
        "-c" => words.next().is_some_and(is_shell),
        word => is_file && is_shell(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::marked;

    #[track_caller]
    fn check(line: &str, want: Option<&str>) {
        let found = fault_of(line).map(|(at, len, _)| &line[at..at + len]);
        assert_eq!(found, want, "{line}");
    }

    #[test]
    fn downloads_that_are_run() {
        check("curl -fsSL https://a | sh", Some("curl -fsSL https://a | sh"));
        check(
            "  wget -qO- https://a | sudo -E bash -s -- x",
            Some("wget -qO- https://a | sudo -E bash"),
        );
        check("bash <(curl -s https://a)", Some("curl -s https://a"));
        check("sh -c \"$(curl -fsSL https://a)\"", Some("curl -fsSL https://a"));
        check("eval \"$(curl https://a)\"", Some("curl https://a"));
        check("/bin/curl https://a |/bin/sh", Some("curl https://a |/bin/sh"));
        check("curl https://a | jq .b", None);
        check("curl https://a > b; cat c | sh", None);
        check("curl https://a && cat c | sh", None);
        check("x=$(curl https://a)", None);
        check("echo \"curl https://a | sh\"", None);
        check("# curl https://a | sh", None);
        check("curl https://a | shasum", None);
        check("curl https://a || sh b", None);
        check("libcurl x | sh", None);
    }

    #[test]
    fn downloads_that_trust_anybody() {
        check("curl -k https://a", Some("curl -k https://a"));
        check("curl -k \"$@\"", None);
        check("curl -sSLk https://a | jq", Some("curl -sSLk https://a"));
        check("curl --insecure https://a", Some("curl --insecure https://a"));
        check(
            "wget --no-check-certificate https://a",
            Some("wget --no-check-certificate https://a"),
        );
        check("curl -Hkey:1 https://a", None);
        check("curl -ok https://a", None);
        check("curl https://a | grep -k b", None);
        check("curl -k https://localhost:80/a", None);
        check("GIT_SSL_NO_VERIFY=true git clone a", Some("GIT_SSL_NO_VERIFY"));
        check("git -c http.sslVerify=false clone a", Some("http.sslVerify"));
        check("git -c http.sslVerify=true clone a", None);
    }

    #[test]
    fn strings_are_seen_as_the_shell_sees_them() {
        let text = "{ pkgs, u }: { script = ''\n  ${pkgs.curl}/bin/curl ${u} | sh\n''; }";
        assert_eq!(marked("SEC055", text), "curl ${u} | sh");
        let text = "{ a = ''\n  curl \\\n    -k https://a\n''; }";
        assert_eq!(marked("SEC055", text), "curl \\\n    -k https://a");
        assert_eq!(marked("SEC055", "{ GIT_SSL_NO_VERIFY = true; }"), "GIT_SSL_NO_VERIFY = true;");
        assert_eq!(marked("SEC055", "{ http.sslVerify = false; }"), "http.sslVerify = false;");
        assert_eq!(marked("SEC055", "{ sslVerify = true; }"), "");
        assert_eq!(marked("SEC055", "{ GIT_SSL_NO_VERIFY = true; outputHash = \"a\"; }"), "");
        let pinned = "f: (f { sha256 = \"a\"; }).overrideAttrs (_: { GIT_SSL_NO_VERIFY = true; })";
        assert_eq!(marked("SEC055", pinned), "");
        let free = "f: (f { url = \"a\"; }).overrideAttrs (_: { GIT_SSL_NO_VERIFY = true; })";
        assert_eq!(marked("SEC055", free), "GIT_SSL_NO_VERIFY = true;");
        assert_eq!(marked("SEC055", "{ description = \"curl https://a | sh\"; }"), "");
        assert_eq!(marked("SEC055", "{ buildPhase = \"curl -k https://a\"; outputHash = 1; }"), "");
    }
}
