//! `[responder]`, `[compilation]` and `[promotion]`: what is held back, when
//! buffers are flushed, and what a recipe needs before it acts alone.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Promotion;
use super::file::section;
use crate::buffers::FlushRules;
use crate::ids::is_valid_name;
use crate::strict_toml::Table;

const DEFAULT_INTERVAL_S: u64 = 3600;
const MAX_INTERVAL_S: i64 = 30 * 24 * 3600;
const DEFAULT_REVIEWED: u32 = 20;
const MAX_REVIEWS: i64 = 100_000;

pub(super) fn responder_enabled(top: &Table<'_>) -> bool {
    section(top, "responder").and_then(|table| table.flag("enabled")).unwrap_or(true)
}

pub(super) fn compilation(top: &Table<'_>) -> FlushRules {
    let usual = Duration::from_secs(DEFAULT_INTERVAL_S);
    let Some(table) = section(top, "compilation") else {
        return FlushRules { interval: usual, ..FlushRules::default() };
    };
    let interval = table.integer("interval_s", 1..=MAX_INTERVAL_S).map(Duration::from_secs);
    FlushRules { interval: interval.unwrap_or(usual), intervals: intervals(&table), dry_run: false }
}

fn intervals(table: &Table<'_>) -> BTreeMap<String, Duration> {
    let Some(buffers) = table.table("buffers") else { return BTreeMap::new() };
    let mut intervals = BTreeMap::new();
    for name in buffers.keys() {
        if !is_valid_name(name.value) {
            let what = format!("[compilation.buffers] {:?} cannot name a buffer", name.value);
            table.sink().error_expected(
                name.at,
                what,
                "at most 64 of a-z, 0-9, - and _, a letter or digit first",
            );
        }
        if let Some(seconds) = buffers.integer(name.value, 1..=MAX_INTERVAL_S) {
            intervals.insert(name.value.to_owned(), Duration::from_secs(seconds));
        }
    }
    intervals
}

pub(super) fn promotion(top: &Table<'_>) -> Promotion {
    let table = section(top, "promotion");
    let number = |key: &str| table.as_ref().and_then(|table| table.integer(key, 0..=MAX_REVIEWS));
    Promotion {
        reviewed: number("reviewed").unwrap_or(DEFAULT_REVIEWED),
        corrected: number("corrected").unwrap_or(0),
    }
}
