//! Registries: what names such as `nixpkgs` stand for.

use serde_json::Value;

use crate::flake_ref::FlakeRefError;
use crate::{FlakeRef, RefAttr};

/// An entry: one reference stands for another one.
#[derive(Clone, Debug)]
struct Entry {
    from: FlakeRef,
    to: FlakeRef,
    /// Whether references with another branch or commit are not meant.
    is_exact: bool,
}

/// A registry.
#[derive(Clone, Default, Debug)]
pub struct Registry {
    entries: Vec<Entry>,
}

impl Registry {
    /// Reads a registry's text.
    ///
    /// Errors: it is broken or of an unknown version.
    pub fn parse(text: &str) -> Result<Self, String> {
        let json: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if json["version"].as_u64() != Some(2) {
            return Err(format!("it has unsupported version {}", json["version"]));
        }
        let mut registry = Self::default();
        for entry in json["flakes"].as_array().into_iter().flatten() {
            let part = |name: &str| FlakeRef::from_json(&entry[name]).map_err(|e| e.to_string());
            let is_exact = entry["exact"].as_bool().unwrap_or(false);
            registry.entries.push(Entry { from: part("from")?, to: part("to")?, is_exact });
        }
        Ok(registry)
    }

    /// Adds an entry; those before it win.
    pub fn add(&mut self, from: FlakeRef, to: FlakeRef) {
        self.entries.push(Entry { from, to, is_exact: false });
    }

    /// What a reference stands for here. A branch or commit that it names and the entry does not
    /// is wanted of the source that the entry leads to.
    ///
    /// Errors: that source has no branches or commits.
    pub fn find(&self, wanted: &FlakeRef) -> Result<Option<FlakeRef>, FlakeRefError> {
        for Entry { from, to, is_exact } in &self.entries {
            if from.source() == wanted.source() {
                return Ok(Some(to.clone()));
            }
            let mut plain = wanted.clone();
            plain.remove("ref");
            plain.remove("rev");
            if !is_exact && from.source() == plain.source() {
                return to.clone().with_version(wanted.text("ref"), wanted.text("rev")).map(Some);
            }
        }
        Ok(None)
    }
}

impl FlakeRef {
    /// The same source at another branch or commit.
    ///
    /// Errors: such sources have none.
    fn with_version(
        mut self,
        name: Option<&str>,
        rev: Option<&str>,
    ) -> Result<Self, FlakeRefError> {
        let text = |value: &str| RefAttr::Text(value.to_owned());
        match self.kind() {
            "indirect" | "git" | "hg" => {
                for (attr, value) in [("ref", name), ("rev", rev)] {
                    if let Some(value) = value {
                        self.set(attr, text(value));
                    }
                }
                if self.kind() == "git" && self.text("rev").is_some() && self.text("ref").is_none()
                {
                    let message =
                        format!("Git input '{self}' has a commit hash but no branch/tag name");
                    return Err(FlakeRefError::new(message));
                }
            }
            "github" | "gitlab" | "sourcehut" => {
                if let (Some(name), Some(rev)) = (name, rev) {
                    let message = format!(
                        "cannot apply both a commit hash ({rev}) and a branch/tag name ('{name}') to input '{self}'"
                    );
                    return Err(FlakeRefError::new(message));
                }
                for (attr, other, value) in [("ref", "rev", name), ("rev", "ref", rev)] {
                    if let Some(value) = value {
                        self.remove(other);
                        self.set(attr, text(value));
                    }
                }
            }
            _ => {
                let (what, value) = match (name, rev) {
                    (Some(name), _) => ("branch/tag name", name),
                    (None, Some(rev)) => ("revision", rev),
                    (None, None) => return Ok(self),
                };
                let message =
                    format!("don't know how to set {what} of input '{self}' to '{value}'");
                return Err(FlakeRefError::new(message));
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"version":2,"flakes":[
      {"from":{"type":"indirect","id":"nixpkgs"},"to":{"type":"github","owner":"NixOS","repo":"nixpkgs","ref":"unstable"}},
      {"from":{"type":"indirect","id":"one"},"exact":true,"to":{"type":"path","path":"/one"}},
      {"from":{"type":"indirect","id":"two"},"to":{"type":"path","path":"/two","dir":"d"}},
      {"from":{"type":"indirect","id":"g"},"to":{"type":"git","url":"file:///g","ref":"r"}}]}"#;

    fn found(url: &str) -> String {
        let wanted = FlakeRef::parse(url).unwrap();
        let found = Registry::parse(TEXT).unwrap().find(&wanted);
        found
            .map(|found| found.map_or("-".to_owned(), |f| f.to_string()))
            .unwrap_or_else(|e| e.to_string())
    }

    #[test]
    fn names_lead_to_references() {
        let rev = "0123456789012345678901234567890123456789";
        assert_eq!(found("nixpkgs"), "github:NixOS/nixpkgs/unstable");
        assert_eq!(found("nixpkgs/24.05"), "github:NixOS/nixpkgs/24.05");
        assert_eq!(found(&format!("nixpkgs/{rev}")), format!("github:NixOS/nixpkgs/{rev}"));
        assert_eq!(found("one"), "path:/one");
        assert_eq!(found("one/x"), "-");
        assert_eq!(found("two"), "path:/two?dir=d");
        assert_eq!(
            found("two/x"),
            "don't know how to set branch/tag name of input 'path:/two?dir=d' to 'x'"
        );
        assert_eq!(found(&format!("g/{rev}")), format!("git+file:///g?ref=r&rev={rev}"));
        assert_eq!(found("other"), "-");
    }

    #[test]
    fn broken_registries_are_told() {
        assert!(Registry::parse("{").is_err());
        assert!(Registry::parse(r#"{"version":1}"#).unwrap_err().contains("version 1"));
        assert!(Registry::parse(r#"{"version":2,"flakes":[{}]}"#).is_err());
    }
}
