//! What is known of one option.

use cim_nix_eval::{EvalError, Format, Handle, Look};

use super::{PlaceOf, Res, UNKNOWN_FILE, Walker};
use crate::dialect::Dialect;
use crate::doc::{Current, Definition, OptionDoc, Part, Text};
use crate::pattern::{Pattern, is_placeholder};
use crate::pretty::pretty;

impl<'e> Walker<'e, '_> {
    /// Fills in what documentation says of an option.
    pub(super) fn describe(
        &mut self,
        place: &PlaceOf<'e>,
        dialect: Dialect,
        doc: &mut OptionDoc,
    ) -> Res<()> {
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
    pub(super) fn current(
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

    // Values.

    pub(super) fn string(&self, value: Handle<'e>) -> Res<String> {
        match self.evaluation.look(value)? {
            Look::String(text) | Look::Path(text) => Ok(text),
            _ => {
                let text = self.evaluation.write(value, Format::Raw, true)?;
                Ok(String::from_utf8_lossy(&text).into_owned())
            }
        }
    }

    pub(super) fn strings(&self, option: Handle<'e>, name: &str) -> Res<Vec<String>> {
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
