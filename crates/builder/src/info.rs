//! What a store knows of its paths.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use cim_nix_base::Error;
use serde_json::{Map, Value};

use crate::nix::{Control, Nix, checked};
use crate::outcome::Outcome;
use crate::programs::{Tool, Version};

/// The first version that wants to be told which JSON it is to print.
const WITH_FORMATS: Version = Version { major: 2, minor: 34 };

/// What a store knows of a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PathInfo {
    /// The path.
    pub path: String,
    /// The hash of its archive, `sha256-` and base 64.
    pub nar_hash: String,
    /// Bytes of its archive.
    pub nar_size: u64,
    /// Bytes of the archives of all that it refers to, directly or not, and of itself.
    pub closure_size: Option<u64>,
    /// The paths that it refers to.
    pub references: Vec<String>,
    /// The derivation that made it, if that is known.
    pub deriver: Option<String>,
    /// The signatures, `NAME:BASE64`.
    pub signatures: Vec<String>,
    /// Bytes of the compressed archive, in a binary cache.
    pub download_size: Option<u64>,
}

/// How far to ask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    /// Whether what the paths refer to is asked for, too.
    pub(crate) recursive: bool,
    /// Whether all that a path refers to is measured. That takes long with stores on the network.
    pub(crate) closure_size: bool,
}

/// What is known of each path; nothing of one that is not there.
pub(crate) type Infos = Vec<(String, Option<PathInfo>)>;

impl Nix {
    /// What the store that is set, or the one at the URL `store`, knows of `paths`; `recursive` adds
    /// what they refer to.
    ///
    /// Shape: in the order in which Nix tells.
    /// Errors: a path is not in the store, or the store cannot be reached.
    pub fn path_info(
        &self,
        store: Option<&str>,
        paths: &[String],
        recursive: bool,
    ) -> Result<Vec<PathInfo>, Error> {
        let scope = Scope { recursive, closure_size: true };
        let found = self.query_info(store, paths, scope)?;
        // Older versions say of a path that is not there that it is not valid, and succeed.
        if let Some((path, _)) = found.iter().find(|(_, info)| info.is_none()) {
            return Err(Error::user(format!("the store {} has no path `{path}`", name_of(store))));
        }
        Ok(found.into_iter().filter_map(|(_, info)| info).collect())
    }

    /// The same of those of `paths` that are there.
    ///
    /// Errors: the store cannot be reached.
    pub fn present(&self, store: Option<&str>, paths: &[String]) -> Result<Vec<PathInfo>, Error> {
        let scope = Scope { recursive: false, closure_size: true };
        let there = self.query_info(store, paths, scope)?;
        Ok(there.into_iter().filter_map(|(_, info)| info).collect())
    }

    pub(crate) fn query_info(
        &self,
        store: Option<&str>,
        paths: &[String],
        scope: Scope,
    ) -> Result<Infos, Error> {
        let never = AtomicBool::new(false);
        let mut say = |_| {};
        let mut control = Control::new(&never, &mut say);
        self.infos(store, paths, scope, None, &mut control)?.map_err(|outcome| {
            let what = format!("cannot ask the store {} for its paths", name_of(store));
            match outcome {
                Outcome::Failed { reason, .. } => Error::outside(format!("{what}: {reason}")),
                _ => Error::outside(what),
            }
        })
    }

    /// The same, until it is stopped: then it says how it ended.
    pub(crate) fn infos(
        &self,
        store: Option<&str>,
        paths: &[String],
        scope: Scope,
        until: Option<Instant>,
        control: &mut Control<'_>,
    ) -> Result<Result<Infos, Outcome>, Error> {
        if paths.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        let words = ["path-info", "--json", "--size"];
        let mut invocation = self.tool(Tool::Nix, &words)?;
        if self.programs().version(Tool::Nix).is_some_and(|version| version >= WITH_FORMATS) {
            invocation = invocation.args(["--json-format", "1"]);
        }
        if let Some(store) = store {
            checked(store, "the store")?;
            invocation = invocation.args(["--store", store]);
        }
        if scope.recursive {
            invocation = invocation.arg("--recursive");
        }
        if scope.closure_size {
            invocation = invocation.arg("--closure-size");
        }
        for path in paths {
            checked(path, "the path")?;
        }
        invocation = invocation.args(paths);
        let done = self.call(&invocation, until, control)?;
        if !done.ended.is_success() {
            return Ok(Err(Outcome::of(done.ended, || done.reason())));
        }
        let infos = parse(&done.output).ok_or_else(|| {
            Error::outside("cannot understand what `nix path-info --json` says")
                .hint(format!("this was run: {invocation}"))
        })?;
        Ok(Ok(infos))
    }
}

pub(crate) fn name_of(store: Option<&str>) -> String {
    store.map_or_else(|| "of this machine".to_owned(), |store| format!("`{store}`"))
}

/// Reads any form of the answer: a list, an object by path, or one with a version around it. A path
/// that is not in the store has no information.
fn parse(text: &str) -> Option<Infos> {
    let value: Value = serde_json::from_str(text).ok()?;
    let infos = match &value {
        Value::Array(list) => {
            let named = |info: &Value| Some((info["path"].as_str()?.to_owned(), info.clone()));
            return list.iter().map(|info| of(named(info)?, None)).collect();
        }
        Value::Object(object) => object.get("info").and_then(Value::as_object).unwrap_or(object),
        _ => return None,
    };
    let store_dir = value["storeDir"].as_str();
    infos.iter().map(|(path, info)| of((path.clone(), info.clone()), store_dir)).collect()
}

fn of(
    (path, info): (String, Value),
    store_dir: Option<&str>,
) -> Option<(String, Option<PathInfo>)> {
    let object: &Map<String, Value> = match &info {
        Value::Null => return Some((path, None)),
        Value::Object(object) if object.get("valid") == Some(&Value::Bool(false)) => {
            return Some((path, None));
        }
        Value::Object(object) => object,
        _ => return None,
    };
    let store_dir = object.get("storeDir").and_then(Value::as_str).or(store_dir);
    // The newest form has names of paths without the folder of the store.
    let whole = |name: &str| match store_dir {
        Some(folder) if !name.starts_with('/') => format!("{folder}/{name}"),
        _ => name.to_owned(),
    };
    let texts = |name: &str| {
        let list = object.get(name).and_then(Value::as_array);
        let texts = list.into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect::<Vec<_>>()
    };
    let number = |name: &str| object.get(name).and_then(Value::as_u64);
    let references = texts("references").iter().map(|name| whole(name)).collect();
    let info = PathInfo {
        path: whole(&path),
        nar_hash: object.get("narHash")?.as_str()?.to_owned(),
        nar_size: number("narSize")?,
        closure_size: number("closureSize"),
        references,
        deriver: object.get("deriver").and_then(Value::as_str).map(whole),
        signatures: texts("signatures"),
        download_size: number("downloadSize"),
    };
    Some((whole(&path), Some(info)))
}

/// Whether a text is the path of a derivation.
pub(crate) fn is_derivation(path: &str) -> bool {
    path.starts_with('/') && Path::new(path).extension().is_some_and(|end| end == "drv")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_says_the_same() {
        let list = r#"[{"path":"/s/a-x","narHash":"sha256-A=","narSize":120,"references":["/s/b-y"],
            "closureSize":240,"deriver":"/s/c-x.drv","registrationTime":1,"ultimate":true}]"#;
        let object = r#"{"/s/a-x":{"ca":null,"closureSize":240,"deriver":"/s/c-x.drv","narHash":
            "sha256-A=","narSize":120,"references":["/s/b-y"],"signatures":[],"storeDir":"/s"}}"#;
        let newest = r#"{"version":3,"storeDir":"/s","info":{"a-x":{"closureSize":240,"deriver":
            "c-x.drv","narHash":"sha256-A=","narSize":120,"references":["b-y"]}}}"#;
        let want = PathInfo {
            path: "/s/a-x".to_owned(),
            nar_hash: "sha256-A=".to_owned(),
            nar_size: 120,
            closure_size: Some(240),
            references: vec!["/s/b-y".to_owned()],
            deriver: Some("/s/c-x.drv".to_owned()),
            signatures: Vec::new(),
            download_size: None,
        };
        for text in [list, object, newest] {
            assert_eq!(parse(text).unwrap(), [("/s/a-x".to_owned(), Some(want.clone()))], "{text}");
        }
    }

    #[test]
    fn what_is_not_there_is_told_from_what_makes_no_sense() {
        let missing = vec![("/s/a-x".to_owned(), None)];
        assert_eq!(parse(r#"[{"path":"/s/a-x","valid":false}]"#).unwrap(), missing);
        assert_eq!(parse(r#"{"/s/a-x":null}"#).unwrap(), missing);
        for text in ["", "7", "[7]", r#"{"/s/a-x":7}"#, r#"[{"path":"/s/a-x"}]"#] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
