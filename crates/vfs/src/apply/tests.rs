use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use cim_nix_base::{ContentHash, ErrorKind, FileMode, Op};
use expect_test::{Expect, expect};

use super::*;
use crate::probe::Renames;
use crate::testing::{Fate, Meddler, NEW, OLD, Project, RENAMES, Stop, every_op};

fn hash(text: &str) -> ContentHash {
    ContentHash::of(text.as_bytes())
}

fn write(from: &str, to: &str) -> Op {
    Op::Write { expected: hash(from), content: to.to_owned() }
}

fn set<const N: usize>(changes: [(&str, Op); N]) -> ChangeSet {
    let mut set = ChangeSet::new("test");
    for (path, op) in changes {
        set.push(path, op);
    }
    set
}

/// Applies and shows the tree, the warnings, and the error if there is one.
fn check(project: &Project, set: &ChangeSet, probe: &dyn Probe, want: Expect) {
    let mut shown = match apply_with(&project.root(), &project.state(), set, probe) {
        Ok(applied) => applied.warnings.iter().map(|text| format!("warning: {text}\n")).collect(),
        Err(error) => project.text(&error) + "\n",
    };
    shown += &project.show();
    want.assert_eq(&shown);
    assert!(!project.state_names().contains(&"open".to_owned()), "the journal is left open");
    assert!(!project.state_names().contains(&"new".to_owned()), "a draft is left");
}

#[test]
fn applies_every_kind_of_change() {
    for renames in RENAMES {
        let project = Project::new(OLD);
        let set = every_op();
        let probe = Stop::never(renames);
        let applied = apply_with(&project.root(), &project.state(), &set, &probe).unwrap();
        assert_eq!(project.show(), NEW);
        assert_eq!(applied.warnings, [""; 0]);
        assert_eq!(applied.changed.len(), set.changes.len());
        assert_eq!(applied.changed[6], Path::new("sub/h.nix"), "behind the symlink");
        assert_eq!(project.state_names(), ["lock"]);
    }
}

#[test]
fn empty_set_touches_nothing() {
    let project = Project::new("a: 1");
    assert_eq!(apply(&project.root(), &project.state(), &set([])).unwrap(), Applied::default());
    assert!(!project.state().exists());
    // Not even a look at the root.
    assert!(apply(Path::new("/nowhere/at/all"), &project.state(), &set([])).is_ok());
}

#[test]
fn set_that_changes_nothing_leaves_files_alone() {
    let project = Project::new("a: 1");
    let inode = || fs::metadata(project.path("a")).unwrap().ino();
    let before = inode();
    let mode = FileMode(fs::metadata(project.path("a")).unwrap().permissions().mode() & 0o7777);
    let same =
        [("a", write("1", "1")), ("b", Op::SetMode { expected: hash("1"), from: mode, to: mode })];
    fs::copy(project.path("a"), project.path("b")).unwrap();
    let applied = apply(&project.root(), &project.state(), &set(same)).unwrap();
    assert_eq!((applied, inode()), (Applied::default(), before));
}

#[test]
fn bytes_are_written_as_given() {
    let project = Project::new("a: 1");
    let text = "\u{feff}{\r\n}\0\n\n";
    apply(&project.root(), &project.state(), &set([("a", write("1", text))])).unwrap();
    assert_eq!(fs::read(project.path("a")).unwrap(), text.as_bytes());
}

#[test]
fn paths_that_do_not_fit_are_refused() {
    let project = Project::new("a: 1");
    let refuse = |set: ChangeSet| {
        let error = apply(&project.root(), &project.state(), &set).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::User, "{set:?}");
        project.text(&error) + "\n"
    };
    let create = || Op::Create { content: String::new(), mode: None };
    let rename = |to: &str| Op::Rename { expected: hash("1"), to: to.into() };
    let shown = [
        refuse(set([("../a", create())])),
        refuse(set([("/a", create())])),
        refuse(set([("", create())])),
        refuse(set([("./a", create())])),
        refuse(set([("a", rename("../b"))])),
        refuse(set([("b", create()), ("b", create())])),
        refuse(set([("a", rename("b")), ("b", create())])),
        refuse(set([("b/c", create()), ("b-a", create()), ("b", create())])),
        refuse(set([("a", rename("a"))])),
    ];
    expect![[r#"
        User: cannot change `../a`: it is not a path inside the project
        User: cannot change `/a`: it is not a path inside the project
        User: cannot change ``: it is not a path inside the project
        User: cannot change `./a`: it is not a path inside the project
        User: cannot change `../b`: it is not a path inside the project
        User: cannot change `b` twice in one change set
        User: cannot change `b` twice in one change set
        User: cannot change both the file `b` and `b/c` below it
        User: cannot change `a` twice in one change set
    "#]]
    .assert_eq(&shown.concat());
    assert_eq!(project.show(), "a: 1\n");
}

#[test]
fn files_that_are_not_as_expected_are_conflicts() {
    let project = Project::new("a 640: 1\nd/\nlink -> nowhere");
    let refuse = |path: &str, op: Op| {
        // A change that fits comes first and must not be made.
        let set = set([("new", Op::Create { content: "n".into(), mode: None }), (path, op)]);
        let error = apply(&project.root(), &project.state(), &set).unwrap_err();
        assert_eq!(project.show(), "a 640: 1\nd/\nlink -> nowhere\n");
        project.text(&error) + "\n"
    };
    let create = || Op::Create { content: String::new(), mode: None };
    let mode = |text| {
        let (from, to) = (FileMode(0o600), FileMode(0o700));
        Op::SetMode { expected: hash(text), from, to }
    };
    let shown = [
        refuse("a", write("2", "3")),
        refuse("a", create()),
        refuse("a", Op::Remove { expected: hash("2") }),
        refuse("a", Op::Rename { expected: hash("2"), to: "b".into() }),
        refuse("a", Op::Rename { expected: hash("1"), to: "d".into() }),
        refuse("a", mode("1")),
        refuse("b", write("2", "3")),
        refuse("d", write("2", "3")),
        refuse("link", write("2", "3")),
        refuse("link", create()),
        refuse("a/b", create()),
    ];
    expect![[r#"
        Conflict: cannot change `a`: it has changed
          hint: run the command again to start from what is there now
        Conflict: cannot change `a`: it exists already
          hint: run the command again to start from what is there now
        Conflict: cannot change `a`: it has changed
          hint: run the command again to start from what is there now
        Conflict: cannot change `a`: it has changed
          hint: run the command again to start from what is there now
        Conflict: cannot change `d`: it exists already
          hint: run the command again to start from what is there now
        Conflict: cannot change `a`: it has other permissions than expected
          hint: run the command again to start from what is there now
        Conflict: cannot change `b`: it is not there any more
          hint: run the command again to start from what is there now
        User: cannot change `d`: not a regular file
        Conflict: cannot change `link`: it is a symlink that leads nowhere
          hint: run the command again to start from what is there now
        Conflict: cannot change `link`: it exists already
          hint: run the command again to start from what is there now
        Outside: cannot create `a/b`: Not a directory (os error 20)
    "#]]
    .assert_eq(&shown.concat());
}

#[test]
fn symlinks_stay_and_lead_to_what_is_changed() {
    let project = Project::new("real/a: 1\nlink -> chain\nchain -> real/a\ndir -> real");
    let changes =
        [("link", write("1", "2")), ("dir/new/b", Op::Create { content: "b".into(), mode: None })];
    let applied = apply(&project.root(), &project.state(), &set(changes)).unwrap();
    assert_eq!(applied.changed, [Path::new("real/a"), Path::new("real/new/b")]);
    expect![[r#"
        chain -> real/a
        dir -> real
        link -> chain
        real/a: 2
        real/new/b: b
    "#]]
    .assert_eq(&project.show());
}

#[test]
fn symlinks_that_lead_out_are_refused() {
    let project = Project::new("a: 1\nlink -> a");
    fs::create_dir(project.outside().join("far")).unwrap();
    fs::write(project.outside().join("far/a"), "1").unwrap();
    symlink("../far/a", project.path("out")).unwrap();
    symlink("../far", project.path("dir")).unwrap();
    let refuse = |path: &str, op: Op| {
        let error = apply(&project.root(), &project.state(), &set([(path, op)])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::User);
        project.text(&error) + "\n"
    };
    let create = || Op::Create { content: String::new(), mode: None };
    let twice = set([("a", write("1", "2")), ("link", write("1", "2"))]);
    let shown = [
        refuse("out", write("1", "2")),
        refuse("dir/a", write("1", "2")),
        refuse("dir/b", create()),
        refuse("dir/new/b", create()),
        refuse("a", Op::Rename { expected: hash("1"), to: "dir/b".into() }),
        refuse("link", Op::Remove { expected: hash("1") }),
        refuse("link", Op::Rename { expected: hash("1"), to: "b".into() }),
        project.text(&apply(&project.root(), &project.state(), &twice).unwrap_err()),
    ];
    expect![[r#"
        User: cannot change `out`: a symlink leads to `/far/a`, outside of the project `/root`
        User: cannot change `dir/a`: a symlink leads to `/far/a`, outside of the project `/root`
        User: cannot change `dir/b`: a symlink leads to `/far/b`, outside of the project `/root`
        User: cannot change `dir/new/b`: a symlink leads to `/far/new/b`, outside of the project `/root`
        User: cannot change `dir/b`: a symlink leads to `/far/b`, outside of the project `/root`
        User: cannot move or remove `link`: it is a symlink
          hint: change the file that it leads to, or the symlink by hand
        User: cannot move or remove `link`: it is a symlink
          hint: change the file that it leads to, or the symlink by hand
        User: cannot change `a` twice in one change set"#]].assert_eq(&shown.concat());
    assert_eq!(fs::read_dir(project.outside().join("far")).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(project.outside().join("far/a")).unwrap(), "1");
}

#[test]
fn attributes_are_kept() {
    let project = Project::new("a 2754: 1");
    let path = project.path("a");
    // Another owner can only be given, and so be kept, by root.
    let _ = std::os::unix::fs::chown(&path, Some(1234), Some(4321));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o2754)).unwrap();
    let empty = rustix::fs::XattrFlags::empty();
    let has_attributes = rustix::fs::setxattr(&path, "user.test", b"value", empty).is_ok();
    let look = || {
        let meta = fs::metadata(&path).unwrap();
        let mut value = [0; 16];
        let len = rustix::fs::getxattr(&path, "user.test", &mut value).unwrap_or(0);
        (meta.mode(), meta.uid(), meta.gid(), value[..len].to_vec())
    };
    let before = look();
    assert_eq!(has_attributes, before.3 == b"value");
    let applied = apply(&project.root(), &project.state(), &set([("a", write("1", "2"))])).unwrap();
    assert_eq!((look(), applied.warnings), (before, Vec::new()));
    assert_eq!(project.show(), "a 2754: 2\n");
}

#[test]
fn broken_hard_link_is_reported() {
    let project = Project::new("a: 1");
    fs::hard_link(project.path("a"), project.path("b")).unwrap();
    check(
        &project,
        &set([("a", write("1", "2"))]),
        &Live,
        expect![[r#"
        warning: `a` had 2 names (hard links); only this one has the new content
        a: 2
        b: 1
    "#]],
    );
}

#[test]
fn file_systems_without_exchange_look_first() {
    let project = Project::new("a: 1\nb: 1");
    let set = set([("a", write("1", "2")), ("b", write("1", "2"))]);
    let probe = Meddler::new("staged", 0, || project.write("b", "mine")).on_poor_disk();
    check(
        &project,
        &set,
        &probe,
        expect![[r#"
        Conflict: cannot change `b`: it was changed by another program just now
          hint: run the command again to start from what is there now
        a: 1
        b: mine
    "#]],
    );
    assert!(probe.has_acted());

    let project = Project::new("a: 1");
    let set = self::set([
        ("a", write("1", "2")),
        ("new", Op::Create { content: "n".into(), mode: None }),
    ]);
    let probe = Meddler::new("staged", 0, || project.write("new", "mine")).on_poor_disk();
    check(
        &project,
        &set,
        &probe,
        expect![[r#"
        Conflict: cannot change `new`: it exists already
          hint: run the command again to start from what is there now
        a: 1
        new: mine
    "#]],
    );
    assert!(probe.has_acted());
}

/// What happens when another program does something to `b` right before a step.
fn meddle(what: &'static str, nth: usize, set: &ChangeSet, act: fn(&Project), want: Expect) {
    let project = Project::new("a: 1\nb: 1");
    let probe = Meddler::new(what, nth, || act(&project));
    check(&project, set, &probe, want);
    assert!(probe.has_acted());
}

#[test]
fn whatever_another_program_does_stays() {
    let two = set([("a", write("1", "2")), ("b", write("1", "2"))]);
    let saves: fn(&Project) = |project| {
        project.write("b~", "mine");
        fs::rename(project.path("b~"), project.path("b")).unwrap();
    };
    meddle(
        "exchange",
        1,
        &two,
        saves,
        expect![[r#"
        Conflict: cannot change `b`: it was changed by another program just now
          hint: run the command again to start from what is there now
        a: 1
        b: mine
    "#]],
    );
    let removes: fn(&Project) = |project| fs::remove_file(project.path("b")).unwrap();
    meddle(
        "exchange",
        1,
        &two,
        removes,
        expect![[r#"
        Conflict: cannot change `b`: it is not there any more
          hint: run the command again to start from what is there now
        a: 1
    "#]],
    );
    let links: fn(&Project) = |project| {
        fs::remove_file(project.path("b")).unwrap();
        symlink("a", project.path("b")).unwrap();
    };
    meddle(
        "exchange",
        1,
        &two,
        links,
        expect![[r#"
        Conflict: cannot change `b`: it was changed by another program just now
          hint: run the command again to start from what is there now
        a: 1
        b -> a
    "#]],
    );
    let makes_folder: fn(&Project) = |project| {
        fs::remove_file(project.path("b")).unwrap();
        fs::create_dir(project.path("b")).unwrap();
    };
    meddle(
        "exchange",
        1,
        &two,
        makes_folder,
        expect![[r#"
        Conflict: cannot change `b`: it was changed by another program just now
          hint: run the command again to start from what is there now
        a: 1
        b/
    "#]],
    );
    let makes_private: fn(&Project) = |project| {
        fs::set_permissions(project.path("b"), fs::Permissions::from_mode(0o606)).unwrap();
    };
    meddle(
        "exchange",
        1,
        &two,
        makes_private,
        expect![[r#"
        Conflict: cannot change `b`: it was changed by another program just now
          hint: run the command again to start from what is there now
        a: 1
        b 606: 1
    "#]],
    );
}

#[test]
fn edit_through_an_open_handle_is_never_lost() {
    let check_at = |what, nth, want: Expect| {
        let project = Project::new("a: 1\nb: 1");
        let mut held = fs::File::options().append(true).open(project.path("a")).unwrap();
        let set = set([("a", write("1", "2")), ("b", write("1", "2"))]);
        let probe = Meddler::new(what, nth, move || held.write_all(b" and mine").unwrap());
        let outcome = apply_with(&project.root(), &project.state(), &set, &probe);
        assert!(probe.has_acted());
        let said = match outcome {
            Ok(applied) => applied.warnings.join("\n"),
            Err(error) => project.text(&error),
        };
        want.assert_eq(&without_tokens(&format!("{said}\n{}", project.show())));
        assert_eq!(project.state_names(), ["lock"]);
    };
    // Right after the swap of `a`: it is noticed in time.
    check_at(
        "exchange",
        1,
        expect![[r#"
        Conflict: cannot change `a`: it was changed by another program just now
          hint: run the command again to start from what is there now
        a: 1 and mine
        b: 1
    "#]],
    );
    // After the last look: too late to go back, but the bytes are there.
    check_at(
        "committed",
        0,
        expect![[r#"
        another program wrote to the former `a` while it was replaced; what it wrote is in `.cim-nix-TOKEN-0`
        .cim-nix-TOKEN-0: 1 and mine
        a: 2
        b: 2
    "#]],
    );
}

/// Puts `TOKEN` for the random part of temporary names.
fn without_tokens(text: &str) -> String {
    let mut parts = text.split(".cim-nix-");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| out + ".cim-nix-TOKEN" + &part[16..])
}

#[test]
fn other_ops_give_way_too() {
    let edits: fn(&Project) = |project| project.write("b", "mine");
    let first = ("a", write("1", "2"));
    let remove = set([first.clone(), ("b", Op::Remove { expected: hash("1") })]);
    meddle(
        "move",
        0,
        &remove,
        edits,
        expect![[r#"
        Conflict: cannot change `b`: it was changed by another program just now
          hint: run the command again to start from what is there now
        a: 1
        b: mine
    "#]],
    );
    let rename = set([first.clone(), ("b", Op::Rename { expected: hash("1"), to: "n/c".into() })]);
    meddle(
        "move",
        0,
        &rename,
        edits,
        expect![[r#"
        Conflict: cannot change `b`: it was changed by another program just now
          hint: run the command again to start from what is there now
          hint: `n/c` was edited since; it is `b` again
        a: 1
        b: mine
    "#]],
    );
    let takes: fn(&Project) = |project| project.write("n/c", "mine");
    meddle(
        "move",
        0,
        &rename,
        takes,
        expect![[r#"
        Conflict: cannot change `n/c`: it exists already
          hint: run the command again to start from what is there now
        a: 1
        b: 1
        n/c: mine
    "#]],
    );
    let renames: fn(&Project) = |project| {
        fs::rename(project.path("b"), project.path("n/c")).unwrap();
    };
    meddle(
        "move",
        0,
        &rename,
        renames,
        expect![[r#"
        Conflict: cannot change `b`: it is not there any more
          hint: run the command again to start from what is there now
        a: 1
        n/c: 1
    "#]],
    );
    let create = set([first, ("n/c", Op::Create { content: "c".into(), mode: None })]);
    meddle(
        "move",
        0,
        &create,
        takes,
        expect![[r#"
        Conflict: cannot change `n/c`: it exists already
          hint: run the command again to start from what is there now
        a: 1
        b: 1
        n/c: mine
    "#]],
    );
}

#[test]
fn one_run_at_a_time() {
    let project = Project::new("a: 1");
    let journal = Journal::new(&project.state(), &Live);
    let lock = journal.lock().unwrap();
    let set = set([("a", write("1", "2"))]);
    check(
        &project,
        &set,
        &Live,
        expect![[r#"
        Conflict: another cim-nix is changing this project
          hint: wait for it to end, then run the command again
        a: 1
    "#]],
    );
    drop(lock);
    apply(&project.root(), &project.state(), &set).unwrap();
}

#[test]
fn failure_of_any_step_leaves_all_old_or_all_new() {
    for renames in RENAMES {
        for at in 0.. {
            let project = Project::quick(OLD);
            let probe = Stop::new(at, Fate::Error, renames);
            let outcome = apply_with(&project.root(), &project.state(), &every_op(), &probe);
            let steps = probe.steps.borrow().clone();
            let want = if outcome.is_ok() { NEW } else { OLD };
            let tidy = project.state_names() == ["lock"];
            let warned = outcome.as_ref().is_ok_and(|applied| !applied.warnings.is_empty());
            if !probe.has_stopped() {
                assert!(at > 50, "only {at} steps");
                break;
            }
            if warned {
                // The change is made; what could not be tidied is left to the next run.
                crate::recover(&project.root(), &project.state()).unwrap();
            } else {
                assert!(outcome.is_err(), "step {at} of {steps:?} was skipped");
                let names = project.state_names();
                let unused = names.is_empty() || names == ["lock", "new"];
                assert!(tidy || unused || names == ["closed", "lock"], "step {at}: {names:?}");
            }
            assert_eq!(project.show(), want, "step {at} of {steps:?}: {outcome:?}");
        }
    }
}

#[test]
fn steps_come_in_the_order_that_makes_them_safe() {
    let project = Project::new("a: 1");
    let probe = Stop::never(Renames::WithFlags);
    let set = set([("a", write("1", "2"))]);
    apply_with(&project.root(), &project.state(), &set, &probe).unwrap();
    expect![[r#"
        sync journal
        create journal
        add pre-image
        sync journal
        write journal
        sync journal
        sync journal
        open journal
        sync journal
        create temporary
        write temporary
        set mode
        sync temporary
        staged
        sync journal
        sync journal
        exchange
        sync folder
        committed
        sync journal
        sync journal
        unlink
        sync folder
        close journal
        sync journal
        remove journal"#]]
    .assert_eq(&probe.steps.borrow().join("\n"));
}

#[test]
fn many_files_are_synced_together() {
    let project = Project::quick(&(0..100).map(|n| format!("{n}/a: 1\n")).collect::<String>());
    let mut set = ChangeSet::new("many");
    for n in 0..100 {
        set.push(format!("{n}/a"), write("1", "2"));
    }
    let probe = Stop::never(Renames::WithFlags);
    apply_with(&project.root(), &project.state(), &set, &probe).unwrap();
    let mut steps = probe.steps.borrow().clone();
    steps.dedup();
    steps.retain(|step| !["create temporary", "write temporary", "set mode"].contains(step));
    expect![[r#"
        sync journal
        create journal
        add pre-image
        sync journal
        write journal
        sync journal
        open journal
        sync journal
        sync file system
        staged
        sync journal
        exchange
        sync file system
        committed
        sync journal
        unlink
        sync file system
        close journal
        sync journal
        remove journal"#]]
    .assert_eq(&steps.join("\n"));
}
