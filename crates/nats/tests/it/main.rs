//! The service on a real NATS server, asked by a client that shares no code with it.

#![allow(clippy::disallowed_methods, reason = "tests start servers and wait for them")]

mod python;
mod subjects;
mod world;
