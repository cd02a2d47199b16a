//! The store as its users meet it: on a disk, beside other processes, with things going wrong.

#![allow(clippy::disallowed_methods, reason = "these tests use real files")]
#![allow(clippy::unwrap_used, reason = "what a test cannot do fails it")]

mod contract;
mod disk;
mod faults;
mod files;
mod groups;
mod models;
mod power;
mod processes;
mod transfer;
mod upgrade;
