//! The loop that lets the performer work: when the store says that there is
//! something, and now and then for what is tried again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use crate::clock::Clock;
use crate::engine::Engine;
use crate::outbox::Performer;
use crate::telemetry::EventLog;

/// How often rows that failed are looked at again.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// How long new rows are begun after the end was asked for.
const LAST_ROWS: Duration = Duration::from_millis(500);

/// Who performs, on what, and what it tells.
#[derive(Clone)]
pub struct Performing {
    pub performer: Arc<Mutex<Performer>>,
    pub engine: Engine,
    pub clock: Arc<dyn Clock>,
    pub log: Arc<EventLog>,
}

/// When no further row is begun.
type Ends = Arc<dyn Fn() -> bool + Send + Sync>;

impl Performing {
    /// Performs until `stopped`; then the attempt under way is ended, and for a
    /// moment what the last runs left is performed.
    pub async fn run(self, signal: Arc<Notify>, mut stopped: watch::Receiver<bool>) {
        let mut every = tokio::time::interval(RETRY_EVERY);
        let is_stopped = stopped.clone();
        let mut ends: Ends = Arc::new(move || *is_stopped.borrow());
        loop {
            let ending = tokio::select! {
                () = signal.notified() => false,
                _ = every.tick() => false,
                _ = stopped.wait_for(|stop| *stop) => true,
            };
            if ending {
                let last = Instant::now() + LAST_ROWS;
                ends = Arc::new(move || Instant::now() >= last);
            }
            // Whose end cannot be written down is not begun; said once by the store.
            if self.engine.look_after_store().await
                && let Err(error) = self.until(&ends).await
            {
                tracing::error!(error = format!("{error:#}"), "cannot perform, tried again");
            }
            if ending {
                return;
            }
        }
    }

    /// Performs what is due until nothing is, and makes events of the answers
    /// that came. While the operator has switched thrall off, nothing is
    /// performed.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn all(&self) -> anyhow::Result<()> {
        let never: Ends = Arc::new(|| false);
        self.until(&never).await
    }

    async fn until(&self, ends: &Ends) -> anyhow::Result<()> {
        if !self.engine.is_enabled() {
            return Ok(());
        }
        loop {
            let (performer, now) = (Arc::clone(&self.performer), self.clock.now());
            let until = Arc::clone(ends);
            let performed = tokio::task::spawn_blocking(move || {
                let performer = performer.lock().unwrap_or_else(PoisonError::into_inner);
                performer.perform_until(now, until.as_ref())
            })
            .await??;
            self.log.performed(&performed, now);
            self.engine.continue_due().await?;
            if performed.is_empty() || ends() {
                return Ok(());
            }
        }
    }
}
