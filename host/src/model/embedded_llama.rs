//! The embedded backend: llama.cpp in this process, one thread per model.
//!
//! This file is the side that callers see: a queue with bounded waiting in front
//! of the model's owner thread. The thread itself, with lazy loading, is
//! `worker`; one loaded model is `engine`. Callers always get an answer, an
//! overflow or an error within their own time, whatever the thread is doing.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use llama_cpp_2::llama_backend::LlamaBackend;
use tokio::sync::mpsc;
use tokio::time::timeout_at;

use super::{
    Classification, ClassifyRequest, CompleteRequest, Completion, ModelBackend, ModelError,
};
use engine::Engine;
use worker::Ticket;

mod answer;
pub mod bench;
mod chat_frame;
mod engine;
mod gguf_check;
mod tokens;
mod worker;

/// How one model is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedOptions {
    /// The GGUF file; looked at when the first request comes.
    pub path: PathBuf,
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

/// A model that loads on first use and answers one request at a time.
pub struct EmbeddedLlama {
    options: EmbeddedOptions,
    state: Arc<Mutex<String>>,
    inbox: Option<mpsc::Sender<Ticket>>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedLlama {
    /// Starts the owner thread, which then sleeps until the first request.
    ///
    /// # Errors
    /// [`ModelError::Failed`] if the system gives no thread.
    pub fn new(options: EmbeddedOptions) -> Result<Self, ModelError> {
        let (inbox, tickets) = mpsc::channel(options.queue_len.max(1));
        let state = Arc::new(Mutex::new("not loaded yet".to_owned()));
        let (shown, own) = (Arc::clone(&state), options.clone());
        let thread = std::thread::Builder::new()
            .name("model".to_owned())
            .spawn(move || worker::run(&own, tickets, &shown))
            .map_err(|e| ModelError::Failed(format!("starting the model's thread: {e}")))?;
        Ok(Self { options, state, inbox: Some(inbox), thread: Some(thread) })
    }

    pub fn path(&self) -> &Path {
        &self.options.path
    }

    async fn submit<T: Send + 'static>(
        &self,
        within: Duration,
        work: impl FnOnce(&mut Engine<'_>, &Stop<'_>) -> Result<T, ModelError> + Send + 'static,
    ) -> Result<T, ModelError> {
        let arrived = Instant::now();
        let deadline = arrived + within;
        let latest_start = arrived + self.options.queue_timeout.min(within);
        let (ticket, started, answer) = Ticket::new(deadline, within, work);
        let inbox = self.inbox.as_ref().ok_or_else(ended)?;
        let queued = async {
            inbox.send(ticket).await.map_err(|_| ended())?;
            started.await.map_err(|_| ended())
        };
        match timeout_at(latest_start.into(), queued).await {
            Ok(outcome) => outcome?,
            Err(_) => {
                let waited_ms = millis(arrived.elapsed());
                return Err(ModelError::Overflow { waited_ms });
            }
        }
        match timeout_at(deadline.into(), answer).await {
            Ok(answered) => answered.map_err(|_| broken())?,
            Err(_) => Err(ModelError::Timeout { within_ms: millis(within) }),
        }
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
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        format!("embedded llama.cpp, {}, {state}", self.options.path.display())
    }
}

impl Drop for EmbeddedLlama {
    /// Closes the queue and waits for the thread: llama.cpp must not be running
    /// while the process takes its globals down. Takes one step of decoding.
    fn drop(&mut self) {
        self.inbox = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has reported it; there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

/// When to give up in the middle of a request: its time is over, or its caller left.
pub(super) struct Stop<'a> {
    limit: Option<(Instant, Duration)>,
    abandoned: &'a dyn Fn() -> bool,
}

impl<'a> Stop<'a> {
    pub(super) fn at(deadline: Instant, within: Duration, abandoned: &'a dyn Fn() -> bool) -> Self {
        Self { limit: Some((deadline, within)), abandoned }
    }

    pub(super) fn never() -> Self {
        Self { limit: None, abandoned: &|| false }
    }

    pub(super) fn check(&self) -> Result<(), ModelError> {
        match self.limit {
            Some((deadline, within)) if Instant::now() >= deadline || (self.abandoned)() => {
                Err(ModelError::Timeout { within_ms: millis(within) })
            }
            _ => Ok(()),
        }
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

fn ended() -> ModelError {
    ModelError::Failed("the model's thread has ended; restart thrall, and report this".to_owned())
}

fn broken() -> ModelError {
    ModelError::Failed("the model broke on this request and is loaded anew".to_owned())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
