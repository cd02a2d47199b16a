//! NATS servers, clusters of them and bad networks, for tests.
//!
//! Servers are real ones: `CIM_NIX_NATS_SERVER` names the program, or `nats-server` is on `PATH`.
//! Where there is none, a test says that it is skipped; with `CI=true` it fails. Each server has free
//! ports and a folder of its own, and dies with the value that stands for it, also when the test
//! panics.
//!
//! ```no_run
//! use cim_nix_rig::{Nats, Proxy, Setup};
//!
//! let Some(mut nats) = Nats::start(Setup::jetstream()) else { return };
//! let proxy = Proxy::start(nats.port());
//! // A client of `proxy.url()` ...
//! proxy.cut();
//! nats.kill();
//! nats.restart();
//! ```

#![forbid(unsafe_code)]
#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "for tests: it starts programs, waits, and says what is skipped"
)]

mod cluster;
mod find;
mod nats;
mod proxy;
#[cfg(test)]
mod tests;

pub use cluster::Cluster;
pub use find::{nats_server, python_with_nats};
pub use nats::{Nats, Setup};
pub use proxy::{Proxy, Storm};
