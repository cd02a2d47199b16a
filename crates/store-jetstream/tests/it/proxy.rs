//! A proxy that cuts connections, by a seed, so that what happened can be made to happen again.
//!
//! It needs nothing of this crate, so tests of other crates take it in by its path.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Passes connections on to a server.
pub(crate) struct Proxy {
    port: u16,
    line: Arc<Line>,
}

struct Line {
    upstream: SocketAddr,
    open: Mutex<Vec<TcpStream>>,
    /// Whether new connections are let through.
    is_closed: AtomicBool,
    has_ended: AtomicBool,
    n_cuts: AtomicU32,
}

impl Proxy {
    pub(crate) fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let line = Arc::new(Line {
            upstream,
            open: Mutex::default(),
            is_closed: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            n_cuts: AtomicU32::new(0),
        });
        let taken = Arc::clone(&line);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if taken.has_ended.load(Ordering::Acquire) {
                    return;
                }
                if !taken.is_closed.load(Ordering::Acquire) {
                    taken.pass_on(stream);
                }
            }
        });
        Self { port, line }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Cuts all connections. Bytes that are on their way are lost, in either direction.
    pub(crate) fn cut(&self) {
        self.line.cut();
    }

    /// Lets nobody through until `open`.
    pub(crate) fn close(&self) {
        self.line.is_closed.store(true, Ordering::Release);
        self.cut();
    }

    pub(crate) fn open(&self) {
        self.line.is_closed.store(false, Ordering::Release);
    }

    pub(crate) fn n_cuts(&self) -> u32 {
        self.line.n_cuts.load(Ordering::Acquire)
    }

    /// Cuts again and again, after pauses of 50 to 250 ms, until what it answers is dropped.
    pub(crate) fn storm(&self, seed: u64) -> Storm {
        let is_over = Arc::new(AtomicBool::new(false));
        let (line, over) = (Arc::clone(&self.line), Arc::clone(&is_over));
        let mut random = fastrand::Rng::with_seed(seed);
        let thread = std::thread::spawn(move || {
            while !over.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(random.u64(50..250)));
                line.cut();
            }
        });
        Storm { is_over, thread: Some(thread) }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.line.has_ended.store(true, Ordering::Release);
        self.line.cut();
        // So that the listener notices.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Line {
    fn cut(&self) {
        let mut open = self.open.lock().unwrap();
        if !open.is_empty() {
            self.n_cuts.fetch_add(1, Ordering::AcqRel);
        }
        for stream in open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn pass_on(self: &Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(self.upstream) else { return };
        for stream in [&client, &server] {
            stream.set_nodelay(true).unwrap();
            self.open.lock().unwrap().push(stream.try_clone().unwrap());
        }
        let (to_server, to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        std::thread::spawn(move || copy(client, to_server));
        std::thread::spawn(move || copy(server, to_client));
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 16 << 10];
    while let Ok(n @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..n]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// Cuts that go on.
pub(crate) struct Storm {
    is_over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
