//! What must hold for any input.
//!
//! Each function takes bytes, makes of them what it tests, and panics if a property does not hold.
//! The targets below `fuzz/` hand them what a coverage-guided fuzzer invents; the tests here hand
//! them a bounded number of texts from a seeded generator, so that every test run fuzzes a little.

mod messages;
mod names;
mod properties;
mod soup;
mod values;

pub use messages::{message, message_soup};
pub use names::name_soup;
pub use properties::{check, edit, evaluate, fix, flake, format, lower, parse, rename};
pub use soup::{Random, flake as flake_of, soup, value_soup};
pub use values::values;

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `property` on texts that a seed gives: token soup and mutated programs.
    fn run(property: fn(&[u8]), count: u64) {
        for seed in 0..count {
            let text = soup(seed);
            let outcome = std::panic::catch_unwind(|| property(text.as_bytes()));
            assert!(outcome.is_ok(), "seed {seed}: {text:?}");
        }
    }

    #[test]
    fn reading_any_value() {
        for seed in 0..3_000 {
            let text = value_soup(seed);
            let outcome = std::panic::catch_unwind(|| values(text.as_bytes()));
            assert!(outcome.is_ok(), "seed {seed}: {text:?}");
        }
        run(values, 1_000);
    }

    #[test]
    fn parsing_any_text() {
        run(parse, 4_000);
    }

    #[test]
    fn lowering_any_text() {
        run(lower, 4_000);
    }

    #[test]
    fn evaluating_any_text() {
        run(evaluate, 1_000);
    }

    #[test]
    fn editing_any_text() {
        run(edit, 2_000);
    }

    #[test]
    fn renaming_any_name() {
        let mut n_renamed = 0;
        for seed in 0..400 {
            let text = name_soup(seed);
            let outcome = std::panic::catch_unwind(|| rename(text.as_bytes()));
            n_renamed += outcome.unwrap_or_else(|_| panic!("seed {seed}: {text}"));
        }
        assert!(n_renamed > 1_000, "only {n_renamed} names could be changed");
        run(|data| _ = rename(data), 800);
    }

    #[test]
    fn editing_any_flake() {
        for seed in 0..1_500 {
            let text = flake_of(seed);
            let outcome = std::panic::catch_unwind(|| flake(text.as_bytes()));
            assert!(outcome.is_ok(), "seed {seed}: {text:?}");
        }
        run(flake, 200);
    }

    #[test]
    fn checking_any_text() {
        run(check, 2_000);
    }

    #[test]
    fn formatting_any_text() {
        run(format, 4_000);
    }

    #[test]
    fn reading_any_message() {
        for seed in 0..3_000 {
            let data = message_soup(seed);
            let outcome = std::panic::catch_unwind(|| message(&data));
            assert!(outcome.is_ok(), "seed {seed}: {:?}", String::from_utf8_lossy(&data));
        }
        run(message, 500);
    }

    #[test]
    fn fixing_any_text() {
        run(fix, 2_000);
    }
}
