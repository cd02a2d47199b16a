//! The worker that does one thing for a service: what it answers, what it refuses, how it is bounded,
//! and that nothing of it is left.

use std::cell::Cell;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use cim_domain_nix::command::{
    BuildPackage, CheckFlake, CreateFlake, EvaluateExpression, FixProject, FormatProject,
};
use cim_domain_nix::{
    Command as Wanted, Event, Evidence, MemoryStore, MessageIdentity, State, Uuid,
};
use cim_nix_app::{App, Mode, Outside as _, Run};
use cim_nix_base::{Error, ErrorKind, Op};
use cim_nix_host::protocol::{
    Bounds, CommandText, Dependency, Failure, FailureKind, Line, Locked, NixSetup, Request, Setup,
    Sources, Task, VERSION, Worked,
};
use cim_nix_host::{Here, Settings, Worker, dependency_of, new_id};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tempfile::TempDir;

use crate::effects::{Bench, is_alive};
use crate::fetch::Server;

/// An evaluation that takes hours, and little memory.
const FOREVER: &str = "builtins.foldl' (a: b: builtins.foldl' (c: d: d) 0 \
    (builtins.genList (x: x) 10000)) 0 (builtins.genList (x: x) 1000000)";

const PROGRAM: &str = env!("CARGO_BIN_EXE_cim-nix");

/// A tenant's folders, and what its requests say.
struct Tenant {
    folder: TempDir,
    setup: Setup,
}

impl Tenant {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        fs::create_dir(top.join("root")).unwrap();
        let setup = Setup {
            root: top.join("root"),
            readable: Vec::new(),
            state_home: top.join("state"),
            cache_home: top.join("cache"),
            bounds: Bounds {
                millis: 60_000,
                memory: 1 << 30,
                program_memory: None,
                answer: 64 << 20,
            },
            sources: Sources::default(),
            nix: NixSetup::default(),
            traceparent: None,
        };
        Self { folder, setup }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn request(&self, task: Task) -> String {
        let request = Request { version: VERSION, setup: self.setup.clone(), task };
        serde_json::to_string(&request).unwrap() + "\n"
    }

    fn start(&self, task: Task) -> Child {
        start(self.request(task).as_bytes())
    }

    /// The answer, and what was told before it.
    fn told(&self, task: Task) -> (Result<Value, Failure>, Vec<Value>) {
        answer(self.start(task))
    }

    fn ask<T: DeserializeOwned>(&self, task: Task) -> T {
        let name = task.name();
        let answer = self.told(task).0;
        let value = answer.unwrap_or_else(|failure| panic!("{name}: {failure:?}"));
        serde_json::from_value(value).unwrap()
    }

    fn fails(&self, task: Task) -> Failure {
        self.told(task).0.unwrap_err()
    }

    fn lock(&self, flake_nix: &str) -> Task {
        Task::Lock {
            folder: self.setup.root.clone(),
            flake_nix: flake_nix.to_owned(),
            old_lock: None,
            updates: None,
        }
    }

    /// Evaluates an expression to its value or the error, and whether it is one.
    fn eval(&self, expression: &str) -> (String, bool) {
        let evaluated = self.ask(self.evaluation(expression));
        let Evidence::Evaluated { result, is_error } = evaluated else { panic!("{evaluated:?}") };
        (result, is_error)
    }

    fn evaluation(&self, expression: &str) -> Task {
        let command: Wanted =
            EvaluateExpression { expression: expression.to_owned(), identity: identity() }.into();
        let state = State::empty(&command.kind());
        let command = CommandText::new(&command).unwrap();
        let before = Task::Before { command: command.clone(), state: state.clone() };
        let before = self.ask(before);
        Task::Run { command, state, before }
    }
}

fn start(input: &[u8]) -> Child {
    let mut command = Command::new(PROGRAM);
    command.arg("worker").process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may have refused what it has read so far.
    let _ = child.stdin.as_mut().unwrap().write_all(input);
    child
}

/// Waits for the answer; standard input stays open meanwhile.
fn answer(mut child: Child) -> (Result<Value, Failure>, Vec<Value>) {
    let mut text = String::new();
    let mut stdout = child.stdout.take().unwrap();
    std::io::Read::read_to_string(&mut stdout, &mut text).unwrap();
    let output = child.wait_with_output().unwrap();
    let mut told = Vec::new();
    let mut last = None;
    for line in text.lines() {
        assert!(last.is_none(), "something comes after the answer: {text}");
        match serde_json::from_str(line).unwrap() {
            Line::Progress { progress } => told.push(progress),
            Line::Span { span } => told.push(serde_json::to_value(span).unwrap()),
            Line::Result { result } => last = Some(Ok(result)),
            Line::Error { error } => last = Some(Err(error)),
        }
    }
    let said = String::from_utf8_lossy(&output.stderr);
    (last.unwrap_or_else(|| panic!("there is no answer: {text} {said}")), told)
}

fn identity() -> MessageIdentity {
    MessageIdentity::root(new_id())
}

fn wait(is_so: impl Fn() -> bool) {
    for _ in 0..1200 {
        if is_so() {
            return;
        }
        sleep(Duration::from_millis(50));
    }
    panic!("that does not come to pass");
}

fn text(failure: &Failure) -> String {
    let mut text = failure.message.clone();
    failure.chain.iter().for_each(|cause| text += &format!(": {cause}"));
    text
}

#[test]
fn a_flake_of_the_tenants_own_is_locked() {
    let tenant = Tenant::new();
    tenant.write("root/dep/flake.nix", "{ outputs = _: { y = 1; }; }");
    let locked: Locked = tenant.ask(
        tenant.lock("{ inputs.dep.url = \"path:./dep\"; outputs = { dep, ... }: { x = dep.y; }; }"),
    );
    assert!(locked.text.unwrap().contains("\"path\": \"./dep\""));
    assert_eq!(locked.changes.len(), 1);
}

#[test]
fn inputs_from_elsewhere_are_refused() {
    let tenant = Tenant::new();
    tenant.write("other/flake.nix", "{ outputs = _: { secret = 1; }; }");
    symlink("../other", tenant.at("root/away")).unwrap();
    let other = tenant.at("other").display().to_string();
    for url in [
        "path:/etc",
        "path:/there/is/none",
        &format!("path:{other}"),
        &format!("git+file://{other}"),
        &format!("path:{}", tenant.at("root/away").display()),
        "path:./away",
        "path:../other",
        "file:///etc/passwd",
        "tarball+file:///etc/passwd",
        "github:a/b",
        "https://example.org/x.tar.gz",
        "git+ssh://git@example.org/x",
        "nixpkgs",
    ] {
        let flake = format!("{{ inputs.d.url = \"{url}\"; outputs = _: {{ }}; }}");
        let failure = tenant.fails(tenant.lock(&flake));
        assert_eq!(failure.kind, FailureKind::User, "{url}: {failure:?}");
        assert_eq!(failure.dependency, None, "{url}: {failure:?}");
        assert!(!text(&failure).contains("root:x"), "{url}: {failure:?}");
    }
    let elsewhere = Task::Lock {
        folder: tenant.at("other"),
        flake_nix: "{ outputs = _: { }; }".to_owned(),
        old_lock: None,
        updates: None,
    };
    assert!(text(&tenant.fails(elsewhere)).contains("outside of the project"));
}

#[test]
fn a_server_that_does_not_answer_is_named() {
    let mut tenant = Tenant::new();
    // Nobody listens there.
    tenant.setup.sources =
        Sources { network: true, hosts: vec!["127.0.0.1".to_owned()], kinds: Vec::new() };
    tenant.setup.bounds.millis = 20_000;
    let flake = "{ inputs.d.url = \"http://127.0.0.1:9/x.tar.gz\"; inputs.d.flake = false; outputs = _: { }; }";
    let failure = tenant.fails(tenant.lock(flake));
    assert_eq!(failure.kind, FailureKind::Outside, "{failure:?}");
    assert_eq!(failure.dependency, Some(Dependency::Http("127.0.0.1".to_owned())), "{failure:?}");
    let flake = flake.replace("127.0.0.1", "127.0.0.2");
    let failure = tenant.fails(tenant.lock(&flake));
    assert_eq!((failure.kind, failure.dependency), (FailureKind::User, None));
}

#[test]
fn traces_have_what_others_were_asked_for() {
    let server = Server::start();
    let mut tenant = Tenant::new();
    tenant.setup.sources =
        Sources { network: true, hosts: vec!["127.0.0.1".to_owned()], kinds: Vec::new() };
    let place = server.url.replace("http://", "");
    let asked = |tenant: &Tenant, url: &str| {
        let flake =
            format!("{{ inputs.d = {{ url = \"{url}\"; flake = false; }}; outputs = _: {{ }}; }}");
        let (_, told) = tenant.told(tenant.lock(&flake));
        let spans = told.iter().filter(|told| told["took_micros"].is_u64());
        let shown = spans.map(|span| {
            assert_eq!(span["id"].as_str().map(str::len), Some(16), "{span}");
            assert!(span["began_micros"].as_i64().is_some_and(|began| began > 0), "{span}");
            let error = &span["error"]["kind"];
            format!(
                "{} {} {} {} {error}\n",
                span["name"], span["url"], span["status"], span["exit_code"]
            )
        });
        shown.collect::<String>().replace(&place, "SERVER")
    };
    assert_eq!(asked(&tenant, &format!("{}/a.tar", server.url)), "", "nobody keeps the trace");
    tenant.setup.traceparent =
        Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
    let all = [
        asked(&tenant, &format!("{}/p.tar", server.url)),
        asked(&tenant, &format!("http://ann:hunter2@{place}/none.tar.xz")),
        asked(&tenant, &format!("git+{}/repository", server.url)),
        // What is here already is looked up by Git as well, and nobody else is asked.
        asked(&tenant, "git+file:///none"),
    ];
    expect_test::expect![[r#"
        "GET" "http://SERVER/p.tar" 200 null null
        "GET" "http://ann:***@SERVER/none.tar.xz" 404 null "404"
        "git ls-remote" null null 128 "128"
        "git fetch" null null 128 "128"
    "#]]
    .assert_eq(&all.concat());
}

#[test]
fn a_new_flake_has_its_description() {
    let tenant = Tenant::new();
    let template = |name: Option<&str>, folder: &str| Task::Template {
        folder: folder.into(),
        template: name.map(str::to_owned),
        description: "what \"it\" is".to_owned(),
    };
    let set: cim_nix_base::ChangeSet = tenant.ask(template(None, "new"));
    assert_eq!(set.changes.len(), 1);
    assert_eq!(set.changes[0].path, Path::new("new/flake.nix"));
    let Op::Create { content, .. } = &set.changes[0].op else { panic!("{set:?}") };
    assert!(content.contains(r#"description = "what \"it\" is";"#), "{content}");
    tenant.write(
        "root/flake.nix",
        "{ outputs = _: { templates.x = { path = ./x; description = \"\"; }; }; }",
    );
    tenant.write("root/x/flake.nix", "{ outputs = _: { }; }");
    tenant.write("root/x/lib/a.nix", "1");
    let set: cim_nix_base::ChangeSet = tenant.ask(template(Some(".#x"), "sub"));
    let paths: Vec<_> =
        set.changes.iter().map(|change| change.path.display().to_string()).collect();
    assert_eq!(paths, ["sub/flake.nix", "sub/lib/a.nix"]);
    for (name, folder) in [("path:/etc#x", "sub"), ("github:a/b#x", "sub"), (".#x", "../other")] {
        assert_eq!(tenant.fails(template(Some(name), folder)).kind, FailureKind::User);
    }
}

fn work(tenant: &Tenant, command: impl Into<Wanted>) -> Result<Worked, Failure> {
    let command = CommandText::new(&command.into()).unwrap();
    let answer = tenant.told(Task::Work { command }).0;
    answer.map(|value| serde_json::from_value(value).unwrap())
}

#[test]
fn code_is_checked_fixed_and_formatted() {
    let tenant = Tenant::new();
    let path = tenant.setup.root.display().to_string();
    tenant.write("root/a.nix", "let unused = 1; in { a=2; }\n");
    tenant.write("root/broken.nix", "{ a = ; }\n");
    let worked = work(&tenant, CheckFlake { path: path.clone(), identity: identity() }).unwrap();
    let Evidence::Checked { files, findings } = worked.evidence else { panic!("{worked:?}") };
    assert_eq!((files, findings.errors > 0), (2, true), "{findings:?}");
    assert!(findings.by_code.contains_key("DEAD001"), "{findings:?}");
    let fix = FixProject {
        path: path.clone(),
        select: Vec::new(),
        unsafe_fixes: false,
        identity: identity(),
    };
    let worked = work(&tenant, fix).unwrap();
    let Evidence::Fixed { fixes, .. } = &worked.evidence else { panic!("{worked:?}") };
    assert_eq!(fixes["DEAD001"], 1, "{worked:?}");
    let Op::Write { content, .. } = &worked.set.changes[0].op else { panic!("{worked:?}") };
    assert!(!content.contains("unused"), "{content}");
    assert!(fs::read_to_string(tenant.at("root/a.nix")).unwrap().contains("unused"));
    let format = |formatter: &str| FormatProject {
        path: path.clone(),
        formatter: Some(formatter.to_owned()),
        identity: identity(),
    };
    let worked = work(&tenant, format("nixfmt")).unwrap();
    assert_eq!(worked.set.changes.len(), 1, "{worked:?}");
    assert_eq!(worked.notes, ["`broken.nix` has broken syntax"]);
    // A command of the project's is not run, wherever it is named.
    let mark = tenant.at("mark");
    let command = format!("touch {}", mark.display());
    assert_eq!(work(&tenant, format(&command)).unwrap_err().kind, FailureKind::User);
    tenant.write("root/cim-nix.toml", &format!("[format]\nformatter = \"{command}\"\n"));
    let own = FormatProject { path: path.clone(), formatter: None, identity: identity() };
    let failure = work(&tenant, own).unwrap_err();
    assert!(text(&failure).contains("is not run here"), "{failure:?}");
    assert!(!mark.exists());
}

#[test]
fn code_elsewhere_is_not_looked_at() {
    let tenant = Tenant::new();
    tenant.write("other/secret.nix", "let unused = 1; in { secret=2; }\n");
    tenant.write("other/cim-nix.toml", "secret = 1\n");
    // Settings above the project are somebody else's.
    tenant.write("cim-nix.toml", "nonsense = 1\n");
    tenant.write("root/a.nix", "import ./secret.nix\n");
    tenant.write("root/cim-nix.toml", "[check]\nselect = [\"DEAD\"]\n");
    symlink("../other/secret.nix", tenant.at("root/secret.nix")).unwrap();
    symlink("../other", tenant.at("root/folder")).unwrap();
    let path = tenant.setup.root.display().to_string();
    let fix = |path: &str| FixProject {
        path: path.to_owned(),
        select: Vec::new(),
        unsafe_fixes: true,
        identity: identity(),
    };
    let worked = work(&tenant, fix(&path)).unwrap();
    assert!(worked.set.is_empty(), "{worked:?}");
    let format = FormatProject {
        path: path.clone(),
        formatter: Some("nixfmt".to_owned()),
        identity: identity(),
    };
    let worked = work(&tenant, format).unwrap();
    let text = serde_json::to_string(&worked).unwrap();
    assert!(!text.contains("secret=") && !text.contains("secret ="), "{text}");
    for path in [&format!("{path}/folder"), "/etc", &format!("{path}/../other")] {
        let failure = work(&tenant, fix(path)).unwrap_err();
        assert!(failure.message.contains("outside of the project"), "{path}: {failure:?}");
    }
    tenant.write("root/cim-nix.toml", "extend = \"../other/cim-nix.toml\"\n");
    let there = work(&tenant, fix(&path)).unwrap_err();
    tenant.write("root/cim-nix.toml", "extend = \"../other/nothing.toml\"\n");
    let none = work(&tenant, fix(&path)).unwrap_err();
    assert_eq!(
        there.message.replace("cim-nix.toml`", ""),
        none.message.replace("nothing.toml`", "")
    );
}

#[test]
fn evaluation_sees_the_project_and_nothing_else() {
    let tenant = Tenant::new();
    tenant.write("other/a.nix", "\"theirs\"");
    tenant.write("root/a.nix", "\"ours\"");
    symlink("../other", tenant.at("root/away")).unwrap();
    assert_eq!(tenant.eval("1 + 1"), ("2".to_owned(), false));
    let (other, root) = (tenant.at("other"), tenant.setup.root.clone());
    for expression in [
        "builtins.readFile \"/etc/passwd\"".to_owned(),
        "builtins.readFile /etc/passwd".to_owned(),
        "builtins.readDir \"/\"".to_owned(),
        format!("import {}/a.nix", other.display()),
        format!("import {}/away/a.nix", root.display()),
        "<nixpkgs>".to_owned(),
        "import <nixpkgs> { }".to_owned(),
        "builtins.fetchTarball \"https://example.org/x.tar.gz\"".to_owned(),
        "builtins.fetchurl \"file:///etc/passwd\"".to_owned(),
        "builtins.fetchGit \"/etc\"".to_owned(),
        "builtins.fetchTree { type = \"path\"; path = \"/etc\"; }".to_owned(),
        "(builtins.getFlake \"path:/etc\").x".to_owned(),
        "(builtins.getFlake \"nixpkgs\").x".to_owned(),
        "builtins.path { path = \"/etc\"; name = \"x\"; }".to_owned(),
        "builtins.filterSource (_: _: true) /etc".to_owned(),
        "builtins.storePath \"/etc\"".to_owned(),
        "builtins.exec [ \"id\" ]".to_owned(),
    ] {
        let (result, is_error) = tenant.eval(&expression);
        assert!(is_error, "{expression}: {result}");
        assert!(!result.contains("theirs") && !result.contains("root:x"), "{expression}: {result}");
    }
    // What must not be seen is not there.
    for name in ["a.nix", "none.nix"] {
        let expression = format!("builtins.pathExists {}/{name}", other.display());
        assert_eq!(tenant.eval(&expression), ("false".to_owned(), false));
    }
    let nothing = ("\"\"".to_owned(), false);
    for name in ["HOME", "PATH", "USER", "TRACEPARENT"] {
        assert_eq!(tenant.eval(&format!("builtins.getEnv \"{name}\"")), nothing);
    }
}

#[test]
fn bombs_take_nobody_with_them() {
    let mut tenant = Tenant::new();
    tenant.setup.bounds.memory = 300 << 20;
    tenant.setup.bounds.millis = 20_000;
    let check = |tenant: &Tenant, expression: &str, want: &str| {
        let (result, is_error) = tenant.eval(expression);
        assert!(is_error && result.contains(want), "{expression}: {result}");
    };
    check(&tenant, "let x = x; in x", "infinite recursion");
    check(&tenant, "let f = n: 1 + f n; in f 1", "stack overflow");
    check(&tenant, "builtins.length (builtins.genList (x: x) 900000000)", "cannot create list");
    let doubled = "builtins.foldl' (a: b: a + a) \"xxxxxxxxxxxxxxxx\" (builtins.genList (x: x) 40)";
    check(&tenant, &format!("builtins.stringLength ({doubled})"), "out of memory");
    let deep = format!("{}1{}", "[".repeat(3000), "]".repeat(3000));
    assert!(!tenant.eval(&deep).1);
    let deeper = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
    assert!(tenant.eval(&deeper).1);
    // What is kept of a result is bounded.
    let (result, _) =
        tenant.eval("builtins.concatStringsSep \"\" (builtins.genList (_: \"0123456789\") 900000)");
    assert!(result.ends_with("«cut»"), "{}", result.len());
    tenant.setup.bounds.millis = 1500;
    let start = Instant::now();
    match tenant.told(tenant.evaluation(FOREVER)).0 {
        Ok(value) => assert!(value.to_string().contains("time"), "{value}"),
        Err(failure) => assert!(failure.message.contains("took longer"), "{failure:?}"),
    }
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    // An answer that is longer than it may be is none.
    tenant.setup.bounds.millis = 20_000;
    tenant.setup.bounds.answer = 1000;
    let failure = tenant.fails(Task::Template {
        folder: "".into(),
        template: None,
        description: "x".repeat(2000),
    });
    assert!(failure.message.contains("more than 1000 bytes"), "{failure:?}");
}

#[test]
fn what_is_no_request_is_refused() {
    let tenant = Tenant::new();
    let good = tenant.request(Task::NixFiles {});
    let cases = [
        (String::new(), "cut short"),
        ("\n".to_owned(), "cannot be read"),
        ("garbage\n".to_owned(), "cannot be read"),
        (good.trim_end().to_owned(), "cut short"),
        (good[..good.len() / 2].to_owned() + "\n", "cannot be read"),
        (good.replace("\"version\":1", "\"version\":2"), "version 2"),
        (good.replace("nix_files", "explode"), "cannot be read"),
        (good.replace("\"root\":\"/", "\"root\":\""), "no absolute path"),
        (good.replace("\"bounds\"", "\"more\":1,\"bounds\""), "cannot be read"),
        ("[".repeat(200_000) + "\n", "cannot be read"),
        ("\0\u{1}\n".to_owned(), "cannot be read"),
    ];
    for (input, want) in cases {
        let mut child = start(input.as_bytes());
        drop(child.stdin.take());
        let failure = answer(child).0.unwrap_err();
        assert_eq!(failure.kind, FailureKind::User, "{failure:?}");
        assert!(text(&failure).contains(want), "{want}: {failure:?}");
    }
    let mut tenant = Tenant::new();
    for (name, value) in [("LD_PRELOAD", "x.so"), ("NIX_PATH", "nixpkgs=/etc"), ("PATH", "/tmp")] {
        tenant.setup.nix.environment = [(name.to_owned(), value.to_owned())].into();
        let failure = tenant.fails(Task::NixFiles {});
        assert!(failure.message.contains("cannot be set"), "{failure:?}");
    }
}

#[test]
fn programs_are_not_run_unless_that_is_allowed() {
    let tenant = Tenant::new();
    let command = BuildPackage {
        flake_ref: ".".to_owned(),
        attribute: "x".parse().unwrap(),
        output_path: None,
        identity: identity(),
    };
    let command: Wanted = command.into();
    let state = State::empty(&command.kind());
    let command = CommandText::new(&command).unwrap();
    let failure = tenant.fails(Task::Before { command, state });
    assert_eq!(failure.message, "running Nix is not allowed here");
}

/// The processes of a group that are there.
fn group(id: u32) -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().into_string().ok());
    ids.filter(|other| {
        let stat = fs::read_to_string(format!("/proc/{other}/stat")).unwrap_or_default();
        let rest = stat.rsplit_once(')').map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        let fields: Vec<&str> = rest.split_whitespace().collect();
        fields.first().is_some_and(|state| *state != "Z")
            && fields.get(2).is_some_and(|group| *group == id.to_string())
    })
    .collect()
}

#[test]
fn an_evaluation_ends_with_whoever_asked() {
    let tenant = Tenant::new();
    for by_force in [false, true] {
        let mut child = tenant.start(tenant.evaluation(FOREVER));
        let id = child.id();
        wait(|| group(id).len() == 2);
        sleep(Duration::from_millis(300));
        match by_force {
            // The outer process is killed, which nobody can prevent.
            true => child.kill().unwrap(),
            // The service is gone, and with it the other end of the pipe.
            false => drop(child.stdin.take()),
        }
        child.wait().unwrap();
        wait(|| group(id).is_empty());
    }
}

/// A tenant whose project is that of a bench with real Nix.
fn tenant_of(bench: &Bench) -> Tenant {
    let mut tenant = Tenant::new();
    tenant.setup.root = bench.project();
    tenant.setup.nix.is_allowed = true;
    tenant.setup.nix.environment = bench.variables().into_iter().collect();
    tenant.setup.bounds.millis = 240_000;
    tenant
}

/// Asks for a build up to the point where it would begin.
fn build(tenant: &Tenant, flake_ref: &str, attribute: &str, link: Option<PathBuf>) -> Task {
    let command: Wanted = BuildPackage {
        flake_ref: flake_ref.to_owned(),
        attribute: attribute.parse().unwrap(),
        output_path: link.map(|link| link.display().to_string()),
        identity: identity(),
    }
    .into();
    let state = State::empty(&command.kind());
    let command = CommandText::new(&command).unwrap();
    let before = tenant.ask(Task::Before { command: command.clone(), state: state.clone() });
    Task::Run { command, state, before }
}

#[test]
fn nix_builds_within_the_project() {
    let Some(bench) = Bench::new() else { return };
    let mut tenant = tenant_of(&bench);
    tenant.setup.traceparent =
        Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
    let link = tenant.setup.root.join("result");
    let (built, told) = tenant.told(build(&tenant, "default.nix", "ok", Some(link.clone())));
    let built: Evidence = serde_json::from_value(built.unwrap()).unwrap();
    let Evidence::Built { outputs, .. } = &built else { panic!("{built:?}") };
    assert_eq!(fs::read_link(&link).unwrap(), Path::new(&outputs["out"].path));
    assert!(told.iter().any(|progress| progress["what"] == "instantiated"), "{told:?}");
    let built: Evidence = tenant.ask(build(&tenant, ".", "hello", None));
    assert!(matches!(built, Evidence::Built { .. }), "{built:?}");
    let failed: Evidence = tenant.ask(build(&tenant, ".", "broken", None));
    let Evidence::BuildFailed { log_tail, .. } = failed else { panic!("{failed:?}") };
    assert!(log_tail.contains("no such luck"), "{log_tail}");
}

#[test]
fn nix_reads_nothing_outside_of_the_project() {
    let Some(bench) = Bench::new() else { return };
    let tenant = tenant_of(&bench);
    let root = &tenant.setup.root;
    fs::write(tenant.at("secret.nix"), "\"theirs\"").unwrap();
    let secret = tenant.at("secret.nix");
    symlink(&secret, root.join("link.nix")).unwrap();
    let system = format!("{}-linux", std::env::consts::ARCH);
    let probe = |name: &str, code: &str| {
        format!(
            "{{ {name} = derivation {{ name = \"x\"; system = \"{system}\"; builder = \"/bin/sh\"; \
             args = [ \"-c\" \"echo > $out\" ]; leak = {code}; }}; }}"
        )
    };
    for code in [
        "builtins.readFile \"/etc/passwd\"".to_owned(),
        "builtins.readFile /etc/hostname".to_owned(),
        format!("import {}", secret.display()),
        "import ./link.nix".to_owned(),
        "import <nixpkgs>".to_owned(),
        "builtins.fetchurl \"file:///etc/passwd\"".to_owned(),
        "builtins.getEnv \"HOME\" + (if builtins.getEnv \"PATH\" == \"\" then throw \"none\" else \"\")".to_owned(),
    ] {
        fs::write(root.join("probe.nix"), probe("p", &code)).unwrap();
        let ended: Evidence = tenant.ask(build(&tenant, "probe.nix", "p", None));
        let Evidence::BuildFailed { message, .. } = &ended else { panic!("{code}: {ended:?}") };
        assert!(!message.contains("root:x") && !message.contains("theirs"), "{code}: {message}");
    }
    for (flake_ref, attribute) in [
        (secret.to_str().unwrap(), "x"),
        ("/etc", "x"),
        ("path:/etc", "x"),
        ("git+file:///etc", "x"),
        ("github:a/b", "x"),
        ("nixpkgs", "hello"),
        ("link.nix", "x"),
    ] {
        let command: Wanted = BuildPackage {
            flake_ref: flake_ref.to_owned(),
            attribute: attribute.parse().unwrap(),
            output_path: None,
            identity: identity(),
        }
        .into();
        let state = State::empty(&command.kind());
        let command = CommandText::new(&command).unwrap();
        let failure = tenant.fails(Task::Before { command, state });
        assert_eq!(failure.kind, FailureKind::User, "{flake_ref}: {failure:?}");
    }
    // What a lock file names is looked at before Nix reads it.
    let flake = "{ inputs.d = { url = \"path:/etc\"; flake = false; }; outputs = { d, ... }: { packages.x.y = import ./default.nix; }; }";
    fs::write(root.join("flake.nix"), flake).unwrap();
    let lock = serde_json::json!({
        "nodes": {
            "d": {
                "flake": false,
                "locked": { "type": "path", "path": "/etc", "lastModified": 1,
                    "narHash": "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" },
                "original": { "type": "path", "path": "/etc" },
            },
            "root": { "inputs": { "d": "d" } },
        },
        "root": "root",
        "version": 7,
    });
    fs::write(root.join("flake.lock"), lock.to_string()).unwrap();
    let command: Wanted = BuildPackage {
        flake_ref: ".".to_owned(),
        attribute: "hello".parse().unwrap(),
        output_path: None,
        identity: identity(),
    }
    .into();
    let state = State::empty(&command.kind());
    let failure =
        tenant.fails(Task::Before { command: CommandText::new(&command).unwrap(), state });
    assert!(text(&failure).contains("is refused"), "{failure:?}");
}

#[test]
fn a_build_that_is_not_wanted_any_more_leaves_nothing() {
    let Some(bench) = Bench::new() else { return };
    let tenant = tenant_of(&bench);
    let mut child = tenant.start(build(&tenant, "default.nix", "slow", None));
    let builder = bench.builder();
    drop(child.stdin.take());
    let ended = answer_without_input(child).unwrap();
    let ended: Evidence = serde_json::from_value(ended).unwrap();
    assert!(matches!(ended, Evidence::BuildFailed { .. }), "{ended:?}");
    assert!(!is_alive(&builder), "{builder} is still there");
}

fn answer_without_input(child: Child) -> Result<Value, Failure> {
    answer(child).0
}

#[test]
fn a_build_takes_no_longer_than_it_may() {
    let Some(bench) = Bench::new() else { return };
    let mut tenant = tenant_of(&bench);
    let task = build(&tenant, "default.nix", "slow", None);
    tenant.setup.bounds.millis = 8_000;
    // How long is asked for anew: what was planned before had more time.
    let Task::Run { command, state, .. } = task else { panic!("no run") };
    let before = tenant.ask(Task::Before { command: command.clone(), state: state.clone() });
    let ended: Evidence = tenant.ask(Task::Run { command, state, before });
    let Evidence::BuildFailed { message, .. } = &ended else { panic!("{ended:?}") };
    assert!(message.contains("stopped") || message.contains("cancelled"), "{message}");
    if let Some(builder) = bench.noted() {
        assert!(!is_alive(&builder), "{builder} is still there");
    }
}

#[test]
fn a_build_ends_when_the_service_is_killed() {
    let Some(bench) = Bench::new() else { return };
    let tenant = tenant_of(&bench);
    let request = tenant.request(build(&tenant, "default.nix", "slow", None));
    fs::write(tenant.at("request"), request).unwrap();
    // The service: it gives the request, and waits.
    let script = format!(
        "sh -c 'echo $$ > {0}/service; cat {0}/request; exec sleep 600' | {PROGRAM} worker > {0}/out",
        tenant.at("").display()
    );
    let mut shell = Command::new("/bin/sh");
    let mut shell = shell.args(["-c", &script]).spawn().unwrap();
    let builder = bench.builder();
    let service = fs::read_to_string(tenant.at("service")).unwrap();
    let killed = Command::new("kill").args(["-9", service.trim()]).status().unwrap();
    assert!(killed.success());
    wait(|| !is_alive(&builder));
    shell.wait().unwrap();
    assert!(fs::read_to_string(tenant.at("out")).unwrap().ends_with("}\n"));
}

/// A tenant as a service has it.
fn here(tenant: &Tenant) -> Here {
    let settings = Settings::new(tenant.setup.root.clone(), tenant.setup.state_home.clone());
    Here::new(settings, Worker::new(PROGRAM)).unwrap()
}

fn run() -> Run {
    Run {
        deadline: Instant::now() + Duration::from_secs(60),
        cancelled: Arc::new(AtomicBool::new(false)),
        progress: Arc::new(|_| {}),
        trace: None,
    }
}

/// Runs a command as a service does.
fn serve(here: &Here, store: &MemoryStore, command: &Wanted) -> Result<Vec<Event>, Error> {
    let command = here.admit(command)?;
    let (files, world, tools) = (here.files()?, here.world("ada"), here.tools(run()));
    let app = App {
        store,
        files: &*files,
        world: &*world,
        programs: &*tools,
        expected: None,
        states: None,
        announced: Cell::default(),
    };
    Ok(app.run(&command, &*tools, Mode::Apply)?.events)
}

#[test]
fn a_service_makes_checks_and_formats_a_flake() {
    let tenant = Tenant::new();
    let (here, store) = (here(&tenant), MemoryStore::default());
    let path = tenant.setup.root.display().to_string();
    let create = CreateFlake {
        path: String::new(),
        description: "served".to_owned(),
        template: None,
        identity: identity(),
    };
    let events = serve(&here, &store, &create.into()).unwrap();
    assert!(matches!(events[..], [Event::FlakeCreated(_)]), "{events:?}");
    assert!(fs::read_to_string(tenant.at("root/flake.nix")).unwrap().contains("served"));
    fs::write(tenant.at("root/b.nix"), "{ a=1; }\n").unwrap();
    let format = FormatProject {
        path: path.clone(),
        formatter: Some("nixfmt".to_owned()),
        identity: identity(),
    };
    let events = serve(&here, &store, &format.into()).unwrap();
    assert!(matches!(events[..], [Event::ProjectFormatted(_)]), "{events:?}");
    assert_eq!(fs::read_to_string(tenant.at("root/b.nix")).unwrap(), "{ a = 1; }\n");
    let check = CheckFlake { path, identity: identity() };
    let events = serve(&here, &store, &check.into()).unwrap();
    assert!(matches!(events[..], [Event::ProjectChecked(_)]), "{events:?}");
    let expression = "1 + 2".to_owned();
    let evaluate = EvaluateExpression { expression, identity: identity() };
    let events = serve(&here, &store, &evaluate.into()).unwrap();
    let [Event::ExpressionEvaluated(evaluated)] = &events[..] else { panic!("{events:?}") };
    assert_eq!(evaluated.result, "3");
    let away = CheckFlake { path: "/etc".to_owned(), identity: identity() };
    let error = serve(&here, &store, &away.into()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::User);
}

#[test]
fn a_service_that_cancels_waits_for_nothing() {
    let tenant = Tenant::new();
    let here = here(&tenant);
    let run = run();
    let flag = run.cancelled.clone();
    let tools = here.tools(run);
    let expression = FOREVER.to_owned();
    let command: Wanted = EvaluateExpression { expression, identity: identity() }.into();
    let state = State::empty(&command.kind());
    let before = tools.before(&command, &state).unwrap();
    let cancel = std::thread::spawn(move || {
        sleep(Duration::from_millis(700));
        flag.store(true, Ordering::Relaxed);
    });
    let start = Instant::now();
    let error = tools.run(&command, &state, &before).unwrap_err();
    cancel.join().unwrap();
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(error.to_string().contains("cancelled"), "{error}");
    assert_eq!(dependency_of(&error), None);
}

#[test]
fn the_page_shows_what_is_asked_and_answered() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/worker.md");
    let page = fs::read_to_string(page).unwrap();
    let blocks: Vec<&str> = page.split("```json\n").skip(1).collect();
    let block = |at: usize| blocks[at].split("```").next().unwrap();
    let tenant = Tenant::new();
    tenant.write("project/a.nix", "1");
    let top = tenant.at("").display().to_string();
    let request: Value = serde_json::from_str(block(0)).unwrap();
    let request = request.to_string().replace("/srv/tenants/acme", top.trim_end_matches('/'));
    let answered = answer(start(format!("{request}\n").as_bytes())).0.unwrap();
    assert_eq!(answered, serde_json::json!(["a.nix"]));
    let line: Line = serde_json::from_str(block(1)).unwrap();
    assert!(matches!(line, Line::Span { .. }), "{line:?}");
    let line: Line = serde_json::from_str(block(2)).unwrap();
    assert!(matches!(line, Line::Error { error: Failure { dependency: Some(_), .. } }), "{line:?}");
}

#[test]
fn ids_are_not_used_twice() {
    let ids: std::collections::BTreeSet<Uuid> = (0..1000).map(|_| new_id()).collect();
    assert_eq!(ids.len(), 1000);
}
