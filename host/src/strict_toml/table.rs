//! One table of a file, with getters that check the type and the range and
//! report what does not fit.

use std::fmt::Display;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeArray, DeInteger, DeTable, DeValue};

use super::problem::Sink;

/// A value with the byte where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed<T> {
    pub value: T,
    pub at: usize,
}

/// A table of the file.
#[derive(Clone)]
pub struct Table<'a> {
    sink: &'a Sink<'a>,
    entries: &'a DeTable<'a>,
    /// As people write it: `[filter]`; `the file` for the top.
    name: String,
    at: usize,
}

/// An item of a list that may hold strings and tables side by side.
pub enum Item<'a> {
    Text(Placed<&'a str>),
    Table(Table<'a>),
}

/// A key that is refused with a sentence of its own.
pub type Hint<'h> = (&'h str, &'h str);

pub(super) fn integer(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// Names a type the way people speak of it.
fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

impl<'a> Table<'a> {
    /// The file's top level.
    pub fn top(sink: &'a Sink<'a>, entries: &'a DeTable<'a>) -> Self {
        Self { sink, entries, name: "the file".to_owned(), at: 0 }
    }

    fn under(&self, entries: &'a DeTable<'a>, name: String, at: usize) -> Self {
        Self { sink: self.sink, entries, name, at }
    }

    pub fn sink(&self) -> &'a Sink<'a> {
        self.sink
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the table begins.
    pub fn at(&self) -> usize {
        self.at
    }

    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Where a key stands; where the table begins if it is absent.
    pub fn at_key(&self, key: &str) -> usize {
        self.entries.get_key_value(key).map_or(self.at, |(key, _)| key.span().start)
    }

    pub fn keys(&self) -> impl Iterator<Item = Placed<&'a str>> {
        self.entries
            .keys()
            .map(|key| Placed { value: key.get_ref().as_ref(), at: key.span().start })
    }

    /// The raw value of a key.
    pub fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.entries.get(key)
    }

    /// How a key of this table is called in a message.
    fn path(&self, key: &str) -> String {
        if self.at == 0 && self.name == "the file" {
            key.to_owned()
        } else {
            format!("{} {key}", self.name)
        }
    }

    /// Reports every key that is not among the known ones. A key with a hint
    /// is refused with that sentence instead.
    pub fn only(&self, known: &[&str], hints: &[Hint<'_>]) {
        for key in self.keys().filter(|key| !known.contains(&key.value)) {
            let what = format!("unknown key {:?} in {}", key.value, self.name);
            match hints.iter().find(|(old, _)| *old == key.value) {
                Some((_, sentence)) => self.sink.error(key.at, format!("{what}: {sentence}")),
                None => self.sink.wrong_word(key.at, what, key.value, known.iter().copied()),
            }
        }
    }

    /// Reports a key that is absent and has to be there, after the unknown ones:
    /// it may be there under a wrong name.
    pub fn missing(&self, key: &str, example: impl Display) {
        let last = self.keys().map(|key| key.at).max().unwrap_or(self.at);
        let what = format!("{} lacks {key}", self.name);
        self.sink.lacking(self.at, last, what, example.to_string());
    }

    fn wrong_type<T>(
        &self,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        expected: impl Display,
    ) -> Option<T> {
        let what = format!("{} is {}", self.path(key), type_of(value.get_ref()));
        self.sink.error_expected(value.span().start, what, expected.to_string());
        None
    }

    pub fn text(&self, key: &str) -> Option<Placed<&'a str>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(Placed { value: text.as_ref(), at: value.span().start }),
            _ => self.wrong_type(key, value, "a string"),
        }
    }

    pub fn flag(&self, key: &str) -> Option<bool> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            _ => self.wrong_type(key, value, "true or false"),
        }
    }

    /// A whole number inside a range.
    pub fn integer<N: TryFrom<i64> + Display>(
        &self,
        key: &str,
        range: RangeInclusive<i64>,
    ) -> Option<N> {
        let value = self.value(key)?;
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let DeValue::Integer(number) = value.get_ref() else {
            return self.wrong_type(key, value, expected);
        };
        let found = integer(number)
            .filter(|number| range.contains(number))
            .and_then(|number| N::try_from(number).ok());
        if found.is_none() {
            let what = format!("{} is {number}", self.path(key));
            self.sink.error_expected(value.span().start, what, expected);
        }
        found
    }

    /// A number, with or without a point, inside a range.
    pub fn number(&self, key: &str, range: RangeInclusive<f64>) -> Option<f64> {
        let value = self.value(key)?;
        let expected = format!("a number from {} to {}", range.start(), range.end());
        let written = match value.get_ref() {
            DeValue::Float(number) => number.as_str().to_owned(),
            DeValue::Integer(number) => {
                integer(number).map(|number| number.to_string()).unwrap_or_default()
            }
            _ => return self.wrong_type(key, value, expected),
        };
        let found = written.parse::<f64>().ok().filter(|number| range.contains(number));
        if found.is_none() {
            let what = format!("{} is {written}", self.path(key));
            self.sink.error_expected(value.span().start, what, expected);
        }
        found
    }

    /// One of a few words.
    pub fn word<'w>(&self, key: &str, words: &[&'w str]) -> Option<&'w str> {
        let text = self.text(key)?;
        let found = words.iter().find(|word| **word == text.value);
        if found.is_none() {
            let what = format!("{} is {:?}", self.path(key), text.value);
            self.sink.wrong_word(text.at, what, text.value, words.iter().copied());
        }
        found.copied()
    }

    fn list(&self, key: &str, expected: &str) -> Option<&'a DeArray<'a>> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Array(items) => Some(items),
            _ => self.wrong_type(key, value, expected),
        }
    }

    /// A list of strings. A wrong item is reported and left out.
    pub fn texts(&self, key: &str) -> Option<Vec<Placed<&'a str>>> {
        let items = self.list(key, "a list of strings")?;
        let text_of = |item: &'a Spanned<DeValue<'a>>| match item.get_ref() {
            DeValue::String(text) => Some(Placed { value: text.as_ref(), at: item.span().start }),
            _ => self.wrong_type(key, item, "strings in the list"),
        };
        Some(items.iter().filter_map(text_of).collect())
    }

    /// A table: `[name]`, or inline.
    pub fn table(&self, key: &str) -> Option<Table<'a>> {
        let (written, value) = self.entries.get_key_value(key)?;
        match value.get_ref() {
            DeValue::Table(entries) => {
                Some(self.under(entries, self.table_name(key), written.span().start))
            }
            _ => self.wrong_type(key, value, format!("a table, written [{}]", self.dotted(key))),
        }
    }

    /// A list of tables: `[[name]]`, or inline. Empty when absent.
    pub fn tables(&self, key: &str) -> Vec<Table<'a>> {
        let expected = format!("a list of tables, each written [[{}]]", self.dotted(key));
        let Some(items) = self.list(key, &expected) else {
            return Vec::new();
        };
        let name = format!("[[{}]]", self.dotted(key));
        let table_of = |item: &'a Spanned<DeValue<'a>>| match item.get_ref() {
            DeValue::Table(entries) => Some(self.under(entries, name.clone(), item.span().start)),
            _ => self.wrong_type(key, item, &expected),
        };
        items.iter().filter_map(table_of).collect()
    }

    /// A list of strings and tables, in their order. Empty when absent.
    pub fn items(&self, key: &str, expected: &str) -> Vec<Item<'a>> {
        let Some(items) = self.list(key, expected) else {
            return Vec::new();
        };
        let name = format!("[[{}]]", self.dotted(key));
        let item_of = |item: &'a Spanned<DeValue<'a>>| {
            let at = item.span().start;
            match item.get_ref() {
                DeValue::String(text) => Some(Item::Text(Placed { value: text.as_ref(), at })),
                DeValue::Table(entries) => Some(Item::Table(self.under(entries, name.clone(), at))),
                _ => self.wrong_type(key, item, expected),
            }
        };
        items.iter().filter_map(item_of).collect()
    }

    /// The named tables under a key: `[actions.NAME]`.
    pub fn sections(&self, key: &str) -> Vec<(Placed<&'a str>, Table<'a>)> {
        let Some(parent) = self.table(key) else {
            return Vec::new();
        };
        let section = |name: Placed<&'a str>| Some((name, parent.table(name.value)?));
        parent.keys().filter_map(section).collect()
    }

    fn dotted(&self, key: &str) -> String {
        match self.name.strip_prefix('[').map(|name| name.trim_matches(['[', ']'])) {
            Some(parent) => format!("{parent}.{key}"),
            None => key.to_owned(),
        }
    }

    fn table_name(&self, key: &str) -> String {
        format!("[{}]", self.dotted(key))
    }
}

/// Calls `look` for every string inside a value, however deep.
pub fn each_text<'a>(value: &'a Spanned<DeValue<'a>>, look: &mut dyn FnMut(Placed<&'a str>)) {
    match value.get_ref() {
        DeValue::String(text) => look(Placed { value: text.as_ref(), at: value.span().start }),
        DeValue::Array(items) => items.iter().for_each(|item| each_text(item, look)),
        DeValue::Table(table) => table.values().for_each(|item| each_text(item, look)),
        _ => {}
    }
}
