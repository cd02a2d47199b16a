//! What is told of each thing that is asked of others, for whoever measures: what, how long, how it
//! ended.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

/// Something that somebody elsewhere was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetch<'f> {
    /// What.
    pub what: FetchKind<'f>,
    /// When it began.
    pub began: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// What went wrong, if something did.
    pub error: Option<&'f str>,
}

/// What was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FetchKind<'f> {
    /// Something of a Git repository, by the program.
    Git {
        /// The program's arguments, what it has to do first.
        arguments: &'f [&'f str],
        /// The program's number, unless it could not be started.
        id: Option<u32>,
        /// Its exit status, if it ended by itself.
        exit_code: Option<i32>,
    },
    /// A document, by HTTP.
    Http {
        /// Its URL without users; where the server sends us from there is part of it.
        url: &'f str,
        /// The status of the last answer, if one came.
        status: Option<u16>,
    },
}

static WATCH: OnceLock<fn(&Fetch<'_>)> = OnceLock::new();

/// Has `watch` told of all that this process asks of others from now on. What is looked up in a
/// repository that is here already is not told.
pub fn watch(watch: fn(&Fetch<'_>)) {
    let _ = WATCH.set(watch);
}

/// Something on its way.
pub(crate) struct Watched {
    began: SystemTime,
    clock: Instant,
}

impl Watched {
    /// Begins to measure, if somebody wants to know.
    pub(crate) fn begin() -> Option<Self> {
        WATCH.get().map(|_| Self { began: SystemTime::now(), clock: Instant::now() })
    }

    /// Tells how it ended.
    pub(crate) fn end(self, what: FetchKind<'_>, error: Option<&str>) {
        if let Some(watch) = WATCH.get() {
            watch(&Fetch { what, began: self.began, took: self.clock.elapsed(), error });
        }
    }
}
