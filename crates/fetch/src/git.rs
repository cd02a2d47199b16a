//! Git repositories, through the `git` program: whoever has one has the other, with all of their
//! settings for keys and proxies.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cim_nix_eval::{Fetched, Io, Tracked};
use cim_nix_model::{FlakeRef, RefAttr, Url};

use crate::{Fetching, Res};

/// Runs `git` in a repository and gives what it printed.
fn git(repository: &Path, arguments: &[&str]) -> Res<Vec<u8>> {
    run(Command::new("git").arg("-C").arg(repository).args(arguments), arguments)
}

fn run(command: &mut Command, arguments: &[&str]) -> Res<Vec<u8>> {
    let command = command
        .env("LC_ALL", "C")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stdin(Stdio::null());
    let output = command
        .output()
        .map_err(|error| format!("cannot run 'git', which sources of type 'git' need: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let what = arguments.first().copied().unwrap_or_default();
    Err(format!("'git {what}' failed: {}", said.trim()))
}

fn line(repository: &Path, arguments: &[&str]) -> Res<String> {
    Ok(String::from_utf8_lossy(&git(repository, arguments)?).trim().to_owned())
}

impl<I: Io> Fetching<I> {
    pub(crate) fn fetch_git(&self, source: &FlakeRef) -> Res<Fetched> {
        let url_text = source.text("url").unwrap_or_default();
        let url = Url::parse(url_text).map_err(|error| error.to_string())?;
        let local = (url.scheme == "file").then(|| PathBuf::from(url.path_text()));
        if let Some(folder) = &local
            && source.text("ref").is_none()
            && source.text("rev").is_none()
            && folder.join(".git").exists()
        {
            return self.working_tree(source, folder);
        }
        let repository = match local {
            Some(folder) => folder,
            None => self.mirror(source, url_text)?,
        };
        self.commit(source, &repository, url_text)
    }

    /// The files that Git knows, as they are now.
    fn working_tree(&self, source: &FlakeRef, folder: &Path) -> Res<Fetched> {
        let shown = folder.to_string_lossy().into_owned();
        let mut locked = source.clone();
        locked.remove("narHash");
        let listed = git(folder, &["ls-files", "-z"])?;
        let files: Vec<Vec<u8>> = listed
            .split(|&byte| byte == 0)
            .filter(|name| !name.is_empty())
            .map(<[u8]>::to_vec)
            .collect();
        let changes = git(folder, &["status", "--porcelain", "-z", "--untracked-files=no"])?;
        let head = line(folder, &["rev-parse", "--verify", "-q", "HEAD"]).ok();
        let is_dirty = !changes.is_empty() || head.is_none();
        let set_number = |locked: &mut FlakeRef, name: &str, text: Res<String>| {
            if let Some(number) = text.ok().and_then(|text| text.parse().ok()) {
                locked.set(name, RefAttr::Number(number));
            }
        };
        if let Some(head) = &head {
            if is_dirty {
                locked.set("dirtyRev", RefAttr::Text(format!("{head}-dirty")));
                locked.set("dirtyShortRev", RefAttr::Text(format!("{}-dirty", &head[..7])));
            } else {
                locked.set("rev", RefAttr::Text(head.clone()));
                if let Ok(name) = line(folder, &["symbolic-ref", "-q", "HEAD"]) {
                    locked.set("ref", RefAttr::Text(name));
                }
                set_number(&mut locked, "revCount", line(folder, &["rev-list", "--count", "HEAD"]));
            }
            set_number(&mut locked, "lastModified", line(folder, &["log", "-1", "--format=%ct"]));
        } else {
            locked.set("lastModified", RefAttr::Number(0));
        }
        if is_dirty {
            (self.say)(&format!("warning: Git tree '{shown}' is dirty"));
        }
        let existing = files.into_iter().filter(|name| {
            let path = folder.join(String::from_utf8_lossy(name).as_ref());
            path.symlink_metadata().is_ok()
        });
        let tracked = Tracked { repository: shown.clone(), files: existing.collect() };
        Ok(Fetched { path: folder.to_owned(), shown, source: locked, tracked: Some(tracked) })
    }

    /// A repository in the cache that has what is wanted.
    fn mirror(&self, source: &FlakeRef, url: &str) -> Res<PathBuf> {
        let place = self.cached("git", &crate::key_of(url));
        if !place.join("HEAD").exists() {
            std::fs::create_dir_all(&place)
                .map_err(|error| format!("cannot write to the cache: {error}"))?;
            git(&place, &["init", "--quiet", "--bare", "."])?;
        }
        if let Some(rev) = source.text("rev")
            && git(&place, &["cat-file", "-e", &format!("{rev}^{{commit}}")]).is_ok()
        {
            return Ok(place);
        }
        if self.settings.is_offline {
            let has_any = git(&place, &["rev-parse", "--verify", "-q", "FETCH_HEAD"]).is_ok();
            return match has_any && source.text("rev").is_none() {
                true => Ok(place),
                false => Err(format!(
                    "cannot fetch '{source}' because of '--offline', and it is not in the cache"
                )),
            };
        }
        let name = source.text("ref").unwrap_or("HEAD");
        let fetched = if source.is_set("allRefs") {
            git(&place, &["fetch", "--quiet", "--force", "--", url, "refs/*:refs/*"])
        } else {
            let depth = source.is_set("shallow").then_some("--depth=1");
            let mut arguments = vec!["fetch", "--quiet", "--force"];
            arguments.extend(depth);
            let wanted = match (source.text("rev"), source.text("ref")) {
                (Some(rev), None) => rev,
                _ => name,
            };
            arguments.extend(["--", url, wanted]);
            git(&place, &arguments)
        };
        fetched.map_err(|error| format!("cannot fetch '{source}': {error}"))?;
        Ok(place)
    }

    /// The files of a commit.
    fn commit(&self, source: &FlakeRef, repository: &Path, url: &str) -> Res<Fetched> {
        let is_mirror = repository.starts_with(&self.settings.cache);
        let name = match (source.text("rev"), source.text("ref")) {
            (Some(rev), _) => rev.to_owned(),
            (None, _) if is_mirror => "FETCH_HEAD".to_owned(),
            (None, Some(name)) => name.to_owned(),
            (None, None) => "HEAD".to_owned(),
        };
        let rev = line(repository, &["rev-parse", "--verify", &format!("{name}^{{commit}}")]);
        let rev = rev.map_err(|error| format!("cannot find '{name}' in '{url}': {error}"))?;
        let is_exported = source.is_set("exportIgnore");
        let key = if is_exported { format!("{rev}-exported") } else { rev.clone() };
        let place = self.cached("commits", &key);
        if !place.exists() {
            self.unpack_into(&place, |tree| match is_exported {
                true => export(repository, &rev, tree),
                false => check_out(repository, &rev, tree),
            })?;
        }
        let mut locked = source.clone();
        let hash = std::fs::read_to_string(place.join("hash")).map_err(|e| e.to_string())?;
        locked.set("narHash", RefAttr::Text(hash));
        locked.set("rev", RefAttr::Text(rev.clone()));
        let is_shallow =
            repository.join("shallow").exists() || repository.join(".git/shallow").exists();
        if !is_shallow
            && let Ok(count) = line(repository, &["rev-list", "--count", &rev])
            && let Ok(count) = count.parse()
        {
            locked.set("revCount", RefAttr::Number(count));
        }
        if let Ok(seconds) = line(repository, &["log", "-1", "--format=%ct", &rev])?.parse() {
            locked.set("lastModified", RefAttr::Number(seconds));
        }
        let shown = format!("«{url}?rev={rev}»");
        Ok(Fetched { path: place.join("tree"), shown, source: locked, tracked: None })
    }
}

/// Writes the files of a commit as they are in the repository.
fn check_out(repository: &Path, rev: &str, tree: &Path) -> Res<()> {
    std::fs::create_dir_all(tree).map_err(|error| error.to_string())?;
    let index = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
    let index_path = index.path().with_extension("index");
    let step = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(repository).args(["-c", "core.autocrlf=false", "-c", "core.eol=lf"]);
        command.env("GIT_INDEX_FILE", &index_path).env("GIT_WORK_TREE", tree);
        let git_dir = line(repository, &["rev-parse", "--absolute-git-dir"])?;
        run(command.env("GIT_DIR", git_dir).args(arguments), arguments)
    };
    step(&["read-tree", rev])?;
    let prefix = format!("--prefix={}/", tree.display());
    let result = step(&["checkout-index", "--all", "--force", &prefix]);
    let _ = std::fs::remove_file(&index_path);
    result.map(|_| ())
}

/// Writes what `git archive` has of a commit, which leaves out what `export-ignore` says.
fn export(repository: &Path, rev: &str, tree: &Path) -> Res<()> {
    std::fs::create_dir_all(tree).map_err(|error| error.to_string())?;
    let bytes = git(repository, &["archive", "--format=tar", rev])?;
    crate::archive::unpack_tar(&bytes[..], tree).map_err(|error| error.to_string())
}
