//! From the model's answers to a verdict: one question (`type = "llm"`), or a
//! cheap one before it that may drop a message and nothing else (`cascade`).

use std::time::Duration;

use super::RunInput;
use super::evaluate::{Reached, Said};
use super::model_step::{self, Answer};
use super::ports::{Ports, PreparedQuestion};
use super::record::RunRecord;
use crate::envelope::Field;
use crate::journal::{CacheEntry, CachedVerdict, EvalType};
use crate::recipes::{ActionSpec, CascadeSpec, Evaluator, FirstStep, LlmSpec, canonical_action};
use crate::verdict::Verdict;

/// Asks the one question.
pub(super) async fn of_model(
    ports: &Ports,
    input: RunInput<'_>,
    run: &mut RunRecord,
    evaluator: &Evaluator,
    spec: &LlmSpec,
) -> Said {
    let asking = spec.asking(input.tier, input.envelope.sender().unwrap_or_default());
    let prepared = match model_step::prepare(ports, input, run, asking, &[]) {
        Ok(prepared) => prepared,
        Err(error) => return Said::nothing(error.to_string()),
    };
    let asked = model_step::ask(ports, run, &evaluator.stage, &prepared).await;
    let concluded =
        asked.and_then(|answer| Ok((conclude(input, evaluator, &prepared, &answer)?, answer)));
    match concluded {
        Ok((verdict, answer)) => {
            remember(ports, input, run, evaluator, &prepared, &verdict);
            reached(EvalType::Llm, evaluator.stage.clone(), verdict, prepared, answer)
        }
        Err(note) => Said::nothing(note),
    }
}

/// Asks the first question, and the second unless the first was sure enough
/// that the message is to be dropped. A first step that fails, or waits too
/// long, hands the message on.
pub(super) async fn of_cascade(
    ports: &Ports,
    input: RunInput<'_>,
    run: &mut RunRecord,
    evaluator: &Evaluator,
    spec: &CascadeSpec,
) -> Said {
    let mut notes = Vec::new();
    let mut said_first = Vec::new();
    let stage = format!("{}-first", evaluator.stage);
    match first_answer(ports, input, run, &stage, &spec.first).await {
        Ok((prepared, answer)) => {
            if drops(input, &spec.first, &prepared, &answer) {
                let verdict = verdict(FirstStep::DROP, &answer);
                remember(ports, input, run, evaluator, &prepared, &verdict);
                return reached(EvalType::Cascade, stage, verdict, prepared, answer);
            }
            notes.push(format!("first step escalated: {}", answer.in_words()));
            said_first.push(Field::new("cascade.action", FirstStep::ESCALATE));
            said_first.push(Field::new("cascade.reason", answer.in_words()));
        }
        Err(why) => notes.push(format!("first step escalated: {why}")),
    }
    let asking = spec.second.asking(input.tier, input.envelope.sender().unwrap_or_default());
    let second = match model_step::prepare(ports, input, run, asking, &said_first) {
        Ok(prepared) => {
            let stage = format!("{}-second", evaluator.stage);
            let asked = model_step::ask(ports, run, &stage, &prepared).await;
            asked.and_then(|answer| {
                let verdict = conclude(input, evaluator, &prepared, &answer)?;
                Ok((stage, verdict, prepared, answer))
            })
        }
        Err(error) => Err(error.to_string()),
    };
    match second {
        Ok((stage, verdict, prepared, answer)) => {
            remember(ports, input, run, evaluator, &prepared, &verdict);
            reached(EvalType::Cascade, stage, verdict, prepared, answer).after(notes)
        }
        Err(note) => {
            notes.push(note);
            Said::Nothing(notes)
        }
    }
}

async fn first_answer(
    ports: &Ports,
    input: RunInput<'_>,
    run: &RunRecord,
    stage: &str,
    first: &FirstStep,
) -> Result<(PreparedQuestion, Answer), String> {
    let prepared = model_step::prepare(ports, input, run, first.asking(), &[])
        .map_err(|error| error.to_string())?;
    let answer = model_step::ask(ports, run, stage, &prepared).await?;
    Ok((prepared, answer))
}

/// Only a drop is final, and only where the first step is as sure as its recipe
/// and the operator want it for what nobody looks at afterwards.
fn drops(
    input: RunInput<'_>,
    first: &FirstStep,
    prepared: &PreparedQuestion,
    answer: &Answer,
) -> bool {
    let wanted = first.threshold.of(input.tier).max(prepared.silence_threshold);
    let leads_to = prepared.actions.get(&answer.best).map(String::as_str);
    leads_to == Some(FirstStep::DROP) && !answer.abstained && answer.confidence >= wanted
}

/// The verdict that an answer stands for.
///
/// # Errors
/// Why it is none: not sure enough, or a kind that leads nowhere.
fn conclude(
    input: RunInput<'_>,
    evaluator: &Evaluator,
    prepared: &PreparedQuestion,
    answer: &Answer,
) -> Result<Verdict, String> {
    let Answer { best, confidence, abstained, .. } = answer;
    if *abstained || *confidence < evaluator.threshold.of(input.tier) {
        return Err(format!("unsure: {best} at {confidence:.2}"));
    }
    let Some(action) = prepared.actions.get(best) else {
        return Err(format!("kind {best:?} is mapped to no action"));
    };
    // A model must be surer of what nobody looks at afterwards.
    let actions = &input.revision.recipe.actions;
    let silences = actions.get(canonical_action(action)).is_some_and(ActionSpec::silences);
    if silences && *confidence < prepared.silence_threshold {
        return Err(format!("not sure enough to {action}: {best} at {confidence:.2}"));
    }
    Ok(verdict(action, answer))
}

fn verdict(action: &str, answer: &Answer) -> Verdict {
    Verdict {
        action: action.to_owned(),
        reason: answer.in_words(),
        confidence: Some(answer.confidence),
        fields: Vec::new(),
    }
}

fn reached(
    eval_type: EvalType,
    stage: String,
    verdict: Verdict,
    prepared: PreparedQuestion,
    answer: Answer,
) -> Said {
    Said::Verdict(Box::new(Reached {
        model: Some(prepared.model),
        prompt_hash: Some(prepared.prompt_hash),
        scores: answer.scores,
        ..Reached::new(eval_type, stage, verdict)
    }))
}

/// Keeps the verdict for reuse, if the recipe wants that and what was asked is
/// what the filter stage looked for.
fn remember(
    ports: &Ports,
    input: RunInput<'_>,
    run: &mut RunRecord,
    evaluator: &Evaluator,
    prepared: &PreparedQuestion,
    verdict: &Verdict,
) {
    let (Some(ttl), Some(looked_for)) = (input.revision.recipe.filter.cache_ttl_s, run.cache_key)
    else {
        return;
    };
    if model_step::cache_key(ports, input, run, &evaluator.kind) != Some(looked_for) {
        return;
    }
    run.cache = Some(CacheEntry {
        key: looked_for,
        value: CachedVerdict {
            verdict: verdict.clone(),
            model: Some(prepared.model.clone()),
            prompt_hash: Some(prepared.prompt_hash.clone()),
        },
        expires_at: input.now.plus(Duration::from_secs(ttl)),
    });
}
