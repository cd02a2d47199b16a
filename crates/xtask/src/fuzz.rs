//! Runs the differential fuzzing of the evaluator.

use crate::Result;
use crate::oracle;
use crate::process;
use crate::repo::Repo;

/// Builds the judges and lets them compare; `options` are those of `cim-nix-oracle evaluate`.
///
/// Errors: there is no judge, or the judges do not agree.
pub(crate) fn run(repo: &Repo, options: &[&str]) -> Result<()> {
    let mut cargo = repo.cargo();
    cargo.args(["run", "--quiet", "--release", "--package", "cim-nix-oracle", "--"]);
    cargo.arg("evaluate").args(options);
    if !options.contains(&"--nix") {
        cargo.arg("--nix").arg(oracle::obtain(repo)?.path);
    }
    process::run(&mut cargo)
}
