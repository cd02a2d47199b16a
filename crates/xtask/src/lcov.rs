//! Reads line counts in the lcov form and sums them up per crate.
//!
//! Only lines of the product count: tests reach all of their own lines, so counting them would
//! flatter.

use std::collections::BTreeMap;

use crate::Result;
use crate::source;

/// How many lines of code there are, and how many of them a test reached.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Lines {
    pub(crate) all: usize,
    pub(crate) reached: usize,
}

impl Lines {
    pub(crate) fn percent(self) -> f64 {
        // Line counts are far below the 2^53 up to which this is exact.
        if self.all == 0 { 100.0 } else { 100.0 * self.reached as f64 / self.all as f64 }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self { all: self.all + other.all, reached: self.reached + other.reached }
    }
}

/// Sums up a report per folder below `crates/`.
///
/// `read` returns the text of a file by its path below `root`; files outside `root/crates` and
/// files of tests are left out.
pub(crate) fn per_crate(
    lcov: &str,
    root: &str,
    read: impl Fn(&str) -> Result<String>,
) -> Result<BTreeMap<String, Lines>> {
    let mut crates = BTreeMap::new();
    for record in lcov.split("end_of_record") {
        let path = record.lines().find_map(|line| line.strip_prefix("SF:")).unwrap_or_default();
        let Some(path) = path.strip_prefix(root).map(|path| path.trim_start_matches('/')) else {
            continue;
        };
        let Some((name, _)) = path.strip_prefix("crates/").and_then(|rest| rest.split_once('/'))
        else {
            continue;
        };
        if source::is_test_file(path) {
            continue;
        }
        let last = source::code_lines(&read(path)?);
        let lines: &mut Lines = crates.entry(name.to_owned()).or_default();
        *lines = lines.plus(count(record, last));
    }
    Ok(crates)
}

/// Counts the `DA:line,hits` entries up to line `last`.
fn count(record: &str, last: usize) -> Lines {
    let entries = record.lines().filter_map(|line| line.strip_prefix("DA:")?.split_once(','));
    let mut lines = Lines::default();
    for (line, hits) in entries {
        if line.parse::<usize>().is_ok_and(|line| line <= last) {
            lines.all += 1;
            lines.reached += usize::from(hits.trim() != "0");
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_code_and_leaves_out_tests_and_strangers() {
        let lcov = "SF:/repo/crates/a/src/lib.rs\nDA:1,4\nDA:2,0\nDA:4,9\nend_of_record\n\
                    SF:/repo/crates/a/src/tests.rs\nDA:1,1\nend_of_record\n\
                    SF:/repo/crates/b/src/lib.rs\nDA:1,0\nend_of_record\n\
                    SF:/elsewhere/crates/c/src/lib.rs\nDA:1,1\nend_of_record\n";
        let text = "fn code() {}\nfn unreached() {}\n#[cfg(test)]\nmod tests {}\n";
        let crates = per_crate(lcov, "/repo", |_| Ok(text.to_owned())).unwrap();
        assert_eq!(
            crates.into_iter().collect::<Vec<_>>(),
            [
                ("a".to_owned(), Lines { all: 2, reached: 1 }),
                ("b".to_owned(), Lines { all: 1, reached: 0 })
            ]
        );
    }

    #[test]
    fn no_lines_are_all_reached() {
        assert!((Lines::default().percent() - 100.0).abs() < f64::EPSILON);
        assert!((Lines { all: 8, reached: 2 }.percent() - 25.0).abs() < f64::EPSILON);
    }
}
