//! The command line.

use std::io::{ErrorKind, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cim_domain_nix::Timestamp;
use cim_nix_base::Error;
use cim_nix_nats::{TenantUsers, server_config};
use cim_nix_service::{Role, TokenEntry, Tokens, check_name, hash_token, token_of_random};
use clap::{Args, Parser, Subcommand};

use crate::config::{Config, StorePlace, TenantSection};
use crate::send::{self, SendArgs, now};
use crate::{copying, healthcheck, serve, upkeep};

const EXAMPLES: &str = "\
Examples:
  cim-nix-server --tenant main=/srv/fleet            serve one folder on 127.0.0.1:8480
  cim-nix-server --config /etc/cim-nix/server.toml   serve what the file says
  cim-nix-server --tenant main --nats nats://127.0.0.1:4222 --store jetstream:
  cim-nix-server send ListFlakes
  cim-nix-server check-config
  cim-nix-server token new --name ann --role operator --for main
  cim-nix-server nats permissions > accounts.conf
  cim-nix-server store copy sqlite:/var/lib/cim-nix/main/events.sqlite jetstream:nats://n1:4222 --of main

It stops on SIGTERM and SIGINT, when what was begun has come to its end, and reads its configuration
again on SIGHUP. docs/service.md has all settings.
Exit status: 0 stopped as asked, 2 wrong usage or configuration, 3 the machine or the network failed.";

/// Serve the Nix domain on NATS and HTTP
#[derive(Parser, Debug)]
#[command(name = "cim-nix-server", version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    source: Source,
}

/// Where the configuration comes from.
#[derive(Args, Clone, Debug)]
pub(crate) struct Source {
    /// The configuration file [default: /etc/cim-nix/server.toml, unless --tenant is given]
    #[arg(long, short, value_name = "FILE", global = true, env = "CIM_NIX_SERVER_CONFIG")]
    config: Option<PathBuf>,
    /// A tenant: to serve, its name and folder, or its name alone for a catalogue, which changes no
    /// files; to ask a service, its name
    #[arg(long, value_name = "NAME[=FOLDER]", global = true)]
    tenant: Vec<String>,
    /// Where events are kept: sqlite:/PATH or jetstream:URL; {tenant} stands for the name
    #[arg(long, value_name = "STORE", global = true)]
    store: Option<String>,
    /// Where the service keeps what it writes
    #[arg(long, value_name = "FOLDER", global = true)]
    state: Option<PathBuf>,
    /// The address that HTTP is served on: IP:PORT
    #[arg(long, value_name = "ADDRESS", global = true)]
    listen: Option<SocketAddr>,
    /// A NATS server to serve on, or to send to
    #[arg(long, value_name = "URL", global = true)]
    nats: Vec<String>,
    /// Logs for people instead of for machines
    #[arg(long, global = true)]
    human: bool,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Serve; the same as no command at all
    Serve,
    /// Send a command or a query to a running service over NATS
    Send(Box<SendArgs>),
    /// Say what is wrong with the configuration, and serve nothing
    CheckConfig,
    /// Tokens for HTTP
    #[command(subcommand)]
    Token(TokenCommand),
    /// What a NATS server has to know
    #[command(subcommand)]
    Nats(NatsCommand),
    /// Stores of events
    #[command(subcommand)]
    Store(StoreCommand),
    /// Print the OpenAPI document of the HTTP service
    Openapi,
    /// Ask a running service whether it is ready; for containers
    Healthcheck {
        /// The address of its HTTP: IP:PORT [default: what the configuration says, or 127.0.0.1:8480]
        address: Option<SocketAddr>,
    },
}

#[derive(Subcommand, Debug)]
enum TokenCommand {
    /// Make a token, print it once, and what the configuration needs to know of it
    New {
        /// Who will have it
        #[arg(long, value_name = "NAME")]
        name: String,
        /// What they may do: reader, operator or service
        #[arg(long, value_name = "ROLE")]
        role: Role,
        /// The tenant that it is for; may be given several times
        #[arg(long = "for", value_name = "TENANT", required = true)]
        tenants: Vec<String>,
        /// When it stops to count, as RFC 3339
        #[arg(long, value_name = "TIME")]
        expires: Option<Timestamp>,
    },
    /// Print the hash of a token, which is read from standard input
    Hash,
}

#[derive(Subcommand, Debug)]
enum NatsCommand {
    /// Print accounts, users and permissions for the configuration of nats-server
    Permissions,
}

#[derive(Subcommand, Debug)]
enum StoreCommand {
    /// Copy all events of a store to another one, and prove that they are the same
    Copy {
        /// From where: sqlite:/PATH or jetstream:URL
        from: String,
        /// Where to
        to: String,
        /// The tenant whose events they are, where a store is in JetStream
        #[arg(long = "of", value_name = "TENANT", default_value = "main")]
        tenant: String,
    },
    /// Write a copy of a store in a file, of one moment, while the service goes on
    Backup {
        /// The store: sqlite:/PATH
        store: String,
        /// The file for the copy, which must not exist
        to: PathBuf,
    },
    /// Read all of a store in a file, and say what is damaged
    Check {
        /// The store: sqlite:/PATH
        store: String,
    },
}

impl Arguments {
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let source = self.source;
        match self.command {
            None | Some(Command::Serve) => serve::run(&source),
            Some(Command::Send(args)) => send::run(&source, &args),
            Some(Command::CheckConfig) => {
                let config = source.config()?;
                serve::check(&config)?;
                print(&format!(
                    "the configuration is good: {}, {}\n",
                    count(config.tenants.len(), "tenant"),
                    count(config.all_tokens()?.len(), "token")
                ))
            }
            Some(Command::Token(TokenCommand::New { name, role, tenants, expires })) => {
                print(&new_token(&name, role, &tenants, expires)?)
            }
            Some(Command::Token(TokenCommand::Hash)) => {
                let mut line = String::new();
                std::io::stdin()
                    .read_line(&mut line)
                    .map_err(|error| Error::outside("cannot read standard input").because(error))?;
                print(&format!("{}\n", hash_token(guarded(line.trim())?)))
            }
            Some(Command::Nats(NatsCommand::Permissions)) => {
                let config = source.config()?;
                let names: Vec<String> =
                    config.tenants.iter().map(|tenant| tenant.name.clone()).collect();
                let settings = config.nats.unwrap_or_default();
                let tenants: Vec<_> =
                    names.iter().map(|name| TenantUsers::placeholders(name)).collect();
                print(&server_config(&settings.space()?, &tenants, &settings.queue)?)
            }
            Some(Command::Store(StoreCommand::Copy { from, to, tenant })) => {
                let (from, to) = (StorePlace::parse(&from)?, StorePlace::parse(&to)?);
                let config = source.config_or_none()?;
                print(&copying::copy(&config, &from, &to, &tenant)?)
            }
            Some(Command::Store(StoreCommand::Backup { store, to })) => {
                print(&upkeep::backup(&StorePlace::parse(&store)?, &to)?)
            }
            Some(Command::Store(StoreCommand::Check { store })) => {
                print(&upkeep::check(&StorePlace::parse(&store)?)?)
            }
            Some(Command::Openapi) => {
                let document = cim_nix_http::openapi(env!("CARGO_PKG_VERSION"));
                print(&format!("{document:#}\n"))
            }
            Some(Command::Healthcheck { address: Some(address) }) => healthcheck::run(address),
            Some(Command::Healthcheck { address: None }) => {
                let http = source.config_or_none()?.http.unwrap_or_default();
                healthcheck::run(reachable(http.listen))
            }
        }
    }
}

fn print(text: &str) -> Result<ExitCode, Error> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // Who reads has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(Error::outside("cannot write to standard output").because(error)),
    }
}

/// Where a service on this machine is asked that listens on `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Characters that a token has at least, as it has no salt and costs nothing to try.
const LEAST: usize = 32;

/// Errors: the token can be guessed.
fn guarded(token: &str) -> Result<&str, Error> {
    match token.len() {
        0 => Err(Error::user("standard input has no token")),
        1..LEAST => Err(Error::user("a token this short can be guessed")
            .hint(format!("it has at least {LEAST} characters; `token new` makes one"))),
        _ => Ok(token),
    }
}

fn count(n: usize, thing: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{n} {thing}{s}")
}

fn new_token(
    name: &str,
    role: Role,
    tenants: &[String],
    expires: Option<Timestamp>,
) -> Result<String, Error> {
    tenants.iter().try_for_each(|tenant| check_name(tenant))?;
    if expires.is_some_and(|end| end <= now()) {
        return Err(Error::user("the token would have expired already"));
    }
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::outside("the machine has no random numbers").because(error))?;
    let token = token_of_random(bytes);
    let entry = TokenEntry {
        name: name.to_owned(),
        role,
        tenants: tenants.to_vec(),
        sha256: hash_token(&token),
        expires,
    };
    Tokens::new([entry]).map_err(Error::user)?;
    // Names are text that JSON writes as TOML does.
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let tenants: Vec<String> = tenants.iter().map(|tenant| text(tenant)).collect();
    let mut out = format!(
        "# The token, which is shown only now:\n# {token}\n\n[[token]]\nname = {}\nrole = \"{role}\"\n\
         tenants = [{}]\nsha256 = \"{}\"\n",
        text(name),
        tenants.join(", "),
        hash_token(&token)
    );
    if let Some(expires) = expires {
        out.push_str(&format!("expires = \"{expires}\"\n"));
    }
    Ok(out)
}

/// Where the configuration is, if nobody says where.
const USUAL: &str = "/etc/cim-nix/server.toml";

impl Source {
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
        let usual = Path::new(USUAL);
        let mut config = match (&self.config, self.tenant.is_empty()) {
            (Some(path), _) => Config::read(path)?,
            (None, true) if usual.exists() => Config::read(usual)?,
            (None, _) => Config { state: usual_state(), ..Config::default() },
        };
        for tenant in &self.tenant {
            config.tenants.push(tenant_of(tenant)?);
        }
        if let Some(store) = &self.store {
            config.store.clone_from(store);
        }
        if let Some(state) = &self.state {
            config.state = std::path::absolute(state).map_err(|error| {
                Error::user(format!("`{}` is no folder", state.display())).because(error)
            })?;
        }
        if let Some(listen) = self.listen {
            config.http.get_or_insert_with(Default::default).listen = listen;
        }
        if !self.nats.is_empty() {
            config.nats.get_or_insert_with(Default::default).servers.clone_from(&self.nats);
        }
        // Who names a tenant here wants it served; a file alone has to say where.
        let is_by_hand = self.config.is_none() || !self.tenant.is_empty();
        if is_by_hand && config.http.is_none() && config.nats.is_none() {
            config.http = Some(cim_nix_http::Settings::default());
        }
        if self.human {
            config.log.format = cim_nix_telemetry::Format::Human;
        }
        Ok(config)
    }
}

impl Source {
    /// The tenant that somebody means who asks a service: the one that is named, or the only one of
    /// the configuration.
    ///
    /// Errors: there are several, and none is named; or it is no name.
    pub(crate) fn tenant_name(&self, config: &Config) -> Result<String, Error> {
        let named = self.tenant.iter().map(|it| it.split('=').next().unwrap_or_default());
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
