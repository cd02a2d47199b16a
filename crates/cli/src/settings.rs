//! What holds for a run: the configuration file and the arguments, the latter being stronger.

use std::path::Path;
use std::sync::Arc;

use cim_nix_analysis::{Lints, OptionTable, UnknownRule};
use cim_nix_base::{Error, Severity};
use cim_nix_project::Excludes;
use clap::ValueEnum;

use crate::config::Config;

/// The feature that `|>` and `<|` need.
pub(crate) const PIPE_OPERATORS: &str = "pipe-operators";

/// From which severity on findings make a run fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, ValueEnum)]
pub(crate) enum FailOn {
    /// Errors only
    Error,
    /// Errors and warnings
    #[default]
    Warning,
    /// Any finding
    Info,
    /// Nothing: findings never fail a run, not even syntax errors
    Never,
}

impl FailOn {
    /// The words of the configuration.
    pub(crate) const WORDS: [&'static str; 4] = ["error", "warning", "info", "never"];

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::from_str(word, false).ok()
    }

    /// Whether a finding of `severity` fails the run.
    pub(crate) fn fails(self, severity: Severity) -> bool {
        match self {
            Self::Error => severity >= Severity::Error,
            Self::Warning => severity >= Severity::Warning,
            Self::Info => true,
            Self::Never => false,
        }
    }
}

/// What the arguments say about rules.
#[derive(Clone, Debug, Default)]
pub(crate) struct RuleChoice {
    pub(crate) select: Vec<String>,
    pub(crate) ignore: Vec<String>,
    pub(crate) fail_on: Option<FailOn>,
    pub(crate) include_generated: bool,
}

/// What holds for a run.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The rules, before any file has its say.
    pub(crate) lints: Lints,
    /// What is left of them on files that a tool wrote.
    pub(crate) generated_lints: Lints,
    pub(crate) fail_on: FailOn,
    pub(crate) include_generated: bool,
    /// Whether the project enables [`PIPE_OPERATORS`] for all its files.
    pub(crate) has_pipes: bool,
    /// The options of the configurations that were evaluated, if any were.
    pub(crate) options: Arc<[OptionTable]>,
    per_file: Vec<PerFile>,
}

#[derive(Debug)]
struct PerFile {
    files: Excludes,
    rules: Vec<String>,
}

impl Settings {
    /// Errors: a word on the command line selects no rule, or a pattern of the configuration can match
    /// nothing.
    pub(crate) fn new(config: &Config, choice: &RuleChoice) -> Result<Self, Error> {
        let check = &config.check;
        let per_file = check.per_file_ignores.iter().map(|(pattern, rules)| {
            let files = Excludes::new(&config.folder, [pattern.as_str()])?;
            Ok(PerFile { files, rules: rules.clone() })
        });
        Ok(Self {
            lints: lints(config, choice).map_err(|unknown| no_such_rule(&unknown))?,
            generated_lints: Lints::nothing(),
            fail_on: choice.fail_on.or(check.fail_on).unwrap_or_default(),
            include_generated: choice.include_generated
                || check.include_generated.unwrap_or_default(),
            has_pipes: config.experimental_features.iter().any(|on| on == PIPE_OPERATORS),
            options: Arc::default(),
            per_file: per_file.collect::<Result<_, Error>>()?,
        })
    }

    /// The rules for the file at `path` where `per-file-ignores` speaks of it.
    pub(crate) fn lints_of(&self, path: &Path) -> Option<Lints> {
        if self.per_file.is_empty() {
            return None;
        }
        let mut matching = self.per_file.iter().filter(|entry| entry.files.cover(path)).peekable();
        matching.peek()?;
        let mut lints = self.lints.clone();
        for rule in matching.flat_map(|entry| &entry.rules) {
            // The configuration was refused if it named a rule that does not exist.
            let _ = lints.ignore(rule);
        }
        Some(lints)
    }
}

/// The error for a word that selects no rule.
pub(crate) fn no_such_rule(unknown: &UnknownRule) -> Error {
    let error = Error::user(format!("no rule is called `{}`", unknown.word));
    match unknown.suggestion {
        Some(known) => error.hint(format!("did you mean `{known}`?")),
        None => error.hint("`cim-nix explain --all` lists the rules"),
    }
}

fn lints(config: &Config, choice: &RuleChoice) -> Result<Lints, UnknownRule> {
    let check = &config.check;
    let mut lints = Lints::default();
    if !choice.select.is_empty() {
        lints = reading_only()?;
        each(&choice.select, |word| lints.select(word))?;
    } else {
        if let Some(select) = &check.select {
            lints = reading_only()?;
            each(select, |word| lints.select(word))?;
        }
        each(&check.extend_select, |word| lints.select(word))?;
        each(&check.ignore, |word| lints.ignore(word))?;
    }
    each(&choice.ignore, |word| lints.ignore(word))?;
    for (word, severity) in &check.severity {
        lints.set_severity(word, *severity)?;
    }
    Ok(lints)
}

/// Whatever rules are chosen, a file that cannot be read or parsed is no clean file.
fn reading_only() -> Result<Lints, UnknownRule> {
    let mut lints = Lints::nothing();
    lints.select("SYN")?;
    Ok(lints)
}

fn each(
    words: &[String],
    mut change: impl FnMut(&str) -> Result<(), UnknownRule>,
) -> Result<(), UnknownRule> {
    words.iter().try_for_each(|word| change(word))
}

#[cfg(test)]
mod tests {
    use cim_nix_base::Code;

    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    fn config() -> Config {
        let mut config = Config { folder: "/p".into(), ..Config::default() };
        config.check.select = Some(words(&["DEAD"]));
        config.check.extend_select = words(&["COR010"]);
        config.check.ignore = words(&["DEAD016"]);
        config.check.severity = vec![("DEAD001".to_owned(), Severity::Info)];
        config.check.per_file_ignores = vec![("tests".to_owned(), words(&["DEAD001"]))];
        config
    }

    fn severities(settings: &Settings) -> Vec<Option<Severity>> {
        let codes = ["DEAD001", "DEAD016", "COR001", "COR010"];
        codes.iter().map(|code| settings.lints.severity(Code(code))).collect()
    }

    #[test]
    fn the_configuration_chooses_the_rules() {
        let settings = Settings::new(&config(), &RuleChoice::default()).unwrap();
        let on = severities(&settings);
        assert_eq!(on[0], Some(Severity::Info));
        assert_eq!((on[1], on[2]), (None, None));
        assert!(on[3].is_some());
    }

    #[test]
    fn arguments_replace_the_selection_and_keep_severities() {
        let choice = RuleChoice { select: words(&["DEAD", "COR001"]), ..RuleChoice::default() };
        let settings = Settings::new(&config(), &choice).unwrap();
        let on = severities(&settings);
        assert_eq!(on[0], Some(Severity::Info));
        assert!(on[1].is_some() && on[2].is_some());
        assert_eq!(on[3], None);
        assert!(settings.lints.severity(Code("SYN008")).is_some());
        let choice = RuleChoice { ignore: words(&["DEAD"]), ..RuleChoice::default() };
        assert_eq!(severities(&Settings::new(&config(), &choice).unwrap())[0], None);
    }

    #[test]
    fn files_can_ignore_rules() {
        let settings = Settings::new(&config(), &RuleChoice::default()).unwrap();
        assert!(settings.lints_of(Path::new("/p/a.nix")).is_none());
        assert!(settings.lints_of(Path::new("/elsewhere/tests/a.nix")).is_none());
        let lints = settings.lints_of(Path::new("/p/tests/a.nix")).unwrap();
        assert_eq!(lints.severity(Code("DEAD001")), None);
        assert!(lints.severity(Code("COR010")).is_some());
    }

    #[test]
    fn unknown_words_are_refused() {
        let choice = RuleChoice { select: words(&["DEAD0O1"]), ..RuleChoice::default() };
        let error = Settings::new(&config(), &choice).unwrap_err();
        assert_eq!(error.to_string(), "no rule is called `DEAD0O1`");
        assert_eq!(error.hints(), ["did you mean `DEAD001`?"]);
    }
}
