//! What surrounds the service is not there, or somebody is in a hurry: what is said, and how long it
//! takes.

use std::fs;
use std::time::{Duration, Instant};

use cim_nix_rig::{Nats, Setup};

use crate::scene::{Scene, said};

const CATALOGUE: &str = "[[tenant]]\nname = \"main\"\n";

/// A scene with its events in JetStream.
fn in_jetstream(nats: &Nats) -> Scene {
    let scene = Scene::new(&format!("{CATALOGUE}[nats]\nservers = [{:?}]\n", nats.url()));
    let path = scene.path("server.toml");
    let text = fs::read_to_string(&path).expect("it was written");
    fs::write(&path, format!("store = \"jetstream:\"\n{text}")).expect("the folder is ours");
    scene
}

fn until(scene: &Scene, what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: {}", scene.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_store_whose_server_is_away_is_waited_for() {
    let Some(mut nats) = Nats::start(Setup::jetstream()) else { return };
    let mut scene = in_jetstream(&nats);
    nats.stop();
    let waits = "the store waits for a NATS server";
    scene.start_and(|scene| scene.log().contains(waits));
    let began = Instant::now();
    scene.signal("TERM");
    assert_eq!(scene.wait(), Some(0), "{}", scene.log());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    scene.start_and(|scene| scene.log().contains(waits));
    nats.restart();
    until(&scene, "it goes on when the server is there", || scene.log().contains("ready"));
    assert_eq!(scene.get("/v1/main/flakes").0, 200);
}

#[test]
fn a_store_that_does_not_answer_is_told_in_time() {
    let Some(mut nats) = Nats::start(Setup::jetstream()) else { return };
    let mut scene = in_jetstream(&nats);
    scene.start();
    nats.kill();
    until(&scene, "it is not ready any more", || {
        let began = Instant::now();
        let (status, body) = scene.get("/health/ready");
        assert!(began.elapsed() < Duration::from_secs(5), "{:?} {body}", began.elapsed());
        status == 503
    });
    let body = r#"{"path": "/srv/a", "description": "machines"}"#;
    let (status, body) = scene.post("/v1/main/commands/CreateFlake", body);
    assert_eq!(status, 502, "{body}");
    let log = scene.log();
    let line = log.lines().find(|line| line.contains("not done")).expect(&log);
    for part in ["\"level\":\"error\"", "\"tenant\":\"main\"", "\"correlation\":"] {
        assert!(line.contains(part), "{part}: {line}");
    }
}

#[test]
fn a_tenant_that_never_was_is_not_copied() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    let scene = Scene::new(CATALOGUE);
    let copy = |from: &str, of: &str| {
        let to = format!("sqlite:{}", scene.path("copy.sqlite").display());
        let output = scene.cli(&["store", "copy", from, &to, "--of", of]);
        format!("{}: {}", output.status.code().unwrap_or(-1), said(&output, scene.folder.path()))
    };
    let here = format!("jetstream:{}", nats.url());
    let all = [
        copy(&here, "mian"),
        copy(&here, "No Name"),
        copy("jetstream:ann:hunter2@:x:", "main"),
        copy("jetstream:nats://127.0.0.1:1", "main"),
    ];
    expect_test::expect![[r#"
        3: error: there is no stream `cim-nix_mian`
        hint: see whether the tenant, the prefix and the account are right
        2: error: `No Name` cannot be a tenant's name
        hint: lower-case letters, digits and `-`, at most 63 of them
        2: error: address 1 of `nats.servers` is none
        hint: an address is `nats://HOST:PORT` or `tls://HOST:PORT`
        3: error: cannot connect to NATS: IO error: Connection refused (os error 111)
        hint: see whether the server runs, and whether its address and the credentials are right
    "#]]
    .assert_eq(&all.concat());
    // Nothing was made by asking.
    assert!(!scene.path("copy.sqlite").exists());
    assert_eq!(copy(&here, "mian"), all[0]);
}

#[test]
fn who_may_not_send_is_told_at_once() {
    let mut scene = Scene::new(&format!("{CATALOGUE}[nats]\n"));
    let accounts = scene.cli(&["nats", "permissions", "--config", "server.toml"]);
    let accounts =
        String::from_utf8(accounts.stdout).expect("text").replace("CHANGE-ME-", "hunter2-");
    let Some(nats) = Nats::start(Setup::jetstream().with(&accounts)) else { return };
    let login = |password: &str| {
        format!(
            "{CATALOGUE}[nats]\nservers = [{:?}]\n[nats.login]\nuser = \"main-service\"\npassword = \"{password}\"\n",
            nats.url()
        )
    };
    let mut all = String::new();
    scene.configure(&login("hunter3"));
    let output = scene.cli(&["--config", "server.toml"]);
    let text = said(&output, scene.folder.path());
    assert_eq!(output.status.code(), Some(2), "{text}");
    all.extend(text.lines().filter(|line| !line.starts_with('{')).map(|line| format!("{line}\n")));
    assert!(!text.contains("hunter"), "{text}");
    scene.configure(&login("hunter2-main-service"));
    scene.start();
    for role in ["reader", "operator"] {
        fs::write(scene.path(role), format!("hunter2-main-{role}\n")).expect("the folder is ours");
    }
    let create = r#"{"path": "/srv/a", "description": "machines"}"#;
    let began = Instant::now();
    for (user, password, more) in [
        ("main-reader", "operator", &["ListFlakes"][..]),
        ("main-reader", "reader", &["CreateFlake", create]),
        ("main-operator", "operator", &["ListFlakes", "--inbox-prefix", "_INBOX.main-reader"]),
        ("main-operator", "operator", &["ListFlakes"]),
    ] {
        let url = nats.url();
        let who = ["send", "--nats", &url, "--user", user, "--password-file", password];
        let output = scene.cli(&[&who, more].concat());
        let code = output.status.code().unwrap_or(-1);
        let text = said(&output, scene.folder.path());
        // Inboxes have random names.
        let text = text.split("main-reader.").next().unwrap_or_default();
        all.push_str(&format!("{code} {}\n", text.trim_end()));
    }
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    expect_test::expect![[r#"
        error: the NATS server does not know the login of `main`: authorization violation: nats: authorization violation
        hint: look at `nats.login`, `nats.accounts` and the server's users
        2 error: the NATS server does not know the login of `main`: authorization violation: nats: authorization violation
        hint: look at `nats.login`, `nats.accounts` and the server's users
        2 error: `nix.cmd.flake.create` was not sent: this user may not send on it: Permissions Violation for Publish to "nix.cmd.flake.create"
        hint: `cim-nix-server nats permissions` shows what readers and operators may do
        2 error: the reply to `nix.query.flake.list` may not be heard: Permissions Violation for Subscription to "_INBOX.
        0
    "#]]
    .assert_eq(&all.replace(" \n", "\n"));
}

#[test]
fn who_asks_twice_does_not_wait() {
    let mut scene = Scene::new(&format!("{CATALOGUE}worker = {{ seconds = 60 }}\n"));
    scene.start();
    std::thread::scope(|scope| {
        let (scene, body) = (&scene, r#"{"expression": "let f = n: f (n + 1); in f 0"}"#);
        scope.spawn(move || {
            let request =
                ["-s", "-m", "60", "-d", body, "-H", "Content-Type: application/json", "-H"];
            let mut curl = std::process::Command::new("curl");
            curl.args(request).arg(format!("Authorization: Bearer {}", crate::scene::TOKEN));
            let url =
                format!("http://127.0.0.1:{}/v1/main/commands/EvaluateExpression", scene.port);
            let _ = curl.arg(url).output();
        });
        let in_flight = "cim_nix_in_flight{kind=\"command\"} 1";
        until(scene, "it evaluates", || scene.get("/metrics").1.contains(in_flight));
        scene.signal("INT");
        until(scene, "it stops", || scene.log().contains("stopping"));
        scene.signal("INT");
    });
    let began = Instant::now();
    assert_eq!(scene.wait(), Some(3), "{}", scene.log());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(scene.log().contains("stopped at once"), "{}", scene.log());
}

#[test]
fn containers_learn_whether_it_is_ready() {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("signed").pem();
    let mut scene = Scene::new("");
    let (pem, key_file) = (scene.path("server.pem"), scene.path("server.key"));
    fs::write(&pem, &certificate).expect("the folder is ours");
    fs::write(&key_file, key.serialize_pem()).expect("the folder is ours");
    let address = format!("127.0.0.1:{}", scene.port);
    let check = |scene: &Scene| {
        let output = scene.cli(&["healthcheck", "--config", "server.toml"]);
        let text = said(&output, scene.folder.path()).replace(&address, "HERE");
        format!("{} {}\n", output.status.code().unwrap_or(-1), text.trim_end()).replace(" \n", "\n")
    };
    let mut all = String::new();
    all.push_str(&check(&scene));
    for tls in ["", "[http.tls]\ncertificate = PEM\nkey = KEY\n"] {
        let tls = tls.replace("PEM", &format!("{pem:?}")).replace("KEY", &format!("{key_file:?}"));
        let away = "[nats]\nservers = [\"nats://127.0.0.1:1\"]\n";
        for more in ["", away] {
            scene.configure(&format!("{CATALOGUE}{tls}{more}"));
            scene.start_and(|scene| scene.log().contains("\"ready\""));
            all.push_str(&check(&scene));
            let log = scene.log();
            assert_eq!(log.contains("nats://127.0.0.1:1"), more == away, "{log}");
            assert!(!log.contains("client error"), "{log}");
            scene.signal("KILL");
            scene.wait();
        }
    }
    expect_test::expect![[r#"
        3 error: HERE does not answer: Connection refused (os error 111)
        0
        3 error: HERE is not ready: not connected to NATS
        0
        3 error: HERE is not ready: not connected to NATS
    "#]]
    .assert_eq(&all);
}

#[test]
fn containers_show_a_certificate_where_one_is_required() {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(Vec::<String>::new()).expect("no names");
    // An authority of the same name as what it vouches for would pass for self-signed.
    params.distinguished_name.push(rcgen::DnType::CommonName, "the authority");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = rcgen::CertifiedIssuer::self_signed(params, key).expect("signed");
    let mut scene = Scene::new("");
    let write = |name: &str, text: &str| {
        fs::write(scene.path(name), text).expect("the folder is ours");
    };
    write("ca.pem", &ca.pem());
    for name in ["localhost", "probe", "stranger"] {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let signed = match name {
            "stranger" => params.self_signed(&key),
            _ => params.signed_by(&key, &ca),
        };
        write(&format!("{name}.pem"), &signed.expect("signed").pem());
        write(&format!("{name}.key"), &key.serialize_pem());
    }
    scene.configure(&format!(
        "{CATALOGUE}[http.tls]\ncertificate = {:?}\nkey = {:?}\nclient-ca = {:?}\n\
         require-client-certificate = true\n",
        scene.path("localhost.pem"),
        scene.path("localhost.key"),
        scene.path("ca.pem")
    ));
    scene.start_and(|scene| scene.log().contains("\"ready\""));
    let address = format!("127.0.0.1:{}", scene.port);
    let check = |more: &[&str]| {
        let output = scene.cli(&[&["healthcheck", &*address], more].concat());
        let text = said(&output, scene.folder.path()).replace(&address, "HERE");
        // Whether the alert comes, or the connection just ends, is up to the clock.
        let text = text.lines().map(|line| match line.split_once("does not answer: ") {
            Some((who, _)) => format!("{who}does not answer\n"),
            None => format!("{line}\n"),
        });
        let text = text.collect::<String>();
        format!("{} {}\n", output.status.code().unwrap_or(-1), text.trim_end()).replace(" \n", "\n")
    };
    let mut all = check(&["--certificate", "probe.pem", "--key", "probe.key"]);
    for more in [
        &[][..],
        &["--certificate", "stranger.pem", "--key", "stranger.key"],
        &["--certificate", "probe.pem", "--key", "stranger.key"],
        &["--certificate", "none.pem", "--key", "probe.key"],
        &["--certificate", "probe.pem", "--key", "probe.pem"],
        &["--certificate", "probe.key", "--key", "probe.key"],
    ] {
        all.push_str(&check(more));
    }
    expect_test::expect![[r#"
        0
        3 error: HERE does not answer
        hint: where clients need a certificate, `--certificate` and `--key` name one
        3 error: HERE does not answer
        hint: does an authority in `client-ca` vouch for the certificate that is shown?
        2 error: the certificate and its key cannot be used: keys may not be consistent: KeyMismatch
        2 error: there is no certificate in `none.pem`: I/O error: No such file or directory (os error 2)
        2 error: there is no key in `probe.pem`: no items found
        2 error: there is no certificate in `probe.key`
    "#]].assert_eq(&all);
}
