//! A service from its start to its end.

use std::fs;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::time::{Duration, Instant};

use cim_nix_rig::{Nats, Setup};
use serde_json::{Value, json};

use crate::scene::Scene;

const CATALOGUE: &str = "[[tenant]]\nname = \"main\"\n";

fn create(path: &str) -> String {
    json!({ "path": path, "description": "machines" }).to_string()
}

#[test]
fn it_serves_stops_and_goes_on() {
    let mut scene = Scene::new(CATALOGUE);
    scene.start();
    let (status, body) = scene.post("/v1/main/commands/CreateFlake", &create("/srv/a"));
    assert_eq!(status, 200, "{body}");
    scene.signal("TERM");
    assert_eq!(scene.wait(), Some(0), "{}", scene.log());
    scene.start();
    let (status, body) = scene.get("/v1/main/flakes");
    assert!(status == 200 && body.contains("/srv/a"), "{status} {body}");
    let (_, metrics) = scene.get("/metrics");
    assert!(metrics.contains("cim_nix_build_info"), "{metrics}");
    scene.signal("INT");
    assert_eq!(scene.wait(), Some(0), "{}", scene.log());
}

#[test]
fn files_of_a_project_change_and_the_worker_computes_the_lock() {
    let mut scene = Scene::new("");
    let project = scene.path("project");
    fs::create_dir(&project).expect("the folder is ours");
    scene.configure(&format!("[[tenant]]\nname = \"main\"\nfolder = {project:?}\n"));
    scene.start();
    let folder = project.join("tool").display().to_string();
    let (status, body) = scene.post("/v1/main/commands/CreateFlake", &create(&folder));
    assert_eq!(status, 200, "{body} {}", scene.log());
    let text = fs::read_to_string(project.join("tool/flake.nix")).expect("it was made");
    assert!(text.contains("machines"), "{text}");
    // The small flake that is built in wants nixpkgs, which is far away.
    let text = "{ description = \"machines\"; outputs = { self }: { }; }\n";
    fs::write(project.join("tool/flake.nix"), text).expect("the folder is ours");
    let source = project.join("tool/data");
    fs::create_dir(&source).expect("the folder is ours");
    fs::write(source.join("x"), "1").expect("the folder is ours");
    let add = json!({ "path": folder, "name": "data", "url": "path:./data", "flake": false });
    let (status, body) = scene.post("/v1/main/commands/AddFlakeInput", &add.to_string());
    assert_eq!(status, 200, "{body} {}", scene.log());
    let lock = fs::read_to_string(project.join("tool/flake.lock")).expect("it was locked");
    assert!(lock.contains("\"data\""), "{lock}");
    // What lies outside is refused.
    let outside = scene.path("elsewhere").display().to_string();
    let (status, body) = scene.post("/v1/main/commands/CreateFlake", &create(&outside));
    assert_eq!(status, 422, "{body}");
    let evaluate = json!({ "expression": "builtins.readFile /etc/passwd" }).to_string();
    let (_, body) = scene.post("/v1/main/commands/EvaluateExpression", &evaluate);
    assert!(!body.contains("root:"), "{body}");
}

#[test]
fn the_configuration_is_read_again() {
    let mut scene = Scene::new(CATALOGUE);
    scene.start();
    let hash = "0".repeat(64);
    scene.configure(CATALOGUE);
    let config = scene.path("server.toml");
    let text = fs::read_to_string(&config).expect("it was written");
    let known = text.split("sha256 = \"").nth(1).expect("a token")[..64].to_owned();
    fs::write(&config, text.replace(&known, &hash)).expect("the folder is ours");
    assert_eq!(scene.get("/v1/main/flakes").0, 200);
    scene.signal("HUP");
    let deadline = Instant::now() + Duration::from_secs(10);
    while scene.get("/v1/main/flakes").0 != 401 {
        assert!(Instant::now() < deadline, "the token counts still: {}", scene.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    // What is wrong changes nothing.
    fs::write(&config, "[[tenant").expect("the folder is ours");
    scene.signal("HUP");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(scene.get("/health/ready").0, 200);
    assert!(scene.log().contains("stays as it was"), "{}", scene.log());
}

/// `Type=notify` of systemd: who waits for the start waits until requests are answered.
#[test]
fn systemd_is_told_how_far_it_is() {
    let mut scene = Scene::new(CATALOGUE);
    let file = scene.path("notify");
    let abstract_name = format!("cim-nix-{}", scene.port);
    let address = SocketAddr::from_abstract_name(&abstract_name).expect("a name");
    for (place, socket) in [
        (file.clone().into_os_string(), UnixDatagram::bind(&file).expect("the folder is ours")),
        (
            format!("@{abstract_name}").into(),
            UnixDatagram::bind_addr(&address).expect("it is free"),
        ),
    ] {
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("it is no zero");
        let told = || {
            let mut text = [0; 256];
            let length = socket.recv(&mut text).expect("somebody tells");
            String::from_utf8_lossy(&text[..length]).replace('\n', ";")
        };
        scene.notify = Some(place);
        // Nobody asks whether it is ready until it says so.
        scene.start_and(|_| told().contains("READY=1"));
        assert_eq!(scene.get("/health/ready").0, 200);
        scene.signal("TERM");
        assert_eq!(told(), "STOPPING=1;STATUS=brings to an end what was begun;");
        assert_eq!(scene.wait(), Some(0), "{}", scene.log());
    }
    // A socket that is gone keeps nobody from serving.
    fs::remove_file(&file).expect("it was made");
    scene.notify = Some(file.into());
    scene.start();
    assert!(scene.log().contains("cannot tell systemd how far the service is"), "{}", scene.log());
}

#[test]
fn what_was_begun_comes_to_its_end_before_it_stops() {
    let mut scene = Scene::new(CATALOGUE);
    scene.start();
    let (sent, received) = std::thread::scope(|scope| {
        let scene = &scene;
        let writer = scope.spawn(move || {
            let mut n_sent = 0;
            for n in 0..10_000 {
                let body = create(&format!("/srv/{n}"));
                let mut curl = Command::new("curl");
                curl.args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "-d", &body]);
                curl.args(["-H", "Content-Type: application/json", "-H"]);
                curl.arg(format!("Authorization: Bearer {}", crate::scene::TOKEN));
                curl.arg(format!("http://127.0.0.1:{}/v1/main/commands/CreateFlake", scene.port));
                let status = curl.output().expect("curl is there").stdout;
                if status != b"200" {
                    break;
                }
                n_sent += 1;
            }
            n_sent
        });
        std::thread::sleep(Duration::from_millis(800));
        scene.signal("TERM");
        let n_sent = writer.join().expect("it ends");
        (n_sent, n_sent)
    });
    assert_eq!(scene.wait(), Some(0), "{}", scene.log());
    scene.start();
    let (_, body) = scene.get("/v1/main/events?limit=1000");
    let page: Value = serde_json::from_str(&body).expect("JSON");
    let n_stored = page["items"].as_array().map_or(0, Vec::len);
    assert!(sent > 0 && n_stored >= received, "{n_stored} stored of {sent}");
}

/// Whoever waits for the end knows of one time, and kills what takes longer.
#[test]
fn the_time_to_stop_counts_once() {
    let mut scene = Scene::new("drain-seconds = 5\n");
    let text = fs::read_to_string(scene.path("server.toml")).expect("it was written");
    let text =
        text.replace("drain-seconds = 5\n", "").replace("[http]\n", "[http]\ndrain-seconds = 5\n");
    fs::write(scene.path("server.toml"), format!("drain-seconds = 5\n{text}{CATALOGUE}"))
        .expect("the folder is ours");
    scene.start();
    let numbers = "builtins.genList (x: x) 10000";
    let expression = format!(
        "let xs = {numbers}; sum = f: builtins.foldl' (a: x: a + f x) 0 xs; \
         in sum (x: sum (x: sum (x: x)))"
    );
    let body = json!({ "expression": expression }).to_string();
    let began = std::thread::scope(|scope| {
        let scene = &scene;
        scope.spawn(move || {
            let mut curl = Command::new("curl");
            curl.args([
                "-s",
                "-m",
                "60",
                "-d",
                &body,
                "-H",
                "Content-Type: application/json",
                "-H",
            ]);
            curl.arg(format!("Authorization: Bearer {}", crate::scene::TOKEN));
            let port = scene.port;
            curl.arg(format!("http://127.0.0.1:{port}/v1/main/commands/EvaluateExpression"));
            let _ = curl.output();
        });
        let deadline = Instant::now() + Duration::from_secs(20);
        while !scene.get("/metrics").1.contains("cim_nix_in_flight{kind=\"command\"} 1") {
            assert!(Instant::now() < deadline, "nothing is evaluated: {}", scene.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        scene.signal("TERM");
        Instant::now()
    });
    assert_eq!(scene.wait(), Some(0), "{}", scene.log());
    assert!(scene.log().contains("not all commands came to their end"), "{}", scene.log());
    let took = began.elapsed();
    assert!(took > Duration::from_secs(5) && took < Duration::from_secs(9), "{took:?}");
}

#[test]
fn it_serves_on_nats_and_publishes() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    let config = format!("{CATALOGUE}[nats]\nservers = [{:?}]\n", nats.url());
    let mut scene = Scene::new(&config);
    scene.start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("threads").block_on(async {
        let client = async_nats::connect(nats.url()).await.expect("it runs");
        let ask = async |subject: &'static str, body: String| -> Value {
            let reply = client.request(subject, body.into()).await.expect("a reply");
            serde_json::from_slice(&reply.payload).expect("JSON")
        };
        let reply = ask("nix.cmd.flake.create", create("/srv/b")).await;
        assert_eq!(reply["status"], "success", "{reply}");
        let reply = ask("nix.query.flake.list", "{}".to_owned()).await;
        assert!(reply.to_string().contains("/srv/b"), "{reply}");
        let jetstream = async_nats::jetstream::new(client.clone());
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let stream = jetstream.get_stream("NIX_EVENTS").await;
            if stream.is_ok_and(|stream| stream.cached_info().state.messages == 1) {
                break;
            }
            assert!(Instant::now() < deadline, "nothing is published: {}", scene.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    scene.signal("TERM");
    assert_eq!(scene.wait(), Some(0), "{}", scene.log());
    // That it leaves is nothing to warn of.
    let log = scene.log();
    assert!(
        log.contains("left NATS") && !log.contains("WARN") && !log.contains("\"warn\""),
        "{log}"
    );
}

#[test]
fn events_can_live_in_jetstream_and_be_copied() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    let config = format!("{CATALOGUE}[nats]\nservers = [{:?}]\n", nats.url());
    let mut scene = Scene::new(&config);
    let path = scene.path("server.toml");
    let text = fs::read_to_string(&path).expect("it was written");
    fs::write(&path, format!("store = \"jetstream:\"\n{text}")).expect("the folder is ours");
    scene.start();
    for n in 0..20 {
        let body = create(&format!("/srv/{n}"));
        let (status, body) = scene.post("/v1/main/commands/CreateFlake", &body);
        assert_eq!(status, 200, "{body}");
    }
    scene.signal("TERM");
    assert_eq!(scene.wait(), Some(0), "{}", scene.log());
    let copy = scene.path("copy.sqlite").display().to_string();
    let from = format!("jetstream:{}", nats.url());
    let output = scene.cli(&["store", "copy", &from, &format!("sqlite:{copy}")]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.starts_with("20 events are in both stores and the same"), "{output:?}");
}
