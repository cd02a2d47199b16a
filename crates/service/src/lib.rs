//! Serves commands and queries to many callers, whatever carries them.

pub mod metrics;
