//! Reads a message of another service from its standard input and says what it is about.
//!
//! The first argument is the subject that it came on:
//!
//! ```text
//! $ domain-library nix.event.flake.input_added < FlakeInputAdded.json
//! FlakeInputAdded: about flake-18310625-..., in the conversation 0198f7a2-..., with 9 headers
//! ```

use std::io::Read;
use std::process::ExitCode;

use cim_domain_nix::headers;
use cim_domain_nix::{Command, Event, Role, Subject};

fn describe(subject: &str, body: &str) -> Result<String, Box<dyn std::error::Error>> {
    let subject: Subject = subject.parse()?;
    let name = subject.message_type();
    Ok(match subject.role() {
        Role::Command => {
            let command = Command::read(name, body)?;
            let conversation = &command.identity().correlation_id;
            format!("{name}: for {}, in the conversation {conversation}", command.stream())
        }
        Role::Event => {
            // Without a header that says otherwise, an event has the shape that all services know.
            let event = Event::read(name, 1, body)?;
            let conversation = &event.identity().correlation_id;
            let n_headers = headers::of_event(&event, None)?.len();
            format!(
                "{name}: about {}, in the conversation {conversation}, with {n_headers} headers",
                event.stream()
            )
        }
        Role::Query => format!("{name}: a question about a {}", subject.kind()),
    })
}

fn main() -> ExitCode {
    let Some(subject) = std::env::args().nth(1) else {
        eprintln!("usage: domain-library SUBJECT < MESSAGE");
        return ExitCode::from(2);
    };
    let mut body = String::new();
    if let Err(error) = std::io::stdin().read_to_string(&mut body) {
        eprintln!("error: cannot read the message: {error}");
        return ExitCode::FAILURE;
    }
    match describe(&subject, &body) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
