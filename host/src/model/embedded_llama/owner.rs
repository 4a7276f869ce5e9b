//! The caller's side of a model's owner thread: a bounded queue with bounded
//! waiting. Whatever the thread is doing, callers get an answer, an overflow or an
//! error within their own time. The thread is `worker`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::LlamaModel;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout_at;

use super::worker::{self, Ticket};
use crate::model::ModelError;

/// What is done with a loaded model, on its own thread.
pub(super) trait Service: Send + 'static {
    /// The model ready for it.
    type Engine<'m>;
    /// One request with its [`Reply`].
    type Work: Send + 'static;

    /// What the catalogue calls the model.
    fn model_name(&self) -> Option<&str>;

    /// # Errors
    /// When the model in the file is of no use for it.
    fn engine<'m>(
        &self,
        llama: &LlamaBackend,
        model: &'m LlamaModel,
    ) -> Result<Self::Engine<'m>, ModelError>;

    /// Answers a request, and with it whatever it takes of those that wait.
    fn answer(
        engine: &mut Self::Engine<'_>,
        work: Self::Work,
        waiting: &mut dyn FnMut() -> Option<Self::Work>,
    );

    /// Answers a request for which there is no model.
    fn refuse(work: Self::Work, error: ModelError);
}

/// How requests wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct QueueBounds {
    /// Longest wait for the model to become free.
    pub(super) timeout: Duration,
    /// Requests that may wait in the queue; further ones wait for a place in it.
    pub(super) length: usize,
}

/// A model's thread, seen from outside.
pub(super) struct Owner<S: Service> {
    path: PathBuf,
    bounds: QueueBounds,
    state: Arc<Mutex<String>>,
    inbox: Option<mpsc::Sender<Ticket<S::Work>>>,
    thread: Option<JoinHandle<()>>,
}

impl<S: Service> Owner<S> {
    /// Starts the thread, which then sleeps until the first request.
    ///
    /// # Errors
    /// [`ModelError::Failed`] if the system gives no thread.
    pub(super) fn start(
        service: S,
        path: PathBuf,
        bounds: QueueBounds,
    ) -> Result<Self, ModelError> {
        let (inbox, tickets) = mpsc::channel(bounds.length.max(1));
        let state = Arc::new(Mutex::new("not loaded yet".to_owned()));
        let (shown, file) = (Arc::clone(&state), path.clone());
        let thread = std::thread::Builder::new()
            .name("model".to_owned())
            .spawn(move || worker::run(&service, &file, tickets, &shown))
            .map_err(|e| ModelError::Failed(format!("starting the model's thread: {e}")))?;
        Ok(Self { path, bounds, state, inbox: Some(inbox), thread: Some(thread) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts a request into the queue and waits for its answer.
    pub(super) async fn submit<T>(
        &self,
        within: Duration,
        request: impl FnOnce(Reply<T>) -> S::Work,
    ) -> Result<T, ModelError> {
        let arrived = Instant::now();
        let deadline = arrived + within;
        let latest_start = arrived + self.bounds.timeout.min(within);
        let (answer, on_answer) = oneshot::channel();
        let (ticket, started) = Ticket::new(request(Reply { deadline, within, answer }));
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
        match timeout_at(deadline.into(), on_answer).await {
            Ok(answered) => answered.map_err(|_| broken())?,
            Err(_) => Err(ModelError::Timeout { within_ms: millis(within) }),
        }
    }

    /// One line for people.
    pub(super) fn summary(&self) -> String {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        format!("embedded llama.cpp, {}, {state}", self.path.display())
    }
}

impl<S: Service> Drop for Owner<S> {
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

/// Where the answer to one request goes, and until when it is wanted.
pub(super) struct Reply<T> {
    deadline: Instant,
    within: Duration,
    answer: oneshot::Sender<Result<T, ModelError>>,
}

impl<T> Reply<T> {
    /// Does the work while the answer is wanted, and sends it.
    pub(super) fn answer_with(self, work: impl FnOnce(&Stop<'_>) -> Result<T, ModelError>) {
        let abandoned = || self.answer.is_closed();
        let outcome = work(&Stop::at(self.deadline, self.within, &abandoned));
        self.send(outcome);
    }

    /// # Errors
    /// [`ModelError::Timeout`] when the answer is not wanted any more.
    pub(super) fn check(&self) -> Result<(), ModelError> {
        Stop::at(self.deadline, self.within, &|| self.answer.is_closed()).check()
    }

    pub(super) fn send(self, outcome: Result<T, ModelError>) {
        // The caller may have left; then there is nobody to tell.
        let _ = self.answer.send(outcome);
    }
}

/// When to give up in the middle of a request: its time is over, or its caller left.
pub(super) struct Stop<'a> {
    limit: Option<(Instant, Duration)>,
    abandoned: &'a dyn Fn() -> bool,
}

impl<'a> Stop<'a> {
    fn at(deadline: Instant, within: Duration, abandoned: &'a dyn Fn() -> bool) -> Self {
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

fn ended() -> ModelError {
    ModelError::Failed("the model's thread has ended; restart thrall, and report this".to_owned())
}

fn broken() -> ModelError {
    ModelError::Failed("the model broke on this request and is loaded anew".to_owned())
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
