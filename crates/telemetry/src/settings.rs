//! What an operator can say about logs and traces. Metrics have nothing to set: they are always
//! counted, and whoever wants them asks.

use std::path::PathBuf;
use std::time::Duration;

use cim_nix_base::Error;
use serde::Deserialize;

/// The settings of this crate, as a section of the program's configuration file.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// What is logged, and how.
    pub log: Log,
    /// Where traces go.
    pub traces: Traces,
}

/// What is logged, and how.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Log {
    /// `json` for machines, one object a line; `human` for people.
    pub format: Format,
    /// What is logged: a level, and levels for single targets (`info,cim_nix_nats=debug`).
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: Format::Json, filter: "info".to_owned() }
    }
}

/// What a log line looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// One JSON object a line.
    #[default]
    Json,
    /// Time, level, message, and fields as `name=value`.
    Human,
}

/// Where traces go.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Traces {
    /// The OTLP/gRPC address of a collector (`http://127.0.0.1:4317`). Without it there are none.
    pub endpoint: Option<String>,
    /// The part of the traces begun here that is kept, from 0 to 1. Traces that were begun
    /// elsewhere are kept if whoever began them keeps them.
    pub ratio: f64,
    /// Certificates that the collector's is checked with, as PEM; the system's without it.
    pub ca_file: Option<PathBuf>,
    /// A file with a token that the collector asks for (`Authorization: Bearer`).
    pub token_file: Option<PathBuf>,
    /// How long one delivery may take, in seconds.
    pub timeout_seconds: u32,
}

impl Default for Traces {
    fn default() -> Self {
        Self { endpoint: None, ratio: 1.0, ca_file: None, token_file: None, timeout_seconds: 5 }
    }
}

impl Traces {
    /// Errors: a number that cannot be.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match (0.0..=1.0).contains(&self.ratio) {
            true => Ok(()),
            false => Err(Error::config(format!(
                "`ratio` of traces is {}, not between 0 and 1",
                self.ratio
            ))),
        }
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.timeout_seconds.max(1)))
    }
}

/// Who writes the logs and traces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The service, such as `cim-nix-server`.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Which of its instances.
    pub instance: String,
}
