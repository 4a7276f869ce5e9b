//! `[model]` and `[models]`: how the embedded model runs, and other names for
//! models.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ModelConfig;
use super::file::section;
use crate::strict_toml::{Placed, Table};

const DEFAULT_MODEL: &str = "gemma3-270m";
const DEFAULT_QUEUE_TIMEOUT_S: f64 = 5.0;
const DEFAULT_TIMEOUT_S: f64 = 30.0;
const DEFAULT_CONTEXT_TOKENS: u32 = 2048;
const MAX_NAME_BYTES: usize = 128;

pub(super) fn model(top: &Table<'_>) -> ModelConfig {
    let defaults = ModelConfig {
        default: DEFAULT_MODEL.to_owned(),
        queue_timeout: Duration::from_secs_f64(DEFAULT_QUEUE_TIMEOUT_S),
        timeout: Duration::from_secs_f64(DEFAULT_TIMEOUT_S),
        context_tokens: DEFAULT_CONTEXT_TOKENS,
        threads: machine_threads(),
        threshold: 0.0,
        silence_threshold: 0.5,
    };
    let Some(table) = section(top, "model") else {
        return defaults;
    };
    let seconds = |key: &str| table.number(key, 0.0..=3600.0).map(Duration::from_secs_f64);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "between 0 and 1, where f32 is exact enough"
    )]
    let threshold = table.number("threshold", 0.0..=1.0).map(|threshold| threshold as f32);
    let silence_threshold =
        table.number("silence_threshold", 0.0..=1.0).map(|threshold| threshold as f32);
    ModelConfig {
        default: table
            .text("default")
            .and_then(|name| model_name(&table, name))
            .unwrap_or(defaults.default),
        queue_timeout: seconds("queue_timeout_s").unwrap_or(defaults.queue_timeout),
        timeout: seconds("timeout_s").unwrap_or(defaults.timeout),
        context_tokens: table.integer("n_ctx", 256..=131_072).unwrap_or(defaults.context_tokens),
        threads: threads(&table).unwrap_or(defaults.threads),
        threshold: threshold.unwrap_or(defaults.threshold),
        silence_threshold: silence_threshold.unwrap_or(defaults.silence_threshold),
    }
}

fn machine_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// `"auto"`, or a number.
fn threads(table: &Table<'_>) -> Option<usize> {
    let is_auto =
        table.value("threads").is_some_and(|value| value.get_ref().as_str() == Some("auto"));
    if is_auto {
        return None;
    }
    let is_text = table.value("threads").is_some_and(|value| value.get_ref().is_str());
    if is_text {
        table.sink().error_expected(
            table.at_key("threads"),
            "[model] threads is a string",
            "\"auto\" or a whole number",
        );
        return None;
    }
    table.integer("threads", 1..=1024)
}

/// A name from the catalogue. Whether it is there is the model's part to say.
fn model_name(table: &Table<'_>, name: Placed<&str>) -> Option<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    if !name.value.is_empty() && name.value.len() <= MAX_NAME_BYTES && name.value.chars().all(fits)
    {
        return Some(name.value.to_owned());
    }
    let what = format!("{} holds {:?}", table.name(), name.value);
    table.sink().error_expected(name.at, what, "a model's name from `thrall model list`");
    None
}

pub(super) fn aliases(top: &Table<'_>) -> BTreeMap<String, String> {
    let Some(table) = section(top, "models").and_then(|models| models.table("alias")) else {
        return BTreeMap::new();
    };
    let mut aliases = BTreeMap::new();
    for alias in table.keys() {
        let target = table.text(alias.value).and_then(|target| model_name(&table, target));
        if let (Some(alias), Some(target)) = (model_name(&table, alias), target) {
            aliases.insert(alias, target);
        }
    }
    // One step only: an alias of an alias would be looked up no further.
    for (alias, target) in &aliases {
        if aliases.contains_key(target) {
            let what =
                format!("[models.alias] {alias} points to {target:?}, which is an alias itself");
            top.sink().error_expected(table.at_key(alias), what, "a model's own name");
        }
    }
    aliases
}
