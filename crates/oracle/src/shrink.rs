//! Makes a program smaller while it keeps a property.

use std::ops::Range;

use cim_nix_base::Error;

/// The longest run of candidates that one round asks for.
const ROUND: usize = 48;

/// Removes pieces of `text` as long as `keeps` says that the result still has the property.
///
/// `keeps` gets many candidates at once, because judges are cheaper in batches. Asks for about
/// `budget` candidates at most.
///
/// Errors: those of `keeps`.
pub fn shrink(
    text: &[u8],
    budget: usize,
    keeps: impl FnMut(&[Vec<u8>]) -> Result<Vec<bool>, Error>,
) -> Result<Vec<u8>, Error> {
    let mut run = Run { best: text.to_vec(), budget, keeps };
    let mut size = text.len().div_ceil(2);
    while size > 0 && run.budget > 0 {
        if !run.pass(size)? {
            size /= 2;
        }
        size = size.min(run.best.len());
    }
    Ok(run.best)
}

struct Run<F> {
    best: Vec<u8>,
    budget: usize,
    keeps: F,
}

impl<F: FnMut(&[Vec<u8>]) -> Result<Vec<bool>, Error>> Run<F> {
    /// Tries to remove each piece of about `size` bytes; whether any could go.
    fn pass(&mut self, size: usize) -> Result<bool, Error> {
        let mut pieces = pieces(&self.best, size);
        // From the end, so that the places of the pieces still to try stay right.
        pieces.reverse();
        let mut has_shrunk = false;
        for run in pieces.chunks(ROUND) {
            if self.budget == 0 {
                break;
            }
            has_shrunk |= self.remove_some(run)?;
        }
        Ok(has_shrunk)
    }

    fn remove_some(&mut self, pieces: &[Range<usize>]) -> Result<bool, Error> {
        let alone: Vec<Vec<u8>> = pieces.iter().map(|piece| without(&self.best, [piece])).collect();
        let answers = self.ask(&alone)?;
        let free: Vec<&Range<usize>> = pieces
            .iter()
            .zip(answers)
            .filter_map(|(piece, may_go)| may_go.then_some(piece))
            .collect();
        let Some(last) = free.last() else { return Ok(false) };
        let together = without(&self.best, free.iter().copied());
        self.best = match self.ask(std::slice::from_ref(&together))?.first() {
            Some(true) => together,
            _ => without(&self.best, [*last]),
        };
        Ok(true)
    }

    fn ask(&mut self, candidates: &[Vec<u8>]) -> Result<Vec<bool>, Error> {
        self.budget = self.budget.saturating_sub(candidates.len());
        (self.keeps)(candidates)
    }
}

/// Ranges of about `size` bytes that begin and end where words or lines do.
fn pieces(text: &[u8], size: usize) -> Vec<Range<usize>> {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_cut = |at: usize| size < 3 || at == 0 || !is_word(text[at - 1]) || !is_word(text[at]);
    let mut starts: Vec<usize> = (0..text.len()).step_by(size.max(1)).collect();
    for start in &mut starts {
        while *start < text.len() && !is_cut(*start) {
            *start += 1;
        }
    }
    starts.dedup();
    starts.push(text.len());
    let ranges = starts.windows(2).map(|pair| pair[0]..pair[1]);
    ranges.filter(|range| !range.is_empty()).collect()
}

/// The text without some pieces, which come from its end to its start.
fn without<'p>(text: &[u8], pieces: impl IntoIterator<Item = &'p Range<usize>>) -> Vec<u8> {
    let mut text = text.to_vec();
    for piece in pieces {
        text.drain(piece.clone());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_piece_that_matters() {
        let text = "some long text with one needle in it, and more text behind".repeat(3);
        let keeps = |all: &[Vec<u8>]| {
            let has = |text: &Vec<u8>| String::from_utf8_lossy(text).contains("needle");
            Ok(all.iter().map(has).collect())
        };
        let small = shrink(text.as_bytes(), 10_000, keeps).unwrap();
        assert_eq!(String::from_utf8(small).unwrap(), "needle");
    }

    #[test]
    fn stays_within_its_budget() {
        let mut n_asked = 0;
        let keeps = |all: &[Vec<u8>]| {
            n_asked += all.len();
            Ok(vec![false; all.len()])
        };
        let text = [b'x'; 1000];
        assert_eq!(shrink(&text, 100, keeps).unwrap(), text);
        assert!(n_asked <= 100 + ROUND);
    }
}
