//! A derivation as other services know it: what is run, and what comes of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Derivation;

/// Which text of a derivation is not UTF-8, so that JSON cannot say it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotUtf8 {
    drv_path: String,
    part: String,
}

impl fmt::Display for NotUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of derivation '{}' is not UTF-8", self.part, self.drv_path)
    }
}

impl std::error::Error for NotUtf8 {}

/// A derivation in messages. Unlike [`Derivation`], it knows its own path, and nothing of what it
/// needs; its texts are UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct DerivationView {
    /// The path of the derivation, with the store's folder.
    pub drv_path: String,
    /// The paths of its outputs by name; empty where one is known after the build only.
    pub outputs: BTreeMap<String, String>,
    /// The system that it is built on.
    pub system: String,
    /// The program that builds it.
    pub builder: String,
    /// The arguments of the program.
    pub args: Vec<String>,
    /// The environment of the program.
    pub env: BTreeMap<String, String>,
}

impl DerivationView {
    /// What there is to say of a derivation with this path.
    ///
    /// Errors: a text of it is not UTF-8.
    pub fn new(derivation: &Derivation, drv_path: impl Into<String>) -> Result<Self, NotUtf8> {
        let drv_path = drv_path.into();
        let text = |bytes: &[u8], part: &dyn Fn() -> String| match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err(NotUtf8 { drv_path: drv_path.clone(), part: part() }),
        };
        let mut args = Vec::with_capacity(derivation.arguments.len());
        for (at, argument) in derivation.arguments.iter().enumerate() {
            args.push(text(argument, &|| format!("argument {}", at + 1))?);
        }
        let mut env = BTreeMap::new();
        for (name, value) in &derivation.environment {
            let name = text(name, &|| {
                let shown = String::from_utf8_lossy(name);
                format!("the name of variable '{shown}'")
            })?;
            let value = text(value, &|| format!("variable '{name}'"))?;
            env.insert(name, value);
        }
        let builder = text(&derivation.builder, &|| "the builder".to_owned())?;
        let outputs = derivation.outputs.iter();
        let outputs = outputs.map(|(name, output)| {
            (name.clone(), output.path().map(str::to_owned).unwrap_or_default())
        });
        Ok(Self {
            outputs: outputs.collect(),
            system: derivation.system.clone(),
            drv_path,
            builder,
            args,
            env,
        })
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::Output;

    fn sample() -> Derivation {
        let mut derivation = Derivation {
            system: "x86_64-linux".to_owned(),
            builder: b"/bin/sh".to_vec(),
            arguments: vec![b"-c".to_vec(), "echo é > $out".into()],
            ..Derivation::default()
        };
        derivation.outputs.insert("dev".to_owned(), Output::Deferred);
        let out = Output::InputAddressed("/nix/store/x-a".to_owned());
        derivation.outputs.insert("out".to_owned(), out);
        derivation.environment.insert("name".into(), "a".into());
        derivation
    }

    #[test]
    fn derivations_are_objects_in_json() {
        let view = DerivationView::new(&sample(), "/nix/store/y-a.drv").unwrap();
        let json = serde_json::to_string_pretty(&view).unwrap();
        expect![[r#"
            {
              "drv_path": "/nix/store/y-a.drv",
              "outputs": {
                "dev": "",
                "out": "/nix/store/x-a"
              },
              "system": "x86_64-linux",
              "builder": "/bin/sh",
              "args": [
                "-c",
                "echo é > $out"
              ],
              "env": {
                "name": "a"
              }
            }"#]]
        .assert_eq(&json);
        assert_eq!(serde_json::from_str::<DerivationView>(&json).unwrap(), view);
    }

    #[test]
    fn what_is_not_utf8_is_named() {
        let error = |change: fn(&mut Derivation)| {
            let mut derivation = sample();
            change(&mut derivation);
            DerivationView::new(&derivation, "/nix/store/y-a.drv").unwrap_err().to_string()
        };
        expect!["the builder of derivation '/nix/store/y-a.drv' is not UTF-8"]
            .assert_eq(&error(|drv| drv.builder = b"a\xff".to_vec()));
        expect!["argument 2 of derivation '/nix/store/y-a.drv' is not UTF-8"]
            .assert_eq(&error(|drv| drv.arguments[1] = b"a\xff".to_vec()));
        expect!["variable 'x' of derivation '/nix/store/y-a.drv' is not UTF-8"].assert_eq(&error(
            |drv| {
                drv.environment.insert(b"x".to_vec(), b"a\xff".to_vec());
            },
        ));
        expect!["the name of variable 'a�' of derivation '/nix/store/y-a.drv' is not UTF-8"]
            .assert_eq(&error(|drv| {
                drv.environment.insert(b"a\xff".to_vec(), Vec::new());
            }));
    }
}
