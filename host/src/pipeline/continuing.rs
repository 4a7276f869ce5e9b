//! The answer of a skill goes on where its recipe said: neither filter nor
//! evaluators are asked again. Pure.

use super::RunInput;
use super::evaluate::Decided;
use super::record::{RunRecord, host_verdict};
use crate::envelope::result_event;
use crate::journal::EvalType;

/// The decision that was made when the skill was asked; `None` for events that
/// are no answer to this recipe.
pub(super) fn decide(input: RunInput<'_>, run: &mut RunRecord) -> Option<Decided> {
    let (recipe, action) = result_event::continues(input.envelope)?;
    if recipe != input.revision.recipe.name {
        return None;
    }
    "continue".clone_into(&mut run.filter.decision);
    let (skill, status) = (input.envelope.text("skill"), input.envelope.text("status"));
    let verdict = host_verdict(action, format!("{skill} answered: {status}"));
    Some(Decided::by_host(input, EvalType::Continuation, verdict))
}
