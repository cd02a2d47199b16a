//! Changing files: from a proposal to an event, so that at any moment either all files are old and
//! there is no event, or all are new and there is one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cim_domain_nix::{
    Append, Appended, Command, Draft, Event, Evidence, Expected, FileChange, Intent,
    MessageIdentity, NewEvent, State, StoreError, StreamId, Uuid, file_changes,
};
use cim_nix_base::{ChangeSet, ContentHash, Error, ErrorKind, Ledger, Op};
use serde::{Deserialize, Serialize};

use crate::App;

/// How often a decision is made anew because somebody else was faster.
const ATTEMPTS: usize = 5;

/// What a command would change, before anybody has decided upon it.
pub struct Proposal<'a> {
    /// The changes.
    pub set: ChangeSet,
    /// What was found out, given the changes as events write them.
    pub evidence: Box<dyn Fn(Vec<FileChange>) -> Evidence + 'a>,
    /// What a reader should know, one sentence each.
    pub notes: Vec<String>,
}

impl std::fmt::Debug for Proposal<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proposal").field("set", &self.set).field("notes", &self.notes).finish()
    }
}

/// Whether something is done or only told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// It is done.
    Apply,
    /// It is told what would be done.
    DryRun,
}

/// What came of a command.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// The events; none if nothing changed. In a dry run, those that would be stored.
    pub events: Vec<Event>,
    /// The changes to files.
    pub set: ChangeSet,
    /// The texts of the files before, by path.
    pub former: BTreeMap<PathBuf, String>,
    /// Where the events were stored; `None` if nothing changed, and in a dry run.
    pub position: Option<u64>,
    /// The version of the aggregate after them, where that is known.
    pub version: Option<u64>,
    /// What is written down of their origin, if another run of the same command stored them.
    pub earlier: Option<BTreeMap<String, serde_json::Value>>,
    /// What a reader should know, one sentence each.
    pub notes: Vec<String>,
}

impl Outcome {
    /// What comes of a command while nothing is stored yet.
    pub(crate) fn new(set: ChangeSet, former: BTreeMap<PathBuf, String>) -> Self {
        Self {
            events: Vec::new(),
            set,
            former,
            position: None,
            version: None,
            earlier: None,
            notes: Vec::new(),
        }
    }

    pub(crate) fn stored(&mut self, appended: Appended) {
        (self.position, self.version) = (Some(appended.position), Some(appended.version));
    }

    /// Another run of the same command was faster: what came of that is what comes of this.
    fn was_done(&mut self, done: Done) {
        (self.events, self.position) = (done.events, Some(done.position));
        self.earlier = Some(done.origin);
    }

    /// A diff of the changes to files.
    #[must_use]
    pub fn diff(&self) -> String {
        self.set.unified_diff(|path| self.former.get(path).cloned())
    }
}

/// What came of a command that was run before.
#[derive(Clone, PartialEq, Debug)]
pub struct Done {
    /// The events that it caused, but for those that a newer version wrote.
    pub events: Vec<Event>,
    /// Where the last of them was stored.
    pub position: u64,
    /// What was written down of their origin.
    pub origin: BTreeMap<String, serde_json::Value>,
}

/// What came of an attempt to store what was decided.
enum Attempt {
    /// The events are stored.
    Stored(Appended),
    /// Another run of the same command has stored its own.
    DoneBefore(Done),
    /// Nothing is stored: somebody else changed the aggregate.
    Overtaken,
}

/// What is written down before the first file is touched.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Plan {
    /// Files change.
    Files {
        /// What for.
        title: String,
        /// The process that does it.
        process: String,
        /// The files.
        changes: Vec<FileChange>,
    },
    /// A program runs outside.
    Effect {
        /// What for.
        title: String,
        /// The process that does it.
        process: String,
        /// The type of the command.
        command_type: String,
        /// The command.
        command: serde_json::Value,
        /// What was the case before, for whoever has to find out what became of it.
        before: serde_json::Value,
        /// The event that it takes back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        undoes: Option<Uuid>,
    },
}

impl Plan {
    pub(crate) fn title(&self) -> &str {
        match self {
            Self::Files { title, .. } | Self::Effect { title, .. } => title,
        }
    }

    pub(crate) fn process(&self) -> &str {
        match self {
            Self::Files { process, .. } | Self::Effect { process, .. } => process,
        }
    }

    /// As JSON.
    pub(crate) fn text(&self) -> Result<String, Error> {
        serde_json::to_string(self)
            .map_err(|error| Error::bug("an intent cannot be written down").because(error))
    }

    /// Errors: a newer version wrote it, or the store is damaged.
    pub(crate) fn read(intent: &Intent) -> Result<Self, Error> {
        serde_json::from_str(&intent.plan).map_err(|error| {
            Error::outside(format!("the intent {} cannot be read", intent.id))
                .because(error)
                .hint("a newer cim-nix may have written it: recover with that")
        })
    }
}

/// The events of a change, as a ledger of the files' journal.
struct Entry<'a> {
    app: &'a App<'a>,
    append: Option<Append>,
    /// What the store said when it refused.
    refused: Option<StoreError>,
    appended: Option<Appended>,
}

impl Ledger for Entry<'_> {
    fn record(&mut self, _: &str) -> Result<(), Error> {
        let Some(append) = self.append.take() else {
            return Err(Error::bug("a change was recorded twice"));
        };
        match self.app.store.append(append) {
            Ok(appended) => {
                self.appended = Some(appended);
                Ok(())
            }
            Err(error) => {
                let told = Error::conflict(error.to_string());
                self.refused = Some(error);
                Err(told)
            }
        }
    }

    fn is_recorded(&self, tag: &str) -> Result<bool, Error> {
        self.app.is_recorded(tag)
    }
}

impl App<'_> {
    /// Whether the events of the intent `tag` are stored.
    pub(crate) fn is_recorded(&self, tag: &str) -> Result<bool, Error> {
        // The tag is the id of the first event.
        let id = Uuid::try_parse(tag)
            .map_err(|error| Error::bug(format!("`{tag}` is no id of an event")).because(error))?;
        Ok(self.store.find(id, &mut |_| Ok(std::ops::ControlFlow::Break(())))?)
    }

    /// Decides upon `command` and makes the changes that `proposal` has.
    ///
    /// Errors: the command is refused, or somebody else changed a file or the aggregate. Nothing
    /// has changed then.
    pub fn change(
        &self,
        command: &Command,
        proposal: Proposal<'_>,
        mode: Mode,
    ) -> Result<Outcome, Error> {
        let decide = |state: &State, changes: &[FileChange], draft: &mut Draft<'_>| {
            let evidence = (proposal.evidence)(changes.to_vec());
            Ok(state.decide(command, &evidence, draft)?)
        };
        let what = Change {
            stream: command.stream(),
            cause: command.identity().clone(),
            command_type: command.command_type(),
            set: proposal.set,
            notes: proposal.notes,
        };
        self.make(what, &decide, mode)
    }

    /// The protocol: decide, write the intent, swap the files, append the events.
    pub(crate) fn make(
        &self,
        what: Change,
        decide: Decide<'_>,
        mode: Mode,
    ) -> Result<Outcome, Error> {
        let Change { stream, cause, command_type, set, notes } = what;
        let (changes, former) = self.look(&set)?;
        let mut outcome = Outcome { notes, ..Outcome::new(set, former) };
        // An append tells whether what is known is still the newest, and costs nothing where it is;
        // with files, or where nothing is stored, nobody would.
        let mut may_be_older = outcome.set.is_empty() && mode == Mode::Apply;
        let mut n_attempts = 0;
        while n_attempts < ATTEMPTS {
            let known = if may_be_older { self.known(&stream) } else { None };
            let is_newest = known.is_none();
            may_be_older = false;
            let loaded = known.map_or_else(|| self.loaded(&stream), Ok)?;
            let decided = self.check_expected(&stream, loaded.version).and_then(|()| {
                let mut nth = 0;
                let mut new_id = || {
                    nth += 1;
                    self.world.event_id(&cause.message_id, nth)
                };
                let mut draft = Draft { cause: &cause, at: self.world.now(), new_id: &mut new_id };
                decide(&loaded.state, &changes, &mut draft)
            });
            let is_nothing = decided.as_ref().map_or(true, Vec::is_empty);
            if is_nothing && !is_newest {
                self.know(&stream, loaded);
                continue;
            }
            n_attempts += 1;
            if is_nothing || mode == Mode::DryRun {
                self.know(&stream, loaded);
                // Whoever waits for the append waits for nothing.
                drop(self.announced.take());
                outcome.events = decided?;
                return Ok(outcome);
            }
            outcome.events = decided?;
            let append = Append {
                stream: stream.clone(),
                expected: Expected::Version(loaded.version),
                events: self.new_events(command_type, &outcome.events)?,
                intent: None,
            };
            let n_bytes = append.events.iter().map(|event| event.body.len()).sum();
            let attempt = match outcome.set.is_empty() {
                true => {
                    drop(self.announced.take());
                    self.judge(&cause, self.store.append(append))?
                }
                false => self.swap(&cause, append, &changes, &mut outcome)?,
            };
            match attempt {
                Attempt::Stored(appended) => {
                    outcome.stored(appended);
                    self.moved(&stream, loaded, &outcome, n_bytes);
                    return Ok(outcome);
                }
                Attempt::DoneBefore(done) => {
                    outcome.was_done(done);
                    return Ok(outcome);
                }
                // What was known is forgotten: the store contradicts it.
                Attempt::Overtaken => {}
            }
        }
        Err(Error::conflict(format!("{stream} is changed by others all the time"))
            .hint("run the command again when they are done"))
    }

    /// Writes the intent, swaps the files of `outcome` and appends the events, which are some.
    ///
    /// Errors: a file is not what the change was made for, or cannot be written; or the store does
    /// not take the events. The files are as before, or the intent stays open for `recover`.
    fn swap(
        &self,
        cause: &MessageIdentity,
        mut append: Append,
        changes: &[FileChange],
        outcome: &mut Outcome,
    ) -> Result<Attempt, Error> {
        let ids: Vec<Uuid> = append.events.iter().map(|event| event.id).collect();
        let first = *ids.first().ok_or_else(|| Error::bug("files change without an event"))?;
        append.intent = Some(first);
        let Expected::Version(expected) = append.expected else {
            return Err(Error::bug("files change whatever the aggregate is"));
        };
        let plan = Plan::Files {
            title: outcome.set.title.clone(),
            process: self.world.process(),
            changes: changes.to_vec(),
        };
        let intent = Intent {
            id: first,
            at: self.world.now(),
            stream: append.stream.clone(),
            expected,
            events: ids,
            plan: plan.text()?,
        };
        let written = outcome.set.changes.iter().filter_map(|change| match &change.op {
            Op::Create { content, .. } | Op::Write { content, .. } => Some(content),
            _ => None,
        });
        let texts = outcome.former.values().chain(written);
        let blobs: Vec<&[u8]> = texts.map(String::as_bytes).collect();
        self.store.open_intent(&intent, &blobs)?;
        let tag = first.to_string();
        let mut entry = Entry { app: self, append: Some(append), refused: None, appended: None };
        let error = match self.files.apply(&outcome.set, &tag, &mut entry) {
            Ok(notes) => {
                outcome.notes.extend(notes);
                let appended = entry.appended;
                return appended
                    .map(Attempt::Stored)
                    .ok_or_else(|| Error::bug("files were swapped and no event was stored"));
            }
            Err(error) => error,
        };
        // An intent whose files could not be put back stays open for `recover`.
        if !self.is_recorded(&tag)? && error.kind() != ErrorKind::Outside {
            self.store.close_intent(first)?;
        }
        match entry.refused {
            Some(refused) => self.judge(cause, Err(refused)),
            None if error.kind() == ErrorKind::Conflict => Err(self.explain(error, &outcome.set)),
            None => Err(error),
        }
    }

    /// What the store's answer to an append says of the command.
    ///
    /// Errors: the store did not take the events, and not because somebody was faster.
    fn judge(
        &self,
        cause: &MessageIdentity,
        appended: Result<Appended, StoreError>,
    ) -> Result<Attempt, Error> {
        // The same events to the letter are no news either: it was run in this moment.
        let may_be_done = matches!(
            appended,
            Ok(Appended { is_repeated: true, .. })
                | Err(StoreError::Conflict { .. } | StoreError::Duplicate { .. })
        );
        if may_be_done && let Some(done) = self.done_before(cause)? {
            return Ok(Attempt::DoneBefore(done));
        }
        match appended {
            Err(StoreError::Conflict { .. }) => Ok(Attempt::Overtaken),
            appended => Ok(Attempt::Stored(appended?)),
        }
    }

    /// Errors: the aggregate has another version than the one asked for.
    pub(crate) fn check_expected(&self, stream: &StreamId, found: u64) -> Result<(), Error> {
        match self.expected {
            Some(expected) if expected != found => {
                let stream = stream.clone();
                Err(StoreError::Conflict { stream, expected, found }.into())
            }
            _ => Ok(()),
        }
    }

    /// What came of a command that was run before: the events that it caused, if there are any.
    ///
    /// Errors: the store cannot be read.
    pub fn done_before(&self, cause: &MessageIdentity) -> Result<Option<Done>, Error> {
        let (mut events, mut position, mut origin) = (Vec::new(), None, BTreeMap::new());
        self.store.caused_by(&cause.message_id, &mut |record| {
            // One that a newer version wrote was stored all the same.
            events.extend(Event::read(record.event_type, record.schema, record.body).ok());
            if position.is_none() {
                origin = serde_json::from_str(record.meta).unwrap_or_default();
            }
            position = Some(record.position);
            Ok(std::ops::ControlFlow::Continue(()))
        })?;
        Ok(position.map(|position| Done { events, position, origin }))
    }

    /// The changes of a set as events write them, with the texts before by path.
    fn look(&self, set: &ChangeSet) -> Result<(Vec<FileChange>, BTreeMap<PathBuf, String>), Error> {
        let mode = |path: &Path| self.files.mode(path).ok().flatten();
        let changes = file_changes(set, mode)
            .map_err(|error| Error::user("a change cannot be recorded").because(error))?;
        let mut former = BTreeMap::new();
        for (change, recorded) in set.changes.iter().zip(&changes) {
            if let Some(expected) = recorded.before {
                let text = self.files.read(&change.path)?;
                // What is kept for an undo has to be what the change is made for. A file that changes
                // to and fro could be other now, and as expected when it is written.
                match text {
                    Some(text) if ContentHash::of(text.as_bytes()) == expected => {
                        former.insert(change.path.clone(), text);
                    }
                    _ => {
                        let path = change.path.display();
                        let error =
                            Error::conflict(format!("`{path}` was changed in the meantime"));
                        return Err(error.hint("run the command again"));
                    }
                }
            }
        }
        Ok((changes, former))
    }

    /// Events as a store takes them.
    pub(crate) fn new_events(
        &self,
        command_type: &str,
        events: &[Event],
    ) -> Result<Vec<NewEvent>, Error> {
        let mut origin = self.world.origin();
        origin.insert("command".to_owned(), command_type.to_owned());
        // Files of events are named below this folder, which read models have to know.
        let root = self.files.root().to_string_lossy().into_owned();
        origin.insert("project".to_owned(), root);
        let meta = serde_json::to_string(&origin)
            .map_err(|error| Error::bug("the origin cannot be written").because(error))?;
        let mut out = Vec::with_capacity(events.len());
        for event in events {
            let identity = event.identity();
            let id = identity.message_id.uuid();
            out.push(NewEvent {
                id: id.ok_or_else(|| Error::bug("an event has no UUID"))?,
                event_type: event.event_type().to_owned(),
                schema: event.schema(),
                at: event.at(),
                correlation: identity.correlation_id.clone(),
                causation: identity.causation_id.clone(),
                body: event.to_json().map_err(|error| {
                    Error::user(format!("{} cannot be written as JSON", event.event_type()))
                        .because(error)
                })?,
                meta: meta.clone(),
            });
        }
        Ok(out)
    }
}

/// Decides upon a change: from the state and what happens to files to the events that say so.
pub(crate) type Decide<'a> =
    &'a dyn Fn(&State, &[FileChange], &mut Draft<'_>) -> Result<Vec<Event>, Error>;

/// A change on its way through the protocol.
pub(crate) struct Change {
    pub(crate) stream: StreamId,
    pub(crate) cause: MessageIdentity,
    pub(crate) command_type: &'static str,
    pub(crate) set: ChangeSet,
    pub(crate) notes: Vec<String>,
}
