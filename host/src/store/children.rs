//! Events that recipes trigger: written in the transaction of the journal row
//! that holds the trigger, so that there is exactly one for each, and counted
//! below their root. What they look like is in `envelope/descent.rs`.

use rusqlite::{Connection, params};
use serde::Serialize;

use super::accept::{self, EnvelopeRow};
use super::error::{Doing, StoreError};
use super::reader::Reader;
use super::session::Session;
use crate::ids::{EnvelopeSeq, JournalId};
use crate::journal::Child;
use crate::operation::{Operation, PlannedOperation};

/// An event that a recipe triggered, as the story of the one before it names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TriggeredEvent {
    pub seq: EnvelopeSeq,
    pub id: String,
    /// The name that the recipe gave; absent where the fields have expired.
    pub event_name: Option<String>,
    /// The row that triggered it.
    pub journal_id: JournalId,
    pub is_pending: bool,
}

impl Reader {
    /// Events that recipes triggered below a root event, at any depth, and
    /// answers of skills that are still to become one.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn descendants(&self, root: EnvelopeSeq) -> Result<u32, StoreError> {
        self.with(|connection| descendants(connection, root))
    }
}

const DESCENDANTS: &str = "SELECT count(*) FROM envelopes WHERE root = ?1";
const TRIGGERED: &str = "SELECT e.seq, e.id, json_extract(p.body, '$.event_name'),
        e.triggered_by, e.state = 'pending'
    FROM envelopes e LEFT JOIN payloads p ON p.seq = e.seq
    WHERE e.root = ?1 AND e.triggered_by IN
        (SELECT id FROM journal WHERE envelope_seq = ?2 AND kind = 'decision')
    ORDER BY e.seq";

/// For the test that looks at query plans.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 2] = [DESCENDANTS, TRIGGERED];

pub(super) fn descendants(connection: &Connection, root: EnvelopeSeq) -> Result<u32, StoreError> {
    connection
        .prepare_cached(DESCENDANTS)
        .and_then(|mut statement| statement.query_row([root], |row| row.get(0)))
        .doing("count triggered events")
        .and_then(|there: u32| Ok(there + super::continuations::open_below(connection, root)?))
}

/// The events that the rows of one event triggered, in order.
pub(super) fn triggered_on(
    connection: &Connection,
    root: EnvelopeSeq,
    seq: EnvelopeSeq,
) -> Result<Vec<TriggeredEvent>, StoreError> {
    connection
        .prepare_cached(TRIGGERED)
        .and_then(|mut statement| {
            statement
                .query_map(params![root, seq], |row| {
                    Ok(TriggeredEvent {
                        seq: row.get(0)?,
                        id: row.get(1)?,
                        event_name: row.get(2)?,
                        journal_id: row.get(3)?,
                        is_pending: row.get(4)?,
                    })
                })?
                .collect()
        })
        .doing("read an event's triggered events")
}

/// The rows to write: one for each trigger that is carried out. A commit that
/// brings another number would lose an event or make one up.
pub(super) fn of_plan(
    operations: &[PlannedOperation],
    children: Vec<Child>,
) -> Result<Vec<EnvelopeRow>, StoreError> {
    if operations.iter().filter(|planned| is_trigger(planned)).count() != children.len() {
        return Err(StoreError::malformed("a plan's triggered events"));
    }
    Ok(children.into_iter().map(EnvelopeRow::of_child).collect())
}

fn is_trigger(planned: &PlannedOperation) -> bool {
    planned.is_carried_out() && matches!(planned.operation, Operation::Trigger { .. })
}

/// Writes them inside the caller's transaction; the row `journal_id` is theirs.
pub(super) fn insert_all(
    session: &Session,
    journal_id: JournalId,
    children: &[EnvelopeRow],
) -> Result<Vec<EnvelopeSeq>, StoreError> {
    children.iter().map(|row| accept::insert(session, row, false, Some(journal_id))).collect()
}
