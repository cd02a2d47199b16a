//! One server.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::find::nats_server;

/// What a server is like.
#[derive(Clone, Default, Debug)]
pub struct Setup {
    /// Lines of the block `jetstream`, such as `sync_interval: always`; `None` for no JetStream.
    pub jetstream: Option<String>,
    /// The rest of the configuration: accounts, TLS, limits.
    pub more: String,
    /// The server's name; one is made up where it is empty.
    pub name: String,
    /// Whether a server of a cluster keeps the others to itself. Clients of one that tells go to them
    /// when their connection breaks, and so around a proxy.
    pub hides_others: bool,
}

impl Setup {
    /// A server with JetStream.
    #[must_use]
    pub fn jetstream() -> Self {
        Self { jetstream: Some(String::new()), ..Self::default() }
    }

    /// A server with further lines of configuration.
    #[must_use]
    pub fn with(mut self, more: &str) -> Self {
        self.more.push_str(more);
        self.more.push('\n');
        self
    }
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Nats {
    program: PathBuf,
    folder: TempDir,
    setup: Setup,
    /// The port for clients, once it is known: a server that comes back has the same one.
    port: Option<u16>,
    child: Option<Child>,
}

impl Nats {
    /// Starts a server; `None`, said aloud, where there is no program.
    ///
    /// # Panics
    /// If it does not come up within ten seconds: what it said is shown.
    #[must_use]
    pub fn start(setup: Setup) -> Option<Self> {
        let mut nats = Self::prepared(setup)?;
        nats.restart();
        Some(nats)
    }

    /// A server that is not running yet.
    pub(crate) fn prepared(setup: Setup) -> Option<Self> {
        let program = nats_server()?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        Some(Self { program, folder, setup, port: None, child: None })
    }

    /// The folder that it has for itself.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The port for clients.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.expect("it was started")
    }

    /// The address for clients.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port())
    }

    /// The process.
    ///
    /// # Panics
    /// If it does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// What it has said so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder().join("log")).unwrap_or_default()
    }

    /// Kills it at once, as `kill -9` does. What is on its disk stays.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // It may be dead already.
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        signal("TERM", child.id());
        let _ = child.wait();
    }

    /// Lets it do nothing until [`resume`](Self::resume).
    pub fn pause(&self) {
        signal("STOP", self.pid());
    }

    /// Lets it go on.
    pub fn resume(&self) {
        signal("CONT", self.pid());
    }

    /// Starts it again, on its port and its disk, with another configuration if `setup` was changed
    /// by [`set_up`](Self::set_up).
    ///
    /// # Panics
    /// If it does not come up within ten seconds: what it said is shown.
    pub fn restart(&mut self) {
        self.spawn();
        self.wait();
    }

    pub(crate) fn spawn(&mut self) {
        self.kill();
        let folder = self.folder().to_owned();
        let ports = folder.join("ports");
        // Files of former processes would tell their ports.
        let _ = fs::remove_dir_all(&ports);
        fs::create_dir_all(&ports).expect("a folder for ports");
        let config = folder.join("nats.conf");
        fs::write(&config, self.config()).expect("a file in a temporary folder");
        let child = Command::new(&self.program)
            .arg("-c")
            .arg(&config)
            .arg("-l")
            .arg(folder.join("log"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("said")).expect("a file in a temporary folder"))
            .spawn()
            .expect("the program was just asked for its version");
        self.child = Some(child);
    }

    /// Waits until clients are served.
    pub(crate) fn wait(&mut self) {
        let since = Instant::now();
        let file = self.folder().join("ports").join(format!("nats-server_{}.ports", self.pid()));
        loop {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if ended.is_some() || since.elapsed() > Duration::from_secs(10) {
                let said = fs::read_to_string(self.folder().join("said")).unwrap_or_default();
                panic!("nats-server does not come up ({ended:?}): {said}{}", self.log());
            }
            if let Some(port) = fs::read_to_string(&file).ok().and_then(|text| port_of(&text)) {
                self.port = Some(port);
                return;
            }
            sleep(Duration::from_millis(5));
        }
    }

    /// Another configuration, from the next start on.
    pub fn set_up(&mut self, setup: Setup) {
        self.setup = setup;
    }

    /// Whether it takes this configuration, by `nats-server -t`; what it says if it does not.
    ///
    /// # Errors
    /// It does not.
    pub fn check(config: &str) -> Option<Result<(), String>> {
        let program = nats_server()?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("nats.conf");
        fs::write(&file, config).expect("a file in a temporary folder");
        let output = Command::new(program)
            .arg("-t")
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .output()
            .expect("the program was just asked for its version");
        Some(match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        })
    }

    fn config(&self) -> String {
        let folder = self.folder().display();
        let port = self.port.map_or_else(|| "-1".to_owned(), |port| port.to_string());
        let name = match &*self.setup.name {
            "" => "rig",
            name => name,
        };
        let mut text = format!(
            "listen: \"127.0.0.1:{port}\"\nports_file_dir: \"{folder}/ports\"\nserver_name: {name}\n"
        );
        if let Some(lines) = &self.setup.jetstream {
            text.push_str(&format!(
                "jetstream {{\n  store_dir: \"{folder}/jetstream\"\n{lines}\n}}\n"
            ));
        }
        text + &self.setup.more
    }

    /// Sends lines of the protocol, and answers what comes back within `patience`: a client that
    /// shares no code with any library.
    #[must_use]
    pub fn talk(&self, lines: &str, patience: Duration) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port())).expect("the server is up");
        stream.set_read_timeout(Some(patience)).expect("a time above zero");
        let mut reader = BufReader::new(stream.try_clone().expect("a handle"));
        let mut said = String::new();
        reader.read_line(&mut said).expect("it greets");
        stream.write_all(lines.as_bytes()).expect("the server is up");
        let mut rest = Vec::new();
        // Ends when nothing comes any more.
        let _ = reader.read_to_end(&mut rest);
        said + &String::from_utf8_lossy(&rest)
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The port for clients in a server's file of ports.
fn port_of(text: &str) -> Option<u16> {
    let ports: serde_json::Value = serde_json::from_str(text).ok()?;
    ports.get("nats")?.get(0)?.as_str()?.rsplit_once(':')?.1.parse().ok()
}

pub(crate) fn signal(name: &str, pid: u32) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
    assert!(status.is_ok_and(|status| status.success()), "cannot send {name} to {pid}");
}
