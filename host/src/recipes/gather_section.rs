//! `gather`: what the host fetches for a recipe between the filter and the
//! evaluators. A list of facts by name, tables `[[gather]]`, or both. Paths,
//! routes and keys are literals: nothing that a sender wrote gets into them.

use serde_json::Value;

use super::gather_catalog::{self, Meaning};
use super::gathering::{COCKPIT_ROUTES, GatherSource, GatherSpec, JournalAsk, JournalWhat, Take};
use super::plain_path;
use super::reading::{Reading, canonical_action};
use crate::stage::{HostRequest, JournalQuery};
use crate::strict_toml::table::{Hint, Item};
use crate::strict_toml::{Placed, Table};

/// Each source with the keys that it has besides `name` and `source`.
const SOURCES: [(&str, &[&str]); 9] = [
    ("status", &["pointer", "max_bytes"]),
    ("peers", &["pointer", "max_bytes"]),
    ("economy", &["pointer", "max_bytes"]),
    ("cockpit", &["route", "pointer", "max_bytes"]),
    ("journal", &["what", "recipe", "action", "since", "limit", "max_bytes"]),
    ("context", &["key"]),
    ("flag", &["key"]),
    ("static", &["value"]),
    ("file", &["path", "max_bytes"]),
];

/// Sources of the earlier thrall that are none here.
const OLD_SOURCES: [Hint<'static>; 4] = [
    ("memory", "there is no memory beside the journal: source = \"journal\" reads that"),
    ("punchhole", "another plugin's data is not read; a file is, with source = \"file\""),
    ("receipts", "the node's own list is source = \"cockpit\", route = \"settlements\""),
    ("knowledge", "knowledge packs are not in this version of thrall"),
];

/// Keys of the earlier thrall.
const OLD_KEYS: [Hint<'static>; 5] = [
    ("endpoint", "name one of the fixed routes: route = \"status\""),
    ("filter", "peers have no such state; pointer = \"/...\" takes a part of the answer"),
    ("fields", "pointer = \"/...\" takes a part of the answer"),
    ("query", "what is asked of the journal stands beside source"),
    ("threshold", "rules in [evaluate] compare what was gathered"),
];

const MAX_ENTRIES: usize = 32;
const MAX_POINTER_BYTES: usize = 256;
const DEFAULT_SINCE_S: u64 = 24 * 3600;
const EXPECTED: &str = "names of facts, such as \"peer_count\", or tables, each written [[gather]]";

/// Reads the entries, in their order.
pub(super) fn read(reading: &Reading<'_>, top: &Table<'_>) -> Vec<GatherSpec> {
    let items = top.items("gather", EXPECTED);
    if items.len() > MAX_ENTRIES {
        let what = format!("{} [[gather]] entries", items.len());
        let expected = format!("at most {MAX_ENTRIES}");
        reading.sink.error_expected(top.at_key("gather"), what, expected);
        return Vec::new();
    }
    let mut specs: Vec<GatherSpec> = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        match item {
            Item::Text(word) => named(reading, word, &mut specs),
            Item::Table(table) => {
                if let Some((spec, at_name)) = entry(reading, &table, index) {
                    add(reading, &table, at_name, spec, &mut specs);
                }
            }
        }
    }
    gather_catalog::share_journal(&mut specs);
    specs
}

/// Facts by name. Named twice, directly or by a pattern, is gathered once.
fn named(reading: &Reading<'_>, word: Placed<&str>, specs: &mut Vec<GatherSpec>) {
    match gather_catalog::meaning(word.value) {
        Meaning::Facts(facts, left_out) => {
            for (name, why) in left_out {
                reading.sink.warn(word.at, format!("gather leaves {name} out: {why}"));
            }
            for fact in facts {
                match specs.iter().find(|earlier| earlier.name == fact.name) {
                    Some(earlier) if *earlier == fact => {}
                    Some(_) => two_of_a_name(reading, word.at, &fact.name),
                    None => specs.push(fact),
                }
            }
        }
        Meaning::Never(why) => {
            reading.sink.error(word.at, format!("gather {:?} cannot be had: {why}", word.value));
        }
        Meaning::Unknown => {
            let what = format!("gather knows no fact {:?}", word.value);
            reading.sink.wrong_word(word.at, what, word.value, gather_catalog::words());
        }
    }
}

fn two_of_a_name(reading: &Reading<'_>, at: usize, name: &str) {
    reading.sink.error(at, format!("two [[gather]] entries are called {name:?}"));
}

fn add(
    reading: &Reading<'_>,
    table: &Table<'_>,
    at_name: usize,
    spec: GatherSpec,
    specs: &mut Vec<GatherSpec>,
) {
    if specs.iter().any(|earlier| earlier.name == spec.name) {
        two_of_a_name(reading, at_name, &spec.name);
    }
    let is_same = |earlier: &GatherSpec| earlier.source == spec.source && earlier.take == spec.take;
    if specs.iter().any(is_same) && !matches!(spec.source, GatherSource::Static(_)) {
        let what = format!("[[gather]] reads {} twice: name it once", spec.source);
        reading.sink.error(table.at(), what);
    }
    specs.push(spec);
}

/// An entry with the place of its name; `None` only after an error.
fn entry(reading: &Reading<'_>, table: &Table<'_>, index: usize) -> Option<(GatherSpec, usize)> {
    if !table.has("name") {
        table.missing("name", "name = \"NAME\", then {{gather.NAME}} is its content");
    }
    if !table.has("source") {
        table.missing("source", "source = \"file\"");
    }
    let word = source_word(reading, table);
    check_keys(table, word);
    let name = table.text("name");
    let checked_name = name.and_then(|name| reading.name(name, "[[gather]] name"));
    let (source, take) = match word? {
        "cockpit" => (cockpit(table)?, pointer(reading, table)?),
        "journal" => (journal(reading, table)?, Take::Whole),
        "context" => (GatherSource::Context(key(reading, table)?), Take::Whole),
        "flag" => (GatherSource::Flag(key(reading, table)?), Take::Whole),
        "static" => (literal(reading, table, index)?, Take::Whole),
        "file" => (file(reading, table)?, Take::Whole),
        route => (GatherSource::Cockpit(route.to_owned()), pointer(reading, table)?),
    };
    let max_bytes = match table.has("max_bytes") {
        true => table.integer("max_bytes", 1..=i64::from(GatherSpec::MAX_BYTES)),
        false => Some(GatherSpec::MAX_BYTES),
    };
    let spec = GatherSpec { name: checked_name?, source, take, max_bytes: max_bytes? };
    Some((spec, name?.at))
}

fn source_word(reading: &Reading<'_>, table: &Table<'_>) -> Option<&'static str> {
    let text = table.text("source")?;
    let found = SOURCES.iter().find(|(source, _)| *source == text.value);
    if found.is_none() {
        let what = format!("[[gather]] source {:?} is not in this version of thrall", text.value);
        match OLD_SOURCES.iter().find(|(source, _)| *source == text.value) {
            Some((_, why)) => reading.sink.error(text.at, format!("{what}: {why}")),
            None => {
                reading.sink.wrong_word(text.at, what, text.value, SOURCES.map(|(word, _)| word));
            }
        }
    }
    found.map(|(source, _)| *source)
}

/// Keys of another source are said to be that; where the source is not known,
/// all of them may stand.
fn check_keys(table: &Table<'_>, source: Option<&str>) {
    let takes = |of: &str, key: &str| {
        SOURCES.iter().any(|(source, keys)| *source == of && keys.contains(&key))
    };
    let mut known = vec!["name", "source"];
    let mut others: Vec<(&str, String)> = Vec::new();
    for (other, keys) in &SOURCES {
        for key in *keys {
            if source.is_none_or(|source| takes(source, key)) {
                known.push(key);
            } else {
                others.push((key, format!("it belongs to source = \"{other}\"")));
            }
        }
    }
    known.dedup();
    let others = others.iter().map(|(key, sentence)| (*key, sentence.as_str()));
    let hints: Vec<Hint<'_>> = OLD_KEYS.into_iter().chain(others).collect();
    table.only(&known, &hints);
}

fn cockpit(table: &Table<'_>) -> Option<GatherSource> {
    if !table.has("route") {
        table.missing("route", format!("route = one of {}", COCKPIT_ROUTES.join(", ")));
    }
    table.word("route", &COCKPIT_ROUTES).map(|route| GatherSource::Cockpit(route.to_owned()))
}

fn pointer(reading: &Reading<'_>, table: &Table<'_>) -> Option<Take> {
    if !table.has("pointer") {
        return Some(Take::Whole);
    }
    let text = table.text("pointer")?;
    let path = text.value;
    if path.starts_with('/')
        && path.len() <= MAX_POINTER_BYTES
        && !path.chars().any(char::is_control)
        && !path.contains("{{")
    {
        return Some(Take::Pointer(path.to_owned()));
    }
    let what = format!("[[gather]] pointer is {:?}", shown(path));
    let expected = format!(
        "a JSON pointer such as \"/limits/min_peers\", at most {MAX_POINTER_BYTES} bytes; without one the whole answer is taken"
    );
    reading.sink.error_expected(text.at, what, expected);
    None
}

fn journal(reading: &Reading<'_>, table: &Table<'_>) -> Option<GatherSource> {
    if !table.has("what") {
        table.missing("what", "what = \"count\" or what = \"recent\"");
    }
    let what = table.word("what", &JournalWhat::WORDS).map(|word| match word {
        "count" => JournalWhat::Count,
        _ => JournalWhat::Recent,
    });
    // A key that is there and wrong was reported; one that is absent is none.
    let name = |key: &str| match table.text(key) {
        Some(text) => reading.name(text, &format!("[[gather]] {key}")).map(Some),
        None if table.has(key) => None,
        None => Some(None),
    };
    let recipe = name("recipe");
    let action = name("action")
        .map(|action| action.map(|action: String| canonical_action(&action).to_owned()));
    let since_s = since(reading, table);
    let limit = match table.has("limit") {
        true => table.integer("limit", 1..=i64::from(JournalQuery::MAX_LIMIT)),
        false => Some(JournalQuery::MAX_LIMIT),
    };
    Some(GatherSource::Journal(JournalAsk {
        recipe: recipe?,
        action: action?,
        since_s: since_s?,
        limit: limit?,
        what: what?,
    }))
}

/// `24h`: a whole number of seconds, minutes, hours or days.
fn since(reading: &Reading<'_>, table: &Table<'_>) -> Option<u64> {
    if !table.has("since") {
        return Some(DEFAULT_SINCE_S);
    }
    let text = table.text("since")?;
    let seconds = seconds(text.value)
        .filter(|seconds| (1..=JournalQuery::MAX_AGE.as_secs()).contains(seconds));
    if seconds.is_none() {
        let what = format!("[[gather]] since is {:?}", shown(text.value));
        reading.sink.error_expected(
            text.at,
            what,
            "a time such as \"90s\", \"15m\", \"24h\" or \"7d\", at most \"30d\"",
        );
    }
    seconds
}

fn seconds(text: &str) -> Option<u64> {
    let (unit, seconds) = [('s', 1), ('m', 60), ('h', 3600), ('d', 24 * 3600)]
        .into_iter()
        .find(|(unit, _)| text.ends_with(*unit))?;
    let number = text.strip_suffix(unit)?;
    let is_plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse::<u64>().ok().filter(|_| is_plain)?.checked_mul(seconds)
}

fn key(reading: &Reading<'_>, table: &Table<'_>) -> Option<String> {
    if !table.has("key") {
        table.missing("key", "key = \"KEY\"");
    }
    let text = table.text("key")?;
    let is_key = (1..=HostRequest::MAX_NAME_BYTES).contains(&text.value.len());
    // Neither could be granted by its name.
    if is_key && text.value != "*" && !text.value.contains("{{") {
        return Some(text.value.to_owned());
    }
    let what = format!("[[gather]] key is {:?}", shown(text.value));
    let expected =
        format!("the name of one key, 1 to {} bytes, no placeholder", HostRequest::MAX_NAME_BYTES);
    reading.sink.error_expected(text.at, what, expected);
    None
}

/// Text as it is, anything else as JSON.
fn literal(reading: &Reading<'_>, table: &Table<'_>, index: usize) -> Option<GatherSource> {
    if !table.has("value") {
        table.missing("value", "value = \"TEXT\"");
        return None;
    }
    let text = match reading.item("gather", index).get("value")? {
        Value::String(text) => text.clone(),
        other => super::canonical::text(other),
    };
    if text.contains("{{") {
        let what = "[[gather]] value holds a placeholder: it is taken as it stands";
        reading.sink.warn(table.at_key("value"), what);
    }
    Some(GatherSource::Static(text))
}

fn file(reading: &Reading<'_>, table: &Table<'_>) -> Option<GatherSource> {
    if !table.has("path") {
        table.missing("path", "path = \"/var/log/node/serve.log\"");
    }
    plain_path::check(reading, table.text("path")?, "[[gather]] path").map(GatherSource::File)
}

fn shown(text: &str) -> String {
    text.chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times_are_whole_numbers_with_a_unit() {
        for (text, expected) in
            [("90s", Some(90)), ("15m", Some(900)), ("24h", Some(86_400)), ("7d", Some(604_800))]
        {
            assert_eq!(seconds(text), expected, "{text}");
        }
        for wrong in
            ["", "h", "24", "1.5h", "+3h", "-3h", "24 h", "24H", "3w", "ü", "99999999999999999999d"]
        {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
