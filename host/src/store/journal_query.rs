//! The journal as recipes ask it: counts and recent rows by sender, session
//! and recipe. A question costs the same in a journal of any size: each goes
//! through one index, newest first, and looks at a bounded number of rows.

use rusqlite::named_params;

use super::error::{Doing, StoreError};
use super::reader::{Reader, unsigned};
use crate::clock::TimestampMs;
use crate::envelope::sender::{MIN_PREFIX_LEN, sender_key};
use crate::stage::{JournalFact, JournalQuery};

/// Rows of the sender (or session, or recipe) that are looked at before the
/// other conditions are applied.
pub(super) const MAX_EXAMINED: u32 = 5000;

impl Reader {
    /// How many decisions match, counted up to the query's limit.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn journal_count(&self, query: &JournalQuery, now: TimestampMs) -> Result<u64, StoreError> {
        Ok(self.matching(query, now)?.len() as u64)
    }

    /// The decisions that match and were made before `now`, newest first. A
    /// sender is given as a full id, or as its first 16 characters.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn journal_recent(
        &self,
        query: &JournalQuery,
        now: TimestampMs,
    ) -> Result<Vec<JournalFact>, StoreError> {
        self.matching(query, now)
    }

    fn matching(
        &self,
        query: &JournalQuery,
        now: TimestampMs,
    ) -> Result<Vec<JournalFact>, StoreError> {
        let since = query.since.max(now.minus(JournalQuery::MAX_AGE));
        let key = query.from_node.as_deref().map(sender_key);
        let full_id = query.from_node.as_deref().filter(|id| id.len() != MIN_PREFIX_LEN);
        self.with(|connection| {
            connection
                .prepare_cached(&sql(query))
                .and_then(|mut statement| {
                    let params = named_params! {
                        ":key": key,
                        ":from": full_id,
                        ":session": query.session,
                        ":recipe": query.recipe,
                        ":action": query.action,
                        ":since": since.as_i64(),
                        ":now": now.as_i64(),
                        ":examined": MAX_EXAMINED,
                        ":limit": query.limit.min(JournalQuery::MAX_LIMIT),
                    };
                    statement.query_map(params, fact)?.collect()
                })
                .doing("ask the journal")
        })
    }
}

fn fact(row: &rusqlite::Row<'_>) -> rusqlite::Result<JournalFact> {
    Ok(JournalFact {
        id: unsigned(row, 0)?,
        at: TimestampMs::from_i64(row.get(1)?),
        recipe: row.get(2)?,
        action: row.get(3)?,
        reason: row.get(4)?,
        from_node: row.get(5)?,
    })
}

/// The most selective index first.
pub(super) fn sql(query: &JournalQuery) -> String {
    let narrowed = if query.from_node.is_some() {
        "sender_key = :key AND at >= :since AND at < :now ORDER BY at DESC, id DESC"
    } else if query.session.is_some() {
        "session_id = :session AND session_id <> '' AND at >= :since AND at < :now
         ORDER BY at DESC, id DESC"
    } else if query.recipe.is_some() {
        "recipe = :recipe AND at >= :since AND at < :now ORDER BY at DESC, id DESC"
    } else {
        "at / 1000.0 >= :since / 1000.0 AND at / 1000.0 < :now / 1000.0
         ORDER BY at / 1000.0 DESC, id DESC"
    };
    format!(
        "SELECT id, at, recipe, action, reason, from_node FROM (
             SELECT id, at, recipe, action, reason, from_node, session_id, sender_key FROM journal
             WHERE kind = 'decision' AND {narrowed} LIMIT :examined)
         WHERE (:recipe IS NULL OR recipe = :recipe) AND (:action IS NULL OR action = :action)
           AND (:session IS NULL OR session_id = :session)
           AND (:from IS NULL OR from_node = :from) AND (:key IS NULL OR sender_key = :key)
         LIMIT :limit"
    )
}
