//! Takes log lines to where they are read, without anybody waiting for it.
//!
//! Lines go into a buffer of bounded size, and one thread writes them. If it falls behind because
//! nobody reads, lines are dropped and counted; a line in their place says how many. [`Sink::flush`]
//! waits, for as long as it is told to.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is kept while the reader is slow: some ten thousand lines.
const MOST_BYTES: usize = 4 << 20;

/// Where lines are put. Clones are the same sink.
#[derive(Clone)]
pub(crate) struct Sink(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    n_dropped: AtomicU64,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// Lines that were dropped and not yet told of.
    n_untold: u64,
    is_writing: bool,
    is_closed: bool,
}

impl Sink {
    /// A sink that ends in `writer`, which a thread of its own writes to.
    pub(crate) fn new(writer: impl Write + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            changed: Condvar::new(),
            n_dropped: AtomicU64::new(0),
        });
        let reader = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || reader.write_all(writer))?;
        Ok(Self(shared))
    }

    /// Puts a line, its newline included.
    pub(crate) fn put(&self, line: &[u8]) {
        let mut waiting = self.0.lock();
        if waiting.bytes.len() + line.len() > MOST_BYTES {
            waiting.n_untold += 1;
            self.0.n_dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let was_empty = waiting.bytes.is_empty();
        waiting.bytes.extend_from_slice(line);
        drop(waiting);
        if was_empty {
            self.0.changed.notify_all();
        }
    }

    /// Waits until all lines so far are written, but no longer than `limit`. Whether they are.
    pub(crate) fn flush(&self, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut waiting = self.0.lock();
        while !waiting.bytes.is_empty() || waiting.is_writing {
            let Some(rest) = end.checked_duration_since(Instant::now()) else { return false };
            let woken = self.0.changed.wait_timeout(waiting, rest);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Lets the thread end when it has written what is there.
    pub(crate) fn close(&self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_all();
    }

    /// How many lines were dropped, ever.
    pub(crate) fn n_dropped(&self) -> u64 {
        self.0.n_dropped.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_all(&self, mut writer: impl Write) {
        let mut bytes = Vec::new();
        loop {
            let mut waiting = self.lock();
            waiting.is_writing = false;
            self.changed.notify_all();
            while waiting.bytes.is_empty() && !waiting.is_closed {
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            if waiting.bytes.is_empty() {
                return;
            }
            bytes.clear();
            std::mem::swap(&mut bytes, &mut waiting.bytes);
            let n_untold = std::mem::take(&mut waiting.n_untold);
            waiting.is_writing = true;
            drop(waiting);
            if n_untold > 0 {
                bytes.extend_from_slice(lost(n_untold).as_bytes());
            }
            // There is nowhere to tell that the place where things are told is gone.
            let _ = writer.write_all(&bytes).and_then(|()| writer.flush());
        }
    }
}

/// A line that both formats' readers understand.
fn lost(n_lines: u64) -> String {
    format!(
        "{{\"level\":\"warn\",\"target\":\"cim_nix_telemetry\",\
         \"message\":\"log lines were dropped, because nobody read them\",\"lines\":{n_lines}}}\n"
    )
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Writes when it is let, and keeps what it wrote.
    struct Gate {
        open: mpsc::Receiver<()>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.open.recv();
            self.written.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn gate() -> (Sink, mpsc::Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (opener, open) = mpsc::channel();
        let written = Arc::default();
        let sink = Sink::new(Gate { open, written: Arc::clone(&written) }).unwrap();
        (sink, opener, written)
    }

    #[test]
    fn lines_are_written_in_order() {
        let written: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (sink, opener, _) = gate();
        drop((sink, opener));
        let (sink, opener, out) = gate();
        // An opener that is gone leaves the gate open.
        drop(opener);
        for n in 0..1000 {
            sink.put(format!("{n}\n").as_bytes());
        }
        assert!(sink.flush(Duration::from_secs(10)));
        written.lock().unwrap().extend((0..1000).flat_map(|n| format!("{n}\n").into_bytes()));
        assert_eq!(*out.lock().unwrap(), *written.lock().unwrap());
        assert_eq!(sink.n_dropped(), 0);
    }

    #[test]
    fn a_reader_that_stands_still_stops_nobody() {
        let (sink, opener, out) = gate();
        let line = [b'x'; 1024];
        let start = Instant::now();
        for _ in 0..20_000 {
            sink.put(&line);
        }
        assert!(start.elapsed() < Duration::from_secs(10));
        let n_dropped = sink.n_dropped();
        assert!(n_dropped > 10_000, "{n_dropped}");
        assert!(!sink.flush(Duration::from_millis(50)));
        drop(opener);
        assert!(sink.flush(Duration::from_secs(10)));
        let out = String::from_utf8(out.lock().unwrap().clone()).unwrap();
        // In several lines, if the thread that writes woke late.
        let told = out.split("\"lines\":").skip(1).map(|rest| rest.split('}').next().unwrap());
        assert_eq!(told.map(|lines| lines.parse::<u64>().unwrap()).sum::<u64>(), n_dropped);
        assert!(out.len() <= 2 * MOST_BYTES);
    }

    #[test]
    fn what_is_there_is_written_after_closing() {
        let (sink, opener, out) = gate();
        sink.put(b"last\n");
        sink.close();
        opener.send(()).unwrap();
        assert!(sink.flush(Duration::from_secs(10)));
        assert_eq!(*out.lock().unwrap(), b"last\n");
    }
}
