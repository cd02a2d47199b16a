//! Serves commands and queries of many callers, whatever carries them.
//!
//! A [`Service`] has tenants; each has a store, a world outside and limits of its own. Adapters
//! (NATS, HTTP) find out who asks and for what, and hand a [`Request`] to [`Service::submit`]; the
//! [`Reply`] comes once, whatever happens.
//!
//! # What each request passes
//!
//! 1. [`Message::read`] refuses what is too large, too deep or malformed.
//! 2. Rates of the caller and of the tenant, the caller's role, the tenant's quotas.
//! 3. Queries are answered at once, from read models. Commands pass the tenant's bulkheads and wait
//!    for a thread, which tenants have in turn; what waits too long is refused before it begins.
//! 4. A command that was run before is not run again: its events' ids follow from its own, and what
//!    came of it is answered. One that is sent again while it runs gets the reply of the first.
//! 5. What is called outside stands behind breakers and, where it only looks, is tried again.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "limits are about time; it waits between attempts")]

mod audit;
mod breaker;
mod caller;
mod guard;
mod ids;
mod limits;
mod message;
pub mod metrics;
mod pool;
mod reply;
mod running;
mod service;
mod tenant;
#[cfg(test)]
mod tests;
mod token;

pub use audit::{Audit, Refused};
pub use breaker::{Breaker, BreakerSettings, BreakerState, Breakers, Leave};
pub use caller::{Caller, Role};
pub use guard::DEPENDENCIES;
pub use limits::Limits;
pub use message::{Message, Size, Wish};
pub use reply::{Accepted, Answered, Cause, EventRef, Ids, LimitOf, Refusal, Reply};
pub use service::{BreakerHealth, Health, Progress, Request, Service, ServiceSettings};
pub use tenant::{Keeps, Tenant, TenantHealth, TenantParts, check_name};
pub use token::{
    Known, PREFIX as TOKEN_PREFIX, TokenEntry, Tokens, hash as hash_token,
    of_random as token_of_random,
};
