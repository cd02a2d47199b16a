//! One trace through everything: the command line, NATS, the service, the worker, Nix; as a
//! collector gets it.

use std::env;
use std::fs;

use cim_nix_rig::{Nats, Setup};
use serde_json::json;

use crate::journey::{has_nix, machines};
use crate::page;
use crate::receiver::{Received, Receiver};
use crate::scene::Scene;

/// A package, and one whose builder fails.
const FLAKE: &str = r#"{
  description = "packages";
  outputs = _: let
    package = name: script: derivation {
      inherit name;
      system = "SYSTEM";
      builder = "/bin/sh";
      PATH = "/usr/bin:/bin";
      args = [ "-c" script ];
    };
  in {
    packages.SYSTEM.hello = package "hello" "sleep 0.2; echo hello > $out";
    packages.SYSTEM.broken = package "broken" "echo no compiler was found >&2; exit 7";
  };
}
"#;

/// Whether Nix is the version whose words the page has, which is the one that CI has.
pub(crate) fn is_2_8() -> bool {
    let output = std::process::Command::new("nix").arg("--version").output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(" 2.8."))
}

/// What `cim-nix send` says of a build, and the id of its trace.
struct Sent {
    status: i32,
    out: String,
    errors: String,
    trace: String,
}

fn build(scene: &Scene, nats: &Nats, receiver: &Receiver, attribute: &str) -> Sent {
    let system = format!("{}-linux", env::consts::ARCH);
    let folder = scene.path("project").canonicalize().expect("it is there");
    let package = json!({ "flake_ref": folder, "attribute": { "segments": ["packages", system, attribute] } });
    let output = scene
        .light()
        .args(["send", "--nats", &nats.url(), "BuildPackage", &package.to_string()])
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url())
        .output()
        .expect("cim-nix was built");
    let errors = String::from_utf8(output.stderr).expect("text");
    let trace = errors.lines().find_map(|line| line.strip_prefix("trace: "));
    let trace = trace.unwrap_or_else(|| panic!("no trace: {errors}")).to_owned();
    let out = String::from_utf8(output.stdout).expect("text");
    Sent { status: output.status.code().unwrap_or(-1), out, errors, trace }
}

/// The spans as a tree, in the order in which they began, without what is another one each time.
pub(crate) fn tree(spans: &[Received], scene: &Scene) -> String {
    let mut out = String::new();
    show(spans, "", 0, &mut out);
    let folder = scene.folder.path().canonicalize().expect("it is there");
    out.replace(&folder.display().to_string(), "FOLDER")
}

/// What is told of a span beside its name.
const SHOWN: [&str; 11] = [
    "http.response.status_code",
    "messaging.destination.name",
    "messaging.consumer.group.name",
    "tenant",
    "caller",
    "outcome",
    "task",
    "process.executable.name",
    "process.exit.code",
    "error.type",
    "messaging.operation.type",
];

fn show(spans: &[Received], parent: &str, depth: usize, out: &mut String) {
    let mut children: Vec<&Received> = spans.iter().filter(|span| span.parent == parent).collect();
    children.sort_by_key(|span| span.began);
    for span in children {
        let indent = "  ".repeat(depth);
        out.push_str(&format!("{indent}{}  [{} {}]\n", span.name, span.service, span.kind));
        let shown = SHOWN.iter().filter_map(|name| Some((name, span.attributes.get(*name)?)));
        let shown: Vec<String> = shown.map(|(name, value)| format!("{name}={value}")).collect();
        if !shown.is_empty() {
            out.push_str(&format!("{indent}    {}\n", shown.join(" ")));
        }
        if let Some(error) = span.error.as_ref().filter(|error| !error.is_empty()) {
            out.push_str(&format!("{indent}    error: {}\n", masked(error)));
        }
        show(spans, &span.id, depth + 1, out);
    }
}

/// Store paths have another hash for each machine and folder.
fn masked(text: &str) -> String {
    let words = text.split_inclusive(['/', '-', '\'', '`']);
    let is_hash = |word: &str| {
        word.len() == 33 && word[..32].bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    words
        .map(|word| if is_hash(word) { format!("HASH{}", &word[32..]) } else { word.to_owned() })
        .collect()
}

pub(crate) fn named<'s>(spans: &'s [Received], name: &str) -> &'s Received {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name}: {spans:#?}"))
}

#[test]
fn one_trace_leads_from_the_command_line_to_nix() {
    let Some(nats) = Nats::start(Setup::jetstream()) else { return };
    if !has_nix() {
        return;
    }
    let receiver = Receiver::start();
    let mut scene = machines(&nats, &format!("[traces]\nendpoint = {:?}\n", receiver.url()));
    let system = format!("{}-linux", env::consts::ARCH);
    fs::write(scene.path("project/flake.nix"), FLAKE.replace("SYSTEM", &system))
        .expect("the folder is ours");
    scene.start();

    let good = build(&scene, &nats, &receiver, "hello");
    assert_eq!(good.status, 0, "{} {} {}", good.out, good.errors, scene.log());
    assert!(good.errors.contains("PackageBuilt"), "{}", good.errors);
    let path = good.out.strip_suffix("-hello\n").unwrap_or_else(|| panic!("{}", good.out));
    assert!(path.contains("/store/") && !path.contains('\n'), "{}", good.out);
    let way = [
        "send nix.cmd.package.build",
        "process nix.cmd.package.build",
        "handle BuildPackage",
        "cim-nix worker run",
        "nix-store --realise",
    ];
    let spans = receiver.trace(&good.trace, &way);
    // Each is the child of the one before, and lies within its time.
    let mut parent: Option<&Received> = None;
    for name in way {
        let span = named(&spans, name);
        assert_eq!(span.parent, parent.map_or("", |parent| &parent.id), "{name}: {spans:#?}");
        assert!(span.began < span.ended, "{span:?}");
        if let Some(parent) = parent {
            // Clocks of processes are read a little before or after the other's.
            let slack = 5_000_000;
            assert!(parent.began <= span.began + slack, "{parent:?} {span:?}");
            assert!(span.ended <= parent.ended + slack, "{parent:?} {span:?}");
        }
        assert_eq!(span.error, None, "{span:?}");
        parent = Some(span);
    }
    let kinds = way.map(|name| &*named(&spans, name).kind);
    assert_eq!(kinds, ["producer", "consumer", "internal", "client", "client"]);
    // The builder sleeps for a fifth of a second.
    let nix = named(&spans, "nix-store --realise");
    assert!(nix.ended - nix.began >= 200_000_000, "{nix:?}");
    assert!(nix.attributes["process.pid"].parse::<u32>().is_ok_and(|id| id > 1), "{nix:?}");

    let bad = build(&scene, &nats, &receiver, "broken");
    assert_eq!(bad.status, 1, "{} {}", bad.out, bad.errors);
    assert!(bad.errors.contains("(PackageBuildFailed)"), "{}", bad.errors);
    let failed = receiver.trace(&bad.trace, &way);
    for name in ["nix-store --realise", "handle BuildPackage", "send nix.cmd.package.build"] {
        let error = named(&failed, name).error.as_deref();
        assert!(error.is_some_and(|error| error.contains("exit code 7")), "{name}: {error:?}");
    }
    // The worker did its part, and so did whoever carried the message.
    for name in ["cim-nix worker run", "process nix.cmd.package.build"] {
        assert_eq!(named(&failed, name).error, None, "{name}");
    }
    scene.signal("TERM");
    assert_eq!(scene.wait(), Some(0), "{}", scene.log());
    // Other versions say the same in other words.
    if !is_2_8() {
        return;
    }
    let text = |spans: &[Received]| format!("```text\n{}```\n", tree(spans, &scene));
    page::has("a trace", &text(&spans));
    page::has("a trace of a failure", &text(&failed));
}
