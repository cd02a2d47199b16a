//! Two tenants on one service, one of whom attacks; what they must not see; and clients that write
//! bytes as they please.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cim_nix_rig::{Nats, Setup};
use nkeys::{KeyPair, KeyPairType};
use serde_json::{Value, json};

use crate::scene::{ENVIRONMENT, Scene};

/// What stands in files, events and settings that the attacker must not see.
pub(crate) const CANARY: &str = "canary-7f3a9c41";
/// The tenant that is attacked. Its name is no business of the other one.
pub(crate) const VICTIM: &str = "umbrella";
const PASSWORD: &str = "hunter2-of-";

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Who {
    /// May send commands, in `acme`.
    Operator,
    /// May ask, in `acme`.
    Reader,
    /// May send commands, in the other tenant.
    Victim,
    /// Has no token.
    Nobody,
}

impl Who {
    const KNOWN: [Self; 3] = [Self::Operator, Self::Reader, Self::Victim];

    fn tenant(self) -> &'static str {
        if self == Self::Victim { VICTIM } else { "acme" }
    }

    fn role(self) -> &'static str {
        if self == Self::Reader { "reader" } else { "operator" }
    }

    pub(crate) fn token(self) -> String {
        let digit = match self {
            Self::Operator => 'a',
            Self::Reader => 'b',
            Self::Victim => 'c',
            Self::Nobody => return String::new(),
        };
        format!("cimnix_{}", String::from(digit).repeat(64))
    }

    pub(crate) fn authorization(self) -> String {
        match self {
            Self::Nobody => String::new(),
            _ => format!("Authorization: Bearer {}\r\n", self.token()),
        }
    }

    /// Who it is for NATS.
    pub(crate) fn user(self) -> String {
        format!("{}-{}", self.tenant(), self.role())
    }
}

/// How tenants are kept apart on NATS, and how users show who they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Walls {
    /// An account for each tenant, and passwords.
    Accounts,
    /// One account for all of them, a token in subjects, and NKeys.
    Subjects,
}

/// What stands before all subjects where tenants share an account.
const PREFIX: &str = "prod";

/// The NKey of a user, the same each time.
fn nkey(user: &str) -> KeyPair {
    let mut seed = [7; 32];
    for (at, byte) in user.bytes().enumerate() {
        seed[at % 32] ^= byte;
    }
    KeyPair::new_from_raw(KeyPairType::User, seed).expect("32 bytes are a seed")
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    /// The status over HTTP, `code` or `success` over NATS; `closed`, `silence`, `denied`.
    pub(crate) kind: String,
    /// All that was said.
    pub(crate) text: String,
}

impl Got {
    pub(crate) fn new(kind: impl Into<String>, text: impl Into<String>) -> Self {
        Self { kind: kind.into(), text: text.into() }
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        let body = self.text.split_once("\r\n\r\n").map_or(&*self.text, |(_, body)| body);
        let body = body.trim();
        let (start, end) = (body.find('{').unwrap_or(0), body.rfind('}').map_or(0, |it| it + 1));
        serde_json::from_str(body.get(start..end).unwrap_or_default()).unwrap_or(Value::Null)
    }
}

pub(crate) struct World {
    pub(crate) scene: Scene,
    pub(crate) nats: Nats,
    walls: Walls,
}

impl World {
    /// A world whose configuration ends with `more`; `None`, said aloud, where there is no NATS.
    pub(crate) fn new(more: &str) -> Option<Self> {
        Self::with("", more)
    }

    /// The same, with further lines in the sections `[http]`.
    pub(crate) fn with(http: &str, more: &str) -> Option<Self> {
        Self::between(Walls::Accounts, http, more)
    }

    /// The same, with tenants kept apart in another way.
    pub(crate) fn between(walls: Walls, http: &str, more: &str) -> Option<Self> {
        let mut scene = Scene::new("");
        lay_out(&scene);
        let mut config = String::from(
            "[limits]\ncommand-seconds = 20\neffect-seconds = 20\n[nats]\nservers = [\"SERVER\"]\n",
        );
        match walls {
            Walls::Accounts => {
                for tenant in ["acme", VICTIM] {
                    config.push_str(&format!(
                        "[nats.accounts.{tenant}]\nuser = \"{tenant}-service\"\n\
                         password = \"{PASSWORD}{tenant}-service\"\n"
                    ));
                }
            }
            Walls::Subjects => {
                let seed = nkey("cim-nix-service").seed().expect("it has one");
                fs::write(scene.path("service.nk"), seed).expect("the folder is ours");
                config.push_str(&format!(
                    "tenants-by = \"token\"\nprefix = \"{PREFIX}\"\n[nats.login]\nnkey-file = {:?}\n\
                     inbox-prefix = \"_INBOX.cim-nix-service\"\n",
                    scene.path("service.nk")
                ));
            }
        }
        config.push_str("[nats.stream]\ncreate = true\n");
        for tenant in ["acme", VICTIM] {
            let at = |name: &str| format!("{:?}", scene.path(name));
            config.push_str(&format!(
                "[[tenant]]\nname = \"{tenant}\"\nfolder = {}\n[tenant.worker]\nnix = true\n\
                 seconds = 4\nmemory-mib = 300\nprofiles = [{}]\noutputs = [{}]\n\
                 [tenant.worker.nix-environment]\nNIX_STORE_DIR = {}\nNIX_STATE_DIR = {}\n\
                 NIX_LOG_DIR = {}\nNIX_CONF_DIR = {}\n",
                at(tenant),
                at("profiles"),
                at("outputs"),
                at("nix/store"),
                at("nix/var"),
                at("nix/log"),
                at("nix/conf"),
            ));
        }
        for who in Who::KNOWN {
            let hash = scene.cli_with_input(&["token", "hash"], &who.token());
            config.push_str(&format!(
                "[[token]]\nname = \"{}\"\nrole = \"{}\"\ntenants = [\"{}\"]\nsha256 = \"{}\"\n",
                who.user(),
                who.role(),
                who.tenant(),
                String::from_utf8(hash.stdout).expect("text").trim()
            ));
        }
        let write = |server: &str| {
            let text = format!(
                "state = {:?}\n[http]\nlisten = \"127.0.0.1:{}\"\nhead-seconds = 2\nbody-seconds = 2\n\
                 connections = 200\nconnections-per-address = 64\n{http}\n{}{more}",
                scene.path("state"),
                scene.port,
                config.replace("SERVER", server)
            );
            fs::write(scene.path("server.toml"), text).expect("the folder is ours");
        };
        write("nats://127.0.0.1:4222");
        let accounts = scene.cli(&["nats", "permissions", "--config", "server.toml"]);
        let said = String::from_utf8_lossy(&accounts.stderr).into_owned();
        let accounts = String::from_utf8(accounts.stdout).expect("text");
        assert!(accounts.contains("CHANGE-ME-acme-reader"), "{accounts} {said}");
        let accounts = match walls {
            Walls::Accounts => accounts.replace("CHANGE-ME-", PASSWORD),
            Walls::Subjects => with_nkeys(&accounts),
        };
        let nats = Nats::start(Setup::jetstream().with(&accounts))?;
        write(&nats.url());
        scene.start_and(|scene| {
            request(scene.port, &get(Who::Nobody, "/health/ready")).kind == "200"
        });
        let world = Self { scene, nats, walls };
        world.be_lived_in();
        Some(world)
    }

    /// What each tenant has before anything is tried.
    fn be_lived_in(&self) {
        let fleet = |who: Who, description: &str| {
            let folder = self.folder(who).join("fleet").display().to_string();
            let body = json!({ "path": folder, "description": description });
            let made = self.command(who, "CreateFlake", "", &body.to_string());
            assert_eq!(made.kind, "200", "{made:?} {}", self.scene.log());
        };
        fleet(Who::Operator, "machines");
        fleet(Who::Victim, CANARY);
    }

    /// The folder of somebody's tenant.
    pub(crate) fn folder(&self, who: Who) -> PathBuf {
        self.scene.path(who.tenant()).canonicalize().expect("it is there")
    }

    /// A path in the folder beside all tenants.
    pub(crate) fn outside(&self, name: &str) -> String {
        let folder = self.scene.path("outside").canonicalize().expect("it is there");
        folder.join(name).display().to_string()
    }

    /// Sends bytes over HTTP and reads until the end.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Got {
        request(self.scene.port, bytes)
    }

    pub(crate) fn get(&self, who: Who, path: &str) -> Got {
        self.bytes(&get(who, path))
    }

    pub(crate) fn post(&self, who: Who, path: &str, headers: &str, body: &str) -> Got {
        self.bytes(&post(who, path, headers, body))
    }

    pub(crate) fn command(&self, who: Who, command: &str, headers: &str, body: &str) -> Got {
        let headers = format!("Content-Type: application/json\r\n{headers}");
        self.post(who, &format!("/v1/{}/commands/{command}", who.tenant()), &headers, body)
    }

    /// A connection to the NATS server.
    pub(crate) fn wire(&self, who: Who) -> Wire {
        Wire::connect(self.nats.port(), who, self.walls)
    }

    /// Asks over NATS.
    pub(crate) fn ask(&self, who: Who, subject: &str, headers: &str, body: &str) -> Got {
        self.wire(who).ask(subject, headers, body.as_bytes())
    }

    /// How many events a tenant has.
    pub(crate) fn head(&self, who: Who) -> u64 {
        let got = self.get(who, &format!("/v1/{}/events?limit=1", who.tenant()));
        got.json()["head"].as_u64().unwrap_or_else(|| panic!("no head: {got:?}"))
    }

    pub(crate) fn state(&self) -> Before {
        let heads = [self.head(Who::Operator), self.head(Who::Victim)];
        let mut files = BTreeMap::new();
        for folder in ["outside", VICTIM, "profiles", "outputs"] {
            list(&self.scene.path(folder), &mut files);
        }
        Before { heads, files }
    }

    /// What holds after everything that anybody tries.
    pub(crate) fn check(&self, row: &str, before: &Before, records: bool, got: &Got) {
        let said = |what: &str| format!("{row}: {what}: {got:?}\n{}", self.scene.log());
        let ready = self.get(Who::Nobody, "/health/ready");
        assert_eq!(ready.kind, "200", "{}", said(&ready.text));
        for who in Who::KNOWN {
            let began = Instant::now();
            let path = format!("/v1/{}/flakes", who.tenant());
            let good = self.get(who, &path);
            assert_eq!(good.kind, "200", "{}", said(&good.text));
            assert!(began.elapsed() < Duration::from_secs(5), "{}", said("it takes long"));
        }
        for who in [Who::Reader, Who::Victim] {
            let good = self.ask(who, "nix.query.flake.list", "", "{}");
            assert_eq!(good.kind, "success", "{}", said(&good.text));
        }
        let now = self.state();
        assert_eq!(now.files, before.files, "{}", said("files that are not the tenant's"));
        assert_eq!(now.heads[1], before.heads[1], "{}", said("events of the other tenant"));
        if !records {
            assert_eq!(now.heads[0], before.heads[0], "{}", said("events"));
        }
        let seen = [
            ("reply", got.text.clone()),
            ("events", self.get(Who::Operator, "/v1/acme/events?limit=1000").text),
            ("metrics", self.get(Who::Operator, "/metrics").text),
            ("page", self.get_page(Who::Operator)),
            ("readiness", self.get(Who::Operator, "/health/ready").text),
            ("readiness for nobody", ready.text),
        ];
        let seed = nkey("cim-nix-service").seed().expect("it has one");
        let secrets = [CANARY, ENVIRONMENT.1, PASSWORD, "cimnix_aaa", "cimnix_ccc", &seed];
        for (place, text) in seen {
            for secret in secrets.into_iter().chain([VICTIM]) {
                // What somebody has sent may be said to them again, and is in what they did.
                let is_own = ["reply", "events"].contains(&place) && secret == VICTIM;
                assert!(is_own || !text.contains(secret), "{row}: {secret} is in {place}: {text}");
            }
        }
        for secret in secrets {
            assert!(!self.scene.log().contains(secret), "{}", said("the log has a secret"));
        }
    }

    /// The operations page, with the refusals.
    fn get_page(&self, who: Who) -> String {
        let got = self.get(who, "/");
        assert_eq!(got.kind, "200", "{got:?}");
        got.text
    }
}

/// What there is before something is tried.
pub(crate) struct Before {
    heads: [u64; 2],
    files: BTreeMap<String, Vec<u8>>,
}

impl Before {
    /// Takes what the other tenant has done itself.
    pub(crate) fn accept_victim(&mut self, world: &World) {
        self.heads[1] = world.head(Who::Victim);
    }
}

/// The permissions that were printed, with NKeys in the place of passwords.
fn with_nkeys(accounts: &str) -> String {
    let mut out = String::new();
    for line in accounts.lines() {
        match (line.trim().strip_prefix("user: "), line.trim().starts_with("password: ")) {
            (Some(user), _) => out.push_str(&format!("nkey: {}\n", nkey(user).public_key())),
            (None, true) => {}
            (None, false) => out.push_str(&format!("{line}\n")),
        }
    }
    assert!(!out.contains("CHANGE-ME"), "{out}");
    out
}

/// Folders of tenants, and files that are nobody's business.
fn lay_out(scene: &Scene) {
    for folder in ["acme", VICTIM, "outside", "profiles", "outputs", "nix/conf"] {
        fs::create_dir_all(scene.path(folder)).expect("the folder is ours");
    }
    let secret = format!("\"{CANARY}\"\n");
    for file in ["outside/secret.nix", "secret.nix", &format!("{VICTIM}/secret.nix")] {
        fs::write(scene.path(file), &secret).expect("the folder is ours");
    }
    let flake = format!("{{ outputs = _: {{ x = \"{CANARY}\"; templates.x = ./.; }}; }}\n");
    fs::write(scene.path("outside/flake.nix"), flake).expect("the folder is ours");
    fs::write(
        scene.path("nix/conf/nix.conf"),
        "sandbox = false\nbuild-users-group =\nsubstitute = false\nexperimental-features = nix-command flakes\n",
    )
    .expect("the folder is ours");
    // Links that were there before anybody looked.
    symlink("../outside", scene.path("acme/away")).expect("the folder is ours");
    symlink("../secret.nix", scene.path("acme/link.nix")).expect("the folder is ours");
}

fn list(folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).expect("it is there").flatten() {
        let path = entry.path();
        match entry.file_type().is_ok_and(|it| it.is_dir()) {
            true => list(&path, files),
            false => {
                drop(files.insert(path.display().to_string(), fs::read(&path).unwrap_or_default()));
            }
        }
    }
}

pub(crate) fn get(who: Who, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n", who.authorization())
        .into_bytes()
}

pub(crate) fn post(who: Who, path: &str, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}{headers}Content-Length: {}\r\n\r\n{body}",
        who.authorization(),
        body.len()
    )
    .into_bytes()
}

/// Sends bytes, and reads until the other end closes or says nothing for long.
pub(crate) fn request(port: u16, bytes: &[u8]) -> Got {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return Got::new("closed", "");
    };
    let sent = stream.write_all(bytes);
    let got = read(&mut stream);
    match (sent, got.kind.as_str()) {
        (Err(_), "silence") => Got::new("closed", got.text),
        _ => got,
    }
}

/// Reads an answer to the end of the connection.
pub(crate) fn read(stream: &mut TcpStream) -> Got {
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time above zero");
    let mut answer = Vec::new();
    let mut buffer = [0; 16 << 10];
    let is_silent = loop {
        match stream.read(&mut buffer) {
            Ok(0) => break false,
            Ok(n) => answer.extend_from_slice(&buffer[..n]),
            Err(error) => {
                break matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
            }
        }
    };
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).map(str::to_owned);
    match (status, is_silent) {
        (Some(status), _) => Got::new(status, text),
        (None, true) => Got::new("silence", text),
        (None, false) => Got::new("closed", text),
    }
}

/// A client of NATS that says what it likes.
pub(crate) struct Wire {
    stream: TcpStream,
    heard: Vec<u8>,
    pub(crate) user: String,
    tenant: &'static str,
    walls: Walls,
}

impl Wire {
    fn connect(port: u16, who: Who, walls: Walls) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server is up");
        let user = who.user();
        let tenant = who.tenant();
        let mut wire = Self { stream, heard: Vec::new(), user: user.clone(), tenant, walls };
        let info = wire.hear_until("\r\n", Duration::from_secs(10));
        let mut hello = json!({
            "verbose": false, "pedantic": false, "headers": true, "no_responders": true,
            "lang": "none", "version": "0",
        });
        match walls {
            Walls::Accounts => {
                hello["user"] = json!(user);
                hello["pass"] = json!(format!("{PASSWORD}{user}"));
            }
            Walls::Subjects => {
                let info = info.trim().strip_prefix("INFO ").expect("it says who it is");
                let info: Value = serde_json::from_str(info).expect("JSON");
                let nonce = info["nonce"].as_str().expect("something to be signed");
                let key = nkey(&user);
                let signed = key.sign(nonce.as_bytes()).expect("it has its seed");
                hello["nkey"] = json!(key.public_key());
                hello["sig"] = json!(url_base64(&signed));
            }
        }
        wire.heard.clear();
        wire.say(format!("CONNECT {hello}\r\nSUB _INBOX.{user}.> 1\r\nPING\r\n").as_bytes());
        let heard = wire.hear_until("PONG", Duration::from_secs(10));
        assert!(heard.contains("PONG"), "{heard}");
        wire.heard.clear();
        wire
    }

    /// A subject as it is on the wire: that of a tenant has what keeps tenants apart before it.
    pub(crate) fn subject(&self, subject: &str) -> String {
        let is_of_domain = |subject: &str| {
            ["nix.", "health.", "discovery.", "metrics."].iter().any(|it| subject.starts_with(it))
        };
        let of_victim = subject.strip_prefix(VICTIM).and_then(|rest| rest.strip_prefix('.'));
        match (self.walls, of_victim) {
            (Walls::Subjects, Some(_)) => format!("{PREFIX}.{subject}"),
            (Walls::Subjects, None) if is_of_domain(subject) => {
                format!("{PREFIX}.{}.{subject}", self.tenant)
            }
            _ => subject.to_owned(),
        }
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) {
        // A server that has hung up has said why.
        let _ = self.stream.write_all(bytes);
    }

    /// What was heard until `mark` is in it, or `patience` is over.
    pub(crate) fn hear_until(&mut self, mark: &str, patience: Duration) -> String {
        let end = Instant::now() + patience;
        let mut buffer = [0; 16 << 10];
        loop {
            let text = String::from_utf8_lossy(&self.heard).into_owned();
            let left = end.saturating_duration_since(Instant::now());
            if text.contains(mark) || left.is_zero() {
                return text;
            }
            self.stream.set_read_timeout(Some(left)).expect("a time above zero");
            match self.stream.read(&mut buffer) {
                Ok(n @ 1..) => self.heard.extend_from_slice(&buffer[..n]),
                _ => return text,
            }
        }
    }

    /// Publishes with an inbox of its own for the reply, and waits for that.
    pub(crate) fn ask(&mut self, subject: &str, headers: &str, body: &[u8]) -> Got {
        let reply = format!("_INBOX.{}.1", self.user);
        self.publish(subject, Some(&reply), headers.as_bytes(), body);
        self.say(b"PING\r\n");
        self.reply(Duration::from_secs(40))
    }

    /// Publishes; `headers` are lines with their ends.
    pub(crate) fn publish(
        &mut self,
        subject: &str,
        reply: Option<&str>,
        headers: &[u8],
        body: &[u8],
    ) {
        let subject = self.subject(subject);
        let reply = reply.map_or_else(String::new, |reply| format!("{} ", self.subject(reply)));
        let mut bytes = match headers {
            [] => format!("PUB {subject} {reply}{}\r\n", body.len()).into_bytes(),
            headers => {
                let head = "NATS/1.0\r\n".len() + headers.len() + 2;
                let all = head + body.len();
                let mut bytes =
                    format!("HPUB {subject} {reply}{head} {all}\r\nNATS/1.0\r\n").into_bytes();
                bytes.extend_from_slice(headers);
                bytes.extend_from_slice(b"\r\n");
                bytes
            }
        };
        bytes.extend_from_slice(body);
        bytes.extend_from_slice(b"\r\n");
        self.say(&bytes);
    }

    /// What came: a reply, or that something was not allowed, or nothing.
    pub(crate) fn reply(&mut self, patience: Duration) -> Got {
        let end = Instant::now() + patience;
        loop {
            let text = String::from_utf8_lossy(&self.heard).into_owned();
            if text.contains("Permissions Violation") {
                return Got::new("denied", text);
            }
            if text.contains("-ERR") {
                return Got::new("closed", text);
            }
            if let Some(message) = message(&text) {
                return message;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Got::new("silence", text);
            }
            self.stream.set_read_timeout(Some(left)).expect("a time above zero");
            let mut buffer = [0; 16 << 10];
            match self.stream.read(&mut buffer) {
                Ok(n @ 1..) => self.heard.extend_from_slice(&buffer[..n]),
                Ok(_) => return Got::new("closed", text),
                Err(_) => return Got::new("silence", text),
            }
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// Base64 as URLs have it, without the signs at the end.
fn url_base64(bytes: &[u8]) -> String {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..=chunk.len() {
            out.push(char::from(digits[(bits >> (18 - 6 * at) & 63) as usize]));
        }
    }
    out
}

/// The first message in what was heard, if it is whole.
fn message(text: &str) -> Option<Got> {
    let at = ["HMSG ", "MSG "].iter().filter_map(|mark| text.find(mark)).min()?;
    let (line, rest) = text.get(at..)?.split_once("\r\n")?;
    let words: Vec<&str> = line.split(' ').collect();
    let n_bytes: usize = words.last()?.parse().ok()?;
    let all = rest.get(..n_bytes)?;
    let n_head: usize = match words[0] {
        "HMSG" => words.get(words.len() - 2)?.parse().ok()?,
        _ => 0,
    };
    let (head, body) = all.split_at_checked(n_head)?;
    if head.starts_with("NATS/1.0 503") {
        return Some(Got::new("nobody", head));
    }
    let value: Value = serde_json::from_str(body).unwrap_or(Value::Null);
    let kind = value["code"].as_str().unwrap_or("success").to_owned();
    Some(Got::new(kind, format!("{line}\n{head}\r\n\r\n{body}")))
}
