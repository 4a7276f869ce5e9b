//! The kinds of actions that the bundled component runs: which keys each kind
//! has, and what each key may hold. One table, so that the list is in one
//! place; `wit/worlds.wit`, interface `operations`, is its counterpart.

use toml::Spanned;
use toml::de::DeValue;

use super::placeholders::{self, Stage};
use super::reading::Reading;
use crate::breakers::Target;
use crate::envelope::{QUESTIONS, sender};
use crate::operation;
use crate::strict_toml::table::{Hint, each_text};
use crate::strict_toml::{Placed, Table};

/// A kind of action.
pub(super) struct Kind {
    pub(super) word: &'static str,
    pub(super) keys: &'static [&'static str],
    pub(super) required: &'static [(&'static str, &'static str)],
}

pub(super) const KINDS: [Kind; 12] = [
    Kind { word: "log", keys: &["message"], required: &[] },
    Kind { word: "drop", keys: &["reason"], required: &[] },
    Kind {
        word: "compile",
        keys: &["buffer", "note", "summon_threshold", "summon_keywords"],
        required: &[],
    },
    Kind { word: "wake", keys: &["mode", "capability", "priority"], required: &[] },
    Kind {
        word: "reply",
        keys: &["template"],
        required: &[("template", "template = \"Message received.\"")],
    },
    Kind {
        word: "act",
        keys: &["skill", "input", "error_buffer", "continue_as"],
        required: &[("skill", "skill = \"knarr-mail\"")],
    },
    // Without to_node it goes to the sender.
    Kind { word: "mail", keys: &["to_node", "body", "template", "session"], required: &[] },
    Kind {
        word: "set-context",
        keys: &["key", "value", "session", "expires_in_s"],
        required: &[("key", "key = \"NAME\"")],
    },
    Kind {
        word: "set-flag",
        keys: &["key", "value", "expires_in_s"],
        required: &[("key", "key = \"NAME\"")],
    },
    Kind {
        word: "trip-breaker",
        keys: &["target", "reason", "expires_in_s"],
        required: &[("target", "target = \"skill:NAME\"")],
    },
    Kind {
        word: "trigger",
        keys: &["trigger", "fields"],
        required: &[("trigger", "trigger = \"NAME\"")],
    },
    // With a template where it redacts: what goes out instead.
    Kind {
        word: "answer",
        keys: &["code", "template", "reason"],
        required: &[("code", "code = \"block\"")],
    },
];

/// Other words for some kinds, in earlier recipes and in people's heads.
pub(super) const SYNONYMS: [(&str, &str); 3] =
    [("summon", "wake"), ("skill", "act"), ("mail-peer", "mail")];

/// A list of the above.
pub(super) const STEPS: &str = "steps";
/// The largest plan that is looked at.
const MAX_STEPS: usize = crate::operation::MAX_OPERATIONS;

const MAX_TEXT_BYTES: usize = 8 * 1024;
const MAX_KEYWORDS: usize = 64;
const MAX_KEYWORD_BYTES: usize = 64;
const MAX_THRESHOLD: i64 = 100_000;
const MAX_EXPIRY_S: i64 = 366 * 24 * 3600;

/// Every word that `type` may have.
pub(super) fn words() -> Vec<&'static str> {
    KINDS.iter().map(|kind| kind.word).chain([STEPS]).collect()
}

/// The kind that a word means, whether as `type` or as an action's name;
/// `set_flag` is `set-flag`.
pub(super) fn from_word(word: &str) -> Option<&'static str> {
    let hyphened = word.replace('_', "-");
    let word = SYNONYMS
        .iter()
        .find(|(other, _)| *other == hyphened)
        .map_or(hyphened.as_str(), |(_, word)| word);
    KINDS.iter().find(|kind| kind.word == word).map(|kind| kind.word)
}

/// Every key of any kind, for actions that an own component runs.
pub(super) fn all_keys() -> Vec<&'static str> {
    let mut keys: Vec<&str> =
        KINDS.iter().flat_map(|kind| kind.keys).copied().chain([STEPS]).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Checks the keys of an action or a step of a kind; `more` are keys that may
/// stand beside them.
pub(super) fn check(reading: &Reading<'_>, table: &Table<'_>, word: &str, more: &[&str]) {
    if word == STEPS {
        check_steps(reading, table, more);
        return;
    }
    let Some(kind) = KINDS.iter().find(|kind| kind.word == word) else {
        return;
    };
    let known: Vec<&str> = kind.keys.iter().chain(more).copied().collect();
    only(table, &known, word);
    for (key, example) in kind.required.iter().filter(|(key, _)| !table.has(key)) {
        table.missing(key, example);
    }
    if word == "mail" && !table.has("body") && !table.has("template") {
        table.missing("body", "body = \"...\" or a table, or template = \"...\"");
    }
    for key in kind.keys.iter().filter(|key| table.has(key)) {
        check_key(reading, table, key);
    }
    if word == "answer" {
        check_answer(reading, table);
    }
}

fn check_answer(reading: &Reading<'_>, table: &Table<'_>) {
    if !reading.is_question() {
        let what = format!("{} answers, and nobody asks", table.name());
        reading.sink.error_expected(
            table.at(),
            what,
            format!("[trigger] type = \"{}\"", QUESTIONS.join("\" or \"")),
        );
    }
    match (table.word("code", &operation::ANSWER_CODES), table.has("template")) {
        (Some("redact"), false) => {
            table.missing("template", "template = \"what goes out instead\"");
        }
        (Some(code), true) if code != "redact" => {
            let what = format!("{} template has no place beside code = {code:?}", table.name());
            reading.sink.error(table.at_key("template"), what);
        }
        _ => {}
    }
}

fn only(table: &Table<'_>, known: &[&str], word: &str) {
    let sentences: Vec<(&str, String)> = KINDS
        .iter()
        .flat_map(|kind| kind.keys.iter().map(move |key| (*key, kind.word)))
        .map(|(key, owner)| {
            (key, format!("it belongs to actions of type = \"{owner}\", this one is \"{word}\""))
        })
        .collect();
    let mut hints: Vec<Hint<'_>> =
        sentences.iter().map(|(key, sentence)| (*key, sentence.as_str())).collect();
    // The earlier thrall's recipes had it, and nothing read it there.
    hints.push(("timeout", "leave it out: how long a skill may take is the host's to say"));
    table.only(known, &hints);
}

fn check_steps(reading: &Reading<'_>, table: &Table<'_>, more: &[&str]) {
    let known: Vec<&str> = more.iter().copied().chain([STEPS]).collect();
    only(table, &known, STEPS);
    let steps = table.tables(STEPS);
    if steps.is_empty() || steps.len() > MAX_STEPS {
        let what = format!("{} has {} steps", table.name(), steps.len());
        reading.sink.error_expected(table.at_key(STEPS), what, format!("1 to {MAX_STEPS}"));
        return;
    }
    for step in steps {
        if step.has("type") {
            if let Some(word) = type_of(&step, false) {
                check(reading, &step, word, &["type"]);
            }
        } else if step.has("skill") {
            check(reading, &step, "act", &[]);
        } else {
            step.missing("type", format!("one of {}", words().join(", ")));
        }
    }
}

/// The declared type. Steps hold no steps of their own.
pub(super) fn type_of(table: &Table<'_>, may_be_steps: bool) -> Option<&'static str> {
    let text = table.text("type")?;
    let found = from_word(text.value).or((may_be_steps && text.value == STEPS).then_some(STEPS));
    if found.is_none() {
        let words = words().into_iter().filter(|word| may_be_steps || *word != STEPS);
        let what = format!("{} type is {:?}", table.name(), text.value);
        table.sink().wrong_word(text.at, what, text.value, words);
    }
    found
}

fn check_key(reading: &Reading<'_>, table: &Table<'_>, key: &str) {
    let whose = format!("{} {key}", table.name());
    match key {
        "summon_threshold" => drop(table.integer::<u32>(key, 0..=MAX_THRESHOLD)),
        "expires_in_s" => drop(table.integer::<u64>(key, 1..=MAX_EXPIRY_S)),
        "priority" => drop(table.integer::<u8>(key, 0..=255)),
        "mode" => drop(table.word(key, &["respond", "process"])),
        // Looked at as a whole.
        "code" => {}
        "summon_keywords" => keywords(reading, table, key, &whose),
        "input" => each_value(reading, table, key, &whose, false),
        "body" if matches!(table.value(key).map(Spanned::get_ref), Some(DeValue::Table(_))) => {
            each_value(reading, table, key, &whose, false);
        }
        "fields" => each_value(reading, table, key, &whose, true),
        _ => {
            let Some(text) = table.text(key) else { return };
            match key {
                "message" | "reason" | "note" | "template" | "body" | "value" | "key"
                | "session" => {
                    template(reading, text, &whose);
                }
                _ => fixed(reading, text, key, &whose),
            }
        }
    }
}

fn template(reading: &Reading<'_>, text: Placed<&str>, whose: &str) {
    if text.value.len() > MAX_TEXT_BYTES {
        let what = format!("{whose} has {} bytes", text.value.len());
        reading.sink.error_expected(text.at, what, format!("at most {MAX_TEXT_BYTES}"));
    }
    placeholders::check(reading, text, Stage::Action, whose);
}

/// A breaker's target, common or the recipe's own.
fn check_target(reading: &Reading<'_>, text: Placed<&str>, whose: &str) {
    if let Err(error) = Target::parse(text.value)
        && Target::own("own", text.value).is_err()
    {
        reading.sink.error(text.at, format!("{whose}: {error}"));
    }
}

/// A text that chooses something: a file, a skill, a recipient.
fn fixed(reading: &Reading<'_>, text: Placed<&str>, key: &str, whose: &str) {
    placeholders::refuse_placeholders(reading, text, whose);
    if text.value.contains("{{") {
        return;
    }
    match key {
        "buffer" | "error_buffer" | "trigger" => drop(reading.name(text, whose)),
        "target" => check_target(reading, text, whose),
        "continue_as" => reading.mention_continuation(text.at, text.value, whose),
        "to_node" => {
            if text.value.len() != sender::FULL_ID_LEN || !sender::is_node_id(text.value) {
                let what = format!("{whose} is {:?}", text.value);
                reading.sink.error_expected(text.at, what, "a node id of 64 hex characters");
            }
        }
        _ => {
            let fits =
                |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '+');
            let is_word = (1..=128).contains(&text.value.len()) && text.value.chars().all(fits);
            if !is_word || text.value.contains("..") {
                let what = format!("{whose} is {:?}", text.value);
                reading.sink.error_expected(
                    text.at,
                    what,
                    "1 to 128 letters, digits, -, _, ., : and +",
                );
            }
        }
    }
}

fn keywords(reading: &Reading<'_>, table: &Table<'_>, key: &str, whose: &str) {
    let words = table.texts(key).unwrap_or_default();
    if words.len() > MAX_KEYWORDS {
        let what = format!("{whose} has {} entries", words.len());
        reading.sink.error_expected(table.at_key(key), what, format!("at most {MAX_KEYWORDS}"));
    }
    for word in words {
        if word.value.trim().is_empty() || word.value.len() > MAX_KEYWORD_BYTES {
            let what = format!("{whose} holds {:?}", word.value);
            reading.sink.error_expected(
                word.at,
                what,
                format!("words of 1 to {MAX_KEYWORD_BYTES} bytes"),
            );
        }
    }
}

/// A table of values whose texts are templates; with `only_texts`, the fields
/// of an event.
fn each_value(reading: &Reading<'_>, table: &Table<'_>, key: &str, whose: &str, only_texts: bool) {
    let Some(values) = table.table(key) else { return };
    for name in values.keys() {
        if only_texts && values.text(name.value).is_none() {
            continue;
        }
        if only_texts && operation::is_host_set(name.value) {
            let what = format!("{whose} holds {:?}, which only the host sets", name.value);
            reading.sink.error(name.at, what);
        }
        if let Some(value) = values.value(name.value) {
            each_text(value, &mut |text| template(reading, text, whose));
        }
    }
}
