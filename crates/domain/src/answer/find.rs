//! Finding things by what people call them, and lists in parts.

use std::ops::ControlFlow;

use uuid::Uuid;

use super::{Page, QueryError};
use crate::projection::{BadRow, Named, below, key, read, value};
use crate::{EventStore, Projection, Rows, StoreError};

/// Reads a read model that has taken in all events. One whose rows do not fit is built again.
pub(super) fn with_rows<T>(
    store: &dyn EventStore,
    projection: &dyn Projection,
    answer: impl Fn(&dyn Rows) -> Result<T, QueryError>,
) -> Result<T, QueryError> {
    match caught_up(store, projection, &answer) {
        Err(QueryError::Store(StoreError::Visitor(cause))) if cause.is::<BadRow>() => {
            store.drop_projection(projection.name())?;
            caught_up(store, projection, &answer)
        }
        answered => answered,
    }
}

fn caught_up<T>(
    store: &dyn EventStore,
    projection: &dyn Projection,
    answer: &impl Fn(&dyn Rows) -> Result<T, QueryError>,
) -> Result<T, QueryError> {
    store.catch_up(projection)?;
    let mut answered = None;
    store.rows(projection.name(), &mut |rows| {
        answered = Some(answer(rows));
        Ok(())
    })?;
    answered.unwrap_or_else(|| {
        let problem = format!("the store did not read the rows of `{}`", projection.name());
        Err(StoreError::Invalid(problem).into())
    })
}

/// How a query names one thing.
pub(super) struct Wanted<'q> {
    /// What kind of thing it is, in words.
    pub(super) noun: &'static str,
    pub(super) id: Option<Uuid>,
    pub(super) project: Option<&'q str>,
    pub(super) name: Option<&'q str>,
}

/// Most rows that are read to tell what is called alike.
const ALIKE: usize = 10_000;

impl Wanted<'_> {
    /// What was looked for, in words.
    pub(super) fn what(&self) -> String {
        let Self { noun, id, project, name } = self;
        let mut what = (*noun).to_owned();
        if let Some(name) = name {
            what.push_str(&format!(" `{}`", name.escape_debug()));
        }
        if let Some(id) = id {
            what.push_str(&format!(" with the id {id}"));
        }
        if let Some(project) = project {
            what.push_str(&format!(" in `{}`", project.escape_debug()));
        }
        what
    }

    /// The id of the thing with the name, among those that `prefix` has names of.
    ///
    /// Errors: it is not there, or there are several.
    pub(super) fn named(&self, rows: &dyn Rows, prefix: &str) -> Result<Uuid, QueryError> {
        let Some(name) = self.name else {
            return Err(QueryError::Invalid {
                problem: format!(
                    "which {} is meant? neither its id nor its name is given",
                    self.noun
                ),
            });
        };
        let scanned = match self.project {
            Some(project) => below(&[prefix, "in", project, name]),
            None => below(&[prefix, "of", name]),
        };
        let fits = names(rows, &scanned, 5)?;
        match fits.as_slice() {
            [only] => Ok(only.id),
            [] => Err(QueryError::NotFound { what: self.what(), near: self.near(rows, prefix)? }),
            several => {
                let shown = |named: &Named| match self.project {
                    Some(_) => named.id.to_string(),
                    None => format!("`{}`", named.project.escape_debug()),
                };
                let candidates = several.iter().map(shown).collect();
                let apart_by = match self.project {
                    Some(_) => "its id",
                    None => "its project or its id",
                };
                Err(QueryError::Ambiguous { what: self.what(), candidates, apart_by })
            }
        }
    }

    /// What is called alike.
    pub(super) fn near(&self, rows: &dyn Rows, prefix: &str) -> Result<Vec<String>, StoreError> {
        let Some(name) = self.name else { return Ok(Vec::new()) };
        let scanned = match self.project {
            Some(project) => below(&[prefix, "in", project]),
            None => below(&[prefix, "of"]),
        };
        let known = names(rows, &scanned, ALIKE)?;
        let near = nearest(name, known.into_iter().map(|named| named.name));
        Ok(near.iter().map(|name| format!("`{}`", name.escape_debug())).collect())
    }
}

/// The first `most` things whose names stand below a prefix.
pub(super) fn names(rows: &dyn Rows, prefix: &str, most: usize) -> Result<Vec<Named>, StoreError> {
    let mut found = Vec::new();
    rows.scan(prefix, None, &mut |key, text| {
        found.push(value(key, text)?);
        Ok(match found.len() < most {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        })
    })?;
    Ok(found)
}

/// The values of all rows below a prefix, `most` of them at most.
pub(super) fn values<T: serde::de::DeserializeOwned>(
    rows: &dyn Rows,
    prefix: &str,
    most: usize,
) -> Result<Vec<T>, StoreError> {
    let mut found = Vec::new();
    if most == 0 {
        return Ok(found);
    }
    rows.scan(prefix, None, &mut |key, text| {
        found.push(value(key, text)?);
        Ok(match found.len() < most {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        })
    })?;
    Ok(found)
}

/// The three names that are most like `wanted`, if any are like it.
fn nearest(wanted: &str, known: impl Iterator<Item = String>) -> Vec<String> {
    let n_wanted = wanted.chars().count();
    let mut near: Vec<(usize, String)> = known
        .filter_map(|name| {
            let most = 1 + n_wanted.max(name.chars().count()) / 4;
            let is_part = n_wanted >= 3 && name.contains(wanted);
            let distance = distance(wanted, &name);
            (distance <= most || is_part).then_some((distance, name))
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    near.truncate(3);
    near.into_iter().map(|(_, name)| name).collect()
}

/// How many characters differ, in the ends of two texts: paths are alike in what they start with.
fn distance(left: &str, right: &str) -> usize {
    const MOST: usize = 64;
    let end = |text: &str| {
        let mut chars: Vec<char> = text.chars().rev().take(MOST).collect();
        chars.reverse();
        chars
    };
    let (left, right) = (end(left), end(right));
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, l) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, r) in right.iter().enumerate() {
            let changed = diagonal + usize::from(l != r);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

/// Which part of a list is wanted.
#[derive(Clone, Copy)]
pub(super) struct Part<'q> {
    pub(super) limit: Option<u32>,
    pub(super) cursor: Option<&'q str>,
}

impl Part<'_> {
    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(100).clamp(1, 1_000) as usize
    }

    /// The rows of the list that stand below `list` and start with `prefix`, as far as `keep` makes
    /// items of them.
    pub(super) fn page<T>(
        &self,
        rows: &dyn Rows,
        list: &str,
        prefix: &str,
        mut keep: impl FnMut(&str, &str) -> Result<Option<T>, QueryError>,
    ) -> Result<Page<T>, QueryError> {
        let limit = self.limit();
        let mut scanned = list.to_owned();
        // The start of a name is the start of its part of the key.
        scanned.push_str(&key(&[prefix]));
        let mut after = self.cursor.map(|cursor| decode(cursor, list)).transpose()?;
        let mut items: Vec<T> = Vec::new();
        let mut last = None;
        loop {
            let portion = portion(rows, &scanned, after.as_deref())?;
            let Some((end, _)) = portion.last() else { return Ok(Page { items, next: None }) };
            after = Some(end.clone());
            for (key, text) in portion {
                let Some(item) = keep(&key, &text)? else { continue };
                if items.len() == limit {
                    let next = last.map(|last: String| encode(&last[list.len()..]));
                    return Ok(Page { items, next });
                }
                items.push(item);
                last = Some(key);
            }
        }
    }
}

/// Rows are read in portions, since what becomes of one may need others.
fn portion(
    rows: &dyn Rows,
    prefix: &str,
    after: Option<&str>,
) -> Result<Vec<(String, String)>, StoreError> {
    let mut portion = Vec::new();
    rows.scan(prefix, after, &mut |key, text| {
        portion.push((key.to_owned(), text.to_owned()));
        Ok(match portion.len() < 128 {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        })
    })?;
    Ok(portion)
}

/// Writes a part of a key so that it goes through command lines and URLs.
fn encode(key: &str) -> String {
    let mut text = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            true => text.push(byte.into()),
            false => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

/// The key that a cursor stands for.
///
/// Errors: it is none.
fn decode(cursor: &str, list: &str) -> Result<String, QueryError> {
    let broken = || QueryError::Invalid {
        problem: format!(
            "`{}` is no cursor that an answer gave",
            cursor.chars().take(60).collect::<String>().escape_debug()
        ),
    };
    let mut bytes = list.as_bytes().to_vec();
    let mut rest = cursor.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.ok_or_else(broken)?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| broken())
}

/// Reads the row of something that an index names.
///
/// Errors: an index names what is not there, which building the read model again mends.
pub(super) fn indexed<T: serde::de::DeserializeOwned>(
    rows: &dyn Rows,
    key: &str,
) -> Result<T, QueryError> {
    match read(rows, key)? {
        Some(row) => Ok(row),
        None => Err(BadRow::missing(key).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_alike() {
        let known = ["web", "wep", "webserver", "database", "x"].map(str::to_owned);
        let near = |wanted: &str| nearest(wanted, known.iter().cloned()).join(" ");
        assert_eq!(near("wex"), "web wep");
        assert_eq!(near("websrver"), "webserver");
        assert_eq!(near("databases"), "database");
        assert_eq!(near("base"), "database");
        assert_eq!(near("zzzzzz"), "");
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn cursors_go_there_and_back() {
        for text in ["", "a\tb", "ä/b c%", "\\t\\"] {
            let cursor = encode(text);
            assert!(!cursor.contains(['\t', ' ', '\\']), "{cursor}");
            assert_eq!(decode(&cursor, "x\t").expect("ours"), format!("x\t{text}"));
        }
        for text in ["%", "%4", "%zz", "%FF"] {
            assert!(decode(text, "").is_err(), "{text}");
        }
    }
}
