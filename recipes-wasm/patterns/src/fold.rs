//! Letter case, in every script.

use std::borrow::Cow;

/// A text made ready for searching. Make it once and try all patterns on it.
#[derive(Clone, Debug)]
pub struct Text<'a> {
    folded: Cow<'a, str>,
}

impl<'a> Text<'a> {
    /// Folds a text; one that has nothing to fold is borrowed.
    #[must_use]
    pub fn new(text: impl Into<Cow<'a, str>>) -> Self {
        let text = text.into();
        if text.is_ascii() {
            if !text.bytes().any(|byte| byte.is_ascii_uppercase()) {
                return Self { folded: text };
            }
            return Self { folded: Cow::Owned(text.to_ascii_lowercase()) };
        }
        Self { folded: Cow::Owned(text.chars().map(fold).collect()) }
    }

    pub(crate) fn folded(&self) -> &str {
        &self.folded
    }
}

/// One form for all cases of a letter. Up and down again, so that a final
/// sigma, a long s or a Kelvin sign meet their common letter too. A letter
/// whose other case is several letters stays as it is.
pub(crate) fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let upper = upper(c);
    only(upper.to_lowercase()).unwrap_or(upper)
}

/// The capital form, where it is one letter.
pub(crate) fn upper(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_uppercase();
    }
    only(c.to_uppercase()).unwrap_or(c)
}

fn only(mut letters: impl Iterator<Item = char>) -> Option<char> {
    let first = letters.next();
    if letters.next().is_some() { None } else { first }
}
