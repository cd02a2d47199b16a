//! As much of YAML as settings of other tools need: maps, lists and texts.
//!
//! Aliases stand for nothing, so that no file grows while it is read.

use saphyr_parser::{Event, Parser};

/// A value.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Yaml {
    Nothing,
    Text(String),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
}

/// Deeper files are no settings.
const MAX_DEPTH: usize = 64;

impl Yaml {
    /// What a map has under `key`.
    pub(super) fn get(&self, key: &str) -> &Self {
        let entries = match self {
            Self::Map(entries) => entries.as_slice(),
            _ => &[],
        };
        let found = entries.iter().find(|(name, _)| name.text() == Some(key));
        found.map_or(&Self::Nothing, |(_, value)| value)
    }

    /// What a list has.
    pub(super) fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// A text.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Reads the first document of `text`.
///
/// Errors: what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Yaml, String> {
    // What is being read, outermost first; a map is a list of keys and values till it ends.
    let mut open: Vec<(bool, Vec<Yaml>)> = vec![(false, Vec::new())];
    for event in Parser::new_from_str(text) {
        let (event, _) = event.map_err(|error| error.to_string())?;
        let done = match event {
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if open.len() > MAX_DEPTH {
                    return Err("it nests too deeply".to_owned());
                }
                open.push((matches!(event, Event::MappingStart(..)), Vec::new()));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (is_map, items) = open.pop().unwrap_or_default();
                if is_map { Yaml::Map(pairs(items)) } else { Yaml::List(items) }
            }
            Event::Scalar(text, ..) => Yaml::Text(text.into_owned()),
            Event::Alias(_) => Yaml::Nothing,
            Event::DocumentEnd => break,
            _ => continue,
        };
        if let Some((_, items)) = open.last_mut() {
            items.push(done);
        }
    }
    let first = open.into_iter().next().and_then(|(_, items)| items.into_iter().next());
    Ok(first.unwrap_or(Yaml::Nothing))
}

fn pairs(items: Vec<Yaml>) -> Vec<(Yaml, Yaml)> {
    let mut items = items.into_iter();
    std::iter::from_fn(|| Some((items.next()?, items.next()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_lists_and_texts() {
        let yaml = parse("a:\n- b: [x, \"y z\"]\n  c: |\n    d\n- e\n").unwrap();
        let first = &yaml.get("a").items()[0];
        let words: Vec<_> = first.get("b").items().iter().filter_map(Yaml::text).collect();
        assert_eq!(words, ["x", "y z"]);
        assert_eq!(first.get("c").text(), Some("d\n"));
        assert_eq!(yaml.get("nothing").get("at all").items(), []);
        assert_eq!(parse("{\"a\": [1]}").unwrap().get("a").items().len(), 1);
    }

    #[test]
    fn hostile_files_cost_nothing() {
        assert!(parse(&"[".repeat(100_000)).is_err());
        let mut bomb = String::from("a0: &a0 x\n");
        for n in 1..40 {
            bomb.push_str(&format!("a{n}: &a{n} [*a{p}, *a{p}, *a{p}]\n", p = n - 1));
        }
        assert!(parse(&bomb).is_ok());
        assert!(parse("a: b: c").is_err());
        assert_eq!(parse("").unwrap(), Yaml::Nothing);
    }
}
