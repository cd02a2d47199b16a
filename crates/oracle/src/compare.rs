//! Our verdict beside Nix's.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use cim_nix_syntax::codes::{NUL_BYTE, TOO_DEEP};

use crate::{Fault, Finding, Ours, Verdict};

/// How two verdicts differ.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Difference {
    /// We accept what Nix refuses.
    WeAccept,
    /// We refuse what Nix accepts.
    WeRefuse,
    /// Both refuse, for faults of another kind.
    OtherFault,
    /// Both find an undefined variable, but not the same one at the same place.
    OtherVariable,
    /// Both find a duplicate, but we have none where Nix points.
    OtherDuplicate,
}

impl Difference {
    /// A few words for tables.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::WeAccept => "we accept, Nix refuses",
            Self::WeRefuse => "we refuse, Nix accepts",
            Self::OtherFault => "another kind of fault",
            Self::OtherVariable => "another undefined variable",
            Self::OtherDuplicate => "no duplicate where Nix points",
        }
    }
}

/// A difference that is meant to be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Known {
    /// Nix takes a NUL byte in code for the end of the file and never reads on; we report it.
    NulEndsFile,
    /// We stop at a depth that Nix survives.
    Depth,
    /// Nix fails without a verdict: its stack overflows, or it cannot print a warning of its own.
    NoVerdict,
}

impl Known {
    /// The reason, for reports.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::NulEndsFile => {
                "Nix reads a NUL byte in code as the end of the file; we refuse it"
            }
            Self::NoVerdict => "Nix fails without a verdict",
            Self::Depth => "we cap the depth of a tree where Nix goes on until its stack overflows",
        }
    }
}

/// Compares the verdicts on one program.
///
/// Errors: how they differ.
pub fn compare(nix: &Verdict, ours: &Ours, text: &[u8]) -> Result<Option<Known>, Difference> {
    match check(nix, ours, text) {
        Ok(()) => Ok(None),
        Err(_) if nix.fault() == Some(Fault::Other) => Ok(Some(Known::NoVerdict)),
        Err(difference) => known(ours).map(Some).ok_or(difference),
    }
}

fn known(ours: &Ours) -> Option<Known> {
    let has = |code| ours.syntax.iter().any(|finding| finding.code == code);
    if has(NUL_BYTE) { Some(Known::NulEndsFile) } else { has(TOO_DEEP).then_some(Known::Depth) }
}

fn check(nix: &Verdict, ours: &Ours, text: &[u8]) -> Result<(), Difference> {
    let Some(fault) = nix.fault() else {
        return if ours.is_ok() { Ok(()) } else { Err(Difference::WeRefuse) };
    };
    if ours.is_ok() {
        return Err(Difference::WeAccept);
    }
    // Columns count bytes, and replaced bytes count otherwise.
    let has_places = str::from_utf8(text).is_ok();
    match fault {
        Fault::Syntax | Fault::Token if ours.syntax.is_empty() => Err(Difference::OtherFault),
        Fault::DuplicateAttr => check_duplicate(nix, ours, text, has_places),
        Fault::DuplicateFormal => check_formal(nix, ours),
        Fault::Dynamic => {
            let is_dynamic = ours.semantics.iter().any(|finding| finding.fault == fault);
            // A duplicate or a syntax error behind it is ours to report as well.
            if is_dynamic || !ours.syntax.is_empty() { Ok(()) } else { Err(Difference::OtherFault) }
        }
        Fault::Undefined => check_undefined(nix, ours, has_places),
        _ => Ok(()),
    }
}

/// Nix reports duplicates on the way, so it may not have seen our syntax errors. It points at the
/// start of an attribute path, we at the name in it.
fn check_duplicate(
    nix: &Verdict,
    ours: &Ours,
    text: &[u8],
    has_places: bool,
) -> Result<(), Difference> {
    let mut ours = match duplicates(ours)? {
        Some(duplicates) if has_places => duplicates,
        _ => return Ok(()),
    };
    let Some(start) = nix.place().map(|place| place.offset(text)) else { return Ok(()) };
    let is_there = ours.any(|finding| {
        let path = text.get(start..finding.place.offset(text));
        path.is_some_and(|path| !path.contains(&b'=') && !path.contains(&b';'))
    });
    if is_there { Ok(()) } else { Err(Difference::OtherDuplicate) }
}

/// Where the name beside an `@` is the second one, Nix points at the whole function: names count.
fn check_formal(nix: &Verdict, ours: &Ours) -> Result<(), Difference> {
    let mut ours = match duplicates(ours)? {
        Some(duplicates) => duplicates,
        None => return Ok(()),
    };
    let name = match nix {
        Verdict::Error { message, .. } => message.strip_suffix('\''),
        Verdict::Ok => None,
    };
    let name = name.and_then(|text| text.split_once('\'')).map_or("", |(_, name)| name);
    let is_there = ours.any(|finding| finding.message.contains(&format!("`{name}`")));
    if is_there { Ok(()) } else { Err(Difference::OtherDuplicate) }
}

/// Our duplicates; `None` where syntax errors hide them.
///
/// Errors: there are none.
fn duplicates(ours: &Ours) -> Result<Option<impl Iterator<Item = &Finding>>, Difference> {
    let mut all =
        ours.semantics.iter().filter(|found| found.fault == Fault::DuplicateAttr).peekable();
    match (all.peek().is_some(), ours.syntax.is_empty()) {
        (_, false) => Ok(None),
        (true, true) => Ok(Some(all)),
        (false, true) => Err(Difference::OtherFault),
    }
}

/// Nix reports undefined variables only when everything else is right.
fn check_undefined(nix: &Verdict, ours: &Ours, has_places: bool) -> Result<(), Difference> {
    let Some(first) = &ours.first_undefined else { return Err(Difference::OtherFault) };
    let is_same_name = nix.undefined() == Some(&first.name);
    let is_same_place = !has_places || nix.place() == Some(first.place);
    if is_same_name && is_same_place { Ok(()) } else { Err(Difference::OtherVariable) }
}

/// Counts by class of programs.
#[derive(Default)]
pub struct Statistics {
    rows: BTreeMap<String, Row>,
}

#[derive(Default, Clone, Copy)]
struct Row {
    all: usize,
    accepted: usize,
    /// Refused, by [`FAULTS`].
    faults: [usize; FAULTS.len()],
    differ: usize,
    known: usize,
    same_place: usize,
    with_syntax_error: usize,
}

const FAULTS: [Fault; 7] = [
    Fault::Syntax,
    Fault::Token,
    Fault::DuplicateAttr,
    Fault::DuplicateFormal,
    Fault::Dynamic,
    Fault::Undefined,
    Fault::Other,
];

impl Statistics {
    /// Counts one program of `class`.
    pub fn add(
        &mut self,
        class: &str,
        nix: &Verdict,
        ours: &Ours,
        outcome: Result<Option<Known>, Difference>,
    ) {
        let row = self.rows.entry(class.to_owned()).or_default();
        row.all += 1;
        match nix.fault() {
            None => row.accepted += 1,
            Some(fault) => {
                let at = FAULTS.iter().position(|&known| known == fault);
                row.faults[at.unwrap_or(FAULTS.len() - 1)] += 1;
                if fault == Fault::Syntax && !ours.syntax.is_empty() {
                    row.with_syntax_error += 1;
                    let place = ours.syntax.first().map(|finding| finding.place);
                    row.same_place += usize::from(place == nix.place());
                }
            }
        }
        match outcome {
            Ok(None) => {}
            Ok(Some(_)) => row.known += 1,
            Err(_) => row.differ += 1,
        }
    }

    /// A table with one row a class and a sum.
    #[must_use]
    pub fn table(&self) -> String {
        let mut out = format!("{:<20}{:>7}{:>7}", "class", "all", "ok");
        for fault in FAULTS {
            let _ = write!(out, "{:>10}", fault.word());
        }
        out.push_str("   known  differ  same place of a syntax error\n");
        let mut sum = Row::default();
        for (class, row) in &self.rows {
            row.write(class, &mut out);
            sum.add(*row);
        }
        sum.write("all", &mut out);
        out
    }
}

impl Row {
    fn add(&mut self, other: Self) {
        self.all += other.all;
        self.accepted += other.accepted;
        self.faults.iter_mut().zip(other.faults).for_each(|(mine, theirs)| *mine += theirs);
        self.differ += other.differ;
        self.known += other.known;
        self.same_place += other.same_place;
        self.with_syntax_error += other.with_syntax_error;
    }

    fn write(self, class: &str, out: &mut String) {
        let _ = write!(out, "{class:<20}{:>7}{:>7}", self.all, self.accepted);
        for n in self.faults {
            let _ = write!(out, "{n:>10}");
        }
        let _ = write!(out, "{:>8}{:>8}", self.known, self.differ);
        let _ = writeln!(out, "  {} of {}", self.same_place, self.with_syntax_error);
    }
}
