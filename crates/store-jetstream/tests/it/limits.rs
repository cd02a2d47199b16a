//! Servers that are missing, full, or refuse; and threads of other runtimes.

use std::time::Duration;

use cim_domain_nix::{EventStore, StoreError};
use cim_nix_store_jetstream::Options;
use expect_test::expect;

use crate::samples::{
    all, append, event, open_as, open_at, options, place, place_with, stream, told,
};
use crate::server;

fn hasty() -> Options {
    Options { patience: Duration::from_millis(600), ..options() }
}

#[test]
fn a_server_that_is_missing_is_told() {
    let url = format!("nats://127.0.0.1:{}", server::free_port());
    let error = open_at(url, hasty()).map(drop).unwrap_err();
    let told = told(&error);
    assert!(told.starts_with("cannot connect to NATS: "), "{told}");
    assert!(told.ends_with(
        "\n  hint: see whether the server runs, and whether its address and the credentials are right"
    ));
}

/// Appends until there is no room; what was acknowledged stays, and there is room again later.
fn fill(store: &impl EventStore) -> (u128, StoreError) {
    for n in 1..10_000 {
        let mut request = append(n % 7, [n]);
        request.events[0].body = format!("\"{}\"", "x".repeat(2_000));
        if let Err(error) = store.append(request) {
            return (n - 1, error);
        }
    }
    panic!("it is never full");
}

#[test]
fn a_full_stream_loses_nothing() {
    let Some(place) = place() else { return };
    let small = Options { max_bytes: Some(100_000), ..options() };
    let store = place.open_with(small.clone()).unwrap();
    let (n_stored, error) = fill(&store);
    expect![[r#"
        JetStream has no room for the stream `cim-nix_acme`: maximum bytes exceeded (code 503, error code 10077)
          hint: what was stored is safe, and this was not stored; raise the stream's limit (`max_bytes`)"#]]
    .assert_eq(&told(&error));
    assert_eq!(all(&store), (1..=n_stored).collect::<Vec<_>>());
    assert_eq!(all(&place.open_with(small).unwrap()).len() as u128, n_stored);
}

#[test]
fn a_full_server_loses_nothing() {
    let Some(place) = place_with("max_file: 300KB", "") else { return };
    let store = place.open_with(hasty()).unwrap();
    let (n_stored, error) = fill(&store);
    assert!(
        error.to_string().starts_with("JetStream has no room for the stream `cim-nix_acme`: "),
        "{error}"
    );
    assert_eq!(all(&store), (1..=n_stored).collect::<Vec<_>>());
}

#[test]
fn a_server_without_jetstream_is_told() {
    let Some(place) = place_with("", "accounts { A { users: [{user: a, password: x}] } }") else {
        return;
    };
    let error = open_as("a", place.server.url(), hasty()).map(drop).unwrap_err();
    expect![[r#"
        JetStream is not enabled for this account
          hint: add `jetstream` to the server's configuration and to the account"#]]
    .assert_eq(&told(&error));
}

/// A user who may read and not write.
#[test]
fn a_user_who_may_not_publish_is_told() {
    let users = r#"
        authorization { users: [
            { user: all, password: x }
            { user: reader, password: x, permissions: { publish: { deny: "cim.nix.v1.>" } } }
        ] }"#;
    let Some(place) = place_with("", users) else { return };
    let writer = open_as("all", place.server.url(), options()).unwrap();
    writer.append(append(1, [1])).unwrap();
    let reader = open_as("reader", place.server.url(), hasty()).unwrap();
    assert_eq!(all(&reader), [1]);
    let error = reader.append(append(1, [2])).unwrap_err();
    let told = told(&error);
    assert!(told.starts_with("JetStream does not say whether events were stored"), "{told}");
    assert!(told.contains("whether this user may publish"), "{told}");
    assert_eq!(all(&writer), [1]);
}

#[test]
fn names_of_tenants_are_looked_at() {
    let Some(place) = place() else { return };
    for tenant in ["", "a.b", ">", "a\r\nPUB x"] {
        let error = place.open_with(Options { tenant: tenant.into(), ..options() });
        let error = error.map(drop).unwrap_err();
        assert!(error.to_string().contains("cannot be a tenant's name"), "{error}");
    }
}

/// Nothing of one tenant is seen by another.
#[test]
fn tenants_are_apart() {
    let Some(place) = place() else { return };
    let of =
        |tenant: &str| place.open_with(Options { tenant: tenant.into(), ..options() }).unwrap();
    let (one, two) = (of("one"), of("two"));
    one.append(append(1, [1, 2])).unwrap();
    two.append(append(1, [1])).unwrap();
    assert_eq!((all(&one), all(&two)), (vec![1, 2], vec![1]));
    one.published(&[1, 2]).unwrap();
    assert_eq!(two.outgoing(9).unwrap().len(), 1);
}

/// Blocking calls from inside a runtime, even one with a single thread, neither panic nor hang, and
/// the last handle may go there.
#[test]
fn it_works_on_threads_of_other_runtimes() {
    let Some(place) = place() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = place.open();
        for n in 1..=20 {
            store.append(append(n % 3, [n])).unwrap();
        }
        assert_eq!(all(&store).len(), 20);
        drop(store);
    });
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let store = place.open();
        // More callers than threads.
        let callers: Vec<_> = (0..16_u128)
            .map(|caller| {
                let store = store.clone();
                tokio::spawn(async move {
                    for n in 1..=5 {
                        store.append(append(caller, [1_000 * (caller + 1) + n])).unwrap();
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await.unwrap();
        }
        assert_eq!(all(&store).len(), 100);
    });
}

/// Many under way at once, on the caller's runtime.
#[test]
fn appends_need_not_wait_for_each_other() {
    use futures_util::StreamExt as _;
    let Some(place) = place() else { return };
    let store = place.open();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut positions: Vec<u64> = runtime.block_on(async {
        futures_util::stream::iter(1..=1_000_u128)
            .map(|n| store.append_async(append(n % 40, [n])))
            .buffer_unordered(256)
            .map(|appended| appended.unwrap().position)
            .collect()
            .await
    });
    positions.sort_unstable();
    assert_eq!(positions, (1..=1_000).collect::<Vec<_>>());
    assert_eq!(all(&place.open()).len(), 1_000);
    assert_eq!(store.version(&stream(0)).unwrap(), 25);
    // Nothing of others stood in between, and nothing was sent in vain.
    assert_eq!(store.status().unwrap().last_message, 1_000);
}

/// Who does not wait any more leaves the turn at a stream to the next, at whatever point.
#[test]
fn appends_that_are_dropped_keep_nobody_waiting() {
    use futures_util::FutureExt as _;
    let Some(place) = place() else { return };
    let store = place.open();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (n_early, n_kept, waited) = runtime.block_on(async {
        let mut begun = Vec::new();
        // On a busy machine the server may have answered one before this thread looks.
        let mut n_early = 0;
        for n in 1..=60_u128 {
            let mut one = Box::pin(store.append_async(append(1, [n])));
            match (&mut one).now_or_never() {
                None => begun.push(one),
                Some(appended) => n_early = appended.unwrap().version,
            }
        }
        // The first, which has the turn, is among those that go.
        let mut n = 0;
        begun.retain(|_| {
            n += 1;
            n % 3 != 1
        });
        let n_kept = begun.len();
        let all = futures_util::future::join_all(begun);
        (n_early, n_kept, tokio::time::timeout(Duration::from_secs(20), all).await)
    });
    let mut versions: Vec<u64> =
        waited.unwrap().into_iter().map(|appended| appended.unwrap().version).collect();
    versions.dedup();
    assert!(n_kept >= 30, "{n_early} were answered at once");
    assert_eq!(versions.len(), n_kept);
    // Of those that went, the first one's message may have been on its way.
    let n_stored = all(&place.open()).len();
    let n_known = n_kept + usize::try_from(n_early).unwrap();
    assert!(n_stored == n_known || n_stored == n_known + 1, "{n_stored} of {n_known}");
}

/// An append beyond what the server takes in one message.
#[test]
fn long_appends_stand_in_parts() {
    let Some(place) = place_with("", "max_payload: 20KB") else { return };
    let store = place.open();
    let mut request = append(1, 1..=300);
    request.events[7] = event(8);
    request.events[7].body = format!("\"{}\"", "é".repeat(50_000));
    let appended = store.append(request.clone()).unwrap();
    assert_eq!((appended.version, appended.position), (300, 300));
    store.append(append(1, [400])).unwrap();
    let other = place.open();
    assert_eq!(all(&other).len(), 301);
    assert!(other.append(request.clone()).unwrap().is_repeated);
    let mut body = String::new();
    let read = other.read_stream(&stream(1), 7, &mut |event| {
        event.body.clone_into(&mut body);
        Ok(std::ops::ControlFlow::Break(()))
    });
    read.unwrap();
    assert_eq!(body, request.events[7].body);
}
