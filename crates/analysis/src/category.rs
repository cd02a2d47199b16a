//! What kinds of rules there are, for reports that sort findings by kind.

use cim_nix_base::Severity;

use crate::rule::Rule;

/// What a rule is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Category {
    /// What can be abused.
    Security,
    /// What Nix refuses or understands in another way than its writer.
    Correctness,
    /// What keeps a file from being read.
    Syntax,
    /// Inputs and files of other people, and their locks.
    Dependencies,
    /// What costs time or memory.
    Performance,
    /// What nothing uses.
    DeadCode,
    /// What could be written more clearly.
    Style,
    /// This program failed.
    Internal,
}

impl Category {
    /// The lower-case word for this category, as reports show it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Security => "security",
            Self::Correctness => "correctness",
            Self::Syntax => "syntax",
            Self::Dependencies => "dependencies",
            Self::Performance => "performance",
            Self::DeadCode => "dead-code",
            Self::Style => "style",
            Self::Internal => "internal",
        }
    }
}

impl Rule {
    /// What it is about; its code tells.
    #[must_use]
    pub fn category(&self) -> Category {
        let letters = self.code.0.trim_end_matches(|c: char| c.is_ascii_digit());
        match letters {
            "SEC" => Category::Security,
            "SYN" => Category::Syntax,
            "DEP" => Category::Dependencies,
            "PERF" => Category::Performance,
            "DEAD" => Category::DeadCode,
            "STY" => Category::Style,
            "INT" => Category::Internal,
            _ => Category::Correctness,
        }
    }

    /// How bad findings of `severity` are on the scale from 0 to 10 that code scanners show for
    /// security rules; `None` for all others.
    #[must_use]
    pub fn security_severity(&self, severity: Severity) -> Option<&'static str> {
        // The scanners cut the scale at 4, 7 and 9: low, medium, high, critical.
        let score = match severity {
            Severity::Error => "8.0",
            Severity::Warning => "5.5",
            Severity::Info => "3.0",
        };
        (self.category() == Category::Security).then_some(score)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_tell_the_category() {
        let category = |code| crate::find(code).unwrap().category();
        assert_eq!(category("DEAD001"), Category::DeadCode);
        assert_eq!(category("COR001"), Category::Correctness);
        assert_eq!(category("SYN001"), Category::Syntax);
        assert_eq!(category("DEP014"), Category::Dependencies);
        assert_eq!(category("INT001"), Category::Internal);
    }

    #[test]
    fn only_security_rules_have_a_score() {
        let rule = crate::find("DEAD001").unwrap();
        assert_eq!(rule.security_severity(Severity::Error), None);
    }
}
