//! Builds that end well, that fail, that are cancelled, and that take too long.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cim_nix_builder::{Build, BuildEnd, Control, Nix, Outputs, Progress, Source, Stage, Tool};
use expect_test::expect;

use crate::child;
use crate::store::{Store, of};

/// Whether a process has this text in its command line.
fn is_running(text: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut lines =
        processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.any(|line| String::from_utf8_lossy(&line).contains(text))
}

#[test]
fn an_output_is_recorded_with_its_path_and_sizes() {
    let Some(store) = Store::new() else { return };
    let (record, told) = store.build(&of("uses"));
    let BuildEnd::Built(outputs) = &record.end else { panic!("{:?}", record.end) };
    let [output] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(output.name, "out");
    assert_eq!(std::fs::read_to_string(Path::new(&output.path).join("ok")).unwrap(), "40\n");
    assert!(record.derivation.as_ref().unwrap().ends_with("-uses.drv"));
    assert_eq!((record.n_built, record.n_copied), (2, 0));
    // The archive of a folder with a link and a file, and that of a file of three bytes.
    let link = Path::new(&output.path).join("ok").read_link().unwrap();
    let own = output.nar_size.unwrap();
    assert!(own > 288, "{own}");
    assert_eq!(output.closure_size, Some(own + 120), "{link:?}");
    assert!(output.nar_hash.as_ref().unwrap().starts_with("sha256-"));
    assert!(record.duration > record.evaluation && record.evaluation > Duration::ZERO);
    let mut shown = String::new();
    for progress in told.iter().filter(|p| !matches!(p, Progress::Message { .. })) {
        writeln!(shown, "{progress:?}").unwrap();
    }
    expect![[r#"
        Instantiated { derivation: "[tmp]/s/store/[hash]-uses.drv", outputs: Some(["out"]) }
        Started { derivation: "[tmp]/s/store/[hash]-ok.drv", machine: "" }
        Log { derivation: Some("[tmp]/s/store/[hash]-ok.drv"), line: "hello" }
        Finished { derivation: "[tmp]/s/store/[hash]-ok.drv" }
        Started { derivation: "[tmp]/s/store/[hash]-uses.drv", machine: "" }
        Finished { derivation: "[tmp]/s/store/[hash]-uses.drv" }
    "#]]
    .assert_eq(&store.plain(&shown));

    // Once more: nothing is built, and the record says the same of the output.
    let (again, _) = store.build(&of("uses"));
    assert_eq!((again.end, again.n_built), (record.end, 0));
    assert_eq!(again.derivation, record.derivation);
}

#[test]
fn phases_are_told_and_logs_are_cleaned() {
    let Some(store) = Store::new() else { return };
    let (_, told) = store.build(&of("phases"));
    let has = |want: &dyn Fn(&Progress) -> bool| told.iter().any(want);
    assert!(
        has(&|p| matches!(p, Progress::Phase { phase, .. } if phase == "buildPhase")),
        "{told:?}"
    );
    let want = |p: &Progress| matches!(p, Progress::Log { line, .. } if line.ends_with(" bold"));
    assert!(has(&want), "{told:?}");
}

#[test]
fn outputs_are_those_that_are_asked_for() {
    let Some(store) = Store::new() else { return };
    let names = |outputs: Outputs, source: Source| {
        let (record, _) = store.build(&Build { outputs, ..Build::new(source) });
        let BuildEnd::Built(outputs) = record.end else { panic!("{:?}", record.end) };
        let shown = outputs.iter().map(|output| {
            let text = std::fs::read_to_string(&output.path).unwrap();
            assert_eq!(output.path.ends_with("-two-dev"), text == "dev\n", "{}", output.path);
            assert!(output.nar_size.is_some() && output.closure_size.is_some());
            output.name.clone()
        });
        shown.collect::<Vec<_>>()
    };
    let file = |attribute: &str| of(attribute).source;
    let named = |names: &[&str]| Outputs::Named(names.iter().map(|&name| name.into()).collect());
    assert_eq!(names(Outputs::Default, file("two")), ["out"]);
    assert_eq!(names(Outputs::Default, file("two.dev")), ["dev"]);
    assert_eq!(names(Outputs::All, file("two")), ["dev", "out"]);
    assert_eq!(names(named(&["dev"]), file("two")), ["dev"]);
    assert_eq!(names(named(&["out", "dev"]), file("two")), ["out", "dev"]);
    let (record, _) = store.build(&of("two"));
    let derivation = || Source::Derivation(record.derivation.clone().unwrap());
    assert_eq!(names(Outputs::Default, derivation()), ["dev", "out"]);
    assert_eq!(names(named(&["dev"]), derivation()), ["dev"]);

    let (record, _) = store.build(&Build { outputs: named(&["doc"]), ..of("two") });
    let BuildEnd::Failed(failure) = record.end else { panic!("{:?}", record.end) };
    assert_eq!(failure.stage, Stage::Build);
    assert!(failure.reason.contains("doc"), "{}", failure.reason);
}

#[test]
fn packages_of_flakes_are_built_as_they_say() {
    let Some(store) = Store::new() else { return };
    let flake = r#"{
      outputs = { self }:
        let
          system = "SYSTEM";
          build = name: more: derivation ({
            inherit name system; builder = "/bin/sh"; outputs = [ "out" "dev" ];
            args = [ "-c" "echo > $out; echo > $dev" ];
          } // more);
        in {
          packages.${system} = {
            default = build "default" { };
            installs = build "installs" { } // { meta.outputsToInstall = [ "out" "dev" ]; };
          };
        };
    }"#;
    let system = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    std::fs::create_dir(store.at("project/flake")).unwrap();
    let flake = flake.replace("SYSTEM", &system);
    std::fs::write(store.at("project/flake/flake.nix"), flake).unwrap();
    let names = |reference: &str, attribute: Option<&str>| {
        let (reference, attribute) = (reference.to_owned(), attribute.map(str::to_owned));
        let (record, _) = store.build(&Build::new(Source::Flake { reference, attribute }));
        let BuildEnd::Built(outputs) = record.end else { panic!("{:?}", record.end) };
        outputs.into_iter().map(|output| output.name).collect::<Vec<_>>()
    };
    let absolute = format!("path:{}", store.at("project/flake").display());
    assert_eq!(names(&absolute, None), ["out"]);
    assert_eq!(names(&absolute, Some("installs")), ["out", "dev"]);
    assert_eq!(names("path:./flake", Some("installs")), ["out", "dev"]);
}

#[test]
fn a_failed_build_names_the_derivation_and_keeps_the_end_of_its_log() {
    let Some(store) = Store::new() else { return };
    let (record, told) = store.build(&of("needs-broken"));
    let BuildEnd::Failed(failure) = &record.end else { panic!("{:?}", record.end) };
    assert_eq!(failure.stage, Stage::Build);
    assert_eq!(failure.code, Some(100));
    let broken = &failure.failed[0];
    assert!(broken.derivation.ends_with("-broken.drv") && !broken.derivation.contains("needs"));
    assert!(broken.reason.contains("failed with exit code 3"), "{}", broken.reason);
    assert!(!broken.is_for_dependency);
    assert!(failure.failed[1].is_for_dependency, "{failure:?}");
    assert!(failure.failed[1].derivation.ends_with("-needs-broken.drv"));
    assert!(record.derivation.unwrap().ends_with("-needs-broken.drv"));
    assert_eq!(record.n_built, 0);
    assert_eq!(record.log.n_lines, 101);
    assert_eq!(record.log.lines.len(), 50);
    assert_eq!(record.log.lines.last().unwrap(), "no such luck");
    let failed = told.iter().filter(|p| matches!(p, Progress::Failed { .. })).count();
    assert_eq!(failed, 2);
    let finished = told.iter().any(|p| matches!(p, Progress::Finished { .. }));
    assert!(!finished, "{told:?}");
}

#[test]
fn all_failures_are_told_by_who_keeps_going() {
    let Some(store) = Store::new() else { return };
    let (record, _) = store.build(&Build { keeps_going: true, ..of("needs-both") });
    let BuildEnd::Failed(failure) = &record.end else { panic!("{:?}", record.end) };
    let mut failed: Vec<_> =
        failure.failed.iter().filter(|failed| !failed.is_for_dependency).collect();
    failed.sort_by(|one, other| one.reason.cmp(&other.reason));
    let [broken, also_broken] = &failed[..] else { panic!("{failure:?}") };
    assert!(broken.reason.contains("exit code 3") && broken.derivation.ends_with("-broken.drv"));
    assert!(also_broken.reason.contains("exit code 7"), "{also_broken:?}");
    assert!(failure.failed.last().unwrap().is_for_dependency);
    assert_eq!(record.n_built, 1, "what is sound was built");
}

#[test]
fn another_hash_than_the_one_that_was_promised_is_a_failure() {
    let Some(store) = Store::new() else { return };
    let (record, _) = store.build(&of("unlike"));
    let BuildEnd::Failed(failure) = &record.end else { panic!("{:?}", record.end) };
    assert_eq!((failure.stage, failure.code), (Stage::Build, Some(102)));
    assert!(failure.failed[0].derivation.ends_with("-unlike.drv"));
    assert!(failure.failed[0].reason.contains("hash mismatch"), "{failure:?}");
}

/// The child: builds until it is killed.
#[test]
fn builds_until_it_is_killed() {
    let Some(folder) = child::task() else { return };
    let nix = Nix::new(Store::programs_in(&folder), Store::settings_in(&folder));
    let cancel = AtomicBool::new(false);
    nix.build(&of("waits"), &mut Control::new(&cancel, &mut |_| {})).unwrap();
}

#[test]
fn a_kill_in_the_middle_of_a_build_is_made_good_by_building_again() {
    let Some(store) = Store::new() else { return };
    child::kill_once(&store, "builds::builds_until_it_is_killed");
    // What Nix had begun goes on without us; it is waited for, not begun once more.
    std::fs::write(store.at("project/go"), "").unwrap();
    let output = store.built("waits").remove(0);
    assert_eq!(std::fs::read_to_string(output.path).unwrap(), "\n");
}

#[test]
fn a_listener_that_panics_leaves_nothing_running() {
    let Some(store) = Store::new() else { return };
    let caught = std::panic::catch_unwind(|| {
        let cancel = AtomicBool::new(false);
        let mut say = |progress| {
            let is_running = matches!(&progress, Progress::Log { line, .. } if line == "waiting");
            assert!(!is_running, "the listener has a fault");
        };
        store.nix.build(&of("waits"), &mut Control::new(&cancel, &mut say))
    });
    assert!(caught.is_err());
    assert!(!child::is_alive(&store.at("project/pid")), "the builder is still there");
}

#[test]
fn a_failed_evaluation_is_no_failed_build() {
    let Some(store) = Store::new() else { return };
    for (attribute, want) in [("missing", "there is no such package"), ("nope", "'nope'")] {
        let (record, _) = store.build(&of(attribute));
        let BuildEnd::Failed(failure) = &record.end else { panic!("{:?}", record.end) };
        assert_eq!(failure.stage, Stage::Evaluation);
        assert!(failure.reason.contains(want), "{}", failure.reason);
        assert!(failure.failed.is_empty());
        assert_eq!((failure.code, record.derivation), (Some(1), None));
        assert!(!record.log.lines.is_empty());
    }
    // The whole file is no package, but has several.
    let cancel = AtomicBool::new(false);
    let mut say = |_| {};
    std::fs::write(store.at("project/set.nix"), "{ inherit (import ./.) ok two; }").unwrap();
    let request = Build::new(Source::File { file: "set.nix".into(), attribute: None });
    let error = store.nix.build(&request, &mut Control::new(&cancel, &mut say)).unwrap_err();
    assert_eq!(error.to_string(), "there are 2 derivations, and one is to be built");
}

#[test]
fn a_log_of_any_length_takes_little_memory() {
    let Some(store) = Store::new() else { return };
    let cancel = AtomicBool::new(false);
    let mut n_lines = 0;
    let mut say = |progress| n_lines += u64::from(matches!(progress, Progress::Log { .. }));
    let record = store.nix.build(&of("loud"), &mut Control::new(&cancel, &mut say)).unwrap();
    assert!(matches!(record.end, BuildEnd::Failed(_)), "{:?}", record.end);
    assert_eq!((record.log.n_lines, n_lines), (30_000, 30_000));
    assert_eq!(record.log.lines.len(), 50);
}

#[test]
fn a_cancelled_build_leaves_nothing_running() {
    let Some(store) = Store::new() else { return };
    let cancel = AtomicBool::new(false);
    let mut say = |progress| {
        if matches!(&progress, Progress::Log { line, .. } if line == "waiting") {
            cancel.store(true, Ordering::Relaxed);
        }
    };
    let record = store.nix.build(&of("slow"), &mut Control::new(&cancel, &mut say)).unwrap();
    assert_eq!(record.end, BuildEnd::Cancelled);
    assert_eq!(record.log.lines, ["waiting"]);
    assert!(record.derivation.unwrap().ends_with("-slow.drv"));
    assert!(record.duration < Duration::from_secs(60));
    assert!(!child::is_alive(&store.at("project/pid")), "the builder is still there");
    let folder = store.folder.path().to_string_lossy().into_owned();
    assert!(!is_running(&folder), "something still works on the store");

    // What is cancelled before it starts is not started.
    let record = store.nix.build(&of("ok"), &mut Control::new(&cancel, &mut |_| {})).unwrap();
    assert_eq!((record.end, record.derivation), (BuildEnd::Cancelled, None));
    // And the store is as good as before.
    store.built("ok");
}

#[test]
fn a_build_that_takes_too_long_is_ended() {
    let Some(store) = Store::new() else { return };
    // Long enough for the builder to start, however slow the machine is.
    let start = Instant::now();
    store.built("ok");
    let limit = start.elapsed() * 3 + Duration::from_secs(2);
    let (record, _) = store.build(&Build { time_limit: Some(limit), ..of("slow") });
    assert_eq!(record.end, BuildEnd::TimedOut);
    assert!(record.duration >= limit && record.duration < limit + Duration::from_secs(30));
    assert!(!child::is_alive(&store.at("project/pid")), "the builder is still there");
}

#[test]
fn a_link_keeps_the_outputs() {
    let Some(store) = Store::new() else { return };
    let link = Some("-result".into());
    let (record, _) = store.build(&Build { out_link: link, outputs: Outputs::All, ..of("two") });
    let BuildEnd::Built(outputs) = record.end else { panic!("{:?}", record.end) };
    assert_eq!(outputs.len(), 2);
    for output in outputs {
        let name = if output.name == "out" {
            "-result".to_owned()
        } else {
            format!("-result-{}", output.name)
        };
        let to = std::fs::read_link(store.at("project").join(name)).unwrap();
        assert_eq!(to, Path::new(&output.path));
    }
}

#[test]
fn a_plan_is_what_would_be_run() {
    let Some(store) = Store::new() else { return };
    let plan = |request: &Build| {
        let lines = store.nix.plan_build(request).unwrap();
        lines.iter().fold(String::new(), |text, line| text + &store.plain(&line.to_string()) + "\n")
    };
    let mut shown = plan(&of("hello"));
    shown += &plan(&Build {
        outputs: Outputs::All,
        out_link: Some("result".into()),
        keeps_going: true,
        ..of("it's")
    });
    let (reference, attribute) = (".".to_owned(), Some("hello".to_owned()));
    shown += &plan(&Build {
        outputs: Outputs::Named(vec!["out".into(), "dev".into()]),
        is_impure: true,
        ..Build::new(Source::Flake { reference, attribute })
    });
    shown += &plan(&Build::new(Source::Derivation("/nix/store/a-x.drv".into())));
    expect![[r#"
        nix-instantiate --log-format internal-json --attr hello [tmp]/project/.
        nix-store --realise --log-format internal-json '<derivation>'
        nix-instantiate --log-format internal-json --attr 'it'\''s' [tmp]/project/.
        nix-store --realise --log-format internal-json --keep-going --add-root [tmp]/project/result --indirect '<derivation>'
        nix eval --json --no-write-lock-file --extra-experimental-features 'nix-command flakes' --log-format internal-json --impure --apply 'd: { drv = d.drvPath; outputs = d.meta.outputsToInstall or [ (d.outputName or "out") ]; }' '.#hello'
        nix-store --realise --log-format internal-json '<derivation>!out,dev'
        nix-store --realise --log-format internal-json /nix/store/a-x.drv
    "#]]
    .assert_eq(&shown);
    assert!(!store.at("s").exists(), "a plan makes nothing");
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let Some(store) = Store::new() else { return };
    let refused = |request: Build| store.nix.plan_build(&request).unwrap_err().to_string();
    let flake = |reference: &str, attribute: Option<&str>| {
        let (reference, attribute) = (reference.to_owned(), attribute.map(str::to_owned));
        Build::new(Source::Flake { reference, attribute })
    };
    let outputs = |names: &[&str]| Outputs::Named(names.iter().map(|&name| name.into()).collect());
    let all = [
        refused(flake("--version", None)),
        refused(flake("", None)),
        refused(flake(".#a", Some("b"))),
        refused(Build::new(Source::Derivation("--gc".into()))),
        refused(Build { outputs: outputs(&["a,b"]), ..of("two") }),
        refused(Build { outputs: outputs(&[]), ..of("two") }),
    ];
    expect![[r#"
        the flake reference `--version` starts with `-`, which Nix would take for an option
        the flake reference is empty
        `.#a` has an attribute already
        `--gc` is no path of a derivation
        `a,b` is no name of an output
        no output is named
    "#]]
    .assert_eq(&(all.join("\n") + "\n"));
    assert!(store.nix.programs().version(Tool::Nix).is_some());
}
