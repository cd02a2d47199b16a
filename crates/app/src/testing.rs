//! A project in memory, for tests.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cim_domain_nix::{
    Command, Evidence, FileChange, MemoryStore, MessageIdentity, State, Timestamp, Uuid,
};
use cim_nix_base::{ChangeSet, ContentHash, Error, FileMode, Ledger, Op};

use crate::{App, Programs, Proposal, Settled, Workspace, World};

/// Another program, which changes files in between.
type Meddler = Box<dyn FnOnce(&mut BTreeMap<PathBuf, String>)>;

/// Files in memory that are changed at once.
#[derive(Default)]
pub(crate) struct Files {
    pub(crate) texts: RefCell<BTreeMap<PathBuf, String>>,
    /// Runs between the check of what is expected and the change.
    pub(crate) meddler: RefCell<Option<Meddler>>,
}

impl Files {
    pub(crate) fn new(texts: &[(&str, &str)]) -> Self {
        let texts = texts.iter().map(|(path, text)| (path.into(), (*text).to_owned()));
        Self { texts: RefCell::new(texts.collect()), meddler: RefCell::default() }
    }

    pub(crate) fn show(&self) -> String {
        let texts = self.texts.borrow();
        texts.iter().map(|(path, text)| format!("{}: {text}\n", path.display())).collect()
    }
}

impl Workspace for Files {
    fn root(&self) -> &Path {
        Path::new("/project")
    }

    fn read(&self, path: &Path) -> Result<Option<String>, Error> {
        Ok(self.texts.borrow().get(path).cloned())
    }

    fn mode(&self, path: &Path) -> Result<Option<FileMode>, Error> {
        Ok(self.texts.borrow().get(path).map(|_| FileMode(0o644)))
    }

    fn apply(
        &self,
        set: &ChangeSet,
        tag: &str,
        ledger: &mut dyn Ledger,
    ) -> Result<Vec<String>, Error> {
        if let Some(meddle) = self.meddler.take() {
            meddle(&mut self.texts.borrow_mut());
        }
        let mut new = self.texts.borrow().clone();
        for change in &set.changes {
            let found = new.get(&change.path).map(|text| ContentHash::of(text.as_bytes()));
            let (expected, content) = match &change.op {
                Op::Create { content, .. } => (None, Some(content.clone())),
                Op::Write { expected, content } => (Some(*expected), Some(content.clone())),
                Op::Remove { expected } => (Some(*expected), None),
                op => panic!("{op:?} is not needed here"),
            };
            if found != expected {
                let path = change.path.display();
                return Err(Error::conflict(format!("`{path}` is not as expected")));
            }
            match content {
                Some(content) => new.insert(change.path.clone(), content),
                None => new.remove(&change.path),
            };
        }
        ledger.record(tag)?;
        *self.texts.borrow_mut() = new;
        Ok(Vec::new())
    }

    fn recover(&self, _: &dyn Ledger) -> Result<Option<Settled>, Error> {
        Ok(None)
    }
}

/// A clock that ticks by the second, and ids that count.
#[derive(Default)]
pub(crate) struct Clockwork {
    ticks: Cell<i64>,
    ids: Cell<u128>,
}

impl World for Clockwork {
    fn now(&self) -> Timestamp {
        self.ticks.set(self.ticks.get() + 1);
        Timestamp::from_micros((1_790_000_000 + self.ticks.get()) * 1_000_000)
    }

    fn new_id(&self) -> Uuid {
        self.ids.set(self.ids.get() + 1);
        Uuid::from_u128(self.ids.get())
    }

    fn origin(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("actor".to_owned(), "ada".to_owned())])
    }

    fn process(&self) -> String {
        "here".to_owned()
    }

    fn is_running(&self, process: &str) -> bool {
        process == "elsewhere"
    }
}

/// Programs that always give the same.
pub(crate) struct Script {
    pub(crate) evidence: Result<Evidence, &'static str>,
    pub(crate) settled: Option<Evidence>,
    pub(crate) generation: Option<u32>,
}

impl Programs for Script {
    fn before(&self, _: &Command, _: &State) -> Result<serde_json::Value, Error> {
        Ok(serde_json::json!({ "seen": true }))
    }

    fn plan(
        &self,
        command: &Command,
        _: &State,
        _: &serde_json::Value,
    ) -> Result<Vec<String>, Error> {
        Ok(vec![format!("run {}", command.command_type())])
    }

    fn run(&self, _: &Command, _: &State, _: &serde_json::Value) -> Result<Evidence, Error> {
        self.evidence.clone().map_err(Error::outside)
    }

    fn settle(&self, _: &Command, before: &serde_json::Value) -> Result<Option<Evidence>, Error> {
        assert_eq!(before["seen"], true);
        Ok(self.settled.clone())
    }

    fn generation(&self, _: &str) -> Result<Option<u32>, Error> {
        Ok(self.generation)
    }
}

/// All that an application needs, in memory.
pub(crate) struct Kit {
    pub(crate) store: MemoryStore,
    pub(crate) files: Files,
    pub(crate) world: Clockwork,
    pub(crate) programs: Script,
}

impl Kit {
    pub(crate) fn new(texts: &[(&str, &str)]) -> Self {
        Self {
            store: MemoryStore::default(),
            files: Files::new(texts),
            world: Clockwork::default(),
            programs: Script { evidence: Err("no programs here"), settled: None, generation: None },
        }
    }

    pub(crate) fn app(&self) -> App<'_> {
        App {
            store: &self.store,
            files: &self.files,
            world: &self.world,
            programs: &self.programs,
            expected: None,
            states: None,
            announced: Cell::default(),
        }
    }

    pub(crate) fn root(&self) -> MessageIdentity {
        MessageIdentity::root(self.world.new_id())
    }

    /// A command that fixes `path`, and what it proposes.
    pub(crate) fn fix(&self, path: &str, to: &str) -> (Command, Proposal<'static>) {
        let command = cim_domain_nix::command::FixProject {
            path: "/project".to_owned(),
            select: Vec::new(),
            unsafe_fixes: false,
            identity: self.root(),
        };
        let mut set = ChangeSet::new("fix findings");
        match self.files.texts.borrow().get(Path::new(path)) {
            Some(text) if text == to => {}
            Some(text) => {
                let expected = ContentHash::of(text.as_bytes());
                set.push(path, Op::Write { expected, content: to.to_owned() });
            }
            None => set.create(path, to),
        }
        let evidence = |changes: Vec<FileChange>| Evidence::Fixed {
            fixes: BTreeMap::from([("COR001".to_owned(), 1)]),
            changes,
        };
        (command.into(), Proposal { set, evidence: Box::new(evidence), notes: Vec::new() })
    }
}
