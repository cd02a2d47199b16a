//! Activations of systems and homes that write down what they are called with: those that work,
//! fail, hang, and are killed in between.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cim_nix_builder::{
    Activation, ActivationRecord, Build, BuildEnd, Control, Kind, Marker, Mode, Nix, OnFailure,
    Outcome, Profile, Progress, PutBack, Rebuild, Source, Step, Target, Tool, Verb,
};
use expect_test::expect;

use crate::child;
use crate::store::Store;

/// Each program writes a line to the file `calls`. `fickle` hangs unless there is a file `go`.
const SYSTEMS: &str = r#"
let
  build = name: script: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" script ];
    PATH = "/usr/bin:/bin";
  };
  program = name: text: ''
    printf '%s\n' '#!/bin/sh' 'echo "${name}" "$@" >> ${toString ./calls}' '${text}' > $program
    chmod +x $program
  '';
  system = name: text: build name ''
    mkdir -p $out/bin; program=$out/bin/switch-to-configuration
    ${program name text}
  '';
  home = name: isNew: build name ''
    mkdir $out; program=$out/activate
    ${program name "echo \"dry: $DRY_RUN\""}
    ${if isNew then "touch $out/gen-version" else ""}
  '';
in {
  plain = build "plain" "mkdir $out";
  one = system "one" "echo restarting";
  two = system "two" "echo restarting";
  broken = system "broken" "echo one unit failed >&2; exit 4";
  fickle = system "fickle" ''
    echo $$ > ${toString ./pid}; echo waiting; [ -e ${toString ./go} ] || exec sleep 600
  '';
  home = home "home" true;
  old-home = home "old-home" false;
}
"#;

/// A store with a profile and the systems.
struct Machine {
    store: Store,
    profile: Profile,
    marker: PathBuf,
}

impl Machine {
    fn new() -> Option<Self> {
        let store = Store::new()?;
        std::fs::write(store.at("project/systems.nix"), SYSTEMS).unwrap();
        let profile = Profile::open(store.at("profiles/system")).unwrap();
        std::fs::create_dir(store.at("profiles")).unwrap();
        let marker = store.at("activated");
        Some(Self { store, profile, marker })
    }

    fn path(&self, attribute: &str) -> PathBuf {
        let attribute = Some(attribute.to_owned());
        let source = Source::File { file: "systems.nix".into(), attribute };
        match self.store.build(&Build::new(source)).0.end {
            BuildEnd::Built(outputs) => outputs[0].path.clone().into(),
            end => panic!("{end:?}"),
        }
    }

    /// The activation of a system, with a marker of ours.
    fn request(&self, attribute: &str) -> Activation {
        let target = Target::Closure(self.path(attribute));
        let marker = Marker::Own(self.marker.clone());
        Activation { marker, ..Activation::new(self.profile.clone(), target) }
    }

    fn activate(&self, request: &Activation) -> ActivationRecord {
        let cancel = AtomicBool::new(false);
        let mut say = |_| {};
        self.store.nix.activate(request, &mut Control::new(&cancel, &mut say)).unwrap()
    }

    /// What the programs were called with since the last time.
    fn calls(&self) -> String {
        let file = self.store.at("project/calls");
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let _ = std::fs::remove_file(file);
        text
    }

    /// The current generation, and whether it is activated.
    fn standing(&self) -> (Option<u64>, Option<bool>) {
        let marker = Marker::Own(self.marker.clone());
        let standing = self.store.nix.standing(&self.profile, &marker).unwrap();
        let is_activated = standing.is_activated();
        (standing.current.map(|current| current.number), is_activated)
    }

    fn shown(&self, request: &Activation) -> String {
        let plan = self.store.nix.plan_activation(request).unwrap();
        let steps = plan.steps.iter().map(|step| match step {
            Step::Switch(invocation) | Step::Activate(invocation) => invocation.to_string(),
            Step::Mark { link, to } => format!("mark {} {}", link.display(), to.display()),
        });
        let former = plan.former.map(|former| former.number);
        let text = format!("{:?}, former {former:?}\n", plan.kind);
        self.store.plain(&steps.fold(text, |text, step| text + "  " + &step + "\n"))
    }
}

#[test]
fn a_system_is_switched_and_rolled_back() {
    let Some(machine) = Machine::new() else { return };
    assert_eq!(machine.standing(), (None, None));
    let record = machine.activate(&machine.request("one"));
    assert_eq!((record.outcome, record.kind), (Outcome::Done, Kind::NixOs));
    assert_eq!((record.generation, record.former, record.n_steps), (Some(1), None, 3));
    assert_eq!(record.log.lines, ["restarting"]);
    assert_eq!(machine.calls(), "one switch\n");
    assert_eq!(machine.standing(), (Some(1), Some(true)));

    let record = machine.activate(&machine.request("two"));
    assert_eq!((record.outcome, record.generation), (Outcome::Done, Some(2)));
    assert_eq!((record.former, machine.calls().as_str()), (Some(1), "two switch\n"));

    let rollback = Activation { target: Target::Previous, ..machine.request("two") };
    let plan = machine.store.nix.plan_activation(&rollback).unwrap();
    assert_eq!(plan.target, Target::Generation(1));
    let record = machine.activate(&rollback);
    assert_eq!((record.outcome, record.generation), (Outcome::Done, Some(1)));
    assert_eq!((record.former, machine.calls().as_str()), (Some(2), "one switch\n"));
    assert_eq!(machine.standing(), (Some(1), Some(true)));

    // The same once more: the profile stays, the program is run again.
    let record = machine.activate(&Activation { target: plan.target, ..rollback });
    assert_eq!((record.outcome, record.generation, record.n_steps), (Outcome::Done, Some(1), 1));
    assert_eq!(machine.calls(), "one switch\n");
}

#[test]
fn a_plan_runs_nothing() {
    let Some(machine) = Machine::new() else { return };
    machine.activate(&machine.request("one"));
    machine.calls();
    let mut shown = machine.shown(&machine.request("two"));
    for mode in [Mode::Boot, Mode::Test, Mode::DryActivate] {
        shown += &machine.shown(&Activation { mode, ..machine.request("two") });
    }
    for attribute in ["home", "old-home", "plain"] {
        shown += &machine.shown(&machine.request(attribute));
    }
    // A link such as `result` is what it leads to.
    std::os::unix::fs::symlink(machine.path("one"), machine.store.at("project/result")).unwrap();
    let target = Target::Closure("result".into());
    shown += &machine.shown(&Activation { target, ..machine.request("two") });
    expect![[r#"
        NixOs, former Some(1)
          nix-env --profile [tmp]/profiles/system --set [tmp]/s/store/[hash]-two
          [tmp]/s/store/[hash]-two/bin/switch-to-configuration switch
          mark [tmp]/activated [tmp]/s/store/[hash]-two
        NixOs, former Some(1)
          nix-env --profile [tmp]/profiles/system --set [tmp]/s/store/[hash]-two
          [tmp]/s/store/[hash]-two/bin/switch-to-configuration boot
          mark [tmp]/activated [tmp]/s/store/[hash]-two
        NixOs, former Some(1)
          [tmp]/s/store/[hash]-two/bin/switch-to-configuration test
          mark [tmp]/activated [tmp]/s/store/[hash]-two
        NixOs, former Some(1)
          [tmp]/s/store/[hash]-two/bin/switch-to-configuration dry-activate
        HomeManager, former Some(1)
          nix-env --profile [tmp]/profiles/system --set [tmp]/s/store/[hash]-home
          [tmp]/s/store/[hash]-home/activate --driver-version 1
          mark [tmp]/activated [tmp]/s/store/[hash]-home
        HomeManager, former Some(1)
          [tmp]/s/store/[hash]-old-home/activate
          mark [tmp]/activated [tmp]/s/store/[hash]-old-home
        Plain, former Some(1)
          nix-env --profile [tmp]/profiles/system --set [tmp]/s/store/[hash]-plain
          mark [tmp]/activated [tmp]/s/store/[hash]-plain
        NixOs, former Some(1)
          [tmp]/s/store/[hash]-one/bin/switch-to-configuration switch
    "#]]
    .assert_eq(&shown);
    assert_eq!((machine.calls().as_str(), machine.standing()), ("", (Some(1), Some(true))));
}

#[test]
fn what_fails_is_put_back() {
    let Some(machine) = Machine::new() else { return };
    // The first of all: there is nothing to go back to.
    let record = machine.activate(&machine.request("broken"));
    let failed = Outcome::Failed { code: Some(4), reason: "one unit failed".to_owned() };
    assert_eq!(record.outcome, failed);
    assert_eq!(record.put_back, PutBack::Done { generation: None, activated: None });
    assert_eq!((record.n_steps, machine.standing()), (1, (None, None)));

    machine.activate(&machine.request("one"));
    let former = machine.profile.current().unwrap().unwrap().number;
    machine.calls();
    let record = machine.activate(&machine.request("broken"));
    assert_eq!((record.outcome, record.former), (failed.clone(), Some(former)));
    assert_eq!(record.put_back, PutBack::Done { generation: Some(former), activated: None });
    assert_eq!(record.log.lines, ["one unit failed"]);
    assert_eq!(machine.calls(), "broken switch\n");
    assert_eq!(machine.standing(), (Some(former), Some(true)));

    let on_failure = OnFailure::PutBackAndActivate;
    let record = machine.activate(&Activation { on_failure, ..machine.request("broken") });
    let activated = Some(Outcome::Done);
    assert_eq!(record.put_back, PutBack::Done { generation: Some(former), activated });
    assert_eq!(machine.calls(), "broken switch\none switch\n");

    let on_failure = OnFailure::Leave;
    let record = machine.activate(&Activation { on_failure, ..machine.request("broken") });
    assert_eq!((record.outcome, record.put_back), (failed, PutBack::Not));
    assert_eq!(machine.standing(), (record.generation, Some(false)));
    assert_ne!(record.generation, Some(former));
}

#[test]
fn tests_and_rehearsals_leave_the_profile_alone() {
    let Some(machine) = Machine::new() else { return };
    machine.activate(&machine.request("one"));
    machine.calls();
    let with = |mode| Activation { mode, ..machine.request("two") };
    let record = machine.activate(&with(Mode::DryActivate));
    assert_eq!((record.outcome, record.generation), (Outcome::Done, Some(1)));
    assert_eq!(machine.standing(), (Some(1), Some(true)));
    let record = machine.activate(&with(Mode::Test));
    assert_eq!((record.outcome, record.generation), (Outcome::Done, Some(1)));
    assert_eq!(machine.standing(), (Some(1), Some(false)), "another one is running");
    assert_eq!(machine.calls(), "two dry-activate\ntwo test\n");
    let record = machine.activate(&with(Mode::Boot));
    assert_eq!((record.outcome, record.generation), (Outcome::Done, Some(2)));
    assert_eq!(machine.calls(), "two boot\n");
}

#[test]
fn homes_are_activated_as_their_age_wants_it() {
    let Some(machine) = Machine::new() else { return };
    let record = machine.activate(&machine.request("home"));
    assert_eq!((record.outcome, record.kind), (Outcome::Done, Kind::HomeManager));
    assert_eq!((record.generation, record.log.lines), (Some(1), vec!["dry: ".to_owned()]));
    let mode = Mode::DryActivate;
    let record = machine.activate(&Activation { mode, ..machine.request("home") });
    assert_eq!(record.log.lines, ["dry: 1"]);
    // This one would switch its profile itself.
    let record = machine.activate(&machine.request("old-home"));
    assert_eq!((record.outcome, record.generation), (Outcome::Done, Some(1)));
    assert_eq!(machine.calls(), "home --driver-version 1\nhome --driver-version 1\nold-home\n");
}

#[test]
fn a_plain_profile_is_switched_alone() {
    let Some(machine) = Machine::new() else { return };
    let request = Activation::new(machine.profile.clone(), Target::Closure(machine.path("plain")));
    let record = machine.activate(&request);
    assert_eq!((record.outcome, record.kind), (Outcome::Done, Kind::Plain));
    assert_eq!((record.generation, record.n_steps), (Some(1), 1));
    let record = machine.activate(&request);
    assert_eq!((record.outcome, record.n_steps), (Outcome::Done, 0), "nothing is left to do");
    let refused = |request: &Activation| machine.store.nix.plan_activation(request).unwrap_err();
    let error = refused(&Activation { mode: Mode::Test, ..request.clone() });
    assert!(error.to_string().contains("it has no program that activates it"), "{error}");
    let error =
        refused(&Activation { target: Target::Closure("nowhere".into()), ..request.clone() });
    assert!(error.to_string().contains("that could be activated"), "{error}");
    let error = refused(&Activation { target: Target::Generation(7), ..request.clone() });
    assert!(error.to_string().ends_with("has no generation 7"), "{error}");
    let error = refused(&Activation { target: Target::Previous, ..request });
    assert!(error.to_string().ends_with("has no generation before 1"), "{error}");
}

#[test]
fn a_cancelled_activation_is_put_back_and_nothing_goes_on() {
    let Some(machine) = Machine::new() else { return };
    machine.activate(&machine.request("one"));
    let cancel = AtomicBool::new(false);
    let mut say = |progress| {
        if matches!(&progress, Progress::Log { line, .. } if line == "waiting") {
            cancel.store(true, Ordering::Relaxed);
        }
    };
    let request = machine.request("fickle");
    let record =
        machine.store.nix.activate(&request, &mut Control::new(&cancel, &mut say)).unwrap();
    assert_eq!(record.outcome, Outcome::Cancelled);
    assert_eq!(record.put_back, PutBack::Done { generation: Some(1), activated: None });
    assert!(!child::is_alive(&machine.store.at("project/pid")), "it is still there");
    assert_eq!(machine.standing(), (Some(1), Some(true)));
}

/// The child: activates a system that hangs.
#[test]
fn activates_until_it_is_killed() {
    let Some(folder) = child::task() else { return };
    let nix = Nix::new(Store::programs_in(&folder), Store::settings_in(&folder));
    let profile = Profile::open(folder.join("profiles/system")).unwrap();
    let target = Target::Closure(std::fs::read_link(folder.join("fickle")).unwrap());
    let marker = Marker::Own(folder.join("activated"));
    let request = Activation { marker, ..Activation::new(profile, target) };
    let cancel = AtomicBool::new(false);
    nix.activate(&request, &mut Control::new(&cancel, &mut |_| {})).unwrap();
}

/// Kills a process of ours that is in the middle of an activation.
fn kill_in_between(machine: &Machine) {
    let folder = machine.store.folder.path();
    let link = folder.join("fickle");
    let _ = std::fs::remove_file(&link);
    std::os::unix::fs::symlink(machine.path("fickle"), link).unwrap();
    child::kill_once(&machine.store, "activations::activates_until_it_is_killed");
    // What the child had started is nobody's now.
    let pid = machine.store.at("project/pid");
    let id = std::fs::read_to_string(&pid).unwrap();
    Command::new("kill").args(["-9", id.trim()]).status().unwrap();
    std::fs::remove_file(pid).unwrap();
}

#[test]
fn a_kill_in_between_is_noticed_and_made_good() {
    let Some(machine) = Machine::new() else { return };
    machine.activate(&machine.request("one"));
    kill_in_between(&machine);
    assert_eq!(machine.calls(), "one switch\nfickle switch\n");
    assert_eq!(machine.standing(), (Some(2), Some(false)), "switched, but not activated");

    // What is left to do is known, and so is what to go back to.
    let request = machine.request("fickle");
    let plan = machine.store.nix.plan_activation(&request).unwrap();
    assert_eq!(plan.former.as_ref().map(|former| former.number), Some(1));
    assert!(matches!(&plan.steps[..], [Step::Activate(_), Step::Mark { .. }]), "{:?}", plan.steps);

    // It fails once more: back to the one before.
    let limit = Some(Duration::from_secs(2));
    let record = machine.activate(&Activation { time_limit: limit, ..request.clone() });
    assert_eq!(record.outcome, Outcome::TimedOut);
    assert_eq!(record.put_back, PutBack::Done { generation: Some(1), activated: None });
    assert_eq!(machine.standing(), (Some(1), Some(true)));

    // Killed again, and now it works.
    kill_in_between(&machine);
    assert_eq!(machine.standing(), (Some(2), Some(false)));
    std::fs::write(machine.store.at("project/go"), "").unwrap();
    machine.calls();
    let record = machine.activate(&request);
    assert_eq!((record.outcome, record.generation), (Outcome::Done, Some(2)));
    assert_eq!((record.former, record.n_steps), (Some(1), 2));
    assert_eq!(machine.calls(), "fickle switch\n");
    assert_eq!(machine.standing(), (Some(2), Some(true)));
}

#[test]
fn a_kill_before_the_switch_and_one_right_after_it_are_told_apart() {
    let Some(machine) = Machine::new() else { return };
    machine.activate(&machine.request("one"));
    let request = machine.request("two");
    let before = machine.store.nix.plan_activation(&request).unwrap();
    assert_eq!(machine.standing(), (Some(1), Some(true)));
    let [Step::Switch(switch), Step::Activate(_), Step::Mark { .. }] = &before.steps[..] else {
        panic!("{:?}", before.steps)
    };
    let mut command = Command::new(&switch.program);
    command.args(&switch.arguments).env_clear().envs(switch.environment.variables());
    assert!(command.stderr(Stdio::null()).status().unwrap().success());
    assert_eq!(machine.standing(), (Some(2), Some(false)));
    let after = machine.store.nix.plan_activation(&request).unwrap();
    assert_eq!(after.former.map(|former| former.number), Some(1));
    assert_eq!(after.steps[..], before.steps[1..]);
    // A caller that wrote down the former generation is believed.
    let request = Activation { former: Some(2), ..request };
    let plan = machine.store.nix.plan_activation(&request).unwrap();
    assert_eq!(plan.former.map(|former| former.number), Some(2));
}

#[test]
fn whole_rebuilds_are_handed_to_their_programs() {
    let Some(machine) = Machine::new() else { return };
    let folder = machine.store.at("bin");
    std::fs::create_dir(&folder).unwrap();
    let mut programs = machine.store.nix.programs().clone();
    for tool in [Tool::NixosRebuild, Tool::HomeManager] {
        let program = folder.join(tool.name());
        let calls = machine.store.at("project/calls");
        let text = format!(
            "#!/bin/sh\necho {tool} \"$@\" >> {}\necho \"building...\"\n[ \"$1\" != boot ]\n",
            calls.display()
        );
        std::fs::write(&program, text).unwrap();
        Command::new("chmod").arg("+x").arg(&program).status().unwrap();
        programs = programs.with(tool, program);
    }
    let mut settings = machine.store.nix.settings().clone();
    settings.options.push(("sandbox".to_owned(), "false".to_owned()));
    let nix = Nix::new(programs, settings);
    let request = Rebuild {
        tool: Tool::NixosRebuild,
        verb: Verb::Switch,
        flake: Some(".#host".to_owned()),
        is_rollback: false,
        arguments: vec!["--impure".to_owned()],
        time_limit: None,
    };
    let cancel = AtomicBool::new(false);
    let run = |request: &Rebuild| {
        nix.rebuild(request, &mut Control::new(&cancel, &mut |_| {})).map_err(|e| e.to_string())
    };
    let record = run(&request).unwrap();
    assert_eq!((record.outcome, record.log.lines), (Outcome::Done, vec!["building...".to_owned()]));
    let back = Rebuild { is_rollback: true, flake: None, arguments: Vec::new(), ..request.clone() };
    let home = Rebuild { tool: Tool::HomeManager, ..back.clone() };
    run(&home).unwrap();
    let boot = Rebuild { verb: Verb::Boot, ..back };
    let failed = Outcome::Failed { code: Some(1), reason: "building...".to_owned() };
    assert_eq!(run(&boot).unwrap().outcome, failed);
    expect![[r#"
        nixos-rebuild switch --flake .#host --option sandbox false --impure
        home-manager switch --rollback --option sandbox false
        nixos-rebuild boot --rollback --option sandbox false
    "#]]
    .assert_eq(&machine.calls());
    let error = run(&Rebuild { verb: Verb::Boot, ..home }).unwrap_err();
    assert_eq!(error, "`home-manager` has no command `boot`");
    let error = run(&Rebuild { flake: Some("--help".to_owned()), ..request.clone() }).unwrap_err();
    assert!(error.ends_with("which Nix would take for an option"), "{error}");
    if machine.store.nix.programs().path(Tool::HomeManager).is_err() {
        let home = Rebuild { tool: Tool::HomeManager, ..request };
        let error = machine.store.nix.plan_rebuild(&home).unwrap_err();
        assert!(error.to_string().starts_with("there is no program `home-manager`"), "{error}");
    }
}
