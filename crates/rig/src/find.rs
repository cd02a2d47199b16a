//! Where the programs are that tests need.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The oldest server that has what is used.
const OLDEST: (u32, u32) = (2, 11);

/// The program `nats-server`; `None`, said aloud, where there is none.
///
/// # Panics
/// Where there is none and `CI` is `true`: there it must not go unnoticed.
#[must_use]
pub fn nats_server() -> Option<PathBuf> {
    let named = std::env::var_os("CIM_NIX_NATS_SERVER").map(PathBuf::from);
    let found = match named {
        Some(program) => version(&program).map(|_| program),
        None => {
            let program = PathBuf::from("nats-server");
            version(&program).filter(|version| *version >= OLDEST).map(|_| program)
        }
    };
    found.or_else(|| skipped("CIM_NIX_NATS_SERVER names no nats-server of 2.11 or newer"))
}

/// A Python that has the module `nats`, by `CIM_NIX_NATS_PY` or `python3` on `PATH`.
///
/// # Panics
/// Where there is none and `CI` is `true`.
#[must_use]
pub fn python_with_nats() -> Option<PathBuf> {
    let named = std::env::var_os("CIM_NIX_NATS_PY").map(PathBuf::from);
    let program = named.unwrap_or_else(|| "python3".into());
    let imported = Command::new(&program)
        .args(["-c", "import nats"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match imported.is_ok_and(|status| status.success()) {
        true => Some(program),
        false => skipped("CIM_NIX_NATS_PY names no Python with nats-py"),
    }
}

fn skipped<T>(why: &str) -> Option<T> {
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{why}");
    eprintln!("skipped: {why}");
    None
}

fn version(program: &Path) -> Option<(u32, u32)> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let numbers = text.trim().rsplit_once('v')?.1;
    let mut numbers = numbers.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}
