//! A folder with a configuration, and the program that serves it.

use std::ffi::OsString;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A folder with a configuration.
pub(crate) struct Scene {
    pub(crate) folder: TempDir,
    pub(crate) port: u16,
    /// A folder whose programs count before all others.
    pub(crate) first_on_path: Option<PathBuf>,
    /// Where the service tells how far it is, as systemd names it.
    pub(crate) notify: Option<OsString>,
    running: Option<Child>,
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What the service's environment has, and nobody else.
pub(crate) const ENVIRONMENT: (&str, &str) = ("CIM_NIX_TEST_SECRET", "canary-of-the-environment");

/// A token that every scene knows, and its hash.
pub(crate) const TOKEN: &str =
    "cimnix_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

impl Scene {
    /// A scene whose configuration ends with `more`.
    pub(crate) fn new(more: &str) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let folder = TempDir::new().expect("a folder");
        let scene = Self { folder, port, first_on_path: None, notify: None, running: None };
        scene.configure(more);
        scene
    }

    /// Writes the configuration.
    pub(crate) fn configure(&self, more: &str) {
        let hash = self.cli_with_input(&["token", "hash"], TOKEN);
        let hash = String::from_utf8(hash.stdout).expect("text");
        let text = format!(
            "state = {:?}\n[http]\nlisten = \"127.0.0.1:{}\"\nopen-metrics = true\n\
             [[token]]\nname = \"ann\"\nrole = \"operator\"\ntenants = [\"main\"]\nsha256 = \"{}\"\n{more}",
            self.path("state"),
            self.port,
            hash.trim()
        );
        fs::write(self.path("server.toml"), text).expect("the folder is ours");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_cim-nix-server"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let all = self.first_on_path.iter().cloned().chain(std::env::split_paths(&path));
        program.env_clear().env("PATH", std::env::join_paths(all).expect("no folder has a colon"));
        program.env("HOME", self.folder.path()).current_dir(self.folder.path());
        program
    }

    /// The light program, which lies beside the server's.
    pub(crate) fn light(&self) -> Command {
        let server = Path::new(env!("CARGO_BIN_EXE_cim-nix-server"));
        let mut program = Command::new(server.with_file_name("cim-nix"));
        program.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        program.env("HOME", self.folder.path()).current_dir(self.folder.path());
        program.env(ENVIRONMENT.0, ENVIRONMENT.1);
        program
    }

    /// Runs a subcommand to its end.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        self.cli_with_input(arguments, "")
    }

    /// Runs a subcommand to its end, with a variable in its environment.
    pub(crate) fn cli_where(&self, (name, value): (&str, &str), arguments: &[&str]) -> Output {
        self.program()
            .env(name, value)
            .args(arguments)
            .output()
            .expect("it was built for this test")
    }

    pub(crate) fn cli_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = self
            .program()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it was built for this test");
        let mut stdin = child.stdin.take().expect("it was asked for");
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("it ends")
    }

    /// Starts the service and waits until it is ready.
    pub(crate) fn start(&mut self) {
        self.start_and(|scene| {
            scene.try_get("/health/ready").is_some_and(|(status, _)| status == 200)
        });
    }

    /// Starts the service and waits until `is_ready`.
    pub(crate) fn start_and(&mut self, is_ready: impl Fn(&Self) -> bool) {
        let log = fs::File::create(self.path("log")).expect("the folder is ours");
        let child = self
            .program()
            .args(["--config", "server.toml"])
            .envs(self.notify.as_ref().map(|place| ("NOTIFY_SOCKET", place)))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("it was built for this test");
        self.running = Some(child);
        let deadline = Instant::now() + Duration::from_secs(30);
        while !is_ready(self) {
            assert!(Instant::now() < deadline, "it does not start: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn pid(&self) -> String {
        self.running.as_ref().expect("it runs").id().to_string()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.pid()]).status();
        assert!(sent.expect("kill is there").success());
    }

    /// Waits for the end, and answers the exit status.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let mut child = self.running.take().expect("it runs");
        let deadline = Instant::now() + Duration::from_secs(40);
        loop {
            if let Some(status) = child.try_wait().expect("it is our child") {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not stop: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn try_get(&self, path: &str) -> Option<(u16, String)> {
        self.try_request("GET", path, TOKEN, "")
    }

    fn try_request(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: &str,
    ) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        let body = answer.split_once("\r\n\r\n")?.1.to_owned();
        Some((status, body))
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.try_get(path).expect("it answers")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> (u16, String) {
        self.try_request("POST", path, TOKEN, body).expect("it answers")
    }
}

/// What a program said on standard error.
pub(crate) fn said(output: &Output, folder: &Path) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    text.replace(&folder.display().to_string(), "FOLDER")
}
