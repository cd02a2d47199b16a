//! Which subcommand takes which options, and where they may stand.

use std::fs;

use crate::scene::{Scene, said};

/// All that can be asked of the program.
const ALL: [&[&str]; 12] = [
    &[],
    &["serve"],
    &["send"],
    &["check-config"],
    &["token", "new"],
    &["token", "hash"],
    &["nats", "permissions"],
    &["store", "copy"],
    &["store", "backup"],
    &["store", "check"],
    &["openapi"],
    &["healthcheck"],
];

#[test]
fn each_subcommand_shows_what_it_has_a_use_for() {
    let scene = Scene::new("");
    let mut all = String::new();
    for path in ALL {
        let output = scene.cli(&[path, &["--help"]].concat());
        let text = String::from_utf8(output.stdout).expect("text");
        let about = text.lines().next().unwrap_or_default();
        let options = text.lines().filter_map(|line| {
            let line = line.trim_start();
            let long = line.strip_prefix("-c, ").unwrap_or(line).strip_prefix("--")?;
            long.split([' ', '<', ',']).next().filter(|name| !["help", "version"].contains(name))
        });
        let options: String = options.map(|name| format!(" {name}")).collect();
        all.push_str(&format!("{}: {about}\n   {options}\n", path.join(" ")).replace("   \n", ""));
    }
    expect_test::expect![[r#"
        : Serve the Nix domain on NATS and HTTP
            config tenant store state listen nats human
        serve: Serve; the same as no command at all
            config tenant store state listen nats human
        send: Send a command or a query to a running service over NATS
            id correlation expected-version dry-run timeout format config tenant nats prefix tenants-by user password-file token-file nkey-file credentials-file inbox-prefix ca certificate key
        check-config: Say what is wrong with the configuration, and serve nothing
            config tenant store state listen nats
        token new: Make a token, print it once, and what the configuration needs to know of it
            name role for expires
        token hash: Print the hash of a token, which is read from standard input
        nats permissions: Print accounts, users and permissions for the configuration of nats-server
            config tenant
        store copy: Copy all events of a store to another one, and prove that they are the same
            of config nats
        store backup: Write a copy of a store in a file, of one moment, while the service goes on
        store check: Read all of a store in a file, and say what is damaged
        openapi: Print the OpenAPI document of the HTTP service
        healthcheck: Ask a running service whether it is ready; for containers
            config listen certificate key
    "#]].assert_eq(&all);
}

#[test]
fn what_would_do_nothing_is_refused_wherever_it_stands() {
    let scene = Scene::new("[[tenant]]\nname = \"main\"\n");
    let mut all = String::new();
    for arguments in [
        &["--listen", "127.0.0.1:1", "openapi"][..],
        &["--state", "/x", "send", "ListFlakes"],
        &["--tenant", "main", "store", "check", "sqlite:/x"],
        &["--human", "check-config"],
        &["--store", "jetstream:", "nats", "permissions"],
        &["send", "--listen", "127.0.0.1:1", "ListFlakes"],
        &["openapi", "--config", "server.toml"],
        &["token", "hash", "--nats", "nats://n:1"],
        &["store", "copy", "sqlite:/x", "sqlite:/y", "--tenant", "main"],
        &["healthcheck", "--human"],
    ] {
        let output = scene.cli(arguments);
        let text = said(&output, scene.folder.path());
        let first = text.lines().next().unwrap_or_default();
        all.push_str(&format!("{} {first}\n", output.status.code().unwrap_or(-1)));
        assert_eq!(output.stdout, b"");
    }
    expect_test::expect![[r#"
        2 error: `openapi` takes no `--listen`
        2 error: `send` takes no `--state`
        2 error: `store check` takes no `--tenant`
        2 error: `check-config` takes no `--human`
        2 error: `nats permissions` takes no `--store`
        2 error: unexpected argument '--listen' found
        2 error: unexpected argument '--config' found
        2 error: unexpected argument '--nats' found
        2 error: unexpected argument '--tenant' found
        2 error: unexpected argument '--human' found
    "#]]
    .assert_eq(&all);
}

#[test]
fn options_of_the_program_may_stand_before_a_subcommand() {
    let scene = Scene::new("[[tenant]]\nname = \"main\"\n[nats]\n");
    let run = |arguments: &[&str]| {
        let output = scene.cli(arguments);
        assert!(output.status.success(), "{arguments:?} {output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let good = "the configuration is good: 1 tenant, 1 token\n";
    assert_eq!(run(&["--config", "server.toml", "check-config"]), good);
    assert_eq!(run(&["-c", "/nowhere", "check-config", "-c", "server.toml"]), good);
    // An image's entrypoint names the file before all else.
    assert!(run(&["--config", "server.toml", "openapi"]).contains("\"openapi\""));
    assert_eq!(
        run(&["--config", "/nowhere", "token", "hash", "--help"]).lines().next(),
        Some("Print the hash of a token, which is read from standard input")
    );
    let named =
        run(&["--tenant", "main", "--nats", "nats://127.0.0.1:4222", "nats", "permissions"]);
    assert_eq!(named, run(&["nats", "permissions", "--tenant", "main"]));
    assert_eq!(named, run(&["nats", "permissions", "--config", "server.toml"]));
    // What a subcommand is told counts before what the program is told.
    let away = ["--listen", "127.0.0.1:1", "healthcheck", "--listen", "127.0.0.1:2"];
    let text = said(&scene.cli(&away), scene.folder.path());
    assert!(text.starts_with("error: 127.0.0.1:2 does not answer"), "{text}");
    let above = said(&scene.cli(&away[..3]), scene.folder.path());
    assert!(above.starts_with("error: 127.0.0.1:1 does not answer"), "{above}");
}

#[test]
fn the_environment_names_the_configuration_that_nobody_names() {
    let scene = Scene::new("[[tenant]]\nname = \"main\"\n");
    fs::write(scene.path("none.toml"), "[http]\n").expect("the folder is ours");
    let check = |arguments: &[&str]| {
        let output = scene.cli_where(("CIM_NIX_SERVER_CONFIG", "none.toml"), arguments);
        output.status.code()
    };
    assert_eq!(check(&["check-config"]), Some(2));
    assert_eq!(check(&["check-config", "--config", "server.toml"]), Some(0));
    assert_eq!(check(&["--config", "server.toml", "check-config"]), Some(0));
    assert_eq!(check(&["openapi"]), Some(0));
}
