//! The event that a dry run is given: what the file holds, or the answer of a
//! skill to it; and whether the recipe would ever see it.

use anyhow::Context as _;

use crate::clock::TimestampMs;
use crate::envelope::{Envelope, json, result_event};
use crate::ids::nearest;
use crate::recipes::registry::Revision;
use crate::recipes::{ActionSpec, Recipe, TriggerSpec, matching};

/// An action that goes on, and what the skill answered, as JSON.
pub(super) struct Continued {
    pub(super) action: String,
    pub(super) output: String,
}

/// The event of a file.
///
/// # Errors
/// When it is no event.
pub(super) fn of_file(bytes: &[u8], now: TimestampMs) -> anyhow::Result<Envelope> {
    let draft = json::parse(bytes)?;
    Ok(Envelope {
        id: draft.id.unwrap_or_else(|| "rehearsed".to_owned()),
        trigger: draft.trigger,
        source: "rehearsal".to_owned(),
        parent: None,
        depth: 0,
        received_at: now,
        root: None,
        lineage: Vec::new(),
        fields: draft.fields,
    })
}

/// Why the recipe would not see the event, if so. A component alone, without a
/// recipe, takes any.
pub(super) fn not_for(revision: &Revision, event: &Envelope) -> Option<String> {
    let kinds = TriggerSpec::KINDS;
    if !kinds.contains(&event.trigger.as_str()) {
        let near = nearest(&event.trigger, kinds).map_or_else(
            || format!("one of {}", kinds.join(", ")),
            |near| format!("did you mean {near:?}?"),
        );
        return Some(format!("{:?} is no trigger: {near}", event.trigger));
    }
    let why = matching::mismatch(&revision.recipe.trigger, event)?;
    Some(format!("not this recipe's event: {why}"))
}

/// The event that goes on with an answer; the inner error says why there is none.
///
/// # Errors
/// When the answer is no JSON.
pub(super) fn continued(
    recipe: &Recipe,
    asked: &Envelope,
    continued: &Continued,
    now: TimestampMs,
) -> anyhow::Result<Result<Envelope, String>> {
    let Continued { action, output } = continued;
    serde_json::from_str::<serde::de::IgnoredAny>(output).context("the answer is no JSON")?;
    let asking = continuations(recipe);
    let Some((_, skill)) = asking.iter().find(|(name, _)| name == action) else {
        let name = &recipe.name;
        let near = nearest(action, asking.iter().map(|(name, _)| name.as_str()))
            .map_or_else(String::new, |near| format!(", did you mean {near:?}?"));
        return Ok(Err(format!("no step of {name} has continue_as = {action:?}{near}")));
    };
    let answered = result_event::Answered { skill, continue_as: action, status: "ok", output };
    let id = format!("{}-answer", asked.id);
    Ok(Ok(result_event::event(asked, 0, &recipe.name, &id, &answered, now)))
}

/// Actions that go on with an answer, each with the skill that is asked.
fn continuations(recipe: &Recipe) -> Vec<(String, String)> {
    let text = |step: &serde_json::Value, key: &str| Some(step.get(key)?.as_str()?.to_owned());
    recipe
        .actions
        .values()
        .flat_map(ActionSpec::declared_steps)
        .filter_map(|step| Some((text(&step, "continue_as")?, text(&step, "skill")?)))
        .collect()
}
