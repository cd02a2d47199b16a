//! An event that several look at, and that is read once.

use std::cell::OnceCell;
use std::ops::Deref;

use crate::{Event, Record, Unreadable};

/// A stored event on its way through read models. What they look at beside its body is that of the
/// [`Record`]; the body is read when the first of them asks for it, and for all.
#[derive(Debug)]
pub struct Reading<'a> {
    record: Record<'a>,
    event: OnceCell<Result<Event, Unreadable>>,
}

impl<'a> Reading<'a> {
    /// A record whose body was not read yet.
    #[must_use]
    pub fn new(record: Record<'a>) -> Self {
        Self { record, event: OnceCell::new() }
    }

    /// The event.
    ///
    /// Errors: those of [`Event::read`].
    pub fn event(&self) -> Result<&Event, &Unreadable> {
        let Record { event_type, schema, body, .. } = self.record;
        self.event.get_or_init(|| Event::read(event_type, schema, body)).as_ref()
    }
}

impl<'a> Deref for Reading<'a> {
    type Target = Record<'a>;

    fn deref(&self) -> &Record<'a> {
        &self.record
    }
}
