//! From a change set to what will be done: paths resolved, expectations checked, former contents
//! put into the journal's draft. Nothing in the project changes here.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use cim_nix_base::{Change, ChangeSet, ContentHash, Error, FileMode, Op};

use crate::disk::{Disk, Found, Seen};
use crate::journal::{Action, Draft, Intent, PreImage, Step};
use crate::path::RelPath;

/// What will be done.
pub(crate) struct Plan<'a> {
    pub(crate) intent: Intent,
    /// What each step writes, if it does.
    pub(crate) fresh: Vec<Option<Fresh<'a>>>,
    pub(crate) warnings: Vec<String>,
}

/// A new content.
pub(crate) struct Fresh<'a> {
    pub(crate) content: &'a str,
    /// The mode of a created file.
    pub(crate) mode: Option<FileMode>,
}

/// Checks `set` against what is on disk.
///
/// Errors: a path that does not fit, a symlink that leads out, a file that is not what the set
/// expects ([`ErrorKind::Conflict`](cim_nix_base::ErrorKind::Conflict)), or not writable.
pub(crate) fn plan<'a>(
    disk: &Disk<'_>,
    draft: &mut Draft<'_>,
    set: &'a ChangeSet,
    token: String,
) -> Result<Plan<'a>, Error> {
    let intent = Intent::new(disk.path(), &set.title, token);
    let mut planner = Planner { disk, draft, intent, fresh: Vec::new(), warnings: Vec::new() };
    for (change, path) in set.changes.iter().zip(paths(set)?) {
        planner.add(change, &path)?;
    }
    let resolved = planner.intent.steps.iter().flat_map(|step| match &step.action {
        Action::Rename { to, .. } => vec![&step.path, to],
        _ => vec![&step.path],
    });
    check_apart(resolved.collect())?;
    let Planner { intent, fresh, warnings, .. } = planner;
    Ok(Plan { intent, fresh, warnings })
}

/// The paths of a set, checked without a look at the disk.
fn paths(set: &ChangeSet) -> Result<Vec<RelPath>, Error> {
    let paths = set.changes.iter().map(|change| checked(&change.path));
    let paths = paths.collect::<Result<Vec<_>, _>>()?;
    let targets = set.changes.iter().filter_map(|change| match &change.op {
        Op::Rename { to, .. } => Some(checked(to)),
        _ => None,
    });
    let targets = targets.collect::<Result<Vec<_>, _>>()?;
    check_apart(paths.iter().chain(&targets).collect())?;
    Ok(paths)
}

fn checked(path: &Path) -> Result<RelPath, Error> {
    RelPath::new(path).ok_or_else(|| {
        Error::user(format!(
            "cannot change `{}`: it is not a path inside the project",
            path.display()
        ))
    })
}

/// Refuses a path that occurs twice, or below another one.
fn check_apart(mut paths: Vec<&RelPath>) -> Result<(), Error> {
    // Paths sort by components, so whatever is below a path follows it at once.
    paths.sort_unstable();
    match paths.array_windows().find(|[one, two]| two.as_path().starts_with(one.as_path())) {
        None => Ok(()),
        Some([one, two]) if one == two => {
            Err(Error::user(format!("cannot change `{one}` twice in one change set")))
        }
        Some([one, two]) => {
            Err(Error::user(format!("cannot change both the file `{one}` and `{two}` below it")))
        }
    }
}

struct Planner<'a, 'p, 'j> {
    disk: &'p Disk<'p>,
    draft: &'p mut Draft<'j>,
    intent: Intent,
    fresh: Vec<Option<Fresh<'a>>>,
    warnings: Vec<String>,
}

impl<'a> Planner<'a, '_, '_> {
    fn add(&mut self, change: &'a Change, path: &RelPath) -> Result<(), Error> {
        match &change.op {
            Op::Create { content, mode } => {
                let path = self.resolve(path)?;
                self.check_free(&path)?;
                self.plan_dirs(path.dir())?;
                let after = ContentHash::of(content.as_bytes());
                self.push(path, Action::Create { after }, Some(Fresh { content, mode: *mode }));
            }
            Op::Write { expected, content } => self.add_write(path, *expected, content)?,
            Op::Rename { expected, to } => {
                let path = self.resolve_plain(path)?;
                let seen = self.expect(&path, *expected)?;
                let to = self.resolve(&checked(to)?)?;
                self.check_free(&to)?;
                self.plan_dirs(to.dir())?;
                let before = self.pre_image(&seen)?;
                self.push(path, Action::Rename { before, to }, None);
            }
            Op::SetMode { expected, from, to } => {
                let path = self.resolve_target(path)?;
                let seen = self.expect(&path, *expected)?;
                if seen.owner.mode != from.0 {
                    return Err(changed(&path, "has other permissions than expected"));
                }
                if from != to {
                    let (from, to) = (*from, *to);
                    self.push(path, Action::SetMode { before: seen.hash, from, to }, None);
                }
            }
            Op::Remove { expected } => {
                let path = self.resolve_plain(path)?;
                let seen = self.expect(&path, *expected)?;
                let before = self.pre_image(&seen)?;
                self.push(path, Action::Remove { before }, None);
            }
        }
        Ok(())
    }

    fn add_write(
        &mut self,
        path: &RelPath,
        expected: ContentHash,
        content: &'a str,
    ) -> Result<(), Error> {
        let path = self.resolve_target(path)?;
        let seen = self.expect(&path, expected)?;
        let after = ContentHash::of(content.as_bytes());
        if after == expected {
            return Ok(());
        }
        // The swap needs rights on the folder alone, but who made a file read-only meant it.
        self.disk.check_writable(&path).map_err(|error| cannot("write", &path, error))?;
        if seen.links > 1 {
            self.warnings.push(format!(
                "`{path}` had {} names (hard links); only this one has the new content",
                seen.links
            ));
        }
        let before = self.pre_image(&seen)?;
        let fresh = Fresh { content, mode: None };
        self.push(path, Action::Write { before, after }, Some(fresh));
        Ok(())
    }

    fn push(&mut self, path: RelPath, action: Action, fresh: Option<Fresh<'a>>) {
        self.intent.steps.push(Step { path, action });
        self.fresh.push(fresh);
    }

    fn pre_image(&mut self, seen: &Seen) -> Result<PreImage, Error> {
        self.draft.add(&seen.bytes, seen.hash, seen.owner)
    }

    /// The path with the symlinks of its folders resolved; the folders need not exist.
    fn resolve(&self, path: &RelPath) -> Result<RelPath, Error> {
        let root = self.disk.path();
        for dir in path.dir().ancestors() {
            match root.join(dir).canonicalize() {
                Ok(real) => {
                    let rest = path.as_path().strip_prefix(dir).unwrap_or(path.as_path());
                    return self.inside(path, &real.join(rest));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(cannot("find", path, error)),
            }
        }
        Ok(path.clone())
    }

    /// [`Planner::resolve`], and the file behind the path if it is a symlink.
    fn resolve_target(&self, path: &RelPath) -> Result<RelPath, Error> {
        let full = self.disk.path().join(path.as_path());
        if !full.is_symlink() {
            return self.resolve(path);
        }
        match full.canonicalize() {
            Ok(real) => self.inside(path, &real),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(changed(path, "is a symlink that leads nowhere"))
            }
            Err(error) => Err(cannot("find", path, error)),
        }
    }

    /// [`Planner::resolve`] for a path that must not be a symlink itself.
    fn resolve_plain(&self, path: &RelPath) -> Result<RelPath, Error> {
        if self.disk.path().join(path.as_path()).is_symlink() {
            return Err(Error::user(format!("cannot move or remove `{path}`: it is a symlink"))
                .hint("change the file that it leads to, or the symlink by hand"));
        }
        self.resolve(path)
    }

    fn inside(&self, path: &RelPath, real: &Path) -> Result<RelPath, Error> {
        let inside = real.strip_prefix(self.disk.path()).ok().and_then(RelPath::new);
        inside.ok_or_else(|| {
            Error::user(format!(
                "cannot change `{path}`: a symlink leads to `{}`, outside of the project `{}`",
                real.display(),
                self.disk.path().display()
            ))
        })
    }

    /// Reads the file at `path`, which must have the content with hash `expected`.
    fn expect(&self, path: &RelPath, expected: ContentHash) -> Result<Seen, Error> {
        match self.disk.look(path).map_err(|error| cannot("read", path, error))? {
            Found::Nothing => Err(changed(path, "is not there any more")),
            Found::Other => Err(Error::user(format!("cannot change `{path}`: not a regular file"))),
            Found::File(seen) if seen.hash != expected => Err(changed(path, "has changed")),
            Found::File(seen) => Ok(seen),
        }
    }

    fn check_free(&self, path: &RelPath) -> Result<(), Error> {
        match self.disk.path().join(path.as_path()).symlink_metadata() {
            Ok(_) => Err(changed(path, "exists already")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(cannot("create", path, error)),
        }
    }

    /// Notes the folders that have to be made for `dir`, outer before inner.
    fn plan_dirs(&mut self, dir: &Path) -> Result<(), Error> {
        let mut missing = Vec::new();
        for dir in dir.ancestors().filter(|dir| *dir != OsStr::new("")) {
            if self.disk.path().join(dir).is_dir() {
                break;
            }
            missing.push(checked(dir)?);
        }
        for dir in missing.into_iter().rev() {
            if !self.intent.dirs.contains(&dir) {
                self.intent.dirs.push(dir);
            }
        }
        Ok(())
    }
}

/// A conflict: the path is not what the change set was made for.
pub(crate) fn changed(path: &RelPath, found: &str) -> Error {
    Error::conflict(format!("cannot change `{path}`: it {found}"))
        .hint("run the command again to start from what is there now")
}

/// Something outside failed while we tried to `verb` the path.
pub(crate) fn cannot(verb: &str, path: &RelPath, error: io::Error) -> Error {
    Error::outside(format!("cannot {verb} `{path}`")).because(error)
}
