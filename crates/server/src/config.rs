//! The configuration file, and what stands where it says nothing.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cim_nix_base::Error;
use cim_nix_host::protocol::{NixSetup, Sources};
use cim_nix_nats::NatsSettings;
use cim_nix_service::{BreakerSettings, Limits, ServiceSettings, Size, TokenEntry, check_name};
use serde::Deserialize;

/// All that can be set.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct Config {
    /// Where the service keeps what it writes.
    pub(crate) state: PathBuf,
    /// Where events are kept: `sqlite:PATH` or `jetstream:`; `{tenant}` stands for its name.
    pub(crate) store: String,
    /// The program `cim-nix`, which does the work; looked for if nothing is said.
    pub(crate) worker: Option<PathBuf>,
    /// Seconds that what was begun has to come to its end when the service stops.
    pub(crate) drain_seconds: u64,
    /// Threads and sizes.
    pub(crate) service: ServiceSection,
    /// Logs.
    pub(crate) log: cim_nix_telemetry::Log,
    /// Traces.
    pub(crate) traces: cim_nix_telemetry::Traces,
    /// HTTP; not served without this section.
    pub(crate) http: Option<cim_nix_http::Settings>,
    /// NATS; not served without this section.
    pub(crate) nats: Option<NatsSettings>,
    /// Streams of events in JetStream, where the store is one.
    pub(crate) jetstream: JetStreamSection,
    /// What tenants may use that say nothing else.
    pub(crate) limits: Limits,
    /// The tenants.
    #[serde(rename = "tenant")]
    pub(crate) tenants: Vec<TenantSection>,
    /// Tokens.
    #[serde(rename = "token")]
    pub(crate) tokens: Vec<TokenEntry>,
    /// A file with further tokens, `[[token]]` each, so that they can be kept apart.
    pub(crate) tokens_file: Option<PathBuf>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            state: PathBuf::from("/var/lib/cim-nix"),
            store: "sqlite:{state}/{tenant}/events.sqlite".to_owned(),
            worker: None,
            drain_seconds: 30,
            service: ServiceSection::default(),
            log: cim_nix_telemetry::Log::default(),
            traces: cim_nix_telemetry::Traces::default(),
            http: None,
            nats: None,
            jetstream: JetStreamSection::default(),
            limits: Limits::default(),
            tenants: Vec::new(),
            tokens: Vec::new(),
            tokens_file: None,
        }
    }
}

/// Threads and sizes.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct ServiceSection {
    /// Threads for commands that change events and files.
    command_threads: usize,
    /// Threads for builds, evaluations, activations.
    effect_threads: usize,
    /// Bytes of a message.
    message_bytes: usize,
    /// How deeply the values of a message may be nested.
    message_depth: usize,
    /// When what fails is left alone.
    breakers: BreakerSettings,
}

impl Default for ServiceSection {
    fn default() -> Self {
        let settings = ServiceSettings::default();
        Self {
            command_threads: settings.command_threads,
            effect_threads: settings.effect_threads,
            message_bytes: settings.size.bytes,
            message_depth: settings.size.depth,
            breakers: settings.breakers,
        }
    }
}

impl ServiceSection {
    /// Errors: a number that cannot be.
    fn check(&self) -> Result<(), Error> {
        within("command-threads", count(self.command_threads), 1..=1_024)?;
        within("effect-threads", count(self.effect_threads), 1..=1_024)?;
        within("message-bytes", count(self.message_bytes), 256..=64 << 20)?;
        within("message-depth", count(self.message_depth), 4..=127)?;
        let breakers = self.breakers.check();
        breakers.map_err(|problem| Error::config(format!("`service.breakers`: {problem}")))
    }

    pub(crate) fn settings(&self) -> ServiceSettings {
        ServiceSettings {
            command_threads: self.command_threads,
            effect_threads: self.effect_threads,
            size: Size { bytes: self.message_bytes, depth: self.message_depth },
            breakers: self.breakers,
        }
    }
}

/// Streams of events in JetStream.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct JetStreamSection {
    /// How many servers keep each message.
    pub(crate) replicas: usize,
    /// What subjects of the streams start with.
    pub(crate) prefix: String,
    /// Bytes that a stream may take; 0 for any number.
    pub(crate) max_bytes: u64,
    /// Whether the server compresses its files.
    pub(crate) compression: bool,
}

impl JetStreamSection {
    /// Errors: a number that cannot be.
    fn check(&self) -> Result<(), Error> {
        match matches!(self.replicas, 1 | 3 | 5) {
            true => Ok(()),
            false => {
                let replicas = self.replicas;
                Err(Error::config(format!("`jetstream` wants {replicas} replicas"))
                    .hint("1, 3 or 5: of an even number, half is no majority"))
            }
        }
    }
}

impl Default for JetStreamSection {
    fn default() -> Self {
        Self { replicas: 1, prefix: "cim.nix".to_owned(), max_bytes: 0, compression: false }
    }
}

/// One tenant.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct TenantSection {
    /// Its name.
    pub(crate) name: String,
    /// The folder with its projects. Without one it is a catalogue: commands are written down, and
    /// no file changes.
    #[serde(default)]
    pub(crate) folder: Option<PathBuf>,
    /// Where its events are kept, if not where those of all are.
    #[serde(default)]
    pub(crate) store: Option<String>,
    /// What it may use, as far as it is other than for all.
    #[serde(default)]
    pub(crate) limits: Option<toml::Table>,
    /// What its code may do.
    #[serde(default)]
    pub(crate) worker: WorkerSection,
}

/// What a tenant's code may do.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct WorkerSection {
    /// Seconds for one evaluation, check or lock file. Builds have those of the limits.
    seconds: u64,
    /// MiB of memory for it.
    memory_mib: u64,
    /// Whether the network may be used.
    network: bool,
    /// The hosts that may be asked; all for none.
    hosts: Vec<String>,
    /// The kinds of flake references that may be used; all for none.
    kinds: Vec<String>,
    /// Folders that code may read beside the tenant's own.
    readable: Vec<PathBuf>,
    /// Whether programs of Nix are run: builds, copies, activations.
    nix: bool,
    /// Their store, as `--store` takes it.
    nix_store: Option<String>,
    /// Settings of nix.conf.
    nix_options: BTreeMap<String, String>,
    /// Variables whose names begin with `NIX_`.
    nix_environment: BTreeMap<String, String>,
    /// Folders that links to what was built may be in.
    outputs: Vec<PathBuf>,
    /// Folders that profiles may be in.
    profiles: Vec<PathBuf>,
    /// Caches that may be copied to and from.
    caches: Vec<String>,
    /// Whether garbage may be collected.
    collect_garbage: bool,
}

impl Default for WorkerSection {
    fn default() -> Self {
        Self {
            seconds: 60,
            memory_mib: 2_048,
            network: false,
            hosts: Vec::new(),
            kinds: Vec::new(),
            readable: Vec::new(),
            nix: false,
            nix_store: None,
            nix_options: BTreeMap::new(),
            nix_environment: BTreeMap::new(),
            outputs: Vec::new(),
            profiles: Vec::new(),
            caches: Vec::new(),
            collect_garbage: false,
        }
    }
}

impl WorkerSection {
    /// Errors: a number that cannot be.
    fn check(&self, tenant: &str) -> Result<(), Error> {
        within(&format!("worker.seconds` of `{tenant}"), self.seconds, 1..=30 * 86_400)?;
        within(&format!("worker.memory-mib` of `{tenant}"), self.memory_mib, 16..=1 << 24)
    }

    /// What holds for a tenant with this folder, whose state is kept in `state`.
    pub(crate) fn settings(&self, folder: &Path, state: &Path) -> cim_nix_host::Settings {
        let mut settings = cim_nix_host::Settings::new(folder, state);
        settings.time = Duration::from_secs(self.seconds);
        settings.memory = self.memory_mib << 20;
        settings.sources =
            Sources { network: self.network, hosts: self.hosts.clone(), kinds: self.kinds.clone() };
        settings.readable.clone_from(&self.readable);
        settings.nix = NixSetup {
            is_allowed: self.nix,
            store: self.nix_store.clone(),
            options: self.nix_options.clone().into_iter().collect(),
            environment: self.nix_environment.clone(),
            path: None,
        };
        settings.outputs.clone_from(&self.outputs);
        settings.profiles.clone_from(&self.profiles);
        settings.caches.clone_from(&self.caches);
        settings.collects_garbage = self.collect_garbage;
        settings
    }
}

impl Config {
    /// Reads a file.
    ///
    /// Errors: it cannot be read, or says what cannot be; with the place.
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(|error| {
            Error::config(format!("cannot read `{}`", path.display()))
                .because(error)
                .hint("`--config` names another file; docs/service.md has one to begin with")
        })?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        toml::from_str(text).map_err(|error| {
            let place = error.span().map_or(String::new(), |span| {
                let line = text[..span.start.min(text.len())].matches('\n').count() + 1;
                format!(" (line {line})")
            });
            let message = error.message().to_owned();
            Error::config(format!("`{}`{place} is no configuration: {message}", path.display()))
        })
    }

    /// Errors: something in it cannot be, or does not fit together.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.tenants.is_empty() {
            return Err(Error::config("no tenant is configured")
                .hint("`[[tenant]]` with `name = \"main\"`, or `--tenant NAME=FOLDER`"));
        }
        if !self.state.is_absolute() {
            let shown = self.state.display();
            return Err(Error::config(format!("`state = \"{shown}\"` is no absolute path")));
        }
        within("drain-seconds", self.drain_seconds, 0..=86_400)?;
        self.service.check()?;
        self.jetstream.check()?;
        self.limits.check().map_err(|problem| Error::config(format!("the limits: {problem}")))?;
        for tenant in &self.tenants {
            check_name(&tenant.name)?;
            self.limits_of(tenant)?;
            self.store_of(tenant)?;
            tenant.worker.check(&tenant.name)?;
            if let Some(folder) = tenant.folder.as_ref().filter(|folder| !folder.is_absolute()) {
                let shown = folder.display();
                return Err(Error::config(format!("the folder `{shown}` is not absolute")));
            }
        }
        self.check_apart()?;
        self.check_callers()?;
        if self.http.is_none() && self.nats.is_none() {
            return Err(Error::config("neither `[http]` nor `[nats]` is configured")
                .hint("an empty section `[http]` serves on 127.0.0.1:8480"));
        }
        Ok(())
    }

    /// Errors: two tenants share a name, a store or files, or code of one could read what another
    /// one's events are kept in.
    fn check_apart(&self) -> Result<(), Error> {
        for (at, one) in self.tenants.iter().enumerate() {
            for other in &self.tenants[..at] {
                let (one_name, other_name) = (&one.name, &other.name);
                if one_name == other_name {
                    return Err(Error::config(format!("there are two tenants `{one_name}`")));
                }
                let (store, other_store) = (self.store_of(one)?, self.store_of(other)?);
                if let (StorePlace::Sqlite(path), StorePlace::Sqlite(other)) =
                    (&store, &other_store)
                    && settled(path) == settled(other)
                {
                    let shown = path.display();
                    return Err(Error::config(format!(
                        "`{other_name}` and `{one_name}` have the same store, `{shown}`"
                    ))
                    .hint("`{tenant}` in `store` stands for the name of each"));
                }
                if let (Some(folder), Some(other)) = (&one.folder, &other.folder)
                    && (is_below(folder, other) || is_below(other, folder))
                {
                    let (shown, other) = (folder.display(), other.display());
                    return Err(Error::config(format!(
                        "`{one_name}` and `{other_name}` would have each other's files: `{shown}` and `{other}`"
                    ))
                    .hint("folders of tenants lie beside each other, not in each other"));
                }
            }
            self.check_hidden(one)?;
        }
        Ok(())
    }

    /// Errors: what other tenants' events are kept in lies in this one's folder.
    fn check_hidden(&self, tenant: &TenantSection) -> Result<(), Error> {
        let Some(folder) = &tenant.folder else { return Ok(()) };
        for other in self.tenants.iter().filter(|other| other.name != tenant.name) {
            let mut kept = vec![self.state_of(other)];
            if let StorePlace::Sqlite(path) = self.store_of(other)? {
                kept.push(path);
            }
            if let Some(path) = kept.iter().find(|path| is_below(path, folder)) {
                return Err(Error::config(format!(
                    "`{}` could read what `{}` has: `{}` is in `{}`",
                    tenant.name,
                    other.name,
                    path.display(),
                    folder.display()
                ))
                .hint("`state` and `store` name places outside of all tenants' folders"));
            }
        }
        Ok(())
    }

    /// Errors: somebody may ask a tenant that there is not.
    fn check_callers(&self) -> Result<(), Error> {
        let is_known = |name: &String| self.tenants.iter().any(|it| it.name == *name);
        let unknown = |what: &str, whose: &str, tenants: &[String]| {
            let unknown = tenants.iter().find(|name| !is_known(name))?;
            let (whose, unknown) = (whose.escape_debug(), unknown.escape_debug());
            Some(Error::config(format!(
                "the {what} of `{whose}` is for `{unknown}`, which is no tenant"
            )))
        };
        let tokens = self.all_tokens()?;
        let of_tokens = tokens.iter().find_map(|it| unknown("token", &it.name, &it.tenants));
        let clients = self.http.iter().flat_map(|http| &http.clients);
        let mut of_clients = clients.map(|it| unknown("certificate", &it.name, &it.tenants));
        of_tokens.or_else(|| of_clients.find_map(|it| it)).map_or(Ok(()), Err)
    }

    /// What a tenant may use.
    ///
    /// Errors: a limit is unknown or no number.
    pub(crate) fn limits_of(&self, tenant: &TenantSection) -> Result<Limits, Error> {
        let Some(own) = &tenant.limits else { return Ok(self.limits.clone()) };
        let problem = |problem: String| {
            let problem = problem.trim_end();
            Error::config(format!("the limits of `{}`: {problem}", tenant.name))
        };
        let limits = self.limits.with(own.clone()).map_err(|it| problem(it.to_string()))?;
        limits.check().map_err(problem)?;
        Ok(limits)
    }

    /// Where a tenant's events are kept.
    ///
    /// Errors: the text is no place.
    pub(crate) fn store_of(&self, tenant: &TenantSection) -> Result<StorePlace, Error> {
        let text = tenant.store.as_deref().unwrap_or(&self.store);
        let state = self.state.to_string_lossy();
        StorePlace::parse(&text.replace("{state}", &state).replace("{tenant}", &tenant.name))
    }

    /// The folder with a tenant's state.
    pub(crate) fn state_of(&self, tenant: &TenantSection) -> PathBuf {
        self.state.join(&tenant.name)
    }

    /// The tokens of this file and of the one that it names.
    ///
    /// Errors: that one cannot be read.
    pub(crate) fn all_tokens(&self) -> Result<Vec<TokenEntry>, Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            #[serde(default, rename = "token")]
            tokens: Vec<TokenEntry>,
        }
        let mut all = self.tokens.clone();
        if let Some(path) = &self.tokens_file {
            let text = fs::read_to_string(path).map_err(|error| {
                Error::config(format!("cannot read the tokens in `{}`", path.display()))
                    .because(error)
            })?;
            let file: File = toml::from_str(&text).map_err(|error| {
                let message = error.message();
                Error::config(format!("`{}` has no tokens: {message}", path.display()))
            })?;
            all.extend(file.tokens);
        }
        Ok(all)
    }
}

/// Where events are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum StorePlace {
    /// In a file.
    Sqlite(PathBuf),
    /// In streams of NATS servers; those that the service is connected to, if none are named.
    JetStream(Option<String>),
}

impl StorePlace {
    /// Errors: the text is no place.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = PathBuf::from(path);
            return match path.is_absolute() {
                true => Ok(Self::Sqlite(path)),
                false => Err(Error::config(format!("`{text}` names no absolute path"))
                    .hint("`sqlite:/PATH`, from the root")),
            };
        }
        match text.strip_prefix("jetstream:") {
            Some("") => Ok(Self::JetStream(None)),
            Some(servers) => Ok(Self::JetStream(Some(servers.to_owned()))),
            None => Err(Error::config(format!("`{}` is no store", text.escape_debug()))
                .hint("`sqlite:/PATH` or `jetstream:nats://HOST:PORT`")),
        }
    }
}

/// Errors: a number is none that can be.
fn within(name: &str, number: u64, range: RangeInclusive<u64>) -> Result<(), Error> {
    match range.contains(&number) {
        true => Ok(()),
        false => Err(Error::config(format!(
            "`{name}` is {number}, not {} to {}",
            range.start(),
            range.end()
        ))),
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// A path without links, as far as it is there.
fn settled(path: &Path) -> PathBuf {
    cim_nix_vfs::settled(path).unwrap_or_else(|| path.to_owned())
}

/// Whether a path is a folder or lies in it.
fn is_below(path: &Path, folder: &Path) -> bool {
    settled(path).starts_with(settled(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configurations_that_others_read_are_some() {
        let page = include_str!("../../../docs/service.md");
        let example = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
        let config = Config::parse(example.expect("the page has one"), Path::new("service.md"));
        let config = config.expect("it is one");
        assert_eq!(config.tenants[0].name, "main");
        let limits = config.limits_of(&config.tenants[0]).expect("they fit");
        assert_eq!((limits.effects_at_once, limits.commands_at_once), (2, 256));
        let deployed = include_str!("../../../deploy/server.toml");
        Config::parse(deployed, Path::new("server.toml")).expect("it is one");
        let manifest = include_str!("../../../deploy/kubernetes/configmap.yaml");
        let lines = manifest.lines().skip_while(|line| !line.contains("server.toml: |")).skip(1);
        let text: String = lines.map(|line| format!("{}\n", line.trim_start())).collect();
        Config::parse(&text, Path::new("configmap.yaml")).expect("it is one");
    }

    #[test]
    fn stores_have_places() {
        let place = |text: &str| StorePlace::parse(text).map_err(|error| error.to_string());
        assert_eq!(place("sqlite:/a/b"), Ok(StorePlace::Sqlite("/a/b".into())));
        assert_eq!(place("jetstream:"), Ok(StorePlace::JetStream(None)));
        assert_eq!(place("jetstream:nats://n"), Ok(StorePlace::JetStream(Some("nats://n".into()))));
        assert!(place("sqlite:a").is_err());
        assert!(place("a").is_err());
    }
}
