//! `[actions.NAME]`: what a verdict leads to.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::reading::{Reading, canonical_action};
use super::{ActionSpec, ComponentSource, OnFailure, StageSpec, action_kinds, placeholders};
use crate::envelope::QUESTIONS;
use crate::strict_toml::table::Hint;
use crate::strict_toml::{Placed, Table};

/// Keys that every action may have.
pub(super) const COMMON_KEYS: [&str; 5] =
    ["type", "component", "on_failure", "task", "wake_on_failure"];
const MAX_ACTIONS: usize = 64;
const MAX_TASK_BYTES: usize = 4 * 1024;

/// Actions that exist without being declared.
pub(super) const IMPLICIT: [&str; 2] = ["log", "drop"];
/// The same where somebody waits for an answer.
pub(super) const IMPLICIT_ANSWERS: [&str; 2] = ["pass", "block"];

/// The actions that a recipe has, in order, by its canonical text alone: what a
/// journaled run of it could have decided. None where that is no recipe's text.
pub fn action_words(canonical_text: &str) -> Option<Vec<String>> {
    let recipe: Value = serde_json::from_str(canonical_text).ok()?;
    let trigger = recipe.get("trigger")?.get("type")?.as_str()?;
    let declared = recipe.get("actions").and_then(Value::as_object);
    let answers = QUESTIONS.contains(&trigger).then_some(IMPLICIT_ANSWERS);
    let words: BTreeSet<&str> = declared
        .into_iter()
        .flat_map(|actions| actions.keys().map(|word| canonical_action(word)))
        .chain(IMPLICIT)
        .chain(answers.into_iter().flatten())
        .collect();
    Some(words.into_iter().map(str::to_owned).collect())
}

pub(super) fn read(reading: &Reading<'_>, top: &Table<'_>) -> BTreeMap<String, ActionSpec> {
    let sections = top.sections("actions");
    if sections.len() > MAX_ACTIONS {
        let what = format!("{} actions", sections.len());
        reading.sink.error_expected(top.at_key("actions"), what, format!("at most {MAX_ACTIONS}"));
    }
    let mut actions: BTreeMap<String, ActionSpec> = BTreeMap::new();
    for (written, table) in sections {
        let name = Placed { value: canonical_action(written.value), at: written.at };
        if reading.name(name, "the name of an action").is_none() {
            continue;
        }
        if actions.contains_key(name.value) {
            reading.sink.error(
                name.at,
                "[actions.summon] and [actions.wake] are the same action: keep one",
            );
        }
        let Some(stage) = stage(reading, &table, written.value, name.value) else {
            continue;
        };
        let task = task(reading, &table);
        let spec = ActionSpec {
            name: name.value.to_owned(),
            error_buffers: super::error_buffers(&stage),
            stage,
            task,
            wake_on_failure: table.flag("wake_on_failure").unwrap_or(false),
            is_declared: true,
        };
        actions.insert(name.value.to_owned(), spec);
    }
    for name in IMPLICIT {
        let log = json!({"name": name, "type": name});
        actions.entry(name.to_owned()).or_insert_with(|| implicit(reading, top, name, &log));
    }
    for code in IMPLICIT_ANSWERS.into_iter().filter(|_| reading.is_question()) {
        let answer = json!({"name": code, "type": "answer", "code": code});
        actions.entry(code.to_owned()).or_insert_with(|| implicit(reading, top, code, &answer));
    }
    actions
}

fn implicit(reading: &Reading<'_>, top: &Table<'_>, name: &str, stage: &Value) -> ActionSpec {
    let stage = StageSpec {
        component: ComponentSource::Bundled(ComponentSource::STEPS.to_owned()),
        config: reading.stage_config(top.at(), stage),
        on_failure: OnFailure::Pass,
    };
    ActionSpec {
        name: name.to_owned(),
        stage,
        task: None,
        wake_on_failure: false,
        error_buffers: BTreeMap::new(),
        is_declared: false,
    }
}

fn stage(reading: &Reading<'_>, table: &Table<'_>, written: &str, name: &str) -> Option<StageSpec> {
    let mut json = reading.part(&["actions", written]);
    let component = match reading.component(table, ComponentSource::STEPS) {
        Some(own @ ComponentSource::File(_)) => {
            let known: Vec<&str> =
                action_kinds::all_keys().into_iter().chain(COMMON_KEYS).collect();
            let hint = "a component's own settings stand under [config]";
            let hints: Vec<Hint<'_>> = table
                .keys()
                .filter(|key| !known.contains(&key.value))
                .map(|key| (key.value, hint))
                .collect();
            table.only(&known, &hints);
            own
        }
        Some(bundled) => {
            declared(reading, table, name, &mut json)?;
            bundled
        }
        None if table.has("component") => return None,
        None => {
            declared(reading, table, name, &mut json)?;
            ComponentSource::Bundled(ComponentSource::STEPS.to_owned())
        }
    };
    set(&mut json, "name", name);
    let on_failure = reading.on_failure(table);
    if matches!(&on_failure, OnFailure::Action(other) if other == name) {
        let what = format!("{} on_failure names the action itself", table.name());
        reading.sink.error_expected(
            table.at_key("on_failure"),
            what,
            "pass, block or another action",
        );
    }
    Some(StageSpec { component, config: reading.stage_config(table.at(), &json), on_failure })
}

/// Checks an action that the bundled component runs, and writes its kind out.
fn declared(reading: &Reading<'_>, table: &Table<'_>, name: &str, json: &mut Value) -> Option<()> {
    let kind = if table.has("type") {
        action_kinds::type_of(table, true)?
    } else if table.has(action_kinds::STEPS) {
        action_kinds::STEPS
    } else if let Some(kind) = action_kinds::from_word(name) {
        kind
    } else if table.has("skill") {
        "act"
    } else {
        let expected = format!(
            "type = one of {}; skill = \"NAME\", steps = [...] or component = \"NAME.wasm\"",
            action_kinds::words().join(", ")
        );
        reading.sink.error_expected(
            table.at(),
            format!("{} does not say what it does", table.name()),
            expected,
        );
        return None;
    };
    action_kinds::check(reading, table, kind, &COMMON_KEYS);
    set(json, "type", kind);
    if let Some(Value::Array(steps)) = json.get_mut(action_kinds::STEPS) {
        for step in steps {
            let word = step.get("type").and_then(Value::as_str).and_then(action_kinds::from_word);
            set(step, "type", word.unwrap_or("act"));
        }
    }
    Some(())
}

fn set(table: &mut Value, key: &str, value: &str) {
    if let Value::Object(members) = table {
        members.insert(key.to_owned(), json!(value));
    }
}

fn task(reading: &Reading<'_>, table: &Table<'_>) -> Option<String> {
    let text = table.text("task")?;
    let whose = format!("{} task", table.name());
    placeholders::refuse_placeholders(reading, text, &whose);
    if text.value.trim().is_empty() || text.value.len() > MAX_TASK_BYTES {
        let what = format!("{whose} has {} bytes", text.value.len());
        reading.sink.error_expected(text.at, what, format!("1 to {MAX_TASK_BYTES}"));
    }
    Some(text.value.to_owned())
}
