//! One call of one component: a fresh store with its limits, the guest, and
//! whatever became of it as a [`StageOutcome`]. Nothing of a call outlives it,
//! also if its future is dropped half-way: the store goes, and the pool has
//! its slot back.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::{Engine, Store};

use crate::stage::{GuestFault, HostCalls, StageLimits, StageOutcome, Usage};
use crate::verdict::Situation;

use super::epoch_ticker::{EpochTicker, RunningGuest};
use super::guest_fault;
use super::run_state::RunState;

/// A call in progress.
pub(super) struct Call {
    pub(super) store: Store<RunState>,
    limits: StageLimits,
    started: Instant,
    _running: RunningGuest,
    /// Given back last: a slot of the pool must be free before it is promised.
    _slot: OwnedSemaphorePermit,
}

impl Call {
    /// Waits for a slot and makes the store.
    ///
    /// # Errors
    /// The engine has no memory for a store.
    pub(super) async fn begin(
        engine: &Engine,
        ticker: &EpochTicker,
        slots: &Arc<Semaphore>,
        situation: &Situation,
        limits: StageLimits,
        host: Arc<dyn HostCalls>,
    ) -> Result<Self, GuestFault> {
        let slot = Arc::clone(slots)
            .acquire_owned()
            .await
            .map_err(|closed| GuestFault::NotLoaded(closed.to_string()))?;
        let started = Instant::now();
        let state = RunState::new(host, &limits, situation);
        let store =
            new_store(engine, state, &limits).map_err(|error| guest_fault::not_started(&error))?;
        Ok(Self { store, limits, started, _running: ticker.guest_starts(), _slot: slot })
    }

    /// Ends the call: names what went wrong, or checks the answer, and tells
    /// what was used either way.
    pub(super) fn finish<W, A>(
        self,
        answer: Result<wasmtime::Result<Result<W, String>>, GuestFault>,
        check: impl FnOnce(W) -> Result<A, String>,
    ) -> StageOutcome<A> {
        let answer = answer.and_then(|called| match called {
            Ok(Ok(answer)) => check(answer).map_err(GuestFault::BadAnswer),
            Ok(Err(reason)) => Err(guest_fault::refused(&reason)),
            Err(error) => Err(guest_fault::classify(&error, self.store.data(), &self.limits)),
        });
        let fuel_left = self.store.get_fuel().unwrap_or(0);
        let usage = Usage {
            fuel: self.limits.fuel.saturating_sub(fuel_left),
            memory_bytes: self.store.data().memory.peak(),
            wall_us: u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
        };
        StageOutcome { answer, usage, logs: self.store.data().log.take_lines() }
    }
}

fn new_store(
    engine: &Engine,
    state: RunState,
    limits: &StageLimits,
) -> wasmtime::Result<Store<RunState>> {
    let mut store = Store::try_new(engine, state)?;
    store.limiter(|state| &mut state.memory);
    store.set_fuel(limits.fuel)?;
    store.set_hostcall_fuel(StageLimits::MAX_COPY_BYTES);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut context| Ok(context.data_mut().clock.tick()));
    Ok(store)
}

/// Runs guest and host functions so that a panic in either ends this call and
/// nothing else. The store that saw it is never entered again.
pub(super) async fn guarded<T>(
    work: impl Future<Output = wasmtime::Result<T>>,
) -> Result<wasmtime::Result<T>, GuestFault> {
    let mut work = pin!(work);
    std::future::poll_fn(|context| {
        match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
            Ok(Poll::Ready(done)) => Poll::Ready(Ok(done)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(panic) => Poll::Ready(Err(guest_fault::host_panicked(panic.as_ref()))),
        }
    })
    .await
}
