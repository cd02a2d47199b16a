//! Limits: how often, how many at once, how much.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota};
use serde::Deserialize;

use crate::reply::{Cause, LimitOf, Refusal};

/// Seconds that a command may take at most: thirty days.
const LONGEST: u64 = 30 * 86_400;

/// What one tenant may use.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Limits {
    /// Requests a second of the whole tenant.
    pub requests_per_second: u32,
    /// Requests that may come at once after a pause.
    pub burst: u32,
    /// Requests a second of each caller.
    pub requests_per_second_per_caller: u32,
    /// Commands that may be under way at once; further ones wait, up to as many again.
    pub commands_at_once: usize,
    /// Of these, builds, evaluations, activations and the like.
    pub effects_at_once: usize,
    /// Seconds that a command may take.
    pub command_seconds: u64,
    /// Seconds that a build, an evaluation, an activation and the like may take.
    pub effect_seconds: u64,
    /// Bytes that the tenant's events may take.
    pub storage_bytes: u64,
    /// Seconds an hour that workers may run for the tenant.
    pub worker_seconds_per_hour: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_second: 20_000,
            burst: 20_000,
            requests_per_second_per_caller: 20_000,
            commands_at_once: 256,
            effects_at_once: 4,
            command_seconds: 30,
            effect_seconds: 3_600,
            storage_bytes: 64 << 30,
            worker_seconds_per_hour: 7_200,
        }
    }
}

impl Limits {
    /// Errors: a number that cannot be, with its name.
    pub fn check(&self) -> Result<(), String> {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let numbers = [
            ("requests-per-second", self.requests_per_second.into(), u64::MAX),
            ("burst", self.burst.into(), u64::MAX),
            (
                "requests-per-second-per-caller",
                self.requests_per_second_per_caller.into(),
                u64::MAX,
            ),
            ("commands-at-once", count(self.commands_at_once), u64::MAX),
            ("effects-at-once", count(self.effects_at_once), u64::MAX),
            ("command-seconds", self.command_seconds, LONGEST),
            ("effect-seconds", self.effect_seconds, LONGEST),
        ];
        for (name, number, most) in numbers {
            if number == 0 {
                return Err(format!("`{name}` is 0, so nothing would be done"));
            }
            if number > most {
                return Err(format!("`{name}` is {number}, more than {most}"));
            }
        }
        Ok(())
    }

    /// These limits with others in the place of some, by their names in settings.
    ///
    /// Errors: a name is unknown, or a value does not fit.
    pub fn with<'de, D: serde::Deserializer<'de>>(&self, some: D) -> Result<Self, D::Error> {
        macro_rules! some {
            ($($field:ident: $type:ty),*) => {{
                #[derive(Deserialize)]
                #[serde(deny_unknown_fields, rename_all = "kebab-case")]
                struct Given {
                    $(#[serde(default)] $field: Option<$type>,)*
                }
                let some = Given::deserialize(some)?;
                Ok(Self { $($field: some.$field.unwrap_or(self.$field),)* })
            }};
        }
        some!(
            requests_per_second: u32,
            burst: u32,
            requests_per_second_per_caller: u32,
            commands_at_once: usize,
            effects_at_once: usize,
            command_seconds: u64,
            effect_seconds: u64,
            storage_bytes: u64,
            worker_seconds_per_hour: u64
        )
    }
}

/// How often requests may come, for a tenant and for each of its callers.
pub(crate) struct Rates {
    tenant: DefaultDirectRateLimiter,
    callers: DefaultKeyedRateLimiter<Arc<str>>,
    clock: DefaultClock,
}

/// Callers of which something is remembered; names come from outside, so they must not add up.
const MOST_CALLERS: usize = 10_000;

impl Rates {
    pub(crate) fn new(limits: &Limits) -> Self {
        let quota = |per_second: u32, burst: u32| {
            let at_least_one = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
            Quota::per_second(at_least_one(per_second)).allow_burst(at_least_one(burst))
        };
        let of_caller = limits.requests_per_second_per_caller;
        Self {
            tenant: governor::RateLimiter::direct(quota(limits.requests_per_second, limits.burst)),
            callers: governor::RateLimiter::keyed(quota(of_caller, of_caller.min(limits.burst))),
            clock: DefaultClock::default(),
        }
    }

    /// Counts a request.
    ///
    /// Errors: it is one too many, with the time after which another one may pass.
    pub(crate) fn take(&self, caller: &Arc<str>) -> Result<(), Refusal> {
        let limited = |limit_of: LimitOf, wait: Duration| {
            let whose = if limit_of == LimitOf::Caller { "caller" } else { "tenant" };
            let refusal =
                Refusal::new(Cause::Limited, format!("too many requests of this {whose}"));
            Refusal { limit_of, ..refusal.after(wait.max(Duration::from_millis(1))) }
        };
        if let Err(not_yet) = self.callers.check_key(caller) {
            return Err(limited(LimitOf::Caller, not_yet.wait_time_from(self.clock.now())));
        }
        if self.callers.len() > MOST_CALLERS {
            self.callers.retain_recent();
        }
        if let Err(not_yet) = self.tenant.check() {
            return Err(limited(LimitOf::Tenant, not_yet.wait_time_from(self.clock.now())));
        }
        Ok(())
    }
}

/// How many may be in at once.
#[derive(Debug)]
pub(crate) struct Bulkhead {
    most: usize,
    inside: Arc<AtomicUsize>,
}

/// A place behind a bulkhead; free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

impl Bulkhead {
    pub(crate) fn new(most: usize) -> Self {
        Self { most: most.max(1), inside: Arc::default() }
    }

    /// A place, if there is one.
    pub(crate) fn enter(&self) -> Option<Place> {
        let more = |n: usize| (n < self.most).then_some(n + 1);
        let entered = self.inside.fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        entered.ok().map(|_| Place(self.inside.clone()))
    }

    pub(crate) fn inside(&self) -> usize {
        self.inside.load(Ordering::Acquire)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
