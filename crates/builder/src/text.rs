//! Texts of others: without what a terminal would obey, and not longer than is of use.

use std::collections::VecDeque;

/// The text without escape sequences and control characters, but for tabs and line ends.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        push_printable(&mut plain, &rest[..at]);
        rest = after_escape(&rest[at + 1..]);
    }
    push_printable(&mut plain, rest);
    plain
}

fn push_printable(plain: &mut String, text: &str) {
    plain.extend(text.chars().filter(|c| matches!(c, '\t' | '\n') || !c.is_control()));
}

/// What stands behind an escape sequence, whose first character is gone.
fn after_escape(text: &str) -> &str {
    match text.chars().next() {
        // A sequence with parameters ends with a letter or a sign such as `~`.
        Some('[') => {
            let end = text[1..].find(|c: char| ('\u{40}'..='\u{7e}').contains(&c));
            end.map_or("", |end| &text[1 + end + 1..])
        }
        // A title or a link ends with a bell, or with an escape and a backslash.
        Some(']') => match text.find(['\u{7}', '\u{1b}']) {
            Some(end) => text[end + 1..].strip_prefix('\\').unwrap_or(&text[end + 1..]),
            None => "",
        },
        Some(first) => &text[first.len_utf8()..],
        None => "",
    }
}

/// The beginning of a text, `most` bytes at most.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// The last lines of a log.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct LogTail {
    /// The last lines, in their order; each is cut after 4096 bytes.
    pub lines: Vec<String>,
    /// How many lines there were in all.
    pub n_lines: u64,
}

/// Keeps the last lines of a log.
#[derive(Clone, Default, Debug)]
pub(crate) struct Tail {
    lines: VecDeque<String>,
    n_lines: u64,
}

impl Tail {
    pub(crate) fn push(&mut self, line: &str, most: usize) {
        self.n_lines += 1;
        if most == 0 {
            return;
        }
        if self.lines.len() >= most {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_owned());
    }

    pub(crate) fn into_log(self) -> LogTail {
        LogTail { lines: self.lines.into(), n_lines: self.n_lines }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_that_a_terminal_obeys() {
        let check = |text: &str, want: &str| assert_eq!(plain(text), want, "{text:?}");
        check("\u{1b}[31;1merror:\u{1b}[0m a", "error: a");
        check("\u{1b}]0;title\u{7}a\u{1b}]8;;http://x\u{1b}\\b", "ab");
        check("a\u{1b}(Bb\u{8}\r\u{9b}c\td\ne", "aBbc\td\ne");
        check("a\u{1b}", "a");
        check("a\u{1b}[31", "a");
        check("a\u{1b}ä", "a");
        check("grüße", "grüße");
    }

    #[test]
    fn a_cut_falls_between_characters() {
        assert_eq!(cut("aäb", 2), "a");
        assert_eq!(cut("aäb", 3), "aä");
        assert_eq!(cut("a", 9), "a");
    }

    #[test]
    fn the_tail_of_a_log_is_its_last_lines() {
        let mut tail = Tail::default();
        ["a", "b", "c"].iter().for_each(|line| tail.push(line, 2));
        assert_eq!(tail.into_log(), LogTail { lines: vec!["b".into(), "c".into()], n_lines: 3 });
    }
}
