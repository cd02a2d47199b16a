//! `cim-nix-chaos`: breaks a running service in every way that happens, and counts whether anything
//! was lost or done twice.
//!
//! Writers send commands with ids of their own and try each until it is acknowledged. Meanwhile
//! something is broken again and again, by a seed. When all is over, the ledger of what was
//! acknowledged is compared with what is stored, what the read models say, and what was published:
//! each command has to be there once. A control without ids has to show commands that were done
//! twice; otherwise nothing was broken enough to prove anything.

#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for developers: it starts programs, waits, and talks to a terminal"
)]

mod broken;
mod check;
mod server;
mod soak;
mod writers;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};

use crate::broken::Fault;
use crate::server::{Bench, Store};

/// What this program returns where something did not work out; the text is the message.
type Result<T> = std::result::Result<T, String>;

/// Break a running service, and count whether anything was lost or done twice
#[derive(Parser, Debug)]
#[command(name = "cim-nix-chaos")]
struct Arguments {
    /// The program cim-nix-server
    #[arg(long, value_name = "FILE")]
    server: PathBuf,
    /// What to break; everything, one after the other, if nothing is named
    #[arg(value_name = "FAULT")]
    faults: Vec<Fault>,
    /// How many commands each fault gets
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    commands: u64,
    /// How many writers send them at once
    #[arg(long, value_name = "N", default_value_t = 64)]
    writers: u64,
    /// How many connections the writers share
    #[arg(long, value_name = "N", default_value_t = 64)]
    connections: u64,
    /// What chance follows from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Where the service keeps events
    #[arg(long, value_enum, default_value_t)]
    store: Store,
    /// Send each attempt as a command of its own, which must show: commands done twice are a success
    #[arg(long)]
    control: bool,
    /// Seconds after which a fault is given up
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    most: u64,
    /// Break nothing, send commands at a rate for so many seconds, and watch memory, times and
    /// whether the service is there
    #[arg(long, value_name = "SECONDS", conflicts_with_all = ["faults", "control", "commands"])]
    soak: Option<u64>,
    /// How many commands a second a soak sends
    #[arg(long, value_name = "N", default_value_t = 1_000, requires = "soak")]
    rate: u64,
    /// How many MiB the service may have in a soak
    #[arg(long, value_name = "MIB", default_value_t = 300, requires = "soak")]
    memory: u64,
}

fn main() -> ExitCode {
    let mut arguments = Arguments::parse();
    if let Some(seconds) = arguments.soak {
        arguments.faults = vec![Fault::Nothing];
        arguments.commands = seconds.saturating_mul(arguments.rate);
        arguments.most = arguments.most.max(seconds.saturating_mul(2));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(all(&arguments)),
        Err(error) => Err(error.to_string()),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(3)
        }
    }
}

async fn all(arguments: &Arguments) -> Result<bool> {
    let faults = match &arguments.faults[..] {
        [] => Fault::value_variants().to_vec(),
        named => named.to_vec(),
    };
    let mut is_good = true;
    writers::share(arguments.commands);
    println!(
        "{:<14} {:>8} {:>8} {:>8} {:>9} {:>9} {:>5} {:>6} {:>7} {:>7} {:>7} {:>7}",
        "fault",
        "sent",
        "acked",
        "stored",
        "projected",
        "published",
        "lost",
        "twice",
        "broken",
        "retries",
        "s",
        "acked/s"
    );
    for fault in faults {
        is_good &= one(arguments, fault).await?;
    }
    let what = if is_good { "nothing lost, nothing twice" } else { "NOT AS IT SHOULD BE" };
    println!("chaos: {}", if arguments.control && is_good { "the control shows it" } else { what });
    Ok(is_good)
}

async fn one(arguments: &Arguments, fault: Fault) -> Result<bool> {
    let Some(bench) = Bench::start(&arguments.server, arguments.store, fault)? else {
        return Err("there is no nats-server: CIM_NIX_NATS_SERVER can name one".to_owned());
    };
    let began = Instant::now();
    let deadline = began + Duration::from_secs(arguments.most);
    let bench = bench.ready().await?;
    let plan = writers::Plan {
        urls: bench.client_urls(),
        commands: arguments.commands,
        writers: arguments.writers,
        connections: arguments.connections,
        has_ids: !arguments.control,
        deadline,
        rate: arguments.soak.map(|_| arguments.rate),
    };
    let mut bench = bench;
    let writing = tokio::spawn(writers::write(plan));
    let watched = match arguments.soak {
        Some(_) => Some(soak::watch(&mut bench, &writing).await?),
        None => None,
    };
    let (bench, n_broken) = broken::until_done(bench, fault, arguments.seed, &writing).await?;
    let mut ledger = writing.await.map_err(|error| error.to_string())??;
    let seconds = began.elapsed().as_secs_f64();
    let found = check::check(bench, &ledger, deadline).await?;
    let acked = ledger.n_acked();
    println!(
        "{:<14} {:>8} {:>8} {:>8} {:>9} {:>9} {:>5} {:>6} {:>7} {:>7} {:>7.1} {:>7.0}",
        fault.word(),
        ledger.commands.len(),
        acked,
        found.stored,
        found.projected,
        found.published,
        found.lost.len(),
        found.twice.len(),
        n_broken,
        ledger.n_retries,
        seconds,
        f64::from(u32::try_from(acked).unwrap_or(u32::MAX)) / seconds,
    );
    for problem in found.lost.iter().chain(&found.twice).chain(&found.problems).take(10) {
        println!("  {problem}");
    }
    for (answer, n) in &ledger.refusals {
        println!("  refused {n} times: {answer}");
    }
    let is_steady = watched.is_none_or(|it| it.report(&mut ledger, arguments.memory));
    let all_acked = acked == ledger.commands.len();
    if arguments.control {
        return Ok(!found.twice.is_empty());
    }
    Ok(is_steady
        && all_acked
        && found.lost.is_empty()
        && found.twice.is_empty()
        && found.problems.is_empty()
        && found.stored == acked
        && found.projected == acked
        && found.published == acked
        && (n_broken > 0 || fault == Fault::Nothing))
}
