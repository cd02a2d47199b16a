//! The service over a store in memory, with tools that do as they are told.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cim_domain_nix::headers::Headers;
use cim_domain_nix::{Command, EventStore as _, Evidence, MemoryStore, State, Timestamp, Uuid};
use cim_nix_app::{
    Code, LockWish, Locks, NewLock, Outside, Programs, Repository, Run, Sources, Templates, Tools,
    Work, Workspace, World,
};
use cim_nix_base::{ChangeSet, Error};
use serde_json::{Value, json};

mod known;

use crate::{
    BreakerSettings, BreakerState, Caller, Cause, Keeps, Limits, Message, Reply, Request, Role,
    Service, ServiceSettings, Size, Tenant, TenantParts,
};

mod announcing;
mod turns;

/// What evaluations do: they wait until they may go on, and fail as often as they are told.
#[derive(Clone, Default)]
struct Script {
    failures: Arc<AtomicU32>,
    runs: Arc<AtomicU32>,
    is_held: Arc<AtomicBool>,
}

struct Scripted {
    script: Script,
    run: Run,
}

impl Outside for Script {
    fn files(&self) -> Result<Box<dyn Workspace + '_>, Error> {
        Err(Error::outside("there are no files here"))
    }

    fn world(&self, actor: &str) -> Box<dyn World + '_> {
        Box::new(Clock(actor.to_owned()))
    }

    fn tools(&self, run: Run) -> Box<dyn Tools + '_> {
        Box::new(Scripted { script: self.clone(), run })
    }
}

struct Clock(String);

impl World for Clock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_795_530_059_000_000)
    }

    fn new_id(&self) -> Uuid {
        self.now().new_id()
    }

    fn origin(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("actor".to_owned(), self.0.clone())])
    }

    fn process(&self) -> String {
        "here".to_owned()
    }

    fn is_running(&self, _: &str) -> bool {
        false
    }
}

impl Locks for Scripted {
    fn lock(&self, _: &Path, _: &str, _: Option<&str>, _: &LockWish) -> Result<NewLock, Error> {
        Ok(NewLock::default())
    }
}

impl Sources for Scripted {
    fn nix_files(&self) -> Result<Vec<PathBuf>, Error> {
        Ok(Vec::new())
    }
}

impl Templates for Scripted {
    fn files(&self, _: &Path, _: Option<&str>, _: &str) -> Result<ChangeSet, Error> {
        Ok(ChangeSet::default())
    }
}

impl Repository for Scripted {
    fn announce(&self, _: &[PathBuf]) -> Result<(), Error> {
        Ok(())
    }
}

impl Code for Scripted {
    fn work(&self, _: &Command) -> Result<Work, Error> {
        Err(Error::user("nothing is known of code here"))
    }
}

impl Programs for Scripted {
    fn before(&self, _: &Command, _: &State) -> Result<Value, Error> {
        Ok(Value::Null)
    }

    fn plan(&self, _: &Command, _: &State, _: &Value) -> Result<Vec<String>, Error> {
        Ok(vec!["nix eval".to_owned()])
    }

    fn run(&self, _: &Command, _: &State, _: &Value) -> Result<Evidence, Error> {
        self.script.runs.fetch_add(1, Ordering::SeqCst);
        (self.run.progress)(r#"{"say":"evaluating"}"#);
        while self.script.is_held.load(Ordering::SeqCst) {
            if self.run.cancelled.load(Ordering::SeqCst) {
                return Err(Error::outside("it was cancelled"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let less = |n: u32| n.checked_sub(1);
        match self.script.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less) {
            Ok(_) => Err(Error::outside("the worker is gone")),
            Err(_) => Ok(Evidence::Evaluated { result: "2".to_owned(), is_error: false }),
        }
    }

    fn settle(&self, _: &Command, _: &Value) -> Result<Option<Evidence>, Error> {
        Ok(None)
    }

    fn generation(&self, _: &str) -> Result<Option<u32>, Error> {
        Ok(None)
    }
}

struct Kit {
    service: Arc<Service>,
    store: MemoryStore,
    script: Script,
}

fn kit_with(limits: Limits, settings: &ServiceSettings) -> Kit {
    let (store, script) = (MemoryStore::new(), Script::default());
    let tenant = |name: &str, store: MemoryStore| {
        Tenant::new(TenantParts {
            name: name.to_owned(),
            store: Arc::new(store),
            moves_along: false,
            outside: Arc::new(script.clone()),
            keeps: Keeps::Catalogue,
            limits: limits.clone(),
            storage: Box::new(|| None),
        })
        .expect("a good name")
    };
    let tenants = [tenant("acme", store.clone()), tenant("other", MemoryStore::new())];
    let service = Service::new(tenants, settings).expect("threads");
    Kit { service, store, script }
}

fn kit() -> Kit {
    let settings = ServiceSettings { command_threads: 4, ..ServiceSettings::default() };
    kit_with(Limits::default(), &settings)
}

fn caller(role: Role) -> Caller {
    Caller { name: "ann".into(), role, via: "test" }
}

fn read(message_type: &str, body: &str) -> Result<Message, crate::Refusal> {
    let mut new_id = Uuid::now_v7;
    Message::read(message_type, body.as_bytes(), &Headers::default(), Size::default(), &mut new_id)
}

impl Kit {
    fn request(&self, message_type: &str, body: Value) -> Request {
        let tenant = self.service.tenant("acme").expect("it is there").clone();
        let message = read(message_type, &body.to_string()).expect("a good message");
        Request::new(tenant, caller(Role::Operator), message)
    }

    fn call(&self, message_type: &str, body: Value) -> Reply {
        self.service.call(self.request(message_type, body))
    }

    fn n_events(&self) -> u64 {
        self.store.head().expect("memory")
    }
}

fn identity(n: u32) -> Value {
    let id = format!("0198f7a2-7c00-7000-8000-{n:012}");
    json!({ "message_id": id, "correlation_id": id, "causation_id": id })
}

fn create(n: u32, path: &str) -> Value {
    json!({ "path": path, "description": "machines", "identity": identity(n) })
}

fn cause(reply: &Reply) -> Cause {
    reply.refusal().expect("a refusal").cause
}

#[test]
fn a_command_is_run_and_its_reply_says_what_happened() {
    let kit = kit();
    let reply = kit.call("CreateFlake", create(1, "/srv/fleet"));
    let mut value: Value = serde_json::from_str(&reply.to_json()).expect("JSON");
    value["events"][0]["event"] = Value::Null;
    expect_test::expect![[r#"
        {
          "changed": true,
          "command_id": {
            "id": "0198f7a2-7c00-7000-8000-000000000001"
          },
          "correlation_id": "0198f7a2-7c00-7000-8000-000000000001",
          "events": [
            {
              "event": null,
              "event_id": "0198f7a2-7c00-7ae8-ab93-fcd9a6c23071",
              "event_type": "FlakeCreated",
              "stream": "flake-9f237cb5-5571-50ad-943d-58a02d147ef0",
              "subject": "nix.event.flake.created"
            }
          ],
          "message": "Command processed successfully",
          "position": 1,
          "reason": null,
          "repeated": false,
          "status": "success",
          "version": 1
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&value).expect("JSON"));
    let reply = kit.call("CreateFlake", create(2, "/srv/fleet"));
    expect_test::expect![[r#"{"code":"rejected","command_id":{"id":"0198f7a2-7c00-7000-8000-000000000002"},"correlation_id":"0198f7a2-7c00-7000-8000-000000000002","message":"the flake in `/srv/fleet` exists already","reason":"the flake in `/srv/fleet` exists already","status":"error"}"#]]
        .assert_eq(&reply.to_json());
    assert_eq!(kit.n_events(), 1);
}

#[test]
fn envelopes_are_answered_in_their_style() {
    let kit = kit();
    let body = json!({
        "id": { "id": "0198f7a2-7c00-7000-8000-000000000009" },
        "command": { "path": "/srv/a", "description": "" },
        "issued_by": "bob",
        "identity": { "message_id": { "Uuid": "0198f7a2-7c00-7000-8000-000000000009" },
            "correlation_id": { "Uuid": "0198f7a2-7c00-7000-8000-000000000003" },
            "causation_id": { "Uuid": "0198f7a2-7c00-7000-8000-000000000003" } },
    });
    let reply: Value =
        serde_json::from_str(&kit.call("CreateFlake", body).to_json()).expect("JSON");
    assert_eq!(reply["status"], "Accepted");
    assert_eq!(reply["command_id"]["id"], "0198f7a2-7c00-7000-8000-000000000009");
    assert_eq!(reply["correlation_id"], "0198f7a2-7c00-7000-8000-000000000003");
    let mut actor = String::new();
    kit.store
        .read_all(0, &mut |record| {
            actor = record.meta.to_owned();
            Ok(std::ops::ControlFlow::Continue(()))
        })
        .expect("memory");
    assert!(actor.contains(r#""actor":"bob (ann)""#), "{actor}");
}

#[test]
fn a_command_that_comes_again_is_not_run_again() {
    let kit = kit();
    let evaluate = || json!({ "expression": "1 + 1", "identity": identity(1) });
    let first = kit.call("EvaluateExpression", evaluate());
    let second = kit.call("EvaluateExpression", evaluate());
    let (Reply::Accepted(first), Reply::Accepted(second)) = (&first, &second) else {
        panic!("{first:?} {second:?}")
    };
    assert_eq!(first.events, second.events);
    assert_eq!((first.is_repeated, second.is_repeated), (false, true));
    assert_eq!((kit.script.runs.load(Ordering::SeqCst), kit.n_events()), (1, 1));
    // The same id for something else is no repetition.
    let other = json!({ "expression": "rm -rf", "identity": identity(1) });
    assert_eq!(cause(&kit.call("EvaluateExpression", other)), Cause::Conflict);
    assert_eq!(cause(&kit.call("CreateFlake", create(1, "/x"))), Cause::Conflict);
}

#[test]
fn a_command_that_comes_again_while_it_runs_gets_the_same_reply() {
    let kit = kit();
    kit.script.is_held.store(true, Ordering::SeqCst);
    let replies: Arc<Mutex<Vec<Reply>>> = Arc::default();
    for _ in 0..5 {
        let replies = replies.clone();
        let request = kit.request(
            "EvaluateExpression",
            json!({ "expression": "1 + 1", "identity": identity(1) }),
        );
        kit.service.submit(request, move |reply| replies.lock().unwrap().push(reply));
    }
    // Another command with its id is none of them.
    let other = json!({ "expression": "2", "identity": identity(1) });
    assert_eq!(cause(&kit.call("EvaluateExpression", other)), Cause::Conflict);
    kit.script.is_held.store(false, Ordering::SeqCst);
    kit.service.drain();
    let replies = replies.lock().unwrap();
    assert_eq!(replies.len(), 5);
    assert!(replies.iter().all(|reply| *reply == replies[0]));
    assert_eq!((kit.script.runs.load(Ordering::SeqCst), kit.n_events()), (1, 1));
}

#[test]
fn two_instances_run_a_command_once() {
    let one = kit();
    let (store, script) = (one.store.clone(), one.script.clone());
    let parts = TenantParts {
        name: "acme".to_owned(),
        store: Arc::new(store),
        moves_along: false,
        outside: Arc::new(script),
        keeps: Keeps::Catalogue,
        limits: Limits::default(),
        storage: Box::new(|| None),
    };
    let tenant = Tenant::new(parts).expect("a good name");
    let two = Service::new([tenant], &ServiceSettings::default()).expect("threads");
    let tenant = two.tenant("acme").expect("it is there").clone();
    one.call("CreateFlake", create(100, "/srv/f"));
    std::thread::scope(|scope| {
        for n in 0..50 {
            let body = json!({ "path": "/srv/f", "name": "x", "url": "github:a/b", "identity": identity(n) });
            let again = body.clone();
            let (tenant, two, one) = (tenant.clone(), &two, &one);
            let first = scope.spawn(move || one.call("AddFlakeInput", body));
            let second = scope.spawn(move || {
                let message = read("AddFlakeInput", &again.to_string()).expect("good");
                two.call(Request::new(tenant, caller(Role::Operator), message))
            });
            for reply in [first.join().unwrap(), second.join().unwrap()] {
                assert!(matches!(reply, Reply::Accepted(_)), "{reply:?}");
            }
            let remove = json!({ "path": "/srv/f", "name": "x", "identity": identity(1_000 + n) });
            assert!(matches!(one.call("RemoveFlakeInput", remove), Reply::Accepted(_)));
        }
    });
    // One for the flake, and one each for adding and removing.
    assert_eq!(one.n_events(), 101);
}

#[test]
fn who_may_only_ask_sends_no_commands() {
    let kit = kit();
    let mut request = kit.request("CreateFlake", create(1, "/srv/fleet"));
    request.caller = caller(Role::Reader);
    let reply = kit.service.call(request);
    assert_eq!(cause(&reply), Cause::Forbidden);
    let refused = kit.service.audit().last(10);
    assert_eq!((refused.len(), &*refused[0].caller, refused[0].cause), (1, "ann", "forbidden"));
    let mut request = kit.request("ListFlakes", json!({}));
    request.caller = caller(Role::Reader);
    assert!(matches!(kit.service.call(request), Reply::Answered(_)));
    assert_eq!(kit.n_events(), 0);
}

#[test]
fn queries_see_what_commands_did_and_nothing_of_others() {
    let kit = kit();
    kit.call("CreateFlake", create(1, "/srv/fleet"));
    let answer = |kit: &Kit, tenant: &str| {
        let mut request = kit.request("ListFlakes", json!({}));
        request.tenant = kit.service.tenant(tenant).expect("it is there").clone();
        kit.service.call(request).to_json()
    };
    assert!(answer(&kit, "acme").contains("/srv/fleet"));
    assert!(!answer(&kit, "other").contains("/srv/fleet"));
    kit.call("CreateFlake", create(2, "/srv/second"));
    assert!(answer(&kit, "acme").contains("/srv/second"), "an answer is not kept for too long");
    let reply = kit.call("GetFlake", json!({ "path": "/srv/fleet" }));
    let Reply::Answered(answered) = &reply else { panic!("{reply:?}") };
    assert_eq!(answered.version, Some(1));
    assert_eq!(cause(&kit.call("GetFlake", json!({ "path": "/srv/none" }))), Cause::NotFound);
}

#[test]
fn a_version_that_is_asked_for_has_to_be_there() {
    let kit = kit();
    kit.call("CreateFlake", create(1, "/srv/f"));
    let mut add = kit.request(
        "AddFlakeInput",
        json!({ "path": "/srv/f", "name": "x", "url": "github:a/b", "identity": identity(2) }),
    );
    add.expected = Some(7);
    assert_eq!(cause(&kit.service.call(add)), Cause::Conflict);
    assert_eq!(kit.n_events(), 1);
}

#[test]
fn a_dry_run_changes_nothing() {
    let kit = kit();
    let mut request = kit.request("CreateFlake", create(1, "/srv/f"));
    request.is_dry_run = true;
    let Reply::Accepted(accepted) = kit.service.call(request) else { panic!("refused") };
    assert_eq!((accepted.events.len(), accepted.position, kit.n_events()), (1, None, 0));
}

#[test]
fn folders_of_a_catalogue_lead_nowhere() {
    let kit = kit();
    for path in ["", "srv", "../../etc", "/srv/../etc", "/srv/./a", "/srv//a", "/srv/\n", "~/x"] {
        let reply = kit.call("CreateFlake", create(1, path));
        assert_eq!(cause(&reply), Cause::Rejected, "{path}");
    }
    assert_eq!(kit.n_events(), 0);
}

#[test]
fn who_is_slower_decides_upon_what_is_there_then() {
    let kit = kit();
    kit.call("CreateFlake", create(1_000, "/srv/f"));
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let kit = &kit;
            scope.spawn(move || {
                for n in 0..20 {
                    let edit = json!({ "set_description": { "description": format!("{writer}-{n}") } });
                    let body = json!({ "path": "/srv/f", "edit": edit, "identity": identity(writer * 100 + n) });
                    while cause_of(&kit.call("UpdateFlake", body.clone())) == Some(Cause::Conflict) {}
                }
            });
        }
    });
    // Nothing was observed: all that happened, happened here.
    assert_eq!(kit.n_events(), 161);
}

fn cause_of(reply: &Reply) -> Option<Cause> {
    reply.refusal().map(|refusal| refusal.cause)
}

#[test]
fn breakers_open_and_close_again() {
    let breakers = BreakerSettings {
        failures: 3,
        pause_seconds: 0.5,
        longest_pause_seconds: 0.5,
        ..BreakerSettings::default()
    };
    let settings = ServiceSettings { breakers, ..ServiceSettings::default() };
    let kit = kit_with(Limits::default(), &settings);
    kit.script.failures.store(3, Ordering::SeqCst);
    let evaluate =
        |n| kit.call("EvaluateExpression", json!({ "expression": "1", "identity": identity(n) }));
    for n in 0..3 {
        assert_eq!(cause(&evaluate(n)), Cause::Outside);
    }
    let runs = kit.script.runs.load(Ordering::SeqCst);
    let reply = evaluate(3);
    assert!(reply.to_json().contains("left alone"), "{}", reply.to_json());
    assert_eq!(kit.script.runs.load(Ordering::SeqCst), runs, "nobody was asked");
    let state = |kit: &Kit| {
        let health = kit.service.health();
        health.breakers.iter().find(|it| it.name == "evaluation").map(|it| it.state)
    };
    assert_eq!(state(&kit), Some(BreakerState::Open));
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(state(&kit), Some(BreakerState::HalfOpen));
    assert!(matches!(evaluate(4), Reply::Accepted(_)));
    assert_eq!(state(&kit), Some(BreakerState::Closed));
}

#[test]
fn what_fails_for_one_tenant_stops_no_other() {
    let breakers = BreakerSettings { failures: 2, ..BreakerSettings::default() };
    let settings = ServiceSettings { breakers, ..ServiceSettings::default() };
    let kit = kit_with(Limits::default(), &settings);
    kit.script.failures.store(2, Ordering::SeqCst);
    let evaluate = |tenant: &str, n| {
        let body = json!({ "expression": "1", "identity": identity(n) }).to_string();
        let message = read("EvaluateExpression", &body).expect("good");
        let tenant = kit.service.tenant(tenant).expect("it is there").clone();
        kit.service.call(Request::new(tenant, caller(Role::Operator), message))
    };
    for n in 0..2 {
        assert_eq!(cause(&evaluate("acme", n)), Cause::Outside);
    }
    assert!(evaluate("acme", 2).to_json().contains("left alone"));
    let other = evaluate("other", 3);
    assert!(matches!(other, Reply::Accepted(_)), "{}", other.to_json());
    let health = kit.service.health();
    let open = health.breakers.iter().filter(|it| it.state == BreakerState::Open);
    assert_eq!(open.map(|it| &*it.tenant).collect::<Vec<_>>(), ["acme"]);
}

#[test]
fn limits_refuse_what_is_too_much() {
    let limits = Limits { requests_per_second_per_caller: 1, burst: 3, ..Limits::default() };
    let kit = kit_with(limits, &ServiceSettings::default());
    let causes: Vec<_> = (0..6).map(|_| kit.call("ListFlakes", json!({})).outcome()).collect();
    assert_eq!(causes.iter().filter(|it| **it == "answered").count(), 1, "{causes:?}");
    let reply = kit.call("ListFlakes", json!({}));
    let refusal = reply.refusal().expect("limited");
    assert!(refusal.retry_after.is_some());
    assert_eq!(refusal.limit_of, crate::LimitOf::Caller);
    // Others are not held up by that.
    let mut request = kit.request("ListFlakes", json!({}));
    request.caller.name = "bob".into();
    assert!(matches!(kit.service.call(request), Reply::Answered(_)));
    let limits = Limits { requests_per_second: 1, burst: 1, ..Limits::default() };
    let kit = kit_with(limits, &ServiceSettings::default());
    let whose = |name: &str| {
        let mut request = kit.request("ListFlakes", json!({}));
        request.caller.name = name.into();
        let reply = kit.service.call(request);
        reply.refusal().map(|refusal| refusal.limit_of)
    };
    // Each asks for the first time, and all together too often.
    assert_eq!(["ann", "bob"].map(whose), [None, Some(crate::LimitOf::Tenant)]);
}

#[test]
fn what_is_too_much_at_once_is_refused_at_once() {
    let limits = Limits { effects_at_once: 2, ..Limits::default() };
    let kit = kit_with(limits, &ServiceSettings::default());
    kit.script.is_held.store(true, Ordering::SeqCst);
    let replies: Arc<Mutex<Vec<&'static str>>> = Arc::default();
    let began = Instant::now();
    for n in 0..5 {
        let replies = replies.clone();
        let body = json!({ "expression": "1", "identity": identity(n) });
        kit.service.submit(kit.request("EvaluateExpression", body), move |reply| {
            replies.lock().unwrap().push(reply.outcome());
        });
    }
    assert_eq!(*replies.lock().unwrap(), ["overloaded"; 3]);
    assert!(began.elapsed() < Duration::from_secs(2), "shedding load waits for nobody");
    kit.script.is_held.store(false, Ordering::SeqCst);
    kit.service.drain();
    assert_eq!(replies.lock().unwrap().len(), 5);
    assert_eq!(cause(&kit.call("ListFlakes", json!({}))), Cause::Overloaded);
}

#[test]
fn messages_are_read_within_limits() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let cases = [
        ("CreateFlake", "", "no JSON"),
        ("CreateFlake", "[]", "no object"),
        ("CreateFlake", r#"{"path": 1}"#, "a wrong type"),
        ("CreateFlake", r#"{"path": "/a"}"#, "a field is missing"),
        ("ListFlakes", "[]", "a list"),
        ("ListFlakes", "\u{0}", "a control character"),
        ("DropTables", "{}", "no such type"),
        ("ListFlakes", &deep, "deep"),
        ("CreateFlake", &deep, "deep"),
    ];
    let mut out = String::new();
    for (message_type, body, what) in cases {
        let refusal = read(message_type, body).expect_err(what);
        out.push_str(&format!("{}: {}\n", refusal.cause.word(), refusal.message));
    }
    let large = format!(r#"{{"path": "{}"}}"#, "a".repeat(2 << 20));
    let refusal = read("ListFlakes", &large).expect_err("too large");
    out.push_str(&format!("{}: {}\n", refusal.cause.word(), refusal.message));
    expect_test::expect![[r#"
        malformed: the message is no JSON: EOF while parsing a value at line 1 column 0
        malformed: the message is no JSON object
        malformed: the body of CreateFlake does not fit: invalid type: integer `1`, expected a string
        malformed: the body of CreateFlake does not fit: missing field `description`
        malformed: the message is no JSON object
        malformed: the message is no JSON: expected value at line 1 column 1
        malformed: no query of the type `DropTables` is known
        too_large: the message is nested more than 64 levels deep
        too_large: the message is nested more than 64 levels deep
        too_large: the message has 2097164 bytes; 1048576 are allowed
    "#]].assert_eq(&out);
}
