//! What instances know of aggregates changes nothing of what comes of commands: two of them over one
//! store, with commands that come again and go to either, say what one says that knows nothing.

use super::*;

/// A service over a store, which knows nothing yet.
fn service(store: &MemoryStore) -> Arc<Service> {
    let parts = TenantParts {
        name: "acme".to_owned(),
        store: Arc::new(store.clone()),
        moves_along: false,
        outside: Arc::new(Script::default()),
        keeps: Keeps::Catalogue,
        limits: Limits::default(),
        storage: Box::new(|| None),
    };
    let tenant = Tenant::new(parts).expect("a good name");
    let settings =
        ServiceSettings { command_threads: 1, effect_threads: 1, ..ServiceSettings::default() };
    Service::new([tenant], &settings).expect("threads")
}

fn call(service: &Arc<Service>, (what, body, expected): &(&str, Value, Option<u64>)) -> Reply {
    let tenant = service.tenant("acme").expect("it is there").clone();
    let message = read(what, &body.to_string()).expect("a good message");
    let mut request = Request::new(tenant, caller(Role::Operator), message);
    request.expected = *expected;
    service.call(request)
}

/// Some command about one of three flakes.
fn new_command(random: &mut fastrand::Rng, id: u32) -> (&'static str, Value, Option<u64>) {
    // At first they are made.
    let nth = if id < 3 { id } else { random.u32(0..3) };
    let path = format!("/srv/{nth}");
    let name = ["a", "b", "c"][random.usize(0..3)];
    let (what, mut body) = match random.u8(0..8) {
        _ if id < 3 => ("CreateFlake", json!({ "description": "machines" })),
        0 => ("CreateFlake", json!({ "description": "machines" })),
        1..4 => ("AddFlakeInput", json!({ "name": name, "url": "github:o/r" })),
        4..6 => ("RemoveFlakeInput", json!({ "name": name })),
        _ => {
            let edit = json!({ "set_description": { "description": name } });
            ("UpdateFlake", json!({ "edit": edit }))
        }
    };
    body["path"] = json!(path);
    body["identity"] = identity(id);
    let expected = (random.u8(0..8) == 0).then(|| random.u64(0..8));
    (what, body, expected)
}

#[test]
fn what_is_known_changes_nothing() {
    let (mut n_repeated, mut n_refused) = (0, 0);
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (store, reference) = (MemoryStore::new(), MemoryStore::new());
        let instances = [service(&store), service(&store)];
        let mut sent: Vec<(&str, Value, Option<u64>)> = Vec::new();
        let mut done = BTreeMap::new();
        for id in 0..40 {
            let command = match random.u8(0..5) {
                // As it was, or another one with its id.
                0 if !sent.is_empty() => sent[random.usize(..sent.len())].clone(),
                1 if !sent.is_empty() && random.bool() => {
                    let mut other = new_command(&mut random, id);
                    let former = &sent[random.usize(..sent.len())];
                    other.1["identity"] = former.1["identity"].clone();
                    other
                }
                _ => new_command(&mut random, id),
            };
            let reply = call(&instances[random.usize(0..2)], &command);
            let wanted = call(&service(&reference), &command);
            assert_eq!(reply.to_json(), wanted.to_json(), "seed {seed}: {command:?}");
            let mut said = command.1.clone();
            let id = said["identity"].take().to_string();
            let former = done.get(&id);
            match &reply {
                Reply::Accepted(accepted) => {
                    assert_eq!(former.is_some(), accepted.is_repeated, "seed {seed}: {command:?}");
                    n_repeated += u32::from(accepted.is_repeated);
                    if let Some(former) = former {
                        assert_eq!(*former, (command.0, said, accepted.events.clone()));
                    } else if !accepted.events.is_empty() {
                        done.insert(id, (command.0, said, accepted.events.clone()));
                    }
                }
                _ => {
                    n_refused += 1;
                    if let Some((what, former, _)) = former {
                        assert!((*what, former) != (command.0, &said), "seed {seed}: {command:?}");
                        assert_eq!(cause(&reply), Cause::Conflict, "seed {seed}: {command:?}");
                    }
                }
            }
            sent.push(command);
        }
        assert_eq!(store.head().expect("memory"), reference.head().expect("memory"));
    }
    assert!(n_repeated > 100 && n_refused > 100, "{n_repeated} {n_refused}");
}
