//! The live world's answers to guests: the journal, context and flags from the
//! store, the model from its service, breakers from their folder. Namespaces and scopes are narrowed here,
//! after the gate has let a question through and before anything is read.

use std::sync::Arc;

use async_trait::async_trait;

use super::breaker_folder::BreakerFolder;
use super::model_questions::ModelQuestions;
use crate::breakers::Target;
use crate::clock::TimestampMs;
use crate::envelope::Field;
use crate::ids::Digest;
use crate::journal::CachedVerdict;
use crate::pipeline::ports::{Answers, FactError, Facts, Scope};
use crate::stage::{HostAnswer, HostError, HostRequest, JournalQuery};
use crate::store::{Reader, StoreError};

/// Answers from the store and the model service.
pub struct LiveAnswers {
    reader: Arc<Reader>,
    model: Arc<ModelQuestions>,
    breakers: Arc<BreakerFolder>,
}

impl LiveAnswers {
    pub fn new(
        reader: Arc<Reader>,
        model: Arc<ModelQuestions>,
        breakers: Arc<BreakerFolder>,
    ) -> Self {
        Self { reader, model, breakers }
    }
}

#[async_trait]
impl Answers for LiveAnswers {
    async fn answer(&self, scope: &Scope, request: &HostRequest) -> Result<HostAnswer, HostError> {
        match request {
            HostRequest::ContextGet { session, key } => {
                own_session(scope, session)?;
                self.reader
                    .context_value(&scope.recipe, session, key, scope.now)
                    .map(HostAnswer::Text)
                    .map_err(failed)
            }
            HostRequest::ContextFlag { key } => self
                .reader
                .flag(&scope.recipe, key, scope.now)
                .map(HostAnswer::Text)
                .map_err(failed),
            HostRequest::JournalCount { query } => {
                let query = own_rows(scope, query)?;
                self.reader.journal_count(&query, scope.now).map(HostAnswer::Count).map_err(failed)
            }
            HostRequest::JournalRecent { query } => {
                let query = own_rows(scope, query)?;
                self.reader
                    .journal_recent(&query, scope.now)
                    .map(HostAnswer::Entries)
                    .map_err(failed)
            }
            HostRequest::ModelClassify { prompt, label_set, text } => {
                self.model.classify_for_guest(prompt, label_set, text).await
            }
            HostRequest::ModelComplete { prompt, text, max_tokens } => {
                self.model.complete_for_guest(prompt, text, *max_tokens).await
            }
            HostRequest::ModelEmbed { .. } => {
                Err(HostError::Failed("this version has no embedding model".to_owned()))
            }
            HostRequest::BreakerState { target } => {
                let target =
                    Target::parse(target).map_err(|error| HostError::Invalid(error.to_string()))?;
                self.breakers
                    .state(&target, scope.now)
                    .map(HostAnswer::Breaker)
                    .map_err(HostError::Failed)
            }
            HostRequest::CockpitGet { .. } => {
                Err(HostError::Failed("no node is connected".to_owned()))
            }
        }
    }
}

/// Context belongs to the session of the event at hand.
fn own_session(scope: &Scope, session: &str) -> Result<(), HostError> {
    if session == scope.session {
        Ok(())
    } else {
        Err(HostError::Denied(
            "context of other sessions: no grant of this version gives it".to_owned(),
        ))
    }
}

/// Without a wider grant a recipe reads the rows that it wrote itself.
fn own_rows(scope: &Scope, query: &JournalQuery) -> Result<JournalQuery, HostError> {
    match &query.recipe {
        Some(recipe) if *recipe != scope.recipe => Err(HostError::Denied(
            "journal rows of other recipes: no grant of this version gives them".to_owned(),
        )),
        _ => Ok(JournalQuery { recipe: Some(scope.recipe.clone()), ..query.clone() }),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn failed(error: StoreError) -> HostError {
    HostError::Failed(error.to_string())
}

/// The host's own facts, from the store.
pub struct LiveFacts {
    reader: Arc<Reader>,
}

impl LiveFacts {
    pub fn new(reader: Arc<Reader>) -> Self {
        Self { reader }
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
        since: TimestampMs,
        cap: u32,
    ) -> Result<u32, FactError> {
        self.reader.rate_count(recipe, sender_key, since, cap).map_err(unreadable("rate count"))
    }

    fn cached(&self, key: &Digest, now: TimestampMs) -> Result<Option<CachedVerdict>, FactError> {
        self.reader.cached(key, now).map_err(unreadable("verdict cache"))
    }

    fn context(
        &self,
        recipe: &str,
        session: &str,
        now: TimestampMs,
    ) -> Result<Vec<Field>, FactError> {
        self.reader.context(recipe, session, now).map_err(unreadable("context"))
    }
}
