//! The one choke point between a guest and the host: authorise, take from the
//! budget, answer, record. There is no second way in, so no step can be
//! forgotten. What the answers are is in `capabilities/` for live runs and in
//! `rehearsal/` for recorded ones.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use async_trait::async_trait;

use super::ports::{Answers, Scope};
use crate::grants::Grant;
use crate::stage::{HostAnswer, HostCallRecord, HostCalls, HostError, HostRequest, StageLimits};

/// The gate of one run; every stage gets a door in it.
pub struct Gate {
    scope: Scope,
    grant: Arc<Grant>,
    answers: Arc<dyn Answers>,
    /// Calls of all stages, in the order in which they were answered.
    records: Mutex<Vec<HostCallRecord>>,
    calls: AtomicU32,
}

impl Gate {
    pub fn new(scope: Scope, grant: Arc<Grant>, answers: Arc<dyn Answers>) -> Self {
        Self { scope, grant, answers, records: Mutex::new(Vec::new()), calls: AtomicU32::new(0) }
    }

    /// The door of one stage: calls through it are recorded under its name.
    pub fn for_stage(self: &Arc<Self>, stage: &str) -> Arc<dyn HostCalls> {
        Arc::new(Door { gate: Arc::clone(self), stage: stage.to_owned() })
    }

    /// Keeps a call that the host made on the run's behalf.
    pub fn keep(&self, record: HostCallRecord) {
        lock(&self.records).push(record);
    }

    /// Empties the record.
    pub fn take_records(&self) -> Vec<HostCallRecord> {
        std::mem::take(&mut *lock(&self.records))
    }

    async fn decide(&self, stage: &str, request: &HostRequest) -> Result<HostAnswer, HostError> {
        let (interface, _) = request.name();
        self.grant.check_import(interface).map_err(HostError::Denied)?;
        let limit = StageLimits::decider().host_calls;
        if self.calls.fetch_add(1, Ordering::Relaxed) >= limit {
            return Err(HostError::Budget(format!("host_calls_per_run = {limit}")));
        }
        let scope = Scope { stage: stage.to_owned(), ..self.scope.clone() };
        self.answers.answer(&scope, request).await
    }
}

/// One stage's way through the gate.
struct Door {
    gate: Arc<Gate>,
    stage: String,
}

#[async_trait]
impl HostCalls for Door {
    async fn call(&self, request: HostRequest) -> Result<HostAnswer, HostError> {
        let started = Instant::now();
        let answer = self.gate.decide(&self.stage, &request).await;
        let wall_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.gate.keep(HostCallRecord {
            stage: self.stage.clone(),
            request,
            answer: answer.clone(),
            wall_us,
        });
        answer
    }
}

/// A lock whose holder panicked still holds a whole vector: pushing to one is
/// all that is ever done under it.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
