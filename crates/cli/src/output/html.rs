//! Findings as a page for people, in one file that loads nothing from elsewhere.
//!
//! The page is whole without scripts; with them, findings can be filtered. Whatever stands in
//! sources and names of files is escaped, characters that would hide or reorder code are shown by
//! their numbers, and the page allows no script but its own.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;

use cim_nix_analysis::Rule;
use cim_nix_base::{Applicability, Code, Diagnostic, Severity, TextRange};
use cim_nix_model::{Hash, HashKind};

use super::place::{repository, rule_page};
use super::report::{Ending, Status};
use super::{Rendered, Source, Style, Tally, number, text_of, thousands};
use crate::scope::{here, shown};
use crate::terminal::Out;

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// Lines shown before and behind what is marked.
const AROUND: u32 = 1;

/// Of marks over more lines, only the first ones are shown.
const MAX_LINES: u32 = 8;

/// A table of more rules is folded at first.
const MAX_OPEN: usize = 25;

/// Characters shown before and behind a mark on a long line.
const WINDOW: usize = 160;

/// What stands behind a finding's file.
pub(super) const END_FILE: &str = "</section>\n";

/// What stands before the findings.
pub(super) fn begin(tally: &Tally, ending: Ending) -> String {
    let project = escaped(&project());
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src '{}'",
        Hash::of(HashKind::Sha256, SCRIPT.as_bytes()).format(cim_nix_model::HashFormat::Sri)
    );
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"generator\" content=\"cim-nix {}\">\n\
         <title>{project}: findings of cim-nix</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
        env!("CARGO_PKG_VERSION")
    );
    let files = number(tally.files, "file");
    let _ = write!(
        out,
        "<header>\n<p class=\"tool\">cim-nix {}</p>\n<h1>{project}</h1>\n\
         <p>{files} checked, {}</p>\n</header>\n<main>\n",
        env!("CARGO_PKG_VERSION"),
        headline(tally, ending),
    );
    out.push_str(&cards(tally, ending));
    out.push_str(&rules(tally, ending));
    out.push_str(&filters(tally, ending));
    out.push_str("<div id=\"findings\">\n");
    out
}

/// What stands behind them.
pub(super) fn end(tally: &Tally, shown: usize) -> String {
    let mut out =
        String::from("</div>\n<p id=\"nothing\" hidden>Nothing matches the filters.</p>\n");
    let hidden = tally.findings() - shown;
    if hidden > 0 {
        let _ = writeln!(out, "<p class=\"more\">{} not shown.</p>", number(hidden, "finding"));
    }
    if tally.findings() == 0 {
        let files = number(tally.files, "file");
        let _ = writeln!(out, "<p class=\"clean\">Nothing to complain about in {files}.</p>");
    }
    let _ = write!(out, "</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n");
    out
}

/// What stands before the findings of a file.
pub(super) fn begin_file(rendered: &Rendered) -> String {
    format!("<section class=\"file\">\n<h3>{}</h3>\n", escaped(&rendered.path))
}

/// Writes one finding, as [`write()`] has rendered it.
pub(super) fn finding(out: &mut Out, status: Status, text: &str) {
    let (word, label) = match status {
        Status::New => ("new", ""),
        Status::Unchanged => ("unchanged", "<span class=\"status\">unchanged</span>"),
        Status::Gone => ("gone", "<span class=\"status\">gone</span>"),
        Status::Silenced => ("silenced", "<span class=\"status\">silenced</span>"),
    };
    out.text(&format!("<article class=\"{word}\" data-status=\"{word}\"{text}"));
    // The status stands in the head of the article, which its text has left open.
    out.text(&format!("{label}</article>\n"));
}

/// Appends the rest of an article: its attributes, and what is in it.
pub(super) fn write(
    style: Style,
    source: &Source<'_>,
    finding: &Diagnostic,
    reason: Option<&str>,
    out: &mut String,
) {
    let (code, severity) = (finding.code, finding.severity.word());
    let at = source.position(finding.range.start);
    let message = code_spans(&finding.message);
    let _ = write!(
        out,
        " data-severity=\"{severity}\" data-rule=\"{code}\">\n\
         <p class=\"head\"><span class=\"severity {severity}\">{severity}</span>{}\
         <span class=\"place\">{}:{}</span></p>\n<p class=\"message\">{message}</p>\n",
        rule_link(code),
        at.line,
        at.column,
    );
    excerpt(source, finding, out);
    for related in &finding.related {
        let (path, text) = (shown(&related.file), text_of(related));
        let at = Source::new(&path, &text).position(related.range.start);
        let place = format!("{path}:{}:{}", at.line, at.column);
        let message = code_spans(&related.message);
        let _ = writeln!(
            out,
            "<p class=\"note\"><span class=\"place\">{}</span> {message}</p>",
            escaped(&place)
        );
    }
    if let Some(help) = &finding.help {
        let _ = writeln!(out, "<p class=\"note\"><b>help</b> {}</p>", code_spans(help));
    }
    if let Some(fix) = &finding.fix {
        let how = match fix.applicability {
            Applicability::Unsafe if !style.unsafe_fixes => "--fix --unsafe-fixes",
            _ => "--fix",
        };
        let title = code_spans(&fix.title);
        let _ = writeln!(out, "<p class=\"note\"><b>fix</b> {title} (with <code>{how}</code>)</p>");
    }
    if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
        let _ = writeln!(out, "<p class=\"note\"><b>silenced</b> {}</p>", escaped(reason));
    }
}

/// The name of the repository, and the way to the working folder in it.
fn project() -> String {
    let above = repository().parent().unwrap_or(repository());
    let name = here().strip_prefix(above).unwrap_or(here()).to_string_lossy();
    if name.is_empty() { "/".to_owned() } else { name.into_owned() }
}

fn headline(tally: &Tally, ending: Ending) -> String {
    let found = match (tally.findings(), ending.has_baseline) {
        (0, true) => "no new findings".to_owned(),
        (0, false) => "no findings".to_owned(),
        (n, true) => format!("{} new since the baseline", number(n, "finding")),
        (n, false) => format!("{} in {}", number(n, "finding"), files(tally.files_with_findings)),
    };
    match tally.n_fixed() {
        0 => found,
        n => format!("{found}, {} fixed in this run", number(n, "finding")),
    }
}

fn files(n: usize) -> String {
    number(n, "file")
}

/// The numbers at the top, and a bar of their shares.
fn cards(tally: &Tally, ending: Ending) -> String {
    let levels = [("error", tally.errors), ("warning", tally.warnings), ("info", tally.infos)];
    let mut all: Vec<(&str, &str, usize)> = vec![
        ("error", if tally.errors == 1 { "error" } else { "errors" }, tally.errors),
        ("warning", if tally.warnings == 1 { "warning" } else { "warnings" }, tally.warnings),
        ("info", "info", tally.infos),
        ("plain", "safely fixable", tally.safe_fixes),
    ];
    if ending.has_baseline {
        all.push(("plain", "unchanged", tally.n_old()));
        all.push(("good", "gone", tally.n_gone()));
    }
    if tally.suppressed > 0 {
        all.push(("plain", "silenced", tally.suppressed));
    }
    let mut out = String::from("<ul class=\"cards\">\n");
    for (class, label, n) in all {
        let n = thousands(n);
        let _ = writeln!(out, "<li class=\"{class}\"><b>{n}</b> {label}</li>");
    }
    out.push_str("</ul>\n");
    let total = tally.findings();
    if total > 0 {
        out.push_str("<div class=\"bar\" aria-hidden=\"true\">");
        for (level, n) in levels.iter().filter(|(_, n)| *n > 0) {
            let _ = write!(out, "<i class=\"{level}\" style=\"flex-grow:{n}\"></i>");
        }
        out.push_str("</div>\n");
    }
    out
}

/// The table of rules.
fn rules(tally: &Tally, ending: Ending) -> String {
    let count = |code: &Code| tally.by_code.get(code).map_or(0, |counts| counts.findings);
    let extra = [&tally.old, &tally.gone];
    let codes = tally.by_code.keys().chain(extra.into_iter().flat_map(|map| map.keys()));
    let mut codes: Vec<Code> = codes.copied().collect::<BTreeSet<_>>().into_iter().collect();
    if codes.is_empty() {
        return String::new();
    }
    codes.sort_by_key(|code| (Reverse(count(code)), *code));
    let most = codes.iter().map(&count).max().unwrap_or(0).max(1);
    let head = match ending.has_baseline {
        true => "<th class=\"n\">new</th><th class=\"n\">unchanged</th><th class=\"n\">gone</th>",
        false => "<th class=\"n\">findings</th>",
    };
    let open = if codes.len() <= MAX_OPEN { " open" } else { "" };
    let mut out = format!(
        "<details class=\"rules\"{open}>\n<summary>Rules</summary>\n<div class=\"scroll\"><table>\n<thead><tr>\
         <th>rule</th><th></th><th>about</th><th>severity</th>{head}<th></th></tr></thead>\n<tbody>\n"
    );
    for code in codes {
        let rule = cim_nix_analysis::find(code.0);
        let severity = tally.by_code.get(&code).map(|counts| counts.severity);
        let severity = severity.or(rule.map(|rule| rule.severity)).unwrap_or(Severity::Warning);
        let about = rule.map_or("", |rule| rule.category().word());
        let (word, n) = (severity.word(), count(&code));
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td><td>{about}</td><td><span class=\"severity {word}\">{word}\
             </span></td>{}",
            rule_link(code),
            rule.map_or("", |rule: &Rule| rule.name),
            number_cell(n),
        );
        if ending.has_baseline {
            for map in extra {
                out.push_str(&number_cell(map.get(&code).copied().unwrap_or(0)));
            }
        }
        let share = match n {
            0 => String::new(),
            n => format!("<i class=\"{word}\" style=\"width:{}%\"></i>", n * 100 / most),
        };
        let _ = writeln!(out, "<td class=\"share\">{share}</td></tr>");
    }
    out.push_str("</tbody>\n</table></div>\n</details>\n");
    out
}

fn number_cell(n: usize) -> String {
    let class = if n == 0 { "n zero" } else { "n" };
    format!("<td class=\"{class}\">{}</td>", thousands(n))
}

/// What narrows the list, shown where scripts run.
fn filters(tally: &Tally, ending: Ending) -> String {
    let mut out = String::from(
        "<form id=\"filters\" hidden>\n<input type=\"search\" id=\"text\" \
         placeholder=\"Filter by text\" aria-label=\"Filter by text\">\n\
         <select id=\"rule\" aria-label=\"Filter by rule\"><option value=\"\">all rules</option>",
    );
    let extra = [&tally.old, &tally.gone];
    let codes = tally.by_code.keys().chain(extra.into_iter().flat_map(|map| map.keys()));
    for code in codes.collect::<BTreeSet<_>>() {
        let name = cim_nix_analysis::find(code.0).map_or("", |rule| rule.name);
        let _ = write!(out, "<option value=\"{code}\">{code} {name}</option>");
    }
    out.push_str("</select>\n<span class=\"boxes\">\n");
    for word in ["error", "warning", "info"] {
        out.push_str(&checkbox("severity", word, word, true));
    }
    let label = if ending.has_baseline { "new" } else { "open" };
    let mut states = vec![("new", label)];
    if ending.has_baseline {
        states.extend([("unchanged", "unchanged"), ("gone", "gone")]);
    }
    if tally.suppressed > 0 {
        states.push(("silenced", "silenced"));
    }
    out.push_str("</span>\n<span class=\"boxes\">\n");
    for (word, label) in states {
        out.push_str(&checkbox("status", word, label, word == "new"));
    }
    out.push_str("</span>\n<output id=\"count\"></output>\n</form>\n");
    out
}

fn checkbox(kind: &str, word: &str, label: &str, is_on: bool) -> String {
    let checked = if is_on { " checked" } else { "" };
    format!(
        "<label><input type=\"checkbox\" name=\"{kind}\" value=\"{word}\"{checked}> {label}</label>\n"
    )
}

fn rule_link(code: Code) -> String {
    match cim_nix_analysis::find(code.0) {
        Some(rule) => format!("<a class=\"code\" href=\"{}\">{code}</a>", rule_page(rule.name)),
        None => format!("<span class=\"code\">{code}</span>"),
    }
}

/// A mark in the source.
struct Mark<'a> {
    range: TextRange,
    /// The first and the last line.
    lines: (u32, u32),
    is_primary: bool,
    text: Option<&'a str>,
}

/// The lines around all marks, with the marks in them.
fn excerpt(source: &Source<'_>, finding: &Diagnostic, out: &mut String) {
    if !source.is_read || source.text.is_empty() {
        return;
    }
    let mark = |range, text| mark(source, range, text);
    let mut marks = vec![mark(finding.range, None)];
    marks.extend(finding.labels.iter().map(|label| mark(label.range, Some(&*label.message))));
    // Behind the last line feed there is no line to show.
    let n_ends = 1 + u32::from(source.text.ends_with('\n'));
    let last = source.lines().len().saturating_sub(n_ends);
    let mut lines = BTreeSet::new();
    for mark in &marks {
        let end = (mark.lines.1 + AROUND).min(last).max(mark.lines.1);
        lines.extend(mark.lines.0.saturating_sub(AROUND)..=end);
    }
    out.push_str("<pre>");
    let mut before: Option<u32> = None;
    for line in lines {
        if before.is_some_and(|before| line > before + 1) {
            out.push_str("<span class=\"gap\">⋯</span>\n");
        }
        before = Some(line);
        write_line(source, line, &marks, out);
    }
    out.push_str("</pre>\n");
}

fn mark<'a>(source: &Source<'_>, range: TextRange, text: Option<&'a str>) -> Mark<'a> {
    let lines = source.lines();
    let len = source.text.len() as u32;
    let (start, end) = (range.start.min(len), range.end.min(len));
    let first = lines.line_of(start);
    let last = lines.line_of(end.saturating_sub(1).max(start)).min(first + MAX_LINES - 1);
    Mark {
        range: TextRange::new(start, end),
        lines: (first, last),
        is_primary: text.is_none(),
        text,
    }
}

fn write_line(source: &Source<'_>, line: u32, marks: &[Mark<'_>], out: &mut String) {
    let range = source.lines().line_range(source.text, line).unwrap_or_default().as_usize();
    let on_line: Vec<&Mark<'_>> =
        marks.iter().filter(|mark| (mark.lines.0..=mark.lines.1).contains(&line)).collect();
    let shown = window(source.text, range.clone(), &on_line);
    let is_marked = if on_line.iter().any(|mark| mark.is_primary) { " marked" } else { "" };
    let _ = write!(out, "<span class=\"line{is_marked}\" data-n=\"{}\">", line + 1);
    if shown.start > range.start {
        out.push('…');
    }
    // Where a mark begins or ends, the text is cut; each piece is in the marks that cover it.
    let inside = |at: u32| (at as usize).clamp(shown.start, shown.end);
    let mut cuts = BTreeSet::from([shown.start, shown.end]);
    cuts.extend(on_line.iter().flat_map(|mark| [inside(mark.range.start), inside(mark.range.end)]));
    let cuts: Vec<usize> = cuts.into_iter().collect();
    for piece in cuts.windows(2) {
        let text = visible(source.text.get(piece[0]..piece[1]).unwrap_or_default());
        let covers = |mark: &&&Mark<'_>| {
            inside(mark.range.start) <= piece[0] && piece[1] <= inside(mark.range.end)
        };
        match on_line.iter().filter(covers).max_by_key(|mark| mark.is_primary) {
            Some(mark) if mark.is_primary => {
                let _ = write!(out, "<mark>{text}</mark>");
            }
            Some(_) => {
                let _ = write!(out, "<mark class=\"label\">{text}</mark>");
            }
            None => out.push_str(&text),
        }
    }
    let points_at_nothing = |mark: &&Mark<'_>| {
        mark.is_primary && (mark.range.is_empty() || inside(mark.range.start) == shown.end)
    };
    if on_line.iter().any(|mark| points_at_nothing(mark) && mark.lines.0 == line) {
        out.push_str("<mark> </mark>");
    }
    if shown.end < range.end {
        out.push('…');
    }
    out.push_str("</span>\n");
    for mark in on_line.iter().filter(|mark| mark.lines.0 == line) {
        if let Some(text) = mark.text {
            let text = code_spans(text);
            let _ = writeln!(out, "<span class=\"line remark\" data-n=\"\">{text}</span>");
        }
    }
}

/// What of a line is shown: all of it, or what is around the first mark.
fn window(text: &str, line: Range<usize>, marks: &[&Mark<'_>]) -> Range<usize> {
    if line.len() <= 3 * WINDOW {
        return line;
    }
    let first = marks.iter().min_by_key(|mark| !mark.is_primary).map(|mark| mark.range);
    let at = first.map_or(line.start, |range| (range.start as usize).clamp(line.start, line.end));
    let mut start = at.saturating_sub(WINDOW).max(line.start);
    let mut end = (at + 2 * WINDOW).min(line.end);
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    start..end.max(start)
}

/// A message, with what stands between backquotes as code.
fn code_spans(text: &str) -> String {
    let mut out = String::new();
    let n_quotes = text.matches('`').count();
    for (nth, part) in text.split('`').enumerate() {
        match nth % 2 {
            1 if n_quotes > nth => {
                let _ = write!(out, "<code>{}</code>", escaped(part));
            }
            1 => {
                let _ = write!(out, "`{}", escaped(part));
            }
            _ => out.push_str(&escaped(part)),
        }
    }
    out
}

/// `text` as it may stand between tags and in attributes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        push(c, &mut out);
    }
    out
}

/// Source text with its blanks; characters that nobody sees are shown by their numbers.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\t' => out.push('\t'),
            _ if is_unseen(c) => {
                let _ = write!(out, "<span class=\"unseen\">U+{:04X}</span>", c as u32);
            }
            _ => push(c, &mut out),
        }
    }
    out
}

fn push(c: char, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&#39;"),
        '\n' => out.push(' '),
        _ if is_unseen(c) => {
            let _ = write!(out, "U+{:04X}", c as u32);
        }
        _ => out.push(c),
    }
}

/// Control characters, and those that reorder or hide what stands around them.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::output::Format;

    fn check(text: &str, finding: &Diagnostic, want: Expect) {
        let style = Style { format: Format::Html, color: false, unsafe_fixes: false };
        let mut out = String::new();
        write(style, &Source::new("a.nix", text), finding, None, &mut out);
        want.assert_eq(&out);
    }

    fn finding(start: u32, end: u32, message: &'static str) -> Diagnostic {
        Diagnostic::new(Code("X1"), Severity::Warning, TextRange::new(start, end), message)
    }

    #[test]
    fn marks_stand_in_the_source() {
        check(
            "let\n  x = 1;\nin\n\n\n2\n",
            &finding(6, 7, "`x` is <never> used").label(TextRange::new(18, 19), "here"),
            expect![[r#"
                 data-severity="warning" data-rule="X1">
                <p class="head"><span class="severity warning">warning</span><span class="code">X1</span><span class="place">2:3</span></p>
                <p class="message"><code>x</code> is &lt;never&gt; used</p>
                <pre><span class="line" data-n="1">let</span>
                <span class="line marked" data-n="2">  <mark>x</mark> = 1;</span>
                <span class="line" data-n="3">in</span>
                <span class="gap">⋯</span>
                <span class="line" data-n="5"></span>
                <span class="line" data-n="6"><mark class="label">2</mark></span>
                <span class="line remark" data-n="">here</span>
                </pre>
            "#]],
        );
    }

    #[test]
    fn nothing_in_a_source_becomes_markup() {
        let text = "'</pre><script>\u{202e}\u{1b}[0m&'";
        let found = finding(1, 7, "<img src=x onerror=alert(1)> `a");
        check(
            text,
            &found,
            expect![[r#"
             data-severity="warning" data-rule="X1">
            <p class="head"><span class="severity warning">warning</span><span class="code">X1</span><span class="place">1:2</span></p>
            <p class="message">&lt;img src=x onerror=alert(1)&gt; `a</p>
            <pre><span class="line marked" data-n="1">&#39;<mark>&lt;/pre&gt;</mark>&lt;script&gt;<span class="unseen">U+202E</span><span class="unseen">U+001B</span>[0m&amp;&#39;</span>
            </pre>
        "#]],
        );
    }

    #[test]
    fn long_lines_are_cut_around_the_mark() {
        let text = format!("{}x{}", "λ".repeat(10_000), "λ".repeat(10_000));
        let mut out = String::new();
        let style = Style { format: Format::Html, color: false, unsafe_fixes: false };
        let found = finding(20_000, 20_001, "odd");
        write(style, &Source::new("a.nix", &text), &found, None, &mut out);
        assert!(out.len() < 1_500 && out.contains("λ<mark>x</mark>λ"), "{out}");
    }

    #[test]
    fn the_script_is_the_one_that_is_allowed() {
        let ending =
            Ending { statistics: false, quiet: false, has_baseline: true, max_findings: None };
        let page = begin(&Tally::default(), ending) + &end(&Tally::default(), 0);
        let scripts: Vec<&str> = page.split("<script>").skip(1).collect();
        assert_eq!(scripts.len(), 1);
        let script = scripts[0].split("</script>").next().unwrap();
        let hash = Hash::of(HashKind::Sha256, script.as_bytes());
        assert!(page.contains(&hash.format(cim_nix_model::HashFormat::Sri)));
        assert!(!page.contains("http://") && !page.contains("src="), "{page}");
    }
}
