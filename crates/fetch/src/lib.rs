//! Sources from elsewhere, for the evaluator: folders, Git repositories, archives, files, hosted
//! repositories, and the registries that give names to them.
//!
//! What was fetched lies in a cache by what it is: by the hash of its archive, or by the commit. A
//! download is unpacked beside its place and renamed into it, so nobody ever sees half of one.
#![allow(clippy::disallowed_methods, reason = "the edge: files, processes and the network")]

mod archive;
mod building;
mod git;
mod hosted;
mod http;
mod registry;
mod watch;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use cim_nix_eval::{Fetched, FileKind, Io};
use cim_nix_model::{
    FlakeRef, Hash, HashFormat, HashKind, Hasher, NarWriter, RefAttr, References, Registries,
    Registry, TreeWriter, Url, without_passwords,
};

use http::Download;

pub use building::Building;
pub use git::git_command;
pub use registry::RegistryPlace;
pub use watch::{Fetch, FetchKind, watch};

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
    /// The registries, the first that knows a name wins.
    pub registries: Vec<RegistryPlace>,
    /// Other places for the hosted kinds, such as `github` at `http://localhost:3000`.
    pub base_urls: Vec<(String, String)>,
    /// Seconds that a download without a known hash counts as current.
    pub tarball_ttl: u64,
    /// How often a download that broke is tried again.
    pub retries: u32,
    /// A file with the certificates to trust instead of the system's.
    pub certificates: Option<PathBuf>,
    /// Whether working trees count that differ from their commit.
    pub allows_dirty: bool,
    /// Whether it is told that they do.
    pub tells_dirty: bool,
    /// Says whether a host may be asked for a download, also where another one sends us there.
    pub checks_host: fn(&str) -> Result<(), String>,
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
            certificates: None,
            allows_dirty: true,
            tells_dirty: true,
            checks_host: |_| Ok(()),
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
        let say = Box::new(move |text: &str| say(&without_passwords(text)));
        Self { files, settings, say }
    }

    fn fetch_path(&self, source: &FlakeRef) -> Res<Fetched> {
        let path = source.text("path").unwrap_or_default();
        if !path.starts_with('/') {
            return Err(format!("cannot fetch input '{source}' because it uses a relative path"));
        }
        let folder = PathBuf::from(path);
        let mut locked = source.clone();
        // It is computed from what is there, never believed.
        locked.remove("narHash");
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
        let mut locked = source.clone();
        let path = match is_tree {
            true => {
                // The URL of a commit's archive leads to the same for ever.
                let is_fixed = matches!(source.kind(), "github" | "gitlab" | "sourcehut");
                let tree = self.download_tree(url, wanted, is_fixed, headers)?;
                if source.kind() == "tarball"
                    && let Some(url) = &tree.immutable
                {
                    locked = immutable(source, url)?;
                }
                locked.set("narHash", RefAttr::Text(tree.hash.format(HashFormat::Sri)));
                if locked.number("lastModified").is_none() {
                    locked.set("lastModified", RefAttr::Number(tree.newest));
                }
                self.tree_of(&tree.hash).join("tree")
            }
            false => {
                // The evaluator computes the hash; files are small.
                locked.remove("narHash");
                self.download_file(url, wanted, headers)?
            }
        };
        Ok(Fetched { path, shown: format!("«{url}»"), source: locked, tracked: None })
    }

    fn is_fresh(&self, place: &Path) -> bool {
        self.settings.is_offline || age(place).is_some_and(|age| age < self.settings.tarball_ttl)
    }

    /// Where the files of an archive lie that has a hash.
    fn tree_of(&self, hash: &Hash) -> PathBuf {
        self.cached("trees", &hash.format(HashFormat::Nix32))
    }

    /// Unpacks an archive, unless it is there already.
    fn download_tree(
        &self,
        url: &str,
        wanted: Option<Hash>,
        is_fixed: bool,
        headers: &[(String, String)],
    ) -> Res<Unpacked> {
        let note = self.cached("archives", &key_of(url));
        let noted = std::fs::read_to_string(&note).ok();
        let noted = noted.and_then(|text| Unpacked::parse(&text));
        let noted = noted.filter(|tree| self.tree_of(&tree.hash).exists());
        match (noted, wanted) {
            (Some(tree), Some(wanted)) if tree.hash == wanted => return Ok(tree),
            (Some(tree), None) if is_fixed || self.is_fresh(&note) => return Ok(tree),
            (_, Some(wanted)) if self.tree_of(&wanted).exists() => {
                // It came from elsewhere; its files tell the date as well as they can.
                let newest = newest_file(&self.tree_of(&wanted)).unwrap_or(0);
                return Ok(Unpacked { hash: wanted, newest, immutable: None });
            }
            _ => {}
        }
        let Download { file, immutable } = self.get(url, headers)?;
        let failed = |error: io::Error| format!("cannot write to the cache: {error}");
        let parent = self.settings.cache.join("trees");
        std::fs::create_dir_all(&parent).map_err(failed)?;
        let folder =
            tempfile::Builder::new().prefix(".new-").tempdir_in(&parent).map_err(failed)?;
        let tree = folder.path().join("tree");
        let newest = archive::unpack(file.path(), url, &tree)?;
        // What is kept under a hash has that hash, whatever was wanted.
        let hash = nar_hash(&tree).map_err(|error| format!("{url}: {error}"))?;
        place_folder(folder, &self.tree_of(&hash)).map_err(failed)?;
        let unpacked = Unpacked { hash, newest, immutable };
        self.keep(&note, unpacked.to_text().as_bytes())?;
        Ok(unpacked)
    }

    fn download_file(
        &self,
        url: &str,
        wanted: Option<Hash>,
        headers: &[(String, String)],
    ) -> Res<PathBuf> {
        let place = self.cached("files", &key_of(url));
        let fits = |hash: &Hash| nar_hash(&place).is_ok_and(|found| found == *hash);
        if self.is_fresh(&place) && place.exists() && wanted.as_ref().is_none_or(fits) {
            return Ok(place);
        }
        let Download { file, .. } = self.get(url, headers)?;
        let bytes = std::fs::read(file.path()).map_err(|error| format!("{url}: {error}"))?;
        self.keep(&place, &bytes)?;
        Ok(place)
    }

    /// The file of a registry that has a URL; what is in the cache is used until it is old.
    pub(crate) fn registry_file(&self, url: &str) -> Res<PathBuf> {
        self.download_file(url, None, &[])
    }

    fn cached(&self, kind: &str, key: &str) -> PathBuf {
        self.settings.cache.join(kind).join(key)
    }

    /// Makes a folder in the cache, whole or not at all.
    fn unpack_into(&self, place: &Path, unpack: impl FnOnce(&Path) -> Res<()>) -> Res<()> {
        let failed = |error: io::Error| format!("cannot write to the cache: {error}");
        let parent = place.parent().unwrap_or(place);
        std::fs::create_dir_all(parent).map_err(failed)?;
        let folder = tempfile::Builder::new().prefix(".new-").tempdir_in(parent).map_err(failed)?;
        let tree = folder.path().join("tree");
        unpack(&tree)?;
        let hash = nar_hash(&tree).map_err(failed)?;
        std::fs::write(folder.path().join("hash"), hash.format(HashFormat::Sri)).map_err(failed)?;
        place_folder(folder, place).map_err(failed)
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
    fn get(&self, url: &str, headers: &[(String, String)]) -> Res<Download> {
        let parsed = Url::parse(url).map_err(|error| error.to_string())?;
        if parsed.scheme == "file" {
            let path = parsed.path_text();
            let failed = |error: io::Error| format!("unable to download '{url}': {error}");
            let mut file = tempfile::NamedTempFile::new().map_err(failed)?;
            if !std::fs::metadata(&path).map_err(failed)?.is_file() {
                return Err(format!("unable to download '{url}': it is no file"));
            }
            let mut from = std::fs::File::open(&path).map_err(failed)?;
            io::copy(&mut from, &mut file).map_err(failed)?;
            return Ok(Download { file, immutable: None });
        }
        if self.settings.is_offline {
            return Err(format!(
                "cannot download '{url}' because of '--offline', and it is not in the cache"
            ));
        }
        http::get(&self.settings, &parsed, url, headers, &*self.say)
    }
}

/// An archive that was unpacked into the cache.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Unpacked {
    hash: Hash,
    /// When the newest entry of the archive was changed.
    newest: u64,
    /// Where the server says that the same will be found for ever.
    immutable: Option<String>,
}

impl Unpacked {
    fn to_text(&self) -> String {
        let hash = self.hash.format(HashFormat::Nix32);
        format!("{hash}\n{}\n{}", self.newest, self.immutable.as_deref().unwrap_or_default())
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let hash = Hash::parse(lines.next()?, Some(HashKind::Sha256)).ok()?;
        let newest = lines.next()?.parse().ok()?;
        let immutable = lines.next().filter(|url| !url.is_empty()).map(str::to_owned);
        Some(Self { hash, newest, immutable })
    }
}

/// The reference for the place that a server names for an archive.
fn immutable(source: &FlakeRef, url: &str) -> Res<FlakeRef> {
    let named = FlakeRef::parse_source(url).map_err(|error| error.to_string())?;
    match named.kind() {
        "tarball" => Ok(named.with_dir("")),
        _ => Err(format!(
            "tarball 'Link' headers that redirect to '{url}' are not supported, as of '{source}'"
        )),
    }
}

fn key_of(url: &str) -> String {
    Hash::of(HashKind::Sha256, url.as_bytes()).format(HashFormat::Nix32)
}

/// Renames a new folder to where it belongs.
fn place_folder(folder: tempfile::TempDir, place: &Path) -> io::Result<()> {
    let kept = folder.keep();
    match std::fs::rename(&kept, place) {
        // Somebody else was faster with the same.
        Err(_) if place.exists() => std::fs::remove_dir_all(&kept),
        renamed => renamed,
    }
}

/// The hash of the archive of a file or folder.
fn nar_hash(path: &Path) -> io::Result<Hash> {
    fn node(path: &Path, nar: &mut NarWriter<&mut Hasher>) -> io::Result<()> {
        use std::os::unix::ffi::OsStrExt as _;
        use std::os::unix::fs::PermissionsExt as _;

        let metadata = std::fs::symlink_metadata(path)?;
        if metadata.is_symlink() {
            return nar.symlink(std::fs::read_link(path)?.as_os_str().as_bytes());
        }
        if metadata.is_file() {
            return nar.file(metadata.permissions().mode() & 0o100 != 0, &std::fs::read(path)?);
        }
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path)? {
            names.push(entry?.file_name());
        }
        names.sort_unstable();
        nar.open()?;
        for name in names {
            nar.entry(name.as_bytes())?;
            node(&path.join(&name), nar)?;
            nar.end_entry()?;
        }
        nar.close()
    }
    let mut hasher = Hasher::new(HashKind::Sha256);
    node(path, &mut NarWriter::new(&mut hasher)?)?;
    Ok(hasher.finish())
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
    fn read_within(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        self.files.read_within(path, limit)
    }
    fn read_for_archive(&self, path: &Path, buffer: &mut Vec<u8>) -> io::Result<(bool, usize)> {
        self.files.read_for_archive(path, buffer)
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
        write: &mut dyn FnMut(&mut dyn TreeWriter) -> io::Result<()>,
    ) -> io::Result<()> {
        self.files.add_tree(path, write)
    }
    fn build(&self, derivation: &str, output: &str) -> Res<String> {
        self.files.build(derivation, output)
    }
    fn variable(&self, name: &str) -> Option<String> {
        self.files.variable(name)
    }

    fn fetch(&self, source: &FlakeRef) -> Res<Fetched> {
        let fetched = match source.kind() {
            "path" => self.fetch_path(source),
            "git" => self.fetch_git(source),
            "tarball" | "file" => self.fetch_download(source),
            "github" | "gitlab" | "sourcehut" => self.fetch_hosted(source),
            kind => {
                Err(format!("cannot fetch '{source}': sources of type '{kind}' are not supported"))
            }
        };
        fetched.map_err(|message| without_passwords(&message))
    }

    fn registry(&self, number: usize, registries: Registries) -> Option<Res<Registry>> {
        registry::read(self, number, registries)
    }
}
