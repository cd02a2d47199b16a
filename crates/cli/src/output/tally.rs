//! Counting: what a summary says, and how a run ends.

use std::collections::BTreeMap;

use cim_domain_nix::Findings;
use cim_nix_base::{Applicability, Code, Diagnostic, Severity};

use crate::exit::Exit;
use crate::settings::FailOn;

/// Counts of one file or of many.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Tally {
    /// Files that were looked at.
    pub(crate) files: usize,
    pub(crate) files_with_findings: usize,
    pub(crate) errors: usize,
    pub(crate) warnings: usize,
    pub(crate) infos: usize,
    /// Findings whose fix keeps the meaning.
    pub(crate) safe_fixes: usize,
    /// Findings whose fix needs a human look.
    pub(crate) unsafe_fixes: usize,
    /// Findings that comments silence.
    pub(crate) suppressed: usize,
    /// Files that a tool wrote, which rules stay away from.
    pub(crate) generated: usize,
    /// Files that are encrypted, so that they are no code.
    pub(crate) encrypted: usize,
    /// Files that cannot be read or parsed.
    pub(crate) unparsed: usize,
    /// Files on which this program failed.
    pub(crate) failures: usize,
    pub(crate) by_code: BTreeMap<Code, Counts>,
    /// What was mended, by code.
    pub(crate) fixed: BTreeMap<Code, usize>,
    pub(crate) fixed_files: usize,
    /// What was there at the baseline already and is left out of all other counts, by code.
    pub(crate) old: BTreeMap<Code, usize>,
    /// What was there at the baseline and is no more, by code.
    pub(crate) gone: BTreeMap<Code, usize>,
}

/// Counts of the findings of one rule.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Counts {
    pub(crate) findings: usize,
    pub(crate) safe_fixes: usize,
    pub(crate) unsafe_fixes: usize,
    /// The worst of their severities.
    pub(crate) severity: Severity,
}

impl Tally {
    /// The count of one file with these findings.
    pub(crate) fn of(findings: &[Diagnostic]) -> Self {
        let mut tally = Self { files: 1, ..Self::default() };
        tally.files_with_findings = usize::from(!findings.is_empty());
        let is_unparsed = |found: &Diagnostic| {
            found.severity == Severity::Error && found.code.0.starts_with("SYN")
        };
        tally.unparsed = usize::from(findings.iter().any(is_unparsed));
        for finding in findings {
            let slot = match finding.severity {
                Severity::Error => &mut tally.errors,
                Severity::Warning => &mut tally.warnings,
                Severity::Info => &mut tally.infos,
            };
            *slot += 1;
            let applicability = finding.fix.as_ref().map(|fix| fix.applicability);
            let counts = Counts {
                findings: 1,
                safe_fixes: usize::from(applicability == Some(Applicability::Safe)),
                unsafe_fixes: usize::from(applicability == Some(Applicability::Unsafe)),
                severity: finding.severity,
            };
            tally.safe_fixes += counts.safe_fixes;
            tally.unsafe_fixes += counts.unsafe_fixes;
            tally.count(finding.code, counts);
        }
        tally
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.files_with_findings += other.files_with_findings;
        self.errors += other.errors;
        self.warnings += other.warnings;
        self.infos += other.infos;
        self.safe_fixes += other.safe_fixes;
        self.unsafe_fixes += other.unsafe_fixes;
        self.suppressed += other.suppressed;
        self.generated += other.generated;
        self.encrypted += other.encrypted;
        self.unparsed += other.unparsed;
        self.failures += other.failures;
        self.fixed_files += other.fixed_files;
        for (code, counts) in &other.by_code {
            self.count(*code, *counts);
        }
        let maps = [
            (&other.fixed, &mut self.fixed),
            (&other.old, &mut self.old),
            (&other.gone, &mut self.gone),
        ];
        for (from, to) in maps {
            for (code, n) in from {
                *to.entry(*code).or_default() += n;
            }
        }
    }

    fn count(&mut self, code: Code, counts: Counts) {
        let none = Counts { findings: 0, safe_fixes: 0, unsafe_fixes: 0, severity: Severity::Info };
        let slot = self.by_code.entry(code).or_insert(none);
        slot.findings += counts.findings;
        slot.safe_fixes += counts.safe_fixes;
        slot.unsafe_fixes += counts.unsafe_fixes;
        slot.severity = slot.severity.max(counts.severity);
    }

    /// Whether rules have looked at the file that this is the count of.
    pub(crate) fn is_open_to_rules(&self) -> bool {
        let closed = self.generated + self.encrypted + self.unparsed + self.failures;
        self.files == 1 && closed == 0
    }

    /// Number of findings.
    pub(crate) fn findings(&self) -> usize {
        self.errors + self.warnings + self.infos
    }

    /// The findings as events tell of them.
    pub(crate) fn as_findings(&self) -> Findings {
        let by_code = self.by_code.iter();
        Findings {
            errors: self.errors as u64,
            warnings: self.warnings as u64,
            infos: self.infos as u64,
            by_code: by_code.map(|(code, n)| (code.to_string(), n.findings as u64)).collect(),
        }
    }

    /// Number of findings that were there at the baseline already.
    pub(crate) fn n_old(&self) -> usize {
        self.old.values().sum()
    }

    /// Number of findings that are gone since the baseline.
    pub(crate) fn n_gone(&self) -> usize {
        self.gone.values().sum()
    }

    /// Number of findings that were mended.
    pub(crate) fn n_fixed(&self) -> usize {
        self.fixed.values().sum()
    }

    /// How a run with these counts ends.
    pub(crate) fn exit(&self, fail_on: FailOn) -> Exit {
        let counts = [
            (Severity::Error, self.errors),
            (Severity::Warning, self.warnings),
            (Severity::Info, self.infos),
        ];
        let fails = counts.iter().any(|(severity, n)| *n > 0 && fail_on.fails(*severity));
        match self {
            Self { failures: 1.., .. } => Exit::Broken,
            Self { unparsed: 1.., .. } if fail_on != FailOn::Never => Exit::Refused,
            _ if fails => Exit::Findings,
            _ => Exit::Clean,
        }
    }
}

#[cfg(test)]
mod tests {
    use cim_nix_base::TextRange;

    use super::*;

    fn check(findings: &[(&'static str, Severity)], fail_on: FailOn, want: Exit) {
        let range = TextRange::empty(0);
        let made = findings
            .iter()
            .map(|(code, severity)| Diagnostic::new(Code(code), *severity, range, "found"));
        assert_eq!(Tally::of(&made.collect::<Vec<_>>()).exit(fail_on), want, "{findings:?}");
    }

    #[test]
    fn the_worst_decides() {
        check(&[], FailOn::Info, Exit::Clean);
        check(&[("A1", Severity::Warning)], FailOn::Warning, Exit::Findings);
        check(&[("A1", Severity::Warning)], FailOn::Error, Exit::Clean);
        check(&[("A1", Severity::Info)], FailOn::Info, Exit::Findings);
        check(
            &[("A1", Severity::Error), ("SYN001", Severity::Error)],
            FailOn::Error,
            Exit::Refused,
        );
        check(&[("SYN007", Severity::Warning)], FailOn::Warning, Exit::Findings);
        check(&[("SYN001", Severity::Error)], FailOn::Never, Exit::Clean);
        let broken = Tally { failures: 1, ..Tally::default() };
        assert_eq!(broken.exit(FailOn::Never), Exit::Broken);
    }
}
