//! `[evaluate]` of type `cascade`: `first`, the cheap question that may drop a
//! message, before the one that the other keys are about.

use super::reading::Reading;
use super::{CascadeSpec, FirstStep, Thresholds, llm_section, thresholds};
use crate::strict_toml::Table;
use crate::strict_toml::table::Hint;

const KEYS: [&str; 3] = ["prompt", "model", "threshold"];
const HINTS: [Hint<'static>; 2] = [
    (
        "kinds",
        "the first step drops or escalates; kinds of the second stand under [evaluate.kinds]",
    ),
    ("backend", "name a model: model = \"gemma3-270m\""),
];

/// Reads both steps; `None` when one has no prompt.
pub(super) fn read(reading: &Reading<'_>, table: &Table<'_>) -> Option<CascadeSpec> {
    if !table.has("first") {
        table.missing("first", "first = { prompt = \"triage-l1\" }");
    }
    let first = table.table("first").and_then(|first| first_step(reading, &first));
    let second = llm_section::read(reading, table);
    Some(CascadeSpec { first: first?, second: second? })
}

fn first_step(reading: &Reading<'_>, table: &Table<'_>) -> Option<FirstStep> {
    table.only(&KEYS, &HINTS);
    let prompt = llm_section::required_prompt(table);
    let model = llm_section::model(reading, table);
    let threshold = thresholds::read(table).unwrap_or(Thresholds::same(0.0));
    let prompt = prompt?;
    if let Some(kinds) = llm_section::known_prompt(reading, prompt)
        && !kinds.is_empty()
        && kinds.values().all(|action| action != FirstStep::DROP)
    {
        let what = format!(
            "no kind of prompt {:?} leads to \"drop\": the first step hands everything on",
            prompt.value
        );
        reading.sink.warn(prompt.at, what);
    }
    Some(FirstStep { prompt: prompt.value.to_owned(), model, threshold })
}
