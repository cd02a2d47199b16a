//! Which configuration counts: that of the file, and what the command line says in its place.
//!
//! Each subcommand takes the options that it has a use for. Those of the whole program may stand
//! before the subcommand, too.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use cim_nix_base::Error;
use cim_nix_service::check_name;
use clap::Args;

use crate::config::{Config, TenantSection};

/// What somebody says who serves.
#[derive(Args, Clone, Debug)]
pub(crate) struct Source {
    #[command(flatten)]
    given: Given,
    /// Logs for people instead of for machines
    #[arg(long)]
    human: bool,
}

/// What is served, and where.
#[derive(Args, Clone, Default, Debug)]
pub(crate) struct Given {
    #[command(flatten)]
    file: File,
    /// A tenant to serve: its name and folder, or its name alone for a catalogue, which changes no
    /// files; the default configuration is not read then
    #[arg(long, value_name = "NAME[=FOLDER]")]
    tenant: Vec<String>,
    /// Where events are kept: sqlite:/PATH or jetstream:URL; {tenant} stands for the name
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
    /// Where the service keeps what it writes
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
    /// The address that HTTP is served on: IP:PORT
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// A NATS server to serve on; may be given several times
    #[arg(long, value_name = "URL")]
    nats: Vec<String>,
}

#[derive(Args, Clone, Default, Debug)]
struct File {
    /// The configuration file [env: CIM_NIX_SERVER_CONFIG] [default: /etc/cim-nix/server.toml, if it
    /// is there]
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// What `send` has to know: who is asked.
#[derive(Args, Clone, Debug)]
pub(crate) struct Whom {
    #[command(flatten)]
    file: File,
    /// The tenant that is asked [default: the only one of the configuration, or main]
    #[arg(long, value_name = "NAME")]
    tenant: Vec<String>,
    /// A NATS server to send to; may be given several times
    #[arg(long, value_name = "URL")]
    nats: Vec<String>,
}

/// What `nats permissions` has to know.
#[derive(Args, Clone, Debug)]
pub(crate) struct Tenants {
    #[command(flatten)]
    file: File,
    /// A tenant that is served; may be given several times
    #[arg(long, value_name = "NAME")]
    tenant: Vec<String>,
    /// What the service is started with; it is checked
    #[arg(long, value_name = "URL", hide = true)]
    nats: Vec<String>,
}

/// What `store copy` has to know, where a store is in JetStream.
#[derive(Args, Clone, Debug)]
pub(crate) struct Streams {
    #[command(flatten)]
    file: File,
    /// A NATS server with the store `jetstream:`; may be given several times
    #[arg(long, value_name = "URL")]
    nats: Vec<String>,
}

/// What `healthcheck` has to know, unless it is told an address.
#[derive(Args, Clone, Debug)]
pub(crate) struct Asked {
    #[command(flatten)]
    file: File,
    /// The address that the service was told to serve HTTP on: IP:PORT
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

impl From<Given> for Source {
    fn from(given: Given) -> Self {
        Self { given, human: false }
    }
}

impl From<&Whom> for Source {
    fn from(whom: &Whom) -> Self {
        let Whom { file, tenant, nats } = whom.clone();
        Given { file, tenant, nats, ..Given::default() }.into()
    }
}

impl From<Tenants> for Source {
    fn from(Tenants { file, tenant, nats }: Tenants) -> Self {
        Given { file, tenant, nats, ..Given::default() }.into()
    }
}

impl From<Streams> for Source {
    fn from(Streams { file, nats }: Streams) -> Self {
        Given { file, nats, ..Given::default() }.into()
    }
}

impl From<Asked> for Source {
    fn from(Asked { file, listen }: Asked) -> Self {
        Given { file, listen, ..Given::default() }.into()
    }
}

/// The variable that names the configuration file.
const VARIABLE: &str = "CIM_NIX_SERVER_CONFIG";

/// Where the configuration is, if nobody says where.
const USUAL: &str = "/etc/cim-nix/server.toml";

impl Source {
    /// This, where `own`, which a subcommand was told, says nothing else.
    pub(crate) fn with(self, own: impl Into<Self>) -> Self {
        let Self { given: own, human } = own.into();
        let given = self.given;
        let either = |own: Vec<String>, given| if own.is_empty() { given } else { own };
        Self {
            given: Given {
                file: File { config: own.file.config.or(given.file.config) },
                tenant: either(own.tenant, given.tenant),
                store: own.store.or(given.store),
                state: own.state.or(given.state),
                listen: own.listen.or(given.listen),
                nats: either(own.nats, given.nats),
            },
            human: human || self.human,
        }
    }

    /// The configuration, with what the command line says in its place.
    ///
    /// Errors: it cannot be read, or cannot be.
    pub(crate) fn config(&self) -> Result<Config, Error> {
        let config = self.config_or_none()?;
        config.check()?;
        Ok(config)
    }

    /// The same, where it need not be enough to serve.
    pub(crate) fn config_or_none(&self) -> Result<Config, Error> {
        let (usual, given) = (Path::new(USUAL), &self.given);
        let file = given.file.path();
        let mut config = match (&file, given.tenant.is_empty()) {
            (Some(path), _) => Config::read(path)?,
            (None, true) if usual.exists() => Config::read(usual)?,
            (None, _) => Config { state: usual_state(), ..Config::default() },
        };
        for tenant in &given.tenant {
            config.tenants.push(tenant_of(tenant)?);
        }
        if let Some(store) = &given.store {
            config.store.clone_from(store);
        }
        if let Some(state) = &given.state {
            config.state = std::path::absolute(state).map_err(|error| {
                Error::user(format!("`{}` is no folder", state.display())).because(error)
            })?;
        }
        if let Some(listen) = given.listen {
            config.http.get_or_insert_with(Default::default).listen = listen;
        }
        if !given.nats.is_empty() {
            config.nats.get_or_insert_with(Default::default).servers.clone_from(&given.nats);
        }
        // Who names a tenant here wants it served; a file alone has to say where.
        let is_by_hand = file.is_none() || !given.tenant.is_empty();
        if is_by_hand && config.http.is_none() && config.nats.is_none() {
            config.http = Some(cim_nix_http::Settings::default());
        }
        if self.human {
            config.log.format = cim_nix_telemetry::Format::Human;
        }
        Ok(config)
    }

    /// The tenant that somebody means who asks a service: the one that is named, or the only one of
    /// the configuration.
    ///
    /// Errors: there are several, and none is named; or it is no name.
    pub(crate) fn tenant_name(&self, config: &Config) -> Result<String, Error> {
        let named = self.given.tenant.iter().map(|it| it.split('=').next().unwrap_or_default());
        let mut known: Vec<&str> = named.collect();
        if known.is_empty() {
            known = config.tenants.iter().map(|tenant| &*tenant.name).collect();
        }
        match *known {
            [] => Ok("main".to_owned()),
            [name] => check_name(name).map(|()| name.to_owned()),
            _ => Err(Error::user(format!("which tenant: {}?", known.join(", ")))
                .hint("`--tenant` names it")),
        }
    }
}

impl File {
    /// The file that is named here, or else by the environment.
    fn path(&self) -> Option<PathBuf> {
        let named = || std::env::var_os(VARIABLE).filter(|it| !it.is_empty()).map(PathBuf::from);
        self.config.clone().or_else(named)
    }
}

/// The folder for state of a service that somebody starts by hand.
fn usual_state() -> PathBuf {
    let folder = |name| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    let home = || folder("HOME").map(|home| home.join(".local/state"));
    let state = folder("STATE_DIRECTORY")
        .or_else(|| Some(folder("XDG_STATE_HOME").or_else(home)?.join("cim-nix").join("server")));
    state.unwrap_or_else(|| PathBuf::from("/var/lib/cim-nix"))
}

fn tenant_of(text: &str) -> Result<TenantSection, Error> {
    let (name, folder) = match text.split_once('=') {
        Some((name, folder)) => {
            let folder = std::path::absolute(folder).map_err(|error| {
                Error::user(format!("`{}` is no folder", folder.escape_debug())).because(error)
            })?;
            (name, Some(folder))
        }
        None => (text, None),
    };
    let worker = Default::default();
    Ok(TenantSection { name: name.to_owned(), folder, store: None, limits: None, worker })
}
