//! Sources from a server on this machine, with all that can go wrong on the way.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use expect_test::expect;

use crate::sandbox::{Sandbox, stdout};

/// A tar archive with one folder `p-1` that has a `default.nix` with `42`, dated 2024-01-02.
fn archive() -> Vec<u8> {
    let header = |name: &str, size: usize, kind: u8| {
        let mut block = vec![0_u8; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        let mode: &[u8] = if kind == b'5' { b"0000755" } else { b"0000644" };
        block[100..107].copy_from_slice(mode);
        block[108..115].copy_from_slice(b"0000000");
        block[116..123].copy_from_slice(b"0000000");
        block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
        block[136..147].copy_from_slice(format!("{:011o}", 1_704_164_645).as_bytes());
        block[148..156].copy_from_slice(b"        ");
        block[156] = kind;
        block[257..263].copy_from_slice(b"ustar\0");
        block[263..265].copy_from_slice(b"00");
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    };
    let mut bytes = header("p-1/", 0, b'5');
    bytes.extend(header("p-1/default.nix", 3, b'0'));
    let mut content = b"42\n".to_vec();
    content.resize(512, 0);
    bytes.extend(content);
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// A server that answers what its paths say.
pub(crate) struct Server {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let server = Self { url, seen: seen.clone() };
        let count = AtomicUsize::new(0);
        // The thread ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                answer(stream, &seen, &count);
            }
        });
        server
    }

    fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, seen: &Mutex<Vec<String>>, count: &AtomicUsize) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let path = line.split(' ').nth(1).unwrap_or("/").to_owned();
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let get = |name: &str| headers.get(name).cloned().unwrap_or_default();
    seen.lock().unwrap().push(format!(
        "{path} range={} auth={}",
        get("range"),
        get("authorization")
    ));
    let n = count.fetch_add(1, Ordering::SeqCst);
    let (status, body) = match path.as_str() {
        "/repos/o/r/commits/HEAD" => {
            (200, b"{\"sha\":\"0123456789012345678901234567890123456789\"}".to_vec())
        }
        "/api/v4/projects/o%2Fr/repository/commits?ref_name=HEAD" => {
            (200, b"[{\"id\":\"1123456789012345678901234567890123456789\"}]".to_vec())
        }
        "/~o/r/HEAD" => (200, b"ref: refs/heads/main\n".to_vec()),
        "/~o/r/info/refs" => {
            let refs = "9123456789012345678901234567890123456789\trefs/heads/dev\n2123456789012345678901234567890123456789\trefs/heads/main\n";
            (200, refs.as_bytes().to_vec())
        }
        "/busy.tar" if n < 2 => (503, Vec::new()),
        "/hello.txt" => (200, b"hello\n".to_vec()),
        path if path.ends_with(".tar")
            || path.contains("/tarball/")
            || path.contains(".tar.gz") =>
        {
            (200, archive())
        }
        _ => (404, Vec::new()),
    };
    let start: usize =
        get("range").strip_prefix("bytes=").map_or(0, |r| r.trim_end_matches('-').parse().unwrap());
    let status = if start > 0 { 206 } else { status };
    let body = &body[start.min(body.len())..];
    let head = format!(
        "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let end = if path == "/cut.tar" && start == 0 { 600 } else { body.len() };
    let _ = stream.write_all(&body[..end.min(body.len())]);
}

fn value(sandbox: &Sandbox, server: &Server, expr: &str, more: &[&str]) -> String {
    let mut command = sandbox.command("eval --impure");
    command.args(["--option", "flake-registry", "", "-E", expr]).args(more);
    command.env("CIM_NIX_GITHUB_URL", &server.url);
    let output = command.output().unwrap();
    let text = format!("{}{}", stdout(&output), String::from_utf8_lossy(&output.stderr));
    text.trim_end().replace(&server.url, "[server]")
}

const HASH: &str = "sha256-XNq5+jE+s2lutMbBTe4WUmi3wV9DDt72jqn20cmwGvU=";

#[test]
fn archives_are_unpacked_and_their_hash_is_that_of_nix() {
    let (sandbox, server) = (Sandbox::new(""), Server::start());
    let url = &server.url;
    assert_eq!(
        value(&sandbox, &server, &format!("import (fetchTarball \"{url}/p.tar\")"), &[]),
        "42"
    );
    let hash =
        value(&sandbox, &server, &format!("(builtins.fetchTree \"{url}/p.tar\").narHash"), &[]);
    assert_eq!(hash, format!("\"{HASH}\""));
    let known = format!("import (fetchTarball {{ url = \"{url}/q.tar\"; sha256 = \"{HASH}\"; }})");
    let before = server.requests().len();
    // What has this hash is there already, whatever it was called.
    assert_eq!(value(&sandbox, &server, &known, &["--offline"]), "42");
    assert_eq!(server.requests().len(), before);
    let date = format!("(builtins.fetchTree \"{url}/p.tar\").lastModifiedDate");
    assert_eq!(value(&sandbox, &server, &date, &[]), "\"20240102030405\"");
}

#[test]
fn a_wrong_hash_is_told_and_not_kept() {
    let (sandbox, server) = (Sandbox::new(""), Server::start());
    let wrong = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let expr = format!("fetchTarball {{ url = \"{}/p.tar\"; sha256 = \"{wrong}\"; }}", server.url);
    for _ in 0..2 {
        let said = value(&sandbox, &server, &expr, &[]);
        assert!(said.contains("hash mismatch in file downloaded from '[server]/p.tar'"), "{said}");
        assert!(
            said.contains("specified: sha256:0000000000000000000000000000000000000000000000000000"),
            "{said}"
        );
    }
    let expr = format!(
        "builtins.fetchurl {{ url = \"{}/hello.txt\"; sha256 = \"{wrong}\"; }}",
        server.url
    );
    let said = value(&sandbox, &server, &expr, &[]);
    assert!(said.contains("hash mismatch in file downloaded from"), "{said}");
}

#[test]
fn a_cut_connection_is_gone_on_with() {
    let (sandbox, server) = (Sandbox::new(""), Server::start());
    let expr = format!("import (fetchTarball \"{}/cut.tar\")", server.url);
    let said = value(&sandbox, &server, &expr, &[]);
    assert!(said.starts_with("42"), "{said}");
    let requests = server.requests();
    assert!(requests.iter().any(|request| request.contains("range=bytes=600-")), "{requests:?}");
}

#[test]
fn a_busy_server_is_asked_again_and_a_missing_file_is_not() {
    let (sandbox, server) = (Sandbox::new(""), Server::start());
    let busy = format!("import (fetchTarball \"{}/busy.tar\")", server.url);
    let said = value(&sandbox, &server, &busy, &[]);
    assert!(said.starts_with("42") && said.contains("HTTP error 503; retrying"), "{said}");
    let before = server.requests().len();
    let gone = format!("fetchTarball \"{}/gone\"", server.url);
    let said = value(&sandbox, &server, &gone, &[]);
    assert!(said.contains("unable to download '[server]/gone': HTTP error 404"), "{said}");
    assert_eq!(server.requests().len(), before + 1);
    let said = value(&sandbox, &server, &gone, &["--offline"]);
    assert!(said.contains("because of '--offline'"), "{said}");
    let said = value(&sandbox, &server, "fetchTarball \"http://127.0.0.1:1/x\"", &["--offline"]);
    assert!(said.contains("because of '--offline'"), "{said}");
}

#[test]
fn hosted_repositories_need_no_git_and_take_tokens() {
    let (sandbox, server) = (Sandbox::new(""), Server::start());
    let tokens =
        ["--option", "access-tokens", "github.com=one github.com/o=two github.com/x=three"];
    let expr = "let t = builtins.fetchTree { type = \"github\"; owner = \"o\"; repo = \"r\"; }; in [ (import t.outPath) t.rev ]";
    let said = value(&sandbox, &server, expr, &tokens);
    assert_eq!(said, "[ 42 \"0123456789012345678901234567890123456789\" ]");
    let requests = server.requests();
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert!(requests.iter().all(|request| request.ends_with("auth=Bearer two")), "{requests:?}");
    // What the branch was at is known for a while.
    let again = [&tokens[..], &["--offline"]].concat();
    assert_eq!(value(&sandbox, &server, expr, &again), said);
    let fresh = [&tokens[..], &["--refresh"]].concat();
    assert_eq!(value(&sandbox, &server, expr, &fresh), said);
    assert_eq!(server.requests().len(), 3, "{:?}", server.requests());
}

#[test]
fn passwords_come_from_netrc() {
    let (sandbox, server) = (Sandbox::new(""), Server::start());
    sandbox.write("netrc", "machine 127.0.0.1 login u password p\n");
    let netrc = sandbox.project().join("netrc");
    let expr = format!("builtins.readFile (builtins.fetchurl \"{}/hello.txt\")", server.url);
    let said =
        value(&sandbox, &server, &expr, &["--option", "netrc-file", &netrc.to_string_lossy()]);
    assert_eq!(said, "\"hello\\n\"");
    assert!(server.requests()[0].ends_with("auth=Basic dTpw"), "{:?}", server.requests());
}

#[test]
fn registries_give_names_to_flakes() {
    let (sandbox, server) = (Sandbox::new(""), Server::start());
    sandbox.write("x/flake.nix", "{ outputs = { self }: { y = 7; }; }");
    let registry = format!(
        r#"{{"version":2,"flakes":[{{"from":{{"type":"indirect","id":"mine"}},"to":{{"type":"path","path":"{}"}}}}]}}"#,
        sandbox.project().join("x").display()
    );
    sandbox.write("registry.json", registry);
    let file = sandbox.project().join("registry.json");
    let file = file.to_string_lossy();
    let with = ["--option", "flake-registry", &*file];
    assert_eq!(value(&sandbox, &server, "(builtins.getFlake \"mine\").y", &with), "7");
    let said = value(&sandbox, &server, "builtins.getFlake \"other\"", &with);
    assert!(said.contains("cannot find flake 'flake:other' in the flake registries"), "{said}");
}

/// Files in a folder, served over HTTPS with a certificate that only its own authority vouches for.
struct Secure {
    server: Child,
    port: u16,
}

impl Drop for Secure {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Secure {
    /// Nothing where there is no `openssl`.
    fn start(sandbox: &Sandbox) -> Option<Self> {
        let folder = sandbox.project();
        sandbox.write("leaf.cnf", "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n");
        let openssl = |line: &str| {
            let mut command = Command::new("openssl");
            command.args(line.split_whitespace()).current_dir(&folder);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        for line in [
            "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 2",
            "req -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj /CN=localhost",
            "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out leaf.pem -days 2 -extfile leaf.cnf",
        ] {
            match openssl(line).status() {
                Ok(status) => assert!(status.success(), "openssl {line}"),
                Err(error) => {
                    crate::judge::skipped(&format!("no `openssl`: {error}"));
                    return None;
                }
            }
        }
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let line = format!("s_server -accept 127.0.0.1:{port} -WWW -cert leaf.pem -key leaf.key");
        let server = openssl(&line).spawn().unwrap();
        for _ in 0..100 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(Self { server, port })
    }
}

#[test]
fn certificates_to_trust_can_be_named() {
    let sandbox = Sandbox::new("\n//- hello.txt\nhello\n");
    let Some(server) = Secure::start(&sandbox) else { return };
    let ca = sandbox.project().join("ca.pem");
    let ca = &*ca.to_string_lossy();
    let fetch = |option: &[&str], variable: Option<&str>| {
        let mut command = sandbox.command("eval --impure --option tarball-ttl 0");
        let url = format!("https://localhost:{}/hello.txt", server.port);
        command.args(["-E", &format!("builtins.readFile (builtins.fetchurl \"{url}\")")]);
        command.args(option).envs(variable.map(|path| ("NIX_SSL_CERT_FILE", path)));
        let output = command.output().unwrap();
        format!("{}{}", stdout(&output), String::from_utf8_lossy(&output.stderr))
    };
    let said = fetch(&[], None);
    assert!(said.contains("missing in ssl-cert-file?"), "{said}");
    assert!(!said.contains("retrying"), "{said}");
    assert_eq!(fetch(&[], Some(ca)), "\"hello\\n\"\n");
    assert_eq!(fetch(&["--option", "ssl-cert-file", ca], Some("/nowhere")), "\"hello\\n\"\n");
    let said = fetch(&[], Some("/nowhere"));
    assert!(said.contains("cannot read certificates from '/nowhere'"), "{said}");
}

/// Where no host is asked but the one that is named, lock files are as for the real ones.
#[test]
fn hosted_inputs_are_locked_from_other_places() {
    let (sandbox, server) = (Sandbox::new(""), Server::start());
    sandbox.write(
        "flake.nix",
        r#"{
          inputs.hub = { url = "github:o/r"; flake = false; };
          inputs.lab = { url = "gitlab:o/r"; flake = false; };
          inputs.hut = { url = "sourcehut:~o/r"; flake = false; };
          outputs = inputs: { x = import inputs.hub + import inputs.hut; };
        }"#,
    );
    let run = |args: &str| {
        let mut command = sandbox.command(args);
        for kind in ["GITHUB", "GITLAB", "SOURCEHUT"] {
            command.env(format!("CIM_NIX_{kind}_URL"), &server.url);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        stdout(&output)
    };
    expect![[r#"
        created `flake.lock`:
        • Added input 'hub':
            'github:o/r/0123456789012345678901234567890123456789?narHash=sha256-XNq5%2BjE%2Bs2lutMbBTe4WUmi3wV9DDt72jqn20cmwGvU%3D' (2024-01-02)
        • Added input 'hut':
            'sourcehut:~o/r/2123456789012345678901234567890123456789?narHash=sha256-XNq5%2BjE%2Bs2lutMbBTe4WUmi3wV9DDt72jqn20cmwGvU%3D' (2024-01-02)
        • Added input 'lab':
            'gitlab:o/r/1123456789012345678901234567890123456789?narHash=sha256-XNq5%2BjE%2Bs2lutMbBTe4WUmi3wV9DDt72jqn20cmwGvU%3D' (2024-01-02)
    "#]]
    .assert_eq(&run("flake lock"));
    expect![[r#"
        {
          "nodes": {
            "hub": {
              "flake": false,
              "locked": {
                "lastModified": 1704164645,
                "narHash": "sha256-XNq5+jE+s2lutMbBTe4WUmi3wV9DDt72jqn20cmwGvU=",
                "owner": "o",
                "repo": "r",
                "rev": "0123456789012345678901234567890123456789",
                "type": "github"
              },
              "original": {
                "owner": "o",
                "repo": "r",
                "type": "github"
              }
            },"#]]
    .assert_eq(sandbox.read("flake.lock").split_once("\n    \"hut\"").unwrap().0);
    assert_eq!(run("eval .#x"), "84\n");
    // Names are asked for anew each time, and archives of commits are never asked for again.
    let before = server.requests().len();
    assert_eq!(run("flake update"), "`flake.lock` is as it should be\n");
    let later = server.requests().split_off(before);
    let mut paths: Vec<&str> = later.iter().map(|line| line.split(' ').next().unwrap()).collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        [
            "/api/v4/projects/o%2Fr/repository/commits?ref_name=HEAD",
            "/repos/o/r/commits/HEAD",
            "/~o/r/HEAD",
            "/~o/r/info/refs"
        ]
    );
}
