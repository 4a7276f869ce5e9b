//! One question of the host's own to the model: put, asked through the gate, and
//! under which key its verdict is kept for reuse. What follows from an answer is
//! in `model_verdict.rs`.

use super::RunInput;
use super::ports::{ModelQuestion, Ports, PreparedQuestion};
use super::record::RunRecord;
use crate::envelope::Field;
use crate::ids::Digest;
use crate::recipes::{Asking, EvaluatorKind};
use crate::stage::{HostAnswer, HostError};

/// What the model said.
pub(super) struct Answer {
    pub(super) best: String,
    pub(super) confidence: f32,
    /// Below the operator's own threshold.
    pub(super) abstained: bool,
    pub(super) scores: Vec<(String, f32)>,
}

impl Answer {
    /// Label and certainty, as reasons and notes have it.
    pub(super) fn in_words(&self) -> String {
        format!("{} ({:.2})", self.best, self.confidence)
    }
}

/// Renders a question about the event at hand.
///
/// # Errors
/// As [`super::ports::Classifier::prepare`].
pub(super) fn prepare(
    ports: &Ports,
    input: RunInput<'_>,
    run: &RunRecord,
    asking: Asking<'_>,
    cascade: &[Field],
) -> Result<PreparedQuestion, HostError> {
    ports.classifier.prepare(&ModelQuestion {
        asking,
        envelope: input.envelope,
        tier: input.tier,
        context: &run.inputs.context,
        gathered: &run.gathered,
        cascade,
        declared: &input.revision.recipe.answers_to(asking),
    })
}

/// Asks.
///
/// # Errors
/// Why there is no answer, in words for the trace.
pub(super) async fn ask(
    ports: &Ports,
    run: &RunRecord,
    stage: &str,
    question: &PreparedQuestion,
) -> Result<Answer, String> {
    match run.gate().classify(stage, ports.classifier.as_ref(), question).await {
        Ok(HostAnswer::Classification { best, abstained, scores, .. }) => {
            let confidence =
                scores.iter().find(|(label, _)| *label == best).map_or(0.0, |(_, score)| *score);
            Ok(Answer { best, confidence, abstained, scores })
        }
        Ok(_) => Err("the model service answered something else than a classification".to_owned()),
        // With the code that scripts look for.
        Err(HostError::Unavailable(ms)) => {
            Err(format!("overflow: model busy (LLM_QUEUE_FULL), free in {ms} ms"))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Under what an evaluator's verdict is kept. It covers everything that the
/// model would see and everything that turns its answers into an action, so one
/// harmless mail never decides for the next one. `None` for what asks no model,
/// cannot be put, or may not be asked: that may not be answered from memory
/// either.
pub(super) fn cache_key(
    ports: &Ports,
    input: RunInput<'_>,
    run: &RunRecord,
    kind: &EvaluatorKind,
) -> Option<Digest> {
    let (from_node, tier) = (input.envelope.sender().unwrap_or_default(), input.tier);
    let questions = match kind {
        EvaluatorKind::Component(_) => return None,
        EvaluatorKind::Llm(spec) => vec![spec.asking(tier, from_node)],
        // What the first step says about the same event follows from the rest.
        EvaluatorKind::Cascade(spec) => {
            vec![spec.first.asking(), spec.second.asking(tier, from_node)]
        }
    };
    let mut parts: Vec<Vec<u8>> = vec![
        b"thrall verdict cache 2".to_vec(),
        input.revision.digest.0.to_vec(),
        tier.as_str().as_bytes().to_vec(),
    ];
    for asking in questions {
        let prepared = prepare(ports, input, run, asking, &[]).ok()?;
        if !run.gate().may_ask(&prepared) {
            return None;
        }
        parts.push(prepared.input_digest.0.to_vec());
        parts.push(prepared.model.into_bytes());
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    Some(Digest::of_parts(&parts))
}
