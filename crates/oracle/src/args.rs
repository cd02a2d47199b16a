//! Reads `--name value` options.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use cim_nix_base::Error;

/// The options of one call: every option takes one value.
pub(crate) struct Args {
    values: BTreeMap<String, String>,
}

impl Args {
    /// Reads `--name value` pairs; only names in `known` are allowed.
    ///
    /// Errors: an unknown option, a missing value, an argument that is no option.
    pub(crate) fn read(raw: impl Iterator<Item = OsString>, known: &[&str]) -> Result<Self, Error> {
        let mut values = BTreeMap::new();
        let mut raw = raw.map(|arg| arg.to_string_lossy().into_owned());
        while let Some(arg) = raw.next() {
            let name = arg.strip_prefix("--").filter(|name| known.contains(name));
            let Some(name) = name else {
                let all: Vec<String> = known.iter().map(|name| format!("--{name}")).collect();
                return Err(Error::user(format!("unknown argument `{arg}`"))
                    .hint(format!("this command takes {}", all.join(", "))));
            };
            let Some(value) = raw.next() else {
                return Err(Error::user(format!("`--{name}` wants a value")));
            };
            values.insert(name.to_owned(), value);
        }
        Ok(Self { values })
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    pub(crate) fn path(&self, name: &str) -> Result<PathBuf, Error> {
        self.text(name)
            .map(PathBuf::from)
            .ok_or_else(|| Error::user(format!("`--{name} PATH` is missing")))
    }

    pub(crate) fn number(&self, name: &str, default: u64) -> Result<u64, Error> {
        match self.text(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|_| Error::user(format!("`--{name}` wants a number, got `{text}`"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(raw: &[&str]) -> Result<Args, Error> {
        Args::read(raw.iter().map(OsString::from), &["seed", "out"])
    }

    #[test]
    fn reads_pairs_and_defaults() {
        let args = args(&["--seed", "7"]).unwrap();
        assert_eq!(args.number("seed", 1).unwrap(), 7);
        assert_eq!(args.number("count", 3).unwrap(), 3);
        assert!(args.path("out").is_err());
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        assert!(args(&["--sead", "7"]).is_err());
        assert!(args(&["7"]).is_err());
        assert!(args(&["--seed"]).is_err());
        assert!(args(&["--seed", "x"]).unwrap().number("seed", 1).is_err());
    }
}
