//! The live world's answers to guests and to the gather stage: the journal,
//! context and flags from the store, the model from its service, the breakers
//! that stand, routes from the node. Questions arrive as narrow as they were
//! granted, with the namespaces that they are about; see `pipeline/gate.rs`.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;

use super::model_questions::ModelQuestions;
use super::standing_breakers::Breakers;
use crate::breakers::{Stopped, Target};
use crate::clock::{TimestampMs, Window};
use crate::envelope::Field;
use crate::ids::{Digest, EnvelopeSeq};
use crate::journal::CachedVerdict;
use crate::pipeline::ports::{Answers, Cockpit, FactError, Facts, MAX_COCKPIT_BYTES, Scope};
use crate::sender_limits::loops::SenderHistory;
use crate::stage::{HostAnswer, HostError, HostRequest};
use crate::store::{Reader, StoreError};

/// Answers from the store, the model service and the node.
pub struct LiveAnswers {
    reader: Arc<Reader>,
    model: Arc<ModelQuestions>,
    breakers: Arc<Breakers>,
    cockpit: Arc<dyn Cockpit>,
}

impl LiveAnswers {
    pub fn new(
        reader: Arc<Reader>,
        model: Arc<ModelQuestions>,
        breakers: Arc<Breakers>,
        cockpit: Arc<dyn Cockpit>,
    ) -> Self {
        Self { reader, model, breakers, cockpit }
    }
}

#[async_trait]
impl Answers for LiveAnswers {
    async fn answer(&self, scope: &Scope, request: &HostRequest) -> Result<HostAnswer, HostError> {
        match request {
            HostRequest::ContextGet { session, key } => self
                .reader
                .context_value(
                    &scope.context_namespace,
                    scope.context_sender.as_deref(),
                    session,
                    key,
                    scope.now,
                )
                .map(HostAnswer::Text)
                .map_err(failed),
            HostRequest::ContextFlag { key } => self
                .reader
                .flag(&scope.flag_namespace, key, scope.now)
                .map(HostAnswer::Text)
                .map_err(failed),
            HostRequest::JournalCount { query } => {
                self.reader.journal_count(query, scope.now).map(HostAnswer::Count).map_err(failed)
            }
            HostRequest::JournalRecent { query } => self
                .reader
                .journal_recent(query, scope.now)
                .map(HostAnswer::Entries)
                .map_err(failed),
            HostRequest::ModelClassify { prompt, label_set, text } => {
                self.model.classify_for_guest(prompt, label_set, text).await
            }
            HostRequest::ModelComplete { prompt, text, max_tokens } => {
                self.model.complete_for_guest(prompt, text, *max_tokens).await
            }
            HostRequest::ModelEmbed { text } => self.model.embed_for_guest(text).await,
            HostRequest::BreakerState { target } => {
                let target =
                    Target::parse(target).map_err(|error| HostError::Invalid(error.to_string()))?;
                self.breakers
                    .state(&target, scope.now)
                    .map(HostAnswer::Breaker)
                    .map_err(HostError::Failed)
            }
            HostRequest::CockpitGet { route, params } => {
                let answer = self.cockpit.get(route, params).await?;
                bounded(route, answer).map(HostAnswer::Json)
            }
        }
    }

    fn model_of(&self, request: &HostRequest) -> Option<String> {
        match request {
            HostRequest::ModelClassify { prompt, .. }
            | HostRequest::ModelComplete { prompt, .. } => Some(self.model.model_of_prompt(prompt)),
            HostRequest::ModelEmbed { .. } => Some(self.model.embedder_name()),
            _ => None,
        }
    }

    fn prompt_hash_of(&self, request: &HostRequest) -> Option<String> {
        match request {
            HostRequest::ModelClassify { prompt, .. }
            | HostRequest::ModelComplete { prompt, .. } => self.model.hash_of_prompt(prompt),
            _ => None,
        }
    }
}

/// Whatever the node sends, a guest is not given more than the contract says.
fn bounded(route: &str, answer: String) -> Result<String, HostError> {
    if answer.len() <= MAX_COCKPIT_BYTES {
        return Ok(answer);
    }
    let length = answer.len();
    Err(HostError::Failed(format!(
        "the node's answer to {route:?} has {length} bytes, the limit is {MAX_COCKPIT_BYTES}"
    )))
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn failed(error: StoreError) -> HostError {
    HostError::Failed(error.to_string())
}

/// The host's own facts, from the store and the breakers that stand.
pub struct LiveFacts {
    reader: Arc<Reader>,
    breakers: Arc<Breakers>,
}

impl LiveFacts {
    pub fn new(reader: Arc<Reader>, breakers: Arc<Breakers>) -> Self {
        Self { reader, breakers }
    }
}

fn unreadable(what: &'static str) -> impl Fn(StoreError) -> FactError {
    move |error| FactError { what, cause: error.to_string() }
}

impl Facts for LiveFacts {
    fn cooldown_last(&self, recipe: &str, key: &str) -> Result<Option<TimestampMs>, FactError> {
        self.reader.cooldown_last(recipe, key).map_err(unreadable("cooldown"))
    }

    fn rate_count(
        &self,
        recipe: &str,
        sender_key: &str,
        window: Window,
        cap: u32,
    ) -> Result<u32, FactError> {
        self.reader.rate_count(recipe, sender_key, window, cap).map_err(unreadable("rate count"))
    }

    fn operation_count(
        &self,
        recipe: &str,
        kind: &str,
        window: Window,
        cap: u32,
    ) -> Result<u32, FactError> {
        self.reader
            .operation_count(recipe, kind, window, cap)
            .map_err(unreadable("number of operations"))
    }

    fn sender_history(
        &self,
        sender_key: &str,
        session: &str,
        root: EnvelopeSeq,
        now: TimestampMs,
    ) -> Result<SenderHistory, FactError> {
        self.reader
            .sender_history(sender_key, session, root, now)
            .map_err(unreadable("history of a sender"))
    }

    fn cached(&self, key: &Digest, now: TimestampMs) -> Result<Option<CachedVerdict>, FactError> {
        self.reader.cached(key, now).map_err(unreadable("verdict cache"))
    }

    fn context(
        &self,
        namespace: &str,
        sender_key: Option<&str>,
        session: &str,
        now: TimestampMs,
    ) -> Result<Vec<Field>, FactError> {
        self.reader.context(namespace, sender_key, session, now).map_err(unreadable("context"))
    }

    fn descendants(&self, root: EnvelopeSeq) -> Result<u32, FactError> {
        self.reader.descendants(root).map_err(unreadable("number of triggered events"))
    }

    fn breaker(
        &self,
        targets: &[Cow<'static, str>],
        now: TimestampMs,
    ) -> Result<Option<Stopped>, FactError> {
        Ok(self.breakers.stop(targets, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_the_node_is_taken_up_to_its_bound() {
        let most = "x".repeat(MAX_COCKPIT_BYTES);
        assert!(bounded("peers", most.clone()).is_ok());
        let Err(HostError::Failed(why)) = bounded("peers", most + "x") else { panic!() };
        assert!(why.contains("\"peers\" has 262145 bytes"), "{why}");
    }
}
