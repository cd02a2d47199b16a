//! One scene, played in a folder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use cim_nix_base::{Error, unified_diff};
use serde_json::{Value, json};

use super::server::Server;

/// The programs that lock.
#[derive(Clone, Debug)]
pub struct Players {
    /// `cim-nix`.
    pub ours: PathBuf,
    /// The `nix` that is right, where there is one.
    pub nix: Option<PathBuf>,
    /// An older `nix` that must be able to read what we write, where there is one.
    pub old_nix: Option<PathBuf>,
}

/// What came of a scene.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Played {
    /// The lock files that were written, without what differs from machine to machine: the folder,
    /// the server, and the hashes of what holds these.
    pub record: String,
    /// Where the programs disagree.
    pub differences: Vec<String>,
    /// How many lock files were compared, and how many were read by the other program.
    pub n_compared: usize,
    /// See `n_compared`.
    pub n_read: usize,
}

/// 2024-01-02 03:04:05: files and commits are dated from then on.
const START: u64 = 1_704_164_645;

/// Plays a scene in an empty folder, whose path has no symbolic links in it.
///
/// Errors: the scene is broken, or a program cannot be run.
pub fn play(text: &str, players: &Players, folder: &Path) -> Result<Played, Error> {
    let server = Server::start(folder.join("stage/dist")).map_err(failed("start a server"))?;
    let stage = Stage {
        players,
        stage: folder.join("stage"),
        rest: folder.to_owned(),
        server,
        root: "root".to_owned(),
        names: BTreeMap::new(),
        n_steps: 0,
        n_commits: 0,
        played: Played::default(),
    };
    fs::create_dir_all(folder.join("stage/dist")).map_err(failed("make the scene's folder"))?;
    stage.play(text)
}

fn failed(what: &str) -> impl Fn(io::Error) -> Error {
    let what = format!("cannot {what}");
    move |error| Error::outside(what.clone()).because(error)
}

struct Stage<'p> {
    players: &'p Players,
    /// The folder of the scene.
    stage: PathBuf,
    /// The folder for all else.
    rest: PathBuf,
    server: Server,
    root: String,
    names: BTreeMap<String, Value>,
    n_steps: u64,
    n_commits: u64,
    played: Played,
}

/// What a program did to the lock file.
#[derive(PartialEq, Eq)]
struct Locked {
    text: Option<String>,
    /// The changes that it told.
    told: String,
    is_fine: bool,
}

impl Stage<'_> {
    fn play(mut self, text: &str) -> Result<Played, Error> {
        for section in format!("\n{text}").split("\n-- ").skip(1) {
            let (step, content) = section.split_once('\n').unwrap_or((section, ""));
            self.n_steps += 1;
            self.step(step.trim(), content).map_err(|error| {
                Error::new(error.kind(), format!("step `{step}`: {}", error.chain()))
            })?;
        }
        Ok(self.played)
    }

    fn step(&mut self, step: &str, content: &str) -> Result<(), Error> {
        let (verb, rest) = step.split_once(' ').unwrap_or((step, ""));
        let rest = self.filled(rest)?;
        match verb {
            "file" => {
                let mut text = self.filled(content)?;
                if !text.is_empty() && !text.ends_with('\n') {
                    text.push('\n');
                }
                self.write(&rest, &text)
            }
            "remove" => {
                let path = self.stage.join(&rest);
                let removed = match path.is_dir() {
                    true => fs::remove_dir_all(&path),
                    false => fs::remove_file(&path),
                };
                removed.map_err(failed("remove it"))
            }
            "commit" => self.commit(&rest),
            "git" => {
                let (folder, arguments) = rest.split_once(' ').unwrap_or((&rest, ""));
                self.git(folder, &arguments.split_whitespace().collect::<Vec<_>>()).map(drop)
            }
            "tar" => self.tar(&rest),
            "link" => {
                let (file, url) = rest.split_once(' ').unwrap_or((&rest, ""));
                self.server.link(file, url);
                Ok(())
            }
            "name" => {
                let (name, to) = rest.split_once(' ').unwrap_or((&rest, ""));
                let to = serde_json::from_str(to)
                    .map_err(|error| Error::user("a name wants JSON").because(error))?;
                self.names.insert(name.to_owned(), to);
                Ok(())
            }
            "at" => {
                self.root = rest;
                Ok(())
            }
            "lock" | "update" => self.lock(verb, &rest),
            "eval" => self.eval(&rest),
            "old-nix" => self.let_old_nix_read(),
            _ => Err(Error::user("there is no such step")),
        }
    }

    /// A text with what its marks stand for.
    fn filled(&self, text: &str) -> Result<String, Error> {
        let dir = self.stage.to_string_lossy();
        let mut text = text.replace("[dir]", &dir).replace("[server]", &self.server.url());
        while let Some(at) = text.find("[rev ") {
            let end = text[at..].find(']').map_or(text.len(), |end| at + end);
            let rev = self.git(&text[at + 5..end], &["rev-parse", "HEAD"])?;
            text.replace_range(at..(end + 1).min(text.len()), rev.trim());
        }
        Ok(text)
    }

    fn write(&self, path: &str, text: &str) -> Result<(), Error> {
        let path = self.stage.join(path);
        if let Some(above) = path.parent() {
            fs::create_dir_all(above).map_err(failed("make a folder"))?;
        }
        fs::write(&path, text).map_err(failed("write a file"))?;
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(START + 60 * self.n_steps);
        let file = fs::File::open(&path).map_err(failed("open a file"))?;
        file.set_modified(time).map_err(failed("date a file"))
    }

    /// Folders get the date of the scene's end: Nix looks at theirs, too.
    fn date_folders(&self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() && !path.is_symlink() {
                self.date_folders(&path)?;
            }
        }
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(START + 86_400);
        fs::File::open(folder)?.set_modified(time)
    }

    fn commit(&mut self, folder: &str) -> Result<(), Error> {
        if !self.stage.join(folder).join(".git").exists() {
            self.git(folder, &["init", "--quiet", "--initial-branch=main"])?;
        }
        self.n_commits += 1;
        self.git(folder, &["add", "--all"])?;
        self.git(folder, &["commit", "--quiet", "--allow-empty", "--message=x"]).map(drop)
    }

    fn git(&self, folder: &str, arguments: &[&str]) -> Result<String, Error> {
        let date = format!("{} +0000", START + 3600 * self.n_commits);
        let mut command = Command::new("git");
        command.args(arguments).current_dir(self.stage.join(folder));
        self.environment(&mut command);
        command.env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date);
        let output = command.output().map_err(failed("run git"))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(Error::user(format!("git {arguments:?} failed"))
                .because(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
        }
    }

    fn tar(&self, what: &str) -> Result<(), Error> {
        let (folder, file) = what.split_once(' ').unwrap_or((what, ""));
        let dist = self.stage.join("dist");
        self.date_folders(&self.stage.join(folder)).map_err(failed("date folders"))?;
        let status = Command::new("tar")
            .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--format=ustar"])
            .args(["--exclude=.git", "--auto-compress", "--create", "--file"])
            .arg(dist.join(file))
            .arg(folder)
            .current_dir(&self.stage)
            .status();
        match status.map_err(failed("run tar"))?.success() {
            true => Ok(()),
            false => Err(Error::user("tar failed")),
        }
    }

    fn environment(&self, command: &mut Command) {
        let registry = self.rest.join("registry.json");
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.rest.join("home"));
        command.env(
            "NIX_CONFIG",
            format!(
                "experimental-features = nix-command flakes\nflake-registry = {}\nsubstituters =\nwarn-dirty = false\n",
                registry.display()
            ),
        );
        let settings = [
            ("protocol.file.allow", "always"),
            ("safe.directory", "*"),
            ("user.name", "n"),
            ("user.email", "n@example.org"),
            ("uploadpack.allowAnySHA1InWant", "true"),
        ];
        for (number, (name, value)) in settings.iter().enumerate() {
            command.env(format!("GIT_CONFIG_KEY_{number}"), name);
            command.env(format!("GIT_CONFIG_VALUE_{number}"), value);
        }
        command.env("GIT_CONFIG_COUNT", settings.len().to_string());
        command.env("GIT_CONFIG_GLOBAL", "/dev/null");
    }

    fn prepare(&self) -> Result<(), Error> {
        let flakes = self
            .names
            .iter()
            .map(|(name, to)| json!({"from": {"type": "indirect", "id": name}, "to": to}));
        let registry = json!({"version": 2, "flakes": flakes.collect::<Vec<_>>()});
        fs::write(self.rest.join("registry.json"), registry.to_string())
            .and_then(|()| self.date_folders(&self.stage))
            .map_err(failed("prepare the scene"))
    }

    /// Runs a program in the folder of the flake: both streams and whether it went well.
    fn run(
        &self,
        program: &Path,
        store: &str,
        line: &str,
    ) -> Result<(String, String, bool), Error> {
        let mut command = Command::new(program);
        command.args(line.split_whitespace()).current_dir(self.stage.join(&self.root));
        self.environment(&mut command);
        command.env("NIX_REMOTE", store).stdin(Stdio::null());
        let output = command.output().map_err(failed(&format!("run `{}`", program.display())))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((text(&output.stdout), text(&output.stderr), output.status.success()))
    }

    fn lock_path(&self) -> PathBuf {
        self.stage.join(&self.root).join("flake.lock")
    }

    fn lock(&mut self, verb: &str, arguments: &str) -> Result<(), Error> {
        self.prepare()?;
        let line = format!("flake {verb} {arguments}").trim_end().to_owned();
        let before = self.rest.join("before");
        let mut theirs = None;
        if let Some(nix) = &self.players.nix {
            copy(&self.stage, &before)?;
            let (_, said, is_fine) = self.run(nix, MODERN_STORE, &line)?;
            let text = fs::read_to_string(self.lock_path()).ok();
            theirs = Some((Locked { text, told: told(&said), is_fine }, said));
            copy(&before, &self.stage)?;
        }
        let (out, err, is_fine) = self.run(&self.players.ours, MODERN_STORE, &line)?;
        let text = fs::read_to_string(self.lock_path()).ok();
        let ours = Locked { text, told: told(&out), is_fine };
        self.played.record.push_str(&self.timeless(&format!("# {line}\n")));
        let verdict = if ours.is_fine { "" } else { "[failed]\n" };
        let record = format!("{}{verdict}", ours.text.as_deref().unwrap_or("[none]\n"));
        self.played.record.push_str(&self.timeless(&record));
        if let Some((theirs, said)) = theirs {
            self.played.n_compared += 1;
            if theirs != ours {
                let diff = |theirs: &str, ours: &str| unified_diff("Nix", "we", theirs, ours);
                let texts = [&theirs.text, &ours.text]
                    .map(|text| text.as_deref().unwrap_or("[none]\n").to_owned());
                self.played.differences.push(format!(
                    "{line}\nNix says, {}:\n{said}\nwe say, {}:\n{out}{err}\n{}{}",
                    theirs.is_fine,
                    ours.is_fine,
                    diff(&theirs.told, &ours.told),
                    diff(&texts[0], &texts[1])
                ));
            }
            if is_fine {
                self.let_both_read(&line)?;
            }
        }
        Ok(())
    }

    /// The lock file is the same whoever wrote it; now each says what it reads.
    fn let_both_read(&mut self, line: &str) -> Result<(), Error> {
        let ask = "flake metadata --json --no-update-lock-file";
        let Some(nix) = &self.players.nix else { return Ok(()) };
        let theirs = self.run(nix, MODERN_STORE, ask)?;
        let ours = self.run(&self.players.ours, MODERN_STORE, ask)?;
        let locks = |out: &str| {
            let json: Option<Value> = serde_json::from_str(out).ok();
            json.map(|json| json["locks"].clone())
        };
        self.played.n_read += 1;
        if (locks(&theirs.0), theirs.2) != (locks(&ours.0), ours.2) {
            let difference = format!(
                "after {line}, {ask}\nNix says:\n{}{}\nwe say:\n{}{}",
                theirs.0, theirs.1, ours.0, ours.1
            );
            self.played.differences.push(difference);
        }
        Ok(())
    }

    fn eval(&mut self, attribute: &str) -> Result<(), Error> {
        self.prepare()?;
        let line = format!("eval .#{attribute} --json --no-update-lock-file");
        let ours_line = format!("eval .#{attribute} --format json --no-update-lock-file");
        let (ours, said, is_fine) = self.run(&self.players.ours, MODERN_STORE, &ours_line)?;
        self.played.record.push_str(&format!("# {line}\n"));
        let record = format!("{}\n{}", ours.trim_end(), if is_fine { "" } else { "[failed]\n" });
        self.played.record.push_str(&self.timeless(&record));
        let Some(nix) = &self.players.nix else { return Ok(()) };
        let theirs = self.run(nix, MODERN_STORE, &line)?;
        self.played.n_read += 1;
        if (theirs.0.trim_end(), theirs.2) != (ours.trim_end(), is_fine) {
            let difference =
                format!("{line}\nNix says:\n{}{}\nwe say:\n{ours}{said}", theirs.0, theirs.1);
            self.played.differences.push(difference);
        }
        Ok(())
    }

    /// An older Nix reads the lock file as it is: it finds the inputs that we find.
    fn let_old_nix_read(&mut self) -> Result<(), Error> {
        let Some(nix) = &self.players.old_nix else { return Ok(()) };
        self.prepare()?;
        let store = self.rest.join("old-store");
        let store = format!("local?root={}", store.display());
        let ask = "flake metadata --json --no-update-lock-file";
        let theirs = self.run(nix, &store, ask)?;
        let ours = self.run(&self.players.ours, MODERN_STORE, ask)?;
        self.played.n_read += 1;
        let locks = |out: &str| -> Option<Value> {
            let json: Value = serde_json::from_str(out).ok()?;
            Some(json["locks"].clone())
        };
        if !theirs.2 || locks(&theirs.0) != locks(&ours.0) {
            let difference = format!(
                "an older Nix, {ask}\nit says:\n{}{}\nwe say:\n{}{}",
                theirs.0, theirs.1, ours.0, ours.1
            );
            self.played.differences.push(difference);
        }
        Ok(())
    }

    /// A text without what differs from machine to machine. Hashes are numbered as they come.
    fn timeless(&self, text: &str) -> String {
        let dir = self.stage.to_string_lossy();
        let text = text.replace(&*dir, "[dir]").replace(&self.server.url(), "[server]");
        let is_hash = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '%');
        let text = numbered(&text, "hash", |rest| {
            let digits = rest.strip_prefix("sha256-")?;
            Some(7 + digits.find(|c| !is_hash(c)).unwrap_or(digits.len()))
        });
        let text = numbered(&text, "store path", |rest| {
            let digits = rest.strip_prefix("/nix/store/")?;
            let is_digit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            (digits.find(|c| !is_digit(c)) == Some(32)).then_some(11 + 32)
        });
        numbered(&text, "rev", |rest| {
            let end = rest.find(|c: char| !matches!(c, '0'..='9' | 'a'..='f'));
            (end.unwrap_or(rest.len()) == 40).then_some(40)
        })
    }
}

/// Where Nix keeps what it fetches: in memory, so that no scene sees another one's.
const MODERN_STORE: &str = "dummy://?read-only=false";

/// The changes among what a program says. Nix tells some that are none: from a relative path to the
/// same one.
fn told(said: &str) -> String {
    let is_change = |line: &&str| {
        ["• ", "    '", "    follows", "  → "].iter().any(|start| line.starts_with(start))
    };
    let lines: Vec<&str> = said.lines().filter(is_change).collect();
    let mut told = String::new();
    for (at, line) in lines.iter().enumerate() {
        let is_none = |from: usize| match lines.get(from..from + 3) {
            Some([title, old, new]) => {
                title.starts_with("• Updated")
                    && old.strip_prefix("    ") == new.strip_prefix("  → ")
            }
            _ => false,
        };
        if !(at.saturating_sub(2)..=at).any(is_none) {
            told.push_str(&format!("{line}\n"));
        }
    }
    told
}

/// Replaces what `length` finds at some place by a word and a number: the same text, the same number.
fn numbered(text: &str, word: &str, length: impl Fn(&str) -> Option<usize>) -> String {
    let mut known: Vec<&str> = Vec::new();
    let mut out = String::new();
    let mut at = 0;
    let mut before = ' ';
    while let Some(c) = text[at..].chars().next() {
        let found = (!before.is_ascii_alphanumeric()).then(|| length(&text[at..])).flatten();
        let Some(length) = found else {
            out.push(c);
            (before, at) = (c, at + c.len_utf8());
            continue;
        };
        let found = &text[at..at + length];
        let number = known.iter().position(|seen| *seen == found).unwrap_or_else(|| {
            known.push(found);
            known.len() - 1
        });
        out.push_str(&format!("[{word} {}]", number + 1));
        (before, at) = ('x', at + length);
    }
    out
}

/// Makes `to` what `from` is, with all dates.
fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    if to.exists() {
        fs::remove_dir_all(to).map_err(failed("remove a folder"))?;
    }
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status();
    match status.map_err(failed("run cp"))?.success() {
        true => Ok(()),
        false => Err(Error::outside("cp failed")),
    }
}
