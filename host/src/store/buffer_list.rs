//! Buffers as people look at them: how full each is, and what is in one.

use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};

use super::error::{Doing, StoreError};
use super::flush_rows::{ITEM, item};
use super::reader::{Reader, unsigned};
use crate::buffers::BufferItem;
use crate::clock::TimestampMs;
use crate::ids::JournalId;

/// One buffer that holds something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredBuffer {
    pub name: String,
    /// Collected, not flushed yet.
    pub items: u64,
    /// Of their texts.
    pub bytes: u64,
    /// Flushed, but briefing or wake are not through yet.
    pub flushing: u64,
    /// When the item that waits longest came.
    pub oldest: Option<TimestampMs>,
    pub last_flush: Option<TimestampMs>,
    /// Recipes whose items wait.
    pub recipes: Vec<String>,
}

/// One collected item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedItem {
    pub journal_id: JournalId,
    /// It is on its way in a briefing.
    pub is_flushing: bool,
    #[serde(flatten)]
    pub item: BufferItem,
}

impl Reader {
    /// Every buffer that holds something, by name. A flush later than `now` was
    /// made while the clock was ahead, and says nothing.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn buffers(&self, now: TimestampMs) -> Result<Vec<StoredBuffer>, StoreError> {
        self.snapshot(|connection| {
            let mut buffers: Vec<StoredBuffer> = connection
                .prepare_cached(BUFFERS)
                .and_then(|mut statement| statement.query_map([now.as_i64()], buffer)?.collect())
                .doing("list the buffers")?;
            for buffer in &mut buffers {
                buffer.recipes = recipes(connection, &buffer.name)?;
            }
            Ok(buffers)
        })
    }

    /// What is in a buffer, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn buffer_items(&self, name: &str, limit: u32) -> Result<Vec<ListedItem>, StoreError> {
        self.with(|connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {ITEM}, journal_id, flush_id IS NOT NULL FROM buffers
                     WHERE buffer = ?1 ORDER BY id DESC LIMIT ?2"
                ))
                .and_then(|mut statement| {
                    let listed = |row: &Row<'_>| {
                        Ok(ListedItem {
                            item: item(row)?,
                            journal_id: row.get(17)?,
                            is_flushing: row.get(18)?,
                        })
                    };
                    statement.query_map(params![name, limit], listed)?.collect()
                })
                .doing("read a buffer")
        })
    }
}

const BUFFERS: &str = "SELECT b.buffer, count(*) FILTER (WHERE b.flush_id IS NULL),
         coalesce(sum(octet_length(b.body) + coalesce(octet_length(b.last_body), 0))
             FILTER (WHERE b.flush_id IS NULL), 0),
         count(*) FILTER (WHERE b.flush_id IS NOT NULL),
         (SELECT w.at FROM buffers w WHERE w.buffer = b.buffer AND w.flush_id IS NULL
          ORDER BY w.id LIMIT 1),
         (SELECT max(f.at) FROM flushes f WHERE f.buffer = b.buffer AND f.at <= ?1)
     FROM buffers b GROUP BY b.buffer ORDER BY b.buffer";

fn buffer(row: &Row<'_>) -> rusqlite::Result<StoredBuffer> {
    let moment = |column: usize| -> rusqlite::Result<Option<TimestampMs>> {
        Ok(row.get::<_, Option<i64>>(column)?.map(TimestampMs::from_i64))
    };
    Ok(StoredBuffer {
        name: row.get(0)?,
        items: unsigned(row, 1)?,
        bytes: unsigned(row, 2)?,
        flushing: unsigned(row, 3)?,
        oldest: moment(4)?,
        last_flush: moment(5)?,
        recipes: Vec::new(),
    })
}

fn recipes(connection: &Connection, buffer: &str) -> Result<Vec<String>, StoreError> {
    connection
        .prepare_cached(
            "SELECT DISTINCT recipe FROM buffers WHERE buffer = ?1 AND flush_id IS NULL
             ORDER BY 1",
        )
        .and_then(|mut statement| statement.query_map([buffer], |row| row.get(0))?.collect())
        .doing("list the buffers")
}
