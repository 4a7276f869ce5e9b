//! The evaluate stage: evaluators by priority, the first verdict with enough
//! confidence wins, and an action that the recipe does not declare is never
//! executed: it becomes the fallback, and says so.

use super::RunInput;
use super::model_verdict;
use super::ports::Ports;
use super::record::{RunRecord, host_verdict};
use crate::envelope::sender::Tier;
use crate::journal::EvalType;
use crate::recipes::{Evaluator, EvaluatorKind, Fallback, OnFailure, StageSpec, canonical_action};
use crate::stage::{GuestFault, World};
use crate::verdict::Verdict;

/// A decision: which action, by whom, why.
#[derive(Clone, Debug)]
pub(super) struct Decided {
    pub(super) eval_type: EvalType,
    pub(super) stage: String,
    /// The verdict as it was reached.
    pub(super) verdict: Verdict,
    /// The action after the fallback rule; always one that is declared.
    pub(super) action: String,
    pub(super) model: Option<String>,
    pub(super) prompt_hash: Option<String>,
    pub(super) scores: Vec<(String, f32)>,
    pub(super) notes: Vec<String>,
}

impl Decided {
    /// Decided without an evaluator.
    pub(super) fn by_host(input: RunInput<'_>, eval_type: EvalType, verdict: Verdict) -> Self {
        Self::new(input, eval_type, "", verdict, Vec::new())
    }

    pub(super) fn skipped(reason: &str) -> Self {
        Self {
            eval_type: EvalType::Skip,
            stage: String::new(),
            verdict: host_verdict("skip", reason),
            action: "skip".to_owned(),
            model: None,
            prompt_hash: None,
            scores: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn new(
        input: RunInput<'_>,
        eval_type: EvalType,
        stage: &str,
        verdict: Verdict,
        mut notes: Vec<String>,
    ) -> Self {
        let action = declared_action(input, &verdict.action, &mut notes);
        let eval_type = if action == verdict.action { eval_type } else { EvalType::Fallback };
        Self {
            eval_type,
            stage: stage.to_owned(),
            verdict,
            action,
            model: None,
            prompt_hash: None,
            scores: Vec::new(),
            notes,
        }
    }
}

fn declared_action(input: RunInput<'_>, action: &str, notes: &mut Vec<String>) -> String {
    let recipe = &input.revision.recipe;
    let action = canonical_action(action);
    if recipe.actions.contains_key(action) {
        return action.to_owned();
    }
    let fallback = fallback_action(input);
    notes.push(format!("action {action:?} is not declared by the recipe: fallback {fallback:?}"));
    fallback
}

/// The fallback, resolved to a declared action; `log` where even that is not.
pub(super) fn fallback_action(input: RunInput<'_>) -> String {
    let recipe = &input.revision.recipe;
    let wanted = match &recipe.fallback {
        Fallback::Action(action) => canonical_action(action),
        Fallback::Tier => match input.tier {
            Tier::Team | Tier::Known => "wake",
            Tier::Unknown | Tier::Blocked => "drop",
        },
    };
    let known = if recipe.actions.contains_key(wanted) { wanted } else { "log" };
    known.to_owned()
}

/// What one evaluator said.
pub(super) enum Said {
    Verdict(Box<Reached>),
    /// Left to the next, with what there is to say about it.
    Nothing(Vec<String>),
}

impl Said {
    pub(super) fn nothing(note: impl Into<String>) -> Self {
        Self::Nothing(vec![note.into()])
    }

    /// With what was said on the way to it.
    pub(super) fn after(mut self, notes: Vec<String>) -> Self {
        if let Self::Verdict(reached) = &mut self {
            reached.notes = notes;
        }
        self
    }
}

/// A verdict and how it came about.
pub(super) struct Reached {
    pub(super) verdict: Verdict,
    pub(super) eval_type: EvalType,
    /// The evaluator, or the step of it, that decided.
    pub(super) stage: String,
    pub(super) model: Option<String>,
    pub(super) prompt_hash: Option<String>,
    pub(super) scores: Vec<(String, f32)>,
    pub(super) notes: Vec<String>,
}

impl Reached {
    pub(super) fn new(eval_type: EvalType, stage: String, verdict: Verdict) -> Self {
        Self {
            verdict,
            eval_type,
            stage,
            model: None,
            prompt_hash: None,
            scores: Vec::new(),
            notes: Vec::new(),
        }
    }
}

pub(super) async fn apply(ports: &Ports, input: RunInput<'_>, run: &mut RunRecord) -> Decided {
    let mut notes = Vec::new();
    for evaluator in &input.revision.recipe.evaluators {
        let said = match &evaluator.kind {
            EvaluatorKind::Component(spec) => {
                ask_component(ports, input, run, evaluator, spec).await
            }
            EvaluatorKind::Llm(spec) => {
                model_verdict::of_model(ports, input, run, evaluator, spec).await
            }
            EvaluatorKind::Cascade(spec) => {
                model_verdict::of_cascade(ports, input, run, evaluator, spec).await
            }
        };
        let named = |note: String| format!("{}: {note}", evaluator.stage);
        match said {
            Said::Verdict(reached) => {
                notes.extend(reached.notes.into_iter().map(named));
                let mut decided =
                    Decided::new(input, reached.eval_type, &reached.stage, reached.verdict, notes);
                decided.model = reached.model;
                decided.prompt_hash = reached.prompt_hash;
                decided.scores = reached.scores;
                return decided;
            }
            Said::Nothing(said) => notes.extend(said.into_iter().map(named)),
        }
    }
    let reason =
        notes.last().cloned().unwrap_or_else(|| "no evaluator reached a verdict".to_owned());
    let action = fallback_action(input);
    let verdict = host_verdict(&action, format!("fallback: {reason}"));
    Decided::new(input, EvalType::Fallback, "", verdict, notes)
}

async fn ask_component(
    ports: &Ports,
    input: RunInput<'_>,
    run: &mut RunRecord,
    evaluator: &Evaluator,
    spec: &StageSpec,
) -> Said {
    let stage = evaluator.stage.as_str();
    let answer = match input.revision.components.get(&spec.component) {
        Some(component) => {
            let situation = run.situation(input, stage, spec);
            let outcome = ports
                .sandbox
                .hotwire(
                    *component,
                    input.envelope,
                    &situation,
                    input.authority.limits(World::Hotwire),
                    run.door(stage),
                )
                .await;
            run.keep(stage, outcome)
        }
        None => Err(GuestFault::NotLoaded(spec.component.to_string())),
    };
    let reached = |verdict: Verdict| {
        Said::Verdict(Box::new(Reached::new(EvalType::Hotwire, stage.to_owned(), verdict)))
    };
    match answer {
        Ok(Some(verdict)) => {
            // A rule that names no confidence is certain.
            let confidence = verdict.confidence.unwrap_or(1.0);
            if confidence >= evaluator.threshold.of(input.tier) {
                reached(verdict)
            } else {
                Said::nothing(format!("{} at {confidence:.2}, below the threshold", verdict.action))
            }
        }
        Ok(None) => Said::Nothing(Vec::new()),
        Err(fault) => {
            let what = format!("{}: {fault}", fault.code());
            match &spec.on_failure {
                OnFailure::Pass => Said::nothing(what),
                OnFailure::Block => {
                    let action = if input.envelope.is_question() { "block" } else { "log" };
                    reached(host_verdict(action, format!("blocked, {what}")))
                }
                OnFailure::Action(action) => reached(host_verdict(action, what)),
            }
        }
    }
}
