//! Configurations, good and bad.

use std::fs;

use crate::scene::{Scene, said};

fn check(config: &str) -> String {
    let scene = Scene::new("");
    fs::write(scene.path("bad.toml"), config).expect("the folder is ours");
    let output = scene.cli(&["check-config", "--config", "bad.toml"]);
    let code = output.status.code().unwrap_or(-1);
    let out = String::from_utf8_lossy(&output.stdout);
    format!("{code}: {out}{}", said(&output, scene.folder.path()))
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let mut all = String::new();
    for config in [
        "",
        "[[tenant]]\nname = \"Main\"\n[http]\n",
        "[[tenant]]\nname = \"main\"\n",
        "[[tenant]]\nname = \"main\"\nfolder = \"here\"\n[http]\n",
        "[http]\nlisten = \"nowhere\"\n",
        "[http]\nlissten = \"127.0.0.1:1\"\n",
        "store = \"mysql:x\"\n[[tenant]]\nname = \"main\"\n[http]\n",
        "[[tenant]]\nname = \"main\"\nlimits = { effects-at-onze = 1 }\n[http]\n",
        "[[tenant]]\nname = \"main\"\n[[token]]\nname = \"a\"\nrole = \"reader\"\ntenants = [\"mian\"]\nsha256 = \"00\"\n[http]\n",
        "[log]\nfilter = \"loud\"\n[[tenant]]\nname = \"main\"\n[http]\n",
        "[[tenant\n",
    ] {
        all.push_str(&check(config));
    }
    expect_test::expect![[r#"
        2: error: no tenant is configured
        hint: `[[tenant]]` with `name = "main"`, or `--tenant NAME=FOLDER`
        2: error: `Main` cannot be a tenant's name
        hint: lower-case letters, digits and `-`, at most 63 of them
        2: error: neither `[http]` nor `[nats]` is configured
        hint: an empty section `[http]` serves on 127.0.0.1:8480
        2: error: the folder `here` is not absolute
        2: error: `bad.toml` (line 2) is no configuration: invalid socket address syntax
        2: error: `bad.toml` (line 2) is no configuration: unknown field `lissten`, expected one of `listen`, `tls`, `clients`, `open-health`, `open-metrics`, `page`, `connections`, `connections-per-address`, `trusted-proxies`, `forwarded-by`, `streams`, `streams-per-caller`, `bad-tokens-per-minute`, `head-seconds`, `body-seconds`, `query-seconds`, `stall-seconds`, `heartbeat-seconds`, `drain-seconds`
        2: error: `mysql:x` is no store
        hint: `sqlite:/PATH` or `jetstream:nats://HOST:PORT`
        2: error: the limits of `main`: unknown field `effects-at-onze`, expected one of `requests-per-second`, `burst`, `requests-per-second-per-caller`, `commands-at-once`, `effects-at-once`, `command-seconds`, `effect-seconds`, `storage-bytes`, `worker-seconds-per-hour`

        2: error: the token of `a` is for `mian`, which is no tenant
        2: error: `loud` is no filter for logs
        hint: write a level (`off`, `error`, `warn`, `info`, `debug`, `trace`), and behind commas levels for single targets: `info,cim_nix_nats=debug`
        2: error: `bad.toml` (line 1) is no configuration: unclosed array table, expected `]]`
    "#]].assert_eq(&all);
}

#[test]
fn a_token_is_shown_once_and_kept_as_its_hash() {
    let scene = Scene::new("[[tenant]]\nname = \"main\"\n");
    let made =
        ["token", "new", "--name", "bob \"the\" builder", "--role", "reader", "--for", "main"];
    let output = scene.cli(&made);
    let text = String::from_utf8(output.stdout).expect("text");
    let token = text.split_whitespace().find(|word| word.starts_with("cimnix_")).expect("a token");
    assert_eq!(token.len(), "cimnix_".len() + 64);
    let config = scene.path("server.toml");
    let before = fs::read_to_string(&config).expect("it was written");
    fs::write(&config, format!("{before}{text}")).expect("the folder is ours");
    let checked = scene.cli(&["check-config", "--config", "server.toml"]);
    let told = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(told, "the configuration is good: 1 tenant, 2 tokens\n", "{checked:?}");
}

#[test]
fn a_file_with_a_token_alone_serves_the_tenant_of_the_command_line() {
    let scene = Scene::new("");
    let made = scene.cli(&["token", "new", "--name", "ann", "--role", "operator", "--for", "main"]);
    fs::write(scene.path("tokens.toml"), made.stdout).expect("the folder is ours");
    let folder = format!("main={}", scene.folder.path().display());
    let checked = scene.cli(&["check-config", "--config", "tokens.toml", "--tenant", &folder]);
    let told = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(told, "the configuration is good: 1 tenant, 1 token\n", "{checked:?}");
}

#[test]
fn permissions_are_a_configuration_that_the_server_takes() {
    let scene = Scene::new("[[tenant]]\nname = \"main\"\n[nats]\n");
    let output = scene.cli(&["nats", "permissions", "--config", "server.toml"]);
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains("nix.cmd.>"), "{text}");
    if let Some(checked) = cim_nix_rig::Nats::check(&text) {
        assert_eq!(checked, Ok(()), "{text}");
    }
}

#[test]
fn a_check_makes_no_folders() {
    let scene = Scene::new("[[tenant]]\nname = \"main\"\n");
    let checked = scene.cli(&["check-config", "--config", "server.toml"]);
    assert!(checked.status.success(), "{checked:?}");
    assert!(!scene.path("state").exists(), "it serves nothing, and has made the state");
}
