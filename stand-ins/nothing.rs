//! Nothing: nixpkgs-fmt's library names nothing of the crate that this stands in for.
