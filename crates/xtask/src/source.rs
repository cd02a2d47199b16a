//! What can be said about a Rust file without parsing it.
//!
//! Relies on the order that the style guide asks for: tests come last in a file.

/// Returns how many lines of `text` stand before its test module.
///
/// Shape: the count of all lines if there is none.
pub(crate) fn code_lines(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    lines
        .windows(2)
        .position(|pair| {
            pair[0].trim() == "#[cfg(test)]" && pair[1].trim_start().starts_with("mod ")
        })
        .unwrap_or(lines.len())
}

/// Says whether a file holds nothing but tests, by its path.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.split('/').any(|part| matches!(part, "tests" | "benches"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_up_to_the_test_module() {
        assert_eq!(code_lines("fn a() {}\n\n#[cfg(test)]\nmod tests {\n}\n"), 2);
        assert_eq!(code_lines("fn a() {}\n#[cfg(test)]\nfn only_for_tests() {}\nfn b() {}\n"), 4);
        assert_eq!(code_lines(""), 0);
    }

    #[test]
    fn knows_test_files_by_path() {
        assert!(is_test_file("crates/a/tests/it/main.rs"));
        assert!(is_test_file("crates/a/src/parser/tests.rs"));
        assert!(!is_test_file("crates/a/src/latests.rs"));
    }
}
