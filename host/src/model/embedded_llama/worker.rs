//! The owner thread of one model: loads it when first asked, answers tickets
//! one by one, remembers why loading failed.
//!
//! A failed load is answered at once with the same reason and tried again after
//! a growing pause, or as soon as the file has changed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{mpsc, oneshot};

use super::engine::{Engine, load_model};
use super::{EmbeddedOptions, Stop, llama, millis};
use crate::model::ModelError;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

type Work = Box<dyn FnOnce(Result<&mut Engine<'_>, ModelError>) + Send>;

/// One request in the queue.
pub(super) struct Ticket {
    started: oneshot::Sender<()>,
    work: Work,
}

impl Ticket {
    /// A ticket, and the caller's two ends: work has begun, and the answer.
    pub(super) fn new<T: Send + 'static>(
        deadline: Instant,
        within: Duration,
        work: impl FnOnce(&mut Engine<'_>, &Stop<'_>) -> Result<T, ModelError> + Send + 'static,
    ) -> (Self, oneshot::Receiver<()>, oneshot::Receiver<Result<T, ModelError>>) {
        let (started, on_start) = oneshot::channel();
        let (answer, on_answer) = oneshot::channel();
        let work: Work = Box::new(move |engine| {
            let abandoned = || answer.is_closed();
            let outcome =
                engine.and_then(|engine| work(engine, &Stop::at(deadline, within, &abandoned)));
            // The caller may have left; then there is nobody to tell.
            let _ = answer.send(outcome);
        });
        (Self { started, work }, on_start, on_answer)
    }

    /// The work, unless its caller has left; a caller that has not learns that
    /// its turn has come.
    fn begin(self) -> Option<Work> {
        self.started.send(()).ok().map(|()| self.work)
    }
}

/// Runs until every sender is gone.
pub(super) fn run(
    options: &EmbeddedOptions,
    mut tickets: mpsc::Receiver<Ticket>,
    state: &Mutex<String>,
) {
    let mut failure: Option<LoadFailure> = None;
    while let Some(ticket) = tickets.blocking_recv() {
        let Some(work) = ticket.begin() else { continue };
        let seen = FileStamp::of(&options.path);
        if let Some(failure) = failure.as_ref().filter(|f| !f.may_retry(seen, Instant::now())) {
            work(Err(failure.answer()));
            continue;
        }
        let error = match serve(options, work, &mut tickets, state) {
            Ok(()) => return,
            Err(error) => error,
        };
        // The first words are those that scripts of the earlier thrall look for.
        tracing::warn!("Failed to load model: {error}");
        show(state, error.to_string());
        failure = Some(LoadFailure::after(failure.as_ref(), error, seen, Instant::now()));
    }
}

/// Loads the model and answers until the queue is closed. An error means that
/// there is no usable model now; the ticket in hand has got its answer.
fn serve(
    options: &EmbeddedOptions,
    first: Work,
    tickets: &mut mpsc::Receiver<Ticket>,
    state: &Mutex<String>,
) -> Result<(), ModelError> {
    show(state, "loading".to_owned());
    let began = Instant::now();
    let loaded = llama().and_then(|llama| Ok((llama, load_model(llama, &options.path)?)));
    let (llama, model) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            // Shown before it is answered: who was told looks at the state next.
            show(state, error.to_string());
            first(Err(error.clone()));
            return Err(error);
        }
    };
    let mut engine = match Engine::new(llama, &model, options) {
        Ok(engine) => engine,
        Err(error) => {
            // Shown before it is answered: who was told looks at the state next.
            show(state, error.to_string());
            first(Err(error.clone()));
            return Err(error);
        }
    };
    show(state, format!("loaded in {} ms", millis(began.elapsed())));
    let mut next = Some(first);
    loop {
        if let Some(work) = next.take() {
            // llama-cpp-2 asserts; one message must not end the model's service.
            catch_unwind(AssertUnwindSafe(|| work(Ok(&mut engine)))).map_err(|_| {
                ModelError::Failed("the model broke on a request and is loaded anew".to_owned())
            })?;
        }
        match tickets.blocking_recv() {
            Some(ticket) => next = ticket.begin(),
            None => return Ok(()),
        }
    }
}

fn show(state: &Mutex<String>, text: String) {
    *state.lock().unwrap_or_else(PoisonError::into_inner) = text;
}

/// What a file looked like; another look means another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileStamp {
    len: u64,
    modified: Option<SystemTime>,
}

impl FileStamp {
    fn of(path: &Path) -> Option<Self> {
        let about = std::fs::metadata(path).ok()?;
        Some(Self { len: about.len(), modified: about.modified().ok() })
    }
}

/// The last failure to load, and when to try again.
struct LoadFailure {
    error: ModelError,
    seen: Option<FileStamp>,
    pause: Duration,
    retry_at: Instant,
}

impl LoadFailure {
    fn after(
        earlier: Option<&Self>,
        error: ModelError,
        seen: Option<FileStamp>,
        now: Instant,
    ) -> Self {
        let pause = match earlier {
            Some(earlier) if earlier.seen == seen => (earlier.pause * 2).min(LONGEST_PAUSE),
            _ => FIRST_PAUSE,
        };
        Self { error, seen, pause, retry_at: now + pause }
    }

    fn may_retry(&self, seen: Option<FileStamp>, now: Instant) -> bool {
        now >= self.retry_at || seen != self.seen
    }

    fn answer(&self) -> ModelError {
        let reason = match &self.error {
            ModelError::Unavailable { reason } => reason.clone(),
            other => other.to_string(),
        };
        ModelError::Unavailable { reason: format!("previously failed: {reason}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(earlier: Option<&LoadFailure>, now: Instant) -> LoadFailure {
        let error = ModelError::Unavailable { reason: "gone".to_owned() };
        LoadFailure::after(earlier, error, None, now)
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        let now = Instant::now();
        let mut last = failure(None, now);
        assert!(!last.may_retry(None, now));
        assert!(last.may_retry(None, now + FIRST_PAUSE));
        for _ in 0..20 {
            last = failure(Some(&last), now);
        }
        assert_eq!(last.pause, LONGEST_PAUSE);
    }

    #[test]
    fn a_changed_file_is_tried_at_once() {
        let now = Instant::now();
        let last = failure(None, now);
        let changed = Some(FileStamp { len: 5, modified: None });
        assert!(last.may_retry(changed, now));
        assert!(last.answer().to_string().contains("previously failed: gone"));
    }
}
