//! The service on NATS: connections, and what runs on each.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cim_nix_base::Error;
use cim_nix_service::{Caller, Service, Tenant};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::about::{About, instance_id};
use crate::connection::{Connection, connect};
use crate::desk::{Desk, Post};
use crate::foreign::Keeper;
use crate::outbox::Outbox;
use crate::settings::{Login, NatsSettings};
use crate::space::{SubjectSpace, TenantsBy};
use crate::stats::Stats;

/// How a connection is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConnectionHealth {
    /// The tenant that it is for; all of them where they share one.
    pub label: String,
    /// Whether it is there now.
    pub is_connected: bool,
    /// For how long it has not been; without end where it never was.
    pub away: Duration,
    /// How often it was made again.
    pub reconnects: u64,
    /// Messages that came faster than they were taken, and are lost.
    pub slow: u64,
    /// How often the server refused something for want of permission.
    pub violations: u64,
}

/// The service on NATS, until it is stopped.
pub struct Nats {
    lines: Vec<Line>,
    connections: Vec<(String, Connection)>,
    /// Ends taking.
    stop: CancellationToken,
    /// Ends replying.
    over: CancellationToken,
    /// Ends publishing.
    end: CancellationToken,
}

/// What runs for one tenant.
struct Line {
    in_flight: Arc<Semaphore>,
    n_in_flight: u32,
    taking: Vec<JoinHandle<()>>,
    replying: JoinHandle<()>,
    publishing: JoinHandle<()>,
    talking: JoinHandle<()>,
}

impl Nats {
    /// Connects, and serves the tenants of `service` from now on.
    ///
    /// Errors: the settings make no sense, the server refuses the login, or no server answers and
    /// the settings want one.
    pub async fn start(service: &Arc<Service>, settings: &NatsSettings) -> Result<Self, Error> {
        let space = settings.space()?;
        let tenants: Vec<Arc<Tenant>> = service.tenants().cloned().collect();
        let mut nats = Self {
            lines: Vec::new(),
            connections: Vec::new(),
            stop: CancellationToken::new(),
            over: CancellationToken::new(),
            end: CancellationToken::new(),
        };
        let mut shared: HashMap<String, Connection> = HashMap::new();
        for tenant in &tenants {
            let (label, login): (&str, &Login) = match space.tenants() {
                TenantsBy::Account => {
                    (tenant.name(), settings.login_of(tenant.name(), tenants.len())?)
                }
                TenantsBy::Token => ("all", &settings.login),
            };
            let connection = match shared.get(label) {
                Some(connection) => connection.clone(),
                None => {
                    let new = connect(settings, login, label).await?;
                    nats.connections.push((label.to_owned(), new.clone()));
                    shared.insert(label.to_owned(), new.clone());
                    new
                }
            };
            let line = nats.open(service, tenant, settings, &space, connection).await?;
            nats.lines.push(line);
        }
        for (_, connection) in &nats.connections {
            // Whoever is served now may ask at once: the server has to know of all subscriptions. One
            // that is not connected yet, or not any more, is told when that changes.
            if connection.is_connected() {
                let _ = connection.echo(Duration::from_secs(2)).await;
            }
        }
        Ok(nats)
    }

    /// Begins to serve a tenant.
    async fn open(
        &self,
        service: &Arc<Service>,
        tenant: &Arc<Tenant>,
        settings: &NatsSettings,
        space: &SubjectSpace,
        connection: Connection,
    ) -> Result<Line, Error> {
        let stats = Arc::new(Stats::new());
        let n_in_flight = u32::try_from(settings.in_flight.clamp(1, 1 << 20)).unwrap_or(1);
        let in_flight = Arc::new(Semaphore::new(n_in_flight as usize));
        let (posts, to_post) = mpsc::unbounded_channel::<Post>();
        let desk = Arc::new(Desk {
            service: service.clone(),
            tenant: tenant.clone(),
            place: space.place(tenant.name()),
            caller: Caller { name: "nats".into(), role: settings.role, via: "nats" },
            connection: connection.clone(),
            posts,
            in_flight: in_flight.clone(),
            stats: stats.clone(),
            reply_prefixes: settings.reply_prefixes.clone(),
            queue: settings.queue.clone(),
            waiting_progress: Arc::default(),
        });
        let mut taking = Vec::new();
        let n_queries = settings.query_tasks.max(1);
        let subjects =
            std::iter::once("nix.cmd.>").chain(std::iter::repeat_n("nix.query.>", n_queries));
        for subject in subjects {
            let subject = desk.place.pattern(subject)?;
            let client = &connection.client;
            let requests =
                client.queue_subscribe(subject.as_str().to_owned(), settings.queue.clone()).await;
            let requests = requests.map_err(|error| {
                Error::config(format!("cannot subscribe to `{subject}` as `{}`", settings.queue))
                    .because(std::io::Error::other(error.to_string()))
            })?;
            taking.push(tokio::spawn(desk.clone().serve(requests, self.stop.clone())));
        }
        let about = Arc::new(About {
            service: service.clone(),
            tenant: tenant.clone(),
            place: space.place(tenant.name()),
            connection: connection.clone(),
            stats: stats.clone(),
            queue: settings.queue.clone(),
            reply_prefixes: settings.reply_prefixes.clone(),
            id: instance_id(service.new_id()),
            began: Instant::now(),
            started: service.now(),
        });
        let asked = about.subscribe().await?;
        let every = Duration::from_secs(settings.announce_seconds);
        let keeper = Arc::new(Keeper {
            service: service.clone(),
            tenant: tenant.clone(),
            place: space.place(tenant.name()),
            connection: connection.clone(),
            stats: stats.clone(),
        });
        taking.extend(self.keep(&keeper, settings).await?);
        let outbox = Outbox::new(tenant.clone(), space, connection, settings, stats);
        Ok(Line {
            in_flight,
            n_in_flight,
            taking,
            replying: tokio::spawn(desk.post(to_post, self.over.clone())),
            publishing: tokio::spawn(outbox.run(self.end.clone())),
            talking: tokio::spawn(about.run(asked, every, self.over.clone())),
        })
    }

    /// Begins to keep the events of other domains that are wanted.
    async fn keep(
        &self,
        keeper: &Arc<Keeper>,
        settings: &NatsSettings,
    ) -> Result<Vec<JoinHandle<()>>, Error> {
        let wanted = &settings.foreign;
        let (network, git) = (&wanted.network_stream, &wanted.git_stream);
        let mut tasks = Vec::new();
        for (is_wanted, subject, stream, durable) in [
            (wanted.network, "network.>", network, "cim-nix-network"),
            (wanted.network, "cim.network.>", network, "cim-nix-cim-network"),
            (wanted.git, "git.event.>", git, "cim-nix-git"),
        ] {
            if !is_wanted {
                continue;
            }
            let subject = keeper.place.subject(subject);
            let stop = self.stop.clone();
            if let Some(stream) = stream {
                let (stream, durable) = (stream.clone(), durable.to_owned());
                tasks.push(tokio::spawn(keeper.clone().consume(stream, subject, durable, stop)));
                continue;
            }
            let client = &keeper.connection.client;
            let events = client.queue_subscribe(subject.clone(), settings.queue.clone()).await;
            let events = events.map_err(|error| {
                Error::outside(format!("cannot subscribe to `{subject}`"))
                    .because(std::io::Error::other(error.to_string()))
            })?;
            tasks.push(tokio::spawn(keeper.clone().follow(events, stop)));
        }
        Ok(tasks)
    }

    /// How the connections are.
    #[must_use]
    pub fn health(&self) -> Vec<ConnectionHealth> {
        let health = |(label, connection): &(String, Connection)| ConnectionHealth {
            label: label.clone(),
            is_connected: connection.is_connected(),
            away: connection.away(),
            reconnects: connection.n_connects().saturating_sub(1),
            slow: connection.n_slow(),
            violations: connection.n_violations(),
        };
        self.connections.iter().map(health).collect()
    }

    /// Takes nothing more, waits until what was taken has its reply and what was stored is
    /// published, and closes the connections. What takes longer than `patience` is left: its events
    /// are published by the next start.
    ///
    /// The service has to go on until then, and is drained afterwards.
    pub async fn stop(self, patience: Duration) {
        let deadline = Instant::now() + patience;
        self.stop.cancel();
        let mut finishing = Vec::new();
        for line in self.lines {
            for task in line.taking {
                let _ = tokio::time::timeout_at(deadline.into(), task).await;
            }
            let all = line.in_flight.acquire_many_owned(line.n_in_flight);
            if tokio::time::timeout_at(deadline.into(), all).await.is_err() {
                tracing::warn!("commands are still under way, and nobody hears of their end");
            }
            finishing.push((line.replying, line.talking, line.publishing));
        }
        self.over.cancel();
        self.end.cancel();
        // What is published last takes a moment of its own, however long commands took.
        let deadline = deadline.max(Instant::now() + Duration::from_secs(1));
        for (replying, talking, publishing) in finishing {
            let _ = tokio::time::timeout_at(deadline.into(), talking).await;
            let _ = tokio::time::timeout_at(deadline.into(), replying).await;
            if tokio::time::timeout_at(deadline.into(), publishing).await.is_err() {
                tracing::warn!("events are left to be published by the next start");
            }
        }
        for (_, connection) in self.connections {
            let closing = async {
                // A connection that is not there has nothing to flush.
                let _ = connection.client.flush().await;
                let _ = connection.client.drain().await;
            };
            let _ = tokio::time::timeout(Duration::from_secs(1), closing).await;
        }
    }
}

impl std::fmt::Debug for Nats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nats").field("connections", &self.health()).finish_non_exhaustive()
    }
}
