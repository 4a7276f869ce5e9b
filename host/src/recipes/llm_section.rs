//! `[evaluate]` of type `llm`: prompt, model, and what follows from each kind
//! of message.

use std::collections::BTreeSet;

use super::LlmSpec;
use super::reading::{Known, Reading, Weight};
use crate::strict_toml::{Placed, Table};

const MAX_KINDS: usize = 64;
const MAX_KIND_BYTES: usize = 64;

/// Reads the keys; `None` when there is no prompt.
pub(super) fn read(reading: &Reading<'_>, table: &Table<'_>) -> Option<LlmSpec> {
    if !table.has("prompt") {
        table.missing("prompt", "prompt = \"triage\"");
    }
    let prompt = table.text("prompt");
    let model = table.text("model");
    if let Some(model) = model {
        check_model(reading, model);
    }
    let own: Vec<(Placed<&str>, String)> =
        table.table("kinds").map(|kinds| read_kinds(reading, &kinds)).unwrap_or_default();
    let prompt = prompt?;
    match reading.known.prompts.get(prompt.value) {
        Some(kinds) => {
            for (kind, _) in
                own.iter().filter(|(kind, _)| !kinds.is_empty() && !kinds.contains_key(kind.value))
            {
                let what = format!(
                    "[evaluate.kinds] prompt {:?} knows no kind {:?}",
                    prompt.value, kind.value
                );
                reading.sink.doubtful_word(
                    kind.at,
                    what,
                    kind.value,
                    kinds.keys().map(String::as_str),
                );
            }
            for (kind, action) in
                kinds.iter().filter(|(kind, _)| own.iter().all(|(other, _)| other.value != *kind))
            {
                let by = format!("prompt {:?} for {kind:?}", prompt.value);
                reading.mention(prompt.at, action, &by, Weight::Warning);
            }
        }
        None => {
            let what = format!("[evaluate] prompt {:?} does not exist", prompt.value);
            reading.sink.wrong_word(
                prompt.at,
                what,
                prompt.value,
                reading.known.prompts.keys().map(String::as_str),
            );
        }
    }
    Some(LlmSpec {
        prompt: prompt.value.to_owned(),
        model: model.map(|model| model.value.to_owned()),
        kinds: own.into_iter().map(|(kind, action)| (kind.value.to_owned(), action)).collect(),
    })
}

fn check_model(reading: &Reading<'_>, model: Placed<&str>) {
    let Known { models_on_disk, models_known, model_aliases, .. } = reading.known;
    let name = model_aliases.get(model.value).map_or(model.value, String::as_str);
    if models_on_disk.contains(name) {
        return;
    }
    if models_known.contains(name) {
        let what = format!(
            "model {name:?} is not on disk: the fallback decides until `thrall model pull {name}`, or until [models] alias in thrall.toml points it elsewhere"
        );
        reading.sink.warn(model.at, what);
        return;
    }
    let what = format!("[evaluate] nobody knows a model {:?}", model.value);
    let valid = models_known.iter().chain(models_on_disk).chain(model_aliases.keys());
    let valid: BTreeSet<&str> = valid.map(String::as_str).collect();
    reading.sink.wrong_word(model.at, what, model.value, valid);
}

fn read_kinds<'t>(reading: &Reading<'_>, table: &Table<'t>) -> Vec<(Placed<&'t str>, String)> {
    let mut kinds = Vec::new();
    for kind in table.keys() {
        if kind.value.trim().is_empty()
            || kind.value.len() > MAX_KIND_BYTES
            || kind.value.contains(char::is_control)
        {
            let what = format!("[evaluate.kinds] {:?} is no name of a kind", kind.value);
            reading.sink.error_expected(
                kind.at,
                what,
                format!("1 to {MAX_KIND_BYTES} bytes on one line"),
            );
        }
        if let Some(action) = table.text(kind.value) {
            let by = format!("[evaluate.kinds] {}", kind.value);
            kinds.push((kind, reading.mention(action.at, action.value, &by, Weight::Warning)));
        }
    }
    if kinds.len() > MAX_KINDS {
        let what = format!("[evaluate.kinds] has {} kinds", kinds.len());
        reading.sink.error_expected(table.at(), what, format!("at most {MAX_KINDS}"));
    }
    kinds
}
