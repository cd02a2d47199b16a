//! The files and the environment that expressions see. They lie in one place on every machine,
//! since answers name them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cim_nix_base::Error;
use cim_nix_eval::{FileKind, Io};
use cim_nix_vfs::DiskIo;

/// Where everything lies.
pub const ROOT: &str = "/tmp/cim-nix-fuzz";
/// The files that expressions read.
pub(super) const FOLDER: &str = "/tmp/cim-nix-fuzz/w";
/// What `HOME` is.
pub(super) const HOME: &str = "/tmp/cim-nix-fuzz/home";
/// Variables of the environment that are set, besides `HOME`.
pub(super) const VARIABLES: &[(&str, &str)] = &[("FUZZ", "a value")];
/// Experimental features that are on.
pub(super) const FEATURES: &str = "nix-command flakes pipe-operators";

const FILES: &[(&str, &[u8])] = &[
    ("a.txt", b"hello\n"),
    ("apply.nix", b"f"),
    ("b.nix", b"{ x = 1; y = [ 2 3 ]; }\n"),
    ("bad!name", b""),
    ("broken.nix", b"{ a = "),
    ("bytes", b"\xff\xfe\n"),
    ("d/default.nix", b"{ n = 4; s = ./e.txt; }"),
    ("d/e.txt", b""),
    ("d/sub/f.json", b"{\"a\": [1, 2.5, null, true], \"b\": {\"c\": \"\\u00e9\"}}\n"),
    ("default.nix", b"{ inherit (import ./b.nix) x; f = import ./f.nix; }"),
    ("exe.sh", b"#!/bin/sh\n"),
    ("f.nix", b"x: x"),
    ("g.nix", b"{ a ? 1, b ? a, ... }@args: args // { inherit a b; }"),
    ("loop.nix", b"import ./loop.nix"),
    ("nul", b"a\0b"),
    ("scoped.nix", b"y + 1"),
    ("t.toml", b"title = \"x\"\n[owner]\nn = 1\nf = 2.5\nl = [true, false]\n"),
    ("throw.nix", b"throw \"from a file\""),
    ("undef.nix", b"{ a = nope; }"),
];

/// Writes the files, where they are not there yet.
///
/// Errors: the folder cannot be written.
pub fn prepare() -> Result<(), Error> {
    write_all().map_err(|error| Error::outside(format!("cannot write to {ROOT}")).because(error))
}

fn write_all() -> io::Result<()> {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let folder = Path::new(FOLDER);
    fs::create_dir_all(folder.join("d/sub"))?;
    fs::create_dir_all(folder_of_expressions())?;
    fs::create_dir_all(HOME)?;
    for (name, content) in FILES {
        let path = folder.join(name);
        put(&path, content)?;
        let mode = if name.ends_with(".sh") { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    }
    let link = folder.join("link");
    match symlink("a.txt", &link) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// Writes a file at once, so that others who write the same never see half of it.
fn put(path: &Path, content: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    let part = Path::new(ROOT).join(format!("part-{}", std::process::id()));
    fs::write(&part, content)?;
    fs::rename(&part, path)
}

fn folder_of_expressions() -> PathBuf {
    Path::new(ROOT).join("e")
}

/// The file of an expression.
#[must_use]
pub fn path_of(slot: usize) -> PathBuf {
    folder_of_expressions().join(format!("{slot}.nix"))
}

/// Writes an expression to its file.
///
/// Errors: it cannot be written.
pub(super) fn write_expression(slot: usize, text: &str) -> Result<PathBuf, Error> {
    let path = path_of(slot);
    let written = put(&path, text.as_bytes());
    written.map_err(|error| {
        Error::outside(format!("cannot write {}", path.display())).because(error)
    })?;
    Ok(path)
}

/// What our evaluator sees.
pub(super) struct World {
    disk: DiskIo,
}

impl World {
    pub(super) fn new() -> Self {
        Self { disk: DiskIo::default() }
    }
}

impl Io for World {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.disk.read(path)
    }

    fn read_for_archive(&self, path: &Path, bytes: &mut Vec<u8>) -> io::Result<(bool, usize)> {
        self.disk.read_for_archive(path, bytes)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<(Vec<u8>, FileKind)>> {
        self.disk.list(path)
    }

    fn link_kind(&self, path: &Path) -> io::Result<FileKind> {
        self.disk.link_kind(path)
    }

    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        self.disk.kind(path)
    }

    fn link_target(&self, path: &Path) -> io::Result<PathBuf> {
        self.disk.link_target(path)
    }

    fn is_executable(&self, path: &Path) -> io::Result<bool> {
        self.disk.is_executable(path)
    }

    fn variable(&self, name: &str) -> Option<String> {
        if name == "HOME" {
            return Some(HOME.to_owned());
        }
        let found = VARIABLES.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    }
}
