//! HTTP/2 as nobody should speak it, over TLS: streams that are reset at once, heads without an end,
//! floods of frames, answers that are not taken.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::scene::{Scene, TOKEN};

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// A service with a certificate.
struct Secure {
    scene: Scene,
    trusted: RootCertStore,
}

impl Secure {
    fn start() -> Self {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("signed").pem();
        let scene = Scene::new("");
        fs::write(scene.path("server.pem"), &certificate).expect("the folder is ours");
        fs::write(scene.path("server.key"), key.serialize_pem()).expect("the folder is ours");
        scene.configure(&format!(
            "[[tenant]]\nname = \"main\"\n[http.tls]\ncertificate = {:?}\nkey = {:?}\n",
            scene.path("server.pem"),
            scene.path("server.key")
        ));
        let der = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM");
        let mut trusted = RootCertStore::empty();
        trusted.add(der).expect("a certificate");
        let mut secure = Self { scene, trusted };
        let trusted = secure.trusted.clone();
        secure.scene.start_and(|scene| {
            get(scene.port, &trusted, "/health/ready")
                .is_some_and(|it| it.starts_with("HTTP/1.1 200"))
        });
        secure
    }

    fn http2(&self) -> Tls {
        let mut tls = connect(self.scene.port, &self.trusted, &[b"h2"]).expect("it listens");
        tls.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("it reads");
        tls.write_all(&frame(SETTINGS, 0, 0, b"")).expect("it reads");
        tls.flush().expect("it reads");
        assert_eq!(tls.conn.alpn_protocol(), Some(&b"h2"[..]), "HTTP/2 is served");
        tls
    }

    /// Bytes of memory that the service has.
    fn memory(&self) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.scene.pid())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("Linux has it");
        line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).expect("a number") << 10
    }

    fn check(&self, row: &str) {
        for path in ["/health/ready", "/v1/main/flakes"] {
            let began = Instant::now();
            let answer = get(self.scene.port, &self.trusted, path).unwrap_or_default();
            assert!(answer.starts_with("HTTP/1.1 200"), "{row}: {path}: {answer}");
            assert!(began.elapsed() < Duration::from_secs(5), "{row}: {:?}", began.elapsed());
        }
        assert!(!self.scene.log().contains("panicked"), "{row}: {}", self.scene.log());
    }
}

fn connect(port: u16, trusted: &RootCertStore, alpn: &[&[u8]]) -> Option<Tls> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("there are some")
        .with_root_certificates(trusted.clone())
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|it| it.to_vec()).collect();
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.set_write_timeout(Some(Duration::from_secs(5))).ok()?;
    let connection = ClientConnection::new(Arc::new(config), name).ok()?;
    Some(StreamOwned::new(connection, stream))
}

fn get(port: u16, trusted: &RootCertStore, path: &str) -> Option<String> {
    let mut tls = connect(port, trusted, &[])?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    );
    tls.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    // The end of the connection is the end of the answer.
    let _ = tls.read_to_end(&mut answer);
    String::from_utf8(answer).ok()
}

const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// The head of a request for `/version`, in HPACK without a table.
fn head() -> Vec<u8> {
    let mut head = vec![0x82, 0x87];
    let mut literal = |index: u8, value: &str| {
        head.push(index);
        head.push(u8::try_from(value.len()).expect("short"));
        head.extend_from_slice(value.as_bytes());
    };
    literal(0x04, "/openapi.json");
    literal(0x01, "localhost");
    let authorization = format!("Bearer {TOKEN}");
    // Index 23 of the static table is `authorization`; above 14 it takes a byte of its own.
    head.extend_from_slice(&[0x0f, 8, u8::try_from(authorization.len()).expect("short")]);
    head.extend_from_slice(authorization.as_bytes());
    head
}

/// Writes as long as the other end takes it; answers how it ended.
fn flood(mut tls: Tls, frames: impl Iterator<Item = Vec<u8>>) -> &'static str {
    for frame in frames {
        if tls.write_all(&frame).is_err() {
            break;
        }
    }
    let _ = tls.flush();
    let mut said = Vec::new();
    let ended = tls.read_to_end(&mut said);
    let mut rest = &said[..];
    while let [a, b, c, kind, _, _, _, _, _, after @ ..] = rest {
        if *kind == GOAWAY {
            return "goaway";
        }
        let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
        rest = after.get(length..).unwrap_or_default();
    }
    let is_silent = ended.is_err_and(|error| {
        matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
    });
    if is_silent { "silence" } else { "closed" }
}

/// Names of what is tried, as the page of threats has them.
pub(super) const ROWS: [&str; 6] = [
    "http2-rapid-reset",
    "http2-continuation-flood",
    "http2-huge-head",
    "http2-settings-flood",
    "http2-ping-flood",
    "http2-window-zero",
];

fn attack(secure: &Secure, row: &str) -> &'static str {
    let tls = secure.http2();
    let streams = (0..20_000_u32).map(|n| 2 * n + 1);
    match row {
        "http2-rapid-reset" => flood(
            tls,
            streams.map(|stream| {
                let mut both = frame(HEADERS, END_STREAM | END_HEADERS, stream, &head());
                both.extend(frame(RESET, 0, stream, &8_u32.to_be_bytes()));
                both
            }),
        ),
        "http2-continuation-flood" => {
            let more = [&[0x00, 1, b'x', 127, 0x81, 0x7e][..], &[b'y'; 255]].concat().repeat(60);
            let first = frame(HEADERS, END_STREAM, 1, &head());
            let rest = (0..4_000).map(move |_| frame(CONTINUATION, 0, 1, &more));
            flood(tls, std::iter::once(first).chain(rest))
        }
        "http2-huge-head" => {
            let mut head = head();
            for _ in 0..60 {
                head.extend([0x00, 1, b'x', 127, 0x81, 0x7e]);
                head.extend([b'y'; 256]);
            }
            // More than a header list may have, many times.
            flood(
                tls,
                streams
                    .take(200)
                    .map(move |stream| frame(HEADERS, END_STREAM | END_HEADERS, stream, &head)),
            )
        }
        "http2-settings-flood" => flood(tls, (0..50_000).map(|_| frame(SETTINGS, 0, 0, b""))),
        "http2-ping-flood" => flood(tls, (0..50_000).map(|_| frame(PING, 0, 0, b"12345678"))),
        "http2-window-zero" => {
            // The first window of each stream is nothing, so no answer may be sent.
            let settings = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
            let asked = streams
                .take(5_000)
                .map(|stream| frame(HEADERS, END_STREAM | END_HEADERS, stream, &head()));
            flood(tls, std::iter::once(settings).chain(asked))
        }
        row => panic!("{row}"),
    }
}

#[test]
fn http2_is_bounded() {
    let secure = Secure::start();
    let before = secure.memory();
    for row in ROWS {
        let ended = attack(&secure, row);
        match row {
            "http2-rapid-reset" | "http2-continuation-flood" => {
                assert!(["goaway", "closed"].contains(&ended), "{row}: {ended}");
            }
            _ => {}
        }
        secure.check(row);
        let grown = secure.memory().saturating_sub(before);
        assert!(grown < 100 << 20, "{row}: the service has {grown} bytes more");
    }
}
