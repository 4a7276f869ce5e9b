//! Whether an action or a sender that was looked for can be in the journal at
//! all: nothing found may also mean that it was mistyped.

use std::collections::BTreeSet;

use super::recipe_names;
use crate::envelope::sender::{FULL_ID_LEN, MIN_PREFIX_LEN, is_node_id};
use crate::home::Home;
use crate::ids::nearest;
use crate::plain_file;
use crate::recipes::reference;
use crate::store::Reader;
use crate::strict_toml::MAX_FILE_BYTES;

/// Names that the host gives to rows beside those of actions.
const HOST_ACTIONS: [&str; 14] = [
    "pass",
    "block",
    "skip",
    "summon",
    "compile+summon",
    "manual_skip",
    "superseded",
    "rate_limited",
    "skip_invalid",
    "unclassified",
    "quarantined",
    "breaker_blocked",
    "loop_blocked",
    "knock_alert",
];

/// Why no row can have this action, if so.
///
/// # Errors
/// When the database or `recipes/` cannot be read.
pub(super) fn unknown_action(
    home: &Home,
    reader: &Reader,
    action: Option<&str>,
) -> anyhow::Result<Option<String>> {
    let Some(action) = action else { return Ok(None) };
    let mut known: BTreeSet<String> = HOST_ACTIONS.into_iter().map(str::to_owned).collect();
    known.extend(reference::actions().into_iter().map(|one| one.kind.to_owned()));
    known.extend(reader.action_names()?);
    for recipe in recipe_names::in_folder(home)? {
        known.extend(declared_actions(home, &recipe));
    }
    if known.contains(action) {
        return Ok(None);
    }
    let hint = nearest(action, known.iter().map(String::as_str))
        .map_or_else(String::new, |near| format!(", did you mean {near:?}?"));
    Ok(Some(format!("no recipe has an action {action:?}, and no row{hint}")))
}

/// Names under `[actions]` of a recipe as it lies there; none if it is broken.
fn declared_actions(home: &Home, recipe: &str) -> BTreeSet<String> {
    let text = home.dir(&home.recipes()).ok().and_then(|folder| {
        plain_file::read(&folder, &format!("{recipe}.toml"), MAX_FILE_BYTES).ok()
    });
    let text = text.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let parsed: toml::Table = toml::from_str(&text).unwrap_or_default();
    let actions = parsed.get("actions").and_then(toml::Value::as_table);
    actions.into_iter().flat_map(|table| table.keys().cloned()).collect()
}

/// Why no row can have this sender, if so.
///
/// # Errors
/// When the database cannot be read.
pub(super) fn unknown_sender(
    reader: &Reader,
    sender: Option<&str>,
) -> anyhow::Result<Option<String>> {
    let Some(sender) = sender else { return Ok(None) };
    let is_whole = sender.len() == FULL_ID_LEN || sender.len() == MIN_PREFIX_LEN;
    if is_whole && is_node_id(sender) || reader.sender_like(sender)?.as_deref() == Some(sender) {
        return Ok(None);
    }
    let hint = reader
        .sender_like(sender)?
        .map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
    Ok(Some(format!(
        "{sender:?} is no sender: a node id of {FULL_ID_LEN} hex characters, or its first {MIN_PREFIX_LEN}{hint}"
    )))
}
