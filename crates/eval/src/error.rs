//! Errors of evaluation: what Nix says, where, and on the way to what.

use std::fmt;
use std::sync::Arc;

use crate::code::Pos;

/// Evaluation has failed; what went wrong waits in the evaluator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed;

/// The result of evaluating something.
pub(crate) type Res<T = crate::value::Value> = Result<T, Failed>;

/// What kind of failure it is, as far as `tryEval` and callers care.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorKind {
    /// `throw`: can be caught.
    Throw,
    /// A failed `assert`: can be caught.
    Assertion,
    /// `abort`.
    Abort,
    /// A value was used as one of another type.
    Type,
    /// An attribute that is not there.
    MissingAttribute,
    /// A value that needs itself.
    InfiniteRecursion,
    /// Calls or data are nested too deeply.
    Depth,
    /// Memory or time ran out, or the user has interrupted.
    Limit,
    /// A file is broken.
    Syntax,
    /// A file cannot be read.
    Io,
    /// What this evaluator cannot do (yet).
    Unsupported,
    /// Anything else.
    Other,
}

/// A step of the way to the place of the failure.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) position: Pos,
    pub(crate) text: String,
    pub(crate) weight: Weight,
}

/// When a step of the way is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Weight {
    /// With `--show-trace` only.
    Detail,
    /// While there are few.
    Normal,
    /// Always.
    Always,
}

/// A failure while it travels.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
    pub(crate) position: Pos,
    /// Innermost first.
    pub(crate) trace: Vec<Step>,
    pub(crate) suggestions: Vec<String>,
}

/// A place in a source text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The file, or what else the text is called, such as `«string»`.
    pub origin: String,
    /// From 1.
    pub line: u32,
    /// In bytes, from 1.
    pub column: u32,
    /// The line before, the line and the line behind, as far as there are any.
    pub excerpt: [Option<Arc<str>>; 3],
}

/// Why an evaluation failed.
#[derive(Clone, Debug)]
pub struct EvalError {
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// What Nix says, without `error: `.
    pub message: String,
    /// Where.
    pub place: Option<Place>,
    /// What was being evaluated, outermost first.
    pub trace: Vec<Frame>,
    /// Names that may have been meant, the nearest first.
    pub suggestions: Vec<String>,
}

/// A step of the way to the place of the failure, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// What was being done.
    pub text: String,
    /// Where.
    pub place: Option<Place>,
    /// When it is shown.
    pub weight: Weight,
}

/// Frames that repeat earlier ones are left out from this many on.
const FEW_REPEATED: usize = 5;

impl EvalError {
    /// A failure of whoever uses an evaluation.
    #[must_use]
    pub fn other(message: String) -> Self {
        Self {
            kind: ErrorKind::Other,
            message,
            place: None,
            trace: Vec::new(),
            suggestions: Vec::new(),
        }
    }

    /// The failure for a name that is not there, with those that may have been meant.
    #[must_use]
    pub fn missing_attribute(message: String, suggestions: Vec<String>) -> Self {
        let (kind, place, trace) = (ErrorKind::MissingAttribute, None, Vec::new());
        Self { kind, message, place, trace, suggestions }
    }

    /// The same, which finds out itself which of the names that are there may have been meant.
    #[must_use]
    pub fn unknown_name(message: String, name: &str, known: Vec<String>) -> Self {
        Self::missing_attribute(message, crate::builtins::suggestions(name, known))
    }

    /// The error as Nix prints it, with all of the trace or the more telling part of it.
    #[must_use]
    pub fn render(&self, show_trace: bool) -> String {
        self.render_as("error", show_trace)
    }

    pub(crate) fn render_as(&self, word: &str, show_trace: bool) -> String {
        let mut out = String::new();
        let frames = self.trace.iter().filter(|frame| show_trace || frame.weight != Weight::Detail);
        let frames: Vec<&Frame> = frames.collect();
        if !frames.is_empty() {
            push_trace(&mut out, &frames, show_trace);
            out.push_str("\nerror: ");
        }
        out.push_str(&self.message);
        out.push('\n');
        push_place(&mut out, "", self.place.as_ref());
        match &self.suggestions[..] {
            [] => {}
            [one] => out.push_str(&format!("Did you mean {one}?")),
            [many @ .., last] => {
                let many = many.join(", ");
                out.push_str(&format!("Did you mean one of {many} or {last}?"));
            }
        }
        let mut indented = format!("{word}:");
        let indent = " ".repeat(word.len() + 2);
        for (at, line) in out.trim_end().split('\n').enumerate() {
            let line = line.trim_end();
            if at > 0 {
                indented.push('\n');
            }
            if !line.is_empty() {
                indented.push_str(if at == 0 { " " } else { &indent });
                indented.push_str(line);
            }
        }
        indented
    }
}

/// Frames with a place count double towards the limit of what is shown.
fn push_trace(out: &mut String, frames: &[&Frame], show_trace: bool) {
    let mut seen: Vec<&Frame> = Vec::new();
    let mut skipped: Vec<&Frame> = Vec::new();
    let mut count = 0;
    let mut is_truncated = false;
    for &frame in frames {
        is_truncated |= !show_trace && count > 3;
        if is_truncated && frame.weight != Weight::Always {
            continue;
        }
        // Traces of thousands of frames repeat a few.
        if seen.contains(&frame) {
            skipped.push(frame);
            continue;
        }
        seen.push(frame);
        push_skipped(out, &mut skipped, &mut count);
        count += 1;
        push_frame(out, frame, &mut count);
    }
    push_skipped(out, &mut skipped, &mut count);
    if is_truncated {
        out.push_str(
            "\n(stack trace truncated; use '--show-trace' to show the full, detailed trace)\n",
        );
    }
}

fn push_skipped(out: &mut String, skipped: &mut Vec<&Frame>, count: &mut usize) {
    if skipped.len() <= FEW_REPEATED {
        skipped.iter().for_each(|frame| push_frame(out, frame, count));
    } else {
        out.push_str(&format!("\n({} duplicate frames omitted)\n", skipped.len()));
    }
    skipped.clear();
}

fn push_frame(out: &mut String, frame: &Frame, count: &mut usize) {
    out.push_str(&format!("\n… {}\n", frame.text));
    if push_place(out, "  ", frame.place.as_ref()) {
        *count += 1;
    }
}

/// Says where, with the source around it.
fn push_place(out: &mut String, indent: &str, place: Option<&Place>) -> bool {
    use fmt::Write as _;

    let Some(place) = place else { return false };
    let Place { origin, line, column, excerpt: [before, here, behind] } = place;
    let _ = write!(out, "{indent}at {origin}:{line}:{column}:");
    let mut push_line = |number: u32, text: &Option<Arc<str>>, has_mark: bool| {
        let Some(text) = text else { return };
        let _ = write!(out, "\n {number:>5}| {text}");
        if has_mark {
            let width = *column as usize;
            let _ = write!(out, "\n      |{:width$}^", "");
        }
    };
    push_line(line.wrapping_sub(1), before, false);
    push_line(*line, here, true);
    push_line(line + 1, behind, false);
    out.push('\n');
    true
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for EvalError {}
