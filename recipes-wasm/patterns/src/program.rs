//! From the tree of a pattern to a list of steps, and what can be known of a
//! match's first character.

use crate::MAX_STEPS;
use crate::ascii::Ascii;
use crate::syntax::{Assertion, Class, Kind, Node, PatternError};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Char(char),
    Any {
        line_breaks: bool,
    },
    Class(Class),
    Assert(Assertion),
    /// Goes on at the next step and at this one.
    Also(usize),
    Jump(usize),
    Match,
}

#[derive(Clone, Debug)]
pub(crate) struct Program {
    steps: Vec<Step>,
    /// Which characters a match can begin with; `None` if it may be empty.
    pub(crate) first: Option<FirstChars>,
    /// A match can only begin at the start of the text.
    pub(crate) anchored: bool,
    /// It matters whether the character before belongs to a word ...
    pub(crate) minds_words: bool,
    /// ... or ends a line.
    pub(crate) minds_lines: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FirstChars {
    ascii: Ascii,
    others: bool,
}

impl FirstChars {
    /// Whether a character that begins with this byte may begin a match.
    /// Bytes inside a character never do.
    pub(crate) fn may_begin_with(self, byte: u8) -> bool {
        match byte {
            0..0x80 => self.ascii.holds(byte),
            0x80..0xc0 => false,
            _ => self.others,
        }
    }

    fn add(&mut self, step: &Step) {
        let (ascii, others) = match step {
            Step::Char(c) => match u8::try_from(*c) {
                Ok(byte) if byte.is_ascii() => (Ascii::one(byte), false),
                _ => (Ascii::NONE, true),
            },
            Step::Class(class) => (class.ascii(), class.goes_beyond_ascii()),
            _ => (Ascii::ALL, true),
        };
        self.ascii = self.ascii.with(ascii);
        self.others |= others;
    }
}

impl Program {
    pub(crate) fn compile(node: &Node) -> Result<Self, PatternError> {
        let mut compiler = Compiler { steps: Vec::new() };
        compiler.node(node)?;
        compiler.push(Step::Match)?;
        let has = |wanted: &[Assertion]| {
            let mut steps = compiler.steps.iter();
            steps.any(|step| matches!(step, Step::Assert(one) if wanted.contains(one)))
        };
        let mut program = Self {
            first: None,
            anchored: false,
            minds_words: has(&[Assertion::WordBoundary, Assertion::NoWordBoundary]),
            minds_lines: has(&[Assertion::LineStart]),
            steps: compiler.steps,
        };
        let entries = program.entries(true);
        let may_be_empty = entries.iter().any(|step| matches!(step, Step::Match));
        if !may_be_empty {
            let mut first = FirstChars::default();
            for step in &entries {
                first.add(step);
            }
            program.first = Some(first);
        }
        program.anchored = program.entries(false).is_empty();
        Ok(program)
    }

    pub(crate) fn step(&self, index: usize) -> &Step {
        self.steps.get(index).unwrap_or(&Step::Match)
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(crate) fn len(&self) -> usize {
        self.steps.len()
    }

    pub(crate) fn takes(&self, index: usize, c: char) -> bool {
        match self.step(index) {
            Step::Char(wanted) => *wanted == c,
            Step::Any { line_breaks } => *line_breaks || c != '\n',
            Step::Class(class) => class.contains(c),
            _ => false,
        }
    }

    /// The consuming steps (or the match) that can be first. Assertions are
    /// taken to hold, except the start of the text when `past_start` is false.
    fn entries(&self, past_start: bool) -> Vec<&Step> {
        let mut seen = vec![false; self.steps.len()];
        let mut entries = Vec::new();
        let mut open = vec![0];
        while let Some(index) = open.pop() {
            match seen.get_mut(index) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            match self.step(index) {
                Step::Also(other) => open.extend([index + 1, *other]),
                Step::Jump(to) => open.push(*to),
                Step::Assert(Assertion::TextStart) if !past_start => {}
                Step::Assert(_) => open.push(index + 1),
                step => entries.push(step),
            }
        }
        entries
    }
}

struct Compiler {
    steps: Vec<Step>,
}

impl Compiler {
    fn push(&mut self, step: Step) -> Result<usize, PatternError> {
        if self.steps.len() >= MAX_STEPS {
            return Err(PatternError {
                column: 1,
                problem: "the pattern is too large once its repetitions are written out",
            });
        }
        self.steps.push(step);
        Ok(self.steps.len() - 1)
    }

    fn set(&mut self, index: usize, step: Step) {
        if let Some(slot) = self.steps.get_mut(index) {
            *slot = step;
        }
    }

    fn node(&mut self, node: &Node) -> Result<(), PatternError> {
        match node {
            Node::Empty => {}
            Node::Char(c) => {
                self.push(Step::Char(*c))?;
            }
            Node::Any { line_breaks } => {
                self.push(Step::Any { line_breaks: *line_breaks })?;
            }
            Node::Class(class) => {
                self.push(Step::Class(class.clone()))?;
            }
            Node::Assert(assertion) => {
                self.push(Step::Assert(*assertion))?;
            }
            Node::Concat(nodes) => {
                for node in nodes {
                    self.node(node)?;
                }
            }
            Node::Either(branches) => self.either(branches)?,
            Node::Repeat { node, min, max } => self.repeat(node, *min, *max)?,
        }
        Ok(())
    }

    fn either(&mut self, branches: &[Node]) -> Result<(), PatternError> {
        let mut ends = Vec::new();
        let Some((last, earlier)) = branches.split_last() else { return Ok(()) };
        for branch in earlier {
            let fork = self.push(Step::Also(0))?;
            self.node(branch)?;
            ends.push(self.push(Step::Jump(0))?);
            self.set(fork, Step::Also(self.steps.len()));
        }
        self.node(last)?;
        for end in ends {
            self.set(end, Step::Jump(self.steps.len()));
        }
        Ok(())
    }

    fn repeat(&mut self, node: &Node, min: usize, max: Option<usize>) -> Result<(), PatternError> {
        for _ in 0..min {
            let steps = self.steps.len();
            self.node(node)?;
            // Nothing, however often, is nothing; nested it would never end.
            if self.steps.len() == steps {
                break;
            }
        }
        let Some(max) = max else {
            let fork = self.push(Step::Also(0))?;
            self.node(node)?;
            self.push(Step::Jump(fork))?;
            self.set(fork, Step::Also(self.steps.len()));
            return Ok(());
        };
        let mut forks = Vec::new();
        for _ in min..max {
            forks.push(self.push(Step::Also(0))?);
            self.node(node)?;
        }
        for fork in forks {
            self.set(fork, Step::Also(self.steps.len()));
        }
        Ok(())
    }
}

/// Whether `c` counts as part of a word for `\b`.
pub(crate) fn is_word(c: Option<char>) -> bool {
    c.is_some_and(|c| Kind::Word.contains(c))
}
