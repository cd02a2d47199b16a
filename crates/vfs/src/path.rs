//! Paths inside a root.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A path below a root: at least one component, all of them plain names.
///
/// In JSON it is a string, or the list of its bytes where they are not UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct RelPath(PathBuf);

impl RelPath {
    /// `None` for a path that is empty, absolute, or has `..`, a NUL or a leading `.` in it.
    pub(crate) fn new(path: &Path) -> Option<Self> {
        let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        let has_nul = path.as_os_str().as_bytes().contains(&0);
        let is_folder = path.as_os_str().as_bytes().ends_with(b"/");
        let fits = plain && !has_nul && !is_folder && !path.as_os_str().is_empty();
        // Collecting the components again drops doubled slashes, so that equal paths compare so.
        fits.then(|| Self(path.components().collect()))
    }

    pub(crate) fn as_path(&self) -> &Path {
        &self.0
    }

    /// The folder it is in; empty for the root.
    pub(crate) fn dir(&self) -> &Path {
        self.0.parent().unwrap_or(Path::new(""))
    }

    /// Another file in the same folder; `name` is a plain one.
    pub(crate) fn with_name(&self, name: &str) -> Self {
        Self(self.0.with_file_name(name))
    }

    pub(crate) fn name(&self) -> &OsStr {
        self.0.file_name().unwrap_or_default()
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Text(String),
    Bytes(Vec<u8>),
}

impl Serialize for RelPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_path(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for RelPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let path = read_path(deserializer)?;
        Self::new(&path).ok_or_else(|| {
            serde::de::Error::custom(format!("`{}` is not a path in the project", path.display()))
        })
    }
}

/// Writes any path, UTF-8 or not.
pub(crate) fn write_path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    match path.to_str() {
        Some(text) => serializer.serialize_str(text),
        None => Form::Bytes(path.as_os_str().as_bytes().to_vec()).serialize(serializer),
    }
}

/// Reads what [`write_path`] wrote.
pub(crate) fn read_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    Ok(match Form::deserialize(deserializer)? {
        Form::Text(text) => PathBuf::from(text),
        Form::Bytes(bytes) => PathBuf::from(OsString::from_vec(bytes)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_plain_paths_only() {
        for good in ["a", "a/b.nix", "a//b", "...", "a b"] {
            assert!(RelPath::new(Path::new(good)).is_some(), "{good}");
        }
        for bad in ["", ".", "..", "../a", "a/../b", "/a", "./a", "a/", "a\0b"] {
            assert!(RelPath::new(Path::new(bad)).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn splits_into_folder_and_name() {
        let path = RelPath::new(Path::new("a//b/c.nix")).unwrap();
        assert_eq!((path.dir(), path.name()), (Path::new("a/b"), OsStr::new("c.nix")));
        assert_eq!(RelPath::new(Path::new("c")).unwrap().dir(), Path::new(""));
    }

    #[test]
    fn survives_json_whatever_its_bytes() {
        for bytes in [&b"a/\xce\xbb"[..], b"a/\xff"] {
            let path = RelPath::new(Path::new(OsStr::from_bytes(bytes))).unwrap();
            let json = serde_json::to_string(&path).unwrap();
            assert_eq!(serde_json::from_str::<RelPath>(&json).unwrap(), path);
        }
        assert!(serde_json::from_str::<RelPath>("\"../a\"").is_err());
    }
}
