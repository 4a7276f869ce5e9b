//! What recipes remember, as people look at it: context values by session, and
//! flags. Each stands in its recipe's namespace; the empty one is shared.

use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};

use super::error::{Doing, StoreError};
use super::reader::Reader;
use crate::clock::TimestampMs;

/// What is remembered at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memories {
    pub context: Vec<ContextEntry>,
    pub flags: Vec<FlagEntry>,
}

/// A value of one session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextEntry {
    /// Empty for what recipes share.
    pub recipe: String,
    pub session: String,
    pub key: String,
    pub value: String,
    pub created_at: TimestampMs,
    /// `None`: until it is taken away.
    pub expires_at: Option<TimestampMs>,
}

/// A value of no session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlagEntry {
    /// Empty for what recipes share.
    pub recipe: String,
    pub key: String,
    pub value: String,
    pub created_at: TimestampMs,
    pub expires_at: Option<TimestampMs>,
}

/// Which memories; an absent condition is no condition. Flags belong to no
/// session: with one they are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryFilter {
    pub recipe: Option<String>,
    pub session: Option<String>,
    /// Of context values, and of flags.
    pub limit: u32,
}

impl Reader {
    /// What has not expired, newest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn memories(
        &self,
        filter: &MemoryFilter,
        now: TimestampMs,
    ) -> Result<Memories, StoreError> {
        self.snapshot(|connection| {
            let context = connection
                .prepare_cached(
                    "SELECT namespace, key, value, created_at, expires_at, session_id
                     FROM context
                     WHERE (?1 IS NULL OR namespace = ?1) AND (?2 IS NULL OR session_id = ?2)
                       AND (expires_at IS NULL OR expires_at > ?3)
                     ORDER BY created_at DESC, session_id, namespace, key LIMIT ?4",
                )
                .and_then(|mut statement| {
                    let MemoryFilter { recipe, session, limit } = filter;
                    statement
                        .query_map(params![recipe, session, now.as_i64(), limit], context_entry)?
                        .collect()
                })
                .doing("list the context")?;
            if filter.session.is_some() {
                return Ok(Memories { context, flags: Vec::new() });
            }
            let flags = connection
                .prepare_cached(
                    "SELECT namespace, key, value, created_at, expires_at FROM flags
                     WHERE (?1 IS NULL OR namespace = ?1)
                       AND (expires_at IS NULL OR expires_at > ?2)
                     ORDER BY created_at DESC, namespace, key LIMIT ?3",
                )
                .and_then(|mut statement| {
                    let params = params![filter.recipe, now.as_i64(), filter.limit];
                    statement.query_map(params, flag_entry)?.collect()
                })
                .doing("list the flags")?;
            Ok(Memories { context, flags })
        })
    }
}

fn context_entry(row: &Row<'_>) -> rusqlite::Result<ContextEntry> {
    let FlagEntry { recipe, key, value, created_at, expires_at } = flag_entry(row)?;
    Ok(ContextEntry { recipe, session: row.get(5)?, key, value, created_at, expires_at })
}

fn flag_entry(row: &Row<'_>) -> rusqlite::Result<FlagEntry> {
    let expires_at: Option<i64> = row.get(4)?;
    Ok(FlagEntry {
        recipe: row.get(0)?,
        key: row.get(1)?,
        value: row.get(2)?,
        created_at: TimestampMs::from_i64(row.get(3)?),
        expires_at: expires_at.map(TimestampMs::from_i64),
    })
}
