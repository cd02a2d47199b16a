//! New files from typed values: a module, an overlay, a configuration as Nix code.
//!
//! Whatever a value says stays what it is: texts are escaped, names are quoted where they must be,
//! and code is parsed before it is put anywhere, so that it can be no more than the one expression
//! it was given as. Names that code uses and does not bind become parameters where a file can have
//! them, and are refused where it cannot. The result is laid out in the official style.

mod configuration;
mod module;
mod overlay;
mod scope;
mod value;

use cim_nix_base::{Error, LineIndex, Severity};
use cim_nix_format::{Gate, Options, Refusal, nixfmt, takes_long};

pub use configuration::render_configuration;
pub use module::render_module;
pub use overlay::render_overlay;
pub use value::{set_at, unset_at, value_of_code};

/// A file that is to be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rendered {
    /// Its text.
    pub text: String,
    /// Names that it takes as parameters and that not every evaluation of modules hands in.
    pub special: Vec<String>,
    /// What a reader should know, one sentence each.
    pub notes: Vec<String>,
}

/// Most characters of a given text that a message shows.
const MOST_SHOWN: usize = 60;

/// A text on one line, cut where it is long.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(MOST_SHOWN).collect();
    let end = if text.chars().nth(MOST_SHOWN).is_some() { "…" } else { "" };
    let escaped = short.chars().map(|c| match c.is_control() {
        true => c.escape_debug().to_string(),
        false => c.to_string(),
    });
    format!("{}{end}", escaped.collect::<String>())
}

/// Refuses what is not one expression; `what` is what it was given for.
fn check_code(what: &str, text: &str) -> Result<(), Error> {
    if text.contains('\0') {
        return Err(Error::user(format!("{what} has a NUL byte, which no Nix code can have")));
    }
    if u32::try_from(text.len()).is_err() {
        return Err(Error::user(format!("{what} is longer than 4 GiB")));
    }
    let parse = cim_nix_syntax::parse(text);
    let mut problems = parse.problems;
    problems.retain(|problem| problem.severity == Severity::Error);
    if problems.is_empty() {
        problems = cim_nix_semantics::lower(&parse.tree).problems;
    }
    let Some(problem) = problems.first() else { return Ok(()) };
    let place = LineIndex::new(text).position_chars(text, problem.range.start);
    Err(Error::user(format!(
        "{what} is no expression: {} in line {}, column {} of `{}`",
        problem.message,
        place.line + 1,
        place.column + 1,
        shown(text)
    )))
}

/// Code as it can stand behind a `=`.
fn code(what: &str, text: &str) -> Result<String, Error> {
    check_code(what, text)?;
    built(what, cim_nix_syntax::build::Value::Raw(text.to_owned()).render(0))
}

/// Code as it can stand in a list or as an argument.
fn code_element(what: &str, text: &str) -> Result<String, Error> {
    check_code(what, text)?;
    built(what, cim_nix_syntax::build::Value::Raw(text.to_owned()).render_element(0))
}

fn built(
    what: &str,
    text: Result<String, cim_nix_syntax::build::BuildError>,
) -> Result<String, Error> {
    text.map_err(|error| Error::user(format!("{what} cannot be written: {error}")))
}

/// A list of code; `what` names one element of it.
fn code_list(what: &str, texts: &[String]) -> Result<String, Error> {
    let mut out = String::from("[");
    for (at, text) in texts.iter().enumerate() {
        let what = format!("{what} {}", at + 1);
        check_is_path_if_it_looks_so(&what, text)?;
        out.push(' ');
        out.push_str(&code_element(&what, text)?);
    }
    out.push_str(" ]");
    Ok(out)
}

/// Refuses `hardware.nix`, which is code as well: an attribute of a name that nobody binds.
fn check_is_path_if_it_looks_so(what: &str, text: &str) -> Result<(), Error> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    let looks_so = text.trim().ends_with(".nix") && text.trim().chars().all(is_name);
    match looks_so {
        true => Err(Error::user(format!("{what} is no path: `{}`", shown(text)))
            .hint(format!("write `./{}` for a file beside the one that is made", text.trim()))),
        false => Ok(()),
    }
}

/// Lays a text out in the official style.
///
/// Errors: it does not parse, which is a mistake of whoever put it together.
fn laid_out(text: String) -> Result<String, Error> {
    let mut gate = Gate::default();
    let broken = |problems: &[cim_nix_base::Diagnostic]| {
        let why = problems.first().map(|problem| problem.message.to_string()).unwrap_or_default();
        Error::bug(format!("the file that was put together does not parse: {why}"))
    };
    let plain = text.clone() + "\n";
    let tree = match gate.read(text) {
        Ok(tree) => tree,
        Err(Refusal::Broken(problems)) => return Err(broken(&problems)),
        Err(Refusal::Formatter(_)) => return Ok(plain),
    };
    let problems = cim_nix_semantics::lower(&tree).problems;
    if !problems.is_empty() {
        return Err(broken(&problems));
    }
    if takes_long(&tree) {
        return Ok(plain);
    }
    let answer = nixfmt(tree.text(), Options::default());
    // What the formatter does not know how to lay out stays as it was put together.
    Ok(gate.judge(tree, "nixfmt", answer).map_or(plain, |formatted| formatted.text().to_owned()))
}

/// A text as this crate would lay it out, to be compared with what it did; `None` if that cannot be
/// said.
pub(crate) fn in_our_style(text: &str) -> Option<String> {
    let mut gate = Gate::default();
    let tree = gate.read(text).ok()?;
    if takes_long(&tree) {
        return None;
    }
    let answer = nixfmt(tree.text(), Options::default());
    gate.judge(tree, "nixfmt", answer).ok().map(|formatted| formatted.text().to_owned())
}

#[cfg(test)]
mod tests;
