//! Which lines of which files are formatted: those of a range, or those that changed since a commit.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use cim_nix_base::Error;

use crate::git::Repository;
use crate::scope::{here, shown};

/// The lines that are formatted, counted from 0.
#[derive(Clone, Debug, Default)]
pub(crate) enum Lines {
    /// All of every file.
    #[default]
    All,
    /// These, of every file.
    Some(Vec<RangeInclusive<u32>>),
    /// Those that changed.
    Changed(ChangedLines),
}

/// The lines that changed in each file; `None` for files that are new. Other files did not change.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct ChangedLines(HashMap<PathBuf, Option<Vec<RangeInclusive<u32>>>>);

impl Lines {
    /// The lines of the file at `path`; `None` for all of them.
    pub(crate) fn of(&self, path: &Path) -> Option<&[RangeInclusive<u32>]> {
        match self {
            Self::All => None,
            Self::Some(lines) => Some(lines),
            Self::Changed(ChangedLines(files)) => match files.get(path) {
                Some(lines) => lines.as_deref(),
                None => Some(&[]),
            },
        }
    }
}

impl ChangedLines {
    /// What changed since `rev` in the repository that holds all of `folders`, files that Git does
    /// not know included.
    ///
    /// Errors: there is no repository, or there are several; no such commit, or no `git`.
    pub(crate) fn since(rev: &str, folders: &[PathBuf]) -> Result<Self, Error> {
        let repository = the_repository(folders)?;
        let commit = repository.commit(rev)?;
        let diff = repository.answer(&[
            "diff",
            "--no-color",
            "--no-ext-diff",
            "--no-textconv",
            "--no-relative",
            "-M",
            "--unified=0",
            "--src-prefix=a/",
            "--dst-prefix=b/",
            &commit,
            "--",
        ])?;
        // Texts that are not UTF-8 are not formatted, and names like that are as good as unknown.
        let mut changed = Self::parse(&String::from_utf8_lossy(&diff), &repository.top);
        changed.0.extend(repository.untracked()?.into_iter().map(|path| (path, None)));
        Ok(changed)
    }

    /// Reads a diff without context.
    fn parse(diff: &str, top: &Path) -> Self {
        let mut files: HashMap<PathBuf, Option<Vec<_>>> = HashMap::new();
        let mut lines: Option<&mut Vec<RangeInclusive<u32>>> = None;
        // Lines of code may look like headers; they are counted off.
        let mut left = 0;
        for line in diff.lines() {
            if left > 0 && matches!(line.as_bytes().first(), Some(b'+' | b'-')) {
                left -= 1;
            } else if let Some(name) = line.strip_prefix("+++ ") {
                let name = unquoted(name.trim_end_matches('\t'));
                lines = name
                    .strip_prefix("b/")
                    .map(|name| files.entry(top.join(name)).or_default().get_or_insert_default());
            } else if let Some((old, new)) = line.strip_prefix("@@ -").and_then(hunk) {
                left = old + new.1;
                if let Some(lines) = lines.as_mut().filter(|_| new.1 > 0) {
                    lines.push(new.0 - 1..=new.0 + new.1 - 2);
                }
            }
        }
        Self(files)
    }
}

/// The repository that holds all of `folders`: a revision of one says nothing about another.
fn the_repository(folders: &[PathBuf]) -> Result<Repository, Error> {
    const OPTION: &str = "--changed-since";
    let (first, others) = folders
        .split_first()
        .map_or((here(), &[][..]), |(first, others)| (first.as_path(), others));
    let repository = Repository::around(first, OPTION)?;
    for other in others {
        if Repository::around(other, OPTION)?.top != repository.top {
            let (first, other) = (shown(first), shown(other));
            let error = format!("`{first}` and `{other}` are in different Git repositories");
            return Err(Error::user(error).hint(format!(
                "`{OPTION}` compares with a commit of one: run it once for each repository"
            )));
        }
    }
    Ok(repository)
}

/// The number of old lines, and the first and the number of new ones.
fn hunk(header: &str) -> Option<(u32, (u32, u32))> {
    let (old, rest) = header.split_once(" +")?;
    let (new, _) = rest.split_once(" @@")?;
    let pair = |text: &str| -> Option<(u32, u32)> {
        match text.split_once(',') {
            Some((at, n)) => Some((at.parse().ok()?, n.parse().ok()?)),
            None => Some((text.parse().ok()?, 1)),
        }
    };
    let (at, n) = pair(new)?;
    Some((pair(old)?.1, (at.max(1), n)))
}

/// A name as Git writes it: in quotes, with escapes, where it holds odd characters.
fn unquoted(name: &str) -> String {
    let Some(inner) = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) else {
        return name.to_owned();
    };
    let mut bytes = Vec::new();
    let mut rest = inner.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'n') => bytes.push(b'\n'),
            Some(b't') => bytes.push(b'\t'),
            Some(b'r') => bytes.push(b'\r'),
            Some(digit @ b'0'..=b'3') => {
                let mut octal = || u32::from(rest.next().unwrap_or(b'0').wrapping_sub(b'0')) & 7;
                let value = u32::from(digit - b'0') * 64 + octal() * 8 + octal();
                bytes.push(value as u8);
            }
            Some(other) => bytes.push(other),
            None => {}
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diffs_tell_lines() {
        let diff = "\
diff --git a/a.nix b/a.nix
--- a/a.nix
+++ b/a.nix
@@ -1 +1,2 @@ x
-old
++++ b/fake.nix
+new
@@ -9,0 +11 @@
+new
@@ -20,2 +30,0 @@
-@@ -1 +1 @@
--- a/old
diff --git \"a/b \\303\\244.nix\" \"b/b \\303\\244.nix\"
--- \"a/b \\303\\244.nix\"
+++ \"b/b \\303\\244.nix\"
@@ -0,0 +1 @@
+1
--- a/gone.nix
+++ /dev/null
@@ -1 +0,0 @@
-1
";
        let ChangedLines(files) = ChangedLines::parse(diff, Path::new("/r"));
        assert_eq!(files.len(), 2, "{files:?}");
        assert_eq!(files[Path::new("/r/a.nix")], Some(vec![0..=1, 10..=10]));
        assert_eq!(files[Path::new("/r/b ä.nix")], Some(vec![0..=0]));
    }

    #[test]
    fn files_that_did_not_change_have_no_lines() {
        let changed =
            ChangedLines(HashMap::from([("/a".into(), None), ("/b".into(), Some(vec![1..=2]))]));
        let lines = Lines::Changed(changed);
        assert_eq!(lines.of(Path::new("/a")), None);
        assert_eq!(lines.of(Path::new("/b")), Some(&[1..=2][..]));
        assert_eq!(lines.of(Path::new("/c")), Some(&[][..]));
        assert_eq!(Lines::All.of(Path::new("/c")), None);
    }
}
