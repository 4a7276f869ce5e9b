//! The one choke point between a run and what the host answers: authorise,
//! reserve from the budgets, look at the circuit breaker, record the question,
//! have it answered (live or from a record), record the answer, settle the
//! budgets. Guests come through a [`HostCalls`] door, the host's own evaluator
//! through [`Gate::classify`]; both are admitted and settled here, so no step
//! can be forgotten. What the answers are is in `capabilities/` for live runs
//! and in `rehearsal/` for recorded ones.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::circuit::Circuits;
use super::ports::{Answers, Classifier, Meter, PreparedQuestion, Scope};
use super::record::micros;
use super::run_budget::{Reserved, RunBudget};
use crate::grants::{Authority, JournalScope, need};
use crate::stage::{HostAnswer, HostCallRecord, HostCalls, HostError, HostRequest, JournalQuery};

/// The gate of one run; every stage gets a door in it.
pub struct Gate {
    scope: Scope,
    authority: Authority,
    answers: Arc<dyn Answers>,
    meter: Arc<dyn Meter>,
    circuits: Arc<Circuits>,
    /// Calls of all stages, in the order in which they were asked.
    records: Mutex<Vec<HostCallRecord>>,
    budget: Mutex<RunBudget>,
    /// The version of the prompt that the model was asked with last, whatever
    /// came of it.
    asked_with: Mutex<Option<String>>,
}

/// A question that was let through, and what was set aside for it.
struct Admitted {
    reserved: Reserved,
    /// Which record is waiting for the answer.
    record: usize,
    /// Interface and function.
    name: (&'static str, &'static str),
    started: Instant,
}

impl Gate {
    pub fn new(
        scope: Scope,
        authority: Authority,
        answers: Arc<dyn Answers>,
        meter: Arc<dyn Meter>,
        circuits: Arc<Circuits>,
    ) -> Self {
        let budget =
            RunBudget::new(authority.host_calls_per_run(), authority.model_tokens_per_run());
        Self {
            scope,
            authority,
            answers,
            meter,
            circuits,
            records: Mutex::new(Vec::new()),
            budget: Mutex::new(budget),
            asked_with: Mutex::new(None),
        }
    }

    /// The door of one stage: calls through it are recorded under its name.
    pub fn for_stage(self: &Arc<Self>, stage: &str) -> Arc<dyn HostCalls> {
        Arc::new(Door { gate: Arc::clone(self), stage: stage.to_owned() })
    }

    /// Whether the host's own question to the model would be let through, so
    /// that its kept answer may be used. Nothing is recorded.
    pub fn may_ask(&self, question: &PreparedQuestion) -> bool {
        self.authorise(&question.request, Some(&question.model)).is_ok()
    }

    /// Asks the model on behalf of the recipe's own evaluator.
    ///
    /// # Errors
    /// As for a guest's question.
    pub async fn classify(
        &self,
        stage: &str,
        classifier: &dyn Classifier,
        question: &PreparedQuestion,
    ) -> Result<HostAnswer, HostError> {
        let admitted = self.admit(stage, &question.request, None, Some(&question.model)).await?;
        *lock(&self.asked_with) = Some(question.prompt_hash.clone());
        let answering = classifier.classify(question);
        let deadline = question.rendered.within;
        let answer = within(deadline, answering).await;
        self.settle(admitted, deadline, answer).await
    }

    /// What the model wrote in this run so far.
    pub fn completions(&self) -> Vec<String> {
        lock(&self.records)
            .iter()
            .filter_map(|record| match &record.answer {
                Ok(HostAnswer::Completion { text, .. }) => Some(text.clone()),
                _ => None,
            })
            .collect()
    }

    /// The version of the prompt that the model was asked with last.
    pub fn asked_with(&self) -> Option<String> {
        lock(&self.asked_with).clone()
    }

    /// Tokens that the run has cost so far.
    pub fn tokens_used(&self) -> u32 {
        lock(&self.budget).tokens_used()
    }

    /// Empties the record.
    pub fn take_records(&self) -> Vec<HostCallRecord> {
        std::mem::take(&mut *lock(&self.records))
    }

    /// Records a question that is too large to be put, and not the whole of it.
    fn refuse(&self, stage: &str, request: HostRequest) -> Result<HostAnswer, HostError> {
        let why = format!(
            "an argument is too long: names may have {} bytes, texts {}",
            HostRequest::MAX_NAME_BYTES,
            HostRequest::MAX_TEXT_BYTES
        );
        // It counts like any other.
        let mut budget = lock(&self.budget);
        let answer = match budget.reserve(&request) {
            Ok(reserved) => {
                budget.give_back(reserved);
                Err(HostError::Invalid(why))
            }
            Err(line) => Err(HostError::Budget(line)),
        };
        drop(budget);
        self.record(HostCallRecord {
            stage: stage.to_owned(),
            request,
            answered_as: None,
            answer: answer.clone(),
            wall_us: 0,
        });
        answer
    }

    async fn ask(&self, stage: &str, request: &HostRequest) -> Result<HostAnswer, HostError> {
        let model = self.answers.model_of(request);
        let prompt_hash = self.answers.prompt_hash_of(request);
        let narrowed = self.narrow(request);
        let admitted = self.admit(stage, request, narrowed.clone(), model.as_deref()).await?;
        if prompt_hash.is_some() {
            *lock(&self.asked_with) = prompt_hash;
        }
        let answering = self.answers.answer(&self.scope, narrowed.as_ref().unwrap_or(request));
        let deadline = deadline(request);
        let answer = within(deadline, answering).await;
        self.settle(admitted, deadline, answer).await
    }

    /// Everything before the answer. A refusal is recorded like an answer.
    async fn admit(
        &self,
        stage: &str,
        request: &HostRequest,
        narrowed: Option<HostRequest>,
        model: Option<&str>,
    ) -> Result<Admitted, HostError> {
        let started = Instant::now();
        let outcome = self.reserve(request, model).await;
        let answer = match &outcome {
            Ok(_) => Err(HostError::Failed("not answered yet".to_owned())),
            Err(refusal) => Err(refusal.clone()),
        };
        let record = self.record(HostCallRecord {
            stage: stage.to_owned(),
            request: request.clone(),
            answered_as: narrowed.filter(|_| outcome.is_ok()),
            answer,
            wall_us: 0,
        });
        outcome.map(|reserved| Admitted { reserved, record, name: request.name(), started })
    }

    fn record(&self, call: HostCallRecord) -> usize {
        let mut records = lock(&self.records);
        records.push(call);
        records.len() - 1
    }

    async fn reserve(
        &self,
        request: &HostRequest,
        model: Option<&str>,
    ) -> Result<Reserved, HostError> {
        self.authorise(request, model)?;
        let reserved = lock(&self.budget).reserve(request).map_err(HostError::Budget)?;
        let admitted = self.circuits.admit(&self.scope.recipe, request, self.scope.now);
        if let Err(wait_ms) = admitted {
            lock(&self.budget).give_back(reserved);
            return Err(HostError::Unavailable(wait_ms));
        }
        if asks_model(request) {
            let day = self.authority.model_calls_per_day();
            if let Err(refusal) = self.meter.reserve(&day, self.scope.now).await {
                lock(&self.budget).give_back(reserved);
                return Err(refusal);
            }
        }
        Ok(reserved)
    }

    fn authorise(&self, request: &HostRequest, model: Option<&str>) -> Result<(), HostError> {
        let at = self.scope.as_situation();
        for need in need::of_request(request, at, model) {
            self.authority.allow(&need).map_err(|denial| HostError::Denied(denial.to_string()))?;
        }
        Ok(())
    }

    /// A question as it is answered, where what is granted is narrower than it.
    fn narrow(&self, request: &HostRequest) -> Option<HostRequest> {
        let narrowed = match request {
            HostRequest::JournalCount { query } => {
                Some(HostRequest::JournalCount { query: self.narrow_query(query) })
            }
            HostRequest::JournalRecent { query } => {
                Some(HostRequest::JournalRecent { query: self.narrow_query(query) })
            }
            HostRequest::BreakerState { target } => Some(HostRequest::BreakerState {
                target: self.scope.breaker_target(&self.authority, target),
            }),
            _ => None,
        };
        narrowed.filter(|narrowed| narrowed != request)
    }

    fn narrow_query(&self, query: &JournalQuery) -> JournalQuery {
        let mut narrowed = query.clone();
        let own = Some(self.scope.recipe.clone());
        let is_own_sender =
            query.from_node.as_ref().is_none_or(|from_node| *from_node == self.scope.from_node)
                && !self.scope.from_node.is_empty();
        match self.authority.journal_scope() {
            JournalScope::All => {}
            JournalScope::Sender if query.recipe == own => {}
            JournalScope::Sender if is_own_sender => {
                narrowed.from_node = Some(self.scope.from_node.clone());
            }
            JournalScope::Sender | JournalScope::Own => narrowed.recipe = own,
        }
        narrowed
    }

    /// Everything after the answer.
    async fn settle(
        &self,
        admitted: Admitted,
        deadline: Duration,
        answer: Option<Result<HostAnswer, HostError>>,
    ) -> Result<HostAnswer, HostError> {
        let is_late = answer.is_none();
        let answer = answer.unwrap_or_else(|| {
            let (interface, function) = admitted.name;
            Err(HostError::Failed(format!(
                "{interface}.{function}: no answer within {} ms",
                deadline.as_millis()
            )))
        });
        if let Some(record) = lock(&self.records).get_mut(admitted.record) {
            record.answer = answer.clone();
            record.wall_us = micros(admitted.started.elapsed());
        }
        lock(&self.budget).commit(admitted.reserved, &answer);
        let (interface, _) = admitted.name;
        self.circuits.settle(&self.scope.recipe, interface, is_late, self.scope.now);
        // Nobody was asked, so nothing was used up.
        if interface == MODEL && matches!(answer, Err(HostError::Unavailable(_))) {
            let day = self.authority.model_calls_per_day();
            self.meter.give_back(&day, self.scope.now).await;
        }
        answer
    }
}

/// The interface whose questions a budget of the day is for.
const MODEL: &str = "model";

fn asks_model(request: &HostRequest) -> bool {
    request.name().0 == MODEL
}

/// How long the host may take for an answer, waiting in a queue included.
pub fn deadline(request: &HostRequest) -> Duration {
    match request {
        HostRequest::ContextGet { .. }
        | HostRequest::ContextFlag { .. }
        | HostRequest::JournalCount { .. }
        | HostRequest::JournalRecent { .. }
        | HostRequest::BreakerState { .. } => Duration::from_millis(100),
        HostRequest::CockpitGet { .. }
        | HostRequest::ModelClassify { .. }
        | HostRequest::ModelEmbed { .. } => Duration::from_secs(5),
        HostRequest::ModelComplete { .. } => Duration::from_secs(30),
    }
}

/// The answer, or `None` where it did not come in time.
async fn within(
    deadline: Duration,
    answering: impl Future<Output = Result<HostAnswer, HostError>>,
) -> Option<Result<HostAnswer, HostError>> {
    tokio::time::timeout(deadline, answering).await.ok()
}

/// One stage's way through the gate.
struct Door {
    gate: Arc<Gate>,
    stage: String,
}

#[async_trait]
impl HostCalls for Door {
    async fn call(&self, mut request: HostRequest) -> Result<HostAnswer, HostError> {
        if request.cut_to_bounds() {
            return self.gate.refuse(&self.stage, request);
        }
        self.gate.ask(&self.stage, &request).await
    }
}

/// A lock whose holder panicked still holds a whole value: what is done under
/// it is one step each time.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
