//! Embedding through llama.cpp: requests that wait are embedded together, side by
//! side, as far as they fit. What a text's vector is does not depend on that.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;

use super::embedding_engine::{EmbeddingEngine, MAX_TEXTS, Text};
use super::owner::{Owner, QueueBounds, Reply, Service};
use crate::model::embedding::MAX_TOKENS;
use crate::model::{EmbedRequest, Embedding, ModelError, TextEmbedder, Usage};

/// How an embedding model is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbedderOptions {
    /// The GGUF file; looked at when the first request comes.
    pub path: PathBuf,
    /// What the catalogue calls it; said to whoever has not fetched it.
    pub name: Option<String>,
    pub threads: usize,
    /// Longest wait for the model to become free.
    pub queue_timeout: Duration,
    /// Requests that may wait in the queue; further ones wait for a place in it.
    pub queue_len: usize,
}

impl EmbedderOptions {
    /// The defaults for a model file, threads from the machine.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            name: None,
            threads: std::thread::available_parallelism().map_or(2, usize::from),
            queue_timeout: Duration::from_secs(5),
            queue_len: 64,
        }
    }
}

/// An embedding model that loads on first use.
pub struct LlamaEmbedder {
    owner: Owner<Texts>,
}

impl LlamaEmbedder {
    /// Starts the owner thread, which then sleeps until the first request.
    ///
    /// # Errors
    /// [`ModelError::Failed`] if the system gives no thread.
    pub fn new(options: EmbedderOptions) -> Result<Self, ModelError> {
        let EmbedderOptions { path, name, threads, queue_timeout, queue_len } = options;
        let bounds = QueueBounds { timeout: queue_timeout, length: queue_len };
        Ok(Self { owner: Owner::start(Texts { name, threads }, path, bounds)? })
    }
}

#[async_trait]
impl TextEmbedder for LlamaEmbedder {
    async fn embed(&self, request: EmbedRequest) -> Result<Embedding, ModelError> {
        let within = request.within();
        self.owner.submit(within, move |reply| Work { request, reply }).await
    }

    fn summary(&self) -> String {
        self.owner.summary()
    }
}

struct Texts {
    name: Option<String>,
    threads: usize,
}

struct Work {
    request: EmbedRequest,
    reply: Reply<Embedding>,
}

impl Service for Texts {
    type Engine<'m> = EmbeddingEngine<'m>;
    type Work = Work;

    fn model_name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    fn engine<'m>(
        &self,
        llama: &LlamaBackend,
        model: &'m LlamaModel,
    ) -> Result<EmbeddingEngine<'m>, ModelError> {
        EmbeddingEngine::new(llama, model, self.threads)
    }

    fn answer(
        engine: &mut EmbeddingEngine<'_>,
        work: Work,
        waiting: &mut dyn FnMut() -> Option<Work>,
    ) {
        let mut first = Some(work);
        // The one that did not fit begins the next round: it has been told that its
        // turn has come.
        while let Some(work) = first.take() {
            let mut together = Together::default();
            first = together.add(engine, work);
            while first.is_none() && !together.is_full() {
                let Some(work) = waiting() else { break };
                first = together.add(engine, work);
            }
            together.embed(engine);
        }
    }

    fn refuse(work: Work, error: ModelError) {
        work.reply.send(Err(error));
    }
}

/// Texts that are embedded in one go. All of them together have at most the tokens
/// that one may have: nobody waits longer for neighbours than for a long text.
#[derive(Default)]
struct Together {
    texts: Vec<Text>,
    replies: Vec<(Reply<Embedding>, bool)>,
    tokens: usize,
}

impl Together {
    fn is_full(&self) -> bool {
        self.texts.len() >= MAX_TEXTS
    }

    /// Takes a request, or gives back one that does not fit.
    fn add(&mut self, engine: &EmbeddingEngine<'_>, work: Work) -> Option<Work> {
        if let Err(error) = work.reply.check() {
            work.reply.send(Err(error));
            return None;
        }
        let text = engine.text(work.request.text());
        if !self.texts.is_empty() && self.tokens + text.len() > MAX_TOKENS {
            return Some(work);
        }
        self.tokens += text.len();
        let truncated = text.is_cut() || work.request.is_cut();
        self.texts.push(text);
        self.replies.push((work.reply, truncated));
        None
    }

    fn embed(self, engine: &mut EmbeddingEngine<'_>) {
        if self.texts.is_empty() {
            return;
        }
        let began = Instant::now();
        let embedded = engine.embed(&self.texts);
        let wall_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        match embedded {
            Ok(vectors) => {
                let each = self.replies.into_iter().zip(&self.texts).zip(vectors);
                for (((reply, truncated), text), vector) in each {
                    let tokens = u32::try_from(text.len()).unwrap_or(u32::MAX);
                    let usage =
                        Usage { tokens, prefill_tokens: tokens, wall_us, cached_prefix: false };
                    reply.send(Ok(Embedding { vector, truncated, usage }));
                }
            }
            Err(error) => {
                for (reply, _) in self.replies {
                    reply.send(Err(error.clone()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
