//! Threads for builds and evaluations are shared by tenants: whoever has much to do has some of them,
//! and not those of the others.

use std::sync::mpsc::{Receiver, channel};

use super::*;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

/// A service with two tenants, each of which may ask for much at once.
fn busy(effect_threads: usize) -> Kit {
    let limits = Limits { effects_at_once: 64, ..Limits::default() };
    let settings = ServiceSettings { effect_threads, ..ServiceSettings::default() };
    let kit = kit_with(limits, &settings);
    kit.script.is_held.store(true, Ordering::SeqCst);
    kit
}

/// Has expressions evaluated that are called by their tenant and a number; answers who begins.
fn evaluate(kit: &Kit, names: impl IntoIterator<Item = (&'static str, u32)>) -> Receiver<String> {
    let (begin, begun) = channel();
    for (tenant, n) in names {
        let name = format!("{tenant} {n}");
        let body = json!({ "expression": "1", "identity": identity(n) });
        let message = read("EvaluateExpression", &body.to_string()).expect("good");
        let tenant = kit.service.tenant(tenant).expect("it is there").clone();
        let mut request = Request::new(tenant, caller(Role::Operator), message);
        let begin = begin.clone();
        request.progress = Some(Arc::new(move |_| {
            // Whoever looks at the first ones does not wait for the last ones.
            let _ = begin.send(name.clone());
        }));
        kit.service.submit(request, |_| {});
    }
    begun
}

fn next(begun: &Receiver<String>) -> String {
    begun.recv_timeout(LONG).expect("one begins")
}

#[test]
fn a_tenant_that_asks_for_all_threads_leaves_one_to_the_others() {
    let kit = busy(4);
    let acme = evaluate(&kit, (0..40).map(|n| ("acme", n)));
    for _ in 0..3 {
        next(&acme);
    }
    // None of these ends before the other one begins.
    let other = evaluate(&kit, [("other", 100)]);
    assert_eq!(next(&other), "other 100");
    assert_eq!(kit.script.runs.load(Ordering::SeqCst), 4);
    kit.script.is_held.store(false, Ordering::SeqCst);
    kit.service.drain();
    assert_eq!(kit.script.runs.load(Ordering::SeqCst), 41);
}

#[test]
fn tenants_that_wait_for_a_thread_have_it_in_turn() {
    let kit = busy(1);
    assert_eq!(next(&evaluate(&kit, [("acme", 0)])), "acme 0");
    let names = (1..20).map(|n| ("acme", n)).chain([("other", 100), ("other", 101)]);
    let begun = evaluate(&kit, names);
    kit.script.is_held.store(false, Ordering::SeqCst);
    let order: Vec<String> = (0..5).map(|_| next(&begun)).collect();
    assert_eq!(order, ["acme 1", "other 100", "acme 2", "other 101", "acme 3"]);
    kit.service.drain();
}

#[test]
fn a_tenant_that_is_alone_has_all_threads() {
    let script = Script::default();
    script.is_held.store(true, Ordering::SeqCst);
    let tenant = Tenant::new(TenantParts {
        name: "acme".to_owned(),
        store: Arc::new(MemoryStore::new()),
        moves_along: false,
        outside: Arc::new(script.clone()),
        keeps: Keeps::Catalogue,
        limits: Limits::default(),
        storage: Box::new(|| None),
    });
    let settings = ServiceSettings { effect_threads: 2, ..ServiceSettings::default() };
    let service = Service::new([tenant.expect("a good name")], &settings).expect("threads");
    let kit = Kit { service, store: MemoryStore::new(), script };
    let begun = evaluate(&kit, [("acme", 0), ("acme", 1)]);
    let mut both = [next(&begun), next(&begun)];
    both.sort_unstable();
    assert_eq!(both, ["acme 0", "acme 1"]);
    kit.script.is_held.store(false, Ordering::SeqCst);
    kit.service.drain();
}
