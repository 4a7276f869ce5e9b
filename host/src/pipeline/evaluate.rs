//! The evaluate stage: evaluators by priority, the first verdict with enough
//! confidence wins, and an action that the recipe does not declare is never
//! executed: it becomes the fallback, and says so.

use super::RunInput;
use super::filter::cache_key;
use super::ports::{ModelQuestion, Ports, PreparedQuestion};
use super::record::{RunRecord, host_verdict};
use crate::envelope::sender::Tier;
use crate::journal::{CacheEntry, CachedVerdict, EvalType};
use crate::recipes::{
    ActionSpec, Evaluator, EvaluatorKind, Fallback, LlmSpec, OnFailure, StageSpec,
};
use crate::stage::{GuestFault, HostAnswer, HostError, World};
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

/// `summon` is the seeds' word for wake.
fn canonical_action(action: &str) -> &str {
    if action == "summon" { "wake" } else { action }
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
enum Said {
    Verdict(Verdict),
    /// Left to the next, with a note where there is something to say.
    Nothing(Option<String>),
}

pub(super) async fn apply(ports: &Ports, input: RunInput<'_>, run: &mut RunRecord) -> Decided {
    let mut notes = Vec::new();
    for evaluator in &input.revision.recipe.evaluators {
        let mut details = ModelDetails::default();
        let said = match &evaluator.kind {
            EvaluatorKind::Component(spec) => {
                ask_component(ports, input, run, evaluator, spec).await
            }
            EvaluatorKind::Llm(spec) => {
                ask_model(ports, input, run, evaluator, spec, &mut details).await
            }
        };
        match said {
            Said::Verdict(verdict) => {
                let mut decided =
                    Decided::new(input, details.eval_type, &evaluator.stage, verdict, notes);
                decided.model = details.model;
                decided.prompt_hash = details.prompt_hash;
                decided.scores = details.scores;
                return decided;
            }
            Said::Nothing(note) => {
                notes.extend(note.map(|note| format!("{}: {note}", evaluator.stage)));
            }
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
    match answer {
        Ok(Some(verdict)) => {
            // A rule that names no confidence is certain.
            let confidence = verdict.confidence.unwrap_or(1.0);
            if confidence >= evaluator.threshold {
                Said::Verdict(verdict)
            } else {
                Said::Nothing(Some(format!(
                    "{} at {confidence:.2}, below the threshold",
                    verdict.action
                )))
            }
        }
        Ok(None) => Said::Nothing(None),
        Err(fault) => match &spec.on_failure {
            OnFailure::Pass => Said::Nothing(Some(format!("{}: {fault}", fault.code()))),
            OnFailure::Block => {
                let action = if input.envelope.is_question() { "block" } else { "log" };
                Said::Verdict(host_verdict(action, format!("blocked, {}: {fault}", fault.code())))
            }
            OnFailure::Action(action) => {
                Said::Verdict(host_verdict(action, format!("{}: {fault}", fault.code())))
            }
        },
    }
}

struct ModelDetails {
    eval_type: EvalType,
    model: Option<String>,
    prompt_hash: Option<String>,
    scores: Vec<(String, f32)>,
}

impl Default for ModelDetails {
    fn default() -> Self {
        Self { eval_type: EvalType::Hotwire, model: None, prompt_hash: None, scores: Vec::new() }
    }
}

async fn ask_model(
    ports: &Ports,
    input: RunInput<'_>,
    run: &mut RunRecord,
    evaluator: &Evaluator,
    spec: &LlmSpec,
    details: &mut ModelDetails,
) -> Said {
    let declared: Vec<&str> = input.revision.recipe.actions.keys().map(String::as_str).collect();
    let question = ModelQuestion {
        spec,
        envelope: input.envelope,
        tier: input.tier,
        context: &run.inputs.context,
        gathered: &run.gathered,
        declared: &declared,
    };
    let prepared = match ports.classifier.prepare(&question) {
        Ok(prepared) => prepared,
        Err(error) => return Said::Nothing(Some(error.to_string())),
    };
    let answer = run.gate().classify(&evaluator.stage, ports.classifier.as_ref(), &prepared).await;
    match answer {
        Ok(HostAnswer::Classification { best, abstained, scores, .. }) => {
            let confidence =
                scores.iter().find(|(label, _)| *label == best).map_or(0.0, |(_, score)| *score);
            if abstained || confidence < evaluator.threshold {
                return Said::Nothing(Some(format!("unsure: {best} at {confidence:.2}")));
            }
            let Some(action) = prepared.actions.get(&best) else {
                return Said::Nothing(Some(format!("kind {best:?} is mapped to no action")));
            };
            // A model must be surer of what nobody looks at afterwards.
            let silences = input
                .revision
                .recipe
                .actions
                .get(canonical_action(action))
                .is_some_and(ActionSpec::silences);
            if silences && confidence < prepared.silence_threshold {
                return Said::Nothing(Some(format!(
                    "not sure enough to {action}: {best} at {confidence:.2}"
                )));
            }
            let verdict = Verdict {
                action: action.clone(),
                reason: format!("{best} ({confidence:.2})"),
                confidence: Some(confidence),
                fields: Vec::new(),
            };
            details.eval_type = EvalType::Llm;
            details.model = Some(prepared.model.clone());
            details.prompt_hash = Some(prepared.prompt_hash.clone());
            details.scores = scores;
            remember(input, run, &prepared, &verdict);
            Said::Verdict(verdict)
        }
        Ok(_) => Said::Nothing(Some(
            "the model service answered something else than a classification".to_owned(),
        )),
        Err(HostError::Unavailable(ms)) => {
            // The code that scripts look for.
            Said::Nothing(Some(format!("overflow, LLM_QUEUE_FULL: model busy, free in {ms} ms")))
        }
        Err(error) => Said::Nothing(Some(error.to_string())),
    }
}

/// Keeps the verdict for reuse, if the recipe wants that and the question is
/// the one that the filter stage looked for.
fn remember(
    input: RunInput<'_>,
    run: &mut RunRecord,
    prepared: &PreparedQuestion,
    verdict: &Verdict,
) {
    let key = cache_key(input, &prepared.input_digest, &prepared.model);
    let (Some(ttl), true) = (input.revision.recipe.filter.cache_ttl_s, run.cache_key == Some(key))
    else {
        return;
    };
    run.cache = Some(CacheEntry {
        key,
        value: CachedVerdict {
            verdict: verdict.clone(),
            model: Some(prepared.model.clone()),
            prompt_hash: Some(prepared.prompt_hash.clone()),
        },
        expires_at: input.now.plus(std::time::Duration::from_secs(ttl)),
    });
}
