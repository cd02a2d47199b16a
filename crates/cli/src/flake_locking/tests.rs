use std::fs;
use std::process::Command;

use expect_test::{Expect, expect};
use tempfile::TempDir;

use super::*;
use crate::evaluation::EvalArgs;

const LEAF: &str = "{ outputs = _: { }; }";

/// A folder with a flake in `dep`, and no `flake.nix` of its own.
fn project() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("dep")).unwrap();
    fs::write(folder.path().join("dep/flake.nix"), LEAF).unwrap();
    folder
}

fn lock(folder: &Path, flake_nix: &str, old: Option<&str>, strict: bool) -> Result<NewLock, Error> {
    let args = EvalArgs { flake_registry: Some(String::new()), ..EvalArgs::default() };
    let task = LockTask {
        folder,
        flake_nix,
        old_lock: old,
        request: &LockRequest::default(),
        fails_on_unlocked: strict,
    };
    new_lock(&args.surroundings().unwrap(), &task)
}

fn check(folder: &Path, lock: &NewLock, want: Expect) {
    let changes: String = lock.changes.iter().map(LockChange::to_string).collect();
    let warnings = lock.warnings.join("\n");
    let text = format!("{changes}{warnings}").replace(folder.to_str().unwrap(), "[folder]");
    want.assert_eq(&text);
}

#[test]
fn a_text_that_is_nowhere_yet_is_locked() {
    let project = project();
    let text = "{ inputs.dep.url = \"path:./dep\"; outputs = _: { }; }";
    let new = lock(project.path(), text, None, true).unwrap();
    check(
        project.path(),
        &new,
        expect![[r#"
        • Added input 'dep':
            'path:./dep'
    "#]],
    );
    let lock_text = new.text.unwrap();
    assert!(
        !project.path().join("flake.nix").exists() && !project.path().join("flake.lock").exists()
    );
    // What is locked stays as it is, whatever the form of the text.
    let other_form: serde_json::Value = serde_json::from_str(&lock_text).unwrap();
    let again = lock(project.path(), text, Some(&other_form.to_string()), true).unwrap();
    assert_eq!((again.text, again.changes), (None, Vec::new()));
    let without = lock(project.path(), LEAF, Some(&lock_text), true).unwrap();
    check(
        project.path(),
        &without,
        expect![[r#"
        • Removed input 'dep'
    "#]],
    );
    expect![[r#"
        {
          "nodes": {
            "root": {}
          },
          "root": "root",
          "version": 7
        }
    "#]]
    .assert_eq(&without.text.unwrap());
}

/// Git sees a new `flake.nix` as soon as it is written, so it counts before.
#[test]
fn a_new_file_counts_in_a_repository() {
    let project = project();
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(project.path()).env("GIT_CONFIG_GLOBAL", "/dev/null");
        assert!(command.status().unwrap().success());
    };
    git(&["init", "--quiet"]);
    git(&["add", "dep"]);
    let text = "{ inputs.dep.url = \"path:./dep\"; outputs = _: { }; }";
    let new = lock(project.path(), text, None, true).unwrap();
    assert_eq!(new.changes.len(), 1);
    // Its neighbours count only if Git knows them.
    git(&["rm", "--quiet", "--cached", "-r", "dep"]);
    let error = lock(project.path(), text, None, true).unwrap_err();
    assert!(error.chain().contains("is not tracked by Git"), "{}", error.chain());
}

#[test]
fn sources_that_nothing_fixes_are_refused_or_not_written() {
    let project = project();
    let dep = project.path().join("dep");
    let git = Command::new("git").args(["init", "--quiet"]).current_dir(&dep).status();
    assert!(git.unwrap().success());
    let add = Command::new("git").args(["add", "."]).current_dir(&dep).status();
    assert!(add.unwrap().success());
    let text =
        format!("{{ inputs.dep.url = \"git+file://{}\"; outputs = _: {{ }}; }}", dep.display());
    let error = lock(project.path(), &text, None, true).unwrap_err();
    assert!(error.chain().contains("an input that nothing fixes"), "{}", error.chain());
    let new = lock(project.path(), &text, None, false).unwrap();
    assert_eq!(new.text, None);
    assert!(new.warnings.last().unwrap().ends_with("it is not written"), "{:?}", new.warnings);
}

#[test]
fn failures_say_what_was_tried() {
    let project = project();
    let said = |text: &str| {
        let error = lock(project.path(), text, None, true).unwrap_err();
        error.chain().replace(project.path().to_str().unwrap(), "[folder]")
    };
    expect!["cannot lock the inputs of `[folder]`: while updating the flake input 'dep': while fetching the input 'path:/no/where': path '/no/where' does not exist"]
        .assert_eq(&said("{ inputs.dep.url = \"path:/no/where\"; outputs = _: { }; }"));
    expect!["cannot lock the inputs of `[folder]`: expected an expression, found the end of the file, at [folder]/flake.nix:1:12"].assert_eq(&said("{ inputs = "));
    let text = "{ outputs = _: { }; }";
    let error = lock(project.path(), text, Some("{}"), true).unwrap_err();
    expect!["cannot lock the inputs of `[folder]`: lock file '[folder]/flake.lock' has unsupported version 0"].assert_eq(&error.chain().replace(project.path().to_str().unwrap(), "[folder]"));
}
