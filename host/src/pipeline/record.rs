//! What a run gathers about itself while it goes on, and how that becomes the
//! row, the trace and the commit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::evaluate::Decided;
use super::gate::Gate;
use super::plan::Planned;
use super::ports::{EVERYBODY, Ports, Scope};
use super::{RunInput, sender_limits, without_run};
use crate::envelope::Field;
use crate::ids::Digest;
use crate::journal::{
    ActionTrace, Assumption, CacheEntry, Commit, DecisionRow, Delivery, EvalType, EvaluateTrace,
    FilterTrace, GatherTrace, Guarding, HostInputs, LikeLines, RecipeTrace, Trace, UsageTrace,
    decision_hash,
};
use crate::recipes::StageSpec;
use crate::stage::{HostCalls, LogLine, StageOutcome};
use crate::verdict::{self, Situation, Verdict};

/// The gathered field behind `{{filter.decision}}`.
const FILTER_DECISION: &str = "filter.decision";

/// The growing record of one run.
pub(super) struct RunRecord {
    started: Instant,
    scope: Scope,
    gate: Arc<Gate>,
    pub(super) filter: FilterTrace,
    pub(super) gather: Vec<GatherTrace>,
    pub(super) inputs: HostInputs,
    /// Gathered fields, and injected ones as `inject.NAME`.
    pub(super) gathered: Vec<Field>,
    pub(super) cache_key: Option<Digest>,
    pub(super) cache: Option<CacheEntry>,
    pub(super) assumptions: Vec<Assumption>,
    pub(super) cooldown_key: Option<String>,
    /// It is set to now although nothing was executed.
    pub(super) cooldown_restarts: bool,
    /// Events that the plan triggers so far.
    pub(super) triggered: u32,
    usage: Vec<(String, crate::stage::Usage)>,
    logs: Vec<LogLine>,
    /// Stages whose guest failed, with the fault's code.
    faults: Vec<(String, String)>,
}

impl RunRecord {
    pub(super) fn new(ports: &Ports, input: RunInput<'_>) -> Self {
        let scope =
            Scope::new(&input.revision.recipe.name, input.envelope, input.authority, input.now);
        Self {
            started: Instant::now(),
            gate: Arc::new(Gate::new(
                scope.clone(),
                input.authority.clone(),
                Arc::clone(&ports.answers),
                Arc::clone(&ports.meter),
                Arc::clone(&ports.circuits),
            )),
            scope,
            filter: FilterTrace {
                decision: "pass".to_owned(),
                tier: input.tier,
                reason: String::new(),
                component: None,
            },
            gather: Vec::new(),
            inputs: HostInputs {
                tier: Some(input.tier),
                answered: input.answered,
                lineage: input.envelope.lineage.clone(),
                engine: ports.engine.to_string(),
                ..HostInputs::default()
            },
            gathered: vec![Field::new(FILTER_DECISION, "pass")],
            cache_key: None,
            cache: None,
            assumptions: Vec::new(),
            cooldown_key: None,
            cooldown_restarts: false,
            triggered: 0,
            usage: Vec::new(),
            logs: Vec::new(),
            faults: Vec::new(),
        }
    }

    /// Takes what the filter component injects; later stages see `inject.NAME`.
    pub(super) fn inject(&mut self, fields: Vec<Field>) {
        "inject".clone_into(&mut self.filter.decision);
        self.gathered.retain(|field| field.name != FILTER_DECISION);
        self.gathered.push(Field::new(FILTER_DECISION, "inject"));
        let named = fields
            .into_iter()
            .map(|field| Field::new(format!("inject.{}", field.name), field.value));
        self.gathered.extend(named);
    }

    /// What a stage is told besides the envelope.
    pub(super) fn situation(
        &self,
        input: RunInput<'_>,
        stage: &str,
        spec: &StageSpec,
    ) -> Situation {
        Situation {
            now: input.now,
            seed: verdict::seed(&input.envelope.id, &self.scope.recipe, stage),
            tier: input.tier,
            context: self.inputs.context.clone(),
            gathered: self.gathered.clone(),
            config: spec.config.clone(),
        }
    }

    /// The door to the host for one stage.
    pub(super) fn door(&self, stage: &str) -> Arc<dyn HostCalls> {
        self.gate.for_stage(stage)
    }

    /// Keeps what a call used and logged, and hands on its answer.
    pub(super) fn keep<T>(
        &mut self,
        stage: &str,
        outcome: StageOutcome<T>,
    ) -> Result<T, crate::stage::GuestFault> {
        self.usage.push((stage.to_owned(), outcome.usage));
        self.logs.extend(outcome.logs);
        if let Err(fault) = &outcome.answer {
            self.faults.push((stage.to_owned(), fault.code().to_owned()));
        }
        outcome.answer
    }

    /// The door to the host for what is gathered.
    pub(super) fn gather_door(&self) -> Arc<dyn HostCalls> {
        self.gate.for_stage("gather")
    }

    /// The host's own way through the gate.
    pub(super) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Who asks, about which event.
    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(super) fn into_commit(
        self,
        input: RunInput<'_>,
        decided: Option<Decided>,
        planned: Planned,
    ) -> Commit {
        let wall_us = micros(self.started.elapsed());
        let skipped = decided.is_none();
        let decided = decided.unwrap_or_else(|| Decided::skipped(&self.filter.reason));
        let model_tokens = self.gate.tokens_used();
        // A model that was asked in vain, or by a component, was asked with a
        // prompt all the same.
        let prompt_hash = decided.prompt_hash.clone().or_else(|| self.gate.asked_with());
        let host_calls = self.gate.take_records();
        let hash = decision_hash::decision_hash(
            &self.filter.decision,
            self.filter.component.as_ref(),
            input.tier,
            &decided.verdict,
            &decided.action,
            &planned.operations,
            &host_calls,
        );
        let envelope = input.envelope;
        let mode = input.revision.effective_mode;
        let executed = mode.acts() && !skipped && planned.completed;
        let row = DecisionRow {
            envelope_seq: input.seq,
            at: input.now,
            recipe: self.scope.recipe.clone(),
            revision: input.revision.digest,
            trigger: envelope.trigger.clone(),
            source: envelope.source.clone(),
            from_node: envelope.sender().unwrap_or_default().to_owned(),
            sender_key: envelope.sender_key(),
            session_id: envelope.text("session_id").to_owned(),
            tier: input.tier,
            mode,
            eval_type: decided.eval_type,
            action: decided.action.clone(),
            action_name: action_name(&decided, &planned, mode.acts(), skipped),
            reason: bounded(&decided.verdict.reason),
            confidence: decided.verdict.confidence,
            prompt_hash: prompt_hash.clone(),
            model: decided.model.clone(),
            counted: !skipped,
            wall_us,
            decision_hash: hash,
        };
        let trace = Trace {
            trigger: envelope.trigger.clone(),
            filter: self.filter,
            gather: self.gather,
            evaluate: EvaluateTrace {
                eval_type: decided.eval_type,
                stage: decided.stage,
                model: decided.model,
                prompt_hash,
                scores: decided.scores,
                result: decided.verdict,
                notes: decided.notes,
            },
            action: ActionTrace {
                name: decided.action.clone(),
                operations: planned.operations,
                executed,
                notes: planned.notes,
            },
            host_calls,
            host_inputs: self.inputs,
            logs: self.logs,
            usage: UsageTrace { stages: self.usage, model_tokens, wall_us },
            faults: self.faults,
            recipe: RecipeTrace {
                name: self.scope.recipe,
                revision: input.revision.digest,
                grant_revision: input.authority.digest(),
                mode,
            },
            decision_hash: hash,
        };
        let task = input
            .revision
            .recipe
            .actions
            .get(&decided.action)
            .and_then(|action| action.task.clone());
        let drops_mail = executed && decided.action == "drop" && envelope.trigger == "on_mail";
        let is_counted = drops_mail && sender_limits::counted(envelope).is_some();
        let guarding = Guarding {
            answers: if executed { planned.answers } else { Vec::new() },
            looped: planned
                .looped
                .filter(|_| executed)
                .map(|reason| Box::new(without_run::loop_blocked(input, reason))),
            knock_threshold: is_counted.then_some(input.limits.knock_threshold),
            alert: None,
        };
        Commit {
            row,
            trace,
            delivery: Delivery {
                body_text: envelope.body().to_owned(),
                like: LikeLines::of(envelope),
                msg_type: envelope.text("msg_type").to_owned(),
                task,
                context_namespace: self.scope.context_namespace,
                flag_namespace: self.scope.flag_namespace,
                wake_bounds: wake_bounds(input),
                never_summons: planned.rate_limited || decided.eval_type == EvalType::RateLimit,
                wake_on_failure: planned.wake_on_failure,
                error_buffers: planned.error_buffers,
                root: envelope.root.as_ref().map_or(input.seq, |root| root.seq),
                dry_run: input.switches.dry_run,
            },
            cooldown: self
                .cooldown_key
                .filter(|_| executed || self.cooldown_restarts)
                .map(|key| (key, input.now)),
            cache: self.cache,
            assumptions: self.assumptions,
            children: Vec::new(),
            guarding,
            closes_envelope: false,
        }
    }
}

/// The longest reason that is kept, in characters (the old column's limit).
const MAX_REASON_CHARS: usize = 2000;

fn bounded(reason: &str) -> String {
    reason.chars().take(MAX_REASON_CHARS).collect()
}

/// The word that scripts read in `action_name`.
fn action_name(decided: &Decided, planned: &Planned, acts: bool, skipped: bool) -> String {
    match decided.action.as_str() {
        _ if skipped => "skip".to_owned(),
        _ if !acts => "manual_skip".to_owned(),
        _ if !planned.completed => format!("{}_error", decided.action),
        _ if planned.superseded => "superseded".to_owned(),
        _ if planned.looped.is_some() => "loop_held".to_owned(),
        _ if planned.rate_limited || decided.eval_type == EvalType::RateLimit => {
            "rate_limited".to_owned()
        }
        "wake" => "summon".to_owned(),
        other => other.to_owned(),
    }
}

/// Wakes an hour, by recipe and in all.
fn wake_bounds(input: RunInput<'_>) -> Vec<(String, u32)> {
    let by_recipe = input.authority.hourly("wake").into_iter();
    let in_all = input.limits.in_all("wake").map(|bound| (EVERYBODY, bound));
    let share = |bound| sender_limits::share_of_hour(input, "wake", bound);
    by_recipe.chain(in_all).map(|(recipe, bound)| (recipe.to_owned(), share(bound))).collect()
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// A verdict of the host, for stages that decide without asking anyone.
pub(super) fn host_verdict(action: &str, reason: impl Into<String>) -> Verdict {
    Verdict::certain(action, reason)
}
