//! The model for those who waited for it long enough: everything is as usual,
//! but each question is answered with an overflow, and the recipe goes on
//! without. That it was asked is in the record like any question.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::pipeline::ports::{Answers, Classifier, ModelQuestion, Ports, PreparedQuestion, Scope};
use crate::stage::{HostAnswer, HostError, HostRequest};

/// The same ports with a model that has no time; `waited` is how long the
/// event stood in line for it.
pub fn busy(ports: &Ports, waited: Duration) -> Ports {
    let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
    Ports {
        classifier: Arc::new(BusyClassifier { usual: Arc::clone(&ports.classifier), waited_ms }),
        answers: Arc::new(BusyAnswers { usual: Arc::clone(&ports.answers), waited_ms }),
        ..ports.clone()
    }
}

struct BusyClassifier {
    usual: Arc<dyn Classifier>,
    waited_ms: u64,
}

#[async_trait]
impl Classifier for BusyClassifier {
    fn prepare(&self, question: &ModelQuestion<'_>) -> Result<PreparedQuestion, HostError> {
        self.usual.prepare(question)
    }

    async fn classify(&self, _: &PreparedQuestion) -> Result<HostAnswer, HostError> {
        Err(HostError::Unavailable(self.waited_ms))
    }
}

struct BusyAnswers {
    usual: Arc<dyn Answers>,
    waited_ms: u64,
}

#[async_trait]
impl Answers for BusyAnswers {
    async fn answer(&self, scope: &Scope, request: &HostRequest) -> Result<HostAnswer, HostError> {
        match request {
            HostRequest::ModelClassify { .. }
            | HostRequest::ModelComplete { .. }
            | HostRequest::ModelEmbed { .. } => Err(HostError::Unavailable(self.waited_ms)),
            _ => self.usual.answer(scope, request).await,
        }
    }

    fn model_of(&self, request: &HostRequest) -> Option<String> {
        self.usual.model_of(request)
    }

    fn prompt_hash_of(&self, request: &HostRequest) -> Option<String> {
        self.usual.prompt_hash_of(request)
    }
}
