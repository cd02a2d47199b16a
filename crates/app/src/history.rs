//! Looking back: who changed what, which event wrote a line, what was the case at an event, and
//! whether the files are still what the events say.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::path::Path;

use cim_domain_nix::{
    Event, FileChange, Record, State, StreamId, Timestamp, Unreadable, Uuid, is_project_path,
};
use cim_nix_base::{ContentHash, Error, unified_diff};
use similar::{DiffOp, capture_diff_slices};

use crate::{App, Stored};

/// Which events are wanted.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Filter {
    /// Those that changed this file.
    pub file: Option<String>,
    /// Those of these types.
    pub types: Vec<String>,
    /// Those of this stream.
    pub stream: Option<StreamId>,
    /// Those of this actor.
    pub actor: Option<String>,
    /// Those that happened at or after this moment, by the clock of whoever wrote them.
    pub since: Option<Timestamp>,
    /// At most so many, the newest.
    pub limit: Option<usize>,
}

/// How many events are read at once for a log.
const PAGE: usize = 256;

impl Filter {
    /// The event of a record, if it is wanted.
    fn logged(&self, record: &Record<'_>) -> Option<Logged> {
        let is_wanted = (self.types.is_empty()
            || self.types.iter().any(|wanted| wanted == record.event_type))
            && self.since.is_none_or(|since| record.at >= since)
            && self.stream.as_ref().is_none_or(|stream| {
                stream.id == record.aggregate && stream.kind.token() == record.kind
            })
            && self.actor.as_ref().is_none_or(|actor| is_by(record.meta, actor));
        if !is_wanted {
            return None;
        }
        let event = match Event::read(record.event_type, record.schema, record.body) {
            Ok(event) => event,
            Err(_) if self.file.is_some() => return None,
            Err(problem) => {
                return Some(Logged::Unreadable {
                    position: record.position,
                    id: record.id,
                    event_type: record.event_type.to_owned(),
                    problem,
                });
            }
        };
        let is_about = |file: &String| {
            let touches = |it: &FileChange| it.path == *file || it.to.as_ref() == Some(file);
            event.changes().iter().any(touches)
        };
        self.file.as_ref().is_none_or(is_about).then(|| {
            Logged::Event(Box::new(Stored {
                position: record.position,
                version: record.version,
                event,
                meta: record.meta.to_owned(),
            }))
        })
    }
}

/// An event of a log: read, or as much of it as can be.
#[derive(Clone, PartialEq, Debug)]
pub enum Logged {
    /// An event.
    Event(Box<Stored>),
    /// An event that this version cannot read.
    Unreadable {
        /// Its place among all events.
        position: u64,
        /// Its id.
        id: Uuid,
        /// The name of its type.
        event_type: String,
        /// Why.
        problem: Unreadable,
    },
}

/// Who wrote a line of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Writer {
    /// An event.
    Event(Uuid),
    /// Nobody who was recorded, and the line was there before the first event of the file.
    Before,
    /// Nobody who was recorded, after this event; or after none.
    Others(Option<Uuid>),
}

/// A line of a file and who wrote it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlamedLine {
    /// Who.
    pub writer: Writer,
    /// The line, without its end.
    pub text: String,
}

/// A file that is other than the events say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Drift {
    /// The file, relative to the project's folder.
    pub path: String,
    /// The event that changed it last.
    pub event: Uuid,
    /// What it should be; `None` for nothing.
    pub recorded: Option<ContentHash>,
    /// What it is; `None` for nothing.
    pub found: Option<ContentHash>,
    /// Why it cannot be read, if it cannot.
    pub problem: Option<String>,
}

/// A change that was written down and not ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenChange {
    /// What for.
    pub title: String,
    /// Since when.
    pub at: Timestamp,
    /// Whether its process is still there.
    pub is_running: bool,
}

/// The files and aggregates at a moment of the past.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Past {
    /// Each file that an event changed up to then, with its hash; `None` for a removed one.
    pub files: BTreeMap<String, Option<ContentHash>>,
    /// Each aggregate's state.
    pub states: BTreeMap<StreamId, State>,
    /// How many events led there.
    pub n_events: u64,
    /// Events that this version cannot read, and which were passed over.
    pub unreadable: Vec<Uuid>,
}

impl App<'_> {
    /// Visits the events that `filter` wants, the newest first.
    ///
    /// Errors: those of the store and of `visit`.
    pub fn log(
        &self,
        filter: &Filter,
        visit: &mut dyn FnMut(Logged) -> Result<ControlFlow<()>, Error>,
    ) -> Result<(), Error> {
        let mut left = filter.limit.unwrap_or(usize::MAX);
        let mut before = None;
        while left > 0 {
            // Visitors ask the store themselves, so they are called between two reads of it.
            let (page, next) = self.log_page(filter, before, left.min(PAGE))?;
            left -= page.len();
            for logged in page {
                if visit(logged)?.is_break() {
                    return Ok(());
                }
            }
            before = match next {
                Some(next) => Some(next),
                None => return Ok(()),
            };
        }
        Ok(())
    }

    /// The newest events before a position that `filter` wants, `limit` of them at most, and where to
    /// go on, if there may be more.
    fn log_page(
        &self,
        filter: &Filter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<(Vec<Logged>, Option<u64>), Error> {
        let (mut page, mut next) = (Vec::new(), None);
        self.store.read_back(before, &mut |record| {
            page.extend(filter.logged(record));
            if page.len() < limit {
                return Ok(ControlFlow::Continue(()));
            }
            next = Some(record.position);
            Ok(ControlFlow::Break(()))
        })?;
        Ok((page, next))
    }

    /// Says of each line of a file who wrote it.
    ///
    /// Errors: there is no such file, no event changed it, or the store fails.
    pub fn blame(&self, path: &str) -> Result<Vec<BlamedLine>, Error> {
        let mut steps = Vec::new();
        let filter = Filter { file: Some(path.to_owned()), ..Filter::default() };
        self.log(&filter, &mut |logged| {
            if let Logged::Event(stored) = logged {
                for change in stored.event.changes().iter().rev() {
                    let is_it = change.path == path && change.to.is_none()
                        || change.to.as_deref() == Some(path);
                    if is_it {
                        let id = stored.event.identity().message_id.uuid();
                        let is_restored = stored.event.undoes().is_some();
                        let id = id.unwrap_or_default();
                        steps.push((id, change.before, change.after, is_restored));
                    }
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if steps.is_empty() {
            return Err(Error::user(format!("no event has changed `{path}`"))
                .hint("paths are those below the project's folder; `cim-nix log` shows them"));
        }
        let mut blame = Blame::default();
        for (id, before, after, is_restored) in steps.into_iter().rev() {
            if let Some(text) = before.map(|hash| self.text(hash)).transpose()?.flatten() {
                blame.found(&text);
            }
            match after {
                None => blame.removed(),
                // What an undo brings back was written by whoever wrote it first.
                Some(hash) if is_restored && blame.restored(id, hash) => {}
                Some(hash) => {
                    // Bytes that are not here: what comes later is told from what is.
                    if let Some(text) = self.text(hash)? {
                        blame.wrote(id, &text);
                    }
                }
            }
        }
        if let Some(text) = self.files.read(Path::new(path))? {
            blame.found(&text);
            return Ok(blame.lines);
        }
        Err(Error::user(format!("`{path}` is not there any more")))
    }

    /// The files that are other than the events say.
    ///
    /// Errors: a file or the store cannot be read.
    pub fn drift(&self) -> Result<Vec<Drift>, Error> {
        let mut last = BTreeMap::new();
        self.store.read_all(0, &mut |record| {
            if let Ok(event) = Event::read(record.event_type, record.schema, record.body) {
                for change in event.changes() {
                    match &change.to {
                        None => {
                            last.insert(change.path.clone(), (record.id, change.after));
                        }
                        Some(to) => {
                            last.insert(change.path.clone(), (record.id, None));
                            last.insert(to.clone(), (record.id, change.after));
                        }
                    }
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let mut drift = Vec::new();
        for (path, (event, recorded)) in last {
            // One file that cannot be read must not hide what became of the others.
            let read = || match is_project_path(&path) {
                true => self.files.read(Path::new(&path)),
                false => Err(Error::user("the event names no file of the project")),
            };
            let (text, problem) = match read() {
                Ok(text) => (text, None),
                Err(error) => (None, Some(error.chain())),
            };
            let found = text.map(|text| ContentHash::of(text.as_bytes()));
            if found != recorded || problem.is_some() {
                drift.push(Drift { path, event, recorded, found, problem });
            }
        }
        Ok(drift)
    }

    /// What was the case after the event at `position`.
    ///
    /// Errors: those of the store.
    pub fn replay(&self, position: u64) -> Result<Past, Error> {
        let mut past = Past::default();
        self.store.read_all(0, &mut |record| {
            if record.position > position {
                return Ok(ControlFlow::Break(()));
            }
            past.n_events += 1;
            let Ok(event) = Event::read(record.event_type, record.schema, record.body) else {
                past.unreadable.push(record.id);
                return Ok(ControlFlow::Continue(()));
            };
            for change in event.changes() {
                match &change.to {
                    None => {
                        past.files.insert(change.path.clone(), change.after);
                    }
                    Some(to) => {
                        past.files.insert(change.path.clone(), None);
                        past.files.insert(to.clone(), change.after);
                    }
                }
            }
            let stream = record.stream()?;
            let empty = || State::empty(&stream.kind);
            past.states.entry(stream.clone()).or_insert_with(empty).evolve(&event);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(past)
    }

    /// What an event did to files, as a diff; a line for a file whose bytes are not in the store.
    ///
    /// Errors: the store fails.
    pub fn event_diff(&self, event: &Event) -> Result<String, Error> {
        let mut out = String::new();
        for change in event.changes() {
            let path = &change.path;
            if let Some(to) = &change.to {
                out.push_str(&format!("rename from {path}\nrename to {to}\n"));
                continue;
            }
            if let (Some(before), Some(after)) = (change.mode.before, change.mode.after) {
                out.push_str(&format!("old mode {before:o}\nnew mode {after:o}\n"));
            }
            let side = |hash: Option<ContentHash>| match hash {
                None => Ok::<_, Error>(Some(String::new())),
                Some(hash) => self.text(hash),
            };
            let (before, after) = (side(change.before)?, side(change.after)?);
            let (Some(before), Some(after)) = (before, after) else {
                out.push_str(&format!("the bytes of `{path}` are not in the store\n"));
                continue;
            };
            let from = change.before.map_or("/dev/null".to_owned(), |_| format!("a/{path}"));
            let to = change.after.map_or("/dev/null".to_owned(), |_| format!("b/{path}"));
            out.push_str(&unified_diff(&from, &to, &before, &after));
        }
        Ok(out)
    }

    /// How a file that drifted differs from what was recorded.
    ///
    /// Errors: the file or the store cannot be read.
    pub fn drift_diff(&self, drift: &Drift) -> Result<String, Error> {
        let recorded = match drift.recorded {
            None => Some(String::new()),
            Some(hash) => self.text(hash)?,
        };
        if let Some(problem) = &drift.problem {
            return Ok(format!("{problem}\n"));
        }
        let found = self.files.read(Path::new(&drift.path))?.unwrap_or_default();
        Ok(match recorded {
            Some(recorded) => unified_diff("as recorded", "on disk", &recorded, &found),
            None => format!("the bytes of `{}` are not in the store\n", drift.path),
        })
    }

    /// Changes that were written down and not ended, the oldest first.
    ///
    /// Errors: the store fails, or a newer version wrote one.
    pub fn open_changes(&self) -> Result<Vec<OpenChange>, Error> {
        let mut open = Vec::new();
        for intent in self.store.open_intents()? {
            let plan = crate::change::Plan::read(&intent)?;
            open.push(OpenChange {
                title: plan.title().to_owned(),
                at: intent.at,
                is_running: self.world.is_running(plan.process()),
            });
        }
        Ok(open)
    }

    /// The text of a file of the past.
    ///
    /// Errors: its bytes are not in the store.
    pub fn past_text(&self, path: &str, hash: ContentHash) -> Result<String, Error> {
        self.text(hash)?.ok_or_else(|| {
            Error::outside(format!(
                "the bytes of `{path}` with the hash {hash} are not in the store"
            ))
            .hint("an imported store has the events alone")
        })
    }
}

/// Whether the origin names `actor`.
fn is_by(meta: &str, actor: &str) -> bool {
    let origin: Option<serde_json::Value> = serde_json::from_str(meta).ok();
    origin.is_some_and(|origin| origin["actor"] == actor)
}

/// The lines of a file with their writers, moved along its history.
#[derive(Default)]
struct Blame {
    lines: Vec<BlamedLine>,
    /// The lines as they were whenever the file had a text with this hash.
    past: HashMap<ContentHash, Vec<BlamedLine>>,
    last: Option<Uuid>,
    is_known: bool,
}

impl Blame {
    /// The file was found with this text: what differs was written by others.
    fn found(&mut self, text: &str) {
        let writer = match (self.is_known, self.last) {
            (false, _) => Writer::Before,
            (true, last) => Writer::Others(last),
        };
        self.become_text(&writer, text);
    }

    /// Goes back to a text of the past; answers whether it is known.
    fn restored(&mut self, event: Uuid, hash: ContentHash) -> bool {
        let Some(lines) = self.past.get(&hash) else { return false };
        self.lines.clone_from(lines);
        self.last = Some(event);
        true
    }

    fn wrote(&mut self, event: Uuid, text: &str) {
        self.become_text(&Writer::Event(event), text);
        self.last = Some(event);
    }

    fn removed(&mut self) {
        self.lines.clear();
        self.is_known = true;
    }

    fn become_text(&mut self, writer: &Writer, text: &str) {
        self.is_known = true;
        self.move_lines(writer, text);
        self.past.insert(ContentHash::of(text.as_bytes()), self.lines.clone());
    }

    fn move_lines(&mut self, writer: &Writer, text: &str) {
        let old: Vec<&str> = self.lines.iter().map(|line| line.text.as_str()).collect();
        let new: Vec<&str> = text.lines().collect();
        if old == new {
            return;
        }
        let mut lines = Vec::with_capacity(new.len());
        for op in capture_diff_slices(similar::Algorithm::Myers, &old, &new) {
            match op {
                DiffOp::Equal { old_index, len, .. } => {
                    lines.extend_from_slice(&self.lines[old_index..old_index + len]);
                }
                DiffOp::Delete { .. } => {}
                DiffOp::Insert { new_index, new_len, .. }
                | DiffOp::Replace { new_index, new_len, .. } => {
                    lines.extend(new[new_index..new_index + new_len].iter().map(|text| {
                        BlamedLine { writer: writer.clone(), text: (*text).to_owned() }
                    }));
                }
            }
        }
        self.lines = lines;
    }
}
