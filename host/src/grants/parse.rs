//! Reads `grants/NAME.toml`: strict, whole, every problem with its place. The
//! tables of keys below are all that there is: what is not in them is refused,
//! and a test flips each of them and sees what changes.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ANY, Budget, ContextScope, Follow, Grant, INTERFACES, JournalScope, Limits, MailBounds,
    Operations, Permissions, Reads, ReplyBody, ReplyBounds, ReplyTo, SHAREABLE, SkillBounds,
};
use crate::envelope::sender::{FULL_ID_LEN, is_node_id};
use crate::ids::{Digest, is_valid_name};
use crate::operation::MAX_OPERATION_BYTES;
use crate::recipes::Mode;
use crate::stage::StageLimits;
use crate::strict_toml::table::Hint;
use crate::strict_toml::{self, Placed, Problem, Sink, Table};

/// Every key by its table; the top level is the empty name. `skill.NAME` stands
/// for a table that the operator names.
const KEYS: [(&str, &[&str]); 22] = [
    (
        "",
        &[
            "recipe",
            "follow",
            "mode",
            "imports",
            "shared",
            "reads",
            "operations",
            "budget",
            "limits",
        ],
    ),
    ("reads", &["journal", "context", "flags", "breakers", "cockpit", "model", "gather"]),
    ("reads.journal", &["scope"]),
    ("reads.context", &["scope"]),
    ("reads.flags", &["prefixes"]),
    ("reads.breakers", &["targets"]),
    ("reads.cockpit", &["routes"]),
    ("reads.model", &["prompts", "models"]),
    ("reads.gather", &["files"]),
    (
        "operations",
        &[
            "compile",
            "wake",
            "reply",
            "mail",
            "skill",
            "set-context",
            "set-flag",
            "trip-breaker",
            "trigger",
            "answer",
        ],
    ),
    ("operations.compile", &["buffers"]),
    ("operations.wake", &["per_hour"]),
    ("operations.reply", &["to", "body", "per_hour"]),
    ("operations.mail", &["nodes", "per_hour"]),
    ("operations.skill.NAME", &["input", "max_input_bytes"]),
    ("operations.set-context", &["scope"]),
    ("operations.set-flag", &["prefixes"]),
    ("operations.trip-breaker", &["targets"]),
    ("operations.trigger", &["kinds"]),
    ("operations.answer", &["codes"]),
    ("budget", &["model_calls_per_day", "model_tokens_per_run", "host_calls_per_run"]),
    ("limits", &["memory_mib", "fuel"]),
];

/// Words of earlier recipes, and what this file does not say.
const OPERATION_HINTS: [Hint<'static>; 5] = [
    ("summon", "the operation is called wake"),
    ("act", "the operation is called skill"),
    ("log", "it needs no grant"),
    ("drop", "it needs no grant"),
    ("extension", "this version knows no extension, so none can be granted"),
];
const TOP_HINTS: [Hint<'static>; 2] =
    [("import", "the key is imports"), ("operation", "the table is [operations]")];

const MAX_ENTRIES: usize = 256;
const MAX_ENTRY_BYTES: usize = 1024;
const MAX_PER_HOUR: i64 = 100_000;
const MAX_COUNT: i64 = 100_000_000;
const MAX_FUEL: i64 = 500_000_000;
const MIN_FUEL: i64 = 1_000_000;
const CODES: [&str; 3] = ["pass", "redact", "block"];

/// Every key as a dotted path, those of tables left out. For the test that
/// wants each of them enforced.
pub fn keys() -> Vec<String> {
    let is_table = |path: &str| {
        KEYS.iter().any(|(table, _)| *table == path || table.starts_with(&format!("{path}.")))
    };
    KEYS.iter()
        .flat_map(|(table, keys)| {
            keys.iter().map(move |key| {
                if table.is_empty() { (*key).to_owned() } else { format!("{table}.{key}") }
            })
        })
        .filter(|path| !is_table(path))
        .collect()
}

/// The keys of an operation's table under `[operations]`; `None` where there is
/// no such table.
pub fn operation_keys(operation: &str) -> Option<Vec<&'static str>> {
    let table = format!("operations.{operation}");
    let named = format!("{table}.NAME");
    let found = KEYS.iter().find(|(name, _)| *name == table || *name == named);
    found.map(|(_, keys)| keys.to_vec())
}

fn keys_of(table: &str) -> &'static [&'static str] {
    KEYS.iter().find(|(name, _)| *name == table).map_or(&[], |(_, keys)| keys)
}

/// The name under which problems of a grant file are reported.
pub fn file_name(recipe: &str) -> String {
    format!("grants/{recipe}.toml")
}

/// Reads `grants/RECIPE.toml` as it lies on disk.
///
/// # Errors
/// Every problem of the file, in its order.
pub fn parse_bytes(recipe: &str, bytes: &[u8]) -> Result<Grant, Vec<Problem>> {
    let text = strict_toml::text_of(&file_name(recipe), bytes).map_err(|problem| vec![problem])?;
    parse(recipe, text)
}

/// Reads a grant.
///
/// # Errors
/// Every problem of the file, in its order.
pub fn parse(recipe: &str, text: &str) -> Result<Grant, Vec<Problem>> {
    let file = file_name(recipe);
    let sink = Sink::new(&file, text);
    let grant = strict_toml::parse(&sink).map(|root| read(recipe, &Table::top(&sink, &root)));
    let (errors, _) = sink.into_parts();
    match grant {
        Some(grant) if errors.is_empty() => Ok(grant),
        _ => Err(errors),
    }
}

fn read(recipe: &str, top: &Table<'_>) -> Grant {
    top.only(keys_of(""), &TOP_HINTS);
    let mode = top.word("mode", &Mode::WORDS).and_then(Mode::from_word).unwrap_or(Mode::Manual);
    let follow = top.word("follow", &Follow::WORDS).map(|word| match word {
        "exact" => Follow::Exact,
        _ => Follow::SameOrNarrower,
    });
    let permissions = Permissions {
        imports: known_words(top, "imports", &INTERFACES),
        shared: known_words(top, "shared", &SHAREABLE),
        reads: section(top, "reads").map(|table| reads(&table)).unwrap_or_default(),
        operations: top.table("operations").map(|table| operations(&table)).unwrap_or_default(),
        budget: section(top, "budget").map(|table| budget(&table)).unwrap_or_default(),
        limits: section(top, "limits").map(|table| limits(&table)).unwrap_or_default(),
    };
    Grant::new(recipe, binding(top), follow, mode, permissions)
}

fn binding(top: &Table<'_>) -> Option<Digest> {
    let text = top.text("recipe")?;
    let digest = text.value.strip_prefix("sha256:").and_then(Digest::parse);
    if digest.is_none() {
        let what = format!("recipe is {:?}", text.value);
        top.sink().error_expected(
            text.at,
            what,
            "\"sha256:\" and 64 hex characters, as `thrall grant allow` writes it",
        );
    }
    digest
}

/// A table under another, with its unknown keys reported.
fn section<'a>(parent: &Table<'a>, key: &str) -> Option<Table<'a>> {
    let table = parent.table(key)?;
    table.only(keys_of(path_of(&table)), &[]);
    Some(table)
}

/// `[reads.journal]` as `reads.journal`.
fn path_of<'t>(table: &'t Table<'_>) -> &'t str {
    table.name().trim_matches(['[', ']'])
}

fn reads(table: &Table<'_>) -> Reads {
    Reads {
        journal: scope(table, "journal", &JournalScope::WORDS, &JournalScope::ALL),
        context: scope(table, "context", &ContextScope::WORDS, &ContextScope::ALL),
        flags: section(table, "flags").map(|flags| entries(&flags, "prefixes", "\"oom:\"")),
        breakers: bounds(table, "breakers", "targets", "\"node\""),
        cockpit: bounds(table, "cockpit", "routes", "\"status\""),
        prompts: bounds(table, "model", "prompts", "\"triage\""),
        models: bounds(table, "model", "models", "\"gemma3-1b\""),
        gather: files(table),
    }
}

fn scope<T: Copy + Default>(table: &Table<'_>, key: &str, words: &[&'static str], all: &[T]) -> T {
    section(table, key)
        .and_then(|inner| required_word(&inner, "scope", words, all))
        .unwrap_or_default()
}

fn required_word<T: Copy>(
    table: &Table<'_>,
    key: &str,
    words: &[&'static str],
    all: &[T],
) -> Option<T> {
    if !table.has(key) {
        table.missing(key, format!("{key} = one of {}", words.join(", ")));
        return None;
    }
    let word = table.word(key, words)?;
    let index = words.iter().position(|known| *known == word)?;
    all.get(index).copied()
}

fn bounds(table: &Table<'_>, key: &str, inner: &str, example: &str) -> BTreeSet<String> {
    section(table, key).map(|found| entries(&found, inner, example)).unwrap_or_default()
}

fn files(table: &Table<'_>) -> BTreeSet<String> {
    let Some(gather) = section(table, "gather") else { return BTreeSet::new() };
    for file in gather.texts("files").unwrap_or_default() {
        let parts_are_plain =
            file.value.split('/').skip(1).all(|part| !matches!(part, "" | "." | ".."));
        if !file.value.starts_with('/') || !parts_are_plain {
            let what = format!("[reads.gather] files holds {:?}", file.value);
            gather.sink().error_expected(
                file.at,
                what,
                "whole paths, such as \"/var/log/node/serve.log\", without . and ..",
            );
        }
    }
    entries(&gather, "files", "\"/var/log/node/serve.log\"")
}

fn operations(table: &Table<'_>) -> Operations {
    table.only(keys_of("operations"), &OPERATION_HINTS);
    let named = |kind: &str, key: &str, example: &str| {
        section(table, kind).map(|inner| entries(&inner, key, example))
    };
    Operations {
        compile: named("compile", "buffers", "\"mail-digest\""),
        wake: section(table, "wake").and_then(|wake| per_hour(&wake)),
        reply: section(table, "reply").and_then(|reply| {
            let to = required_word(&reply, "to", &ReplyTo::WORDS, &ReplyTo::ALL);
            let body = required_word(&reply, "body", &ReplyBody::WORDS, &ReplyBody::ALL);
            let per_hour = per_hour(&reply);
            Some(ReplyBounds { to: to?, body: body?, per_hour: per_hour? })
        }),
        mail: section(table, "mail").and_then(|mail| {
            let (nodes, per_hour) = (nodes(&mail), per_hour(&mail));
            Some(MailBounds { nodes, per_hour: per_hour? })
        }),
        skill: skills(table),
        set_context: section(table, "set-context").and_then(|inner| {
            required_word(&inner, "scope", &ContextScope::WORDS, &ContextScope::ALL)
        }),
        set_flag: named("set-flag", "prefixes", "\"oom:\""),
        trip_breaker: named("trip-breaker", "targets", "\"skill\""),
        trigger: named("trigger", "kinds", "\"follow-up\""),
        answer: section(table, "answer").map(|inner| known_words(&inner, "codes", &CODES)),
    }
}

fn per_hour(table: &Table<'_>) -> Option<u32> {
    if !table.has("per_hour") {
        table.missing("per_hour", "per_hour = 6");
    }
    table.integer("per_hour", 0..=MAX_PER_HOUR)
}

fn nodes(table: &Table<'_>) -> BTreeSet<String> {
    for node in table.texts("nodes").unwrap_or_default() {
        let is_whole = node.value.len() == FULL_ID_LEN && is_node_id(node.value);
        if !is_whole || node.value.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let what = format!("{} nodes holds {:?}", table.name(), node.value);
            table.sink().error_expected(
                node.at,
                what,
                format!("whole node ids, {FULL_ID_LEN} hex characters in lower case"),
            );
        }
    }
    entries(table, "nodes", "\"d9196be6...\"")
}

fn skills(table: &Table<'_>) -> BTreeMap<String, SkillBounds> {
    let mut skills = BTreeMap::new();
    for (name, skill) in table.sections("skill") {
        skill.only(keys_of("operations.skill.NAME"), &[]);
        if name.value.is_empty() || name.value.len() > MAX_ENTRY_BYTES || name.value == ANY {
            table.sink().error(name.at, "a skill is granted by its name, \"*\" is none");
        }
        let mut input = BTreeMap::new();
        if let Some(members) = skill.table("input") {
            for member in members.keys() {
                let values = entries(&members, member.value, "\"poll\"");
                input.insert(member.value.to_owned(), values);
            }
        }
        if !skill.has("max_input_bytes") {
            skill.missing("max_input_bytes", "max_input_bytes = 4000");
        }
        let most = i64::try_from(MAX_OPERATION_BYTES).unwrap_or(i64::MAX);
        let max_input_bytes = skill.integer("max_input_bytes", 2..=most).unwrap_or(2);
        skills.insert(name.value.to_owned(), SkillBounds { input, max_input_bytes });
    }
    skills
}

fn budget(table: &Table<'_>) -> Budget {
    let usual = Budget::default();
    let number = |key: &str, most: i64, usual: u32| table.integer(key, 0..=most).unwrap_or(usual);
    Budget {
        model_calls_per_day: number("model_calls_per_day", MAX_COUNT, usual.model_calls_per_day),
        model_tokens_per_run: number("model_tokens_per_run", MAX_COUNT, usual.model_tokens_per_run),
        host_calls_per_run: number(
            "host_calls_per_run",
            i64::from(StageLimits::MAX_HOST_CALLS),
            usual.host_calls_per_run,
        ),
    }
}

fn limits(table: &Table<'_>) -> Limits {
    let most_mib = i64::try_from(StageLimits::MAX_MEMORY_BYTES >> 20).unwrap_or(1);
    Limits {
        memory_mib: table
            .integer("memory_mib", 1..=most_mib)
            .unwrap_or(Limits::default().memory_mib),
        fuel: table.integer("fuel", MIN_FUEL..=MAX_FUEL),
    }
}

/// A list of names that has to be there; an empty one grants nothing.
fn entries(table: &Table<'_>, key: &str, example: &str) -> BTreeSet<String> {
    if !table.has(key) {
        table.missing(key, format!("{key} = [{example}]"));
    }
    let words = table.texts(key).unwrap_or_default();
    if words.len() > MAX_ENTRIES {
        let what = format!("{} {key} has {} entries", table.name(), words.len());
        table.sink().error_expected(table.at_key(key), what, format!("at most {MAX_ENTRIES}"));
    }
    words
        .into_iter()
        .filter(|word| is_entry(table, key, *word))
        .map(|word| word.value.to_owned())
        .collect()
}

fn is_entry(table: &Table<'_>, key: &str, word: Placed<&str>) -> bool {
    // An empty prefix is the beginning of every key, and says so.
    let may_be_empty = key == "prefixes";
    let is_name_of_ours = !matches!(key, "buffers" | "kinds") || is_valid_name(word.value);
    if (!word.value.is_empty() || may_be_empty)
        && word.value.len() <= MAX_ENTRY_BYTES
        && is_name_of_ours
    {
        return true;
    }
    let what = format!("{} {key} holds {:?}", table.name(), word.value);
    let expected = if is_name_of_ours {
        format!("1 to {MAX_ENTRY_BYTES} bytes")
    } else {
        "a name in a-z, 0-9, - and _".to_owned()
    };
    table.sink().error_expected(word.at, what, expected);
    false
}

/// A list of words of which all are known.
fn known_words(table: &Table<'_>, key: &str, valid: &[&str]) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for word in table.texts(key).unwrap_or_default() {
        // `log` may stand among imports, where tools list it; it needs no grant.
        if valid.contains(&word.value) {
            words.insert(word.value.to_owned());
        } else if word.value != "log" || key != "imports" {
            let what = format!("{key} holds {:?}", word.value);
            table.sink().wrong_word(word.at, what, word.value, valid.iter().copied());
        }
    }
    words
}
