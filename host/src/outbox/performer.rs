//! Takes pending rows in order and brings each to an end. A row that fails is
//! tried again later, and until then holds its lane.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::artifacts::Artifacts;
use super::node::{Attempt, Node};
use super::sending;
use crate::breakers::{Target, Trip};
use crate::buffers::briefing;
use crate::capabilities::breaker_folder::BreakerFolder;
use crate::clock::TimestampMs;
use crate::fault_points::{FaultHook, FaultPoint};
use crate::ids::{Digest, JournalId};
use crate::operation::Operation;
use crate::store::{
    BRIEFING, Finish, LONGEST_RETRY, OutboxRow, Outcome, SkillAnswer, Store, StoreError, WAKE,
};

/// Rows that are taken at once and finished in one transaction.
const BATCH: u32 = 256;
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// The operation's kind.
const TRIP_BREAKER: &str = "trip-breaker";
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
    breakers: Arc<BreakerFolder>,
    node: Option<Arc<dyn Node>>,
    faults: FaultHook,
}

impl Performer {
    pub fn new(
        store: Arc<Store>,
        artifacts: Artifacts,
        breakers: Arc<BreakerFolder>,
        node: Option<Arc<dyn Node>>,
        faults: FaultHook,
    ) -> Self {
        Self { store, artifacts, breakers, node, faults }
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
            let node = self.node.as_deref().filter(|_| TO_A_NODE.contains(&row.kind.as_str()));
            let (outcome, answer) = match node {
                Some(node) => {
                    // What stands before it has ended, durably, before the
                    // first byte goes out.
                    self.end(&mut ends)?;
                    self.attempt(node, &row, now)?
                }
                None => (self.perform(&row, now)?, None),
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
            "reply" | "mail" | "skill" => {
                Ok(Outcome::Held { reason: "no node is connected".to_owned() })
            }
            other => Ok(Outcome::Held { reason: format!("{other} is not performed here") }),
        }
    }

    /// The file names the row that tripped it: after a crash between file and
    /// database the same trip is not counted twice.
    pub(super) fn trip_breaker(&self, row: &OutboxRow, now: TimestampMs) -> Outcome {
        let operation = serde_json::from_str(&row.body);
        let Ok(Operation::TripBreaker { target, reason, expires_in_s }) = operation else {
            return Outcome::Failed { detail: "its row names no breaker".to_owned() };
        };
        let target = match Target::parse(&target) {
            Ok(target) => target,
            Err(error) => return Outcome::Failed { detail: error.to_string() },
        };
        let trip = Trip {
            target: &target,
            reason: &reason,
            at: row.created_at,
            expires_in_s,
            operation: &format!("outbox {} of {}", row.id, row.created_at.0),
        };
        match self.breakers.trip(&trip) {
            Ok(file) => Outcome::Done {
                detail: format!("breakers/{}, trip {}", target.file_name(), file.trip_count),
            },
            Err(error) => Outcome::Retry {
                detail: format!("cannot write breakers/{}: {error}", target.file_name()),
                not_before: now.plus(retry_after(row.attempts)),
            },
        }
    }

    /// Writing the same briefing again gives the same file: after a crash
    /// between file and database nothing is there twice.
    fn write_briefing(&self, row: &OutboxRow, now: TimestampMs) -> Result<Outcome, StoreError> {
        let flush = match row.flush_id {
            Some(id) => self.store.reader().flush(id)?,
            None => None,
        };
        let Some((head, items)) = flush else {
            return Ok(Outcome::Failed { detail: "its flush is not in the database".to_owned() });
        };
        let page = briefing::render(&head, &items);
        Ok(match self.artifacts.write(&head.artifact, page.as_bytes()) {
            Ok(()) => {
                (self.faults)(FaultPoint::BriefingWritten);
                let digest = Digest::of(page.as_bytes());
                Outcome::Done { detail: format!("artifacts/{} sha256:{digest}", head.artifact) }
            }
            Err(error) => Outcome::Retry {
                detail: format!("cannot write artifacts/{}: {error}", head.artifact),
                not_before: now.plus(retry_after(row.attempts)),
            },
        })
    }
}

/// Doubles with each attempt.
fn retry_after(attempts: u32) -> Duration {
    FIRST_RETRY.saturating_mul(1 << attempts.min(16)).min(LONGEST_RETRY)
}
