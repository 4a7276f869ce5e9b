//! The heartbeat by which guests notice that time passes. A thread moves the
//! engine's epoch on while at least one guest runs, and parks otherwise, so
//! that an idle host wakes nobody. What a tick means for a guest is decided in
//! `guest_clock.rs`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use wasmtime::EngineWeak;

/// How long a guest may run before it is looked at.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// Owns the thread; dropping it ends the thread.
pub(super) struct EpochTicker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Guests inside a call now.
    running: AtomicU64,
    /// Calls that ever began. Calls shorter than a tick are seen by it, so the
    /// thread does not park and wake between them.
    begun: AtomicU64,
    parked: AtomicBool,
    stop: AtomicBool,
    ticks: AtomicU64,
}

/// A guest is running for as long as this lives.
pub(super) struct RunningGuest(Arc<Shared>);

impl EpochTicker {
    /// Holds the engine weakly, so that the thread never keeps it alive.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn start(engine: EngineWeak) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("epoch-ticker".to_owned())
            .spawn(move || beat(&theirs, &engine))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(super) fn guest_starts(&self) -> RunningGuest {
        self.shared.begun.fetch_add(1, Ordering::SeqCst);
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        if self.shared.parked.load(Ordering::SeqCst)
            && self.shared.parked.swap(false, Ordering::SeqCst)
        {
            self.thread().inspect(|thread| thread.unpark());
        }
        RunningGuest(Arc::clone(&self.shared))
    }

    fn thread(&self) -> Option<&Thread> {
        self.thread.as_ref().map(JoinHandle::thread)
    }
}

impl Drop for RunningGuest {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for EpochTicker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It fails only if the thread panicked; there is nothing to undo.
            let _ = thread.join();
        }
    }
}

fn beat(shared: &Shared, engine: &EngineWeak) {
    let mut seen = 0;
    while !shared.stop.load(Ordering::SeqCst) {
        std::thread::park_timeout(TICK);
        let Some(engine) = engine.upgrade() else { return };
        engine.increment_epoch();
        shared.ticks.fetch_add(1, Ordering::Relaxed);
        drop(engine);
        if is_idle(shared, seen) {
            // A guest that starts after this store sees it and wakes us; one
            // that started before is seen by the second look.
            shared.parked.store(true, Ordering::SeqCst);
            if !is_idle(shared, seen) {
                shared.parked.store(false, Ordering::SeqCst);
            }
            while shared.parked.load(Ordering::SeqCst) && !shared.stop.load(Ordering::SeqCst) {
                std::thread::park();
            }
        }
        seen = shared.begun.load(Ordering::SeqCst);
    }
}

fn is_idle(shared: &Shared, seen: u64) -> bool {
    shared.running.load(Ordering::SeqCst) == 0 && shared.begun.load(Ordering::SeqCst) == seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use wasmtime::Engine;

    fn wait_until(what: &str, condition: impl Fn() -> bool) {
        let limit = Instant::now() + Duration::from_secs(10);
        while !condition() {
            assert!(Instant::now() < limit, "never happened: {what}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn ticks_while_a_guest_runs_and_parks_when_none_does() {
        let engine = Engine::default();
        let ticker = EpochTicker::start(engine.weak()).unwrap();
        let shared = Arc::clone(&ticker.shared);
        wait_until("parks without guests", || shared.parked.load(Ordering::SeqCst));

        let guest = ticker.guest_starts();
        let before = shared.ticks.load(Ordering::SeqCst);
        wait_until("ticks for a guest", || shared.ticks.load(Ordering::SeqCst) > before + 2);
        assert!(!shared.parked.load(Ordering::SeqCst));

        drop(guest);
        wait_until("parks again", || shared.parked.load(Ordering::SeqCst));
    }

    #[test]
    fn ends_with_its_owner_even_while_parked() {
        let engine = Engine::default();
        let ticker = EpochTicker::start(engine.weak()).unwrap();
        wait_until("parks", || ticker.shared.parked.load(Ordering::SeqCst));
        // Joins the thread; a missed wake-up would hang here.
        drop(ticker);
    }
}
