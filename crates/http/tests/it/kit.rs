//! A server in this process, and a client that knows sockets only.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use cim_domain_nix::{Command, Evidence, MemoryStore, State, Timestamp, Uuid};
use cim_nix_app::{
    Code, LockWish, Locks, NewLock, Outside, Programs, Run, Sources, Templates, Tools, Work,
    Workspace, World,
};
use cim_nix_base::{ChangeSet, Error};
use cim_nix_http::{Handle, Parts, Server, Settings, Version};
use cim_nix_service::{
    Keeps, Limits, Role, Service, ServiceSettings, Tenant, TenantParts, TokenEntry, Tokens,
    hash_token,
};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Tools that evaluate when they may, and tell of it.
#[derive(Clone, Default)]
pub(crate) struct Script {
    pub(crate) is_held: Arc<AtomicBool>,
}

struct Scripted {
    script: Script,
    run: Run,
}

impl Outside for Script {
    fn files(&self) -> Result<Box<dyn Workspace + '_>, Error> {
        Err(Error::outside("there are no files here"))
    }

    fn world(&self, actor: &str) -> Box<dyn World + '_> {
        Box::new(Clock(actor.to_owned()))
    }

    fn tools(&self, run: Run) -> Box<dyn Tools + '_> {
        Box::new(Scripted { script: self.clone(), run })
    }
}

struct Clock(String);

impl World for Clock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_795_530_059_000_000)
    }

    fn new_id(&self) -> Uuid {
        self.now().new_id()
    }

    fn origin(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("actor".to_owned(), self.0.clone())])
    }

    fn process(&self) -> String {
        "here".to_owned()
    }

    fn is_running(&self, _: &str) -> bool {
        false
    }
}

impl Locks for Scripted {
    fn lock(&self, _: &Path, _: &str, _: Option<&str>, _: &LockWish) -> Result<NewLock, Error> {
        Ok(NewLock::default())
    }
}

impl Sources for Scripted {
    fn nix_files(&self) -> Result<Vec<PathBuf>, Error> {
        Ok(Vec::new())
    }
}

impl cim_nix_app::Repository for Scripted {
    fn announce(&self, _: &[PathBuf]) -> Result<(), Error> {
        Ok(())
    }
}

impl Templates for Scripted {
    fn files(&self, _: &Path, _: Option<&str>, _: &str) -> Result<ChangeSet, Error> {
        Ok(ChangeSet::default())
    }
}

impl Code for Scripted {
    fn work(&self, _: &Command) -> Result<Work, Error> {
        Err(Error::user("nothing is known of code here"))
    }
}

impl Programs for Scripted {
    fn before(&self, _: &Command, _: &State) -> Result<Value, Error> {
        Ok(Value::Null)
    }

    fn plan(&self, _: &Command, _: &State, _: &Value) -> Result<Vec<String>, Error> {
        Ok(vec!["nix eval".to_owned()])
    }

    fn run(&self, command: &Command, _: &State, _: &Value) -> Result<Evidence, Error> {
        (self.run.progress)(r#"{"say":"evaluating"}"#);
        while self.script.is_held.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        match command {
            Command::EvaluateExpression(it) if it.expression == "panic" => panic!("as it was told"),
            Command::EvaluateExpression(_) => {
                Ok(Evidence::Evaluated { result: "2".to_owned(), is_error: false })
            }
            _ => Err(Error::user("nothing is built here")),
        }
    }

    fn settle(&self, _: &Command, _: &Value) -> Result<Option<Evidence>, Error> {
        Ok(None)
    }

    fn generation(&self, _: &str) -> Result<Option<u32>, Error> {
        Ok(None)
    }
}

/// Tokens that tests use; `OLD` has expired.
pub(crate) const READER: &str = "cimnix_reader";
pub(crate) const OPERATOR: &str = "cimnix_operator";
pub(crate) const OLD: &str = "cimnix_old";
/// For the other tenant, `beta`.
pub(crate) const OTHER: &str = "cimnix_other";

/// A server that runs as long as this lives.
pub(crate) struct Kit {
    pub(crate) address: SocketAddr,
    pub(crate) service: Arc<Service>,
    pub(crate) script: Script,
    pub(crate) handle: Handle,
    pub(crate) shutdown: CancellationToken,
    pub(crate) problems: Arc<RwLock<Vec<String>>>,
    runtime: Option<tokio::runtime::Runtime>,
    serving: Option<tokio::task::JoinHandle<Result<(), Error>>>,
}

impl Kit {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default(), Limits::default())
    }

    pub(crate) fn with(settings: Settings, limits: Limits) -> Self {
        Self::at(Settings { listen: ([127, 0, 0, 1], 0).into(), ..settings }, limits)
    }

    pub(crate) fn at(settings: Settings, limits: Limits) -> Self {
        let script = Script::default();
        let tenant = |name: &str| {
            Tenant::new(TenantParts {
                name: name.to_owned(),
                store: Arc::new(MemoryStore::new()),
                moves_along: false,
                outside: Arc::new(script.clone()),
                keeps: Keeps::Catalogue,
                limits: limits.clone(),
                storage: Box::new(|| None),
            })
            .expect("a good name")
        };
        let service = Service::new([tenant("acme"), tenant("beta")], &ServiceSettings::default());
        let service = service.expect("threads");
        let problems = Arc::<RwLock<Vec<String>>>::default();
        let elsewhere = problems.clone();
        let parts = Parts {
            service: service.clone(),
            tokens: Arc::new(RwLock::new(Arc::new(tokens()))),
            metrics: Box::new(|| "cim_nix_up 1\n".to_owned()),
            problems: Box::new(move || elsewhere.read().expect("not poisoned").clone()),
            version: Version { name: "cim-nix-server", version: "0.0.0-test" },
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let server = runtime.block_on(Server::bind(settings, parts)).expect("a free port");
        let (address, handle) = (server.address(), server.handle());
        let shutdown = CancellationToken::new();
        let serving = runtime.spawn(server.serve(shutdown.clone()));
        Self {
            address,
            service,
            script,
            handle,
            shutdown,
            problems,
            runtime: Some(runtime),
            serving: Some(serving),
        }
    }

    /// Stops the server and waits for its end.
    pub(crate) fn stop(&mut self) {
        self.shutdown.cancel();
        if let (Some(serving), Some(runtime)) = (self.serving.take(), &self.runtime) {
            let ended = async { tokio::time::timeout(Duration::from_secs(20), serving).await };
            runtime.block_on(ended).expect("in time").expect("no panic").expect("no error");
        }
    }

    /// A request of an operator.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
        let bearer = format!("Authorization: Bearer {OPERATOR}");
        let mut all = vec![bearer.as_str()];
        all.extend(headers);
        self.ask_as_nobody(method, path, &all, body)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], "")
    }

    /// A command of an operator.
    pub(crate) fn command(&self, name: &str, headers: &[&str], body: &str) -> Answer {
        let mut all = vec!["Content-Type: application/json"];
        all.extend(headers);
        self.ask("POST", &format!("/v1/acme/commands/{name}"), &all, body)
    }

    /// Makes a flake; answers its id.
    pub(crate) fn flake(&self, path: &str) -> String {
        let body = format!(r#"{{"path":"{path}","description":"machines"}}"#);
        let made = self.command("CreateFlake", &[], &body);
        assert_eq!(made.status, 200, "{}", made.text());
        let stream = made.json()["events"][0]["stream"].as_str().expect("a stream").to_owned();
        stream.trim_start_matches("flake-").to_owned()
    }

    pub(crate) fn ask_as_nobody(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &str,
    ) -> Answer {
        let mut text =
            format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        for header in headers {
            text.push_str(header);
            text.push_str("\r\n");
        }
        if !body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        text.push_str(body);
        self.send(text.as_bytes())
    }

    /// Bytes as they are, and what comes back until the connection ends.
    pub(crate) fn send(&self, bytes: &[u8]) -> Answer {
        let mut socket = self.connect();
        // A server that has heard enough closes before all is written.
        let _ = socket.write_all(bytes);
        Answer::read(&mut socket)
    }

    /// As [`send`](Self::send), and nothing more will come.
    pub(crate) fn send_and_close(&self, bytes: &[u8]) -> Answer {
        let mut socket = self.connect();
        let _ = socket.write_all(bytes);
        let _ = socket.shutdown(std::net::Shutdown::Write);
        Answer::read(&mut socket)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).expect("it listens");
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
        socket.set_nodelay(true).expect("an option");
        socket
    }

    pub(crate) fn assert_ready(&self) {
        let ready = self.ask_as_nobody("GET", "/health/ready", &[], "");
        assert_eq!(ready.status, 200, "{}", ready.text());
    }
}

impl Drop for Kit {
    fn drop(&mut self) {
        self.shutdown.cancel();
        self.script.is_held.store(false, Ordering::SeqCst);
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

fn tokens() -> Tokens {
    let entry = |name: &str, role, tenant: &str, token| TokenEntry {
        name: name.to_owned(),
        role,
        tenants: vec![tenant.to_owned()],
        sha256: hash_token(token),
        expires: None,
    };
    let old = TokenEntry {
        expires: Some(Timestamp::from_micros(1)),
        ..entry("old", Role::Operator, "acme", OLD)
    };
    Tokens::new([
        entry("rita", Role::Reader, "acme", READER),
        entry("otto", Role::Operator, "acme", OPERATOR),
        entry("bert", Role::Operator, "beta", OTHER),
        old,
    ])
    .expect("good tokens")
}

/// A program that a test needs: named by `CIM_NIX_NAME`, or on `PATH`. Without it the test is left
/// out, visibly; in CI it fails.
pub(crate) fn is_there(program: &str) -> Option<PathBuf> {
    let named = std::env::var_os(format!("CIM_NIX_{}", program.to_ascii_uppercase()));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&path).map(|folder| folder.join(program));
    let found = named.map(PathBuf::from).or_else(|| found.find(|file| file.is_file()));
    if found.is_none() {
        let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!is_ci, "{program} has to be there in CI");
        eprintln!("skipped: {program} is not there");
    }
    found
}

/// Asks whoever listens there.
pub(crate) fn ask(address: SocketAddr, request: &[u8]) -> Answer {
    let mut socket = TcpStream::connect(address).expect("it listens");
    socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    socket.write_all(request).expect("it reads");
    Answer::read(&mut socket)
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// 0 if the connection ended without one.
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    /// Reads until the connection ends.
    pub(crate) fn read(socket: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let began = Instant::now();
        let mut part = [0; 4096];
        // Resets end a connection as well as proper ends do.
        while let Ok(n @ 1..) = socket.read(&mut part) {
            bytes.extend_from_slice(&part[..n]);
            assert!(began.elapsed() < Duration::from_secs(60), "the answer has no end");
        }
        Self::of(&bytes)
    }

    pub(crate) fn of(bytes: &[u8]) -> Self {
        let none = Self { status: 0, headers: Vec::new(), body: Vec::new() };
        let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") else { return none };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let body = &bytes[end + 4..];
        let is_chunked = headers.iter().any(|(name, _)| name == "transfer-encoding");
        let body = if is_chunked { unchunked(body) } else { body.to_vec() };
        Self { status: status.unwrap_or_default(), headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The status, and the kind of the problem.
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let value = self.json();
        assert_eq!(value["status"], self.status, "{value}");
        assert!(value["title"].is_string() && value["detail"].is_string(), "{value}");
        (self.status, value["code"].as_str().unwrap_or_default().to_owned())
    }
}

fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|part| part == b"\r\n") {
        let size = std::str::from_utf8(&body[..end]).ok();
        let size = size.and_then(|text| usize::from_str_radix(text, 16).ok()).unwrap_or_default();
        if size == 0 {
            break;
        }
        let rest = &body[end + 2..];
        whole.extend_from_slice(&rest[..size.min(rest.len())]);
        body = rest.get(size + 2..).unwrap_or_default();
    }
    whole
}
