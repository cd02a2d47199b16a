//! Sources from elsewhere, for the evaluator: folders, Git repositories, archives, files, hosted
//! repositories, and the registries that give names to them.
//!
//! What was fetched lies in a cache by what it is: by the hash of its archive, or by the commit. A
//! download is unpacked beside its place and renamed into it, so nobody ever sees half of one.
#![allow(clippy::disallowed_methods, reason = "the edge: files, processes and the network")]

mod archive;
mod git;
mod hosted;
mod http;
mod registry;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use cim_nix_eval::{Fetched, FileKind, Io};
use cim_nix_model::{FlakeRef, Hash, HashFormat, HashKind, RefAttr, References, Url};

/// Where and how sources are fetched.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder that keeps what was fetched.
    pub cache: PathBuf,
    /// Whether the network must not be used.
    pub is_offline: bool,
    /// Tokens for hosts or paths on them: `github.com` or `github.com/owner`.
    pub access_tokens: Vec<(String, String)>,
    /// The file with user names and passwords for hosts.
    pub netrc: Option<PathBuf>,
    /// Files and URLs of registries, the first that knows a name wins.
    pub registries: Vec<String>,
    /// Other places for the hosted kinds, such as `github` at `http://localhost:3000`.
    pub base_urls: Vec<(String, String)>,
    /// Seconds that a download without a known hash counts as current.
    pub tarball_ttl: u64,
    /// How often a download that broke is tried again.
    pub retries: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            cache: PathBuf::from(".cim-nix-cache"),
            is_offline: false,
            access_tokens: Vec::new(),
            netrc: None,
            registries: Vec::new(),
            base_urls: Vec::new(),
            tarball_ttl: 3600,
            retries: 4,
        }
    }
}

/// The files of another [`Io`], and sources from elsewhere.
pub struct Fetching<I> {
    files: I,
    settings: Settings,
    say: Box<dyn Fn(&str)>,
}

type Res<T> = Result<T, String>;

impl<I: Io> Fetching<I> {
    /// Adds fetching to `files`; `say` gets warnings.
    pub fn new(files: I, settings: Settings, say: Box<dyn Fn(&str)>) -> Self {
        Self { files, settings, say }
    }

    fn fetch_path(&self, source: &FlakeRef) -> Res<Fetched> {
        let path = source.text("path").unwrap_or_default();
        if !path.starts_with('/') {
            return Err(format!("cannot fetch input '{source}' because it uses a relative path"));
        }
        let folder = PathBuf::from(path);
        let mut locked = source.clone();
        if source.number("lastModified").is_none() {
            let newest = newest(&folder).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => format!("path '{path}' does not exist"),
                _ => format!("reading path '{path}': {error}"),
            })?;
            locked.set("lastModified", RefAttr::Number(newest));
        }
        Ok(Fetched { path: folder, shown: path.to_owned(), source: locked, tracked: None })
    }

    /// An archive, unpacked, or a file.
    fn fetch_download(&self, source: &FlakeRef) -> Res<Fetched> {
        let url = source.text("url").unwrap_or_default();
        let is_tree = source.kind() == "tarball";
        self.download(source, url, is_tree, &[])
    }

    fn download(
        &self,
        source: &FlakeRef,
        url: &str,
        is_tree: bool,
        headers: &[(String, String)],
    ) -> Res<Fetched> {
        let wanted = source.nar_hash().map_err(|error| error.to_string())?;
        let kind = if is_tree { "trees" } else { "files" };
        let place = match &wanted {
            Some(hash) => self.cached(kind, &hash.format(HashFormat::Nix32)),
            None => {
                let key = Hash::of(HashKind::Sha256, url.as_bytes()).format(HashFormat::Nix32);
                self.cached(&format!("{kind}-by-url"), &key)
            }
        };
        let is_fresh = place.exists()
            && (wanted.is_some()
                || self.settings.is_offline
                || age(&place).is_some_and(|age| age < self.settings.tarball_ttl));
        if !is_fresh {
            let file = self.get(url, headers)?;
            if is_tree {
                self.unpack_into(&place, |folder| archive::unpack(file.path(), url, folder))?;
            } else {
                let bytes = std::fs::read(file.path()).map_err(|e| format!("{url}: {e}"))?;
                self.keep(&place, &bytes)?;
            }
        }
        let mut locked = source.clone();
        // The hash is computed from what is there, never believed.
        locked.remove("narHash");
        let path = if is_tree { place.join("tree") } else { place };
        if is_tree && source.number("lastModified").is_none() {
            let newest = newest_file(&path).unwrap_or(0);
            locked.set("lastModified", RefAttr::Number(newest));
        }
        Ok(Fetched { path, shown: format!("«{url}»"), source: locked, tracked: None })
    }

    fn cached(&self, kind: &str, key: &str) -> PathBuf {
        self.settings.cache.join(kind).join(key)
    }

    /// Puts a folder in place whole or not at all.
    fn unpack_into(&self, place: &Path, unpack: impl FnOnce(&Path) -> Res<()>) -> Res<()> {
        let failed = |error: io::Error| format!("cannot write to the cache: {error}");
        let parent = place.parent().unwrap_or(place);
        std::fs::create_dir_all(parent).map_err(failed)?;
        let folder = tempfile::Builder::new().prefix(".new-").tempdir_in(parent).map_err(failed)?;
        let tree = folder.path().join("tree");
        unpack(&tree)?;
        if place.exists() {
            let old =
                tempfile::Builder::new().prefix(".old-").tempdir_in(parent).map_err(failed)?;
            std::fs::rename(place, old.path().join("tree")).map_err(failed)?;
        }
        let kept = folder.keep();
        match std::fs::rename(&kept, place) {
            // Somebody else was faster with the same.
            Err(_) if place.exists() => std::fs::remove_dir_all(&kept).map_err(failed),
            renamed => renamed.map_err(failed),
        }
    }

    fn keep(&self, place: &Path, bytes: &[u8]) -> Res<()> {
        let failed = |error: io::Error| format!("cannot write to the cache: {error}");
        let parent = place.parent().unwrap_or(place);
        std::fs::create_dir_all(parent).map_err(failed)?;
        let mut file = tempfile::NamedTempFile::new_in(parent).map_err(failed)?;
        io::Write::write_all(&mut file, bytes).map_err(failed)?;
        file.persist(place).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// The content of a URL as a file.
    fn get(&self, url: &str, headers: &[(String, String)]) -> Res<tempfile::NamedTempFile> {
        let parsed = Url::parse(url).map_err(|error| error.to_string())?;
        if parsed.scheme == "file" {
            let path = parsed.path_text();
            let failed = |error: io::Error| format!("unable to download '{url}': {error}");
            let mut file = tempfile::NamedTempFile::new().map_err(failed)?;
            let mut from = std::fs::File::open(&path).map_err(failed)?;
            io::copy(&mut from, &mut file).map_err(failed)?;
            return Ok(file);
        }
        if self.settings.is_offline {
            return Err(format!(
                "cannot download '{url}' because of '--offline', and it is not in the cache"
            ));
        }
        http::get(&self.settings, &parsed, url, headers, &*self.say)
    }
}

/// Seconds since something was put in place.
fn age(path: &Path) -> Option<u64> {
    let modified = std::fs::metadata(path).ok()?.modified().ok()?;
    Some(SystemTime::now().duration_since(modified).map_or(0, |age| age.as_secs()))
}

fn seconds(time: io::Result<SystemTime>) -> u64 {
    let since = time.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_secs())
}

/// When the newest file or folder below a path was changed.
fn newest(path: &Path) -> io::Result<u64> {
    let metadata = std::fs::symlink_metadata(path)?;
    let mut latest = seconds(metadata.modified());
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path)? {
            latest = latest.max(newest(&entry?.path())?);
        }
    }
    Ok(latest)
}

/// The same, of files alone: folders get their dates from unpacking.
fn newest_file(path: &Path) -> io::Result<u64> {
    let metadata = std::fs::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Ok(if metadata.is_file() { seconds(metadata.modified()) } else { 0 });
    }
    let mut latest = 0;
    for entry in std::fs::read_dir(path)? {
        latest = latest.max(newest_file(&entry?.path())?);
    }
    Ok(latest)
}

impl<I: Io> Io for Fetching<I> {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.files.read(path)
    }
    fn read_for_archive(&self, path: &Path, bytes: &mut Vec<u8>) -> io::Result<bool> {
        self.files.read_for_archive(path, bytes)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<(Vec<u8>, FileKind)>> {
        self.files.list(path)
    }
    fn link_kind(&self, path: &Path) -> io::Result<FileKind> {
        self.files.link_kind(path)
    }
    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        self.files.kind(path)
    }
    fn link_target(&self, path: &Path) -> io::Result<PathBuf> {
        self.files.link_target(path)
    }
    fn is_executable(&self, path: &Path) -> io::Result<bool> {
        self.files.is_executable(path)
    }
    fn add_text(&self, path: &str, text: &[u8], references: &References) -> io::Result<()> {
        self.files.add_text(path, text, references)
    }
    fn add_tree(
        &self,
        path: &str,
        write: &mut dyn FnMut(&mut dyn io::Write) -> io::Result<()>,
    ) -> io::Result<()> {
        self.files.add_tree(path, write)
    }
    fn variable(&self, name: &str) -> Option<String> {
        self.files.variable(name)
    }

    fn fetch(&self, source: &FlakeRef) -> Res<Fetched> {
        match source.kind() {
            "path" => self.fetch_path(source),
            "git" => self.fetch_git(source),
            "tarball" | "file" => self.fetch_download(source),
            "github" | "gitlab" | "sourcehut" => self.fetch_hosted(source),
            kind => {
                Err(format!("cannot fetch '{source}': sources of type '{kind}' are not supported"))
            }
        }
    }

    fn resolve(&self, reference: &FlakeRef) -> Res<FlakeRef> {
        registry::resolve(self, reference)
    }
}
