//! Real Nix beside us: the same arguments in the same folder must give the same answer. Nix is
//! asked where `CIM_NIX_ORACLE` names its `nix-instantiate`; elsewhere what it once answered counts
//! alone.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

use expect_test::Expect;
use serde_json::Value;

use crate::sandbox::Sandbox;

/// A project that both look at.
pub(crate) struct Scene {
    pub(crate) sandbox: Sandbox,
    registry: String,
}

#[expect(clippy::print_stderr, reason = "who runs the tests must see what was not compared")]
pub(crate) fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

/// The `nix` beside the `nix-instantiate` that is the judge.
pub(crate) fn nix() -> Option<PathBuf> {
    static NIX: LazyLock<Option<PathBuf>> = LazyLock::new(find_nix);
    NIX.clone()
}

fn find_nix() -> Option<PathBuf> {
    let Some(program) = std::env::var_os("CIM_NIX_ORACLE") else {
        skipped("CIM_NIX_ORACLE does not name a `nix-instantiate`");
        return None;
    };
    let nix = PathBuf::from(program).with_file_name("nix");
    let output = Command::new(&nix).arg("--version").output();
    let version = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    match version {
        Ok(version) if version.contains("2.34") => Some(nix),
        Ok(version) => {
            skipped(&format!("`{}` is {version}, flakes here are those of 2.34", nix.display()));
            None
        }
        Err(error) => {
            let why = format!("`{}`: {error}", nix.display());
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
            skipped(&why);
            None
        }
    }
}

impl Scene {
    pub(crate) fn new(fixture: &str) -> Self {
        Self { sandbox: Sandbox::new(fixture), registry: String::new() }
    }

    /// Files may name the project's folder as `[project]`.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let project = self.sandbox.project();
        self.sandbox.write(path, text.replace("[project]", &project.to_string_lossy()));
    }

    /// The same with the files of a text in which `//- path` starts a file.
    pub(crate) fn with(self, fixture: &str) -> Self {
        for section in fixture.split("//- ").skip(1) {
            let (path, text) = section.split_once('\n').unwrap();
            self.write(path, text);
        }
        self
    }

    /// Gives names to flakes below the project.
    pub(crate) fn with_registry(mut self, entries: &[(&str, &str)]) -> Self {
        let project = self.sandbox.project();
        let flakes = entries.iter().map(|(name, to)| {
            let to = to.replace("[project]", &project.to_string_lossy());
            let to: Value = serde_json::from_str(&to).unwrap();
            serde_json::json!({"from": {"type": "indirect", "id": name}, "to": to})
        });
        let registry = serde_json::json!({"version": 2, "flakes": flakes.collect::<Vec<_>>()});
        self.sandbox.write("../registry.json", registry.to_string());
        self.registry = project.with_file_name("registry.json").to_string_lossy().into_owned();
        self
    }

    /// Runs Git in a folder of the project.
    pub(crate) fn git(&self, folder: &str, arguments: &str) {
        let mut command = Command::new("git");
        for setting in [
            "user.name=n",
            "user.email=n@example.org",
            "init.defaultBranch=main",
            "protocol.file.allow=always",
        ] {
            command.args(["-c", setting]);
        }
        let status = command
            .args(arguments.split_whitespace())
            .current_dir(self.sandbox.project().join(folder))
            .env("GIT_AUTHOR_DATE", "2024-01-02T03:04:05Z")
            .env("GIT_COMMITTER_DATE", "2024-01-02T03:04:05Z")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .status();
        assert!(status.unwrap().success(), "git {arguments} in {folder}");
    }

    /// Makes a folder a repository with all its files in one commit.
    pub(crate) fn commit_all(&self, folder: &str) {
        if !self.sandbox.project().join(folder).join(".git").exists() {
            self.git(folder, "init --quiet");
        }
        self.git(folder, "add .");
        self.git(folder, "commit --quiet --message=x");
    }

    fn environment(&self, command: &mut Command) {
        let conf = format!(
            "experimental-features = nix-command flakes\nsystem = x86_64-linux\nflake-registry = {}\nsubstituters =\n",
            self.registry
        );
        command.env("NIX_CONFIG", conf).env("PATH", std::env::var_os("PATH").unwrap());
        for (number, (name, value)) in
            [("protocol.file.allow", "always"), ("safe.directory", "*")].iter().enumerate()
        {
            command.env(format!("GIT_CONFIG_KEY_{number}"), name);
            command.env(format!("GIT_CONFIG_VALUE_{number}"), value);
        }
        command.env("GIT_CONFIG_COUNT", "2").env("GIT_CONFIG_GLOBAL", "/dev/null");
    }

    fn ours(&self, folder: &str, arguments: &str) -> (String, String, bool) {
        let mut command = self.sandbox.command(arguments);
        command.current_dir(self.sandbox.project().join(folder));
        self.environment(&mut command);
        self.answer(command)
    }

    fn answer(&self, mut command: Command) -> (String, String, bool) {
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| {
            let text = self.sandbox.normal(&String::from_utf8_lossy(bytes));
            // Nix colours whatever it prints into.
            let colour = regex::Regex::new("\x1b\\[[0-9;]*m").unwrap();
            let text = colour.replace_all(&text, "");
            // A store that is none cannot tell where its sources come from.
            let text = text.replace("«unknown»", "[project]").replace("path '//", "path '/");
            text.replace("[tmp]/project", "[project]").replace("//[project]", "[project]")
        };
        (text(&output.stdout), text(&output.stderr), output.status.success())
    }

    fn nix(&self, nix: &PathBuf, folder: &str, arguments: &str) -> (String, String, bool) {
        let mut command = Command::new(nix);
        command.args(arguments.split_whitespace());
        command.current_dir(self.sandbox.project().join(folder)).env_clear();
        command.env("HOME", self.sandbox.project().with_file_name("nix-home"));
        command.env("NIX_REMOTE", "dummy://?read-only=false");
        self.environment(&mut command);
        let (out, err, is_fine) = self.answer(command);
        // What it says about itself.
        let is_own = |line: &str| {
            [
                "nixbld",
                "deprecated",
                "evaluating '",
                "remote: ",
                "From file:",
                " * [new",
                "unpacking '",
            ]
            .iter()
            .any(|part| line.contains(part))
        };
        let err = err.lines().filter(|line| !is_own(line)).map(|line| format!("{line}\n"));
        (out, err.collect(), is_fine)
    }

    /// What Nix says on standard error and whether it succeeds, if it is there.
    pub(crate) fn ask_nix(&self, folder: &str, arguments: &str) -> Option<(String, bool)> {
        let (_, said, is_fine) = self.nix(&nix()?, folder, arguments);
        Some((said, is_fine))
    }

    /// Writes the lock file of a flake as it is computed here; options follow the folder.
    pub(crate) fn write_lock(&self, folder_and_options: &str) {
        let line = format!("flake metadata --json --no-write-lock-file ./{folder_and_options}");
        let (out, err, is_fine) = self.run_here(&line);
        assert!(is_fine, "{line}: {err}");
        let json: Value = serde_json::from_str(&out).unwrap();
        let folder = folder_and_options.split(' ').next().unwrap();
        let path = PathBuf::from(folder).join("flake.lock");
        self.sandbox.write(&path.to_string_lossy(), format!("{:#}\n", json["locks"]));
    }

    /// The lock file that is computed here, and the one that Nix writes, byte for byte.
    pub(crate) fn check_lock_file(&self, folder: &str) {
        self.write_lock(folder);
        let path = PathBuf::from(folder).join("flake.lock");
        let path = path.to_string_lossy();
        let ours = self.sandbox.read(&path);
        let Some(nix) = nix() else { return };
        std::fs::remove_file(self.sandbox.project().join(&*path)).unwrap();
        let (_, said, is_fine) = self.nix(&nix, "", &format!("flake lock ./{folder}"));
        assert!(is_fine, "{said}");
        assert_eq!(self.sandbox.read(&path), ours);
    }

    /// What the program prints, with all paths as they are.
    fn run_here(&self, arguments: &str) -> (String, String, bool) {
        let mut command = self.sandbox.command(arguments);
        self.environment(&mut command);
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (text(&output.stdout), text(&output.stderr), output.status.success())
    }

    /// Compares what is printed, both streams, with what Nix prints and with what it once printed.
    pub(crate) fn check(&self, arguments: &str, want: Expect) {
        self.check_in("", arguments, want);
    }

    /// Compares both streams with what Nix prints, and the value with what it once was.
    pub(crate) fn value(&self, arguments: &str, want: &str) {
        let (out, _) = self.judged("", arguments);
        assert_eq!(self.timeless(out.trim_end()), want, "{arguments}");
    }

    /// Compares the value of an expression and what is said meanwhile; see `write`.
    pub(crate) fn expression(&self, text: &str, want: Expect) {
        self.write("../expression.nix", text);
        self.check("eval --impure --file ../expression.nix", want);
    }

    /// Compares the same JSON with Nix.
    pub(crate) fn judged_json(&self, arguments: &str) -> Value {
        let arguments = &self.line(arguments);
        let (out, err, is_fine) = self.ours("", arguments);
        assert!(is_fine, "{arguments}\n{err}");
        let ours: Value = serde_json::from_str(&out).unwrap();
        if let Some(nix) = nix() {
            let (out, theirs, is_fine) = self.nix(&nix, "", arguments);
            assert!(is_fine, "{arguments}\nNix: {theirs}");
            let mut nix: Value = serde_json::from_str(&out).unwrap();
            if let Some(members) = nix.as_object_mut()
                && ours["fingerprint"].is_null()
                && ours["locked"]["type"] == "git"
                && ours["revision"].is_null()
            {
                // We have none of what is not committed.
                members.remove("fingerprint");
            }
            assert!(ours == nix, "{arguments}\nNix:\n{nix:#}\nwe:\n{ours:#}");
            assert!(err == theirs, "{arguments}\nNix:\n{theirs}\nwe:\n{err}");
        }
        ours
    }

    /// The same as `check_in` without Nix, which answers otherwise.
    pub(crate) fn check_alone(&self, folder: &str, arguments: &str, want: Expect) {
        want.assert_eq(&self.timeless(&shown(&self.ours(folder, &self.line(arguments)))));
    }

    /// The same in a folder of the project.
    pub(crate) fn check_in(&self, folder: &str, arguments: &str, want: Expect) {
        want.assert_eq(&self.timeless(&self.judged(folder, arguments).1));
    }

    /// What is printed on standard output, and all of it, if Nix prints the same.
    pub(crate) fn judged(&self, folder: &str, arguments: &str) -> (String, String) {
        let arguments = &self.line(arguments);
        let ours = self.ours(folder, arguments);
        let all = shown(&ours);
        if let Some(nix) = nix() {
            let theirs = shown(&self.nix(&nix, folder, arguments));
            assert!(all == theirs, "{arguments}\nNix:\n{theirs}\nwe:\n{all}");
        }
        (ours.0, all)
    }

    /// Arguments with the project's folder.
    fn line(&self, arguments: &str) -> String {
        arguments.replace("[project]", &self.sandbox.project().to_string_lossy())
    }

    /// The text without what differs from run to run: dates and hashes of what holds paths.
    fn timeless(&self, text: &str) -> String {
        let regex = |pattern: &str| regex::Regex::new(pattern).unwrap();
        let text = regex(r"(lastModified=)[0-9]+").replace_all(text, "$1[n]");
        let text = regex(r"(narHash=sha256-)[A-Za-z0-9%+/=]+").replace_all(&text, "$1[hash]");
        let text = regex(r"\([0-9]{4}-[0-9]{2}-[0-9]{2}\)").replace_all(&text, "([date])");
        let text = regex(r"/nix/store/[a-z0-9]{32}").replace_all(&text, "/nix/store/[hash]");
        let text = regex(r"(Fingerprint: +)[0-9a-f]{64}").replace_all(&text, "$1[hash]");
        let text = regex(r"rev=[0-9a-f]{40}").replace_all(&text, "rev=[rev]");
        text.into_owned()
    }

    /// Compares all that `flake metadata --json` prints with what Nix prints, and the lock graph
    /// with what it once was.
    pub(crate) fn check_locks(&self, arguments: &str, want: Expect) {
        let ours = self.judged_json(&format!("flake metadata --json {arguments}"));
        want.assert_eq(&graph(&ours["locks"]));
    }
}

/// Both streams and whether it went well.
fn shown((out, err, is_fine): &(String, String, bool)) -> String {
    let err = err.trim_end_matches('\n');
    let end = if err.is_empty() { "" } else { "\n" };
    format!("{out}{err}{end}{}", if *is_fine { "" } else { "[failed]\n" })
}

/// The nodes of a lock file, one in a line.
fn graph(locks: &Value) -> String {
    let mut out = String::new();
    for (key, node) in locks["nodes"].as_object().unwrap() {
        out.push_str(key);
        if let Some(original) = node["original"].as_object() {
            let words = original.values().map(|value| match value {
                Value::String(text) => text.clone(),
                value => value.to_string(),
            });
            let mut words: Vec<String> = words.collect();
            words.sort();
            out.push_str(&format!(": {}", words.join(" ")));
        }
        if node["flake"] == false {
            out.push_str(", a tree");
        }
        let path = |value: &Value| {
            let parts = value.as_array().into_iter().flatten().filter_map(Value::as_str);
            format!("/{}", parts.collect::<Vec<_>>().join("/"))
        };
        if !node["parent"].is_null() {
            out.push_str(&format!(", in {}", path(&node["parent"])));
        }
        for (name, input) in node["inputs"].as_object().into_iter().flatten() {
            let target = input.as_str().map_or_else(|| path(input), str::to_owned);
            out.push_str(&format!("\n  {name} = {target}"));
        }
        out.push('\n');
    }
    out
}
