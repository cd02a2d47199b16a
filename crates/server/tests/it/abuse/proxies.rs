//! Proxies between: whom their headers speak for, where they are trusted.

use super::Row;
use super::world::{Got, Who, World};

/// Guesses a token, by a proxy that says whom it speaks for.
fn guess(world: &World, n: usize, header: &str) -> Got {
    let text = format!(
        "GET /v1/acme/flakes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\n\
         Authorization: Bearer cimnix_guess{n}\r\n\r\n"
    );
    world.bytes(text.as_bytes())
}

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new("forwarded-for-one", &["401"], |world| {
            for n in 0..20 {
                guess(world, n, "X-Forwarded-For: 198.51.100.7");
            }
            let refused = guess(world, 20, "X-Forwarded-For: 198.51.100.7");
            assert_eq!(refused.kind, "429", "{refused:?}");
            // Somebody else comes by the same proxy.
            let got = guess(world, 21, "X-Forwarded-For: 198.51.100.8");
            let page = world.get(Who::Operator, "/").text;
            assert!(page.contains("198.51.100.8"), "the audit has the proxy: {page}");
            got
        }),
        Row::new("forwarded-for-invented", &["429"], |world| {
            // What the client wrote itself stands before what the proxy adds.
            let mut last = Got::new("", "");
            for n in 0..25 {
                let header = format!("X-Forwarded-For: 192.0.2.{n}, 198.51.100.9");
                last = guess(world, n, &header);
            }
            let page = world.get(Who::Operator, "/").text;
            assert!(!page.contains("192.0.2."), "the audit believes the client");
            last
        }),
        Row::new("forwarded-by-the-other-header", &["429"], |world| {
            let mut last = Got::new("", "");
            for n in 0..25 {
                last = guess(world, n, &format!("Forwarded: for=192.0.2.{n}"));
            }
            last
        }),
    ]
}

#[test]
fn proxies_are_believed_as_far_as_they_are_trusted() {
    let more = "bad-tokens-per-minute = 10\ntrusted-proxies = [\"127.0.0.0/8\"]";
    let Some(world) = World::with(more, "") else { return };
    super::attack(&world, rows());
}
