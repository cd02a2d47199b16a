//! Circuit breakers: who fails again and again is left alone for a while, so that callers get a
//! quick answer and the one that fails gets time.
//!
//! A breaker is closed (calls pass), open (they are refused), or half open: when its time is over,
//! one call passes as a probe, and its end decides. Each time a probe fails the next pause is twice
//! as long, up to a limit, with jitter, so that many instances do not probe in step. A call that
//! takes too long counts as failed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;

/// When breakers open, and for how long.
#[derive(Clone, Copy, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct BreakerSettings {
    /// Failures in a row that open a breaker.
    pub failures: u32,
    /// Of the last twenty calls, how many may fail before it opens, if they do not in a row.
    pub failures_of_twenty: u32,
    /// Seconds that a call may take before it counts as failed.
    pub slow_seconds: f64,
    /// Seconds of the first pause.
    pub pause_seconds: f64,
    /// Seconds of the longest pause.
    pub longest_pause_seconds: f64,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            failures: 5,
            failures_of_twenty: 10,
            slow_seconds: 600.0,
            pause_seconds: 1.0,
            longest_pause_seconds: 60.0,
        }
    }
}

impl BreakerSettings {
    /// Errors: a number that cannot be, with its name.
    pub fn check(&self) -> Result<(), String> {
        if self.failures == 0 {
            return Err("`failures` is 0, so nothing would be tried".to_owned());
        }
        if !(1..=20).contains(&self.failures_of_twenty) {
            return Err(format!(
                "`failures-of-twenty` is {}, not 1 to 20",
                self.failures_of_twenty
            ));
        }
        let times = [
            ("slow-seconds", self.slow_seconds),
            ("pause-seconds", self.pause_seconds),
            ("longest-pause-seconds", self.longest_pause_seconds),
        ];
        // That excludes what is no number, too.
        let is_good = |seconds: f64| seconds > 0.0 && seconds <= 86_400.0;
        if let Some((name, seconds)) = times.iter().find(|(_, seconds)| !is_good(*seconds)) {
            return Err(format!("`{name}` is {seconds}, not more than 0 and at most a day"));
        }
        match self.pause_seconds <= self.longest_pause_seconds {
            true => Ok(()),
            false => Err("`pause-seconds` is more than `longest-pause-seconds`".to_owned()),
        }
    }
}

/// What a breaker lets pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BreakerState {
    /// Everything.
    Closed,
    /// One call, as a probe.
    HalfOpen,
    /// Nothing.
    Open,
}

impl BreakerState {
    /// Its name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half_open",
            Self::Open => "open",
        }
    }
}

#[derive(Debug)]
struct Inner {
    /// The last twenty calls, the newest in the lowest bit; 1 for a failure.
    recent: u32,
    in_a_row: u32,
    /// Until when it is open.
    until: Option<Instant>,
    pause: Duration,
    /// Whether a probe is under way.
    is_probing: bool,
    n_trips: u64,
}

/// A breaker around one dependency.
#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    inner: Mutex<Inner>,
}

/// Leave for one call, which must tell how it ended.
#[derive(Debug)]
#[must_use]
pub struct Leave {
    breaker: Arc<Breaker>,
    began: Instant,
    is_told: bool,
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(60))
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(settings: BreakerSettings) -> Self {
        let inner = Inner {
            recent: 0,
            in_a_row: 0,
            until: None,
            pause: seconds(settings.pause_seconds),
            is_probing: false,
            n_trips: 0,
        };
        Self { settings, inner: Mutex::new(inner) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for leave to call at the moment `now`.
    ///
    /// Errors: it is open, for that much longer.
    pub fn ask(self: &Arc<Self>, now: Instant) -> Result<Leave, Duration> {
        let mut inner = self.inner();
        if let Some(until) = inner.until {
            if now < until {
                return Err(until - now);
            }
            if inner.is_probing {
                return Err(inner.pause.min(Duration::from_secs(1)));
            }
            inner.is_probing = true;
        }
        Ok(Leave { breaker: self.clone(), began: now, is_told: false })
    }

    /// How long it lets nothing pass from the moment `now` on, if it is open.
    #[must_use]
    pub fn pause(&self, now: Instant) -> Option<Duration> {
        self.inner().until.filter(|until| now < *until).map(|until| until - now)
    }

    /// What it lets pass at the moment `now`.
    #[must_use]
    pub fn state(&self, now: Instant) -> BreakerState {
        match self.inner().until {
            None => BreakerState::Closed,
            Some(until) if now < until => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    /// How often it opened.
    #[must_use]
    pub fn n_trips(&self) -> u64 {
        self.inner().n_trips
    }

    fn ended(&self, is_failure: bool, began: Instant, now: Instant, jitter: f64) {
        let is_failure = is_failure
            || now.saturating_duration_since(began) > seconds(self.settings.slow_seconds);
        let mut inner = self.inner();
        inner.recent = ((inner.recent << 1) | u32::from(is_failure)) & 0xf_ffff;
        inner.in_a_row = if is_failure { inner.in_a_row + 1 } else { 0 };
        let was_probe = inner.is_probing;
        inner.is_probing = false;
        match (inner.until, is_failure) {
            (Some(_), false) if was_probe => {
                // It works again.
                inner.until = None;
                inner.recent = 0;
                inner.pause = seconds(self.settings.pause_seconds);
            }
            (Some(_), true) if was_probe => {
                let longest = seconds(self.settings.longest_pause_seconds);
                inner.pause = (inner.pause * 2).min(longest);
                inner.until = Some(now + inner.pause.mul_f64(jitter));
            }
            (None, true) => {
                let too_many = inner.recent.count_ones() >= self.settings.failures_of_twenty;
                if inner.in_a_row >= self.settings.failures || too_many {
                    inner.n_trips += 1;
                    inner.until = Some(now + inner.pause.mul_f64(jitter));
                }
            }
            _ => {}
        }
    }
}

impl Leave {
    /// Says how the call ended. `jitter` is a number from 0.5 to 1 that nobody can foresee.
    pub fn tell(mut self, is_failure: bool, now: Instant, jitter: f64) {
        self.is_told = true;
        self.breaker.ended(is_failure, self.began, now, jitter.clamp(0.5, 1.0));
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        if !self.is_told {
            // The caller gave up or panicked: nothing is known of the dependency.
            self.breaker.inner().is_probing = false;
        }
    }
}

/// Breakers by the name of what they are around.
#[derive(Debug)]
pub struct Breakers {
    settings: BreakerSettings,
    by_name: Mutex<BTreeMap<String, Arc<Breaker>>>,
}

/// Dependencies with a breaker of their own; hosts come from outside, so they must not add up.
const MOST: usize = 1_000;

impl Breakers {
    /// None yet.
    #[must_use]
    pub fn new(settings: BreakerSettings) -> Self {
        Self { settings, by_name: Mutex::default() }
    }

    /// The breaker around `name`.
    #[must_use]
    pub fn of(&self, name: &str) -> Arc<Breaker> {
        let mut by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = by_name.get(name) {
            return known.clone();
        }
        let new = Arc::new(Breaker::new(self.settings));
        if by_name.len() < MOST {
            by_name.insert(name.to_owned(), new.clone());
        }
        new
    }

    /// All of them, by name.
    #[must_use]
    pub fn all(&self) -> Vec<(String, Arc<Breaker>)> {
        let by_name = self.by_name.lock().unwrap_or_else(PoisonError::into_inner);
        by_name.iter().map(|(name, breaker)| (name.clone(), breaker.clone())).collect()
    }
}
