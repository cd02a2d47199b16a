//! The walk through an option tree.

mod describe;
mod missing;

use cim_nix_eval::{ErrorKind, EvalError, Evaluation, Handle, Look};

use crate::dialect::Dialect;
use crate::doc::{OptionDoc, Part, Problem};
use crate::pattern::{Fit, Pattern};
use crate::pretty::is_text;

type Res<T> = Result<T, Box<EvalError>>;

/// Sets that hold no option, one after the other, before a tree is taken for something else. A
/// package set, for one, goes on for ever.
const MAX_BARREN: usize = 5_000;
/// How deeply sets and options may lie in each other.
const MAX_DEPTH: usize = 200;
/// What stands for a file where none is known.
const UNKNOWN_FILE: &str = "<unknown-file>";

/// What is asked of an option tree.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Which options; without any, all. An option that is named in full is given even if it is
    /// hidden.
    pub patterns: Vec<Pattern>,
    /// Words that must all be in the name or in the description, in capitals or not.
    pub words: Vec<String>,
    /// Whether internal and invisible options count.
    pub hidden: bool,
    /// Whether to say what is set, and where.
    pub values: bool,
}

/// The options of a tree, in the order of their names in the tree.
///
/// Errors: there is no option of a name that was asked for, the tree is no tree of options, or
/// memory or time run out. Parts of options that fail to evaluate are [`Problem`]s of theirs.
pub fn document(
    evaluation: &Evaluation,
    tree: Handle<'_>,
    request: &Request,
) -> Res<Vec<OptionDoc>> {
    let words = request.words.iter().map(|word| word.to_lowercase()).collect();
    let mut walker = Walker {
        evaluation,
        request,
        words,
        dialect: None,
        rows: Vec::new(),
        found: vec![0; request.patterns.len()],
        shorter: vec![None; request.patterns.len()],
        n_barren: 0,
    };
    // Of a tree that fails as a whole, there is nothing to show.
    let tree = evaluation.force(tree, false)?;
    walker.tree(tree, &mut Vec::new(), None)?;
    for (at, pattern) in request.patterns.iter().enumerate() {
        if walker.found[at] > 0 {
            continue;
        }
        match walker.shorter[at].take() {
            Some(place) => walker.inside(&place, pattern)?,
            None => return Err(walker.missing(tree, pattern)?),
        }
    }
    Ok(walker.rows)
}

/// An option and where it is.
#[derive(Clone)]
struct PlaceOf<'e> {
    option: Handle<'e>,
    /// The way from the root of the tree, with placeholders for what the user chooses.
    path: Vec<String>,
    loc: Vec<String>,
    /// The option of the tree itself that it belongs to, and the length of that one's path.
    top: (Handle<'e>, usize),
}

struct Walker<'e, 'r> {
    evaluation: &'e Evaluation,
    request: &'r Request,
    /// In small letters.
    words: Vec<String>,
    dialect: Option<Dialect>,
    rows: Vec<OptionDoc>,
    /// How many options each pattern has found, those that are hidden included.
    found: Vec<usize>,
    /// For each pattern, an option with a shorter name: the pattern may mean what is in its value.
    shorter: Vec<Option<PlaceOf<'e>>>,
    n_barren: usize,
}

impl<'e> Walker<'e, '_> {
    /// Walks a set. `path` leads there, from the root or from the option `above`.
    fn tree(
        &mut self,
        value: Handle<'e>,
        path: &mut Vec<String>,
        above: Option<&PlaceOf<'e>>,
    ) -> Res<()> {
        // Names in a type's options lack what the user chooses, so they tell nothing yet.
        if above.is_none() && self.fit(path) == Fit::No {
            return Ok(());
        }
        let looked = self.evaluation.look(value).and_then(|look| {
            let is_set = matches!(look, Look::Set);
            Ok((is_set, is_set && is_text(self.evaluation, value, "_type", "option")?))
        });
        match looked {
            Ok((false, _)) => return Ok(()),
            Ok((true, true)) => return self.option(value, path, above),
            Ok((true, false)) => {}
            Err(error) => return self.broken(*error, path, above),
        }
        self.n_barren += 1;
        if self.n_barren > MAX_BARREN || path.len() > MAX_DEPTH {
            let message = "this is no tree of options: there are too many sets without one";
            return Err(Box::new(EvalError::other(message.to_owned())));
        }
        for (name, member) in self.evaluation.members(value)? {
            path.push(name);
            self.tree(member, path, above)?;
            path.pop();
        }
        Ok(())
    }

    /// Notes that nothing is known of what is at a place.
    fn broken(
        &mut self,
        error: EvalError,
        path: &[String],
        above: Option<&PlaceOf<'e>>,
    ) -> Res<()> {
        let mut doc = OptionDoc { visible: true, ..OptionDoc::default() };
        self.note::<()>(&mut doc.problems, Part::Option, Err(Box::new(error)))?;
        let full = match above {
            Some(above) => [&above.path, path].concat(),
            None => path.to_vec(),
        };
        if self.fit(&full) == Fit::Yes && self.words.is_empty() {
            self.count(&full);
            doc.name = self.dialect.unwrap_or_default().full_name(&full);
            doc.loc = full;
            self.rows.push(doc);
        }
        Ok(())
    }

    fn option(
        &mut self,
        option: Handle<'e>,
        path: &[String],
        above: Option<&PlaceOf<'e>>,
    ) -> Res<()> {
        self.n_barren = 0;
        let dialect = *self.dialect.get_or_insert_with(|| Dialect::of(self.evaluation, option));
        let mut doc = OptionDoc::default();
        let loc = self.strings(option, "loc");
        let loc = self.note(&mut doc.problems, Part::Option, loc)?.unwrap_or_default();
        let path = match above {
            None => path.to_vec(),
            Some(above) if loc.starts_with(&above.loc) => {
                [&above.path, &loc[above.loc.len()..]].concat()
            }
            Some(above) => [&above.path, path].concat(),
        };
        let fit = self.fit(&path);
        if fit == Fit::No {
            return Ok(());
        }
        let top = above.map_or((option, path.len()), |above| above.top);
        let place = PlaceOf { option, loc, top, path };
        if place.path.len() > MAX_DEPTH {
            let message = "options are nested too deeply".to_owned();
            return self.broken(EvalError::other(message), &place.path, None);
        }
        let (visible, has_visible_parts) = self.flags(option, &mut doc)?;
        doc.visible = visible;
        if fit == Fit::Yes {
            self.count(&place.path);
            let is_shown = self.request.hidden || (visible && !doc.internal);
            if is_shown || self.is_named(&place.path) {
                self.describe(&place, dialect, &mut doc)?;
            }
        } else {
            for (at, pattern) in self.request.patterns.iter().enumerate() {
                if pattern.exact().is_some() && pattern.fit(&place.path) == Fit::Below {
                    self.shorter[at] = Some(place.clone());
                }
            }
        }
        // Its row stands before those of its parts.
        let row = self.rows.len();
        if !doc.name.is_empty() && self.is_wanted(&doc) {
            self.rows.push(doc);
        }
        if has_visible_parts && let Some(problem) = self.parts(&place)? {
            match self.rows.get_mut(row) {
                // A type that fails has no parts, and has said so.
                Some(own) if own.problem(Part::Type) == Some(&problem.message) => {}
                Some(own) => own.problems.push(problem),
                None => {
                    let doc = OptionDoc {
                        name: dialect.full_name(&place.loc),
                        loc: place.loc,
                        visible: true,
                        problems: vec![problem],
                        ..OptionDoc::default()
                    };
                    if fit == Fit::Yes && self.is_wanted(&doc) {
                        self.rows.push(doc);
                    }
                }
            }
        }
        Ok(())
    }

    /// Walks the options inside of an option; gives what is wrong with them as a whole.
    fn parts(&mut self, place: &PlaceOf<'e>) -> Res<Option<Problem>> {
        let evaluation = self.evaluation;
        let parts = || {
            let Some(type_) = evaluation.attr(place.option, "type")? else { return Ok(None) };
            let Some(function) = evaluation.attr(type_, "getSubOptions")? else { return Ok(None) };
            let Some(loc) = evaluation.attr(place.option, "loc")? else { return Ok(None) };
            let parts = evaluation.apply(function, loc)?;
            evaluation.force(parts, false).map(Some)
        };
        let mut problems = Vec::new();
        if let Some(Some(parts)) = self.note(&mut problems, Part::SubOptions, parts())? {
            self.tree(parts, &mut Vec::new(), Some(place))?;
        }
        Ok(problems.pop())
    }

    /// Whether an option is visible, and whether the options inside of it are.
    fn flags(&mut self, option: Handle<'e>, doc: &mut OptionDoc) -> Res<(bool, bool)> {
        let evaluation = self.evaluation;
        let read = || {
            let flag = |name| {
                let Some(value) = evaluation.attr(option, name)? else { return Ok(false) };
                Ok::<_, Box<EvalError>>(matches!(evaluation.look(value)?, Look::Bool(true)))
            };
            let visible = match evaluation.attr(option, "visible")? {
                None => (true, true),
                Some(value) => match evaluation.look(value)? {
                    Look::Bool(visible) => (visible, visible),
                    Look::String(word) => (word == "shallow", word == "transparent"),
                    _ => (true, true),
                },
            };
            Ok((flag("internal")?, flag("readOnly")?, visible))
        };
        let read = self.note(&mut doc.problems, Part::Flags, read())?;
        let (internal, read_only, visible) = read.unwrap_or((false, false, (true, true)));
        (doc.internal, doc.read_only) = (internal, read_only);
        Ok(visible)
    }

    /// Gives the option that a pattern goes on from: it may mean what is in its value.
    fn inside(&mut self, place: &PlaceOf<'e>, pattern: &Pattern) -> Res<()> {
        let dialect = self.dialect.unwrap_or_default();
        let mut doc = OptionDoc::default();
        (doc.visible, _) = self.flags(place.option, &mut doc)?;
        self.describe(place, dialect, &mut doc)?;
        if self.request.values
            && let Some(exact) = pattern.exact()
        {
            let path: Vec<String> = exact.into_iter().map(str::to_owned).collect();
            doc.problems.retain(|problem| !matches!(problem.part, Part::Value | Part::Definitions));
            self.current(place.top, &path, dialect, &mut doc)?;
        }
        self.rows.push(doc);
        Ok(())
    }

    // What somebody asked for.

    fn fit(&self, path: &[String]) -> Fit {
        let patterns = &self.request.patterns;
        let best = patterns.iter().map(|pattern| pattern.fit(path)).max();
        best.unwrap_or(Fit::Yes)
    }

    fn count(&mut self, path: &[String]) {
        for (at, pattern) in self.request.patterns.iter().enumerate() {
            self.found[at] += usize::from(pattern.fit(path) == Fit::Yes);
        }
    }

    /// Whether a pattern is just this name.
    fn is_named(&self, path: &[String]) -> bool {
        let mut exact = self.request.patterns.iter().filter_map(Pattern::exact);
        exact.any(|parts| parts.len() == path.len())
    }

    fn is_wanted(&self, doc: &OptionDoc) -> bool {
        if self.words.is_empty() {
            return true;
        }
        let mut text = doc.name.to_lowercase();
        if let Some(description) = &doc.description {
            text.push('\n');
            text.push_str(&description.text().to_lowercase());
        }
        self.words.iter().all(|word| text.contains(word))
    }

    // Failures.

    /// Turns a failure into a problem, unless the whole evaluation is over.
    fn note<T>(&self, problems: &mut Vec<Problem>, part: Part, result: Res<T>) -> Res<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind == ErrorKind::Limit => Err(error),
            Err(error) => {
                let mut message = error.message.clone();
                if let Some(place) = &error.place {
                    let at = format!(" (at {}:{}:{})", place.origin, place.line, place.column);
                    message.push_str(&at);
                }
                problems.push(Problem { part, message });
                Ok(None)
            }
        }
    }
}
