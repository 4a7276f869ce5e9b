//! The baseline that the engine is compared with: the rows of an event written
//! bare, with the same durability and grouping, and nothing decided. For
//! `thrall bench engine`.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::params;

use super::connection;
use super::error::{Doing, StoreError};

/// About what an event's envelope and its trace take.
const EVENT_BYTES: usize = 300;
const TRACE_BYTES: usize = 1200;

/// Writes two rows for each event, in two durable transactions for each
/// `batch` events, into a new database in `folder`. Tells how long that took.
///
/// # Errors
/// The database cannot be written.
pub fn bare_rows(folder: &Path, events: u32, batch: usize) -> Result<Duration, StoreError> {
    let connection = connection::open_writer(&folder.join("baseline.db"))?;
    connection
        .execute_batch("CREATE TABLE bare (id INTEGER PRIMARY KEY, kind INTEGER, body TEXT) STRICT")
        .doing("make the baseline's table")?;
    let bodies = ["e".repeat(EVENT_BYTES), "t".repeat(TRACE_BYTES)];
    let batch = u32::try_from(batch.max(1)).unwrap_or(u32::MAX);
    let started = Instant::now();
    let mut done = 0;
    while done < events {
        let rows = batch.min(events - done);
        for (kind, body) in (0_i64..).zip(&bodies) {
            let transaction = connection.unchecked_transaction().doing("begin")?;
            for _ in 0..rows {
                transaction
                    .prepare_cached("INSERT INTO bare (kind, body) VALUES (?1, ?2)")
                    .and_then(|mut insert| insert.execute(params![kind, body]))
                    .doing("write a bare row")?;
            }
            transaction.commit().doing("commit")?;
        }
        done += rows;
    }
    Ok(started.elapsed())
}
