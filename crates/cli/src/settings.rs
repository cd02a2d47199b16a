//! What holds for a run: the configuration files and the arguments, the latter being stronger.
//!
//! A file is checked by the settings of the nearest configuration file in its folder or above it, so
//! that it makes no difference from where a run starts. What a configuration file extends is
//! applied before it, layer by layer.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cim_nix_analysis::{Lints, OptionTable, UnknownRule};
use cim_nix_base::{Error, Severity};
use cim_nix_project::{Excludes, SourceFile};
use clap::ValueEnum;

use crate::config::{self, Config};

/// The feature that `|>` and `<|` need.
pub(crate) const PIPE_OPERATORS: &str = "pipe-operators";
/// What Lix calls them.
pub(crate) const PIPE_OPERATOR: &str = "pipe-operator";

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
    /// Whether files that are named are no exception.
    pub(crate) force_exclude: bool,
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
    /// Whether files that are named are no exception.
    pub(crate) force_exclude: bool,
    /// Whether the project enables [`PIPE_OPERATORS`] for all its files.
    pub(crate) has_pipes: bool,
    /// Whether the code of a project enables them, by its folder, as far as that was asked.
    pub(crate) pipe_projects: Mutex<HashMap<PathBuf, bool>>,
    /// The options of the configurations that were evaluated, if any were.
    pub(crate) options: Arc<[OptionTable]>,
    per_file: Vec<PerFile>,
    /// What is left of the rules by the entries of `per_file` that match.
    per_file_lints: Mutex<HashMap<Vec<usize>, Arc<Lints>>>,
    /// What the configuration leaves out of a walk.
    excludes: Vec<Excludes>,
    /// Settings from other configuration files than that of the run.
    nested: Vec<Self>,
    /// For folders whose settings they are: which of them; `None` for those of the run.
    by_folder: HashMap<PathBuf, Option<usize>>,
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
        let layers = config.layers();
        let mut per_file = Vec::new();
        let mut excludes = Vec::new();
        for layer in &layers {
            for (pattern, rules) in &layer.check.per_file_ignores {
                let files = Excludes::new(&layer.folder, [pattern.as_str()])?;
                per_file.push(PerFile { files, rules: rules.clone() });
            }
            let patterns = layer.check.exclude.iter().map(String::as_str);
            excludes.push(Excludes::new(&layer.folder, patterns)?);
        }
        let strongest = layers.iter().rev();
        let fail_on = strongest.clone().find_map(|layer| layer.check.fail_on);
        let include_generated = strongest.clone().find_map(|layer| layer.check.include_generated);
        let mut features = layers.iter().flat_map(|layer| &layer.experimental_features);
        Ok(Self {
            lints: lints(&layers, choice).map_err(|unknown| no_such_rule(&unknown))?,
            generated_lints: Lints::nothing(),
            fail_on: choice.fail_on.or(fail_on).unwrap_or_default(),
            include_generated: choice.include_generated || include_generated.unwrap_or_default(),
            force_exclude: choice.force_exclude,
            has_pipes: features.any(|on| [PIPE_OPERATORS, PIPE_OPERATOR].contains(&on.as_str())),
            pipe_projects: Mutex::default(),
            options: Arc::default(),
            per_file,
            per_file_lints: Mutex::default(),
            excludes,
            nested: Vec::new(),
            by_folder: HashMap::new(),
        })
    }

    /// Reads the configuration files nearest to each of `files`, and drops those files that they
    /// leave out. `own` is the configuration file of the run, if there is one.
    ///
    /// Errors: one of them cannot be read or says something that it must not.
    /// Cost: one look a folder.
    pub(crate) fn read_nested(
        &mut self,
        own: Option<&Path>,
        choice: &RuleChoice,
        files: &mut Vec<SourceFile>,
    ) -> Result<(), Error> {
        let mut known: HashMap<PathBuf, Option<usize>> = HashMap::new();
        if let Some(own) = own {
            known.insert(own.to_path_buf(), None);
        }
        for file in files.iter() {
            if let Some(folder) = file.path.parent() {
                self.read_around(folder, choice, &mut known)?;
            }
        }
        if !self.nested.is_empty() {
            let is_kept = |file: &SourceFile| file.is_named && !choice.force_exclude;
            files.retain(|file| is_kept(file) || !self.of(&file.path).leave_out(&file.path));
        }
        Ok(())
    }

    /// Finds the settings for `folder` and for those above it that were not asked for yet.
    fn read_around(
        &mut self,
        folder: &Path,
        choice: &RuleChoice,
        known: &mut HashMap<PathBuf, Option<usize>>,
    ) -> Result<(), Error> {
        let mut passed = Vec::new();
        let mut found = None;
        for at in folder.ancestors() {
            if let Some(before) = self.by_folder.get(at) {
                found = *before;
                break;
            }
            passed.push(at);
            let path = at.join(config::FILE_NAME);
            if config::is_there(&path) {
                found = match known.get(&path) {
                    Some(place) => *place,
                    None => {
                        self.nested.push(Self::new(&config::read(&path)?, choice)?);
                        let place = Some(self.nested.len() - 1);
                        known.insert(path, place);
                        place
                    }
                };
                break;
            }
        }
        for at in passed {
            self.by_folder.insert(at.to_path_buf(), found);
        }
        Ok(())
    }

    /// The settings for the file at `path`.
    pub(crate) fn of(&self, path: &Path) -> &Self {
        if self.nested.is_empty() {
            return self;
        }
        let place = path.parent().and_then(|folder| self.by_folder.get(folder)).copied().flatten();
        place.map_or(self, |place| &self.nested[place])
    }

    /// These settings and those of folders below.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.nested)
    }

    fn leave_out(&self, path: &Path) -> bool {
        self.excludes.iter().any(|excludes| excludes.cover(path))
    }

    /// The rules for the file at `path` where another configuration file or `per-file-ignores` speaks
    /// of it.
    pub(crate) fn lints_of(&self, path: &Path) -> Option<Arc<Lints>> {
        let own = self.of(path);
        let is_nested = !std::ptr::eq(own, self);
        let matching = own.per_file.iter().enumerate().filter(|(_, entry)| entry.files.cover(path));
        let matching: Vec<usize> = matching.map(|(at, _)| at).collect();
        if matching.is_empty() && !is_nested {
            return None;
        }
        // Planning which rules run takes longer than checking a file, and few sets of entries occur.
        let mut known = own.per_file_lints.lock().unwrap_or_else(PoisonError::into_inner);
        let lints = known.entry(matching).or_insert_with_key(|matching| {
            let mut lints = own.lints.clone();
            for rule in matching.iter().flat_map(|at| &own.per_file[*at].rules) {
                // The configuration was refused if it named a rule that does not exist.
                let _ = lints.ignore(rule);
            }
            Arc::new(lints)
        });
        Some(lints.clone())
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

fn lints(layers: &[&Config], choice: &RuleChoice) -> Result<Lints, UnknownRule> {
    let mut lints = Lints::default();
    if choice.select.is_empty() {
        for Config { check, .. } in layers {
            if let Some(select) = &check.select {
                lints = reading_only()?;
                each(select, |word| lints.select(word))?;
            }
            each(&check.extend_select, |word| lints.select(word))?;
            each(&check.ignore, |word| lints.ignore(word))?;
        }
    } else {
        lints = reading_only()?;
        each(&choice.select, |word| lints.select(word))?;
    }
    each(&choice.ignore, |word| lints.ignore(word))?;
    for (word, severity) in layers.iter().flat_map(|layer| &layer.check.severity) {
        lints.set_severity(word, *severity)?;
    }
    for layer in layers {
        let own = layer.check.dependencies;
        let limits = &mut lints.limits;
        limits.max_age = own.max_age.unwrap_or(limits.max_age);
        limits.max_inputs = own.max_inputs.unwrap_or(limits.max_inputs);
        limits.date = own.date.or(limits.date);
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
