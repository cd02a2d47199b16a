//! Patterns in gitignore's language, matched on bytes as Git does.
//!
//! Answers whether one list of patterns has an opinion on one path. Which lists apply to a path,
//! and in which order, is left to [`rules`](crate::rules). Matching takes at most time proportional
//! to pattern times path squared, whatever the pattern.
//! Source: `gitignore(5)`; the verdicts in the tests are Git's.

/// The patterns of one ignore file, or of `exclude` in the configuration.
#[derive(Clone, Default, Debug)]
pub(crate) struct Patterns {
    list: Vec<Pattern>,
}

/// What a list of patterns says about a path that it speaks of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    LeftOut,
    Kept,
}

/// The path that is asked about.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    /// Path from the folder of the patterns, with `/` between names.
    pub(crate) path: &'a [u8],
    /// Last name of `path`.
    pub(crate) name: &'a [u8],
    pub(crate) is_folder: bool,
}

#[derive(Clone, Debug)]
struct Pattern {
    verdict: Verdict,
    folders_only: bool,
    /// Whether the whole path is matched, as for every pattern with a `/`, or only its last name.
    whole_path: bool,
    shape: Shape,
}

/// Most patterns are plain names or `*.ext`; those need no walk over tokens.
#[derive(Clone, Debug)]
enum Shape {
    Literal(Box<[u8]>),
    Suffix(Box<[u8]>),
    Glob(Box<[Token]>),
}

#[derive(Clone, Debug)]
enum Token {
    Byte(u8),
    /// `?`: any byte but `/`.
    Any,
    /// `[...]`: one of these bytes, never `/`.
    Set(Box<ByteSet>),
    /// `*`: bytes but `/`.
    Star,
    /// `**/`: any number of folders.
    Folders,
    /// `**` at the end: everything.
    Rest,
}

type ByteSet = [bool; 256];

impl Patterns {
    /// Reads an ignore file. A line that Git could never match is left out.
    pub(crate) fn parse(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { list: text.lines().filter_map(Pattern::parse).collect() }
    }

    /// Adds `later` patterns, which win over those that are there.
    pub(crate) fn extend(&mut self, later: Self) {
        self.list.extend(later.list);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// What the last pattern that matches says; `None` where none does.
    pub(crate) fn verdict(&self, subject: Subject<'_>) -> Option<Verdict> {
        self.list.iter().rev().find(|pattern| pattern.matches(subject)).map(|found| found.verdict)
    }
}

impl Pattern {
    /// `None` for an empty line, a comment and a pattern that matches nothing.
    fn parse(line: &str) -> Option<Self> {
        if line.starts_with('#') {
            return None;
        }
        let line = without_trailing_spaces(line);
        let (verdict, body) = match line.strip_prefix('!') {
            Some(body) => (Verdict::Kept, body),
            None => (Verdict::LeftOut, line),
        };
        let (folders_only, body) = match body.strip_suffix('/') {
            Some(body) => (true, body),
            None => (false, body),
        };
        let whole_path = body.contains('/');
        let body = body.strip_prefix('/').unwrap_or(body).as_bytes();
        if body.is_empty() {
            return None;
        }
        let shape = match body {
            _ if is_plain(body) => Shape::Literal(body.into()),
            [b'*', end @ ..] if !whole_path && is_plain(end) => Shape::Suffix(end.into()),
            _ => Shape::Glob(tokens(body)?.into()),
        };
        Some(Self { verdict, folders_only, whole_path, shape })
    }

    fn matches(&self, subject: Subject<'_>) -> bool {
        if self.folders_only && !subject.is_folder {
            return false;
        }
        let text = if self.whole_path { subject.path } else { subject.name };
        match &self.shape {
            Shape::Literal(literal) => **literal == *text,
            Shape::Suffix(end) => text.ends_with(end),
            Shape::Glob(tokens) => glob_matches(tokens, text),
        }
    }
}

fn is_plain(glob: &[u8]) -> bool {
    !glob.iter().any(|byte| b"*?[\\".contains(byte))
}

/// Cuts spaces at the end, but not one behind a backslash.
fn without_trailing_spaces(line: &str) -> &str {
    let kept = line.trim_end_matches(' ');
    let n_backslashes = kept.len() - kept.trim_end_matches('\\').len();
    let has_escaped_space = n_backslashes % 2 == 1 && kept.len() < line.len();
    if has_escaped_space { &line[..=kept.len()] } else { kept }
}

/// Splits a glob into tokens; `None` where a bracket or backslash at the end is left open, which
/// Git takes for a pattern that matches nothing.
fn tokens(glob: &[u8]) -> Option<Vec<Token>> {
    let mut out = Vec::with_capacity(glob.len());
    let mut at = 0;
    while let Some(&byte) = glob.get(at) {
        let start = at;
        at += 1;
        out.push(match byte {
            b'?' => Token::Any,
            b'\\' => {
                at += 1;
                Token::Byte(*glob.get(at - 1)?)
            }
            b'[' => {
                let (set, end) = byte_set(glob, at)?;
                at = end;
                Token::Set(Box::new(set))
            }
            b'*' => {
                while glob.get(at) == Some(&b'*') {
                    at += 1;
                }
                // Git compares what stands before the first wildcard on its own, so to it `a**/b`
                // starts with the stars. Its manual knows only of those behind a `/`.
                let is_deep = at - start > 1
                    && (start == 0 || glob[start - 1] == b'/' || is_plain(&glob[..start]));
                match glob.get(at) {
                    None if is_deep => Token::Rest,
                    Some(b'/') if is_deep => {
                        at += 1;
                        Token::Folders
                    }
                    _ => Token::Star,
                }
            }
            byte => Token::Byte(byte),
        });
    }
    Some(out)
}

/// Reads a bracket expression whose `[` lies before `at`: the bytes that it accepts and the offset
/// behind its `]`; `None` when it is not closed or names an unknown class.
fn byte_set(glob: &[u8], mut at: usize) -> Option<(ByteSet, usize)> {
    let mut set = [false; 256];
    let is_negated = matches!(glob.get(at), Some(b'!' | b'^'));
    if is_negated {
        at += 1;
    }
    let first = at;
    // The byte that a following `-` starts a range from.
    let mut low = None;
    loop {
        match (*glob.get(at)?, low) {
            (b']', _) if at > first => break,
            (b'-', Some(from)) if glob.get(at + 1).is_some_and(|&next| next != b']') => {
                at += 1;
                let to = escaped(glob, &mut at)?;
                (from..=to).for_each(|byte| set[usize::from(byte)] = true);
                low = None;
            }
            (b'[', _) if glob.get(at + 1) == Some(&b':') => {
                let len = glob[at + 2..].iter().position(|&byte| byte == b']')?;
                if let Some(name) = glob[at + 2..at + 2 + len].strip_suffix(b":") {
                    let is_in = class(name)?;
                    (0..=u8::MAX).for_each(|byte| set[usize::from(byte)] |= is_in(&byte));
                    at += len + 3;
                    low = None;
                } else {
                    set[usize::from(b'[')] = true;
                    at += 1;
                    low = Some(b'[');
                }
            }
            _ => {
                let byte = escaped(glob, &mut at)?;
                set[usize::from(byte)] = true;
                low = Some(byte);
            }
        }
    }
    if is_negated {
        set.iter_mut().for_each(|is_in| *is_in = !*is_in);
    }
    set[usize::from(b'/')] = false;
    Some((set, at + 1))
}

/// The byte at `at`, or the one behind a backslash there; moves `at` behind it.
fn escaped(glob: &[u8], at: &mut usize) -> Option<u8> {
    if glob.get(*at) == Some(&b'\\') {
        *at += 1;
    }
    *at += 1;
    glob.get(*at - 1).copied()
}

/// The test for a POSIX character class in the C locale.
fn class(name: &[u8]) -> Option<fn(&u8) -> bool> {
    Some(match name {
        b"alnum" => u8::is_ascii_alphanumeric,
        b"alpha" => u8::is_ascii_alphabetic,
        b"blank" => |byte| matches!(byte, b' ' | b'\t'),
        b"cntrl" => u8::is_ascii_control,
        b"digit" => u8::is_ascii_digit,
        b"graph" => u8::is_ascii_graphic,
        b"lower" => u8::is_ascii_lowercase,
        b"print" => |byte| matches!(byte, b' '..=b'~'),
        b"punct" => u8::is_ascii_punctuation,
        b"space" => |byte| matches!(byte, b' ' | b'\t'..=b'\r'),
        b"upper" => u8::is_ascii_uppercase,
        b"xdigit" => u8::is_ascii_hexdigit,
        _ => return None,
    })
}

/// Matches all of `text`. On a mismatch the last `*` takes one byte more, or, where it would have
/// to cross a `/`, the last `**/` takes one folder more. Older stars need no second look: whatever
/// they could still take, the younger one can take as well.
fn glob_matches(tokens: &[Token], text: &[u8]) -> bool {
    let (mut token, mut at) = (0, 0);
    let mut star = None;
    let mut folders = None;
    loop {
        let fits = match (tokens.get(token), text.get(at)) {
            (None, None) | (Some(Token::Rest), _) => return true,
            (Some(Token::Star), _) => {
                token += 1;
                star = Some((token, at));
                continue;
            }
            (Some(Token::Folders), _) => {
                token += 1;
                (star, folders) = (None, Some((token, at)));
                continue;
            }
            (Some(Token::Byte(wanted)), Some(byte)) => wanted == byte,
            (Some(Token::Any), Some(&byte)) => byte != b'/',
            (Some(Token::Set(set)), Some(&byte)) => set[usize::from(byte)],
            (None, Some(_)) | (Some(_), None) => false,
        };
        if fits {
            (token, at) = (token + 1, at + 1);
        } else if let Some((behind, taken)) = star
            && text.get(taken).is_some_and(|&byte| byte != b'/')
        {
            (token, at) = (behind, taken + 1);
            star = Some((token, at));
        } else if let Some((behind, taken)) = folders
            && let Some(len) = text[taken..].iter().position(|&byte| byte == b'/')
        {
            (token, at) = (behind, taken + len + 1);
            (star, folders) = (None, Some((token, at)));
        } else {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says whether the last pattern that matches `path` (a folder if it ends in `/`) leaves it out.
    fn leaves_out(patterns: &str, path: &str) -> bool {
        let is_folder = path.ends_with('/');
        let path = path.trim_end_matches('/').as_bytes();
        let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let subject = Subject { path, name, is_folder };
        Patterns::parse(patterns).verdict(subject) == Some(Verdict::LeftOut)
    }

    #[track_caller]
    fn check(pattern: &str, hits: &[&str], misses: &[&str]) {
        for path in hits {
            assert!(leaves_out(pattern, path), "`{pattern}` must match `{path}`");
        }
        for path in misses {
            assert!(!leaves_out(pattern, path), "`{pattern}` must not match `{path}`");
        }
    }

    #[test]
    fn name_matches_at_any_depth() {
        check("foo", &["foo", "a/foo", "foo/"], &["foo/a", "xfoo", "foox"]);
        check("*.nix", &["a.nix", "a/b.nix", ".nix"], &["a.nixx", "a.nix/b"]);
        check("*", &["a", "a/b"], &[]);
    }

    #[test]
    fn slash_anchors() {
        check("/foo", &["foo"], &["a/foo"]);
        check("a/foo", &["a/foo"], &["b/a/foo", "foo"]);
        check("foo/", &["foo/", "a/foo/"], &["foo", "a/foo"]);
        check("a/*/c", &["a/b/c"], &["a/c", "a/b/b/c"]);
        check("/*.nix", &["a.nix"], &["b/a.nix"]);
    }

    #[test]
    fn two_stars_cross_folders() {
        check("**/foo", &["foo", "a/foo", "a/b/foo"], &["xfoo", "a/xfoo", "foo/a"]);
        check("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &["ab", "a/xb", "x/a/b"]);
        check("a/**", &["a/b", "a/b/c"], &["a/", "b/a/c"]);
        check("**/a*/**/b?", &["a/b1", "x/ax/y/z/b2"], &["a/b", "xa/b1"]);
        check("a?**/b", &["ac/b", "acx/b"], &["ac/y/b", "acb"]);
        check("a**/b", &["a/b", "ab", "ax/y/b"], &["b"]);
        check("**", &["a", "a/b"], &[]);
        check("x**y", &["xy", "xaay", "d/xy"], &["x/y"]);
    }

    #[test]
    fn brackets() {
        check("[a-c]x", &["ax", "bx"], &["dx", "x"]);
        check("[!a-c]x", &["dx"], &["ax", "x"]);
        check("[^a]x", &["bx"], &["ax"]);
        check("[]a]x", &["]x", "ax"], &["bx"]);
        check("[a-]x", &["-x", "ax"], &["bx"]);
        check("[[:digit:]_]x", &["1x", "_x"], &["ax"]);
        check("[\\]]x", &["]x"], &["\\x"]);
        check("a[!b]c", &["axc"], &["a/c"]);
        check("/a[^b]c", &["axc"], &["a/c"]);
        check("[a", &[], &["[a", "a"]);
        check("[[:nope:]]", &[], &["n"]);
        check("[[:]", &["[", ":"], &["a"]);
    }

    #[test]
    fn escapes_and_blanks() {
        check("\\#a", &["#a"], &["a"]);
        check("\\!a", &["!a"], &["a"]);
        check("a\\*", &["a*"], &["ab"]);
        check("a  ", &["a"], &["a  "]);
        check("a\\ ", &["a "], &["a"]);
        check("a\\ \\   ", &["a  "], &["a"]);
        check("a\\", &[], &["a", "a\\"]);
        check("#a\n\n/\n!", &[], &["#a", "", "a"]);
        check("\u{feff}a\r\nb\r\n", &["a", "b"], &["a\r"]);
    }

    #[test]
    fn last_match_wins() {
        check("*.nix\n!keep.nix", &["a.nix"], &["keep.nix"]);
        check("!keep.nix\n*.nix", &["keep.nix"], &[]);
        check("a\n!a/", &["a"], &["a/"]);
    }

    #[test]
    fn stars_do_not_explode() {
        let pattern = format!("/**/{}b", "*a/**/".repeat(50));
        let path = "a/".repeat(500);
        assert!(!leaves_out(&pattern, path.trim_end_matches('/')));
        assert!(!leaves_out(&format!("{}b", "*a".repeat(500)), &"a".repeat(5_000)));
    }
}
