//! Messages as other services write them, read and written again.

use cim_domain_nix::headers::Headers;
use serde_json::{Value, json};

use super::{Foreign, ForeignEvent, GitEvent, NetworkEvent, TopologyEvent};

fn node(more: Value) -> Value {
    let mut node = json!({
        "id": "n1", "name": "gate", "node_type": "Gateway",
        "interfaces": [{
            "name": "eth0", "mac_address": "02:00:00:00:00:01", "interface_type": "Ethernet",
            "addresses": [
                { "address": "10.0.0.1", "prefix_length": 24, "dhcp": false },
                { "address": "", "prefix_length": 0, "dhcp": true },
            ],
            "mtu": 1500, "vlan_id": 7, "bridge_members": ["eth1"],
        }],
        "services": ["dns"], "metadata": { "rack": 4 },
    });
    node.as_object_mut().expect("fields").extend(more.as_object().expect("fields").clone());
    node
}

fn interface() -> Value {
    node(json!({}))["interfaces"][0].clone()
}

const AT: &str = "2026-11-24T14:20:59Z";

/// Subjects with bodies of both sets.
fn of_networks() -> Vec<(&'static str, Value)> {
    let topology = |more: Value| {
        let mut body = json!({
            "topology_id": "0198f7a2-7c00-7000-8000-0000000000aa", "name": "home",
            "nodes": [node(more)], "connections": [], "timestamp": AT,
        });
        body["connections"] = [json!("Wifi"), json!({ "Vlan": 7 }), json!({ "Other": "LoRa" })]
            .into_iter()
            .map(|of| {
                json!({
                    "from_node": "n1", "from_interface": "eth0", "to_node": "n2",
                    "to_interface": "eth0", "network_type": of,
                })
            })
            .collect();
        body
    };
    let change = |kind: &str| json!({ "node_id": "n1", "interface": interface(), "change_type": kind, "timestamp": AT });
    let route = |kind: &str| {
        json!({
            "node_id": "n1", "change_type": kind, "timestamp": AT,
            "route": { "destination": "0.0.0.0/0", "gateway": "10.0.0.254", "interface": "eth0", "metric": 5 },
        })
    };
    let rule = |kind: &str| {
        json!({
            "node_id": "n1", "change_type": kind, "timestamp": AT,
            "rule": {
                "name": "ssh", "direction": "Inbound", "protocol": "tcp", "source": "10.0.0.0/8",
                "destination": "10.0.0.1", "ports": [22], "action": "Allow",
            },
        })
    };
    let link = json!({
        "topology_id": "t1", "correlation_id": "0198f7a2-7c00-7000-8000-000000000001",
        "causation_id": "0198f7a2-7c00-7000-8000-000000000002",
        "connection": {
            "from_node": "n1", "to_node": "n2", "connection_type": "Vpn",
            "properties": { "bandwidth": 1000, "latency": 2.5, "redundant": true, "vlan_tags": [7, 8] },
        },
    });
    vec![
        ("network.topology.created", topology(json!({}))),
        ("network.topology.updated", topology(json!({ "tier": "Leaf" }))),
        ("network.interface.added", change("Added")),
        ("network.interface.removed", change("Removed")),
        ("network.interface.updated", change("Updated")),
        ("network.route.added", route("Added")),
        ("network.route.removed", route("Removed")),
        ("network.firewall.rule.added", rule("Added")),
        ("network.firewall.rule.removed", rule("Removed")),
        ("cim.network.topology.t1.created", topology(json!({ "tier": "SuperCluster" }))),
        (
            "cim.network.topology.t1.node.added",
            json!({ "topology_id": "t1", "node": node(json!({ "tier": "Client" })) }),
        ),
        ("cim.network.topology.t1.node.removed", json!({ "topology_id": "t1", "node_id": "n1" })),
        ("cim.network.topology.t1.connection.created", link.clone()),
        ("cim.network.topology.t1.connection.removed", link),
        (
            "cim.network.node.n1.configuration.updated",
            json!({ "node_id": "n1", "configuration": { "any": "thing" } }),
        ),
    ]
}

#[test]
fn all_15_of_networks_are_read_and_written_as_they_came() {
    let mut types = std::collections::BTreeSet::new();
    for (subject, body) in of_networks() {
        let mut body = body;
        body["something_new"] = json!({ "deep": [1, 2] });
        let read = ForeignEvent::read(subject, &Headers::default(), body.to_string().as_bytes());
        let read = read.expect("an object");
        let written = match &read.event {
            Foreign::Network(event) => serde_json::to_value(event),
            Foreign::Topology(event) => serde_json::to_value(event),
            other => panic!("{subject}: {other:?}"),
        };
        assert_eq!(written.expect("JSON"), body, "{subject}");
        assert!(read.about.is_some(), "{subject}");
        types.insert(read.event_type);
    }
    assert_eq!(types.len(), 15, "{types:?}");
}

#[test]
fn words_that_nobody_knows_yet_stay() {
    let mut body = of_networks()[2].1.clone();
    body["interface"]["interface_type"] = json!("Quantum");
    let text = body.to_string();
    let read = ForeignEvent::read("network.interface.added", &Headers::default(), text.as_bytes());
    let Foreign::Network(NetworkEvent::InterfaceAdded(event)) = read.expect("good").event else {
        panic!("an interface");
    };
    assert_eq!(serde_json::to_value(&event).expect("JSON"), body);
}

#[test]
fn the_second_set_has_its_ids_inside() {
    let (subject, body) = &of_networks()[12];
    let mut body = body.clone();
    body["event_id"] = json!("0198f7a2-7c00-7000-8000-000000000003");
    let read = ForeignEvent::read(subject, &Headers::default(), body.to_string().as_bytes());
    let read = read.expect("good");
    let identity = read.identity.expect("ids");
    assert_eq!(identity.correlation_id.to_string(), "0198f7a2-7c00-7000-8000-000000000001");
    assert_eq!(identity.causation_id.to_string(), "0198f7a2-7c00-7000-8000-000000000002");
    assert!(matches!(read.event, Foreign::Topology(TopologyEvent::ConnectionCreated(_))));
}

fn commit() -> Value {
    json!({
        "event_type": "CommitAnalyzed", "repository_id": "0198f7a2-7c00-7000-8000-0000000000bb",
        "commit_hash": "c0ffee", "parents": ["beef"],
        "author": { "name": "Ann", "email": "ann@example.org" }, "message": "fix",
        "files_changed": [
            { "path": "flake.nix", "change_type": "Modified", "additions": 3, "deletions": 1 },
            { "path": "a", "change_type": "Split", "additions": 0, "deletions": 0 },
        ],
        "commit_timestamp": AT, "timestamp": AT, "signed": true,
    })
}

#[test]
fn git_bare_and_in_an_envelope() {
    let subject = "git.event.commit.analyzed";
    let bare = ForeignEvent::read(subject, &Headers::default(), commit().to_string().as_bytes());
    let bare = bare.expect("good");
    let Foreign::Git(event @ GitEvent::CommitAnalyzed(_)) = &bare.event else { panic!("{bare:?}") };
    assert_eq!(serde_json::to_value(event).expect("JSON"), commit());
    assert_eq!(bare.identity, None);
    let enveloped = json!({
        "metadata": {
            "event_id": "0198f7a2-7c00-7000-8000-000000000003",
            "correlation_id": "0198f7a2-7c00-7000-8000-000000000001",
            "causation_id": "0198f7a2-7c00-7000-8000-000000000002",
            "user_id": "ann", "occurred_at": AT, "schema_version": 1,
        },
        "event": commit(),
    });
    let read = ForeignEvent::read(subject, &Headers::default(), enveloped.to_string().as_bytes());
    let read = read.expect("good");
    assert_eq!(read.event, bare.event);
    let identity = read.identity.clone().expect("ids");
    assert_eq!(identity.message_id.to_string(), "0198f7a2-7c00-7000-8000-000000000003");
    assert_eq!(read.at, AT.parse().ok());
    assert_eq!(read.stream().to_string(), "foreign_git-0198f7a2-7c00-7000-8000-0000000000bb");
    let branch = json!({
        "event_type": "BranchCreated", "repository_id": "r", "branch_name": "next",
        "commit_hash": "c0ffee", "source_branch": "main", "timestamp": AT,
    });
    let cloned = json!({
        "event_type": "RepositoryCloned", "repository_id": "r", "remote_url": "https://x",
        "local_path": "/srv/x", "timestamp": AT,
    });
    for (subject, body) in
        [("git.event.branch.created", branch), ("git.event.repository.cloned", cloned)]
    {
        let read = ForeignEvent::read(subject, &Headers::default(), body.to_string().as_bytes());
        let Foreign::Git(event) = read.expect("good").event else { panic!("of Git") };
        assert!(!matches!(event, GitEvent::Other(_)), "{event:?}");
        assert_eq!(serde_json::to_value(&event).expect("JSON"), body);
    }
}

#[test]
fn the_type_is_read_from_the_header_or_the_body_not_from_the_subject() {
    let subject = "git.event.commit.analyzed";
    let body = json!({ "repository_id": "r", "path": "flake.nix", "lines": 7 });
    let headers = Headers::read([("X-Event-Type", "FileAnalyzed")]).expect("good headers");
    let read = ForeignEvent::read(subject, &headers, body.to_string().as_bytes()).expect("good");
    assert_eq!(read.event_type, "FileAnalyzed");
    let Foreign::Git(GitEvent::Other(fields)) = &read.event else { panic!("{read:?}") };
    assert_eq!((&fields["event_type"], &fields["lines"]), (&json!("FileAnalyzed"), &json!(7)));
    // A known type whose shape is another one is kept as it came.
    let odd = json!({ "event_type": "CommitAnalyzed", "commit": 7 });
    let read = ForeignEvent::read(subject, &Headers::default(), odd.to_string().as_bytes());
    assert!(matches!(read.expect("good").event, Foreign::Git(GitEvent::Other(_))));
}

#[test]
fn what_is_no_object_is_refused() {
    for body in ["", "7", "[]", "{", "\u{0}"] {
        assert!(ForeignEvent::read("git.event.x", &Headers::default(), body.as_bytes()).is_err());
    }
    let deep = "[".repeat(100_000);
    assert!(ForeignEvent::read("network.x", &Headers::default(), deep.as_bytes()).is_err());
    assert!(ForeignEvent::read("other.x", &Headers::default(), b"{}").is_err());
}
