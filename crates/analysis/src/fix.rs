//! Applying fixes to one text.
//!
//! Fixes are applied in rounds: in each, those that do not overlap; then the text is checked again,
//! since one removal can make the next thing removable. Every round is proven on the tree: the new
//! text must have exactly the shape that the rules declared, and must not be refused by Nix where
//! the old one was not. A fix that fails that is left out and stays a finding.

use std::collections::BTreeMap;

use cim_nix_base::{Applicability, TextEdit, apply_edits};

use crate::checker::{CheckedFile, Checker, Found};
use crate::lints::Lints;
use crate::rewrite::{Rewrite, Shape};

/// Which fixes to apply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FixMode {
    /// Those that keep the meaning.
    Safe,
    /// All of them.
    Unsafe,
}

/// A fixed text.
#[derive(Debug)]
pub struct Fixed {
    /// The text after all rounds.
    pub text: String,
    /// The findings that were mended, in the order of application; ranges are those of the round
    /// in which each was applied.
    pub mended: Vec<Found>,
    /// The last check: what is left.
    pub rest: CheckedFile,
}

/// Rounds are bounded: each must shorten the list of things to fix, and real files need few.
const MAX_ROUNDS: usize = 100;

/// Applies fixes to `text` until nothing is left to apply. `checked` is the check of that text.
pub fn fix_text(
    checker: &mut Checker,
    path: &str,
    checked: CheckedFile,
    lints: &Lints,
    mode: FixMode,
) -> Fixed {
    let mut text = checked.tree.text().to_owned();
    let mut rest = checked;
    let mut mended = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let chosen = choose(&rest.findings, mode);
        if chosen.is_empty() {
            break;
        }
        let Some((new_text, new_check, applied)) = apply_round(checker, path, &rest, lints, chosen)
        else {
            break;
        };
        mended.extend(applied);
        text = new_text;
        rest = new_check;
    }
    Fixed { text, mended, rest }
}

/// The findings to fix in one round: allowed ones whose edits do not meet.
fn choose(findings: &[Found], mode: FixMode) -> Vec<&Found> {
    let mut chosen: Vec<&Found> = Vec::new();
    // Start of each taken edit to its end.
    let mut taken: BTreeMap<u32, u32> = BTreeMap::new();
    for found in findings {
        let Some(fix) = &found.diagnostic.fix else { continue };
        let is_allowed = mode == FixMode::Unsafe || fix.applicability == Applicability::Safe;
        // Touching edits meet, too: two removals may both take the blank between them.
        let meets = |edit: &TextEdit| {
            let before = taken.range(..=edit.range.end).next_back();
            before.is_some_and(|(_, &end)| edit.range.start <= end)
        };
        if is_allowed && !fix.edits.is_empty() && !fix.edits.iter().any(meets) {
            taken.extend(fix.edits.iter().map(|edit| (edit.range.start, edit.range.end)));
            chosen.push(found);
        }
    }
    chosen
}

type Round = (String, CheckedFile, Vec<Found>);

/// Applies the chosen fixes together, or, where that is not proven, one by one.
fn apply_round(
    checker: &mut Checker,
    path: &str,
    before: &CheckedFile,
    lints: &Lints,
    chosen: Vec<&Found>,
) -> Option<Round> {
    if let Some((text, check)) = attempt(checker, path, before, lints, &chosen) {
        return Some((text, check, chosen.into_iter().cloned().collect()));
    }
    // Somebody's edits are wrong or do not go together: find those that are right.
    let mut good: Vec<&Found> = Vec::new();
    let mut best = None;
    for found in chosen {
        good.push(found);
        match attempt(checker, path, before, lints, &good) {
            Some(result) => best = Some(result),
            None => {
                good.pop();
            }
        }
    }
    let (text, check) = best?;
    Some((text, check, good.into_iter().cloned().collect()))
}

/// The text after the fixes and its check, if it is proven to be what the rules declared.
fn attempt(
    checker: &mut Checker,
    path: &str,
    before: &CheckedFile,
    lints: &Lints,
    fixes: &[&Found],
) -> Option<(String, CheckedFile)> {
    let mut edits: Vec<TextEdit> = fixes
        .iter()
        .filter_map(|found| found.diagnostic.fix.as_ref())
        .flat_map(|fix| fix.edits.iter().cloned())
        .collect();
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    let text = apply_edits(before.tree.text(), &edits).ok()?;
    if text == before.tree.text() {
        return None;
    }
    let rewrites: Vec<Rewrite> =
        fixes.iter().flat_map(|found| found.rewrites.iter().cloned()).collect();
    let check = checker.check(path, text.as_str(), lints);
    // What Nix refuses anyway (a trailing slash) has no shape to be kept.
    let is_proven = before.is_refused
        || (!check.is_refused
            && Shape::rewritten(&before.tree, &rewrites) == Some(Shape::of(&check.tree)));
    is_proven.then_some((text, check))
}
