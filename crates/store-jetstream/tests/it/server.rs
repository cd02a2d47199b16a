//! A nats-server for a test: on ports that are free, in a folder of its own, gone with the test.
//!
//! It needs nothing of this crate, so tests of other crates take it in by its path.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The program: what `CIM_NIX_NATS_SERVER` names, or the one on `PATH`, of version 2.11 at least.
///
/// Where there is none, the test says that it is skipped; in CI it fails.
pub(crate) fn program() -> Option<PathBuf> {
    let named = std::env::var_os("CIM_NIX_NATS_SERVER").map(PathBuf::from);
    let program = named.unwrap_or_else(|| "nats-server".into());
    let said = Command::new(&program).arg("--version").output();
    let said = said.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
    let said = said.unwrap_or_default();
    let version = said.trim().rsplit_once(" v").map_or("", |(_, version)| version);
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= (2, 11) {
        return Some(program);
    }
    let problem = format!(
        "{} is no nats-server of version 2.11 or newer (it says {:?}); set CIM_NIX_NATS_SERVER",
        program.display(),
        said.trim()
    );
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{problem}");
    println!("SKIPPED: {problem}");
    None
}

/// A server that runs, or was killed and can be started again on the same port and folder.
pub(crate) struct Server {
    program: PathBuf,
    folder: PathBuf,
    config: PathBuf,
    pub(crate) port: u16,
    running: Option<Running>,
}

struct Running {
    server: Child,
    /// Kills the server when this process ends, however it does.
    watchdog: Child,
}

/// A port that nobody listens on just now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

impl Server {
    /// A server that does not run yet; `jetstream` is added to that part of its configuration.
    pub(crate) fn prepare(
        program: &Path,
        folder: &Path,
        port: u16,
        jetstream: &str,
        more: &str,
    ) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let config = folder.join("server.conf");
        let text = format!(
            "listen: 127.0.0.1:{port}\njetstream {{ store_dir: {:?}\n{jetstream} }}\n{more}\n",
            folder.join("data"),
        );
        std::fs::write(&config, text).unwrap();
        let (program, folder) = (program.to_owned(), folder.to_owned());
        Self { program, folder, config, port, running: None }
    }

    pub(crate) fn started(mut self) -> Self {
        self.run();
        self.wait();
        self
    }

    /// Starts the program, without waiting until it answers.
    pub(crate) fn run(&mut self) {
        assert!(self.running.is_none(), "it runs");
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join("server.log"))
            .unwrap();
        let server = Command::new(&self.program)
            .arg("-c")
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let watchdog = Command::new("sh")
            .args(["-c", "cat >/dev/null; kill -9 $0 2>/dev/null", &server.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.running = Some(Running { server, watchdog });
    }

    /// Waits until it answers with its greeting.
    pub(crate) fn wait(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.greets() {
            let log = self.folder.join("server.log");
            assert!(
                Instant::now() < deadline,
                "nats-server does not start: {}",
                std::fs::read_to_string(log).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn greets(&self) -> bool {
        use std::io::Read as _;
        let Ok(mut stream) = std::net::TcpStream::connect(("127.0.0.1", self.port)) else {
            return false;
        };
        stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let mut greeting = [0; 5];
        let greets = stream.read_exact(&mut greeting).is_ok() && &greeting == b"INFO ";
        let _ = stream.write_all(b"");
        greets
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    #[allow(dead_code, reason = "for measuring")]
    pub(crate) fn pid(&self) -> u32 {
        self.running.as_ref().map_or(0, |running| running.server.id())
    }

    /// Ends it without a warning.
    pub(crate) fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.server.kill().unwrap();
            running.server.wait().unwrap();
            drop(running.watchdog.stdin.take());
            running.watchdog.wait().unwrap();
        }
    }

    pub(crate) fn restart(&mut self) {
        self.kill();
        self.run();
        self.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
