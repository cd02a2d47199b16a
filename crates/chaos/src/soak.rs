//! A long calm run at a steady rate: what memory does, how long commands take, how often the service
//! is not there.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::Result;
use crate::server::Bench;
use crate::writers::{self, Ledger};

/// Memory and processor time of the service at a moment.
#[derive(Clone, Copy)]
struct Sample {
    at: Duration,
    resident_kib: u64,
    cpu: Duration,
}

/// What was seen of the service while it worked.
#[derive(Default)]
pub(crate) struct Watched {
    samples: Vec<Sample>,
    peak_kib: u64,
    /// Every tenth of a second, each carrier is asked one question.
    n_asked: u64,
    n_answered: u64,
    /// How long answers took.
    micros: Vec<u32>,
    n_events: u64,
}

/// Watches until the writers are done. The service is one instance, which stays the same.
pub(crate) async fn watch<T>(bench: &mut Bench, writing: &JoinHandle<T>) -> Result<Watched> {
    let (began, mut watched) = (Instant::now(), Watched::default());
    let instance = bench.running.first_mut().ok_or("there is no service")?;
    let (pid, port) = (instance.pid(), instance.port);
    let client = async_nats::connect(bench.brokers.urls()).await;
    let client = client.map_err(|error| format!("cannot connect: {error}"))?;
    let body = json!({ "path": writers::flake(0) }).to_string();
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    while !writing.is_finished() {
        ticks.tick().await;
        let asked = Instant::now();
        let second = Duration::from_secs(1);
        let query = client.request("nix.query.flake.get", body.clone().into());
        let answer = tokio::time::timeout(second, query).await;
        let is_right = matches!(&answer, Ok(Ok(reply)) if !reply.payload.is_empty());
        watched.note(is_right, asked);
        let asked = Instant::now();
        let answer = tokio::time::timeout(second, get(port, "/health/ready")).await;
        let is_right = matches!(&answer, Ok(Ok(text)) if text.starts_with("HTTP/1.1 200"));
        watched.note(is_right, asked);
        let at = began.elapsed();
        let is_due = |last: &Sample| at.saturating_sub(last.at) >= Duration::from_secs(5);
        if watched.samples.last().is_none_or(is_due) {
            watched.samples.push(sample(pid, at)?);
        }
    }
    watched.samples.push(sample(pid, began.elapsed())?);
    watched.peak_kib = status(pid, "VmHWM:")?;
    Ok(watched)
}

impl Watched {
    fn note(&mut self, is_right: bool, asked: Instant) {
        self.n_asked += 1;
        self.n_answered += u64::from(is_right);
        self.micros.push(u32::try_from(asked.elapsed().as_micros()).unwrap_or(u32::MAX));
    }

    /// Tells it, and whether memory stayed within `most_mib` and did not grow.
    pub(crate) fn report(mut self, ledger: &mut Ledger, most_mib: u64) -> bool {
        self.n_events = ledger.n_acked() as u64;
        let Some(last) = self.samples.last().copied() else { return false };
        let seconds = last.at.as_secs_f64();
        let n_tries = ledger.n_retries + ledger.commands.len() as u64;
        println!(
            "soak: {} events in {seconds:.0} s, {:.0} a second; processor {:.0} %",
            self.n_events,
            count(self.n_events) / seconds,
            100.0 * last.cpu.as_secs_f64() / seconds,
        );
        println!("  commands: {}", times(&mut ledger.micros));
        println!("  queries and readiness, both carriers: {}", times(&mut self.micros));
        println!(
            "  errors: {} of {n_tries} attempts ({:.4} %); available: {} of {} questions ({:.4} %)",
            ledger.n_retries,
            100.0 * count(ledger.n_retries) / count(n_tries),
            self.n_answered,
            self.n_asked,
            100.0 * count(self.n_answered) / count(self.n_asked),
        );
        let step = self.samples.len().div_ceil(10).max(1);
        let line: Vec<String> = self.samples.iter().step_by(step).map(mib).collect();
        println!("  resident MiB over time: {} end {}", line.join(" "), mib(&last));
        let grows = self.growth();
        println!(
            "  resident at most {} MiB (bound {most_mib}); in the second half {grows:+.1} MiB a minute",
            self.peak_kib / 1_024
        );
        self.peak_kib / 1_024 <= most_mib && grows < 1.0
    }

    /// The slope of memory in the second half, in MiB a minute, by least squares.
    fn growth(&self) -> f64 {
        let half = &self.samples[self.samples.len() / 2..];
        let n = count(half.len() as u64);
        let points =
            half.iter().map(|it| (it.at.as_secs_f64() / 60.0, count(it.resident_kib) / 1_024.0));
        let points: Vec<(f64, f64)> = points.collect();
        let mean = |of: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
        let (x, y) = (mean(&|point| point.0), mean(&|point| point.1));
        let spread = points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>();
        let joint = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum::<f64>();
        if spread == 0.0 { 0.0 } else { joint / spread }
    }
}

/// As a number to divide by: counts here are far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn count(n: u64) -> f64 {
    n as f64
}

fn mib(sample: &Sample) -> String {
    (sample.resident_kib / 1_024).to_string()
}

fn times(micros: &mut [u32]) -> String {
    micros.sort_unstable();
    let at = |of: usize, in_all: usize| {
        let at = micros.len() * of / in_all;
        f64::from(micros.get(at.min(micros.len().saturating_sub(1))).copied().unwrap_or_default())
            / 1_000.0
    };
    format!(
        "p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, longest {:.2} ms",
        at(50, 100),
        at(99, 100),
        at(999, 1_000),
        at(1, 1)
    )
}

fn sample(pid: u32, at: Duration) -> Result<Sample> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    let stat = stat.map_err(|error| format!("the service is gone: {error}"))?;
    // After the name in parentheses; user and system time are the 14th and 15th field in all.
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: u64 =
        fields.split(' ').skip(11).take(2).filter_map(|it| it.parse::<u64>().ok()).sum();
    // A tick is a hundredth of a second on every Linux that this runs on.
    let cpu = Duration::from_millis(ticks * 10);
    Ok(Sample { at, resident_kib: status(pid, "VmRSS:")?, cpu })
}

fn status(pid: u32, name: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"));
    let status = status.map_err(|error| format!("the service is gone: {error}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| format!("the system does not tell {name}"))
}

async fn get(port: u16, path: &str) -> Result<String> {
    let asked = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        std::io::Result::Ok(text)
    };
    asked.await.map_err(|error| error.to_string())
}
