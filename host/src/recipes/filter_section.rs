//! `[filter]`: the host's own stages and the filter component behind them.

use super::placeholders::{self, Stage};
use super::reading::Reading;
use super::{Bypass, ComponentSource, Cooldown, FilterSpec, RateLimit, StageSpec};
use crate::strict_toml::table::each_text;
use crate::strict_toml::{Placed, Table};

const KEYS: [&str; 13] = [
    "trust_bypass",
    "bypass_action",
    "cooldown_key",
    "cooldown_seconds",
    "rate_limit_window",
    "rate_limit_max",
    "rate_limit_action",
    "cache_ttl",
    "component",
    "on_failure",
    "require",
    "reject",
    "inject",
];

/// Keys that the bundled filter component reads.
const BUNDLED_KEYS: [&str; 3] = ["require", "reject", "inject"];

/// A cooldown outlives a restart, not a change of mind: one year.
const MAX_COOLDOWN_S: i64 = 366 * 24 * 3600;
/// As long as the journal, from which the counters are rebuilt.
const MAX_WINDOW_S: i64 = 30 * 24 * 3600;
const MAX_RATE: i64 = 100_000;
const MAX_CACHE_S: i64 = 30 * 24 * 3600;
const MAX_KEY_BYTES: usize = 256;

/// Reads the section; an absent one filters nothing.
pub(super) fn read(reading: &Reading<'_>, top: &Table<'_>, recipe: &str) -> FilterSpec {
    let Some(table) = top.table("filter") else {
        return FilterSpec::default();
    };
    table.only(&KEYS, &[]);
    FilterSpec {
        bypass: bypass(reading, &table),
        cooldown: cooldown(reading, &table, recipe),
        rate_limit: rate_limit(reading, &table),
        cache_ttl_s: table.integer("cache_ttl", 0..=MAX_CACHE_S).filter(|ttl| *ttl > 0),
        component: component(reading, &table),
    }
}

fn action(reading: &Reading<'_>, table: &Table<'_>, key: &str, default: &str) -> String {
    let by = format!("[filter] {key}");
    match table.text(key) {
        Some(text) => reading.mention(text.at, text.value, &by, reading.host_weight),
        None => {
            let by = format!("{by} (its default)");
            reading.mention(table.at(), default, &by, reading.host_weight)
        }
    }
}

fn bypass(reading: &Reading<'_>, table: &Table<'_>) -> Option<Bypass> {
    if table.flag("trust_bypass") == Some(true) {
        let usual = if reading.is_question() { "pass" } else { "wake" };
        return Some(Bypass { action: action(reading, table, "bypass_action", usual) });
    }
    unused(reading, table, "bypass_action", "trust_bypass = true");
    None
}

fn unused(reading: &Reading<'_>, table: &Table<'_>, key: &str, without: &str) {
    if table.has(key) {
        reading
            .sink
            .warn(table.at_key(key), format!("[filter] {key} has no effect without {without}"));
    }
}

fn cooldown(reading: &Reading<'_>, table: &Table<'_>, recipe: &str) -> Option<Cooldown> {
    for key in ["cooldown_key", "cooldown_seconds"].into_iter().filter(|key| table.has(key)) {
        if reading.is_question() {
            let what = format!("[filter] {key}: somebody waits for an answer to each question");
            let expected = "rate_limit_window and rate_limit_max, which block";
            reading.sink.error_expected(table.at_key(key), what, expected);
        }
    }
    if table.has("cooldown_key") && !table.has("cooldown_seconds") {
        table.missing("cooldown_seconds", "cooldown_seconds = 300, beside cooldown_key");
    }
    let seconds =
        table.integer("cooldown_seconds", 0..=MAX_COOLDOWN_S).filter(|seconds| *seconds > 0);
    let key = match table.text("cooldown_key") {
        Some(text) => {
            placeholders::check_cooldown_key(reading, text);
            if text.value.is_empty() || text.value.len() > MAX_KEY_BYTES {
                let what = format!("[filter] cooldown_key has {} bytes", text.value.len());
                reading.sink.error_expected(text.at, what, format!("1 to {MAX_KEY_BYTES}"));
            }
            text.value
        }
        // One cooldown for the whole recipe.
        None => recipe,
    };
    Some(Cooldown { key: key.to_owned(), seconds: seconds? })
}

fn rate_limit(reading: &Reading<'_>, table: &Table<'_>) -> Option<RateLimit> {
    match (table.has("rate_limit_window"), table.has("rate_limit_max")) {
        (true, false) => {
            table.missing("rate_limit_max", "rate_limit_max = 5, beside rate_limit_window");
        }
        (false, true) => {
            table.missing("rate_limit_window", "rate_limit_window = 60, beside rate_limit_max");
        }
        (false, false) => {
            unused(reading, table, "rate_limit_action", "rate_limit_window and rate_limit_max");
        }
        (true, true) => {}
    }
    let window_s: u64 = table.integer("rate_limit_window", 0..=MAX_WINDOW_S)?;
    let max: u32 = table.integer("rate_limit_max", 0..=MAX_RATE)?;
    // 0 has always meant: no limit.
    (window_s > 0 && max > 0).then(|| RateLimit {
        window_s,
        max,
        action: action(
            reading,
            table,
            "rate_limit_action",
            if reading.is_question() { "block" } else { "compile" },
        ),
    })
}

fn component(reading: &Reading<'_>, table: &Table<'_>) -> Option<StageSpec> {
    check_bundled_keys(reading, table);
    let on_failure = reading.on_failure(table);
    let bundled: Vec<&str> = BUNDLED_KEYS.into_iter().filter(|key| table.has(key)).collect();
    let component = if table.has("component") {
        let component = reading.component(table, ComponentSource::FILTER)?;
        if matches!(component, ComponentSource::File(_)) {
            for key in bundled {
                let what = format!(
                    "[filter] {key} is only handed to the component: the bundled filter does not run"
                );
                reading.sink.warn(table.at_key(key), what);
            }
        }
        component
    } else if bundled.is_empty() {
        unused(reading, table, "on_failure", "component, require, reject or inject");
        return None;
    } else {
        ComponentSource::Bundled(ComponentSource::FILTER.to_owned())
    };
    let config = reading.stage_config(table.at(), &reading.part(&["filter"]));
    Some(StageSpec { component, config, on_failure })
}

fn check_bundled_keys(reading: &Reading<'_>, table: &Table<'_>) {
    for key in ["require", "reject"] {
        for rule in table.tables(key) {
            rule.only(&["field", "pattern"], &[]);
            reading.check_rule(&rule, Stage::Filter);
        }
    }
    let Some(inject) = table.table("inject") else {
        return;
    };
    for name in inject.keys() {
        check_injected(reading, &inject, name);
    }
}

fn check_injected(reading: &Reading<'_>, inject: &Table<'_>, name: Placed<&str>) {
    let whose = format!("[filter.inject] {}", name.value);
    reading.name(name, "the name of an injected field");
    let Some(value) = inject.value(name.value) else {
        return;
    };
    if inject.text(name.value).is_some() {
        each_text(value, &mut |text| placeholders::check(reading, text, Stage::Filter, &whose));
    }
}
