use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use cim_nix_base::{ChangeSet, ContentHash, FileMode, Op};
use expect_test::{Expect, expect};

use super::*;
use crate::apply::apply_with;
use crate::probe::Renames;
use crate::testing::{Fate, Meddler, NEW, OLD, Project, RENAMES, Stop, every_op, survive};

/// A project in which [`every_op`] crashed right before step `at`; `None` if it has fewer steps.
fn crashed(at: usize, renames: Renames) -> Option<Project> {
    let project = Project::quick(OLD);
    let probe = Stop::new(at, Fate::Crash, renames);
    let outcome = survive(|| apply_with(&project.root(), &project.state(), &every_op(), &probe));
    outcome.is_none().then_some(project)
}

/// A project in which `set` crashed right before the `nth` step called `what`.
fn crashed_at(tree: &str, set: &ChangeSet, what: &str, nth: usize) -> Project {
    let probe = Stop::never(Renames::WithFlags);
    let trial = Project::new(tree);
    apply_with(&trial.root(), &trial.state(), set, &probe).unwrap();
    let steps = probe.steps.borrow();
    let (at, _) = steps.iter().enumerate().filter(|(_, step)| **step == what).nth(nth).unwrap();
    let project = Project::new(tree);
    let probe = Stop::new(at, Fate::Crash, Renames::WithFlags);
    let outcome = survive(|| apply_with(&project.root(), &project.state(), set, &probe));
    assert!(outcome.is_none());
    project
}

fn hash(text: &str) -> ContentHash {
    ContentHash::of(text.as_bytes())
}

fn two() -> ChangeSet {
    let mut set = ChangeSet::new("raise a and b");
    for path in ["a", "b"] {
        set.push(path, Op::Write { expected: hash("1"), content: "2".to_owned() });
    }
    set
}

/// A change that fits [`NEW`].
fn lower_a() -> ChangeSet {
    let mut set = ChangeSet::new("lower a");
    set.push("a.nix", Op::Write { expected: hash("A"), content: "aa".to_owned() });
    set
}

/// [`NEW`] after [`lower_a`].
const NEWER: &str = "\
a.nix: aa
exec.sh 755: x
link.nix -> sub/h.nix
new/deep/c.nix: c
new/moved.nix: m
run.sh 750: r
sub/b.nix 604: B
sub/h.nix: H
z/
";

/// Recovers without waiting for the disk.
fn quick_recover(project: &Project, renames: Renames) -> Result<Recovered, Error> {
    recover_with(&project.root(), &project.state(), None, &Stop::never(renames))
}

/// Recovers and shows outcome and tree.
fn check(project: &Project, want: Expect) {
    let outcome = match recover(&project.root(), &project.state()) {
        Ok(outcome) => format!("{outcome:?}"),
        Err(error) => project.text(&error),
    };
    want.assert_eq(&format!("{outcome}\n{}", project.show()));
}

#[test]
fn nothing_to_do_touches_nothing() {
    let project = Project::new("a: 1");
    assert_eq!(recover(&project.root(), &project.state()).unwrap(), Recovered::Nothing);
    assert!(!project.state().exists());
}

#[test]
fn crash_at_any_step_ends_all_old_or_all_new() {
    for renames in RENAMES {
        let mut outcomes = [0; 3];
        for at in 0.. {
            let Some(project) = crashed(at, renames) else { break };
            let outcome = quick_recover(&project, renames).unwrap();
            let (index, want) = match &outcome {
                Recovered::Nothing if project.show() == OLD => (0, OLD),
                Recovered::Nothing => (0, NEW),
                Recovered::Reverted(_) => (1, OLD),
                Recovered::Finished(_) => (2, NEW),
            };
            outcomes[index] += 1;
            assert_eq!(project.show(), want, "step {at}: {outcome:?}");
            let again = recover(&project.root(), &project.state()).unwrap();
            assert_eq!(again, Recovered::Nothing, "step {at}");
            // Whatever is left in the state folder is not in the way of the next change.
            let (next, want) = if want == OLD { (every_op(), NEW) } else { (lower_a(), NEWER) };
            apply_with(&project.root(), &project.state(), &next, &Stop::never(renames)).unwrap();
            assert_eq!(project.show(), want);
            assert_eq!(project.state_names(), ["lock"]);
        }
        let [nothing, reverted, finished] = outcomes;
        assert!(nothing > 5 && reverted > 30 && finished > 5, "{outcomes:?}");
    }
}

#[test]
fn crash_while_recovering_changes_nothing_about_that() {
    let mut n_crashes = 0;
    // The ways without rename flags differ in few places: every third step will do.
    for (renames, stride) in RENAMES.into_iter().zip([1, 3, 3]) {
        for at in (0..).step_by(stride) {
            let Some(_) = crashed(at, renames) else { break };
            for again in 0.. {
                let project = crashed(at, renames).unwrap();
                let probe = Stop::new(again, Fate::Crash, renames);
                let run = || recover_with(&project.root(), &project.state(), None, &probe).unwrap();
                if survive(run).is_some() {
                    break;
                }
                n_crashes += 1;
                quick_recover(&project, renames).unwrap();
                let shown = project.show();
                assert!(shown == OLD || shown == NEW, "steps {at}, {again}:\n{shown}");
                assert!(!project.state_names().contains(&"open".to_owned()));
            }
        }
    }
    assert!(n_crashes > 1000, "{n_crashes}");
}

/// Whether two trees are the same but for the lines about `name` and temporaries of it.
fn same_but_for(name: &str, shown: &str, want: &str) -> bool {
    // The file that is renamed goes back to its former name, edit and all.
    let is_renamed = name == "new/moved.nix";
    let rest = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with(name) && !line.ends_with('/'));
        let lines = lines.filter(|line| !(is_renamed && line.starts_with("moves.nix")));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    rest(shown) == rest(want)
}

#[test]
fn edits_after_a_crash_are_never_lost() {
    let names = [
        "a.nix",
        "exec.sh",
        "sub/h.nix",
        "new/deep/c.nix",
        "new/moved.nix",
        "moves.nix",
        "run.sh",
        "sub/b.nix",
        "z/gone.nix",
    ];
    for renames in RENAMES {
        let (mut n_stops, mut n_ends) = (0, 0);
        for at in 0.. {
            let Some(_) = crashed(at, renames) else { break };
            for name in names {
                let project = crashed(at, renames).unwrap();
                if !project.path(name).parent().unwrap().exists() {
                    continue;
                }
                project.write(name, "mine");
                match check_edit(&project, name, renames) {
                    true => n_ends += 1,
                    false => n_stops += 1,
                }
            }
        }
        assert!(n_stops > 30 && n_ends > 300, "{n_stops} {n_ends}");
    }
}

/// Recovers a project after an edit of `name` to "mine". Answers whether that went to an end.
fn check_edit(project: &Project, name: &str, renames: Renames) -> bool {
    let outcome = quick_recover(project, renames);
    let shown = project.show();
    let all_old = same_but_for(name, &shown, OLD);
    assert!(all_old || same_but_for(name, &shown, NEW), "{name}: {outcome:?}\n{shown}");
    let contents = project.all_contents();
    assert!(contents.contains(&"mine".to_owned()), "{name}: the edit is lost");
    let Err(error) = outcome else { return true };
    assert_eq!(error.kind(), ErrorKind::Conflict, "{name}: {error:?}");
    let old = OLD.lines().find(|line| line.starts_with(name)).unwrap();
    let (_, text) = old.split_once(": ").unwrap();
    assert!(contents.contains(&text.to_owned()), "{name}: {text} is lost");
    false
}

#[test]
fn lost_temporaries_are_made_up_for_by_the_journal() {
    let project = crashed_at("a 604: 1\nb: 1", &two(), "committed", 0);
    for path in project.temporaries() {
        fs::remove_file(path).unwrap();
    }
    assert_eq!(project.show(), "a 604: 2\nb: 2\n");
    check(
        &project,
        expect![[r#"
            Reverted(Interrupted { title: "raise a and b", tag: None, files: ["a", "b"], warnings: [] })
            a 604: 1
            b: 1
        "#]],
    );
}

#[test]
fn reader_chooses_between_two_versions() {
    let project = crashed_at("a 604: 1\nb: 1", &two(), "committed", 0);
    project.write("a", "mine");
    check(
        &project,
        expect![[r#"
        Conflict: cannot revert the interrupted change "raise a and b" in full: `a` changed since
          hint: `/root/a` stays as it is; its other version is `/state/open/kept/0-a`: remove that or move it over the file, then run the command again
        a 604: mine
        b: 1
    "#]],
    );
    let again = recover(&project.root(), &project.state()).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict);
    let applied = crate::apply(&project.root(), &project.state(), &two()).unwrap_err();
    assert_eq!(project.text(&applied), project.text(&again));
    let kept = project.state().join("open/kept/0-a");
    assert_eq!(fs::read_to_string(&kept).unwrap(), "1");

    fs::rename(&kept, project.path("a")).unwrap();
    check(
        &project,
        expect![[r#"
            Reverted(Interrupted { title: "raise a and b", tag: None, files: ["a", "b"], warnings: [] })
            a 604: 1
            b: 1
        "#]],
    );
    assert_eq!(project.state_names(), ["lock"]);
    crate::apply(&project.root(), &project.state(), &two()).unwrap();
}

#[test]
fn edit_of_a_file_that_was_not_swapped_yet_stays_quietly() {
    let project = crashed_at("a: 1\nb: 1", &two(), "exchange", 1);
    project.write("b", "mine");
    check(
        &project,
        expect![[r#"
            Reverted(Interrupted { title: "raise a and b", tag: None, files: ["a", "b"], warnings: [] })
            a: 1
            b: mine
        "#]],
    );
}

#[test]
fn created_file_that_was_edited_stays() {
    let mut set = two();
    set.create("new/c", "c");
    let project = crashed_at("a: 1\nb: 1", &set, "committed", 0);
    project.write("new/c", "mine");
    check(
        &project,
        expect![[r#"
            Reverted(Interrupted { title: "raise a and b", tag: None, files: ["a", "b", "new/c"], warnings: ["`new/c` is new and was edited since; it stays"] })
            a: 1
            b: 1
            new/c: mine
        "#]],
    );
}

#[test]
fn renamed_file_goes_back_with_its_edit() {
    let mut set = two();
    set.push("c", Op::Rename { expected: hash("1"), to: "d".into() });
    let project = crashed_at("a: 1\nb: 1\nc: 1", &set, "committed", 0);
    project.write("d", "mine");
    check(
        &project,
        expect![[r#"
            Reverted(Interrupted { title: "raise a and b", tag: None, files: ["a", "b", "c"], warnings: ["`d` was edited since; it is `c` again"] })
            a: 1
            b: 1
            c: mine
        "#]],
    );
}

#[test]
fn edit_in_the_very_moment_of_going_back_stays() {
    let mut set = two();
    set.create("c", "c");
    for (name, what) in [("c", "move"), ("b", "exchange")] {
        let project = crashed_at("a: 1\nb: 1", &set, "committed", 0);
        let probe = Meddler::new(what, 0, || project.write(name, "mine"));
        let outcome = recover_with(&project.root(), &project.state(), None, &probe);
        assert!(probe.has_acted());
        assert_eq!(fs::read_to_string(project.path(name)).unwrap(), "mine");
        assert_eq!(fs::read_to_string(project.path("a")).unwrap(), "1");
        assert_eq!(project.temporaries(), [""; 0].map(PathBuf::from));
        // A new file has no other version to choose; of the other one, both are there.
        assert_eq!(outcome.is_err(), name == "b", "{outcome:?}");
        assert_eq!(project.state().join("open/kept/1-b").exists(), name == "b");
    }
}

#[test]
fn mode_that_another_program_set_stays() {
    let mut set = two();
    let (from, to) = (FileMode(0o640), FileMode(0o750));
    set.push("c", Op::SetMode { expected: hash("1"), from, to });
    let project = crashed_at("a: 1\nb: 1\nc 640: 1", &set, "committed", 0);
    fs::set_permissions(project.path("c"), fs::Permissions::from_mode(0o606)).unwrap();
    check(
        &project,
        expect![[r#"
            Reverted(Interrupted { title: "raise a and b", tag: None, files: ["a", "b", "c"], warnings: [] })
            a: 1
            b: 1
            c 606: 1
        "#]],
    );
}

#[test]
fn half_restored_file_leaves_no_temporary() {
    let project = crashed_at("a: 1\nb: 1", &two(), "committed", 0);
    for path in project.temporaries() {
        fs::remove_file(path).unwrap();
    }
    let log = Stop::never(Renames::WithFlags);
    let steps = {
        let twin = crashed_at("a: 1\nb: 1", &two(), "committed", 0);
        for path in twin.temporaries() {
            fs::remove_file(path).unwrap();
        }
        recover_with(&twin.root(), &twin.state(), None, &log).unwrap();
        log.steps.borrow().clone()
    };
    let at = steps.iter().position(|step| *step == "replace").unwrap();
    let probe = Stop::new(at, Fate::Crash, Renames::WithFlags);
    assert!(survive(|| recover_with(&project.root(), &project.state(), None, &probe)).is_none());
    assert_eq!(project.temporaries().len(), 1);
    project.write("b", "mine");
    check(
        &project,
        expect![[r#"
        Conflict: cannot revert the interrupted change "raise a and b" in full: `b` changed since
          hint: `/root/b` stays as it is; its other version is `/state/open/kept/1-b`: remove that or move it over the file, then run the command again
        a: 1
        b: mine
    "#]],
    );
}

#[test]
fn file_that_is_gone_for_either_reason_is_kept() {
    let mut set = two();
    set.push("c", Op::Remove { expected: hash("1") });
    let project = crashed_at("a: 1\nb: 1\nc: 1", &set, "committed", 0);
    fs::remove_file(project.path("a")).unwrap();
    for path in project.temporaries() {
        fs::remove_file(path).unwrap();
    }
    check(
        &project,
        expect![[r#"
        Conflict: cannot revert the interrupted change "raise a and b" in full: `a`, `c` changed since
          hint: `/root/a` stays as it is; its other version is `/state/open/kept/0-a`: remove that or move it over the file, then run the command again
          hint: `/root/c` stays as it is; its other version is `/state/open/kept/2-c`: remove that or move it over the file, then run the command again
        b: 1
    "#]],
    );
    for kept in ["0-a", "2-c"] {
        fs::remove_file(project.state().join("open/kept").join(kept)).unwrap();
    }
    check(
        &project,
        expect![[r#"
            Reverted(Interrupted { title: "raise a and b", tag: None, files: ["a", "b", "c"], warnings: [] })
            b: 1
        "#]],
    );
}

#[test]
fn apply_recovers_first() {
    let project = crashed_at("a: 1\nb: 1", &two(), "committed", 0);
    assert!(project.show().contains("a: 2"));
    let mut set = ChangeSet::new("next");
    set.push("a", Op::Write { expected: hash("1"), content: "3".to_owned() });
    let applied = crate::apply(&project.root(), &project.state(), &set).unwrap();
    let text = "an earlier change, \"raise a and b\", was interrupted; reverted it";
    assert_eq!(applied.warnings, [text]);
    assert_eq!(project.show(), "a: 3\nb: 1\n");
}

#[test]
fn damaged_journal_says_what_to_do() {
    let project = crashed_at("a: 1\nb: 1", &two(), "committed", 0);
    fs::write(project.state().join("open/intent.json"), "{").unwrap();
    let error = recover(&project.root(), &project.state()).unwrap_err();
    expect![[r#"
        Outside: cannot read the journal `/state/open/intent.json`: EOF while parsing an object at line 1 column 1
          hint: a change was interrupted here; if this cannot be mended, put the files right by hand (former contents are in `/state/open/pre-images`) and remove `/state/open`"#]].assert_eq(&project.text(&error));
}

#[test]
fn journal_of_another_project_is_left_alone() {
    let project = crashed_at("a: 1\nb: 1", &two(), "committed", 0);
    let other = project.outside().join("other");
    fs::create_dir(&other).unwrap();
    let error = recover(&other, &project.state()).unwrap_err();
    expect!["User: cannot recover the project `/other`: its state folder belongs to `/root`"]
        .assert_eq(&project.text(&error));
    assert!(project.show().contains("a: 2"));
}

#[test]
fn journal_cannot_lead_out_of_the_project() {
    let project = crashed_at("a: 1\nb: 1", &two(), "committed", 0);
    let path = project.state().join("open/intent.json");
    let json = fs::read_to_string(&path).unwrap();
    for (from, to, want) in [
        (r#""path":"a""#, r#""path":"../a""#, "`../a` is not a path in the project"),
        (r#""token":""#, r#""token":"/../"#, "cannot be part of a file name"),
        (r#""version":1"#, r#""version":2"#, "version 2, where 1 is known"),
    ] {
        fs::write(&path, json.replace(from, to)).unwrap();
        let error = recover(&project.root(), &project.state()).unwrap_err();
        assert!(error.chain().contains(want), "{}", error.chain());
    }
}
