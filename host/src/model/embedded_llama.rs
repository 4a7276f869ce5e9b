//! The embedded backend: llama.cpp in this process, one thread per model.
//!
//! `owner` is what callers see of such a thread and `worker` the thread, with lazy
//! loading; both serve any kind of model. Here is the one that answers questions:
//! `engine` has it loaded, `answer` uses it. The one that embeds is `embedder`.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use async_trait::async_trait;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;

use super::{
    Classification, ClassifyRequest, CompleteRequest, Completion, ModelBackend, ModelError,
};
use engine::Engine;
use owner::{Owner, QueueBounds, Reply, Service, Stop};

mod answer;
pub mod bench;
mod chat_frame;
pub mod embed_bench;
pub mod embedder;
mod embedding_engine;
mod engine;
mod gguf_check;
mod owner;
mod spare_cores;
mod tokens;
mod worker;

/// How one model is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedOptions {
    /// The GGUF file; looked at when the first request comes.
    pub path: PathBuf,
    /// What the catalogue calls it; said to whoever has not fetched it.
    pub name: Option<String>,
    /// Threads for decoding.
    pub threads: usize,
    /// Tokens that prompt, message and answer may take together.
    pub context_tokens: u32,
    /// Tokens decoded between two looks at the clock.
    pub step_tokens: usize,
    /// Longest wait for the model to become free.
    pub queue_timeout: Duration,
    /// Requests that may wait in the queue; further ones wait for a place in it.
    pub queue_len: usize,
}

impl EmbeddedOptions {
    /// The defaults for a model file, threads from the machine.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            name: None,
            threads: std::thread::available_parallelism().map_or(2, usize::from),
            context_tokens: 2048,
            // Most messages are one step; 128 tokens are 0.15 s with a 270M
            // model on two cores and half a second with a 1B one.
            step_tokens: 128,
            queue_timeout: Duration::from_secs(5),
            queue_len: 64,
        }
    }
}

/// A request to the model, with its way back.
type Work = Box<dyn FnOnce(Result<&mut Engine<'_>, ModelError>) + Send>;

/// Questions are answered one at a time.
struct Questions(EmbeddedOptions);

impl Service for Questions {
    type Engine<'m> = Engine<'m>;
    type Work = Work;

    fn model_name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    fn engine<'m>(
        &self,
        llama: &LlamaBackend,
        model: &'m LlamaModel,
    ) -> Result<Engine<'m>, ModelError> {
        Engine::new(llama, model, &self.0)
    }

    fn answer(engine: &mut Engine<'_>, work: Work, _waiting: &mut dyn FnMut() -> Option<Work>) {
        work(Ok(engine));
    }

    fn refuse(work: Work, error: ModelError) {
        work(Err(error));
    }
}

/// A model that loads on first use and answers one request at a time.
pub struct EmbeddedLlama {
    owner: Owner<Questions>,
}

impl EmbeddedLlama {
    /// Starts the owner thread, which then sleeps until the first request.
    ///
    /// # Errors
    /// [`ModelError::Failed`] if the system gives no thread.
    pub fn new(options: EmbeddedOptions) -> Result<Self, ModelError> {
        let bounds = QueueBounds { timeout: options.queue_timeout, length: options.queue_len };
        let path = options.path.clone();
        Ok(Self { owner: Owner::start(Questions(options), path, bounds)? })
    }

    pub fn path(&self) -> &Path {
        self.owner.path()
    }

    async fn submit<T: Send + 'static>(
        &self,
        within: Duration,
        work: impl FnOnce(&mut Engine<'_>, &Stop<'_>) -> Result<T, ModelError> + Send + 'static,
    ) -> Result<T, ModelError> {
        let request = |reply: Reply<T>| -> Work {
            Box::new(move |engine: Result<&mut Engine<'_>, ModelError>| {
                reply.answer_with(|stop| engine.and_then(|engine| work(engine, stop)));
            })
        };
        self.owner.submit(within, request).await
    }
}

#[async_trait]
impl ModelBackend for EmbeddedLlama {
    async fn classify(&self, request: ClassifyRequest) -> Result<Classification, ModelError> {
        let within = request.within;
        self.submit(within, move |engine, stop| engine.classify(&request, stop)).await
    }

    async fn complete(&self, request: CompleteRequest) -> Result<Completion, ModelError> {
        let within = request.within;
        self.submit(within, move |engine, stop| engine.complete(&request, stop)).await
    }

    fn summary(&self) -> String {
        self.owner.summary()
    }
}

/// llama.cpp's process-wide state, made once. Its log goes to tracing only when
/// somebody debugs: at `info` it is a hundred lines per model.
pub(super) fn llama() -> Result<&'static LlamaBackend, ModelError> {
    static LLAMA: OnceLock<Result<LlamaBackend, String>> = OnceLock::new();
    let made = LLAMA.get_or_init(|| {
        let verbose = tracing::enabled!(tracing::Level::DEBUG);
        let options = llama_cpp_2::LogOptions::default().with_logs_enabled(verbose);
        llama_cpp_2::send_logs_to_tracing(options);
        LlamaBackend::init().map_err(|e| e.to_string())
    });
    made.as_ref().map_err(|e| ModelError::Failed(format!("starting llama.cpp: {e}")))
}

#[cfg(test)]
mod tests;
