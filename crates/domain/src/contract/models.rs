//! Read models.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use super::samples::{append, event, put, stream};
use crate::{EventStore, Expected, NewEvent, Progress, Projection, Reading, Rows, StoreError};

/// Counts the events of each stream, and lists all of them.
struct Counts {
    name: &'static str,
    schema: u32,
    /// The event that it fails at, after it has written half of what it would.
    broken_at: AtomicU64,
    n_applied: AtomicU64,
}

impl Counts {
    fn new(name: &'static str, schema: u32) -> Self {
        Self { name, schema, broken_at: AtomicU64::new(0), n_applied: AtomicU64::new(0) }
    }
}

impl Projection for Counts {
    fn name(&self) -> &'static str {
        self.name
    }

    fn schema(&self) -> u32 {
        self.schema
    }

    fn apply(&self, event: &Reading<'_>, rows: &mut dyn Rows) -> Result<(), StoreError> {
        self.n_applied.fetch_add(1, Ordering::Relaxed);
        let key = format!("count/{}", event.aggregate);
        let count: u64 = rows.get(&key)?.map_or(0, |count| count.parse().expect("ours"));
        rows.put(&key, &(count + 1).to_string())?;
        rows.remove(&format!("last/{}", event.position.wrapping_sub(1)))?;
        if event.id.as_u128() == u128::from(self.broken_at.load(Ordering::Relaxed)) {
            return Err(StoreError::Visitor("a gap in the model".into()));
        }
        rows.put(&format!("last/{}", event.position), event.body)?;
        rows.put("schema", &self.schema.to_string())
    }
}

fn dump<S: EventStore>(store: &S, name: &str) -> Vec<(String, String)> {
    let mut out = Vec::new();
    store
        .rows(name, &mut |rows| {
            rows.scan("", None, &mut |key, value| {
                out.push((key.to_owned(), value.to_owned()));
                Ok(ControlFlow::Continue(()))
            })
        })
        .unwrap();
    out
}

/// What `Counts` makes of events `1..=n` that all stand in the stream of their number mod 3.
fn counted(n: u128, last: u64, schema: u32) -> Vec<(String, String)> {
    let count = |of: u128| (1..=n).filter(|event| event % 3 == of).count();
    let streams = (0..3).filter(|of| count(*of) > 0);
    let mut rows: Vec<_> =
        streams.map(|of| (format!("count/{}", stream(of).id), count(of).to_string())).collect();
    rows.push((format!("last/{last}"), event(n).body));
    rows.push(("schema".to_owned(), schema.to_string()));
    rows
}

fn fill<S: EventStore>(store: &S, numbers: impl IntoIterator<Item = u128>) {
    for n in numbers {
        put(store, n % 3, [n]);
    }
}

/// A read model comes up to the head, each event once, and says where it is.
pub fn moves_rows_with_checkpoints<S: EventStore>(open: &dyn Fn() -> S) {
    let store = open();
    let counts = Counts::new("counts", 1);
    assert_eq!(store.catch_up(&counts).unwrap(), Progress { position: 0, head: 0 });
    assert!(dump(&store, "counts").is_empty());
    fill(&store, 1..=7);
    let head = store.head().unwrap();
    assert_eq!(store.progress("counts").unwrap(), Progress { position: 0, head });
    assert_eq!(store.catch_up(&counts).unwrap(), Progress { position: head, head });
    assert_eq!(dump(&store, "counts"), counted(7, head, 1));
    store.catch_up(&counts).unwrap();
    assert_eq!(counts.n_applied.load(Ordering::Relaxed), 7);
    fill(&store, 8..=20);
    let (again, head) = (open(), store.head().unwrap());
    again.catch_up(&counts).unwrap();
    assert_eq!(dump(&store, "counts"), counted(20, head, 1));
    assert_eq!(counts.n_applied.load(Ordering::Relaxed), 20);
    assert_eq!(store.progress("counts").unwrap(), Progress { position: head, head });
    assert_eq!(store.progress("none").unwrap(), Progress { position: 0, head });
    assert!(dump(&store, "none").is_empty());
}

/// Another schema starts from nothing, whichever is the higher.
pub fn builds_again_for_another_schema<S: EventStore>(open: &dyn Fn() -> S) {
    let store = open();
    fill(&store, 1..=5);
    let head = store.head().unwrap();
    for schema in [1, 2, 2, 1] {
        let counts = Counts::new("counts", schema);
        store.catch_up(&counts).unwrap();
        assert_eq!(dump(&store, "counts"), counted(5, head, schema));
    }
}

/// What is dropped is gone, and can be built again.
pub fn drops_read_models<S: EventStore>(open: &dyn Fn() -> S) {
    let store = open();
    fill(&store, 1..=5);
    let (one, two) = (Counts::new("one", 1), Counts::new("two", 1));
    store.catch_up(&one).unwrap();
    store.catch_up(&two).unwrap();
    let head = store.head().unwrap();
    store.drop_projection("one").unwrap();
    store.drop_projection("one").unwrap();
    store.drop_projection("never").unwrap();
    assert!(dump(&store, "one").is_empty());
    assert_eq!(store.progress("one").unwrap(), Progress { position: 0, head });
    assert_eq!(dump(&store, "two"), counted(5, head, 1));
    store.catch_up(&one).unwrap();
    assert_eq!(dump(&store, "one"), counted(5, head, 1));
}

/// A projection that fails leaves rows and checkpoint as they were before the event.
pub fn leaves_nothing_of_a_failed_event<S: EventStore>(open: &dyn Fn() -> S) {
    let store = open();
    fill(&store, 1..=10);
    let counts = Counts::new("counts", 1);
    counts.broken_at.store(7, Ordering::Relaxed);
    for _ in 0..2 {
        let failed = store.catch_up(&counts);
        let Err(StoreError::Visitor(error)) = failed else { panic!("{failed:?}") };
        assert_eq!(error.to_string(), "a gap in the model");
        let at = store.progress("counts").unwrap().position;
        let mut n_taken = 0;
        store
            .read_all(0, &mut |record| {
                n_taken += u128::from(record.position <= at);
                Ok(ControlFlow::Continue(()))
            })
            .unwrap();
        assert!(n_taken < 7, "event 7 failed, but counts as taken");
        let wanted = if n_taken == 0 { Vec::new() } else { counted(n_taken, at, 1) };
        assert_eq!(dump(&store, "counts"), wanted);
    }
    // Events are stored all the same.
    fill(&store, 11..=12);
    counts.broken_at.store(0, Ordering::Relaxed);
    store.catch_up(&counts).unwrap();
    assert_eq!(dump(&store, "counts"), counted(12, store.head().unwrap(), 1));
}

/// Names tell read models apart, whatever their names and keys hold.
pub fn keeps_read_models_apart<S: EventStore>(open: &dyn Fn() -> S) {
    let store = open();
    fill(&store, 1..=4);
    let names = ["a", "a/", "A", "a\u{0}", "é", "%", ""];
    for (schema, name) in (1..).zip(names) {
        store.catch_up(&Counts::new(name, schema)).unwrap();
    }
    for (schema, name) in (1..).zip(names) {
        assert_eq!(dump(&store, name), counted(4, store.head().unwrap(), schema), "{name}");
    }
}

/// Puts and removes the keys that its events name.
struct Keys;

impl Projection for Keys {
    fn name(&self) -> &'static str {
        "keys"
    }

    fn schema(&self) -> u32 {
        1
    }

    fn apply(&self, event: &Reading<'_>, rows: &mut dyn Rows) -> Result<(), StoreError> {
        let keys: Vec<String> = serde_json::from_str(event.body).expect("written below");
        for key in keys {
            match key.strip_prefix('-') {
                Some(key) => rows.remove(key)?,
                None => rows.put(&key, &format!("{key}={}", event.version))?,
            }
        }
        Ok(())
    }
}

/// Rows come in the order of their keys, by prefix and after a key.
pub fn scans_rows_in_order<S: EventStore>(open: &dyn Fn() -> S) {
    let store = open();
    let keys = |n, keys: &[&str]| {
        let body = serde_json::to_string(keys).expect("texts");
        let event = NewEvent { body, ..event(n) };
        store.append(append(stream(1), Expected::Any, vec![event])).unwrap();
        store.catch_up(&Keys).unwrap();
    };
    keys(1, &["b", "a/2", "a/10", "a/1", "", "é", "a", "a\u{0}", "a/\u{10ffff}", "a/\u{10ffff}x"]);
    keys(2, &["-a/2", "a/1", "-none", "a/3"]);
    let scan = |prefix: &str, after: Option<&str>, most: usize| {
        let mut out = Vec::new();
        store
            .rows("keys", &mut |rows| {
                rows.scan(prefix, after, &mut |key, value| {
                    assert!(value.starts_with(&format!("{key}=")), "{key}: {value}");
                    out.push(key.to_owned());
                    let is_full = out.len() == most;
                    Ok(if is_full { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
                })
            })
            .unwrap();
        out
    };
    let everything =
        ["", "a", "a\u{0}", "a/1", "a/10", "a/3", "a/\u{10ffff}", "a/\u{10ffff}x", "b", "é"];
    assert_eq!(scan("", None, 99), everything);
    assert_eq!(scan("a/", None, 99), everything[3..8]);
    assert_eq!(scan("a/", Some("a/10"), 99), everything[5..8]);
    assert_eq!(scan("a/", Some("a/2"), 2), everything[5..7]);
    assert_eq!(scan("a/", Some("a"), 99), everything[3..8]);
    assert_eq!(scan("a/\u{10ffff}", None, 99), everything[6..8]);
    assert!(scan("a/", Some("b"), 99).is_empty() && scan("zz", None, 99).is_empty());
    let get = |key: &str| {
        let mut row = None;
        let read = store.rows("keys", &mut |rows| rows.get(key).map(|found| row = found));
        read.unwrap();
        row
    };
    assert_eq!(get("a/1").as_deref(), Some("a/1=2"));
    assert_eq!((get("").as_deref(), get("a/2"), get("A")), (Some("=1"), None, None));
    let failed = store.rows("keys", &mut |rows| {
        rows.scan("", None, &mut |_, _| Err(StoreError::Visitor("enough".into())))
    });
    assert!(matches!(failed, Err(StoreError::Visitor(_))), "{failed:?}");
}
