//! What Git knows of a project: its revisions, and what changed since one.
//!
//! Everything is asked of the `git` program, which changes nothing here. What the answers are for is
//! left to others.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use cim_nix_base::Error;
use cim_nix_fetch::git_command;
use cim_nix_project::EntryKind;

use crate::scope::shown;

/// A repository with a working tree.
#[derive(Debug)]
pub(crate) struct Repository {
    /// The folder of the working tree.
    pub(crate) top: PathBuf,
}

/// A file that is not what it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Change {
    /// Its path then, unless it is new.
    pub(crate) old: Option<PathBuf>,
    /// Its path now, unless it is gone.
    pub(crate) new: Option<PathBuf>,
}

/// A file of a revision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TreeEntry {
    pub(crate) path: PathBuf,
    pub(crate) kind: EntryKind,
    /// The name of its content.
    pub(crate) id: String,
}

impl Repository {
    /// The repository around `folder`. `option` is what it is needed for.
    ///
    /// Errors: there is none, or no `git` to ask.
    pub(crate) fn around(folder: &Path, option: &str) -> Result<Self, Error> {
        let asked = ["rev-parse", "--show-toplevel"];
        let output = git_command(folder).args(asked).stdin(Stdio::null()).output();
        let output = output.map_err(|error| no_git(error, option))?;
        if !output.status.success() {
            let said = said(&output);
            let (folder, is_known) = (shown(folder), said.contains("not a git repository"));
            let error = match is_known {
                true => Error::user(format!("`{folder}` is in no Git repository")),
                false => {
                    Error::user(format!("Git cannot tell the repository of `{folder}`: {said}"))
                }
            };
            return Err(error.hint(format!("`{option}` compares with what Git has recorded")));
        }
        let line = output.stdout.strip_suffix(b"\n").unwrap_or(&output.stdout);
        let top = PathBuf::from(OsStr::from_bytes(line));
        Ok(Self { top: top.canonicalize().unwrap_or(top) })
    }

    /// The commit that `revision` names.
    ///
    /// Errors: it names none.
    pub(crate) fn commit(&self, revision: &str) -> Result<String, Error> {
        let wanted = format!("{revision}^{{commit}}");
        let asked = ["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted];
        let output = self.run(&asked)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let shallow = self.run(&["rev-parse", "--is-shallow-repository"])?;
        let hint = match shallow.stdout.starts_with(b"true") {
            true => {
                "this clone lacks the older history: fetch it (`fetch-depth: 0` of actions/checkout, `GIT_DEPTH: 0` in GitLab)"
            }
            false => {
                "a branch of another repository has to be fetched first; `git log --oneline` lists revisions"
            }
        };
        Err(Error::user(format!("`{revision}` names no commit of this repository")).hint(hint))
    }

    /// What is different in the working tree since `commit`, without what Git does not track.
    pub(crate) fn changes(&self, commit: &str) -> Result<Vec<Change>, Error> {
        let asked =
            ["diff", "--name-status", "-z", "-M", "--no-relative", "--no-ext-diff", commit, "--"];
        let bytes = self.answer(&asked)?;
        let mut parts = bytes.split(|byte| *byte == 0).filter(|part| !part.is_empty());
        let mut all = Vec::new();
        while let Some(status) = parts.next() {
            let Some(first) = parts.next().map(|part| self.path(part)) else { break };
            let change = match status.first() {
                Some(b'A') => Change { old: None, new: Some(first) },
                Some(b'D') => Change { old: Some(first), new: None },
                Some(b'R' | b'C') => {
                    let new = parts.next().map(|part| self.path(part));
                    let old = (status[0] == b'R').then_some(first);
                    Change { old, new }
                }
                _ => Change { old: Some(first.clone()), new: Some(first) },
            };
            all.push(change);
        }
        Ok(all)
    }

    /// Files that Git neither tracks nor ignores.
    pub(crate) fn untracked(&self) -> Result<Vec<PathBuf>, Error> {
        let bytes = self.answer(&["ls-files", "--others", "--exclude-standard", "-z"])?;
        let parts = bytes.split(|byte| *byte == 0).filter(|part| !part.is_empty());
        Ok(parts.map(|part| self.path(part)).collect())
    }

    /// All files of a commit.
    pub(crate) fn tree(&self, commit: &str) -> Result<Vec<TreeEntry>, Error> {
        let bytes = self.answer(&["ls-tree", "-r", "-z", "--full-tree", commit])?;
        let entry = |line: &[u8]| {
            let tab = line.iter().position(|byte| *byte == b'\t')?;
            let head = std::str::from_utf8(&line[..tab]).ok()?;
            let mut words = head.split(' ');
            let kind = match words.next()? {
                "120000" => EntryKind::Link,
                // A submodule: its files are of another repository.
                "160000" => EntryKind::Folder,
                _ => EntryKind::File,
            };
            let id = words.nth(1)?.to_owned();
            Some(TreeEntry { path: self.path(&line[tab + 1..]), kind, id })
        };
        let parts = bytes.split(|byte| *byte == 0).filter(|part| !part.is_empty());
        Ok(parts.filter_map(entry).collect())
    }

    /// The contents with these names.
    ///
    /// Errors: one of them is not there.
    pub(crate) fn contents(&self, ids: &[&str]) -> Result<HashMap<String, Vec<u8>>, Error> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let mut child = git_command(&self.top)
            .args(["cat-file", "--batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| Error::outside("cannot run `git cat-file`").because(error))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let request: String = ids.iter().map(|id| format!("{id}\n")).collect();
        let read: io::Result<_> = std::thread::scope(|scope| {
            if let Some(mut stdin) = stdin {
                // If it ends early, what it printed is too short, and that is told.
                scope.spawn(move || stdin.write_all(request.as_bytes()));
            }
            let mut stdout = BufReader::new(stdout.ok_or(io::ErrorKind::BrokenPipe)?);
            ids.iter().map(|id| Ok(((*id).to_owned(), content(&mut stdout)?))).collect()
        });
        let _ = child.wait();
        read.map_err(|error| {
            Error::outside("`git cat-file` does not give the files of the revision").because(error)
        })
    }

    fn path(&self, bytes: &[u8]) -> PathBuf {
        self.top.join(OsStr::from_bytes(bytes))
    }

    pub(crate) fn answer(&self, asked: &[&str]) -> Result<Vec<u8>, Error> {
        let output = self.run(asked)?;
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(Error::outside(format!("`git {}` failed: {}", asked[0], said(&output)))),
        }
    }

    fn run(&self, asked: &[&str]) -> Result<Output, Error> {
        let output = git_command(&self.top).args(asked).stdin(Stdio::null()).output();
        output.map_err(|error| Error::outside("cannot run `git`").because(error))
    }
}

fn no_git(error: io::Error, option: &str) -> Error {
    let is_missing = error.kind() == io::ErrorKind::NotFound;
    let failed = Error::outside(format!("cannot run `git`, which `{option}` needs")).because(error);
    match is_missing {
        true => {
            failed.hint("install Git, or compare with an earlier report: `--baseline FILE.json`")
        }
        false => failed,
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

/// The next object that `git cat-file --batch` prints.
fn content(stdout: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut head = String::new();
    stdout.read_line(&mut head)?;
    let size = head.trim().rsplit(' ').next().and_then(|size| size.parse::<usize>().ok());
    let size = size.ok_or_else(|| io::Error::other(head.trim().to_owned()))?;
    let mut bytes = Vec::new();
    stdout.take(size as u64 + 1).read_to_end(&mut bytes)?;
    match bytes.len() == size + 1 {
        true => {
            bytes.pop();
            Ok(bytes)
        }
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
