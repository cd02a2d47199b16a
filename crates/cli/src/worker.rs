//! `cim-nix worker`: does one thing for a service, within bounds.
//!
//! Two processes: the outer one reads the request, makes the environment, and watches clock and
//! memory; the inner one does the work. However the inner one ends, the outer one ends all it has
//! started and answers. It ends with its standard input, so nothing outlives who asked.

mod code;
mod environment;
mod inside;
mod preflight;
mod spans;
mod supervise;

use std::io::{self, BufRead, BufReader, Read as _, Write as _};

use cim_nix_base::Error;
use cim_nix_host::protocol::{Failure, Line, REQUEST_LIMIT, Request, VERSION};
use clap::Args;

use crate::exit::Exit;

const EXAMPLES: &str = "\
Examples:
  cim-nix worker < request.json

It is what a service runs for each thing that it does not do itself. The request is one line of JSON;
docs/worker.md has its fields. The answers are lines of JSON, the last one is the result or an error.";

/// Do one thing for a service, within bounds
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct WorkerArgs {
    /// Do it in this process
    #[arg(long, hide = true)]
    inside: bool,
}

/// Errors: none; what goes wrong is an answer.
pub(crate) fn run(args: &WorkerArgs) -> Result<Exit, Error> {
    let answered = read_request().and_then(|(text, request)| match args.inside {
        true => inside::run(request),
        false => supervise::run(&text, &request),
    });
    match answered {
        Ok(()) => Ok(Exit::Clean),
        Err(error) => {
            say(&Line::Error { error: Failure::of(&error, None) });
            Ok(Exit::from(&error))
        }
    }
}

/// The request on standard input, as it is written and as it is meant.
///
/// Errors: there is none.
fn read_request() -> Result<(Vec<u8>, Request), Error> {
    let limit = REQUEST_LIMIT as u64 + 1;
    let mut text = Vec::new();
    // One buffer for all of it, so that nothing is taken from what comes after the line.
    let read = BufReader::with_capacity(1 << 16, io::stdin().lock().take(limit))
        .read_until(b'\n', &mut text);
    read.map_err(|error| Error::outside("cannot read standard input").because(error))?;
    if text.len() > REQUEST_LIMIT {
        return Err(Error::user(format!("the request is longer than {REQUEST_LIMIT} bytes")));
    }
    if text.last() != Some(&b'\n') {
        return Err(Error::user("the request is cut short: it has to be one line of JSON"));
    }
    let request: Request = serde_json::from_slice(&text)
        .map_err(|error| Error::user("the request cannot be read").because(error.to_string()))?;
    if request.version != VERSION {
        let found = request.version;
        return Err(Error::user(format!("the request has version {found}, and this is {VERSION}"))
            .hint("the service and `cim-nix` have to be of one release"));
    }
    let setup = &request.setup;
    for path in [&setup.root, &setup.state_home, &setup.cache_home] {
        if !path.is_absolute() {
            return Err(Error::user(format!("`{}` is no absolute path", path.display())));
        }
    }
    Ok((text, request))
}

/// Writes a line of the answer. Who does not listen does not get it.
fn say(line: &Line) {
    if let Ok(mut text) = serde_json::to_vec(line) {
        text.push(b'\n');
        say_text(&text);
    }
}

fn say_text(text: &[u8]) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text).and_then(|()| out.flush());
}
