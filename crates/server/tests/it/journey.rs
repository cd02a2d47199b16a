//! From nothing to an activated machine and back, over NATS: a flake is made, gets its code, is
//! checked, fixed, built by real Nix, activated, and rolled back.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::time::Duration;

use cim_nix_rig::{Nats, Setup};
use serde_json::{Value, json};

use crate::scene::Scene;

/// Two systems whose activation notes that it was run.
const SYSTEMS: &str = r#"{ calls }:
let
  unused = 1;
  system = name: derivation {
    inherit name;
    system = "SYSTEM";
    builder = "/bin/sh";
    PATH = "/usr/bin:/bin";
    args = [ "-c" ''
      mkdir -p $out/bin
      printf '%s\n' '#!/bin/sh' 'echo "${name} $@" >> ${calls}' > $out/bin/switch-to-configuration
      chmod +x $out/bin/switch-to-configuration
    '' ];
  };
in { one = system "one"; two = system "two"; }
"#;

pub(crate) fn has_nix() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_there = env::split_paths(&path).any(|folder| folder.join("nix-store").is_file());
    assert!(is_there || env::var("CI").as_deref() != Ok("true"), "there is no Nix");
    if !is_there {
        eprintln!("skipped: there is no Nix");
    }
    is_there
}

/// A scene whose tenant may run Nix, in a store of its own, and `more` settings.
pub(crate) fn machines(nats: &Nats, more: &str) -> Scene {
    let scene = Scene::new("");
    for folder in ["project", "profiles", "conf"] {
        fs::create_dir(scene.path(folder)).expect("the folder is ours");
    }
    fs::write(
        scene.path("conf/nix.conf"),
        "sandbox = false\nbuild-users-group =\nsubstitute = false\nexperimental-features = nix-command flakes\n",
    )
    .expect("the folder is ours");
    let at = |name: &str| format!("{:?}", scene.path(name));
    scene.configure(&format!(
        "[nats]\nservers = [{:?}]\n[[tenant]]\nname = \"main\"\nfolder = {}\n[tenant.worker]\nnix = true\n\
         profiles = [{}]\nreadable = [{}]\n[tenant.worker.nix-environment]\nNIX_STORE_DIR = {}\nNIX_STATE_DIR = {}\n\
         NIX_LOG_DIR = {}\nNIX_CONF_DIR = {}\n{more}",
        nats.url(),
        at("project"),
        at("profiles"),
        at("s"),
        at("s/store"),
        at("s/var"),
        at("s/log"),
        at("conf"),
    ));
    scene
}

struct Client {
    nats: async_nats::Client,
}

impl Client {
    async fn ask(&self, subject: &'static str, body: Value) -> Value {
        let request = async_nats::Request::new()
            .payload(body.to_string().into())
            .timeout(Some(Duration::from_secs(120)));
        let reply = self.nats.send_request(subject, request).await.expect("a reply");
        serde_json::from_slice(&reply.payload).expect("JSON")
    }

    /// Sends a command that has to be taken, and answers the types of its events.
    async fn command(&self, subject: &'static str, body: Value) -> Vec<String> {
        let reply = self.ask(subject, body).await;
        assert_eq!(reply["status"], "success", "{subject}: {reply:#}");
        let events = reply["events"].as_array().expect("a list");
        events.iter().map(|event| event["event_type"].as_str().unwrap_or("").to_owned()).collect()
    }
}

fn write(path: &Path, text: &str, calls: &Path) {
    let system = format!("{}-linux", env::consts::ARCH);
    let text = text.replace("SYSTEM", &system).replace("CALLS", &calls.display().to_string());
    fs::write(path, text).expect("the folder is ours");
}

#[test]
fn from_a_new_flake_to_a_rollback_over_nats() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    if !has_nix() {
        return;
    }
    let mut scene = machines(&nats, "");
    scene.start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("threads").block_on(async {
        let client = Client { nats: async_nats::connect(nats.url()).await.expect("it runs") };
        let flake = scene.path("project").canonicalize().expect("it is there");
        let folder = flake.display().to_string();
        let calls = scene.path("calls");
        let new = json!({ "path": folder, "description": "machines" });
        assert_eq!(client.command("nix.cmd.flake.create", new).await, ["FlakeCreated"]);
        // Somebody writes code by hand.
        write(&flake.join("systems.nix"), SYSTEMS, &calls);
        let outputs = r#"{
  description = "machines";
  outputs = _: let systems = import ./systems.nix { calls = "CALLS"; }; in {
    packages.SYSTEM = systems;
    nixosConfigurations.web.config.system.build.toplevel = systems.one;
  };
}
"#;
        write(&flake.join("flake.nix"), outputs, &calls);
        let path = json!({ "path": folder });
        assert_eq!(client.command("nix.cmd.project.check", path.clone()).await, ["ProjectChecked"]);
        assert_eq!(client.command("nix.cmd.project.fix", path.clone()).await, ["ProjectFixed"]);
        let fixed = fs::read_to_string(flake.join("systems.nix")).expect("it is there");
        assert!(!fixed.contains("unused"), "{fixed}");
        let system = format!("{}-linux", env::consts::ARCH);
        let package = json!({
            "flake_ref": folder, "attribute": { "segments": ["packages", system, "one"] },
        });
        assert_eq!(
            client.command("nix.cmd.package.build", package.clone()).await,
            ["PackageBuilt"]
        );
        let status = client.ask("nix.query.package.get_status", package).await;
        assert!(status["result"].to_string().contains("-one"), "{status:#}");
        let profile = scene.path("profiles/system").display().to_string();
        let activate = json!({
            "project": folder, "name": "web", "activation_type": "Switch", "profile": profile,
        });
        let activated = client.command("nix.cmd.config.activate", activate.clone()).await;
        assert!(activated.contains(&"ConfigurationActivated".to_owned()), "{activated:?}");
        write(&flake.join("flake.nix"), &outputs.replace("systems.one", "systems.two"), &calls);
        client.command("nix.cmd.config.activate", activate).await;
        let back = json!({ "project": folder, "name": "web", "profile": profile });
        let events = client.command("nix.cmd.config.rollback", back).await;
        assert_eq!(events, ["ConfigurationRolledBack"]);
        let ran = fs::read_to_string(&calls).expect("activations note themselves");
        let ran: Vec<&str> = ran.lines().map(|line| line.split(' ').next().unwrap_or("")).collect();
        assert_eq!(ran, ["one", "two", "one"]);
        let current = json!({ "project": folder, "name": "web" });
        let current = client.ask("nix.query.config.get_current", current).await;
        assert_eq!(current["result"]["generation"]["number"], 1, "{current:#}");
        // Everything was told on its subject.
        let jetstream = async_nats::jetstream::new(client.nats.clone());
        let mut told = BTreeSet::new();
        for _ in 0..100 {
            let stream = jetstream.get_stream("NIX_EVENTS").await.expect("it was made");
            let subjects = stream.info_with_subjects("nix.event.>").await.expect("it is there");
            let mut subjects = subjects;
            use futures_util::TryStreamExt as _;
            while let Ok(Some((subject, _))) = subjects.try_next().await {
                told.insert(subject);
            }
            if told.contains("nix.event.config.rolled_back") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for subject in [
            "nix.event.flake.created",
            "nix.event.project.checked",
            "nix.event.project.fixed",
            "nix.event.package.built",
            "nix.event.config.activated",
            "nix.event.config.rolled_back",
        ] {
            assert!(told.contains(subject), "{subject} was not told: {told:?}");
        }
    });
    scene.signal("TERM");
    assert_eq!(scene.wait(), Some(0), "{}", scene.log());
}
