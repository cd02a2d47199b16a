//! Whether a path stays in a folder, whatever links are on the way.

use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// How many links one path may go through, as Linux has it.
const MAX_LINKS: usize = 40;

/// Where an absolute path leads to in the end, all links followed, that of the last name included.
/// What is not there has no links.
///
/// Nothing for a path that is relative, or goes round in links.
#[must_use]
pub fn settled(path: &Path) -> Option<PathBuf> {
    if !path.is_absolute() {
        return None;
    }
    let names = |path: &Path| -> Vec<OsString> {
        let parts = path.components().rev().filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        });
        parts.collect()
    };
    let mut todo = names(path);
    let mut at = PathBuf::from("/");
    let mut n_links = 0;
    while let Some(name) = todo.pop() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&name);
        match fs::read_link(&next) {
            Ok(target) => {
                n_links += 1;
                if n_links > MAX_LINKS {
                    return None;
                }
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                todo.extend(names(&target));
            }
            // It is no link, or not there, or nobody may look: what opens it would fail as well.
            Err(_) => at = next,
        }
    }
    Some(at)
}

/// Whether an absolute path is in one of `folders`, as it is written and where it leads to. They are
/// absolute and without links.
///
/// A path that is written otherwise is answered without a look at the disk, so the answer tells
/// nothing of what is there.
pub fn is_within<'f>(path: &Path, folders: impl IntoIterator<Item = &'f Path> + Clone) -> bool {
    let is_in = |path: &Path| folders.clone().into_iter().any(|folder| path.starts_with(folder));
    let is_plain = !path.components().any(|part| part == Component::ParentDir);
    is_plain && is_in(path) && settled(path).is_some_and(|path| is_in(&path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_and_dots_do_not_lead_out() {
        let scene = tempfile::tempdir().unwrap();
        let top = scene.path().canonicalize().unwrap();
        let root = top.join("root");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::create_dir(top.join("root-2")).unwrap();
        for (target, name) in [
            ("a/b", "inner"),
            ("../root-2", "outer"),
            ("/etc/passwd", "file"),
            ("../root-2/not-there", "dangling"),
            ("loop", "loop"),
            ("a/../../root/a", "round"),
            ("inner/../../..", "up"),
        ] {
            symlink(target, root.join(name)).unwrap();
        }
        let check = |path: &str, want: bool| {
            assert_eq!(is_within(&root.join(path), [root.as_path()]), want, "{path}");
        };
        check("", true);
        check("a/b/c", true);
        check("not/there/yet", true);
        check("inner/x", true);
        check("round/b", true);
        check("outer", false);
        check("outer/x", false);
        check("file", false);
        check("dangling", false);
        check("loop", false);
        check("up", false);
        check("../root", false);
        check("a/../a", false);
        check("/etc/passwd", false);
        check("../root-2", false);
        assert!(!is_within(Path::new("a"), [root.as_path()]));
        assert_eq!(
            settled(&root.join("up")),
            Some(top.parent().unwrap().join(top.file_name().unwrap()))
        );
    }
}
