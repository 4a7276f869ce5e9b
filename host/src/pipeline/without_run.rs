//! Rows for events on which no recipe ran to its end: stopped by the guard,
//! out of time, or bound to a revision that is no longer there. Pure.

use super::RunInput;
use super::evaluate::fallback_action;
use super::guard::Stop;
use crate::clock::TimestampMs;
use crate::envelope::Envelope;
use crate::envelope::sender::{self, Tier};
use crate::ids::{Digest, EnvelopeSeq};
use crate::journal::{
    ActionTrace, Alert, Commit, DecisionRow, Delivery, EvalType, EvaluateTrace, FilterTrace,
    Guarding, HostInputs, RecipeTrace, Trace, UsageTrace, decision_hash,
};
use crate::operation::{Operation, PlannedOperation};
use crate::recipes::Mode;
use crate::stage::StageLimits;
use crate::verdict::Verdict;

/// The guard let no recipe see the event.
pub fn guard_commit(
    seq: EnvelopeSeq,
    envelope: &Envelope,
    tier: Tier,
    stop: &Stop,
    now: TimestampMs,
) -> Commit {
    let verdict = Verdict::certain(stop.action_name(), stop.reason());
    let about = About {
        seq,
        envelope,
        tier,
        now,
        recipe: "",
        revision: Digest::ZERO,
        mode: Mode::Automated,
    };
    Commit {
        closes_envelope: true,
        ..commit(&about, EvalType::Skip, "skip", stop.action_name(), verdict)
    }
}

/// The row beside a run whose wake or reply was one too many: its sender is
/// stopped and the agent is told.
pub(super) fn loop_blocked(input: RunInput<'_>, reason: String) -> Commit {
    let key = sender::sender_key(input.envelope.text("from_node"));
    let about = About {
        seq: input.seq,
        envelope: input.envelope,
        tier: input.tier,
        now: input.now,
        recipe: "",
        revision: Digest::ZERO,
        mode: Mode::Automated,
    };
    let trip = Operation::TripBreaker {
        target: format!("node:{key}"),
        reason: reason.clone(),
        expires_in_s: None,
    };
    let verdict = Verdict::certain("loop_blocked", reason.clone());
    let mut commit = commit(&about, EvalType::Skip, "pass", "loop_blocked", verdict);
    let action = &mut commit.trace.action;
    action.executed = true;
    action.operations =
        vec![PlannedOperation { operation: trip, denied_by: None, would_execute: None }];
    commit.row.decision_hash = decision_hash::decision_hash(
        "pass",
        None,
        input.tier,
        &commit.trace.evaluate.result,
        "loop_blocked",
        &action.operations,
        &[],
    );
    commit.trace.decision_hash = commit.row.decision_hash;
    commit.guarding.alert = Some(Alert { breaker_type: "node", target: key, reason });
    commit
}

/// The run took longer than [`StageLimits::RUN_TIME`]: nothing is performed.
pub fn timed_out(input: RunInput<'_>) -> Commit {
    let reason = format!("timed out after {} s", StageLimits::RUN_TIME.as_secs());
    let verdict = Verdict::certain(fallback_action(input), reason);
    let about = About {
        seq: input.seq,
        envelope: input.envelope,
        tier: input.tier,
        now: input.now,
        recipe: &input.revision.recipe.name,
        revision: input.revision.digest,
        mode: input.revision.effective_mode,
    };
    commit(&about, EvalType::Fallback, "pass", "timed_out", verdict)
}

/// The revision that matched when the event was accepted can no longer run.
pub fn revision_gone(
    seq: EnvelopeSeq,
    envelope: &Envelope,
    tier: Tier,
    recipe: &str,
    revision: Digest,
    now: TimestampMs,
) -> Commit {
    let reason = format!("revision {} of the recipe is no longer loaded", revision.short());
    let about = About { seq, envelope, tier, now, recipe, revision, mode: Mode::Disabled };
    commit(&about, EvalType::Skip, "skip", "revision_gone", Verdict::certain("skip", reason))
}

struct About<'a> {
    seq: EnvelopeSeq,
    envelope: &'a Envelope,
    tier: Tier,
    now: TimestampMs,
    recipe: &'a str,
    revision: Digest,
    mode: Mode,
}

fn commit(
    about: &About<'_>,
    eval_type: EvalType,
    filter: &str,
    action_name: &str,
    verdict: Verdict,
) -> Commit {
    let envelope = about.envelope;
    let hash =
        decision_hash::decision_hash(filter, None, about.tier, &verdict, &verdict.action, &[], &[]);
    let row = DecisionRow {
        envelope_seq: about.seq,
        at: about.now,
        recipe: about.recipe.to_owned(),
        revision: about.revision,
        trigger: envelope.trigger.clone(),
        source: envelope.source.clone(),
        from_node: envelope.sender().unwrap_or_default().to_owned(),
        sender_key: envelope.sender_key(),
        session_id: envelope.text("session_id").to_owned(),
        tier: about.tier,
        mode: about.mode,
        eval_type,
        action: verdict.action.clone(),
        action_name: action_name.to_owned(),
        reason: verdict.reason.clone(),
        confidence: None,
        prompt_hash: None,
        model: None,
        counted: false,
        wall_us: 0,
        decision_hash: hash,
    };
    let trace = Trace {
        trigger: envelope.trigger.clone(),
        filter: FilterTrace {
            decision: filter.to_owned(),
            tier: about.tier,
            reason: verdict.reason.clone(),
            component: None,
        },
        gather: Vec::new(),
        evaluate: EvaluateTrace {
            eval_type,
            stage: String::new(),
            model: None,
            prompt_hash: None,
            scores: Vec::new(),
            result: verdict.clone(),
            notes: Vec::new(),
        },
        action: ActionTrace {
            name: verdict.action,
            operations: Vec::new(),
            executed: false,
            notes: Vec::new(),
        },
        host_calls: Vec::new(),
        host_inputs: HostInputs { tier: Some(about.tier), ..HostInputs::default() },
        logs: Vec::new(),
        usage: UsageTrace::default(),
        faults: Vec::new(),
        recipe: RecipeTrace {
            name: about.recipe.to_owned(),
            revision: about.revision,
            grant_revision: Digest::ZERO,
            mode: about.mode,
        },
        decision_hash: hash,
    };
    Commit {
        row,
        trace,
        delivery: Delivery::default(),
        cooldown: None,
        cache: None,
        assumptions: Vec::new(),
        children: Vec::new(),
        guarding: Guarding::default(),
        closes_envelope: false,
    }
}
