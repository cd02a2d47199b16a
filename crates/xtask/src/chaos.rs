//! `cargo xtask chaos`: builds the service and lets `cim-nix-chaos` break it.

use std::process::{Command, ExitCode};

use crate::Result;
use crate::broker;
use crate::process;
use crate::repo::Repo;

/// Builds what is needed, optimized, and hands the other arguments on.
///
/// Errors: something does not build, or there is no NATS server.
pub(crate) fn run(repo: &Repo, arguments: &[&str]) -> Result<ExitCode> {
    let broker = broker::obtain(repo)?;
    let mut cargo = repo.cargo();
    cargo.args(["build", "--release", "--quiet", "--package", "cim-nix-server"]);
    cargo.args(["--package", "cim-nix-cli", "--package", "cim-nix-chaos"]);
    process::run(&mut cargo)?;
    let built = repo.target_dir().join("release");
    let mut chaos = Command::new(built.join("cim-nix-chaos"));
    chaos.arg("--server").arg(built.join("cim-nix-server")).args(arguments);
    chaos.env(broker::SERVER, &broker.server);
    let ended = chaos.status().map_err(|error| format!("cannot start cim-nix-chaos: {error}"))?;
    Ok(if ended.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
