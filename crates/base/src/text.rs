//! Byte ranges and line/column positions.
//!
//! Offsets are UTF-8 bytes in a `u32`: a source file is at most 64 MiB (see `syntax`), so half of
//! the machine word is enough and trees stay small. Columns can be had in UTF-8 bytes, UTF-16 code
//! units (what editors speak) and characters (what people count).

use std::ops::Range;

use serde::Serialize;

/// A byte offset into one file's text.
pub type TextSize = u32;

/// A half-open byte range `start..end` in one file's text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize)]
pub struct TextRange {
    /// First byte of the range.
    pub start: TextSize,
    /// First byte after the range.
    pub end: TextSize,
}

impl std::fmt::Debug for TextRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}..{}", self.start, self.end)
    }
}

impl TextRange {
    /// The range `start..end`; an `end` before `start` is taken as empty at `start`.
    #[must_use]
    pub const fn new(start: TextSize, end: TextSize) -> Self {
        Self { start, end: if end < start { start } else { end } }
    }

    /// The empty range at `at`.
    #[must_use]
    pub const fn empty(at: TextSize) -> Self {
        Self { start: at, end: at }
    }

    /// Length in bytes.
    #[must_use]
    pub const fn len(self) -> TextSize {
        self.end - self.start
    }

    /// Whether the range holds no byte.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The range as `usize`, for slicing.
    #[must_use]
    pub const fn as_usize(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Whether `offset` lies inside (the end is outside).
    #[must_use]
    pub const fn contains(self, offset: TextSize) -> bool {
        self.start <= offset && offset < self.end
    }

    /// Whether `offset` lies inside or at the end: where a cursor "touches" the range.
    #[must_use]
    pub const fn touches(self, offset: TextSize) -> bool {
        self.start <= offset && offset <= self.end
    }

    /// Whether all of `other` lies inside.
    #[must_use]
    pub const fn contains_range(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// Whether the two ranges share a byte.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// The smallest range that holds both.
    #[must_use]
    pub fn cover(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// A place in a text as line and column, both counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct Position {
    /// Line, from 0.
    pub line: u32,
    /// Column, from 0, in the unit that was asked for.
    pub column: u32,
}

/// The starts of all lines of one text, for turning offsets into positions and back.
///
/// Lines end at `\n`; a `\r` before it belongs to the line. Cost: 4 bytes a line.
#[derive(Clone, Debug)]
pub struct LineIndex {
    starts: Vec<TextSize>,
}

impl LineIndex {
    /// Builds the index of `text`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut starts = vec![0];
        starts.extend(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at as TextSize + 1));
        Self { starts }
    }

    /// Number of lines; a text that ends in a line feed has an empty last line.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.starts.len() as u32
    }

    /// Never true: even the empty text has one line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The line (from 0) that holds `offset`; offsets past the end belong to the last line.
    #[must_use]
    pub fn line_of(&self, offset: TextSize) -> u32 {
        self.starts.partition_point(|&start| start <= offset) as u32 - 1
    }

    /// Byte range of line `line` without its line ending, or `None` past the last line.
    #[must_use]
    pub fn line_range(&self, text: &str, line: u32) -> Option<TextRange> {
        let start = *self.starts.get(line as usize)?;
        let end = match self.starts.get(line as usize + 1) {
            Some(&next) => next - 1,
            None => text.len() as TextSize,
        };
        let body = &text.as_bytes()[start as usize..end as usize];
        let end = if body.last() == Some(&b'\r') { end - 1 } else { end };
        Some(TextRange::new(start, end))
    }

    /// Position of `offset` with the column in UTF-8 bytes.
    #[must_use]
    pub fn position(&self, text: &str, offset: TextSize) -> Position {
        let offset = clamp(text, offset);
        let line = self.line_of(offset);
        Position { line, column: offset - self.starts[line as usize] }
    }

    /// Position of `offset` with the column in UTF-16 code units.
    #[must_use]
    pub fn position_utf16(&self, text: &str, offset: TextSize) -> Position {
        let (line, before) = self.before(text, offset);
        Position { line, column: before.chars().map(|c| c.len_utf16() as u32).sum() }
    }

    /// Position of `offset` with the column in characters (Unicode scalar values).
    #[must_use]
    pub fn position_chars(&self, text: &str, offset: TextSize) -> Position {
        let (line, before) = self.before(text, offset);
        Position { line, column: before.chars().count() as u32 }
    }

    /// Offset of a position whose column counts UTF-8 bytes; columns past the line end are cut off.
    #[must_use]
    pub fn offset(&self, text: &str, at: Position) -> Option<TextSize> {
        let line = self.line_range(text, at.line)?;
        Some(clamp(text, line.start.saturating_add(at.column).min(line.end)))
    }

    /// Offset of a position whose column counts UTF-16 units; columns past the line end are cut off.
    #[must_use]
    pub fn offset_utf16(&self, text: &str, at: Position) -> Option<TextSize> {
        let line = self.line_range(text, at.line)?;
        let mut left = at.column;
        let mut offset = line.start;
        for c in text[line.as_usize()].chars() {
            let width = c.len_utf16() as u32;
            if left < width {
                break;
            }
            left -= width;
            offset += c.len_utf8() as u32;
        }
        Some(offset)
    }

    fn before<'t>(&self, text: &'t str, offset: TextSize) -> (u32, &'t str) {
        let offset = clamp(text, offset);
        let line = self.line_of(offset);
        (line, &text[self.starts[line as usize] as usize..offset as usize])
    }
}

/// The nearest character boundary at or before `offset` that lies inside `text`.
fn clamp(text: &str, offset: TextSize) -> TextSize {
    let mut at = (offset as usize).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at as TextSize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_in_three_units() {
        let text = "a\r\nλ𝄞x";
        let index = LineIndex::new(text);
        let x = text.find('x').unwrap() as TextSize;
        assert_eq!(index.position(text, x), Position { line: 1, column: 6 });
        assert_eq!(index.position_utf16(text, x), Position { line: 1, column: 3 });
        assert_eq!(index.position_chars(text, x), Position { line: 1, column: 2 });
        assert_eq!(index.offset_utf16(text, Position { line: 1, column: 3 }), Some(x));
        assert_eq!(index.offset(text, Position { line: 1, column: 6 }), Some(x));
        assert_eq!(index.line_range(text, 0), Some(TextRange::new(0, 1)));
    }

    #[test]
    fn offsets_out_of_range_are_cut_off() {
        let index = LineIndex::new("ab");
        assert_eq!(index.position("ab", 99), Position { line: 0, column: 2 });
        assert_eq!(index.offset("ab", Position { line: 0, column: 99 }), Some(2));
        assert_eq!(index.offset("ab", Position { line: 1, column: 0 }), None);
        assert_eq!(index.position("λ", 1), Position { line: 0, column: 0 });
    }
}
