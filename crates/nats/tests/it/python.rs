//! The client in Python, line by line.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use cim_nix_rig::python_with_nats;
use serde_json::{Value, json};

/// A client that shares no code with ours.
pub(crate) struct Python {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Python {
    /// Starts one, connected to `url`; `None`, said aloud, where there is none.
    pub(crate) fn connect(url: &str) -> Option<Self> {
        let mut python = Self::start()?;
        let answer = python.call(json!({ "op": "connect", "servers": [url] }));
        assert_eq!(answer, json!({ "ok": true }));
        Some(python)
    }

    /// Starts one that is not connected yet.
    pub(crate) fn start() -> Option<Self> {
        let mut child = Command::new(python_with_nats()?)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/client.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it was just asked for a module");
        let input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        Some(Self { child, input, output })
    }

    /// Does one thing.
    pub(crate) fn call(&mut self, wish: Value) -> Value {
        writeln!(self.input, "{wish}").expect("it listens");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it answers");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{wish} gave `{line}`"))
    }

    pub(crate) fn request(&mut self, subject: &str, body: &str, headers: Value) -> Answer {
        let wish = json!({ "op": "request", "subject": subject, "body": body, "headers": headers });
        Answer::of(self.call(wish))
    }

    pub(crate) fn subscribe(&mut self, subject: &str) {
        let answer = self.call(json!({ "op": "subscribe", "subject": subject }));
        assert_eq!(answer["ok"], true, "{answer}");
    }

    pub(crate) fn next(&mut self, subject: &str) -> Answer {
        Answer::of(self.call(json!({ "op": "next", "subject": subject })))
    }

    /// Everything that came, until nothing does for a while.
    pub(crate) fn gather(&mut self, subject: &str) -> Vec<Answer> {
        let all = self.call(json!({ "op": "gather", "subject": subject }));
        let all = all["messages"].as_array().unwrap_or_else(|| panic!("{all}")).clone();
        all.into_iter().map(Answer::of).collect()
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A message as the client saw it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) subject: String,
    pub(crate) headers: Value,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Answer {
    fn of(seen: Value) -> Self {
        let text = seen["body"].as_str().unwrap_or_else(|| panic!("no message: {seen}"));
        Self {
            subject: seen["subject"].as_str().expect("a subject").to_owned(),
            headers: seen["headers"].clone(),
            body: serde_json::from_str(text).unwrap_or_default(),
            text: text.to_owned(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].as_str().unwrap_or_default()
    }
}
