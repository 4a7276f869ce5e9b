//! What became of the keys of the earlier thrall's `plugin.toml`. One table,
//! `old_keys/table.rs`, serves `thrall import` and the loader: whoever writes an
//! old key into `thrall.toml` is told where it has gone instead of "unknown
//! key". What an imported value is held against is `cli/import`'s concern.

mod table;

use toml::de::DeValue;

use crate::strict_toml::Table;
use crate::strict_toml::table::Hint;

pub use table::{OLD_KEYS, OLD_TABLES};
use table::{SLIPS, WHERE};

/// One key of the earlier `plugin.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldKey {
    /// Tables and key, joined by dots: `config.thrall.n_threads`.
    pub path: &'static str,
    /// What held where the key was absent, and what the guides had in it, as
    /// TOML. A value among them is nobody's choice.
    pub defaults: &'static [&'static str],
    pub became: Became,
}

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Became {
    /// The same value under another name.
    Key(NewKey),
    /// Nothing obeys it in this version: with what it comes.
    Later(&'static str),
    /// No key of `thrall.toml`: what to do instead.
    Instead(&'static str),
    /// It has no meaning here, or never had one: why.
    Gone(&'static str),
    /// A secret, which is neither copied nor shown: where it belongs.
    Secret(&'static str),
}

/// A key of `thrall.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// Empty for the top level.
    pub table: &'static str,
    pub key: &'static str,
    /// As TOML.
    pub default: &'static str,
}

impl NewKey {
    /// As people say it: `[model] threads`.
    pub fn name(&self) -> String {
        if self.table.is_empty() {
            self.key.to_owned()
        } else {
            format!("[{}] {}", self.table, self.key)
        }
    }
}

/// The row of a path of `plugin.toml`.
pub fn find(path: &str) -> Option<&'static OldKey> {
    OLD_KEYS.iter().find(|row| row.path == path)
}

/// Whether a path of `plugin.toml` is a table that holds old keys.
pub fn is_table(path: &str) -> bool {
    OLD_TABLES.iter().any(|(table, _)| *table == path)
}

/// Reports the keys of a table that are not among the known ones. The tables
/// of the old file are looked into, so that each of their keys is told where
/// it has gone.
pub(super) fn refuse(table: &Table<'_>, known: &[&str]) {
    let unknown: Vec<&str> =
        table.keys().map(|key| key.value).filter(|key| !known.contains(key)).collect();
    let sentences: Vec<(&str, String)> =
        unknown.iter().filter_map(|key| Some((*key, sentence(table, key)?))).collect();
    let hints: Vec<Hint<'_>> =
        sentences.iter().map(|(key, sentence)| (*key, sentence.as_str())).collect();
    table.only(known, &hints);
    for key in unknown {
        let is_old = old_paths(table, key).any(|path| is_table(&path));
        let is_table = table.value(key).is_some_and(|value| value.get_ref().is_table());
        if is_old
            && is_table
            && let Some(inner) = table.table(key)
        {
            refuse(&inner, &[]);
        }
    }
}

/// The paths that a key of `thrall.toml` can have had: the old file as it was,
/// without `[config]`, or without `[config.thrall]`.
fn old_paths(table: &Table<'_>, key: &str) -> impl Iterator<Item = String> + use<> {
    let place = match table.name().strip_prefix('[') {
        Some(name) => format!("{}.{key}", name.trim_matches(['[', ']'])),
        None => key.to_owned(),
    };
    ["", "config.", "config.thrall."].into_iter().map(move |before| format!("{before}{place}"))
}

fn sentence(table: &Table<'_>, key: &str) -> Option<String> {
    for path in old_paths(table, key) {
        if let Some(row) = find(&path) {
            return Some(advice(row, table, key));
        }
        if let Some((_, sentence)) = OLD_TABLES.iter().find(|(old, _)| *old == path) {
            return Some((*sentence).to_owned());
        }
    }
    // By the word alone: only where most old keys went, and where it leaves no
    // doubt.
    if !matches!(table.name(), "the file" | "[model]") {
        return None;
    }
    if let Some((_, sentence)) = SLIPS.iter().find(|(slip, _)| *slip == key) {
        return Some((*sentence).to_owned());
    }
    let named = |row: &&OldKey| row.path.rsplit('.').next() == Some(key);
    let first = OLD_KEYS.iter().find(named)?;
    let is_plain = OLD_KEYS.iter().filter(named).all(|row| row.became == first.became);
    is_plain.then(|| advice(first, table, key))
}

fn advice(row: &OldKey, table: &Table<'_>, key: &str) -> String {
    match row.became {
        Became::Key(new) => match written(table, key) {
            Some(value) if new.table.is_empty() => {
                format!("write {} = {value} at the top level", new.key)
            }
            Some(value) => format!("write {} = {value}", new.name()),
            None => format!("write {}", new.name()),
        },
        Became::Later(why) => {
            format!("this version takes no key that it would not obey, and has none for it: {why}")
        }
        Became::Instead(advice) => advice.to_owned(),
        Became::Gone(why) => format!("not needed: {why}"),
        Became::Secret(place) => format!("{WHERE}: {place}"),
    }
}

/// A short value as it stands in the file.
fn written<'t>(table: &Table<'t>, key: &str) -> Option<&'t str> {
    const MAX_SHOWN_BYTES: usize = 80;
    let value = table.value(key)?;
    if matches!(value.get_ref(), DeValue::Table(_)) {
        return None;
    }
    let text = table.sink().text().get(value.span())?;
    (text.len() <= MAX_SHOWN_BYTES && !text.contains(char::is_control)).then_some(text)
}
