//! What a set of threads becomes with a character, remembered. A long text comes
//! by the same few sets again and again: each is worked out once, with the steps
//! of `search.rs`, and then costs a look into a table. Where more sets come up
//! than are remembered, `search.rs` goes on without.

use crate::program::{Program, Step, is_word};
use crate::search::{Place, Threads, enter};

/// Sets that are remembered.
const MAX_SETS: usize = 256;

/// What each character leads to: those of ASCII, and behind them kinds of others.
type Row = [u16; 256];

/// Kinds of characters beyond ASCII that are told apart.
const MAX_KINDS: usize = 128;

/// What a place in the table says; from the last on it is the number of a set.
const UNKNOWN: u16 = 0;
const FOUND: u16 = 1;
const NEVER: u16 = 2;
const FIRST_SET: u16 = 3;

/// What came of a text.
pub(crate) enum Scan {
    Found,
    Never,
    /// Neither so far: at this byte these steps are next.
    Rest {
        at: usize,
        steps: Vec<usize>,
    },
}

/// All of the text but its last character, for which the end counts as well.
pub(crate) fn scan(program: &Program, text: &str) -> Scan {
    let mut table = Table::new(program);
    let last = text.chars().next_back().map_or(0, char::len_utf8);
    let body = text.get(..text.len() - last).unwrap_or_default();
    let mut set = FIRST_SET;
    let mut at = 0;
    while let Some(&byte) = body.as_bytes().get(at) {
        let known = if byte.is_ascii() { table.known(set, byte) } else { UNKNOWN };
        if known >= FIRST_SET {
            set = known;
            at += 1;
            continue;
        }
        let Some(c) = body.get(at..).and_then(|rest| rest.chars().next()) else { break };
        match table.next(set, c) {
            Some(FOUND) => return Scan::Found,
            Some(NEVER) => return Scan::Never,
            Some(next) => set = next,
            None => break,
        }
        at += c.len_utf8();
    }
    let steps = table.sets.get(usize::from(set)).map(|set| set.steps.clone()).unwrap_or_default();
    Scan::Rest { at, steps }
}

/// Where a program can be between two characters.
#[derive(PartialEq)]
struct Set {
    /// In order.
    steps: Vec<usize>,
    /// The character before, as far as it matters; none at the start.
    before: Option<char>,
}

struct Table<'p> {
    program: &'p Program,
    /// By number: the first few numbers are none of a set.
    sets: Vec<Set>,
    rows: Vec<Row>,
    kinds: Kinds,
    threads: Threads,
    open: Vec<usize>,
}

impl<'p> Table<'p> {
    fn new(program: &'p Program) -> Self {
        let nothing = || Set { steps: Vec::new(), before: None };
        let sets: Vec<Set> = (0..=FIRST_SET).map(|_| nothing()).collect();
        Self {
            program,
            rows: vec![[UNKNOWN; 256]; sets.len()],
            sets,
            kinds: Kinds::new(program),
            threads: Threads::new(program.len()),
            open: Vec::new(),
        }
    }

    fn known(&self, set: u16, column: u8) -> u16 {
        let row = self.rows.get(usize::from(set));
        row.and_then(|row| row.get(usize::from(column))).copied().unwrap_or(UNKNOWN)
    }

    /// What a set becomes with a character. None where there are too many sets or
    /// kinds of characters.
    fn next(&mut self, set: u16, c: char) -> Option<u16> {
        let column = match u8::try_from(c) {
            Ok(byte) if byte.is_ascii() => byte,
            _ => 128 + self.kinds.of(self.program, c)?,
        };
        let known = self.known(set, column);
        if known != UNKNOWN {
            return Some(known);
        }
        let next = self.after(set, c)?;
        let row = self.rows.get_mut(usize::from(set));
        if let Some(place) = row.and_then(|row| row.get_mut(usize::from(column))) {
            *place = next;
        }
        Some(next)
    }

    fn after(&mut self, set: u16, c: char) -> Option<u16> {
        let program = self.program;
        let Set { steps, before } = self.sets.get(usize::from(set))?;
        self.threads.clear();
        // More than this character is left.
        let place = Place { before: *before, after: Some(c), bytes_left: usize::MAX };
        let start = (before.is_none() || !program.anchored).then_some(0);
        for step in start.into_iter().chain(steps.iter().copied()) {
            if enter(program, step, &place, &mut self.threads, &mut self.open) {
                return Some(FOUND);
            }
        }
        let mut steps: Vec<usize> = self.threads.waiting.iter().map(|step| step + 1).collect();
        if steps.is_empty() && program.anchored {
            return Some(NEVER);
        }
        steps.sort_unstable();
        self.number(Set { steps, before: Some(seen_as(program, c)) })
    }

    fn number(&mut self, set: Set) -> Option<u16> {
        let first = usize::from(FIRST_SET);
        let known = self.sets.iter().skip(first).position(|known| *known == set);
        let number = match known {
            Some(index) => first + index,
            None if self.sets.len() >= first + MAX_SETS => return None,
            None => {
                self.sets.push(set);
                self.rows.push([UNKNOWN; 256]);
                self.sets.len() - 1
            }
        };
        u16::try_from(number).ok()
    }
}

/// One character for all that are the same to the steps after it.
fn seen_as(program: &Program, c: char) -> char {
    if program.minds_words && is_word(Some(c)) {
        'a'
    } else if program.minds_lines && c == '\n' {
        '\n'
    } else {
        ' '
    }
}

/// Characters beyond ASCII by the steps that take them: a program rarely tells
/// more than a few kinds apart.
struct Kinds {
    /// Steps that take some of them and not all, each once.
    steps: Vec<usize>,
    /// Which of these steps take it, a bit each, and whether it is of a word.
    kinds: Vec<u64>,
    /// Of characters seen last, by their low bits.
    seen: Vec<(char, u8)>,
}

const SEEN: usize = 256;
const OF_A_WORD: u64 = 1 << 63;

impl Kinds {
    fn new(program: &Program) -> Self {
        let mut kinds = Self { steps: Vec::new(), kinds: Vec::new(), seen: Vec::new() };
        for (index, step) in program.steps().iter().enumerate() {
            let is_choosy = match step {
                Step::Char(c) => !c.is_ascii(),
                Step::Class(class) => class.goes_beyond_ascii(),
                _ => false,
            };
            if is_choosy && !kinds.steps.iter().any(|known| program.step(*known) == step) {
                kinds.steps.push(index);
            }
        }
        kinds
    }

    /// The number of a character's kind, unless there are too many.
    fn of(&mut self, program: &Program, c: char) -> Option<u8> {
        if self.seen.is_empty() {
            self.seen = vec![('\0', 0); SEEN];
        }
        let slot = u32::from(c) as usize % SEEN;
        match self.seen.get(slot) {
            Some((seen, kind)) if *seen == c => return Some(*kind),
            _ => {}
        }
        let kind = self.work_out(program, c)?;
        if let Some(place) = self.seen.get_mut(slot) {
            *place = (c, kind);
        }
        Some(kind)
    }

    fn work_out(&mut self, program: &Program, c: char) -> Option<u8> {
        if self.steps.len() > 63 {
            return None;
        }
        let word = if program.minds_words && is_word(Some(c)) { OF_A_WORD } else { 0 };
        let takes = |kind: u64, (bit, step): (usize, &usize)| {
            kind | u64::from(program.takes(*step, c)) << bit
        };
        let kind = self.steps.iter().enumerate().fold(word, takes);
        let known = self.kinds.iter().position(|known| *known == kind);
        let number = match known {
            Some(number) => number,
            None if self.kinds.len() >= MAX_KINDS => return None,
            None => {
                self.kinds.push(kind);
                self.kinds.len() - 1
            }
        };
        u8::try_from(number).ok()
    }
}
