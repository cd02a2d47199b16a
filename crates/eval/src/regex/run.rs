//! Matching.

use rustc_hash::FxHashMap;

use super::Captures;
use super::program::{NONE, Op, Program, Split};
use crate::evaluator::Interrupt;

/// Up to so many entries, what is known is kept in a table instead of a map.
const MAX_TABLE: usize = 1 << 24;
/// About what an entry of a map takes, in bytes.
const ENTRY: usize = 96;
/// Steps between two looks at whether to go on.
const STEPS_BETWEEN_CHECKS: u32 = 1 << 12;

/// What matching may take.
#[derive(Clone, Copy)]
pub(crate) struct Limits<'l> {
    /// Says when to stop.
    pub(crate) interrupt: &'l Interrupt,
    /// Bytes of memory.
    pub(crate) room: usize,
}

/// Why matching ended without an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Halt {
    /// Somebody wants it to end.
    Interrupted,
    /// It takes too much memory.
    Memory,
}

/// One text and what is known of it.
pub(super) struct Run<'r> {
    program: &'r Program,
    pub(super) text: &'r [u8],
    /// Whether only the whole text counts.
    is_whole: bool,
    /// Whether an empty match does not count, and where it would be.
    refuses_empty_at: Option<usize>,
    known: Known,
    /// The same of the place where an empty match does not count.
    known_there: FxHashMap<(u32, Rounds), Outcome>,
    limits: Limits<'r>,
    steps: u32,
    /// Why it has ended, if it has.
    pub(super) halt: Option<Halt>,
    /// For each loop that can go round without a byte: where it did so last, and how often there.
    rounds: Vec<(usize, u8)>,
    stack: Vec<Pending>,
}

/// What became of a choice: where the match ends, or that there is none, and which way led there.
#[derive(Clone, Copy)]
struct Outcome {
    end: Option<usize>,
    is_second: bool,
}

/// Outcomes by choice and place. Loops that can go round without a byte make a difference, too.
enum Known {
    /// Ends count from 2 on, so that 0 is unknown and 1 is none; the lowest bit is the way.
    Table(Vec<u32>),
    Map(FxHashMap<(u32, usize, Rounds), Outcome>),
}

/// How often each loop that matters went round in one place.
type Rounds = Box<[u8]>;

/// A choice that is being made.
struct Pending {
    state: u32,
    at: usize,
    /// What the first way led to, once it is known.
    first: Option<Option<usize>>,
    /// What the loop's rounds were before.
    before: (usize, u8),
}

impl<'r> Run<'r> {
    pub(super) fn new(
        program: &'r Program,
        text: &'r [u8],
        is_whole: bool,
        limits: Limits<'r>,
    ) -> Self {
        Self {
            program,
            text,
            is_whole,
            refuses_empty_at: None,
            known: Self::unknown(program, text, limits.room),
            known_there: FxHashMap::default(),
            limits,
            steps: 0,
            halt: None,
            rounds: vec![(usize::MAX, 0); program.n_loops],
            stack: Vec::new(),
        }
    }

    fn unknown(program: &Program, text: &[u8], room: usize) -> Known {
        let n = program.n_choices.saturating_mul(text.len() + 1);
        match n <= MAX_TABLE.min(room / 8) && program.n_loops == 0 {
            true => Known::Table(vec![0; n]),
            false => Known::Map(FxHashMap::default()),
        }
    }

    /// The match that begins at `start`.
    pub(super) fn match_at(&mut self, start: usize, refuses_empty: bool) -> Option<Captures> {
        // What is known of other places holds whether or not a match may be empty here.
        self.refuses_empty_at = refuses_empty.then_some(start);
        self.known_there.clear();
        self.rounds.fill((usize::MAX, 0));
        self.end(self.program.start, start)?;
        Some(self.walk(start))
    }

    /// Follows the ways that were found best, and notes the groups.
    fn walk(&mut self, start: usize) -> Captures {
        let mut slots = vec![None; self.program.n_groups * 2];
        let (mut state, mut at) = (self.program.start, start);
        self.rounds.fill((usize::MAX, 0));
        loop {
            match self.program.ops[state as usize] {
                Op::Byte { next, .. } | Op::Any { next } | Op::Set { next, .. } => {
                    at += 1;
                    state = next;
                }
                Op::Begin { next } | Op::End { next } => state = next,
                Op::Save { slot, next } => {
                    slots[slot as usize] = Some(at);
                    state = next;
                }
                Op::Split(split) => {
                    let is_second = match self.outcome(state, at) {
                        Some(outcome) => outcome.is_second,
                        // Not on a way that was found; the second one always ends.
                        None => true,
                    };
                    if !is_second {
                        self.go_round(state, at);
                    }
                    state = if is_second { split.second } else { split.first };
                }
                Op::Accept => break,
            }
        }
        slots.chunks_exact(2).map(|pair| Some((pair[0]?, pair[1]?))).collect()
    }

    /// How often the loops that matter for a choice went round in one place.
    fn rounds_at(&self, choice: u32, at: usize) -> Rounds {
        let rounds = self.program.ahead[choice as usize].iter().map(|&number| {
            let (place, n) = self.rounds[number as usize];
            if place == at { n } else { 0 }
        });
        rounds.collect()
    }

    fn outcome(&self, state: u32, at: usize) -> Option<Outcome> {
        let choice = self.program.choices[state as usize];
        if self.refuses_empty_at == Some(at) {
            return self.known_there.get(&(choice, self.rounds_at(choice, at))).copied();
        }
        match &self.known {
            Known::Table(table) => {
                let word = table[choice as usize * (self.text.len() + 1) + at];
                let end = (word >> 1).checked_sub(1)?;
                Some(Outcome {
                    end: end.checked_sub(1).map(|end| end as usize),
                    is_second: word & 1 == 1,
                })
            }
            Known::Map(map) => map.get(&(choice, at, self.rounds_at(choice, at))).copied(),
        }
    }

    fn remember(&mut self, state: u32, at: usize, outcome: Outcome) {
        let choice = self.program.choices[state as usize];
        let rounds = self.rounds_at(choice, at);
        if self.refuses_empty_at == Some(at) {
            self.known_there.insert((choice, rounds), outcome);
            return;
        }
        match &mut self.known {
            Known::Table(table) => {
                let end = outcome.end.map_or(1, |end| end as u32 + 2);
                table[choice as usize * (self.text.len() + 1) + at] =
                    end << 1 | u32::from(outcome.is_second);
            }
            Known::Map(map) => {
                map.insert((choice, at, rounds), outcome);
                if map.len() > self.limits.room / ENTRY {
                    self.halt = Some(Halt::Memory);
                }
            }
        }
    }

    /// Whether a loop may go round once more here.
    fn may_go_round(&self, state: u32, at: usize) -> bool {
        let number = self.program.loops[state as usize];
        number == NONE || {
            let (place, n) = self.rounds[number as usize];
            place != at || n < 2
        }
    }

    /// Counts that a loop goes round; what its count was before.
    fn go_round(&mut self, state: u32, at: usize) -> (usize, u8) {
        let number = self.program.loops[state as usize];
        if number == NONE {
            return (0, 0);
        }
        let rounds = &mut self.rounds[number as usize];
        let before = *rounds;
        *rounds = if before.0 == at { (at, before.1 + 1) } else { (at, 1) };
        before
    }

    fn undo_round(&mut self, state: u32, before: (usize, u8)) {
        let number = self.program.loops[state as usize];
        if number != NONE {
            self.rounds[number as usize] = before;
        }
    }

    /// Where the best match from a state on ends.
    fn end(&mut self, state: u32, at: usize) -> Option<usize> {
        debug_assert!(self.stack.is_empty());
        let (mut state, mut at) = (state, at);
        loop {
            self.steps = self.steps.wrapping_add(1);
            if self.steps.is_multiple_of(STEPS_BETWEEN_CHECKS)
                && self.limits.interrupt.get().is_some()
            {
                self.halt = Some(Halt::Interrupted);
            }
            if self.halt.is_some() {
                self.stack.clear();
                return None;
            }
            let mut result = match self.advance(state, at) {
                Ok(end) => end,
                Err((choice, split, place)) => {
                    let may_loop = self.may_go_round(choice, place);
                    let first = if may_loop { None } else { Some(None) };
                    let before = if may_loop { self.go_round(choice, place) } else { (0, 0) };
                    self.stack.push(Pending { state: choice, at: place, first, before });
                    (state, at) = (if may_loop { split.first } else { split.second }, place);
                    continue;
                }
            };
            // Ends choices until one goes its second way.
            loop {
                let Some(top) = self.stack.last_mut() else { return result };
                let Op::Split(split) = self.program.ops[top.state as usize] else {
                    unreachable!("only choices are pending")
                };
                let (choice, place) = (top.state, top.at);
                match top.first {
                    None => {
                        let before = top.before;
                        top.first = Some(result);
                        self.undo_round(choice, before);
                        let is_best = result.is_some()
                            && (split.is_loop || self.is_whole || result == Some(self.text.len()));
                        if !is_best {
                            (state, at) = (split.second, place);
                            break;
                        }
                        self.stack.pop();
                        self.remember(choice, place, Outcome { end: result, is_second: false });
                    }
                    Some(first) => {
                        self.stack.pop();
                        let is_second = result > first || first.is_none();
                        let end = if is_second { result } else { first };
                        self.remember(choice, place, Outcome { end, is_second });
                        result = end;
                    }
                }
            }
        }
    }

    /// Goes on as far as there is one way. Errors: a choice is to be made, and where.
    fn advance(&self, state: u32, at: usize) -> Result<Option<usize>, (u32, Split, usize)> {
        let (mut state, mut at) = (state, at);
        loop {
            let byte = self.text.get(at).copied();
            let (takes, next) = match self.program.ops[state as usize] {
                Op::Byte { byte: wanted, next } => (byte == Some(wanted), next),
                Op::Any { next } => (byte.is_some_and(|byte| byte != 0), next),
                Op::Set { set, next } => {
                    (byte.is_some_and(|byte| self.program.sets[set as usize].contains(byte)), next)
                }
                Op::Save { next, .. } => {
                    state = next;
                    continue;
                }
                Op::Begin { next } | Op::End { next } => {
                    let is_begin = matches!(self.program.ops[state as usize], Op::Begin { .. });
                    let edge = if is_begin { 0 } else { self.text.len() };
                    if at != edge {
                        return Ok(None);
                    }
                    state = next;
                    continue;
                }
                Op::Accept => {
                    let counts = (!self.is_whole || at == self.text.len())
                        && self.refuses_empty_at != Some(at);
                    return Ok(counts.then_some(at));
                }
                Op::Split(split) => {
                    return match self.outcome(state, at) {
                        Some(outcome) => Ok(outcome.end),
                        None => Err((state, split, at)),
                    };
                }
            };
            if !takes {
                return Ok(None);
            }
            state = next;
            at += 1;
        }
    }
}
