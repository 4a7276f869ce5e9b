//! Takes pending rows in order and brings each to an end. A row that fails is
//! tried again later, and until then holds its lane.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::artifacts::Artifacts;
use super::breaker_rows::{self, Tripping};
use super::node::{Attempt, Node};
use super::sending;
use crate::buffers::briefing;
use crate::capabilities::standing_breakers::Breakers;
use crate::clock::TimestampMs;
use crate::fault_points::{FaultHook, FaultPoint};
use crate::ids::{Digest, JournalId};
use crate::store::{
    BRIEFING, Finish, LONGEST_RETRY, NO_NODE, OutboxRow, Outcome, SkillAnswer, Store, StoreError,
    TRIP_BREAKER, WAKE,
};

/// Rows that are taken at once and finished in one transaction.
const BATCH: u32 = 256;
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// No number of [`Breakers::went`]: breakers may have gone while nobody ran.
const NEVER: u64 = u64::MAX;

/// Kinds that a node performs.
const TO_A_NODE: [&str; 4] = [WAKE, "reply", "mail", "skill"];

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Performed {
    pub row: OutboxRow,
    pub outcome: Outcome,
}

/// The one performer of a service. Blocking: give it a thread.
pub struct Performer {
    store: Arc<Store>,
    artifacts: Artifacts,
    breakers: Arc<Breakers>,
    node: Option<Arc<dyn Node>>,
    faults: FaultHook,
    /// [`Breakers::went`] when held rows were looked at last.
    looked: AtomicU64,
}

impl Performer {
    pub fn new(
        store: Arc<Store>,
        artifacts: Artifacts,
        breakers: Arc<Breakers>,
        node: Option<Arc<dyn Node>>,
        faults: FaultHook,
    ) -> Self {
        Self { store, artifacts, breakers, node, faults, looked: AtomicU64::new(NEVER) }
    }

    /// Performs what is due, at most one batch; call it again until nothing is
    /// returned, then when [`Store::outbox_signal`] says so, and now and then
    /// for what is tried again.
    ///
    /// # Errors
    /// The database cannot be read or written. Rows whose end was not written
    /// are performed again: only those that can be repeated were tried.
    pub fn perform_due(&self, now: TimestampMs) -> Result<Vec<Performed>, StoreError> {
        self.perform_until(now, &|| false)
    }

    /// As [`Self::perform_due`], but begins no row once `is_over` says so.
    ///
    /// # Errors
    /// As [`Self::perform_due`].
    pub fn perform_until(
        &self,
        now: TimestampMs,
        is_over: &dyn Fn() -> bool,
    ) -> Result<Vec<Performed>, StoreError> {
        self.let_go(now)?;
        let mut blocked: HashSet<String> = HashSet::new();
        let mut stopped: HashSet<JournalId> = HashSet::new();
        let mut performed = Vec::new();
        let mut ends = Vec::new();
        for row in self.store.reader().next_pending(now, BATCH)? {
            if is_over() {
                break;
            }
            let plan = row.journal_id.filter(|_| row.flush_id.is_none());
            if blocked.contains(&row.lane) || plan.is_some_and(|id| stopped.contains(&id)) {
                continue;
            }
            let stop = breaker_rows::stop(&self.breakers, &row, now);
            let is_for_node = TO_A_NODE.contains(&row.kind.as_str()) && stop.is_none();
            let node = self.node.as_deref().filter(|_| is_for_node);
            let (outcome, answer) = match (stop, node) {
                (Some(stopped), _) => (Outcome::Held { reason: stopped.to_string() }, None),
                (None, Some(node)) => {
                    // What stands before it has ended, durably, before the
                    // first byte goes out.
                    self.end(&mut ends)?;
                    self.attempt(node, &row, now)?
                }
                (None, None) => (self.perform(&row, now)?, None),
            };
            if matches!(outcome, Outcome::Retry { .. } | Outcome::Failed { .. }) {
                blocked.insert(row.lane.clone());
            }
            if matches!(
                outcome,
                Outcome::Retry { .. } | Outcome::Failed { .. } | Outcome::Uncertain { .. }
            ) {
                stopped.extend(plan);
            }
            ends.push(Finish { answer, ..Finish::new(row.id, now, outcome.clone()) });
            if node.is_some() {
                self.end(&mut ends)?;
            }
            performed.push(Performed { row, outcome });
        }
        self.end(&mut ends)?;
        Ok(performed)
    }

    /// Rows that a breaker held are due again when none stops them any more.
    fn let_go(&self, now: TimestampMs) -> Result<(), StoreError> {
        let went = self.breakers.went();
        if self.looked.load(Ordering::Relaxed) == went {
            return Ok(());
        }
        let held = self.store.reader().held_by_breakers()?;
        let free = held.iter().filter(|row| breaker_rows::stop(&self.breakers, row, now).is_none());
        let ids: Vec<i64> = free.map(|row| row.id).collect();
        if !ids.is_empty() {
            self.store.release_blocking(ids, now)?;
        }
        self.looked.store(went, Ordering::Relaxed);
        Ok(())
    }

    fn end(&self, ends: &mut Vec<Finish>) -> Result<(), StoreError> {
        if !ends.is_empty() {
            self.store.finish_blocking(std::mem::take(ends))?;
            (self.faults)(FaultPoint::RowEnded);
        }
        Ok(())
    }

    /// Sends a row to the node: marked first, so that it is never sent twice.
    fn attempt(
        &self,
        node: &dyn Node,
        row: &OutboxRow,
        now: TimestampMs,
    ) -> Result<(Outcome, Option<SkillAnswer>), StoreError> {
        self.store.mark_attempting_blocking(vec![row.id], now)?;
        (self.faults)(FaultPoint::AttemptMarked);
        let attempt = sending::send(node, row);
        (self.faults)(FaultPoint::NodeAnswered);
        Ok(match attempt {
            Attempt::Done { detail, answer } => (Outcome::Done { detail }, answer),
            Attempt::Refused { why, answer } => (Outcome::Failed { detail: why }, answer),
            Attempt::Uncertain { why } => (Outcome::Uncertain { detail: why }, None),
            Attempt::NotSent { why } => {
                let not_before = now.plus(retry_after(row.attempts));
                (Outcome::Retry { detail: why, not_before }, None)
            }
        })
    }

    fn perform(&self, row: &OutboxRow, now: TimestampMs) -> Result<Outcome, StoreError> {
        match row.kind.as_str() {
            BRIEFING => self.write_briefing(row, now),
            TRIP_BREAKER => Ok(self.trip_breaker(row, now)),
            // The row itself, with its body, task, capability and priority, is
            // the record; finishing it is all there is to do.
            WAKE => Ok(Outcome::Recorded {
                detail: "kept for the agent; no node is connected".to_owned(),
            }),
            "reply" | "mail" | "skill" => Ok(Outcome::Held { reason: NO_NODE.to_owned() }),
            other => Ok(Outcome::Held { reason: format!("{other} is not performed here") }),
        }
    }

    /// The file names the operations that tripped it: after a crash between
    /// file and database the same trip is not counted twice.
    pub(super) fn trip_breaker(&self, row: &OutboxRow, now: TimestampMs) -> Outcome {
        let tripping = match Tripping::of_row(row) {
            Ok(tripping) => tripping,
            Err(why) => return Outcome::Failed { detail: why.to_string() },
        };
        let name = tripping.target.file_name();
        match tripping.write(&self.breakers) {
            Ok(Some(file)) => {
                Outcome::Done { detail: format!("breakers/{name}, trip {}", file.trip_count) }
            }
            Ok(None) => {
                Outcome::Done { detail: format!("breakers/{name} was cleared or has expired") }
            }
            Err(error) => Outcome::Retry {
                detail: format!("cannot write breakers/{name}: {error}"),
                not_before: now.plus(retry_after(row.attempts)),
            },
        }
    }

    /// Writing the same briefing again gives the same file: after a crash
    /// between file and database nothing is there twice.
    fn write_briefing(&self, row: &OutboxRow, now: TimestampMs) -> Result<Outcome, StoreError> {
        let part = row.ordinal;
        let briefing = match row.flush_id {
            Some(id) => self.store.reader().briefing(id, part)?,
            None => None,
        };
        let Some((head, items)) = briefing else {
            return Ok(Outcome::Failed { detail: "its flush is not in the database".to_owned() });
        };
        let (page, artifact) = (briefing::render(&head, part, &items), head.artifact(part));
        Ok(match self.artifacts.write(&artifact, page.as_bytes()) {
            Ok(()) => {
                (self.faults)(FaultPoint::BriefingWritten);
                let digest = Digest::of(page.as_bytes());
                Outcome::Done { detail: format!("artifacts/{artifact} sha256:{digest}") }
            }
            Err(error) => Outcome::Retry {
                detail: format!("cannot write artifacts/{artifact}: {error}"),
                not_before: now.plus(retry_after(row.attempts)),
            },
        })
    }
}

/// Doubles with each attempt.
fn retry_after(attempts: u32) -> Duration {
    FIRST_RETRY.saturating_mul(1 << attempts.min(16)).min(LONGEST_RETRY)
}
