//! A bad network: a proxy that cuts, delays, holds back and swallows.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, sleep};
use std::time::Duration;

#[derive(Debug, Default)]
struct Shared {
    target: AtomicU16,
    /// Both ends of each connection.
    open: Mutex<Vec<(TcpStream, TcpStream)>>,
    delay_micros: AtomicU64,
    is_held: AtomicBool,
    swallows_answers: AtomicBool,
    refuses: AtomicBool,
    is_over: AtomicBool,
    n_connections: AtomicU64,
    n_cuts: AtomicU64,
}

/// A proxy on a free port. All connections end when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    shared: Arc<Shared>,
    port: u16,
    accepting: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A proxy to a port of this machine.
    ///
    /// # Panics
    /// If no port is free.
    #[must_use]
    pub fn start(target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let shared = Arc::new(Shared { target: target.into(), ..Shared::default() });
        let accepting = {
            let shared = shared.clone();
            thread::spawn(move || {
                for stream in listener.incoming() {
                    if shared.is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    let Ok(stream) = stream else { continue };
                    if !shared.refuses.load(Ordering::Relaxed) {
                        pass(&shared, stream);
                    }
                }
            })
        };
        Self { shared, port, accepting: Some(accepting) }
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its address, for clients of NATS.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Leads new connections to another port.
    pub fn lead_to(&self, target: u16) {
        self.shared.target.store(target, Ordering::Relaxed);
    }

    /// Cuts all connections now. What was under way is lost, in both directions.
    pub fn cut(&self) {
        self.shared.cut();
    }

    /// Lets each portion of bytes wait for so long, in both directions.
    pub fn delay(&self, delay: Duration) {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.shared.delay_micros.store(micros, Ordering::Relaxed);
    }

    /// Holds everything back until it is called with `false`: connections stay open and silent.
    pub fn hold(&self, is_held: bool) {
        self.shared.is_held.store(is_held, Ordering::Relaxed);
    }

    /// Loses what the server answers, from now on: requests arrive and nobody hears of it. Whoever
    /// switches it off has to [`cut`](Self::cut) first, as what is left of the answers makes no sense.
    pub fn swallow_answers(&self, swallows: bool) {
        self.shared.swallows_answers.store(swallows, Ordering::Relaxed);
    }

    /// Refuses new connections, until it is called with `false`.
    pub fn refuse(&self, refuses: bool) {
        self.shared.refuses.store(refuses, Ordering::Relaxed);
    }

    /// How many connections there have been.
    #[must_use]
    pub fn n_connections(&self) -> u64 {
        self.shared.n_connections.load(Ordering::Relaxed)
    }

    /// How many connections were cut.
    #[must_use]
    pub fn n_cuts(&self) -> u64 {
        self.shared.n_cuts.load(Ordering::Relaxed)
    }

    /// Cuts again and again, at times that follow from `seed`; now and then answers are lost first.
    #[must_use]
    pub fn storm(&self, seed: u64, every: Range<Duration>) -> Storm {
        let shared = self.shared.clone();
        let is_over = Arc::new(AtomicBool::new(false));
        let mut random = fastrand::Rng::with_seed(seed);
        let thread = {
            let is_over = is_over.clone();
            thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let (least, most) = (every.start.as_micros(), every.end.as_micros());
                    let micros = random.u128(least..most.max(least + 1));
                    let pause = Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
                    let loses = random.bool();
                    sleep(pause * 3 / 4);
                    shared.swallows_answers.store(loses, Ordering::Relaxed);
                    sleep(pause / 4);
                    shared.cut();
                    shared.swallows_answers.store(false, Ordering::Relaxed);
                }
            })
        };
        Storm { is_over, thread: Some(thread) }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.shared.cut();
        // Wakes the thread that accepts, which then sees that it is over.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.accepting.take() {
            let _ = thread.join();
        }
        self.shared.cut();
    }
}

/// A time of cuts, until it is dropped.
#[derive(Debug)]
pub struct Storm {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn cut(&self) {
        let open: Vec<_> =
            self.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
        for (client, server) in open {
            self.n_cuts.fetch_add(1, Ordering::Relaxed);
            // One that has ended already is as good as cut.
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        }
    }
}

fn pass(shared: &Arc<Shared>, client: TcpStream) {
    let target = shared.target.load(Ordering::Relaxed);
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { return };
    let clones = || Some((client.try_clone().ok()?, server.try_clone().ok()?));
    let (Some(kept), Some(to), Some(back)) = (clones(), clones(), clones()) else { return };
    // Delays are ours to make.
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    shared.n_connections.fetch_add(1, Ordering::Relaxed);
    {
        let mut open = shared.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(client, _)| client.peer_addr().is_ok());
        open.push(kept);
    }
    let (sharing, sharing_back) = (shared.clone(), shared.clone());
    thread::spawn(move || copy(&sharing, to.0, to.1, false));
    thread::spawn(move || copy(&sharing_back, back.1, back.0, true));
}

fn copy(shared: &Shared, mut from: TcpStream, mut to: TcpStream, is_answer: bool) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(n) => n,
        };
        let delay = shared.delay_micros.load(Ordering::Relaxed);
        if delay > 0 {
            sleep(Duration::from_micros(delay));
        }
        while shared.is_held.load(Ordering::Relaxed) && !shared.is_over.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(2));
        }
        let is_lost = is_answer && shared.swallows_answers.load(Ordering::Relaxed);
        if !is_lost && to.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers what it gets.
    fn echo() -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                thread::spawn(move || {
                    let mut buffer = [0; 1024];
                    while let Ok(n @ 1..) = stream.read(&mut buffer) {
                        let _ = stream.write_all(&buffer[..n]);
                    }
                });
            }
        });
        port
    }

    fn client(proxy: &Proxy) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", proxy.port())).expect("it accepts");
        stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a time above zero");
        stream
    }

    fn answer(stream: &mut TcpStream, text: &str) -> Option<String> {
        stream.write_all(text.as_bytes()).ok()?;
        let mut buffer = [0; 64];
        let n = stream.read(&mut buffer).ok().filter(|n| *n > 0)?;
        Some(String::from_utf8_lossy(&buffer[..n]).into_owned())
    }

    #[test]
    fn passes_cuts_and_swallows() {
        let proxy = Proxy::start(echo());
        let mut stream = client(&proxy);
        assert_eq!(answer(&mut stream, "one").as_deref(), Some("one"));
        proxy.swallow_answers(true);
        assert_eq!(answer(&mut stream, "two"), None);
        proxy.cut();
        proxy.swallow_answers(false);
        assert_eq!(answer(&mut stream, "three"), None);
        let mut stream = client(&proxy);
        assert_eq!(answer(&mut stream, "four").as_deref(), Some("four"));
        proxy.hold(true);
        assert_eq!(answer(&mut stream, "five"), None);
        proxy.hold(false);
        assert_eq!(answer(&mut stream, "").as_deref(), Some("five"));
        assert_eq!((proxy.n_connections(), proxy.n_cuts()), (2, 1));
    }

    #[test]
    fn a_storm_cuts_again_and_again() {
        let proxy = Proxy::start(echo());
        let storm = proxy.storm(7, Duration::from_millis(2)..Duration::from_millis(8));
        for _ in 0..500 {
            let _ = answer(&mut client(&proxy), "x");
            if proxy.n_cuts() >= 3 {
                break;
            }
        }
        drop(storm);
        assert!(proxy.n_cuts() >= 3, "{} cuts", proxy.n_cuts());
        assert_eq!(answer(&mut client(&proxy), "y").as_deref(), Some("y"));
    }
}
