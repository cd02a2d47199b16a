//! Whether servers come, go and come back.

use std::time::Duration;

use crate::{Cluster, Nats, Setup};

const PATIENCE: Duration = Duration::from_millis(300);

#[test]
fn a_server_comes_back_on_its_port() {
    let Some(mut nats) = Nats::start(Setup::jetstream()) else { return };
    let port = nats.port();
    let said = nats.talk("CONNECT {\"verbose\":false}\r\nPING\r\n", PATIENCE);
    assert!(said.starts_with("INFO ") && said.ends_with("PONG\r\n"), "{said}");
    nats.kill();
    nats.restart();
    assert_eq!(nats.port(), port);
    let said = nats.talk("CONNECT {\"verbose\":false}\r\nPING\r\n", PATIENCE);
    assert!(said.ends_with("PONG\r\n"), "{said}");
    nats.pause();
    nats.resume();
    nats.stop();
}

#[test]
fn says_what_is_wrong_with_a_configuration() {
    let Some(checked) = Nats::check("accounts { A { users = [ {user: a, password: b} ] } }\n")
    else {
        return;
    };
    assert_eq!(checked, Ok(()));
    let broken = Nats::check("accounts { A { users = 7 } }\n").expect("the program is there");
    assert!(broken.is_err_and(|said| said.contains("users")));
}

#[test]
fn three_servers_know_each_other() {
    let Some(cluster) = Cluster::start(3, &Setup::jetstream()) else { return };
    let said = cluster.nodes[0].talk("CONNECT {\"verbose\":false}\r\nPING\r\n", PATIENCE);
    assert!(said.contains("\"cluster\":\"rig\""), "{said}");
    assert_eq!(cluster.urls().len(), 3);
}
