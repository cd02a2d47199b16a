//! Several servers that are one.

use std::net::TcpListener;

use crate::nats::{Nats, Setup};

/// Servers on loopback that know each other by their routes.
#[derive(Debug)]
pub struct Cluster {
    /// The servers.
    pub nodes: Vec<Nats>,
}

impl Cluster {
    /// Starts `n` servers with JetStream; `None`, said aloud, where there is no program.
    ///
    /// # Panics
    /// If one does not come up. A leader need not be there yet when this returns.
    #[must_use]
    pub fn start(n: usize, setup: &Setup) -> Option<Self> {
        // Routes have to be known beforehand, so their ports are looked for; all are held until the
        // last one is found.
        let held: Vec<TcpListener> =
            (0..n).map(|_| TcpListener::bind(("127.0.0.1", 0)).expect("a port is free")).collect();
        let ports: Vec<u16> = held
            .iter()
            .map(|listener| listener.local_addr().expect("it is bound").port())
            .collect();
        drop(held);
        let routes: Vec<String> =
            ports.iter().map(|port| format!("\"nats://127.0.0.1:{port}\"")).collect();
        let mut nodes = Vec::new();
        for (nth, port) in ports.iter().enumerate() {
            let cluster = format!(
                "cluster {{\n  name: rig\n  listen: \"127.0.0.1:{port}\"\n  routes: [{}]\n  \
                 no_advertise: {}\n}}\n",
                routes.join(", "),
                setup.hides_others
            );
            let mut own = setup.clone().with(&cluster);
            own.name = format!("rig-{nth}");
            own.jetstream.get_or_insert_default();
            nodes.push(Nats::prepared(own)?);
        }
        for node in &mut nodes {
            node.spawn();
        }
        for node in &mut nodes {
            node.wait();
        }
        Some(Self { nodes })
    }

    /// The addresses for clients.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Nats::url).collect()
    }
}
