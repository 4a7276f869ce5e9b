//! Triggers and awaited answers of a plan against what no grant can give: fields of the host's own,
//! a chain of any length, any number of events from one. Asked last, of what
//! nothing else denies, because each that passes counts.

use super::RunInput;
use super::ports::{FactError, Ports};
use super::record::RunRecord;
use crate::envelope::{descent, limits};
use crate::journal::Assumption;
use crate::operation::{self, Operation, PlannedOperation};

/// Rules on every operation of the plan that leads to another event and is
/// still allowed.
pub(super) fn apply(
    ports: &Ports,
    input: RunInput<'_>,
    run: &mut RunRecord,
    operations: &mut [PlannedOperation],
) -> Result<(), FactError> {
    run.triggered = 0;
    for planned in operations.iter_mut().filter(|planned| planned.denied_by.is_none()) {
        planned.denied_by = check(ports, input, run, &planned.operation)?;
    }
    Ok(())
}

/// Why an operation that leads to another event is not carried out; `None`
/// lets it through and counts it. Other operations always pass.
pub(super) fn check(
    ports: &Ports,
    input: RunInput<'_>,
    run: &mut RunRecord,
    operation: &Operation,
) -> Result<Option<String>, FactError> {
    let flaw = match operation {
        Operation::Trigger { trigger, fields } => operation::trigger_flaw(operation)
            .or_else(|| descent::too_deep(input.envelope))
            .or_else(|| descent::too_large(input.envelope, trigger, fields)),
        Operation::Skill { continue_as: Some(_), .. } => descent::too_deep(input.envelope),
        _ => return Ok(None),
    };
    if flaw.is_some() {
        return Ok(flaw);
    }
    let root = input.envelope.root.as_ref().map_or(input.seq, |root| root.seq);
    let present = match run.inputs.descendants {
        Some(count) => count,
        None => ports.facts.descendants(root)?,
    };
    run.inputs.descendants = Some(present);
    let number = present.saturating_add(run.triggered).saturating_add(1);
    let limit = limits::MAX_DESCENDANTS;
    if number > limit {
        return Ok(Some(format!(
            "descendant {number}: one event leads to {limit} triggered or continued events at most"
        )));
    }
    run.assumptions
        .push(Assumption::DescendantsBelow { root, below: limit.saturating_sub(run.triggered) });
    run.triggered = run.triggered.saturating_add(1);
    Ok(None)
}
