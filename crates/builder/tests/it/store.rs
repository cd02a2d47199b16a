//! A store of its own for each test, below a temporary folder, and the Nix that works on it.
//!
//! That is the Nix on `PATH`, as users have it, or the one in the folder that `CIM_NIX_BUILDER` names.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;

use cim_nix_builder::{
    Build, BuildEnd, BuildRecord, BuiltOutput, Control, Environment, Nix, Programs, Progress,
    Settings, Source, Tool,
};

/// What is built. Scripts run in `/bin/sh`, without a sandbox.
const EXPRESSIONS: &str = r#"
let
  build = name: more: script: derivation ({
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" script ];
    PATH = "/usr/bin:/bin";
  } // more);
in rec {
  ok = build "ok" { } "echo hello; echo 40 > $out";
  uses = build "uses" { inherit ok; } "mkdir $out; ln -s $ok $out/ok; echo 2 > $out/b";
  two = build "two" { outputs = [ "out" "dev" ]; } "echo $dev > $out; echo dev > $dev";
  broken = build "broken" { } "seq 1 100 >&2; echo no such luck >&2; exit 3";
  needs-broken = build "needs-broken" { inherit broken; } "echo 1 > $out";
  slow = build "slow" { } "echo $$ > ${toString ./pid}; echo waiting; sleep 600; echo > $out";
  loud = build "loud" { } "yes 'a long line of no use to anybody' | head -n 30000; exit 1";
  big = build "big" { } "head -c 300000 /dev/zero > $out";
  phases = build "phases" { } ''
    echo '@nix {"action":"setPhase","phase":"buildPhase"}' >&''${NIX_LOG_FD:-2}
    printf 'caf\351 \033[1mbold\033[0m\n'
    echo > $out
  '';
  waits = build "waits" { } ''
    echo waiting; echo $$ > ${toString ./pid}
    while ! [ -e ${toString ./go} ]; do sleep 0.1; done; echo > $out
  '';
  also-broken = build "also-broken" { } "exit 7";
  needs-both = build "needs-both" { inherit ok broken also-broken; } "echo > $out";
  unlike = build "unlike" {
    outputHashAlgo = "sha256";
    outputHash = "0000000000000000000000000000000000000000000000000000";
  } "echo > $out";
  missing = throw "there is no such package";
}
"#;

/// A store, the programs and the project.
pub(crate) struct Store {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) nix: Nix,
}

#[expect(clippy::print_stderr, reason = "who runs the tests must see what was not tested")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

/// The programs of Nix. Their absence is a failure in CI, and told elsewhere.
fn programs(environment: &Environment) -> Option<Programs> {
    let mut programs = Programs::find(environment);
    if let Some(folder) = std::env::var_os("CIM_NIX_BUILDER").map(PathBuf::from) {
        for tool in Tool::ALL {
            programs = programs.with(tool, folder.join(tool.name()));
        }
    }
    if let Err(error) = programs.path(Tool::NixStore) {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{error}");
        skipped(&error.to_string());
        return None;
    }
    Some(programs)
}

impl Store {
    /// A new store with nothing in it; none if there is no Nix.
    pub(crate) fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["home", "conf", "project"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        std::fs::write(at("project/default.nix"), EXPRESSIONS).unwrap();
        let settings = Self::settings_in(folder.path());
        let programs = programs(&settings.environment)?;
        // A Nix that was unpacked somewhere cannot start the program that asks other machines.
        let hook =
            if std::env::var_os("CIM_NIX_BUILDER").is_some() { "build-hook =\n" } else { "" };
        let conf = format!("sandbox = false\nbuild-users-group =\nsubstitute = false\n{hook}");
        std::fs::write(at("conf/nix.conf"), conf).unwrap();
        Some(Self { nix: Nix::new(programs, settings), folder })
    }

    /// The programs, in a folder that was made by [`Self::new`].
    pub(crate) fn programs_in(folder: &Path) -> Programs {
        programs(&Self::settings_in(folder).environment).unwrap()
    }

    /// The settings for the store in a folder.
    pub(crate) fn settings_in(folder: &Path) -> Settings {
        let at = |name: &str| folder.join(name);
        let mut environment = Environment::empty();
        let path = std::env::var_os("PATH").unwrap();
        for (name, value) in [
            ("HOME", at("home")),
            ("NIX_STORE_DIR", at("s/store")),
            ("NIX_STATE_DIR", at("s/var")),
            ("NIX_LOG_DIR", at("s/log")),
            ("NIX_CONF_DIR", at("conf")),
            ("PATH", path.into()),
        ] {
            environment.set(name, value);
        }
        Settings::new(at("project"), environment)
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Builds an attribute; also gives what was told meanwhile.
    pub(crate) fn build(&self, request: &Build) -> (BuildRecord, Vec<Progress>) {
        let cancel = AtomicBool::new(false);
        let mut told = Vec::new();
        let mut say = |progress| told.push(progress);
        let record = self.nix.build(request, &mut Control::new(&cancel, &mut say)).unwrap();
        (record, told)
    }

    /// Builds an attribute that has to come about.
    pub(crate) fn built(&self, attribute: &str) -> Vec<BuiltOutput> {
        let (record, told) = self.build(&of(attribute));
        match record.end {
            BuildEnd::Built(outputs) => outputs,
            end => panic!("{attribute}: {end:?}\n{told:#?}"),
        }
    }

    /// A text without what differs from run to run: folders and hashes.
    pub(crate) fn plain(&self, text: &str) -> String {
        let mut text = text.replace(&*self.folder.path().to_string_lossy(), "[tmp]");
        let store = "[tmp]/s/store/";
        let mut from = 0;
        while let Some(at) = text[from..].find(store) {
            from += at + store.len();
            if text.len() >= from + 33 && text.is_char_boundary(from + 33) {
                text.replace_range(from..from + 33, "[hash]-");
            }
        }
        for (tool, path) in self.nix.programs().found() {
            text = text.replace(&*format!("{} ", path.display()), &format!("{tool} "));
        }
        text
    }
}

impl Drop for Store {
    /// Nothing in a store may be written to, so it cannot be removed as it is.
    fn drop(&mut self) {
        let _ = Command::new("chmod").args(["-R", "u+w"]).arg(self.folder.path()).status();
    }
}

/// The build of an attribute of the project.
pub(crate) fn of(attribute: &str) -> Build {
    let attribute = Some(attribute.to_owned());
    Build::new(Source::File { file: ".".into(), attribute })
}
