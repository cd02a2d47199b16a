//! Puts a current Nix beside the build output: the judge of the differential tests.
//!
//! Most machines have no Nix, or an old one that refuses today's language. Debian's newest
//! packages hold a current one, so they are downloaded with apt, unpacked below the build output
//! and run through their own dynamic loader. Apt works on folders of ours here, not on the
//! machine's: nothing is installed, no rights are needed, and any Debian or Ubuntu will do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::process;
use crate::repo::Repo;
use crate::tools;

/// Names the variable that tells tests (and this program) which Nix to ask.
pub(crate) const VARIABLE: &str = "CIM_NIX_ORACLE";

/// The Nix whose language and builtins we know: an older one judges wrongly.
const OLDEST: (u32, u32) = (2, 34);

/// Debian's suites that have such a Nix, the steadier first.
const SUITES: [&str; 2] = ["testing", "sid"];

/// A Nix to compare with.
pub(crate) struct Oracle {
    /// Where its `nix-instantiate` is.
    pub(crate) path: PathBuf,
    /// What it says of its version.
    pub(crate) version: String,
}

/// Finds a current Nix, or downloads one (about 40 MB, 20 seconds).
///
/// Errors: what is missing, and what to set by hand.
pub(crate) fn obtain(repo: &Repo) -> Result<Oracle> {
    if let Some(named) = std::env::var_os(VARIABLE) {
        return ask(Path::new(&named))
            .map_err(|message| format!("{VARIABLE} names no usable Nix: {message}"));
    }
    let folders = SUITES.map(|suite| tools::tool_dir(repo, &format!("nix-{suite}")));
    let unpacked = folders.iter().filter(|folder| folder.join(PROGRAM).exists());
    // One that an older version of this program has unpacked may lack a runner.
    let unpacked = unpacked.map(|folder| write_runners(folder).map(|()| folder.join(PROGRAM)));
    let unpacked = unpacked.filter_map(Result::ok);
    let present =
        tools::on_path(PROGRAM).into_iter().chain(unpacked).find_map(|path| ask(&path).ok());
    if let Some(oracle) = present {
        return Ok(oracle);
    }
    let mut refusals = Vec::new();
    for (suite, folder) in SUITES.iter().zip(&folders) {
        eprintln!("downloading Nix from Debian {suite} into {}", folder.display());
        match download(suite, folder).and_then(|path| ask(&path)) {
            Ok(oracle) => return Ok(oracle),
            Err(refusal) => refusals.push(format!("{suite}: {refusal}")),
        }
    }
    Err(format!(
        "there is no current Nix here and none could be downloaded ({}); set {VARIABLE} to the \
         nix-instantiate of Nix {}.{} or newer",
        refusals.join("; "),
        OLDEST.0,
        OLDEST.1
    ))
}

const PROGRAM: &str = "nix-instantiate";
/// All that are asked: flakes are the business of `nix` alone, and building that of `nix-store`.
const PROGRAMS: [&str; 3] = [PROGRAM, "nix", "nix-store"];

/// Asks a Nix for its version and refuses one that is too old to judge.
fn ask(path: &Path) -> Result<Oracle> {
    let version = process::quiet(Command::new(path).arg("--version"))?.trim().to_owned();
    match version_number(&version) {
        Some(number) if number >= OLDEST => Ok(Oracle { path: path.to_owned(), version }),
        _ => Err(format!("`{version}` is older than {}.{}", OLDEST.0, OLDEST.1)),
    }
}

/// Reads `nix-instantiate (Nix) 2.34.8` as (2, 34).
fn version_number(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split_whitespace().last()?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Downloads and unpacks Nix with its libraries and returns the path of its `nix-instantiate`.
fn download(suite: &str, folder: &Path) -> Result<PathBuf> {
    let apt = Apt::prepare(suite, &folder.join("apt"))?;
    process::quiet(apt.get().arg("update"))?;
    process::quiet(apt.get().args(["install", "--yes", "--download-only", "nix-bin"]))?;
    let root = folder.join("root");
    for package in apt.downloaded()? {
        process::quiet(Command::new("dpkg-deb").arg("--extract").arg(package).arg(&root))?;
    }
    write_runners(folder)?;
    // The packages are as large as what was in them.
    fs::remove_dir_all(&apt.dir).map_err(|error| cannot("remove", &apt.dir, &error))?;
    Ok(folder.join(PROGRAM))
}

/// Apt on folders of our own.
struct Apt {
    dir: PathBuf,
}

impl Apt {
    /// Lays out the folders and names the mirror that this machine uses anyway.
    fn prepare(suite: &str, dir: &Path) -> Result<Self> {
        let mirror = mirror().ok_or("this machine has no Debian package source")?;
        for sub in ["state/lists/partial", "cache/archives/partial"] {
            let sub = dir.join(sub);
            fs::create_dir_all(&sub).map_err(|error| cannot("create", &sub, &error))?;
        }
        // An empty list of installed packages makes apt download every library.
        let sources = format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n");
        for (name, text) in [("state/status", ""), ("sources.list", &sources)] {
            let path = dir.join(name);
            fs::write(&path, text).map_err(|error| cannot("write", &path, &error))?;
        }
        Ok(Self { dir: dir.to_owned() })
    }

    fn get(&self) -> Command {
        let dir = self.dir.display();
        let mut apt = Command::new("apt-get");
        for option in [
            format!("Dir::State={dir}/state"),
            format!("Dir::State::status={dir}/state/status"),
            format!("Dir::Cache={dir}/cache"),
            format!("Dir::Etc::sourcelist={dir}/sources.list"),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            "APT::Install-Recommends=false".to_owned(),
            "APT::Sandbox::User=".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "Acquire::Retries=3".to_owned(),
            // Root's lock files lie elsewhere; these folders have one user.
            "Debug::NoLocking=true".to_owned(),
        ] {
            apt.arg("-o").arg(option);
        }
        apt.env("DEBIAN_FRONTEND", "noninteractive").env("LC_ALL", "C");
        apt
    }

    /// Lists the downloaded packages but for Perl, which only Nix's scripts want.
    fn downloaded(&self) -> Result<Vec<PathBuf>> {
        let archives = self.dir.join("cache/archives");
        let entries = fs::read_dir(&archives).map_err(|error| cannot("list", &archives, &error))?;
        Ok(entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                !name.starts_with("perl") && !name.starts_with("libperl")
            })
            .collect())
    }
}

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Returns the address that this machine gets its Debian packages from.
fn mirror() -> Option<String> {
    let parts = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten();
    parts
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .chain([PathBuf::from("/etc/apt/sources.list")])
        .filter_map(|path| fs::read_to_string(path).ok())
        .find_map(|text| mirror_in(&text))
}

/// Finds the first Debian archive in a sources file of either form.
fn mirror_in(sources: &str) -> Option<String> {
    sources
        .lines()
        .filter(|line| line.starts_with("URIs:") || line.starts_with("deb "))
        .flat_map(str::split_whitespace)
        .map(|word| word.trim_end_matches('/'))
        .find(|word| word.contains("://") && word.ends_with("/debian"))
        .map(ToOwned::to_owned)
}

/// Writes scripts that run the unpacked Nix, under each of its names, with the libraries that it
/// was built for.
fn write_runners(folder: &Path) -> Result<()> {
    let root = folder.join("root");
    PROGRAMS.iter().try_for_each(|program| write_runner(&root, program, &folder.join(program)))
}

fn write_runner(root: &Path, program: &str, runner: &Path) -> Result<()> {
    let (loader, triple) = match std::env::consts::ARCH {
        "x86_64" => ("lib64/ld-linux-x86-64.so.2", "x86_64-linux-gnu"),
        "aarch64" => ("lib/ld-linux-aarch64.so.1", "aarch64-linux-gnu"),
        other => return Err(format!("no loader is known for {other}")),
    };
    // Packages that moved below /usr name the loader there.
    let loader = [root.join("usr").join(loader), root.join(loader)]
        .into_iter()
        .find(|path| path.exists())
        .ok_or("the unpacked packages hold no dynamic loader")?;
    let root = root.display();
    let script = format!(
        "#!/bin/sh\nexec '{}' --argv0 {program} \\\n  --library-path '{root}/usr/lib/{triple}:{root}/lib/{triple}' \\\n  \
         '{root}/usr/bin/nix' \"$@\"\n",
        loader.display()
    );
    fs::write(runner, script).map_err(|error| cannot("write", runner, &error))?;
    process::quiet(Command::new("chmod").arg("+x").arg(runner)).map(drop)
}

fn cannot(verb: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {verb} {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions() {
        assert_eq!(version_number("nix-instantiate (Nix) 2.34.8"), Some((2, 34)));
        assert_eq!(version_number("nix-instantiate (Nix) 3.0pre1"), None);
        assert_eq!(version_number(""), None);
    }

    #[test]
    fn finds_the_mirror_in_both_forms() {
        let modern = "Types: deb\n# http://old.example/debian\nURIs: http://a.example/debian/\n";
        let classic = "deb [arch=amd64] https://b.example/other x main\ndeb http://b.example/debian sid main\n";
        assert_eq!(mirror_in(modern).as_deref(), Some("http://a.example/debian"));
        assert_eq!(mirror_in(classic).as_deref(), Some("http://b.example/debian"));
        assert_eq!(mirror_in("deb http://c.example/debian-security x main"), None);
    }
}
