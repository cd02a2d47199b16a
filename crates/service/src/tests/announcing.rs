//! What the store is told of appends that are going to be made: it waits for them, so whoever holds
//! something up must not be among them.

use std::sync::atomic::AtomicUsize;
use std::sync::mpsc::{Receiver, Sender, channel};

use cim_domain_nix::{
    Announced, Append, Appended, EventStore, Intent, IntentStore, MessageId, Outgoing, Progress,
    Projection, Record, Rows, Snapshot, StoreError, StreamId, Subscription, Visit,
};
use cim_nix_base::ContentHash;

use super::*;

/// A store that counts what it is told, and whose appends wait until they may be made.
#[derive(Clone)]
struct Told {
    store: MemoryStore,
    /// Those who are going to append.
    announced: Arc<AtomicUsize>,
    /// How often somebody said so.
    n_times: Arc<AtomicUsize>,
    /// Says how many are announced when an append begins.
    begin: Sender<usize>,
    go: Arc<Mutex<Receiver<()>>>,
}

macro_rules! hand_on {
    ($(fn $name:ident(&self $(, $arg:ident: $type:ty)*) -> $answer:ty;)*) => {
        $(fn $name(&self $(, $arg: $type)*) -> Result<$answer, StoreError> {
            self.store.$name($($arg),*)
        })*
    };
}

impl EventStore for Told {
    fn append(&self, append: Append) -> Result<Appended, StoreError> {
        self.begin.send(self.announced.load(Ordering::SeqCst)).expect("the test listens");
        self.go.lock().expect("nobody panics").recv_timeout(LONG).expect("the test lets it");
        self.store.append(append)
    }

    fn announce(&self) -> Announced {
        self.n_times.fetch_add(1, Ordering::SeqCst);
        Announced::counted(&self.announced)
    }

    fn subscribe(&self, after: u64) -> Result<Box<dyn Subscription + '_>, StoreError> {
        self.store.subscribe(after)
    }

    hand_on! {
        fn read_stream(&self, stream: &StreamId, after: u64, visit: &mut dyn FnMut(&Record<'_>) -> Visit) -> ();
        fn read_all(&self, after: u64, visit: &mut dyn FnMut(&Record<'_>) -> Visit) -> ();
        fn read_back(&self, before: Option<u64>, visit: &mut dyn FnMut(&Record<'_>) -> Visit) -> ();
        fn find(&self, id: Uuid, visit: &mut dyn FnMut(&Record<'_>) -> Visit) -> bool;
        fn caused_by(&self, cause: &MessageId, visit: &mut dyn FnMut(&Record<'_>) -> Visit) -> ();
        fn correlated(&self, correlation: &MessageId, visit: &mut dyn FnMut(&Record<'_>) -> Visit) -> ();
        fn version(&self, stream: &StreamId) -> u64;
        fn head(&self) -> u64;
        fn snapshot(&self, stream: &StreamId) -> Option<Snapshot>;
        fn save_snapshot(&self, stream: &StreamId, snapshot: &Snapshot) -> ();
        fn outgoing(&self, limit: usize) -> Vec<Outgoing>;
        fn published(&self, positions: &[u64]) -> ();
        fn catch_up(&self, projection: &dyn Projection) -> Progress;
        fn progress(&self, name: &str) -> Progress;
        fn drop_projection(&self, name: &str) -> ();
        fn rows(&self, name: &str, read: &mut dyn FnMut(&dyn Rows) -> Result<(), StoreError>) -> ();
    }
}

impl IntentStore for Told {
    hand_on! {
        fn open_intent(&self, intent: &Intent, blobs: &[&[u8]]) -> ();
        fn close_intent(&self, id: Uuid) -> ();
        fn open_intents(&self) -> Vec<Intent>;
        fn blob(&self, hash: ContentHash) -> Option<Vec<u8>>;
    }
}

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

/// A service over such a store.
struct Bench {
    service: Arc<Service>,
    store: Told,
    begun: Receiver<usize>,
    go: Sender<()>,
    replies: Receiver<Reply>,
    reply: Sender<Reply>,
}

impl Bench {
    fn new(command_threads: usize) -> Self {
        let ((begin, begun), (go, gone)) = (channel(), channel());
        let (reply, replies) = channel();
        let store = Told {
            store: MemoryStore::new(),
            announced: Arc::default(),
            n_times: Arc::default(),
            begin,
            go: Arc::new(Mutex::new(gone)),
        };
        let tenant = Tenant::new(TenantParts {
            name: "acme".to_owned(),
            store: Arc::new(store.clone()),
            moves_along: false,
            outside: Arc::new(Script::default()),
            keeps: Keeps::Catalogue,
            limits: Limits::default(),
            storage: Box::new(|| None),
        });
        let settings = ServiceSettings { command_threads, ..ServiceSettings::default() };
        let service = Service::new([tenant.expect("a good name")], &settings).expect("threads");
        Self { service, store, begun, go, replies, reply }
    }

    fn submit(&self, message_type: &str, body: &Value) {
        let message = read(message_type, &body.to_string()).expect("a good message");
        let tenant = self.service.tenant("acme").expect("it is there").clone();
        let reply = self.reply.clone();
        let request = Request::new(tenant, caller(Role::Operator), message);
        self.service.submit(request, move |it| reply.send(it).expect("the test listens"));
    }

    /// Waits for an append to begin; answers how many are announced then.
    fn begun(&self) -> usize {
        self.begun.recv_timeout(LONG).expect("an append begins")
    }

    fn go(&self) {
        self.go.send(()).expect("an append waits for that");
    }

    fn is_accepted(&self) -> bool {
        let reply = self.replies.recv_timeout(LONG).expect("a reply");
        matches!(reply, Reply::Accepted(_))
    }

    /// How many are announced now, and how often that was said.
    fn announced(&self) -> (usize, usize) {
        let load = |count: &AtomicUsize| count.load(Ordering::SeqCst);
        (load(&self.store.announced), load(&self.store.n_times))
    }
}

#[test]
fn a_command_without_a_free_thread_announces_nothing() {
    let bench = Bench::new(1);
    bench.submit("CreateFlake", &create(1, "/srv/a"));
    assert_eq!((bench.begun(), bench.announced()), (0, (0, 1)), "who appends is announced no more");
    // The only thread is in the store. One that waits for it would be waited for by the store.
    bench.submit("CreateFlake", &create(2, "/srv/b"));
    assert_eq!(bench.announced(), (0, 1));
    bench.go();
    assert_eq!((bench.begun(), bench.announced()), (0, (0, 1)));
    bench.go();
    assert!(bench.is_accepted() && bench.is_accepted());
    assert_eq!(bench.announced(), (0, 1));
}

#[test]
fn a_command_that_waits_for_another_one_takes_its_announcement_back() {
    let bench = Bench::new(3);
    bench.submit("CreateFlake", &create(1, "/srv/a"));
    assert_eq!((bench.begun(), bench.announced()), (0, (0, 1)));
    // It is about the same flake: that has to be in the store before this one can be decided upon.
    let add =
        json!({ "path": "/srv/a", "name": "x", "url": "github:a/b", "identity": identity(2) });
    bench.submit("AddFlakeInput", &add);
    let since = Instant::now();
    while bench.announced() != (0, 2) {
        assert!(since.elapsed() < LONG, "{:?}", bench.announced());
        std::thread::yield_now();
    }
    bench.go();
    assert!(bench.is_accepted());
    // Now it is its turn, and it says so again.
    assert_eq!((bench.begun(), bench.announced()), (0, (0, 3)));
    bench.go();
    assert!(bench.is_accepted());
    assert_eq!(bench.announced(), (0, 3));
}

#[test]
fn an_announcement_ends_with_its_command() {
    let bench = Bench::new(2);
    // It is refused, and nothing is appended.
    let remove = json!({ "path": "/srv/a", "name": "x", "identity": identity(1) });
    bench.submit("RemoveFlakeInput", &remove);
    assert!(!bench.is_accepted());
    assert_eq!(bench.announced(), (0, 1));
    // An evaluation takes as long as it takes.
    bench.submit("EvaluateExpression", &json!({ "expression": "1", "identity": identity(2) }));
    bench.begun();
    bench.go();
    assert!(bench.is_accepted());
    assert_eq!(bench.announced(), (0, 1));
}
