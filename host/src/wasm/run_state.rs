//! What a store holds for one call: limits, log, clock, the door to the host.
//! Made afresh for each call and dropped with it, whatever the outcome.

use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::TimestampMs;
use crate::stage::{HostCalls, LogLine, StageLimits};
use crate::verdict::Situation;

use super::guest_clock::GuestClock;
use super::limits::MemoryLimiter;
use super::run_log::RunLog;
use super::wasi_world::WasiWorld;

/// The data of a store.
pub(super) struct RunState {
    pub(super) host: Arc<dyn HostCalls>,
    pub(super) memory: MemoryLimiter,
    pub(super) clock: GuestClock,
    pub(super) calls: CallBudget,
    pub(super) log: SharedLog,
    now: TimestampMs,
    seed: u64,
    /// Made at the first use: most guests import nothing of it.
    wasi: Option<Box<WasiWorld>>,
}

impl RunState {
    pub(super) fn new(
        host: Arc<dyn HostCalls>,
        limits: &StageLimits,
        situation: &Situation,
    ) -> Self {
        Self {
            host,
            memory: MemoryLimiter::new(limits.memory_bytes.min(StageLimits::MAX_MEMORY_BYTES)),
            clock: GuestClock::new(limits.guest_time),
            calls: CallBudget { allowed: limits.host_calls, left: limits.host_calls },
            log: SharedLog::default(),
            now: situation.now,
            seed: situation.seed,
            wasi: None,
        }
    }

    pub(super) fn wasi_world(&mut self) -> &mut WasiWorld {
        self.wasi
            .get_or_insert_with(|| Box::new(WasiWorld::new(self.now, self.seed, self.log.clone())))
    }
}

/// Host calls of one run.
#[derive(Debug)]
pub(super) struct CallBudget {
    pub(super) allowed: u32,
    left: u32,
}

impl CallBudget {
    /// Whether one more call is allowed; it is then spent.
    pub(super) fn spend(&mut self) -> bool {
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

/// The run's log, shared with the streams that a guest with WASI prints to.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedLog(Arc<Mutex<RunLog>>);

impl SharedLog {
    pub(super) fn with(&self, write: impl FnOnce(&mut RunLog)) {
        // Lines are whole after every step, so a panic elsewhere spoils none.
        write(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn take_lines(&self) -> Vec<LogLine> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *log).into_lines()
    }
}
