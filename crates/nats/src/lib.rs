//! The Nix domain on NATS: subjects, permissions, serving, publishing.
