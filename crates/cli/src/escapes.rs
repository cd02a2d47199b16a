//! What evaluation says, made fit for whoever reads it: as Nix does.
//!
//! Warnings and errors hold texts of whoever wrote the code. Their colours reach terminals alone;
//! other sequences that steer a terminal reach nobody. Tabs become blanks, so that the marks below
//! a line of code stand where they should.

use std::iter::Peekable;
use std::str::Chars;

use unicode_width::UnicodeWidthChar as _;

/// Where the next column for a tab is, in characters.
const TAB: usize = 8;
const ESCAPE: char = '\x1b';
const BELL: char = '\x07';

/// `text` without sequences that steer terminals; `keeps_colors` lets colours through.
pub(crate) fn filtered(text: &str, keeps_colors: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut width = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ESCAPE => {
                let color = sequence(&mut chars);
                out.extend(color.filter(|_| keeps_colors));
            }
            '\t' => {
                let n = TAB - width % TAB;
                width += n;
                out.extend(std::iter::repeat_n(' ', n));
            }
            '\r' | BELL => {}
            c => {
                // As in Nix, a line feed takes no width and is no new beginning.
                width += c.width().unwrap_or(0);
                out.push(c);
            }
        }
    }
    out
}

/// Reads what follows an escape character; gives it back if it is a colour.
fn sequence(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    match chars.peek() {
        Some('[') => {
            let mut text = String::from("\x1b[");
            chars.next();
            let mut take = |from: char, to: char| {
                while let Some(c) = chars.next_if(|c| (from..=to).contains(c)) {
                    text.push(c);
                }
            };
            take('0', '?');
            take(' ', '/');
            let last = chars.next_if(|c| ('@'..='~').contains(c));
            text.extend(last);
            (last == Some('m')).then_some(text)
        }
        Some(']') => {
            // A title or a link: up to a bell, or an escape and a backslash.
            while let Some(c) = chars.next() {
                if c == BELL || (c == ESCAPE && chars.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
            None
        }
        _ => {
            chars.next_if(|c| ('@'..='_').contains(c));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Nix 2.34.8 prints where nobody watches.
    #[test]
    fn nothing_steers_a_terminal() {
        let check = |text: &str, want: &str| assert_eq!(filtered(text, false), want, "{text:?}");
        check("trace: a\x1b[1;31mred\x1b[0m\x1b[2Jclear", "trace: aredclear");
        check("trace: a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\b", "trace: alinkb");
        check("trace: a\x1b]0;title\x07b", "trace: ab");
        check("trace: a\x1b[b", "trace: a");
        check("trace: x\x1by", "trace: xy");
        check("trace: x\x1b", "trace: x");
        check("trace: \x1b[31", "trace: ");
        check("trace: b\x07c", "trace: bc");
    }

    #[test]
    fn tabs_become_blanks() {
        let check = |text: &str, want: &str| assert_eq!(filtered(text, false), want, "{text:?}");
        check("trace: abc\n\tx", "trace: abc\n      x");
        check("trace: a\tb\nc\td", "trace: a        b\nc      d");
        check("trace: aü\tb", "trace: aü       b");
        check("trace: 漢\tb", "trace: 漢       b");
    }

    #[test]
    fn colours_reach_terminals() {
        assert_eq!(filtered("\x1b[1;31mred\x1b[0m\x1b[2J", true), "\x1b[1;31mred\x1b[0m");
    }
}
