//! What is broken, and how.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use clap::ValueEnum;
use fastrand::Rng;
use tokio::task::JoinHandle;

use crate::Result;
use crate::server::{Bench, Instance};

/// Something that happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Fault {
    /// All is well
    Nothing,
    /// The service is killed
    KillService,
    /// A broker is killed
    KillNats,
    /// Connections are cut and delayed, on both sides of the broker
    BadNetwork,
    /// Somebody listens and does not keep up, and the service is far from its broker
    SlowConsumer,
    /// There is no room for what the service writes
    FullDisk,
    /// The clock jumps, forwards and backwards
    ClockJumps,
    /// Instances are replaced by new ones
    Deploy,
}

impl Fault {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::KillService => "kill-service",
            Self::KillNats => "kill-nats",
            Self::BadNetwork => "bad-network",
            Self::SlowConsumer => "slow-consumer",
            Self::FullDisk => "full-disk",
            Self::ClockJumps => "clock-jumps",
            Self::Deploy => "deploy",
        }
    }
}

async fn pause(rng: &mut Rng, millis: std::ops::Range<u64>) {
    tokio::time::sleep(Duration::from_millis(rng.u64(millis))).await;
}

/// Breaks until the writers are done; answers how often. In the end all is well again.
pub(crate) async fn until_done<T>(
    mut bench: Bench,
    fault: Fault,
    seed: u64,
    writing: &JoinHandle<T>,
) -> Result<(Bench, u64)> {
    let mut rng = Rng::with_seed(seed);
    let mut n_broken = 0;
    let storms: Vec<_> = match fault {
        Fault::BadNetwork => {
            let nets = bench.service_nets.iter().chain(&bench.client_nets).enumerate();
            let every = Duration::from_millis(200)..Duration::from_millis(1_500);
            nets.map(|(n, net)| net.storm(seed + n as u64, every.clone())).collect()
        }
        _ => Vec::new(),
    };
    let sleepers: Vec<TcpStream> = match fault {
        Fault::SlowConsumer => {
            bench.service_nets.iter().for_each(|net| net.delay(Duration::from_millis(5)));
            let port = bench.brokers.all()[0].port();
            (0..4).map(|_| listen_and_sleep(port)).collect::<Result<_>>()?
        }
        _ => Vec::new(),
    };
    while !writing.is_finished() {
        match fault {
            Fault::Nothing => tokio::time::sleep(Duration::from_millis(50)).await,
            Fault::KillService => {
                pause(&mut rng, 300..2_500).await;
                if let Some(mut instance) = bench.running.pop() {
                    instance.kill();
                    n_broken += 1;
                }
                bench.start_instance()?;
            }
            Fault::KillNats => {
                pause(&mut rng, 500..3_000).await;
                let brokers = bench.brokers.all();
                let n = rng.usize(..brokers.len());
                brokers[n].kill();
                n_broken += 1;
                pause(&mut rng, 100..1_000).await;
                let brokers = bench.brokers.all();
                brokers[n].restart();
                if brokers.len() > 1 {
                    // With two of three away nothing can be stored at all.
                    pause(&mut rng, 2_000..3_000).await;
                }
            }
            Fault::BadNetwork => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                let nets = bench.service_nets.iter().chain(&bench.client_nets);
                n_broken = nets.map(cim_nix_rig::Proxy::n_cuts).sum();
            }
            Fault::SlowConsumer => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                n_broken = sleepers.len() as u64;
            }
            Fault::FullDisk => {
                pause(&mut rng, 500..1_500).await;
                // A little more room than there is in use, and some time later none is left.
                let used = fs::metadata(bench.store_file()).map_or(0, |meta| meta.len());
                let log = bench.store_file().with_extension("sqlite-wal");
                let used = used.max(fs::metadata(log).map_or(0, |meta| meta.len()));
                let limit = used / 1_024 + rng.u64(20..400);
                replace(&mut bench, Some(limit * 2))?;
                n_broken += 1;
                pause(&mut rng, 1_000..2_500).await;
                replace(&mut bench, None)?;
            }
            Fault::ClockJumps => {
                pause(&mut rng, 200..1_000).await;
                let jump = rng.i64(-100_000..100_000);
                if let Some((_, file)) = &bench.clock {
                    let new = file.with_extension("new");
                    let written = fs::write(&new, format!("{jump:+}"));
                    written.and_then(|()| fs::rename(&new, file)).map_err(|e| e.to_string())?;
                }
                n_broken += 1;
            }
            Fault::Deploy => {
                pause(&mut rng, 1_000..3_000).await;
                bench.start_instance()?;
                pause(&mut rng, 500..1_500).await;
                if bench.running.last_mut().is_some_and(Instance::has_ended) {
                    return Err(format!("a new instance has ended\n{}", bench.last_words()));
                }
                deploy(&mut bench).await;
                n_broken += 1;
            }
        }
    }
    drop((storms, sleepers));
    if let Some((_, file)) = &bench.clock {
        fs::write(file, "+0").map_err(|error| error.to_string())?;
    }
    bench.service_nets.iter().for_each(|net| net.delay(Duration::ZERO));
    Ok((bench, n_broken))
}

/// Lets the oldest instance go, as a rolling deployment does.
async fn deploy(bench: &mut Bench) {
    if bench.running.len() < 2 {
        return;
    }
    let mut old = bench.running.remove(0);
    old.ask_to_stop();
    for _ in 0..400 {
        if old.has_ended() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Kills the service and starts it with another amount of room (in blocks of 512 bytes).
fn replace(bench: &mut Bench, limit: Option<u64>) -> Result<()> {
    if let Some(mut instance) = bench.running.pop() {
        instance.kill();
    }
    bench.file_limit = limit;
    bench.start_instance()
}

/// Somebody who wants to hear of everything and never listens.
fn listen_and_sleep(port: u16) -> Result<TcpStream> {
    let failed = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(failed)?;
    let mut hello = [0; 4_096];
    // What the broker says first; how much of it is of no interest.
    let _ = stream.read(&mut hello).map_err(failed)?;
    stream.write_all(b"CONNECT {\"verbose\":false}\r\nSUB nix.> 1\r\nPING\r\n").map_err(failed)?;
    Ok(stream)
}
