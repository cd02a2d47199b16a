//! Where requests of a tenant are taken and answered.
//!
//! Queries are answered in the task that takes them: each hand-over would cost as much as the answer
//! itself. Commands go to threads of the service, and their replies come back through one queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_nats::{HeaderMap, Message, Subscriber};
use bytes::Bytes;
use cim_domain_nix::headers::{self, Headers};
use cim_domain_nix::{Role as For, Subject};
use cim_nix_service::{
    Caller, Cause, Message as Read, Refusal, Refused, Reply, Request, Service, Tenant, Wish,
    metrics::{self, Outcome},
};
use futures_util::StreamExt as _;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

use crate::connection::Connection;
use crate::space::Place;
use crate::stats::Stats;
use crate::wire::{self, Answer, Wishes};

/// Lines of progress that may wait; further ones are dropped, as newer ones say more.
const MOST_PROGRESS: usize = 4_096;

/// Something to publish when its turn comes.
pub(crate) enum Post {
    /// The reply to a command.
    Reply {
        asked: Box<Asked>,
        reply: Reply,
        /// The command's place among those that are under way.
        place: Option<OwnedSemaphorePermit>,
    },
    /// A line about a command that goes on.
    Progress { subject: String, headers: HeaderMap, line: String, waiting: Arc<AtomicUsize> },
}

/// What has to be known of a request when its reply comes.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) to: Option<async_nats::Subject>,
    subject: async_nats::Subject,
    endpoint: Option<usize>,
    headers: Headers,
    trace: Option<String>,
    began: Instant,
    /// Ends when the reply is on its way.
    span: Span,
}

/// Takes and answers the requests of one tenant.
pub(crate) struct Desk {
    pub(crate) service: Arc<Service>,
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) place: Place,
    pub(crate) caller: Caller,
    pub(crate) connection: Connection,
    pub(crate) posts: UnboundedSender<Post>,
    pub(crate) in_flight: Arc<Semaphore>,
    pub(crate) stats: Arc<Stats>,
    pub(crate) reply_prefixes: Vec<String>,
    /// The queue group.
    pub(crate) queue: String,
    pub(crate) waiting_progress: Arc<AtomicUsize>,
}

impl Desk {
    /// Takes what comes until `stop`, and then what had come before.
    pub(crate) async fn serve(self: Arc<Self>, mut requests: Subscriber, stop: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                next = requests.next() => match next {
                    Some(message) => self.take(message).await,
                    None => return,
                },
                () = stop.cancelled() => break,
            }
        }
        if requests.drain().await.is_err() {
            return;
        }
        // The server sends what it had for us; without one nothing comes any more.
        let rest = async {
            while let Some(message) = requests.next().await {
                self.take(message).await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(2), rest).await;
    }

    /// Takes one request. That of a query is answered when this returns.
    async fn take(&self, message: Message) {
        let began = Instant::now();
        let Message { subject, reply: to, payload, headers, .. } = message;
        let known = self.place.relative(&subject).and_then(|text| self.stats.find(text));
        let endpoint = known.map(|(place, _)| place);
        let mut asked = Box::new(Asked {
            to,
            subject,
            endpoint,
            headers: Headers::default(),
            trace: None,
            began,
            span: Span::none(),
        });
        if let Some(to) = &asked.to
            && !may_answer(&self.reply_prefixes, to)
        {
            let to = asked.to.take();
            self.refuse_to_speak(&asked, to.as_deref().unwrap_or_default());
            return;
        }
        let request = wire::wishes(headers.as_ref()).and_then(|wishes| {
            asked.headers = wishes.headers.clone();
            asked.trace.clone_from(&wishes.trace);
            self.request(&asked.subject, known.map(|(_, subject)| subject), &payload, wishes)
        });
        match request {
            Err(refusal) => {
                self.note(&asked, &refusal);
                self.answer(&asked, &Reply::Refused(refusal, None)).await;
            }
            Ok(request) if matches!(request.message.wish, Wish::Query(_)) => {
                // A span costs as much as the answer: it is made for whoever looks at it.
                if request.trace.is_some() {
                    asked.span = self.span(&asked.subject, &request, payload.len());
                }
                let inside = asked.span.clone();
                let reply = inside.in_scope(|| self.query(request));
                self.answer(&asked, &reply).await;
            }
            Ok(mut request) => {
                asked.span = self.span(&asked.subject, &request, payload.len());
                // The handler belongs to this span.
                let own = asked.span.in_scope(|| self.service.trace());
                request.trace = own.or(request.trace);
                self.place_of(request, asked).await;
            }
        }
    }

    /// Hands a command on, if there is a place for it.
    async fn place_of(&self, request: Request, asked: Box<Asked>) {
        match self.in_flight.clone().try_acquire_owned() {
            Ok(place) => self.command(request, asked, place),
            Err(_) => {
                let refusal = Refusal::new(
                    Cause::Overloaded,
                    "too many commands of this tenant are under way over NATS",
                )
                .after(Duration::from_millis(200));
                let ids = Some(request.message.ids);
                metrics::rejected("overloaded");
                self.answer(&asked, &Reply::Refused(refusal, ids)).await;
            }
        }
    }

    /// The span of one request, as conventions of OpenTelemetry have it for messages.
    fn span(&self, subject: &str, request: &Request, n_bytes: usize) -> Span {
        let known = self.place.relative(subject).unwrap_or(subject);
        let ids = &request.message.ids;
        tracing::info_span!(
            "nats",
            otel.name = %format_args!("process {known}"),
            otel.kind = "consumer",
            otel.status_code = tracing::field::Empty,
            otel.status_description = tracing::field::Empty,
            "error.type" = tracing::field::Empty,
            traceparent = request.trace.as_deref(),
            messaging.system = "nats",
            messaging.operation.name = "process",
            "messaging.operation.type" = "process",
            messaging.destination.name = subject,
            messaging.consumer.group.name = &*self.queue,
            messaging.message.id = %ids.message,
            messaging.message.conversation_id = %ids.correlation,
            messaging.message.body.size = n_bytes,
            tenant = %self.tenant.name(),
        )
    }

    fn request(
        &self,
        text: &str,
        subject: Option<Subject>,
        body: &[u8],
        wishes: Wishes,
    ) -> Result<Request, Refusal> {
        let subject = subject.ok_or_else(|| unknown(text, &self.place))?;
        let message = Read::read(
            subject.message_type(),
            body,
            &wishes.headers,
            self.service.size(),
            &mut || self.service.new_id(),
        )?;
        let mut request = Request::new(self.tenant.clone(), self.caller.clone(), message);
        request.expected = wishes.expected;
        request.is_dry_run = wishes.is_dry_run;
        request.patience = wishes.patience;
        request.trace = wishes.trace;
        Ok(request)
    }

    /// Answers a query here and now.
    fn query(&self, request: Request) -> Reply {
        let ids = request.message.ids.clone();
        let (tell, mut told) = tokio::sync::oneshot::channel();
        let submit = std::panic::AssertUnwindSafe(|| {
            self.service.submit(request, move |reply| {
                // Whoever waits is a few lines below.
                let _ = tell.send(reply);
            });
        });
        let failed = || {
            Refusal::new(Cause::Bug, "the handler of this query failed")
                .hint("please report what the log says of it")
        };
        if std::panic::catch_unwind(submit).is_err() {
            return Reply::Refused(failed(), Some(ids));
        }
        told.try_recv().unwrap_or_else(|_| Reply::Refused(failed(), Some(ids)))
    }

    /// Hands a command to the service.
    fn command(&self, mut request: Request, asked: Box<Asked>, place: OwnedSemaphorePermit) {
        request.progress = Some(self.progress(&request));
        let posts = self.posts.clone();
        self.service.submit(request, move |reply| {
            // The queue is gone only when nobody is left who could publish.
            let _ = posts.send(Post::Reply { asked, reply, place: Some(place) });
        });
    }

    /// What publishes the progress of a command, on `nix.progress.ID`.
    fn progress(&self, request: &Request) -> Arc<dyn Fn(&str) + Send + Sync> {
        let ids = &request.message.ids;
        let subject = self.place.subject(&format!("nix.progress.{}", ids.message));
        let mut map = HeaderMap::new();
        map.insert(headers::CORRELATION_ID, wire::value(&ids.correlation.to_string()));
        map.insert(headers::CAUSATION_ID, wire::value(&ids.message.to_string()));
        map.insert(headers::DOMAIN, wire::value("nix"));
        if let Some(trace) = &request.trace {
            map.insert(wire::TRACE, wire::value(trace));
        }
        let (posts, waiting) = (self.posts.clone(), self.waiting_progress.clone());
        Arc::new(move |line: &str| {
            if waiting.fetch_add(1, Ordering::Relaxed) >= MOST_PROGRESS {
                waiting.fetch_sub(1, Ordering::Relaxed);
                return;
            }
            let post = Post::Progress {
                subject: subject.clone(),
                headers: map.clone(),
                line: line.to_owned(),
                waiting: waiting.clone(),
            };
            // As with replies.
            let _ = posts.send(post);
        })
    }

    /// Publishes replies and progress in the order in which they come, until `over`, and then what
    /// had come before.
    pub(crate) async fn post(
        self: Arc<Self>,
        mut posts: UnboundedReceiver<Post>,
        over: CancellationToken,
    ) {
        loop {
            let next = tokio::select! {
                biased;
                next = posts.recv() => next,
                () = over.cancelled() => {
                    posts.close();
                    continue;
                }
            };
            match next {
                None => return,
                Some(Post::Reply { asked, reply, place }) => {
                    self.answer(&asked, &reply).await;
                    drop(place);
                }
                Some(Post::Progress { subject, headers, line, waiting }) => {
                    waiting.fetch_sub(1, Ordering::Relaxed);
                    let client = &self.connection.client;
                    let sent =
                        client.publish_with_headers(subject, headers, Bytes::from(line)).await;
                    if let Err(error) = sent {
                        tracing::debug!("progress is not published: {error}");
                    }
                }
            }
        }
    }

    async fn answer(&self, asked: &Asked, reply: &Reply) {
        let refusal = reply.refusal();
        let error = refusal.map(|refusal| &*refusal.message);
        self.stats.count(asked.endpoint, asked.began.elapsed(), error);
        if let Some(refusal) = refusal.filter(|_| Outcome::of(reply) == Outcome::Failed) {
            asked.span.record("error.type", refusal.cause.word());
            asked.span.record("otel.status_code", "error");
            asked.span.record("otel.status_description", &*refusal.message);
        }
        let Some(to) = &asked.to else {
            // A span ends when it is left for the last time.
            let _inside = asked.span.enter();
            if let Some(refusal) = refusal {
                tracing::warn!(
                    tenant = %self.tenant.name(), subject = %asked.subject, cause = refusal.cause.word(),
                    "refused, and nobody waits for the reply: {}", refusal.message
                );
            }
            return;
        };
        let client = &self.connection.client;
        let id = self.service.new_id();
        let trace = asked.trace.as_deref();
        let Answer { headers, body } =
            wire::answer(reply, &asked.headers, trace, id, client.max_payload());
        let publishing = client.publish_with_headers(to.clone(), headers, body);
        if let Err(error) = publishing.instrument(asked.span.clone()).await {
            tracing::warn!(tenant = %self.tenant.name(), subject = %asked.subject, "a reply is lost: {error}");
        }
    }

    fn refuse_to_speak(&self, asked: &Asked, to: &str) {
        let shown: String = to.chars().take(100).collect();
        let refusal = Refusal::new(
            Cause::Forbidden,
            format!("a reply to `{}` was asked for, and nothing was done", shown.escape_debug()),
        );
        self.stats.count(asked.endpoint, asked.began.elapsed(), Some(&refusal.message));
        self.note(asked, &refusal);
    }

    /// Notes what was refused before the service saw it.
    fn note(&self, asked: &Asked, refusal: &Refusal) {
        let reason = refusal.cause.word();
        metrics::rejected(reason);
        if refusal.cause == Cause::Forbidden {
            metrics::auth_refused("reply_subject");
        }
        if !matches!(refusal.cause, Cause::Forbidden | Cause::TooLarge) {
            return;
        }
        self.service.audit().note(Refused {
            at: self.service.now(),
            tenant: self.tenant.name().to_string(),
            caller: self.caller.name.to_string(),
            via: self.caller.via,
            what: asked.subject.chars().take(100).collect(),
            cause: reason,
            message: refusal.message.clone(),
        });
    }
}

/// Whether a reply may go to `to`. A caller names the subject, and the service may publish where
/// callers may not: it must not be made to send commands or events for them.
pub(crate) fn may_answer(prefixes: &[String], to: &str) -> bool {
    let is_allowed = |prefix: &String| {
        to.strip_prefix(&**prefix).is_some_and(|rest| rest.starts_with(['.', '_', '-']))
    };
    prefixes.iter().any(is_allowed)
}

/// The refusal of a subject that is none, with those that there are.
fn unknown(text: &str, place: &Place) -> Refusal {
    let relative = place.relative(text).unwrap_or(text);
    let role = match relative.starts_with("nix.query.") {
        true => For::Query,
        false => For::Command,
    };
    let known: Vec<&str> =
        Subject::every().filter(|subject| subject.role() == role).map(Subject::as_str).collect();
    let shown: String = relative.chars().take(60).collect();
    Refusal::new(Cause::NotFound, format!("nothing is served on `{}`", shown.escape_debug()))
        .hint(format!("subjects are {}", known.join(", ")))
}
