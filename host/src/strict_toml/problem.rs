//! What is wrong with a file, and where; and the place where problems collect
//! while it is read.

use std::cell::RefCell;
use std::fmt;

use serde::Serialize;

use crate::ids::nearest;

/// The most problems that are kept of one file. A file with more is no recipe.
const MAX_PROBLEMS: usize = 100;

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// As people name it: `recipes/mail-triage.toml`.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    pub what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The valid word nearest to the one that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
}

impl Problem {
    /// A problem with the file as a whole.
    pub fn in_file(file: &str, what: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: 1,
            column: 1,
            what: what.into(),
            expected: None,
            nearest: None,
        }
    }

    /// A problem at a byte of the text.
    pub fn at(file: &str, text: &str, at: usize, what: impl Into<String>) -> Self {
        let (line, column) = place(text, at);
        Self { line, column, ..Self::in_file(file, what) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.what)?;
        if let Some(expected) = &self.expected {
            write!(f, ": expected {expected}")?;
        }
        if let Some(nearest) = &self.nearest {
            write!(f, "; did you mean \"{nearest}\"?")?;
        }
        Ok(())
    }
}

/// Line and column of a byte. What lies behind the text's end is shown at its
/// end, so that every place is one that an editor can jump to.
fn place(text: &str, at: usize) -> (usize, usize) {
    let end = text.trim_end().len();
    let mut at = at.min(end);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let before = text.get(..at).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    (line, column)
}

/// Where problems and warnings of one file collect.
pub struct Sink<'t> {
    file: &'t str,
    text: &'t str,
    errors: RefCell<Vec<Ranked>>,
    warnings: RefCell<Vec<Ranked>>,
}

/// A problem with the line and column by which it is put in order.
type Ranked = ((usize, usize), Problem);

impl<'t> Sink<'t> {
    pub fn new(file: &'t str, text: &'t str) -> Self {
        Self { file, text, errors: RefCell::default(), warnings: RefCell::default() }
    }

    pub fn file(&self) -> &'t str {
        self.file
    }

    pub fn text(&self) -> &'t str {
        self.text
    }

    pub fn error(&self, at: usize, what: impl Into<String>) {
        self.add(Problem::at(self.file, self.text, at, what));
    }

    pub fn error_expected(&self, at: usize, what: impl Into<String>, expected: impl Into<String>) {
        let problem = Problem::at(self.file, self.text, at, what);
        self.add(Problem { expected: Some(expected.into()), ..problem });
    }

    /// As [`Self::error_expected`], told after what stands in the line of `after`:
    /// what is lacking may stand there under a wrong name.
    pub fn lacking(
        &self,
        at: usize,
        after: usize,
        what: impl Into<String>,
        expected: impl Into<String>,
    ) {
        let problem = Problem::at(self.file, self.text, at, what);
        let problem = Problem { expected: Some(expected.into()), ..problem };
        let (line, _) = place(self.text, after.max(at));
        push(&self.errors, (line, usize::MAX), problem);
    }

    /// A word that is none of those that may stand there.
    pub fn wrong_word<'w>(
        &self,
        at: usize,
        what: impl Into<String>,
        word: &str,
        valid: impl IntoIterator<Item = &'w str>,
    ) {
        self.add(self.word_problem(at, what, word, valid));
    }

    /// As [`Sink::wrong_word`], where the file is still good to use.
    pub fn doubtful_word<'w>(
        &self,
        at: usize,
        what: impl Into<String>,
        word: &str,
        valid: impl IntoIterator<Item = &'w str>,
    ) {
        self.add_warning(self.word_problem(at, what, word, valid));
    }

    fn word_problem<'w>(
        &self,
        at: usize,
        what: impl Into<String>,
        word: &str,
        valid: impl IntoIterator<Item = &'w str>,
    ) -> Problem {
        let valid: Vec<&str> = valid.into_iter().collect();
        let problem = Problem::at(self.file, self.text, at, what);
        let expected = match valid.as_slice() {
            [] => None,
            [one] => Some((*one).to_owned()),
            several => Some(format!("one of {}", several.join(", "))),
        };
        Problem { expected, nearest: nearest(word, valid).map(str::to_owned), ..problem }
    }

    pub fn warn(&self, at: usize, what: impl Into<String>) {
        self.add_warning(Problem::at(self.file, self.text, at, what));
    }

    pub fn add_warning(&self, problem: Problem) {
        push(&self.warnings, (problem.line, problem.column), problem);
    }

    pub fn add(&self, problem: Problem) {
        push(&self.errors, (problem.line, problem.column), problem);
    }

    pub fn has_errors(&self) -> bool {
        !self.errors.borrow().is_empty()
    }

    /// Errors and warnings, each in the order of the file.
    pub fn into_parts(self) -> (Vec<Problem>, Vec<Problem>) {
        (sorted(self.errors.into_inner()), sorted(self.warnings.into_inner()))
    }
}

fn push(list: &RefCell<Vec<Ranked>>, rank: (usize, usize), problem: Problem) {
    let mut list = list.borrow_mut();
    if list.len() < MAX_PROBLEMS && list.iter().all(|(_, known)| *known != problem) {
        list.push((rank, problem));
    }
}

fn sorted(mut problems: Vec<Ranked>) -> Vec<Problem> {
    problems.sort_by_key(|(rank, _)| *rank);
    problems.into_iter().map(|(_, problem)| problem).collect()
}
