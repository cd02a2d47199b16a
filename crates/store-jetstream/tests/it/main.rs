//! The store beside real servers of NATS, with things going wrong.

#![allow(clippy::disallowed_methods, reason = "these tests run programs and use real files")]
#![allow(clippy::unwrap_used, reason = "what a test cannot do fails it")]
#![allow(clippy::print_stdout, reason = "tests show it when they fail")]

mod contract;
mod crashes;
mod damage;
mod ids;
mod limits;
mod models;
mod page;
mod proxy;
mod samples;
mod server;
