//! SEC057: characters that make code look like other code.

use cim_nix_base::{Code, Severity, TextRange};
use cim_nix_syntax::{TokenKind, TokenRef};

use crate::context::Context;
use crate::rule::{Check, Finding, FixKind, Report, Rule};

pub(crate) const RULE: Rule = Rule {
    code: Code("SEC057"),
    name: "hidden-characters",
    severity: Severity::Warning,
    is_default: true,
    fix: FixKind::None,
    check: Check::File(check),
    words: &[],
    doc: "\
Flags characters in strings and comments that cannot be seen, that turn the direction of the text
around, or that look like other letters within a word.

Left alone are directions that are closed on their line around text in Arabic or Hebrew, joiners
within emoji and scripts that need them, selectors behind the characters that they are for, and words
wholly in one script. Names in Nix hold ASCII only, so code outside strings and comments needs no
look.

## Why it matters

A reviewer sees something else than Nix does: a comment that seems to end later, two strings that
seem equal and are not, an address that leads elsewhere, text that hides instructions.

## Example

```nix
{ access = \"user\u{202e}\"; }
```

```nix
{ url = \"https://ex\u{0430}mple.org\"; }
```

## Better

```nix
{ access = \"user\"; }
```

## Source

CVE-2021-42574 and CVE-2021-42694 (Trojan Source); Unicode Technical Standard 39.
",
};

fn check(context: &Context<'_>, report: &mut Report) {
    let text = context.text();
    if text.is_ascii() {
        return;
    }
    let mut at = 0;
    while let Some(found) = text.as_bytes()[at..].iter().position(|byte| is_lead(*byte)) {
        let token = context.tree.token_at((at + found) as u32);
        let range = token.range();
        at = range.end as usize;
        let is_text = token.kind().is_comment()
            || matches!(token.kind(), TokenKind::StrContent | TokenKind::IndContent);
        if is_text {
            check_token(token, report);
        }
    }
}

/// Whether a byte begins the encoding of a character that this rule may flag.
fn is_lead(byte: u8) -> bool {
    matches!(byte, 0xc2 | 0xce..=0xcf | 0xd0..=0xd5 | 0xd8 | 0xe1..=0xe3 | 0xef | 0xf3)
}

fn check_token(token: TokenRef<'_>, report: &mut Report) {
    let start = token.range().start;
    let mut from = start as usize;
    for line in token.text().split_inclusive('\n') {
        let mut found = faults(line);
        if !token.kind().is_comment() {
            found.extend(look_alike(line));
        }
        for (at, len, message) in found {
            let at = (from + at) as u32;
            report.add(Finding::at(TextRange::new(at, at + len as u32), message));
        }
        from += line.len();
    }
}

type Fault = (usize, usize, &'static str);

const UNSEEN: &str = "this character cannot be seen";
const TURNED: &str = "this character turns the direction of the text around";
const LOOK_ALIKE: &str = "this letter looks like a Latin one and is none";

/// Characters of a line that hide or turn something.
fn faults(line: &str) -> Vec<Fault> {
    if line.is_ascii() {
        return Vec::new();
    }
    let is_right_to_left = line.chars().any(is_right_to_left);
    let directions_close = is_right_to_left && are_closed(line);
    let mut found: Vec<Fault> = Vec::new();
    let mut before = '\0';
    for (at, c) in line.char_indices() {
        let after = line[at + c.len_utf8()..].chars().next().unwrap_or('\0');
        let message = match c {
            '\u{202d}' | '\u{202e}' => Some(TURNED),
            '\u{202a}'..='\u{202c}' | '\u{2066}'..='\u{2069}' => {
                (!directions_close).then_some(TURNED)
            }
            '\u{200e}' | '\u{200f}' | '\u{61c}' => (!is_right_to_left).then_some(UNSEEN),
            // Joiners hold emoji together and shape letters of some scripts.
            '\u{200c}' | '\u{200d}' => {
                let is_joining = !before.is_ascii() && !after.is_ascii();
                (!is_joining).then_some(UNSEEN)
            }
            '\u{fe00}'..='\u{fe0f}' => {
                let selects = (!before.is_ascii() && !is_selector(before))
                    || before.is_ascii_digit()
                    || matches!(before, '#' | '*');
                (!selects).then_some(UNSEEN)
            }
            '\u{e0100}'..='\u{e01ef}' => (!is_ideograph(before)).then_some(UNSEEN),
            '\u{e0000}'..='\u{e007f}' => {
                let in_flag = before == '\u{1f3f4}' || is_tag(before) && found.is_empty();
                (!in_flag).then_some(UNSEEN)
            }
            '\u{200b}'
            | '\u{2060}'..='\u{2064}'
            | '\u{feff}'
            | '\u{180e}'
            | '\u{ad}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{3164}'
            | '\u{ffa0}' => Some(UNSEEN),
            _ => None,
        };
        if let Some(message) = message {
            push(&mut found, at, c.len_utf8(), message);
        }
        before = c;
    }
    found
}

/// Adds a fault, or makes the one directly before it longer.
fn push(found: &mut Vec<Fault>, at: usize, len: usize, message: &'static str) {
    match found.last_mut() {
        Some(last) if last.0 + last.1 == at && last.2 == message => last.1 += len,
        _ => found.push((at, len, message)),
    }
}

/// Whether every direction that is opened on a line is closed there, and no other.
fn are_closed(line: &str) -> bool {
    let mut open = Vec::new();
    for c in line.chars() {
        match c {
            '\u{202a}' | '\u{202b}' => open.push('\u{202c}'),
            '\u{2066}'..='\u{2068}' => open.push('\u{2069}'),
            '\u{202c}' | '\u{2069}' if open.pop() != Some(c) => return false,
            _ => {}
        }
    }
    open.is_empty()
}

/// A letter of another script in front of a Latin one in a word of Latin letters.
fn look_alike(line: &str) -> Option<Fault> {
    let is_letter = |c: char| c.is_alphanumeric();
    let mut at = 0;
    for word in line.split(|c: char| !is_letter(c)) {
        let start = at;
        at += word.len();
        at += line[at..].chars().next().map_or(0, char::len_utf8);
        if word.is_ascii() || !word.chars().all(|c| c.is_ascii() || is_confusable(c)) {
            continue;
        }
        let mut letters = word.char_indices().peekable();
        while let Some((offset, c)) = letters.next() {
            // Endings of other languages behind a Latin name are no tricks.
            let goes_on = letters.peek().is_some_and(|(_, next)| next.is_ascii_alphabetic());
            if !c.is_ascii() && goes_on {
                return Some((start + offset, c.len_utf8(), LOOK_ALIKE));
            }
        }
    }
    None
}

/// Cyrillic and Greek letters that look like Latin ones.
const LOOKALIKES: &str = "аеорсухѕіјһԁԛԝѵԍАВЕКМНОРСТХІЈЅԌԚԜοναΑΒΕΖΗΙΚΜΝΟΡΤΥΧ";

fn is_confusable(c: char) -> bool {
    LOOKALIKES.contains(c)
}

fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{61b}' | '\u{61d}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}'
        | '\u{fe70}'..='\u{fefc}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

fn is_ideograph(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

fn is_tag(c: char) -> bool {
    matches!(c, '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::LOOKALIKES;
    use crate::rules::testing::marked;

    #[test]
    fn what_hides_or_turns_is_found() {
        assert_eq!(marked("SEC057", "\"a\u{202e}b\""), "\u{202e}");
        assert_eq!(marked("SEC057", "1 # a\u{2066}b"), "\u{2066}");
        assert_eq!(marked("SEC057", "/* a\u{200b}b */ 1"), "\u{200b}");
        assert_eq!(marked("SEC057", "''a\u{200d}b''"), "\u{200d}");
        assert_eq!(marked("SEC057", "\"a\u{feff}\u{feff}\""), "\u{feff}\u{feff}");
        assert_eq!(marked("SEC057", "\"a\u{e0041}\u{e0042}\""), "\u{e0041}\u{e0042}");
        assert_eq!(marked("SEC057", "\"\u{1f600}\u{fe0f}\u{fe00}\u{fe01}\""), "\u{fe00}\u{fe01}");
        assert_eq!(marked("SEC057", "{ \"p\u{430}th\" = 1; }"), "\u{430}");
        assert_eq!(marked("SEC057", "\"\u{5d0}\u{2067}b\""), "\u{2067}");
    }

    #[test]
    fn each_is_found_by_itself() {
        let ranges = [
            ('\u{ad}', '\u{ad}'),
            ('\u{61c}', '\u{61c}'),
            ('\u{115f}', '\u{1160}'),
            ('\u{180e}', '\u{180e}'),
            ('\u{200b}', '\u{200f}'),
            ('\u{2028}', '\u{202e}'),
            ('\u{2060}', '\u{2064}'),
            ('\u{2066}', '\u{2069}'),
            ('\u{3164}', '\u{3164}'),
            ('\u{fe00}', '\u{fe0f}'),
            ('\u{feff}', '\u{feff}'),
            ('\u{ffa0}', '\u{ffa0}'),
            ('\u{e0000}', '\u{e007f}'),
            ('\u{e0100}', '\u{e01ef}'),
        ];
        for c in ranges.into_iter().flat_map(|(first, last)| first..=last) {
            assert_eq!(marked("SEC057", &format!("\"a{c}b\"")), c.to_string(), "{c:?}");
        }
        for c in LOOKALIKES.chars() {
            assert_eq!(marked("SEC057", &format!("\"a{c}b\"")), c.to_string(), "{c:?}");
        }
    }

    #[test]
    fn what_scripts_and_emoji_need_is_fine() {
        for text in [
            "\"\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f466} \u{2764}\u{fe0f} 1\u{fe0f}\u{20e3}\"",
            "\"\u{1f3f4}\u{e0067}\u{e0062}\u{e007f}\"",
            "\"\u{2067}\u{5e9}\u{5dc}\u{5d5}\u{5dd}\u{2069} a\"",
            "\"\u{200f}\u{5e9}\"",
            "\"\u{646}\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}\"",
            "\"\u{8fba}\u{e0101}\"",
            "\"\u{43f}\u{440}\u{438}\u{432}\u{435}\u{442} nix\u{430} \u{3bc}s \u{3bb}x\"",
            "1 # p\u{430}th",
            "\"\u{f303} \u{e0a0} \u{2026} \u{2014}\"",
        ] {
            assert_eq!(marked("SEC057", text), "", "{text}");
        }
    }
}
