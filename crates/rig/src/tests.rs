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

/// Of those that a proxy stands before, clients must not hear where they really are.
#[test]
fn servers_hide_each_other_if_asked_to() {
    for hides_others in [false, true] {
        let setup = Setup { hides_others, ..Setup::jetstream() };
        let Some(cluster) = Cluster::start(3, &setup) else { return };
        let tells = || {
            let said = cluster.nodes[0].talk("CONNECT {\"verbose\":false}\r\nPING\r\n", PATIENCE);
            let urls = said.split_once("\"connect_urls\":").map_or("", |(_, rest)| rest);
            let urls = urls.split(']').next().unwrap_or_default();
            cluster.nodes[1..].iter().filter(|it| urls.contains(&it.port().to_string())).count()
        };
        // Each server hears of the others within moments, whether it tells them or not.
        let end =
            std::time::Instant::now() + Duration::from_secs(if hides_others { 2 } else { 20 });
        while tells() < 2 && std::time::Instant::now() < end {}
        assert_eq!(tells(), if hides_others { 0 } else { 2 });
    }
}
