//! The program as people run it: a configuration, a real broker, requests over HTTP and NATS.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests start programs, write files, and say what they skip"
)]

mod abuse;
mod breakers;
mod config;
mod examples;
mod journey;
mod life;
mod page;
mod receiver;
mod scene;
mod send;
mod trace;
mod trouble;
mod usage;
