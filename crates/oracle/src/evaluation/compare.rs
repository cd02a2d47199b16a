//! Whether two answers agree, and which differences have an explanation.

use super::answer::{Answer, Failure, Outcome};

/// A difference that is known and has a reason.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Known {
    /// What is wrong with a file that Nix does not take is said in our own words.
    SyntaxWords,
    /// Nix has the words of its libraries for broken JSON, TOML and regular expressions.
    LibraryWords,
    /// A value in a message: Nix wraps function literals and empty sets in thunks, and so shows
    /// `«thunk»` for them until somebody has looked.
    Unevaluated,
    /// Nix's logger expands tabs and leaves out what moves the cursor.
    Logger,
    /// Arguments that a builtin needs anyway are evaluated before the first one is found to be of
    /// the wrong type, and may have traced by then.
    EagerTrace,
    /// `nix-instantiate --eval` writes nothing, and then misses what it has not written.
    ReadOnly,
    /// A list that was printed before is printed again, or the other way round.
    Repeated,
    /// Nix's JSON library does not always find the shortest digits.
    FloatDigits,
    /// Which pair is named by a sort that meets two that have no order.
    SortPair,
    /// Which member of a circle is named.
    CirclePlace,
    /// Where a call stands that a builtin makes.
    CallPlace,
    /// Which call of a recursion is the one too many.
    DepthPlace,
    /// Import from derivation, or from the network: what is fetched is no matter of evaluation.
    Build,
    /// Nix has crashed or given up.
    NixLost,
}

impl Known {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::SyntaxWords,
        Self::LibraryWords,
        Self::Unevaluated,
        Self::Logger,
        Self::EagerTrace,
        Self::ReadOnly,
        Self::Repeated,
        Self::FloatDigits,
        Self::SortPair,
        Self::CirclePlace,
        Self::CallPlace,
        Self::DepthPlace,
        Self::Build,
        Self::NixLost,
    ];

    /// What differs, for tables.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::SyntaxWords => "words for a file that is refused",
            Self::LibraryWords => "words for broken JSON, TOML, regular expressions",
            Self::Unevaluated => "values in messages that nobody has looked at",
            Self::Logger => "tabs and control characters in messages",
            Self::EagerTrace => "traces of arguments of a call that fails",
            Self::ReadOnly => "what `--eval` has not written is missing to Nix",
            Self::Repeated => "lists that are printed twice",
            Self::FloatDigits => "digits of floats in JSON",
            Self::SortPair => "which pair of a sort has no order",
            Self::CirclePlace => "place of an infinite recursion",
            Self::CallPlace => "place of a call that a builtin makes",
            Self::DepthPlace => "place of a stack overflow",
            Self::Build => "needs something built or fetched",
            Self::NixLost => "Nix has crashed",
        }
    }
}

/// How two answers differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// They do not.
    Same,
    /// They do, for a known reason.
    Known(Known),
    /// They do.
    Different,
}

/// What Nix says of files that it does not evaluate.
const REFUSALS: &[&str] = &[
    "syntax error",
    "duplicate formal function argument",
    "dynamic attributes not allowed",
    "invalid integer",
    "invalid float",
    "path has a trailing slash",
    "undefined variable",
];

/// Compares the answers of Nix and of us to an expression.
#[must_use]
pub fn compare(text: &str, nix: &Answer, ours: &Answer) -> Verdict {
    if nix == ours {
        return Verdict::Same;
    }
    reason(text, nix, ours).map_or(Verdict::Different, Verdict::Known)
}

fn reason(text: &str, nix: &Answer, ours: &Answer) -> Option<Known> {
    let notes_agree = say_the_same(&nix.notes, &ours.notes);
    match (&nix.outcome, &ours.outcome) {
        (Outcome::Lost(_), _) => Some(Known::NixLost),
        (Outcome::Failure(theirs), Outcome::Failure(own)) if notes_agree || is_refusal(theirs) => {
            failures(text, theirs, own)
        }
        (Outcome::Failure(theirs), Outcome::Failure(own))
            if theirs == own
                && (traces_more(&nix.notes, &ours.notes)
                    || is_said_again(&nix.notes, &ours.notes)) =>
        {
            Some(Known::EagerTrace)
        }
        (_, Outcome::Failure(own)) if is_from_outside(&own.message) => Some(Known::Build),
        (Outcome::Failure(theirs), _) if is_read_only(&theirs.message) => Some(Known::ReadOnly),
        (Outcome::Value(theirs), Outcome::Value(own)) if theirs == own && notes_agree => {
            Some(logged(&nix.notes, &ours.notes))
        }
        (Outcome::Value(theirs), Outcome::Value(own))
            if notes_agree && agree(&words(theirs), &words(own), "«repeated»") =>
        {
            Some(Known::Repeated)
        }
        (Outcome::Value(theirs), Outcome::Value(own)) if have_same_numbers(theirs, own) => {
            Some(Known::FloatDigits)
        }
        _ => None,
    }
}

fn failures(text: &str, theirs: &Failure, own: &Failure) -> Option<Known> {
    if is_refusal(theirs) && (own.message != theirs.message || own.place != theirs.place) {
        let was_refused =
            !own.message.starts_with("undefined variable") || theirs.message == own.message;
        return was_refused.then_some(Known::SyntaxWords);
    }
    if own.message == theirs.message && own.hint == theirs.hint {
        return match &*own.message {
            "infinite recursion encountered" => Some(Known::CirclePlace),
            "stack overflow; max-call-depth exceeded" => Some(Known::DepthPlace),
            message if message.starts_with("attempt to call") && own.place != theirs.place => {
                Some(Known::CallPlace)
            }
            // Only the notes differ.
            _ if own.place == theirs.place => Some(Known::Logger),
            _ => None,
        };
    }
    let starts = |start: &str| theirs.message.starts_with(start) && own.message.starts_with(start);
    let library =
        ["[json.exception.", "while parsing TOML: ", "invalid regular expression", "error parsing"];
    if library.iter().any(|start| starts(start)) {
        return Some(Known::LibraryWords);
    }
    if text.contains("sort") && starts("cannot compare") {
        return Some(Known::SortPair);
    }
    if is_read_only(&theirs.message) {
        return Some(Known::ReadOnly);
    }
    if is_from_outside(&own.message) {
        return Some(Known::Build);
    }
    if own.place == theirs.place && say_the_same(&theirs.message, &own.message) {
        return Some(logged(&theirs.message, &own.message));
    }
    None
}

fn is_refusal(failure: &Failure) -> bool {
    let message = &failure.message;
    REFUSALS.iter().any(|start| message.starts_with(start))
        || (message.starts_with("attribute '") && message.contains("already defined"))
}

/// Whether Nix has said again what we said: it evaluates a computed name once more for the message
/// that there is no such attribute.
fn is_said_again(nix: &str, ours: &str) -> bool {
    traces_more(ours, nix) && nix.lines().all(|line| ours.lines().any(|own| own == line))
}

/// Whether we wanted something that only the outside has.
fn is_from_outside(message: &str) -> bool {
    let words = [
        "import from derivation",
        "fetching is not possible here",
        "this program knows no Mercurial",
    ];
    words.iter().any(|words| message.contains(words))
}

/// Whether our traces are Nix's and more.
fn traces_more(nix: &str, ours: &str) -> bool {
    let mut ours = ours.lines();
    nix.lines().all(|line| ours.any(|own| own == line))
}

/// Whether two texts differ in nothing but the digits of equal numbers, of which Nix has more.
fn have_same_numbers(nix: &str, ours: &str) -> bool {
    fn parts(text: &str) -> Vec<&str> {
        let is_part = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | '+' | '-');
        text.split_inclusive(|c| !is_part(c)).collect()
    }
    let (nix, ours) = (parts(nix), parts(ours));
    let number = |part: &str| part.trim_end_matches(|c: char| !c.is_ascii_digit()).parse::<f64>();
    nix.len() == ours.len()
        && nix.iter().zip(&ours).all(|(theirs, own)| {
            let is_same = matches!((number(theirs), number(own)), (Ok(a), Ok(b)) if a == b);
            theirs == own || (is_same && theirs.len() > own.len())
        })
}

fn is_read_only(message: &str) -> bool {
    let rest = message.strip_prefix("path '").or_else(|| message.strip_prefix("derivation '"));
    rest.is_some_and(|rest| rest.ends_with("' is not valid"))
}

fn logged(nix: &str, ours: &str) -> Known {
    let squeeze = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    if squeeze(nix) == squeeze(ours) { Known::Logger } else { Known::Unevaluated }
}

/// Whether two texts agree but for white space, and for values that only one side has looked at.
fn say_the_same(nix: &str, ours: &str) -> bool {
    agree(&words(nix), &words(ours), "«thunk»")
}

fn words(text: &str) -> Vec<&str> {
    let ends = |c: char| c.is_whitespace() || c.is_control();
    text.split(ends).filter(|word| !word.is_empty()).collect()
}

/// Whether words agree, of which `wild` stands for any value.
fn agree(nix: &[&str], ours: &[&str], wild: &str) -> bool {
    let (mut a, mut b) = (nix, ours);
    loop {
        match (a, b) {
            ([], []) => return true,
            // Nix may cut a character in two.
            ([x, rest_a @ ..], [y, rest_b @ ..]) if x == y || x.contains('\u{fffd}') => {
                (a, b) = (rest_a, rest_b);
            }
            ([x, rest_a @ ..], _) if x.starts_with(wild) => {
                let Some(rest) = behind_value(b, x, wild) else { return false };
                (a, b) = (rest_a, rest);
            }
            (_, [y, rest_b @ ..]) if y.starts_with(wild) => {
                let Some(rest) = behind_value(a, y, wild) else { return false };
                (a, b) = (rest, rest_b);
            }
            _ => return false,
        }
    }
}

/// What follows a value that a thunk stands for; what stands close behind the thunk must stand
/// close behind the value, too.
fn behind_value<'w, 't>(words: &'w [&'t str], thunk: &str, wild: &str) -> Option<&'w [&'t str]> {
    let close = thunk.strip_prefix(wild)?;
    let mut depth = 0_i32;
    for (at, word) in words.iter().enumerate() {
        let is_in_text = word.starts_with('"') && !word.trim_end_matches([';', ')']).ends_with('"');
        depth += word.matches(['{', '[']).count() as i32 - word.matches(['}', ']']).count() as i32;
        depth += word.matches('«').count() as i32 - word.matches('»').count() as i32;
        if depth < 0 {
            return None;
        }
        if depth == 0 && !is_in_text && word.ends_with(close) {
            return Some(&words[at + 1..]);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(message: &str) -> Answer {
        let failure = Failure { message: message.to_owned(), place: None, hint: None };
        Answer { outcome: Outcome::Failure(failure), notes: String::new() }
    }

    #[test]
    fn thunks_stand_for_values() {
        let say = |nix, ours| compare("", &failure(nix), &failure(ours));
        let unevaluated = Verdict::Known(Known::Unevaluated);
        assert_eq!(say("no: [ «thunk» 1 ]", "no: [ { } 1 ]"), unevaluated);
        assert_eq!(say("no: { a = «thunk»; }", "no: { a = «lambda a @ /x:1:1»; }"), unevaluated);
        assert_eq!(
            say("no: { a = «thunk»; b = 1; }", "no: { a = { c = 2; }; b = 1; }"),
            unevaluated
        );
        assert_eq!(say("no: [ «thunk» ]", "no: [ 1 2 ]"), Verdict::Different);
        assert_eq!(say("no: { a = «thunk»; }", "yes: { a = 1; }"), Verdict::Different);
    }

    #[test]
    fn other_words_need_a_reason() {
        let say = |nix, ours| compare("", &failure(nix), &failure(ours));
        assert_eq!(say("a\tb", "a  b"), Verdict::Known(Known::Logger));
        assert_eq!(say("a", "b"), Verdict::Different);
        assert!(have_same_numbers("[6.3050394783186944e+16,1]", "[6.305039478318694e+16,1]"));
        assert!(!have_same_numbers("[1.5]", "[1.25]"));
        assert_eq!(say("syntax error, x", "expected y"), Verdict::Known(Known::SyntaxWords));
        assert_eq!(say("undefined variable 'a'", "undefined variable 'b'"), Verdict::Different);
    }
}
