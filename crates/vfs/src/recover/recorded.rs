//! Changes that a ledger decides about.

use std::cell::RefCell;

use cim_nix_base::{Error, ErrorKind, Ledger};

use super::*;
use crate::apply::{apply_recorded, apply_recorded_with};
use crate::probe::Renames;
use crate::testing::{Fate, NEW, OLD, Project, Stop, every_op, survive};

/// A ledger in memory, and what goes wrong with it.
#[derive(Default)]
struct Book {
    entries: RefCell<Vec<String>>,
    /// `record` fails, after having written or not.
    fails: Option<bool>,
    is_lost: bool,
}

impl Ledger for Book {
    fn record(&mut self, tag: &str) -> Result<(), Error> {
        match self.fails {
            Some(false) => return Err(Error::outside("no ink")),
            None | Some(true) => self.entries.borrow_mut().push(tag.to_owned()),
        }
        match self.fails {
            None => Ok(()),
            Some(_) => Err(Error::outside("a blot")),
        }
    }

    fn is_recorded(&self, tag: &str) -> Result<bool, Error> {
        match self.is_lost {
            true => Err(Error::outside("the book is lost")),
            false => Ok(self.entries.borrow().iter().any(|entry| entry == tag)),
        }
    }
}

#[test]
fn crash_at_any_step_ends_as_the_ledger_says() {
    let mut outcomes = [0; 2];
    for at in 0.. {
        let project = Project::quick(OLD);
        let mut book = Book::default();
        let probe = Stop::new(at, Fate::Crash, Renames::WithFlags);
        let run = || {
            let (root, state) = (project.root(), project.state());
            apply_recorded_with(&root, &state, &every_op(), ("one", &mut book), &probe)
        };
        if survive(run).is_some() {
            assert!(at > 50, "{at}");
            break;
        }
        recover_recorded(&project.root(), &project.state(), &book).unwrap();
        let is_recorded = book.is_recorded("one").unwrap();
        outcomes[usize::from(is_recorded)] += 1;
        assert_eq!(project.show(), if is_recorded { NEW } else { OLD }, "step {at}");
        let again = recover(&project.root(), &project.state()).unwrap();
        assert_eq!(again, Recovered::Nothing, "step {at}");
    }
    assert!(outcomes[0] > 30 && outcomes[1] > 5, "{outcomes:?}");
}

#[test]
fn error_at_any_step_ends_as_the_ledger_says() {
    for at in 0.. {
        let project = Project::quick(OLD);
        let mut book = Book::default();
        let probe = Stop::new(at, Fate::Error, Renames::WithFlags);
        let (root, state) = (project.root(), project.state());
        let outcome = apply_recorded_with(&root, &state, &every_op(), ("one", &mut book), &probe);
        if !probe.has_stopped() {
            outcome.unwrap();
            break;
        }
        let is_recorded = book.is_recorded("one").unwrap();
        assert_eq!(outcome.is_ok(), is_recorded, "step {at}");
        // Tidying up may have been left to the next run.
        recover_recorded(&root, &state, &book).unwrap();
        assert_eq!(project.show(), if is_recorded { NEW } else { OLD }, "step {at}");
    }
}

#[test]
fn a_ledger_that_fails_is_asked_what_it_has() {
    for (fails, shown) in [(false, OLD), (true, NEW)] {
        let project = Project::new(OLD);
        let mut book = Book { fails: Some(fails), ..Book::default() };
        let outcome =
            apply_recorded(&project.root(), &project.state(), &every_op(), "one", &mut book);
        assert_eq!(outcome.is_ok(), fails);
        assert_eq!(project.show(), shown);
    }
}

#[test]
fn a_ledger_that_cannot_be_asked_leaves_the_change_open() {
    let project = Project::new(OLD);
    let mut book = Book { fails: Some(true), is_lost: true, ..Book::default() };
    let (root, state) = (project.root(), project.state());
    apply_recorded(&root, &state, &every_op(), "one", &mut book).unwrap_err();
    assert!(project.state_names().contains(&"open".to_owned()));
    recover_recorded(&root, &state, &book).unwrap_err();
    let error = recover(&root, &state).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.hints(), ["`cim-nix recover` finishes or reverts it"]);
    book.is_lost = false;
    let Recovered::Finished(finished) = recover_recorded(&root, &state, &book).unwrap() else {
        panic!("the book has it")
    };
    assert_eq!(finished.tag.as_deref(), Some("one"));
    assert_eq!(project.show(), NEW);
}
