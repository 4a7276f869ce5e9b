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

use super::engine::load_model;
use super::llama;
use super::owner::{Service, millis};
use crate::model::ModelError;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// One request in the queue.
pub(super) struct Ticket<W> {
    started: oneshot::Sender<()>,
    work: W,
}

impl<W> Ticket<W> {
    /// A ticket, and what tells its caller that work has begun.
    pub(super) fn new(work: W) -> (Self, oneshot::Receiver<()>) {
        let (started, on_start) = oneshot::channel();
        (Self { started, work }, on_start)
    }

    /// The work, unless its caller has left; a caller that has not learns that
    /// its turn has come.
    fn begin(self) -> Option<W> {
        self.started.send(()).ok().map(|()| self.work)
    }
}

/// Runs until every sender is gone.
pub(super) fn run<S: Service>(
    service: &S,
    path: &Path,
    mut tickets: mpsc::Receiver<Ticket<S::Work>>,
    state: &Mutex<String>,
) {
    let mut failure: Option<LoadFailure> = None;
    while let Some(ticket) = tickets.blocking_recv() {
        let Some(work) = ticket.begin() else { continue };
        let seen = FileStamp::of(path);
        if let Some(failure) = failure.as_ref().filter(|f| !f.may_retry(seen, Instant::now())) {
            S::refuse(work, failure.answer());
            continue;
        }
        let error = match serve(service, path, work, &mut tickets, state) {
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
fn serve<S: Service>(
    service: &S,
    path: &Path,
    first: S::Work,
    tickets: &mut mpsc::Receiver<Ticket<S::Work>>,
    state: &Mutex<String>,
) -> Result<(), ModelError> {
    show(state, "loading".to_owned());
    let began = Instant::now();
    let loaded =
        llama().and_then(|llama| Ok((llama, load_model(llama, path, service.model_name())?)));
    let (llama, model) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => return Err(refused::<S>(first, error, state)),
    };
    let mut engine = match service.engine(llama, &model) {
        Ok(engine) => engine,
        Err(error) => return Err(refused::<S>(first, error, state)),
    };
    show(state, format!("loaded in {} ms", millis(began.elapsed())));
    let mut next = Some(first);
    loop {
        if let Some(work) = next.take() {
            let mut waiting = || loop {
                if let Some(work) = tickets.try_recv().ok()?.begin() {
                    return Some(work);
                }
            };
            // llama-cpp-2 asserts; one message must not end the model's service.
            catch_unwind(AssertUnwindSafe(|| S::answer(&mut engine, work, &mut waiting))).map_err(
                |_| {
                    let what = "the model broke on a request and is loaded anew";
                    ModelError::Failed(what.to_owned())
                },
            )?;
        }
        match tickets.blocking_recv() {
            Some(ticket) => next = ticket.begin(),
            None => return Ok(()),
        }
    }
}

/// Shown before it is answered: who was told looks at the state next.
fn refused<S: Service>(first: S::Work, error: ModelError, state: &Mutex<String>) -> ModelError {
    show(state, error.to_string());
    S::refuse(first, error.clone());
    error
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
