//! The service: takes requests, and sees to it that each gets one reply.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use cim_domain_nix::{Announced, Timestamp, Uuid};
use cim_nix_app::{App, NoFiles, Run};
use cim_nix_base::Error;

use crate::audit::{Audit, Refused};
use crate::breaker::{BreakerSettings, BreakerState, Breakers};
use crate::caller::Caller;
use crate::guard::Guarded;
use crate::ids::{Served, digest};
use crate::message::{Message, Size, Wish};
use crate::metrics::{self, InFlight, Outcome};
use crate::pool::Pool;
use crate::reply::{Accepted, Answered, Cause, Ids, Refusal, Reply};
use crate::running::{Running, fail, is_effect, taken};
use crate::tenant::{Keeps, Tenant, TenantHealth, UnderWay};

/// Is told of progress, one JSON object at a time.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

/// What somebody asks the service for.
pub struct Request {
    /// The tenant that is asked.
    pub tenant: Arc<Tenant>,
    /// Who asks.
    pub caller: Caller,
    /// What for.
    pub message: Message,
    /// The version that the aggregate must have, if the caller says so.
    pub expected: Option<u64>,
    /// Whether it is only asked what would happen.
    pub is_dry_run: bool,
    /// The longest time to take; the tenant's limit counts as well.
    pub patience: Option<Duration>,
    /// The span that it belongs to, as the header `traceparent` has it.
    pub trace: Option<String>,
    /// Is told of progress, one JSON object at a time.
    pub progress: Option<Progress>,
    /// Set by a caller who does not want it any more.
    pub cancelled: Arc<AtomicBool>,
}

impl Request {
    /// A request without any wishes.
    #[must_use]
    pub fn new(tenant: Arc<Tenant>, caller: Caller, message: Message) -> Self {
        Self {
            tenant,
            caller,
            message,
            expected: None,
            is_dry_run: false,
            patience: None,
            trace: None,
            progress: None,
            cancelled: Arc::default(),
        }
    }
}

/// How a service is set up.
#[derive(Clone, Debug)]
pub struct ServiceSettings {
    /// Threads for commands that change events and files.
    pub command_threads: usize,
    /// Threads for builds, evaluations, activations. Where there are several tenants, none has all.
    pub effect_threads: usize,
    /// How large messages may be.
    pub size: Size,
    /// When breakers open.
    pub breakers: BreakerSettings,
}

impl Default for ServiceSettings {
    fn default() -> Self {
        Self {
            command_threads: 64,
            effect_threads: 8,
            size: Size::default(),
            breakers: BreakerSettings::default(),
        }
    }
}

/// How the service is.
#[derive(Clone, PartialEq, Debug)]
pub struct Health {
    /// Whether it takes requests and can do its work.
    pub is_ready: bool,
    /// Whether it is being shut down.
    pub is_draining: bool,
    /// How each tenant is.
    pub tenants: Vec<TenantHealth>,
    /// How each breaker is that something was called behind.
    pub breakers: Vec<BreakerHealth>,
    /// How long it has been there.
    pub uptime: Duration,
}

/// How a breaker is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BreakerHealth {
    /// The tenant for which it is.
    pub tenant: Arc<str>,
    /// What it is around.
    pub name: String,
    /// What it lets pass.
    pub state: BreakerState,
    /// How often it opened.
    pub n_trips: u64,
}

/// Serves the tenants.
pub struct Service {
    tenants: BTreeMap<Arc<str>, Arc<Tenant>>,
    commands: Arc<Pool>,
    effects: Arc<Pool>,
    size: Size,
    /// Each tenant has its own: what fails for one may be of its own making.
    breakers: BTreeMap<Arc<str>, Breakers>,
    audit: Audit,
    is_draining: AtomicBool,
    began: Instant,
    trace_of: OnceLock<fn() -> Option<String>>,
}

impl Service {
    /// A service for these tenants.
    ///
    /// Errors: two have one name, or the machine gives no threads.
    pub fn new(
        tenants: impl IntoIterator<Item = Tenant>,
        settings: &ServiceSettings,
    ) -> Result<Arc<Self>, Error> {
        let mut by_name = BTreeMap::new();
        for tenant in tenants {
            let name = tenant.name().clone();
            if by_name.insert(name.clone(), Arc::new(tenant)).is_some() {
                return Err(Error::config(format!("there are two tenants `{name}`")));
            }
        }
        let breakers =
            by_name.keys().map(|name| (name.clone(), Breakers::new(settings.breakers))).collect();
        let thread = |error| Error::outside("cannot start a thread").because(error);
        let pool = |name, n: usize, most_each| {
            Pool::new(name, n, n * 64, most_each).map(Arc::new).map_err(thread)
        };
        let (n_commands, n_effects) = (settings.command_threads, settings.effect_threads);
        // Effects may take an hour: whoever has begun many leaves a thread for the others.
        let most_effects = if by_name.len() > 1 { n_effects.saturating_sub(1) } else { n_effects };
        Ok(Arc::new(Self {
            tenants: by_name,
            commands: pool("command", n_commands, n_commands)?,
            effects: pool("effect", n_effects, most_effects)?,
            size: settings.size,
            breakers,
            audit: Audit::default(),
            is_draining: AtomicBool::new(false),
            began: Instant::now(),
            trace_of: OnceLock::new(),
        }))
    }

    /// The tenant with a name.
    #[must_use]
    pub fn tenant(&self, name: &str) -> Option<&Arc<Tenant>> {
        self.tenants.get(name)
    }

    /// All tenants, by name.
    pub fn tenants(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.tenants.values()
    }

    /// Says how the present span is named to those that are called in it, as the header `traceparent`
    /// has it. Once it was said, it stays.
    pub fn set_trace(&self, trace_of: fn() -> Option<String>) {
        let _ = self.trace_of.set(trace_of);
    }

    /// How the present span is named to those that are called in it, if somebody knows.
    #[must_use]
    pub fn trace(&self) -> Option<String> {
        self.trace_of.get().and_then(|trace| trace())
    }

    /// How large messages may be.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// What was refused.
    #[must_use]
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// The breakers around what a tenant calls outside.
    fn breakers_of(&self, tenant: &Tenant) -> Result<&Breakers, Error> {
        let known = self.breakers.get(tenant.name());
        known.ok_or_else(|| Error::bug(format!("`{}` is no tenant of this service", tenant.name())))
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let micros = since.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
        Timestamp::from_micros(micros)
    }

    /// An id that nobody has used.
    #[must_use]
    pub fn new_id(&self) -> Uuid {
        self.now().new_id()
    }

    /// Finishes or reverts what earlier processes left behind, for each tenant.
    ///
    /// Errors: the first tenant for which that cannot be done now.
    pub fn recover(&self) -> Result<(), Error> {
        for tenant in self.tenants.values() {
            let run = Run {
                deadline: Instant::now() + Duration::from_secs(600),
                cancelled: Arc::default(),
                progress: Arc::new(|_| {}),
                trace: None,
            };
            let recovery = tenant.recover(run, self.breakers_of(tenant)?)?;
            if !recovery.is_nothing() {
                tracing::warn!(
                    tenant = %tenant.name(),
                    finished = ?recovery.files,
                    dropped = ?recovery.dropped,
                    interrupted = ?recovery.interrupted,
                    "recovered what an earlier process left behind"
                );
            }
        }
        Ok(())
    }

    /// How it is.
    #[must_use]
    pub fn health(&self) -> Health {
        let tenants: Vec<TenantHealth> = self.tenants().map(|tenant| tenant.health()).collect();
        let now = Instant::now();
        let is_draining = self.is_draining.load(Ordering::Acquire);
        let breakers = self.breakers.iter().flat_map(|(tenant, breakers)| {
            breakers.all().into_iter().map(|(name, it)| BreakerHealth {
                tenant: tenant.clone(),
                name,
                state: it.state(now),
                n_trips: it.n_trips(),
            })
        });
        Health {
            is_ready: !is_draining && tenants.iter().all(|tenant| tenant.problem.is_none()),
            is_draining,
            tenants,
            breakers: breakers.collect(),
            uptime: now.saturating_duration_since(self.began),
        }
    }

    /// Takes nothing more from now on; what was taken goes on.
    pub fn begin_drain(&self) {
        self.is_draining.store(true, Ordering::Release);
    }

    /// Takes nothing more, and waits until all that was taken has its reply.
    pub fn drain(&self) {
        self.begin_drain();
        self.effects.close();
        self.commands.close();
    }

    /// Handles a request and waits for the reply.
    #[must_use]
    pub fn call(self: &Arc<Self>, request: Request) -> Reply {
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        self.submit(request, move |reply| {
            // Who waits is still there: it is this call.
            let _ = tell.send(reply);
        });
        let lost =
            || Reply::Refused(Refusal::new(Cause::Bug, "the handler ended without a reply"), None);
        told.recv().unwrap_or_else(|_| lost())
    }

    /// Handles a request; `done` gets the reply, once. Queries are answered before this returns;
    /// commands run on threads of the service, and `done` with them.
    pub fn submit(self: &Arc<Self>, request: Request, done: impl FnOnce(Reply) + Send + 'static) {
        let began = Instant::now();
        let tenant = request.tenant.clone();
        let caller = request.caller.clone();
        let what = request.message.message_type();
        let is_command = matches!(request.message.wish, Wish::Command(_));
        let service = self.clone();
        let done = move |reply: Reply| {
            service.count(&tenant, &caller, what, is_command, began, &reply);
            done(reply);
        };
        if let Err(refusal) = self.admit(&request) {
            done(Reply::Refused(refusal, Some(request.message.ids)));
            return;
        }
        match &request.message.wish {
            Wish::Query(query) => {
                let ids = request.message.ids.clone();
                done(match request.tenant.answer(query) {
                    Ok((result, version)) => Reply::Answered(Answered { ids, result, version }),
                    Err(refusal) => Reply::Refused(refusal, Some(ids)),
                });
            }
            Wish::Command(_) => self.submit_command(request, Box::new(done)),
        }
    }

    /// Answers a query whose answer is known already, without waiting for anything.
    ///
    /// Errors: the request as it came. It is not, and nothing was counted.
    pub fn answer_known(self: &Arc<Self>, request: Request) -> Result<Reply, Box<Request>> {
        let began = Instant::now();
        let Wish::Query(query) = &request.message.wish else { return Err(Box::new(request)) };
        let Some((result, version)) = request.tenant.known_answer(query) else {
            return Err(Box::new(request));
        };
        let what = query.query_type();
        let reply = match self.admit(&request) {
            Ok(()) => Reply::Answered(Answered { ids: request.message.ids, result, version }),
            Err(refusal) => Reply::Refused(refusal, Some(request.message.ids)),
        };
        self.count(&request.tenant, &request.caller, what, false, began, &reply);
        Ok(reply)
    }

    /// Counts a request that is no message, such as one for events.
    ///
    /// Errors: it is one too many, or the service is being shut down.
    pub fn admit_reader(
        &self,
        tenant: &Tenant,
        caller: &Caller,
        what: &str,
    ) -> Result<(), Refusal> {
        let admitted = match self.is_draining.load(Ordering::Acquire) {
            true => Err(Refusal::new(Cause::Overloaded, "the service is being shut down")
                .after(Duration::from_secs(1))),
            false => tenant.in_use().rates.take(&caller.name),
        };
        admitted.inspect_err(|refusal| {
            self.audit.note(Refused {
                at: self.now(),
                tenant: tenant.name().to_string(),
                caller: caller.name.to_string(),
                via: caller.via,
                what: what.to_owned(),
                cause: refusal.cause.word(),
                message: refusal.message.clone(),
            });
        })
    }

    /// Errors: the request may not even be looked at.
    fn admit(&self, request: &Request) -> Result<(), Refusal> {
        if self.is_draining.load(Ordering::Acquire) {
            return Err(Refusal::new(Cause::Overloaded, "the service is being shut down")
                .after(Duration::from_secs(1))
                .hint("another instance takes requests, or this one will again"));
        }
        let in_use = request.tenant.in_use();
        in_use.rates.take(&request.caller.name)?;
        let Wish::Command(command) = &request.message.wish else { return Ok(()) };
        if !request.caller.role.may_command() {
            return Err(Refusal::new(
                Cause::Forbidden,
                format!("a {} may ask, and may not send commands", request.caller.role),
            ));
        }
        request.tenant.check_storage(&in_use.limits)?;
        if is_effect(command) {
            request.tenant.check_worked(&in_use.limits)?;
        }
        Ok(())
    }

    fn submit_command(self: &Arc<Self>, request: Request, done: Box<dyn FnOnce(Reply) + Send>) {
        let Wish::Command(command) = &request.message.wish else { return };
        let is_effect = is_effect(command);
        let ids = request.message.ids.clone();
        let tenant = request.tenant.clone();
        let digest = digest(command);
        // Who sends a command again while it runs gets the reply of the first one.
        {
            let mut under_way = tenant.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            match under_way.get_mut(&ids.message) {
                Some(same) if same.digest == digest => {
                    same.waiting.push(done);
                    return;
                }
                Some(_) => {
                    drop(under_way);
                    done(Reply::Refused(taken(&ids), Some(ids)));
                    return;
                }
                None => {
                    let new = UnderWay { digest: digest.clone(), waiting: vec![done] };
                    under_way.insert(ids.message.clone(), new);
                }
            }
        }
        let in_use = tenant.in_use();
        let places = match (in_use.commands.enter(), is_effect) {
            (None, _) => None,
            (Some(place), false) => Some((place, None)),
            (Some(place), true) => in_use.effects.enter().map(|effect| (place, Some(effect))),
        };
        let busy = || {
            Refusal::new(Cause::Overloaded, "too many commands of this tenant are under way")
                .after(Duration::from_millis(if is_effect { 5_000 } else { 200 }))
        };
        let Some(places) = places else {
            finish(&tenant, Reply::Refused(busy(), Some(ids)));
            return;
        };
        let service = self.clone();
        let queued = Instant::now();
        // Nothing stands between such a command and its append, if a thread is free for it.
        let is_plain = tenant.keeps() == Keeps::Catalogue && !is_effect && !request.is_dry_run;
        let announced = match is_plain && self.commands.has_room() {
            true => tenant.store().announce(),
            false => Announced::default(),
        };
        let job = {
            let ids = ids.clone();
            let tenant = tenant.clone();
            move || {
                let patience = patience(&request, is_effect);
                let reply = match queued.elapsed() >= patience {
                    true => Reply::Refused(
                        Refusal::new(Cause::TimedOut, "the command waited too long for its turn")
                            .hint("nothing has changed"),
                        Some(ids.clone()),
                    ),
                    false => {
                        let run = std::panic::AssertUnwindSafe(|| {
                            service.run(&request, digest, queued + patience, announced)
                        });
                        std::panic::catch_unwind(run).unwrap_or_else(|_| {
                            Reply::Refused(
                                Refusal::new(Cause::Bug, "the handler of this command failed")
                                    .hint("please report what the log says of it"),
                                Some(ids.clone()),
                            )
                        })
                    }
                };
                drop(places);
                finish(&tenant, reply);
            }
        };
        let submitted = match (is_effect, tenant.keeps()) {
            (true, _) => self.effects.submit(tenant.name(), Box::new(job)),
            (false, Keeps::Catalogue) => self.commands.submit(tenant.name(), Box::new(job)),
            // They go one after the other anyway, and must not hold the threads of others meanwhile.
            (false, Keeps::Files) => {
                tenant.lane.submit(&self.commands, tenant.name(), Box::new(job))
            }
        };
        if submitted.is_err() {
            finish(&tenant, Reply::Refused(busy(), Some(ids)));
        }
    }

    /// Runs a command to its end.
    fn run(
        &self,
        request: &Request,
        digest: String,
        deadline: Instant,
        announced: Announced,
    ) -> Reply {
        let ids = request.message.ids.clone();
        let what = request.message.message_type();
        let span = tracing::info_span!(
            "command",
            otel.name = %format_args!("handle {what}"),
            otel.status_code = tracing::field::Empty,
            otel.status_description = tracing::field::Empty,
            "error.type" = tracing::field::Empty,
            outcome = tracing::field::Empty,
            traceparent = request.trace.as_deref(),
            tenant = %request.tenant.name(),
            correlation = %ids.correlation,
            command = what,
            caller = %request.caller.name,
        );
        let _inside = span.enter();
        let reply = match self.try_run(request, digest, deadline, announced) {
            Ok(accepted) => Reply::Accepted(Box::new(accepted)),
            Err(refusal) => Reply::Refused(refusal, Some(ids)),
        };
        let outcome = Outcome::of(&reply);
        span.record("outcome", outcome.as_str());
        if let (Some(refusal), Outcome::Failed) = (reply.refusal(), outcome) {
            fail(&span, refusal.cause.word(), &refusal.message);
            // What is left alone for a while comes in floods; that it is, was said once.
            if refusal.retry_after.is_none() {
                tracing::error!(cause = refusal.cause.word(), "not done: {}", refusal.message);
            }
        }
        reply
    }

    fn try_run(
        &self,
        request: &Request,
        digest: String,
        deadline: Instant,
        announced: Announced,
    ) -> Result<Accepted, Refusal> {
        let Request { tenant, caller, message, .. } = request;
        let Wish::Command(command) = &message.wish else {
            return Err(Refusal::new(Cause::Bug, "a query is no command"));
        };
        let _in_flight = InFlight::enter("command");
        let trace = self.trace().or(request.trace.clone());
        // A catalogue's commands name nothing that is here, but for those that run programs.
        let command = &match tenant.keeps() == Keeps::Files || is_effect(command) {
            true => tenant.outside().admit(command)?,
            false => (**command).clone(),
        };
        let silent: Progress = Arc::new(|_| {});
        let run = Run {
            deadline,
            cancelled: request.cancelled.clone(),
            progress: request.progress.clone().unwrap_or(silent),
            trace: trace.clone(),
        };
        let outside = tenant.outside();
        let actor = match &message.issued_by {
            // Whoever carries messages for others says for whom.
            Some(issued_by) if *issued_by != *caller.name => {
                format!("{issued_by} ({})", caller.name)
            }
            _ => caller.name.to_string(),
        };
        let world =
            Served { world: outside.world(&actor), digest: digest.clone(), via: caller.via, trace };
        let tools = Guarded {
            tools: outside.tools(run.clone()),
            breakers: self.breakers_of(tenant)?,
            tenant: tenant.name(),
            run: run.clone(),
        };
        let files = match tenant.keeps() {
            Keeps::Files => outside.files()?,
            Keeps::Catalogue => Box::new(NoFiles),
        };
        let app = App {
            store: &**tenant.store(),
            files: &*files,
            world: &world,
            programs: &tools,
            expected: request.expected,
            states: Some(&tenant.states),
            announced: Cell::new(announced),
        };
        Running { request, command, digest: &digest, app, tools: &tools }.run()
    }

    fn count(
        &self,
        tenant: &Tenant,
        caller: &Caller,
        what: &'static str,
        is_command: bool,
        began: Instant,
        reply: &Reply,
    ) {
        let seconds = began.elapsed().as_secs_f64();
        let outcome = Outcome::of(reply);
        match is_command {
            true => metrics::command(tenant.name(), what, outcome, seconds),
            false => metrics::query(tenant.name(), what, outcome, seconds),
        }
        if let (Reply::Accepted(accepted), true) = (reply, is_command)
            && !accepted.is_repeated
            && accepted.position.is_some()
        {
            let n_events = accepted.events.len() as u64;
            metrics::events_appended(tenant.name(), kind_of(what), n_events);
        }
        let Some(refusal) = reply.refusal() else { return };
        if !is_command && outcome == Outcome::Failed {
            let tenant = tenant.name();
            tracing::error!(%tenant, query = what, cause = refusal.cause.word(), "not answered: {}", refusal.message);
        }
        match refusal.cause {
            Cause::Limited => metrics::rate_limited(tenant.name(), refusal.limit_of()),
            Cause::Overloaded | Cause::TooLarge | Cause::TimedOut => {
                metrics::rejected(refusal.cause.word());
            }
            Cause::Unauthenticated | Cause::Forbidden => {
                metrics::auth_refused(refusal.cause.word());
            }
            _ => {}
        }
        let is_audited = matches!(
            refusal.cause,
            Cause::Unauthenticated | Cause::Forbidden | Cause::Limited | Cause::TooLarge
        );
        if is_audited {
            self.audit.note(Refused {
                at: self.now(),
                tenant: tenant.name().to_string(),
                caller: caller.name.to_string(),
                via: caller.via,
                what: what.to_owned(),
                cause: refusal.cause.word(),
                message: refusal.message.clone(),
            });
        }
    }
}

/// Gives the reply to all who wait for the command.
fn finish(tenant: &Tenant, reply: Reply) {
    let ids = match &reply {
        Reply::Accepted(accepted) => Some(&accepted.ids),
        Reply::Answered(answered) => Some(&answered.ids),
        Reply::Refused(_, ids) => ids.as_ref(),
    };
    let Some(Ids { message, .. }) = ids else { return };
    let waiting = {
        let mut under_way = tenant.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.remove(message).map(|it| it.waiting).unwrap_or_default()
    };
    for done in waiting {
        done(reply.clone());
    }
}

/// The kind of aggregate that commands of a type are about.
fn kind_of(command_type: &'static str) -> &'static str {
    let kinds = ["Flake", "Package", "Module", "Overlay", "Configuration", "Project", "Expression"];
    kinds.into_iter().find(|kind| command_type.contains(kind)).unwrap_or("other")
}

fn patience(request: &Request, is_effect: bool) -> Duration {
    let limits = &request.tenant.in_use().limits;
    let own = match is_effect {
        true => limits.effect_seconds,
        false => limits.command_seconds,
    };
    let own = Duration::from_secs(own);
    request.patience.map_or(own, |asked| asked.min(own))
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("tenants", &self.tenants.keys()).finish_non_exhaustive()
    }
}
