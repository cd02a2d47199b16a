//! A project in a temporary folder, and the program run in it.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use expect_test::Expect;
use tempfile::TempDir;

/// A project whose files come from one text, in which `//- path` starts a file.
pub(crate) struct Sandbox {
    folder: TempDir,
}

impl Sandbox {
    pub(crate) fn new(fixture: &str) -> Self {
        let sandbox = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(sandbox.project()).unwrap();
        for section in fixture.split("//- ").skip(1) {
            let (path, text) = section.split_once('\n').unwrap();
            sandbox.write(path, text);
        }
        sandbox
    }

    /// The working folder of the program.
    pub(crate) fn project(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("project")
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.project().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.project().join(path)).unwrap()
    }

    /// The program with these arguments and an environment in which nothing is set that matters.
    pub(crate) fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cim-nix"));
        command.args(args.split_whitespace()).current_dir(self.project()).env_clear();
        command.env("HOME", self.folder.path()).env("XDG_STATE_HOME", self.state());
        command.stdin(Stdio::null());
        command
    }

    /// Where journals lie.
    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(crate) fn run(&self, args: &str) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs the program with `input` on standard input.
    pub(crate) fn run_on(&self, args: &str, input: impl AsRef<[u8]>) -> Output {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A program that refuses its arguments does not wait for what it would read.
        if let Err(error) = child.stdin.take().unwrap().write_all(input.as_ref()) {
            assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
        }
        child.wait_with_output().unwrap()
    }

    /// Compares both streams and the exit status.
    pub(crate) fn check(&self, args: &str, want: Expect) {
        self.compare(&self.run(args), want);
    }

    pub(crate) fn check_on(&self, args: &str, input: &str, want: Expect) {
        self.compare(&self.run_on(args, input), want);
    }

    pub(crate) fn compare(&self, output: &Output, want: Expect) {
        want.assert_eq(&self.transcript(output));
    }

    fn transcript(&self, output: &Output) -> String {
        let mut out = String::new();
        for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
            let text = String::from_utf8_lossy(bytes);
            if !text.is_empty() {
                let end = if text.ends_with('\n') { "" } else { "[no line feed]\n" };
                out.push_str(&format!("[{name}]\n{}{end}", self.normal(&text)));
            }
        }
        let code = output.status.code().map_or("none".to_owned(), |code| code.to_string());
        format!("{out}[exit {code}]\n")
    }

    /// The text without what differs from run to run.
    pub(crate) fn normal(&self, text: &str) -> String {
        let folder = self.folder.path().canonicalize().unwrap();
        let text = text.replace(&*folder.to_string_lossy(), "[tmp]");
        // Help pads empty lines, and blanks that nobody sees are easily lost from an expected text.
        text.split('\n').map(str::trim_end).collect::<Vec<_>>().join("\n")
    }
}

/// Standard output as text.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Whether this process may do everything, so that permissions hinder it in nothing.
pub(crate) fn is_root(closed: &Path) -> bool {
    fs::read(closed).is_ok()
}
