//! Profiles: links to links, one for each generation.
//!
//! `NAME` is a link to `NAME-7-link`, which is a link to a path in the store. Reading is done here;
//! changing is left to `nix-env`, which locks the profile.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cim_nix_base::Error;

use crate::command::Invocation;
use crate::nix::Nix;
use crate::programs::Tool;

/// How many links may lead to a profile.
const MAX_LINKS: usize = 16;

/// A profile.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Profile {
    path: PathBuf,
}

/// A generation of a profile.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Generation {
    /// Its number.
    pub number: u64,
    /// The link that is it.
    pub link: PathBuf,
    /// What it leads to: a path in the store.
    pub target: PathBuf,
    /// When the link was made, if the system tells.
    pub created: Option<SystemTime>,
    /// Whether the profile leads to it.
    pub is_current: bool,
}

impl Profile {
    /// The profile at an absolute path. It need not be there yet: its first generation makes it.
    ///
    /// A link to the profile, as `~/.nix-profile` is one, is followed.
    /// Errors: the path is relative, or there are too many links.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let mut path = path.into();
        if !path.is_absolute() || path.file_name().is_none() {
            let message = format!("`{}` is no absolute path of a profile", path.display());
            return Err(Error::user(message));
        }
        for _ in 0..MAX_LINKS {
            let Ok(to) = fs::read_link(&path) else { return Ok(Self { path }) };
            let to = path.parent().map_or_else(|| to.clone(), |folder| folder.join(&to));
            let is_link = fs::symlink_metadata(&to).is_ok_and(|metadata| metadata.is_symlink());
            let is_generation = number_of(&path, to.file_name().unwrap_or_default()).is_some();
            if is_generation || !is_link {
                return Ok(Self { path });
            }
            path = to;
        }
        Err(Error::user(format!("too many links lead to the profile `{}`", path.display())))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All generations, the oldest first.
    ///
    /// Errors: the folder of the profile cannot be read. One that is not there has no generations.
    pub fn generations(&self) -> Result<Vec<Generation>, Error> {
        let folder = self.path.parent().unwrap_or(&self.path);
        let failed = |error| {
            let message = format!("cannot read the profile `{}`", self.path.display());
            Error::outside(message).because(error)
        };
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let current = self.current_link();
        let mut generations = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let Some(number) = number_of(&self.path, &name) else { continue };
            // Whatever else has such a name is no generation, and one may go away meanwhile.
            let Ok(target) = fs::read_link(entry.path()) else { continue };
            let metadata = fs::symlink_metadata(entry.path());
            let created = metadata.ok().and_then(|metadata| metadata.modified().ok());
            let is_current = current.as_deref() == Some(name.as_os_str());
            generations.push(Generation {
                number,
                link: entry.path(),
                target,
                created,
                is_current,
            });
        }
        generations.sort_by_key(|generation| generation.number);
        Ok(generations)
    }

    /// The generation that the profile leads to.
    ///
    /// Errors: as [`Self::generations`], or the profile leads to something else, such as to a path
    /// in the store directly.
    pub fn current(&self) -> Result<Option<Generation>, Error> {
        let generations = self.generations()?;
        let current = generations.into_iter().find(|generation| generation.is_current);
        match (&current, fs::read_link(&self.path)) {
            (None, Ok(to)) => Err(Error::user(format!(
                "the profile `{}` leads to `{}`, which is none of its generations",
                self.path.display(),
                to.display()
            ))),
            _ => Ok(current),
        }
    }

    /// The generation of a number.
    ///
    /// Errors: there is none; the hint says which there are.
    pub fn generation(&self, number: u64) -> Result<Generation, Error> {
        let generations = self.generations()?;
        let numbers: Vec<String> =
            generations.iter().map(|generation| generation.number.to_string()).collect();
        let found = generations.into_iter().find(|generation| generation.number == number);
        found.ok_or_else(|| {
            let profile = self.path.display();
            Error::user(format!("the profile `{profile}` has no generation {number}"))
                .hint(format!("it has {}", numbers.join(", ")))
        })
    }

    /// The generation before the current one.
    ///
    /// Errors: there is none.
    pub fn previous(&self) -> Result<Generation, Error> {
        let profile = self.path.display();
        let current = self.current()?.ok_or_else(|| {
            Error::user(format!("the profile `{profile}` has no current generation"))
        })?;
        let older = |generation: &Generation| generation.number < current.number;
        self.generations()?.into_iter().rfind(older).ok_or_else(|| {
            let number = current.number;
            Error::user(format!("the profile `{profile}` has no generation before {number}"))
        })
    }

    fn current_link(&self) -> Option<std::ffi::OsString> {
        Some(fs::read_link(&self.path).ok()?.file_name()?.to_owned())
    }
}

/// The number of a generation of the profile at `path` that a link is called like.
fn number_of(path: &Path, link: &OsStr) -> Option<u64> {
    let name = path.file_name()?.as_encoded_bytes();
    let rest = link.as_encoded_bytes().strip_prefix(name)?.strip_prefix(b"-")?;
    let digits = rest.strip_suffix(b"-link")?;
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(digits).ok()?.parse().ok())?
}

impl Nix {
    /// What [`Self::set_profile`] would run.
    ///
    /// Errors: `nix-env` is missing.
    pub fn plan_set_profile(&self, profile: &Profile, target: &Path) -> Result<Invocation, Error> {
        Ok(self.of_profile(profile)?.arg("--set").arg(self.path_argument(target)))
    }

    /// What [`Self::switch_generation`] would run.
    ///
    /// Errors: `nix-env` is missing.
    pub fn plan_switch_generation(
        &self,
        profile: &Profile,
        number: u64,
    ) -> Result<Invocation, Error> {
        Ok(self.of_profile(profile)?.arg("--switch-generation").arg(number.to_string()))
    }

    /// What [`Self::delete_generations`] would run.
    ///
    /// Errors: `nix-env` is missing.
    pub fn plan_delete_generations(
        &self,
        profile: &Profile,
        numbers: &[u64],
    ) -> Result<Invocation, Error> {
        let invocation = self.of_profile(profile)?.arg("--delete-generations");
        Ok(invocation.args(numbers.iter().map(u64::to_string)))
    }

    /// Makes a generation that leads to `target`, a path in the store, and switches to it.
    ///
    /// Idempotent: if the newest generation leads there, it becomes the current one.
    /// Errors: `nix-env` is missing or fails, such as for a path that is not in the store.
    pub fn set_profile(&self, profile: &Profile, target: &Path) -> Result<Generation, Error> {
        let invocation = self.plan_set_profile(profile, target)?;
        let (path, target) = (profile.path.display(), target.display());
        self.ask(&invocation, &format!("set the profile `{path}` to `{target}`"))?;
        self.arrived(profile)
    }

    /// Switches to the generation of a number.
    ///
    /// Errors: there is no such generation, or `nix-env` is missing or fails.
    pub fn switch_generation(&self, profile: &Profile, number: u64) -> Result<Generation, Error> {
        profile.generation(number)?;
        let invocation = self.plan_switch_generation(profile, number)?;
        let path = profile.path.display();
        self.ask(&invocation, &format!("switch the profile `{path}` to generation {number}"))?;
        self.arrived(profile)
    }

    /// Deletes generations; what they lead to stays in the store until it is collected.
    ///
    /// Errors: one of them is the current one or is not there, or `nix-env` is missing or fails.
    pub fn delete_generations(&self, profile: &Profile, numbers: &[u64]) -> Result<(), Error> {
        for &number in numbers {
            if profile.generation(number)?.is_current {
                let message = format!(
                    "generation {number} is the current one of `{}` and cannot be deleted",
                    profile.path.display()
                );
                return Err(Error::user(message).hint("switch to another one first"));
            }
        }
        if numbers.is_empty() {
            return Ok(());
        }
        let invocation = self.plan_delete_generations(profile, numbers)?;
        let path = profile.path.display();
        self.ask(&invocation, &format!("delete generations of the profile `{path}`"))?;
        Ok(())
    }

    fn of_profile(&self, profile: &Profile) -> Result<Invocation, Error> {
        Ok(self.tool(Tool::NixEnv, &[])?.arg("--profile").arg(&profile.path))
    }

    fn arrived(&self, profile: &Profile) -> Result<Generation, Error> {
        profile.current()?.ok_or_else(|| {
            let path = profile.path.display();
            Error::outside(format!("`nix-env` succeeded, but the profile `{path}` leads nowhere"))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn generations_are_read_from_links() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let profile = Profile::open(at("p")).unwrap();
        assert_eq!(profile.generations().unwrap(), []);
        assert_eq!(profile.current().unwrap(), None);
        for (link, to) in [
            ("p-10-link", "/s/c"),
            ("p-2-link", "/s/b"),
            ("p-1-link", "/s/a"),
            ("p-x-link", "/s/x"),
            ("p--link", "/s/x"),
            ("p-3", "/s/x"),
            ("pp-3-link", "/s/x"),
            ("p", "p-2-link"),
            ("other", "p"),
        ] {
            symlink(to, at(link)).unwrap();
        }
        fs::write(at("p-4-link"), "no link").unwrap();
        let numbers = |profile: &Profile| {
            let generations = profile.generations().unwrap();
            generations.iter().map(|g| (g.number, g.is_current)).collect::<Vec<_>>()
        };
        assert_eq!(numbers(&profile), [(1, false), (2, true), (10, false)]);
        assert_eq!(profile.current().unwrap().unwrap().target, Path::new("/s/b"));
        assert_eq!(profile.previous().unwrap().number, 1);
        // A link to the profile is the profile.
        assert_eq!(Profile::open(at("other")).unwrap(), profile);
        let error = profile.generation(3).unwrap_err();
        assert_eq!(error.hints(), ["it has 1, 2, 10"]);
    }

    #[test]
    fn what_is_no_profile_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        symlink("/s/a", at("p")).unwrap();
        let error = Profile::open(at("p")).unwrap().current().unwrap_err();
        assert!(error.to_string().ends_with("leads to `/s/a`, which is none of its generations"));
        assert!(Profile::open("relative").is_err());
        assert!(Profile::open("/").is_err());
        symlink("loop", at("loop")).unwrap();
        assert!(Profile::open(at("loop")).is_err());
        symlink("q-7-link", at("q")).unwrap();
        let error = Profile::open(at("q")).unwrap().current().unwrap_err();
        assert!(error.to_string().contains("none of its generations"), "{error}");
    }
}
