//! The loop that lets the performer work: when the store says that there is
//! something, and now and then for what is tried again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::clock::Clock;
use crate::engine::Engine;
use crate::outbox::Performer;
use crate::telemetry::EventLog;

/// How often rows that failed are looked at again.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// Performs until `stopped`, and once more after it.
pub async fn run(
    performer: Arc<Mutex<Performer>>,
    signal: Arc<Notify>,
    engine: Engine,
    clock: Arc<dyn Clock>,
    log: Arc<EventLog>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut every = tokio::time::interval(RETRY_EVERY);
    loop {
        let ending = tokio::select! {
            () = signal.notified() => false,
            _ = every.tick() => false,
            _ = stopped.wait_for(|stop| *stop) => true,
        };
        // Whose end cannot be written down is not begun; said once by the store.
        if !engine.look_after_store().await {
            if ending {
                return;
            }
            continue;
        }
        if let Err(error) = all(&performer, &engine, &clock, &log).await {
            tracing::error!(error = format!("{error:#}"), "cannot perform, tried again");
        }
        if ending {
            return;
        }
    }
}

/// Performs what is due until nothing is, and makes events of the answers that
/// came. While the operator has switched thrall off, nothing is performed.
///
/// # Errors
/// When the store cannot be read or written.
pub async fn all(
    performer: &Arc<Mutex<Performer>>,
    engine: &Engine,
    clock: &Arc<dyn Clock>,
    log: &EventLog,
) -> anyhow::Result<()> {
    if !engine.is_enabled() {
        return Ok(());
    }
    loop {
        let (performer, now) = (Arc::clone(performer), clock.now());
        let performed = tokio::task::spawn_blocking(move || {
            performer.lock().unwrap_or_else(PoisonError::into_inner).perform_due(now)
        })
        .await??;
        log.performed(&performed, now);
        engine.continue_due().await?;
        if performed.is_empty() {
            return Ok(());
        }
    }
}
