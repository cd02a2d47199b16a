//! What goes wrong on the way to JetStream, and whether it is worth trying again.

use std::fmt::Display;
use std::future::Future;
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, ErrorCode};
use cim_domain_nix::StoreError;

/// Why something did not work.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It may work in a moment: no connection, no leader, no answer.
    Passing(String),
    /// It will not.
    Final(StoreError),
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Final(error)
    }
}

pub(crate) fn passing(error: impl Display) -> Trouble {
    Trouble::Passing(error.to_string())
}

pub(crate) fn unavailable(problem: impl Into<String>, hint: impl Into<String>) -> StoreError {
    StoreError::Unavailable { problem: problem.into(), hint: Some(hint.into()) }
}

/// What an answer of the server with an error means.
pub(crate) fn judge(stream: &str, error: &jetstream::Error) -> Trouble {
    let says = error.to_string();
    let full = |hint: &str| {
        Trouble::Final(unavailable(
            format!("JetStream has no room for the stream `{stream}`: {says}"),
            hint,
        ))
    };
    match error.error_code() {
        ErrorCode::STREAM_NOT_FOUND => Trouble::Final(gone(stream)),
        ErrorCode::STREAM_STORE_FAILED if says.contains("maximum") => full(
            "what was stored is safe, and this was not stored; raise the stream's limit (`max_bytes`)",
        ),
        ErrorCode::STREAM_STORE_FAILED
        | ErrorCode::STORAGE_RESOURCES_EXCEEDED
        | ErrorCode::MEMORY_RESOURCES_EXCEEDED
        | ErrorCode::INSUFFICIENT_RESOURCES
        | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED => full(
            "what was stored is safe, and this was not stored; make room on the server's disk, or raise `max_file_store` or the account's limits",
        ),
        ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
            Trouble::Final(unavailable(
                "JetStream is not enabled for this account",
                "add `jetstream` to the server's configuration and to the account",
            ))
        }
        _ if error.code() >= 500 => Trouble::Passing(says),
        _ => Trouble::Final(StoreError::Unavailable {
            problem: format!("JetStream refuses a request for the stream `{stream}`: {says}"),
            hint: None,
        }),
    }
}

/// The stream is not there any more.
pub(crate) fn gone(stream: &str) -> StoreError {
    unavailable(
        format!("the stream `{stream}` is gone"),
        "somebody removed it: restore it (`nats stream restore`), or copy a backup of the store into a new one",
    )
}

/// Runs `attempt` until it works, is final, or `patience` is over.
pub(crate) async fn retry<T, F: Future<Output = Result<T, Trouble>>>(
    patience: Duration,
    what: &str,
    mut attempt: impl FnMut() -> F,
) -> Result<T, StoreError> {
    let mut pauses = Pauses::new(patience);
    loop {
        match attempt().await {
            Ok(answer) => return Ok(answer),
            Err(Trouble::Final(error)) => return Err(error),
            Err(Trouble::Passing(problem)) => {
                if !pauses.wait().await {
                    return Err(no_answer(what, &problem));
                }
                tracing::debug!(what, problem, "trying again");
            }
        }
    }
}

/// Nobody answered in time.
pub(crate) fn no_answer(what: &str, problem: &str) -> StoreError {
    unavailable(
        format!("cannot {what}: {problem}"),
        "see whether the NATS server runs and whether this user may use JetStream; asking again is harmless",
    )
}

/// Pauses that grow, differ, and end.
pub(crate) struct Pauses {
    deadline: Instant,
    next: Duration,
}

impl Pauses {
    pub(crate) fn new(patience: Duration) -> Self {
        Self { deadline: Instant::now() + patience, next: Duration::from_millis(5) }
    }

    /// Answers whether there is time for another attempt.
    pub(crate) async fn wait(&mut self) -> bool {
        let pause = self.next.mul_f64(0.5 + fastrand::f64());
        self.next = (self.next * 2).min(Duration::from_millis(500));
        if Instant::now() + pause >= self.deadline {
            return false;
        }
        tokio::time::sleep(pause).await;
        true
    }
}
