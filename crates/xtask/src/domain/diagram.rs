//! Lives of aggregates as pictures: a column for each state, and a line for each way between two.
//!
//! There are few states and many events, whose names are long; so names stand above arrows, as in a
//! sequence diagram, and nothing ever crosses a name.

use std::fmt::Write as _;

use cim_domain_nix::Transition;

/// How much a character of the font takes.
const CHAR: usize = 7;
const LINE: usize = 16;
const MARGIN: usize = 16;
const BOX_HEIGHT: usize = 28;
/// How far a loop leads away from its column.
const LOOP: usize = 26;

/// All events that lead from one state to another.
struct Way {
    from: usize,
    to: usize,
    events: Vec<&'static str>,
}

/// Draws an SVG picture without scripts or references.
pub(super) fn draw(transitions: &[Transition]) -> String {
    let mut states: Vec<&str> = Vec::new();
    for state in transitions.iter().flat_map(|step| [step.from, step.to]) {
        if !states.contains(&state) {
            states.push(state);
        }
    }
    let at = |state: &str| states.iter().position(|other| *other == state).unwrap_or_default();
    let mut ways: Vec<Way> = Vec::new();
    for Transition { from, event, to } in transitions {
        let (from, to) = (at(from), at(to));
        match ways.iter_mut().find(|way| (way.from, way.to) == (from, to)) {
            Some(way) => way.events.push(event),
            None => ways.push(Way { from, to, events: vec![event] }),
        }
    }
    picture(&states, &ways)
}

fn picture(states: &[&str], ways: &[Way]) -> String {
    let longest = ways.iter().flat_map(|way| &way.events).map(|event| event.len()).max();
    // Wide enough that a name fits between two columns, and beside the last one.
    let step = longest.unwrap_or_default() * CHAR + LOOP + 2 * MARGIN;
    let first = MARGIN + states.first().map_or(0, |state| state.len() * CHAR / 2 + 12);
    let x = |state: usize| first + state * step;
    let row = |way: &Way| way.events.len() * LINE + 22;
    let top = MARGIN + BOX_HEIGHT;
    let height = top + ways.iter().map(row).sum::<usize>() + 2 * MARGIN;
    let width = x(states.len()) + MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"monospace\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    for (state, name) in states.iter().enumerate() {
        column(&mut out, x(state), top, height - MARGIN, name);
    }
    let mut y = top;
    for way in ways {
        y += row(way);
        arrow(&mut out, way, x(way.from), x(way.to), y);
    }
    out.push_str("</svg>\n");
    out
}

fn column(out: &mut String, x: usize, top: usize, bottom: usize, name: &str) {
    let half = name.len() * CHAR / 2 + 10;
    let _ = writeln!(
        out,
        "<path d=\"M{x} {top}V{bottom}\" stroke=\"#b8c4d6\" stroke-width=\"1.5\"/>\n\
         <rect x=\"{}\" y=\"{MARGIN}\" width=\"{}\" height=\"{BOX_HEIGHT}\" rx=\"5\" fill=\"#f2f6fc\" stroke=\"#34568b\"/>\n\
         <text x=\"{x}\" y=\"{}\" text-anchor=\"middle\" fill=\"#1c2733\">{name}</text>",
        x - half,
        2 * half,
        MARGIN + 18,
    );
}

/// An arrow that ends at height `y`, with the names of its events above.
fn arrow(out: &mut String, way: &Way, from: usize, to: usize, y: usize) {
    let tip = |x: usize, back: isize| {
        let tail = x.saturating_add_signed(back);
        format!("M{tail} {}L{x} {y}L{tail} {}", y - 4, y + 4)
    };
    let (path, tip, text) = match from.cmp(&to) {
        std::cmp::Ordering::Less => (format!("M{from} {y}H{to}"), tip(to, -8), from + MARGIN),
        std::cmp::Ordering::Greater => (format!("M{from} {y}H{to}"), tip(to, 8), to + MARGIN),
        std::cmp::Ordering::Equal => {
            let (out, start) = (from + LOOP, y - 14);
            (format!("M{from} {start}H{out}V{y}H{from}"), tip(to, 8), from + LOOP + 8)
        }
    };
    let _ = writeln!(
        out,
        "<path d=\"{path}\" fill=\"none\" stroke=\"#34568b\"/>\n\
         <path d=\"{tip}\" fill=\"none\" stroke=\"#34568b\" stroke-width=\"1.5\"/>"
    );
    let n_events = way.events.len();
    for (at, event) in way.events.iter().enumerate() {
        let above = y - 6 - (n_events - 1 - at) * LINE;
        let _ = writeln!(out, "<text x=\"{text}\" y=\"{above}\" fill=\"#1c2733\">{event}</text>");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_and_state_is_in_the_picture() {
        let step = |from, event, to| Transition { from, event, to };
        let picture = draw(&[
            step("absent", "Created", "present"),
            step("present", "Changed", "present"),
            step("present", "Deleted", "absent"),
        ]);
        for word in ["absent", "present", "Created", "Changed", "Deleted"] {
            assert_eq!(picture.matches(&format!(">{word}<")).count(), 1, "{word}");
        }
        assert_eq!(picture.matches("fill=\"none\"").count(), 6, "two lines an arrow");
    }
}
