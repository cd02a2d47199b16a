//! What the tests of this crate share: projects as text, and probes that stop the protocol.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use cim_nix_base::{ChangeSet, ContentHash, Error, FileMode, Op};

use crate::probe::{Probe, Renames};

/// A project and its state folder, thrown away on drop.
pub(crate) struct Project {
    dir: tempfile::TempDir,
}

impl Project {
    /// Makes the files that `tree` shows, in the form of [`Project::show`].
    pub(crate) fn new(tree: &str) -> Self {
        Self::inside(tempfile::tempdir().unwrap(), tree)
    }

    /// The same in memory, where the system has such a place: for tests that make thousands.
    pub(crate) fn quick(tree: &str) -> Self {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self::inside(dir.unwrap(), tree)
    }

    fn inside(dir: tempfile::TempDir, tree: &str) -> Self {
        let project = Self { dir };
        fs::create_dir(project.root()).unwrap();
        for line in tree.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let path = |name: &str| {
                let path = project.path(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                path
            };
            if let Some((name, target)) = line.split_once(" -> ") {
                symlink(target, path(name)).unwrap();
            } else if let Some(name) = line.strip_suffix('/') {
                fs::create_dir_all(path(name)).unwrap();
            } else {
                let (name, text) = line.split_once(": ").unwrap();
                let (name, mode) = name.split_once(' ').unwrap_or((name, ""));
                fs::write(path(name), text).unwrap();
                if let Ok(mode) = u32::from_str_radix(mode, 8) {
                    fs::set_permissions(path(name), fs::Permissions::from_mode(mode)).unwrap();
                }
            }
        }
        project
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// A folder outside of the project.
    pub(crate) fn outside(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Every file, symlink and empty folder, one a line; modes where they are not the usual one.
    pub(crate) fn show(&self) -> String {
        let sample = self.dir.path().join("sample");
        fs::write(&sample, "").unwrap();
        let usual = fs::metadata(&sample).unwrap().permissions().mode();
        let mut out = String::new();
        self.show_dir(Path::new(""), usual, &mut out);
        out
    }

    fn show_dir(&self, dir: &Path, usual: u32, out: &mut String) {
        let mut names: Vec<_> = fs::read_dir(self.root().join(dir))
            .unwrap()
            .map(|it| it.unwrap().file_name())
            .collect();
        names.sort();
        if names.is_empty() && dir != Path::new("") {
            writeln!(out, "{}/", dir.display()).unwrap();
        }
        for name in names {
            let path = dir.join(name);
            let (full, shown) = (self.root().join(&path), path.display());
            let meta = fs::symlink_metadata(&full).unwrap();
            if meta.is_symlink() {
                writeln!(out, "{shown} -> {}", fs::read_link(&full).unwrap().display()).unwrap();
            } else if meta.is_dir() {
                self.show_dir(&path, usual, out);
            } else {
                let mode = meta.permissions().mode();
                let text = String::from_utf8_lossy(&fs::read(&full).unwrap()).into_owned();
                let mode =
                    if mode == usual { String::new() } else { format!(" {:o}", mode & 0o7777) };
                writeln!(out, "{shown}{mode}: {text}").unwrap();
            }
        }
    }

    /// The names in the state folder.
    pub(crate) fn state_names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.state()) else { return Vec::new() };
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The contents of every file below the project's and the state folder.
    pub(crate) fn all_contents(&self) -> Vec<String> {
        let mut contents = Vec::new();
        let mut dirs = vec![self.root(), self.state()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
                let file_type = entry.file_type().unwrap();
                if file_type.is_dir() {
                    dirs.push(entry.path());
                } else if file_type.is_file() && entry.file_name() != "pre-images" {
                    contents.push(fs::read_to_string(entry.path()).unwrap());
                }
            }
        }
        contents
    }

    /// The names of files in the project that begin like temporaries.
    pub(crate) fn temporaries(&self) -> Vec<PathBuf> {
        let shown = self.show();
        let names = shown.lines().filter_map(|line| line.split_once([':', ' ']));
        let names = names.map(|(name, _)| name).filter(|name| name.contains(".cim-nix-"));
        names.map(|name| self.path(name)).collect()
    }

    /// An error as the reader sees it, without the paths of this machine.
    pub(crate) fn text(&self, error: &Error) -> String {
        let mut text = format!("{:?}: {}", error.kind(), error.chain());
        for hint in error.hints() {
            write!(text, "\n  hint: {hint}").unwrap();
        }
        let real = self.dir.path().canonicalize().unwrap();
        text.replace(real.to_str().unwrap(), "").replace(self.dir.path().to_str().unwrap(), "")
    }
}

/// The files of [`every_op`], before.
pub(crate) const OLD: &str = "\
a.nix: a
link.nix -> sub/h.nix
moves.nix: m
run.sh 640: r
sub/b.nix 604: b
sub/h.nix: h
z/gone.nix: g
";

/// The files of [`every_op`], after.
pub(crate) const NEW: &str = "\
a.nix: A
exec.sh 755: x
link.nix -> sub/h.nix
new/deep/c.nix: c
new/moved.nix: m
run.sh 750: r
sub/b.nix 604: B
sub/h.nix: H
z/
";

/// A set with every kind of change.
pub(crate) fn every_op() -> ChangeSet {
    let mut set = ChangeSet::new("change everything");
    let hash = |text: &str| ContentHash::of(text.as_bytes());
    let write = |from, to: &str| Op::Write { expected: hash(from), content: to.to_owned() };
    let (from, to) = (FileMode(0o640), FileMode(0o750));
    set.push("a.nix", write("a", "A"));
    set.create("new/deep/c.nix", "c");
    set.push("moves.nix", Op::Rename { expected: hash("m"), to: "new/moved.nix".into() });
    set.push("run.sh", Op::SetMode { expected: hash("r"), from, to });
    set.push("sub/b.nix", write("b", "B"));
    set.push("z/gone.nix", Op::Remove { expected: hash("g") });
    set.push("link.nix", write("h", "H"));
    set.push("exec.sh", Op::Create { content: "x".into(), mode: Some(FileMode(0o755)) });
    set
}

/// What file systems can do, the usual first.
pub(crate) const RENAMES: [Renames; 3] = [Renames::WithFlags, Renames::WithLinks, Renames::Plainly];

/// How a [`Stop`] stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// The step fails.
    Error,
    /// The program is gone: nothing else is done.
    Crash,
}

/// Stops at one step and logs all of them.
pub(crate) struct Stop {
    pub(crate) at: usize,
    pub(crate) fate: Fate,
    pub(crate) renames: Renames,
    pub(crate) steps: RefCell<Vec<&'static str>>,
}

impl Stop {
    pub(crate) fn new(at: usize, fate: Fate, renames: Renames) -> Self {
        Self { at, fate, renames, steps: RefCell::default() }
    }

    /// Stops nowhere.
    pub(crate) fn never(renames: Renames) -> Self {
        Self::new(usize::MAX, Fate::Error, renames)
    }

    pub(crate) fn has_stopped(&self) -> bool {
        self.steps.borrow().len() > self.at
    }
}

/// What a crash unwinds with.
struct Crashed;

impl Probe for Stop {
    fn step(&self, what: &'static str) -> io::Result<()> {
        self.steps.borrow_mut().push(what);
        if self.steps.borrow().len() - 1 != self.at {
            return Ok(());
        }
        match self.fate {
            Fate::Error => Err(io::Error::other(format!("no luck with \"{what}\""))),
            // Not `panic!`: this is no failure of the test and prints nothing.
            Fate::Crash => resume_unwind(Box::new(Crashed)),
        }
    }

    fn syncs(&self) -> bool {
        false
    }

    fn can_rename(&self) -> Renames {
        self.renames
    }
}

/// Runs what may crash; `None` if it did.
pub(crate) fn survive<T>(run: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(value) => Some(value),
        Err(payload) if payload.is::<Crashed>() => None,
        Err(payload) => resume_unwind(payload),
    }
}

/// Another program, which acts right before the `nth` step called `what`.
pub(crate) struct Meddler<F> {
    what: &'static str,
    nth: Cell<usize>,
    act: RefCell<Option<F>>,
    renames: Renames,
}

impl<F: FnOnce()> Meddler<F> {
    pub(crate) fn new(what: &'static str, nth: usize, act: F) -> Self {
        Self {
            what,
            nth: Cell::new(nth),
            act: RefCell::new(Some(act)),
            renames: Renames::WithFlags,
        }
    }

    pub(crate) fn on_poor_disk(mut self) -> Self {
        self.renames = Renames::Plainly;
        self
    }

    pub(crate) fn has_acted(&self) -> bool {
        self.act.borrow().is_none()
    }
}

impl<F: FnOnce()> Probe for Meddler<F> {
    fn step(&self, what: &'static str) -> io::Result<()> {
        if what == self.what && self.act.borrow().is_some() {
            if self.nth.get() == 0 {
                if let Some(act) = self.act.take() {
                    act();
                }
            } else {
                self.nth.set(self.nth.get() - 1);
            }
        }
        Ok(())
    }

    fn can_rename(&self) -> Renames {
        self.renames
    }
}
