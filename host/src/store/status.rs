//! How things stand, in numbers.

use rusqlite::{Connection, Row};
use serde::Serialize;

use super::error::{Doing, StoreError};
use super::reader::{Reader, unsigned};
use crate::clock::TimestampMs;

/// Numbers for `status`, seen at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StatusCounts {
    /// Accepted events that are not decided by all their recipes yet.
    pub pending_events: u64,
    pub journal_rows: u64,
    pub buffers: Vec<BufferStatus>,
    /// Outbox rows by state.
    pub outbox: Vec<(String, u64)>,
    /// Refused events and the like, by name.
    pub counters: Vec<(String, u64)>,
    /// Decisions since the asked moment, by action name and eval type.
    pub decisions: Vec<(String, String, u64)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BufferStatus {
    pub buffer: String,
    /// Collected, not flushed yet.
    pub waiting: u64,
    /// Flushed, but briefing or wake are not through yet.
    pub flushing: u64,
}

impl Reader {
    /// Counts everything; `since` is where "today" begins.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn status(&self, since: TimestampMs) -> Result<StatusCounts, StoreError> {
        self.snapshot(|connection| {
            Ok(StatusCounts {
                pending_events: connection
                    .query_row(PENDING, [], |row| unsigned(row, 0))
                    .doing("count events")?,
                journal_rows: connection
                    .query_row(JOURNAL_ROWS, [], |row| unsigned(row, 0))
                    .doing("count the journal")?,
                buffers: rows(connection, BUFFERS, [], |row| {
                    Ok(BufferStatus {
                        buffer: row.get(0)?,
                        waiting: unsigned(row, 1)?,
                        flushing: unsigned(row, 2)?,
                    })
                })?,
                outbox: rows(connection, OUTBOX, [], |row| Ok((row.get(0)?, unsigned(row, 1)?)))?,
                counters: rows(connection, COUNTERS, [], |row| {
                    Ok((row.get(0)?, unsigned(row, 1)?))
                })?,
                decisions: rows(connection, DECISIONS, [since.as_i64()], |row| {
                    Ok((row.get(0)?, row.get(1)?, unsigned(row, 2)?))
                })?,
            })
        })
    }
}

const PENDING: &str = "SELECT count(*) FROM envelopes WHERE state = 'pending'";
/// Ids have no gaps, so that nothing needs to be counted.
const JOURNAL_ROWS: &str = "SELECT coalesce((SELECT max(id) FROM journal)
    - (SELECT min(id) FROM journal) + 1, 0)";
const BUFFERS: &str = "SELECT buffer, count(*) FILTER (WHERE flush_id IS NULL),
        count(*) FILTER (WHERE flush_id IS NOT NULL)
    FROM buffers GROUP BY buffer ORDER BY buffer";
const OUTBOX: &str = "SELECT state, count(*) FROM outbox GROUP BY state";
const COUNTERS: &str = "SELECT name, value FROM counters ORDER BY name";
const DECISIONS: &str = "SELECT action_name, eval_type, count(*) FROM journal
    WHERE kind = 'decision' AND at / 1000.0 >= ?1 / 1000.0
    GROUP BY action_name, eval_type ORDER BY 3 DESC, 1, 2";

fn rows<T, P: rusqlite::Params>(
    connection: &Connection,
    sql: &str,
    params: P,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_map(params, read)?.collect())
        .doing("count")
}
