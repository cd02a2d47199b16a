//! Without a token, without the role, in the wrong tenant, in somebody else's name.

use serde_json::json;

use super::Row;
use super::world::{CANARY, Got, VICTIM, Walls, Who, World};

const JSON: &str = "Content-Type: application/json\r\n";

fn create(world: &World, name: &str) -> String {
    let path = world.folder(Who::Operator).join(name).display().to_string();
    json!({ "path": path, "description": "x" }).to_string()
}

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new("no-token-query", &["401"], |world| world.get(Who::Nobody, "/v1/acme/flakes")),
        Row::new("no-token-command", &["401"], |world| {
            world.command(Who::Nobody, "CreateFlake", "", &create(world, "n"))
        }),
        Row::new("no-token-other-tenant", &["401"], |world| {
            world.get(Who::Nobody, &format!("/v1/{VICTIM}/flakes"))
        }),
        Row::new("no-token-metrics", &["401"], |world| world.get(Who::Nobody, "/metrics")),
        Row::new("no-token-page", &["401"], |world| world.get(Who::Nobody, "/")),
        Row::new("no-token-stream", &["401"], |world| {
            world.get(Who::Nobody, "/v1/acme/events/stream")
        }),
        Row::new("no-token-nats", &["closed"], |world| {
            let said = world.nats.talk(
                "CONNECT {\"verbose\":false}\r\nPUB nix.query.flake.list 2\r\n{}\r\nPING\r\n",
                std::time::Duration::from_millis(500),
            );
            assert!(said.contains("Authorization Violation"), "{said}");
            Got::new("closed", said)
        }),
        Row::new("token-in-the-query", &["401"], |world| {
            let path = format!("/v1/acme/flakes?access_token={}", Who::Reader.token());
            world.get(Who::Nobody, &path)
        }),
        Row::new("token-twice", &["401"], |world| {
            let twice = Who::Operator.authorization();
            let path = "/v1/acme/commands/CreateFlake";
            world.post(Who::Reader, path, &format!("{JSON}{twice}"), &create(world, "n"))
        }),
        Row::new("reader-commands", &["403"], |world| {
            world.command(Who::Reader, "CreateFlake", "", &create(world, "n"))
        }),
        Row::new("reader-commands-dry", &["403"], |world| {
            let path = "/v1/acme/commands/CreateFlake?dry_run=true";
            world.post(Who::Reader, path, JSON, &create(world, "n"))
        }),
        Row::new("reader-commands-nats", &["denied"], |world| {
            world.ask(Who::Reader, "nix.cmd.flake.create", "", &create(world, "n"))
        }),
        Row::new("other-tenant-query", &["403"], |world| {
            world.get(Who::Operator, &format!("/v1/{VICTIM}/flakes"))
        }),
        Row::new("other-tenant-events", &["403"], |world| {
            world.get(Who::Operator, &format!("/v1/{VICTIM}/events"))
        }),
        Row::new("other-tenant-command", &["403"], |world| {
            let path = format!("/v1/{VICTIM}/commands/CreateFlake");
            world.post(Who::Operator, &path, JSON, &create(world, "n"))
        }),
        Row::new("other-tenant-event-page", &["403", "404", "400"], |world| {
            let events = world.get(Who::Victim, &format!("/v1/{VICTIM}/events"));
            let id = events.json()["items"][0]["event_id"].as_str().expect("an id").to_owned();
            world.get(Who::Operator, &format!("/operations/{VICTIM}/events/{id}"))
        }),
        Row::new("other-tenant-event-by-id", &["404"], |world| {
            let events = world.get(Who::Victim, &format!("/v1/{VICTIM}/events"));
            let id = events.json()["items"][0]["event_id"].as_str().expect("an id").to_owned();
            world.get(Who::Operator, &format!("/v1/acme/events/{id}"))
        }),
        Row::new("other-tenant-encoded", &["403", "404", "400"], |world| {
            world.get(Who::Operator, &format!("/v1/acme%2f..%2f{VICTIM}/flakes"))
        }),
        Row::new("other-tenant-exists", &["403"], |world| {
            let there = world.get(Who::Operator, &format!("/v1/{VICTIM}/flakes"));
            let none = world.get(Who::Operator, "/v1/nobody-at-all/flakes");
            assert_eq!(there.json(), none.json(), "they can be told apart");
            none
        }),
        Row::new("other-tenant-nats", &["denied"], |world| {
            world.ask(Who::Operator, &format!("{VICTIM}.nix.cmd.flake.create"), "", "{}")
        }),
        // The account decides, whatever headers and body say.
        Row::new("forged-tenant-nats", &["success"], |world| {
            let headers = format!("X-Tenant: {VICTIM}\r\nX-Tenant-ID: {VICTIM}\r\n");
            let got = world.ask(Who::Reader, "nix.query.flake.list", &headers, "{}");
            assert!(got.text.contains("machines") && !got.text.contains(CANARY), "{got:?}");
            got
        }),
        Row::new("forged-tenant-body", &["malformed", "rejected"], |world| {
            let body = format!(r#"{{"tenant":"{VICTIM}","path":"/etc","description":""}}"#);
            world.ask(Who::Operator, "nix.cmd.flake.create", "", &body)
        }),
        Row::new("forged-user-nats", &["success"], |world| {
            let body = create(world, "forged-n");
            let headers = "X-User-ID: root\r\n";
            let got = world.ask(Who::Operator, "nix.cmd.flake.create", headers, &body);
            assert_eq!(last_actor(world), "root (nats)", "the name of the carrier is missing");
            got
        })
        .recorded(),
        Row::new("forged-user", &["200"], |world| {
            let body = create(world, "forged-h");
            let headers = "X-User-ID: root\r\nX-Forwarded-User: root\r\n";
            let got = world.command(Who::Operator, "CreateFlake", headers, &body);
            assert_eq!(last_actor(world), "root (acme-operator)");
            got
        })
        .recorded(),
        Row::new("forged-envelope", &["200"], |world| {
            let command: serde_json::Value =
                serde_json::from_str(&create(world, "forged-e")).expect("JSON");
            let body = json!({ "command": command, "issued_by": "root" }).to_string();
            let got = world.command(Who::Operator, "CreateFlake", "", &body);
            assert_eq!(last_actor(world), "root (acme-operator)");
            got
        })
        .recorded(),
        // A page of another site may send forms and plain text, and browsers add what they know.
        Row::new("csrf-form", &["401", "415"], |world| {
            let headers = "Content-Type: text/plain\r\nOrigin: https://evil.example\r\n";
            let path = "/v1/acme/commands/CreateFlake";
            assert_eq!(world.post(Who::Operator, path, headers, &create(world, "n")).kind, "415");
            world.post(Who::Nobody, path, headers, &create(world, "n"))
        }),
        Row::new("csrf-basic", &["401"], |world| {
            let pair = base64(&format!("x:{}", Who::Operator.token()));
            let headers = format!("{JSON}Authorization: Basic {pair}\r\n");
            world.post(Who::Nobody, "/v1/acme/commands/CreateFlake", &headers, &create(world, "n"))
        }),
        Row::new("cors-preflight", &["401", "405"], |world| {
            let text = "OPTIONS /v1/acme/commands/CreateFlake HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                Origin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\n\r\n";
            let got = world.bytes(text.as_bytes());
            assert!(!got.text.to_ascii_lowercase().contains("access-control-allow"), "{got:?}");
            got
        }),
    ]
}

/// Who did the last thing in the attacker's tenant, as it was written down.
fn last_actor(world: &World) -> String {
    let after = world.head(Who::Operator).saturating_sub(1);
    let events = world.get(Who::Operator, &format!("/v1/acme/events?after={after}"));
    let event = &events.json()["items"][0];
    event["origin"]["actor"].as_str().unwrap_or_else(|| panic!("{event}")).to_owned()
}

fn base64(text: &str) -> String {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = digits[(bits >> (18 - 6 * at) & 63) as usize];
            out.push(if at <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[test]
fn strangers_are_sent_away_where_tenants_share_an_account() {
    let Some(world) = World::between(Walls::Subjects, "bad-tokens-per-minute = 1000", "") else {
        return;
    };
    super::attack(&world, rows());
}

#[test]
fn strangers_are_sent_away() {
    let Some(world) = World::with("bad-tokens-per-minute = 1000", "") else { return };
    super::attack(&world, rows());
}
