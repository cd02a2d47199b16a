//! Connections that are slow, many, half open, or speak HTTP/2 as nobody should.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::Row;
use super::world::{Got, VICTIM, Who, World, read};

fn connect(world: &World) -> TcpStream {
    TcpStream::connect(("127.0.0.1", world.scene.port)).expect("it listens")
}

/// Writes the start of something, and then a byte now and then until the other end has enough.
fn drip(world: &World, start: &str, bytes: &'static [u8]) -> Got {
    let mut stream = connect(world);
    stream.write_all(start.as_bytes()).expect("it listens");
    let mut writer = stream.try_clone().expect("a handle");
    let began = Instant::now();
    let dripping = thread::spawn(move || {
        while began.elapsed() < Duration::from_secs(15) && writer.write_all(bytes).is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
    });
    let got = read(&mut stream);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    drop(stream);
    dripping.join().expect("it ends");
    got
}

fn post_head(length: &str) -> String {
    format!(
        "POST /v1/acme/commands/CreateFlake HTTP/1.1\r\nHost: x\r\n{}Content-Type: application/json\r\n{length}\r\n\r\n",
        Who::Operator.authorization()
    )
}

/// Asks from another address of this machine.
fn from_elsewhere(world: &World, path: &str) -> String {
    let text = super::world::get(Who::Victim, path);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("threads").block_on(async {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from(([127, 0, 0, 2], 0))).expect("all of 127/8 is this machine");
        let to = SocketAddr::from(([127, 0, 0, 1], world.scene.port));
        let mut stream = socket.connect(to).await.expect("it listens");
        stream.write_all(&text).await.expect("it reads");
        let mut answer = String::new();
        let reading = stream.read_to_string(&mut answer);
        tokio::time::timeout(Duration::from_secs(10), reading)
            .await
            .expect("in time")
            .expect("text");
        answer
    })
}

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new("slow-head", &["408", "closed"], |world| {
            drip(world, "GET /v1/acme/flakes HTTP/1.1\r\nX-Slow: ", b"x")
        }),
        Row::new("slow-headers", &["408", "closed"], |world| {
            drip(world, "GET /v1/acme/flakes HTTP/1.1\r\n", b"X-Slow: x\r\n")
        }),
        Row::new("slow-body", &["408"], |world| {
            drip(world, &post_head("Content-Length: 1000"), b"x")
        }),
        Row::new("slow-chunks", &["408"], |world| {
            drip(world, &post_head("Transfer-Encoding: chunked"), b"1\r\nx\r\n")
        }),
        Row::new("slow-chunk-extensions", &["408", "400", "closed"], |world| {
            drip(world, &post_head("Transfer-Encoding: chunked\r\n"), b"1;x=yyyyyyyy\r\nx\r\n")
        }),
        Row::new("endless-chunks", &["413", "closed"], |world| {
            let mut stream = connect(world);
            stream
                .write_all(post_head("Transfer-Encoding: chunked").as_bytes())
                .expect("it listens");
            let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
            for _ in 0..1_000 {
                if stream.write_all(chunk.as_bytes()).is_err() {
                    break;
                }
            }
            read(&mut stream)
        }),
        Row::new("silent-connection", &["408", "closed"], |world| {
            let mut stream = connect(world);
            let began = Instant::now();
            let got = read(&mut stream);
            assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
            got
        }),
        Row::new("half-open-connections", &["closed"], |world| {
            // One address gets a share of the places, and others have theirs meanwhile.
            let open: Vec<TcpStream> = (0..150).map(|_| connect(world)).collect();
            thread::sleep(Duration::from_millis(200));
            let answer = from_elsewhere(world, &format!("/v1/{VICTIM}/flakes"));
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            let refused = world.get(Who::Reader, "/v1/acme/flakes");
            drop(open);
            thread::sleep(Duration::from_millis(300));
            refused
        }),
        Row::new("answers-not-taken", &["closed", "200", "silence"], |world| {
            // Many requests on one connection, of whose answers nothing is read for a while.
            let mut stream = connect(world);
            let request = format!(
                "GET /openapi.json HTTP/1.1\r\nHost: x\r\n{}\r\n",
                Who::Reader.authorization()
            );
            stream.set_write_timeout(Some(Duration::from_millis(300))).expect("above zero");
            for _ in 0..2_000 {
                if stream.write_all(request.as_bytes()).is_err() {
                    break;
                }
            }
            Got::new("silence", "")
        }),
        Row::new("followers-beyond-limits", &["503", "429"], |world| {
            let text = super::world::get(Who::Reader, "/v1/acme/events/stream");
            let mut open = Vec::new();
            for _ in 0..30 {
                let mut stream = connect(world);
                stream.write_all(&text).expect("it listens");
                let mut first = [0; 12];
                stream.read_exact(&mut first).expect("an answer");
                open.push((stream, String::from_utf8_lossy(&first).into_owned()));
            }
            // Somebody else follows meanwhile.
            let mut stream = connect(world);
            let other = super::world::get(Who::Victim, &format!("/v1/{VICTIM}/events/stream"));
            stream.write_all(&other).expect("it listens");
            let mut first = [0; 12];
            stream.read_exact(&mut first).expect("an answer");
            assert_eq!(&first, b"HTTP/1.1 200", "one caller takes all places");
            let refused = open.iter().find(|(_, status)| !status.ends_with("200"));
            let status = refused.map_or("200", |(_, status)| &status[9..]);
            Got::new(status, "")
        }),
        Row::new("guesses", &["429"], |world| {
            // Names of other addresses in headers are nobody's word.
            let mut last = Got::new("", "");
            for n in 0..60 {
                let text = format!(
                    "GET /v1/acme/flakes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                     X-Forwarded-For: 192.0.2.{n}\r\nForwarded: for=192.0.2.{n}\r\nX-Real-IP: 192.0.2.{n}\r\n\
                     Authorization: Bearer cimnix_guess{n}\r\n\r\n"
                );
                last = world.bytes(text.as_bytes());
            }
            let page = world.get(Who::Operator, "/").text;
            assert!(!page.contains("192.0.2."), "the audit believes headers");
            last
        }),
        // The last one: what it has begun goes on for a while.
        Row::new("commands-in-a-row", &["success", "closed"], |world| {
            // More commands than the service has threads, of which one at a time may go on.
            let mut wire = world.wire(Who::Operator);
            for _ in 0..300 {
                let reply = format!("_INBOX.{}.1", wire.user);
                wire.publish("nix.cmd.project.check", Some(&reply), b"", br#"{"path":"fleet"}"#);
            }
            wire.say(b"PING\r\n");
            wire.hear_until("PONG", Duration::from_secs(5));
            thread::sleep(Duration::from_millis(300));
            let began = Instant::now();
            let path = world.folder(Who::Victim).join("fleet").display().to_string();
            let body = serde_json::json!({ "path": path }).to_string();
            let got = world.command(Who::Victim, "CheckFlake", "", &body);
            assert_eq!(got.kind, "200", "{got:?}");
            let took = began.elapsed();
            assert!(took < Duration::from_secs(8), "the other tenant waited {took:?}");
            wire.reply(Duration::from_secs(30))
        })
        .victim(),
    ]
}

#[test]
fn connections_are_bounded() {
    let Some(world) = World::with("streams = 40\nstreams-per-caller = 20", "") else { return };
    super::attack(&world, rows());
}
