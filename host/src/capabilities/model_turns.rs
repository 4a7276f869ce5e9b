//! Turns before the model. A run takes one when it asks, not when it begins: most
//! recipes that can ask a model decide by their rules, and those must not stand in
//! line behind the few that do ask. Who has no turn until their patience ends is
//! answered as by a busy model, and the recipe goes on without.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::pipeline::ports::{Answers, Classifier, ModelQuestion, Ports, PreparedQuestion, Scope};
use crate::stage::{HostAnswer, HostError, HostRequest};

/// The turns that there are, first come first served.
pub struct ModelTurns(Semaphore);

impl ModelTurns {
    pub fn new(turns: usize) -> Arc<Self> {
        Arc::new(Self(Semaphore::new(turns)))
    }
}

/// The same ports, with a model that is asked in turn. One waits from `since` on,
/// until `until`, or for as long as it takes.
pub fn in_turn(
    ports: &Ports,
    turns: &Arc<ModelTurns>,
    since: Instant,
    until: Option<Instant>,
) -> Ports {
    let line = Line { turns: Arc::clone(turns), since, until };
    Ports {
        classifier: Arc::new(InTurn { usual: Arc::clone(&ports.classifier), line: line.clone() }),
        answers: Arc::new(InTurn { usual: Arc::clone(&ports.answers), line }),
        ..ports.clone()
    }
}

/// A place in the line.
#[derive(Clone)]
struct Line {
    turns: Arc<ModelTurns>,
    since: Instant,
    until: Option<Instant>,
}

impl Line {
    async fn turn(&self) -> Result<SemaphorePermit<'_>, HostError> {
        let acquired = self.turns.0.acquire();
        let turn = match self.until {
            Some(until) => tokio::time::timeout_at(until.into(), acquired).await.ok(),
            None => Some(acquired.await),
        };
        turn.and_then(Result::ok).ok_or_else(|| {
            let waited = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
            HostError::Unavailable(waited)
        })
    }
}

struct InTurn<T: ?Sized> {
    line: Line,
    usual: Arc<T>,
}

#[async_trait]
impl Classifier for InTurn<dyn Classifier> {
    fn prepare(&self, question: &ModelQuestion<'_>) -> Result<PreparedQuestion, HostError> {
        self.usual.prepare(question)
    }

    async fn classify(&self, question: &PreparedQuestion) -> Result<HostAnswer, HostError> {
        let _turn = self.line.turn().await?;
        self.usual.classify(question).await
    }
}

#[async_trait]
impl Answers for InTurn<dyn Answers> {
    async fn answer(&self, scope: &Scope, request: &HostRequest) -> Result<HostAnswer, HostError> {
        let _turn = match request {
            HostRequest::ModelClassify { .. } | HostRequest::ModelComplete { .. } => {
                Some(self.line.turn().await?)
            }
            _ => None,
        };
        self.usual.answer(scope, request).await
    }

    fn model_of(&self, request: &HostRequest) -> Option<String> {
        self.usual.model_of(request)
    }

    fn prompt_hash_of(&self, request: &HostRequest) -> Option<String> {
        self.usual.prompt_hash_of(request)
    }
}
