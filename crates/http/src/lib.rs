//! The Nix domain on HTTP: REST, event streams, an operations page.
