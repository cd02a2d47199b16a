//! Which programs of Nix there are, where, and of which version.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use cim_nix_base::Error;

use crate::command::Environment;

/// A program that this crate can run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Tool {
    /// `nix`.
    Nix,
    /// `nix-instantiate`.
    NixInstantiate,
    /// `nix-store`.
    NixStore,
    /// `nix-env`.
    NixEnv,
    /// `nix-collect-garbage`.
    NixCollectGarbage,
    /// `nixos-rebuild`.
    NixosRebuild,
    /// `home-manager`.
    HomeManager,
}

impl Tool {
    /// Every program, those of Nix itself first.
    pub const ALL: [Self; 7] = [
        Self::Nix,
        Self::NixInstantiate,
        Self::NixStore,
        Self::NixEnv,
        Self::NixCollectGarbage,
        Self::NixosRebuild,
        Self::HomeManager,
    ];

    /// What it is called on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nix => "nix",
            Self::NixInstantiate => "nix-instantiate",
            Self::NixStore => "nix-store",
            Self::NixEnv => "nix-env",
            Self::NixCollectGarbage => "nix-collect-garbage",
            Self::NixosRebuild => "nixos-rebuild",
            Self::HomeManager => "home-manager",
        }
    }

    /// What it is needed for here.
    const fn purpose(self) -> &'static str {
        match self {
            Self::Nix => "evaluating flakes, sizes of paths and binary caches",
            Self::NixInstantiate => "instantiating expressions",
            Self::NixStore => "building and collecting garbage",
            Self::NixEnv => "switching profiles",
            Self::NixCollectGarbage => "deleting old generations",
            Self::NixosRebuild => "rebuilding a NixOS system as a whole",
            Self::HomeManager => "rebuilding a home as a whole",
        }
    }

    /// How people get it.
    const fn source(self) -> &'static str {
        match self {
            Self::NixosRebuild => {
                "it is part of NixOS; elsewhere run it from the package `nixos-rebuild`"
            }
            Self::HomeManager => {
                "install the package `home-manager`, or set `programs.home-manager.enable = true`"
            }
            _ => "install Nix from https://nixos.org/download, or `nix-bin` on Debian and Ubuntu",
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The first two numbers of a version of Nix.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Version {
    /// 2 in 2.34.8.
    pub major: u32,
    /// 34 in 2.34.8.
    pub minor: u32,
}

impl Version {
    /// The version in what `nix --version` prints: `nix (Nix) 2.34.8`.
    fn of(text: &str) -> Option<Self> {
        let is_version = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
        let word = text.lines().next()?.split_whitespace().rev().find(is_version)?;
        let mut numbers = word.split(|c: char| !c.is_ascii_digit());
        let mut number = || numbers.next()?.parse().ok();
        Some(Self { major: number()?, minor: number()? })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A program that was found.
#[derive(Clone, Debug)]
struct Program {
    path: PathBuf,
    /// Asked for once it is needed; nothing if the program does not tell.
    version: OnceLock<Option<String>>,
}

/// The programs that were found.
#[derive(Clone, Debug)]
pub struct Programs {
    found: BTreeMap<Tool, Program>,
    environment: Environment,
}

impl Programs {
    /// Looks for all programs in the folders of `PATH` in `environment`.
    ///
    /// No program is run. One that is missing is no error until it is needed.
    #[must_use]
    pub fn find(environment: &Environment) -> Self {
        let path = environment.get("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = std::env::split_paths(path).collect();
        let mut programs = Self { found: BTreeMap::new(), environment: environment.clone() };
        for tool in Tool::ALL {
            let mut candidates = folders.iter().map(|folder| folder.join(tool.name()));
            // A relative folder would mean another one wherever a program is run.
            let first = candidates.find(|path| path.is_absolute() && is_executable(path));
            if let Some(path) = first {
                programs = programs.with(tool, path);
            }
        }
        programs
    }

    /// Uses the program at `path` for `tool`.
    #[must_use]
    pub fn with(mut self, tool: Tool, path: impl Into<PathBuf>) -> Self {
        self.found.insert(tool, Program { path: path.into(), version: OnceLock::new() });
        self
    }

    /// The programs that are there, with their places.
    pub fn found(&self) -> impl Iterator<Item = (Tool, &Path)> {
        self.found.iter().map(|(&tool, program)| (tool, program.path.as_path()))
    }

    /// Where a program is.
    ///
    /// Errors: it is missing; the error says what needs it and how to get it.
    pub fn path(&self, tool: Tool) -> Result<&Path, Error> {
        match self.found.get(&tool) {
            Some(program) => Ok(&program.path),
            None => Err(Error::outside(format!(
                "there is no program `{tool}` on PATH, which {} needs",
                tool.purpose()
            ))
            .hint(tool.source())),
        }
    }

    /// What a program says to `--version`, in one line; nothing if it is missing or does not say.
    ///
    /// Cost: runs the program once.
    pub fn version_text(&self, tool: Tool) -> Option<&str> {
        let program = self.found.get(&tool)?;
        let ask = || {
            let mut command = Command::new(&program.path);
            command.arg("--version").stdin(Stdio::null());
            command.env_clear().envs(self.environment.variables());
            let output = command.output().ok().filter(|output| output.status.success())?;
            let text = String::from_utf8_lossy(&output.stdout);
            text.lines().next().map(|line| line.trim().to_owned())
        };
        program.version.get_or_init(ask).as_deref()
    }

    /// The version of a program of Nix; nothing if it is missing or does not say.
    ///
    /// Cost: as [`Self::version_text`].
    #[must_use]
    pub fn version(&self, tool: Tool) -> Option<Version> {
        Version::of(self.version_text(tool)?)
    }
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;

    let metadata = std::fs::metadata(path);
    metadata.is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Whether an argument could be taken for an option.
pub(crate) fn looks_like_option(text: &OsStr) -> bool {
    text.as_encoded_bytes().starts_with(b"-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_programs_print_them() {
        let of = |text| Version::of(text).map(|version| version.to_string());
        assert_eq!(of("nix (Nix) 2.34.8\n").as_deref(), Some("2.34"));
        assert_eq!(of("nix-store (Nix) 2.8.0").as_deref(), Some("2.8"));
        assert_eq!(of("nix (Lix, like Nix) 2.93.3").as_deref(), Some("2.93"));
        assert_eq!(of("nix (Nix) 2.19pre20231012_abcdef").as_deref(), Some("2.19"));
        assert_eq!(of("command not found"), None);
        assert_eq!(of(""), None);
        assert!(Version { major: 2, minor: 8 } < Version { major: 2, minor: 34 });
    }

    #[test]
    fn a_missing_program_says_what_needs_it_and_how_to_get_it() {
        let mut environment = Environment::empty();
        environment.set("PATH", "/nowhere:.");
        let programs = Programs::find(&environment);
        assert_eq!(programs.found().count(), 0);
        let error = programs.path(Tool::NixStore).unwrap_err();
        assert_eq!(error.kind(), cim_nix_base::ErrorKind::Outside);
        let want =
            "there is no program `nix-store` on PATH, which building and collecting garbage needs";
        assert_eq!(error.to_string(), want);
        assert!(error.hints()[0].contains("nix-bin"));
        let error = programs.path(Tool::HomeManager).unwrap_err();
        assert!(error.hints()[0].contains("programs.home-manager.enable"));
        assert_eq!(programs.version(Tool::Nix), None);
    }
}
