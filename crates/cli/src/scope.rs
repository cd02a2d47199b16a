//! Which files a run is about, and how their paths are shown.

use std::env;
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf, absolute};
use std::sync::OnceLock;
use std::thread::available_parallelism;

use cim_nix_base::Error;
use cim_nix_project::{Discovery, Excludes, Files, Request, Workers, discover};

use crate::args::WalkArgs;
use crate::config::{self, Config};
use crate::terminal::printable;

/// What a worker needs for code at the depth that the parser allows. Only pages that are touched
/// take memory.
const STACK: usize = 256 << 20;

/// What marks the folder of a project, the strongest first.
const ROOT_MARKS: [&str; 3] = [config::FILE_NAME, "flake.nix", ".git"];

/// The settings that hold for a run on `paths`.
///
/// Errors: the file is not there although it was named, or says something that it must not.
pub(crate) fn config(walk: &WalkArgs, paths: &[PathBuf]) -> Result<Config, Error> {
    match config_path(walk, paths) {
        Some(path) => config::read(&path),
        None => Ok(Config { folder: start_folder(paths), ..Config::default() }),
    }
}

/// The settings file that holds for a run on `paths`.
pub(crate) fn config_path(walk: &WalkArgs, paths: &[PathBuf]) -> Option<PathBuf> {
    match &walk.config {
        Some(path) => Some(real(path)),
        None if walk.isolated => None,
        None => config::find(&start_folder(paths)),
    }
}

/// The files that `paths` stand for.
///
/// Errors: a pattern that can match nothing.
pub(crate) fn find_files(
    files: &dyn Files,
    walk: &WalkArgs,
    paths: &[PathBuf],
    config: &Config,
) -> Result<Discovery, Error> {
    let request = Request {
        paths: paths.to_vec(),
        excludes: excludes(walk, config)?,
        hidden: walk.hidden,
        ignore_files: !walk.no_ignore,
    };
    let mut found = discover(files, &request);
    if walk.force_exclude {
        let n_found = found.files.len();
        found.files.retain(|file| !request.excludes.cover(&file.path));
        found.left_out.ignored += n_found - found.files.len();
    }
    Ok(found)
}

/// The worker threads that were asked for.
pub(crate) fn workers(walk: &WalkArgs) -> Workers {
    let threads = walk.threads.or_else(|| available_parallelism().ok());
    Workers { threads: threads.unwrap_or(NonZeroUsize::MIN), stack_size: STACK }
}

/// The folder of the project that `paths` belong to: the nearest one with a mark in or above the
/// first path that holds them all, or else the deepest that does.
pub(crate) fn project_root(paths: &[PathBuf]) -> PathBuf {
    let folders: Vec<PathBuf> = paths.iter().map(|path| folder_of(path)).collect();
    let start = folders.first().cloned().unwrap_or_else(|| here().to_path_buf());
    let holds_all = |folder: &&Path| folders.iter().all(|other| other.starts_with(folder));
    let holders: Vec<&Path> = start.ancestors().filter(holds_all).collect();
    let root = holders.iter().find(|folder| is_marked(folder)).or_else(|| holders.first());
    root.map_or_else(|| PathBuf::from("/"), |root| root.to_path_buf())
}

/// Whether something in `folder` says that a project begins there.
pub(crate) fn is_marked(folder: &Path) -> bool {
    ROOT_MARKS.iter().any(|mark| folder.join(mark).exists())
}

/// The working folder without symbolic links.
pub(crate) fn here() -> &'static Path {
    static HERE: OnceLock<PathBuf> = OnceLock::new();
    // A folder that is gone leaves paths as they are: absolute.
    HERE.get_or_init(|| env::current_dir().unwrap_or_else(|_| PathBuf::from("/")))
}

/// How `path` is shown: from the working folder where it lies inside, and on one line.
pub(crate) fn shown(path: &Path) -> String {
    let path = path.strip_prefix(here()).unwrap_or(path);
    let text = if path.as_os_str().is_empty() { ".".into() } else { path.to_string_lossy() };
    printable(&text).replace('\n', "\\n")
}

/// `path` without symbolic links; made absolute where nothing is there.
pub(crate) fn real(path: &Path) -> PathBuf {
    path.canonicalize().or_else(|_| absolute(path)).unwrap_or_else(|_| path.to_path_buf())
}

fn start_folder(paths: &[PathBuf]) -> PathBuf {
    paths.first().map_or_else(|| here().to_path_buf(), |path| folder_of(path))
}

fn folder_of(path: &Path) -> PathBuf {
    let real = real(path);
    let folder = real.ancestors().find(|folder| folder.is_dir());
    folder.unwrap_or(Path::new("/")).to_path_buf()
}

/// The patterns of the settings and of the arguments, which are anchored at different folders, as
/// patterns that are anchored at the root of the file system.
fn excludes(walk: &WalkArgs, config: &Config) -> Result<Excludes, Error> {
    let mut all = Vec::new();
    let layers = config.layers();
    let of_config = layers
        .iter()
        .flat_map(|layer| layer.check.exclude.iter().map(|pattern| (&*layer.folder, pattern)));
    let of_args = walk.exclude.iter().map(|pattern| (here(), pattern));
    for (folder, pattern) in of_config.chain(of_args) {
        // Asked alone, a bad pattern is named as it was written.
        Excludes::new(folder, [pattern.as_str()])?;
        all.push(from_root(folder, pattern));
    }
    Excludes::new(Path::new("/"), all.iter().map(String::as_str))
}

fn from_root(folder: &Path, pattern: &str) -> String {
    let (not, body) = match pattern.strip_prefix('!') {
        Some(body) => ("!", body),
        None => ("", pattern),
    };
    let is_anchored = body.trim_end_matches('/').contains('/');
    let mut out = not.to_owned();
    for name in folder.iter().skip(1) {
        out.push('/');
        for c in name.to_string_lossy().chars() {
            let escape = if "*?[\\!# ".contains(c) { "\\" } else { "" };
            let _ = write!(out, "{escape}{c}");
        }
    }
    out.push_str(if is_anchored { "/" } else { "/**/" });
    out.push_str(body.strip_prefix('/').unwrap_or(body));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_move_to_the_root() {
        let folder = Path::new("/home/a b/[x]");
        assert_eq!(from_root(folder, "vendor/"), "/home/a\\ b/\\[x]/**/vendor/");
        assert_eq!(from_root(folder, "/vendor"), "/home/a\\ b/\\[x]/vendor");
        assert_eq!(from_root(folder, "!a/*.nix"), "!/home/a\\ b/\\[x]/a/*.nix");
        assert_eq!(from_root(Path::new("/"), "x"), "/**/x");
    }

    #[test]
    fn shown_paths_take_one_line() {
        assert_eq!(shown(Path::new("/nowhere/a\nb\x1b")), "/nowhere/a\\nb\\u{1b}");
        assert_eq!(shown(&here().join("a.nix")), "a.nix");
        assert_eq!(shown(here()), ".");
    }
}
