//! A service whose world outside is a script.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use cim_domain_nix::{
    BuiltOutput, Command, EventStore, Evidence, MemoryStore, State, Timestamp, Took, Uuid,
};
use cim_nix_app::{
    Code, LockWish, Locks, NewLock, NoFiles, Outside, Programs, Run, Sources, Store, Templates,
    Tools, Work, Workspace, World,
};
use cim_nix_base::{ChangeSet, Error};
use cim_nix_nats::{Nats, NatsSettings};
use cim_nix_service::{Keeps, Limits, Service, ServiceSettings, Tenant, TenantParts};
use serde_json::Value;

/// Programs that do as they are told, in no time; what is built under the name `slow` takes until
/// it is cancelled or late.
pub(crate) struct Script;

struct Clock;

/// The generation that profiles lead to; the same for all, as each test is a process.
static GENERATION: AtomicI64 = AtomicI64::new(41);

impl World for Clock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp::from_micros(since.expect("after 1970").as_micros().try_into().expect("fits"))
    }

    fn new_id(&self) -> Uuid {
        self.now().new_id()
    }

    fn origin(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("actor".to_owned(), "ada".to_owned())])
    }

    fn process(&self) -> String {
        "here".to_owned()
    }

    fn is_running(&self, _: &str) -> bool {
        false
    }
}

struct Hands(Run);

impl Programs for Hands {
    fn before(&self, _: &Command, _: &State) -> Result<Value, Error> {
        Ok(Value::Null)
    }

    fn plan(&self, command: &Command, _: &State, _: &Value) -> Result<Vec<String>, Error> {
        Ok(vec![format!("run {}", command.command_type())])
    }

    fn run(&self, command: &Command, _: &State, _: &Value) -> Result<Evidence, Error> {
        let took = Took { secs: 1, nanos: 5 };
        let store_path = "/nix/store/4sn6w0rlnlm8vhhsj1fhb2dvv4nr94zc-it".to_owned();
        let profile = "/nix/var/nix/profiles/system".to_owned();
        match command {
            Command::BuildPackage(build) => {
                (self.0.progress)(r#"{"stage":"building"}"#);
                if build.attribute.to_string().ends_with("slow") {
                    std::thread::sleep(Duration::from_millis(700));
                }
                (self.0.progress)(r#"{"stage":"built"}"#);
                let output = BuiltOutput { path: store_path, nar_size: None, closure_size: None };
                let outputs = BTreeMap::from([("out".to_owned(), output)]);
                Ok(Evidence::Built { outputs, drv_path: None, took })
            }
            Command::CachePackage(_) => {
                Ok(Evidence::Copied { output_path: store_path, paths: 1, bytes: 2, took })
            }
            Command::ActivateConfiguration(_) => {
                let generation = GENERATION.fetch_add(1, Ordering::Relaxed) + 1;
                let generation = u32::try_from(generation).expect("small");
                let previous = Some(generation - 1);
                Ok(Evidence::Activated { generation, previous, store_path, profile, took })
            }
            Command::RollbackConfiguration(_) => {
                let former = u32::try_from(GENERATION.load(Ordering::Relaxed)).expect("small");
                let generation = former - 1;
                let previous = Some(former);
                Ok(Evidence::Activated { generation, previous, store_path, profile, took })
            }
            _ => Err(Error::user("the script knows no such command")),
        }
    }

    fn settle(&self, _: &Command, _: &Value) -> Result<Option<Evidence>, Error> {
        Ok(None)
    }

    fn generation(&self, _: &str) -> Result<Option<u32>, Error> {
        Ok(None)
    }
}

fn not_here<T>() -> Result<T, Error> {
    Err(Error::user("the script has no files"))
}

impl Locks for Hands {
    fn lock(&self, _: &Path, _: &str, _: Option<&str>, _: &LockWish) -> Result<NewLock, Error> {
        not_here()
    }
}

impl cim_nix_app::Repository for Hands {
    fn announce(&self, _: &[PathBuf]) -> Result<(), Error> {
        Ok(())
    }
}

impl Templates for Hands {
    fn files(&self, _: &Path, _: Option<&str>, _: &str) -> Result<ChangeSet, Error> {
        not_here()
    }
}

impl Code for Hands {
    fn work(&self, _: &Command) -> Result<Work, Error> {
        not_here()
    }
}

impl Sources for Hands {
    fn nix_files(&self) -> Result<Vec<PathBuf>, Error> {
        not_here()
    }
}

impl Outside for Script {
    fn files(&self) -> Result<Box<dyn Workspace + '_>, Error> {
        Ok(Box::new(NoFiles))
    }

    fn world(&self, _: &str) -> Box<dyn World + '_> {
        Box::new(Clock)
    }

    fn tools(&self, run: Run) -> Box<dyn Tools + '_> {
        Box::new(Hands(run))
    }
}

/// A tenant whose events are in `store`.
pub(crate) fn tenant(name: &str, store: Arc<dyn Store>, limits: Limits) -> Tenant {
    Tenant::new(TenantParts {
        name: name.to_owned(),
        store,
        moves_along: false,
        outside: Arc::new(Script),
        keeps: Keeps::Catalogue,
        limits,
        storage: Box::new(|| None),
    })
    .expect("a good name")
}

/// A service with these tenants, their events in memory.
pub(crate) fn service(tenants: &[&str]) -> Arc<Service> {
    let tenants = tenants
        .iter()
        .map(|name| tenant(name, Arc::new(MemoryStore::default()), Limits::default()));
    of(tenants)
}

pub(crate) fn of(tenants: impl IntoIterator<Item = Tenant>) -> Arc<Service> {
    let settings =
        ServiceSettings { command_threads: 4, effect_threads: 2, ..ServiceSettings::default() };
    Service::new(tenants, &settings).expect("threads")
}

/// The service on NATS, with its own runtime, until it is dropped.
pub(crate) struct Running {
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) nats: Option<Nats>,
    pub(crate) service: Arc<Service>,
}

impl Running {
    pub(crate) fn start(service: &Arc<Service>, settings: &NatsSettings) -> Self {
        Self::try_start(service, settings).expect("it starts")
    }

    pub(crate) fn try_start(
        service: &Arc<Service>,
        settings: &NatsSettings,
    ) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let nats = runtime.block_on(Nats::start(service, settings))?;
        Ok(Self { runtime, nats: Some(nats), service: service.clone() })
    }

    pub(crate) fn nats(&self) -> &Nats {
        self.nats.as_ref().expect("it runs")
    }

    pub(crate) fn stop(&mut self) {
        if let Some(nats) = self.nats.take() {
            self.runtime.block_on(nats.stop(Duration::from_secs(10)));
        }
    }

    /// The store of a tenant.
    pub(crate) fn store(&self, tenant: &str) -> Arc<dyn Store> {
        self.service.tenant(tenant).expect("a tenant").store().clone()
    }
}

/// Settings for one server.
pub(crate) fn settings(url: &str) -> NatsSettings {
    NatsSettings { servers: vec![url.to_owned()], start_without: false, ..NatsSettings::default() }
}

/// Waits until something is the case.
pub(crate) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = std::time::Instant::now();
    while !is_so() {
        assert!(since.elapsed() < Duration::from_secs(20), "{what} takes too long");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The types of the events in a store, and their ids.
pub(crate) fn events(store: &dyn EventStore) -> Vec<(String, Uuid)> {
    let mut all = Vec::new();
    store
        .read_all(0, &mut |record| {
            all.push((record.event_type.to_owned(), record.id));
            Ok(std::ops::ControlFlow::Continue(()))
        })
        .expect("a store in memory");
    all
}
