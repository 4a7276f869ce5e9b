//! The plan stage: the action's component turns the verdict into operations,
//! and each operation is held against the grant. Nothing is performed here.

use super::RunInput;
use super::evaluate::{Decided, fallback_action};
use super::ports::Ports;
use super::record::RunRecord;
use crate::operation::{Operation, PlannedOperation};
use crate::recipes::{ActionSpec, ComponentSource, OnFailure};
use crate::stage::{GuestFault, StageLimits};
use crate::verdict::Verdict;

pub(super) struct Planned {
    pub(super) operations: Vec<PlannedOperation>,
    /// False when the action stage failed and nothing took its place.
    pub(super) completed: bool,
    /// A wake or reply was left out because an earlier recipe had its turn.
    pub(super) superseded: bool,
    pub(super) notes: Vec<String>,
}

impl Planned {
    pub(super) fn skipped() -> Self {
        Self { operations: Vec::new(), completed: true, superseded: false, notes: Vec::new() }
    }
}

pub(super) async fn apply(
    ports: &Ports,
    input: RunInput<'_>,
    run: &mut RunRecord,
    decided: &Decided,
) -> Planned {
    let mut notes = Vec::new();
    let first = plan_action(ports, input, run, &decided.action, &decided.verdict).await;
    let operations = match first {
        Ok(operations) => Some(operations),
        Err(fault) => {
            notes.push(format!("action {} {}: {fault}", decided.action, fault.code()));
            match replacement(input, &decided.action) {
                Some(action) => {
                    notes.push(format!("fallback {action:?} instead"));
                    match plan_action(ports, input, run, &action, &decided.verdict).await {
                        Ok(operations) => Some(operations),
                        Err(fault) => {
                            notes.push(format!("action {action} {}: {fault}", fault.code()));
                            None
                        }
                    }
                }
                None => None,
            }
        }
    };
    let completed = operations.is_some();
    let mut answered = input.answered;
    let operations: Vec<PlannedOperation> = operations
        .unwrap_or_default()
        .into_iter()
        .map(|operation| rule_on(input, &mut answered, operation))
        .collect();
    let superseded =
        input.answered && operations.iter().any(|planned| answers_sender(&planned.operation));
    Planned { operations, completed, superseded, notes }
}

/// Which action stands in for a failed one, if any.
fn replacement(input: RunInput<'_>, failed: &str) -> Option<String> {
    let spec = input.revision.recipe.actions.get(failed)?;
    let action = match &spec.stage.on_failure {
        OnFailure::Pass => fallback_action(input),
        OnFailure::Block => return None,
        OnFailure::Action(action) => action.clone(),
    };
    (action != failed).then_some(action)
}

async fn plan_action(
    ports: &Ports,
    input: RunInput<'_>,
    run: &mut RunRecord,
    action: &str,
    verdict: &Verdict,
) -> Result<Vec<Operation>, GuestFault> {
    let Some(spec) = input.revision.recipe.actions.get(action) else {
        return Err(GuestFault::NotLoaded(format!("action {action:?} is not declared")));
    };
    if let Some(operations) = implicit(spec, verdict) {
        return Ok(operations);
    }
    let Some(component) = input.revision.components.get(&spec.stage.component) else {
        return Err(GuestFault::NotLoaded(spec.stage.component.to_string()));
    };
    let stage = format!("action-{action}");
    let situation = run.situation(input, &stage, &spec.stage);
    let outcome = ports
        .sandbox
        .action(
            *component,
            input.envelope,
            &situation,
            verdict,
            StageLimits::action(),
            run.door(&stage),
        )
        .await;
    run.keep(&stage, outcome)
}

/// `log` and `drop` exist in every recipe without being declared; as such they
/// have nothing to compute, and no sandbox is started for them.
fn implicit(spec: &ActionSpec, verdict: &Verdict) -> Option<Vec<Operation>> {
    if spec.is_declared
        || spec.stage.component != ComponentSource::Bundled(ComponentSource::STEPS.to_owned())
    {
        return None;
    }
    match spec.name.as_str() {
        "log" => Some(vec![Operation::Log { message: verdict.reason.clone() }]),
        "drop" => Some(vec![Operation::Drop { reason: verdict.reason.clone() }]),
        _ => None,
    }
}

/// What an envelope can lead to only once, whatever recipes it meets.
pub fn answers_sender(operation: &Operation) -> bool {
    matches!(operation, Operation::Wake { .. } | Operation::Reply { .. })
}

/// Why a second wake or reply is not carried out; stands where a missing grant
/// line would.
const SUPERSEDED: &str = "superseded: this event has been answered already";

fn rule_on(input: RunInput<'_>, answered: &mut bool, operation: Operation) -> PlannedOperation {
    let denied_by = if *answered && answers_sender(&operation) {
        Some(SUPERSEDED.to_owned())
    } else {
        let denied_by = input.revision.grant.check_operation(&operation).err();
        *answered |= denied_by.is_none() && answers_sender(&operation);
        denied_by
    };
    PlannedOperation { operation, denied_by }
}
