//! Builds, copies and activations by real Nix, in a store of its own, and what is recorded of them:
//! when they work, fail, are stopped, and when this program is killed in between.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::sandbox::{Sandbox, stdout};

/// What is built; `BENCH` is a folder outside of the project that programs write to. Those in
/// `/usr/bin` are there without a sandbox.
const PACKAGES: &str = r#"
let
  build = name: more: script: derivation ({
    inherit name;
    system = "SYSTEM";
    builder = "/bin/sh";
    args = [ "-c" script ];
    PATH = "/usr/bin:/bin";
  } // more);
  system = name: text: build name { } ''
    mkdir -p $out/bin; program=$out/bin/switch-to-configuration
    printf '%s\n' '#!/bin/sh' 'echo "${name}" "$@" >> BENCH/calls' '${text}' > $program
    chmod +x $program
  '';
in rec {
  hello = build "hello" { } "echo hello > $out";
  unlucky = build "unlucky" { } "echo compiling; echo no such luck >&2; exit 3";
  ok = build "ok" { } "echo hello; echo 40 > $out";
  uses = build "uses" { inherit ok; } "mkdir $out; ln -s $ok $out/ok; echo 2 > $out/b";
  broken = build "broken" { } "seq 1 100 >&2; echo no such luck >&2; exit 3";
  slow = build "slow" { } "echo $$ > BENCH/pid; echo waiting; sleep 600; echo > $out";
  waits = build "waits" { } ''
    echo $$ > BENCH/pid; while ! [ -e BENCH/go ]; do sleep 0.1; done; echo > $out
  '';
  missing = throw "there is no such package";
  one = system "one" "echo restarting";
  two = system "two" "echo restarting";
  bad = system "bad" "echo one unit failed >&2; exit 4";
  # Waits the first time, and fails from then on unless there is a file `go`.
  fickle = system "fickle" ''
    if [ -e BENCH/go ]; then exit 0; fi
    if [ -e BENCH/pid ]; then echo not again >&2; exit 5; fi
    echo $$ > BENCH/pid; exec sleep 600
  '';
}
"#;

const FLAKE: &str = r#"{
  outputs = _: let packages = import ./default.nix; in {
    packages.SYSTEM = packages // { default = packages.ok; };
    nixosConfigurations.web.config.system.build.toplevel = packages.one;
    nixosConfigurations.bad.config.system.build.toplevel = packages.broken;
    homeConfigurations.ada.activationPackage = packages.two;
  };
}
"#;

/// A project, and a store of Nix beside it.
pub(crate) struct Bench {
    sandbox: Sandbox,
    folder: TempDir,
}

impl Bench {
    /// None if there is no Nix, which is a failure in CI.
    pub(crate) fn new() -> Option<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        if !env::split_paths(&path).any(|folder| folder.join("nix-store").is_file()) {
            assert!(env::var("CI").as_deref() != Ok("true"), "there is no Nix");
            eprintln!("skipped: there is no Nix");
            return None;
        }
        let bench = Self { sandbox: Sandbox::new(""), folder: tempfile::tempdir().unwrap() };
        fs::create_dir(bench.at("conf")).unwrap();
        let conf = "sandbox = false\nbuild-users-group =\nsubstitute = false\n";
        fs::write(bench.at("conf/nix.conf"), conf).unwrap();
        fs::create_dir(bench.at("profiles")).unwrap();
        let system = format!("{}-linux", env::consts::ARCH);
        let filled = |text: &str| {
            let folder = bench.at("");
            text.replace("BENCH", folder.to_string_lossy().trim_end_matches('/'))
                .replace("SYSTEM", &system)
        };
        bench.sandbox.write("default.nix", filled(PACKAGES));
        bench.sandbox.write("flake.nix", filled(FLAKE));
        Some(bench)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    /// The project's folder.
    pub(crate) fn project(&self) -> PathBuf {
        self.sandbox.project()
    }

    /// The variables that say where the store is.
    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let places = [
            ("NIX_STORE_DIR", "s/store"),
            ("NIX_STATE_DIR", "s/var"),
            ("NIX_LOG_DIR", "s/log"),
            ("NIX_CONF_DIR", "conf"),
        ];
        let place = |place| self.at(place).display().to_string();
        places.into_iter().map(|(name, it)| (name.to_owned(), place(it))).collect()
    }

    /// The number of the builder that waits, once it does.
    pub(crate) fn builder(&self) -> String {
        self.wait(|| self.noted().is_some());
        self.noted().unwrap()
    }

    /// The number of the builder, if one has noted it.
    pub(crate) fn noted(&self) -> Option<String> {
        let text = fs::read_to_string(self.at("pid")).ok()?;
        Some(text.strip_suffix('\n')?.to_owned())
    }

    fn around(&self, mut command: Command) -> Command {
        command.envs(self.variables());
        command.env("PATH", env::var_os("PATH").unwrap());
        command
    }

    fn command(&self, args: &str) -> Command {
        self.around(self.sandbox.command(args))
    }

    fn run(&self, args: &str) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs what has to end with a certain status.
    fn ends(&self, args: &str, code: i32) -> Output {
        let output = self.run(args);
        assert_eq!(output.status.code(), Some(code), "{args}: {output:#?}");
        output
    }

    /// The answer to a command that says it as JSON.
    fn json(&self, args: &str, code: i32) -> Value {
        let output = self.ends(&format!("{args} --format json"), code);
        serde_json::from_str(&stdout(&output)).unwrap()
    }

    /// All events, the newest first.
    fn log(&self) -> Vec<Value> {
        let text = stdout(&self.ends("log --format json", 0));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The newest event, by its type.
    fn newest(&self, event_type: &str) -> Value {
        let newest = self.log().remove(0);
        assert_eq!(newest["event_type"], event_type, "{newest:#}");
        newest["event"].clone()
    }

    /// Asks Nix itself.
    fn nix(&self, program: &str, args: &[&str]) -> Output {
        let mut command = self.around(Command::new(program));
        command.env("HOME", self.folder.path()).current_dir(self.sandbox.project());
        command.args(args).output().unwrap()
    }

    /// The path of a package, which is built.
    fn path(&self, attribute: &str) -> String {
        let answer = self.json(&format!("package build -f default.nix -A {attribute}"), 0);
        answer["events"][0]["event"]["output_path"].as_str().unwrap().to_owned()
    }

    /// Starts a command, and waits until what it runs has written its number to the file `pid`.
    fn start(&self, args: &str) -> Child {
        let mut command = self.command(args);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        self.wait(|| fs::read_to_string(self.at("pid")).is_ok_and(|text| text.ends_with('\n')));
        child
    }

    fn wait(&self, is_so: impl Fn() -> bool) {
        for _ in 0..2400 {
            if is_so() {
                return;
            }
            sleep(Duration::from_millis(50));
        }
        panic!("that does not come to pass");
    }

    /// Kills a command, and if `with_all`, what it has started.
    fn kill(&self, mut child: Child, with_all: bool) {
        child.kill().unwrap();
        child.wait().unwrap();
        if with_all {
            let builder = fs::read_to_string(self.at("pid")).unwrap();
            signal("-9", builder.trim());
            self.wait(|| !is_alive(builder.trim()));
        }
    }

    /// What activations were called with since the last time.
    fn calls(&self) -> String {
        let text = fs::read_to_string(self.at("calls")).unwrap_or_default();
        let _ = fs::remove_file(self.at("calls"));
        text
    }

    /// Where the profile leads, by the name of the path.
    fn leads_to(&self) -> String {
        let profile = self.at("profiles/system");
        let Ok(link) = fs::read_link(&profile) else { return "nowhere".to_owned() };
        let target = fs::read_link(profile.parent().unwrap().join(link)).unwrap();
        target.to_string_lossy().rsplit_once('-').unwrap().1.to_owned()
    }

    /// The arguments that activate a package by its path on the profile.
    fn activation(&self, attribute: &str) -> String {
        let (path, profile) = (self.path(attribute), self.at("profiles/system"));
        format!("config activate web --store-path {path} --profile {}", profile.display())
    }
}

impl Drop for Bench {
    /// Nothing in a store may be written to, so it cannot be removed as it is.
    fn drop(&mut self) {
        let _ = Command::new("chmod").args(["-R", "u+w"]).arg(self.folder.path()).status();
    }
}

fn signal(signal: &str, id: &str) {
    assert!(Command::new("kill").args([signal, id]).status().unwrap().success());
}

pub(crate) fn is_alive(id: &str) -> bool {
    let state = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    !state.is_empty() && !state.contains(") Z")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_build_records_what_it_gave() {
    let Some(bench) = Bench::new() else { return };
    let output = bench.ends("package build -f default.nix -A uses --out-link result", 0);
    let event = bench.newest("PackageBuilt");
    let path = event["output_path"].as_str().unwrap();
    assert!(path.ends_with("-uses") && Path::new(path).join("b").is_file(), "{event:#}");
    assert_eq!(fs::read_link(bench.sandbox.project().join("result")).unwrap(), Path::new(path));
    // As Nix itself tells it.
    let size = bench.nix("nix-store", &["--query", "--size", path]);
    let size: u64 = stdout(&size).trim().parse().unwrap();
    let out = &event["outputs"]["out"];
    assert_eq!((out["path"].as_str(), out["nar_size"].as_u64()), (Some(path), Some(size)));
    let all = bench
        .nix("nix", &["--extra-experimental-features", "nix-command", "path-info", "-S", path]);
    let all: u64 = stdout(&all).split_whitespace().last().unwrap().parse().unwrap();
    assert_eq!(out["closure_size"].as_u64(), Some(all));
    assert!(all > size);
    assert!(event["drv_path"].as_str().unwrap().ends_with("-uses.drv"));
    let said = stdout(&output);
    assert!(said.starts_with("built ") && said.contains(path), "{said}");
    assert!(stderr(&output).contains("building "), "{output:?}");
    // Of a flake, by what people type; what was built is not built again.
    let answer = bench.json("package build .#uses", 0);
    assert_eq!(answer["events"][0]["event"]["output_path"], path);
    let flake = answer["events"][0]["event"]["flake_ref"].as_str().unwrap();
    assert_eq!(flake, format!("path:{}", bench.sandbox.project().display()));
    let quiet = bench.ends("package build --quiet", 0);
    assert_eq!((stdout(&quiet).as_str(), stderr(&quiet).as_str()), ("", ""));
    assert!(bench.newest("PackageBuilt")["output_path"].as_str().unwrap().ends_with("-ok"));
    // A derivation by its path.
    let derivation = event["drv_path"].as_str().unwrap();
    let answer = bench.json(&format!("package build {derivation}"), 0);
    assert_eq!(answer["events"][0]["event"]["output_path"], path);

    let status = bench.json("package status .#uses", 0);
    assert_eq!(status["package"]["last"], "built");
    assert_eq!(status["builds"].as_array().unwrap().len(), 1);
    assert_eq!(stdout(&bench.ends("package status", 0)).matches(": built (1 build,").count(), 4);
    // What was built stays built.
    let id = bench.log()[0]["id"].as_str().unwrap().to_owned();
    let refused = bench.ends(&format!("undo {id}"), 2);
    assert!(stderr(&refused).contains("cannot be undone"), "{refused:?}");
}

#[test]
fn a_failed_build_records_why() {
    let Some(bench) = Bench::new() else { return };
    let output = bench.ends("package build -f default.nix -A broken", 1);
    let event = bench.newest("PackageBuildFailed");
    assert_eq!(event["reason"], "failed");
    assert!(event["drv_path"].as_str().unwrap().ends_with("-broken.drv"), "{event:#}");
    let log = event["log_tail"].as_str().unwrap();
    assert!(log.ends_with("99\n100\nno such luck") && log.lines().count() == 50, "{log}");
    assert!(event["message"].as_str().unwrap().contains("exit code 3"), "{event:#}");
    assert!(stderr(&output).contains("  no such luck\n"), "{output:?}");
    assert_eq!(stdout(&output), "");

    bench.ends("package build -f default.nix -A missing", 1);
    let event = bench.newest("PackageBuildFailed");
    let message = event["message"].as_str().unwrap();
    assert!(message.contains("cannot be evaluated: there is no such package"), "{message}");

    bench.ends("package build -f default.nix -A slow --timeout 2s", 1);
    assert_eq!(bench.newest("PackageBuildFailed")["reason"], "timed_out");
    let status = stdout(&bench.ends("package status", 0));
    assert!(status.contains("#slow: took too long (1 build, 1 failed)"), "{status}");
}

#[test]
fn ctrl_c_ends_the_builder_and_is_recorded() {
    let Some(bench) = Bench::new() else { return };
    let child = bench.start("package build -f default.nix -A slow");
    let builder = fs::read_to_string(bench.at("pid")).unwrap();
    signal("-INT", &child.id().to_string());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(!is_alive(builder.trim()), "the builder is still there");
    let event = bench.newest("PackageBuildFailed");
    assert_eq!(
        (&event["reason"], &event["message"]),
        (&"cancelled".into(), &"it was cancelled".into())
    );
    assert!(event["drv_path"].as_str().unwrap().ends_with("-slow.drv"), "{event:#}");
    assert_eq!(event["log_tail"], "waiting");
    assert!(stderr(&bench.ends("recover", 0)).contains("nothing was interrupted"));
}

#[test]
fn a_killed_build_is_told_by_what_is_there() {
    let Some(bench) = Bench::new() else { return };
    let child = bench.start("package build -f default.nix -A slow");
    bench.kill(child, true);
    let status = bench.ends("status", 1);
    assert!(stdout(&status).contains("interrupted: build "), "{status:?}");
    let output = bench.ends("recover", 0);
    assert!(stderr(&output).contains("was interrupted: build "), "{output:?}");
    let event = bench.newest("PackageBuildFailed");
    assert_eq!(event["reason"], "interrupted");
    assert!(event["drv_path"].as_str().unwrap().ends_with("-slow.drv"), "{event:#}");
    fs::remove_file(bench.at("pid")).unwrap();

    // This time Nix goes on without us.
    let child = bench.start("package build -f default.nix -A waits");
    bench.kill(child, false);
    fs::write(bench.at("go"), "").unwrap();
    let derivation = bench.nix("nix-instantiate", &["-A", "waits", "default.nix"]);
    let derivation = stdout(&derivation).trim().to_owned();
    let path = stdout(&bench.nix("nix-store", &["--query", "--outputs", &derivation]));
    let is_valid = || bench.nix("nix-store", &["--check-validity", path.trim()]).status.success();
    bench.wait(is_valid);
    bench.ends("recover", 0);
    let event = bench.newest("PackageBuilt");
    assert_eq!(
        (event["output_path"].as_str(), event["drv_path"].as_str()),
        (Some(path.trim()), Some(&*derivation),)
    );
    assert!(event["outputs"]["out"]["nar_size"].as_u64() > Some(0));
    // Once is enough.
    let n_events = bench.log().len();
    assert!(stderr(&bench.ends("recover", 0)).contains("nothing was interrupted"));
    assert_eq!((bench.log().len(), n_events), (2, 2));
    let left = fs::read_dir(bench.sandbox.state().join("cim-nix/effects")).unwrap().count();
    assert_eq!(left, 0, "nothing is left behind");
}

#[test]
fn a_package_goes_to_a_cache_and_comes_back() {
    let Some(bench) = Bench::new() else { return };
    let cache = format!("file://{}", bench.at("cache").display());
    let refused = bench.ends(&format!("package cache .#uses --to {cache}"), 2);
    assert!(stderr(&refused).contains("was not built yet"), "{refused:?}");

    bench.ends("package build .#uses", 0);
    let path = bench.newest("PackageBuilt")["output_path"].clone();
    bench.ends(&format!("package cache .#uses --to {cache}"), 0);
    let event = bench.newest("PackageCached");
    assert_eq!((&event["output_path"], &event["cache"]), (&path, &Value::from(cache.as_str())));
    assert_eq!((&event["paths"], &event["is_download"]), (&2.into(), &false.into()));
    assert!(event["bytes"].as_u64() > Some(0));
    // What is there is not copied again.
    bench.ends(&format!("package cache .#uses --to {cache}"), 0);
    assert_eq!(bench.newest("PackageCached")["paths"], 0);

    let dry = bench.ends("collect-garbage --dry-run", 0);
    assert!(stdout(&dry).contains("nix-store --gc"), "{dry:?}");
    assert!(Path::new(path.as_str().unwrap()).exists());
    bench.ends("collect-garbage", 0);
    let removed = bench.newest("GarbageCollected")["removed_paths"].clone();
    assert!(removed.as_array().unwrap().contains(&path), "{removed:#}");
    assert!(!Path::new(path.as_str().unwrap()).exists());

    let back = format!("package cache .#uses --from {cache}");
    let refused = bench.ends(&back, 3);
    assert!(stderr(&refused).contains("lacks a valid signature"), "{refused:?}");
    bench.ends(&format!("{back} --no-check-sigs"), 0);
    let event = bench.newest("PackageCached");
    assert_eq!((&event["paths"], &event["is_download"]), (&2.into(), &true.into()));
    assert!(Path::new(path.as_str().unwrap()).exists());
    // A package that nothing is known of is looked up.
    bench.ends("collect-garbage", 0);
    bench.ends(&format!("package cache -f default.nix -A ok --from {cache} --no-check-sigs"), 0);
    assert_eq!(bench.newest("PackageCached")["paths"], 1);
    let nowhere = format!("file://{}", bench.at("nowhere").display());
    bench.ends(&format!("package cache -f default.nix -A ok --from {nowhere}"), 3);
}

#[test]
fn an_activation_is_rolled_back_undone_and_redone() {
    let Some(bench) = Bench::new() else { return };
    let (one, two) = (bench.activation("one"), bench.activation("two"));
    bench.ends(&one, 0);
    assert_eq!((bench.leads_to().as_str(), bench.calls().as_str()), ("one", "one switch\n"));
    let event = bench.newest("ConfigurationActivated");
    assert_eq!((&event["generation"], &event["previous"]), (&1.into(), &Value::Null));
    assert_eq!(event["activation_type"], "Switch");
    bench.ends(&two, 0);
    assert_eq!((bench.leads_to().as_str(), bench.calls().as_str()), ("two", "two switch\n"));
    let event = bench.newest("ConfigurationActivated");
    assert_eq!((&event["generation"], &event["previous"]), (&2.into(), &1.into()));

    bench.ends("config rollback web", 0);
    assert_eq!((bench.leads_to().as_str(), bench.calls().as_str()), ("one", "one switch\n"));
    let event = bench.newest("ConfigurationRolledBack");
    assert_eq!((&event["generation"], &event["previous"]), (&1.into(), &2.into()));
    assert!(event["store_path"].as_str().unwrap().ends_with("-one"));
    let nothing = bench.ends("config rollback web", 2);
    assert!(stderr(&nothing).contains("has no generation before 1"), "{nothing:?}");
    let same = bench.ends("config rollback web --to 1", 2);
    assert!(stderr(&same).contains("is at generation 1 already"), "{same:?}");

    let planned = bench.ends("undo --dry-run", 0);
    assert!(stdout(&planned).contains("--switch-generation 2"), "{planned:?}");
    assert_eq!((bench.leads_to().as_str(), bench.calls().as_str()), ("one", ""));
    bench.ends("undo", 0);
    assert_eq!((bench.leads_to().as_str(), bench.calls().as_str()), ("two", "two switch\n"));
    let event = bench.newest("ConfigurationRolledBack");
    assert!(event["undoes"].is_string() && event["generation"] == 2, "{event:#}");
    bench.ends("redo", 0);
    assert_eq!((bench.leads_to().as_str(), bench.calls().as_str()), ("one", "one switch\n"));
    bench.ends("undo", 0);
    // The activation of `two` itself.
    bench.ends("undo", 0);
    assert_eq!(bench.leads_to(), "one");
    let first = bench.ends("undo", 2);
    assert!(stderr(&first).contains("nothing to undo"), "{first:?}");

    let generations = stdout(&bench.ends("config generations web", 0));
    let lines: Vec<_> = generations.lines().collect();
    assert!(lines[0].starts_with("*    1  ") && lines[0].ends_with("-one"), "{generations}");
    assert!(lines[1].starts_with("     2  ") && lines[1].ends_with("-two"), "{generations}");

    // Somebody else has switched since.
    bench.ends("redo", 0);
    let profile = bench.at("profiles/system").display().to_string();
    assert!(
        bench.nix("nix-env", &["--profile", &profile, "--switch-generation", "1"]).status.success()
    );
    let conflict = bench.ends("undo", 2);
    assert!(stderr(&conflict).contains("was at generation 2, and is at 1 now"), "{conflict:?}");
    assert_eq!(bench.leads_to(), "one");
}

#[test]
fn what_cannot_be_activated_is_put_back() {
    let Some(bench) = Bench::new() else { return };
    let (one, bad) = (bench.activation("one"), bench.activation("bad"));
    bench.ends(&one, 0);
    bench.calls();
    let output = bench.ends(&bad, 1);
    assert!(stderr(&output).contains("one unit failed"), "{output:?}");
    let event = bench.newest("ConfigurationActivationFailed");
    assert_eq!(event["message"], "cannot activate it: one unit failed");
    assert_eq!((&event["generation"], bench.leads_to().as_str()), (&1.into(), "one"));
    assert_eq!(bench.calls(), "bad switch\none switch\n");

    // A test leaves the profile alone.
    let test = format!("{} --test", bench.activation("two"));
    bench.ends(&test, 0);
    assert_eq!((bench.leads_to().as_str(), bench.calls().as_str()), ("one", "two test\n"));
    let id = bench.log()[0]["id"].as_str().unwrap().to_owned();
    let refused = bench.ends(&format!("undo {id}"), 2);
    assert!(stderr(&refused).contains("it was a test"), "{refused:?}");
}

#[test]
fn a_configuration_is_built_from_its_flake() {
    let Some(bench) = Bench::new() else { return };
    let profile = bench.at("profiles/system").display().to_string();
    bench.ends(&format!("config activate web --profile {profile}"), 0);
    assert_eq!((bench.leads_to().as_str(), bench.calls().as_str()), ("one", "one switch\n"));
    // A home has another package.
    bench.ends(&format!("config activate ada --profile {profile} --boot"), 0);
    assert_eq!((bench.leads_to().as_str(), bench.calls().as_str()), ("two", "two boot\n"));

    bench.ends(&format!("config activate bad --profile {profile}"), 1);
    let event = bench.newest("ConfigurationActivationFailed");
    let message = event["message"].as_str().unwrap();
    assert!(
        message.starts_with("cannot build it: ") && message.contains("exit code 3"),
        "{message}"
    );
    assert_eq!(bench.leads_to(), "two");
    let unknown = bench.ends(&format!("config activate nobody --profile {profile}"), 2);
    let said = stderr(&unknown);
    assert!(said.contains("has no configuration `nobody`") && said.contains("`ada`"), "{said}");

    let planned =
        stdout(&bench.ends(&format!("config activate web --profile {profile} --dry-run"), 0));
    assert!(planned.contains("toplevel") && planned.contains(" --set "), "{planned}");
    assert_eq!((bench.leads_to().as_str(), bench.calls().as_str()), ("two", ""));
}

#[test]
fn an_activation_that_was_killed_is_brought_to_its_end() {
    let Some(bench) = Bench::new() else { return };
    let (one, fickle) = (bench.activation("one"), bench.activation("fickle"));
    bench.ends(&one, 0);
    let child = bench.start(&fickle);
    bench.kill(child, true);
    assert_eq!(bench.leads_to(), "fickle", "switched, but not activated");
    bench.calls();
    // It works now.
    fs::write(bench.at("go"), "").unwrap();
    bench.ends("recover", 0);
    assert_eq!((bench.leads_to().as_str(), bench.calls().as_str()), ("fickle", "fickle switch\n"));
    let event = bench.newest("ConfigurationActivated");
    assert_eq!((&event["generation"], &event["previous"]), (&2.into(), &1.into()));
    assert!(stderr(&bench.ends("recover", 0)).contains("nothing was interrupted"));
    bench.ends("undo", 0);
    assert_eq!(bench.leads_to(), "one");

    // The same once more, and it fails when it is repeated.
    fs::remove_file(bench.at("go")).unwrap();
    fs::remove_file(bench.at("pid")).unwrap();
    let child = bench.start(&fickle);
    bench.kill(child, true);
    assert_eq!(bench.leads_to(), "fickle");
    bench.ends("recover", 0);
    let event = bench.newest("ConfigurationActivationFailed");
    assert!(event["message"].as_str().unwrap().contains("not again"), "{event:#}");
    assert_eq!((&event["generation"], bench.leads_to().as_str()), (&1.into(), "one"));

    // A rollback that is killed does not go back twice.
    fs::write(bench.at("go"), "").unwrap();
    bench.ends(&fickle, 0);
    bench.ends(&bench.activation("two"), 0);
    assert_eq!(bench.leads_to(), "two");
    fs::remove_file(bench.at("go")).unwrap();
    fs::remove_file(bench.at("pid")).unwrap();
    let child = bench.start("config rollback web");
    bench.kill(child, true);
    assert_eq!(bench.leads_to(), "fickle");
    fs::write(bench.at("go"), "").unwrap();
    bench.ends("recover", 0);
    assert_eq!(bench.leads_to(), "fickle");
    assert_eq!(bench.newest("ConfigurationRolledBack")["generation"], 2);
}

#[test]
fn an_undo_that_was_killed_is_an_undo_still() {
    let Some(bench) = Bench::new() else { return };
    fs::write(bench.at("go"), "").unwrap();
    let (fickle, two) = (bench.activation("fickle"), bench.activation("two"));
    bench.ends(&fickle, 0);
    bench.ends(&two, 0);
    let undone = bench.log()[0]["id"].clone();
    fs::remove_file(bench.at("go")).unwrap();
    let child = bench.start("undo");
    bench.kill(child, true);
    fs::write(bench.at("go"), "").unwrap();
    bench.ends("recover", 0);
    assert_eq!(bench.leads_to(), "fickle");
    assert_eq!(bench.newest("ConfigurationRolledBack")["undoes"], undone);
    bench.ends("redo", 0);
    assert_eq!(bench.leads_to(), "two");
}

#[test]
fn a_rehearsal_touches_nothing() {
    let Some(bench) = Bench::new() else { return };
    let profile = bench.at("profiles/system").display().to_string();
    let planned = stdout(&bench.ends("package build .#uses -o result --dry-run", 0));
    assert!(
        planned.starts_with("would run:\n") && planned.contains("nix-store --realise"),
        "{planned}"
    );
    bench.ends(&format!("config activate web --nixos --profile {profile} --dry-run"), 0);
    let cache = format!("file://{}", bench.at("cache").display());
    bench.ends(&format!("package cache .#uses --to {cache} --dry-run"), 2);
    let answer = bench.json("package build .#uses --dry-run", 0);
    assert_eq!(
        (&answer["changed"], answer["commands"].as_array().unwrap().len()),
        (&false.into(), 2)
    );
    for name in ["s", "cache", "calls", "profiles/system"] {
        assert!(!bench.at(name).exists(), "{name} was made");
    }
    assert!(!bench.sandbox.state().join("cim-nix").exists());
    assert!(!bench.sandbox.project().join("result").exists());
}

#[test]
fn without_nix_nothing_is_begun() {
    let sandbox = Sandbox::new("//- flake.nix\n{ outputs = _: { }; }\n");
    let refused = |args: &str| {
        let output = sandbox.command(args).env("PATH", "/nowhere").output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        let said = stderr(&output);
        assert!(said.contains("there is no program `nix"), "{said}");
        assert!(said.contains("hint: install Nix"), "{said}");
    };
    refused("package build");
    refused("package cache . --from file:///nowhere");
    refused("config activate web --nixos --profile /nowhere/p");
    refused("collect-garbage");
    let output = sandbox.run("recover");
    assert!(stderr(&output).contains("nothing was interrupted"), "{output:?}");
}

#[test]
fn an_evaluation_is_recorded_on_request() {
    let sandbox = Sandbox::new("//- cim-nix.toml\n");
    let mut command = sandbox.command("eval --record -E");
    let output = command.arg("{ a = 1 + 2; }").output().unwrap();
    assert_eq!((output.status.code(), stdout(&output).as_str()), (Some(0), "{ a = 3; }\n"));
    let mut command = sandbox.command("eval --record --timeout 2s -E");
    let output = command.arg("let f = x: f (x + 1); in f 0").output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let log = sandbox.run("log --format json");
    let log: Vec<Value> =
        stdout(&log).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (&log[1]["event"]["result"], &log[1]["event"]["is_error"]),
        (&"{ a = 3; }".into(), &false.into(),)
    );
    assert_eq!(log[0]["event"]["is_error"], true);
}

/// Whether a program runs that works on the store.
fn is_busy(bench: &Bench) -> bool {
    let mark = bench.at("s/var").to_string_lossy().into_owned();
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes.into_iter().any(|process| {
        let environment = fs::read(process.path().join("environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(&mark)
    })
}

#[test]
fn kills_at_any_moment_leave_true_records() {
    let Some(bench) = Bench::new() else { return };
    let systems = [bench.activation("one"), bench.activation("two")];
    bench.ends(&systems[0], 0);
    for round in 0..12 {
        let derivation = format!(
            "derivation {{ name = \"n{round}\"; system = \"{}-linux\"; builder = \"/bin/sh\"; args = [ \"-c\" \"echo > $out\" ]; }}",
            env::consts::ARCH
        );
        bench.sandbox.write("n.nix", derivation);
        let args = match round % 3 {
            0 => "package build -f n.nix",
            1 => systems[1 - round / 3 % 2].as_str(),
            _ => "config rollback web",
        };
        let n_before = bench.log().len();
        let mut child = bench.command(args).stderr(Stdio::null()).spawn().unwrap();
        sleep(Duration::from_millis(fastrand::u64(0..300)));
        child.kill().unwrap();
        child.wait().unwrap();
        // What it has started goes on, and comes to its end.
        bench.wait(|| !is_busy(&bench));
        bench.ends("recover", 0);
        bench.ends("status", 0);
        let log = bench.log();
        let newest = &log[0];
        if log.len() == n_before {
            continue;
        }
        let event = &newest["event"];
        match newest["event_type"].as_str().unwrap() {
            "PackageBuilt" => {
                let path = event["output_path"].as_str().unwrap();
                let there = bench.nix("nix-store", &["--check-validity", path]);
                assert!(there.status.success(), "{event:#}");
            }
            "PackageBuildFailed" => assert_eq!(event["reason"], "interrupted", "{event:#}"),
            "ConfigurationActivated"
            | "ConfigurationRolledBack"
            | "ConfigurationActivationFailed" => {
                let link = fs::read_link(bench.at("profiles/system")).unwrap();
                let want = format!("system-{}-link", event["generation"]);
                assert_eq!(link.to_string_lossy(), want, "{event:#}");
            }
            other => panic!("{other}"),
        }
    }
}

/// A time, an id, and the first part of the name of a store path.
fn without_chance(text: &str, bench: &Bench) -> String {
    let folder = bench.at("").to_string_lossy().trim_end_matches('/').to_owned();
    let text = text.replace(&*bench.sandbox.project().to_string_lossy(), "/project");
    let text = text.replace(&format!("{folder}/cache"), "/var/cache/nix");
    let text = text.replace(&format!("{folder}/profiles"), "/profiles");
    let text = text.replace(&format!("{folder}/s/store"), "/nix/store");
    let path = regex::Regex::new("/nix/store/[0-9a-z]{32}-").unwrap();
    let text = path.replace_all(&text, "/nix/store/hash-");
    let id = regex::Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}");
    let text = id.unwrap().replace_all(&text, "0198f7a2-7c00-7000-8000-000000000001");
    let time = regex::Regex::new("20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9:]{8}").unwrap();
    let text = time.replace_all(&text, "2026-11-26 12:00:00");
    let program = regex::Regex::new("/[^ ]*/bin/(nix[a-z-]*) ").unwrap();
    let text = program.replace_all(&text, "$1 ");
    let took = regex::Regex::new("after [0-9]+ s").unwrap();
    took.replace_all(&text, "after 0 s").into_owned()
}

/// Run with `UPDATE_EXPECT=1` to write what is printed into the page.
#[test]
fn the_page_shows_what_happens() {
    let Some(bench) = Bench::new() else { return };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/building.md");
    let page = fs::read_to_string(&file).unwrap();
    // What was there before the page begins.
    let profile = bench.at("profiles/system").display().to_string();
    let before = bench.path("two");
    bench.nix("nix-env", &["--profile", &profile, "--set", &before]);

    let mut now = page.clone();
    for block in page.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
        let shown = block.lines().next().unwrap();
        let typed = shown.strip_prefix("$ cim-nix ").expect("a block starts with a command");
        let folder = bench.at("");
        let real = typed
            .replace("/var/cache/nix", &folder.join("cache").to_string_lossy())
            .replace("/profiles/", &format!("{}/", folder.join("profiles").display()));
        let output = bench.run(&real);
        let text = format!("{shown}\n{}{}", stdout(&output), stderr(&output));
        let text = without_chance(&text, &bench);
        now = now.replacen(block, &text, 1);
    }
    if env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(file, now).unwrap();
        return;
    }
    let lines = page.lines().zip(now.lines()).filter(|(old, new)| old != new);
    let differences: Vec<_> = lines.collect();
    assert!(page == now, "run this test with UPDATE_EXPECT=1: {differences:#?}");
}
