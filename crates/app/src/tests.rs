use std::ops::ControlFlow;

use cim_domain_nix::command::BuildPackage;
use cim_domain_nix::{
    Event, EventStore as _, Evidence, FailureReason, Kind, Snapshot, State, Took,
};
use cim_nix_base::ErrorKind;
use expect_test::{Expect, expect};

use crate::testing::{Kit, Script};
use crate::{App, Filter, Logged, Mode, States, Writer};

fn fix(kit: &Kit, path: &str, to: &str) -> Result<crate::Outcome, cim_nix_base::Error> {
    let (command, proposal) = kit.fix(path, to);
    kit.app().change(&command, proposal, Mode::Apply)
}

fn types(app: &App<'_>) -> Vec<String> {
    let mut types = Vec::new();
    let visit = &mut |logged| {
        let Logged::Event(stored) = logged else { panic!("all can be read") };
        types.push(stored.event.event_type().to_owned());
        Ok(ControlFlow::Continue(()))
    };
    app.log(&Filter::default(), visit).unwrap();
    types.reverse();
    types
}

fn failed(error: &cim_nix_base::Error, want: Expect) {
    let mut text = format!("{:?}: {}\n", error.kind(), error.chain());
    for hint in error.hints() {
        text.push_str(&format!("hint: {hint}\n"));
    }
    want.assert_eq(&text);
}

#[test]
fn a_change_is_an_event_that_can_be_undone_and_redone() {
    let kit = Kit::new(&[("a.nix", "1")]);
    let outcome = fix(&kit, "a.nix", "2").unwrap();
    assert_eq!(outcome.position, Some(1));
    assert_eq!(kit.files.show(), "a.nix: 2\n");
    let app = kit.app();
    app.undo(None, Mode::Apply).unwrap();
    assert_eq!(kit.files.show(), "a.nix: 1\n");
    app.redo(Mode::Apply).unwrap();
    assert_eq!(kit.files.show(), "a.nix: 2\n");
    app.undo(None, Mode::Apply).unwrap();
    assert_eq!(kit.files.show(), "a.nix: 1\n");
    assert_eq!(
        types(&app),
        ["ProjectFixed", "ProjectReverted", "ProjectReverted", "ProjectReverted"]
    );
    failed(
        &app.undo(None, Mode::Apply).unwrap_err(),
        expect![[r#"
            User: there is nothing to undo
            hint: `cim-nix log` lists the events
        "#]],
    );
}

#[test]
fn a_new_file_goes_when_it_is_undone() {
    let kit = Kit::new(&[]);
    fix(&kit, "new.nix", "{ }").unwrap();
    kit.app().undo(None, Mode::Apply).unwrap();
    assert_eq!(kit.files.show(), "");
    kit.app().redo(Mode::Apply).unwrap();
    assert_eq!(kit.files.show(), "new.nix: { }\n");
}

#[test]
fn a_change_after_an_undo_ends_redoing() {
    let kit = Kit::new(&[("a.nix", "1")]);
    fix(&kit, "a.nix", "2").unwrap();
    kit.app().undo(None, Mode::Apply).unwrap();
    fix(&kit, "a.nix", "3").unwrap();
    assert_eq!(kit.app().redo(Mode::Apply).unwrap_err().kind(), ErrorKind::User);
}

#[test]
fn nothing_to_change_is_no_event() {
    let kit = Kit::new(&[("a.nix", "1")]);
    let outcome = fix(&kit, "a.nix", "1").unwrap();
    assert_eq!((outcome.events.len(), outcome.position), (0, None));
    assert_eq!(kit.store.head().unwrap(), 0);
}

#[test]
fn a_dry_run_changes_nothing() {
    let kit = Kit::new(&[("a.nix", "1\n")]);
    let (command, proposal) = kit.fix("a.nix", "2\n");
    let outcome = kit.app().change(&command, proposal, Mode::DryRun).unwrap();
    expect![[r#"
        --- a/a.nix
        +++ b/a.nix
        @@ -1 +1 @@
        -1
        +2
    "#]]
    .assert_eq(&outcome.diff());
    assert_eq!(outcome.events.len(), 1);
    assert_eq!(kit.store.head().unwrap(), 0);
    assert_eq!(kit.files.show(), "a.nix: 1\n\n");
}

#[test]
fn what_others_did_to_a_file_is_shown_and_kept() {
    let kit = Kit::new(&[("a.nix", "1\n")]);
    fix(&kit, "a.nix", "2\n").unwrap();
    kit.files.texts.borrow_mut().insert("a.nix".into(), "2\nmine\n".into());
    failed(
        &kit.app().undo(None, Mode::Apply).unwrap_err(),
        expect![[r#"
            Conflict: cannot undo event 1, ProjectFixed: `a.nix` changed since
            hint: `a.nix` was changed by others:
            --- as recorded
            +++ on disk
            @@ -1 +1,2 @@
             2
            +mine
            and this is what would have been done:
            --- as recorded
            +++ wanted
            @@ -1 +1 @@
            -2
            +1
            hint: put the file back as it was recorded, or make the change by hand: `cim-nix show 1` has it
        "#]],
    );
    assert_eq!(kit.files.show(), "a.nix: 2\nmine\n\n");
}

#[test]
fn an_earlier_event_is_not_undone_over_a_later_one() {
    let kit = Kit::new(&[("a.nix", "1\n"), ("b.nix", "1\n")]);
    let first = fix(&kit, "a.nix", "2\n").unwrap();
    fix(&kit, "b.nix", "2\n").unwrap();
    fix(&kit, "a.nix", "3\n").unwrap();
    let id = first.events[0].identity().message_id.uuid();
    let error = kit.app().undo(id, Mode::Apply).unwrap_err();
    assert_eq!(
        error.hints()[0],
        "later events changed the same files: undo them first, in this order: 3"
    );
    // What nobody touched since can be undone in any order.
    let second = kit.app().undo(None, Mode::Apply).unwrap();
    assert_eq!(second.events[0].event_type(), "ProjectReverted");
    kit.app().undo(id, Mode::Apply).unwrap();
    assert_eq!(kit.files.show(), "a.nix: 1\n\nb.nix: 2\n\n");
}

#[test]
fn a_meddler_in_the_last_moment_wins() {
    let kit = Kit::new(&[("a.nix", "1\n")]);
    let (command, proposal) = kit.fix("a.nix", "2\n");
    *kit.files.meddler.borrow_mut() = Some(Box::new(|texts| {
        texts.insert("a.nix".into(), "theirs\n".into());
    }));
    let error = kit.app().change(&command, proposal, Mode::Apply).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(kit.store.head().unwrap(), 0);
    assert_eq!(kit.files.show(), "a.nix: theirs\n\n");
    // Nothing is left that a recovery would have to look at.
    assert!(kit.app().recover().unwrap().is_nothing());
}

#[test]
fn lines_are_blamed_on_who_wrote_them() {
    let kit = Kit::new(&[("a.nix", "old\n")]);
    fix(&kit, "a.nix", "old\none\n").unwrap();
    kit.files.texts.borrow_mut().insert("a.nix".into(), "old\nmine\none\n".into());
    fix(&kit, "a.nix", "two\nold\nmine\none\n").unwrap();
    kit.files.texts.borrow_mut().insert("a.nix".into(), "two\nold\nmine\none\nlast\n".into());
    let lines = kit.app().blame("a.nix").unwrap();
    let shown: String = lines
        .iter()
        .map(|line| match line.writer {
            Writer::Event(id) => format!("event {}: {}\n", id.as_u128(), line.text),
            Writer::Before => format!("before: {}\n", line.text),
            Writer::Others(after) => {
                format!("others after {:?}: {}\n", after.map(|id| id.as_u128()), line.text)
            }
        })
        .collect();
    expect![[r#"
        event 4: two
        before: old
        others after Some(2): mine
        event 2: one
        others after Some(4): last
    "#]]
    .assert_eq(&shown);
    let drift = kit.app().drift().unwrap();
    assert_eq!(drift.len(), 1);
    assert_eq!(drift[0].event.as_u128(), 4);
    let past = kit.app().replay(1).unwrap();
    let hash = past.files["a.nix"].unwrap();
    assert_eq!(kit.app().past_text("a.nix", hash).unwrap(), "old\none\n");
}

fn build(kit: &Kit) -> cim_domain_nix::Command {
    BuildPackage {
        flake_ref: ".".to_owned(),
        attribute: "hello".parse().unwrap(),
        output_path: None,
        identity: kit.root(),
    }
    .into()
}

#[test]
fn an_effect_that_was_interrupted_is_told() {
    let mut kit = Kit::new(&[]);
    let failed = Evidence::BuildFailed {
        reason: FailureReason::Interrupted,
        message: "the process is gone".to_owned(),
        drv_path: None,
        log_tail: String::new(),
        took: Took::default(),
    };
    kit.programs = Script { evidence: Ok(failed.clone()), settled: Some(failed), generation: None };
    // A process that dies while the program runs leaves its intent.
    let command = build(&kit);
    let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        struct Dies;
        impl crate::Programs for Dies {
            fn before(
                &self,
                _: &cim_domain_nix::Command,
                _: &State,
            ) -> Result<serde_json::Value, cim_nix_base::Error> {
                Ok(serde_json::json!({ "seen": true }))
            }
            fn plan(
                &self,
                _: &cim_domain_nix::Command,
                _: &State,
                _: &serde_json::Value,
            ) -> Result<Vec<String>, cim_nix_base::Error> {
                Ok(Vec::new())
            }
            fn run(
                &self,
                _: &cim_domain_nix::Command,
                _: &State,
                _: &serde_json::Value,
            ) -> Result<Evidence, cim_nix_base::Error> {
                std::panic::resume_unwind(Box::new("killed"))
            }
            fn settle(
                &self,
                _: &cim_domain_nix::Command,
                _: &serde_json::Value,
            ) -> Result<Option<Evidence>, cim_nix_base::Error> {
                Ok(None)
            }
            fn generation(&self, _: &str) -> Result<Option<u32>, cim_nix_base::Error> {
                Ok(None)
            }
        }
        let app = App { programs: &Dies, ..kit.app() };
        let _ = app.effect(&command, Mode::Apply);
    }));
    assert!(died.is_err());
    assert_eq!(kit.store.head().unwrap(), 0);
    let recovery = kit.app().recover().unwrap();
    assert_eq!(recovery.interrupted.len(), 1);
    let Logged::Event(stored) = last(&kit.app()) else { panic!("it can be read") };
    let Event::PackageBuildFailed(event) = stored.event else { panic!("it failed") };
    assert_eq!(event.reason, FailureReason::Interrupted);
    assert!(kit.app().recover().unwrap().is_nothing());
}

fn last(app: &App<'_>) -> Logged {
    let mut last = None;
    let filter = Filter { limit: Some(1), ..Filter::default() };
    app.log(&filter, &mut |logged| {
        last = Some(logged);
        Ok(ControlFlow::Continue(()))
    })
    .unwrap();
    last.unwrap()
}

#[test]
fn an_effect_that_was_not_begun_leaves_nothing() {
    let kit = Kit::new(&[]);
    let error = kit.app().effect(&build(&kit), Mode::Apply).unwrap_err();
    assert_eq!(error.to_string(), "no programs here");
    assert_eq!(kit.store.head().unwrap(), 0);
    assert!(kit.app().recover().unwrap().is_nothing());
    let outcome = kit.app().effect(&build(&kit), Mode::DryRun).unwrap();
    assert_eq!(outcome.notes, ["run BuildPackage"]);
}

/// An activation of the generation 2, after 1 was in force.
fn activation(kit: &Kit) -> cim_domain_nix::Command {
    cim_domain_nix::command::ActivateConfiguration {
        project: "/project".to_owned(),
        name: "web".to_owned(),
        activation_type: cim_domain_nix::ActivationType::Switch,
        profile: None,
        store_path: None,
        identity: kit.root(),
    }
    .into()
}

fn in_force(generation: u32, previous: u32) -> Evidence {
    Evidence::Activated {
        generation,
        previous: Some(previous),
        store_path: format!("/nix/store/system-{generation}"),
        profile: "/profile".to_owned(),
        took: Took::default(),
    }
}

#[test]
fn an_activation_is_undone_by_programs() {
    let mut kit = Kit::new(&[]);
    kit.programs.evidence = Ok(in_force(2, 1));
    kit.programs.generation = Some(2);
    let activated = kit.app().effect(&activation(&kit), Mode::Apply).unwrap();
    let id = activated.events.last().unwrap().identity().message_id.uuid();
    assert_eq!(kit.app().undo_place().unwrap().next_undo, id);

    let planned = kit.app().undo(None, Mode::DryRun).unwrap();
    assert_eq!(
        (planned.notes, planned.events),
        (vec!["run RollbackConfiguration".to_owned()], vec![])
    );
    kit.programs.evidence = Ok(in_force(1, 2));
    let undone = kit.app().undo(None, Mode::Apply).unwrap();
    let [Event::ConfigurationRolledBack(event)] = &undone.events[..] else {
        panic!("{:?}", undone.events)
    };
    assert_eq!((event.undoes, event.generation, event.previous), (id, 1, Some(2)));
    assert_eq!(event.store_path, "/nix/store/system-1");

    // The profile was left where it was, so there is nothing to redo it from.
    let error = kit.app().redo(Mode::Apply).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("was at generation 1, and is at 2 now"), "{error}");
    kit.programs.generation = Some(1);
    kit.programs.evidence = Ok(in_force(2, 1));
    let redone = kit.app().redo(Mode::Apply).unwrap();
    let [Event::ConfigurationRolledBack(event)] = &redone.events[..] else {
        panic!("{:?}", redone.events)
    };
    assert_eq!((event.generation, event.previous), (2, Some(1)));

    // What failed is told, and nothing is undone by it.
    kit.programs.generation = Some(2);
    kit.programs.evidence = Ok(Evidence::ActivationFailed {
        message: "no".to_owned(),
        generation: Some(2),
        profile: "/profile".to_owned(),
    });
    let failed = kit.app().undo(None, Mode::Apply).unwrap();
    assert!(matches!(&failed.events[..], [Event::ConfigurationActivationFailed(_)]));
    let next = kit.app().undo_place().unwrap().next_undo;
    assert_eq!(next, redone.events[0].identity().message_id.uuid());
}

/// The snapshot of the project, with how many changes it says that there were.
fn snapshot(kit: &Kit) -> Option<(u64, State)> {
    let (command, _) = kit.fix("a.nix", "x");
    let found = kit.store.snapshot(&command.stream()).unwrap()?;
    assert_eq!(found.schema, State::SCHEMA);
    Some((found.version, serde_json::from_str(&found.state).unwrap()))
}

#[test]
fn a_long_stream_is_read_from_a_snapshot() {
    let kit = Kit::new(&[("a.nix", "0")]);
    for n in 1..=101 {
        assert_eq!(snapshot(&kit), None);
        fix(&kit, "a.nix", &n.to_string()).unwrap();
    }
    // The last command was decided upon with a hundred events.
    let (version, kept) = snapshot(&kit).unwrap();
    assert_eq!(version, 100);
    let stream = kit.fix("a.nix", "x").0.stream();
    assert_eq!(kit.app().load_until(&stream, 100).unwrap(), (kept.clone(), 100));
    // What came before it is read without it.
    let (before, version) = kit.app().load_until(&stream, 99).unwrap();
    assert_eq!(version, 99);
    assert_ne!(before, kept);
    // It is believed: a state that says otherwise is what comes out, with what came after.
    let state = serde_json::to_string(&before).unwrap();
    let lie = Snapshot { version: 100, schema: State::SCHEMA, state };
    kit.store.save_snapshot(&stream, &lie).unwrap();
    let (found, version) = kit.app().load(&stream).unwrap();
    let mut wanted = before;
    kit.app()
        .log(&Filter { limit: Some(1), ..Filter::default() }, &mut |logged| {
            let Logged::Event(stored) = logged else { panic!("all can be read") };
            wanted.evolve(&stored.event);
            Ok(ControlFlow::Break(()))
        })
        .unwrap();
    assert_eq!((found, version), (wanted, 101));
}

#[test]
fn snapshots_that_cannot_be_used_are_not() {
    let kit = Kit::new(&[("a.nix", "0")]);
    for n in 1..=3 {
        fix(&kit, "a.nix", &n.to_string()).unwrap();
    }
    let stream = kit.fix("a.nix", "x").0.stream();
    let wanted = kit.app().load(&stream).unwrap();
    let empty = |kind| serde_json::to_string(&State::empty(&kind)).unwrap();
    for (schema, state) in [
        (State::SCHEMA + 1, empty(Kind::Project)),
        (State::SCHEMA, "[]".to_owned()),
        (State::SCHEMA, empty(Kind::Flake)),
    ] {
        kit.store.save_snapshot(&stream, &Snapshot { version: 3, schema, state }).unwrap();
        assert_eq!(kit.app().load(&stream).unwrap(), wanted);
    }
}

#[test]
fn what_is_known_of_a_stream_gives_way_to_the_store() {
    let kit = Kit::new(&[("a.nix", "0")]);
    let (ours, theirs) = (States::default(), States::default());
    let apps = [&ours, &theirs].map(|states| App { states: Some(states), ..kit.app() });
    for n in 1..=250 {
        // Each goes on where the other one stopped.
        let (command, proposal) = kit.fix("a.nix", &n.to_string());
        apps[n % 2].change(&command, proposal, Mode::Apply).unwrap();
    }
    let stream = kit.fix("a.nix", "x").0.stream();
    let known = apps.map(|app| app.load(&stream).unwrap());
    let read = App { states: None, ..kit.app() }.load(&stream).unwrap();
    assert_eq!(known, [read.clone(), read.clone()]);
    assert_eq!(read.1, 250);
    assert!(snapshot(&kit).unwrap().0 >= 200);

    // A store that was put back: what is known is of a future that never was.
    let other = Kit::new(&[("a.nix", "0")]);
    fix(&other, "a.nix", "1").unwrap();
    let app = App { states: Some(&ours), ..other.app() };
    let (command, proposal) = other.fix("a.nix", "2");
    app.change(&command, proposal, Mode::Apply).unwrap();
    assert_eq!(app.load(&stream).unwrap().1, 2);
}

#[test]
fn what_is_not_there_is_not_kept_in_mind() {
    let kit = Kit::new(&[("a.nix", "0")]);
    let states = States::default();
    let app = App { states: Some(&states), ..kit.app() };
    let none = format!("{states:?}");
    for n in 0..100 {
        let stream = cim_domain_nix::StreamId::of(Kind::Flake, &[&format!("/srv/{n}")]);
        assert_eq!(app.load(&stream).unwrap().1, 0);
    }
    assert_eq!(format!("{states:?}"), none);
    fix(&kit, "a.nix", "1").unwrap();
    app.load(&kit.fix("a.nix", "x").0.stream()).unwrap();
    assert_ne!(format!("{states:?}"), none);
}
