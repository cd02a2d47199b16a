//! Which formatter each project gets: the command line, `cim-nix.toml`, what the project says, how
//! its files look.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::reading::OurFiles;
use cim_nix_base::Error;
use cim_nix_format::detect::{self, Ballot, Decision, Rule, sample, vote};
use cim_nix_format::{Formatter, Options};
use cim_nix_project::{Request, Workers, discover, for_each, generated_reason};
use cim_nix_syntax::Parser;

use super::Project;
use super::runner::{Runner, Way};
use crate::checking::is_nix;
use crate::config::Config;
use crate::confinement;
use crate::reading::read;
use crate::scope::shown;

/// Larger files take long, and tell no more than others.
const MAX_SAMPLE: usize = 50_000;

/// What the command line and the settings say.
#[derive(Clone, Debug)]
pub(crate) struct Choice<'a> {
    /// `--formatter`.
    pub(crate) asked: Option<&'a str>,
    /// `--width` and `--indent`.
    pub(crate) options: Options,
    pub(crate) config: &'a Config,
    pub(crate) limit: Duration,
    pub(crate) workers: Workers,
}

/// Decides for the project at `root`.
///
/// Errors: there is no such formatter, or it cannot be told the options.
pub(crate) fn choose(choice: &Choice<'_>, root: PathBuf) -> Result<Project, Error> {
    let mut decision = decide(choice, &root)?;
    let settings = &choice.config.format;
    let known = decision.options;
    decision.options = Options {
        width: choice.options.width.or(settings.width).or(known.width),
        indent: choice.options.indent.or(settings.indent).or(known.indent),
    };
    decision.formatter.check(decision.options)?;
    if confinement::get().is_some() && matches!(decision.formatter, Formatter::Command(_)) {
        return Err(Error::user("the project's own formatter is not run here")
            .hint("name one of nixfmt, nixpkgs-fmt and alejandra"));
    }
    let way = Way::of(&decision.formatter, decision.options).map_err(|error| {
        let because = &decision.because;
        error.hint(format!("it was chosen because {because}"))
    })?;
    Ok(Project { root, decision, way })
}

fn decide(choice: &Choice<'_>, root: &Path) -> Result<Decision, Error> {
    if let Some(text) = choice.asked {
        let because = format!("`--formatter {text}` was given");
        return Ok(Decision::new(Formatter::from_words(text)?, Rule::Asked, because, root));
    }
    if let Some(text) = &choice.config.format.formatter {
        let place = shown(&choice.config.folder.join(crate::config::FILE_NAME));
        let because = format!("`{place}` says `formatter = \"{text}\"`");
        return Ok(Decision::new(Formatter::from_words(text)?, Rule::Settings, because, root));
    }
    if let Some(found) = detect::declared(&OurFiles, root) {
        return Ok(found);
    }
    match look(choice, root)? {
        Some(found) => Ok(found),
        None => Ok(detect::fallback(&OurFiles, root)),
    }
}

/// Asks all formatters about some files of the project.
fn look(choice: &Choice<'_>, root: &Path) -> Result<Option<Decision>, Error> {
    let texts = texts(root);
    let ballot = |formatter: Formatter| -> Result<Ballot, Error> {
        let options = detect::options_for(&OurFiles, root, &formatter);
        // One that is not installed did not write the files either, as far as one can tell.
        let Ok(way) = Way::of(&formatter, options) else {
            return Ok(Ballot { formatter, unchanged: 0, asked: 0 });
        };
        let new_runner = || (Parser::default(), Runner::new(&way, choice.limit));
        let answers = for_each(choice.workers, texts.len(), new_runner, |(parser, runner), at| {
            let tree = parser.parse(&*texts[at]).tree;
            runner.run(&tree).is_ok_and(|answer| answer == texts[at])
        })?;
        let unchanged = answers.into_iter().filter(|answer| matches!(answer, Ok(true))).count();
        Ok(Ballot { formatter, unchanged, asked: texts.len() })
    };
    let ballots = Formatter::NAMED.into_iter().map(ballot).collect::<Result<Vec<_>, _>>()?;
    let hint = detect::hint(&OurFiles, root);
    Ok(vote(&ballots, hint.as_ref()).map(|winner| {
        let Ballot { formatter, unchanged, asked } = winner;
        let because = format!(
            "{formatter} would leave {unchanged} of {asked} files of the project as they are"
        );
        let mut decision = Decision::new(formatter.clone(), Rule::Evidence, because, root);
        decision.options = detect::options_for(&OurFiles, root, formatter);
        decision
    }))
}

/// Texts that people wrote and that parse, from all over the project.
fn texts(root: &Path) -> Vec<String> {
    let found = discover(&OurFiles, &Request::new([root]));
    let files: Vec<_> = found.files.iter().filter(|file| is_nix(file)).collect();
    let mut parser = Parser::default();
    let texts = sample(files.len()).into_iter().filter_map(|at| {
        let text = read(&files[at].path).ok()?.text;
        let is_fit = text.len() <= MAX_SAMPLE
            && generated_reason(&files[at].path, &text).is_none()
            && parser.parse(&*text).problems.is_empty();
        is_fit.then_some(text)
    });
    texts.collect()
}
