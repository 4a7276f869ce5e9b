//! What the home's own `thrall.toml` says now, and its text. Pure.

use serde_json::Value;

use super::settings::json;
use crate::config::old_keys::NewKey;

/// The home's configuration file.
#[derive(Debug)]
pub(super) struct Present {
    pub(super) text: String,
    values: Value,
}

/// What holds for a key.
#[derive(Debug, PartialEq)]
pub(super) struct Now {
    pub(super) value: Value,
    /// False for a default.
    pub(super) is_written: bool,
}

impl Present {
    /// Reads the text of a file that loads.
    pub(super) fn new(text: String) -> Self {
        let table: toml::Table = text.parse().unwrap_or_default();
        let values = serde_json::to_value(table).unwrap_or_default();
        Self { text, values }
    }

    /// Whether the file is as `init` wrote it: every key commented out.
    pub(super) fn is_untouched(&self) -> bool {
        self.values.as_object().is_none_or(serde_json::Map::is_empty)
    }

    pub(super) fn value(&self, new: &NewKey) -> Now {
        let mut parts = new.table.split('.').filter(|part| !part.is_empty()).chain([new.key]);
        let written = parts.try_fold(&self.values, |value, part| value.get(part));
        match written {
            Some(value) => Now { value: value.clone(), is_written: true },
            None => Now { value: json(new.default), is_written: false },
        }
    }
}
