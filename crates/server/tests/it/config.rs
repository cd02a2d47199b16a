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
fn what_cannot_be_served_is_told_before_it_is_tried() {
    let with = |more: &str| format!("[[tenant]]\nname = \"main\"\n{more}");
    let before = |more: &str| format!("{more}\n{}", with("[http]\n"));
    let two = |more: &str, of_a: &str, of_b: &str| {
        format!(
            "{more}\n[http]\n[[tenant]]\nname = \"a\"\n{of_a}\n[[tenant]]\nname = \"b\"\n{of_b}\n"
        )
    };
    let token = |more: &str| with(&format!("[[token]]\nrole = \"reader\"\n{more}\n[http]\n"));
    let empty = "sha256 = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"";
    let zero = format!("sha256 = \"{}\"", "0".repeat(64));
    let mut all = String::new();
    for config in [
        two("", "", "").replace("\"b\"", "\"a\""),
        two("store = \"sqlite:/srv/events.sqlite\"", "", ""),
        two("", "folder = \"/tmp\"", "folder = \"/tmp/../tmp/b\""),
        two("state = \"/tmp/state\"", "folder = \"/tmp\"", ""),
        before("state = \"here\""),
        before("worker = \"/etc/passwd\""),
        before("drain-seconds = 9_000_000_000"),
        with("folder = \"/etc/passwd\"\n[http]\n"),
        with("worker = { seconds = 0 }\n[http]\n"),
        with("limits = { commands-at-once = 0 }\n[http]\n"),
        before("[limits]\nrequests-per-second = 0"),
        before("[limits]\ncommand-seconds = 9_223_372_036_854_775_807"),
        before("[service]\ncommand-threads = 1_000_000"),
        before("[service]\nmessage-bytes = 0"),
        before("[service.breakers]\npause-seconds = nan"),
        before("[service.breakers]\npause-seconds = 100.0"),
        before("[service.breakers]\nfailures-of-twenty = 21"),
        before("[jetstream]\nreplicas = 2"),
        before("[traces]\nratio = 7.0"),
        before("[traces]\nendpoint = \"nowhere\""),
        before("[traces]\nendpoint = \"https://c:4317\"\ntoken-file = \"/none\""),
        with("[http.tls]\ncertificate = \"/none.pem\"\nkey = \"/none.key\"\n"),
        with("[http]\nconnections = 0\n"),
        with("[http]\nhead-seconds = 9_223_372_036_854_775_807\n"),
        with(
            "[[http.clients]]\nname = \"ci\"\nrole = \"reader\"\ntenants = [\"mian\"]\ncertificate = \"dns:ci\"\n",
        ),
        with(
            "[[http.clients]]\nname = \"ci\"\nrole = \"reader\"\ntenants = [\"main\"]\ncertificate = \"dns:ci\"\n",
        ),
        with("[nats]\nservers = [\"ann:hunter2@:x:\"]\n"),
        with("[nats.login]\nnkey-file = \"/none\"\n"),
        with("[nats.tls]\nca = \"/none\"\n"),
        with("[nats.accounts.mian]\nuser = \"a\"\npassword = \"b\"\n"),
        with("[nats.stream]\nreplicas = 9\n"),
        two("[nats]", "", ""),
        token(&format!("name = \"a\"\ntenants = [\"main\"]\n{empty}")),
        token(&format!("name = \"\"\ntenants = [\"main\"]\n{zero}")),
        token(&format!("name = \"a\"\ntenants = []\n{zero}")),
    ] {
        all.push_str(&check(&config));
    }
    expect_test::expect![[r#"
        2: error: there are two tenants `a`
        2: error: `a` and `b` have the same store, `/srv/events.sqlite`
        hint: `{tenant}` in `store` stands for the name of each
        2: error: `b` and `a` would have each other's files: `/tmp/../tmp/b` and `/tmp`
        hint: folders of tenants lie beside each other, not in each other
        2: error: `a` could read what `b` has: `/tmp/state/b` is in `/tmp`
        hint: `state` and `store` name places outside of all tenants' folders
        2: error: `state = "here"` is no absolute path
        2: error: there is no program `/etc/passwd` to do the work
        hint: `worker` names the program `cim-nix`, a file that may be executed
        2: error: `drain-seconds` is 9000000000, not 0 to 86400
        2: error: the project folder `/etc/passwd` is no folder
        2: error: `worker.seconds` of `main` is 0, not 1 to 2592000
        2: error: the limits of `main`: `commands-at-once` is 0, so nothing would be done
        2: error: the limits: `requests-per-second` is 0, so nothing would be done
        2: error: the limits: `command-seconds` is 9223372036854775807, more than 2592000
        2: error: `command-threads` is 1000000, not 1 to 1024
        2: error: `message-bytes` is 0, not 256 to 67108864
        2: error: `service.breakers`: `pause-seconds` is NaN, not more than 0 and at most a day
        2: error: `service.breakers`: `pause-seconds` is more than `longest-pause-seconds`
        2: error: `service.breakers`: `failures-of-twenty` is 21, not 1 to 20
        2: error: `jetstream` wants 2 replicas
        hint: 1, 3 or 5: of an even number, half is no majority
        2: error: `ratio` of traces is 7, not between 0 and 1
        2: error: `nowhere` is no address of a collector
        hint: write it as `http://host:4317` or `https://host:4317`
        2: error: cannot read `token-file` of traces `/none`: No such file or directory (os error 2)
        2: error: there is no certificate in `/none.pem`: I/O error: No such file or directory (os error 2)
        2: error: `connections` of `http` is 0, so nobody could come
        2: error: `head-seconds` of `http` is 9223372036854775807, more than a day
        2: error: the certificate of `ci` is for `mian`, which is no tenant
        2: error: `ci` comes with a certificate, and nobody is asked for one
        hint: `client-ca` in `[http.tls]` names the authority of the certificates
        2: error: address 1 of `nats.servers` is none
        hint: an address is `nats://HOST:PORT` or `tls://HOST:PORT`
        2: error: cannot read `/none`, which `nats` names: No such file or directory (os error 2)
        2: error: cannot read `/none`, which `nats` names: No such file or directory (os error 2)
        2: error: `nats.accounts.mian` is the login of no tenant
        2: error: `nats.stream` wants 9 replicas, and a server keeps 1 to 5
        2: error: `nats.accounts` has no login for `a`
        hint: each tenant has an account of its own; `tenants-by = "token"` lets them share one
        2: error: the token of `a` is empty, so anybody would have it
        2: error: `` cannot be the name of somebody with a token
        2: error: the token of `a` is for no tenant
    "#]].assert_eq(&all);
}

#[test]
fn tokens_that_would_not_count_are_not_made() {
    let scene = Scene::new("");
    let mut all = String::new();
    for (arguments, input) in [
        (&["new", "--name", "a", "--role", "reader", "--for", "No Name"][..], ""),
        (&["new", "--name", "", "--role", "reader", "--for", "main"], ""),
        (
            &[
                "new",
                "--name",
                "a",
                "--role",
                "reader",
                "--for",
                "main",
                "--expires",
                "2020-01-01T00:00:00Z",
            ],
            "",
        ),
        (&["hash"], "\n"),
        (&["hash"], "hunter2\n"),
    ] {
        let output = scene.cli_with_input(&[&["token"], arguments].concat(), input);
        let code = output.status.code().unwrap_or(-1);
        all.push_str(&format!("{code}: {}", said(&output, scene.folder.path())));
        assert_eq!(output.stdout, b"");
    }
    expect_test::expect![[r#"
        2: error: `No Name` cannot be a tenant's name
        hint: lower-case letters, digits and `-`, at most 63 of them
        2: error: `` cannot be the name of somebody with a token
        2: error: the token would have expired already
        2: error: standard input has no token
        2: error: a token this short can be guessed
        hint: it has at least 32 characters; `token new` makes one
    "#]]
    .assert_eq(&all);
}

#[test]
fn a_check_makes_no_folders() {
    let scene = Scene::new("[[tenant]]\nname = \"main\"\n");
    let checked = scene.cli(&["check-config", "--config", "server.toml"]);
    assert!(checked.status.success(), "{checked:?}");
    assert!(!scene.path("state").exists(), "it serves nothing, and has made the state");
}
