//! What a repository has beyond its own files: submodules, and files that lie with Git LFS.

use std::collections::HashMap;
use std::path::Path;

use cim_nix_eval::Io;
use cim_nix_model::{FlakeRef, RefAttr, RefAttrs};

use super::program::{command, git, line, parts, run};
use super::tree::{self, Entry, SUBMODULE, inside};
use super::{Place, text};
use crate::{Fetching, Res};

/// How deeply submodules may have submodules.
const MAX_DEPTH: usize = 30;

/// What is wanted of a commit beyond its plain files.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) has_submodules: bool,
    pub(super) has_lfs: bool,
    /// Whether files count that archives leave out.
    pub(super) is_exported: bool,
}

/// The files of a working tree.
pub(super) struct WorkingTree {
    /// The files and links that Git knows and that are there.
    pub(super) files: Vec<Vec<u8>>,
    /// The folders of this repository and its submodules that differ from their commits, the
    /// innermost first.
    pub(super) dirty: Vec<String>,
}

/// What the working tree of a repository has.
pub(super) fn working_tree(
    folder: &Path,
    has_submodules: bool,
    is_exported: bool,
) -> Res<WorkingTree> {
    working_tree_at(folder, has_submodules, is_exported, 0)
}

fn working_tree_at(
    folder: &Path,
    has_submodules: bool,
    is_exported: bool,
    depth: usize,
) -> Res<WorkingTree> {
    if depth > MAX_DEPTH {
        return Err(format!("submodules nest too deeply in '{}'", folder.display()));
    }
    let listed = git(folder, &["ls-files", "-z", "--stage"])?;
    let mut found = WorkingTree { files: Vec::new(), dirty: Vec::new() };
    let mut submodules = Vec::new();
    for line in parts(&listed) {
        let Some(tab) = line.iter().position(|&byte| byte == b'\t') else { continue };
        let path = &line[tab + 1..];
        if line.starts_with(b"160000 ") {
            submodules.push(path);
        } else if inside(folder, path)?.symlink_metadata().is_ok() {
            found.files.push(path.to_vec());
        }
    }
    // A file that is in conflict is listed several times.
    found.files.dedup();
    let status = ["status", "--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=all"];
    let mut is_dirty = !git(folder, &status)?.is_empty();
    if is_exported {
        let paths: Vec<&[u8]> = found.files.iter().map(Vec::as_slice).collect();
        let out = tree::left_out(folder, None, &paths)?;
        found.files.retain(|path| !out.contains(path));
    }
    if !has_submodules {
        submodules.clear();
    }
    for path in submodules {
        let place = inside(folder, path)?;
        if !place.join(".git").exists() {
            return Err(format!(
                "the submodule '{}' of '{}' is not there; `git submodule update --init` gets it",
                String::from_utf8_lossy(path),
                folder.display()
            ));
        }
        let inner = working_tree_at(&place, true, is_exported, depth + 1)?;
        is_dirty |= !inner.dirty.is_empty();
        found.dirty.extend(inner.dirty);
        let below = inner.files.iter().map(|file| [path, b"/", file].concat());
        found.files.extend(below);
        if inner.files.is_empty() {
            found.files.push(path.to_vec());
        }
    }
    if is_dirty {
        found.dirty.push(folder.to_string_lossy().into_owned());
    }
    Ok(found)
}

/// A submodule as `.gitmodules` declares it.
#[derive(Default)]
struct Submodule {
    path: String,
    url: String,
    branch: Option<String>,
}

/// The submodules that a commit declares.
fn declared(repository: &Path, rev: &str, entries: &[Entry]) -> Res<Vec<Submodule>> {
    if !entries.iter().any(|entry| entry.path == b".gitmodules") {
        return Ok(Vec::new());
    }
    let blob = format!("{rev}:.gitmodules");
    let listed = git(repository, &["config", "-z", "--blob", &blob, "--list"])?;
    let mut found: HashMap<String, Submodule> = HashMap::new();
    for setting in parts(&listed) {
        let setting = String::from_utf8_lossy(setting);
        let Some((key, value)) = setting.split_once('\n') else { continue };
        let Some((name, what)) = key.strip_prefix("submodule.").and_then(|k| k.rsplit_once('.'))
        else {
            continue;
        };
        let submodule = found.entry(name.to_owned()).or_default();
        match what {
            "path" => submodule.path = value.to_owned(),
            "url" => submodule.url = value.to_owned(),
            "branch" => submodule.branch = Some(value.to_owned()),
            _ => {}
        }
    }
    Ok(found.into_values().collect())
}

/// The URL of a submodule: a relative one starts where its repository was fetched from.
fn absolute(repository: &Path, url: &str) -> String {
    if !url.starts_with("./") && !url.starts_with("../") {
        return url.to_owned();
    }
    let base = line(repository, &["config", "--get", "remote.origin.url"])
        .unwrap_or_else(|_| repository.to_string_lossy().into_owned());
    let mut base = base.trim_end_matches('/').to_owned();
    let mut rest = url;
    loop {
        if let Some(after) = rest.strip_prefix("./") {
            rest = after;
        } else if let Some(after) = rest.strip_prefix("../") {
            rest = after;
            let end = base.rfind(['/', ':']).unwrap_or(0);
            base.truncate(end);
        } else {
            return format!("{base}/{rest}");
        }
    }
}

impl<I: Io> Fetching<I> {
    /// Writes the files of a commit below a folder, with what is wanted besides. `name` is the
    /// branch.
    pub(super) fn write_commit(
        &self,
        repository: &Path,
        rev: &str,
        name: &str,
        folder: &Path,
        wanted: Wanted,
        depth: usize,
    ) -> Res<()> {
        if depth > MAX_DEPTH {
            return Err(format!("submodules nest too deeply in '{}'", repository.display()));
        }
        let mut entries = tree::entries(repository, rev)?;
        if wanted.is_exported {
            let paths: Vec<&[u8]> = entries.iter().map(|entry| entry.path.as_slice()).collect();
            let out = tree::left_out(repository, Some(rev), &paths)?;
            entries.retain(|entry| !out.contains(&entry.path));
        }
        tree::write(repository, &entries, folder)?;
        if wanted.has_lfs {
            write_lfs(repository, rev, &entries, folder)?;
        }
        if !wanted.has_submodules {
            return Ok(());
        }
        for submodule in declared(repository, rev, &entries)? {
            let path = submodule.path.trim_end_matches('/');
            let is_here = |entry: &&Entry| entry.mode == SUBMODULE && entry.path == path.as_bytes();
            // What is declared, but no submodule, does not count.
            let Some(entry) = entries.iter().find(is_here) else { continue };
            let mut attrs: RefAttrs = [
                ("type", text("git")),
                ("url", text(absolute(repository, &submodule.url))),
                ("rev", text(entry.id.as_str())),
                ("allRefs", RefAttr::Bool(true)),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into();
            match submodule.branch.as_deref() {
                None => {}
                Some(".") => drop(attrs.insert("ref".to_owned(), text(name))),
                Some(branch) => drop(attrs.insert("ref".to_owned(), text(branch))),
            }
            let source = FlakeRef::from_attrs(attrs).map_err(|error| error.to_string())?;
            let inner = match Place::of(&source, &self.say)? {
                Place::Local(folder) => folder,
                Place::Remote(url) => {
                    let mirror = self.mirror(&source, &url)?;
                    self.update(&source, &url, &mirror, name)?;
                    mirror
                }
            };
            let below = inside(folder, path.as_bytes())?;
            self.write_commit(&inner, &entry.id, name, &below, wanted, depth + 1)
                .map_err(|why| format!("{why}\nin the submodule '{path}'"))?;
        }
        Ok(())
    }
}

/// How a file begins that stands for one which lies with Git LFS.
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Puts the files themselves in place of what stands for them.
fn write_lfs(repository: &Path, rev: &str, entries: &[Entry], folder: &Path) -> Res<()> {
    let failed = |error: std::io::Error| format!("cannot write the files of a commit: {error}");
    let mut pointers = Vec::new();
    for entry in entries.iter().filter(|entry| entry.mode & 0o170_000 == 0o100_000) {
        let path = inside(folder, &entry.path)?;
        if std::fs::metadata(&path).map_err(failed)?.len() < 1024 {
            let bytes = std::fs::read(&path).map_err(failed)?;
            if bytes.starts_with(POINTER) {
                pointers.push((path, entry, bytes));
            }
        }
    }
    if pointers.is_empty() {
        return Ok(());
    }
    if git(repository, &["lfs", "version"]).is_err() {
        return Err(
            "cannot get files that lie with Git LFS ('lfs = true'): `git lfs` is not there; install Git LFS"
                .to_owned(),
        );
    }
    for (path, entry, pointer) in pointers {
        let name = String::from_utf8_lossy(&entry.path);
        let arguments = ["lfs", "smudge", "--", &name];
        // Settings in the commit, such as the server, count only if Git can find them.
        let mut smudge = command(repository);
        smudge.args(arguments).env("GIT_LFS_SKIP_SMUDGE", "0");
        let content = run(&mut smudge, &arguments, &pointer)
            .map_err(|why| format!("cannot get '{name}' of commit '{rev}' from Git LFS: {why}"))?;
        std::fs::write(&path, content).map_err(failed)?;
    }
    Ok(())
}
