//! Messages that are too large, too deep, sent twice, or written so that readers disagree.

use std::time::Duration;

use serde_json::{Value, json};

use super::Row;
use super::world::{Got, Walls, Who, World};

const FLAKES: &str = "nix.query.flake.list";
const CREATE: &str = "nix.cmd.flake.create";

fn create(world: &World, name: &str) -> Value {
    let path = world.folder(Who::Operator).join(name).display().to_string();
    json!({ "path": path, "description": "x" })
}

/// Sends one command twice with one key, and another with the same; answers the last.
fn replay(world: &World, send: impl Fn(&str, &str) -> Got) -> Got {
    let id = "0198f7a2-7c00-7000-8000-0000000000aa";
    let first = send(id, &create(world, "replay").to_string());
    assert!(["200", "success"].contains(&&*first.kind), "{first:?}");
    let head = world.head(Who::Operator);
    let again = send(id, &create(world, "replay").to_string());
    assert_eq!(again.json()["repeated"], true, "{again:?}");
    let other = send(id, &create(world, "replay-other").to_string());
    assert_eq!(world.head(Who::Operator), head, "something was run twice");
    other
}

fn deep(n: usize) -> String {
    format!(r#"{{"path":{}1{}}}"#, "[".repeat(n), "]".repeat(n))
}

/// A request in which two readers could see two.
fn smuggle(world: &World, lines: &str) -> Got {
    let inner = create(world, "smuggled").to_string();
    let inner = super::world::post(
        Who::Operator,
        "/v1/acme/commands/CreateFlake",
        "Content-Type: application/json\r\n",
        &inner,
    );
    let inner = String::from_utf8(inner).expect("text");
    let text = format!(
        "POST /v1/acme/queries/ListFlakes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         {}{}\r\n0\r\n\r\n{inner}",
        Who::Reader.authorization(),
        lines.replace("LENGTH", &(inner.len() + 5).to_string())
    );
    world.bytes(text.as_bytes())
}

pub(super) fn rows() -> Vec<Row> {
    let mut rows = vec![
        Row::new("huge-body", &["413", "closed"], |world| {
            let body = json!({ "path": ".", "description": "x".repeat(2 << 20) }).to_string();
            world.command(Who::Operator, "CreateFlake", "", &body)
        }),
        Row::new("huge-message-nats", &["closed", "too_large"], |world| {
            let body = json!({ "path": ".", "description": "x".repeat(2 << 20) }).to_string();
            world.ask(Who::Operator, CREATE, "", &body)
        }),
        // As much as the server takes: no text within leads to an answer of the same size.
        Row::new("max-payload-nats", &["malformed", "too_large"], |world| {
            let body = format!(r#"{{"{}":1}}"#, "x".repeat((1 << 20) - 100));
            let got = world.ask(Who::Operator, CREATE, "", &body);
            assert!(got.text.len() < 4_096, "{} bytes", got.text.len());
            got
        }),
        Row::new("deep-body", &["413"], |world| {
            world.command(Who::Operator, "CreateFlake", "", &deep(100_000))
        }),
        Row::new("deep-query", &["413"], |world| {
            let headers = "Content-Type: application/json\r\n";
            world.post(Who::Reader, "/v1/acme/queries/ListFlakes", headers, &deep(100_000))
        }),
        Row::new("deep-message-nats", &["too_large"], |world| {
            world.ask(Who::Operator, CREATE, "", &deep(100_000))
        }),
        Row::new("deep-query-nats", &["too_large"], |world| {
            world.ask(Who::Reader, FLAKES, "", &deep(100_000))
        }),
        Row::new("not-utf8-nats", &["malformed"], |world| {
            world.wire(Who::Operator).ask(CREATE, "", b"{\"path\":\"\xff\xfe\"}")
        }),
        Row::new("duplicate-fields", &["400", "422"], |world| {
            let body = r#"{"path":"a","path":"/etc","description":""}"#;
            world.command(Who::Operator, "CreateFlake", "", body)
        }),
        Row::new("duplicate-fields-nats", &["malformed", "rejected"], |world| {
            let body = r#"{"path":"a","path":"/etc","description":""}"#;
            world.ask(Who::Operator, CREATE, "", body)
        }),
        Row::new("replayed-key", &["409"], |world| {
            replay(world, |id, body| {
                let headers = format!("Idempotency-Key: {id}\r\n");
                world.command(Who::Operator, "CreateFlake", &headers, body)
            })
        })
        .recorded(),
        Row::new("replayed-id-nats", &["conflict"], |world| {
            // What was sent over HTTP counts here too.
            let id = "0198f7a2-7c00-7000-8000-0000000000aa";
            let body = create(world, "replay").to_string();
            let headers = format!("X-Message-ID: {id}\r\nNats-Msg-Id: {id}\r\n");
            let again = world.ask(Who::Operator, CREATE, &headers, &body);
            assert_eq!(again.json()["repeated"], true, "{again:?}");
            world.ask(Who::Operator, CREATE, &headers, &create(world, "other").to_string())
        }),
        Row::new("replayed-message-of-the-server", &["conflict"], |world| {
            // The id by which JetStream drops what it has is as good as ours.
            let send = |body: &Value| {
                let headers = "Nats-Msg-Id: 0198f7a2-7c00-7000-8000-0000000000bb\r\n";
                world.ask(Who::Operator, CREATE, headers, &body.to_string())
            };
            assert_eq!(send(&create(world, "server")).kind, "success");
            let again = send(&create(world, "server"));
            assert_eq!(again.json()["repeated"], true, "{again:?}");
            send(&create(world, "server-other"))
        })
        .recorded(),
        Row::new("replayed-by-a-reader", &["403"], |world| {
            let headers = "Idempotency-Key: 0198f7a2-7c00-7000-8000-0000000000aa\r\n";
            let body = create(world, "replay").to_string();
            world.command(Who::Reader, "CreateFlake", headers, &body)
        }),
        Row::new("key-of-another-tenant", &["404"], |world| {
            // The victim's key leads nowhere here: the same words are another command's id.
            let events = world.get(Who::Victim, &format!("/v1/{}/events", super::world::VICTIM));
            let id = events.json()["items"][0]["event"]["identity"]["causation_id"]
                .as_str()
                .expect("an id")
                .to_owned();
            let headers = format!("Idempotency-Key: {id}\r\n");
            let body = create(world, "key").to_string();
            let got = world.command(Who::Operator, "CreateFlake", &headers, &body);
            assert_eq!(got.json()["repeated"], false, "{got:?}");
            world.get(Who::Operator, &format!("/v1/acme/events/{id}"))
        })
        .recorded(),
        Row::new("header-line-break", &["400", "closed"], |world| {
            let headers = "X-User-ID: a\rX-Role: service\r\n";
            world.command(Who::Operator, "CreateFlake", headers, &create(world, "h").to_string())
        }),
        Row::new("header-control", &["400"], |world| {
            let headers = "X-User-ID: a\u{7f}b\r\n";
            world.command(Who::Operator, "CreateFlake", headers, &create(world, "h").to_string())
        }),
        Row::new("header-echo", &["400"], |world| {
            let path = "/v1/acme/flakes?limit=1%0d%0aSet-Cookie:%20a=b";
            let got = world.get(Who::Reader, path);
            assert!(!got.text.to_ascii_lowercase().contains("\nset-cookie"), "{got:?}");
            got
        }),
        Row::new("header-folded-nats", &["malformed"], |world| {
            let headers = "X-Correlation-ID: a\r\n X-User-ID: root\r\n";
            world.ask(Who::Operator, CREATE, headers, &create(world, "h").to_string())
        }),
        Row::new("header-control-nats", &["malformed"], |world| {
            let headers = "X-User-ID: a\u{1}b\r\n";
            world.ask(Who::Operator, CREATE, headers, &create(world, "h").to_string())
        }),
        Row::new("issuer-line-break", &["400"], |world| {
            let command = create(world, "h");
            let body = json!({ "command": command, "issued_by": "a\r\nX-Role: service" });
            world.command(Who::Operator, "CreateFlake", "", &body.to_string())
        }),
        Row::new("issuer-line-break-nats", &["malformed"], |world| {
            let command = create(world, "h");
            let body = json!({ "command": command, "issued_by": "x".repeat(100_000) });
            world.ask(Who::Operator, CREATE, "", &body.to_string())
        }),
        Row::new("headers-huge", &["431", "closed"], |world| {
            let headers = format!("X-Long: {}\r\n", "y".repeat(200_000));
            world.command(Who::Operator, "CreateFlake", &headers, "{}")
        }),
        Row::new("headers-many", &["431", "closed"], |world| {
            let headers: String = (0..5_000).map(|n| format!("X-{n}: y\r\n")).collect();
            world.command(Who::Operator, "CreateFlake", &headers, "{}")
        }),
        Row::new("headers-many-nats", &["success"], |world| {
            let headers: String = (0..20_000).map(|n| format!("X-{n}: y\r\n")).collect();
            world.ask(Who::Reader, FLAKES, &headers, "{}")
        }),
        Row::new("gzip-bomb", &["415"], |world| {
            let headers = "Content-Encoding: gzip\r\n";
            world.command(Who::Operator, "CreateFlake", headers, "\u{1f}\u{8b}xxxxxxxx")
        }),
        Row::new("brotli-bomb", &["415"], |world| {
            world.command(Who::Operator, "CreateFlake", "Content-Encoding: br\r\n", "xxxx")
        }),
        Row::new("transfer-gzip", &["400", "501", "closed"], |world| {
            smuggle(world, "Transfer-Encoding: gzip, chunked, gzip\r\n")
        }),
        Row::new("upgrade-websocket", &["200"], |world| {
            // It is answered as if nothing had been asked for.
            let text = format!(
                "GET /v1/acme/flakes HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, close\r\n\
                 Upgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n{}\r\n",
                Who::Reader.authorization()
            );
            world.bytes(text.as_bytes())
        }),
        Row::new("upgrade-h2c", &["200"], |world| {
            let text = format!(
                "GET /v1/acme/flakes HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings, close\r\n\
                 Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n{}\r\n",
                Who::Reader.authorization()
            );
            world.bytes(text.as_bytes())
        }),
        Row::new("http2-without-tls", &["400", "505", "closed"], |world| {
            world.bytes(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        }),
    ];
    for (name, lines) in [
        ("smuggling-length-and-chunks", "Content-Length: LENGTH\r\nTransfer-Encoding: chunked\r\n"),
        ("smuggling-chunks-and-length", "Transfer-Encoding: chunked\r\nContent-Length: LENGTH\r\n"),
        ("smuggling-two-lengths", "Content-Length: 5\r\nContent-Length: LENGTH\r\n"),
        ("smuggling-obscure-chunks", "Transfer-Encoding: xchunked\r\n"),
        ("smuggling-chunks-twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
        ("smuggling-tab", "Transfer-Encoding:\tchunked\r\nContent-Length: LENGTH\r\n"),
        ("smuggling-space", "Transfer-Encoding : chunked\r\nContent-Length: LENGTH\r\n"),
    ] {
        // With both, the chunks count, as RFC 9112 wants it, and nothing behind them is read.
        rows.push(Row::new(name, &["400", "501", "closed", "200"], move |world| {
            let got = smuggle(world, lines);
            let is_closed = got.kind != "200" || got.text.contains("\r\nconnection: close");
            assert!(is_closed && got.text.matches("HTTP/1.1 ").count() < 2, "{got:?}");
            got
        }));
    }
    for (name, host) in [
        ("host-twice", "Host: x\r\nHost: y\r\n"),
        ("host-nonsense", "Host: x/../y?@z\r\n"),
        ("host-of-another", "Host: 169.254.169.254\r\n"),
        ("host-empty", "Host:\r\n"),
    ] {
        rows.push(Row::new(name, &["400", "401", "closed"], move |world| {
            let text = format!("GET /v1/acme/flakes HTTP/1.1\r\n{host}Connection: close\r\n\r\n");
            let got = world.bytes(text.as_bytes());
            assert!(!got.text.contains("169.254"), "{got:?}");
            got
        }));
    }
    for (name, path) in [
        ("url-dots", "/v1/acme/../../../etc/passwd"),
        ("url-dots-encoded", "/v1/acme/%2e%2e/%2e%2e/etc/passwd"),
        ("url-dots-twice-encoded", "/v1/acme/%252e%252e%252fetc%252fpasswd"),
        ("url-slash-encoded", "/v1/acme/flakes/..%2f..%2f..%2fetc%2fpasswd"),
        ("url-zero", "/v1/acme/flakes/%00"),
        ("url-not-utf8", "/v1/acme/flakes/%ff%fe"),
        ("url-backslash", "/v1/acme/flakes/..%5c..%5cetc"),
        ("url-static", "/operations/style.css/../../../../etc/passwd"),
        ("url-absolute", "http://169.254.169.254/latest/meta-data"),
    ] {
        rows.push(Row::new(name, &["400", "403", "404"], move |world| {
            let got = world.get(Who::Operator, path);
            assert!(!got.text.contains("root:"), "{got:?}");
            got
        }));
    }
    for (name, line) in [
        // The client library gives the connection up on these: it comes back at once, and nobody
        // but the sender's own account can tell.
        ("headers-that-are-none-nats", &b"no colon here\r\n"[..]),
        ("headers-not-utf8-nats", &b"X-User-ID: \xff\xfe\r\n"[..]),
        ("headers-bad-name-nats", &b"X User: a\r\n"[..]),
    ] {
        rows.push(Row::new(name, &["silence", "malformed", "success"], move |world| {
            let mut wire = world.wire(Who::Reader);
            for _ in 0..5 {
                wire.publish(FLAKES, Some("_INBOX.acme-reader.1"), line, b"{}");
            }
            wire.say(b"PING\r\n");
            let got = wire.reply(Duration::from_millis(500));
            // Nobody else has noticed.
            let other = world.ask(Who::Victim, FLAKES, "", "{}");
            assert_eq!(other.kind, "success", "{other:?}");
            assert_eq!(world.get(Who::Nobody, "/health/ready").kind, "200", "it is not ready");
            let end = std::time::Instant::now() + Duration::from_secs(10);
            while world.ask(Who::Reader, FLAKES, "", "{}").kind != "success" {
                assert!(std::time::Instant::now() < end, "it does not come back");
            }
            got
        }));
    }
    rows
}

/// Who sends such headers hurts whoever shares the account, as docs/security.md has it.
const HURT_ALL: [&str; 3] =
    ["headers-that-are-none-nats", "headers-not-utf8-nats", "headers-bad-name-nats"];

#[test]
fn messages_that_nobody_honest_sends_where_tenants_share_an_account() {
    let Some(world) = World::between(Walls::Subjects, "", "") else { return };
    let rows = rows().into_iter().filter(|row| !HURT_ALL.contains(&row.name));
    super::attack(&world, rows.collect());
}

#[test]
fn messages_that_nobody_honest_sends() {
    let Some(world) = World::new("") else { return };
    super::attack(&world, rows());
}
