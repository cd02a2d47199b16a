//! The writers: each command until it is acknowledged.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cim_domain_nix::Uuid;
use serde_json::{Value, json};

use crate::Result;

static FLAKES: AtomicU64 = AtomicU64::new(16);

/// How many flakes they write to.
pub(crate) fn flakes() -> u64 {
    FLAKES.load(Ordering::Relaxed)
}

/// Lets each flake get about a hundred of so many commands: deciding upon one reads all its events.
pub(crate) fn share(commands: u64) {
    FLAKES.store((commands / 100).clamp(16, 2_000), Ordering::Relaxed);
}

/// What the writers do.
pub(crate) struct Plan {
    pub(crate) urls: Vec<String>,
    pub(crate) commands: u64,
    pub(crate) writers: u64,
    /// How many connections they share.
    pub(crate) connections: u64,
    /// Whether each attempt of a command has the command's id.
    pub(crate) has_ids: bool,
    pub(crate) deadline: Instant,
    /// How many commands a second they send together; as many as go, if nothing is said.
    pub(crate) rate: Option<u64>,
}

/// What came of them.
#[derive(Default)]
pub(crate) struct Ledger {
    /// By what each command says: whether it was acknowledged.
    pub(crate) commands: BTreeMap<String, bool>,
    pub(crate) n_retries: u64,
    /// Refusals that no attempt mends, with how many there were.
    pub(crate) refusals: BTreeMap<String, u64>,
    /// How long each took, from when it was due until it was acknowledged.
    pub(crate) micros: Vec<u32>,
}

impl Ledger {
    pub(crate) fn n_acked(&self) -> usize {
        self.commands.values().filter(|is_acked| **is_acked).count()
    }
}

/// The folder of a flake.
pub(crate) fn flake(n: u64) -> String {
    format!("/srv/flake-{n}")
}

async fn connect(urls: &[String]) -> Result<async_nats::Client> {
    let options = async_nats::ConnectOptions::new()
        .request_timeout(Some(Duration::from_secs(3)))
        .retry_on_initial_connect()
        .reconnect_delay_callback(|_| Duration::from_millis(50));
    options.connect(urls).await.map_err(|error| format!("cannot connect to {urls:?}: {error}"))
}

fn identity(id: Uuid) -> Value {
    json!({ "message_id": id, "correlation_id": id, "causation_id": id })
}

/// One request, until somebody answers with something that counts.
enum Answer {
    Acked,
    Again,
    Refused(String),
}

async fn ask(client: &async_nats::Client, subject: &'static str, body: &Value) -> Answer {
    let reply = client.request(subject, body.to_string().into()).await;
    let Ok(reply) = reply else { return Answer::Again };
    let Ok(value) = serde_json::from_slice::<Value>(&reply.payload) else {
        return Answer::Refused("an answer that is no JSON".to_owned());
    };
    match (value["status"].as_str(), value["code"].as_str()) {
        (Some("success"), _) => Answer::Acked,
        (_, Some("conflict" | "limited" | "overloaded" | "timed_out" | "outside")) => Answer::Again,
        _ => Answer::Refused(value.to_string()),
    }
}

/// Makes the flakes that are written to.
pub(crate) async fn prepare(urls: &[String], deadline: Instant) -> Result<()> {
    let client = connect(urls).await?;
    for n in 0..flakes() {
        let body = json!({
            "path": flake(n), "description": "new", "identity": identity(Uuid::now_v7()),
        });
        loop {
            match ask(&client, "nix.cmd.flake.create", &body).await {
                Answer::Acked => break,
                Answer::Again if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Answer::Again => return Err("the service does not answer".to_owned()),
                Answer::Refused(why) => return Err(format!("a flake is refused: {why}")),
            }
        }
    }
    Ok(())
}

/// Writes all there is to write.
pub(crate) async fn write(plan: Plan) -> Result<Ledger> {
    let plan = std::sync::Arc::new(plan);
    let mut clients = Vec::new();
    for _ in 0..plan.connections.clamp(1, plan.writers.max(1)) {
        clients.push(connect(&plan.urls).await?);
    }
    let clients = clients.iter().cycle().cloned();
    let tasks: Vec<_> = (0..plan.writers)
        .zip(clients)
        .map(|(writer, client)| tokio::spawn(one(plan.clone(), writer, client)))
        .collect();
    let mut all = Ledger::default();
    for task in tasks {
        let ledger = task.await.map_err(|error| error.to_string())??;
        all.commands.extend(ledger.commands);
        all.n_retries += ledger.n_retries;
        all.micros.extend(ledger.micros);
        for (why, n) in ledger.refusals {
            *all.refusals.entry(why).or_default() += n;
        }
    }
    Ok(all)
}

async fn one(
    plan: std::sync::Arc<Plan>,
    writer: u64,
    client: async_nats::Client,
) -> Result<Ledger> {
    let mut ledger = Ledger::default();
    let began = Instant::now();
    let share = plan.commands / plan.writers + u64::from(writer < plan.commands % plan.writers);
    for n in 0..share {
        // What it says is said by no other one, so each that is done changes something.
        let said = format!("{writer}-{n}");
        let own = Uuid::now_v7();
        let mut is_acked = false;
        let mut pause = Duration::from_millis(10);
        let due = match plan.rate {
            // A command that is late is late for all the time since it was due.
            Some(rate) => {
                let nth = n * plan.writers + writer;
                let due = began + Duration::from_micros(nth * 1_000_000 / rate.max(1));
                tokio::time::sleep_until(due.into()).await;
                due
            }
            None => Instant::now(),
        };
        while Instant::now() < plan.deadline {
            let id = if plan.has_ids { own } else { Uuid::now_v7() };
            let body = json!({
                "path": flake((writer + n) % flakes()),
                "edit": { "set_description": { "description": said } },
                "identity": identity(id),
            });
            match ask(&client, "nix.cmd.flake.update", &body).await {
                Answer::Acked => {
                    is_acked = true;
                    break;
                }
                Answer::Again => {
                    ledger.n_retries += 1;
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_millis(500));
                }
                Answer::Refused(why) => {
                    let why: String = why.chars().take(300).collect();
                    *ledger.refusals.entry(why).or_default() += 1;
                    break;
                }
            }
        }
        if is_acked {
            ledger.micros.push(u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX));
        }
        ledger.commands.insert(said, is_acked);
    }
    Ok(ledger)
}
