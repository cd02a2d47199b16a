//! Which outputs of a derivation are meant: what stands behind the `^` of an installable.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::store_path::check_name;

/// Why a text names no outputs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutputsError {
    text: String,
    why: String,
}

impl fmt::Display for OutputsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid extended outputs specifier '{}': {}", self.text, self.why)
    }
}

impl std::error::Error for OutputsError {}

/// Outputs of a derivation: those that it installs by default, all of them, or some by name.
///
/// The text is empty, `^*`, or `^` and names with commas between; in JSON it is that text. Names
/// are sorted and stand there once.
///
/// ```
/// # use cim_nix_model::Outputs;
/// let (installable, outputs) = Outputs::split("nixpkgs#hello^man,dev")?;
/// assert_eq!((installable, outputs.to_string()), ("nixpkgs#hello", "^dev,man".to_owned()));
/// # Ok::<(), cim_nix_model::OutputsError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Outputs(Meant);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
enum Meant {
    #[default]
    Default,
    All,
    /// At least one.
    Named(BTreeSet<String>),
}

impl Outputs {
    /// Those that a derivation installs by default.
    pub const DEFAULT: Self = Self(Meant::Default);
    /// All of them.
    pub const ALL: Self = Self(Meant::All);

    /// Those with these names.
    ///
    /// Errors: there are none, or one may not be the name of an output.
    pub fn named<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<Self, OutputsError> {
        let names: BTreeSet<String> = names.into_iter().map(str::to_owned).collect();
        let why = match names.iter().find_map(|name| check_name(name).err()) {
            Some(error) => error.to_string(),
            None if names.is_empty() => "there are none".to_owned(),
            None => return Ok(Self(Meant::Named(names))),
        };
        let text = names.into_iter().collect::<Vec<_>>().join(",");
        Err(OutputsError { text: format!("^{text}"), why })
    }

    /// Takes them off the end of what somebody typed: what stands behind the last `^`.
    ///
    /// Errors: there is a `^`, but no outputs behind it.
    pub fn split(typed: &str) -> Result<(&str, Self), OutputsError> {
        let Some((before, names)) = typed.rsplit_once('^') else {
            return Ok((typed, Self::DEFAULT));
        };
        if names == "*" {
            return Ok((before, Self::ALL));
        }
        match Self::named(names.split(',')) {
            Ok(outputs) => Ok((before, outputs)),
            Err(error) => Err(OutputsError { text: typed.to_owned(), ..error }),
        }
    }

    /// Whether they are those that a derivation installs by default.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.0 == Meant::Default
    }

    /// Whether they are all that a derivation has.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0 == Meant::All
    }

    /// The names, sorted; none where they follow from the derivation.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names = match &self.0 {
            Meant::Named(names) => Some(names),
            Meant::Default | Meant::All => None,
        };
        names.into_iter().flatten().map(String::as_str)
    }
}

impl fmt::Display for Outputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Meant::Default => Ok(()),
            Meant::All => f.write_str("^*"),
            Meant::Named(names) => names.iter().enumerate().try_for_each(|(at, name)| {
                let sign = if at == 0 { '^' } else { ',' };
                write!(f, "{sign}{name}")
            }),
        }
    }
}

impl FromStr for Outputs {
    type Err = OutputsError;

    fn from_str(text: &str) -> Result<Self, OutputsError> {
        match Self::split(text)? {
            ("", outputs) => Ok(outputs),
            (before, _) => {
                let why = format!("'{before}' stands before them");
                Err(OutputsError { text: text.to_owned(), why })
            }
        }
    }
}

impl TryFrom<String> for Outputs {
    type Error = OutputsError;

    fn try_from(text: String) -> Result<Self, OutputsError> {
        text.parse()
    }
}

impl From<Outputs> for String {
    fn from(outputs: Outputs) -> Self {
        outputs.to_string()
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(typed: &str, want: Expect) {
        want.assert_eq(&match Outputs::split(typed) {
            Ok((before, outputs)) => format!("{before}|{outputs}"),
            Err(error) => error.to_string(),
        });
    }

    #[test]
    fn outputs_stand_behind_the_last_caret() {
        check("", expect!["|"]);
        check("a", expect!["a|"]);
        check("a^*", expect!["a|^*"]);
        check("a^out", expect!["a|^out"]);
        check("a^b^out,dev,out", expect!["a^b|^dev,out"]);
        check("^a=?+._-", expect!["|^a=?+._-"]);
        check("^.a", expect!["|^.a"]);
    }

    /// Nix 2.34.8 refuses all of these, too.
    #[test]
    fn what_names_no_outputs_is_refused() {
        check("a^", expect!["invalid extended outputs specifier 'a^': name must not be empty"]);
        check("a^,", expect!["invalid extended outputs specifier 'a^,': name must not be empty"]);
        check(
            "a^out,",
            expect!["invalid extended outputs specifier 'a^out,': name must not be empty"],
        );
        check(
            "a^o t",
            expect![
                "invalid extended outputs specifier 'a^o t': name 'o t' contains illegal character ' '"
            ],
        );
        check(
            "a^*,out",
            expect![
                "invalid extended outputs specifier 'a^*,out': name '*' contains illegal character '*'"
            ],
        );
        check(
            "a^out#b",
            expect![
                "invalid extended outputs specifier 'a^out#b': name 'out#b' contains illegal character '#'"
            ],
        );
        check("a^.", expect!["invalid extended outputs specifier 'a^.': name '.' is not valid"]);
        check(
            "a^a,..",
            expect!["invalid extended outputs specifier 'a^a,..': name '..' is not valid"],
        );
        check(
            "a^.-a",
            expect![
                "invalid extended outputs specifier 'a^.-a': name '.-a' is not valid: first dash-separated component must not be '.'"
            ],
        );
        assert!(Outputs::named([]).is_err());
        expect!["invalid extended outputs specifier 'a^out': 'a' stands before them"]
            .assert_eq(&"a^out".parse::<Outputs>().unwrap_err().to_string());
    }

    #[test]
    fn outputs_are_texts_in_json() {
        let named = Outputs::named(["out", "dev"]).unwrap();
        assert_eq!(named.names().collect::<Vec<_>>(), ["dev", "out"]);
        for (outputs, json) in
            [(named, r#""^dev,out""#), (Outputs::ALL, r#""^*""#), (Outputs::DEFAULT, r#""""#)]
        {
            assert_eq!(serde_json::to_string(&outputs).unwrap(), json);
            assert_eq!(serde_json::from_str::<Outputs>(json).unwrap(), outputs);
        }
        assert!(serde_json::from_str::<Outputs>(r#""^""#).is_err());
    }
}
