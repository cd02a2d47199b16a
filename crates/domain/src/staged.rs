//! Changes of a read model that are not written yet.
//!
//! A store that moves a read model lays a [`Staged`] over the rows that it has. The projection
//! writes there; when it has taken an event the changes count, when it fails they are undone as if
//! the event had not been tried. What is left at the end is written in one go, each row once.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::{Bound, ControlFlow};

use crate::{Projection, Reading, Rows, StoreError, Visit};

/// Rows with changes over them.
pub struct Staged<'a> {
    base: &'a dyn Rows,
    /// What was written, `None` where a row was removed.
    changes: BTreeMap<String, Option<String>>,
    /// What `changes` held before the event that is being taken, the latest last.
    former: Vec<(String, Option<Option<String>>)>,
}

impl<'a> Staged<'a> {
    /// No changes over `base` yet.
    #[must_use]
    pub fn over(base: &'a dyn Rows) -> Self {
        Self { base, changes: BTreeMap::new(), former: Vec::new() }
    }

    /// Lets the projection take one event. Where it fails, nothing of the event is left.
    ///
    /// Errors: those of the projection.
    pub fn take(
        &mut self,
        projection: &dyn Projection,
        event: &Reading<'_>,
    ) -> Result<(), StoreError> {
        self.former.clear();
        let taken = projection.apply(event, self);
        if taken.is_err() {
            self.undo();
        }
        self.former.clear();
        taken
    }

    /// Forgets what was written since the last event that was taken whole.
    pub fn undo(&mut self) {
        while let Some((key, former)) = self.former.pop() {
            match former {
                Some(change) => self.changes.insert(key, change),
                None => self.changes.remove(&key),
            };
        }
    }

    /// How many rows differ.
    #[must_use]
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether no row differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The changes by key; `None` for a row that was removed.
    #[must_use]
    pub fn into_changes(self) -> BTreeMap<String, Option<String>> {
        self.changes
    }

    fn change(&mut self, key: &str, value: Option<String>) {
        let former = self.changes.insert(key.to_owned(), value);
        self.former.push((key.to_owned(), former));
    }
}

impl Rows for Staged<'_> {
    fn get(&self, key: &str) -> Result<Option<String>, StoreError> {
        match self.changes.get(key) {
            Some(change) => Ok(change.clone()),
            None => self.base.get(key),
        }
    }

    fn put(&mut self, key: &str, value: &str) -> Result<(), StoreError> {
        self.change(key, Some(value.to_owned()));
        Ok(())
    }

    fn remove(&mut self, key: &str) -> Result<(), StoreError> {
        self.change(key, None);
        Ok(())
    }

    fn scan(
        &self,
        prefix: &str,
        after: Option<&str>,
        visit: &mut dyn FnMut(&str, &str) -> Visit,
    ) -> Result<(), StoreError> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let changes = self.changes.range::<str, _>((start, Bound::Unbounded));
        let mut changes = changes.take_while(|(key, _)| key.starts_with(prefix)).peekable();
        let mut has_stopped = false;
        self.base.scan(prefix, after, &mut |key, value| {
            let flow = match merge(&mut changes, key, visit)? {
                Merged::Stop => ControlFlow::Break(()),
                Merged::Replaced => ControlFlow::Continue(()),
                Merged::Kept => visit(key, value)?,
            };
            has_stopped = flow.is_break();
            Ok(flow)
        })?;
        if has_stopped {
            return Ok(());
        }
        for (key, change) in changes {
            let Some(value) = change else { continue };
            if visit(key, value)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// What the changes say of a row of the base.
enum Merged {
    Kept,
    Replaced,
    Stop,
}

/// Visits the changes up to and with `key`.
fn merge<'c>(
    changes: &mut Peekable<impl Iterator<Item = (&'c String, &'c Option<String>)>>,
    key: &str,
    visit: &mut dyn FnMut(&str, &str) -> Visit,
) -> Result<Merged, StoreError> {
    while let Some((changed, change)) = changes.next_if(|(changed, _)| changed.as_str() <= key) {
        if let Some(value) = change
            && visit(changed, value)?.is_break()
        {
            return Ok(Merged::Stop);
        }
        if changed == key {
            return Ok(Merged::Replaced);
        }
    }
    Ok(Merged::Kept)
}

impl Rows for BTreeMap<String, String> {
    fn get(&self, key: &str) -> Result<Option<String>, StoreError> {
        Ok(Self::get(self, key).cloned())
    }

    fn put(&mut self, key: &str, value: &str) -> Result<(), StoreError> {
        self.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    fn remove(&mut self, key: &str) -> Result<(), StoreError> {
        Self::remove(self, key);
        Ok(())
    }

    fn scan(
        &self,
        prefix: &str,
        after: Option<&str>,
        visit: &mut dyn FnMut(&str, &str) -> Visit,
    ) -> Result<(), StoreError> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let rows = self.range::<str, _>((start, Bound::Unbounded));
        for (key, value) in rows.take_while(|(key, _)| key.starts_with(prefix)) {
            if visit(key, value)?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(rows: &dyn Rows, prefix: &str, after: Option<&str>, most: usize) -> String {
        let mut out = Vec::new();
        let scanned = rows.scan(prefix, after, &mut |key, value| {
            out.push(format!("{key}={value}"));
            Ok(match out.len() == most {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
        });
        scanned.expect("rows in memory");
        out.join(" ")
    }

    #[test]
    fn scans_what_it_would_after_writing() {
        fastrand::seed(7);
        for _ in 0..2_000 {
            let key = || ["", "a", "aa", "ab", "b", "ba", "a\u{0}", "é"][fastrand::usize(0..8)];
            let mut base = BTreeMap::new();
            for _ in 0..fastrand::usize(0..6) {
                base.insert(key().to_owned(), "old".to_owned());
            }
            let mut model = base.clone();
            let mut staged = Staged::over(&base);
            for n in 0..fastrand::usize(0..6) {
                let key = key();
                match fastrand::bool() {
                    true => staged.put(key, &n.to_string()).and(model.put(key, &n.to_string())),
                    false => staged.remove(key).and(Rows::remove(&mut model, key)),
                }
                .expect("in memory");
            }
            let after = fastrand::bool().then(key);
            let (prefix, most) = (["", "a", "b"][fastrand::usize(0..3)], fastrand::usize(1..9));
            assert_eq!(all(&staged, prefix, after, most), all(&model, prefix, after, most));
            for (row, change) in staged.into_changes() {
                match change {
                    Some(value) => base.insert(row, value),
                    None => BTreeMap::remove(&mut base, &row),
                };
            }
            assert_eq!(base, model);
        }
    }

    #[test]
    fn undoes_the_last_event_alone() {
        let base = BTreeMap::from([("kept".to_owned(), "1".to_owned())]);
        let mut staged = Staged::over(&base);
        staged.put("first", "1").expect("in memory");
        staged.former.clear();
        staged.put("first", "2").expect("in memory");
        staged.put("first", "3").expect("in memory");
        staged.remove("kept").expect("in memory");
        staged.put("new", "1").expect("in memory");
        staged.undo();
        assert_eq!(all(&staged, "", None, 9), "first=1 kept=1");
    }
}
