//! The stack of undo and redo beside a plain model of what editors do.

use cim_domain_nix::event::ProjectFormatted;
use cim_domain_nix::{Event, MessageIdentity, Timestamp, UndoStack, Uuid};
use fastrand::Rng;

/// One change that people made, under the ids that it has now.
#[derive(Clone, Copy)]
struct Change {
    /// The event that made it, or redid it last.
    made: Uuid,
    /// The event that took it back last.
    undone: Uuid,
}

#[derive(Default)]
struct Editor {
    undo: Vec<Change>,
    redo: Vec<Change>,
    /// Taken back before something else was done.
    past: Vec<Change>,
}

fn event(id: u128, undoes: Option<Uuid>) -> Event {
    ProjectFormatted {
        project_id: Uuid::nil(),
        timestamp: Timestamp::from_micros(0),
        identity: MessageIdentity::root(Uuid::from_u128(id)),
        path: String::new(),
        formatter: String::new(),
        undoes,
        changes: Vec::new(),
    }
    .into()
}

fn check(stack: &UndoStack, editor: &Editor) {
    assert_eq!(stack.next_undo(), editor.undo.last().map(|change| change.made));
    assert_eq!(stack.next_redo(), editor.redo.last().map(|change| change.undone));
    for change in &editor.undo {
        assert!(stack.is_in_force(change.made));
        assert_eq!(stack.undone_by(change.made), None);
    }
    for change in editor.redo.iter().chain(&editor.past) {
        assert!(!stack.is_in_force(change.made));
        assert_eq!(stack.undone_by(change.made), Some(change.undone));
    }
}

/// Takes one out: the last one, or any for somebody who names it.
fn take(changes: &mut Vec<Change>, is_any: bool, rng: &mut Rng) -> Option<Change> {
    match changes.len() {
        0 => None,
        len if is_any => Some(changes.remove(rng.usize(..len))),
        _ => changes.pop(),
    }
}

#[test]
fn it_is_what_editors_do() {
    for seed in 0..500 {
        let mut rng = Rng::with_seed(seed);
        let (mut stack, mut editor) = (UndoStack::default(), Editor::default());
        for id in 1..80_u128 {
            let now = Uuid::from_u128(id);
            let is_any = rng.u8(..4) == 0;
            match rng.u8(..6) {
                0 | 1 => {
                    editor.undo.push(Change { made: now, undone: Uuid::nil() });
                    editor.past.append(&mut editor.redo);
                    stack.push(&event(id, None));
                }
                2 | 3 => {
                    let Some(change) = take(&mut editor.undo, is_any, &mut rng) else { continue };
                    stack.push(&event(id, Some(change.made)));
                    editor.redo.push(Change { undone: now, ..change });
                }
                4 => {
                    let Some(change) = take(&mut editor.redo, is_any, &mut rng) else { continue };
                    stack.push(&event(id, Some(change.undone)));
                    editor.undo.push(Change { made: now, ..change });
                }
                _ => {
                    let Some(change) = take(&mut editor.past, true, &mut rng) else { continue };
                    stack.push(&event(id, Some(change.undone)));
                    editor.undo.push(Change { made: now, ..change });
                }
            }
            check(&stack, &editor);
        }
    }
}
