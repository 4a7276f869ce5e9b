//! Taking away what was to be remembered for a time only. Reading passes expired
//! entries by anyway; that they are gone keeps them from coming back when the
//! clock is set back, and from piling up.

use rusqlite::{Connection, params};

use super::Store;
use super::error::{Doing, StoreError};
use super::session::Session;
use crate::clock::TimestampMs;

/// Entries of one table that go at once.
const AT_ONCE: u32 = 1000;

/// What is looked for beside the writer, and how an entry is taken away. An
/// entry that was set anew in between stays.
pub(super) const TABLES: [(&str, &str); 3] = [
    (
        "SELECT session_id, namespace, key FROM context WHERE expires_at <= ?1 LIMIT ?2",
        "DELETE FROM context
         WHERE session_id = ?2 AND namespace = ?3 AND key = ?4 AND expires_at <= ?1",
    ),
    (
        "SELECT '', namespace, key FROM flags WHERE expires_at <= ?1 LIMIT ?2",
        "DELETE FROM flags
         WHERE ?2 = '' AND namespace = ?3 AND key = ?4 AND expires_at <= ?1",
    ),
    (
        "SELECT '', '', hex(key) FROM verdict_cache WHERE expires_at <= ?1 LIMIT ?2",
        "DELETE FROM verdict_cache
         WHERE ?2 = '' AND ?3 = '' AND key = unhex(?4) AND expires_at <= ?1",
    ),
];

type Key = (String, String, String);

impl Store {
    /// Takes away expired context, flags and kept verdicts, a bounded number of
    /// them.
    ///
    /// # Errors
    /// The database cannot be read or written.
    pub async fn forget_expired(&self, now: TimestampMs) -> Result<(), StoreError> {
        for (find, forget) in TABLES {
            let reader = self.reader.clone();
            let found = tokio::task::spawn_blocking(move || {
                reader.with(|connection| expired(connection, find, now))
            });
            let keys = found.await.map_err(|_| StoreError::Closed)??;
            if !keys.is_empty() {
                self.writer
                    .run(keys.len().div_ceil(8), move |session| take(session, forget, &keys, now))
                    .await?;
            }
        }
        Ok(())
    }
}

fn expired(connection: &Connection, find: &str, now: TimestampMs) -> Result<Vec<Key>, StoreError> {
    connection
        .prepare_cached(find)
        .and_then(|mut statement| {
            statement
                .query_map(params![now.as_i64(), AT_ONCE], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })?
                .collect()
        })
        .doing("look for what has expired")
}

fn take(session: &Session, forget: &str, keys: &[Key], now: TimestampMs) -> Result<(), StoreError> {
    let mut statement =
        session.connection.prepare_cached(forget).doing("take away what has expired")?;
    for (session_id, namespace, key) in keys {
        statement
            .execute(params![now.as_i64(), session_id, namespace, key])
            .doing("take away what has expired")?;
    }
    Ok(())
}
