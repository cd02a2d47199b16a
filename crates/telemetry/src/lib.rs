//! Logs, metrics and traces of the service, as operators collect them.
