//! What the engine is for: choosing a label, writing an answer.
//!
//! Each call makes the prompt's prefix resident, puts the message on top, reads
//! logits, and leaves nothing of the message behind.

use std::time::Instant;

use llama_cpp_2::token::LlamaToken;

use super::Stop;
use super::engine::{Engine, FIRST_LABEL, LABEL_SEQUENCES, MESSAGE, count, failed, position};
use super::tokens::Tokens;
use crate::model::label_scores::{self, CONTENT_FREE, ScorePlan};
use crate::model::prefix_cache::BaselineKey;
use crate::model::prompt::{PromptValues, RenderedPrompt};
use crate::model::{
    Classification, ClassifyRequest, CompleteRequest, Completion, LabelSet, MAX_COMPLETION_TOKENS,
    ModelError, Usage,
};

impl Engine<'_> {
    /// Chooses a label. `stop` bounds the message's part of the work; a prefix
    /// that is not cached yet is processed to its end whatever the caller's
    /// patience, or a slow machine would start it anew for every message.
    pub(super) fn classify(
        &mut self,
        request: &ClassifyRequest,
        stop: &Stop<'_>,
    ) -> Result<Classification, ModelError> {
        let began = Instant::now();
        let render = |text: &str, values: &PromptValues| {
            request.prompt.render(request.tier, values, text, Some(&request.labels))
        };
        let tokens = self.tokens(&render(&request.text, &request.values));
        let labels = self.label_tokens(&request.labels);
        let plan = ScorePlan::new(&labels).ok_or_else(|| {
            ModelError::Invalid("the model reads two of the labels as the same word".to_owned())
        })?;
        let mut usage = Usage::default();
        self.make_resident(&tokens, &mut usage)?;
        let key = BaselineKey { labels, after: tokens.after.clone() };
        let baseline = match self.cached_baseline(&key) {
            Some(baseline) => baseline,
            None => {
                let empty = PromptValues::default();
                let nothing = CONTENT_FREE.map(|text| self.tokens(&render(text, &empty)));
                self.make_baseline(key, &plan, &nothing, &mut usage)?
            }
        };
        usage.tokens += count(&tokens.message) + count(&tokens.after);
        let scores = self.score(&tokens, &plan, stop, &mut usage)?;
        let probabilities = label_scores::probabilities(&scores, &baseline);
        usage.wall_us = micros(began);
        Ok(classification(&request.labels, &probabilities, request.threshold, usage))
    }

    /// Writes an answer, always taking the likeliest token.
    pub(super) fn complete(
        &mut self,
        request: &CompleteRequest,
        stop: &Stop<'_>,
    ) -> Result<Completion, ModelError> {
        let began = Instant::now();
        let rendered = request.prompt.render(request.tier, &request.values, &request.text, None);
        let tokens = self.tokens(&RenderedPrompt { cue: String::new(), ..rendered });
        let mut usage = Usage::default();
        self.make_resident(&tokens, &mut usage)?;
        usage.tokens += count(&tokens.message) + count(&tokens.after);
        let written = self.on_message(&tokens, |engine, tail, mut at| {
            engine.decode(tail, MESSAGE, at, stop, &mut usage)?;
            at += tail.len();
            let mut written: Vec<u8> = Vec::new();
            for _ in 0..request.max_tokens.min(MAX_COMPLETION_TOKENS) {
                let token = engine.likeliest();
                usage.tokens += 1;
                if engine.vocab.is_eog(token) || at + 1 >= engine.room() {
                    break;
                }
                written.extend(engine.vocab.token_to_piece(token, false, None));
                if engine.frame.ends_answer(&written) {
                    break;
                }
                engine.decode(&[token], MESSAGE, at, stop, &mut usage)?;
                at += 1;
            }
            Ok(written)
        })?;
        usage.wall_us = micros(began);
        let text = String::from_utf8_lossy(&written).trim().to_owned();
        Ok(Completion { text, usage })
    }

    fn cached_baseline(&mut self, key: &BaselineKey) -> Option<Vec<f32>> {
        self.prefixes.touch(&self.resident)?.baseline(key).map(<[f32]>::to_vec)
    }

    fn make_baseline(
        &mut self,
        key: BaselineKey,
        plan: &ScorePlan,
        nothing: &[Tokens],
        usage: &mut Usage,
    ) -> Result<Vec<f32>, ModelError> {
        let mut scores = Vec::with_capacity(nothing.len());
        for tokens in nothing {
            scores.push(self.score(tokens, plan, &Stop::never(), usage)?);
        }
        let baseline = label_scores::baseline(&scores);
        if let Some(entry) = self.prefixes.touch(&self.resident) {
            entry.remember(key, baseline.clone());
        }
        Ok(baseline)
    }

    /// Log-probability of each label after the message, on the resident prefix.
    fn score(
        &mut self,
        tokens: &Tokens,
        plan: &ScorePlan,
        stop: &Stop<'_>,
        usage: &mut Usage,
    ) -> Result<Vec<f32>, ModelError> {
        self.on_message(tokens, |engine, tail, at| {
            engine.decode(tail, MESSAGE, at, stop, usage)?;
            let mut scores = plan.first_scores(engine.row());
            let longer: Vec<usize> = (0..plan.labels().len())
                .filter(|at| plan.labels().get(*at).is_some_and(|l| !l.rest.is_empty()))
                .collect();
            for group in longer.chunks(usize::try_from(LABEL_SEQUENCES).unwrap_or(1)) {
                engine.add_rest(group, plan, at + tail.len(), &mut scores, stop, usage)?;
            }
            Ok(scores)
        })
    }

    /// Adds the log-probability of labels' remaining tokens, side by side.
    fn add_rest(
        &mut self,
        group: &[usize],
        plan: &ScorePlan,
        at: usize,
        scores: &mut [f32],
        stop: &Stop<'_>,
        usage: &mut Usage,
    ) -> Result<(), ModelError> {
        let members: Vec<(i32, usize, Vec<i32>)> = group
            .iter()
            .filter_map(|label| plan.labels().get(*label).map(|l| (label, l)))
            .zip(FIRST_LABEL..)
            .map(|((label, l), sequence)| {
                (sequence, *label, std::iter::once(l.first).chain(l.rest.iter().copied()).collect())
            })
            .collect();
        for (sequence, _, _) in &members {
            self.copy(MESSAGE, *sequence)?;
        }
        let depth = members.iter().map(|(_, _, tokens)| tokens.len()).max().unwrap_or(0);
        for step in 0..depth.saturating_sub(1) {
            stop.check()?;
            self.batch.clear();
            let mut rows = Vec::new();
            for (sequence, label, tokens) in &members {
                if let (Some(token), Some(next)) = (tokens.get(step), tokens.get(step + 1)) {
                    let position = position(at + step)?;
                    self.batch
                        .add(LlamaToken::new(*token), position, &[*sequence], true)
                        .map_err(|e| failed("filling a batch", &e))?;
                    rows.push((*label, *next));
                }
            }
            self.run_batch(usage)?;
            for (row, (label, next)) in rows.iter().enumerate() {
                let logits = self.context.get_logits_ith(position(row)?);
                if let Some(score) = scores.get_mut(*label) {
                    *score += label_scores::log_probability(logits, *next);
                }
            }
        }
        for (sequence, _, _) in &members {
            self.remove(*sequence)?;
        }
        Ok(())
    }

    pub(super) fn likeliest(&self) -> LlamaToken {
        let best =
            self.row().iter().zip(0..).fold((f32::NEG_INFINITY, 0), |best, (logit, token)| {
                if *logit > best.0 { (*logit, token) } else { best }
            });
        LlamaToken::new(best.1)
    }
}

/// The answer as callers see it.
fn classification(
    labels: &LabelSet,
    probabilities: &[f32],
    threshold: f32,
    usage: Usage,
) -> Classification {
    let scores: Vec<(String, f32)> =
        labels.iter().map(|l| l.name.clone()).zip(probabilities.iter().copied()).collect();
    let best = scores.iter().fold(None::<&(String, f32)>, |best, one| match best {
        Some(b) if b.1 >= one.1 => best,
        _ => Some(one),
    });
    let (best, probability) = best.map_or((String::new(), 0.0), |(name, p)| (name.clone(), *p));
    Classification { best, abstained: probability < threshold, scores, usage }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}
