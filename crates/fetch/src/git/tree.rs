//! The files of a commit, byte for byte as the repository has them: no line ends are changed, no
//! filter runs, nothing is substituted, whatever attributes and settings say.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::{BufReader, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;

use super::program::{command, git, parts, run};
use crate::Res;

/// What a commit has at a path.
pub(super) struct Entry {
    pub(super) mode: u32,
    pub(super) id: String,
    pub(super) path: Vec<u8>,
}

/// The mode of a submodule.
pub(super) const SUBMODULE: u32 = 0o160_000;
const LINK: u32 = 0o120_000;

/// A path of a repository below a folder. A repository can have any bytes for names, so whatever
/// would lead out is refused.
pub(super) fn inside(folder: &Path, path: &[u8]) -> Res<PathBuf> {
    let path = Path::new(OsStr::from_bytes(path));
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    match path.components().all(is_plain) {
        true => Ok(folder.join(path)),
        false => Err(format!("the repository has a file with the name '{}'", path.display())),
    }
}

/// All files, links and submodules of a commit.
pub(super) fn entries(repository: &Path, rev: &str) -> Res<Vec<Entry>> {
    let listed = git(repository, &["ls-tree", "-r", "-z", rev])?;
    let entry = |line: &[u8]| {
        let tab = line.iter().position(|&byte| byte == b'\t')?;
        let head = std::str::from_utf8(&line[..tab]).ok()?;
        let mut words = head.split(' ');
        let mode = u32::from_str_radix(words.next()?, 8).ok()?;
        let id = words.nth(1)?.to_owned();
        Some(Entry { mode, id, path: line[tab + 1..].to_vec() })
    };
    let broken = || "'git ls-tree' printed what is no list of files".to_owned();
    parts(&listed).map(|line| entry(line).ok_or_else(broken)).collect()
}

/// Writes files of a commit below a folder; submodules become empty folders.
pub(super) fn write(repository: &Path, entries: &[Entry], folder: &Path) -> Res<()> {
    let failed = |error: std::io::Error| format!("cannot write the files of a commit: {error}");
    std::fs::create_dir_all(folder).map_err(failed)?;
    let blobs: Vec<&Entry> = entries.iter().filter(|entry| entry.mode != SUBMODULE).collect();
    let request: String = blobs.iter().map(|entry| format!("{}\n", entry.id)).collect();
    let mut child = command(repository)
        .args(["cat-file", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot run 'git', which sources of type 'git' need: {error}"))?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    // Links come last, so that no file is ever written through one.
    let mut links = Vec::new();
    let written: Res<()> = std::thread::scope(|scope| {
        if let Some(mut stdin) = stdin {
            // If it ends early, what it printed is too short, and that is told.
            scope.spawn(move || stdin.write_all(request.as_bytes()));
        }
        let mut output = BufReader::new(stdout.ok_or("'git cat-file' prints nothing".to_owned())?);
        for entry in &blobs {
            let bytes = blob(&mut output, &entry.id)?;
            let path = inside(folder, &entry.path)?;
            if entry.mode == LINK {
                links.push((bytes, path));
                continue;
            }
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent).map_err(failed)?;
            }
            std::fs::write(&path, bytes).map_err(failed)?;
            let mode = if entry.mode & 0o100 == 0 { 0o644 } else { 0o755 };
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).map_err(failed)?;
        }
        Ok(())
    });
    let _ = child.wait();
    written?;
    for entry in entries.iter().filter(|entry| entry.mode == SUBMODULE) {
        std::fs::create_dir_all(inside(folder, &entry.path)?).map_err(failed)?;
    }
    for (target, path) in links {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed)?;
        }
        symlink(OsStr::from_bytes(&target), &path).map_err(failed)?;
    }
    Ok(())
}

/// The next object that `git cat-file --batch` prints.
fn blob(output: &mut impl std::io::BufRead, id: &str) -> Res<Vec<u8>> {
    let broken = |why: &str| format!("cannot read the Git object '{id}': {why}");
    let mut head = String::new();
    output.read_line(&mut head).map_err(|error| broken(&error.to_string()))?;
    let size = head.trim().rsplit(' ').next().and_then(|size| size.parse::<usize>().ok());
    let size = size.ok_or_else(|| broken(head.trim()))?;
    let mut bytes = Vec::new();
    let mut object = output.take(size as u64 + 1);
    object.read_to_end(&mut bytes).map_err(|error| broken(&error.to_string()))?;
    match bytes.len() == size + 1 {
        true => {
            bytes.pop();
            Ok(bytes)
        }
        false => Err(broken("it ends too early")),
    }
}

/// The paths that `.gitattributes` keep out of archives, with all that lies below them. They are
/// those of a commit, or of the working tree.
pub(super) fn left_out(
    repository: &Path,
    rev: Option<&str>,
    paths: &[&[u8]],
) -> Res<HashSet<Vec<u8>>> {
    let is_attributes =
        |path: &&[u8]| *path == b".gitattributes" || path.ends_with(b"/.gitattributes");
    if !paths.iter().any(is_attributes) {
        return Ok(HashSet::new());
    }
    // Folders can be left out, too.
    let mut asked: HashSet<&[u8]> = HashSet::new();
    for path in paths {
        asked.insert(path);
        for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            asked.insert(&path[..at]);
        }
    }
    let input: Vec<u8> = asked.iter().flat_map(|path| [path, &b"\0"[..]].concat()).collect();
    let mut arguments = vec!["check-attr", "-z", "--stdin"];
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let index = folder.path().join("index");
    let mut ask = command(repository);
    if let Some(rev) = rev {
        run(
            command(repository).env("GIT_INDEX_FILE", &index).args(["read-tree", rev]),
            &["read-tree"],
            &[],
        )?;
        ask.env("GIT_INDEX_FILE", &index);
        arguments.push("--cached");
    }
    arguments.push("export-ignore");
    let answer = run(ask.args(&arguments), &arguments, &input)?;
    let words: Vec<&[u8]> = answer.split(|&byte| byte == 0).collect();
    let out: HashSet<&[u8]> =
        words.chunks_exact(3).filter(|word| word[2] == b"set").map(|word| word[0]).collect();
    let is_out = |path: &[u8]| {
        let above = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        out.contains(path) || above.map(|(at, _)| &path[..at]).any(|folder| out.contains(folder))
    };
    Ok(paths.iter().filter(|path| is_out(path)).map(|path| path.to_vec()).collect())
}
