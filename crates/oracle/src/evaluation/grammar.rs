//! Reads `grammar.txt`.

use std::collections::{BTreeSet, HashMap};

use super::types::Type;

/// A way to write an expression of a type.
pub(super) struct Rule {
    pub(super) result: Type,
    pub(super) weight: u32,
    pub(super) parts: Vec<Part>,
}

/// A piece of a rule.
pub(super) enum Part {
    Text(&'static str),
    Hole(Type),
    /// The folder with the files.
    Folder,
}

impl Rule {
    pub(super) fn has_holes(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Hole(_)))
    }

    /// Whether what the rule makes is one operand wherever it stands.
    pub(super) fn is_closed(&self) -> bool {
        let texts = || {
            self.parts.iter().filter_map(|part| match part {
                Part::Text(text) => Some(*text),
                _ => None,
            })
        };
        match &self.parts[..] {
            [Part::Text(text)] if is_plain_string(text) => true,
            [Part::Text(text), ..] if text.starts_with(['-', '!']) => false,
            _ => texts().all(|text| !text.contains([' ', '⏎'])),
        }
    }
}

fn is_plain_string(text: &str) -> bool {
    text.len() > 1 && text.starts_with('"') && text.ends_with('"') && text.matches('"').count() == 2
}

/// All rules, in the order of the file.
pub(super) struct Grammar {
    pub(super) rules: Vec<Rule>,
    /// The positions of rules by the outermost part of their types.
    by_head: HashMap<&'static str, Vec<usize>>,
}

const TEXT: &str = include_str!("grammar.txt");

impl Grammar {
    /// Errors: a line that is not understood, by its number; a type that nothing makes.
    pub(super) fn read() -> Result<Self, String> {
        let mut rules = Vec::new();
        let mut result = None;
        for (number, line) in TEXT.lines().enumerate() {
            let at = |message: String| format!("grammar.txt:{}: {message}", number + 1);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match (line.strip_prefix("  "), &result) {
                (None, _) => result = Some(Type::read(line).map_err(at)?),
                (Some(text), Some(result)) => {
                    rules.push(rule(text, result.clone()).map_err(at)?);
                }
                (Some(_), None) => return Err(at("no type stands above".to_owned())),
            }
        }
        let mut by_head: HashMap<&'static str, Vec<usize>> = HashMap::new();
        for (at, rule) in rules.iter().enumerate() {
            by_head.entry(rule.result.head()).or_default().push(at);
        }
        let grammar = Self { rules, by_head };
        match grammar.unmade() {
            None => Ok(grammar),
            Some(word) => Err(format!("grammar.txt: nothing without holes makes `{word}`")),
        }
    }

    /// The rules that may fit a type: those for every type, or the others.
    pub(super) fn for_type(&self, wanted: &Type, is_general: bool) -> impl Iterator<Item = &Rule> {
        let heads = if is_general { vec!["a"] } else { wanted.heads() };
        let places = heads.into_iter().filter_map(|head| self.by_head.get(head)).flatten();
        places.map(|&at| &self.rules[at])
    }

    /// A word for which there is no rule to end with.
    fn unmade(&self) -> Option<&'static str> {
        fn words(of: &Type, out: &mut BTreeSet<&'static str>) {
            match of {
                Type::Word(word) => {
                    out.insert(word);
                }
                Type::Variable(_) => {}
                Type::List(of) | Type::Set(of) => words(of, out),
                Type::Record(members) => members.iter().for_each(|(_, of)| words(of, out)),
                Type::Function(from, to) => {
                    words(from, out);
                    words(to, out);
                }
            }
        }
        let mut used = BTreeSet::new();
        let mut ending = BTreeSet::new();
        for rule in &self.rules {
            for part in &rule.parts {
                if let Part::Hole(of) = part {
                    words(of, &mut used);
                }
            }
            if let (Type::Word(word), false) = (&rule.result, rule.has_holes()) {
                ending.insert(*word);
            }
        }
        // These are made of other types where no rule fits.
        ending.extend(["lazy", "any", "num", "ctx", "drv", "jsonable", "env"]);
        used.difference(&ending).next().copied()
    }
}

fn rule(text: &'static str, result: Type) -> Result<Rule, String> {
    let (weight, text) = match text.split_once("* ") {
        Some((weight, rest)) if weight.bytes().all(|byte| byte.is_ascii_digit()) => {
            (weight.parse().map_err(|_| format!("`{weight}` is no weight"))?, rest)
        }
        _ => (1, text),
    };
    let mut parts = Vec::new();
    let mut pieces = text.split('%');
    while let Some(piece) = pieces.next() {
        if !piece.is_empty() {
            parts.push(Part::Text(piece));
        }
        match pieces.next() {
            Some("dir") => parts.push(Part::Folder),
            Some(hole) => parts.push(Part::Hole(Type::read(hole)?)),
            None => break,
        }
    }
    if text.matches('%').count() % 2 == 1 {
        return Err("a hole does not end".to_owned());
    }
    Ok(Rule { result, weight, parts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_reads() {
        let grammar = Grammar::read().unwrap();
        assert!(grammar.rules.len() > 1000, "{}", grammar.rules.len());
    }

    #[test]
    fn mistakes_in_it_are_found() {
        assert!(rule("a %int", Type::Word("int")).is_err());
        assert!(rule("a %[int%", Type::Word("int")).is_err());
        assert_eq!(rule("2* %int% * 3", Type::Word("int")).unwrap().weight, 2);
        assert_eq!(rule("%int% * 3", Type::Word("int")).unwrap().weight, 1);
    }
}
