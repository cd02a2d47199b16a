//! `cim-nix-server send`: sends a command or a query to a service over NATS, and shows the reply.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use async_nats::{HeaderMap, Request, RequestErrorKind};
use cim_domain_nix::{Event, MessageId, Role, Subject, Timestamp, Unreadable, headers};
use cim_nix_base::Error;
use cim_nix_nats::{Asking, Login, NatsSettings, TenantsBy};
use cim_nix_telemetry::{Identity, Traces, traceparent};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value};
use tracing::{Instrument as _, Span};

use crate::config::Config;
use crate::outcome;
use crate::source::{Source, Whom};

const EXAMPLES: &str = "\
Examples:
  cim-nix-server send ListFlakes
  cim-nix-server send GetFlake '{\"path\": \"/srv/fleet\"}'
  cim-nix-server send nix.cmd.flake.create '{\"path\": \"/srv/fleet\", \"description\": \"machines\"}'
  cim-nix-server send BuildPackage - < package.json
  cim-nix-server send --nats nats://n1:4222 --credentials-file ann.creds --tenant main ListFlakes
  cim-nix-server send UpdateFlake '{\"path\": \"/srv/fleet\"}' --id 0198f7a2-7c00-7000-8000-000000000001

A command without an id gets one, which is shown. Who sends a command again with the same id gets the
reply of the first time, and nothing is done twice.

Traces: the variable TRACEPARENT names a span that this belongs to; OTEL_EXPORTER_OTLP_ENDPOINT, or
[traces] in the configuration, the collector that is told of it.

Exit status: 0 accepted or answered, 1 refused, in conflict, or what was run failed, 2 wrong usage or
configuration, 3 no reply, or the service could not do it now.";

/// What to send, to whom, and how to show the reply.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SendArgs {
    /// A command or a query by its type or its subject: BuildPackage, nix.cmd.package.build
    #[arg(value_name = "COMMAND")]
    what: String,
    /// Its body, as JSON; - to read it from standard input
    #[arg(value_name = "JSON", default_value = "{}")]
    body: String,
    /// The id of the message, to send it again
    #[arg(long, value_name = "ID")]
    id: Option<MessageId>,
    /// The conversation that it belongs to
    #[arg(long, value_name = "ID")]
    correlation: Option<MessageId>,
    /// The version that the thing must have; another one is a conflict
    #[arg(long, value_name = "NUMBER")]
    expected_version: Option<u64>,
    /// Only ask what would happen
    #[arg(long)]
    dry_run: bool,
    /// Seconds that the service may take and that a reply is waited for [default: an hour]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    timeout: Option<u32>,
    /// How to show the reply
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: Format,
    #[command(flatten)]
    pub(crate) whom: Whom,
    #[command(flatten)]
    way: Way,
}

/// For whom the reply is.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Format {
    /// For people
    #[default]
    Text,
    /// The reply as it came
    Json,
}

/// The way to the service, as far as the configuration does not say it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "NATS")]
struct Way {
    /// What stands before all subjects
    #[arg(long, value_name = "TOKENS")]
    prefix: Option<String>,
    /// Whether tenants have accounts of their own, or a token in subjects
    #[arg(long, value_name = "account|token", value_parser = tenants_by)]
    tenants_by: Option<TenantsBy>,
    /// The user; the password is in --password-file
    #[arg(long, value_name = "NAME", requires = "password_file")]
    user: Option<String>,
    /// The file with the user's password
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// The file with a token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The file with the seed of an NKey
    #[arg(long, value_name = "FILE")]
    nkey_file: Option<PathBuf>,
    /// The file with credentials: a JWT and the seed of its NKey
    #[arg(long, value_name = "FILE")]
    credentials_file: Option<PathBuf>,
    /// What the names of inboxes start with, where the user may hear replies there only
    #[arg(long, value_name = "SUBJECT")]
    inbox_prefix: Option<String>,
    /// The file with the certificates that servers are trusted by
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The file with the certificate to show
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// The file with its key
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
}

fn tenants_by(text: &str) -> Result<TenantsBy, String> {
    match text {
        "account" => Ok(TenantsBy::Account),
        "token" => Ok(TenantsBy::Token),
        _ => Err("`account` or `token`".to_owned()),
    }
}

/// How long somebody waits who says nothing of it: as long as a build may take.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// Sends, waits and shows.
///
/// Errors: wrong usage or configuration; no reply.
pub(crate) fn run(source: &Source, args: &SendArgs) -> Result<ExitCode, Error> {
    let subject = subject_of(&args.what)?;
    let body = args.body()?;
    let config = source.config_or_none()?;
    let settings = args.way.settings(&config);
    let tenant = source.tenant_name(&config)?;
    let to = settings.space()?.print(&tenant, subject);
    let message = Outgoing::new(args, subject, to, body)?;
    let telemetry = cim_nix_telemetry::init(&observed(&config), &identity())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Error::outside("cannot start a runtime").because(error))?;
    let span = message.span(&settings);
    let sent = runtime.block_on(message.send(&settings, &tenant).instrument(span.clone()));
    let trace = span.in_scope(traceparent::TracePlace::current);
    let replied = sent.map(|reply| Replied::read(subject, &reply));
    match &replied {
        Ok(replied) => replied.tell(&span),
        Err(error) => fail(&span, "no_reply", &error.chain()),
    }
    drop(span);
    telemetry.shutdown(Duration::from_secs(5));
    let replied = replied?;
    match args.format {
        Format::Json => print(&format!("{}\n", replied.text))?,
        Format::Text => replied.show(trace.map(|trace| trace.trace_id()).as_deref())?,
    }
    Ok(ExitCode::from(replied.status))
}

fn identity() -> Identity {
    let instance = std::process::id().to_string();
    Identity { name: "cim-nix-send", version: env!("CARGO_PKG_VERSION"), instance }
}

/// Where the span goes: the environment counts before the configuration.
fn observed(config: &Config) -> cim_nix_telemetry::Settings {
    let named = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
    let endpoint =
        named.iter().find_map(|name| std::env::var(name).ok().filter(|it| !it.is_empty()));
    let traces = match endpoint {
        Some(endpoint) => Traces { endpoint: Some(endpoint), ratio: 1.0, ..config.traces.clone() },
        None => config.traces.clone(),
    };
    let log = cim_nix_telemetry::Log {
        format: cim_nix_telemetry::Format::Human,
        filter: "off".to_owned(),
    };
    cim_nix_telemetry::Settings { log, traces }
}

/// The subject that is meant: by its name, or by the type of its messages.
///
/// Errors: there is none, or nobody may send on it.
fn subject_of(what: &str) -> Result<Subject, Error> {
    let typed = what.trim();
    let is_meant = |subject: &Subject| {
        typed.eq_ignore_ascii_case(subject.as_str())
            || typed.eq_ignore_ascii_case(subject.message_type())
    };
    let shown: String = typed.chars().take(60).collect();
    let shown = shown.escape_debug();
    match Subject::every().find(is_meant) {
        Some(subject) if subject.role() == Role::Event => {
            Err(Error::user(format!("`{shown}` is an event, which only the service sends"))
                .hint(format!("follow `{}` to hear of it", subject.as_str())))
        }
        Some(subject) => Ok(subject),
        None => {
            let error = Error::user(format!("`{shown}` is no command and no query"));
            Err(match nearest(typed) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint(format!("commands and queries are {}", sendable().join(", "))),
            })
        }
    }
}

/// The types of all messages that may be sent.
fn sendable() -> Vec<&'static str> {
    Subject::every()
        .filter(|subject| subject.role() != Role::Event)
        .map(Subject::message_type)
        .collect()
}

/// What is written most like `typed`, if anything is.
fn nearest(typed: &str) -> Option<&'static str> {
    let is_subject = typed.contains('.');
    let typed = typed.to_ascii_lowercase();
    let name = |subject: Subject| match is_subject {
        true => subject.as_str(),
        false => subject.message_type(),
    };
    let names = Subject::every().filter(|subject| subject.role() != Role::Event).map(name);
    let with_distance = names.map(|name| (distance(&typed, &name.to_ascii_lowercase()), name));
    let (distance, name) = with_distance.min_by_key(|(distance, _)| *distance)?;
    (distance <= 2 + typed.len() / 4).then_some(name)
}

/// How many letters have to be added, removed or changed.
fn distance(one: &str, other: &str) -> usize {
    if one.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, byte) in one.bytes().enumerate() {
        let mut corner = at;
        row[0] = at + 1;
        for (to, with) in other.bytes().enumerate() {
            let changed = corner + usize::from(byte != with);
            corner = row[to + 1];
            row[to + 1] = changed.min(corner + 1).min(row[to] + 1);
        }
    }
    row[other.len()]
}

impl SendArgs {
    /// The body, which is one JSON object.
    ///
    /// Errors: it is none, or cannot be read.
    fn body(&self) -> Result<Map<String, Value>, Error> {
        let mut text = self.body.clone();
        if text == "-" {
            text.clear();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|error| Error::outside("cannot read standard input").because(error))?;
        }
        let hint = "write it as '{\"path\": \"/srv/fleet\"}'; docs/domain has the fields of each";
        match serde_json::from_str(&text) {
            Ok(Value::Object(fields)) => Ok(fields),
            Ok(_) => Err(Error::user("the body is no JSON object").hint(hint)),
            Err(error) => Err(Error::user("the body is no JSON").because(error).hint(hint)),
        }
    }
}

impl Way {
    /// The settings of the connection. What the command line says of who asks counts alone.
    fn settings(&self, config: &Config) -> NatsSettings {
        let mut settings = config.nats.clone().unwrap_or_default();
        settings.name = "cim-nix send".to_owned();
        // Somebody waits: no server is an answer.
        settings.start_without = false;
        if let Some(prefix) = &self.prefix {
            settings.prefix = Some(prefix.clone());
        }
        if let Some(tenants_by) = self.tenants_by {
            settings.tenants_by = tenants_by;
        }
        let login = Login {
            user: self.user.clone(),
            password_file: self.password_file.clone(),
            token_file: self.token_file.clone(),
            nkey_file: self.nkey_file.clone(),
            credentials_file: self.credentials_file.clone(),
            ..Login::default()
        };
        if login != Login::default() {
            settings.accounts.clear();
            settings.login = login;
        }
        if let Some(prefix) = &self.inbox_prefix {
            let accounts = settings.accounts.values_mut();
            for login in accounts.chain([&mut settings.login]) {
                login.inbox_prefix = Some(prefix.clone());
            }
        }
        let tls = &mut settings.tls;
        for (own, given) in [
            (&mut tls.ca, &self.ca),
            (&mut tls.certificate, &self.certificate),
            (&mut tls.key, &self.key),
        ] {
            if given.is_some() {
                own.clone_from(given);
            }
        }
        settings
    }
}

/// A message on its way.
struct Outgoing {
    subject: Subject,
    /// The subject as it is on the wire.
    to: String,
    body: Map<String, Value>,
    id: MessageId,
    correlation: MessageId,
    expected: Option<u64>,
    is_dry_run: bool,
    timeout: Option<Duration>,
}

impl Outgoing {
    /// Errors: the body has an id, and `--id` is another one.
    fn new(
        args: &SendArgs,
        subject: Subject,
        to: String,
        body: Map<String, Value>,
    ) -> Result<Self, Error> {
        let in_body = |field: &str| {
            let id = body.get("identity")?.get(field)?.as_str()?;
            id.parse::<MessageId>().ok()
        };
        let own = in_body("message_id");
        if let (Some(own), Some(given)) = (&own, &args.id)
            && own != given
        {
            return Err(Error::user(format!("the body has the id {own}, and `--id` is {given}"))
                .hint("leave one of them out"));
        }
        let id = args.id.clone().or(own).unwrap_or_else(|| now().new_id().into());
        let correlation = args.correlation.clone().or_else(|| in_body("correlation_id"));
        Ok(Self {
            subject,
            to,
            correlation: correlation.unwrap_or_else(|| id.clone()),
            id,
            body,
            expected: args.expected_version,
            is_dry_run: args.dry_run,
            timeout: args.timeout.map(|seconds| Duration::from_secs(seconds.into())),
        })
    }

    fn headers(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        map.insert(headers::MESSAGE_ID, self.id.to_string());
        map.insert(headers::CORRELATION_ID, self.correlation.to_string());
        if let Some(expected) = self.expected {
            map.insert("X-Expected-Version", expected.to_string());
        }
        if self.is_dry_run {
            map.insert("X-Dry-Run", "true");
        }
        if let Some(timeout) = self.timeout {
            map.insert("X-Timeout-Ms", timeout.as_millis().to_string());
        }
        for (name, value) in traceparent::headers() {
            map.insert(name, value);
        }
        map
    }

    /// The span of all of it, as conventions of OpenTelemetry have it for messages.
    fn span(&self, settings: &NatsSettings) -> Span {
        let (address, port) = address(settings);
        tracing::info_span!(
            "send",
            otel.name = %format_args!("send {}", self.subject),
            otel.kind = "producer",
            otel.status_code = tracing::field::Empty,
            otel.status_description = tracing::field::Empty,
            "error.type" = tracing::field::Empty,
            traceparent = std::env::var("TRACEPARENT").ok(),
            tracestate = std::env::var("TRACESTATE").ok(),
            messaging.system = "nats",
            messaging.operation.name = "send",
            "messaging.operation.type" = "send",
            messaging.destination.name = &*self.to,
            messaging.message.id = %self.id,
            messaging.message.conversation_id = %self.correlation,
            server.address = &*address,
            server.port = port,
        )
    }

    /// Errors: nobody is there, nobody serves the subject, or no reply comes in time.
    async fn send(&self, settings: &NatsSettings, tenant: &str) -> Result<String, Error> {
        let urls = urls(settings);
        let to = &self.to;
        let asking =
            Asking::connect(settings, tenant).await.map_err(|error| match error.kind() {
                cim_nix_base::ErrorKind::Config => error,
                _ => Error::outside(format!("`{to}` was not sent: nobody answers at {urls}"))
                    .because(error.chain())
                    .hint("does nats-server run there? `--nats` names another one"),
            })?;
        let patience = self.timeout.unwrap_or(PATIENCE) + Duration::from_secs(2);
        let body = Value::Object(self.body.clone()).to_string();
        let request =
            Request::new().payload(body.into()).headers(self.headers()).timeout(Some(patience));
        let again = || match self.subject.role() {
            Role::Command => {
                format!("send it again with `--id {}`: nothing is done twice", self.id)
            }
            Role::Event | Role::Query => "ask again".to_owned(),
        };
        let sent = tokio::select! {
            sent = asking.client().send_request(to.clone(), request) => sent,
            said = asking.not_allowed() => return Err(not_allowed(to, &said)),
        };
        let reply = sent.map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => {
                Error::outside(format!("nobody serves `{to}` at {urls}")).hint(
                    "does cim-nix-server run with this tenant, prefix and account? \
                         `--tenant`, `--prefix` and `--tenants-by` say where it is",
                )
            }
            RequestErrorKind::TimedOut => {
                let seconds = patience.as_secs();
                Error::outside(format!("no reply to `{to}` from {urls} in {seconds} s"))
                    .hint(format!("it may be done all the same; {}", again()))
            }
            _ => Error::outside(format!("no reply to `{to}` from {urls}"))
                .because(error)
                .hint(again()),
        })?;
        String::from_utf8(reply.payload.to_vec()).map_err(|error| {
            Error::outside(format!("the reply to `{to}` is no text")).because(error)
        })
    }
}

/// What is told of a message that the server does not let through, or whose reply it keeps.
fn not_allowed(to: &str, said: &str) -> Error {
    let error = match said.to_ascii_lowercase().contains("subscription") {
        true => Error::config(format!("the reply to `{to}` may not be heard"))
            .hint("`--inbox-prefix` says where this user may hear replies, such as `_INBOX.USER`"),
        false => Error::config(format!("`{to}` was not sent: this user may not send on it"))
            .hint("`cim-nix-server nats permissions` shows what readers and operators may do"),
    };
    error.because(std::io::Error::other(said.to_owned()))
}

pub(crate) fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let micros = since.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
    Timestamp::from_micros(micros)
}

/// The servers' addresses, without users that stand in them.
fn urls(settings: &NatsSettings) -> String {
    let plain = |url: &String| match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, Some((_, host))) => host.to_owned(),
        (_, None) => url.clone(),
    };
    settings.servers.iter().map(plain).collect::<Vec<_>>().join(", ")
}

/// The first server, as spans name it.
fn address(settings: &NatsSettings) -> (String, u16) {
    let first = settings.servers.first().map(String::as_str).unwrap_or_default();
    let host = first.rsplit(['/', '@']).next().unwrap_or_default();
    match host.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?))) {
        Some((host, port)) => (host.to_owned(), port),
        None => (host.to_owned(), 4222),
    }
}

fn fail(span: &Span, kind: &str, message: &str) {
    span.record("error.type", kind);
    span.record("otel.status_code", "error");
    span.record("otel.status_description", message);
}

/// A reply, read as far as it is shown.
struct Replied {
    subject: Subject,
    text: String,
    value: Value,
    /// The exit status.
    status: u8,
    /// What failed, by a word and a sentence, unless all is well.
    failure: Option<(String, String)>,
    /// The events in their order; none in the place of one whose type is not known here.
    events: Vec<Option<Event>>,
}

impl Replied {
    fn read(subject: Subject, text: &str) -> Self {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        let word = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let events = events(&value);
        let (status, failure) = match value.get("code") {
            Some(Value::String(code)) => {
                let is_later = matches!(&**code, "overloaded" | "timed_out" | "outside" | "bug");
                (if is_later { 3 } else { 1 }, Some((code.clone(), word("message"))))
            }
            _ if !value.is_object() => {
                (3, Some(("malformed".to_owned(), "the reply is no JSON object".to_owned())))
            }
            _ => match &events {
                Ok(events) => {
                    let failed = failed(events);
                    (u8::from(failed.is_some()), failed)
                }
                Err(problem) => (3, Some(("malformed".to_owned(), problem.to_string()))),
            },
        };
        let events = events.unwrap_or_default();
        Self { subject, text: text.to_owned(), value, status, failure, events }
    }

    fn tell(&self, span: &Span) {
        if let Some((kind, message)) = &self.failure {
            fail(span, kind, message);
        }
    }

    /// Shows it to people: what they asked for on standard output, what else is to be known on
    /// standard error.
    fn show(&self, trace: Option<&str>) -> Result<(), Error> {
        let (out, notes) = self.shown(trace);
        print(&out)?;
        std::io::stderr()
            .write_all(notes.as_bytes())
            .map_err(|error| Error::outside("cannot write to standard error").because(error))
    }

    /// What people asked for, and what else is to be known.
    fn shown(&self, trace: Option<&str>) -> (String, String) {
        let (mut out, mut notes) = (String::new(), String::new());
        match (&self.failure, self.subject.role()) {
            (Some((code, message)), _) => {
                let _ = writeln!(notes, "error: {message} ({code})");
                let failed = self.events.iter().flatten().filter(|it| it.failure().is_some());
                for line in failed.flat_map(outcome::details) {
                    let _ = writeln!(notes, "  {line}");
                }
                for hint in texts(&self.value["hints"]) {
                    let _ = writeln!(notes, "hint: {hint}");
                }
                if let Some(millis) = self.value["retry_after_ms"].as_u64() {
                    let _ = writeln!(notes, "hint: try again in {millis} ms");
                }
            }
            (None, Role::Query) => out = format!("{:#}\n", self.value["result"]),
            (None, _) => match self.product() {
                // Whoever wants a value or a path hands it on to another program.
                Some(product) => {
                    out = product;
                    notes = self.accepted();
                }
                None => out = self.accepted(),
            },
        }
        for note in texts(&self.value["notes"]) {
            let _ = writeln!(notes, "note: {note}");
        }
        if self.subject.role() == Role::Command
            && let Some(id) = self.value["command_id"]["id"].as_str()
        {
            let _ = writeln!(notes, "id: {id}");
        }
        if let Some(trace) = trace {
            let _ = writeln!(notes, "trace: {trace}");
        }
        (out, notes)
    }

    /// What came out, if that is more than the events say by being there.
    fn product(&self) -> Option<String> {
        let lines: Vec<&str> = self.events.iter().flatten().flat_map(outcome::product).collect();
        (!lines.is_empty()).then(|| {
            lines.iter().map(|line| format!("{}\n", line.trim_end_matches('\n'))).collect()
        })
    }

    fn accepted(&self) -> String {
        let value = &self.value;
        let is = |name: &str| value[name].as_bool().unwrap_or(false);
        let mut out = String::from(match (is("repeated"), is("dry_run"), is("changed")) {
            (true, _, _) => "accepted before, with these events",
            (_, true, _) => "would be accepted, with these events",
            (_, _, false) => "accepted: nothing had to change",
            _ => "accepted",
        });
        let _ = writeln!(out, ", version {}", value["version"]);
        let written = value["events"].as_array().into_iter().flatten();
        for (written, event) in written.zip(&self.events) {
            let word = |name: &str| written[name].as_str().unwrap_or("-").to_owned();
            let _ = writeln!(out, "  {} {}", word("event_type"), word("event_id"));
            for line in event.iter().flat_map(outcome::details) {
                let _ = writeln!(out, "    {line}");
            }
        }
        if let Some(diff) = value["diff"].as_str() {
            out.push_str(diff);
        }
        out
    }
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// The events of a reply in their order; none in the place of one whose type is not known here.
///
/// Errors: one does not look as it should.
fn events(reply: &Value) -> Result<Vec<Option<Event>>, Unreadable> {
    let read = |event: &Value| {
        let kind = event["event_type"].as_str().unwrap_or_default();
        let read = |newest| Event::read(kind, newest, &event["event"].to_string());
        Event::newest_schema(kind).map(read).transpose()
    };
    reply["events"].as_array().into_iter().flatten().map(read).collect()
}

/// What was recorded of something that was run and failed: by the type of the event, and in words.
fn failed(events: &[Option<Event>]) -> Option<(String, String)> {
    let mut events = events.iter().flatten();
    events.find_map(|event| Some((event.event_type().to_owned(), event.failure()?.to_owned())))
}

fn print(text: &str) -> Result<(), Error> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Error::outside("cannot write to standard output").because(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_spelling_and_near_ones_told() {
        let found = |what: &str| match subject_of(what) {
            Ok(subject) => subject.as_str().to_owned(),
            Err(error) => format!("{}; {}", error.chain(), error.hints().join("; ")),
        };
        expect_test::expect![[r#"
            nix.cmd.package.build
            nix.cmd.package.build
            nix.query.flake.list
            `BuildPakage` is no command and no query; did you mean `BuildPackage`?
            `nix.cmd.flake.add-input` is no command and no query; did you mean `nix.cmd.flake.add_input`?
            `FlakeCreated` is an event, which only the service sends; follow `nix.event.flake.created` to hear of it
        "#]]
        .assert_eq(
            &["BuildPackage", "nix.cmd.package.build", "listflakes", "BuildPakage", "nix.cmd.flake.add-input", "FlakeCreated"]
                .map(|what| format!("{}\n", found(what)))
                .concat(),
        );
        let strange = found(&"x".repeat(10_000));
        assert!(strange.contains("commands and queries are CreateFlake, "), "{strange}");
        assert_eq!(sendable().len(), 16 + 14 + 6);
    }

    #[test]
    fn users_in_addresses_are_not_shown() {
        let servers = ["nats://ann:hunter2@h:1", "hunter3@h", "h:2"].map(str::to_owned);
        let settings = NatsSettings { servers: servers.into(), ..NatsSettings::default() };
        assert_eq!(urls(&settings), "nats://h:1, h, h:2");
        assert_eq!(address(&settings), ("h".to_owned(), 1));
    }

    /// The reply to a command that one event came of.
    fn reply(event_type: &str, id_field: &str, at_field: &str, more: Value) -> String {
        let id = "0198f7a2-7c00-7000-8000-000000000001";
        let mut event = serde_json::json!({
            id_field: id, at_field: "2026-11-24T14:20:59.123456Z",
            "identity": { "message_id": id, "correlation_id": id, "causation_id": id },
        });
        let fields = event.as_object_mut().expect("it is one");
        fields.extend(more.as_object().expect("fields").clone());
        let event =
            serde_json::json!({ "event_type": event_type, "event_id": "ID", "event": event });
        serde_json::json!({ "version": 1, "changed": true, "events": [event] }).to_string()
    }

    #[test]
    fn people_see_what_came_out_and_can_hand_it_on() {
        let of_configuration = serde_json::json!({
            "configuration_id": "0198f7a2-7c00-7000-8000-000000000001", "generation": 7,
            "activation_type": "Switch", "store_path": "/nix/store/a-system",
        });
        let of_package = |more: Value| {
            let mut fields = serde_json::json!({
                "flake_ref": "/srv/fleet", "attribute": { "segments": ["hello"] },
                "output_path": "/nix/store/a-hello", "build_time": { "secs": 2, "nanos": 0 },
            });
            fields
                .as_object_mut()
                .expect("it is one")
                .extend(more.as_object().cloned().into_iter().flatten());
            fields
        };
        let outputs = serde_json::json!({ "outputs": {
            "man": { "path": "/nix/store/a-hello-man" }, "out": { "path": "/nix/store/a-hello" },
        } });
        let failed = serde_json::json!({
            "reason": "failed", "message": "`a-hello.drv`: failed with exit code 7",
            "log_tail": "cc: no\nmake: no\n",
        });
        let copied = serde_json::json!({ "cache": "s3://cache", "paths": 3, "bytes": 99 });
        let (package, event) = (("package_id", "timestamp"), ("event_id", "occurred_at"));
        let evaluated = |result: &str, is_error: bool| serde_json::json!({ "expression": "x", "result": result, "is_error": is_error });
        let mut all = String::new();
        for (what, kind, (id, at), more) in [
            (
                "EvaluateExpression",
                "ExpressionEvaluated",
                ("expression_id", "timestamp"),
                evaluated("{\n  a = 1;\n}", false),
            ),
            (
                "EvaluateExpression",
                "ExpressionEvaluated",
                ("expression_id", "timestamp"),
                evaluated("error: no", true),
            ),
            ("BuildPackage", "PackageBuilt", package, of_package(outputs)),
            ("BuildPackage", "PackageBuildFailed", package, of_package(failed)),
            ("CachePackage", "PackageCached", package, of_package(copied)),
            ("ActivateConfiguration", "ConfigurationActivated", event, of_configuration.clone()),
            ("ActivateConfiguration", "ConfigurationRolledBack", event, of_configuration),
            (
                "UpdateFlake",
                "FlakeUpdated",
                ("flake_id", "timestamp"),
                serde_json::json!({
                    "path": "/srv/fleet", "locks": [
                        { "input": "nixpkgs", "before": "a1", "after": "b2" },
                        { "input": "new/one", "after": "c3" }, { "input": "gone", "before": "d4" },
                    ],
                }),
            ),
            (
                "RunGarbageCollection",
                "GarbageCollected",
                ("collection_id", "timestamp"),
                serde_json::json!({
                    "freed_bytes": 4096, "removed_paths": ["/nix/store/00000000000000000000000000000000-a"],
                }),
            ),
            ("UpdateFlake", "PackageSigned", package, serde_json::json!({})),
        ] {
            let subject = Subject::of(what).expect(what);
            let (out, notes) = Replied::read(subject, &reply(kind, id, at, more)).shown(None);
            all.push_str(&format!("-- {kind}\n{out}-\n{notes}"));
        }
        expect_test::expect![[r#"
            -- ExpressionEvaluated
            {
              a = 1;
            }
            -
            accepted, version 1
              ExpressionEvaluated ID
            -- ExpressionEvaluated
            -
            error: no (ExpressionEvaluated)
            -- PackageBuilt
            /nix/store/a-hello
            /nix/store/a-hello-man
            -
            accepted, version 1
              PackageBuilt ID
            -- PackageBuildFailed
            -
            error: `a-hello.drv`: failed with exit code 7 (PackageBuildFailed)
              | cc: no
              | make: no
            -- PackageCached
            /nix/store/a-hello
            -
            accepted, version 1
              PackageCached ID
                to s3://cache: 3 store paths, 99 bytes
            -- ConfigurationActivated
            /nix/store/a-system
            -
            accepted, version 1
              ConfigurationActivated ID
                generation 7 (switch)
            -- ConfigurationRolledBack
            /nix/store/a-system
            -
            accepted, version 1
              ConfigurationRolledBack ID
                generation 7
            -- FlakeUpdated
            accepted, version 1
              FlakeUpdated ID
                nixpkgs: a1 -> b2
                new/one: new -> c3
                gone: d4 -> gone
            -
            -- GarbageCollected
            accepted, version 1
              GarbageCollected ID
                1 store path removed, 4096 bytes freed
            -
            -- PackageSigned
            accepted, version 1
              PackageSigned ID
            -
        "#]]
        .assert_eq(&all);
    }

    #[test]
    fn replies_have_their_exit_status() {
        let status = |text: &str| {
            Replied::read(Subject::of("BuildPackage").expect("it is one"), text).status
        };
        assert_eq!(status(r#"{"status":"success","events":[]}"#), 0);
        for (code, expected) in [("rejected", 1), ("conflict", 1), ("limited", 1), ("outside", 3)] {
            assert_eq!(status(&format!(r#"{{"code":"{code}","message":"no"}}"#)), expected);
        }
        let event = |event_type: &str, event: Value| {
            serde_json::json!({ "events": [{ "event_type": event_type, "event": event }] })
                .to_string()
        };
        let evaluated = |is_error: bool| {
            let more = serde_json::json!({
                "expression": "x", "result": "error: no\n", "is_error": is_error,
            });
            reply("ExpressionEvaluated", "expression_id", "timestamp", more)
        };
        assert_eq!(status(&evaluated(false)), 0);
        assert_eq!(status(&evaluated(true)), 1);
        let subject = Subject::of("EvaluateExpression").expect("it is one");
        let failure = Replied::read(subject, &evaluated(true)).failure;
        assert_eq!(failure, Some(("ExpressionEvaluated".to_owned(), "no".to_owned())));
        // What is newer than this program is no failure; what is broken may be one.
        assert_eq!(status(&event("PackageSigned", Value::Null)), 0);
        assert_eq!(status(&event("PackageBuildFailed", serde_json::json!({ "message": "no" }))), 3);
        assert_eq!(status("x"), 3);
    }
}
