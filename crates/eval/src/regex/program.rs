//! Programs: states that lead to each other.

use std::rc::Rc;

/// A set of bytes.
#[derive(Clone)]
pub(super) struct ByteSet([u64; 4]);

impl ByteSet {
    pub(super) const fn new() -> Self {
        Self([0; 4])
    }

    pub(super) fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    #[inline]
    pub(super) fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }

    pub(super) fn negate(&mut self) {
        self.0.iter_mut().for_each(|word| *word = !*word);
    }

    fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(word, more)| *word |= more);
    }
}

/// A choice: of a branch of `|`, or of one more repetition.
#[derive(Clone, Copy)]
pub(super) struct Split {
    pub(super) first: u32,
    pub(super) second: u32,
    /// A quantifier takes the first way if that leads anywhere; of branches the longer one counts.
    pub(super) is_loop: bool,
}

/// A state.
#[derive(Clone, Copy)]
pub(super) enum Op {
    Byte {
        byte: u8,
        next: u32,
    },
    /// Any byte but NUL.
    Any {
        next: u32,
    },
    Set {
        set: u32,
        next: u32,
    },
    Begin {
        next: u32,
    },
    End {
        next: u32,
    },
    /// Notes the place in a slot: two for each group.
    Save {
        slot: u32,
        next: u32,
    },
    Split(Split),
    Accept,
}

/// A state's number in [`Program::loops`] or [`Program::choices`]: none.
pub(super) const NONE: u32 = u32::MAX;

/// In larger programs all loops count as ahead of all choices.
const MAX_CHOICES: usize = 2_000;

/// A compiled regular expression.
pub(super) struct Program {
    pub(super) ops: Vec<Op>,
    pub(super) sets: Vec<ByteSet>,
    pub(super) start: u32,
    pub(super) n_groups: usize,
    /// The number of each state among the choices.
    pub(super) choices: Vec<u32>,
    pub(super) n_choices: usize,
    /// The number of each state among the loops that can go round without taking a byte.
    pub(super) loops: Vec<u32>,
    pub(super) n_loops: usize,
    /// For each choice, the numbers of the loops that it leads to without taking a byte: how often
    /// the others went round makes no difference to it.
    pub(super) ahead: Vec<Rc<[u32]>>,
    /// The bytes that a match can begin with; none if a match may be empty.
    first: Option<ByteSet>,
}

impl Program {
    pub(super) const fn new(n_groups: usize) -> Self {
        Self {
            ops: Vec::new(),
            sets: Vec::new(),
            start: 0,
            n_groups,
            choices: Vec::new(),
            n_choices: 0,
            loops: Vec::new(),
            n_loops: 0,
            ahead: Vec::new(),
            first: None,
        }
    }

    /// Works out what matching wants to know, once all states are there.
    pub(super) fn finish(&mut self) {
        self.choices = vec![NONE; self.ops.len()];
        self.loops = vec![NONE; self.ops.len()];
        let mut seen = vec![NONE; self.ops.len()];
        for at in 0..self.ops.len() {
            let Op::Split(split) = self.ops[at] else { continue };
            self.choices[at] = self.n_choices as u32;
            self.n_choices += 1;
            // Only the body of a loop lies behind it, or is the loop itself if it is empty: programs
            // are written from the end.
            let is_cycle = split.is_loop && split.first as usize >= at;
            if is_cycle && self.reaches(split.first, at as u32, &mut seen) {
                self.loops[at] = self.n_loops as u32;
                self.n_loops += 1;
            }
        }
        self.first = self.first_bytes();
        self.ahead = self.loops_ahead(&mut seen);
    }

    fn loops_ahead(&self, seen: &mut [u32]) -> Vec<Rc<[u32]>> {
        if self.n_loops == 0 {
            return vec![Rc::from([]); self.n_choices];
        }
        if self.n_choices > MAX_CHOICES {
            let all: Rc<[u32]> = (0..self.n_loops as u32).collect();
            return vec![all; self.n_choices];
        }
        seen.fill(NONE);
        let states = (0..self.ops.len()).filter(|&at| self.choices[at] != NONE);
        states.map(|state| self.loops_from(state as u32, seen).into()).collect()
    }

    fn loops_from(&self, state: u32, seen: &mut [u32]) -> Vec<u32> {
        let mut loops = Vec::new();
        let mut todo = vec![state];
        while let Some(at) = todo.pop() {
            if std::mem::replace(&mut seen[at as usize], state) != state {
                let number = self.loops[at as usize];
                loops.extend((number != NONE).then_some(number));
                todo.extend(self.ways(at).into_iter().flatten());
            }
        }
        loops
    }

    /// Where a state leads to without taking a byte.
    fn ways(&self, at: u32) -> [Option<u32>; 2] {
        match self.ops[at as usize] {
            Op::Save { next, .. } | Op::Begin { next } | Op::End { next } => [Some(next), None],
            Op::Split(split) => [Some(split.first), Some(split.second)],
            Op::Byte { .. } | Op::Any { .. } | Op::Set { .. } | Op::Accept => [None; 2],
        }
    }

    /// Whether `goal` is reached from `start` without taking a byte. `seen` holds the goals for
    /// which a state was looked at last.
    fn reaches(&self, start: u32, goal: u32, seen: &mut [u32]) -> bool {
        let mut todo = vec![start];
        while let Some(at) = todo.pop() {
            if at == goal {
                return true;
            }
            // Programs are written from the end: the body of a loop is what lies between the two.
            if at < goal || at > start {
                continue;
            }
            if std::mem::replace(&mut seen[at as usize], goal) != goal {
                todo.extend(self.ways(at).into_iter().flatten());
            }
        }
        false
    }

    fn first_bytes(&self) -> Option<ByteSet> {
        let mut first = ByteSet::new();
        let mut seen = vec![false; self.ops.len()];
        let mut todo = vec![self.start];
        while let Some(at) = todo.pop() {
            if std::mem::replace(&mut seen[at as usize], true) {
                continue;
            }
            match self.ops[at as usize] {
                Op::Byte { byte, .. } => first.insert(byte),
                Op::Any { .. } => first.add(&ByteSet([u64::MAX; 4])),
                Op::Set { set, .. } => first.add(&self.sets[set as usize]),
                Op::Accept => return None,
                _ => todo.extend(self.ways(at).into_iter().flatten()),
            }
        }
        Some(first)
    }

    /// The first place from `at` on where a match may begin.
    pub(super) fn next_start(&self, text: &[u8], at: usize) -> Option<usize> {
        let rest = text.get(at..)?;
        match &self.first {
            None => Some(at),
            Some(first) => {
                rest.iter().position(|&byte| first.contains(byte)).map(|found| at + found)
            }
        }
    }
}
