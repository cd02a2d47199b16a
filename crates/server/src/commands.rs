//! The command line.

use std::io::{ErrorKind, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use cim_domain_nix::Timestamp;
use cim_nix_base::Error;
use cim_nix_nats::{TenantUsers, server_config};
use cim_nix_service::{Role, TokenEntry, Tokens, check_name, hash_token, token_of_random};
use clap::error::ErrorKind as UsageErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::config::StorePlace;
use crate::healthcheck::Shown;
use crate::send::{self, SendArgs, now};
use crate::source::{Asked, Given, Source, Streams, Tenants};
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

#[derive(Subcommand, Debug)]
enum Command {
    /// Serve; the same as no command at all
    Serve(Box<Source>),
    /// Send a command or a query to a running service over NATS
    Send(Box<SendArgs>),
    /// Say what is wrong with the configuration, and serve nothing
    CheckConfig(Box<Given>),
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
        #[command(flatten)]
        asked: Asked,
        #[command(flatten)]
        shown: Shown,
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
    Permissions(Tenants),
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
        #[command(flatten)]
        streams: Streams,
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
    /// Reads the command line. Does not come back if it cannot be, or asks for help.
    pub(crate) fn read() -> Self {
        let mut program = Self::command();
        let matches = program.get_matches_mut();
        let read = match misplaced(&program, &matches) {
            Some(told) => Err(program.error(UsageErrorKind::ArgumentConflict, told)),
            None => Self::from_arg_matches(&matches),
        };
        read.unwrap_or_else(|error| error.exit())
    }

    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        let source = self.source;
        match self.command {
            None => serve::run(&source),
            Some(Command::Serve(own)) => serve::run(&source.with(*own)),
            Some(Command::Send(args)) => send::run(&source.with(&args.whom), &args),
            Some(Command::CheckConfig(own)) => {
                let config = source.with(*own).config()?;
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
            Some(Command::Nats(NatsCommand::Permissions(own))) => {
                let config = source.with(own).config()?;
                let names: Vec<String> =
                    config.tenants.iter().map(|tenant| tenant.name.clone()).collect();
                let settings = config.nats.unwrap_or_default();
                let tenants: Vec<_> =
                    names.iter().map(|name| TenantUsers::placeholders(name)).collect();
                print(&server_config(&settings.space()?, &tenants, &settings.queue)?)
            }
            Some(Command::Store(StoreCommand::Copy { from, to, tenant, streams })) => {
                let (from, to) = (StorePlace::parse(&from)?, StorePlace::parse(&to)?);
                let config = source.with(streams).config_or_none()?;
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
            Some(Command::Healthcheck { address: Some(address), shown, .. }) => {
                healthcheck::run(address, &shown)
            }
            Some(Command::Healthcheck { address: None, asked, shown }) => {
                let http = source.with(asked).config_or_none()?.http.unwrap_or_default();
                healthcheck::run(reachable(http.listen), &shown)
            }
        }
    }
}

/// What is said of an option before a subcommand that has no use for it.
fn misplaced(program: &clap::Command, matches: &ArgMatches) -> Option<String> {
    let (mut command, mut inner, mut path) = (program, matches, String::new());
    while let Some((name, deeper)) = inner.subcommand() {
        command = command.find_subcommand(name)?;
        inner = deeper;
        path = format!("{path} {name}");
    }
    let is_given = |option: &&clap::Arg| {
        let source = matches.value_source(option.get_id().as_str());
        source == Some(ValueSource::CommandLine)
    };
    let is_taken = |option: &clap::Arg| {
        // An image's entrypoint has it before whatever is asked of the program.
        option.get_long() == Some("config")
            || command.get_arguments().any(|own| own.get_long() == option.get_long())
    };
    let stray = program.get_arguments().filter(is_given).find(|option| !is_taken(option))?;
    Some(format!("`{}` takes no `--{}`", path.trim_start(), stray.get_long()?))
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
