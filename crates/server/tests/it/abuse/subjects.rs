//! Subjects, inboxes, streams and replies on NATS that are not the sender's.

use std::time::Duration;

use super::Row;
use super::world::{Got, VICTIM, Walls, Who, World};

/// Tries to publish.
fn publish(world: &World, who: Who, subject: &str) -> Got {
    let mut wire = world.wire(who);
    wire.publish(subject, None, b"", b"{}");
    wire.say(b"PING\r\n");
    wire.hear_until("PONG", Duration::from_secs(5));
    wire.reply(Duration::from_millis(300))
}

/// Tries to subscribe.
fn subscribe(world: &World, who: Who, subject: &str) -> Got {
    let mut wire = world.wire(who);
    let subject = &wire.subject(subject);
    wire.say(format!("SUB {subject} 9\r\nPING\r\n").as_bytes());
    wire.hear_until("PONG", Duration::from_secs(5));
    let got = wire.reply(Duration::from_millis(100));
    // What the other tenant does meanwhile is not heard either.
    let other = world.ask(Who::Victim, "nix.query.flake.list", "", "{}");
    assert_eq!(other.kind, "success", "{other:?}");
    let heard = wire.hear_until("\0never", Duration::from_millis(200));
    assert!(!heard.contains("MSG "), "{subject}: {heard}");
    got
}

/// Asks for a reply somewhere else than in an inbox.
fn reply_to(world: &World, who: Who, reply: &str) -> Got {
    let mut wire = world.wire(who);
    let mut listening = world.wire(Who::Reader);
    let (events, progress) =
        (listening.subject("nix.event.>"), listening.subject("nix.progress.*"));
    listening.say(format!("SUB {events} 7\r\nSUB {progress} 8\r\nPING\r\n").as_bytes());
    listening.hear_until("PONG", Duration::from_secs(5));
    let body = r#"{"path":"fleet","description":"x"}"#;
    let (subject, body) = match who {
        Who::Operator => ("nix.cmd.flake.create", body),
        _ => ("nix.query.flake.list", "{}"),
    };
    wire.publish(subject, Some(reply), b"", body.as_bytes());
    wire.publish("health.nix", Some(reply), b"", b"");
    wire.publish("$SRV.INFO", Some(reply), b"", b"");
    wire.say(b"PING\r\n");
    let got = wire.reply(Duration::from_millis(500));
    let heard = listening.hear_until("MSG ", Duration::from_millis(200));
    assert!(!heard.contains("MSG "), "the service was made to say {heard}");
    got
}

pub(super) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let publishing: [(&'static str, Who, String); 15] = [
        ("publish-event", Who::Operator, "nix.event.flake.created".to_owned()),
        ("publish-event-as-reader", Who::Reader, "nix.event.package.built".to_owned()),
        ("publish-progress", Who::Operator, "nix.progress.0198f7a2".to_owned()),
        ("publish-command-as-reader", Who::Reader, "nix.cmd.flake.update".to_owned()),
        ("publish-to-other-tenant", Who::Operator, format!("{VICTIM}.nix.cmd.flake.update")),
        ("publish-store", Who::Operator, "cim.nix.v1.acme.flake.x".to_owned()),
        ("publish-inbox-of-service", Who::Operator, "_INBOX.acme-service.x.1".to_owned()),
        ("publish-inbox-of-another", Who::Reader, "_INBOX.acme-operator.x.1".to_owned()),
        ("jetstream-delete", Who::Operator, "$JS.API.STREAM.DELETE.NIX_EVENTS".to_owned()),
        ("jetstream-purge", Who::Reader, "$JS.API.STREAM.PURGE.NIX_EVENTS".to_owned()),
        ("jetstream-consumer", Who::Reader, "$JS.API.CONSUMER.CREATE.NIX_EVENTS".to_owned()),
        ("jetstream-update", Who::Operator, "$JS.API.STREAM.UPDATE.NIX_EVENTS".to_owned()),
        ("key-value", Who::Operator, "$KV.x.y".to_owned()),
        ("system", Who::Operator, "$SYS.REQ.SERVER.PING".to_owned()),
        ("foreign-events", Who::Operator, "git.event.pushed".to_owned()),
    ];
    for (name, who, subject) in publishing {
        rows.push(Row::new(name, &["denied"], move |world| publish(world, who, &subject)));
    }
    for (name, who, subject) in [
        ("hear-all", Who::Operator, ">"),
        ("hear-inboxes", Who::Reader, "_INBOX.>"),
        ("hear-inbox-of-another", Who::Reader, "_INBOX.acme-operator.>"),
        ("hear-commands", Who::Reader, "nix.cmd.>"),
        ("hear-commands-in-the-queue", Who::Operator, "nix.cmd.> cim-nix"),
        ("hear-queries", Who::Operator, "nix.query.>"),
        ("hear-store", Who::Operator, "cim.nix.v1.>"),
        ("hear-jetstream", Who::Operator, "$JS.>"),
        ("hear-system", Who::Reader, "$SYS.>"),
        ("hear-services", Who::Reader, "$SRV.>"),
    ] {
        rows.push(Row::new(name, &["denied"], move |world| subscribe(world, who, subject)));
    }
    for (name, who, reply) in [
        ("reply-to-a-command", Who::Reader, "nix.cmd.flake.create"),
        ("reply-to-an-event", Who::Operator, "nix.event.flake.created"),
        ("reply-to-jetstream", Who::Operator, "$JS.API.STREAM.DELETE.NIX_EVENTS"),
        ("reply-to-system", Who::Operator, "$SYS.REQ.SERVER.PING"),
        ("reply-to-the-store", Who::Operator, "cim.nix.v1.acme.flake.x"),
        ("reply-to-all", Who::Operator, ">"),
        ("reply-to-a-prefix", Who::Operator, "_INBOXES.x"),
    ] {
        rows.push(Row::new(name, &["silence", "denied"], move |world| reply_to(world, who, reply)));
    }
    rows.push(Row::new(
        "wildcard-command",
        &["denied", "closed", "nobody", "not_found"],
        |world| world.ask(Who::Operator, "nix.cmd.*.create", "", "{}"),
    ));
    rows.push(Row::new("unknown-command-nats", &["not_found"], |world| {
        world.ask(Who::Operator, "nix.cmd.flake.melt", "", "{}")
    }));
    rows
}

#[test]
fn subjects_are_kept_apart_in_one_account_too() {
    let Some(world) = World::between(Walls::Subjects, "", "") else { return };
    super::attack(&world, rows());
}

#[test]
fn subjects_are_kept_apart() {
    let Some(world) = World::new("") else { return };
    super::attack(&world, rows());
    let streams = world.nats.log();
    assert!(!streams.contains("purged"), "{streams}");
}
