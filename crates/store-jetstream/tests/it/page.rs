//! What the page about the store shows is what the server has.

use cim_domain_nix::EventStore;
use cim_nix_store_jetstream::async_nats::{self, jetstream};

use crate::samples::{append, options, place, stream};

const PAGE: &str = include_str!("../../../../docs/jetstream.md");

#[test]
fn messages_are_as_the_page_has_them() {
    let Some(place) = place() else { return };
    let store = place.open();
    store.append(append(1, [1])).unwrap();
    store.published(&[1]).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let message = runtime.block_on(async {
        let client = async_nats::connect(place.server.url()).await.unwrap();
        let context = jetstream::new(client);
        let bucket = context.get_key_value("cim-nix_acme").await.unwrap();
        assert!(bucket.get("published").await.unwrap().is_some());
        let stream = context.get_stream("cim-nix_acme").await.unwrap();
        stream.get_raw_message(1).await.unwrap()
    });
    assert_eq!(message.subject.as_str(), format!("cim.nix.v1.acme.flake.{}", stream(1).id));
    let payload = std::str::from_utf8(&message.payload).unwrap();
    assert!(PAGE.contains(payload), "{payload}");
    let header = message.headers.get("Cim-Append").unwrap().as_str();
    let (start, rest) = header.split_at("1 1 1 whole ".len());
    assert!(PAGE.contains(&format!("Cim-Append: {start}SUM ATTEMPT")), "{header}");
    assert_eq!(rest.len(), "0123456789abcdef 0123456789abcdef".len());
    let id = message.headers.get("Nats-Msg-Id").unwrap().as_str();
    assert!(payload.contains(&format!("[{{\"id\":\"{id}\"")), "{id}");
    assert!(message.headers.get("Nats-Expected-Last-Subject-Sequence").is_some());
}

/// Each option has its line.
#[test]
fn options_are_on_the_page() {
    let options = format!("{:?}", options());
    let fields = options.trim_start_matches("Options {").split(", ");
    let names: Vec<&str> =
        fields.filter_map(|field| field.trim().split_once(": ")).map(|(name, _)| name).collect();
    assert!(names.len() >= 14, "{names:?}");
    for name in names.into_iter().filter(|name| *name != "in_memory") {
        assert!(PAGE.contains(&format!("`{name}`")), "`{name}` is missing");
    }
}
