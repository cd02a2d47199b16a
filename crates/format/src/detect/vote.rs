//! How the files of a project look.

use crate::Formatter;

/// The most files that are looked at.
const SAMPLE: usize = 20;

/// How many files of a sample a formatter would leave as they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ballot {
    /// The formatter.
    pub formatter: Formatter,
    /// Files that it leaves alone.
    pub unchanged: usize,
    /// Files that it was asked about.
    pub asked: usize,
}

/// Which of `len` files to look at: up to twenty, spread evenly.
#[must_use]
pub fn sample(len: usize) -> Vec<usize> {
    let n_taken = len.min(SAMPLE);
    (0..n_taken).map(|at| at * len / n_taken).collect()
}

/// The formatter that leaves at least nine of ten files alone; where several do, the one that leaves
/// most, then the one that `hint` names, then the first.
#[must_use]
pub fn vote<'b>(ballots: &'b [Ballot], hint: Option<&Formatter>) -> Option<&'b Ballot> {
    let wins = |ballot: &&Ballot| ballot.asked > 0 && ballot.unchanged * 10 >= ballot.asked * 9;
    let is_hinted = |ballot: &Ballot| hint == Some(&ballot.formatter);
    // The last of equal ones would be taken, and the first is wanted.
    ballots.iter().filter(wins).rev().max_by_key(|ballot| (ballot.unchanged, is_hinted(ballot)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn winner(counts: [usize; 3], hint: Option<Formatter>) -> Option<Formatter> {
        let ballots = Formatter::NAMED.into_iter().zip(counts);
        let ballot = |(formatter, unchanged)| Ballot { formatter, unchanged, asked: 20 };
        let ballots: Vec<Ballot> = ballots.map(ballot).collect();
        vote(&ballots, hint.as_ref()).map(|ballot| ballot.formatter.clone())
    }

    #[test]
    fn nine_of_ten_decide() {
        let nobody = None;
        assert_eq!(winner([17, 17, 17], nobody.clone()), None);
        assert_eq!(winner([2, 18, 3], nobody.clone()), Some(Formatter::Alejandra));
        assert_eq!(winner([19, 18, 20], nobody.clone()), Some(Formatter::NixpkgsFmt));
        assert_eq!(winner([20, 20, 20], nobody), Some(Formatter::Nixfmt));
        assert_eq!(winner([20, 20, 20], Some(Formatter::NixpkgsFmt)), Some(Formatter::NixpkgsFmt));
        assert_eq!(winner([20, 1, 20], Some(Formatter::Alejandra)), Some(Formatter::Nixfmt));
        assert_eq!(vote(&[], None), None);
    }

    #[test]
    fn samples_are_spread() {
        assert_eq!(sample(0), [0; 0]);
        assert_eq!(sample(3), [0, 1, 2]);
        let wide = sample(1000);
        assert_eq!((wide.len(), wide[1], wide[19]), (20, 50, 950));
    }
}
