//! All threads of a program at once, one step per character: the time is
//! linear whatever the text. A long text goes through `table.rs` as far as that
//! leads.

use crate::program::{Program, Step, is_word};
use crate::syntax::Assertion;
use crate::table::{self, Scan};

/// A place between two characters.
pub(crate) struct Place {
    pub(crate) before: Option<char>,
    pub(crate) after: Option<char>,
    pub(crate) bytes_left: usize,
}

/// The steps that take the next character, each once.
pub(crate) struct Threads {
    pub(crate) waiting: Vec<usize>,
    seen_in_round: Vec<u32>,
    round: u32,
}

impl Threads {
    pub(crate) fn new(steps: usize) -> Self {
        Self { waiting: Vec::with_capacity(steps), seen_in_round: vec![0; steps], round: 1 }
    }

    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
        self.round += 1;
    }

    fn is_new(&mut self, step: usize) -> bool {
        match self.seen_in_round.get_mut(step) {
            Some(seen) if *seen != self.round => {
                *seen = self.round;
                true
            }
            _ => false,
        }
    }
}

/// `table_from` is the length in bytes from which on a table is worth its cost.
pub(crate) fn is_match(program: &Program, text: &str, table_from: usize) -> bool {
    if text.len() < table_from {
        return simulate(program, text, 0, &[]);
    }
    match table::scan(program, text) {
        Scan::Found => true,
        Scan::Never => false,
        Scan::Rest { at, steps } => simulate(program, text, at, &steps),
    }
}

/// Goes on at a byte of the text, where `steps` are next.
fn simulate(program: &Program, text: &str, at: usize, steps: &[usize]) -> bool {
    let mut now = Threads::new(program.len());
    let mut then = Threads::new(program.len());
    let mut open = Vec::new();
    let (passed, mut rest) = text.split_at_checked(at).unwrap_or(("", text));
    let mut before = passed.chars().next_back();
    let place = Place { before, after: rest.chars().next(), bytes_left: rest.len() };
    for &step in steps {
        if enter(program, step, &place, &mut now, &mut open) {
            return true;
        }
    }
    loop {
        let at_start = rest.len() == text.len();
        let may_begin = at_start || !program.anchored;
        if now.waiting.is_empty() {
            if !may_begin {
                return false;
            }
            if let Some(first) = program.first {
                let skipped = rest.bytes().position(|byte| first.may_begin_with(byte));
                let Some(skipped) = skipped else { return false };
                if skipped > 0 {
                    if program.anchored {
                        return false;
                    }
                    let (passed, ahead) = rest.split_at_checked(skipped).unwrap_or((rest, ""));
                    before = passed.chars().next_back();
                    rest = ahead;
                    // What was seen was seen before the skip, at another place.
                    now.clear();
                }
            }
        }
        let mut chars = rest.chars();
        let after = chars.next();
        let place = Place { before, after, bytes_left: rest.len() };
        if may_begin && enter(program, 0, &place, &mut now, &mut open) {
            return true;
        }
        let Some(c) = after else { return false };
        rest = chars.as_str();
        before = Some(c);
        let place = Place { before, after: chars.next(), bytes_left: rest.len() };
        for &step in &now.waiting {
            if enter(program, step + 1, &place, &mut then, &mut open) {
                return true;
            }
        }
        std::mem::swap(&mut now, &mut then);
        then.clear();
    }
}

/// Follows the steps that take no character. `true` when the match is reached.
pub(crate) fn enter(
    program: &Program,
    from: usize,
    place: &Place,
    threads: &mut Threads,
    open: &mut Vec<usize>,
) -> bool {
    open.clear();
    open.push(from);
    while let Some(index) = open.pop() {
        if !threads.is_new(index) {
            continue;
        }
        match program.step(index) {
            Step::Match => return true,
            Step::Also(other) => open.extend([*other, index + 1]),
            Step::Jump(to) => open.push(*to),
            Step::Assert(assertion) => {
                if holds(*assertion, place) {
                    open.push(index + 1);
                }
            }
            // A step that will not take the next character need not wait.
            Step::Char(_) | Step::Any { .. } | Step::Class(_) => {
                if place.after.is_some_and(|c| program.takes(index, c)) {
                    threads.waiting.push(index);
                }
            }
        }
    }
    false
}

fn holds(assertion: Assertion, place: &Place) -> bool {
    let last_break = place.after == Some('\n') && place.bytes_left == 1;
    match assertion {
        Assertion::TextStart => place.before.is_none(),
        Assertion::TextEnd => place.after.is_none(),
        Assertion::LastLineEnd => place.after.is_none() || last_break,
        Assertion::LineStart => place.before.is_none_or(|c| c == '\n'),
        Assertion::LineEnd => place.after.is_none_or(|c| c == '\n'),
        Assertion::WordBoundary => is_word(place.before) != is_word(place.after),
        Assertion::NoWordBoundary => is_word(place.before) == is_word(place.after),
    }
}
