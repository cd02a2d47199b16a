//! Recorded answers as text: an expression a line, with what Nix says of it.
//!
//! Shape: the expression, whether Nix 2.8.0 agrees (`old` or `-`), `value` or `error`, the value or
//! message, the place or `-`, the hint or `-`, and what was said on the way; between tabs, escaped.

use cim_nix_base::Error;

use super::answer::{Answer, Failure, Outcome};
use crate::verdicts::{escape, unescape};

/// One recorded answer.
pub struct Recorded {
    /// The expression.
    pub text: String,
    /// Whether Nix 2.8.0 says the same, as far as it is compared.
    pub old_agrees: bool,
    /// What Nix says.
    pub answer: Answer,
}

/// Writes a line.
#[must_use]
pub fn render_line(text: &str, answer: &Answer, old_agrees: bool) -> String {
    let (kind, what, place, hint) = match &answer.outcome {
        Outcome::Value(value) => ("value", value.as_str(), None, None),
        Outcome::Failure(Failure { message, place, hint }) => {
            ("error", message.as_str(), place.as_deref(), hint.as_deref())
        }
        Outcome::Lost(why) => ("lost", why.as_str(), None, None),
    };
    let old = if old_agrees { "old" } else { "-" };
    let fields =
        [text, old, kind, what, place.unwrap_or("-"), hint.unwrap_or("-"), answer.notes.as_str()];
    let fields: Vec<String> = fields.iter().map(|field| escape(field.as_bytes())).collect();
    fields.join("\t") + "\n"
}

/// Reads the lines that were written.
///
/// Errors: a line of another form, named by its number.
pub fn read_lines(text: &str) -> Result<Vec<Recorded>, Error> {
    let lines = text.lines().enumerate();
    lines
        .map(|(at, line)| {
            read_line(line).ok_or_else(|| {
                Error::user(format!("line {} holds no recorded answer", at + 1))
                    .hint("record them again with `cargo xtask fuzz-eval --record FILE`")
            })
        })
        .collect()
}

fn read_line(line: &str) -> Option<Recorded> {
    let field = |text: &str| String::from_utf8(unescape(text)?).ok();
    let fields: Vec<String> = line.split('\t').map(field).collect::<Option<_>>()?;
    let [text, old, kind, what, place, hint, notes] = <[String; 7]>::try_from(fields).ok()?;
    let given = |text: String| (text != "-").then_some(text);
    let outcome = match &*kind {
        "value" => Outcome::Value(what),
        "error" => {
            Outcome::Failure(Failure { message: what, place: given(place), hint: given(hint) })
        }
        "lost" => Outcome::Lost(what),
        _ => return None,
    };
    Some(Recorded { text, old_agrees: old == "old", answer: Answer { outcome, notes } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_survive_a_line() {
        let failure =
            Failure { message: "a\tb\nc".to_owned(), place: Some("/x:1:2".to_owned()), hint: None };
        let outcomes = [Outcome::Failure(failure), Outcome::Value("\"é\\n\"".to_owned())];
        for outcome in outcomes {
            let answer = Answer { outcome, notes: "trace: x\n".to_owned() };
            let line = render_line("1 +\n2", &answer, true);
            let read = read_lines(&line).unwrap().remove(0);
            assert_eq!((&*read.text, read.old_agrees, &read.answer), ("1 +\n2", true, &answer));
        }
        assert!(read_lines("1\tvalue\n").is_err());
    }
}
