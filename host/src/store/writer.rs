//! The one thread that writes. Commands wait in a bounded channel; the thread
//! takes all that wait, up to a bound, into one transaction, so that one fsync
//! serves them all, and answers when it is durable. If any of them fails, the
//! batch is rolled back and each runs alone: a failing command cannot take its
//! neighbours with it.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{Notify, mpsc, oneshot};

use super::checkpointer::Checkpointer;
use super::error::StoreError;
use super::session::Session;
use super::trouble::Trouble;

/// Commands that may wait; a sender beyond them waits too.
const QUEUE: usize = 1024;
/// Events in one transaction: enough to share an fsync, few enough that the
/// first of them does not wait long for the last.
const MAX_BATCH_WEIGHT: usize = 512;

/// A command. `run` may be called twice, the first time in a batch that is
/// then rolled back.
trait Job: Send {
    fn weight(&self) -> usize;
    /// Whether it succeeded; the result is kept for `answer`.
    fn run(&mut self, session: &mut Session) -> Result<(), StoreError>;
    fn answer(self: Box<Self>, outcome: Result<(), StoreError>);
}

struct Task<W, T> {
    weight: usize,
    work: W,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<W, T> Job for Task<W, T>
where
    W: FnMut(&mut Session) -> Result<T, StoreError> + Send,
    T: Send,
{
    fn weight(&self) -> usize {
        self.weight
    }

    fn run(&mut self, session: &mut Session) -> Result<(), StoreError> {
        self.value = Some((self.work)(session)?);
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), StoreError>) {
        let Self { value, reply, .. } = *self;
        // Who no longer waits for the answer does not need it.
        let _ = reply.send(outcome.and_then(|()| value.ok_or(StoreError::Closed)));
    }
}

/// The door to the writer thread. Dropping it lets the thread finish what
/// waits and then end.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    outbox_signal: Arc<Notify>,
}

impl Writer {
    pub(super) fn start(
        session: Session,
        checkpointer: Checkpointer,
        trouble: Trouble,
    ) -> Result<Self, StoreError> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let outbox_signal = Arc::new(Notify::new());
        let signal = Arc::clone(&outbox_signal);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || work_through(session, jobs, &checkpointer, &signal, &trouble))
            .map_err(|source| StoreError::Open { path: "store-writer".into(), source })?;
        Ok(Self { queue: Some(queue), thread: Some(thread), outbox_signal })
    }

    /// Woken after each batch that left something to perform.
    pub(super) fn outbox_signal(&self) -> Arc<Notify> {
        Arc::clone(&self.outbox_signal)
    }

    /// Runs `work` on the writer thread; returns when it is durable.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        weight: usize,
        work: impl FnMut(&mut Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (job, answer) = task(weight, work);
        let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
        queue.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// As [`Self::run`], for callers outside of any async runtime.
    pub(super) fn run_blocking<T: Send + 'static>(
        &self,
        weight: usize,
        work: impl FnMut(&mut Session) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (job, answer) = task(weight, work);
        let queue = self.queue.as_ref().ok_or(StoreError::Closed)?;
        queue.blocking_send(job).map_err(|_| StoreError::Closed)?;
        answer.blocking_recv().map_err(|_| StoreError::Closed)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

type Reply<T> = oneshot::Receiver<Result<T, StoreError>>;

fn task<T: Send + 'static>(
    weight: usize,
    work: impl FnMut(&mut Session) -> Result<T, StoreError> + Send + 'static,
) -> (Box<dyn Job>, Reply<T>) {
    let (reply, answer) = oneshot::channel();
    (Box::new(Task { weight, work, value: None, reply }), answer)
}

fn work_through(
    mut session: Session,
    mut jobs: mpsc::Receiver<Box<dyn Job>>,
    checkpointer: &Checkpointer,
    outbox_signal: &Notify,
    trouble: &Trouble,
) {
    let mut batch: Vec<Box<dyn Job>> = Vec::new();
    while let Some(first) = jobs.blocking_recv() {
        let mut weight = first.weight();
        batch.push(first);
        while weight < MAX_BATCH_WEIGHT {
            let Ok(next) = jobs.try_recv() else { break };
            weight += next.weight();
            batch.push(next);
        }
        run_batch(&mut session, &mut batch, outbox_signal, trouble);
        checkpointer.after_commit(&session.connection);
    }
}

fn run_batch(
    session: &mut Session,
    batch: &mut Vec<Box<dyn Job>>,
    outbox_signal: &Notify,
    trouble: &Trouble,
) {
    let together =
        watched(session, trouble, |session| batch.iter_mut().try_for_each(|job| job.run(session)));
    let mut outbox_grew = session.outbox_grew;
    match together {
        Ok(()) => batch.drain(..).for_each(|job| job.answer(Ok(()))),
        Err(error) if batch.len() == 1 => {
            if let Some(job) = batch.pop() {
                job.answer(Err(error));
            }
        }
        Err(_) => {
            for mut job in batch.drain(..) {
                let alone = watched(session, trouble, |session| job.run(session));
                outbox_grew |= session.outbox_grew;
                job.answer(alone);
            }
        }
    }
    if outbox_grew {
        outbox_signal.notify_one();
    }
}

/// One transaction, and a note of whether it could be written.
fn watched(
    session: &mut Session,
    trouble: &Trouble,
    work: impl FnOnce(&mut Session) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let before = session.connection.total_changes();
    let result = session.transaction(work);
    let has_written = session.connection.total_changes() != before;
    trouble.note(&result, has_written);
    result
}
