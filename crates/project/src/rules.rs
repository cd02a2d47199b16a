//! Which ignore files speak about a path, and which of them is heard.
//!
//! As in Git: `.gitignore` of every folder from the repository's root down to the path, the deeper
//! one first, then `.git/info/exclude`. A `.ignore` file beside a `.gitignore` is read after it, so
//! it wins. A repository inside another starts afresh. The user's global ignore file is left out on
//! purpose: what belongs to a project must not depend on who looks.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use cim_nix_base::Error;

use crate::patterns::{Patterns, Subject, Verdict};
use crate::{EntryKind, Files, Problem, Trouble};

/// Ignore files are small; a larger one is a mistake, and is reported as such.
const MAX_IGNORE_FILE: u64 = 4 << 20;

/// The ignore rules that hold in one folder; those of the folders above hang behind it.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Length of the folder's path with its last `/`, to cut paths below it.
    base: usize,
    patterns: Patterns,
    above: Option<Rc<Self>>,
}

/// What a listing says about the ignore files of a folder.
#[derive(Clone, Copy, Default)]
pub(crate) struct Markers {
    pub(crate) git: Option<EntryKind>,
    pub(crate) gitignore: bool,
    pub(crate) ignore: bool,
}

impl Markers {
    /// Asks for each of them, where nobody lists the folder.
    fn of(files: &dyn Files, folder: &Path) -> Self {
        let is_file = |name| files.kind(&folder.join(name)) == Ok(EntryKind::File);
        Self {
            git: files.kind(&folder.join(".git")).ok(),
            gitignore: is_file(".gitignore"),
            ignore: is_file(".ignore"),
        }
    }
}

impl Rules {
    /// The rules inside `folder`, which holds `markers`, given those around it.
    pub(crate) fn enter(
        files: &dyn Files,
        folder: &Path,
        markers: Markers,
        above: Option<Rc<Self>>,
        troubles: &mut Vec<Trouble>,
    ) -> Option<Rc<Self>> {
        let above = if markers.git.is_some() { None } else { above };
        let mut patterns = Patterns::default();
        if let Some(kind) = markers.git
            && let Some(path) = exclude_file(files, folder, kind)
            && let Ok(text) = files.read(&path, MAX_IGNORE_FILE)
        {
            patterns.extend(Patterns::parse(&text));
        }
        for (is_there, name) in [(markers.gitignore, ".gitignore"), (markers.ignore, ".ignore")] {
            let path = folder.join(name);
            match is_there.then(|| files.read(&path, MAX_IGNORE_FILE)) {
                Some(Ok(text)) => patterns.extend(Patterns::parse(&text)),
                Some(Err(problem)) => troubles.push(Trouble { path, problem }),
                None => {}
            }
        }
        if patterns.is_empty() {
            return above;
        }
        Some(Rc::new(Self { base: base_of(folder), patterns, above }))
    }

    /// The rules around `folder` from the folders above it, as far as its repository reaches.
    ///
    /// There are none where those folders leave `folder` itself out: somebody asked for it by name.
    pub(crate) fn around(
        files: &dyn Files,
        folder: &Path,
        troubles: &mut Vec<Trouble>,
    ) -> Option<Rc<Self>> {
        let is_repository = |at: &&Path| files.kind(&at.join(".git")).is_ok();
        let repository = folder.ancestors().find(is_repository)?;
        let mut path: Vec<&Path> = folder.ancestors().take_while(|at| *at != repository).collect();
        if path.is_empty() {
            return None;
        }
        path.push(repository);
        let mut rules = None;
        for pair in path.windows(2).rev() {
            let [inner, outer] = pair else { continue };
            rules = Self::enter(files, outer, Markers::of(files, outer), rules, troubles);
            let verdict = rules
                .as_deref()
                .and_then(|rules| rules.verdict(inner.as_os_str().as_encoded_bytes(), true));
            if verdict == Some(Verdict::LeftOut) {
                return None;
            }
        }
        rules
    }

    /// Whether the rules from the project's folder `root` down leave out `path`, at which there may
    /// be nothing.
    pub(crate) fn leave_out(files: &dyn Files, root: &Path, path: &Path) -> bool {
        let Ok(below) = path.strip_prefix(root) else { return false };
        let mut troubles = Vec::new();
        let mut rules = Self::around(files, root, &mut troubles);
        let mut at = root.to_path_buf();
        for name in below.iter() {
            rules = Self::enter(files, &at, Markers::of(files, &at), rules, &mut troubles);
            at.push(name);
            let bytes = at.as_os_str().as_encoded_bytes();
            let verdict =
                |is_folder| rules.as_deref().and_then(|all| all.verdict(bytes, is_folder));
            // What is not there may have been meant as either.
            let is_last = at == path;
            if verdict(true) == Some(Verdict::LeftOut)
                || (is_last && verdict(false) == Some(Verdict::LeftOut))
            {
                return true;
            }
        }
        false
    }

    /// What the nearest rules that speak of `path` say.
    pub(crate) fn verdict(&self, path: &[u8], is_folder: bool) -> Option<Verdict> {
        let name = last_name(path);
        let mut level = Some(self);
        while let Some(rules) = level {
            let subject = Subject { path: &path[rules.base..], name, is_folder };
            if let Some(verdict) = rules.patterns.verdict(subject) {
                return Some(verdict);
            }
            level = rules.above.as_deref();
        }
        None
    }
}

/// Patterns that a project's configuration leaves out, in gitignore's language. They win over all
/// ignore files; a pattern with `!` takes a path in that those leave out, hidden folders included.
#[derive(Clone, Default, Debug)]
pub struct Excludes {
    /// Path of the folder that anchors the patterns, with its last `/`.
    root: Vec<u8>,
    patterns: Patterns,
}

impl Excludes {
    /// Reads `patterns`, which are anchored at the folder `root`; it must be a real path.
    ///
    /// Errors: a pattern that could never match, such as one with an open bracket. An ignore file
    /// may hold such a line, since Git is silent about it; in our own configuration it is a
    /// mistake.
    pub fn new<'a>(
        root: &Path,
        patterns: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, Error> {
        let mut all = Patterns::default();
        for pattern in patterns {
            let read = Patterns::parse(pattern);
            if read.is_empty() {
                let message = format!("the pattern `{pattern}` can match nothing");
                let hint = "patterns are written as in a .gitignore file, for example `/vendor/`";
                return Err(Error::config(message).hint(hint));
            }
            all.extend(read);
        }
        let mut root = root.as_os_str().as_encoded_bytes().to_owned();
        if root.last() != Some(&b'/') {
            root.push(b'/');
        }
        Ok(Self { root, patterns: all })
    }

    /// Whether the patterns leave out the file at `path` or a folder that it lies in.
    #[must_use]
    pub fn cover(&self, path: &Path) -> bool {
        let is_out = |path: &Path, is_folder| {
            let path = path.as_os_str().as_encoded_bytes();
            self.verdict(path, is_folder) == Some(Verdict::LeftOut)
        };
        is_out(path, false) || path.ancestors().skip(1).any(|folder| is_out(folder, true))
    }

    /// What the patterns say about `path`; nothing outside the folder that anchors them.
    pub(crate) fn verdict(&self, path: &[u8], is_folder: bool) -> Option<Verdict> {
        if self.patterns.is_empty() {
            return None;
        }
        let path = path.strip_prefix(&*self.root)?;
        self.patterns.verdict(Subject { path, name: last_name(path), is_folder })
    }
}

/// Where the repository whose `.git` lies in `folder` keeps its own patterns. In a linked work tree
/// or a submodule `.git` is a file that names the folder, which may name the one it shares.
fn exclude_file(files: &dyn Files, folder: &Path, git: EntryKind) -> Option<PathBuf> {
    let mut git_folder = folder.join(".git");
    if git == EntryKind::File {
        let text = files.read(&git_folder, MAX_IGNORE_FILE).ok()?;
        git_folder = folder.join(text.strip_prefix("gitdir:")?.trim());
        match files.read(&git_folder.join("commondir"), MAX_IGNORE_FILE) {
            Ok(shared) => git_folder.push(shared.trim()),
            Err(Problem::Missing) => {}
            Err(_) => return None,
        }
    }
    Some(git_folder.join("info/exclude"))
}

fn base_of(folder: &Path) -> usize {
    let bytes = folder.as_os_str().as_encoded_bytes();
    if bytes.ends_with(b"/") { bytes.len() } else { bytes.len() + 1 }
}

fn last_name(path: &[u8]) -> &[u8] {
    let start = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    &path[start..]
}
