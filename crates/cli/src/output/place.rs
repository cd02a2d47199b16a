//! How formats for platforms name files: from the folder that the platform counts from.

use std::env;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::Source;
use crate::scope::here;

/// The folder that the platform of a job counts paths from, if the job runs in it; else the
/// repository around the working folder, or that folder itself.
pub(super) fn base(variable: &str) -> PathBuf {
    let said = env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let said = said.and_then(|path| path.canonicalize().ok());
    said.filter(|path| here().starts_with(path)).unwrap_or_else(|| repository().to_path_buf())
}

/// The repository around the working folder, or that folder itself.
pub(super) fn repository() -> &'static Path {
    static ROOT: OnceLock<&Path> = OnceLock::new();
    ROOT.get_or_init(|| {
        here().ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(here())
    })
}

/// The path of a source from `base`, or whole where it lies elsewhere.
pub(super) fn path_from(base: &Path, source: &Source<'_>) -> String {
    match source.file {
        Some(file) => file.strip_prefix(base).unwrap_or(file).to_string_lossy().into_owned(),
        None => source.path.to_owned(),
    }
}

/// A path as part of a URI: every byte that has a meaning there is escaped.
pub(super) fn escaped(path: &Path) -> String {
    let mut out = String::new();
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            out.push(byte as char);
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The absolute URI of a folder.
pub(super) fn folder_uri(folder: &Path) -> String {
    let path = escaped(folder);
    let end = if path.ends_with('/') { "" } else { "/" };
    format!("file://{path}{end}")
}

/// Where the page of a rule can be read.
pub(super) fn rule_page(name: &str) -> String {
    format!("{}/blob/main/docs/rules/{name}.md", env!("CARGO_PKG_REPOSITORY"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_have_no_odd_bytes() {
        assert_eq!(escaped(Path::new("a b/λ%#?.nix")), "a%20b/%CE%BB%25%23%3F.nix");
        assert_eq!(folder_uri(Path::new("/")), "file:///");
        assert_eq!(folder_uri(Path::new("/a")), "file:///a/");
    }

    #[test]
    fn paths_count_from_the_base() {
        let path = |file: &'static str| Source::new("shown", "").at(Path::new(file));
        assert_eq!(path_from(Path::new("/p"), &path("/p/a.nix")), "a.nix");
        assert_eq!(path_from(Path::new("/p"), &path("/q/a.nix")), "/q/a.nix");
        assert_eq!(path_from(Path::new("/p"), &Source::new("shown", "")), "shown");
    }
}
