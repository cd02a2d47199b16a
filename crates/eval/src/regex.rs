//! Regular expressions as Nix has them: POSIX extended, with what GCC's `std::regex` makes of it.
//!
//! Nobody else has these rules, so no other library serves. The beginning of a match is the leftmost
//! one, as everywhere. Where `|` stands, all branches are tried, and the one whose *whole* match is
//! longer wins; of equally long ones, the first. A quantifier takes as much as it can and gives
//! back only what it must. A loop may match nothing twice in one place, and its groups then hold
//! nothing. An empty match may follow right behind another match.
//!
//! Matching takes about states times bytes steps, more only where loops that may match nothing lie in
//! each other, and is bounded as all of evaluation is. The library backtracks; here, what is
//! known of a state at a place is remembered.

mod parse;
mod program;
mod run;
#[cfg(test)]
mod tests;

pub(crate) use parse::RegexError;
use program::Program;
use run::Run;
pub(crate) use run::{Halt, Limits};

/// A compiled regular expression.
pub(crate) struct Regex(Program);

/// Where the whole match and each group lies, in bytes.
pub(crate) type Captures = Vec<Option<(usize, usize)>>;

impl Regex {
    pub(crate) fn new(pattern: &[u8]) -> Result<Self, RegexError> {
        parse::parse(pattern).map(Self)
    }

    /// The match of the whole text.
    ///
    /// Errors: it would take more than `limits` allow.
    pub(crate) fn match_whole(
        &self,
        text: &[u8],
        limits: Limits<'_>,
    ) -> Result<Option<Captures>, Halt> {
        let mut run = Run::new(&self.0, text, true, limits);
        let found = run.match_at(0, false);
        run.halt.map_or(Ok(found), Err)
    }

    /// Calls `found` with each match in its order; `E` ends it early.
    ///
    /// Errors: those of `found`, and those of the limits.
    pub(crate) fn each_match<E: From<Halt>>(
        &self,
        text: &[u8],
        limits: Limits<'_>,
        mut found: impl FnMut(Captures) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut run = Run::new(&self.0, text, false, limits);
        let mut start = 0;
        while let Some(captures) = self.search(&mut run, start) {
            let (from, end) = whole(&captures);
            start = end;
            found(captures)?;
            if from < end {
                continue;
            }
            // Behind an empty match: one that is not empty in the same place, or from the next
            // place on.
            if end == text.len() {
                break;
            }
            match run.match_at(end, true) {
                Some(captures) => {
                    start = whole(&captures).1;
                    found(captures)?;
                }
                None => start = end + 1,
            }
        }
        run.halt.map_or(Ok(()), |halt| Err(halt.into()))
    }

    fn search(&self, run: &mut Run<'_>, start: usize) -> Option<Captures> {
        let mut at = start;
        loop {
            at = self.0.next_start(run.text, at)?;
            if let Some(captures) = run.match_at(at, false) {
                return Some(captures);
            }
            if run.halt.is_some() {
                return None;
            }
            at += 1;
        }
    }
}

fn whole(captures: &Captures) -> (usize, usize) {
    captures.first().copied().flatten().unwrap_or_default()
}
