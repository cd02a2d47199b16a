//! The store of a project as a whole: where it lies, and what is refused.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use expect_test::expect;

use crate::sandbox::{Sandbox, is_root, stdout};

const FLAKE: &str = "//- flake.nix
{
  inputs = { };
  outputs = { self }: { x = 1; };
}
";

/// A project with two events.
fn described() -> Sandbox {
    let sandbox = Sandbox::new(FLAKE);
    let output = sandbox.run("flake describe first --no-lock");
    assert!(output.status.success(), "{output:?}");
    sandbox
}

fn n_events(sandbox: &Sandbox) -> usize {
    stdout(&sandbox.run("log --format json")).lines().count()
}

/// A folder that somebody made hides no history, and is ignored by Git as soon as it is used.
#[test]
fn a_folder_made_by_hand_hides_nothing() {
    let sandbox = described();
    let folder = sandbox.project().join(".cim-nix");
    fs::create_dir(&folder).unwrap();
    let output = sandbox.run("log --format json");
    assert_eq!(stdout(&output).lines().count(), 2);
    expect![[r#"
        note: `.cim-nix` is there, but the history is not in it yet; `cim-nix store here` brings it
    "#]]
    .assert_eq(&String::from_utf8_lossy(&output.stderr));
    fs::write(folder.join("events.sqlite.partial-1-0"), "of a run that was killed").unwrap();
    let output = sandbox.run("store here");
    assert!(output.status.success(), "{output:?}");
    let mut names: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".gitignore", "events.sqlite"]);
    assert_eq!(sandbox.read(".cim-nix/.gitignore"), "*\n");
    assert_eq!(n_events(&sandbox), 2);
    // Nix copies a folder that is in no repository.
    expect![[r#"
        warning: `.cim-nix` is in no Git repository: Nix copies it into its store, which everybody can read, whenever it evaluates a flake of this folder by its path
    "#]]
    .assert_eq(&String::from_utf8_lossy(&output.stderr));
}

/// Without a history the folder is where one begins.
#[test]
fn a_history_may_begin_in_the_folder() {
    let sandbox = Sandbox::new(FLAKE);
    fs::create_dir(sandbox.project().join(".cim-nix")).unwrap();
    assert!(sandbox.run("flake describe first --no-lock").status.success());
    assert_eq!(sandbox.read(".cim-nix/.gitignore"), "*\n");
    assert!(sandbox.project().join(".cim-nix/events.sqlite").is_file());
}

/// While others write and several move it, nothing that was acknowledged is lost.
#[test]
fn moving_loses_nothing() {
    let sandbox = described();
    let n_acknowledged = std::sync::atomic::AtomicUsize::new(2);
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let (sandbox, n_acknowledged) = (&sandbox, &n_acknowledged);
            scope.spawn(move || {
                for n in 0..6 {
                    let output = sandbox.run(&format!("flake describe w{writer}n{n} --no-lock"));
                    if output.status.success() {
                        n_acknowledged.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let output = sandbox.run("store here");
                    let said = String::from_utf8_lossy(&output.stderr);
                    match output.status.code() {
                        Some(0) => return,
                        _ => assert!(said.contains("during a change"), "{said}"),
                    }
                }
            });
        }
    });
    assert!(sandbox.run("store here").status.success());
    assert_eq!(n_events(&sandbox), n_acknowledged.into_inner());
    assert!(sandbox.run("store check").status.success());
}

#[test]
fn refuses_what_others_did_to_the_store() {
    let sandbox = described();
    let path = stdout(&sandbox.run("store path")).trim_end().to_owned();
    let good = fs::read(&path).unwrap();
    fs::write(&path, "").unwrap();
    for args in ["log", "status", "store check", "flake describe second --no-lock"] {
        let output = sandbox.run(args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{args}: {said}");
        assert!(said.contains("nothing is left in it"), "{args}: {said}");
    }
    fs::write(&path, &good).unwrap();
    let state = sandbox.state();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o000)).unwrap();
    if !is_root(path.as_ref()) {
        for args in ["log", "undo", "store here"] {
            let output = sandbox.run(args);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(3), "{args}: {said}");
            assert!(said.contains("cannot tell whether there is an event store"), "{said}");
        }
    }
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(n_events(&sandbox), 2);
}

#[test]
fn imports_say_what_is_wrong_with_them() {
    let sandbox = described();
    let lines = stdout(&sandbox.run("export"));
    sandbox.check_on(
        "import -",
        &lines,
        expect![[r#"
            [stderr]
            nothing is new: all of it was here already
            [exit 0]
        "#]],
    );
    let hostile = lines.replace("\"path\":\"flake.nix\"", "\"path\":\"../flake.nix\"");
    assert_ne!(lines, hostile);
    sandbox.check_on(
        "import -",
        &hostile,
        expect![[r#"
            [stderr]
            error: cannot import: line 5 changes `../flake.nix`, which is no file that a project's event may change
              hint: nothing was imported
            [exit 2]
        "#]],
    );
    sandbox.check(
        "export flake.nix",
        expect![[r#"
            [stderr]
            error: there is a `flake.nix` already
              hint: name a file that does not exist; nothing is ever replaced
            [exit 2]
        "#]],
    );
}
