//! How long a query takes over NATS, beside what NATS itself takes: a responder of one line, with
//! the same client library, in the same run.
//!
//! `CIM_NIX_NATS_SERVER=... cargo run --release -p cim-nix-nats --example latency`

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    dead_code,
    reason = "it measures and prints; of the tests' world it needs a part"
)]

#[path = "../tests/it/world.rs"]
mod world;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::{Client, HeaderMap};
use cim_domain_nix::MemoryStore;
use cim_domain_nix::headers::Headers;
use cim_nix_rig::{Nats, Setup};
use cim_nix_service::{Caller, Limits, Message, Request, Role, Size};
use futures_util::StreamExt as _;
use serde_json::json;

use world::{Running, of, settings, tenant};

const FLAKES: usize = 1_000;
const ROUNDS: usize = 10;
const REQUESTS: usize = 2_000;

fn main() {
    let Some(nats) = Nats::start(Setup::default()) else { return };
    // The limits would stop what is measured.
    let limits = Limits {
        requests_per_second: 10_000_000,
        burst: 10_000_000,
        requests_per_second_per_caller: 10_000_000,
        ..Limits::default()
    };
    let service = of([tenant("acme", Arc::new(MemoryStore::default()), limits)]);
    for n in 0..FLAKES {
        let body = json!({ "path": format!("/flake/{n}"), "description": "of many" }).to_string();
        let mut new_id = || service.new_id();
        let headers = Headers::default();
        let message =
            Message::read("CreateFlake", body.as_bytes(), &headers, Size::default(), &mut new_id);
        let tenant = service.tenant("acme").expect("a tenant").clone();
        let caller = Caller { name: "ada".into(), role: Role::Operator, via: "nats" };
        let reply = service.call(Request::new(tenant, caller, message.expect("good")));
        assert!(reply.refusal().is_none(), "{reply:?}");
    }
    let mut settings = settings(&nats.url());
    settings.stream.enabled = false;
    let mut running = Running::start(&service, &settings);
    let echo = runtime();
    let url = nats.url();
    let client = runtime();
    let asking = client.block_on(async_nats::connect(&url)).expect("a server");
    let answer = client.block_on(ask(&asking, "nix.query.flake.get", 7));
    println!("a query of {} bytes, an answer of {} bytes", body(7).len(), answer.len());
    let echoing = echo.block_on(async_nats::connect(&url)).expect("a server");
    echo.spawn(async move {
        let mut requests = echoing.subscribe("echo").await.expect("a server");
        while let Some(request) = requests.next().await {
            let reply = request.reply.expect("it is asked for");
            echoing.publish(reply, answer.clone()).await.expect("a server");
        }
    });
    client.block_on(async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        one_by_one(&asking).await;
        at_a_rate(&asking, 1_000).await;
        many_at_once(&asking).await;
    });
    running.stop();
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().expect("a runtime")
}

fn body(n: usize) -> String {
    json!({ "path": format!("/flake/{}", n % FLAKES) }).to_string()
}

async fn ask(client: &Client, subject: &'static str, n: usize) -> bytes::Bytes {
    let reply = client.request(subject, body(n).into()).await.expect("an answer");
    assert!(
        reply.headers.as_ref().is_none_or(|it: &HeaderMap| it.get("Nats-Service-Error").is_none())
    );
    reply.payload
}

/// Microseconds at 50 and 99 of 100.
fn percentiles(mut times: Vec<Duration>) -> (u128, u128) {
    times.sort_unstable();
    let at = |percent: usize| times[times.len() * percent / 100].as_micros();
    (at(50), at(99))
}

async fn one_by_one(client: &Client) {
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // By turns, so that what else the machine does is the same for both.
        for (subject, times) in [("echo", &mut bare), ("nix.query.flake.get", &mut ours)] {
            for n in 0..REQUESTS {
                let began = Instant::now();
                ask(client, subject, round * REQUESTS + n).await;
                times.push(began.elapsed());
            }
        }
    }
    let ((bare_50, bare_99), (ours_50, ours_99)) = (percentiles(bare), percentiles(ours));
    println!("one by one: NATS alone p50 {bare_50} us, p99 {bare_99} us");
    println!("one by one: a query    p50 {ours_50} us, p99 {ours_99} us");
    println!(
        "one by one: p50 {}.{:02} times NATS's own",
        ours_50 / bare_50,
        ours_50 * 100 / bare_50 % 100
    );
}

async fn at_a_rate(client: &Client, per_second: u32) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
    let mut asked = tokio::task::JoinSet::new();
    for n in 0..10_000 {
        ticks.tick().await;
        let client = client.clone();
        asked.spawn(async move {
            let began = Instant::now();
            ask(&client, "nix.query.flake.get", n).await;
            began.elapsed()
        });
    }
    let (p50, p99) = percentiles(asked.join_all().await);
    println!("at {per_second} requests/s: p50 {p50} us, p99 {p99} us");
}

async fn many_at_once(client: &Client) {
    for subject in ["echo", "nix.query.flake.get"] {
        let began = Instant::now();
        let mut asked = tokio::task::JoinSet::new();
        for caller in 0..64 {
            let client = client.clone();
            asked.spawn(async move {
                for n in 0..1_000 {
                    ask(&client, subject, caller * 1_000 + n).await;
                }
            });
        }
        asked.join_all().await;
        let per_second = 64_000.0 / began.elapsed().as_secs_f64();
        println!("64 callers: {per_second:.0} requests/s on {subject}");
    }
}
