//! What nobody should send. Each is refused, nothing is told that should not be, and the service
//! stays ready.

use std::io::Write as _;
use std::time::{Duration, Instant};

use cim_nix_http::Settings;
use cim_nix_service::Limits;

use crate::kit::{Answer, Kit, OLD, OPERATOR, OTHER, READER};

const JSON: &str = "Content-Type: application/json";
const CREATE: &str = "/v1/acme/commands/CreateFlake";
const FLAKE: &str = r#"{"path":"/fleet","description":"one"}"#;

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

#[test]
fn nobody_learns_anything_without_a_token() {
    let kit = Kit::new();
    let id = kit.flake("/secret");
    let answers: Vec<String> = [
        "/v1/acme/flakes".to_owned(),
        format!("/v1/acme/flakes/{id}"),
        "/v1/nobody/flakes".to_owned(),
        "/v1/acme/flowers".to_owned(),
        "/v1/acme/events/stream".to_owned(),
        "/openapi.json".to_owned(),
        "/metrics".to_owned(),
        "/nothing".to_owned(),
    ]
    .iter()
    .map(|path| {
        let answer = kit.ask_as_nobody("GET", path, &[], "");
        assert_eq!(answer.problem(), (401, "unauthenticated".to_owned()), "{path}");
        assert!(answer.header("www-authenticate").is_some());
        answer.text()
    })
    .collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let post = kit.ask_as_nobody("POST", CREATE, &[JSON], FLAKE);
    assert_eq!(post.problem().0, 401);
    kit.assert_ready();
}

#[test]
fn tokens_that_do_not_count_are_all_the_same() {
    let kit = Kit::new();
    let twice = [bearer(OPERATOR), bearer(OPERATOR)];
    let twice: Vec<&str> = twice.iter().map(String::as_str).collect();
    let basic = "Authorization: Basic eDpjaW1uaXhfb3BlcmF0b3I=";
    let mut texts = Vec::new();
    for headers in [vec![&*bearer("cimnix_wrong")], vec![&*bearer(OLD)], vec![&*bearer("")]] {
        let answer = kit.ask_as_nobody("GET", "/v1/acme/flakes", &headers, "");
        assert_eq!(answer.problem().0, 401, "{headers:?}");
        texts.push(answer.text());
    }
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
    // Passwords are for pages that only read.
    for headers in [twice, vec![basic], vec!["Cookie: token=cimnix_operator"]] {
        let answer = kit.ask_as_nobody("POST", CREATE, &headers, "");
        assert_eq!(answer.problem().0, 401, "{headers:?}");
    }
    let query = format!("/v1/acme/flakes?token={OPERATOR}");
    assert_eq!(kit.ask_as_nobody("GET", &query, &[], "").problem().0, 401);
    let last = kit.service.audit().last(10);
    assert!(last.iter().all(|refused| refused.cause == "unauthenticated"), "{last:?}");
    assert!(last.len() >= 6 && last.iter().all(|refused| !refused.what.contains("cimnix_")));
}

#[test]
fn roles_and_tenants_are_kept_apart() {
    let kit = Kit::new();
    let id = kit.flake("/secret");
    let reader = bearer(READER);
    let refused = kit.ask_as_nobody("POST", CREATE, &[&reader, JSON], FLAKE);
    assert_eq!(refused.problem(), (403, "forbidden".to_owned()));
    let other = bearer(OTHER);
    let mut texts = Vec::new();
    for path in [
        format!("/v1/acme/flakes/{id}"),
        "/v1/acme/events".to_owned(),
        "/v1/acme/events/stream".to_owned(),
        "/v1/nobody/flakes".to_owned(),
        "/v1/ACME/flakes".to_owned(),
        "/v1/acme%2F/flakes".to_owned(),
        "/v1/%61cme/flakes".to_owned(),
        "/v1/beta%2F..%2Facme/flakes".to_owned(),
    ] {
        let answer = kit.ask_as_nobody("GET", &path, &[&other], "");
        assert_eq!(answer.problem(), (403, "forbidden".to_owned()), "{path}");
        texts.push(answer.text());
    }
    // Whether there is such a tenant cannot be told from the answer.
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
    // A flake of the same path in the other tenant is another one.
    let own = kit.ask_as_nobody("GET", &format!("/v1/beta/flakes/{id}"), &[&other], "");
    assert_eq!(own.problem().0, 404);
    let last = kit.service.audit().last(20);
    assert!(last.iter().any(|it| it.cause == "forbidden" && it.caller == "rita"), "{last:?}");
    assert!(last.iter().any(|it| it.cause == "forbidden" && it.caller == "bert"), "{last:?}");
}

#[test]
fn guesses_are_slowed_down_and_good_tokens_are_not() {
    let settings = Settings { bad_tokens_per_minute: 5, ..Settings::default() };
    let kit = Kit::with(settings, Limits::default());
    let guess = || kit.ask_as_nobody("GET", "/v1/acme/flakes", &[&bearer("cimnix_guess")], "");
    let statuses: Vec<u16> = (0..8).map(|_| guess().status).collect();
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429, 429]);
    assert!(guess().header("retry-after").is_some());
    assert_eq!(kit.service.audit().last(100).len(), 5);
    assert_eq!(kit.get("/v1/acme/flakes").status, 200);
}

#[test]
fn bodies_that_are_too_large_or_too_deep() {
    let kit = Kit::new();
    let large = format!(r#"{{"path":"/a","description":"{}"}}"#, "x".repeat(2 << 20));
    assert_eq!(kit.command("CreateFlake", &[], &large).problem(), (413, "too_large".to_owned()));
    // Without a length it is counted while it is read.
    let mut chunked = format!(
        "POST {CREATE} HTTP/1.1\r\nHost: x\r\n{}\r\n{JSON}\r\nTransfer-Encoding: chunked\r\n\r\n",
        bearer(OPERATOR)
    );
    for _ in 0..40 {
        chunked.push_str(&format!("10000\r\n{}\r\n", "x".repeat(65_536)));
    }
    chunked.push_str("0\r\n\r\n");
    let answer = kit.send(chunked.as_bytes());
    // What is still on its way when the connection closes may take the answer with it.
    assert!(matches!(answer.status, 0 | 413), "{answer:?}");
    // Nor is a length believed that nobody could send.
    let lied = format!(
        "POST {CREATE} HTTP/1.1\r\nHost: x\r\n{}\r\n{JSON}\r\nContent-Length: 99999999999\r\n\r\n{{",
        bearer(OPERATOR)
    );
    assert_eq!(kit.send(lied.as_bytes()).status, 413);
    for deep in [
        format!(r#"{{"path":{}"#, "[".repeat(10_000)),
        format!("{}{}", r#"{"a":"#.repeat(10_000), "1"),
        "[".repeat(500_000),
    ] {
        assert_eq!(kit.command("CreateFlake", &[], &deep).problem().0, 413);
        let query = kit.ask("POST", "/v1/acme/queries/GetFlake", &[JSON], &deep);
        assert_eq!(query.problem().0, 413);
    }
    let bytes = b"\xff\xfe\x00";
    let mut request = format!(
        "POST {CREATE} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n{JSON}\r\nContent-Length: 3\r\n\r\n",
        bearer(OPERATOR)
    )
    .into_bytes();
    request.extend_from_slice(bytes);
    assert_eq!(kit.send(&request).problem().0, 400);
    kit.assert_ready();
}

#[test]
fn paths_lead_nowhere() {
    let kit = Kit::new();
    for path in [
        "/../../etc/passwd",
        "/v1/../../etc/passwd",
        "/v1/acme/../../../etc/passwd",
        "/v1/acme/%2e%2e/%2e%2e/etc/passwd",
        "/v1/acme/flakes/..%2f..%2f..%2fetc%2fpasswd",
        "/operations/../etc/passwd",
        "/operations/style.css/../../Cargo.toml",
        "//etc/passwd",
        "/v1/acme/flakes/%00",
        "/v1/acme/flakes/%ff",
        "/v1/acme/events/%0d%0aSet-Cookie:%20a=b",
    ] {
        let answer = kit.get(path);
        assert!(matches!(answer.status, 400 | 404 | 403), "{path}: {answer:?}");
        assert!(!answer.text().contains("root:"), "{path}");
        assert!(answer.header("set-cookie").is_none(), "{path}");
    }
    // Names that would lead out of a folder are none of the domain's.
    for (command, body) in [
        ("CreateModule", r#"{"name":"../../etc/passwd","module":{"name":"x"}}"#),
        ("CreateModule", r#"{"project":"../..","name":"/etc/passwd","module":{}}"#),
        ("DeleteOverlay", r#"{"project":"/p","name":"../../x"}"#),
        ("AddFlakeInput", r#"{"path":"/fleet","name":"../x","url":"github:a/b"}"#),
        ("RenameSymbol", r#"{"path":"/p","file":"../../../etc/passwd","offset":0,"to":"x"}"#),
    ] {
        let answer = kit.command(command, &[], body);
        assert!(matches!(answer.status, 400 | 422), "{command} {body}: {}", answer.text());
    }
    assert_eq!(kit.get("/v1/acme/events").json()["head"], 0);
    kit.assert_ready();
}

#[test]
fn heads_that_no_honest_client_writes() {
    let kit = Kit::new();
    let get = |more: &str| {
        let text = format!(
            "GET /v1/acme/flakes HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n{more}\r\n",
            bearer(OPERATOR)
        );
        kit.send(text.as_bytes())
    };
    assert_eq!(get("").status, 200);
    let many: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
    assert_eq!(get(&many).status, 431);
    assert_eq!(get(&format!("X-Long: {}\r\n", "y".repeat(20_000))).problem().0, 431);
    assert!(matches!(get(&format!("X-Long: {}\r\n", "y".repeat(300_000))).status, 0 | 431));
    assert!(matches!(get("X-Bare: a\rb\r\n").status, 0 | 400));
    assert!(matches!(get("X-Zero: a\0b\r\n").status, 0 | 400));
    assert!(matches!(get("X-Folded: a\r\n b\r\n").status, 0 | 400));
    assert!(matches!(get("Bad Name: a\r\n").status, 0 | 400));
    assert_eq!(get("Host: y\r\n").status, 400);
    let long = format!("/v1/acme/flakes?prefix={}", "x".repeat(9_000));
    assert_eq!(kit.get(&long).problem().0, 414);
    // What stands in headers of a request stands in none of the answer unless it is an id.
    let id = kit.ask("GET", "/v1/acme/flakes", &["X-Correlation-ID: a%0d%0aSet-Cookie: b"], "");
    assert_eq!(id.problem().0, 400);
    for text in [
        "",
        "\r\n\r\n",
        "hello\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "\u{16}\u{3}\u{1}",
    ] {
        assert!(matches!(kit.send_and_close(text.as_bytes()).status, 0 | 400), "{text:?}");
    }
    assert!(matches!(kit.ask("TRACE", "/v1/acme/flakes", &[], "").status, 405));
    let connect =
        format!("CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n{}\r\n\r\n", bearer(OPERATOR));
    assert!(matches!(kit.send_and_close(connect.as_bytes()).status, 0 | 400..=405));
    for (name, _) in kit.get("/version").headers() {
        assert!(name != "server" && name != "x-powered-by", "{name}");
    }
    kit.assert_ready();
}

#[test]
fn one_request_is_not_two() {
    let kit = Kit::new();
    let inner = format!(
        "POST {CREATE} HTTP/1.1\r\nHost: x\r\n{}\r\n{JSON}\r\nContent-Length: {}\r\n\r\n{FLAKE}",
        bearer(OPERATOR),
        FLAKE.len()
    );
    let shapes = [
        format!("Content-Length: {}\r\nTransfer-Encoding: chunked", inner.len() + 5),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {}", inner.len() + 5),
        format!("Content-Length: 0\r\nContent-Length: {}", inner.len() + 5),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity".to_owned(),
        "Transfer-Encoding: xchunked".to_owned(),
        "Transfer-Encoding: identity, chunked, identity".to_owned(),
        "Content-Length: +5".to_owned(),
        "Content-Length: 0x5".to_owned(),
        "Content-Length : 5".to_owned(),
    ];
    for shape in shapes {
        let text = format!(
            "POST /v1/acme/queries/ListFlakes HTTP/1.1\r\nHost: x\r\n{JSON}\r\n{shape}\r\n\r\n0\r\n\r\n{inner}"
        );
        let answer = kit.send_and_close(text.as_bytes());
        assert!(matches!(answer.status, 0 | 400 | 401 | 501), "{shape}: {answer:?}");
        assert_eq!(kit.get("/v1/acme/events").json()["head"], 0, "{shape}");
    }
}

#[test]
fn a_slow_client_is_left() {
    let settings = Settings { head_seconds: 1, body_seconds: 1, ..Settings::default() };
    let kit = Kit::with(settings, Limits::default());
    let drip = |start: &str| {
        let mut socket = kit.connect();
        socket.write_all(start.as_bytes()).expect("it listens");
        let began = Instant::now();
        let mut writer = socket.try_clone().expect("a second handle");
        let dripping = std::thread::spawn(move || {
            while began.elapsed() < Duration::from_secs(10) && writer.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        let answer = Answer::read(&mut socket);
        let took = began.elapsed();
        drop(socket);
        dripping.join().expect("it ends");
        assert!(took < Duration::from_secs(8), "{took:?}");
        answer.status
    };
    assert!(matches!(drip(""), 0 | 408));
    assert!(matches!(drip("GET / HTTP/1.1\r\nHost: "), 0 | 408));
    let body = format!(
        "POST {CREATE} HTTP/1.1\r\nHost: x\r\n{}\r\n{JSON}\r\nContent-Length: 1000\r\n\r\n",
        bearer(OPERATOR)
    );
    assert_eq!(drip(&body), 408);
    // One that says nothing at all, and one that is idle after a request.
    let began = Instant::now();
    assert_eq!(kit.send(b"").status, 0);
    let idle = format!("GET /version HTTP/1.1\r\nHost: x\r\n{}\r\n\r\n", bearer(OPERATOR));
    assert_eq!(kit.send(idle.as_bytes()).status, 200);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    kit.assert_ready();
}

#[test]
fn many_connections_are_too_many() {
    let settings = Settings { connections: 50, connections_per_address: 40, ..Settings::default() };
    let kit = Kit::with(settings, Limits::default());
    let mut idle: Vec<_> = (0..200).map(|_| kit.connect()).collect();
    // Those over the limit are closed at once, before anybody else is held up.
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(kit.ask_as_nobody("GET", "/version", &[], "").status, 0);
    idle.truncate(0);
    std::thread::sleep(Duration::from_millis(500));
    kit.assert_ready();
}

#[test]
fn too_many_requests_are_refused() {
    let limits = Limits { requests_per_second_per_caller: 5, burst: 5, ..Limits::default() };
    let kit = Kit::with(Settings::default(), limits);
    let answers: Vec<Answer> = (0..12).map(|_| kit.get("/v1/acme/flakes")).collect();
    let limited = answers.iter().find(|answer| answer.status == 429).expect("a limit");
    assert_eq!(limited.problem().1, "limited");
    assert!(limited.header("retry-after").is_some());
    // Events count as well.
    let events: Vec<u16> = (0..12).map(|_| kit.get("/v1/acme/events").status).collect();
    assert!(events.contains(&429), "{events:?}");
    // Somebody else is not held up.
    let reader = bearer(READER);
    assert_eq!(kit.ask_as_nobody("GET", "/v1/acme/flakes", &[&reader], "").status, 200);
}
