//! Regular expressions for rules in recipes: is there a match, yes or no.
//!
//! A bundled recipe starts afresh for every event, so each pattern is compiled
//! for every event, and compiling is the cost. Measured in one run in wasmtime,
//! on one of two busy cores: four usual patterns, compiled; compiled and tried
//! on a mail of 120 characters; and on one of 64 KiB, with the fuel for that.
//!
//! | engine                                | compile  | and search | 64 KiB  | fuel  | module |
//! |---------------------------------------|----------|------------|---------|-------|--------|
//! | `regex`, Unicode case and `\w`        | 512 us   | 550 us     | 21.6 ms | 182 M | 501 kB |
//! | `regex`, with its literals and DFA    | 1,682 us | 1,588 us   | 1.6 ms  | 16 M  | 835 kB |
//! | `regex-lite`                          | 25 us    | 58 us      | 13.1 ms | 128 M | 98 kB  |
//! | this                                  | 13 us    | 19 us      | 3.3 ms  | 26 M  | 85 kB  |
//!
//! `regex` would cost four times what the whole event may. `regex-lite`
//! knows letters and their case in ASCII only (`\bсрочно\b` never matches),
//! and a mail of 64 KiB would spend a filter's 50 M of fuel. So this: a parser
//! for the usual syntax, a small program, and a simulation of all its threads
//! at once, one step per character. In a long text the same sets of threads come
//! again and again: what became of each is kept in a table, so that 64 KiB cost a
//! pattern for mail addresses 3 M of fuel instead of 64 M, whatever the text, and other
//! usual patterns as much. Its answers are tested against `regex`.
//!
//! The search ignores case, in every script, and works character by character.
//! What would not be linear (look-around, back-references) is refused.

mod ascii;
mod fold;
mod program;
mod search;
mod syntax;
mod table;
mod texts;

#[cfg(test)]
mod tests;

pub use fold::Text;
pub use syntax::PatternError;
pub use texts::Texts;

/// Longest pattern, in bytes. A pattern is compiled for every event.
pub const MAX_PATTERN_BYTES: usize = 1024;

/// Most steps of a compiled pattern; what `{n,m}` multiplies counts as often
/// as it is repeated. Bounds the work for one character of hostile text.
pub const MAX_STEPS: usize = 2000;

/// Bytes of a text from which on it is searched with a table. A short one is
/// through before the table would have been of use.
const TABLE_FROM: usize = 1024;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    program: program::Program,
}

impl Pattern {
    /// Compiles a pattern. Letter case never matters; `$` also stands before a
    /// final line break; `.` is anything but a line break unless `(?s)`.
    ///
    /// # Errors
    /// When the pattern is malformed, too large, or uses what is not linear.
    pub fn parse(pattern: &str) -> Result<Self, PatternError> {
        let node = syntax::parse(pattern)?;
        Ok(Self { program: program::Program::compile(&node)? })
    }

    /// Whether the pattern matches anywhere. The time is at most proportional
    /// to the text's length times the pattern's size.
    #[must_use]
    pub fn is_match(&self, text: &Text<'_>) -> bool {
        search::is_match(&self.program, text.folded(), TABLE_FROM)
    }
}
