//! The Nix domain on HTTP: REST, event streams, an operations page.
//!
//! [`Server::bind`] takes an address, [`Server::serve`] answers until it is told to stop. What is
//! asked is handed to a [`Service`](cim_nix_service::Service); this crate knows how requests look,
//! who may ask (bearer tokens, certificates of clients), and what a connection may do.
//!
//! # What each request passes
//!
//! 1. Limits of the connection: how many there are, how long a head may take, how large it is.
//! 2. Who asks. Nobody learns which paths or tenants there are without saying who they are.
//! 3. The route, the tenant, the type and the size of the body.
//! 4. The service, with limits of its own.
//!
//! Every answer that is no success is a problem in JSON (RFC 9457).

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "it listens, measures time and reads certificates")]

mod auth;
mod commands;
mod events;
mod feed;
mod front;
mod health;
mod openapi;
mod page;
mod problem;
mod proxies;
mod queries;
mod request;
mod routes;
mod serve;
mod settings;
mod shares;
mod sse;
mod stall;
mod tls;

pub use openapi::openapi;
pub use proxies::{ForwardedBy, Network};
pub use serve::{Handle, Parts, Server, Version, check_settings};
pub use settings::{ClientEntry, Settings, TlsSettings};
