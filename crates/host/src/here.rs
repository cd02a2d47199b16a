//! Everything outside, for one tenant: its files, and a worker for each thing to do.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cim_domain_nix::{Command, Evidence, State};
use cim_nix_app::{
    Code, LockWish, Locks, NewLock, Outside, Programs, Repository, Run, Sources, Templates, Tools,
    Work, Workspace, World,
};
use cim_nix_base::{ChangeSet, Error};
use cim_nix_project::{Excludes, Request as Search, discover};
use cim_nix_vfs::{DiskFiles, is_within};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::limits::Limits;
use crate::protocol::{
    Bounds, CommandText, Locked, NixSetup, Request, Setup, Sources as Allowed, Task, VERSION,
    Worked,
};
use crate::{Disk, Machine, Worker};

/// What holds for one tenant.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// The project's folder.
    pub root: PathBuf,
    /// Where its state is kept: the journal of changes, trails of effects.
    pub state_home: PathBuf,
    /// Where fetched sources lie; tenants must not share it.
    pub cache_home: PathBuf,
    /// Folders that its code may read beside the project and the store.
    pub readable: Vec<PathBuf>,
    /// The most time for an evaluation, a check or a lock file, whatever the deadline of the command.
    /// Builds and what else the programs of Nix do have until that.
    pub time: Duration,
    /// Bytes of memory for evaluation, checks and formatting.
    pub memory: u64,
    /// Bytes of memory for the programs of Nix and all they start.
    pub program_memory: Option<u64>,
    /// Bytes of one answer of the worker.
    pub answer: u64,
    /// Where sources may come from.
    pub sources: Allowed,
    /// How Nix is run, and whether it is.
    pub nix: NixSetup,
    /// Folders that links to what was built may be in.
    pub outputs: Vec<PathBuf>,
    /// Folders that profiles may be in.
    pub profiles: Vec<PathBuf>,
    /// The caches that may be copied to and from.
    pub caches: Vec<String>,
    /// Whether garbage may be collected.
    pub collects_garbage: bool,
    /// What events say they were made by.
    pub program: String,
}

impl Settings {
    /// A tenant that may evaluate and change its own files, for a minute and in 2 GiB, without
    /// network and without Nix.
    pub fn new(root: impl Into<PathBuf>, state_home: impl Into<PathBuf>) -> Self {
        let state_home = state_home.into();
        Self {
            root: root.into(),
            cache_home: state_home.join("cache"),
            state_home,
            readable: Vec::new(),
            time: Duration::from_secs(60),
            memory: 2 << 30,
            program_memory: None,
            answer: 256 << 20,
            sources: Allowed::default(),
            nix: NixSetup::default(),
            outputs: Vec::new(),
            profiles: Vec::new(),
            caches: Vec::new(),
            collects_garbage: false,
            program: concat!("cim-nix-server ", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Everything outside, for one tenant.
#[derive(Clone, Debug)]
pub struct Here {
    settings: Settings,
    limits: Limits,
    worker: Worker,
}

impl Here {
    /// Errors: the project's folder is not there, or a folder is not named from the root.
    pub fn new(mut settings: Settings, worker: Worker) -> Result<Self, Error> {
        let folders = [&settings.root, &settings.state_home, &settings.cache_home];
        let more = [&settings.readable, &settings.outputs, &settings.profiles];
        let all = folders.into_iter().chain(more.into_iter().flatten());
        if let Some(folder) = all.into_iter().find(|folder| !folder.is_absolute()) {
            let shown = folder.display();
            return Err(Error::config(format!("`{shown}` is no absolute path")));
        }
        settings.root = settings.root.canonicalize().map_err(|error| {
            let shown = settings.root.display();
            Error::config(format!("cannot open the project folder `{shown}`")).because(error)
        })?;
        if !settings.root.is_dir() {
            let shown = settings.root.display();
            return Err(Error::config(format!("the project folder `{shown}` is no folder")));
        }
        for folders in [&mut settings.readable, &mut settings.outputs, &mut settings.profiles] {
            for folder in folders {
                // One that is not there yet stays as it is written.
                *folder = cim_nix_vfs::settled(folder).unwrap_or_else(|| folder.clone());
            }
        }
        let place = |name: &str, usual: &str| -> PathBuf {
            settings.nix.environment.get(name).map_or(usual, String::as_str).into()
        };
        let store_dir = place("NIX_STORE_DIR", "/nix/store");
        let limits = Limits {
            root: settings.root.clone(),
            readable: settings.readable.clone(),
            store_dir: cim_nix_vfs::settled(&store_dir).unwrap_or(store_dir),
            outputs: settings.outputs.clone(),
            profiles: settings.profiles.clone(),
            usual_profile: place("NIX_STATE_DIR", "/nix/var/nix").join("profiles/system"),
            caches: settings.caches.clone(),
            sources: settings.sources.clone(),
            runs_programs: settings.nix.is_allowed,
            collects_garbage: settings.collects_garbage,
        };
        Ok(Self { settings, limits, worker })
    }

    /// What commands may name.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    fn setup(&self, run: &Run, task: &Task) -> Setup {
        let Settings { sources, nix, readable, .. } = &self.settings;
        let left = run.deadline.saturating_duration_since(Instant::now());
        let time = match task {
            // What is found out before tells how long the programs may run, too.
            Task::Before { .. } | Task::Plan { .. } | Task::Run { .. } if task.runs_programs() => {
                left
            }
            _ => left.min(self.settings.time),
        };
        Setup {
            root: self.settings.root.clone(),
            readable: readable.clone(),
            state_home: self.settings.state_home.clone(),
            cache_home: self.settings.cache_home.clone(),
            bounds: Bounds {
                millis: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
                memory: self.settings.memory,
                program_memory: self.settings.program_memory,
                answer: self.settings.answer,
            },
            sources: sources.clone(),
            nix: nix.clone(),
            traceparent: run.trace.clone(),
        }
    }
}

impl Outside for Here {
    fn admit(&self, command: &Command) -> Result<Command, Error> {
        self.limits.admit(command)
    }

    fn files(&self) -> Result<Box<dyn Workspace + '_>, Error> {
        let disk = Disk::new(self.settings.root.clone(), &self.settings.state_home)?;
        Ok(Box::new(disk.bounded()))
    }

    fn world(&self, actor: &str) -> Box<dyn World + '_> {
        Box::new(Machine::new(actor, &*self.settings.program))
    }

    fn tools(&self, run: Run) -> Box<dyn Tools + '_> {
        Box::new(Asking { here: self, run })
    }
}

/// The tools for one command: each question goes to a worker of its own.
struct Asking<'h> {
    here: &'h Here,
    run: Run,
}

impl Asking<'_> {
    fn ask<T: DeserializeOwned>(&self, task: Task) -> Result<T, Error> {
        let setup = self.here.setup(&self.run, &task);
        let request = Request { version: VERSION, setup, task };
        // The worker stops by itself, with something to say; this is for one that does not.
        let late = Duration::from_millis(request.setup.bounds.millis) + Duration::from_secs(2);
        let deadline = Instant::now() + late;
        self.here.worker.ask(&request, &Run { deadline, ..self.run.clone() })
    }

    /// An effect's command, which is allowed.
    fn effect(&self, command: &Command, state: Option<&State>) -> Result<CommandText, Error> {
        let command = self.here.limits.admit(command)?;
        if let Some(state) = state {
            self.here.limits.check_state(&command, state)?;
        }
        CommandText::new(&command)
    }

    fn folder(&self, folder: &Path) -> Result<PathBuf, Error> {
        let root = &self.here.settings.root;
        match is_within(&root.join(folder), [root.as_path()]) {
            true => Ok(folder.to_owned()),
            false => Err(crate::limits::outside(&folder.to_string_lossy())),
        }
    }
}

impl Locks for Asking<'_> {
    fn lock(
        &self,
        folder: &Path,
        flake_nix: &str,
        old_lock: Option<&str>,
        wish: &LockWish,
    ) -> Result<NewLock, Error> {
        let Locked { text, changes, warnings } = self.ask(Task::Lock {
            folder: self.folder(folder)?,
            flake_nix: flake_nix.to_owned(),
            old_lock: old_lock.map(str::to_owned),
            updates: wish.updates.clone(),
        })?;
        Ok(NewLock { text, changes, warnings })
    }
}

impl Sources for Asking<'_> {
    fn nix_files(&self) -> Result<Vec<PathBuf>, Error> {
        // Names are all that is wanted, which needs no worker.
        let root = &self.here.settings.root;
        let search = Search {
            paths: vec![root.clone()],
            excludes: Excludes::default(),
            hidden: true,
            ignore_files: false,
        };
        let found = discover(&DiskFiles, &search);
        if let Some(trouble) = found.troubles.first() {
            let path = trouble.path.strip_prefix(root).unwrap_or(&trouble.path);
            let problem = &trouble.problem;
            return Err(Error::outside(format!("cannot read `{}`: {problem}", path.display())));
        }
        let is_code = |path: &&PathBuf| {
            path.file_name().is_none_or(|name| name != "flake.lock")
                && is_within(&root.join(path), [root.as_path()])
        };
        let below = found.files.iter().filter_map(|file| file.path.strip_prefix(root).ok());
        let below: Vec<PathBuf> = below.map(Path::to_path_buf).collect();
        Ok(below.iter().filter(is_code).cloned().collect())
    }
}

impl Repository for Asking<'_> {
    fn announce(&self, files: &[PathBuf]) -> Result<(), Error> {
        self.ask(Task::Announce { files: files.to_vec() })
    }
}

impl Templates for Asking<'_> {
    fn files(
        &self,
        folder: &Path,
        template: Option<&str>,
        description: &str,
    ) -> Result<ChangeSet, Error> {
        self.ask(Task::Template {
            folder: self.folder(folder)?,
            template: template.map(str::to_owned),
            description: description.to_owned(),
        })
    }
}

impl Code for Asking<'_> {
    fn work(&self, command: &Command) -> Result<Work, Error> {
        let command = self.effect(command, None)?;
        let Worked { set, evidence, notes } = self.ask(Task::Work { command })?;
        Ok(Work { set, evidence, notes })
    }
}

impl Programs for Asking<'_> {
    fn before(&self, command: &Command, state: &State) -> Result<Value, Error> {
        let command = self.effect(command, Some(state))?;
        self.ask(Task::Before { command, state: state.clone() })
    }

    fn plan(&self, command: &Command, state: &State, before: &Value) -> Result<Vec<String>, Error> {
        let command = self.effect(command, Some(state))?;
        self.ask(Task::Plan { command, state: state.clone(), before: before.clone() })
    }

    fn run(&self, command: &Command, state: &State, before: &Value) -> Result<Evidence, Error> {
        let command = self.effect(command, Some(state))?;
        self.ask(Task::Run { command, state: state.clone(), before: before.clone() })
    }

    fn settle(&self, command: &Command, before: &Value) -> Result<Option<Evidence>, Error> {
        let command = self.effect(command, None)?;
        self.ask(Task::Settle { command, before: before.clone() })
    }

    fn generation(&self, profile: &str) -> Result<Option<u32>, Error> {
        let folders = self.here.settings.profiles.iter().map(PathBuf::as_path);
        let folder = Path::new(profile).parent().unwrap_or(Path::new("/"));
        if !is_within(folder, folders) {
            return Err(Error::user("this profile must not be looked at"));
        }
        self.ask(Task::Generation { profile: profile.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use serde_json::json;

    use super::*;

    #[test]
    fn builds_have_the_time_of_their_command() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::new(folder.path(), folder.path().join("state"));
        let here = Here::new(settings, Worker::new("/bin/true")).unwrap();
        let deadline = Instant::now() + Duration::from_secs(3_600);
        let run = Run {
            deadline,
            cancelled: Arc::new(AtomicBool::new(false)),
            progress: Arc::new(|_: &str| ()),
            trace: None,
        };
        let minutes = |task: Task| {
            let Bounds { millis, .. } = here.setup(&run, &task).bounds;
            millis.div_ceil(60_000)
        };
        let of = |command_type: &str| CommandText {
            command_type: command_type.to_owned(),
            body: json!({}),
        };
        let state = || State::Once(false);
        let run_of = |name| Task::Run { command: of(name), state: state(), before: json!({}) };
        assert_eq!(minutes(run_of("BuildPackage")), 60);
        assert_eq!(minutes(run_of("EvaluateExpression")), 1);
        let before = |name| Task::Before { command: of(name), state: state() };
        assert_eq!(minutes(before("BuildPackage")), 60);
        assert_eq!(minutes(before("EvaluateExpression")), 1);
        let settle = Task::Settle { command: of("BuildPackage"), before: json!({}) };
        assert_eq!(minutes(settle), 1);
        assert_eq!(minutes(Task::Work { command: of("CheckFlake") }), 1);
    }
}
