//! What the rest of thrall asks of a language model: choose one label of a
//! declared set, write a bounded answer, or say what a text means as a vector.
//!
//! Here live the requests, the answers, the errors and the backend trait; those of
//! embedding are in `embedding`.
//! Prompts and label sets are pure data (`prompt`, `label_set`); only
//! `embedded_llama`, `label_scores` and `prefix_cache` know llama.cpp. What a
//! label means for a message (which action follows, which threshold holds for
//! which tier) is the recipe's business, not the model's.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use crate::envelope::sender::Tier;

pub mod catalogue;
pub mod convert;
pub mod embedded_llama;
pub mod embedding;
pub mod label_scores;
pub mod label_set;
pub mod prefix_cache;
pub mod prompt;
pub mod prompt_library;
pub mod pull;
pub mod router;

pub use embedded_llama::bench::{BenchReport, bench};
pub use embedded_llama::embedder::{EmbedderOptions, LlamaEmbedder};
pub use embedded_llama::{EmbeddedLlama, EmbeddedOptions};
pub use embedding::{EmbedRequest, Embedding, TextEmbedder};
pub use label_set::{Label, LabelSet};
pub use prompt::{Prompt, PromptForm, PromptValues};
pub use prompt_library::PromptLibrary;
pub use router::ModelRouter;

/// One message to be labelled.
#[derive(Debug, Clone)]
pub struct ClassifyRequest {
    pub prompt: Arc<Prompt>,
    pub tier: Tier,
    /// Values of the prompt's placeholders other than the tier and the body.
    pub values: PromptValues,
    /// The message. Hostile: it reaches the model only as delimited data.
    pub text: String,
    pub labels: Arc<LabelSet>,
    /// Below this probability of the best label the answer is `abstained`.
    pub threshold: f32,
    /// How long the caller waits in all, queue included.
    pub within: Duration,
}

/// The model's choice among the request's labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Classification {
    /// Always one of the labels, also when `abstained`.
    pub best: String,
    /// The best label's probability is below the request's threshold.
    pub abstained: bool,
    /// Calibrated probability of each label, in the label set's order; sums to 1.
    pub scores: Vec<(String, f32)>,
    pub usage: Usage,
}

/// A bounded text to be written, greedily: the same request, the same text.
#[derive(Debug, Clone)]
pub struct CompleteRequest {
    pub prompt: Arc<Prompt>,
    pub tier: Tier,
    pub values: PromptValues,
    pub text: String,
    /// At most [`MAX_COMPLETION_TOKENS`] are written, whatever is asked.
    pub max_tokens: u32,
    /// How long the caller waits in all, queue included.
    pub within: Duration,
}

/// What the model wrote: hostile text, like the message that it answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    pub text: String,
    pub usage: Usage,
}

/// What an answer cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Counts against budgets: prompt tokens that were not cached, and generated ones.
    pub tokens: u32,
    /// Everything decoded for this call, calibration of a new prefix included.
    pub prefill_tokens: u32,
    /// Microseconds on the model's thread; waiting is not in it.
    pub wall_us: u64,
    /// The prompt's constant prefix was already in the cache.
    pub cached_prefix: bool,
}

/// Longest answer of [`ModelBackend::complete`], in tokens: a reply, not an essay,
/// and an upper bound for the time one caller can hold the model.
pub const MAX_COMPLETION_TOKENS: u32 = 256;

/// Why there is no answer. In each case the recipe's fallback applies.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ModelError {
    /// The model is not there or could not be loaded; asking again soon is pointless.
    #[error("model unavailable: {reason}")]
    Unavailable { reason: String },
    /// The queue did not move far enough in time; the model itself is well.
    #[error("model queue overflow: waited {waited_ms} ms for a place (LLM_QUEUE_FULL)")]
    Overflow { waited_ms: u64 },
    /// Work began, but was not finished within the caller's time.
    #[error("model timeout: no answer within {within_ms} ms")]
    Timeout { within_ms: u64 },
    /// The request cannot be answered by any model as it stands.
    #[error("invalid model request: {0}")]
    Invalid(String),
    /// The backend broke on this request.
    #[error("model failed: {0}")]
    Failed(String),
}

/// Somebody who answers requests with one model.
#[async_trait]
pub trait ModelBackend: Send + Sync {
    /// Chooses one of the request's labels; never answers outside the set.
    ///
    /// # Errors
    /// See [`ModelError`]; every variant is possible, and none takes longer
    /// than the request's `within`.
    async fn classify(&self, request: ClassifyRequest) -> Result<Classification, ModelError>;

    /// Writes an answer, deterministically.
    ///
    /// # Errors
    /// As for [`ModelBackend::classify`].
    async fn complete(&self, request: CompleteRequest) -> Result<Completion, ModelError>;

    /// One line for people: which model, from where, in which state.
    fn summary(&self) -> String;
}
