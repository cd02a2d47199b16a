//! The service with what it needs: a broker, a network in between, a folder, a configuration.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cim_nix_rig::{Cluster, Nats, Proxy, Setup};
use clap::ValueEnum;
use tempfile::TempDir;

use crate::Result;
use crate::broken::Fault;
use crate::writers;

/// Where the service keeps events.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub(crate) enum Store {
    /// In a file
    #[default]
    Sqlite,
    /// In a stream of a cluster
    Jetstream,
}

/// The brokers.
pub(crate) enum Brokers {
    One(Box<Nats>),
    Three(Cluster),
}

impl Brokers {
    pub(crate) fn all(&mut self) -> &mut [Nats] {
        match self {
            Self::One(nats) => std::slice::from_mut(nats),
            Self::Three(cluster) => &mut cluster.nodes,
        }
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        match self {
            Self::One(nats) => vec![nats.url()],
            Self::Three(cluster) => cluster.urls(),
        }
    }

    /// A network for each.
    fn nets(&mut self) -> Vec<Proxy> {
        self.all().iter().map(|nats| Proxy::start(nats.port())).collect()
    }
}

/// Everything that one fault is tried on.
pub(crate) struct Bench {
    pub(crate) brokers: Brokers,
    /// Between the service and each broker, if something is done to it.
    pub(crate) service_nets: Vec<Proxy>,
    /// Between the writers and each broker.
    pub(crate) client_nets: Vec<Proxy>,
    pub(crate) folder: TempDir,
    pub(crate) store: Store,
    server: PathBuf,
    /// The running instances, the oldest first.
    pub(crate) running: Vec<Instance>,
    n_started: u32,
    /// Kilobytes that a file of the next instance may have, if that is bounded.
    pub(crate) file_limit: Option<u64>,
    /// The library that bends the clock, and the file that says how.
    pub(crate) clock: Option<(PathBuf, PathBuf)>,
}

/// A running service; it is killed when it is dropped.
pub(crate) struct Instance {
    child: Child,
    /// The number of the machine that it is on, as it were: what it keeps for itself is there.
    machine: usize,
    pub(crate) log: PathBuf,
    /// That of its HTTP.
    pub(crate) port: u16,
}

impl Instance {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it at once.
    pub(crate) fn kill(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to stop.
    pub(crate) fn ask_to_stop(&self) {
        let pid = self.child.id().to_string();
        // It may be gone already.
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|ended| ended.is_some())
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(|error| error.to_string())?;
    Ok(listener.local_addr().map_err(|error| error.to_string())?.port())
}

impl Bench {
    /// Starts brokers and the service; `None` where there is no broker.
    pub(crate) fn start(server: &Path, store: Store, fault: Fault) -> Result<Option<Self>> {
        let is_network = matches!(fault, Fault::BadNetwork | Fault::SlowConsumer);
        let setup = Setup { hides_others: is_network, ..Setup::jetstream() };
        let brokers = match store {
            Store::Sqlite => Nats::start(setup).map(|nats| Brokers::One(nats.into())),
            Store::Jetstream => Cluster::start(3, &setup).map(Brokers::Three),
        };
        let Some(mut brokers) = brokers else { return Ok(None) };
        let mut nets = || if is_network { brokers.nets() } else { Vec::new() };
        let folder = TempDir::new().map_err(|error| error.to_string())?;
        let mut bench = Self {
            service_nets: nets(),
            client_nets: nets(),
            brokers,
            folder,
            store,
            server: server.to_owned(),
            running: Vec::new(),
            n_started: 0,
            file_limit: None,
            clock: None,
        };
        if fault == Fault::ClockJumps {
            let file = bench.folder.path().join("clock");
            fs::write(&file, "+0").map_err(|error| error.to_string())?;
            bench.clock = Some((bender()?, file));
        }
        bench.start_instance()?;
        Ok(Some(bench))
    }

    /// The addresses that writers use.
    pub(crate) fn client_urls(&self) -> Vec<String> {
        self.urls(&self.client_nets)
    }

    fn urls(&self, nets: &[Proxy]) -> Vec<String> {
        match nets {
            [] => self.brokers.urls(),
            nets => nets.iter().map(Proxy::url).collect(),
        }
    }

    /// Where the service keeps its events, if in a file.
    pub(crate) fn store_file(&self) -> PathBuf {
        self.folder.path().join("main/events.sqlite")
    }

    /// The number of the machine for the next instance. A file as store is on one; of instances on a
    /// stream each has its own, and a new one gets that of one which has gone.
    fn machine(&self) -> usize {
        let is_free = |machine: &usize| self.running.iter().all(|it| it.machine != *machine);
        match self.store {
            Store::Sqlite => 0,
            Store::Jetstream => (0..).find(is_free).unwrap_or_default(),
        }
    }

    fn config(&self, port: u16, machine: usize) -> String {
        let urls = self.urls(&self.service_nets);
        let urls: Vec<String> = urls.iter().map(|url| format!("{url:?}")).collect();
        let state = match self.store {
            Store::Sqlite => self.folder.path().to_owned(),
            Store::Jetstream => self.folder.path().join(format!("machine-{machine}")),
        };
        let state = state.display();
        let (store, replicas) = match self.store {
            Store::Sqlite => ("sqlite:{state}/{tenant}/events.sqlite", 1),
            Store::Jetstream => ("jetstream:", 3),
        };
        let mut text = String::new();
        // Writing to a text does not fail.
        let _ = write!(
            text,
            "state = \"{state}\"\nstore = \"{store}\"\n\
             [http]\nlisten = \"127.0.0.1:{port}\"\nopen-metrics = true\n\
             [nats]\nservers = [{}]\n\
             [nats.stream]\nreplicas = {replicas}\n\
             [jetstream]\nreplicas = {replicas}\n\
             [[tenant]]\nname = \"main\"\n",
            urls.join(", ")
        );
        text
    }

    /// Starts one more instance of the service.
    pub(crate) fn start_instance(&mut self) -> Result<()> {
        let failed = |error: std::io::Error| format!("cannot start the service: {error}");
        let port = free_port()?;
        self.n_started += 1;
        let machine = self.machine();
        let config = self.folder.path().join(format!("server-{}.toml", self.n_started));
        fs::write(&config, self.config(port, machine)).map_err(failed)?;
        let log = self.folder.path().join(format!("server-{}.log", self.n_started));
        let mut command = match self.file_limit {
            None => Command::new(&self.server),
            Some(limit) => {
                // The signal for files that grow too large is ignored, so that writing fails.
                let mut shell = Command::new("sh");
                shell
                    .arg("-c")
                    .arg(format!("trap '' XFSZ; ulimit -f {limit}; exec \"$@\""))
                    .arg("sh")
                    .arg(&self.server);
                shell
            }
        };
        command.arg("--config").arg(&config).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(fs::File::create(&log).map_err(failed)?).process_group(0);
        if let Some((library, file)) = &self.clock {
            command.env("LD_PRELOAD", library).env("FAKETIME_TIMESTAMP_FILE", file);
            command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        let child = command.spawn().map_err(failed)?;
        self.running.push(Instance { child, machine, log, port });
        Ok(())
    }

    /// Waits until the service answers, and makes what is written to.
    pub(crate) async fn ready(self) -> Result<Self> {
        let deadline = Instant::now() + Duration::from_secs(60);
        let prepared = writers::prepare(&self.client_urls(), deadline).await;
        prepared.map_err(|why| format!("{why}\n{}", self.last_words()))?;
        Ok(self)
    }

    /// The end of the log of the newest instance.
    pub(crate) fn last_words(&self) -> String {
        let log = self.running.last().map(|it| fs::read_to_string(&it.log).unwrap_or_default());
        let log = log.unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(12).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// The library that bends the clock of a program.
fn bender() -> Result<PathBuf> {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib"];
    let names = folders.map(|folder| Path::new(folder).join("faketime/libfaketimeMT.so.1"));
    names.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        "there is no libfaketime, which clock-jumps needs: apt-get install faketime".to_owned()
    })
}
