//! Buffers as people and programs look at them from outside: what the database
//! holds, beside which recipes fill each and when it will be flushed. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::buffers::{FlushRules, flush_policy};
use crate::clock::TimestampMs;
use crate::ids::nearest;
use crate::recipes::ActionSpec;
use crate::recipes::registry::{Entry, Registry, State};
use crate::store::StoredBuffer;

/// One buffer, filled or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedBuffer {
    pub name: String,
    /// Collected, not flushed yet.
    pub items: u64,
    /// Of their texts.
    pub bytes: u64,
    /// Flushed, but briefing or wake are not through yet.
    pub flushing: u64,
    /// When the item that waits longest came.
    pub oldest: Option<TimestampMs>,
    /// When the clock flushes it; `None` while nothing waits.
    pub timer_at: Option<TimestampMs>,
    pub interval_s: u64,
    pub filled_by: Vec<Filler>,
}

/// A recipe that fills a buffer, and what it says about flushing it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filler {
    pub recipe: String,
    pub is_live: bool,
    /// So many items flush it at once; 0 for none.
    pub threshold: u32,
    /// A message with one of these words flushes it at once.
    pub keywords: Vec<String>,
}

/// What became of a wish to flush a buffer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flushed {
    pub buffer: String,
    /// Files of the artifacts folder, as they will be called.
    pub briefings: Vec<String>,
}

/// Every buffer that holds something or that a recipe fills, by name.
pub fn listing(
    stored: Vec<StoredBuffer>,
    registry: &Registry,
    rules: &FlushRules,
) -> Vec<ListedBuffer> {
    let mut fillers: BTreeMap<String, BTreeMap<String, Filler>> = BTreeMap::new();
    for entry in registry.entries() {
        for (buffer, filler) in declared(entry) {
            let known = fillers.entry(buffer).or_default().entry(filler.recipe.clone());
            let known = known.or_insert_with(|| Filler { keywords: Vec::new(), ..filler.clone() });
            known.threshold = lower(known.threshold, filler.threshold);
            known.keywords.extend(filler.keywords);
            known.keywords.sort_unstable();
            known.keywords.dedup();
        }
    }
    let mut buffers: BTreeMap<String, StoredBuffer> =
        stored.into_iter().map(|buffer| (buffer.name.clone(), buffer)).collect();
    for name in fillers.keys() {
        let empty = || StoredBuffer { name: name.clone(), ..StoredBuffer::default() };
        buffers.entry(name.clone()).or_insert_with(empty);
    }
    let listed = buffers.into_values().map(|buffer| {
        let mut filled_by = fillers.remove(&buffer.name).unwrap_or_default();
        for recipe in buffer.recipes {
            // A component says only when it runs what it asks for.
            let is_live = registry.live(&recipe).is_some();
            let found = Filler { recipe: recipe.clone(), is_live, ..Filler::default() };
            filled_by.entry(recipe).or_insert(found);
        }
        let interval = rules.interval_of(&buffer.name);
        ListedBuffer {
            items: buffer.items,
            bytes: buffer.bytes,
            flushing: buffer.flushing,
            oldest: buffer.oldest,
            timer_at: buffer
                .oldest
                .map(|oldest| flush_policy::timer_at(oldest, buffer.last_flush, interval)),
            interval_s: interval.as_secs(),
            filled_by: filled_by.into_values().collect(),
            name: buffer.name,
        }
    });
    listed.collect()
}

/// That there is no such buffer, with the name that may be meant.
pub fn no_such(name: &str, buffers: &[ListedBuffer]) -> String {
    let hint = nearest(name, buffers.iter().map(|buffer| buffer.name.as_str())).map_or_else(
        || ": see `thrall buffer list`".to_owned(),
        |near| format!(", did you mean {near:?}?"),
    );
    format!("no buffer is called {name:?}{hint}")
}

/// That there is nothing to flush.
pub fn nothing_waits(name: &str) -> String {
    format!("nothing waits in {name}")
}

/// The buffers that a recipe's file names, as often as it does.
fn declared(entry: &Entry) -> Vec<(String, Filler)> {
    let Some(revision) = entry.revision.as_deref() else { return Vec::new() };
    let plain = || Filler {
        recipe: entry.name.clone(),
        is_live: matches!(entry.state, State::Live(_)),
        ..Filler::default()
    };
    let actions = revision.recipe.actions.values();
    actions
        .filter(|action| action.runs_declared_steps())
        .flat_map(|action| {
            let errors = action.error_buffers.values().map(|buffer| (buffer.clone(), plain()));
            let steps = compiled(action).into_iter().map(|(buffer, threshold, keywords)| {
                (buffer, Filler { threshold, keywords, ..plain() })
            });
            errors.chain(steps).collect::<Vec<_>>()
        })
        .collect()
}

fn compiled(action: &ActionSpec) -> Vec<(String, u32, Vec<String>)> {
    let steps = action.declared_steps();
    let compiling =
        steps.iter().filter(|step| step.get("type").and_then(Value::as_str) == Some("compile"));
    compiling
        .map(|step| {
            let buffer = step.get("buffer").and_then(Value::as_str).unwrap_or("default");
            let threshold = step.get("summon_threshold").and_then(Value::as_u64).unwrap_or(0);
            let words = step.get("summon_keywords").and_then(Value::as_array);
            let keywords = words
                .into_iter()
                .flatten()
                .filter_map(|word| word.as_str().map(str::to_owned))
                .collect();
            (buffer.to_owned(), u32::try_from(threshold).unwrap_or(u32::MAX), keywords)
        })
        .collect()
}

/// The threshold that is reached first; 0 is none.
fn lower(one: u32, other: u32) -> u32 {
    match (one, other) {
        (0, other) => other,
        (one, 0) => one,
        (one, other) => one.min(other),
    }
}
