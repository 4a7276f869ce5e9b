//! What a reading of the folders changed, a line for each recipe. Pure.

use crate::recipes::registry::{Entry, Registry, State};

/// What is different in `new`.
pub fn between(old: &Registry, new: &Registry) -> Vec<String> {
    let find = |registry: &Registry, name: &str| {
        registry.entries().find(|entry| entry.name == name).map(told)
    };
    let mut lines: Vec<String> = new
        .entries()
        .filter_map(|entry| {
            let (was, is) = (find(old, &entry.name), told(entry));
            match was {
                None => Some(format!("recipe {} is new: {is}", entry.name)),
                Some(was) if was != is => Some(format!("recipe {}: {is} (was {was})", entry.name)),
                Some(_) => None,
            }
        })
        .collect();
    lines.extend(
        old.entries()
            .filter(|entry| find(new, &entry.name).is_none())
            .map(|entry| format!("recipe {} is gone", entry.name)),
    );
    lines
}

/// State, mode, revision, and what waits beside it.
fn told(entry: &Entry) -> String {
    let mode = match &entry.state {
        State::Live(mode) => format!(" ({})", mode.as_str()),
        _ => String::new(),
    };
    let revision =
        entry.revision.as_ref().map_or_else(|| "none".to_owned(), |one| one.digest.short());
    let waiting = entry.waiting.as_ref().map(|waiting| {
        format!(", revision {} is {}: {}", waiting.revision.short(), waiting.state, waiting.reason)
    });
    let broken = if entry.rejected.is_empty() { "" } else { ", the file is broken" };
    format!(
        "{}{mode}, revision {revision}{}{broken}",
        entry.state.word(),
        waiting.unwrap_or_default()
    )
}
