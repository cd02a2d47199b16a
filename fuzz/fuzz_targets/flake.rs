#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| cim_nix_fuzz::flake(data));
