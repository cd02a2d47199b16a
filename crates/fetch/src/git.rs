//! Git repositories, through the `git` program: whoever has one has the other, with all of their
//! settings for keys and proxies.

mod program;
mod submodules;
mod tree;

use std::path::{Path, PathBuf};

use cim_nix_eval::{Fetched, Io, Tracked};
use cim_nix_model::{FlakeRef, RefAttr, Url};

pub use self::program::command as git_command;
use self::program::{git, line};
use crate::{Fetching, Res};

/// The commit of a repository that has none.
const NO_REV: &str = "0000000000000000000000000000000000000000";

fn text(value: impl Into<String>) -> RefAttr {
    RefAttr::Text(value.into())
}

/// Where a repository is.
enum Place {
    /// A folder with a working tree.
    Local(PathBuf),
    /// Anywhere else, a folder without a working tree included.
    Remote(String),
}

impl Place {
    /// `warn` gets what is worth a warning.
    fn of(source: &FlakeRef, warn: &dyn Fn(&str)) -> Res<Self> {
        let written = source.text("url").unwrap_or_default();
        let mut url = Url::parse(written).map_err(|error| error.to_string())?;
        // Older lock files leave the folder of the flake in the URL.
        url.query.remove("dir");
        if url.scheme != "file" {
            return Ok(Self::Remote(url.to_string()));
        }
        let mut folder = PathBuf::from(url.path_text());
        if folder.is_relative() {
            warn(&format!(
                "warning: Fetching Git repository '{url}', which uses a path relative to the current directory. This is not supported and will stop working in a future release. See https://github.com/NixOS/nix/issues/12281 for details."
            ));
            folder = std::path::absolute(&folder).unwrap_or(folder);
        }
        if !folder.exists() {
            return Err(format!("Git repository \"{}\" does not exist.", folder.display()));
        }
        match folder.join(".git").exists() {
            true => Ok(Self::Local(folder)),
            // Such URLs have no query; Git would take it for a part of the name.
            false => Ok(Self::Remote(format!("file://{}", folder.display()))),
        }
    }
}

/// The branch that a working tree is on.
fn branch(folder: &Path) -> Option<String> {
    line(folder, &["symbolic-ref", "-q", "HEAD"]).ok()
}

/// Adds what can be told of a commit and is not told yet.
fn describe(locked: &mut FlakeRef, repository: &Path, rev: &str) -> Res<()> {
    if locked.number("lastModified").is_none() {
        let seconds = line(repository, &["log", "-1", "--format=%ct", rev])?;
        locked.set("lastModified", RefAttr::Number(seconds.parse().unwrap_or(0)));
    }
    if locked.is_set("shallow") || locked.number("revCount").is_some() {
        return Ok(());
    }
    let count = line(repository, &["rev-list", "--count", rev])?;
    locked.set("revCount", RefAttr::Number(count.parse().unwrap_or(0)));
    Ok(())
}

impl<I: Io> Fetching<I> {
    pub(crate) fn fetch_git(&self, source: &FlakeRef) -> Res<Fetched> {
        if source.is_set("exportIgnore") && source.is_set("submodules") {
            return Err("exportIgnore and submodules are not supported together yet".to_owned());
        }
        // Who asks for a check must not get what nobody has checked.
        let wants_check = source.is_set("verifyCommit")
            || ["publicKey", "publicKeys"].iter().any(|name| source.text(name).is_some());
        if wants_check {
            return Err(format!(
                "cannot fetch '{source}': signatures of commits are not verified here; remove 'verifyCommit' and the keys to fetch it without"
            ));
        }
        let (name, rev) = (source.text("ref"), source.text("rev"));
        match Place::of(source, &self.say)? {
            Place::Local(folder) if name.is_none() && rev.is_none() => {
                self.working_tree(source, &folder)
            }
            place => self.commit(source, &place),
        }
    }

    /// The files that Git knows, as they are now.
    fn working_tree(&self, source: &FlakeRef, folder: &Path) -> Res<Fetched> {
        let shown = folder.to_string_lossy().into_owned();
        let mut locked = source.clone();
        locked.remove("narHash");
        let found = submodules::working_tree(
            folder,
            source.is_set("submodules"),
            source.is_set("exportIgnore"),
        )?;
        let head = line(folder, &["rev-parse", "--verify", "-q", "HEAD"]).ok();
        let is_dirty = !found.dirty.is_empty();
        if is_dirty {
            if let Some(head) = &head {
                let short = head.get(..7).unwrap_or(head);
                locked.set("dirtyRev", text(format!("{head}-dirty")));
                locked.set("dirtyShortRev", text(format!("{short}-dirty")));
            }
            for folder in &found.dirty {
                if !self.settings.allows_dirty {
                    return Err(format!("Git tree '{folder}' is dirty"));
                }
                if self.settings.tells_dirty {
                    (self.say)(&format!("warning: Git tree '{folder}' is dirty"));
                }
            }
        } else {
            locked.set("rev", text(head.as_deref().unwrap_or(NO_REV)));
            if let Some(name) = branch(folder) {
                locked.set("ref", text(name));
            }
        }
        match &head {
            None => {
                locked.set("lastModified", RefAttr::Number(0));
                if !is_dirty && !locked.is_set("shallow") {
                    locked.set("revCount", RefAttr::Number(0));
                }
            }
            Some(head) => {
                locked.remove("lastModified");
                let mut known = locked.clone();
                if is_dirty {
                    known.set("shallow", RefAttr::Bool(true));
                }
                describe(&mut known, folder, head)?;
                for name in ["lastModified", "revCount"] {
                    if let Some(number) = known.number(name) {
                        locked.set(name, RefAttr::Number(number));
                    }
                }
            }
        }
        let tracked = Tracked { repository: shown.clone(), files: found.files };
        Ok(Fetched { path: folder.to_owned(), shown, source: locked, tracked: Some(tracked) })
    }

    /// The branch that counts where none is named.
    fn default_branch(&self, place: &Place, mirror: &Path) -> String {
        let (found, name) = match place {
            Place::Local(folder) => (branch(folder), folder.display().to_string()),
            Place::Remote(url) => {
                let note = mirror.join("cim-nix-head");
                let known = std::fs::read_to_string(&note).ok();
                let found = known.clone().filter(|_| self.is_fresh(&note)).or_else(|| {
                    if self.settings.is_offline {
                        return None;
                    }
                    let listed =
                        line(mirror, &["ls-remote", "--symref", "--", url, "HEAD"]).ok()?;
                    let first = listed.lines().next()?;
                    let (target, name) = first.split_once('\t')?;
                    let head = target.strip_prefix("ref: ").unwrap_or(target).trim().to_owned();
                    (name == "HEAD" && self.keep(&note, head.as_bytes()).is_ok()).then_some(head)
                });
                (found.or(known), url.clone())
            }
        };
        found.unwrap_or_else(|| {
            (self.say)(&format!(
                "warning: could not read HEAD ref from repo at '{name}', using 'master'"
            ));
            "master".to_owned()
        })
    }

    /// The folder in the cache for a repository.
    fn mirror(&self, source: &FlakeRef, url: &str) -> Res<PathBuf> {
        // What was fetched without its history must not stand for what has it.
        let kind = if source.is_set("shallow") { "git-shallow" } else { "git" };
        let place = self.cached(kind, &crate::key_of(url));
        if place.join("HEAD").exists() {
            return Ok(place);
        }
        // Made beside its place: others may be about to make it, too, and the first one counts.
        let failed = |error: std::io::Error| format!("cannot write to the cache: {error}");
        let above = place.parent().unwrap_or(&place);
        std::fs::create_dir_all(above).map_err(failed)?;
        let new = tempfile::tempdir_in(above).map_err(failed)?;
        git(new.path(), &["init", "--quiet", "--bare", "."])?;
        // Submodules and LFS files are looked for from there.
        git(new.path(), &["config", "remote.origin.url", url])?;
        match std::fs::rename(new.path(), &place) {
            Err(error) if !place.join("HEAD").exists() => Err(failed(error)),
            _ => Ok(place),
        }
    }

    /// Brings what is wanted to the folder in the cache, unless it is there.
    fn update(&self, source: &FlakeRef, url: &str, mirror: &Path, name: &str) -> Res<()> {
        let full = full_name(name);
        let note = mirror.join("cim-nix-fetched").join(crate::key_of(&full));
        let is_all = source.is_set("allRefs");
        let is_there = match source.text("rev") {
            Some(rev) => has_commit(mirror, rev),
            None => !is_all && self.is_fresh(&note) && has_commit(mirror, &full),
        };
        if is_there {
            return Ok(());
        }
        if self.settings.is_offline {
            return match source.text("rev").is_none() && has_commit(mirror, &full) {
                true => Ok(()),
                false => Err(format!(
                    "cannot fetch '{source}' because of '--offline', and it is not in the cache"
                )),
            };
        }
        let wanted = match source.text("rev") {
            _ if is_all => "refs/*:refs/*".to_owned(),
            Some(rev) => rev.to_owned(),
            None => format!("{full}:{full}"),
        };
        // One at a time: Git's own locks are no queue. Without a lock, it goes on as it can.
        let lock = std::fs::File::create(mirror.join("cim-nix.lock"));
        let _lock = lock.and_then(|file| file.lock().map(|()| file));
        if source.text("rev").is_some_and(|rev| !is_all && has_commit(mirror, rev)) {
            return Ok(());
        }
        let mut arguments = vec!["fetch", "--quiet", "--force"];
        if source.is_set("shallow") {
            arguments.push("--depth=1");
        }
        arguments.extend(["--", url, &wanted]);
        match git(mirror, &arguments) {
            Ok(_) if source.text("rev").is_none() => self.keep(&note, b""),
            Ok(_) => Ok(()),
            Err(why) if has_commit(mirror, &full) => {
                (self.say)(&format!("warning: {why}"));
                (self.say)(&format!(
                    "warning: could not update local clone of Git repository '{url}'; continuing with the most recent version"
                ));
                Ok(())
            }
            Err(why) => Err(format!("Failed to fetch git repository '{url}'\n{why}")),
        }
    }

    /// The files of a commit.
    fn commit(&self, source: &FlakeRef, place: &Place) -> Res<Fetched> {
        let (repository, shown) = match place {
            Place::Local(folder) => (folder.clone(), folder.display().to_string()),
            Place::Remote(url) => (self.mirror(source, url)?, url.clone()),
        };
        let name = match source.text("ref") {
            Some(name) => name.to_owned(),
            None => self.default_branch(place, &repository),
        };
        let mut locked = source.clone();
        locked.set("ref", text(name.as_str()));
        if let Place::Remote(url) = place {
            self.update(source, url, &repository, &name)?;
        }
        let rev = match source.text("rev") {
            Some(rev) if has_commit(&repository, rev) => rev.to_owned(),
            Some(rev) => {
                return Err(format!(
                    "Cannot find Git revision '{rev}' in ref '{name}' of repository '{shown}'! Please make sure that the rev exists on the ref you've specified or add allRefs = true; to fetchGit."
                ));
            }
            None => {
                let commit = |name: &str| {
                    let name = format!("{name}^{{commit}}");
                    line(&repository, &["rev-parse", "--verify", "-q", &name])
                };
                commit(&full_name(&name)).or_else(|_| commit(&name)).map_err(|_| {
                    format!("resolving Git reference '{name}': there is none in '{shown}'")
                })?
            }
        };
        if !source.is_set("shallow")
            && line(&repository, &["rev-parse", "--is-shallow-repository"])? == "true"
        {
            return Err(format!(
                "'{shown}' is a shallow Git repository, but shallow repositories are only allowed when `shallow = true;` is specified"
            ));
        }
        locked.set("rev", text(rev.as_str()));
        let mut key = rev.clone();
        for (name, mark) in
            [("exportIgnore", "-exported"), ("submodules", "-whole"), ("lfs", "-lfs")]
        {
            if source.is_set(name) {
                key.push_str(mark);
            }
        }
        let cached = self.cached("commits", &key);
        if !cached.exists() {
            let wanted = submodules::Wanted {
                has_submodules: source.is_set("submodules"),
                has_lfs: source.is_set("lfs"),
                is_exported: source.is_set("exportIgnore"),
            };
            self.unpack_into(&cached, |tree| {
                self.write_commit(&repository, &rev, &name, tree, wanted, 0)
            })?;
        }
        let hash = std::fs::read_to_string(cached.join("hash")).map_err(|e| e.to_string())?;
        locked.set("narHash", text(hash));
        describe(&mut locked, &repository, &rev)?;
        let mut named = locked.clone();
        named.remove("narHash");
        let shown = format!("«{named}»");
        Ok(Fetched { path: cached.join("tree"), shown, source: locked, tracked: None })
    }
}

/// A branch's whole name.
fn full_name(name: &str) -> String {
    match name.starts_with("refs/") || name == "HEAD" {
        true => name.to_owned(),
        false => format!("refs/heads/{name}"),
    }
}

fn has_commit(repository: &Path, name: &str) -> bool {
    git(repository, &["cat-file", "-e", &format!("{name}^{{commit}}")]).is_ok()
}
