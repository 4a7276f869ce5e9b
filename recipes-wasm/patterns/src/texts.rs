//! The texts that a set of rules looks at, each found and folded once.

use std::borrow::Cow;

use crate::{Pattern, Text};

/// Remembers each field's text; several rules usually look at the same one.
#[derive(Debug)]
pub struct Texts<'a, F> {
    lookup: F,
    known: Vec<(&'a str, Option<Text<'a>>)>,
}

impl<'a, F: Fn(&str) -> Option<Cow<'a, str>>> Texts<'a, F> {
    /// `lookup` gives a field's value, or `None` if the event has none.
    pub fn new(lookup: F) -> Self {
        Self { lookup, known: Vec::new() }
    }

    /// Whether the field is there and the pattern matches it. An absent field
    /// matches nothing, not even the empty pattern.
    pub fn matches(&mut self, field: &'a str, pattern: &Pattern) -> bool {
        if let Some((_, text)) = self.known.iter().find(|(name, _)| *name == field) {
            return text.as_ref().is_some_and(|text| pattern.is_match(text));
        }
        let text = (self.lookup)(field).map(Text::new);
        let found = text.as_ref().is_some_and(|text| pattern.is_match(text));
        self.known.push((field, text));
        found
    }
}
