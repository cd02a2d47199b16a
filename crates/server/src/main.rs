//! `cim-nix-server`: the service on NATS and HTTP.

fn main() {}
