//! The steps of a recipe's `[actions.NAME]` table, for people who write no
//! code. What kind of step it is says `type`, or else the action's name:
//!
//! ```toml
//! [actions.compile]                  # kind by name
//! buffer = "mail-digest"
//! summon_threshold = 10
//!
//! [actions.apologise]                # several, in order
//! steps = [
//!   { type = "reply", template = "We are looking into it." },
//!   { type = "set_context", key = "apologised", value = "yes", expires_in_s = 3600 },
//! ]
//! ```
//!
//! Each step becomes one operation of the plan; the host checks it against the
//! grant. What a sender wrote is only ever inserted as text: it chooses no
//! recipient, skill, buffer or kind.

mod kind;
mod render;
mod step;

#[cfg(test)]
mod tests;

use thrall_sdk::{Action, Envelope, Operation, Scope, Situation, Verdict, config};

use crate::render::Render;
use crate::step::Step;

/// Most operations in a plan; the host refuses a longer one.
const MOST_OPERATIONS: usize = 32;

/// The component's only export.
#[derive(Debug)]
pub struct DeclarativeSteps;

impl Action for DeclarativeSteps {
    fn plan(
        envelope: &Envelope,
        situation: &Situation,
        verdict: &Verdict,
    ) -> Result<Vec<Operation>, String> {
        let table: Step = config::stage(situation)?;
        let name = table.name.as_deref().unwrap_or(&verdict.action);
        let scope = Scope::new(envelope, situation).with_verdict(verdict);
        let render = Render { action: name, envelope, verdict, scope };
        plan(&table, &render).map_err(|problem| ["action `", name, "`: ", &problem].concat())
    }
}

thrall_sdk::export_action!(DeclarativeSteps);

fn plan(table: &Step, render: &Render) -> Result<Vec<Operation>, String> {
    let Some(steps) = &table.steps else {
        return Ok(vec![table.operation(table.kind(Some(render.action))?, render)?]);
    };
    if steps.len() > MOST_OPERATIONS {
        return Err("more than 32 steps".into());
    }
    let numbered =
        |number: usize, problem: String| ["step ", &number.to_string(), ": ", &problem].concat();
    let one = |step: &Step| step.operation(step.kind(None)?, render);
    steps
        .iter()
        .zip(1..)
        .map(|(step, number)| one(step).map_err(|problem| numbered(number, problem)))
        .collect()
}
