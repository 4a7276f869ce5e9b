//! A rehearsal of a prompt that is not in use, or with leave to ask the model:
//! what the record answers, it answers; the rest goes to the model if the
//! operator said so, and is refused if not.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;

use super::recorded::NO_RECORD;
use crate::breakers::Stopped;
use crate::clock::{TimestampMs, Window};
use crate::envelope::Field;
use crate::ids::{Digest, EnvelopeSeq};
use crate::journal::CachedVerdict;
use crate::pipeline::ports::{
    Answers, Classifier, FactError, Facts, ModelQuestion, PreparedQuestion, Scope,
};
use crate::sender_limits::loops::SenderHistory;
use crate::stage::{HostAnswer, HostError, HostRequest};

/// What is different from the recorded run, on purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// The prompt that stands in: nothing that was kept or recorded under its
    /// name is an answer of it.
    pub prompt: Option<String>,
    /// Its version; a run that asked with the same one was a run of it.
    pub hash: Option<String>,
    /// Whether the model may be asked what the record does not answer.
    pub may_ask: bool,
}

impl Candidate {
    fn is_for(&self, prompt: &str) -> bool {
        self.prompt.as_deref() == Some(prompt)
    }

    fn refusal() -> HostError {
        HostError::Denied(format!("{NO_RECORD}the model was not asked this; --rerun-model asks it"))
    }
}

/// Whether an answer is only missing from the record.
fn is_missing(answer: &Result<HostAnswer, HostError>) -> bool {
    matches!(answer, Err(HostError::Denied(why)) if why.starts_with(NO_RECORD))
}

/// The pipeline's own questions to the model.
pub struct CandidateClassifier {
    pub live: Arc<dyn Classifier>,
    pub recorded: Arc<dyn Classifier>,
    pub candidate: Candidate,
    /// The version that the recorded run asked with.
    pub asked_with: Option<String>,
}

#[async_trait]
impl Classifier for CandidateClassifier {
    fn prepare(&self, question: &ModelQuestion<'_>) -> Result<PreparedQuestion, HostError> {
        self.live.prepare(question)
    }

    async fn classify(&self, question: &PreparedQuestion) -> Result<HostAnswer, HostError> {
        let is_another = self.candidate.is_for(&question.rendered.prompt.name)
            && self.asked_with.as_ref() != Some(&question.prompt_hash);
        if !is_another {
            let answer = self.recorded.classify(question).await;
            if !is_missing(&answer) {
                return answer;
            }
        }
        if self.candidate.may_ask {
            self.live.classify(question).await
        } else {
            Err(Candidate::refusal())
        }
    }
}

/// Questions of guests.
pub struct CandidateAnswers {
    pub live: Arc<dyn Answers>,
    /// The record; for an event that never arrived, the live ones.
    pub usual: Arc<dyn Answers>,
    pub has_arrived: bool,
    pub candidate: Candidate,
}

#[async_trait]
impl Answers for CandidateAnswers {
    async fn answer(&self, scope: &Scope, request: &HostRequest) -> Result<HostAnswer, HostError> {
        let (HostRequest::ModelClassify { prompt, .. } | HostRequest::ModelComplete { prompt, .. }) =
            request
        else {
            return self.usual.answer(scope, request).await;
        };
        if self.candidate.may_ask {
            // The live ones are asked in any case, once.
            if self.has_arrived && !self.candidate.is_for(prompt) {
                let answer = self.usual.answer(scope, request).await;
                if !is_missing(&answer) {
                    return answer;
                }
            }
            return self.live.answer(scope, request).await;
        }
        if self.candidate.is_for(prompt) || !self.has_arrived {
            return Err(Candidate::refusal());
        }
        self.usual.answer(scope, request).await
    }

    fn model_of(&self, request: &HostRequest) -> Option<String> {
        self.live.model_of(request)
    }

    fn prompt_hash_of(&self, request: &HostRequest) -> Option<String> {
        self.live.prompt_hash_of(request)
    }
}

/// Facts without the verdict that was kept under another version of the prompt.
pub struct CandidateFacts {
    pub usual: Arc<dyn Facts>,
    pub candidate: Candidate,
}

impl Facts for CandidateFacts {
    fn cooldown_last(&self, recipe: &str, key: &str) -> Result<Option<TimestampMs>, FactError> {
        self.usual.cooldown_last(recipe, key)
    }

    fn rate_count(
        &self,
        recipe: &str,
        sender_key: &str,
        window: Window,
        cap: u32,
    ) -> Result<u32, FactError> {
        self.usual.rate_count(recipe, sender_key, window, cap)
    }

    fn operation_count(
        &self,
        recipe: &str,
        kind: &str,
        window: Window,
        cap: u32,
    ) -> Result<u32, FactError> {
        self.usual.operation_count(recipe, kind, window, cap)
    }

    fn sender_history(
        &self,
        sender_key: &str,
        session: &str,
        root: EnvelopeSeq,
        now: TimestampMs,
    ) -> Result<SenderHistory, FactError> {
        self.usual.sender_history(sender_key, session, root, now)
    }

    fn cached(&self, key: &Digest, now: TimestampMs) -> Result<Option<CachedVerdict>, FactError> {
        let kept = self.usual.cached(key, now)?;
        let stands = |kept: &CachedVerdict| {
            self.candidate.prompt.is_none() || kept.prompt_hash == self.candidate.hash
        };
        Ok(kept.filter(stands))
    }

    fn context(
        &self,
        namespace: &str,
        sender_key: Option<&str>,
        session: &str,
        now: TimestampMs,
    ) -> Result<Vec<Field>, FactError> {
        self.usual.context(namespace, sender_key, session, now)
    }

    fn descendants(&self, root: EnvelopeSeq) -> Result<u32, FactError> {
        self.usual.descendants(root)
    }

    fn breaker(
        &self,
        targets: &[Cow<'static, str>],
        now: TimestampMs,
    ) -> Result<Option<Stopped>, FactError> {
        self.usual.breaker(targets, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::HostInputs;
    use crate::rehearsal::recorded::RecordedFacts;
    use crate::verdict::Verdict;

    #[test]
    fn a_verdict_that_was_kept_under_another_version_is_no_answer_of_the_candidate() {
        let kept = CachedVerdict {
            verdict: Verdict::certain("wake", "question"),
            model: None,
            prompt_hash: Some("old".to_owned()),
        };
        let found = |prompt: Option<&str>, hash: &str| {
            let inputs = HostInputs { cached: Some(kept.clone()), ..HostInputs::default() };
            let candidate = Candidate {
                prompt: prompt.map(str::to_owned),
                hash: Some(hash.to_owned()),
                may_ask: false,
            };
            let facts = CandidateFacts { usual: Arc::new(RecordedFacts::new(inputs)), candidate };
            facts.cached(&Digest::ZERO, TimestampMs(1)).unwrap().is_some()
        };
        assert!(!found(Some("mine"), "new"));
        assert!(found(Some("mine"), "old"));
        assert!(found(None, "new"), "only the model may be asked again");
    }
}
