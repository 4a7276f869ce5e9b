//! How a guest's questions reach the host. Each import becomes one
//! [`HostRequest`] through one gate, [`RunState::ask`], which counts it and
//! gives it a deadline; whether it is allowed, and its answer, is up to the
//! [`HostCalls`](crate::stage::HostCalls) behind it. Nothing here traps.

use std::time::Duration;

use crate::clock::TimestampMs;
use crate::stage::{
    BreakerFact, HostAnswer, HostError, HostRequest, JournalFact, JournalQuery, LogLevel,
};

use super::bindings::{
    breaker_read, cockpit_read, context_read, journal_read, log, model, operations, types,
};
use super::run_state::RunState;

type Answer<T> = Result<T, types::HostError>;

impl RunState {
    async fn ask(&mut self, request: HostRequest) -> Result<HostAnswer, HostError> {
        if !self.calls.spend() {
            return Err(HostError::Budget(format!("host_calls_per_run = {}", self.calls.allowed)));
        }
        let (interface, function) = request.name();
        let deadline = deadline(&request);
        let answer = tokio::time::timeout(deadline, self.host.call(request)).await;
        self.clock.host_called();
        answer.unwrap_or_else(|_| {
            Err(HostError::Failed(format!(
                "{interface}.{function}: no answer within {} ms",
                deadline.as_millis()
            )))
        })
    }
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

impl log::Host for RunState {
    async fn write(&mut self, level: log::Level, message: String) {
        let level = match level {
            log::Level::Debug => LogLevel::Debug,
            log::Level::Info => LogLevel::Info,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Error => LogLevel::Error,
        };
        self.log.with(|log| log.push(level, &message));
    }
}

impl types::Host for RunState {}
impl operations::Host for RunState {}

impl context_read::Host for RunState {
    async fn get(&mut self, session: String, key: String) -> Answer<Option<String>> {
        match self.ask(HostRequest::ContextGet { session, key }).await {
            Ok(HostAnswer::Text(text)) => Ok(text),
            other => Err(no_answer(other)),
        }
    }

    async fn flag(&mut self, key: String) -> Answer<Option<String>> {
        match self.ask(HostRequest::ContextFlag { key }).await {
            Ok(HostAnswer::Text(text)) => Ok(text),
            other => Err(no_answer(other)),
        }
    }
}

impl journal_read::Host for RunState {
    async fn count(&mut self, query: journal_read::Query) -> Answer<u64> {
        match self.ask(HostRequest::JournalCount { query: query.into() }).await {
            Ok(HostAnswer::Count(count)) => Ok(count),
            other => Err(no_answer(other)),
        }
    }

    async fn recent(&mut self, query: journal_read::Query) -> Answer<Vec<journal_read::Entry>> {
        match self.ask(HostRequest::JournalRecent { query: query.into() }).await {
            Ok(HostAnswer::Entries(entries)) => Ok(entries.into_iter().map(Into::into).collect()),
            other => Err(no_answer(other)),
        }
    }
}

impl breaker_read::Host for RunState {
    async fn state(&mut self, target: String) -> Answer<Option<breaker_read::Breaker>> {
        match self.ask(HostRequest::BreakerState { target }).await {
            Ok(HostAnswer::Breaker(breaker)) => Ok(breaker.map(Into::into)),
            other => Err(no_answer(other)),
        }
    }
}

impl model::Host for RunState {
    async fn classify(
        &mut self,
        prompt: String,
        label_set: String,
        text: String,
    ) -> Answer<model::Classification> {
        match self.ask(HostRequest::ModelClassify { prompt, label_set, text }).await {
            Ok(HostAnswer::Classification { best, abstained, scores, tokens }) => {
                let scores = scores
                    .into_iter()
                    .map(|(label, probability)| model::Score { label, probability })
                    .collect();
                let usage = model::Usage { tokens };
                Ok(model::Classification { best, abstained, scores, usage })
            }
            other => Err(no_answer(other)),
        }
    }

    async fn complete(
        &mut self,
        prompt: String,
        text: String,
        max_tokens: u32,
    ) -> Answer<model::Completion> {
        match self.ask(HostRequest::ModelComplete { prompt, text, max_tokens }).await {
            Ok(HostAnswer::Completion { text, tokens }) => {
                Ok(model::Completion { text, usage: model::Usage { tokens } })
            }
            other => Err(no_answer(other)),
        }
    }

    async fn embed(&mut self, text: String) -> Answer<Vec<f32>> {
        match self.ask(HostRequest::ModelEmbed { text }).await {
            Ok(HostAnswer::Embedding(vector)) => Ok(vector),
            other => Err(no_answer(other)),
        }
    }
}

impl cockpit_read::Host for RunState {
    async fn get(&mut self, route: String, params: String) -> Answer<String> {
        match self.ask(HostRequest::CockpitGet { route, params }).await {
            Ok(HostAnswer::Json(json)) => Ok(json),
            other => Err(no_answer(other)),
        }
    }
}

/// The error that a guest sees. An answer of another shape than the question
/// asks for is a mistake of the host, and said as such.
fn no_answer(answer: Result<HostAnswer, HostError>) -> types::HostError {
    match answer {
        Ok(_) => types::HostError::Failed("the host answered another question".to_owned()),
        Err(HostError::Denied(grant)) => types::HostError::Denied(grant),
        Err(HostError::Budget(budget)) => types::HostError::Budget(budget),
        Err(HostError::Unavailable(ms)) => types::HostError::Unavailable(ms),
        Err(HostError::Invalid(reason)) => types::HostError::Invalid(reason),
        Err(HostError::Failed(reason)) => types::HostError::Failed(reason),
    }
}

impl From<journal_read::Query> for JournalQuery {
    fn from(query: journal_read::Query) -> Self {
        Self {
            recipe: query.recipe,
            from_node: query.from_node,
            session: query.session,
            action: query.action,
            since: TimestampMs(query.since),
            limit: query.limit,
        }
    }
}

impl From<JournalFact> for journal_read::Entry {
    fn from(fact: JournalFact) -> Self {
        Self {
            id: fact.id,
            at: fact.at.0,
            recipe: fact.recipe,
            action: fact.action,
            reason: fact.reason,
            from_node: fact.from_node,
        }
    }
}

impl From<BreakerFact> for breaker_read::Breaker {
    fn from(fact: BreakerFact) -> Self {
        Self {
            target: fact.target,
            reason: fact.reason,
            tripped_at: fact.tripped_at.0,
            expires_at: fact.expires_at.map(|at| at.0),
            trip_count: fact.trip_count,
        }
    }
}
