//! What was served: by subject, for the answers about the service itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cim_domain_nix::{Role, Subject};

/// What came on one subject since the service began.
#[derive(Debug, Default)]
pub(crate) struct Endpoint {
    pub(crate) requests: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) nanos: AtomicU64,
    pub(crate) last_error: Mutex<String>,
}

/// All subjects that are served.
#[derive(Debug)]
pub(crate) struct Stats {
    endpoints: Vec<(Subject, Endpoint)>,
    /// Requests on subjects that are none.
    pub(crate) unknown: AtomicU64,
    /// Events that were published.
    pub(crate) published: AtomicU64,
    /// Events that no subject is for, or that the server takes in no size.
    pub(crate) passed_over: AtomicU64,
    /// Events of other domains that were kept.
    pub(crate) foreign: AtomicU64,
}

impl Stats {
    pub(crate) fn new() -> Self {
        let served = Subject::every().filter(|subject| subject.role() != Role::Event);
        Self {
            endpoints: served.map(|subject| (subject, Endpoint::default())).collect(),
            unknown: AtomicU64::default(),
            published: AtomicU64::default(),
            passed_over: AtomicU64::default(),
            foreign: AtomicU64::default(),
        }
    }

    /// The subject with this text, and its place in [`all`](Self::all).
    pub(crate) fn find(&self, text: &str) -> Option<(usize, Subject)> {
        let place = self.endpoints.iter().position(|(subject, _)| subject.as_str() == text)?;
        Some((place, self.endpoints[place].0))
    }

    pub(crate) fn all(&self) -> &[(Subject, Endpoint)] {
        &self.endpoints
    }

    /// Counts a request on the subject at `place`.
    pub(crate) fn count(&self, place: Option<usize>, took: Duration, error: Option<&str>) {
        let Some((_, endpoint)) = place.and_then(|place| self.endpoints.get(place)) else {
            self.unknown.fetch_add(1, Ordering::Relaxed);
            return;
        };
        endpoint.requests.fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        endpoint.nanos.fetch_add(nanos, Ordering::Relaxed);
        if let Some(error) = error {
            endpoint.errors.fetch_add(1, Ordering::Relaxed);
            error.clone_into(
                &mut endpoint.last_error.lock().unwrap_or_else(PoisonError::into_inner),
            );
        }
    }
}
