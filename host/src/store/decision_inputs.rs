//! What a decision asks of earlier ones: cooldown, rate, cached verdict,
//! context and flags. Each is one look into an index whose cost does not grow
//! with the journal. The writer asks the same questions again when it commits.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::error::{Doing, StoreError};
use super::reader::Reader;
use crate::clock::{TimestampMs, Window};
use crate::envelope::Field;
use crate::ids::Digest;
use crate::journal::CachedVerdict;

/// Context entries that one session may show to a recipe.
const MAX_CONTEXT_ENTRIES: u32 = 256;

impl Reader {
    /// When the cooldown `key` of a recipe was last set.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn cooldown_last(
        &self,
        recipe: &str,
        key: &str,
    ) -> Result<Option<TimestampMs>, StoreError> {
        self.with(|connection| cooldown_last(connection, recipe, key))
    }

    /// Counted runs of a recipe for a sender in `window`; counting
    /// stops at `cap`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn rate_count(
        &self,
        recipe: &str,
        sender_key: &str,
        window: Window,
        cap: u32,
    ) -> Result<u32, StoreError> {
        self.with(|connection| rate_count(connection, recipe, sender_key, window, cap))
    }

    /// Operations of a kind that a recipe, or one that it led to, had done in `window`; counting
    /// stops at `cap`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn operation_count(
        &self,
        recipe: &str,
        kind: &str,
        window: Window,
        cap: u32,
    ) -> Result<u32, StoreError> {
        self.with(|connection| operation_count(connection, recipe, kind, window, cap))
    }

    /// A verdict that is kept under `key` and has not expired.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn cached(
        &self,
        key: &Digest,
        now: TimestampMs,
    ) -> Result<Option<CachedVerdict>, StoreError> {
        let value: Option<String> = self.with(|connection| {
            connection
                .prepare_cached(CACHED)
                .and_then(|mut statement| {
                    statement.query_row(params![key.0, now.as_i64()], |row| row.get(0)).optional()
                })
                .doing("look up a kept verdict")
        })?;
        // An entry in an older form is no entry.
        Ok(value.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// What a recipe remembers of a sender's session, by key; `namespace` is the
    /// recipe's name, or what recipes share. Without a sender it is that of all
    /// senders, of each key the newest.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn context(
        &self,
        namespace: &str,
        sender_key: Option<&str>,
        session: &str,
        now: TimestampMs,
    ) -> Result<Vec<Field>, StoreError> {
        self.with(|connection| {
            connection
                .prepare_cached(if sender_key.is_some() { CONTEXT } else { CONTEXT_OF_ALL })
                .and_then(|mut statement| {
                    let now = now.as_i64();
                    let found = params![session, namespace, sender_key, now, MAX_CONTEXT_ENTRIES];
                    statement
                        .query_map(found, |row| {
                            Ok(Field { name: row.get(0)?, value: row.get(1)? })
                        })?
                        .collect()
                })
                .doing("read a session's context")
        })
    }

    /// One value of [`Reader::context`].
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn context_value(
        &self,
        namespace: &str,
        sender_key: Option<&str>,
        session: &str,
        key: &str,
        now: TimestampMs,
    ) -> Result<Option<String>, StoreError> {
        self.with(|connection| {
            connection
                .prepare_cached(CONTEXT_VALUE)
                .and_then(|mut statement| {
                    let found = params![session, namespace, sender_key, key, now.as_i64()];
                    statement.query_row(found, |row| row.get(0)).optional()
                })
                .doing("read a session's context")
        })
    }

    /// A flag of a recipe, or of all.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn flag(
        &self,
        namespace: &str,
        key: &str,
        now: TimestampMs,
    ) -> Result<Option<String>, StoreError> {
        self.with(|connection| {
            connection
                .prepare_cached(FLAG)
                .and_then(|mut statement| {
                    statement
                        .query_row(params![namespace, key, now.as_i64()], |row| row.get(0))
                        .optional()
                })
                .doing("read a flag")
        })
    }
}

const COOLDOWN: &str = "SELECT last FROM cooldowns WHERE recipe = ?1 AND key = ?2";
const RATE: &str = "SELECT count(*) FROM (SELECT 1 FROM journal
    WHERE kind = 'decision' AND recipe = ?1 AND sender_key = ?2 AND counted = 1 AND at > ?3
        AND at <= ?4
    LIMIT ?5)";
const OPERATIONS: &str = "SELECT count(*) FROM (SELECT 1 FROM done
    WHERE recipe = ?1 AND kind = ?2 AND at > ?3 AND at <= ?4 LIMIT ?5)";
const CACHED: &str = "SELECT value FROM verdict_cache WHERE key = ?1 AND expires_at > ?2";
const CONTEXT: &str = "SELECT key, value FROM context
    WHERE session_id = ?1 AND namespace = ?2 AND sender_key = ?3
      AND (expires_at IS NULL OR expires_at > ?4)
    ORDER BY key LIMIT ?5";
/// Beside a maximum the other columns are those of its row.
const CONTEXT_OF_ALL: &str = "SELECT key, value, max(created_at) FROM context
    WHERE session_id = ?1 AND namespace = ?2 AND ?3 IS NULL
      AND (expires_at IS NULL OR expires_at > ?4)
    GROUP BY key ORDER BY key LIMIT ?5";
const CONTEXT_VALUE: &str = "SELECT value FROM context
    WHERE session_id = ?1 AND namespace = ?2 AND (?3 IS NULL OR sender_key = ?3) AND key = ?4
      AND (expires_at IS NULL OR expires_at > ?5)
    ORDER BY created_at DESC LIMIT 1";
const FLAG: &str = "SELECT value FROM flags
    WHERE namespace = ?1 AND key = ?2 AND (expires_at IS NULL OR expires_at > ?3)";

/// For the test that looks at query plans.
#[cfg(test)]
pub(super) const STATEMENTS: [&str; 8] =
    [COOLDOWN, RATE, OPERATIONS, CACHED, CONTEXT, CONTEXT_OF_ALL, CONTEXT_VALUE, FLAG];

pub(super) fn cooldown_last(
    connection: &Connection,
    recipe: &str,
    key: &str,
) -> Result<Option<TimestampMs>, StoreError> {
    connection
        .prepare_cached(COOLDOWN)
        .and_then(|mut statement| {
            statement.query_row(params![recipe, key], |row| row.get::<_, i64>(0)).optional()
        })
        .map(|last| last.map(TimestampMs::from_i64))
        .doing("read a cooldown")
}

pub(super) fn rate_count(
    connection: &Connection,
    recipe: &str,
    sender_key: &str,
    window: Window,
    cap: u32,
) -> Result<u32, StoreError> {
    let (since, until) = (window.since.as_i64(), window.until.as_i64());
    connection
        .prepare_cached(RATE)
        .and_then(|mut statement| {
            statement.query_row(params![recipe, sender_key, since, until, cap], |row| row.get(0))
        })
        .doing("count a sender's events")
}

pub(super) fn operation_count(
    connection: &Connection,
    recipe: &str,
    kind: &str,
    window: Window,
    cap: u32,
) -> Result<u32, StoreError> {
    let (since, until) = (window.since.as_i64(), window.until.as_i64());
    connection
        .prepare_cached(OPERATIONS)
        .and_then(|mut statement| {
            statement.query_row(params![recipe, kind, since, until, cap], |row| row.get(0))
        })
        .doing("count a recipe's operations")
}
