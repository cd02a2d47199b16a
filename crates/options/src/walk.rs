//! The walk through an option tree.

use cim_nix_eval::{ErrorKind, EvalError, Evaluation, Format, Handle, Look};

use crate::dialect::Dialect;
use crate::doc::{Current, Definition, OptionDoc, Part, Problem, Text};
use crate::pattern::{Fit, Pattern, is_placeholder};
use crate::pretty::{is_text, pretty};

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

    /// Fills in what documentation says of an option.
    fn describe(&mut self, place: &PlaceOf<'e>, dialect: Dialect, doc: &mut OptionDoc) -> Res<()> {
        let evaluation = self.evaluation;
        let option = place.option;
        let attr = |name| evaluation.attr(option, name);
        let loc = if place.loc.is_empty() { &place.path } else { &place.loc };
        doc.loc.clone_from(loc);
        doc.name = dialect.full_name(loc);

        let type_ = || {
            let Some(type_) = attr("type")? else { return Ok("unspecified".to_owned()) };
            match evaluation.attr(type_, "description")? {
                None => Ok("unspecified".to_owned()),
                Some(text) => self.string(text),
            }
        };
        let type_ = type_();
        doc.type_ = self.note(&mut doc.problems, Part::Type, type_)?;

        let description = || match attr("description")? {
            None => Ok(None),
            Some(text) => self.text(text),
        };
        let description = description();
        doc.description = self.note(&mut doc.problems, Part::Description, description)?.flatten();

        let default = || {
            let own = match attr("defaultText")? {
                Some(text) => Some(text),
                None => attr("default")?,
            };
            let value = match own {
                None if dialect.has_empty_defaults => self.empty_value(option)?,
                own => own,
            };
            value.map(|value| self.rendered(value, dialect)).transpose()
        };
        let default = default();
        doc.default = self.note(&mut doc.problems, Part::Default, default)?.flatten();

        let example = || match attr("example")? {
            None => Ok(None),
            Some(value) => self.rendered(value, dialect).map(Some),
        };
        let example = example();
        doc.example = self.note(&mut doc.problems, Part::Example, example)?.flatten();

        let declarations = self.strings(option, "declarations");
        let declarations = self.note(&mut doc.problems, Part::Declarations, declarations)?;
        doc.declarations = declarations.unwrap_or_default();
        doc.declarations.retain(|file| file != UNKNOWN_FILE);

        let related = || match attr("relatedPackages")? {
            None => Ok(None),
            Some(value) => match evaluation.look(value)? {
                Look::Null => Ok(None),
                _ => self.json(value).map(Some),
            },
        };
        let related = related();
        let related = self.note(&mut doc.problems, Part::RelatedPackages, related)?;
        doc.related_packages = related.flatten();

        if self.request.values {
            let mut path = place.path.clone();
            let mut exact = self.request.patterns.iter().filter_map(Pattern::exact);
            let is_named = |parts: &Vec<&str>| {
                parts.iter().zip(&path).all(|(a, b)| a == b || is_placeholder(b))
            };
            if let Some(parts) = exact.find(is_named) {
                path.iter_mut().zip(parts).for_each(|(at, part)| part.clone_into(at));
            }
            self.current(place.top, &path, dialect, doc)?;
        }
        Ok(())
    }

    /// Says what is set at a path, which leads through an option of the tree itself.
    fn current(
        &self,
        (top, n): (Handle<'e>, usize),
        path: &[String],
        dialect: Dialect,
        doc: &mut OptionDoc,
    ) -> Res<()> {
        let evaluation = self.evaluation;
        let inner = &path[n..];
        if inner.iter().any(|part| is_placeholder(part)) {
            return Ok(());
        }
        let name = dialect.full_name(path);
        let value = || {
            let missing = || Box::new(EvalError::other(format!("`{name}` is not set")));
            let value = evaluation.attr(top, "value")?.ok_or_else(missing)?;
            let value = self.dig(value, inner)?.ok_or_else(missing)?;
            pretty(evaluation, dialect, value)
        };
        let value = self.note(&mut doc.problems, Part::Value, value())?;
        let places = || {
            let Some(list) = evaluation.attr(top, "definitionsWithLocations")? else {
                return Ok(Vec::new());
            };
            let mut found = Vec::new();
            for place in evaluation.elements(list)? {
                let Some(value) = evaluation.attr(place, "value")? else { continue };
                let file = match evaluation.attr(place, "file")? {
                    Some(file) => self.string(file)?,
                    None => UNKNOWN_FILE.to_owned(),
                };
                found.push((file, value));
            }
            Ok(found)
        };
        let places = self.note(&mut doc.problems, Part::Definitions, places())?;
        let mut definitions = Vec::new();
        for (file, value) in places.unwrap_or_default() {
            let text = self.dig(value, inner).and_then(|found| {
                found.map(|value| pretty(evaluation, dialect, value)).transpose()
            });
            match self.note(&mut doc.problems, Part::Definitions, text)? {
                // It sets something else.
                Some(None) => {}
                Some(value) => definitions.push(Definition { file, value }),
                None => definitions.push(Definition { file, value: None }),
            }
        }
        doc.current = Some(Current { name, value, definitions });
        Ok(())
    }

    /// What a value has at a path through sets and lists.
    fn dig(&self, value: Handle<'e>, path: &[String]) -> Res<Option<Handle<'e>>> {
        let mut at = value;
        for part in path {
            let next = match (self.evaluation.look(at)?, part.parse::<usize>()) {
                (Look::List(elements), Ok(index)) => elements.get(index).copied(),
                _ => self.evaluation.attr(at, part)?,
            };
            let Some(next) = next else { return Ok(None) };
            at = next;
        }
        Ok(Some(at))
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

    /// The error for a pattern that means nothing here.
    fn missing(&self, tree: Handle<'e>, pattern: &Pattern) -> Res<Box<EvalError>> {
        let Some(exact) = pattern.exact() else {
            let message = format!("no option fits `{pattern}`");
            return Ok(Box::new(EvalError::other(message)));
        };
        let dialect = self.dialect.unwrap_or_default();
        let mut at = tree;
        for (depth, part) in exact.iter().enumerate() {
            let Some(next) = self.evaluation.attr(at, part)? else {
                let parts: Vec<String> = exact.iter().map(|&part| part.to_owned()).collect();
                let name = |parts: &[String]| dialect.full_name(parts);
                let siblings = match depth {
                    0 => "at the top".to_owned(),
                    _ => format!("in `{}`", name(&parts[..depth])),
                };
                let message = format!(
                    "there is no option `{}`: there is no `{}` {siblings}",
                    name(&parts),
                    dialect.part(part)
                );
                let known = self.evaluation.attr_names(at)?;
                return Ok(Box::new(EvalError::missing_attribute(message, part, known)));
            };
            at = next;
        }
        let message = format!("there are no options in `{pattern}`");
        Ok(Box::new(EvalError::other(message)))
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

    // Values.

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

    fn string(&self, value: Handle<'e>) -> Res<String> {
        match self.evaluation.look(value)? {
            Look::String(text) | Look::Path(text) => Ok(text),
            _ => {
                let text = self.evaluation.write(value, Format::Raw, true)?;
                Ok(String::from_utf8_lossy(&text).into_owned())
            }
        }
    }

    fn strings(&self, option: Handle<'e>, name: &str) -> Res<Vec<String>> {
        let Some(list) = self.evaluation.attr(option, name)? else { return Ok(Vec::new()) };
        self.evaluation.elements(list)?.into_iter().map(|value| self.string(value)).collect()
    }

    fn json(&self, value: Handle<'e>) -> Res<serde_json::Value> {
        let json = self.evaluation.write(value, Format::Json, true)?;
        serde_json::from_slice(&json).map_err(|error| {
            Box::new(EvalError::other(format!("this is no JSON that can be read: {error}")))
        })
    }

    /// A text, or none for `null`.
    fn text(&self, value: Handle<'e>) -> Res<Option<Text>> {
        Ok(match self.evaluation.look(value)? {
            Look::Null => None,
            Look::String(text) => Some(Text::Plain(text)),
            Look::Set => Some(self.marked(value)?),
            _ => Some(Text::Other(self.json(value)?)),
        })
    }

    /// A set with a text and what it is.
    fn marked(&self, value: Handle<'e>) -> Res<Text> {
        let members = self.evaluation.members(value)?;
        if let [(first, kind), (second, text)] = &members[..]
            && (first.as_str(), second.as_str()) == ("_type", "text")
            && let Look::String(kind) = self.evaluation.look(*kind)?
            && let Look::String(text) = self.evaluation.look(*text)?
        {
            return Ok(Text::Marked { kind, text });
        }
        self.json(value).map(Text::Other)
    }

    /// A default or an example as code, if it is none already.
    fn rendered(&self, value: Handle<'e>, dialect: Dialect) -> Res<Text> {
        let evaluation = self.evaluation;
        let has = |name| Ok::<_, Box<EvalError>>(evaluation.attr(value, name)?.is_some());
        if has("_type")? && has("text")? {
            return self.marked(value);
        }
        pretty(evaluation, dialect, value).map(Text::code)
    }

    /// The empty value of an option's type, unless the options inside of it say more.
    fn empty_value(&self, option: Handle<'e>) -> Res<Option<Handle<'e>>> {
        let evaluation = self.evaluation;
        let Some(type_) = evaluation.attr(option, "type")? else { return Ok(None) };
        let Some(empty) = evaluation.attr(type_, "emptyValue")? else { return Ok(None) };
        let Some(value) = evaluation.attr(empty, "value")? else { return Ok(None) };
        let modules = evaluation.attr(type_, "getSubModules")?;
        let has_modules = match modules {
            Some(modules) => !matches!(evaluation.look(modules)?, Look::Null),
            None => false,
        };
        Ok((!has_modules).then_some(value))
    }
}
