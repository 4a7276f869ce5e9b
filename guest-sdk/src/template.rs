//! Texts with `{{root.name}}` in them.
//!
//! Used by recipes to render and by the host to refuse a bad template when it
//! loads a file; so it knows nothing of envelopes, only of a lookup function.
//! A text is taken apart once, and what is inserted is never looked at again:
//! a message that holds `{{envelope.to_node}}` stays that text.

use std::borrow::Cow;
use std::fmt;

use crate::words::nearest;

#[cfg(test)]
mod tests;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Root {
    /// The event's own fields, `id`, `trigger`, `source` and `received_at`.
    Envelope,
    /// What the host's filter found: `tier`, `decision`.
    Filter,
    /// Live rows of the event's session.
    Context,
    /// What the gather stage fetched.
    Gather,
    /// What a filter added.
    Inject,
    /// The verdict's `action`, `reason`, `confidence` and fields; also `eval`.
    Verdict,
    /// The answer to an operation of an earlier stage.
    Result,
}

/// Every root as it is written, the other name of `verdict` included.
pub const ROOT_WORDS: [&str; 8] =
    ["envelope", "filter", "context", "gather", "inject", "verdict", "eval", "result"];

impl Root {
    /// The root of that name.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "envelope" => Self::Envelope,
            "filter" => Self::Filter,
            "context" => Self::Context,
            "gather" => Self::Gather,
            "inject" => Self::Inject,
            "verdict" | "eval" => Self::Verdict,
            "result" => Self::Result,
            _ => return None,
        })
    }

    /// The name that people write.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Envelope => "envelope",
            Self::Filter => "filter",
            Self::Context => "context",
            Self::Gather => "gather",
            Self::Inject => "inject",
            Self::Verdict => "verdict",
            Self::Result => "result",
        }
    }

    /// Takes `root.name` apart. `envelope.gather.x` is the older way to write
    /// `gather.x`, and likewise for the other things the host puts beside the
    /// event. `None` when the first part is no root or no name follows.
    #[must_use]
    pub fn split(path: &str) -> Option<(Self, &str)> {
        let (word, name) = path.split_once('.')?;
        let root = Self::from_word(word)?;
        if name.is_empty() {
            return None;
        }
        if root == Self::Envelope
            && let Some((inner @ (Self::Gather | Self::Inject | Self::Result), rest)) =
                Self::split(name)
        {
            return Some((inner, rest));
        }
        Some((root, name))
    }
}

/// One `{{root.name}}`. The name may contain dots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placeholder<'t> {
    /// Where the value comes from.
    pub root: Root,
    /// Its name there.
    pub name: &'t str,
}

/// A text taken apart into words and placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template<'t> {
    pieces: Vec<Piece<'t>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece<'t> {
    Text(&'t str),
    Place(Placeholder<'t>),
}

impl<'t> Template<'t> {
    /// Takes a text apart.
    ///
    /// # Errors
    /// When a placeholder is not closed, has no name, or names a root that
    /// does not exist.
    pub fn parse(text: &'t str) -> Result<Self, TemplateError> {
        Self::parse_with(text, place)
    }

    /// As [`parse`](Self::parse), and `{{name}}` without a root means the
    /// event's field of that name. Earlier recipes write it so in
    /// `cooldown_key` and `to_node`; elsewhere it is more likely a slip.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_with_bare_names(text: &'t str) -> Result<Self, TemplateError> {
        Self::parse_with(text, |path| {
            if !path.contains('.') && is_name(path) {
                return Ok(Placeholder { root: Root::Envelope, name: path });
            }
            place(path)
        })
    }

    /// The placeholders in the order in which they stand.
    pub fn placeholders(&self) -> impl Iterator<Item = Placeholder<'t>> + '_ {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Place(place) => Some(*place),
            Piece::Text(_) => None,
        })
    }

    /// The text with each placeholder's value in its place; an absent value is
    /// the empty text.
    pub fn render<'v>(
        &self,
        mut lookup: impl FnMut(Placeholder<'t>) -> Option<Cow<'v, str>>,
    ) -> String {
        let mut rendered = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => rendered.push_str(text),
                Piece::Place(place) => {
                    if let Some(value) = lookup(*place) {
                        rendered.push_str(&value);
                    }
                }
            }
        }
        rendered
    }

    fn parse_with(
        text: &'t str,
        place: impl Fn(&'t str) -> Result<Placeholder<'t>, Cause>,
    ) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let fail = |cause| TemplateError::new(text, text.len() - after.len() - 2, cause);
            let Some((inside, behind)) = after.split_once("}}") else {
                return Err(fail(Cause::Unclosed));
            };
            if !before.is_empty() {
                pieces.push(Piece::Text(before));
            }
            pieces.push(Piece::Place(place(inside.trim()).map_err(fail)?));
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest));
        }
        Ok(Self { pieces })
    }
}

fn place(path: &str) -> Result<Placeholder<'_>, Cause> {
    let word = path.split_once('.').map_or(path, |(word, _)| word);
    if !is_name(path) {
        return Err(Cause::Malformed(path.into()));
    }
    match Root::split(path) {
        Some((root, name)) => Ok(Placeholder { root, name }),
        None if Root::from_word(word).is_some() => Err(Cause::NoName(word.into())),
        None => Err(Cause::UnknownRoot(word.into())),
    }
}

/// Letters, digits and the few signs that field names use. Anything else is
/// more likely a forgotten brace than a name.
fn is_name(path: &str) -> bool {
    !path.is_empty()
        && !path.split('.').any(str::is_empty)
        && path.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '@'))
}

/// Why a text is no template, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// Where the placeholder begins, in bytes.
    pub offset: usize,
    /// The same as a person counts, from 1: lines, then characters.
    pub line: usize,
    /// See `line`.
    pub column: usize,
    /// What is wrong.
    pub cause: Cause,
}

/// What is wrong with a placeholder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No `}}` follows.
    Unclosed,
    /// The part in braces, which is no `root.name`.
    Malformed(String),
    /// The root after which no name follows.
    NoName(String),
    /// The word that is no root.
    UnknownRoot(String),
}

impl TemplateError {
    fn new(text: &str, offset: usize, cause: Cause) -> Self {
        let before = text.get(..offset).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Self { offset, line, column, cause }
    }

    /// The valid root nearest to the one written, if that is what is wrong.
    #[must_use]
    pub fn suggestion(&self) -> Option<&'static str> {
        match &self.cause {
            Cause::UnknownRoot(word) => nearest(word, &ROOT_WORDS),
            _ => None,
        }
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        match &self.cause {
            Cause::Unclosed => f.write_str("`{{` without `}}`"),
            Cause::Malformed(inside) => {
                write!(f, "`{{{{{inside}}}}}` is no placeholder; write {{{{root.name}}}}")
            }
            Cause::NoName(root) => {
                write!(f, "`{{{{{root}}}}}` lacks a name; write {{{{{root}.name}}}}")
            }
            Cause::UnknownRoot(word) => {
                write!(f, "nothing is called `{word}`; ")?;
                match self.suggestion() {
                    Some(root) => write!(f, "did you mean `{root}`?"),
                    None => write!(f, "a placeholder begins with {}", ROOT_WORDS.join(", ")),
                }
            }
        }
    }
}

impl std::error::Error for TemplateError {}

/// Lets a recipe pass the error on with `?`.
impl From<TemplateError> for String {
    fn from(error: TemplateError) -> Self {
        error.to_string()
    }
}
