//! In what the versions of nixpkgs' library differ when they document options.

use std::path::Path;

use cim_nix_eval::{Evaluation, Handle, Look};

/// What the library does that made the options.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Dialect {
    /// Whether the empty value of a type is shown as the default where there is no other.
    pub(crate) has_empty_defaults: bool,
    /// Whether any `<word>` is a placeholder, which gets no quotes; else those that are known.
    any_placeholder: bool,
    /// Whether names that are keywords get quotes.
    quotes_keywords: bool,
    /// Whether `or`, which is one in some places only, counts among them.
    quotes_or: bool,
}

impl Default for Dialect {
    /// The newest.
    fn default() -> Self {
        Self {
            has_empty_defaults: true,
            any_placeholder: true,
            quotes_keywords: true,
            quotes_or: true,
        }
    }
}

const PLACEHOLDERS: [&str; 3] = ["<name>", "*", "<function body>"];
const KEYWORDS: [&str; 9] = ["assert", "else", "if", "in", "inherit", "let", "rec", "then", "with"];

/// Has the library document an option that answers all questions. The library is the one
/// where the option's `_type` was written.
const QUESTION: &str = r#"
let
  place = builtins.unsafeGetAttrPos "_type" option;
  folder = dirOf place.file;
  lib = import (/. + folder);
  isLibrary = baseNameOf place.file == "options.nix" && baseNameOf folder == "lib";
  answers = lib.optionAttrSetToDocList {
    _type = "option";
    loc = [ "<?>" "if" "or" ];
    declarations = [ ];
    type = {
      description = "";
      emptyValue.value = [ ];
      getSubOptions = _: { };
    };
  };
in
if place == null || !isLibrary then null else builtins.head answers
"#;

impl Dialect {
    /// The dialect of the library that made an option; the newest where that cannot be told.
    pub(crate) fn of(evaluation: &Evaluation, option: Handle<'_>) -> Self {
        let ask = || {
            let scope = [("option".to_owned(), option)];
            let answer = evaluation.text_in(QUESTION, Path::new("/"), &scope)?;
            let Some(name) = evaluation.attr(answer, "name")? else { return Ok(None) };
            let Look::String(name) = evaluation.look(name)? else { return Ok(None) };
            let has_empty_defaults = evaluation.attr(answer, "default")?.is_some();
            Ok::<_, Box<cim_nix_eval::EvalError>>(Some(Self {
                has_empty_defaults,
                any_placeholder: name.starts_with('<'),
                quotes_keywords: name.contains(".\"if\"."),
                quotes_or: name.ends_with(".\"or\""),
            }))
        };
        // Whatever goes wrong there: it is not the library that is known.
        ask().ok().flatten().unwrap_or_default()
    }

    /// A part of an option's name.
    pub(crate) fn part(self, part: &str) -> String {
        let is_placeholder = match self.any_placeholder {
            true => part == "*" || (part.starts_with('<') && part.ends_with('>')),
            false => PLACEHOLDERS.contains(&part),
        };
        if is_placeholder { part.to_owned() } else { self.name(part) }
    }

    /// An option's name.
    pub(crate) fn full_name(self, loc: &[String]) -> String {
        loc.iter().map(|part| self.part(part)).collect::<Vec<_>>().join(".")
    }

    /// The name of an attribute, in quotes where it must be.
    pub(crate) fn name(self, name: &str) -> String {
        let is_start = |c: u8| c.is_ascii_alphabetic() || c == b'_';
        let is_part = |c: u8| is_start(c) || c.is_ascii_digit() || matches!(c, b'\'' | b'-');
        let is_plain = name.bytes().next().is_some_and(is_start)
            && name.bytes().all(is_part)
            && !(self.quotes_keywords && KEYWORDS.contains(&name))
            && !(self.quotes_or && name == "or");
        if is_plain {
            return name.to_owned();
        }
        serde_json::Value::from(name).to_string().replace('$', "\\$")
    }
}
