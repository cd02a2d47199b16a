//! `send`: what it prints, and what scripts get.

use std::process::{Command, Output};

use cim_nix_rig::{Nats, Setup};
use serde_json::json;

use crate::page;
use crate::scene::Scene;

const CATALOGUE: &str = "[[tenant]]\nname = \"main\"\n";
const ID: &str = "0198f7a2-7c00-7000-8000-000000000001";
const CREATE: &str = r#"{"path": "/srv/fleet", "description": "machines"}"#;

/// What it said, without what is another one each time.
fn said(output: &Output, nats: &Nats) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&nats.url(), "URL");
    let (out, errors) = (text(&output.stdout), text(&output.stderr));
    format!("exit {}\n{out}{errors}", output.status.code().unwrap_or(-1))
}

const EVALUATED: &str = "0198f7a2-7c00-7000-8000-0000000000a2";
const OTHER: &str = "0198f7a2-7c00-7000-8000-0000000000a1";

/// What the manual shows: what is typed, and what is printed.
fn example(scene: &Scene, url: &str, arguments: &[&str]) -> String {
    let quoted = arguments.iter().map(|word| match word.contains(' ') || word.contains('{') {
        true => format!("'{word}'"),
        false => (*word).to_owned(),
    });
    let typed: Vec<String> = quoted.collect();
    let all = [&["send", "--nats", url], arguments].concat();
    let output = scene.cli(&all);
    let [out, errors] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("text"));
    let masked = |line: &str| match line.split_once("\"at\": ") {
        Some((indent, _)) => format!("{indent}\"at\": \"2026-11-26T20:44:05.123456Z\",\n"),
        None => format!("{line}\n"),
    };
    let out: String = out.lines().map(masked).collect();
    format!("$ cim-nix send {}\n{out}{errors}", typed.join(" "))
}

#[test]
fn replies_are_for_people_and_for_scripts() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    let mut scene = Scene::new(&format!("{CATALOGUE}[nats]\nservers = [{:?}]\n", nats.url()));
    let url = nats.url();
    let send = |scene: &Scene, arguments: &[&str]| {
        let all = [&["send", "--nats", &*url], arguments].concat();
        said(&scene.cli(&all), &nats)
    };
    let mut shown = send(&scene, &["ListFlakes"]);
    scene.start();
    for arguments in [
        &["CreateFlake", CREATE, "--id", ID][..],
        &["CreateFlake", CREATE, "--id", ID],
        &["nix.cmd.flake.create", CREATE, "--id", "0198f7a2-7c00-7000-8000-000000000002"],
        &[
            "UpdateFlake",
            r#"{"path": "/srv/fleet"}"#,
            "--expected-version",
            "7",
            "--id",
            "0198f7a2-7c00-7000-8000-000000000003",
        ],
        &["CreateFlake", "{", "--id", ID],
        &["CreateFlak", "{}"],
        &["FlakeCreated", "{}"],
        &["CreateFlake", "{}", "--id", ID],
        &["--tenant", "elsewhere", "--tenants-by", "token", "ListFlakes"],
    ] {
        shown.push_str(&send(&scene, arguments));
    }
    // The ids of events follow from the command's.
    expect_test::expect![[r#"
        exit 3
        error: nobody serves `nix.query.flake.list` at URL
        hint: does cim-nix-server run with this tenant, prefix and account? `--tenant`, `--prefix` and `--tenants-by` say where it is
        exit 0
        accepted, version 1
          FlakeCreated 0198f7a2-7c00-7ae8-ab93-fcd9a6c23071
        id: 0198f7a2-7c00-7000-8000-000000000001
        exit 0
        accepted before, with these events, version 1
          FlakeCreated 0198f7a2-7c00-7ae8-ab93-fcd9a6c23071
        id: 0198f7a2-7c00-7000-8000-000000000001
        exit 1
        error: the flake in `/srv/fleet` exists already (rejected)
        id: 0198f7a2-7c00-7000-8000-000000000002
        exit 1
        error: flake-9f237cb5-5571-50ad-943d-58a02d147ef0 is at version 1, not 7 as expected (conflict)
        hint: somebody else changed it in the meantime; run the command again
        id: 0198f7a2-7c00-7000-8000-000000000003
        exit 2
        error: the body is no JSON: EOF while parsing an object at line 1 column 1
        hint: write it as '{"path": "/srv/fleet"}'; docs/domain has the fields of each
        exit 2
        error: `CreateFlak` is no command and no query
        hint: did you mean `CreateFlake`?
        exit 2
        error: `FlakeCreated` is an event, which only the service sends
        hint: follow `nix.event.flake.created` to hear of it
        exit 1
        error: the body of CreateFlake does not fit: missing field `path` (malformed)
        hint: a command is one JSON object, bare or as `command` in an envelope; docs/domain has its fields
        exit 3
        error: nobody serves `elsewhere.nix.query.flake.list` at URL
        hint: does cim-nix-server run with this tenant, prefix and account? `--tenant`, `--prefix` and `--tenants-by` say where it is
    "#]].assert_eq(&shown);
    let page: String = [
        &["GetFlake", r#"{"path": "/srv/fleet"}"#][..],
        &["CreateFlake", r#"{"path": "/srv/tools", "description": "tools"}"#, "--id", OTHER],
        &["CreateFlake", r#"{"path": "/srv/tools", "description": "tools"}"#, "--id", OTHER],
        &["EvaluateExpression", r#"{"expression": "1 + 2"}"#, "--id", EVALUATED],
        &["UpdateFlak", "{}"],
    ]
    .map(|arguments| example(&scene, &url, arguments))
    .concat();
    page::of("service.md", "send", &format!("```text\n{page}```\n"));
    let flakes = send(&scene, &["ListFlakes"]);
    assert!(flakes.starts_with("exit 0\n") && flakes.contains("\"/srv/fleet\""), "{flakes}");
    let wire = scene.cli(&["send", "--nats", &url, "ListFlakes", "--format", "json"]);
    let value: serde_json::Value = serde_json::from_slice(&wire.stdout).expect("JSON");
    assert!(value["result"].to_string().contains("/srv/fleet"), "{value}");
    assert_eq!(String::from_utf8_lossy(&wire.stderr), "");
}

#[test]
fn what_came_out_is_printed_alone() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    let mut scene = Scene::new(&format!("{CATALOGUE}[nats]\nservers = [{:?}]\n", nats.url()));
    scene.start();
    let mut shown = String::new();
    for (id, expression) in [
        ("b1", "{ a = 1; b = \"two\\nlines\"; }"),
        ("b1", "{ a = 1; b = \"two\\nlines\"; }"),
        ("b2", "throw \"no such machine\""),
    ] {
        let body = json!({ "expression": expression }).to_string();
        let id = format!("0198f7a2-7c00-7000-8000-0000000000{id}");
        let arguments = ["send", "--nats", &nats.url(), "EvaluateExpression", &body, "--id", &id];
        let output = scene.cli(&arguments);
        let [out, errors] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
        let code = output.status.code().unwrap_or(-1);
        shown.push_str(&format!("exit {code}\nout:\n{out}errors:\n{errors}"));
    }
    expect_test::expect![[r#"
        exit 0
        out:
        { a = 1; b = "two\nlines"; }
        errors:
        accepted, version 1
          ExpressionEvaluated 0198f7a2-7c00-71f5-9992-68c47d182e38
        id: 0198f7a2-7c00-7000-8000-0000000000b1
        exit 0
        out:
        { a = 1; b = "two\nlines"; }
        errors:
        accepted before, with these events, version 1
          ExpressionEvaluated 0198f7a2-7c00-71f5-9992-68c47d182e38
        id: 0198f7a2-7c00-7000-8000-0000000000b1
        exit 1
        out:
        errors:
        error: … while calling the 'throw' builtin
                 at «string»:1:1:
                    1| throw "no such machine"
                     | ^

               error: no such machine (ExpressionEvaluated)
        id: 0198f7a2-7c00-7000-8000-0000000000b2
    "#]]
    .assert_eq(&shown);
}

#[test]
fn it_finds_the_way_that_the_configuration_or_the_options_say() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    let url = nats.url();
    let mut scene = Scene::new(&format!(
        "[nats]\nservers = [{url:?}]\nprefix = \"prod\"\ntenants-by = \"token\"\n[[tenant]]\nname = \"acme\"\n\
         [[tenant]]\nname = \"main\"\n"
    ));
    scene.start();
    let body = json!({ "path": "/srv/fleet", "description": "machines" }).to_string();
    let exit = |arguments: &[&str]| {
        let output = scene.cli(&[&["send"], arguments].concat());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap_or(-1), errors)
    };
    let named = ["--nats", &url, "--prefix", "prod", "--tenants-by", "token", "--tenant", "acme"];
    assert_eq!(exit(&[&named[..], &["CreateFlake", &body]].concat()).0, 0);
    // One tenant hears nothing of the other.
    let of = |tenant: &str| {
        let output =
            scene.cli(&["send", "--config", "server.toml", "--tenant", tenant, "ListFlakes"]);
        String::from_utf8_lossy(&output.stdout).contains("/srv/fleet")
    };
    assert_eq!((of("acme"), of("main")), (true, false));
    let several = exit(&["--config", "server.toml", "ListFlakes"]);
    assert_eq!(
        several,
        (2, "error: which tenant: acme, main?\nhint: `--tenant` names it\n".into())
    );
}

#[test]
fn who_does_not_answer_is_not_waited_for() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    let scene = Scene::new("");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("threads");
    let silent = runtime.block_on(async {
        let client = async_nats::connect(nats.url()).await.expect("it runs");
        let silent = client.subscribe("nix.cmd.>").await.expect("it is connected");
        client.flush().await.expect("it is connected");
        (client, silent)
    });
    let arguments =
        ["send", "--nats", &nats.url(), "CreateFlake", CREATE, "--id", ID, "--timeout", "1"];
    let output = scene.cli(&arguments);
    expect_test::expect![[r#"
        exit 3
        error: no reply to `nix.cmd.flake.create` from URL in 3 s
        hint: it may be done all the same; send it again with `--id 0198f7a2-7c00-7000-8000-000000000001`: nothing is done twice
    "#]].assert_eq(&said(&output, &nats));
    drop(silent);
}

#[test]
fn no_server_is_told_at_once() {
    let scene = Scene::new("");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = closed.local_addr().expect("it is bound").port();
    drop(closed);
    let url = format!("nats://ann:hunter2@127.0.0.1:{port}");
    let output = scene.cli(&["send", "--nats", &url, "ListFlakes"]);
    let errors = String::from_utf8_lossy(&output.stderr).replace(&port.to_string(), "PORT");
    assert_eq!(output.status.code(), Some(3), "{errors}");
    expect_test::expect![[r#"
        error: `nix.query.flake.list` was not sent: nobody answers at nats://127.0.0.1:PORT: cannot connect to NATS: IO error: Connection refused (os error 111)
        hint: does nats-server run there? `--nats` names another one
    "#]].assert_eq(&errors);
}

#[test]
fn it_is_in_the_light_program() {
    let scene = Scene::new("");
    // Alone, it has nobody to ask.
    let alone = scene.path("cim-nix");
    let whole = scene.light().get_program().to_owned();
    if std::fs::hard_link(&whole, &alone).is_err() {
        std::fs::copy(&whole, &alone).expect("there is room");
    }
    let output = Command::new(&alone).args(["send", "ListFlakes"]).env("PATH", "/nowhere").output();
    let output = output.expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    expect_test::expect![[r#"
        error: `send` needs the program `cim-nix-server`, which is not there
          hint: it is looked for beside cim-nix and on PATH; releases have both programs
    "#]]
    .assert_eq(&String::from_utf8_lossy(&output.stderr));
    let output = scene.light().args(["send", "--help"]).output().expect("cim-nix was built");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("cim-nix-server send ListFlakes"), "{text} {output:?}");
    let output =
        scene.light().args(["serve", "--config", "/nowhere"]).output().expect("it was built");
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("cannot read `/nowhere`"), "{errors}");
}
