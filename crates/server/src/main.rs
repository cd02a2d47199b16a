//! `cim-nix-server`: the Nix domain on NATS and HTTP.
//!
//! Nothing here decides anything: it reads the configuration, opens stores, and joins the service
//! with what carries it.
#![allow(clippy::disallowed_methods, reason = "the edge: files, clock, environment, processes")]
#![forbid(unsafe_code)]

mod commands;
mod config;
mod copying;
mod healthcheck;
mod measured;
mod notify;
mod outcome;
mod reload;
mod send;
mod serve;
mod source;
mod stores;
mod upkeep;

use std::process::ExitCode;

use cim_nix_base::{Error, ErrorKind};

use crate::commands::Arguments;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Arguments::read().run() {
        Ok(code) => code,
        Err(error) => {
            say(&error);
            ExitCode::from(match error.kind() {
                ErrorKind::User | ErrorKind::Config => 2,
                _ => 3,
            })
        }
    }
}

#[expect(clippy::print_stderr, reason = "this is where errors end")]
fn say(error: &Error) {
    eprintln!("error: {}", error.chain());
    for hint in error.hints() {
        eprintln!("hint: {hint}");
    }
}
