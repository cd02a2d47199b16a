//! Schemathesis asks whatever the document allows, and whatever it does not.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cim_nix_http::Settings;
use cim_nix_service::Limits;

use crate::kit::{Kit, OPERATOR, is_there};

/// What schemathesis cannot know of the service.
const CONFIG: &str = r#"
# Other tenants answer 403, and nothing else could be seen of them.
[parameters]
"path.tenant" = "acme"

[checks]
# What fits the schema may still be refused: by the domain, by names and paths that it does not
# take, and by versions and keys that clash.
positive_data_acceptance.expected-statuses = ["2xx", "304", "400", "401", "403", "404", "409", "412", "422"]
# What does not fit may be refused for what it is, too: too large, or of another version.
negative_data_rejection.expected-statuses = ["400", "401", "403", "404", "405", "406", "409", "412", "413", "414", "415", "422", "428", "429", "431"]
"#;

#[test]
fn the_document_is_what_the_server_does() {
    let Some(program) = is_there("schemathesis") else { return };
    let most = 1_000_000_000;
    let limits = Limits {
        requests_per_second: most,
        burst: most,
        requests_per_second_per_caller: most,
        ..Limits::default()
    };
    let settings = Settings { bad_tokens_per_minute: most, ..Settings::default() };
    let kit = Kit::with(settings, limits);
    kit.flake("/fleet");
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("schemathesis.toml");
    std::fs::write(&config, CONFIG).expect("it can be written");
    let schema = kit.get("/openapi.json");
    assert_eq!(schema.status, 200);
    let document = folder.path().join("openapi.json");
    std::fs::write(&document, schema.text()).expect("it can be written");
    let url = format!("http://{}", kit.address);
    let mut run = Command::new(program);
    run.arg("--config-file").arg(&config).arg("run").arg(&document).args(["--url", &url]);
    run.args(["-H", &format!("Authorization: Bearer {OPERATOR}")]);
    // A stream of events has no end; tests/it/stream.rs follows it.
    run.args(["--exclude-operation-id", "FollowEvents"]);
    run.args(["--checks", "all", "--mode", "all", "--max-examples", "3", "--seed", "7"]);
    run.args(["--generation-deterministic", "--request-timeout", "20", "--workers", "1"]);
    run.args(["--phases", "examples,coverage,fuzzing,stateful", "--suppress-health-check", "all"]);
    run.current_dir(folder.path()).env("NO_COLOR", "1").env_remove("http_proxy");
    let log = folder.path().join("log");
    let file = std::fs::File::create(&log).expect("it can be written");
    let errors = file.try_clone().expect("a second handle");
    let mut child =
        run.stdin(Stdio::null()).stdout(file).stderr(errors).spawn().expect("it starts");
    let began = Instant::now();
    let ended = loop {
        match child.try_wait().expect("it is ours") {
            Some(ended) => break Some(ended),
            None if began.elapsed() > Duration::from_secs(900) => {
                // It may have ended in between.
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(200)),
        }
    };
    let said = std::fs::read_to_string(&log).unwrap_or_default();
    assert!(ended.is_some_and(|ended| ended.success()), "{ended:?}\n{said}");
    kit.assert_ready();
}
