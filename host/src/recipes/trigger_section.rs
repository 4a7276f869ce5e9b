//! `[trigger]`: which events a recipe sees.

use regex::Regex;

use super::reading::Reading;
use super::{FieldPattern, LogTrigger, TriggerSpec, plain_path};
use crate::envelope::{QUESTIONS, json, log_line};
use crate::operation;
use crate::strict_toml::Table;
use crate::strict_toml::table::Hint;

/// Keys that stand with every type.
const COMMON_KEYS: [&str; 3] = ["type", "match_field", "match_pattern"];
/// Keys that belong to certain types.
const KEYS_OF_TYPES: [(&str, &[&str]); 7] = [
    ("msg_types", &["on_mail"]),
    ("event_pattern", &["on_event", "on_action"]),
    ("interval_s", &["on_tick"]),
    ("deadline_ms", &QUESTIONS),
    ("path", &["on_log"]),
    ("pattern", &["on_log"]),
    ("subscribe", &["on_bus"]),
];
const HINTS: [Hint<'static>; 3] = [
    ("cooldown_seconds", "it belongs under [filter]"),
    ("field", "under [trigger] it is match_field, with match_pattern"),
    ("file", "the file of an on_log trigger is its path"),
];

const MAX_INTERVAL_S: i64 = 366 * 24 * 3600;
/// Who asks does not wait for ever: a node gives its hooks about five seconds.
const MAX_DEADLINE_MS: i64 = 5000;
/// Event names that have nothing in common. Whoever takes them all takes
/// everything.
const UNLIKE_NAMES: [&str; 4] = ["credit.change", "task-failed", "PEER_JOINED", "zzzzzzzzzz"];

const MAX_MSG_TYPES: usize = 64;
const MAX_GLOB_BYTES: usize = 256;

/// The keys that a type has beside the common ones.
pub(super) fn keys_of(kind: &str) -> Vec<&'static str> {
    let owned = KEYS_OF_TYPES.iter().filter(|(_, kinds)| kinds.contains(&kind));
    owned.map(|(key, _)| *key).collect()
}

/// Reads the section; `None` when something in it is wrong.
pub(super) fn read(reading: &Reading<'_>, top: &Table<'_>) -> Option<TriggerSpec> {
    let Some(table) = top.table("trigger") else {
        if !top.has("trigger") {
            top.missing("[trigger]", "[trigger] with type = \"on_mail\"");
        }
        return None;
    };
    let known: Vec<&str> =
        COMMON_KEYS.into_iter().chain(KEYS_OF_TYPES.iter().map(|(key, _)| *key)).collect();
    table.only(&known, &HINTS);
    if !table.has("type") {
        table.missing("type", "type = \"on_mail\"");
    }
    let kind = table.word("type", &TriggerSpec::KINDS);
    let msg_types = msg_types(reading, &table, kind);
    let event_pattern = event_pattern(reading, &table, kind);
    let field_match = field_match(reading, &table);
    let log = log(reading, &table, kind);
    let subscribe = subscribe(reading, &table, kind);
    only_with(reading, &table, "interval_s", kind);
    only_with(reading, &table, "deadline_ms", kind);
    Some(TriggerSpec {
        interval_s: table.integer("interval_s", 1..=MAX_INTERVAL_S),
        deadline_ms: table.integer("deadline_ms", 50..=MAX_DEADLINE_MS),
        kind: kind?.to_owned(),
        msg_types,
        event_pattern,
        field_match,
        log,
        subscribe,
    })
}

/// Reports a key that belongs to other types than this one.
fn only_with(reading: &Reading<'_>, table: &Table<'_>, key: &str, kind: Option<&str>) {
    let wanted = KEYS_OF_TYPES.iter().find(|(own, _)| *own == key).map_or(&[][..], |(_, of)| *of);
    if table.has(key) && kind.is_some_and(|kind| !wanted.contains(&kind)) {
        let types: Vec<String> = wanted.iter().map(|kind| format!("\"{kind}\"")).collect();
        let what = format!("[trigger] {key} belongs to type = {}", types.join(" or "));
        reading.sink.error(table.at_key(key), what);
    }
}

fn msg_types(reading: &Reading<'_>, table: &Table<'_>, kind: Option<&str>) -> Vec<String> {
    only_with(reading, table, "msg_types", kind);
    let types = table.texts("msg_types").unwrap_or_default();
    if types.len() > MAX_MSG_TYPES {
        let what = format!("[trigger] msg_types has {} entries", types.len());
        reading.sink.error_expected(
            table.at_key("msg_types"),
            what,
            format!("at most {MAX_MSG_TYPES}"),
        );
    }
    for empty in types.iter().filter(|one| one.value.trim().is_empty()) {
        reading.sink.error(
            empty.at,
            "[trigger] msg_types holds an empty type: no mail has one (it becomes \"text\")",
        );
    }
    types.iter().map(|one| one.value.to_owned()).collect()
}

fn event_pattern(reading: &Reading<'_>, table: &Table<'_>, kind: Option<&str>) -> Option<String> {
    only_with(reading, table, "event_pattern", kind);
    let glob = table.text("event_pattern")?;
    if glob.value.len() > MAX_GLOB_BYTES {
        let what = format!("[trigger] event_pattern has {} bytes", glob.value.len());
        reading.sink.error_expected(glob.at, what, format!("at most {MAX_GLOB_BYTES}"));
    }
    // As the earlier thrall had it: an empty pattern means every event.
    (!glob.value.is_empty()).then(|| glob.value.to_owned())
}

fn field_match(reading: &Reading<'_>, table: &Table<'_>) -> Option<FieldPattern> {
    match (table.has("match_field"), table.has("match_pattern")) {
        (false, false) => return None,
        (true, false) => table.missing("match_pattern", "a regular expression for match_field"),
        (false, true) => table.missing("match_field", "the field that match_pattern looks at"),
        (true, true) => {}
    }
    let field = table.text("match_field");
    if let Some(field) = field {
        reading.check_field(field.at, field.value, "[trigger] match_field");
    }
    let pattern = table.has("match_pattern").then(|| reading.pattern(table, "match_pattern"))?;
    Some(FieldPattern { field: field?.value.to_owned(), pattern: pattern? })
}

/// The file and the lines of an on_log trigger; `None` for other types, and
/// after an error.
fn log(reading: &Reading<'_>, table: &Table<'_>, kind: Option<&str>) -> Option<LogTrigger> {
    for key in ["path", "pattern"] {
        only_with(reading, table, key, kind);
    }
    if kind != Some("on_log") {
        return None;
    }
    if !table.has("path") {
        table.missing("path", "path = \"/var/log/node/serve.log\"");
    }
    let path = table.text("path");
    let path = path.and_then(|path| plain_path::check(reading, path, "[trigger] path"));
    let pattern = match table.has("pattern") {
        true => Some(reading.pattern(table, "pattern")?),
        false => None,
    };
    if let Some(pattern) = &pattern {
        check_groups(reading, table, pattern);
    }
    Some(LogTrigger { path: path?, pattern })
}

/// Groups become fields, so they are few, and take no other field's name.
fn check_groups(reading: &Reading<'_>, table: &Table<'_>, pattern: &Regex) {
    let at = table.at_key("pattern");
    let groups = pattern.captures_len().saturating_sub(1);
    if groups > LogTrigger::MAX_GROUPS {
        let what = format!("[trigger] pattern has {groups} groups");
        let expected = format!("at most {}; (?:...) groups without one", LogTrigger::MAX_GROUPS);
        reading.sink.error_expected(at, what, expected);
    }
    for name in pattern.capture_names().flatten() {
        let is_taken = log_line::FIELDS.contains(&name)
            || name.starts_with("group_")
            || operation::is_host_set(name)
            || !json::is_plain_name(name);
        if is_taken {
            let what = format!("[trigger] pattern has a group called {name:?}");
            reading.sink.error_expected(
                at,
                what,
                "a name that no other field has, of letters, digits and _",
            );
        }
    }
}

/// Which events of the bus a recipe sees. A bus is loud, so nobody gets all of
/// it by leaving something out.
fn subscribe(reading: &Reading<'_>, table: &Table<'_>, kind: Option<&str>) -> Option<Regex> {
    only_with(reading, table, "subscribe", kind);
    if kind != Some("on_bus") {
        return None;
    }
    if !table.has("subscribe") {
        table.missing("subscribe", "subscribe = '^credit\\.', a regular expression on event names");
        return None;
    }
    let pattern = match table.text("subscribe") {
        // The same mistake as `.*`, with the same answer.
        Some(text) if text.value.is_empty() => Regex::new("").ok(),
        _ => reading.pattern(table, "subscribe"),
    }?;
    if pattern.is_match("") || UNLIKE_NAMES.iter().all(|name| pattern.is_match(name)) {
        let what = format!(
            "[trigger] subscribe {:?} takes every event: it matches the empty name, or names as \
             unlike as {}",
            pattern.as_str(),
            UNLIKE_NAMES.join(", ")
        );
        reading.sink.error_expected(
            table.at_key("subscribe"),
            what,
            "the names that are meant, such as '^credit\\.' or 'failed$'",
        );
    }
    Some(pattern)
}
