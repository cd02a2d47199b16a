//! Measures queries over HTTP with `wrk`, beside a bare axum that answers the same bytes.
//!
//! `cargo run --release -p cim-nix-http --example load -- [SECONDS]` runs `wrk` on both in turns.
//! With `--listen ADDRESS` it only serves, for whoever wants to look.

#![allow(clippy::disallowed_methods, reason = "it measures, and starts what it measures with")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it tells what it has measured")]

#[allow(dead_code, unreachable_pub, reason = "it needs a part of what tests need")]
#[path = "../tests/it/kit.rs"]
mod kit;

use std::process::Command;

use axum::Router;
use axum::routing::get;
use cim_nix_http::Settings;
use cim_nix_service::Limits;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;

use kit::{Kit, OPERATOR};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    let listen = match first.as_deref() {
        Some("--listen") => arguments.next().and_then(|text| text.parse().ok()),
        _ => None,
    };
    let seconds: u32 = first.as_deref().and_then(|text| text.parse().ok()).unwrap_or(5);
    let most = 10_000_000;
    let limits = Limits {
        requests_per_second: most,
        burst: most,
        requests_per_second_per_caller: most,
        ..Limits::default()
    };
    let settings = Settings { bad_tokens_per_minute: most, ..Settings::default() };
    let kit = match listen {
        Some(listen) => Kit::at(Settings { listen, ..settings }, limits),
        None => Kit::with(settings, limits),
    };
    let mut ids = Vec::new();
    for n in 0..20 {
        ids.push(kit.flake(&format!("/fleet/{n}")));
    }
    if listen.is_some() {
        println!("http://{}/ with the token {OPERATOR}; end it with ctrl-c", kit.address);
        loop {
            std::thread::park();
        }
    }
    let one = format!("/v1/acme/flakes/{}", ids[7]);
    let text = kit.get(&one).text();
    let bare = bare(text);
    for round in 1..=3 {
        println!("round {round}");
        measure("bare axum, the same bytes", &format!("http://{bare}/"), seconds);
        measure("one flake", &format!("http://{}{one}", kit.address), seconds);
        let list = format!("http://{}/v1/acme/flakes?limit=20", kit.address);
        measure("20 flakes", &list, seconds);
    }
}

/// A server that answers one text, on a runtime as large as ours.
fn bare(text: String) -> std::net::SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async move {
            let router = Router::new().route("/", get(move || async move { text }));
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            tell.send(listener.local_addr().expect("an address")).expect("who asked waits");
            loop {
                let (socket, _) = listener.accept().await.expect("a connection");
                socket.set_nodelay(true).expect("an option");
                let service = TowerToHyperService::new(router.clone());
                tokio::spawn(async move {
                    let connection = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service);
                    // How a client leaves is its own business.
                    let _ = connection.await;
                });
            }
        });
    });
    told.recv().expect("it starts")
}

fn measure(what: &str, url: &str, seconds: u32) {
    let bearer = format!("Authorization: Bearer {OPERATOR}");
    let time = format!("-d{seconds}s");
    let mut wrk = Command::new("wrk");
    wrk.args(["-t1", "-c64", "--latency", &time, "-H", &bearer, url]);
    let before = cpu_seconds();
    let output = wrk.output().expect("wrk is on PATH");
    let spent = cpu_seconds() - before;
    let text = String::from_utf8_lossy(&output.stdout);
    let wanted = ["Requests/sec", "50%", "99%", "Non-2xx", "Socket errors"];
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| wanted.iter().any(|it| line.contains(it)))
        .collect();
    println!("  {what:26} {}", lines.join("  "));
    let n_requests =
        text.split("requests in").next().and_then(|head| head.split_whitespace().last());
    if let Some(n) = n_requests.and_then(|n| n.parse::<f64>().ok()) {
        println!("  {:26} {:.1} us of CPU a request", "", spent / n * 1e6);
    }
}

/// What this process has used of CPUs: on a machine with other work, the number that means something.
fn cpu_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: f64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
    // Linux counts a hundred ticks a second wherever it runs today.
    ticks / 100.0
}
