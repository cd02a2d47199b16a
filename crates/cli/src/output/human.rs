//! Findings for people: the source with remarks in it.

use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use cim_nix_base::{Applicability, Diagnostic, Severity, TextRange};

use super::{Source, Style, text_of};
use crate::scope::shown;
use crate::terminal::one_line;

/// Longer lines are left out: nobody reads them, and showing one for each of its findings takes
/// time that grows with the square of its length.
const MAX_LINE: u32 = 500;

/// A range over more lines is shown by its first one.
const MAX_LINES: u32 = 8;

/// Remarks nearer than this many lines are shown in one excerpt.
const NEAR: u32 = 6;

pub(super) struct Human {
    style: Style,
    renderer: Renderer,
}

/// A remark and the lines that it takes.
struct Remark<'a> {
    range: TextRange,
    lines: (u32, u32),
    kind: AnnotationKind,
    text: Option<&'a str>,
}

impl Human {
    pub(super) fn new(style: Style) -> Self {
        let renderer = if style.color { Renderer::styled() } else { Renderer::plain() };
        Self { style, renderer }
    }

    pub(super) fn write(&self, source: &Source<'_>, finding: &Diagnostic, out: &mut String) {
        let level = match finding.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
            Severity::Info => Level::INFO,
        };
        let title = level.primary_title(one_line(&finding.message)).id(finding.code.0);
        let mut group = Group::with_title(title);
        let excerpts = excerpts(source, remarks(source, finding));
        if excerpts.is_empty() {
            group = group.element(origin(source, finding));
        }
        group = group.elements(excerpts.iter().map(|excerpt| snippet(source, excerpt)));
        for related in &finding.related {
            let (path, text) = (shown(&related.file), text_of(related));
            let at = Source::new(&path, &text).position(related.range.start);
            let text = format!("{path}:{}:{}: {}", at.line, at.column, related.message);
            group = group.element(Level::NOTE.message(text));
        }
        if let Some(help) = &finding.help {
            group = group.element(Level::HELP.message(&**help));
        }
        if let Some(fix) = &finding.fix {
            let how = match fix.applicability {
                Applicability::Unsafe if !self.style.unsafe_fixes => "--fix --unsafe-fixes",
                _ => "--fix",
            };
            let text = format!("{} (with `{how}`)", fix.title);
            group = group.element(Level::HELP.with_name("fix").message(text));
        }
        out.push_str(&self.renderer.render(&[group]));
        out.push_str("\n\n");
    }
}

/// The place alone, where there is nothing to show.
fn origin<'a>(source: &Source<'a>, finding: &Diagnostic) -> Origin<'a> {
    let origin = Origin::path(source.path);
    if !source.is_read {
        return origin;
    }
    let at = source.position(finding.range.start);
    origin.line(at.line as usize).char_column(at.column as usize)
}

/// What is to be shown, in the order of the lines.
fn remarks<'a>(source: &Source<'_>, finding: &'a Diagnostic) -> Vec<Remark<'a>> {
    if !source.is_read {
        return Vec::new();
    }
    let remark = |range, kind, text| {
        let (range, lines) = cut(source, range);
        Remark { range, lines, kind, text }
    };
    let mut all = vec![remark(finding.range, AnnotationKind::Primary, None)];
    for label in &finding.labels {
        all.push(remark(label.range, AnnotationKind::Context, Some(&*label.message)));
    }
    all.retain(|remark| (remark.lines.0..=remark.lines.1).all(|line| is_short(source, line)));
    all.sort_by_key(|remark| remark.lines);
    all
}

/// The range without what is too much to show, and its lines.
fn cut(source: &Source<'_>, range: TextRange) -> (TextRange, (u32, u32)) {
    let lines = source.lines();
    let len = source.text.len() as u32;
    let (start, end) = (range.start.min(len), range.end.min(len));
    let first = lines.line_of(start);
    // The end is outside: a range up to a line feed does not reach the next line.
    let last = lines.line_of(end.saturating_sub(1).max(start));
    if last - first < MAX_LINES {
        return (TextRange::new(start, end), (first, last));
    }
    let end = lines.line_range(source.text, first).map_or(start, |line| line.end);
    (TextRange::new(start, end), (first, first))
}

fn is_short(source: &Source<'_>, line: u32) -> bool {
    source.lines().line_range(source.text, line).is_some_and(|line| line.len() <= MAX_LINE)
}

/// Joins remarks that lie near each other. The excerpt with the finding itself comes first, since
/// its place heads the whole.
fn excerpts<'a>(source: &Source<'_>, remarks: Vec<Remark<'a>>) -> Vec<Vec<Remark<'a>>> {
    let mut all: Vec<Vec<Remark<'a>>> = Vec::new();
    let mut end = 0;
    for remark in remarks {
        let lines_between = end..remark.lines.0;
        let is_near = remark.lines.0 <= end.saturating_add(NEAR)
            && lines_between.into_iter().all(|line| is_short(source, line));
        end = if all.is_empty() { remark.lines.1 } else { remark.lines.1.max(end) };
        match all.last_mut() {
            Some(excerpt) if is_near => excerpt.push(remark),
            _ => all.push(vec![remark]),
        }
    }
    let is_primary = |excerpt: &Vec<Remark<'_>>| {
        excerpt.iter().any(|remark| remark.kind == AnnotationKind::Primary)
    };
    all.sort_by_key(|excerpt| !is_primary(excerpt));
    all
}

fn snippet<'a>(source: &Source<'a>, excerpt: &[Remark<'a>]) -> Snippet<'a, Annotation<'a>> {
    let lines = source.lines();
    let first = excerpt.iter().map(|remark| remark.lines.0).min().unwrap_or_default();
    let last = excerpt.iter().map(|remark| remark.lines.1).max().unwrap_or_default();
    let bound = |line| lines.line_range(source.text, line).unwrap_or_default();
    let (start, end) = (bound(first).start as usize, bound(last).end as usize);
    let inside = |range: TextRange| -> Range<usize> {
        let at = |offset: u32| (offset as usize).clamp(start, end) - start;
        at(range.start)..at(range.end)
    };
    let annotations =
        excerpt.iter().map(|remark| remark.kind.span(inside(remark.range)).label(remark.text));
    Snippet::source(&source.text[start..end])
        .line_start(first as usize + 1)
        .path(source.path)
        .annotations(annotations)
}

#[cfg(test)]
mod tests {
    use cim_nix_base::{Code, TextEdit};
    use expect_test::{Expect, expect};

    use super::*;
    use crate::output::Format;

    fn check(text: &str, finding: Diagnostic, want: Expect) {
        let style = Style { format: Format::Human, color: false, unsafe_fixes: false };
        let mut out = String::new();
        Human::new(style).write(&Source::new("a.nix", text), &finding, &mut out);
        want.assert_eq(&out);
    }

    fn finding(start: u32, end: u32) -> Diagnostic {
        let range = TextRange::new(start, end);
        Diagnostic::new(Code("X1"), Severity::Warning, range, "this is odd")
    }

    #[test]
    fn one_line() {
        check(
            "let\n  λ = x;\nin 1\n",
            finding(11, 12),
            expect![[r#"
            warning[X1]: this is odd
             --> a.nix:2:7
              |
            2 |   λ = x;
              |       ^

        "#]],
        );
    }

    #[test]
    fn labels_help_and_fix() {
        let found = finding(0, 3).label(TextRange::new(4, 5), "here").help("look again").fix(
            "remove it",
            Applicability::Unsafe,
            vec![TextEdit::remove(TextRange::new(0, 1))],
        );
        check(
            "let\nx = 1; in 2",
            found,
            expect![[r#"
            warning[X1]: this is odd
             --> a.nix:1:1
              |
            1 | let
              | ^^^
            2 | x = 1; in 2
              | - here
              |
              = help: look again
              = fix: remove it (with `--fix --unsafe-fixes`)

        "#]],
        );
    }

    #[test]
    fn far_labels_get_their_own_excerpt() {
        let text = format!("a\n{}b\n", "\n".repeat(40));
        let found = finding(42, 43).label(TextRange::new(0, 1), "first here");
        check(
            &text,
            found,
            expect![[r#"
            warning[X1]: this is odd
              --> a.nix:42:1
               |
            42 | b
               | ^
               |
              ::: a.nix:1:1
               |
             1 | a
               | - first here

        "#]],
        );
    }

    #[test]
    fn many_lines_are_cut() {
        check(
            &"ab\n".repeat(20),
            finding(1, 50),
            expect![[r#"
            warning[X1]: this is odd
             --> a.nix:1:2
              |
            1 | ab
              |  ^

        "#]],
        );
    }

    #[test]
    fn a_few_lines_are_shown() {
        check(
            "a = {\n  b = 1;\n};\n",
            finding(4, 16),
            expect![[r#"
            warning[X1]: this is odd
             --> a.nix:1:5
              |
            1 |   a = {
              |  _____^
            2 | |   b = 1;
            3 | | };
              | |_^

        "#]],
        );
    }

    #[test]
    fn long_lines_are_left_out() {
        check(
            &"x".repeat(1000),
            finding(700, 701),
            expect![[r#"
            warning[X1]: this is odd
            --> a.nix:1:701

        "#]],
        );
    }

    #[test]
    fn the_end_of_the_file_is_a_place() {
        check(
            "let\r\n  x",
            finding(8, 8),
            expect![[r#"
            warning[X1]: this is odd
             --> a.nix:2:4
              |
            2 |   x
              |    ^

        "#]],
        );
        check(
            "x\n",
            finding(2, 2),
            expect![[r#"
            warning[X1]: this is odd
             --> a.nix:2:1
              |
            2 |
              | ^

        "#]],
        );
        check(
            "",
            finding(0, 0),
            expect![[r#"
            warning[X1]: this is odd
             --> a.nix:1:1
              |
            1 |
              | ^

        "#]],
        );
    }

    #[test]
    fn control_characters_do_no_harm() {
        check(
            "\t\x1b[31m x",
            finding(7, 8),
            expect![[r#"
            warning[X1]: this is odd
             --> a.nix:1:8
              |
            1 |     ␛[31m x
              |           ^

        "#]],
        );
    }
}
