//! Answers from a recorded run. A recorded call matches on interface, function
//! and arguments, as far as the grant let them reach, and is used up in order; a
//! miss is a denial, so that a rehearsal never reaches the live world by accident.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use crate::breakers::Stopped;
use crate::clock::{TimestampMs, Window};
use crate::envelope::Field;
use crate::ids::{Digest, EnvelopeSeq};
use crate::journal::{CachedVerdict, EvalType, GatherTrace, HostInputs, Trace};
use crate::pipeline::gather::last_lines;
use crate::pipeline::ports::{
    Answers, Classifier, FactError, Facts, Gathered, Gatherer, Meter, ModelQuestion,
    PreparedQuestion, Scope,
};
use crate::recipes::GatherSource;
use crate::sender_limits::loops::SenderHistory;
use crate::stage::{HostAnswer, HostCallRecord, HostError, HostRequest};

/// The recorded calls that are still unused.
pub struct CallBook {
    calls: Mutex<Vec<HostCallRecord>>,
}

impl CallBook {
    pub fn new(calls: Vec<HostCallRecord>) -> Self {
        Self { calls: Mutex::new(calls) }
    }

    fn take(&self, request: &HostRequest) -> Result<HostAnswer, HostError> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        match calls.iter().position(|call| call.effective() == request) {
            Some(index) => calls.remove(index).answer,
            None => {
                let (interface, function) = request.name();
                Err(HostError::Denied(format!(
                    "{NO_RECORD}{interface}.{function} with these arguments was not asked in the recorded run"
                )))
            }
        }
    }
}

/// What the host knew when the run was recorded.
pub struct RecordedFacts {
    inputs: HostInputs,
}

/// How every answer begins that is not there because nobody asked then.
pub const NO_RECORD: &str = "no record: ";

impl RecordedFacts {
    pub fn new(inputs: HostInputs) -> Self {
        Self { inputs }
    }
}

impl Facts for RecordedFacts {
    fn cooldown_last(&self, _: &str, _: &str) -> Result<Option<TimestampMs>, FactError> {
        Ok(self.inputs.cooldown_last)
    }

    fn rate_count(&self, _: &str, _: &str, _: Window, cap: u32) -> Result<u32, FactError> {
        Ok(self.inputs.rate_count.unwrap_or(0).min(cap))
    }

    fn operation_count(
        &self,
        recipe: &str,
        kind: &str,
        _: Window,
        cap: u32,
    ) -> Result<u32, FactError> {
        let counts = &self.inputs.operation_counts;
        Ok(counts.get(&format!("{recipe}/{kind}")).copied().unwrap_or(0).min(cap))
    }

    fn sender_history(
        &self,
        _: &str,
        _: &str,
        _: EnvelopeSeq,
        _: TimestampMs,
    ) -> Result<SenderHistory, FactError> {
        Ok(self.inputs.sender_history.unwrap_or_default())
    }

    fn cached(&self, _: &Digest, _: TimestampMs) -> Result<Option<CachedVerdict>, FactError> {
        Ok(self.inputs.cached.clone())
    }

    fn context(
        &self,
        _: &str,
        _: Option<&str>,
        _: &str,
        _: TimestampMs,
    ) -> Result<Vec<Field>, FactError> {
        Ok(self.inputs.context.clone())
    }

    fn descendants(&self, _: EnvelopeSeq) -> Result<u32, FactError> {
        Ok(self.inputs.descendants.unwrap_or(0))
    }

    fn breaker(
        &self,
        targets: &[Cow<'static, str>],
        _: TimestampMs,
    ) -> Result<Option<Stopped>, FactError> {
        let recorded = self.inputs.breakers.iter();
        Ok(recorded
            .into_iter()
            .find(|one| targets.iter().any(|target| *target == one.target))
            .cloned())
    }
}

/// Guests' questions, answered from the book; only names are looked up live.
pub struct RecordedAnswers {
    live: Arc<dyn Answers>,
    book: Arc<CallBook>,
}

impl RecordedAnswers {
    pub fn new(live: Arc<dyn Answers>, book: Arc<CallBook>) -> Self {
        Self { live, book }
    }
}

#[async_trait]
impl Answers for RecordedAnswers {
    async fn answer(&self, _: &Scope, request: &HostRequest) -> Result<HostAnswer, HostError> {
        self.book.take(request)
    }

    fn model_of(&self, request: &HostRequest) -> Option<String> {
        self.live.model_of(request)
    }

    fn prompt_hash_of(&self, request: &HostRequest) -> Option<String> {
        self.live.prompt_hash_of(request)
    }
}

/// Budgets of a day are not touched by a rehearsal: what they refused then is
/// in the book.
pub struct NoMeter;

#[async_trait]
impl Meter for NoMeter {
    async fn reserve(&self, _: &[(&str, u32)], _: TimestampMs) -> Result<(), HostError> {
        Ok(())
    }

    async fn give_back(&self, _: &[(&str, u32)], _: TimestampMs) {}
}

/// The model's verdicts, answered from the book; only rendering is live. The
/// book says what the model was shown of the event, the version of the prompt
/// says what it was told before: an answer holds for both together.
pub struct RecordedClassifier {
    live: Arc<dyn Classifier>,
    book: Arc<CallBook>,
    /// The version of the one prompt that was asked with, where there was one.
    asked_with: Option<String>,
}

impl RecordedClassifier {
    pub fn new(live: Arc<dyn Classifier>, book: Arc<CallBook>, trace: &Trace) -> Self {
        // The first step of a cascade has a prompt of its own.
        let is_one = trace.evaluate.eval_type != EvalType::Cascade
            && trace.host_calls.iter().filter(|call| call.request.name().0 == "model").count() == 1;
        let asked_with = trace.evaluate.prompt_hash.clone().filter(|_| is_one);
        Self { live, book, asked_with }
    }
}

#[async_trait]
impl Classifier for RecordedClassifier {
    fn prepare(&self, question: &ModelQuestion<'_>) -> Result<PreparedQuestion, HostError> {
        self.live.prepare(question)
    }

    async fn classify(&self, question: &PreparedQuestion) -> Result<HostAnswer, HostError> {
        match &self.asked_with {
            Some(then) if *then != question.prompt_hash => Err(HostError::Denied(format!(
                "{NO_RECORD}version {then} of the prompt was asked with, not {}",
                question.prompt_hash
            ))),
            _ => self.book.take(&question.request),
        }
    }
}

/// The model for an event that never arrived: nobody ever asked about it.
pub struct NeverAsked(pub Arc<dyn Classifier>);

#[async_trait]
impl Classifier for NeverAsked {
    fn prepare(&self, question: &ModelQuestion<'_>) -> Result<PreparedQuestion, HostError> {
        self.0.prepare(question)
    }

    async fn classify(&self, _: &PreparedQuestion) -> Result<HostAnswer, HostError> {
        Err(HostError::Denied(format!("{NO_RECORD}the event never arrived")))
    }
}

/// Files as they were when the run was recorded.
pub struct RecordedGatherer {
    sources: Vec<GatherTrace>,
    contents: Vec<Field>,
}

impl RecordedGatherer {
    pub fn new(trace: &Trace) -> Self {
        Self { sources: trace.gather.clone(), contents: trace.host_inputs.gathered.clone() }
    }
}

#[async_trait]
impl Gatherer for RecordedGatherer {
    async fn read(&self, path: &str, max_bytes: usize) -> Result<Gathered, String> {
        let source = GatherSource::File(path.to_owned()).to_string();
        let recorded = self.sources.iter().find(|one| one.source == source);
        let Some(recorded) = recorded else {
            return Err("was not gathered in the recorded run".to_owned());
        };
        if let Some(why) = &recorded.error {
            return Err(why.clone());
        }
        let content = self.contents.iter().find(|field| field.name == recorded.name);
        let content = content.ok_or("its content is not in the record")?;
        let kept = last_lines(&content.value, max_bytes, false);
        Ok(Gathered {
            text: kept.to_owned(),
            truncated: recorded.truncated || kept.len() < content.value.len(),
            replaced: recorded.replaced,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::JournalQuery;

    #[tokio::test]
    async fn answers_are_used_up_in_order_and_a_miss_is_denied() {
        let request = HostRequest::ContextFlag { key: "k".to_owned() };
        let record = |text: &str| HostCallRecord {
            stage: "evaluate".to_owned(),
            request: request.clone(),
            answered_as: None,
            answer: Ok(HostAnswer::Text(Some(text.to_owned()))),
            wall_us: 1,
        };
        let book = CallBook::new(vec![record("first"), record("second")]);
        assert_eq!(book.take(&request), Ok(HostAnswer::Text(Some("first".to_owned()))));
        assert_eq!(book.take(&request), Ok(HostAnswer::Text(Some("second".to_owned()))));
        assert!(matches!(book.take(&request), Err(HostError::Denied(_))));
    }
    #[test]
    fn a_narrow_answer_is_found_under_the_same_scope_and_under_no_other() {
        let query = |recipe: Option<&str>| HostRequest::JournalCount {
            query: JournalQuery {
                recipe: recipe.map(str::to_owned),
                from_node: None,
                session: None,
                action: None,
                since: TimestampMs(0),
                limit: 1,
            },
        };
        let book = || {
            CallBook::new(vec![HostCallRecord {
                stage: "evaluate".to_owned(),
                request: query(None),
                answered_as: Some(query(Some("own"))),
                answer: Ok(HostAnswer::Count(5)),
                wall_us: 1,
            }])
        };
        assert_eq!(book().take(&query(Some("own"))), Ok(HostAnswer::Count(5)));
        for wider in [None, Some("another")] {
            assert!(matches!(book().take(&query(wider)), Err(HostError::Denied(_))));
        }
    }
}
