//! The service on a real NATS server, asked by a client that shares no code with it.

#![allow(clippy::disallowed_methods, reason = "tests start servers and wait for them")]

mod about;
mod breaks;
mod docs;
mod foreign;
mod logins;
mod permissions;
mod python;
mod serving;
mod subjects;
mod world;
