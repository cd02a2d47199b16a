//! `cim-nix-alejandra`: alejandra 3.1 for `cim-nix fmt`, which starts it and ends it.
//!
//! A program of its own, since alejandra's library brings a memory allocator into every program that
//! it is a part of, and with that one evaluation would take a third more memory.
#![allow(clippy::disallowed_methods, reason = "the edge: here streams are met")]

use std::io::{self, BufWriter};
use std::process::ExitCode;
use std::thread;

use alejandra::format::{Status, in_memory};
use cim_nix_format::{Failure, child, settled};

/// It recurses on nested code, without a bound of its own.
const STACK: usize = 512 << 20;

fn main() -> ExitCode {
    let serve = || child::serve(io::stdin().lock(), BufWriter::new(io::stdout().lock()), answer);
    let served =
        thread::Builder::new().stack_size(STACK).spawn(serve).map(thread::JoinHandle::join);
    match served {
        Ok(Ok(Ok(()))) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn answer(text: &str) -> Result<String, Failure> {
    settled(text, |text| match in_memory(String::new(), text.to_owned()) {
        (Status::Error(message), _) => Err(Failure::new(message)),
        (Status::Changed(_), text) => Ok(text),
    })
}
