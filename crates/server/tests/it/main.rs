//! The program as people run it: a configuration, a real broker, requests over HTTP and NATS.

mod config;
mod journey;
mod life;
mod scene;
